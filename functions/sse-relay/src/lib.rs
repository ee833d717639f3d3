//! `sse-relay`: events out. Replaces EventStreams (and KafkaSSE).
//!
//! `GET /v2/stream/{a,b}` streams the events of one or more streams as Server-Sent Events, or as NDJSON for
//! `Accept: application/json`. A client goes on with `Last-Event-ID`, or starts with `since`, else with the latest.
//!
//! On a shared origin this function also answers what no other one does.

mod data;
mod relay;
mod select;

use std::rc::Rc;

use eventstar_http_api::{
    Request, Response, accepts, common_headers, empty, error, info, method_not_allowed, route, unavailable,
};
use eventstar_ports::{Body, Platform, PortError};
use eventstar_stores::ConfigCache;
use http::header::{ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, StatusCode};

use crate::relay::Format;
use crate::select::Refusal;

/// Largest request body that is read: none is used.
pub const MAX_BODY_BYTES: usize = 0;

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    configs: ConfigCache,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    let routed = route("sse-relay", request.uri());
    let response = match routed.path.strip_prefix("/v2/stream/") {
        Some(streams) if !streams.trim_matches('/').is_empty() => match *request.method() {
            Method::GET | Method::HEAD => {
                stream(isolate, platform, &request, streams.trim_matches('/')).await
            }
            Method::OPTIONS => {
                let mut response = empty(StatusCode::OK);
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
                response
            }
            _ => method_not_allowed(&request, "GET,HEAD"),
        },
        _ => info(
            "sse-relay",
            "Streams events as Server-Sent Events.",
            routed.path,
            &request,
        ),
    };
    common_headers(response, "get,head")
}

async fn stream<P: Platform>(isolate: &Isolate, platform: P, request: &Request, streams: &str) -> Response {
    let configs = match isolate.configs.current(&platform).await {
        Ok(configs) => configs,
        Err(port_error) => return unreadable(&platform, request, &port_error),
    };
    let selected = match select::select(&platform, &configs, request, streams) {
        Ok(selected) => selected,
        // The stream may be new: look once more before it counts as unknown.
        Err(Refusal::UnknownStreams(_)) => match isolate.configs.refreshed(&platform).await {
            Ok(configs) => match select::select(&platform, &configs, request, streams) {
                Ok(selected) => selected,
                Err(refusal) => return refused(request, &refusal),
            },
            Err(port_error) => return unreadable(&platform, request, &port_error),
        },
        Err(refusal) => return refused(request, &refusal),
    };
    let format = if accepts(request.headers(), "application/json") {
        Format::Ndjson
    } else {
        Format::Sse
    };
    let mut response = match *request.method() {
        Method::HEAD => Response::default(),
        _ => Response::new(Body::Stream(relay::relay(platform, selected, format))),
    };
    let content_type = match format {
        Format::Ndjson => "application/json; charset=utf-8",
        Format::Sse if request.headers().contains_key(ACCEPT) => "text/event-stream; charset=utf-8",
        Format::Sse => "text/event-stream",
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    // Proxies that buffer would hold events back.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

fn unreadable<P: Platform>(platform: &P, request: &Request, port_error: &PortError) -> Response {
    unavailable(
        platform,
        request,
        &port_error.to_string(),
        "streams cannot be read now: try again",
    )
}

fn refused(request: &Request, refusal: &Refusal) -> Response {
    let (status, kind, title) = match refusal {
        Refusal::UnknownStreams(_) => (StatusCode::BAD_REQUEST, "not_found", "Stream Not Found"),
        Refusal::TooMany { .. } => (StatusCode::BAD_REQUEST, "too_many_streams", "Too Many Streams"),
        Refusal::LastEventId(_) => (
            StatusCode::BAD_REQUEST,
            "invalid_last_event_id",
            "Invalid Last-Event-ID",
        ),
        Refusal::ForeignTopics(_) => (
            StatusCode::NOT_FOUND,
            "topic_not_available",
            "Topic Not Available",
        ),
        Refusal::Since(_) => (StatusCode::BAD_REQUEST, "invalid_timestamp", "Invalid timestamp"),
    };
    error(request, status, kind, title, &refusal.to_string())
}

#[cfg(test)]
mod tests;
