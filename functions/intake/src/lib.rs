//! `intake`: events in. Replaces EventGate.
//!
//! `POST /v1/events` (and `/v2/events`) takes one event or an array, validates each against its schema and its stream's
//! config, and answers as EventGate does once the events are durable: 201 all, 207 some, 400 none (the client's fault),
//! 503 none (ours; retry), 202 with `?hasty=true` before any of it.
//!
//! A request goes through four steps: read (limits first), gather (schemas and config, each once), decide (pure), act
//! (append or send). Source: EventGate 1.8.4, `routes/events.js`, `lib/eventgate.js`.

mod act;
mod answer;
mod decide;
mod gather;
mod limits;

use std::rc::Rc;

use eventstar_event::JsonError;
use eventstar_event::json::split_body;
use eventstar_http_api::{
    Principal, Request, Response, common_headers, empty, error, info, method_not_allowed, query_value, route,
};
use eventstar_ports::Platform;
use eventstar_stores::{ConfigCache, SchemaCache};
use http::header::{ALLOW, CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{HeaderMap, Method, StatusCode};

pub use limits::{MAX_BATCH, MAX_BODY_BYTES, MAX_EVENT_BYTES};

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    schemas: SchemaCache,
    configs: ConfigCache,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    let routed = route("intake", request.uri());
    let response = match routed.path.trim_end_matches('/') {
        "/v1/events" | "/v2/events" => match *request.method() {
            Method::POST => post(isolate, platform, &request).await,
            Method::OPTIONS => preflight(),
            _ => method_not_allowed(&request, "POST"),
        },
        _ => info(
            "intake",
            "Event intake: validates events and makes them durable.",
            routed.path,
            &request,
        ),
    };
    common_headers(response, "post")
}

/// The whole pre-flight, as Express answers it.
fn preflight() -> Response {
    let mut response = eventstar_http_api::text(StatusCode::OK, "text/html; charset=utf-8", "POST");
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static("POST"));
    response
}

async fn post<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: &Request) -> Response {
    let events = match read(request) {
        Ok(events) => events,
        Err(refusal) => return refusal,
    };
    if events.is_empty() {
        let detail = "Request body was empty. Must provide JSON encoded events.";
        platform.log(eventstar_ports::Level::Info, detail);
        return empty(StatusCode::BAD_REQUEST);
    }
    let principal = Principal::of(request.headers(), &platform);
    // Any value counts, as in EventGate: `hasty=false` is hasty, `hasty=` is not.
    if query_value(request.uri(), "hasty").is_some_and(|hasty| !hasty.is_empty()) {
        let isolate = Rc::clone(isolate);
        let body = request.body().clone();
        let later = platform.clone();
        platform.spawn(async move {
            let Ok(events) = split_body(&body) else { return };
            let outcomes = process(&isolate, &later, &principal, &events).await;
            answer::log_failures(&later, &outcomes);
        });
        return empty(StatusCode::ACCEPTED);
    }
    let outcomes = process(isolate, &platform, &principal, &events).await;
    answer::answer(&platform, &outcomes)
}

/// Reads the body into the texts of events, or says why not.
fn read(request: &Request) -> Result<Vec<&str>, Response> {
    let refuse = |status, kind, title, detail: &str| Err(error(request, status, kind, title, detail));
    if let Some(refusal) = unsupported(request.headers()) {
        return refuse(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "unsupported_media_type",
            "Unsupported Media Type",
            &refusal,
        );
    }
    if request.body().len() > MAX_BODY_BYTES {
        let detail =
            format!("the body is larger than {MAX_BODY_BYTES} bytes: send the events in smaller batches");
        return refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "Payload Too Large",
            &detail,
        );
    }
    if request.body().iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    match split_body(request.body()) {
        Ok(events) if events.len() > MAX_BATCH => {
            let detail = format!(
                "{} events in one request: send at most {MAX_BATCH} and split the rest",
                events.len()
            );
            refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "batch_too_large",
                "Batch Too Large",
                &detail,
            )
        }
        Ok(events) => Ok(events),
        Err(error @ JsonError::Malformed(_)) => refuse(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            "Malformed JSON",
            &error.to_string(),
        ),
        Err(error) => refuse(
            StatusCode::BAD_REQUEST,
            error.code(),
            "Not Events",
            &error.to_string(),
        ),
    }
}

/// Why a body of this type or encoding is not read; `None` when it is.
fn unsupported(headers: &HeaderMap) -> Option<String> {
    let header = |name| {
        headers
            .get(name)
            .map(|value: &HeaderValue| value.to_str().unwrap_or("?").to_ascii_lowercase())
    };
    if let Some(encoding) = header(CONTENT_ENCODING).filter(|encoding| encoding != "identity") {
        return Some(format!(
            "unsupported content encoding \"{encoding}\": send the body as it is"
        ));
    }
    // Without a type: what `curl --data-binary` or a bare socket sends is taken for JSON.
    let content_type = header(CONTENT_TYPE)?;
    let mut parts = content_type.split(';').map(str::trim);
    let media_type = parts.next().unwrap_or_default();
    if !["application/json", "text/plain", "application/reports+json"].contains(&media_type) {
        return Some(format!(
            "unsupported media type \"{media_type}\": use application/json or text/plain"
        ));
    }
    let charset = parts
        .find_map(|part| part.strip_prefix("charset="))
        .unwrap_or("utf-8")
        .trim_matches('"');
    if !["utf-8", "utf8", "us-ascii"].contains(&charset) {
        return Some(format!(
            "unsupported charset \"{}\": use UTF-8",
            charset.to_ascii_uppercase()
        ));
    }
    None
}

async fn process<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    principal: &Principal,
    events: &[&str],
) -> Vec<answer::Outcome> {
    let received = decide::receive(events, limits::max_event_bytes(platform));
    let gathered = gather::gather(isolate, platform, &received).await;
    let decided = decide::decide(platform, principal, &gathered, received);
    act::act(platform, decided).await
}

#[cfg(test)]
mod tests;
