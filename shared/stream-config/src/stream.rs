//! The settings of one stream, typed: what intake and the relay act on.

use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use eventstar_event::SchemaUri;
use eventstar_log::{LogName, Policy, Retention, Sink, Sinks};
use serde_json::{Map, Value};

use crate::StreamConfigs;

/// What an answer of 201 waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Accept {
    /// The chunk is committed to the stream log.
    #[default]
    Log,
    /// The queue took the event.
    Queue,
    /// Kafka acknowledged it.
    Kafka,
}

/// The settings of one stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Stream {
    /// What it is configured under: its name, or the regex that matches it.
    pub key: String,
    /// The title a schema must have for its events to enter the stream.
    pub schema_title: Option<String>,
    /// The topics a reader reads; intake writes to the first.
    pub topics: Vec<String>,
    /// What 201 waits for.
    pub accept: Accept,
    /// The sinks that keep its events.
    pub sinks: Sinks,
    /// Which of the sinks its readers read; another producer's topic in Kafka can be read, too.
    pub read_from: Sink,
    /// How many partitions each topic has; at least 1.
    pub partitions: u32,
    /// The epoch of the topics' logs.
    pub log_epoch: u32,
    /// How long each log of the stream keeps its events.
    pub retention: Retention,
    /// The message key: key name → path of the event's member.
    pub message_key_fields: Vec<(String, Vec<String>)>,
    /// The members intake fills from HTTP headers: path of the event's member, name of the header in lower case.
    pub header_fields: Vec<(Vec<String>, String)>,
    /// Whether `experiment.subject_id` comes from the header `X-Experiment-Enrollments`
    /// (`producers.eventgate.use_edge_uniques`).
    pub edge_uniques: bool,
    /// The event service that takes the stream's events (`destination_event_service`); any when `None`.
    pub event_service: Option<String>,
    /// The schema URIs of legacy EventLogging events, by revision (`producers.eventlogging.revisions`).
    pub legacy_revisions: Vec<(String, String)>,
    /// The schema URI of legacy EventLogging events of other revisions (`producers.eventlogging.schema_uri`).
    pub legacy_schema_uri: Option<String>,
    /// Whether producers need a bearer token.
    pub token_required: bool,
    /// The names of the tokens that may produce; empty for any.
    pub tokens: Vec<String>,
}

/// Most partitions of a topic: a reader follows all of them.
pub const MAX_PARTITIONS: u32 = 64;

/// Longest retention, in milliseconds: a century, so that sums stay exact in JavaScript.
const MAX_RETENTION_MS: i64 = 3_155_760_000_000;

impl Stream {
    /// The epoch of the logs that its readers read.
    #[must_use]
    pub fn read_epoch(&self) -> u32 {
        match self.read_from {
            Sink::Log => self.log_epoch,
            Sink::Kafka => LogName::KAFKA_EPOCH,
        }
    }

    /// Reads checked, merged settings; `topics` must be computed already.
    #[must_use]
    pub fn from_settings(settings: &Map<String, Value>, topics: Vec<String>) -> Self {
        let producers = settings.get("producers");
        let text = |name: &str| settings.get(name).and_then(Value::as_str);
        let number = |name: &str| {
            settings
                .get(name)
                .and_then(Value::as_u64)
                .and_then(|n| u32::try_from(n).ok())
        };
        let keys = settings.get("message_key_fields").and_then(Value::as_object);
        let legacy = producers.and_then(|producers| producers.get("eventlogging"));
        let revisions = legacy
            .and_then(|legacy| legacy.get("revisions"))
            .and_then(Value::as_object);
        Self {
            key: text("stream").unwrap_or_default().to_owned(),
            schema_title: text("schema_title").map(str::to_owned),
            topics,
            accept: match text("accept") {
                Some("queue") => Accept::Queue,
                Some("kafka") => Accept::Kafka,
                _ => Accept::Log,
            },
            read_from: match text("read_from") {
                Some("kafka") => Sink::Kafka,
                Some("log") => Sink::Log,
                _ if sinks(settings).has(Sink::Log) => Sink::Log,
                _ => Sink::Kafka,
            },
            sinks: sinks(settings),
            partitions: number("partitions").unwrap_or(1).clamp(1, MAX_PARTITIONS),
            log_epoch: number("log_epoch").unwrap_or(0),
            retention: retention(settings.get("retention")),
            message_key_fields: keys
                .into_iter()
                .flatten()
                .filter_map(|(key, path)| {
                    Some((
                        key.clone(),
                        path.as_str()?.split('.').map(str::to_owned).collect(),
                    ))
                })
                .collect(),
            header_fields: header_fields(producers),
            edge_uniques: producers
                .and_then(|producers| producers.pointer("/eventgate/use_edge_uniques"))
                .is_some_and(|on| *on == Value::Bool(true)),
            event_service: text("destination_event_service").map(str::to_owned),
            legacy_revisions: revisions
                .into_iter()
                .flatten()
                .filter_map(|(revision, uri)| Some((revision.clone(), uri.as_str()?.to_owned())))
                .collect(),
            legacy_schema_uri: legacy
                .and_then(|legacy| legacy.get("schema_uri"))
                .and_then(Value::as_str)
                .map(str::to_owned),
            token_required: match producers.and_then(|p| p.get("auth")).and_then(Value::as_str) {
                Some(auth) => auth == "token",
                None => producers.is_some_and(|p| p.get("tokens").is_some()),
            },
            tokens: strings(producers.and_then(|p| p.get("tokens"))),
        }
    }
}

/// `producers.eventgate.enrich_fields_from_http_headers`: dotted path → header name, or `false` for none. `meta.request_id`
/// comes from `x-request-id` unless it says otherwise.
fn header_fields(producers: Option<&Value>) -> Vec<(Vec<String>, String)> {
    let own = producers
        .and_then(|producers| producers.pointer("/eventgate/enrich_fields_from_http_headers"))
        .and_then(Value::as_object);
    let by_default = match own.is_some_and(|own| own.contains_key("meta.request_id")) {
        true => None,
        false => Some(("meta.request_id", "x-request-id")),
    };
    let own = own.into_iter().flatten();
    own.filter_map(|(path, header)| Some((path.as_str(), header.as_str()?)))
        .chain(by_default)
        .map(|(path, header)| {
            let path = path.split('.').map(str::to_owned).collect();
            (path, header.to_ascii_lowercase())
        })
        .collect()
}

impl StreamConfigs {
    /// True where any stream is written to Kafka, or read from there.
    #[must_use]
    pub fn are_in_kafka(&self) -> bool {
        let kafka = Sink::Kafka.name();
        let mut settings = self.entries.iter().map(|entry| &entry.settings);
        settings.any(|settings| {
            sinks(settings).has(Sink::Kafka) || settings.get("read_from").is_some_and(|sink| sink == kafka)
        })
    }
}

/// `sinks` and `sink_policy`.
fn sinks(settings: &Map<String, Value>) -> Sinks {
    let policy = settings.get("sink_policy").and_then(Value::as_str);
    let named = strings(settings.get("sinks"));
    let named: Vec<Sink> = named
        .iter()
        .filter_map(|name| Sink::ALL.into_iter().find(|sink| sink.name() == name))
        .collect();
    Sinks {
        policy: Policy::ALL
            .into_iter()
            .find(|known| Some(known.name()) == policy)
            .unwrap_or_default(),
        sinks: if named.is_empty() {
            Sinks::default().sinks
        } else {
            named
        },
        done: Vec::new(),
    }
}

/// `{"ms": 604800000, "bytes": 1000000000}`: -1 is no limit of its own, as in Kafka.
fn retention(settings: Option<&Value>) -> Retention {
    let number = |name: &str| {
        settings
            .and_then(|settings| settings.get(name))
            .and_then(Value::as_i64)
    };
    let bytes = number("bytes").and_then(|bytes| u64::try_from(bytes).ok());
    Retention {
        ms: number("ms").map_or(Some(Retention::DEFAULT_MS), |ms| u64::try_from(ms).ok()),
        bytes: bytes.map_or(Retention::MAX_BYTES, |bytes| bytes.clamp(1, Retention::MAX_BYTES)),
    }
}

/// The strings of an array; empty for everything else.
pub(crate) fn strings(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

/// Checks the settings the platform acts on.
///
/// # Errors
/// The pointer below the stream's settings, and what is wrong there.
pub(crate) fn check(settings: &Map<String, Value>) -> Result<(), (String, String)> {
    let wrong = |pointer: &str, expected: &str| Err((pointer.to_owned(), format!("expected {expected}")));
    for name in ["schema_title", "description", "destination_event_service"] {
        if settings
            .get(name)
            .is_some_and(|value| !value.is_string() && !value.is_null())
        {
            return wrong(&format!("/{name}"), "a string");
        }
    }
    for name in ["topics", "topic_prefixes", "stream_aliases"] {
        let fits = |value: &Value| {
            value.is_null() || value.as_array().is_some_and(|v| v.iter().all(Value::is_string))
        };
        if settings.get(name).is_some_and(|value| !fits(value)) {
            return wrong(&format!("/{name}"), "an array of strings");
        }
    }
    if settings
        .get("accept")
        .is_some_and(|value| !matches!(value.as_str(), Some("log" | "queue" | "kafka")))
    {
        return wrong("/accept", "\"log\", \"queue\" or \"kafka\"");
    }
    check_sinks(settings)?;
    if settings.get("partitions").is_some_and(|value| {
        !value
            .as_u64()
            .is_some_and(|n| (1..=u64::from(MAX_PARTITIONS)).contains(&n))
    }) {
        return wrong("/partitions", &format!("a number from 1 to {MAX_PARTITIONS}"));
    }
    if settings.get("log_epoch").is_some_and(|value| {
        value
            .as_u64()
            .is_none_or(|n| n >= u64::from(LogName::KAFKA_EPOCH))
    }) {
        return wrong("/log_epoch", "a number from 0");
    }
    check_retention(settings.get("retention"))?;
    if let Some(keys) = settings.get("message_key_fields").filter(|keys| !keys.is_null()) {
        let Some(keys) = keys.as_object() else {
            return wrong(
                "/message_key_fields",
                "a map from key name to the event's field (a.b.c)",
            );
        };
        if let Some((name, _)) = keys
            .iter()
            .find(|(_, path)| path.as_str().is_none_or(str::is_empty))
        {
            return wrong(
                &format!("/message_key_fields/{name}"),
                "the event's field as text (a.b.c)",
            );
        }
    }
    if let Some(producers) = settings.get("producers").filter(|producers| !producers.is_null()) {
        let Some(producers) = producers.as_object() else {
            return wrong("/producers", "a map");
        };
        if producers
            .get("auth")
            .is_some_and(|auth| !matches!(auth.as_str(), Some("token" | "none")))
        {
            return wrong("/producers/auth", "\"token\" or \"none\"");
        }
        if let Some(fields) = producers
            .get("eventgate")
            .and_then(|eventgate| eventgate.get("enrich_fields_from_http_headers"))
        {
            let pointer = "/producers/eventgate/enrich_fields_from_http_headers";
            let Some(fields) = fields.as_object() else {
                return wrong(
                    pointer,
                    "a map from the event's field (a.b.c) to the name of a header, or false",
                );
            };
            if let Some((field, _)) = fields
                .iter()
                .find(|(_, header)| !header.is_string() && **header != Value::Bool(false))
            {
                return wrong(&format!("{pointer}/{field}"), "the name of a header, or false");
            }
        }
        check_legacy(producers.get("eventlogging"))?;
        let names = |value: &Value| value.as_array().is_some_and(|v| v.iter().all(Value::is_string));
        if producers.get("tokens").is_some_and(|tokens| !names(tokens)) {
            return wrong("/producers/tokens", "an array of token names");
        }
    }
    Ok(())
}

fn check_sinks(settings: &Map<String, Value>) -> Result<(), (String, String)> {
    let wrong = |pointer: &str, expected: &str| Err((pointer.to_owned(), format!("expected {expected}")));
    let named = settings.get("sinks").filter(|named| !named.is_null());
    if let Some(named) = named {
        let known: Vec<Option<Sink>> = named
            .as_array()
            .into_iter()
            .flatten()
            .map(|name| Sink::ALL.into_iter().find(|sink| name == sink.name()))
            .collect();
        let different: BTreeSet<_> = known.iter().collect();
        if known.is_empty() || different.len() < known.len() || known.contains(&None) {
            return wrong("/sinks", "an array of \"log\" and \"kafka\", one of them or both");
        }
    }
    let policy = settings.get("sink_policy").filter(|policy| !policy.is_null());
    if policy.is_some_and(|policy| Policy::ALL.iter().all(|known| policy != known.name())) {
        return wrong("/sink_policy", "\"all\", \"first\" or \"fallback\"");
    }
    let read_from = settings.get("read_from").filter(|sink| !sink.is_null());
    if read_from.is_some_and(|sink| Sink::ALL.iter().all(|known| sink != known.name())) {
        return wrong("/read_from", "\"log\" or \"kafka\"");
    }
    if settings.get("accept").is_some_and(|accept| accept == "kafka") && !sinks(settings).has(Sink::Kafka) {
        return wrong(
            "/accept",
            "\"log\" or \"queue\": \"kafka\" is none of the stream's sinks",
        );
    }
    Ok(())
}

fn check_retention(settings: Option<&Value>) -> Result<(), (String, String)> {
    let Some(settings) = settings.filter(|settings| !settings.is_null()) else {
        return Ok(());
    };
    let wrong =
        |below: &str, expected: String| Err((format!("/retention{below}"), format!("expected {expected}")));
    let fits = |name: &str, range: RangeInclusive<i64>| {
        let value = settings.get(name);
        value.is_none_or(|value| value.as_i64().is_some_and(|n| n == -1 || range.contains(&n)))
    };
    if !settings.is_object() {
        return wrong("", "a map: ms, bytes or both".to_owned());
    }
    let min = i64::try_from(Retention::MIN_MS).unwrap_or(i64::MAX);
    if !fits("ms", min..=MAX_RETENTION_MS) {
        return wrong(
            "/ms",
            format!("milliseconds from {min} to {MAX_RETENTION_MS}, or -1 for no limit"),
        );
    }
    let max = i64::try_from(Retention::MAX_BYTES).unwrap_or(i64::MAX);
    if !fits("bytes", 1..=max) {
        return wrong(
            "/bytes",
            format!("a number of bytes from 1 to {max}, which is what a log can hold, or -1 for that"),
        );
    }
    Ok(())
}

/// `producers.eventlogging`: `{"schema_uri": "/a/1.0.0", "revisions": {"123": "/a/1.0.0"}}`.
fn check_legacy(settings: Option<&Value>) -> Result<(), (String, String)> {
    const POINTER: &str = "/producers/eventlogging";
    let Some(settings) = settings.filter(|settings| !settings.is_null()) else {
        return Ok(());
    };
    let is_uri = |value: &Value| value.as_str().is_some_and(|uri| SchemaUri::parse(uri).is_ok());
    let wrong =
        |below: &str, expected: &str| Err((format!("{POINTER}{below}"), format!("expected {expected}")));
    let Some(settings) = settings.as_object() else {
        return wrong("", "a map");
    };
    if settings.get("schema_uri").is_some_and(|uri| !is_uri(uri)) {
        return wrong(
            "/schema_uri",
            "a schema URI, for example /analytics/legacy/test/1.2.0",
        );
    }
    match settings.get("revisions") {
        None | Some(Value::Null) => Ok(()),
        Some(Value::Object(revisions)) => match revisions.iter().find(|(_, uri)| !is_uri(uri)) {
            Some((revision, _)) => wrong(&format!("/revisions/{revision}"), "a schema URI"),
            None => Ok(()),
        },
        Some(_) => wrong("/revisions", "a map from revision to schema URI"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_stream_names_its_sinks_and_when_its_events_are_delivered() {
        let configs = StreamConfigs::parse(&json!({
            "defaults": {"sink_policy": "fallback"},
            "streams": {
                "both": {"sinks": ["kafka", "log"], "accept": "kafka"},
                "kafka": {"sinks": ["kafka"], "sink_policy": "first"},
                "log": {"sink_policy": null},
                "read": {"sinks": ["log", "kafka"], "read_from": "kafka"},
            },
        }))
        .unwrap();
        let sinks = |stream: &str| configs.stream(stream).unwrap().sinks.clone();
        assert_eq!(sinks("both").sinks, [Sink::Kafka, Sink::Log]);
        assert_eq!(sinks("both").policy, Policy::Fallback);
        assert_eq!(configs.stream("both").unwrap().accept, Accept::Kafka);
        assert_eq!(sinks("kafka").policy, Policy::First);
        assert_eq!(sinks("log"), Sinks::default());
        let read_epoch = |stream: &str| configs.stream(stream).unwrap().read_epoch();
        assert_eq!(
            ["both", "kafka", "log", "read"].map(read_epoch),
            [0, u32::MAX, 0, u32::MAX]
        );
    }

    #[test]
    fn sinks_that_are_none_are_refused_with_their_place() {
        let sinks = "an array of \"log\" and \"kafka\"";
        for (settings, pointer, expected) in [
            (json!({"sinks": "log"}), "/a/sinks", sinks),
            (json!({"sinks": []}), "/a/sinks", sinks),
            (json!({"sinks": ["log", "log"]}), "/a/sinks", sinks),
            (json!({"sinks": ["redis"]}), "/a/sinks", sinks),
            (
                json!({"sink_policy": "any"}),
                "/a/sink_policy",
                "\"all\", \"first\" or \"fallback\"",
            ),
            (
                json!({"accept": "kafka"}),
                "/a/accept",
                "none of the stream's sinks",
            ),
            (
                json!({"accept": "kafka", "sinks": ["log"]}),
                "/a/accept",
                "none of the stream's sinks",
            ),
        ] {
            let error = StreamConfigs::parse(&json!({"a": settings}))
                .err()
                .unwrap()
                .to_string();
            assert!(
                error.contains(pointer) && error.contains(expected),
                "{settings}: {error}"
            );
        }
    }
}
