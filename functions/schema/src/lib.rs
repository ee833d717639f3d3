//! `schema`: schema repositories over HTTP. Replaces schema.wikimedia.org.
//!
//! `GET /repositories` lists the repositories in lookup order;
//! `GET /repositories/{repository}/jsonschema/{title}/{version|latest}[.yaml|.json]` answers one version.

use std::rc::Rc;

use eventstar_event::SchemaUri;
use eventstar_http_api::{
    Request, Response, common_headers, empty, error, info, json, method_not_allowed, not_found, not_modified,
    route, text, unavailable, with_etag,
};
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{SchemaDocument, decode, keys, read_through};
use http::header::{ALLOW, CACHE_CONTROL, HeaderValue};
use http::{Method, StatusCode};

/// Largest request body that is read: none is used.
pub const MAX_BODY_BYTES: usize = 0;

/// What an isolate keeps between requests: nothing, KV is at hand.
#[derive(Default)]
pub struct Isolate {}

/// The form a version is asked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the repository holds it: YAML where there is YAML.
    Stored,
    Yaml,
    Json,
}

/// Answers a request.
pub async fn handle<P: Platform>(_isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    let routed = route("schema", request.uri());
    let path = routed.path;
    let response = if path.trim_end_matches('/') == "/repositories" || path.starts_with("/repositories/") {
        match *request.method() {
            Method::GET | Method::HEAD => get(&platform, &request, path).await,
            Method::OPTIONS => {
                let mut response = empty(StatusCode::OK);
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
                response
            }
            _ => method_not_allowed(&request, "GET,HEAD"),
        }
    } else {
        info("schema", "Schema repositories.", path, &request)
    };
    common_headers(response, "get,head")
}

async fn get<P: Platform>(platform: &P, request: &Request, path: &str) -> Response {
    let answer = match path.trim_end_matches('/').strip_prefix("/repositories/") {
        None => repositories(platform).await,
        Some(file) => schema(platform, request, file).await,
    };
    answer.unwrap_or_else(|port_error| {
        let detail = "schemas cannot be read now: try again";
        unavailable(platform, request, &port_error.to_string(), detail)
    })
}

async fn repositories<P: Platform>(platform: &P) -> Result<Response, PortError> {
    let names: Vec<String> = match read_through(platform, keys::REPOSITORIES).await? {
        Some(value) => decode(keys::REPOSITORIES, &value)?,
        None => Vec::new(),
    };
    Ok(with_cache(json(StatusCode::OK, &names), "public, max-age=60"))
}

async fn schema<P: Platform>(platform: &P, request: &Request, file: &str) -> Result<Response, PortError> {
    let Some((repository, file)) = file.split_once("/jsonschema/") else {
        return Ok(not_found(request));
    };
    let form = match file.rsplit_once('.') {
        Some((_, "yaml")) => Form::Yaml,
        Some((_, "json")) => Form::Json,
        _ => Form::Stored,
    };
    let Ok(uri) = SchemaUri::parse(file) else {
        return Ok(not_found(request));
    };
    let key = keys::schema(repository, &uri);
    let Some(value) = read_through(platform, &key).await? else {
        let detail =
            format!("repository {repository} has no schema {uri}: GET /repositories lists the repositories");
        return Ok(error(
            request,
            StatusCode::NOT_FOUND,
            "not_found",
            "Schema Not Found",
            &detail,
        ));
    };
    let document: SchemaDocument = decode(&key, &value)?;
    let (content_type, kind, body) = match (form, document.yaml) {
        (Form::Json, _) | (Form::Stored, None) => ("application/json; charset=utf-8", "json", document.json),
        // The original's type for everything that is not `.json`. JSON is YAML, where no YAML was published.
        (Form::Yaml | Form::Stored, Some(yaml)) => ("text/plain; charset=utf-8", "yaml", yaml),
        (Form::Yaml, None) => ("text/plain; charset=utf-8", "json", document.json),
    };
    let etag = format!("{}-{}-{kind}", document.version, document.published);
    let caching = if uri.is_latest() {
        "public, max-age=60"
    } else {
        "public, max-age=31536000, immutable"
    };
    if not_modified(request.headers(), &etag) {
        return Ok(with_cache(
            with_etag(empty(StatusCode::NOT_MODIFIED), &etag),
            caching,
        ));
    }
    Ok(with_cache(
        with_etag(text(StatusCode::OK, content_type, body), &etag),
        caching,
    ))
}

fn with_cache(mut response: Response, caching: &'static str) -> Response {
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    response
}

#[cfg(test)]
mod tests;
