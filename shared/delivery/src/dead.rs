//! Dead letters: what could not be delivered, kept in a log topic of its own.

use std::collections::BTreeMap;

use bytes::Bytes;
use eventstar_event::{Envelope, Topic};
use eventstar_log::LogName;
use eventstar_ports::{Platform, PortError, StreamLog};
use serde_json::json;

use crate::QueueMessage;

/// The topic, and stream, of dead letters; readable only by its exact name.
pub const DEAD_LETTER_TOPIC: &str = "eventstar.dead-letter";

/// Keeps the events of `messages` as dead letters: one for each event, or one for a message that cannot be read. The
/// original text is kept, and the delivery id, so that keeping them twice leaves one.
///
/// # Errors
/// The log's.
pub async fn dead_letters<P: Platform>(
    platform: &P,
    messages: &[Bytes],
    reason: &str,
) -> Result<(), PortError> {
    let log = LogName {
        topic: Topic::parse(DEAD_LETTER_TOPIC)
            .map_err(|error| PortError::corrupt("log", error.to_string()))?,
        partition: 0,
        epoch: 0,
    };
    let mut letters = Vec::new();
    for message in messages {
        match QueueMessage::decode(message) {
            Ok(QueueMessage { log, events, .. }) => letters.extend(events.into_iter().map(|event| {
                let about = json!({"reason": reason, "log": log.to_string(), "stream": event.stream, "raw_event": event.event});
                Envelope { stream: DEAD_LETTER_TOPIC.to_owned(), key: None, event: about.to_string(), ..event }
            })),
            Err(_) => {
                let about = json!({"reason": reason, "raw_message": String::from_utf8_lossy(message)});
                letters.push(Envelope {
                    id: uuid::Builder::from_random_bytes(platform.random()).into_uuid().to_string(),
                    dt: platform.now(),
                    stream: DEAD_LETTER_TOPIC.to_owned(),
                    key: None,
                    headers: BTreeMap::new(),
                    event: about.to_string(),
                });
            }
        }
    }
    platform.stream_log().append(&log, &letters).await.map(|_| ())
}
