//! Which log.

use std::fmt;

use eventstar_event::Topic;

/// The name of one log: a topic-partition in one epoch. Written `v1/<topic>/<partition>/<epoch>`.
///
/// A new epoch starts an empty log under the same topic; ids of the old one are then known to be foreign.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LogName {
    /// The topic.
    pub topic: Topic,
    /// The partition, from 0.
    pub partition: u32,
    /// The epoch, from 0.
    pub epoch: u32,
}

impl LogName {
    /// The epoch of topic-partitions that Kafka keeps, whose offsets are Kafka's; no log of ours has it.
    pub const KAFKA_EPOCH: u32 = u32::MAX;

    /// Whether Kafka keeps it.
    #[must_use]
    pub fn is_in_kafka(&self) -> bool {
        self.epoch == Self::KAFKA_EPOCH
    }

    /// Reads what `Display` writes.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.strip_prefix("v1/")?.split('/');
        let name = Self {
            topic: Topic::parse(parts.next()?).ok()?,
            partition: parts.next()?.parse().ok()?,
            epoch: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(name)
    }
}

impl fmt::Display for LogName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "v1/{}/{}/{}", self.topic, self.partition, self.epoch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_round_trip() {
        let name = LogName {
            topic: Topic::parse("eqiad.x").unwrap(),
            partition: 3,
            epoch: 1,
        };
        assert_eq!(name.to_string(), "v1/eqiad.x/3/1");
        assert_eq!(LogName::parse("v1/eqiad.x/3/1"), Some(name));
        for bad in ["", "v2/x/0/0", "v1/x/0", "v1/x/0/0/0", "v1/x/a/0", "v1/../0/0"] {
            assert_eq!(LogName::parse(bad), None, "{bad}");
        }
    }
}
