//! Delivery ids.
//!
//! A producer that got no answer sends the same bytes again, with the same `meta.id`: that is the same event. So the id
//! of an event that was sent with a `meta.id` is made from its stream and its bytes, and the log, which leaves out ids
//! it has, keeps one of them. An event of the same `meta.id` and other bytes is another event.

use eventstar_event::document::Kind;
use eventstar_event::time::Millis;
use eventstar_event::{Document, id_of};
use eventstar_ports::Ids;
use uuid::Builder;

/// The delivery id of an event as received: a UUID of version 8, of a BLAKE3 hash, that a retry
/// has again; for an event without a `meta.id` a new one of version 7.
pub(crate) fn delivery_id(ids: &impl Ids, now: Millis, stream: Option<&str>, event: &Document<'_>) -> String {
    let has_id = event
        .get(&["meta", "id"])
        .is_some_and(|id| id.kind() == Kind::String);
    if let Some(stream) = stream.filter(|_| has_id) {
        return id_of(stream, &event.text());
    }
    let mut tail = [0; 10];
    tail.iter_mut()
        .zip(ids.random().into_iter().rev())
        .for_each(|(byte, random)| *byte = random);
    Builder::from_unix_timestamp_millis(now, &tail)
        .into_uuid()
        .to_string()
}
