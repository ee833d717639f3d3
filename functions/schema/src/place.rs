//! Reading paths.

use eventstar_event::SchemaUri;

/// Longest name of a repository, as publishing has it.
const MAX_REPOSITORY_BYTES: usize = 50;

/// What a path below `/repositories` names.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Place<'a> {
    /// Its segments after `repositories`.
    pub(crate) segments: Vec<&'a str>,
    /// Whether it ends with `/`.
    pub(crate) is_folder: bool,
}

impl<'a> Place<'a> {
    /// Reads a decoded path. Several `/` count as one, as with nginx, since EventGate joins a base that ends with `/` with a
    /// schema URI that begins with it. `None` when a segment is no name, as `..` is not.
    pub(crate) fn of(path: &'a str) -> Option<Self> {
        let rest = path.strip_prefix("/repositories")?;
        let segments: Vec<&str> = rest.split('/').filter(|segment| !segment.is_empty()).collect();
        let repository_fits = segments
            .first()
            .is_none_or(|name| name.len() <= MAX_REPOSITORY_BYTES);
        (repository_fits && segments.iter().all(|segment| is_name(segment))).then(|| Self {
            segments,
            is_folder: rest.ends_with('/'),
        })
    }

    /// The schema version that it names, if it looks like one.
    pub(crate) fn version(&self) -> Option<SchemaUri> {
        if self.is_folder {
            return None;
        }
        let (_, file) = self.segments.split_at_checked(2)?;
        let uri = SchemaUri::parse(&file.join("/")).ok()?;
        let is_version = uri.is_latest() || uri.version().starts_with(|c: char| c.is_ascii_digit());
        is_version.then_some(uri)
    }
}

fn is_name(segment: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    segment.bytes().all(fits) && segment != "." && segment != ".."
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_read_as_nginx_does_and_none_leaves_the_repositories() {
        for (path, expected) in [
            ("/repositories", Some(("", false))),
            ("/repositories/", Some(("", true))),
            (
                "/repositories/one/jsonschema//a/b/1.0.0",
                Some(("one jsonschema a b 1.0.0", false)),
            ),
            ("/repositories//one//", Some(("one", true))),
            ("/repositories/one/../two", None),
            ("/repositories/./one", None),
            ("/repositories/one/a b", None),
            ("/repositories/one/a\\b", None),
            ("/repositories/one/\u{0}", None),
            ("/other", None),
        ] {
            let place = Place::of(path);
            let shown = place.map(|place| (place.segments.join(" "), place.is_folder));
            let expected = expected.map(|(segments, is_folder)| (segments.to_owned(), is_folder));
            assert_eq!(shown, expected, "{path}");
        }
        assert!(Place::of(&format!("/repositories/{}", "a".repeat(51))).is_none());
    }

    #[test]
    fn versions_are_told_from_folders() {
        for (path, expected) in [
            ("one/jsonschema/a/1.0.0", Some("/a/1.0.0")),
            ("one/jsonschema/a/1.10.0.yaml", Some("/a/1.10.0")),
            ("one/jsonschema/a/latest.json", Some("/a/latest")),
            ("one/jsonschema/a/latest/", None),
            ("one/jsonschema/a/current.yaml", None),
            ("one/jsonschema/1.0.0", None),
            ("one", None),
        ] {
            let path = format!("/repositories/{path}");
            let uri = Place::of(&path).and_then(|place| place.version());
            assert_eq!(uri.map(|uri| uri.to_string()).as_deref(), expected, "{path}");
        }
    }
}
