//! The registry: the one writer of schemas and stream config.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::PortError;

/// One schema version to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaFile {
    /// The title: the path below the repository's base (`test/event`).
    pub title: String,
    /// The version, `x.y.z`.
    pub version: String,
    /// The schema as JSON text.
    pub json: String,
    /// The schema as YAML text, where the repository holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
}

/// One revision of a schema page of EventLogging to publish.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaRevision {
    /// The page's title, without its namespace (`NavigationTiming`).
    pub title: String,
    /// The revision's id, unique among all pages.
    pub revision: u64,
    /// The schema as JSON text.
    pub json: String,
}

/// What is asked of the registry.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryRequest {
    /// Publish schema versions into a repository: all or none.
    PublishSchemas {
        /// The repository's name.
        repository: String,
        /// The versions.
        schemas: Vec<SchemaFile>,
    },
    /// What [`RegistryRequest::PublishSchemas`] would do, without doing it.
    PlanSchemas {
        /// The repository's name.
        repository: String,
        /// The versions.
        schemas: Vec<SchemaFile>,
    },
    /// Publish revisions of EventLogging's schema pages: all or none.
    PublishRevisions {
        /// The revisions.
        schemas: Vec<SchemaRevision>,
    },
    /// Publish the stream config.
    PublishStreamConfig {
        /// The version that must be current: 0 for none yet, `None` for any.
        if_match: Option<u64>,
        /// The config, JSON text.
        config: Box<RawValue>,
    },
    /// Publish an earlier version of the stream config once more, as the next version.
    RollbackStreamConfig {
        /// The version that must be current; `None` for any.
        if_match: Option<u64>,
        /// The version to publish once more.
        version: u64,
    },
    /// The values the registry has written, or will write, under KV keys.
    Lookup {
        /// The KV keys.
        keys: Vec<String>,
    },
    /// Look whether upstreams have newer versions than `latest` under these keys of schemas, at most once a minute for each.
    Refresh {
        /// The KV keys.
        keys: Vec<String>,
    },
    /// A version of the stream config; the current one for `None`.
    StreamConfig {
        /// The version.
        version: Option<u64>,
    },
    /// The stream config's versions, newest first, at most 100.
    StreamConfigHistory,
    /// The count of all that was published, which is cheap to ask for.
    Version,
    /// Write again to KV what a failure left unwritten.
    Flush,
}

/// The count of all that was published.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegistryVersion {
    /// The number of times that schemas were published; it only grows.
    pub schemas: u64,
    /// The version of the stream config: 0 while none is published.
    pub stream_config: u64,
}

/// A stream config as the registry holds it.
#[derive(Debug, Serialize, Deserialize)]
pub struct StoredConfig {
    /// Its version: 1, 2, …
    pub version: u64,
    /// When it was published, milliseconds since the epoch.
    pub published: u64,
    /// The config; `None` in a history.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<Box<RawValue>>,
}

/// What the registry answers.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Published {
    /// Schemas were published.
    Schemas {
        /// How many are new.
        published: usize,
        /// How many were there with the same bytes.
        unchanged: usize,
        /// Whether KV has all of it; if not, it is written again later.
        in_kv: bool,
    },
    /// What publishing schemas would do.
    Plan {
        /// The schema URIs that are new, in the order sent.
        new: Vec<String>,
        /// How many are there with the same bytes.
        unchanged: usize,
        /// The schema URIs that are there with other bytes: publishing them is refused.
        conflicting: Vec<String>,
    },
    /// A stream config was published.
    StreamConfig {
        /// The new version.
        version: u64,
        /// Whether KV has it.
        in_kv: bool,
    },
    /// KV values, in the order of the keys.
    Values(Vec<Option<Vec<u8>>>),
    /// The same where some could not be had; for logs, why.
    PartialValues(Vec<Result<Option<Vec<u8>>, String>>),
    /// Newer versions, if there are any, are published.
    Refreshed,
    /// A stream config, if there is one.
    Config(Option<StoredConfig>),
    /// The history.
    History(Vec<StoredConfig>),
    /// The count of all that was published.
    Version(RegistryVersion),
    /// How many KV writes are still owed.
    Flushed {
        /// Keys not yet written.
        owed: usize,
    },
}

/// Why the registry refuses.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RegistryError {
    /// Other bytes are published under this version.
    #[error(
        "{uri} is published with other content: a version never changes, so publish the change under a new one"
    )]
    Immutable {
        /// The schema URI.
        uri: String,
    },
    /// Another version of the stream config is current.
    #[error(
        "the stream config is at version {current}, not {expected}: read it again, then publish with If-Match: \"{current}\""
    )]
    VersionMismatch {
        /// The current version.
        current: u64,
        /// What the request named.
        expected: u64,
    },
    /// The stream config has no such version.
    #[error("the stream config has no version {version}: its history lists those there are")]
    UnknownVersion {
        /// The version named.
        version: u64,
    },
    /// What was sent is not fit to publish.
    #[error("{message}")]
    Invalid {
        /// What, why, and how to fix it.
        message: String,
    },
    /// The registry could not be reached or could not store.
    #[error("the registry is unavailable")]
    Unavailable {
        /// For logs.
        detail: String,
    },
}

impl From<PortError> for RegistryError {
    fn from(error: PortError) -> Self {
        Self::Unavailable {
            detail: error.to_string(),
        }
    }
}

/// The registry: one per deployment; it serialises publishing.
pub trait Registry {
    /// Asks the registry. Every request is idempotent.
    async fn ask(&self, request: RegistryRequest) -> Result<Published, RegistryError>;
}
