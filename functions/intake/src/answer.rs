//! What became of the events, and the answer that tells it.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use eventstar_event::JsonError;
use eventstar_http_api::{Response, empty, large_json, retry_after};
use eventstar_ports::{Level, Platform, PortError, PortErrorKind};
use eventstar_stream_config::Stream;
use eventstar_validation::{AjvError, errors_text};
use http::StatusCode;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use serde_json::json;
use serde_json::value::RawValue;

use crate::results::results;

/// Why an event was not accepted.
#[derive(Debug, Clone)]
pub(crate) enum Failure {
    /// It is not valid: EventGate's `invalid`.
    Invalid(Vec<AjvError>),
    /// The client's fault otherwise: EventGate's `error`, with a stable code.
    Client { code: &'static str, message: String },
    /// The stream takes only tokens and none was shown.
    TokenMissing { message: String },
    /// The token is not good for the stream.
    TokenRefused { message: String },
    /// The event is too large.
    TooLarge {
        size: usize,
        unit: &'static str,
        limit: usize,
    },
    /// Our fault: the client may send it again.
    Ours { log: String },
}

impl Failure {
    pub(crate) fn client(code: &'static str, message: impl Into<String>) -> Self {
        Self::Client {
            code,
            message: message.into(),
        }
    }

    pub(crate) fn ours(error: &PortError) -> Self {
        Self::Ours {
            log: error.to_string(),
        }
    }

    pub(crate) fn token_missing(stream: &str) -> Self {
        let message =
            format!("stream {stream} takes events only with a token: send Authorization: Bearer <token>");
        Self::TokenMissing { message }
    }

    pub(crate) fn token_refused(stream: &str) -> Self {
        let message =
            format!("the token sent may not produce to stream {stream}: use one that the stream names");
        Self::TokenRefused { message }
    }

    /// What only a reader of the text sees, in the form of a validation error.
    pub(crate) fn json(error: &JsonError) -> Self {
        let pointer = match error {
            JsonError::DuplicateKey(pointer) => pointer.as_str(),
            _ => "",
        };
        Self::Invalid(vec![AjvError {
            keyword: error.code().to_owned(),
            data_path: pointer.replace('/', "."),
            schema_path: String::new(),
            params: json!({}),
            message: error.to_string(),
            property_name: None,
            pointer: pointer.to_owned(),
        }])
    }

    /// A stable token for programs and logs.
    pub(crate) fn code(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "invalid",
            Self::Client { code, .. } => code,
            Self::TokenMissing { .. } => "token_missing",
            Self::TokenRefused { .. } => "token_refused",
            Self::TooLarge { .. } => "event_too_large",
            Self::Ours { .. } => "delivery_failed",
        }
    }

    /// The `error_type` of its error event; EventGate's names where it has one.
    pub(crate) fn error_type(&self) -> &'static str {
        match self {
            Self::Invalid(_) => "ValidationError",
            Self::TokenMissing { .. } | Self::TokenRefused { .. } => "UnauthorizedProducerError",
            Self::TooLarge { .. } => "EventTooLargeError",
            Self::Ours { .. } => "DeliveryError",
            Self::Client { code, .. } => match *code {
                "unknown_schema" | "broken_schema" | "insecure_schema" | "too_many_schemas" => {
                    "EventSchemaLoadError"
                }
                "schema_uri_not_text" | "missing_field" => "EventSchemaUriExtractionError",
                "unknown_stream"
                | "stream_without_schema_title"
                | "schema_not_allowed_in_stream"
                | "schema_without_title" => "UnauthorizedSchemaForStreamError",
                "not_enrolled" => "HoistingError",
                "malformed_enrollments" => "MalformedHeaderError",
                "malformed_beacon" | "missing_schema" => "MalformedBeaconError",
                _ => "EventInvalidError",
            },
        }
    }

    pub(crate) fn message(&self) -> String {
        match self {
            Self::Invalid(errors) => errors_text(errors),
            Self::Client { message, .. }
            | Self::TokenMissing { message }
            | Self::TokenRefused { message } => message.clone(),
            Self::TooLarge { size, unit, limit } => {
                format!(
                    "the event has {size} {unit}, more than the {limit} that are accepted: make it smaller"
                )
            }
            Self::Ours { .. } => "the event could not be stored now: send it again".to_owned(),
        }
    }
}

/// What became of one event.
#[derive(Debug)]
pub(crate) struct Outcome<'a> {
    /// The event's text, as an answer repeats it.
    pub(crate) event: Cow<'a, str>,
    /// `None` when it was accepted.
    pub(crate) failure: Option<Failure>,
    /// Its stream, where that is configured.
    pub(crate) stream: Option<Rc<Stream>>,
}

impl<'a> Outcome<'a> {
    pub(crate) fn failed(event: impl Into<Cow<'a, str>>, failure: Failure) -> Self {
        Self {
            event: event.into(),
            failure: Some(failure),
            stream: None,
        }
    }

    /// What metrics call its stream: the stream config's name, so that producers cannot make up names.
    pub(crate) fn label(&self) -> &str {
        self.stream.as_ref().map_or("unknown", |stream| &stream.key)
    }
}

/// One entry of an answer: `EventStatus.toJSON` (`lib/eventgate.js:42-60`).
struct Entry<'a> {
    event: &'a str,
    failure: &'a Failure,
}

impl Serialize for Entry<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let event: &RawValue = serde_json::from_str(self.event).map_err(serde::ser::Error::custom)?;
        let mut map = serializer.serialize_map(Some(3))?;
        match self.failure {
            Failure::Invalid(errors) => {
                map.serialize_entry("status", "invalid")?;
                map.serialize_entry("event", event)?;
                map.serialize_entry(
                    "context",
                    &json!({"errors": errors, "errorsText": errors_text(errors)}),
                )?;
            }
            other => {
                map.serialize_entry("status", "error")?;
                map.serialize_entry("event", event)?;
                map.serialize_entry("context", &json!({"message": other.message()}))?;
            }
        }
        map.end()
    }
}

#[derive(Serialize)]
struct Failures<'a> {
    invalid: Vec<Entry<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Vec<Entry<'a>>>,
}

/// The answer (`routes/events.js:66-144`), with 4xx where the fault is the client's and 503 where it is ours; with a result
/// for each event when the client prefers that.
pub(crate) fn answer<P: Platform>(platform: &P, outcomes: &[Outcome<'_>], representation: bool) -> Response {
    log_failures(platform, outcomes);
    let failures: Vec<&Failure> = outcomes
        .iter()
        .filter_map(|outcome| outcome.failure.as_ref())
        .collect();
    let status = status(outcomes.len(), &failures);
    let mut response = match status {
        _ if representation => results(status, outcomes),
        StatusCode::CREATED => empty(status),
        _ => failures_by_kind(status, outcomes),
    };
    match status {
        StatusCode::SERVICE_UNAVAILABLE => {
            let [random, ..] = platform.random();
            retry_after(&mut response, random);
        }
        StatusCode::UNAUTHORIZED => {
            response
                .headers_mut()
                .insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        _ => {}
    }
    response
}

/// EventGate's body.
fn failures_by_kind(status: StatusCode, outcomes: &[Outcome<'_>]) -> Response {
    let entries = |wanted: bool| -> Vec<Entry<'_>> {
        let all = outcomes.iter().filter_map(|outcome| {
            outcome.failure.as_ref().map(|failure| Entry {
                event: &outcome.event,
                failure,
            })
        });
        all.filter(|entry| matches!(entry.failure, Failure::Invalid(_)) == wanted)
            .collect()
    };
    // EventGate leaves `error` out when every event is invalid.
    let error = entries(false);
    let error = (!error.is_empty() || status == StatusCode::MULTI_STATUS).then_some(error);
    large_json(
        status,
        &Failures {
            invalid: entries(true),
            error,
        },
    )
}

/// The status for `total` events and those that failed.
pub(crate) fn status(total: usize, failures: &[&Failure]) -> StatusCode {
    match failures.len() {
        0 => StatusCode::CREATED,
        failed if failed < total => StatusCode::MULTI_STATUS,
        _ => status_of(failures),
    }
}

/// The status when no event was accepted.
fn status_of(failures: &[&Failure]) -> StatusCode {
    let all = |kind: fn(&Failure) -> bool| failures.iter().all(|failure| kind(failure));
    if failures
        .iter()
        .any(|failure| matches!(failure, Failure::Ours { .. }))
    {
        StatusCode::SERVICE_UNAVAILABLE
    } else if all(|failure| matches!(failure, Failure::TokenMissing { .. })) {
        StatusCode::UNAUTHORIZED
    } else if all(|failure| matches!(failure, Failure::TokenRefused { .. })) {
        StatusCode::FORBIDDEN
    } else if all(|failure| matches!(failure, Failure::TooLarge { .. })) {
        StatusCode::PAYLOAD_TOO_LARGE
    } else {
        StatusCode::BAD_REQUEST
    }
}

/// One record for each stream and kind of failure, without event values.
pub(crate) fn log_failures<P: Platform>(platform: &P, outcomes: &[Outcome<'_>]) {
    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for outcome in outcomes {
        let Some(failure) = &outcome.failure else {
            continue;
        };
        *kinds.entry((outcome.label(), failure.code())).or_default() += 1;
        if let Failure::Ours { log } = failure {
            platform.log(Level::Error, log);
        }
    }
    for ((stream, code), events) in kinds {
        let members = [
            ("stream", json!(stream)),
            ("code", json!(code)),
            ("events", json!(events)),
            ("of", json!(outcomes.len())),
        ];
        platform.log_with(Level::Info, "events not accepted", &members);
    }
}

/// The failure of an event whose append or send failed.
pub(crate) fn sink_failure(error: &PortError) -> Failure {
    match error.kind {
        PortErrorKind::Rejected => Failure::client(
            "rejected",
            "a sink of the stream refuses the event: make it smaller".to_owned(),
        ),
        _ => Failure::ours(error),
    }
}
