//! The ports: what a handler may ask of the platform it runs on.
//!
//! Every port is a small trait with native `async fn`, used through generics: Workers futures are not `Send`, so
//! nothing here asks for it. A platform (workerd, Spin, memory) implements them once; handlers are
//! written over [`Platform`] and never name an SDK.

mod backoff;
mod body;
mod error;
mod http_client;
mod leases;
mod metrics;
mod platform;
mod registry;
mod sql;

pub use backoff::backoff;
pub use body::{Body, ByteStream};
pub use error::{PortError, PortErrorKind};
pub use http_client::{HttpClient, HttpLimits, http_timeout, http_too_large};
pub use leases::{Leases, SLOT_LIFE, Slot};
pub use metrics::{GAUGE_LIFE, Metrics, Sample};
pub use platform::{Background, Clock, Config, Diagnostics, Ids, Level, Platform, Timer};
pub use registry::{
    Published, Registry, RegistryError, RegistryRequest, RegistryVersion, SchemaFile, SchemaRevision,
    StoredConfig,
};
pub use sql::{Row, Sql, SqlValue, Statement};

use std::net::IpAddr;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_log::{Appended, Frame, LogName, Retention, Start};
use futures_util::Stream;
use futures_util::future::try_join_all;

/// The address a request came from, as the platform saw it: an extension of the request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClientAddress(pub IpAddr);

/// Reads that are under way at the same time.
const READS_AT_ONCE: usize = 6;

/// Reads the edge key-value store. Eventually consistent: a value may be a minute old.
pub trait KeyValue {
    /// The value under `key`, or `None`.
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError>;

    /// The values under at most 100 `keys`, in their order; one request where the platform can.
    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, PortError> {
        let mut values = Vec::with_capacity(keys.len());
        for some in keys.chunks(READS_AT_ONCE) {
            values.extend(try_join_all(some.iter().map(|key| self.get(key))).await?);
        }
        Ok(values)
    }
}

/// Writes the edge key-value store. Only the registry does; a put is idempotent and may be retried.
pub trait KeyValueWrite {
    /// Sets the value under `key`.
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), PortError>;
}

/// Hands event batches to the platform's queue, for delivery later.
pub trait Queue {
    /// Sends queue messages; each is the text of one `eventstar_delivery::QueueMessage`. All or nothing
    /// where the platform can; a `Timeout` means unknown, and delivery ids make a retry safe.
    async fn send(&self, messages: Vec<Bytes>) -> Result<(), PortError>;

    /// Delivers some of what waits, oldest first, on a platform whose queue is not delivered by the platform itself; there
    /// is nothing to do (`None`) where it is.
    async fn drain(&self) -> Result<Option<Drained>, PortError> {
        Ok(None)
    }
}

/// What a drain of the queue did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Drained {
    /// Messages that are dealt with: delivered, or among the dead letters.
    pub delivered: usize,
    /// Messages that wait still, those for their next attempt among them.
    pub waiting: u64,
}

/// The stream log: topic-partitions with dense offsets.
pub trait StreamLog {
    /// The frames of one follower: first `Opened`, then chunks and heartbeats; ends on an error or when the log's owner goes.
    type Follow: Stream<Item = Result<Frame, PortError>> + 'static;

    /// Appends `batch` and returns once it is durable. Events whose delivery id is in the log already are left out, so
    /// that a retry is safe. A `Timeout` means unknown.
    async fn append(&self, log: &LogName, batch: &[Envelope]) -> Result<Appended, PortError> {
        self.append_with(log, batch, None).await
    }

    /// The same, for a stream with this retention; without, what the log was told last counts, at first the default.
    async fn append_with(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<Appended, PortError>;

    /// Follows the log from `start`.
    fn follow(&self, log: &LogName, start: Start) -> Self::Follow;
}
