//! The names of the field: streams, topics, schema URIs.

use std::fmt;

/// Longest stream or topic name, in bytes: Kafka's limit for a topic name.
pub const MAX_NAME_BYTES: usize = 249;

/// Longest schema URI, in bytes: keeps every KV key below Cloudflare's limit of 512 bytes.
pub const MAX_SCHEMA_URI_BYTES: usize = 400;

/// A name that does not have the form it must have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// A stream or topic name outside `[A-Za-z0-9_.-]{1,249}`.
    #[error("'{0}' is not a stream name: use 1 to 249 letters, digits, '_', '.', '-'")]
    Stream(String),
    /// A schema URI that is not `/<title>/<version>`.
    #[error("'{0}' is not a schema URI: use /<title>/<version>, for example /test/event/1.0.0")]
    SchemaUri(String),
}

fn is_name(text: &str) -> bool {
    (1..=MAX_NAME_BYTES).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-'))
        && text != "."
        && text != ".."
}

fn shorten(text: &str) -> String {
    text.chars().take(200).collect()
}

macro_rules! name_type {
    ($(#[$doc:meta])* $type:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $type(String);

        impl $type {
            /// Reads a name of the charset `[A-Za-z0-9_.-]`, 1 to 249 bytes.
            ///
            /// # Errors
            /// [`BadName::Stream`] for anything else.
            pub fn parse(text: &str) -> Result<Self, BadName> {
                if is_name(text) { Ok(Self(text.to_owned())) } else { Err(BadName::Stream(shorten(text))) }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name_type! {
    /// The name of a stream: what `meta.stream` holds.
    StreamName
}
name_type! {
    /// The name of a topic: a stream name, most often with a datacenter prefix (`eqiad.x`).
    Topic
}

/// A relative schema URI, `/<title>/<version>`: what `$schema` holds.
///
/// The version is `x.y.z`, or `latest`. An extension (`.yaml`, `.json`) and a leading `/` are optional when
/// read, and a trailing `#` is dropped: all name the same schema.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SchemaUri {
    title: String,
    version: String,
}

impl SchemaUri {
    /// Reads a schema URI.
    ///
    /// # Errors
    /// [`BadName::SchemaUri`] when there is a scheme, an empty, `.` or `..` segment, a character outside
    /// `[A-Za-z0-9_.-]`, fewer than two segments, or more than [`MAX_SCHEMA_URI_BYTES`].
    pub fn parse(text: &str) -> Result<Self, BadName> {
        let bad = || BadName::SchemaUri(shorten(text));
        if text.len() > MAX_SCHEMA_URI_BYTES {
            return Err(bad());
        }
        let path = text.strip_suffix('#').unwrap_or(text);
        let path = path.strip_prefix('/').unwrap_or(path);
        let (title, version) = path.rsplit_once('/').ok_or_else(bad)?;
        let version = version
            .strip_suffix(".yaml")
            .or_else(|| version.strip_suffix(".json"))
            .unwrap_or(version);
        if !title.split('/').all(is_name) || !is_name(version) {
            return Err(bad());
        }
        Ok(Self {
            title: title.to_owned(),
            version: version.to_owned(),
        })
    }

    /// The title: the path without the version (`mediawiki/page/change`).
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The version: `x.y.z` or `latest`.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the version moves (`latest`), so that what it names must be looked up again.
    #[must_use]
    pub fn is_latest(&self) -> bool {
        self.version == "latest"
    }
}

impl fmt::Display for SchemaUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "/{}/{}", self.title, self.version)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schema_uris_of_every_spelling_name_the_same_schema() {
        for text in [
            "/test/event/1.0.0",
            "test/event/1.0.0",
            "/test/event/1.0.0.yaml",
            "/test/event/1.0.0#",
        ] {
            assert_eq!(
                SchemaUri::parse(text).unwrap().to_string(),
                "/test/event/1.0.0",
                "{text}"
            );
        }
        assert!(SchemaUri::parse("/test/event/latest").unwrap().is_latest());
    }

    #[test]
    fn schema_uris_that_leave_the_repository_are_refused() {
        for text in [
            "",
            "/",
            "1.0.0",
            "/../1.0.0",
            "/a/../../etc/passwd",
            "http://example.org/a/1.0.0",
            "file:///etc/passwd",
            "/a//1.0.0",
            "/a/b@/1.0.0",
            "/a/\u{0}/1.0.0",
            "/a/%2e%2e/1.0.0",
        ] {
            assert!(SchemaUri::parse(text).is_err(), "{text}");
        }
        let long = format!("/{}/1.0.0", "a/".repeat(300));
        assert!(SchemaUri::parse(&long).is_err());
    }

    #[test]
    fn stream_names_have_a_charset_and_a_length() {
        assert!(StreamName::parse("mediawiki.page-change_v1").is_ok());
        assert!(StreamName::parse(&"a".repeat(MAX_NAME_BYTES)).is_ok());
        let long = "a".repeat(MAX_NAME_BYTES + 1);
        for text in ["", "a b", "a/b", "é", "..", long.as_str()] {
            assert!(StreamName::parse(text).is_err(), "{text}");
        }
    }
}
