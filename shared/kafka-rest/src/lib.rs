//! Kafka through a REST proxy: what to send, and what an answer means. Pure: no I/O, no clock.
//!
//! In scope: the Kafka bridge of Strimzi and version 2 of Confluent's REST Proxy, which share most of one API. Keys and values
//! travel in the binary embedded format (base64), so that bytes are kept. Out of scope: sending, retries, time.
//!
//! Sources: <https://strimzi.io/docs/bridge/latest/> and
//! <https://docs.confluent.io/platform/current/kafka-rest/api.html>.
//!
//! ```
//! use bytes::Bytes;
//! use eventstar_kafka_rest::{Dialect, Proxy, Record};
//!
//! let proxy = Proxy::new("https://bridge.example.org/kafka", Dialect::Strimzi, None)?;
//! let record = Record { key: None, value: Bytes::from_static(b"{}"), timestamp: Some(0), headers: vec![], partition: Some(0) };
//! let request = proxy.produce("eqiad.test.event", &[record]);
//! assert_eq!(request.uri(), "https://bridge.example.org/kafka/topics/eqiad.test.event");
//! # Ok::<(), eventstar_kafka_rest::ProxyError>(())
//! ```

mod answer;
mod consumed;
mod consumer;
mod dialect;
mod envelope;
mod produce;
mod proxy;
mod record;

pub use answer::retry_after;
pub use consumed::Consumed;
pub use consumer::{Consumer, ConsumerError, Offsets, Partition, Seek, done, offsets_read, polled};
pub use dialect::{Dialect, UnknownDialect};
pub use envelope::{ID_HEADER, STREAM_HEADER};
pub use produce::RecordOutcome;
pub use proxy::{Proxy, ProxyError};
pub use record::{Record, batches};

#[cfg(test)]
mod recorded;
