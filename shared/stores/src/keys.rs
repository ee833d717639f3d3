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

/// The schema that a key is of, after its repository where the key names one; `None` for the keys of anything else.
pub(crate) fn parse_schema(key: &str) -> Option<(Option<&str>, SchemaUri)> {
    let (repository, uri) = match key.strip_prefix("uri/v1/") {
        Some(uri) => (None, uri),
        None => {
            let (repository, uri) = key.strip_prefix("schema/v1/")?.split_once('/')?;
            (Some(repository), uri)
        }
    };
    Some((repository, SchemaUri::parse(uri).ok()?))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_of_schemas_are_read_back_and_no_others() {
        let schema_uri = SchemaUri::parse("/a/b/1.0.0").unwrap();
        assert_eq!(parse_schema(&uri(&schema_uri)), Some((None, schema_uri.clone())));
        let key = schema("one", &schema_uri);
        assert_eq!(parse_schema(&key), Some((Some("one"), schema_uri)));
        for key in [
            STREAM_CONFIG,
            REPOSITORIES,
            "schema/v1/one",
            "schema/v1/one/a",
            &versions("one", "a/b"),
            &index("one"),
        ] {
            assert_eq!(parse_schema(key), None, "{key}");
        }
    }
}
