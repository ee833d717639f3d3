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
mod body;
mod decide;
mod enrich;
mod gather;
mod limits;
mod results;

use std::rc::Rc;

use eventstar_event::json::split_body;
use eventstar_http_api::{
    Principal, Request, Response, common_headers, empty, error, info, method_not_allowed, query_value, route,
};
use eventstar_ports::Platform;
use eventstar_stores::{ConfigCache, SchemaCache};
use http::header::{ALLOW, HeaderValue};
use http::{Method, StatusCode};

use decide::Sender;
use enrich::Said;

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
    let body = match body::decode(request) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let events = match body::split(request, &body) {
        Ok(events) => events,
        Err(refusal) => return refusal,
    };
    if events.is_empty() {
        let detail = "Request body was empty. Must provide JSON encoded events.";
        platform.log(eventstar_ports::Level::Info, detail);
        return empty(StatusCode::BAD_REQUEST);
    }
    let sender = Sender {
        principal: Principal::of(request.headers(), &platform),
        said: Said::by(request, &platform),
    };
    let dry_run = match query_value(request.uri(), "dry_run").as_deref() {
        Some("true") => true,
        None | Some("false") => false,
        // Nobody who wanted a dry run may find the events stored.
        Some(other) => {
            let detail = format!("dry_run is '{other}': use true or false");
            return error(
                request,
                StatusCode::BAD_REQUEST,
                "invalid_dry_run",
                "Invalid dry_run",
                &detail,
            );
        }
    };
    if dry_run {
        let outcomes = process(isolate, &platform, &sender, &events, dry_run).await;
        return results::results(StatusCode::OK, &outcomes);
    }
    // Any value counts, as in EventGate: `hasty=false` is hasty, `hasty=` is not.
    if query_value(request.uri(), "hasty").is_some_and(|hasty| !hasty.is_empty()) {
        let isolate = Rc::clone(isolate);
        let body = body.clone();
        let later = platform.clone();
        platform.spawn(async move {
            let Ok(events) = split_body(&body) else { return };
            let outcomes = process(&isolate, &later, &sender, &events, false).await;
            answer::log_failures(&later, &outcomes);
        });
        return empty(StatusCode::ACCEPTED);
    }
    let outcomes = process(isolate, &platform, &sender, &events, false).await;
    answer::answer(&platform, &outcomes, results::wanted(request))
}

async fn process<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    sender: &Sender,
    events: &[&str],
    dry_run: bool,
) -> Vec<answer::Outcome> {
    let received = decide::receive(events, &sender.said, limits::max_event_bytes(platform));
    let gathered = gather::gather(isolate, platform, &received).await;
    let decided = decide::decide(platform, sender, &gathered, received);
    act::act(platform, decided, dry_run).await
}

#[cfg(test)]
mod tests;
