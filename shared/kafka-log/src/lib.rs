//! Topic-partitions of Kafka as logs that are read: through a REST proxy, over the ports, with the frames that followers of
//! the stream log get.
//!
//! In scope: where a reader starts, reading on, what happens when the proxy forgets, events that are there twice. Out of scope:
//! writing, which delivery does; the requests themselves, which are those of `eventstar-kafka-rest`; and following, with what
//! happens when nothing can be read, which `eventstar-stores` does.
//!
//! What Kafka has differently: offsets have gaps, which are chunks without lines; the timestamps of a topic may run backwards,
//! where producers set them; there are no epochs. A log's offsets are Kafka's own.
//!
//! What the proxy needs: to be one process, or to be reached through a gateway that sends `/consumers/{group}` to the same one
//! each time; at Strimzi's bridge, `http.timeoutSeconds`, after which it forgets the instances of readers that went without
//! a word (not less than 60), and `bridge.executor.pool.size` for each partition that is read and some more, as a poll holds a
//! thread while it waits. Rights: to read the topics, and consumer groups that begin with `eventstar-relay-`.

mod chunks;
mod consumers;
mod instance;
mod log;
mod open;
mod readers;
mod seen;

use std::rc::Rc;

use eventstar_kafka_rest::Proxy;
use eventstar_ports::{Background, Clock, Diagnostics, Ids, Timer};

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
