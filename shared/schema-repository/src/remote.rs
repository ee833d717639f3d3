//! Schemas of other servers.

use fluent_uri::{Uri, UriRef};

/// Reads documents of other servers.
pub trait Remote {
    /// The text at a URL, `None` where the server has none; else why it cannot be had, as a fragment of a sentence.
    fn read(&self, url: &str) -> Result<Option<String>, String>;
}

/// Whether a reference names a server.
pub(crate) fn is_url(reference: &str) -> bool {
    reference.starts_with("https://") || reference.starts_with("http://")
}

/// What a reference in the document at a URL names; `None` where it is no reference.
///
/// In a repository a path that begins with `/` is one below its base, wherever the server has that.
pub(crate) fn resolve(bases: &[String], document: &str, reference: &str) -> Option<String> {
    let base = bases
        .iter()
        .filter(|base| {
            document
                .strip_prefix(base.as_str())
                .is_some_and(|rest| rest.starts_with('/'))
        })
        .max_by_key(|base| base.len());
    if let Some(base) = base.filter(|_| reference.starts_with('/')) {
        return Some(format!("{base}{reference}"));
    }
    let document = Uri::parse(document).ok()?;
    let resolved = UriRef::parse(reference).ok()?.resolve_against(&document).ok()?;
    Some(resolved.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_one_below_the_base_of_its_repository() {
        let bases = ["https://a.org/one".to_owned(), "https://a.org/one/two".to_owned()];
        for (document, reference, expected) in [
            (
                "https://a.org/one/x/1.0.0",
                "/y/1.0.0",
                "https://a.org/one/y/1.0.0",
            ),
            (
                "https://a.org/one/two/x/1.0.0",
                "/y/1.0.0",
                "https://a.org/one/two/y/1.0.0",
            ),
            (
                "https://a.org/onetwo/x/1.0.0",
                "/y/1.0.0",
                "https://a.org/y/1.0.0",
            ),
            ("https://a.org/one/x/1.0.0", "1.1.0", "https://a.org/one/x/1.1.0"),
            (
                "https://a.org/one/x/1.0.0",
                "../y/1.0.0",
                "https://a.org/one/y/1.0.0",
            ),
            ("https://a.org/one/x/1.0.0", "https://b.org/z", "https://b.org/z"),
        ] {
            assert_eq!(
                resolve(&bases, document, reference).as_deref(),
                Some(expected),
                "{reference}"
            );
        }
        assert_eq!(resolve(&bases, "https://a.org/one/x", "a b"), None);
    }
}
