//! The answer for those who want to know of each event: `?dry_run=true`, and `Prefer: return=representation` (RFC 7240).
//!
//! `{"results":[…]}`, one for each event in the order of the request, with `outcome` (`accepted`, `invalid` or `error`), a stable
//! `code`, `pointer` (JSON pointer to the first thing wrong), `schema_uri`, `stream`, `retryable`, `message`, `errors`
//! (`pointer`, `keyword`, `message`) and `event` as it is or would be stored; what does not apply is left out.

use eventstar_event::json::members;
use eventstar_http_api::{Request, Response, large_json};
use eventstar_validation::AjvError;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::answer::{Failure, Outcome};

/// Whether the client asks for what became of each event.
pub(crate) fn wanted(request: &Request) -> bool {
    request
        .headers()
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .any(|preference| preference.trim().eq_ignore_ascii_case("return=representation"))
}

#[derive(Serialize)]
struct Results<'a> {
    results: Vec<EventResult<'a>>,
}

#[derive(Serialize)]
struct EventResult<'a> {
    outcome: &'static str,
    code: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pointer: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    schema_uri: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    stream: Option<&'a RawValue>,
    retryable: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    errors: Vec<EventError<'a>>,
    event: Option<&'a RawValue>,
}

#[derive(Serialize)]
struct EventError<'a> {
    pointer: &'a str,
    keyword: &'a str,
    message: &'a str,
}

/// The answer with a result for each event.
pub(crate) fn results(status: StatusCode, outcomes: &[Outcome<'_>]) -> Response {
    let results = outcomes.iter().map(result).collect();
    let mut response = large_json(status, &Results { results });
    response.headers_mut().insert(
        HeaderName::from_static("preference-applied"),
        HeaderValue::from_static("return=representation"),
    );
    response
}

fn result<'o>(outcome: &'o Outcome<'_>) -> EventResult<'o> {
    let [schema_uri, meta] = members(&outcome.event, ["$schema", "meta"]);
    let [stream] = members(meta.unwrap_or_default(), ["stream"]);
    // As the event writes them: nothing is copied.
    let text = |json: Option<&'o str>| {
        let json = json.filter(|json| json.starts_with('"'))?;
        serde_json::from_str(json).ok()
    };
    let errors: &[AjvError] = match &outcome.failure {
        Some(Failure::Invalid(errors)) => errors,
        _ => &[],
    };
    EventResult {
        outcome: match &outcome.failure {
            None => "accepted",
            Some(Failure::Invalid(_)) => "invalid",
            Some(_) => "error",
        },
        code: outcome.failure.as_ref().map_or("accepted", Failure::code),
        pointer: outcome.failure.as_ref().and_then(pointer),
        schema_uri: text(schema_uri),
        stream: text(stream),
        retryable: matches!(outcome.failure, Some(Failure::Ours { .. })),
        message: outcome.failure.as_ref().map(Failure::message),
        errors: errors
            .iter()
            .map(|error| EventError {
                pointer: &error.pointer,
                keyword: &error.keyword,
                message: &error.message,
            })
            .collect(),
        event: serde_json::from_str(&outcome.event).ok(),
    }
}

/// Where to look in the event.
fn pointer(failure: &Failure) -> Option<&str> {
    match failure {
        Failure::Invalid(errors) => errors.first().map(|error| error.pointer.as_str()),
        Failure::TokenMissing { .. } | Failure::TokenRefused { .. } => Some("/meta/stream"),
        Failure::TooLarge { .. } => Some(""),
        Failure::Ours { .. } => None,
        Failure::Client { code, .. } => match *code {
            "unknown_schema"
            | "broken_schema"
            | "insecure_schema"
            | "schema_uri_not_text"
            | "too_many_schemas"
            | "schema_without_title"
            | "schema_not_allowed_in_stream" => Some("/$schema"),
            "unknown_stream" | "stream_without_schema_title" | "no_topic" => Some("/meta/stream"),
            _ => Some(""),
        },
    }
}
