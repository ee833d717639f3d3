//! Server-Sent Events as EventStreams writes them: framing and reading, ids, start positions. Pure: no I/O, no clock.

mod framing;
mod parser;
mod position;
mod time;

pub use framing::{COMMENT, OPENED, id_frame, write_event};
pub use parser::{BlockTooLarge, Incoming, Parser};
pub use position::{LastEventId, Position, PositionError, parse_last_event_id, since_millis};
pub use time::{TimeError, read_time};
