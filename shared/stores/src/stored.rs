//! What stands under the keys of edge KV.

use std::collections::BTreeMap;

use eventstar_event::time::Millis;
use eventstar_ports::PortError;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// The version of all documents here.
pub(crate) const FORMAT: u32 = 1;

/// A schema version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SchemaDocument {
    /// The format's version.
    pub v: u32,
    /// The repository.
    pub repository: String,
    /// The title.
    pub title: String,
    /// The version, `x.y.z`; also under `latest`.
    pub version: String,
    /// When it was published.
    pub published: Millis,
    /// The JSON text.
    pub json: String,
    /// The YAML text, where the repository holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<String>,
}

/// The versions of a title, ascending.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct VersionsDocument {
    /// The format's version.
    pub v: u32,
    /// `x.y.z`, ascending by semver.
    pub versions: Vec<String>,
}

/// What a repository holds.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct IndexDocument {
    /// The format's version.
    pub v: u32,
    /// Versions by title, ascending by semver.
    pub titles: BTreeMap<String, Vec<String>>,
    /// What listings tell of a version, by title and version; older writers did not keep it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub files: BTreeMap<String, BTreeMap<String, FileNote>>,
}

/// What a listing tells of a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct FileNote {
    /// When it was published.
    pub published: Millis,
    /// The size of the JSON text in bytes.
    pub json: usize,
    /// The size of the YAML text, where the repository holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub yaml: Option<usize>,
}

/// A revision of a schema page of EventLogging.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RevisionDocument {
    /// The format's version.
    pub v: u32,
    /// The page's title, without its namespace.
    pub title: String,
    /// The revision's id, unique among all pages.
    pub revision: u64,
    /// When it was published.
    pub published: Millis,
    /// The schema's JSON text.
    pub json: String,
}

/// The stream config.
#[derive(Debug, Serialize, Deserialize)]
pub struct StreamConfigDocument {
    /// The format's version.
    pub v: u32,
    /// The config's version: 1, 2, …
    pub version: u64,
    /// When it was published.
    pub published: Millis,
    /// The config's JSON text.
    pub config: Box<RawValue>,
}

/// Reads a stored document.
///
/// # Errors
/// A `Corrupt` error naming `key`.
pub fn decode<T: DeserializeOwned>(key: &str, value: &[u8]) -> Result<T, PortError> {
    serde_json::from_slice(value).map_err(|error| PortError::corrupt("kv", format!("{key}: {error}")))
}

/// Writes a document.
pub(crate) fn encode<T: Serialize>(key: &str, document: &T) -> Result<Vec<u8>, PortError> {
    serde_json::to_vec(document).map_err(|error| PortError::corrupt("kv", format!("{key}: {error}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Documents as format 1 stores them: must stay readable for as long as format 2 is current.
    #[test]
    fn documents_of_format_1_read_and_write_back_to_the_same_bytes() {
        let schema = r#"{"v":1,"repository":"primary","title":"a/b","version":"1.0.0","published":5,"json":"{}","yaml":"x: y"}"#;
        let read: SchemaDocument = decode("k", schema.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), schema.as_bytes());
        let schema = r#"{"v":1,"repository":"one","title":"a","version":"1.0.0","published":5,"json":"{}"}"#;
        let read: SchemaDocument = decode("k", schema.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), schema.as_bytes());
        let config = r#"{"v":1,"version":3,"published":5,"config":{"b":1.0,"a":{}}}"#;
        let read: StreamConfigDocument = decode("k", config.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), config.as_bytes());
        let index = r#"{"v":1,"titles":{"a/b":["1.0.0","1.10.0"]}}"#;
        let read: IndexDocument = decode("k", index.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), index.as_bytes());
        let index = r#"{"v":1,"titles":{"a/b":["1.0.0"]},"files":{"a/b":{"1.0.0":{"published":5,"json":2,"yaml":4}}}}"#;
        let read: IndexDocument = decode("k", index.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), index.as_bytes());
        let revision = r#"{"v":1,"title":"Test","revision":7,"published":5,"json":"{}"}"#;
        let read: RevisionDocument = decode("k", revision.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), revision.as_bytes());
        let versions = r#"{"v":1,"versions":["1.0.0"]}"#;
        let read: VersionsDocument = decode("k", versions.as_bytes()).unwrap();
        assert_eq!(encode("k", &read).unwrap(), versions.as_bytes());
    }
}
