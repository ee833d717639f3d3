//! Delivery ids.
//!
//! A producer that got no answer sends the same bytes again, with the same `meta.id`: that is the same event. So the id
//! of an event that was sent with a `meta.id` is made from its stream and its bytes, and the log, which leaves out ids
//! it has, keeps one of them. An event of the same `meta.id` and other bytes is another event.

use eventstar_event::EventText;
use eventstar_event::time::Millis;
use eventstar_ports::Ids;
use sha2::{Digest as _, Sha256};
use uuid::Builder;

/// The delivery id of an event as received (compacted): a UUID of version 8 that a retry has again, or, for an event
/// without a `meta.id`, a new one of version 7.
pub(crate) fn delivery_id(ids: &impl Ids, now: Millis, stream: Option<&str>, event: &EventText) -> String {
    let id = match stream.filter(|_| event.get_str(&["meta", "id"]).is_some()) {
        Some(stream) => of_bytes(stream, event.as_str()),
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
    let hash = Sha256::new()
        .chain_update(stream)
        .chain_update([0])
        .chain_update(event)
        .finalize();
    let mut bytes = [0; 16];
    bytes.iter_mut().zip(hash).for_each(|(byte, hash)| *byte = hash);
    Builder::from_custom_bytes(bytes)
}
