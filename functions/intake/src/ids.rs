//! Delivery ids.
//!
//! A producer that got no answer sends the same bytes again, with the same `meta.id`: that is the same event. So the id
//! of an event that was sent with a `meta.id` is made from its stream and its bytes, and the log, which leaves out ids
//! it has, keeps one of them. An event of the same `meta.id` and other bytes is another event.

use eventstar_event::Document;
use eventstar_event::document::Kind;
use eventstar_event::time::Millis;
use eventstar_ports::Ids;
use uuid::Builder;

/// The delivery id of an event as received: a UUID of version 8, of a BLAKE3 hash, that a retry
/// has again; for an event without a `meta.id` a new one of version 7.
pub(crate) fn delivery_id(ids: &impl Ids, now: Millis, stream: Option<&str>, event: &Document<'_>) -> String {
    let has_id = event
        .get(&["meta", "id"])
        .is_some_and(|id| id.kind() == Kind::String);
    let id = match stream.filter(|_| has_id) {
        Some(stream) => of_bytes(stream, &event.text()),
        None => {
            let mut tail = [0; 10];
            tail.iter_mut()
                .zip(ids.random().into_iter().rev())
                .for_each(|(byte, random)| *byte = random);
            Builder::from_unix_timestamp_millis(now, &tail)
        }
    };
    id.into_uuid().to_string()
}

fn of_bytes(stream: &str, event: &str) -> Builder {
    // A stream has no NUL in its name.
    let mut hasher = blake3::Hasher::new();
    hasher.update(stream.as_bytes());
    hasher.update(&[0]);
    hasher.update(event.as_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    Builder::from_custom_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Old and new isolates are at work at the same time while a new version is deployed.
    #[test]
    fn an_id_is_the_same_in_every_version() {
        for (stream, event, expected) in [
            ("a", "{}", "953003fa-5cbe-8b84-8ff7-9eff37a5c6f3"),
            ("a{}", "", "b725a32a-1803-88fc-ae42-45248f3a6167"),
            ("b", "{}", "8a97e864-c541-8fcd-9045-2c5c3de51e7a"),
        ] {
            assert_eq!(of_bytes(stream, event).into_uuid().to_string(), expected);
        }
    }
}
