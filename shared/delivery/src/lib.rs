//! Delivery: from the queue to the sinks, which are the stream log and Kafka.
//!
//! In scope: the form of queue messages, packing events into them, the sinks, what becomes of a message, and dead letters. Out of
//! scope: the queue itself, and acknowledging, which is the platform's.

mod dead;
mod deliver;
mod kafka;
mod message;
mod settled;
mod sink;
#[cfg(test)]
mod testing;

pub use dead::{DEAD_LETTER_TOPIC, DeadLetter, dead_letter_log, dead_letters, fingerprint};
pub use deliver::{Attempt, Delivered, Redelivered, deliver, redeliver, retry_after};
pub use kafka::{KafkaSink, kafka_proxy, required_kafka_proxy};
pub use message::{MAX_MESSAGE_BYTES, MessageError, Packed, QueueMessage, pack};
pub use settled::{DeadEvent, How, Settled, settle};
pub use sink::{Batch, EventSink, LogSink, Written, is_final, write, write_through};
