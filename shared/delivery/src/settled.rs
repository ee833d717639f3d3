//! Reading dead letters, and marking them as settled. A log is only appended to, so a mark is an event of the topic too.

use eventstar_event::time::to_iso;
use eventstar_event::{Envelope, id_of};
use eventstar_log::Sink;
use eventstar_ports::{Platform, PortError};
use serde::{Deserialize, Serialize};

use crate::dead::{append, dead_event, schema_uri, scope};
use crate::{DEAD_LETTER_TOPIC, DeadLetter, fingerprint};

/// What became of dead letters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum How {
    /// Their events were delivered.
    Replayed,
    /// Nobody wants their events.
    Dropped,
}

/// A mark: these dead letters need nothing any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// Their delivery ids.
    pub settled: Vec<String>,
    /// What became of them.
    pub how: How,
    /// When, ISO-8601.
    pub dt: String,
    /// The topic of error events that they are of; `None` for that of dead letters.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
}

/// An event of the topic of dead letters.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum DeadEvent {
    /// A mark.
    Settled(Settled),
    /// A dead letter.
    Letter(DeadLetter),
}

impl DeadEvent {
    /// Reads an event. Format 1 names no sink, schema or fingerprint: they are those of the log. What cannot be read is a letter
    /// that says so, as it must not be overlooked.
    #[must_use]
    pub fn read(event: &str) -> Self {
        let mut letter = match serde_json::from_str(event) {
            Ok(Self::Letter(letter)) => letter,
            Ok(mark) => return mark,
            Err(error) => DeadLetter {
                raw_message: Some(event.to_owned()),
                ..DeadLetter::because(format!("not a dead letter of format 1 or 2: {error}"))
            },
        };
        if letter.fingerprint.is_empty() {
            if letter.log.is_some() && letter.sinks.is_empty() {
                letter.sinks.push(Sink::Log);
            }
            let scope = letter
                .stream
                .as_ref()
                .map_or_else(String::new, |stream| scope(stream, &letter.sinks));
            letter.fingerprint = fingerprint(&scope, &letter.reason);
            letter.schema_uri = letter.raw_event.as_deref().and_then(schema_uri);
        }
        Self::Letter(letter)
    }
}

/// The members of Wikimedia's error schema that tell of the event that was refused.
#[derive(Deserialize)]
struct ErrorEvent {
    errored_stream_name: String,
    errored_schema_uri: String,
    message: String,
    raw_event: String,
}

impl DeadLetter {
    fn because(reason: String) -> Self {
        Self {
            fingerprint: String::new(),
            reason,
            sinks: Vec::new(),
            log: None,
            stream: None,
            schema_uri: None,
            key: None,
            raw_event: None,
            raw_message: None,
        }
    }

    /// An error event as a dead letter, which no log and no sink waits for; `None` for other events. Of its message, the names
    /// of members count for the fingerprint.
    #[must_use]
    pub fn of_error(event: &str) -> Option<Self> {
        let error: ErrorEvent = serde_json::from_str(event).ok()?;
        let kind = error.message.replace('\'', "");
        Some(Self {
            fingerprint: fingerprint(&error.errored_stream_name, &kind),
            stream: Some(error.errored_stream_name),
            schema_uri: Some(error.errored_schema_uri),
            raw_event: Some(error.raw_event),
            ..Self::because(error.message)
        })
    }
}

/// Marks the dead letters with these delivery ids, `topic` being that of error events they are of. The same mark again within
/// the window for retries is there once; later, it says the same twice.
///
/// # Errors
/// The log's.
pub async fn settle<P: Platform>(
    platform: &P,
    ids: Vec<String>,
    how: How,
    topic: Option<String>,
) -> Result<(), PortError> {
    let text = serde_json::json!([ids, how, topic]).to_string();
    let now = platform.now();
    let mark = Settled {
        settled: ids,
        how,
        dt: to_iso(now),
        topic,
    };
    let mark = Envelope {
        id: id_of(DEAD_LETTER_TOPIC, &text),
        dt: now,
        ..dead_event(&mark)?
    };
    append(platform, &[mark]).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_letter_of_format_1_reads_as_one_of_the_log() {
        let stored =
            r#"{"reason":"no 1","log":"v1/x/0/0","stream":"x","raw_event":"{\"$schema\":\"/a/1.0.0\"}"}"#;
        let DeadEvent::Letter(letter) = DeadEvent::read(stored) else {
            panic!("a mark")
        };
        assert_eq!(letter.fingerprint, fingerprint("x/log", "no 2"));
        assert_eq!(
            (letter.sinks.as_slice(), letter.schema_uri.as_deref()),
            (&[Sink::Log][..], Some("/a/1.0.0"))
        );
    }

    #[test]
    fn a_mark_is_read_and_what_is_neither_is_a_letter_that_says_so() {
        let stored =
            r#"{"settled":["a"],"how":"dropped","dt":"2024-01-01T00:00:00.000Z","topic":"east.error"}"#;
        let DeadEvent::Settled(mark) = DeadEvent::read(stored) else {
            panic!("a letter")
        };
        assert_eq!(serde_json::to_string(&mark).unwrap(), stored);
        let DeadEvent::Letter(letter) = DeadEvent::read("{\"settled\":1}") else {
            panic!("a mark")
        };
        assert!(letter.reason.starts_with("not a dead letter"), "{letter:?}");
        assert_eq!(letter.raw_message.as_deref(), Some("{\"settled\":1}"));
    }

    #[test]
    fn error_events_of_one_member_have_one_fingerprint() {
        let of = |stream: &str, message: &str| {
            let event = serde_json::json!({
                "errored_stream_name": stream, "errored_schema_uri": "/a/1.0.0", "message": message, "raw_event": "{}",
            });
            DeadLetter::of_error(&event.to_string()).unwrap()
        };
        let letter = of("s", "'.a' should be string");
        assert_eq!(letter.fingerprint, of("s", "'.a' should be string").fingerprint);
        assert_ne!(letter.fingerprint, of("s", "'.b' should be string").fingerprint);
        assert_ne!(letter.fingerprint, of("t", "'.a' should be string").fingerprint);
        assert_eq!((letter.log, letter.raw_event.as_deref()), (None, Some("{}")));
        assert_eq!(DeadLetter::of_error("{\"message\":\"m\"}"), None);
    }
}
