//! The stream log's words: which log, what an append is, what a reader is sent.
//!
//! Each topic-partition is one log with dense offsets. A *chunk* is one append batch: its lines are
//! [envelopes](eventstar_event::Envelope), its header says where it stands. Pure types and their stored texts; the
//! storage is in `eventstar-stores`.

mod chunk;
mod frame;
mod name;
mod retention;
mod sinks;

pub use chunk::{Appended, Chunk, LogEvent};
pub use frame::{Frame, FrameDecoder, FrameError, Gap, GapReason, Start};
pub use name::LogName;
pub use retention::Retention;
pub use sinks::{Policy, Sink, Sinks};
