//! Dates in headers, and conditional requests by them.

use eventstar_event::time::{Millis, instant_from_http};
use http::HeaderMap;
use http::header::{HeaderValue, IF_MODIFIED_SINCE, IF_NONE_MATCH, LAST_MODIFIED};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::{Response, not_modified};

/// The text of a date in HTTP: `Wed, 25 Nov 2026 00:00:00 GMT`. What has no such date (past the year 9999) is the epoch.
#[must_use]
pub fn http_date(at: Millis) -> String {
    let at = i64::try_from(at / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH);
    at.format(&Rfc2822).unwrap_or_default().replace("+0000", "GMT")
}

/// Adds `Last-Modified`.
#[must_use]
pub fn with_last_modified(mut response: Response, at: Millis) -> Response {
    if let Ok(value) = HeaderValue::from_str(&http_date(at)) {
        response.headers_mut().insert(LAST_MODIFIED, value);
    }
    response
}

/// Whether 304 is the answer for something with the tag `etag` that was last modified `at`: `If-Modified-Since` counts only
/// without `If-None-Match`, and only in whole seconds (RFC 9110, 13.1.3).
#[must_use]
pub fn unchanged(headers: &HeaderMap, etag: &str, at: Millis) -> bool {
    if headers.contains_key(IF_NONE_MATCH) {
        return not_modified(headers, etag);
    }
    headers
        .get(IF_MODIFIED_SINCE)
        .and_then(|value| instant_from_http(value.to_str().ok()?))
        .is_some_and(|since| Millis::try_from(since).is_ok_and(|since| since / 1000 >= at / 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    const AT: Millis = 1_795_564_800_999;
    const DATE: &str = "Wed, 25 Nov 2026 00:00:00 GMT";

    #[test]
    fn dates_have_the_form_of_http() {
        assert_eq!(http_date(AT), DATE);
        assert_eq!(http_date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(http_date(Millis::MAX), "Thu, 01 Jan 1970 00:00:00 GMT");
    }

    #[test]
    fn what_was_not_modified_since_is_unchanged_unless_a_tag_is_named() {
        for (tag, since, expected) in [
            (None, Some(DATE), true),
            (None, Some("Wed, 25 Nov 2026 00:00:01 GMT"), true),
            (None, Some("Tue, 24 Nov 2026 23:59:59 GMT"), false),
            (None, Some("Wednesday, 25-Nov-26 00:00:00 GMT"), true),
            (None, Some("Wed Nov 25 00:00:00 2026"), true),
            (None, Some("Tue Nov 24 23:59:59 2026"), false),
            (None, Some("yesterday"), false),
            (None, Some("Wed, 31 Dec 1969 23:59:59 GMT"), false),
            (None, None, false),
            (Some("\"a\""), None, true),
            (Some("\"b\""), Some(DATE), false),
        ] {
            let mut headers = HeaderMap::new();
            if let Some(tag) = tag {
                headers.insert(IF_NONE_MATCH, tag.parse().unwrap());
            }
            if let Some(since) = since {
                headers.insert(IF_MODIFIED_SINCE, since.parse().unwrap());
            }
            assert_eq!(unchanged(&headers, "a", AT), expected, "{tag:?} {since:?}");
        }
    }
}
