//! `schema`: schema repositories over HTTP. Replaces schema.wikimedia.org, and meta.wiki's API of EventLogging's schemas.
//!
//! `GET /repositories` lists the repositories in lookup order;
//! `GET /repositories/{repository}/jsonschema/{title}/{version|latest}[.yaml|.json]` answers one version, and the folders
//! on the way their contents. What a browser asks for is a page.

mod crumbs;
mod files;
mod listing;
mod page;
mod place;

use std::rc::Rc;

use eventstar_http_api::{
    Request, Response, common_headers, decode_segment, empty, info, json, method_not_allowed, not_found,
    preferred, readiness, route, text, unavailable,
};
use eventstar_mediawiki_api::{self as mediawiki, ApiError};
use eventstar_pages as pages;
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{LatestChecks, Readiness, VersionReader, decode, keys, read_through};
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue, LOCATION, VARY};
use http::{Method, StatusCode};

use crate::place::Place;

/// Largest request body that is read: none is used.
pub const MAX_BODY_BYTES: usize = 0;

/// How long what may change is cached: the original's, for listings.
const SHORT: &str = "public, max-age=60, s-maxage=60";

/// What an isolate keeps between requests: no schemas, KV is at hand.
#[derive(Default)]
pub struct Isolate {
    latest: LatestChecks,
    version: VersionReader,
    readiness: Readiness,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    let path = route("schema", request.uri()).path;
    if path == mediawiki::PATH {
        let response = answered(&request, async || action(&platform, &request).await).await;
        return mediawiki::with_headers(response, &request, "get,head");
    }
    let response = if path.trim_end_matches('/') == "/readyz" {
        ready(isolate, &platform, &request).await
    } else if path == "/repositories" || path.starts_with("/repositories/") {
        answered(&request, async || get(isolate, &platform, &request, path).await).await
    } else {
        info("schema", "Schema repositories.", path, &request)
    };
    pages::with_policy(common_headers(response, "get,head"))
}

async fn ready<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let missing = isolate.readiness.missing(platform, &isolate.version, &()).await;
    readiness(request, platform, &missing)
}

/// The answer of `read` to `GET` and `HEAD`.
async fn answered(request: &Request, read: impl AsyncFnOnce() -> Response) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => read().await,
        Method::OPTIONS => {
            let mut response = empty(StatusCode::OK);
            response
                .headers_mut()
                .insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
            response
        }
        _ => method_not_allowed(request, "GET,HEAD"),
    }
}

async fn action<P: Platform>(platform: &P, request: &Request) -> Response {
    mediawiki::answer(request, MAX_BODY_BYTES, async |parameters| {
        match parameters.get("action") {
            Some("jsonschema") => mediawiki::json_schema(platform, request, parameters).await,
            other => Err(ApiError::action(other)),
        }
    })
    .await
}

async fn get<P: Platform>(isolate: &Isolate, platform: &P, request: &Request, path: &str) -> Response {
    let decoded = decode_segment(path).unwrap_or_default();
    let answer = match Place::of(&decoded) {
        Some(place) => at(isolate, platform, request, &place).await,
        None => Ok(not_found(request)),
    };
    answer.unwrap_or_else(|port_error| {
        let detail = "schemas cannot be read now: try again";
        unavailable(platform, request, &port_error.to_string(), detail)
    })
}

async fn at<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    place: &Place<'_>,
) -> Result<Response, PortError> {
    match place.segments.as_slice() {
        [] if !place.is_folder && !for_browser(request) => {
            let names = repositories(platform).await?;
            Ok(with_cache(negotiated(json(StatusCode::OK, &names)), SHORT))
        }
        [] | [_] => listing::of_repositories(platform, request, place).await,
        [repository, "jsonschema", file @ ..] => {
            if let Some(uri) = place.version() {
                if uri.is_latest() {
                    let key = keys::schema(repository, &uri);
                    isolate.latest.check_later(platform, [key.as_str()].into_iter());
                }
                let found = files::answer(platform, request, repository, &uri, file).await?;
                if let Some(response) = found {
                    return Ok(response);
                }
            }
            listing::of_repository(platform, request, place, repository, file).await
        }
        _ => Ok(not_found(request)),
    }
}

/// The repositories' names, in lookup order.
async fn repositories<P: Platform>(platform: &P) -> Result<Vec<String>, PortError> {
    match read_through(platform, keys::REPOSITORIES).await? {
        Some(value) => decode(keys::REPOSITORIES, &value),
        None => Ok(Vec::new()),
    }
}

/// True if the client would rather have a page than what the page is of: a folder as JSON, or a file, which is YAML or JSON.
fn for_browser(request: &Request) -> bool {
    const FORMS: [&str; 5] = [
        "text/plain",
        "application/json",
        "application/yaml",
        "application/x-yaml",
        "text/html",
    ];
    preferred(request.headers(), &FORMS) == Some("text/html")
}

fn with_cache(mut response: Response, caching: &'static str) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

/// Tells caches that a browser gets something else.
fn negotiated(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(VARY, HeaderValue::from_static("Accept"));
    response
}

/// A page, for browsers.
fn page(body: String) -> Response {
    let response = text(StatusCode::OK, pages::CONTENT_TYPE, body);
    with_cache(negotiated(response), SHORT)
}

/// To the same path with a `/` at the end, as a folder's: links within it are relative. Several `/` become one, as with
/// nginx.
fn to_folder(request: &Request) -> Response {
    let mut response = empty(StatusCode::MOVED_PERMANENTLY);
    let segments: Vec<&str> = request
        .uri()
        .path()
        .split('/')
        .filter(|segment| !segment.is_empty())
        .collect();
    let query = request.uri().query().map(|query| format!("?{query}"));
    let location = format!("/{}/{}", segments.join("/"), query.unwrap_or_default());
    if let Ok(location) = HeaderValue::from_str(&location) {
        response.headers_mut().insert(LOCATION, location);
    }
    with_cache(negotiated(response), SHORT)
}

#[cfg(test)]
mod nginx_tests;
#[cfg(test)]
mod tests;
