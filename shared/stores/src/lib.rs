//! The platform's stores, written once over the ports: the stream log, the registry, the outbox, and the cached reads
//! of schemas and stream config.
//!
//! A host gives SQL, KV and time; everything stored has its form here. Every stored form carries a version.

mod configs;
mod expiring;
pub mod keys;
mod leases;
mod log;
mod metrics;
mod object;
pub mod object_api;
mod outages;
mod outbox;
mod poll;
mod readiness;
mod registry;
mod schemas;
mod settings;
mod stored;
mod tails;
mod upstream;
mod version;

pub use configs::{ConfigCache, Configs};
pub use leases::{SqlLeases, lease_object};
pub use log::{SqlLog, retry_window};
pub use metrics::{SqlMetrics, metrics_object};
pub use object::{LogObject, registry_object};
pub use outages::ReadFailure;
pub use outbox::{OutboxMessage, SqlOutbox, drain_in_rounds};
pub use poll::{PolledLog, follow_by_polling};
pub use readiness::{Missing, Needs, Readiness, StreamNeeds};
pub use registry::{SqlRegistry, page_title};
pub use schemas::{LatestChecks, SchemaCache, SchemaLookup, load_schemas, read_many_through, read_through};
pub use settings::{bad_entries, bad_number, bad_origins, bad_proxies, bad_setting, bad_settings};
pub use stored::{
    FileNote, IndexDocument, RevisionDocument, SchemaDocument, StreamConfigDocument, VersionsDocument, decode,
};
pub use tails::Tails;
pub use upstream::{UpstreamMemory, UpstreamRegistry};
pub use version::{VersionFromNow, VersionReader};

/// How often a follower hears that nothing happened.
pub const HEARTBEAT: std::time::Duration = std::time::Duration::from_secs(15);
