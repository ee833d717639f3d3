//! What the queue of events is set to.

use anyhow::{Context as _, Result};
use toml::{Table, Value};

use crate::wrangler;

/// The queue of events.
const QUEUE: &str = "eventstar-events";

/// When the queue of events gives a batch to its consumer: at so many messages, or so long after the first one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Queue {
    pub(crate) max_batch_size: i64,
    /// In seconds.
    pub(crate) max_batch_timeout: i64,
}

impl Queue {
    /// As `wrangler.toml` says, for a deployment and for local runs.
    pub(crate) fn read(config: &Table) -> Result<Self> {
        let consumers = wrangler::environment(config, "delivery")?
            .get("queues")
            .and_then(|queues| queues.get("consumers")?.as_array());
        let is_ours = |consumer: &&Value| consumer.get("queue").and_then(Value::as_str) == Some(QUEUE);
        let consumer = consumers.and_then(|all| all.iter().find(is_ours));
        let setting = |name: &str| {
            let value = consumer.and_then(|consumer| consumer.get(name)?.as_integer());
            value.with_context(|| format!("the consumer of {QUEUE} in wrangler.toml has no {name}: set it"))
        };
        Ok(Self {
            max_batch_size: setting("max_batch_size")?,
            max_batch_timeout: setting("max_batch_timeout")?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_times_of_the_queue_are_said_and_not_left_to_the_platform() {
        let config: Table = include_str!("../../wrangler.toml").parse().unwrap();
        let queue = Queue::read(&config).unwrap();
        assert!(queue.max_batch_size > 0 && queue.max_batch_timeout > 0);
        let config = "[[env.delivery.queues.consumers]]\nqueue = \"eventstar-events\"\nmax_batch_size = 25\n";
        let error = Queue::read(&config.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("has no max_batch_timeout"), "{error}");
    }
}
