//! Which sinks keep a stream's events.

use serde::{Deserialize, Serialize};

/// What keeps events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Sink {
    /// The stream log.
    #[default]
    Log,
    /// Kafka, through a REST proxy.
    Kafka,
}

impl Sink {
    /// All there are.
    pub const ALL: [Self; 2] = [Self::Log, Self::Kafka];

    /// Its name in a stream config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Kafka => "kafka",
        }
    }
}

/// When an event with several sinks is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// When all have it.
    #[default]
    All,
    /// When the first has it; the others are given it once, whatever they say.
    First,
    /// When one has it; each is asked only if those before it fail.
    Fallback,
}

impl Policy {
    /// All there are.
    pub const ALL: [Self; 3] = [Self::All, Self::First, Self::Fallback];

    /// Its name in a stream config.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::First => "first",
            Self::Fallback => "fallback",
        }
    }
}

/// The sinks of a stream's events, and which of them have them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Sinks {
    /// The sinks, in order; at least one, none twice.
    pub sinks: Vec<Sink>,
    /// When the events are delivered.
    #[serde(default)]
    pub policy: Policy,
    /// The sinks that have them already.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub done: Vec<Sink>,
}

impl Default for Sinks {
    fn default() -> Self {
        Self {
            sinks: vec![Sink::Log],
            policy: Policy::All,
            done: Vec::new(),
        }
    }
}

impl Sinks {
    /// Whether `sink` is one of them.
    #[must_use]
    pub fn has(&self, sink: Sink) -> bool {
        self.sinks.contains(&sink)
    }

    /// The same, where `sink` has the events too.
    #[must_use]
    pub fn with(mut self, sink: Sink) -> Self {
        if !self.done.contains(&sink) {
            self.done.push(sink);
        }
        self
    }

    /// Whether the events are delivered.
    #[must_use]
    pub fn are_satisfied(&self) -> bool {
        match self.policy {
            Policy::All => self.sinks.iter().all(|sink| self.done.contains(sink)),
            Policy::First => self.sinks.first().is_none_or(|sink| self.done.contains(sink)),
            Policy::Fallback => !self.done.is_empty(),
        }
    }

    /// The sinks that are still to be given the events, in order. With [`Policy::Fallback`], none once one has them.
    #[must_use]
    pub fn open(&self) -> Vec<Sink> {
        if self.policy == Policy::Fallback && self.are_satisfied() {
            return Vec::new();
        }
        let open = |sink: &&Sink| !self.done.contains(sink);
        self.sinks.iter().filter(open).copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sinks(policy: Policy, done: &[Sink]) -> Sinks {
        Sinks {
            sinks: vec![Sink::Kafka, Sink::Log],
            policy,
            done: done.to_vec(),
        }
    }

    #[test]
    fn the_policy_says_when_events_are_delivered_and_what_is_still_to_do() {
        use Sink::{Kafka, Log};
        for (policy, done, satisfied, open) in [
            (Policy::All, &[][..], false, &[Kafka, Log][..]),
            (Policy::All, &[Kafka], false, &[Log]),
            (Policy::All, &[Log], false, &[Kafka]),
            (Policy::All, &[Log, Kafka], true, &[]),
            (Policy::First, &[], false, &[Kafka, Log]),
            (Policy::First, &[Log], false, &[Kafka]),
            (Policy::First, &[Kafka], true, &[Log]),
            (Policy::Fallback, &[], false, &[Kafka, Log]),
            (Policy::Fallback, &[Log], true, &[]),
            (Policy::Fallback, &[Kafka], true, &[]),
        ] {
            let sinks = sinks(policy, done);
            assert_eq!(sinks.are_satisfied(), satisfied, "{sinks:?}");
            assert_eq!(sinks.open(), open, "{sinks:?}");
        }
        assert_eq!(Sinks::default().open(), [Log]);
        assert_eq!(Sinks::default().with(Log).with(Log).done, [Log]);
    }

    #[test]
    fn names_are_those_of_the_stored_form() {
        for sink in Sink::ALL {
            assert_eq!(serde_json::to_value(sink).unwrap(), sink.name());
        }
        for policy in Policy::ALL {
            assert_eq!(serde_json::to_value(policy).unwrap(), policy.name());
        }
    }
}
