//! `stream-config`: stream config over HTTP. Replaces EventStreamConfig for its readers.
//!
//! `/w/api.php?action=streamconfigs` answers as MediaWiki's API does. `GET /v1/stream-configs` answers all streams,
//! `GET /v1/stream-configs/{a,b}` those asked for that are configured, as eventgate-wikimedia does: a map from stream name
//! to settings. `?version=N` answers from an earlier version.

mod api;

use std::rc::Rc;

use eventstar_http_api::{
    Request, Response, common_headers, decode_segment, empty, error, info, json, method_not_allowed,
    not_modified, query_value, readiness, route, unavailable, with_etag,
};
use eventstar_mediawiki_api::{self as mediawiki, ApiError};
use eventstar_ports::Platform;
use eventstar_stores::{ConfigCache, Configs, Readiness, StreamNeeds, VersionReader};
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use http::{Method, StatusCode};
use serde_json::{Map, Value};

/// Largest request body, in bytes: 250 names of streams, percent-encoded, fit.
pub const MAX_BODY_BYTES: usize = 256 * 1024;

/// The methods that MediaWiki's API takes.
const API_METHODS: &str = "GET,HEAD,POST";

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    configs: ConfigCache,
    version: VersionReader,
    readiness: Readiness,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    let routed = route("stream-config", request.uri());
    if routed.path == mediawiki::PATH {
        let response = match *request.method() {
            Method::GET | Method::HEAD | Method::POST => action(isolate, &platform, &request).await,
            Method::OPTIONS => preflight(API_METHODS),
            _ => method_not_allowed(&request, API_METHODS),
        };
        return mediawiki::with_headers(response, &request, "get,head,post");
    }
    let response = match routed.path.strip_prefix("/v1/stream-configs") {
        Some(rest) if rest.is_empty() || rest.starts_with('/') => match *request.method() {
            Method::GET | Method::HEAD => get(isolate, &platform, &request, rest.trim_matches('/')).await,
            Method::OPTIONS => preflight("GET,HEAD"),
            _ => method_not_allowed(&request, "GET,HEAD"),
        },
        _ if routed.path.trim_end_matches('/') == "/readyz" => ready(isolate, &platform, &request).await,
        _ => info("stream-config", "Stream configuration.", routed.path, &request),
    };
    common_headers(response, "get,head")
}

async fn ready<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let needs = StreamNeeds {
        configs: &isolate.configs,
        is_published: true,
        // It neither writes nor reads streams.
        has_kafka_proxy: true,
    };
    let missing = isolate
        .readiness
        .missing(platform, &isolate.version, &needs)
        .await;
    readiness(request, platform, &missing)
}

/// Answers MediaWiki's API: the path is one for all actions, so that those of `schema` are answered here too.
async fn action<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    mediawiki::answer(request, MAX_BODY_BYTES, async |parameters| {
        match parameters.get("action") {
            Some("streamconfigs") => api::stream_configs(isolate, platform, request, parameters).await,
            Some("jsonschema") => mediawiki::json_schema(platform, request, parameters).await,
            other => Err(ApiError::action(other)),
        }
    })
    .await
}

fn preflight(allow: &'static str) -> Response {
    let mut response = empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

async fn get<P: Platform>(isolate: &Isolate, platform: &P, request: &Request, streams: &str) -> Response {
    let version = match query_value(request.uri(), "version").map(|version| version.parse::<u64>()) {
        None => None,
        Some(Ok(version)) => Some(version),
        Some(Err(_)) => {
            let detail =
                "version is no number: leave it out for the current one, whose ETag tells its number";
            return error(
                request,
                StatusCode::BAD_REQUEST,
                "bad_request",
                "Bad Request",
                detail,
            );
        }
    };
    let asked = asked(streams);
    let names = asked.iter().map(String::as_str);
    let found = match version {
        None => isolate
            .configs
            .with_streams(platform, &isolate.version.from_now(), names)
            .await
            .map(Some),
        Some(version) => isolate.configs.version(platform, version).await,
    };
    let configs = match found {
        Ok(Some(configs)) => configs,
        Ok(None) => {
            let detail = "the stream config has no such version: leave ?version out for the current one";
            return error(
                request,
                StatusCode::NOT_FOUND,
                "not_found",
                "Stream Config Not Found",
                detail,
            );
        }
        Err(port_error) => {
            let detail = "the stream config cannot be read now: try again";
            return unavailable(platform, request, &port_error.to_string(), detail);
        }
    };
    let etag = configs.version.to_string();
    let mut response = if not_modified(request.headers(), &etag) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        json(StatusCode::OK, &select(&configs, asked))
    };
    // A version never changes.
    let caching = match version {
        None => "public, max-age=30",
        Some(_) => "public, max-age=31536000, immutable",
    };
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    with_etag(response, &etag)
}

/// The streams asked for, separated by `,` or `|`.
fn asked(streams: &str) -> Vec<String> {
    let decoded = decode_segment(streams).unwrap_or_default();
    let names = decoded.split([',', '|']).filter(|_| !streams.is_empty());
    names.map(str::to_owned).collect()
}

/// The settings of the streams asked for; of all of them when none is.
fn select(configs: &Configs, asked: Vec<String>) -> Map<String, Value> {
    let asked = match asked.is_empty() {
        true => configs.streams.names().map(str::to_owned).collect(),
        false => asked,
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
