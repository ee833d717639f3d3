//! `stream-config`: stream config over HTTP. Replaces EventStreamConfig for its readers.
//!
//! `/w/api.php?action=streamconfigs` answers as MediaWiki's API does. `GET /v1/stream-configs` answers all streams,
//! `GET /v1/stream-configs/{a,b}` those asked for that are configured, as eventgate-wikimedia does: a map from stream name
//! to settings.

mod api;

use std::rc::Rc;

use eventstar_http_api::{
    Request, Response, common_headers, decode_segment, empty, info, json, method_not_allowed, not_modified,
    route, unavailable, with_etag,
};
use eventstar_ports::Platform;
use eventstar_stores::{ConfigCache, Configs};
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value};

/// Largest request body, in bytes: 250 names of streams, percent-encoded, fit.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    configs: ConfigCache,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    let routed = route("stream-config", request.uri());
    if routed.path == api::PATH {
        let response = match *request.method() {
            Method::GET | Method::HEAD | Method::POST => api::answer(isolate, &platform, &request).await,
            Method::OPTIONS => preflight(api::METHODS),
            _ => method_not_allowed(&request, api::METHODS),
        };
        return api::with_headers(response, &request);
    }
    let response = match routed.path.strip_prefix("/v1/stream-configs") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match *request.method() {
            Method::GET | Method::HEAD => get(isolate, &platform, &request, rest.trim_matches('/')).await,
            Method::OPTIONS => preflight("GET,HEAD"),
            _ => method_not_allowed(&request, "GET,HEAD"),
        },
        _ => info("stream-config", "Stream configuration.", routed.path, &request),
    };
    common_headers(response, "get,head")
}

fn preflight(allow: &'static str) -> Response {
    let mut response = empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

async fn get<P: Platform>(isolate: &Isolate, platform: &P, request: &Request, streams: &str) -> Response {
    let configs = match isolate.configs.current(platform).await {
        Ok(configs) => configs,
        Err(port_error) => {
            let detail = "the stream config cannot be read now: try again";
            return unavailable(platform, request, &port_error.to_string(), detail);
        }
    };
    let etag = configs.version.to_string();
    let mut response = if not_modified(request.headers(), &etag) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        json(StatusCode::OK, &select(&configs, streams))
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("public, max-age=30"));
    with_etag(response, &etag)
}

/// The streams asked for, separated by `,` or `|`; all of them when none is.
fn select(configs: &Configs, streams: &str) -> Map<String, Value> {
    let asked: Vec<String> = if streams.is_empty() {
        configs.streams.names().map(str::to_owned).collect()
    } else {
        let decoded = decode_segment(streams).unwrap_or_default();
        decoded.split([',', '|']).map(str::to_owned).collect()
    };
    asked
        .into_iter()
        .filter_map(|stream| {
            configs
                .streams
                .settings(&stream)
                .map(|settings| (stream, Value::Object(settings)))
        })
        .collect()
}

#[cfg(test)]
mod tests;
