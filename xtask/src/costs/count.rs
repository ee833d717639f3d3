//! What the counted workers tell.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};

/// The functions that events pass.
const FUNCTIONS: [&str; 3] = ["intake", "delivery", "sse-relay"];

/// The object that keeps a log.
const LOG: &str = "StreamLogObject";

/// The object that keeps metrics.
const METRICS: &str = "MetricsObject";

/// The object that counts a client's connections.
const LEASES: &str = "LeaseObject";

/// What objects of a class, or all workers, have used.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Object {
    /// Requests and alarms.
    pub(crate) requests: u64,
    pub(crate) rows_read: u64,
    /// Alarms that were set included: each is billed as a row.
    pub(crate) rows_written: u64,
    /// The size of the databases.
    pub(crate) bytes: u64,
}

/// What was used of the platform, as it is billed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub(crate) intake_requests: u64,
    pub(crate) relay_requests: u64,
    pub(crate) kv_reads: u64,
    pub(crate) kv_writes: u64,
    /// Messages sent, and operations: each 64 KB of a message written, read and deleted.
    pub(crate) queue_messages: u64,
    pub(crate) queue_writes: u64,
    pub(crate) queue_reads: u64,
    pub(crate) queue_deletes: u64,
    /// Invocations of the consumer.
    pub(crate) queue_batches: u64,
    /// Requests to the bridge.
    pub(crate) fetches: u64,
    pub(crate) log: Object,
    pub(crate) metrics: Object,
    pub(crate) leases: Object,
}

impl Counts {
    /// What was used until now.
    pub(crate) fn read(agent: &ureq::Agent, base_url: &str) -> Result<Self> {
        let mut told = BTreeMap::new();
        for function in FUNCTIONS {
            let url = format!("{base_url}/{function}/__counts");
            let answer = agent.get(&url).call();
            let text = answer
                .with_context(|| format!("{url} cannot be read"))?
                .body_mut()
                .read_to_string()?;
            let counts: BTreeMap<String, u64> =
                serde_json::from_str(&text).with_context(|| format!("{url} answers no counts"))?;
            for (name, count) in counts {
                told.insert(format!("{function}.{name}"), count);
            }
        }
        Ok(Self::of(&told))
    }

    fn of(told: &BTreeMap<String, u64>) -> Self {
        let one = |name: String| told.get(&name).copied().unwrap_or_default();
        let all = |name: &str| {
            FUNCTIONS
                .map(|function| one(format!("{function}.{name}")))
                .iter()
                .sum()
        };
        let object = |class: &str| Object {
            requests: all(&format!("{class}.requests")),
            rows_read: all(&format!("{class}.rows_read")),
            rows_written: all(&format!("{class}.rows_written")),
            bytes: all(&format!("{class}.bytes")),
        };
        Self {
            intake_requests: one("intake.requests".to_owned()),
            relay_requests: one("sse-relay.requests".to_owned()),
            kv_reads: all("kv_reads"),
            kv_writes: all("kv_writes"),
            queue_messages: all("queue_messages"),
            queue_writes: all("queue_writes"),
            queue_reads: all("queue_reads"),
            queue_deletes: all("queue_deletes"),
            queue_batches: all("queue_batches"),
            fetches: all("fetches"),
            log: object(LOG),
            metrics: object(METRICS),
            leases: object(LEASES),
        }
    }

    /// Whether all that was sent to the queue has been delivered.
    pub(crate) fn is_delivered(&self) -> bool {
        self.queue_deletes == self.queue_writes
    }

    /// All but what handing on counters used, which depends on the time.
    pub(crate) fn without_metrics(self) -> Self {
        Self {
            metrics: Object::default(),
            ..self
        }
    }

    /// Operations of the queue.
    pub(crate) fn queue_operations(&self) -> u64 {
        self.queue_writes + self.queue_reads + self.queue_deletes
    }

    /// What was used since `before`. Databases may get smaller, and what two like things use may differ a little.
    pub(crate) fn since(&self, before: &Self) -> Self {
        Self {
            intake_requests: self.intake_requests.saturating_sub(before.intake_requests),
            relay_requests: self.relay_requests.saturating_sub(before.relay_requests),
            kv_reads: self.kv_reads.saturating_sub(before.kv_reads),
            kv_writes: self.kv_writes.saturating_sub(before.kv_writes),
            queue_messages: self.queue_messages.saturating_sub(before.queue_messages),
            queue_writes: self.queue_writes.saturating_sub(before.queue_writes),
            queue_reads: self.queue_reads.saturating_sub(before.queue_reads),
            queue_deletes: self.queue_deletes.saturating_sub(before.queue_deletes),
            queue_batches: self.queue_batches.saturating_sub(before.queue_batches),
            fetches: self.fetches.saturating_sub(before.fetches),
            log: self.log.since(&before.log),
            metrics: self.metrics.since(&before.metrics),
            leases: self.leases.since(&before.leases),
        }
    }
}

impl Object {
    fn since(&self, before: &Self) -> Self {
        Self {
            requests: self.requests.saturating_sub(before.requests),
            rows_read: self.rows_read.saturating_sub(before.rows_read),
            rows_written: self.rows_written.saturating_sub(before.rows_written),
            bytes: self.bytes.saturating_sub(before.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_functions_are_added_up() {
        let told = [
            ("intake.requests", 5),
            ("delivery.requests", 7),
            ("intake.kv_reads", 2),
            ("sse-relay.kv_reads", 1),
            ("delivery.StreamLogObject.rows_written", 9),
        ];
        let told = told.map(|(name, count)| (name.to_owned(), count)).into();
        let counts = Counts::of(&told);
        assert_eq!((counts.intake_requests, counts.kv_reads), (5, 3));
        assert_eq!(counts.log.rows_written, 9);
        assert_eq!(counts.since(&counts), Counts::default());
    }
}
