//! Dead letters: what could not be delivered, kept in a log topic of its own.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use eventstar_event::{Document, Envelope, Topic, id_of};
use eventstar_log::{LogName, Retention, Sink};
use eventstar_ports::{Platform, PortError, StreamLog};
use serde::{Deserialize, Serialize};

use crate::QueueMessage;

/// The topic, and stream, of dead letters; readable only by its exact name.
pub const DEAD_LETTER_TOPIC: &str = "eventstar.dead-letter";

/// How long dead letters are kept: 30 days, so that who looks once a month sees them.
const RETENTION: Retention = Retention {
    ms: Some(30 * 24 * 3_600_000),
    bytes: Retention::MAX_BYTES,
};

/// How many characters of a fingerprint are enough to tell a few thousand kinds of failures apart.
const FINGERPRINT: usize = 12;

/// The event of a dead letter: format 2. In format 1 there are only `reason`, `log`, `stream` and `raw_event` or
/// `raw_message`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The same for like failures: of a stream, a sink and a reason but for the numbers and names in it.
    #[serde(default)]
    pub fingerprint: String,
    /// Why the event could not be delivered.
    pub reason: String,
    /// The sinks that do not have it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sinks: Vec<Sink>,
    /// The log it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub log: Option<String>,
    /// Its stream.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream: Option<String>,
    /// Its schema URI.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schema_uri: Option<String>,
    /// Its message key, JSON text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The event's text as accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_event: Option<String>,
    /// A whole queue message that cannot be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub raw_message: Option<String>,
}

/// A dead letter to be kept.
#[derive(Debug)]
pub(crate) struct Letter<'e> {
    /// The event; without, a queue message was not readable.
    event: Option<&'e Envelope>,
    about: DeadLetter,
}

impl<'e> Letter<'e> {
    /// An event that `sink` does not take.
    pub(crate) fn of(log: &LogName, event: &'e Envelope, sink: Sink, reason: &str) -> Self {
        Self::to(vec![sink], log, event, reason)
    }

    /// An event that the open sinks of its message lack.
    pub(crate) fn open(message: &QueueMessage, event: &'e Envelope, reason: &str) -> Self {
        Self::to(message.sinks.open(), &message.log, event, reason)
    }

    fn to(sinks: Vec<Sink>, log: &LogName, event: &'e Envelope, reason: &str) -> Self {
        let schema_uri = schema_uri(&event.event);
        Self {
            event: Some(event),
            about: DeadLetter {
                fingerprint: fingerprint(&scope(&event.stream, &sinks), reason),
                reason: reason.to_owned(),
                sinks,
                log: Some(log.to_string()),
                stream: Some(event.stream.clone()),
                schema_uri,
                key: event.key.clone(),
                raw_event: Some(event.event.clone()),
                raw_message: None,
            },
        }
    }

    /// A queue message that cannot be read.
    pub(crate) fn unreadable(message: &Bytes, reason: &str) -> Self {
        Self {
            event: None,
            about: DeadLetter {
                fingerprint: fingerprint("", reason),
                reason: reason.to_owned(),
                sinks: Vec::new(),
                log: None,
                stream: None,
                schema_uri: None,
                key: None,
                raw_event: None,
                raw_message: Some(String::from_utf8_lossy(message).into_owned()),
            },
        }
    }
}

/// The schema URI that an event names.
pub(crate) fn schema_uri(event: &str) -> Option<String> {
    let document = Document::parse(event).ok()?;
    Some(document.get_str(&["$schema"])?.into_owned())
}

/// The scope of the fingerprints of events of `stream` that `sinks` lack.
pub(crate) fn scope(stream: &str, sinks: &[Sink]) -> String {
    let names: Vec<&str> = sinks.iter().map(|sink| sink.name()).collect();
    format!("{stream}/{}", names.join("+"))
}

/// A short text that is the same for like failures of `scope`: numbers, ids and what stands in quotes do not count.
#[must_use]
pub fn fingerprint(scope: &str, reason: &str) -> String {
    // An id is one word, also where a group of it has letters alone.
    let ends_word = |c: char| !c.is_alphanumeric() && c != '-';
    let mut kind = String::with_capacity(reason.len());
    let mut quoted = None;
    for word in reason.split_inclusive(ends_word) {
        let end = word.chars().next_back().filter(|c| ends_word(*c));
        let name = word.trim_end_matches(ends_word);
        if quoted.is_none() && !name.contains(|c: char| c.is_ascii_digit()) {
            kind.push_str(name);
        }
        match (quoted, end) {
            (None, Some(mark @ ('\'' | '"' | '`'))) => quoted = Some(mark),
            (Some(mark), Some(end)) if mark == end => quoted = None,
            (None, Some(end)) => kind.push(end),
            _ => {}
        }
    }
    let id = id_of(scope, &kind).replace('-', "");
    id.get(..FINGERPRINT).unwrap_or(&id).to_owned()
}

/// The log of dead letters.
///
/// # Errors
/// None: the name is a topic's.
pub fn dead_letter_log() -> Result<LogName, PortError> {
    let topic =
        Topic::parse(DEAD_LETTER_TOPIC).map_err(|error| PortError::corrupt("log", error.to_string()))?;
    Ok(LogName {
        topic,
        partition: 0,
        epoch: 0,
    })
}

/// Keeps the events of `messages` as dead letters: one for each event, or one for a message that cannot be read.
///
/// # Errors
/// The log's.
pub async fn dead_letters<P: Platform>(
    platform: &P,
    messages: &[Bytes],
    reason: &str,
) -> Result<(), PortError> {
    let read: Vec<_> = messages
        .iter()
        .map(|text| (text, QueueMessage::decode(text).ok()))
        .collect();
    let mut letters = Vec::new();
    for (text, message) in &read {
        match message {
            Some(message) => letters.extend(
                message
                    .events
                    .iter()
                    .map(|event| Letter::open(message, event, reason)),
            ),
            None => letters.push(Letter::unreadable(text, reason)),
        }
    }
    keep(platform, &letters).await
}

/// Makes one letter of the letters of each event, for all sinks that lack it: a log keeps one event of a delivery id.
fn merged<'l>(letters: &'l [Letter<'_>]) -> Vec<(Option<&'l Envelope>, DeadLetter)> {
    let mut merged: Vec<(Option<&Envelope>, DeadLetter)> = Vec::with_capacity(letters.len());
    let mut places: HashMap<&str, usize> = HashMap::new();
    for letter in letters {
        let known = letter.event.and_then(|event| {
            let place = *places.entry(event.id.as_str()).or_insert(merged.len());
            Some((event, merged.get_mut(place)?))
        });
        let Some((event, (_, known))) = known else {
            merged.push((letter.event, letter.about.clone()));
            continue;
        };
        known.sinks.extend_from_slice(&letter.about.sinks);
        known.reason.push_str("; ");
        known.reason.push_str(&letter.about.reason);
        known.fingerprint = fingerprint(&scope(&event.stream, &known.sinks), &known.reason);
    }
    merged
}

/// Keeps dead letters. They have the delivery ids of their events, so that keeping them twice leaves one.
pub(crate) async fn keep<P: Platform>(platform: &P, letters: &[Letter<'_>]) -> Result<(), PortError> {
    let mut kept = Vec::with_capacity(letters.len());
    for (event, about) in merged(letters) {
        let new_id = || {
            uuid::Builder::from_random_bytes(platform.random())
                .into_uuid()
                .to_string()
        };
        kept.push(Envelope {
            id: event.map_or_else(new_id, |event| event.id.clone()),
            dt: event.map_or_else(|| platform.now(), |event| event.dt),
            headers: event.map_or_else(BTreeMap::new, |event| event.headers.clone()),
            ..dead_event(&about)?
        });
    }
    append(platform, &kept).await
}

/// An event of the topic of dead letters; the id and the time are still to be set.
pub(crate) fn dead_event(about: &impl Serialize) -> Result<Envelope, PortError> {
    Ok(Envelope {
        id: String::new(),
        dt: 0,
        stream: DEAD_LETTER_TOPIC.to_owned(),
        key: None,
        headers: BTreeMap::new(),
        event: serde_json::to_string(about).map_err(|error| PortError::corrupt("log", error.to_string()))?,
    })
}

/// Appends to the topic of dead letters.
pub(crate) async fn append<P: Platform>(platform: &P, events: &[Envelope]) -> Result<(), PortError> {
    platform
        .stream_log()
        .append_with(&dead_letter_log()?, events, Some(RETENTION))
        .await
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn like_failures_have_one_fingerprint() {
        let of = |reason| fingerprint("a/kafka", reason);
        let one = of("Kafka takes no record in x (400): The message is 1048667 bytes when serialized");
        assert_eq!(
            one,
            of("Kafka takes no record in x (400): The message is 2097243 bytes when serialized")
        );
        assert_eq!(one.len(), FINGERPRINT);
        assert_ne!(
            one,
            of("Kafka takes no record in y (400): The message is 1048667 bytes when serialized")
        );
        assert_ne!(
            one,
            fingerprint(
                "b/kafka",
                "Kafka takes no record in x (400): The message is 1 bytes when serialized"
            )
        );
        assert_eq!(of("'some text' is no log"), of("'' is no log"));
        assert_eq!(
            of("no 550e8400-e29b-41d4-a716-446655440000"),
            of("no 110e8400-e29b-41d4-a716-446655440000")
        );
        assert_eq!(
            of("no 550e8400-e29b-41d4-a716-446655440000"),
            of("no 110e8400-eabc-41d4-bcde-446655440000")
        );
        assert_ne!(of("\"a\" is no log"), of("\"a\" is a log"));
    }

    #[test]
    fn an_event_that_two_sinks_refuse_is_one_letter_of_both() {
        let events: Vec<Envelope> = (0..2)
            .map(|n| Envelope {
                id: n.to_string(),
                dt: 1,
                stream: "x".into(),
                key: None,
                headers: BTreeMap::new(),
                event: "{}".into(),
            })
            .collect();
        let unreadable = Bytes::from_static(b"garbage");
        let refused = |event, sink, reason| {
            let mut letter = Letter::unreadable(&unreadable, reason);
            letter.event = Some(event);
            letter.about.sinks.push(sink);
            letter
        };
        let letters = [
            refused(&events[0], Sink::Log, "full"),
            refused(&events[1], Sink::Kafka, "too large"),
            refused(&events[0], Sink::Kafka, "too large"),
            Letter::unreadable(&unreadable, "no message"),
            Letter::unreadable(&unreadable, "no message"),
        ];
        let merged: Vec<_> = merged(&letters)
            .into_iter()
            .map(|(event, letter)| (event.map(|event| event.id.as_str()), letter))
            .collect();
        let ids: Vec<_> = merged.iter().map(|(id, _)| *id).collect();
        assert_eq!(ids, [Some("0"), Some("1"), None, None]);
        let both = &merged[0].1;
        assert_eq!(
            (both.sinks.as_slice(), both.reason.as_str()),
            (&[Sink::Log, Sink::Kafka][..], "full; too large")
        );
        assert_eq!(both.fingerprint, fingerprint("x/log+kafka", "full; too large"));
        assert_eq!(merged[1].1.sinks, [Sink::Kafka]);
    }

    #[test]
    fn a_letter_of_format_1_is_read() {
        let stored = r#"{"reason":"r","log":"v1/x/0/0","stream":"x","raw_event":"{}"}"#;
        let letter: DeadLetter = serde_json::from_str(stored).unwrap();
        assert_eq!(
            (letter.stream.as_deref(), letter.raw_event.as_deref()),
            (Some("x"), Some("{}"))
        );
        assert!(letter.fingerprint.is_empty() && letter.sinks.is_empty());
    }
}
