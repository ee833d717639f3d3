//! Delivery: from the queue to the sinks. Today's sink is the stream log.
//!
//! In scope: the form of queue messages, packing events into them, and what becomes of a message. Out of scope: the queue
//! itself, and acknowledging, which is the platform's.

mod dead;
mod deliver;
mod message;

pub use dead::{DEAD_LETTER_TOPIC, dead_letters};
pub use deliver::{Delivered, deliver};
pub use message::{MAX_MESSAGE_BYTES, MessageError, Packed, QueueMessage, pack};
