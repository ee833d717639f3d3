//! Why a request for a stream is refused: EventStreams' errors, and for a bad `Last-Event-ID` KafkaSSE's.

use eventstar_http_api::{Request, Response, error, text};
use eventstar_sse::PositionError;
use http::StatusCode;
use http::header::{HeaderValue, RETRY_AFTER};
use serde_json::{Map, Value};

use crate::wanted::BadParameter;

/// Most topic-partitions of one request: each takes a subrequest, and its entry in every id.
pub(crate) const MAX_LOGS: usize = 128;

/// Longest part of what was sent that is sent back, in bytes.
const MAX_REPEATED: usize = 1000;

/// Most names that a refusal lists.
const MAX_LISTED: usize = 20;

/// Why a request is refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// Streams that are not configured, not allowed, or have no topics.
    UnknownStreams(Vec<String>),
    /// More topic-partitions than one request may read.
    TooMany { asked: usize },
    /// `since` is no time.
    Since(PositionError),
    /// Another parameter cannot be obeyed.
    Parameter(BadParameter),
    /// `Last-Event-ID`, or the parameter in its place, cannot be read.
    LastEventId { error: PositionError, id: String },
    /// `Last-Event-ID` names topics or partitions that are not those of the streams asked for.
    ForeignTopics {
        topics: Vec<String>,
        available: Vec<String>,
    },
    /// Connections are limited, and the client's address is not known.
    NoAddress,
    /// The client has as many connections as it may.
    TooManyConnections {
        /// Seconds until it may try again.
        retry_after: u16,
    },
}

impl Refusal {
    /// For metrics.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::UnknownStreams(_) => "unknown_stream",
            Self::TooMany { .. } => "too_many_streams",
            Self::Since(_) => "invalid_since",
            Self::Parameter(_) => "invalid_parameter",
            Self::LastEventId { .. } => "invalid_last_event_id",
            Self::ForeignTopics { .. } => "topic_not_available",
            Self::NoAddress => "no_client_address",
            Self::TooManyConnections { .. } => "too_many_connections",
        }
    }

    /// The answer.
    pub(crate) fn answer(&self, request: &Request) -> Response {
        let bad = |kind, title, detail: &str| error(request, StatusCode::BAD_REQUEST, kind, title, detail);
        match self {
            Self::UnknownStreams(streams) => {
                let detail = format!("Invalid streams: {}", listed(streams));
                bad("not_found", "Stream Not Found", &detail)
            }
            Self::TooMany { asked } => {
                let detail = format!(
                    "{asked} topic-partitions in one request: ask for at most {MAX_LOGS}, and use several requests"
                );
                bad("too_many_streams", "Too Many Streams", &detail)
            }
            Self::Since(error) => bad("invalid_timestamp", "Invalid timestamp", &error.to_string()),
            Self::Parameter(parameter) if parameter.name == "until" => {
                bad("invalid_timestamp", "Invalid timestamp", &parameter.to_string())
            }
            Self::Parameter(parameter) => {
                bad("invalid_parameter", "Invalid Parameter", &parameter.to_string())
            }
            Self::LastEventId { error, id } => kafka_sse(
                StatusCode::BAD_REQUEST,
                "InvalidAssignmentError",
                assignment(error, id),
            ),
            Self::ForeignTopics { topics, available } => {
                let message = format!("Topics {} are not available for consumption.", listed(topics));
                let available: Vec<Value> = available
                    .iter()
                    .take(MAX_LISTED)
                    .map(|topic| topic.as_str().into())
                    .collect();
                let said = [("message", message.into()), ("availableTopics", available.into())];
                kafka_sse(StatusCode::NOT_FOUND, "TopicNotAvailableError", said)
            }
            Self::NoAddress => bad(
                "bad_request",
                "Missing Required X-Client-IP Header",
                "X-Client-IP is a required request header",
            ),
            Self::TooManyConnections { retry_after } => too_many_connections(request, *retry_after),
        }
    }
}

fn too_many_connections(request: &Request, retry_after: u16) -> Response {
    let mut response = error(
        request,
        StatusCode::TOO_MANY_REQUESTS,
        "too_many_requests",
        "Too Many Concurrent Connections From Your Client IP",
        "Your HTTP client is likely opening too many concurrent connections.",
    );
    response
        .headers_mut()
        .insert(RETRY_AFTER, HeaderValue::from(retry_after));
    response
}

fn listed(names: &[String]) -> String {
    let names = names.iter().take(MAX_LISTED);
    names
        .map(|name| name.chars().take(200).collect())
        .collect::<Vec<String>>()
        .join(",")
}

/// What KafkaSSE says of a bad `Last-Event-ID`; a long one is not repeated.
fn assignment(error: &PositionError, id: &str) -> [(&'static str, Value); 3] {
    let (kind, name, sent) = match error {
        PositionError::Form => (
            "Error",
            "assignments",
            serde_json::from_str(id).unwrap_or_default(),
        ),
        _ => ("SyntaxError", "last_event_id", Value::from(id)),
    };
    let sent = if id.len() <= MAX_REPEATED {
        sent
    } else {
        Value::Null
    };
    [
        ("message", error.to_string().into()),
        ("originalName", kind.into()),
        (name, sent),
    ]
}

/// An error in KafkaSSE's form (`lib/error.js`): the message first, and a line break at the end.
fn kafka_sse<const N: usize>(status: StatusCode, name: &str, said: [(&'static str, Value); N]) -> Response {
    let mut said = said.into_iter();
    let own = [("origin", "KafkaSSE".into()), ("name", name.into())];
    let message = said.next();
    let code = ("statusCode", status.as_u16().into());
    let body: Map<String, Value> = message
        .into_iter()
        .chain(own)
        .chain(said)
        .chain([code])
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    text(
        status,
        "application/json; charset=utf-8",
        format!("{}\n", Value::from(body)),
    )
}
