//! The form of queue messages: a header line, then one envelope a line.

use bytes::Bytes;
use eventstar_event::{Envelope, EnvelopeError};
use eventstar_log::{LogName, Policy, Retention, Sink, Sinks};
use serde::{Deserialize, Serialize};

use crate::Batch;

/// The version of the form. A message for the log alone is still written in format 1, which a version from before there were other
/// sinks reads, too.
const FORMAT: u32 = 2;

/// Largest queue message, in bytes: Cloudflare Queues take 128 KB, some 100 bytes of it for their own use.
pub const MAX_MESSAGE_BYTES: usize = 127_000;

/// A message that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum MessageError {
    /// The first line is no header of a known format.
    #[error("not a queue message of format 1 or {FORMAT}: {0}")]
    Header(String),
    /// A line is no envelope.
    #[error(transparent)]
    Envelope(#[from] EnvelopeError),
}

/// A queue message: events of one log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueMessage {
    /// Where the events go.
    pub log: LogName,
    /// The retention of their stream; `None` in messages from before there was retention.
    pub retention: Option<Retention>,
    /// The sinks that are to have them, and those that have them.
    pub sinks: Sinks,
    /// The events, in order.
    pub events: Vec<Envelope>,
}

#[derive(Serialize, Deserialize)]
struct Header {
    v: u32,
    log: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retention: Option<Retention>,
    /// These three since format 2.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    sinks: Vec<Sink>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    policy: Option<Policy>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    done: Vec<Sink>,
}

impl QueueMessage {
    /// The message's text.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut text = header(&self.log, self.retention, &self.sinks);
        self.events.iter().for_each(|event| event.write_line(&mut text));
        Bytes::from(text)
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`MessageError`].
    pub fn decode(text: &[u8]) -> Result<Self, MessageError> {
        let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
        let (line, lines) = text.split_at(end);
        let header: Header =
            serde_json::from_slice(line).map_err(|error| MessageError::Header(error.to_string()))?;
        let sinks = match header.v {
            1 => Sinks::default(),
            FORMAT if header.sinks.is_empty() => {
                return Err(MessageError::Header("it names no sink".to_owned()));
            }
            FORMAT => Sinks {
                sinks: header.sinks,
                policy: header.policy.unwrap_or_default(),
                done: header.done,
            },
            other => return Err(MessageError::Header(format!("it has format {other}"))),
        };
        let log = LogName::parse(&header.log)
            .ok_or_else(|| MessageError::Header(format!("'{}' is no log", header.log)))?;
        Ok(Self {
            log,
            retention: header.retention,
            sinks,
            events: Envelope::read_lines(lines)?,
        })
    }
}

fn header(log: &LogName, retention: Option<Retention>, sinks: &Sinks) -> Vec<u8> {
    let is_for_log_alone = *sinks == Sinks::default();
    let named = if is_for_log_alone {
        None
    } else {
        Some(sinks.clone())
    };
    let header = Header {
        v: if is_for_log_alone { 1 } else { FORMAT },
        log: log.to_string(),
        retention,
        policy: named.as_ref().map(|sinks| sinks.policy),
        done: named.as_ref().map_or(Vec::new(), |sinks| sinks.done.clone()),
        sinks: named.map_or(Vec::new(), |sinks| sinks.sinks),
    };
    // Numbers and a text: there is nothing that could fail to serialize.
    let mut text = serde_json::to_vec(&header).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Events packed for the queue.
#[derive(Debug, Default)]
pub struct Packed {
    /// The messages.
    pub messages: Vec<Bytes>,
    /// Indexes into the input of events that fit no message: they go to their sinks at once.
    pub too_large: Vec<usize>,
}

/// Packs events of one log into as few messages as fit [`MAX_MESSAGE_BYTES`], in order.
#[must_use]
pub fn pack(batch: &Batch<'_>, sinks: &Sinks) -> Packed {
    let mut packed = Packed::default();
    let empty = header(batch.log, batch.retention, sinks);
    let mut message = empty.clone();
    for (index, event) in batch.events.iter().enumerate() {
        let before = message.len();
        event.write_line(&mut message);
        if message.len() <= MAX_MESSAGE_BYTES {
            continue;
        }
        let line = message.split_off(before);
        if empty.len() + line.len() > MAX_MESSAGE_BYTES {
            packed.too_large.push(index);
            continue;
        }
        packed
            .messages
            .push(Bytes::from(std::mem::replace(&mut message, empty.clone())));
        message.extend_from_slice(&line);
    }
    if message.len() > empty.len() {
        packed.messages.push(Bytes::from(message));
    }
    packed
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use eventstar_event::Topic;

    use super::*;

    fn log() -> LogName {
        LogName {
            topic: Topic::parse("eqiad.x").unwrap(),
            partition: 1,
            epoch: 0,
        }
    }

    fn event(id: usize, bytes: usize) -> Envelope {
        Envelope {
            id: id.to_string(),
            dt: 1,
            stream: "x".into(),
            key: None,
            headers: BTreeMap::new(),
            event: format!("\"{}\"", "a".repeat(bytes)),
        }
    }

    /// A message as format 1 stores it: must stay readable for as long as format 2 is current.
    #[test]
    fn a_message_of_format_1_reads_and_writes_back_to_the_same_bytes() {
        let stored = "{\"v\":1,\"log\":\"v1/eqiad.x/1/0\"}\n{\"id\":\"0\",\"dt\":1,\"stream\":\"x\",\"event\":\"a\"}\n";
        let message = QueueMessage::decode(stored.as_bytes()).unwrap();
        assert_eq!(
            message,
            QueueMessage {
                log: log(),
                retention: None,
                sinks: Sinks::default(),
                events: vec![event(0, 1)]
            }
        );
        assert_eq!(message.encode(), stored);
        let stored = stored.replace(
            "/1/0\"}",
            "/1/0\",\"retention\":{\"ms\":1000,\"bytes\":8000000000}}",
        );
        let message = QueueMessage::decode(stored.as_bytes()).unwrap();
        assert_eq!(message.retention.unwrap().ms, Some(1000));
        assert_eq!(message.encode(), stored);
    }

    #[test]
    fn a_message_for_other_sinks_names_them_and_writes_back_to_the_same_bytes() {
        let stored = "{\"v\":2,\"log\":\"v1/eqiad.x/1/0\",\"sinks\":[\"log\",\"kafka\"],\"policy\":\"fallback\",\"done\":[\"log\"]}\n\
             {\"id\":\"0\",\"dt\":1,\"stream\":\"x\",\"event\":\"a\"}\n";
        let message = QueueMessage::decode(stored.as_bytes()).unwrap();
        let expected = Sinks {
            sinks: vec![Sink::Log, Sink::Kafka],
            policy: Policy::Fallback,
            done: vec![Sink::Log],
        };
        assert_eq!(message.sinks, expected);
        assert_eq!(message.encode(), stored);
    }

    #[test]
    fn foreign_messages_are_refused() {
        for text in [
            "",
            "{}",
            "{\"v\":2,\"log\":\"v1/x/0/0\"}\n",
            "{\"v\":2,\"log\":\"v1/x/0/0\",\"sinks\":[]}\n",
            "{\"v\":2,\"log\":\"v1/x/0/0\",\"sinks\":[\"redis\"]}\n",
            "{\"v\":9,\"log\":\"v1/x/0/0\"}\n",
            "{\"v\":1,\"log\":\"x\"}\n",
            "{\"v\":1,\"log\":\"v1/x/0/0\"}\n{",
        ] {
            assert!(QueueMessage::decode(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn events_are_packed_by_bytes_in_order_and_too_large_ones_set_apart() {
        let events: Vec<_> = [50_000, 50_000, 50_000, 130_000, 10, 126_000]
            .into_iter()
            .enumerate()
            .map(|(id, bytes)| event(id, bytes))
            .collect();
        let log = log();
        let batch = |events| Batch {
            log: &log,
            retention: None,
            events,
        };
        let packed = pack(&batch(events.as_slice()), &Sinks::default());
        assert_eq!(packed.too_large, [3]);
        assert!(
            packed
                .messages
                .iter()
                .all(|message| message.len() <= MAX_MESSAGE_BYTES)
        );
        let order: Vec<Vec<String>> = packed
            .messages
            .iter()
            .map(|message| {
                QueueMessage::decode(message)
                    .unwrap()
                    .events
                    .into_iter()
                    .map(|e| e.id)
                    .collect()
            })
            .collect();
        assert_eq!(order, [vec!["0", "1"], vec!["2", "4"], vec!["5"]]);
        assert!(pack(&batch(&[]), &Sinks::default()).messages.is_empty());
    }
}
