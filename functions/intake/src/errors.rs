//! The error stream: what was refused, as events of its own, so that nothing is lost unseen (eventgate-wikimedia's
//! `error_stream`).
//!
//! An error event holds the event as received in `raw_event`, is validated like any other, and goes to the stream that the
//! setting `ERROR_STREAM` names; without the setting there are none. Each stream may cause `ERROR_EVENTS_PER_MINUTE` of
//! them an isolate; what is over that is counted and logged.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::json::members;
use eventstar_event::time::{Millis, to_iso};
use eventstar_http_api::Principal;
use eventstar_ports::{Level, Platform};
use serde::Serialize;

use crate::answer::{Failure, Outcome};
use crate::decide::Sender;
use crate::limits::{MAX_REPORTED_BYTES, MIN_REPORTED_BYTES, max_event_bytes};
use crate::said::{MAX_HEADER_CHARS, Said};
use crate::{Isolate, process};

/// The schema of error events.
const SCHEMA_URI: &str = "/error/2.1.0";

/// Error events a minute that one stream causes in one isolate, where `ERROR_EVENTS_PER_MINUTE` does not say otherwise.
pub(crate) const DEFAULT_PER_MINUTE: u32 = 600;

const MINUTE: Millis = 60_000;

/// Longest schema URI, stream name or `meta.uri` repeated, in characters: what the schema of error events allows.
const MAX_NAME_CHARS: usize = 8192;

/// Room for all of an error event but `raw_event`, in bytes.
const ENVELOPE_BYTES: usize = 40 * 1024;

/// How many error events each stream has caused in this minute; streams are as many as the stream config has.
#[derive(Debug, Default)]
pub(crate) struct Budget(RefCell<HashMap<String, (Millis, u32)>>);

impl Budget {
    /// Takes one error event of `stream` from the budget; false when it is used up.
    fn take(&self, stream: &str, now: Millis, per_minute: u32) -> bool {
        let mut streams = self.0.borrow_mut();
        let (since, used) = streams.entry(stream.to_owned()).or_insert((now, 0));
        if now >= *since + MINUTE {
            (*since, *used) = (now, 0);
        }
        *used += 1;
        *used <= per_minute
    }
}

/// Limits the text of refused events that is repeated.
pub(crate) struct Repeated {
    left: usize,
}

impl Default for Repeated {
    fn default() -> Self {
        Self {
            left: MAX_REPORTED_BYTES,
        }
    }
}

impl Repeated {
    /// The text of an event that is repeated: all of at most `longest` bytes, until there was a lot of them, then its beginning.
    pub(crate) fn beginning<'r>(&mut self, raw: &'r str, longest: usize) -> &'r str {
        let kept = cut(raw, longest.min(self.left.max(MIN_REPORTED_BYTES)));
        self.left = self.left.saturating_sub(kept.len());
        kept
    }
}

/// An event that was refused.
pub(crate) struct Refused<'a> {
    /// As received.
    pub(crate) raw: &'a str,
    pub(crate) outcome: &'a Outcome<'a>,
}

/// The members by which a refused event names itself; texts that are not empty.
struct Errored {
    schema_uri: Option<String>,
    stream: Option<String>,
    uri: Option<String>,
    domain: Option<String>,
    request_id: Option<String>,
}

impl Errored {
    /// Reads it without the rest of the event, which may be large.
    fn read(event: &str) -> Self {
        let [schema_uri, meta] = members(event, ["$schema", "meta"]);
        let [stream, uri, domain, request_id] = members(
            meta.unwrap_or_default(),
            ["stream", "uri", "domain", "request_id"],
        );
        let text = |json: Option<&str>| {
            let text: Option<String> = serde_json::from_str(json?).ok();
            text.filter(|text| !text.is_empty())
        };
        Self {
            schema_uri: text(schema_uri),
            stream: text(stream),
            uri: text(uri),
            domain: text(domain),
            request_id: text(request_id),
        }
    }
}

#[derive(Serialize)]
struct ErrorEvent<'a> {
    meta: Meta<'a>,
    dt: String,
    emitter_id: &'static str,
    raw_event: &'a str,
    errored_schema_uri: String,
    errored_stream_name: String,
    message: String,
    #[serde(rename = "$schema")]
    schema_uri: &'static str,
    error_type: &'static str,
}

#[derive(Serialize)]
struct Meta<'a> {
    uri: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    domain: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    stream: &'a str,
}

/// Reports what was refused, after the answer. A client that was told that it may send an event again is not reported:
/// `told` is false where the answer was given before the outcome was known.
pub(crate) fn report<'a, P: Platform>(
    isolate: &Rc<Isolate>,
    platform: &P,
    said: &Said<'_>,
    refused: impl Iterator<Item = Refused<'a>>,
    told: bool,
) {
    let mut refused = refused
        .filter_map(|refused| Some((refused.raw, refused.outcome, refused.outcome.failure.as_ref()?)))
        .filter(|(_, _, failure)| is_reported(failure, told))
        .peekable();
    if refused.peek().is_none() {
        return;
    }
    let Some(stream) = platform.get("ERROR_STREAM") else {
        return;
    };
    let per_minute = platform
        .get("ERROR_EVENTS_PER_MINUTE")
        .and_then(|number| number.parse().ok())
        .unwrap_or(DEFAULT_PER_MINUTE);
    let now = platform.now();
    // JSON text grows at most to its double in quotes.
    let longest = max_event_bytes(platform).saturating_sub(ENVELOPE_BYTES) / 2;
    let mut repeated = Repeated::default();
    let mut events = Vec::new();
    let mut dropped = 0_usize;
    for (raw, outcome, failure) in refused {
        let errored = Errored::read(&outcome.event);
        if errored.stream.as_ref() == Some(&stream) {
            continue;
        }
        if isolate.error_budget.take(outcome.label(), now, per_minute) {
            let kept = repeated.beginning(raw, longest);
            events.push(error_event(&stream, raw, kept, &errored, failure, said, now));
        } else {
            isolate.metrics.error_event_dropped(outcome.label());
            dropped += 1;
        }
    }
    if dropped > 0 {
        let line = format!("{dropped} error events dropped: a stream had more than {per_minute} in a minute");
        platform.log(Level::Warn, &line);
    }
    if events.is_empty() {
        return;
    }
    let (isolate, later) = (Rc::clone(isolate), platform.clone());
    platform.spawn(async move {
        let sender = Sender {
            principal: Principal::Admin,
            said: Said::default(),
        };
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        let outcomes = process(&isolate, &later, &sender, &events, false).await;
        let lost = outcomes.iter().filter_map(|outcome| outcome.failure.as_ref());
        for failure in lost {
            isolate.metrics.error_event_lost();
            let line = format!(
                "an error event was not stored: {}: {}",
                failure.code(),
                failure.message()
            );
            later.log(Level::Error, &line);
        }
    });
}

fn is_reported(failure: &Failure, told: bool) -> bool {
    match failure {
        // A stranger could fill the error stream.
        Failure::TokenMissing { .. } | Failure::TokenRefused { .. } => false,
        Failure::Ours { .. } => !told,
        _ => true,
    }
}

fn error_event(
    stream: &str,
    raw: &str,
    kept: &str,
    errored: &Errored,
    failure: &Failure,
    said: &Said<'_>,
    now: Millis,
) -> String {
    let name = |name: &Option<String>| {
        let name = name.as_deref().unwrap_or("unknown");
        name.chars().take(MAX_NAME_CHARS).collect()
    };
    let uri = errored.uri.as_deref().filter(|uri| is_uri_reference(uri));
    let mut message = failure.message();
    if kept.len() < raw.len() {
        message.push_str(&format!(
            "; raw_event holds the first {} of {} bytes",
            kept.len(),
            raw.len()
        ));
    }
    let request_id = errored
        .request_id
        .as_deref()
        .map(|id| id.chars().take(MAX_HEADER_CHARS).collect());
    let request_id: Option<Cow<'_, str>> = request_id.map(Cow::Owned).or_else(|| said.header("x-request-id"));
    let event = ErrorEvent {
        meta: Meta {
            uri: uri.unwrap_or("unknown"),
            domain: errored.domain.as_deref(),
            request_id: request_id.as_deref(),
            stream,
        },
        dt: to_iso(now),
        emitter_id: "eventstar-intake",
        raw_event: kept,
        errored_schema_uri: name(&errored.schema_uri),
        errored_stream_name: name(&errored.stream),
        message,
        schema_uri: SCHEMA_URI,
        error_type: failure.error_type(),
    };
    serde_json::to_string(&event).unwrap_or_default()
}

/// Whether the schema of error events takes `uri`: its format is `uri-reference`.
fn is_uri_reference(uri: &str) -> bool {
    let odd = |c: char| c.is_whitespace() || c == '\\';
    uri.len() <= MAX_NAME_CHARS && !uri.contains(odd) && uri.matches('#').count() <= 1
}

/// The longest beginning of `text` of at most `bytes` bytes.
fn cut(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len()))
        .rev()
        .find(|end| text.is_char_boundary(*end));
    text.get(..end.unwrap_or(0)).unwrap_or_default()
}
