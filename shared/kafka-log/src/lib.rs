//! Topic-partitions of Kafka as logs that are read: through a REST proxy, over the ports, with the frames that followers of
//! the stream log get.
//!
//! In scope: where a reader starts, following, what happens when the proxy fails or forgets. Out of scope: writing, which
//! delivery does, and the requests themselves, which are those of `eventstar-kafka-rest`.
//!
//! What Kafka has differently: offsets have gaps, which are chunks without lines; the timestamps of a topic may run backwards,
//! where producers set them; there are no epochs. A log's offsets are Kafka's own.

mod chunks;
mod consumers;
mod follow;
mod instance;
mod log;
mod open;
mod readers;

use std::rc::Rc;

use eventstar_kafka_rest::Proxy;
use eventstar_ports::{Background, Clock, Diagnostics, Ids, Timer};

pub use log::KafkaLog;
pub use readers::KafkaReaders;

/// What a reader needs of its host besides requests to other servers.
pub trait Host: Clock + Timer + Ids + Diagnostics + Background + Clone + 'static {}

impl<T: Clock + Timer + Ids + Diagnostics + Background + Clone + 'static> Host for T {}

/// How the proxy is reached.
#[derive(Debug, Clone)]
pub(crate) struct Link<H, T> {
    pub(crate) proxy: Rc<Proxy>,
    pub(crate) http: H,
    pub(crate) host: T,
}

#[cfg(test)]
mod tests;
