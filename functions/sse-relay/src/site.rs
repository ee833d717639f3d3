//! What is answered beside the streams: the page to watch them on, the description of the API, and the paths that every
//! function has.

mod catalog;
mod doc;
mod spec;
mod ui;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use eventstar_delivery::kafka_proxy;
use eventstar_http_api::{
    Request, Response, Routed, common_headers, empty, info, json, method_not_allowed, not_found,
    not_modified, query_value, readiness, text, with_etag,
};
use eventstar_pages as pages;
use eventstar_ports::{Body, Platform, PortError};
use eventstar_stores::StreamNeeds;
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue, LOCATION};
use http::{Method, StatusCode};
use serde_json::Value;

pub(crate) use catalog::CatalogCache;

use crate::{Isolate, unreadable};

/// How long what is made of the stream config may be cached, as listings of schemas are.
const SHORT: &str = "public, max-age=60";

/// Answers all that is not a stream.
pub(crate) async fn answer<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    routed: Routed<'_>,
) -> Response {
    let path = routed.path;
    let is_ui = path.starts_with(ui::FOLDER);
    let is_own = is_ui || matches!(path, "/" | "/rc" | "/v2/ui");
    let is_read = matches!(*request.method(), Method::GET | Method::HEAD);
    let response = match (is_own, is_read) {
        (true, true) if is_ui => ui_file(isolate, platform, request, path).await,
        (true, true) => page(isolate, platform, request, routed).await,
        (true, false) => other_method(request),
        (false, _) if path.trim_end_matches('/') == "/readyz" => ready(isolate, platform, request).await,
        (false, _) => info(
            "sse-relay",
            "Streams events as Server-Sent Events.",
            path,
            request,
        ),
    };
    let response = pages::with_policy(common_headers(response, "get,head"));
    if is_ui {
        ui::with_policy(response)
    } else {
        response
    }
}

async fn ready<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let needs = StreamNeeds {
        configs: &isolate.configs,
        is_published: true,
        has_kafka_proxy: matches!(kafka_proxy(platform), Ok(Some(_))),
    };
    let mut missing = isolate
        .readiness
        .missing(platform, &isolate.version, &needs)
        .await;
    if platform.get("ALLOWED_STREAMS").is_none() {
        let why = "no stream may be read: list in ALLOWED_STREAMS those that may, or set it to *";
        missing.insert("allowed_streams", why.to_owned());
    }
    readiness(request, platform, &missing)
}

fn other_method(request: &Request) -> Response {
    const METHODS: &str = "GET,HEAD";
    if request.method() != Method::OPTIONS {
        return method_not_allowed(request, METHODS);
    }
    let mut response = empty(StatusCode::OK);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(METHODS));
    response
}

/// `/`, `/?spec`, `/?doc`, and the redirects. Under `/sse-relay` they lead to where they are under it.
async fn page<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    routed: Routed<'_>,
) -> Response {
    let base = if routed.named { "/sse-relay" } else { "" };
    let asked = |name| query_value(request.uri(), name);
    match routed.path {
        "/rc" => redirect(StatusCode::MOVED_PERMANENTLY, &format!("{base}/?doc")),
        "/v2/ui" => to_folder(request, base),
        _ if asked("spec").is_some() || asked("doc").is_some() => {
            let catalog = match isolate.catalog.current(platform, &isolate.configs).await {
                Ok(catalog) => catalog,
                Err(port_error) => return unreadable(platform, request, &port_error.to_string()),
            };
            if asked("spec").is_some() {
                return cached(request, json(StatusCode::OK, &spec::of(&catalog, base)), SHORT);
            }
            let origin = format!("{}{base}", origin(request));
            let page = doc::of(&catalog, &origin, asked("stream").as_deref());
            cached(request, text(StatusCode::OK, pages::CONTENT_TYPE, page), SHORT)
        }
        _ => redirect(StatusCode::SEE_OTHER, &format!("{base}/v2/ui")),
    }
}

async fn ui_file<P: Platform>(isolate: &Isolate, platform: &P, request: &Request, path: &str) -> Response {
    if path == ui::STREAMS {
        return match streams(isolate, platform).await {
            Ok(streams) => cached(request, json(StatusCode::OK, &streams), SHORT),
            Err(port_error) => unreadable(platform, request, &port_error.to_string()),
        };
    }
    match ui::file(path) {
        // The files of one release belong together: none is used without asking whether it still is what it was.
        Some(file) => cached(request, file, "no-cache"),
        None => not_found(request),
    }
}

/// The streams that can be chosen on the page, without their schemas.
async fn streams<P: Platform>(isolate: &Isolate, platform: &P) -> Result<Value, PortError> {
    let configs = isolate.configs.current(platform).await?;
    let streams = catalog::readable(platform, &configs);
    Ok(streams
        .into_iter()
        .map(|stream| {
            serde_json::json!({"name": stream.name, "title": stream.title, "description": stream.description})
        })
        .collect())
}

/// An answer that is told from the one before by a hash of its text.
fn cached(request: &Request, response: Response, caching: &'static str) -> Response {
    let mut hasher = DefaultHasher::new();
    if let Body::Full(body) = response.body() {
        body.hash(&mut hasher);
    }
    let etag = format!("{:016x}", hasher.finish());
    let response = if not_modified(request.headers(), &etag) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        response
    };
    let mut response = with_etag(response, &etag);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

/// A redirect with Express' text.
fn redirect(status: StatusCode, to: &str) -> Response {
    let reason = status.canonical_reason().unwrap_or_default();
    let body = format!("{reason}. Redirecting to {to}");
    with_location(text(status, "text/plain; charset=utf-8", body), to)
}

/// The redirect of Express' static files to a folder, with its page.
fn to_folder(request: &Request, base: &str) -> Response {
    let query = request.uri().query().map(|query| format!("?{query}"));
    let to = format!("{base}{}{}", ui::FOLDER, query.unwrap_or_default());
    let mut html = pages::Html::default();
    html.raw("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Redirecting</title>\n</head>\n");
    html.raw("<body>\n<pre>Redirecting to ");
    html.link(&to, &to);
    html.raw("</pre>\n</body>\n</html>\n");
    with_location(
        text(
            StatusCode::MOVED_PERMANENTLY,
            "text/html; charset=UTF-8",
            html.end(),
        ),
        &to,
    )
}

fn with_location(mut response: Response, to: &str) -> Response {
    // A query that the request had is one that a header can have.
    if let Ok(to) = HeaderValue::from_str(to) {
        response.headers_mut().insert(LOCATION, to);
    }
    response
}

/// Where the caller reached this: what examples are written with.
fn origin(request: &Request) -> String {
    let uri = request.uri();
    let host = request.headers().get(http::header::HOST);
    let host = host
        .and_then(|host| host.to_str().ok())
        .or_else(|| uri.authority().map(http::uri::Authority::as_str));
    let scheme = uri.scheme_str().unwrap_or("https");
    host.map(|host| format!("{scheme}://{host}")).unwrap_or_default()
}

#[cfg(test)]
mod tests;
