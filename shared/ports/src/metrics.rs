//! Metrics, added up over all isolates.

use eventstar_event::time::Millis;
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

/// How long a gauge stands that is not told again: what a killed isolate had is forgotten after this time.
pub const GAUGE_LIFE: Millis = 60_000;

/// Where metrics are added up.
pub trait Metrics {
    /// Adds what an isolate has counted. An answer lost may count it twice.
    async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError>;

    /// Says what the isolate `holder` has now, in place of what it said before; it stands for [`GAUGE_LIFE`].
    async fn report(&self, holder: &str, gauges: Vec<Sample>) -> Result<(), PortError>;

    /// What all isolates have counted, and what they have now.
    async fn read(&self) -> Result<Vec<Sample>, PortError>;
}
