//! The keys of edge KV. The version in a key is that of the value's format.

use eventstar_event::SchemaUri;

/// The stream config: a [`crate::StreamConfigDocument`].
pub const STREAM_CONFIG: &str = "stream-config/v1";

/// The repositories' names in lookup order: a JSON array.
pub const REPOSITORIES: &str = "repositories/v1";

/// A schema version in one repository: a [`crate::SchemaDocument`]; `latest` is stored like a version.
#[must_use]
pub fn schema(repository: &str, uri: &SchemaUri) -> String {
    format!("schema/v1/{repository}{uri}")
}

/// A schema version in the first repository that has it, so that intake needs one read: a [`crate::SchemaDocument`].
#[must_use]
pub fn uri(uri: &SchemaUri) -> String {
    format!("uri/v1{uri}")
}

/// The versions of a title in one repository: a [`crate::VersionsDocument`].
#[must_use]
pub fn versions(repository: &str, title: &str) -> String {
    format!("versions/v1/{repository}/{title}")
}

/// A revision of a schema page of EventLogging: a [`crate::RevisionDocument`].
#[must_use]
pub fn revision(id: u64) -> String {
    format!("revision/v1/{id}")
}

/// The newest revision of a schema page of EventLogging: a [`crate::RevisionDocument`].
#[must_use]
pub fn newest_revision(title: &str) -> String {
    format!("newest-revision/v1/{title}")
}

/// All titles and versions of one repository: an [`crate::IndexDocument`].
#[must_use]
pub fn index(repository: &str) -> String {
    format!("index/v1/{repository}")
}
