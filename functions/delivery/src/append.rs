//! Appending to a stream's log as it was elsewhere: imports, restores, replays.

use std::collections::BTreeMap;

use eventstar_event::time::Millis;
use eventstar_event::{Document, Envelope, MAX_EVENT_BYTES, Topic, id_of};
use eventstar_http_api::{
    Request, Response, decode_segment, error, json, not_found, query_value, unavailable,
};
use eventstar_log::{LogName, Retention};
use eventstar_ports::{Platform, StreamLog};
use eventstar_stores::Configs;
use http::StatusCode;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::Isolate;
use crate::admin::bad_request;

/// Most events of one request: they are one append.
const MAX_LINES: usize = 10_000;

/// A line of the body.
#[derive(Deserialize)]
struct Line<'a> {
    /// The delivery id; without one, it is made from the line, so that the same body sent again is there once.
    id: Option<String>,
    /// The timestamp in the log, milliseconds since the epoch.
    dt: Millis,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    event: &'a RawValue,
}

/// `POST /admin/v1/streams/{stream}/events?topic=T&partition=N`: appends a body of lines
/// `{"dt": 1593561600000, "event": {…}, "key"?: …, "headers"?: {…}, "id"?: "…"}` to a log of the stream, all or none. Events are
/// not validated, and of their text only white space between tokens changes. The topic may be left out where the stream has one, the partition where it is 0.
pub(crate) async fn append<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    stream: &str,
) -> Response {
    let Some(stream) = decode_segment(stream) else {
        return not_found(request);
    };
    let configs = match isolate
        .configs
        .with_streams(
            platform,
            &isolate.version.from_now(),
            [stream.as_ref()].into_iter(),
        )
        .await
    {
        Ok(configs) => configs,
        Err(failure) => {
            let detail = "the stream config cannot be read now: try again";
            return unavailable(platform, request, &failure.to_string(), detail);
        }
    };
    let (log, retention) = match log_of(&configs, request, &stream) {
        Ok(log) => log,
        Err(refusal) => return refusal,
    };
    let batch = match envelopes(request.body(), &log, &stream) {
        Ok(batch) => batch,
        Err(detail) => return bad_request(request, &detail),
    };
    match platform
        .stream_log()
        .append_with(&log, &batch, Some(retention))
        .await
    {
        Ok(appended) => json(
            StatusCode::OK,
            &serde_json::json!({
                "topic": log.topic.as_str(), "partition": log.partition,
                "base": appended.base, "written": appended.written, "duplicates": appended.duplicates,
            }),
        ),
        Err(failure) => {
            let detail = "the log cannot be written now: send the same body again";
            unavailable(platform, request, &failure.to_string(), detail)
        }
    }
}

/// The log that the request names, and how long its events are kept.
fn log_of(configs: &Configs, request: &Request, stream: &str) -> Result<(LogName, Retention), Response> {
    let bad = |detail: String| Err(bad_request(request, &detail));
    let Some(config) = configs.streams.stream(stream) else {
        let detail = format!("the stream config has no stream {stream}: publish one with it first");
        return Err(error(
            request,
            StatusCode::NOT_FOUND,
            "not_found",
            "Stream Not Found",
            &detail,
        ));
    };
    let topic = match (query_value(request.uri(), "topic"), config.topics.as_slice()) {
        (Some(topic), topics) if topics.contains(&topic) => topic,
        (None, [topic]) => topic.clone(),
        _ => {
            return bad(format!(
                "name one of the stream's topics: ?topic={}",
                config.topics.join("|")
            ));
        }
    };
    let partition = query_value(request.uri(), "partition").unwrap_or_else(|| "0".to_owned());
    let Some(partition) = partition
        .parse()
        .ok()
        .filter(|partition| *partition < config.partitions)
    else {
        return bad(format!(
            "{partition} is no partition of {stream}: it has {}, from 0",
            config.partitions
        ));
    };
    match Topic::parse(&topic) {
        Ok(topic) => {
            let log = LogName {
                topic,
                partition,
                epoch: config.log_epoch,
            };
            Ok((log, config.retention))
        }
        Err(error) => bad(error.to_string()),
    }
}

fn envelopes(body: &[u8], log: &LogName, stream: &str) -> Result<Vec<Envelope>, String> {
    let body = std::str::from_utf8(body).map_err(|error| format!("the body is not UTF-8: {error}"))?;
    let scope = log.to_string();
    let mut envelopes = Vec::new();
    for (nth, text) in body
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        if envelopes.len() == MAX_LINES {
            return Err(format!("more than {MAX_LINES} lines: send several requests"));
        }
        let line: Line<'_> = serde_json::from_str(text).map_err(|error| {
            format!(
                "line {}: expected {{\"dt\": 1593561600000, \"event\": {{…}}}}: {error}",
                nth + 1
            )
        })?;
        let event = compact(line.event.get());
        if event.len() > MAX_EVENT_BYTES {
            return Err(format!(
                "line {}: its event has {} bytes, and a log takes events of at most {MAX_EVENT_BYTES}",
                nth + 1,
                event.len()
            ));
        }
        envelopes.push(Envelope {
            id: line.id.unwrap_or_else(|| id_of(&scope, &format!("{nth} {text}"))),
            dt: line.dt,
            stream: stream.to_owned(),
            key: line.key.map(|key| key.get().to_owned()),
            headers: line.headers,
            event,
        });
    }
    Ok(envelopes)
}

/// The text of an event without white space between its tokens; what is no event stays as it is.
fn compact(event: &str) -> String {
    Document::parse(event).map_or_else(|_| event.to_owned(), Document::into_string)
}

#[cfg(test)]
mod tests;
