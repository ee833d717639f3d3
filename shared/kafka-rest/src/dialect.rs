//! Which REST API a proxy has.

use std::fmt;
use std::str::FromStr;

/// Which REST API a proxy has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// Strimzi's Kafka bridge, 0.30 or later: `strimzi`. Records keep their headers and timestamps.
    Strimzi,
    /// Version 2 of the API of Confluent's REST Proxy: `confluent-v2`. It knows neither headers nor timestamps, and refuses
    /// records that have them: they are left out.
    ConfluentV2,
}

/// A text that names no dialect.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no dialect of a Kafka REST proxy that is known here: use strimzi or confluent-v2")]
pub struct UnknownDialect(String);

impl Dialect {
    const ALL: [Self; 2] = [Self::Strimzi, Self::ConfluentV2];

    fn name(self) -> &'static str {
        match self {
            Self::Strimzi => "strimzi",
            Self::ConfluentV2 => "confluent-v2",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Dialect {
    type Err = UnknownDialect;

    /// Reads what `Display` writes.
    fn from_str(text: &str) -> Result<Self, UnknownDialect> {
        let known = Self::ALL.into_iter().find(|dialect| dialect.name() == text);
        known.ok_or_else(|| UnknownDialect(text.chars().take(40).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dialects_have_names() {
        for dialect in Dialect::ALL {
            assert_eq!(dialect.to_string().parse(), Ok(dialect));
        }
        let error = "confluent-v3".parse::<Dialect>().unwrap_err().to_string();
        assert!(
            error.contains("'confluent-v3'") && error.contains("use strimzi or confluent-v2"),
            "{error}"
        );
    }
}
