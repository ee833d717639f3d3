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
    let base = base_of(bases, document);
    if let Some(base) = base.filter(|_| reference.starts_with('/')) {
        return Some(format!("{base}{reference}"));
    }
    let document = Uri::parse(document).ok()?;
    let resolved = UriRef::parse(reference).ok()?.resolve_against(&document).ok()?;
    Some(resolved.into_string())
}

/// The base that a URL lies below, also once a server has taken `..` out of its path.
pub(crate) fn base_of<'b>(bases: &'b [String], url: &str) -> Option<&'b String> {
    let plain = Uri::parse(url).ok()?.normalize();
    let is_below = |base: &&String| {
        [url, plain.as_str()].iter().all(|url| {
            let below = url.strip_prefix(base.as_str());
            below.is_some_and(|rest| rest.starts_with('/'))
        })
    };
    bases.iter().filter(is_below).max_by_key(|base| base.len())
}

/// A base URL without a slash at its end, written as URLs below it are compared.
pub(crate) fn base(url: &str) -> String {
    let plain = Uri::parse(url).map_or_else(|_| url.to_owned(), |url| url.normalize().into_string());
    plain.trim_end_matches('/').to_owned()
}

/// Where a redirect leads; `None` where that is another server than it comes from.
pub fn redirect(url: &str, location: &str) -> Option<String> {
    let from = Uri::parse(url).ok()?;
    let to = UriRef::parse(location).ok()?.resolve_against(&from).ok()?;
    let same = to.scheme() == from.scheme()
        && to.authority().map(|to| to.as_str()) == from.authority().map(|from| from.as_str());
    same.then(|| to.into_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_is_below_a_base_only_where_its_server_sees_it_there() {
        let bases = ["https://a.org/one".to_owned(), "https://a.org/one/two".to_owned()];
        for (url, expected) in [
            ("https://a.org/one/x/1.0.0", Some("https://a.org/one")),
            ("https://a.org/one/two/x/1.0.0", Some("https://a.org/one/two")),
            ("https://a.org/one", None),
            ("https://a.org/onetwo/x", None),
            ("https://a.org/one/../secret", None),
            ("https://a.org/one/%2e%2E/secret", None),
            ("https://a.org.b.org/one/x", None),
            ("https://a.org@b.org/one/x", None),
            ("http://a.org/one/x", None),
            ("https://a.org:8443/one/x", None),
            ("http://169.254.169.254/latest/meta-data", None),
            ("https://a.org/one/a b", None),
        ] {
            assert_eq!(base_of(&bases, url).map(String::as_str), expected, "{url}");
        }
    }

    #[test]
    fn a_redirect_stays_on_its_server() {
        let url = "https://a.org/one/x";
        for (location, expected) in [
            ("y", Some("https://a.org/one/y")),
            ("/z", Some("https://a.org/z")),
            ("https://a.org/z", Some("https://a.org/z")),
            ("http://a.org/z", None),
            ("https://a.org:8443/z", None),
            ("//b.org/z", None),
            ("http://169.254.169.254/latest/meta-data", None),
            ("file:///etc/passwd", None),
            ("a b", None),
        ] {
            assert_eq!(redirect(url, location).as_deref(), expected, "{location}");
        }
    }

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
