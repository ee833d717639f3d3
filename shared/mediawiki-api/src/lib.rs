//! MediaWiki's action API, `/w/api.php`, as far as Event* systems answer it: parameters, errors, CORS, and
//! `action=jsonschema` ([`json_schema`]).
//!
//! Errors are answered with the header `MediaWiki-API-Error`, and most with 200, as MediaWiki's are: its clients look there
//! and into the body. Source: MediaWiki's `ApiMain.php`.

mod json_schema;
mod parameters;

use eventstar_http_api::http_date;
use eventstar_http_api::{Request, Response, common_headers, error, json, text};
use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, EXPIRES, HeaderName,
    HeaderValue, ORIGIN,
};
use serde_json::{Map, Value, json};

pub use json_schema::json_schema;
pub use parameters::Parameters;

/// Where the API is.
pub const PATH: &str = "/w/api.php";

const ERROR_CODE: HeaderName = HeaderName::from_static("mediawiki-api-error");

/// An error of the API, before it has a form.
#[derive(Debug)]
pub struct ApiError {
    status: StatusCode,
    code: &'static str,
    info: String,
    more: Map<String, Value>,
}

impl ApiError {
    /// An error with a code of MediaWiki's.
    #[must_use]
    pub fn new(code: &'static str, info: String) -> Self {
        Self {
            status: StatusCode::OK,
            code,
            info,
            more: Map::new(),
        }
    }

    /// The error for an `action` that is not answered here, or for none.
    #[must_use]
    pub fn action(named: Option<&str>) -> Self {
        match named {
            Some(other) => Self::unrecognized("action", other),
            None => Self::new("missingparam", "The \"action\" parameter must be set.".to_owned()),
        }
    }

    /// The error for a value that a parameter does not have.
    #[must_use]
    pub fn unrecognized(name: &str, value: &str) -> Self {
        Self::new(
            "badvalue",
            format!("Unrecognized value for parameter \"{name}\": {value}."),
        )
    }

    /// The same with another status than 200.
    #[must_use]
    pub fn with_status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }
}

/// Answers a request: `action` does it, with the parameters; a body may have `most` bytes.
pub async fn answer(
    request: &Request,
    most: usize,
    action: impl AsyncFnOnce(&Parameters) -> Result<Response, ApiError>,
) -> Response {
    if request.body().len() > most {
        let detail = format!("the body is larger than {most} bytes: ask for less");
        let (status, kind) = (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large");
        return error(request, status, kind, "Payload Too Large", &detail);
    }
    let parameters = Parameters::of(request);
    let origin = parameters.get("origin");
    if origin.is_some_and(|origin| origin != "*" && !is_origin_of(request, origin)) {
        let message = "'origin' parameter does not match Origin header\n";
        return text(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", message);
    }
    match action(&parameters).await {
        Ok(response) => response,
        Err(error) => failed(&error, &parameters),
    }
}

/// Lets anybody cache an answer for `seconds`, from `now` (milliseconds) on.
#[must_use]
pub fn cacheable(mut response: Response, seconds: u64, now: u64) -> Response {
    let headers = response.headers_mut();
    let texts = [
        (
            CACHE_CONTROL,
            format!("max-age={seconds}, s-maxage={seconds}, public"),
        ),
        (EXPIRES, http_date(now + seconds * 1000)),
    ];
    for (name, text) in texts {
        if let Ok(value) = HeaderValue::from_str(&text) {
            headers.insert(name, value);
        }
    }
    response
}

/// The common headers, and those for the pages of other sites.
#[must_use]
pub fn with_headers(response: Response, request: &Request, methods: &'static str) -> Response {
    let any_origin = Parameters::of(request).get("origin") == Some("*");
    let mut response = common_headers(response, methods);
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "MediaWiki-API-Error, Retry-After, X-Database-Lag, MediaWiki-Login-Suppressed",
        ),
    );
    if any_origin {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("false"),
        );
    }
    response
}

fn is_origin_of(request: &Request, origin: &str) -> bool {
    let header = request
        .headers()
        .get(ORIGIN)
        .and_then(|value| value.to_str().ok());
    header.is_some_and(|origins| origins.split(' ').any(|named| named == origin))
}

fn failed(error: &ApiError, parameters: &Parameters) -> Response {
    let mut body = Map::new();
    body.insert("code".to_owned(), error.code.into());
    body.insert("info".to_owned(), error.info.as_str().into());
    body.extend(error.more.clone());
    let help = format!("See {} for API usage.", env!("CARGO_PKG_REPOSITORY"));
    // An error is answered in the form asked for, which is the first where none is.
    let second = matches!(parameters.get("formatversion"), Some("2" | "latest"));
    body.insert(if second { "docref" } else { "*" }.to_owned(), help.into());
    let mut response = json(error.status, &json!({"error": body}));
    let headers = response.headers_mut();
    headers.insert(ERROR_CODE, HeaderValue::from_static(error.code));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, must-revalidate, max-age=0"),
    );
    response
}

#[cfg(test)]
mod tests;
