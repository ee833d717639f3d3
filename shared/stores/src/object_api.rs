//! The requests between a function and the objects that own the logs and the registry, without I/O.

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_log::{Appended, Frame, FrameDecoder, LogName, Retention, Start};
use eventstar_ports::{PortError, PortErrorKind, Published, RegistryError, RegistryRequest, Sample, Slot};
use futures_util::{Stream, StreamExt as _};
use http::{Method, Request, StatusCode, Uri};
use serde::{Deserialize, Serialize};

use crate::leases::LeaseRequest;
use crate::metrics::GaugeReport;

/// What a log's object answers to an append.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct AppendAnswer {
    pub(crate) base: u64,
    pub(crate) written: u64,
    pub(crate) duplicates: u64,
}

fn request(path_and_query: &str, body: Vec<u8>) -> Request<Bytes> {
    let mut request = Request::new(Bytes::from(body));
    *request.method_mut() = Method::POST;
    // The host is never looked up: objects are reached by binding. Names have no character a URI would not take.
    *request.uri_mut() = format!("https://object{path_and_query}")
        .parse()
        .unwrap_or_else(|_| Uri::from_static("https://object/"));
    request
}

/// Appends `batch` to `log`, which keeps its events for `retention`. An object from before there was retention does not
/// look at the query.
#[must_use]
pub fn append_request(log: &LogName, batch: &[Envelope], retention: Option<Retention>) -> Request<Bytes> {
    /// Room for the id, the time and the names of a line's members.
    const ENVELOPE_BYTES: usize = 160;
    let length = batch.iter().map(|envelope| {
        let key = envelope.key.as_ref().map_or(0, String::len);
        envelope.event.len() + envelope.stream.len() + key + ENVELOPE_BYTES
    });
    let mut lines = Vec::with_capacity(length.sum());
    batch.iter().for_each(|envelope| envelope.write_line(&mut lines));
    let query = retention.map(|retention| format!("?retention={retention}"));
    request(&format!("/{log}/append{}", query.unwrap_or_default()), lines)
}

/// Reads the query of [`append_request`]: none from a function from before there was retention.
///
/// # Errors
/// What is no retention.
pub(crate) fn parse_retention(query: &str) -> Result<Option<Retention>, String> {
    if query.is_empty() {
        return Ok(None);
    }
    let retention = query.strip_prefix("retention=").and_then(Retention::parse);
    retention
        .map(Some)
        .ok_or_else(|| format!("'{query}' is no retention"))
}

/// Reads the answer to [`append_request`].
///
/// # Errors
/// `Unavailable` for 429 and 5xx, `Rejected` for the rest.
pub fn append_result(status: StatusCode, body: &[u8]) -> Result<Appended, PortError> {
    if status != StatusCode::OK {
        return Err(failure("log", status, body));
    }
    let answer: AppendAnswer =
        serde_json::from_slice(body).map_err(|error| PortError::corrupt("log", error.to_string()))?;
    Ok(Appended {
        base: answer.base,
        written: answer.written,
        duplicates: answer.duplicates,
    })
}

/// Follows `log` from `start`; the answer's body is for [`eventstar_log::FrameDecoder`], as [`frames`] does it.
#[must_use]
pub fn follow_request(log: &LogName, start: Start) -> Request<Bytes> {
    let start = match start {
        Start::Latest => "latest".to_owned(),
        Start::Offset(offset) => format!("offset:{offset}"),
        Start::Position { offset, timestamp } => format!("position:{offset}:{timestamp}"),
        Start::Timestamp(time) => format!("timestamp:{time}"),
    };
    request(&format!("/{log}/follow?start={start}"), Vec::new())
}

/// The frames of the body of an answer to [`follow_request`]; it ends after a piece that is none of it.
pub fn frames(pieces: impl Stream<Item = Bytes> + Unpin) -> impl Stream<Item = Result<Frame, PortError>> {
    let state = Some((pieces, FrameDecoder::default()));
    futures_util::stream::unfold(state, async |state| {
        let (mut pieces, mut decoder) = state?;
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) => return Some((Ok(frame), Some((pieces, decoder)))),
                Ok(None) => decoder.push(&pieces.next().await?),
                Err(error) => return Some((Err(PortError::corrupt("log", error.to_string())), None)),
            }
        }
    })
}

/// The log that a request of a follower names, and where it starts; `None` for every other request.
#[must_use]
pub fn parse_follow(request: &Request<Bytes>) -> Option<(LogName, Start)> {
    let path = request.uri().path().trim_start_matches('/');
    let name = LogName::parse(path.strip_suffix("/follow")?)?;
    let start = request
        .uri()
        .query()?
        .strip_prefix("start=")
        .and_then(parse_start)?;
    Some((name, start))
}

/// Reads what [`follow_request`] wrote.
pub(crate) fn parse_start(text: &str) -> Option<Start> {
    match text.split_once(':') {
        None if text == "latest" => Some(Start::Latest),
        Some(("offset", offset)) => offset.parse().ok().map(Start::Offset),
        Some(("timestamp", time)) => time.parse().ok().map(Start::Timestamp),
        Some(("position", position)) => {
            let (offset, timestamp) = position.split_once(':')?;
            Some(Start::Position {
                offset: offset.parse().ok()?,
                timestamp: timestamp.parse().ok()?,
            })
        }
        _ => None,
    }
}

/// Asks the registry.
#[must_use]
pub fn registry_request(question: &RegistryRequest) -> Request<Bytes> {
    request("/registry", serde_json::to_vec(question).unwrap_or_default())
}

/// Reads the answer to [`registry_request`].
///
/// # Errors
/// The registry's own, or `Unavailable`.
pub fn registry_result(status: StatusCode, body: &[u8]) -> Result<Published, RegistryError> {
    if status != StatusCode::OK {
        return Err(failure("registry", status, body).into());
    }
    serde_json::from_slice::<Result<Published, RegistryError>>(body).unwrap_or_else(|error| {
        Err(RegistryError::Unavailable {
            detail: error.to_string(),
        })
    })
}

/// Adds `samples` to the metrics.
#[must_use]
pub fn add_metrics_request(samples: &[Sample]) -> Request<Bytes> {
    request("/metrics", serde_json::to_vec(samples).unwrap_or_default())
}

/// Says what the isolate `holder` has now.
#[must_use]
pub fn report_gauges_request(holder: &str, gauges: Vec<Sample>) -> Request<Bytes> {
    let report = GaugeReport {
        holder: holder.to_owned(),
        gauges,
    };
    request("/gauges", serde_json::to_vec(&report).unwrap_or_default())
}

/// Reads the metrics.
#[must_use]
pub fn read_metrics_request() -> Request<Bytes> {
    let mut request = request("/metrics", Vec::new());
    *request.method_mut() = Method::GET;
    request
}

/// Reads the answer to any of these: the metrics, or none.
///
/// # Errors
/// `Unavailable` for 429 and 5xx, `Rejected` for the rest.
pub fn metrics_result(status: StatusCode, body: &[u8]) -> Result<Vec<Sample>, PortError> {
    if status != StatusCode::OK {
        return Err(failure("metrics", status, body));
    }
    serde_json::from_slice(body).map_err(|error| PortError::corrupt("metrics", error.to_string()))
}

/// Takes or renews a slot.
#[must_use]
pub fn take_request(slot: &Slot, limit: u32) -> Request<Bytes> {
    lease_request(&LeaseRequest::Take {
        slot: slot.clone(),
        limit,
    })
}

/// Gives a slot back.
#[must_use]
pub fn release_request(slot: &Slot) -> Request<Bytes> {
    lease_request(&LeaseRequest::Release { slot: slot.clone() })
}

fn lease_request(asked: &LeaseRequest) -> Request<Bytes> {
    request("/lease", serde_json::to_vec(asked).unwrap_or_default())
}

/// Reads the answer to either: whether the slot was taken, or `true`.
///
/// # Errors
/// `Unavailable` for 429 and 5xx, `Rejected` for the rest.
pub fn lease_result(status: StatusCode, body: &[u8]) -> Result<bool, PortError> {
    if status != StatusCode::OK {
        return Err(failure("leases", status, body));
    }
    serde_json::from_slice(body).map_err(|error| PortError::corrupt("leases", error.to_string()))
}

fn failure(port: &'static str, status: StatusCode, body: &[u8]) -> PortError {
    let kind = if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS {
        PortErrorKind::Unavailable
    } else {
        PortErrorKind::Rejected
    };
    let text: String = String::from_utf8_lossy(body).chars().take(200).collect();
    PortError::new(kind, port, format!("{status}: {text}"))
}
