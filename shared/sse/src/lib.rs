//! Server-Sent Events as EventStreams writes them: framing, ids, start positions. Pure: no I/O, no clock.

mod framing;
mod position;
mod time;

pub use framing::{COMMENT, OPENED, event_frame, id_frame, message_frame};
pub use position::{LastEventId, Position, PositionError, parse_last_event_id, since_millis};
pub use time::read_time;
