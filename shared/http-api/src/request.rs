//! Reading requests.

use std::borrow::Cow;

use http::Uri;

/// The path of a request within its function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Routed<'a> {
    /// The path, beginning with `/`.
    pub path: &'a str,
    /// Whether the request named the function (`/intake/…`), so that `/` is the function's own root.
    pub named: bool,
}

/// Takes `/<function>` off a path: on a shared origin every function also answers below its name.
#[must_use]
pub fn route<'a>(function: &str, uri: &'a Uri) -> Routed<'a> {
    let path = uri.path();
    match path
        .strip_prefix('/')
        .and_then(|path| path.strip_prefix(function))
    {
        Some("") => Routed {
            path: "/",
            named: true,
        },
        Some(rest) if rest.starts_with('/') => Routed {
            path: rest,
            named: true,
        },
        _ => Routed { path, named: false },
    }
}

/// The query's pairs, decoded.
#[must_use]
pub fn query(uri: &Uri) -> Vec<(String, String)> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .into_owned()
        .collect()
}

/// The first value of a query parameter, decoded.
#[must_use]
pub fn query_value(uri: &Uri, name: &str) -> Option<String> {
    form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes())
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.into_owned())
}

/// A path segment, percent-decoded; `None` when it is not UTF-8.
#[must_use]
pub fn decode_segment(segment: &str) -> Option<Cow<'_, str>> {
    percent_encoding::percent_decode_str(segment).decode_utf8().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_function_answers_at_the_root_and_below_its_name() {
        for (uri, path, named) in [
            ("/v1/events", "/v1/events", false),
            ("/intake/v1/events", "/v1/events", true),
            ("/intake", "/", true),
            ("/intakes/x", "/intakes/x", false),
            ("/", "/", false),
        ] {
            assert_eq!(
                route("intake", &uri.parse().unwrap()),
                Routed { path, named },
                "{uri}"
            );
        }
    }

    #[test]
    fn query_values_are_decoded() {
        let uri: Uri = "/x?a=1%202&b&a=3".parse().unwrap();
        assert_eq!(query_value(&uri, "a").as_deref(), Some("1 2"));
        assert_eq!(query_value(&uri, "b").as_deref(), Some(""));
        assert_eq!(query_value(&uri, "c"), None);
        assert_eq!(query(&uri).len(), 3);
    }
}
