//! How long a log keeps its events.

use std::fmt;

use eventstar_event::time::Millis;
use serde::{Deserialize, Serialize};

/// How long a log keeps its events, with the meaning of Kafka's topic settings `retention.ms` and `retention.bytes`:
/// whole chunks are dropped, oldest first. Written `<ms>:<bytes>`, -1 for no limit of time, as in Kafka.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Retention {
    /// How long after its receive time an event is kept, in milliseconds; `None` for as long as there is room.
    pub ms: Option<Millis>,
    /// How many bytes each log (topic-partition) keeps; at most [`Retention::MAX_BYTES`].
    pub bytes: u64,
}

impl Retention {
    /// Seven days: Kafka's default (`log.retention.hours=168`), and what EventStreams offers.
    pub const DEFAULT_MS: Millis = 604_800_000;
    /// Shortest time: a log looks for expired events at most so often.
    pub const MIN_MS: Millis = 1000;
    /// Most bytes of a log. A SQLite-backed Durable Object holds 10 GB
    /// (<https://developers.cloudflare.com/durable-objects/platform/limits/>); the rest is room for what is appended before
    /// old chunks are dropped, and for the database's own pages.
    pub const MAX_BYTES: u64 = 8_000_000_000;

    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (ms, bytes) = text.split_once(':')?;
        let ms = match ms {
            "-1" => None,
            ms => Some(ms.parse().ok()?),
        };
        let bytes = bytes.parse().ok()?;
        Some(Self { ms, bytes })
    }
}

impl Default for Retention {
    fn default() -> Self {
        Self {
            ms: Some(Self::DEFAULT_MS),
            bytes: Self::MAX_BYTES,
        }
    }
}

impl fmt::Display for Retention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.ms {
            Some(ms) => write!(f, "{ms}:{}", self.bytes),
            None => write!(f, "-1:{}", self.bytes),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retention_round_trips() {
        for (ms, bytes, text) in [
            (Some(Retention::DEFAULT_MS), 8_000_000_000, "604800000:8000000000"),
            (None, 1, "-1:1"),
        ] {
            let retention = Retention { ms, bytes };
            assert_eq!(retention.to_string(), text);
            assert_eq!(Retention::parse(text), Some(retention));
        }
        for bad in ["", "1", "1:", ":1", "a:1", "-2:1", "1:-1"] {
            assert_eq!(Retention::parse(bad), None, "{bad}");
        }
    }
}
