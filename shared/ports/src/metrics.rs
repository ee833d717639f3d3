//! Metrics, added up over all isolates.

use serde::{Deserialize, Serialize};

use crate::PortError;

/// How much a metric has grown, or stands at.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// The metric's name.
    pub name: String,
    /// Its labels, as Prometheus writes them between the braces.
    pub labels: String,
    /// The number.
    pub value: u64,
}

/// Where metrics are added up.
pub trait Metrics {
    /// Adds what an isolate has counted. An answer lost may count it twice.
    async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError>;

    /// What all isolates have counted.
    async fn read(&self) -> Result<Vec<Sample>, PortError>;
}
