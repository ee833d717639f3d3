//! Making answers.

use std::collections::BTreeMap;
use std::io;

use eventstar_ports::{Body, Diagnostics, Ids, Level};
use http::header::{
    ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
    ACCESS_CONTROL_EXPOSE_HEADERS, ALLOW, CACHE_CONTROL, CONTENT_TYPE, ETAG, HeaderName, HeaderValue,
    IF_NONE_MATCH, RETRY_AFTER,
};
use http::{HeaderMap, Method, StatusCode};
use serde::Serialize;

use crate::{Request, Response};

/// The body of an error, in the originals' form (service-template-node's `HTTPError`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ErrorBody<'a> {
    /// The HTTP status again.
    pub status: u16,
    /// A stable token: `not_found`, `bad_request`, …
    #[serde(rename = "type")]
    pub kind: &'a str,
    /// A few words.
    pub title: &'a str,
    /// What is wrong, why, and how to fix it.
    pub detail: &'a str,
    /// The request's method.
    pub method: &'a str,
    /// The request's path and query.
    pub uri: &'a str,
}

/// An answer without a body.
#[must_use]
pub fn empty(status: StatusCode) -> Response {
    let mut response = Response::default();
    *response.status_mut() = status;
    response
}

/// An answer with a text.
#[must_use]
pub fn text(status: StatusCode, content_type: &'static str, body: impl Into<Body>) -> Response {
    let mut response = Response::new(body.into());
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

/// A JSON answer.
#[must_use]
pub fn json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    // Everything answered is made of maps with text keys, which always serialize.
    let body = serde_json::to_vec(value).unwrap_or_default();
    text(status, "application/json; charset=utf-8", body)
}

/// A JSON answer that may be large: written twice, once for its length, so that it takes no more memory than it has bytes.
#[must_use]
pub fn large_json<T: Serialize>(status: StatusCode, value: &T) -> Response {
    let mut written = Counted {
        bytes: Vec::new(),
        length: 0,
        is_kept: false,
    };
    let _ = serde_json::to_writer(&mut written, value);
    written.bytes.reserve_exact(written.length);
    written.is_kept = true;
    let _ = serde_json::to_writer(&mut written, value);
    text(status, "application/json; charset=utf-8", written.bytes)
}

/// Counts what is written, or keeps it.
struct Counted {
    bytes: Vec<u8>,
    length: usize,
    is_kept: bool,
}

impl io::Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.is_kept {
            self.bytes.extend_from_slice(bytes);
        } else {
            self.length += bytes.len();
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An error answer; `kind` is a stable token.
#[must_use]
pub fn error(request: &Request, status: StatusCode, kind: &str, title: &str, detail: &str) -> Response {
    let uri = request
        .uri()
        .path_and_query()
        .map_or("/", http::uri::PathAndQuery::as_str);
    let method = request.method().as_str();
    json(
        status,
        &ErrorBody {
            status: status.as_u16(),
            kind,
            title,
            detail,
            method,
            uri,
        },
    )
}

/// 404 for a path that nothing answers at.
#[must_use]
pub fn not_found(request: &Request) -> Response {
    let detail = format!(
        "nothing is served at {}: see the README for the routes of each function",
        request.uri().path()
    );
    error(request, StatusCode::NOT_FOUND, "not_found", "Not Found", &detail)
}

/// 405 with `Allow`.
#[must_use]
pub fn method_not_allowed(request: &Request, allow: &'static str) -> Response {
    let detail = format!(
        "{} does not take {}: use {allow}",
        request.uri().path(),
        request.method()
    );
    let mut response = error(
        request,
        StatusCode::METHOD_NOT_ALLOWED,
        "method_not_allowed",
        "Method Not Allowed",
        &detail,
    );
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Adds `Retry-After` of 1 to 3 seconds: spread by `random`, so that clients do not come back together.
pub fn retry_after(response: &mut Response, random: u8) {
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(1 + u16::from(random % 3)));
}

/// 503 for what cannot be read or written now: `log` goes to the log, `detail` says what to do.
pub fn unavailable<P: Diagnostics + Ids>(
    platform: &P,
    request: &Request,
    log: &str,
    detail: &str,
) -> Response {
    platform.log(Level::Error, log);
    let mut response = error(
        request,
        StatusCode::SERVICE_UNAVAILABLE,
        "unavailable",
        "Service Unavailable",
        detail,
    );
    let [random, ..] = platform.random();
    retry_after(&mut response, random);
    response
}

/// Adds an `ETag`.
#[must_use]
pub fn with_etag(mut response: Response, etag: &str) -> Response {
    if let Ok(value) = HeaderValue::from_str(&format!("\"{etag}\"")) {
        response.headers_mut().insert(ETAG, value);
    }
    response
}

/// Whether `If-None-Match` names `etag` (without quotes), so that 304 is the answer.
#[must_use]
pub fn not_modified(headers: &HeaderMap, etag: &str) -> bool {
    headers
        .get(IF_NONE_MATCH)
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value == "*"
                || value
                    .split(',')
                    .any(|tag| tag.trim().trim_start_matches("W/").trim_matches('"') == etag)
        })
}

/// The headers EventGate and EventStreams set on every answer (`app.js:106-122`), with `methods` for CORS.
#[must_use]
pub fn common_headers(mut response: Response, methods: &'static str) -> Response {
    /// With those of CORS and the answer's own.
    const MOST: usize = 16;
    let headers = response.headers_mut();
    headers.reserve(MOST.saturating_sub(headers.len()));
    let mut set =
        |name: HeaderName, value: &'static str| headers.insert(name, HeaderValue::from_static(value));
    set(ACCESS_CONTROL_ALLOW_ORIGIN, "*");
    set(
        ACCESS_CONTROL_ALLOW_HEADERS,
        "accept, x-requested-with, content-type, last-event-id, cache-control",
    );
    set(ACCESS_CONTROL_EXPOSE_HEADERS, "etag");
    set(ACCESS_CONTROL_ALLOW_METHODS, methods);
    set(HeaderName::from_static("x-xss-protection"), "1; mode=block");
    set(http::header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    set(http::header::X_FRAME_OPTIONS, "SAMEORIGIN");
    set(
        http::header::CONTENT_SECURITY_POLICY,
        "default-src 'self'; object-src 'none'; media-src 'none'; img-src 'none'; style-src 'none'; base-uri 'self'; frame-ancestors 'self'",
    );
    response
}

/// The answers of paths that every function has (`/_info`, `/_info/name`, `/_info/version`, `/robots.txt`, `/healthz`), and
/// 404 for all others. `path` is the one within the function.
#[must_use]
pub fn info(function: &str, description: &str, path: &str, request: &Request) -> Response {
    match info_value(function, description, path) {
        None => not_found(request),
        Some(_) if request.method() != Method::GET && request.method() != Method::HEAD => {
            method_not_allowed(request, "GET,HEAD")
        }
        Some(response) => response,
    }
}

/// The answer of `/readyz`: 200, or 503 with what is missing, by name, and why.
pub fn readiness(request: &Request, ids: &impl Ids, missing: &BTreeMap<&'static str, String>) -> Response {
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return method_not_allowed(request, "GET,HEAD");
    }
    let mut response = if missing.is_empty() {
        json(StatusCode::OK, &serde_json::json!({"status": "ok"}))
    } else {
        let body = serde_json::json!({"status": "unavailable", "missing": missing});
        let mut response = json(StatusCode::SERVICE_UNAVAILABLE, &body);
        let [random, ..] = ids.random();
        retry_after(&mut response, random);
        response
    };
    let no_store = HeaderValue::from_static("no-store");
    response.headers_mut().insert(CACHE_CONTROL, no_store);
    response
}

fn info_value(function: &str, description: &str, path: &str) -> Option<Response> {
    const VERSION: &str = env!("CARGO_PKG_VERSION");
    let name = format!("eventstar-{function}");
    let value = match path.trim_end_matches('/') {
        "/_info" => serde_json::json!({
            "name": name, "version": VERSION, "description": description, "home": env!("CARGO_PKG_REPOSITORY"),
        }),
        "/_info/name" => serde_json::json!({"name": name}),
        "/_info/version" => serde_json::json!({"version": VERSION}),
        "/healthz" => serde_json::json!({"status": "ok"}),
        "/robots.txt" => {
            return Some(text(
                StatusCode::OK,
                "text/plain; charset=utf-8",
                "User-agent: *\nDisallow: /\n",
            ));
        }
        _ => return None,
    };
    Some(json(StatusCode::OK, &value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_have_the_originals_form() {
        let mut request = Request::default();
        *request.uri_mut() = "/x?y=1".parse().unwrap();
        let response = error(&request, StatusCode::BAD_REQUEST, "bad_request", "Bad", "why");
        assert_eq!(response.status(), 400);
        let Body::Full(body) = response.into_body() else {
            panic!("streams")
        };
        assert_eq!(
            body,
            r#"{"status":400,"type":"bad_request","title":"Bad","detail":"why","method":"GET","uri":"/x?y=1"}"#
        );
    }

    #[test]
    fn if_none_match_knows_lists_weak_tags_and_any() {
        for (header, expected) in [
            ("\"a\"", true),
            ("W/\"a\"", true),
            ("\"b\", \"a\"", true),
            ("*", true),
            ("\"b\"", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(IF_NONE_MATCH, header.parse().unwrap());
            assert_eq!(not_modified(&headers, "a"), expected, "{header}");
        }
        assert!(!not_modified(&HeaderMap::new(), "a"));
    }

    #[test]
    fn retry_after_is_spread_over_one_to_three_seconds() {
        let seconds: std::collections::BTreeSet<String> = (0..=255)
            .map(|random| {
                let mut response = empty(StatusCode::SERVICE_UNAVAILABLE);
                retry_after(&mut response, random);
                response.headers()[RETRY_AFTER].to_str().unwrap().to_owned()
            })
            .collect();
        assert_eq!(seconds.into_iter().collect::<Vec<_>>(), ["1", "2", "3"]);
    }
}
