//! The admin routes of dead letters: listing them, delivering their events once more, and marking them as settled.
//!
//! What failed validation is an event of the error stream; with `?topic=` it is listed in the same form.

mod list;
mod page;

use std::collections::BTreeMap;

use eventstar_delivery::{DeadLetter, How, QueueMessage, Redelivered, Settled, redeliver, settle};
use eventstar_event::time::from_iso;
use eventstar_event::{Envelope, MAX_EVENT_BYTES, StreamName};
use eventstar_http_api::{Request, Response, json, method_not_allowed, not_found, text, unavailable};
use eventstar_log::{LogName, Sink, Sinks};
use eventstar_ports::Platform;
use eventstar_stores::Configs;
use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::Isolate;
use crate::admin::bad_request;

/// Most letters of one replay. Each takes a subrequest for the log and one for Kafka, of the 50 that Workers' free plan has.
const MAX_REPLAYED: usize = 20;

/// Most letters of one mark.
const MAX_SETTLED: usize = 1000;

/// The content type of lines of JSON.
const NDJSON: &str = "application/x-ndjson; charset=utf-8";

/// A dead letter as it is listed, and sent back to be replayed.
#[derive(Debug, Serialize, Deserialize)]
struct Line {
    /// Its offset in the topic.
    offset: u64,
    /// The delivery id of its event.
    id: String,
    /// When the event was received, ISO-8601.
    dt: String,
    /// The headers of the event.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    headers: BTreeMap<String, String>,
    #[serde(flatten)]
    letter: DeadLetter,
}

/// A mark as it is listed.
#[derive(Debug, Serialize)]
struct MarkLine {
    offset: u64,
    #[serde(flatten)]
    mark: Settled,
}

pub(crate) async fn handle<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    route: &str,
) -> Response {
    match (route, request.method()) {
        ("", &Method::GET) => list::list(isolate, platform, request).await,
        ("/replay", &Method::POST) => replay(isolate, platform, request).await,
        ("/settle", &Method::POST) => settled(platform, request).await,
        ("", _) => method_not_allowed(request, "GET"),
        ("/replay" | "/settle", _) => method_not_allowed(request, "POST"),
        _ => not_found(request),
    }
}

#[derive(Deserialize)]
struct Settle {
    letters: Vec<Named>,
    how: How,
    topic: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// `POST /admin/v1/dead-letters/settle`: marks letters, so that nobody replays them again.
async fn settled<P: Platform>(platform: &P, request: &Request) -> Response {
    let Settle { letters, how, topic } = match serde_json::from_slice(request.body()) {
        Ok(body) => body,
        Err(why) => {
            let expected =
                r#"expected {"letters": [{"offset": 1, "id": "…"}], "how": "replayed" or "dropped"}"#;
            return bad_request(request, &format!("{expected}: {why}"));
        }
    };
    if letters.is_empty() || letters.len() > MAX_SETTLED {
        let detail = format!("{} letters: send 1 to {MAX_SETTLED} in a request", letters.len());
        return bad_request(request, &detail);
    }
    let ids: Vec<String> = letters.into_iter().map(|letter| letter.id).collect();
    let count = ids.len();
    match settle(platform, ids, how, topic).await {
        Ok(()) => json(StatusCode::OK, &serde_json::json!({"settled": count})),
        Err(failure) => {
            let detail = "the log cannot be written now: send the same body again";
            unavailable(platform, request, &failure.to_string(), detail)
        }
    }
}

/// What became of a letter.
#[derive(Serialize)]
struct Outcome<'l> {
    offset: u64,
    id: &'l str,
    outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

/// `POST /admin/v1/dead-letters/replay`: gives the events of letters, as they are listed, to the sinks that lack them, and says
/// of each letter what became of it. With their delivery ids, events are in the log once, however often they are replayed.
async fn replay<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let lines = match lines(request.body()) {
        Ok(lines) => lines,
        Err(detail) => return bad_request(request, &detail),
    };
    let streams = lines.iter().filter_map(|line| line.letter.stream.as_deref());
    let version = isolate.version.from_now();
    let configs = match isolate.configs.with_streams(platform, &version, streams).await {
        Ok(configs) => configs,
        Err(failure) => {
            let detail = "the stream config cannot be read now: try again";
            return unavailable(platform, request, &failure.to_string(), detail);
        }
    };
    let mut messages = Vec::with_capacity(lines.len());
    let mut unfit: Vec<Option<String>> = Vec::with_capacity(lines.len());
    for line in &lines {
        match message(line, &configs) {
            Ok(message) => {
                messages.push(message);
                unfit.push(None);
            }
            Err(reason) => unfit.push(Some(reason)),
        }
    }
    let mut redelivered = redeliver(platform, messages).await.into_iter();
    let mut body = String::new();
    for (line, unfit) in lines.iter().zip(unfit) {
        let became = match unfit {
            Some(reason) => Redelivered::Refused(reason),
            None => redelivered.next().unwrap_or(Redelivered::Later(Sink::Log)),
        };
        let (outcome, reason) = match became {
            Redelivered::Delivered => ("delivered", None),
            Redelivered::Refused(reason) => ("refused", Some(reason)),
            Redelivered::Later(sink) => {
                let reason = format!("the sink {} is not to be had now: try again later", sink.name());
                ("later", Some(reason))
            }
        };
        let outcome = Outcome {
            offset: line.offset,
            id: &line.id,
            outcome,
            reason,
        };
        // Numbers and texts: there is nothing that could fail to serialize.
        body.push_str(&serde_json::to_string(&outcome).unwrap_or_default());
        body.push('\n');
    }
    text(StatusCode::OK, NDJSON, body)
}

fn lines(body: &[u8]) -> Result<Vec<Line>, String> {
    let body = std::str::from_utf8(body).map_err(|error| format!("the body is not UTF-8: {error}"))?;
    let mut lines = Vec::new();
    for (nth, text) in body
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.trim().is_empty())
    {
        if lines.len() == MAX_REPLAYED {
            return Err(format!("more than {MAX_REPLAYED} letters: send several requests"));
        }
        let line = serde_json::from_str(text).map_err(|error| {
            let nth = nth + 1;
            format!("line {nth}: expected a letter as GET /admin/v1/dead-letters lists it: {error}")
        })?;
        lines.push(line);
    }
    Ok(lines)
}

/// The queue message of a letter's event, for the sinks that lack it.
fn message(line: &Line, configs: &Configs) -> Result<QueueMessage, String> {
    let letter = &line.letter;
    if let Some(message) = &letter.raw_message {
        return QueueMessage::decode(message.as_bytes()).map_err(|error| error.to_string());
    }
    let (Some(log), Some(stream), Some(event)) = (&letter.log, &letter.stream, &letter.raw_event) else {
        return Err(
            "the letter names no log: of an error event, post raw_event to /v1/events instead".to_owned(),
        );
    };
    let log = LogName::parse(log).ok_or_else(|| format!("log: '{log}' is no log"))?;
    StreamName::parse(stream).map_err(|error| format!("stream: {error}"))?;
    let dt = from_iso(&line.dt).ok_or_else(|| "dt: no time like 2026-01-01T00:00:00.000Z".to_owned())?;
    if event.len() > MAX_EVENT_BYTES {
        return Err(format!(
            "raw_event has {} bytes, and a log takes events of at most {MAX_EVENT_BYTES}",
            event.len()
        ));
    }
    one_line("raw_event", event)?;
    letter.key.as_deref().map_or(Ok(()), |key| one_line("key", key))?;
    let config = configs.streams.stream(stream);
    let mut sinks = Sinks::default();
    if !letter.sinks.is_empty() {
        sinks.sinks.clone_from(&letter.sinks);
    }
    if let Some(config) = &config {
        sinks.policy = config.sinks.policy;
    }
    Ok(QueueMessage {
        log,
        retention: config.map(|config| config.retention),
        sinks,
        events: vec![Envelope {
            id: line.id.clone(),
            dt,
            stream: stream.clone(),
            key: letter.key.clone(),
            headers: line.headers.clone(),
            event: event.clone(),
        }],
    })
}

/// What a log keeps is JSON on one line.
fn one_line(name: &str, text: &str) -> Result<(), String> {
    match serde_json::from_str::<&RawValue>(text) {
        Err(error) => Err(format!("{name} is not JSON: {error}")),
        Ok(_) if text.contains('\n') => Err(format!("{name} has a line break")),
        Ok(_) => Ok(()),
    }
}

#[cfg(test)]
mod tests;
