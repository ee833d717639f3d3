//! Cross-origin access: any origin without credentials, those of the setting `CORS_ORIGINS` with them.
//!
//! `sendBeacon`, and an `EventSource` with `withCredentials`, send cookies, so a browser lets a page read the answer only
//! when it names the page's origin.

use eventstar_ports::Config;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_ORIGIN, HeaderValue, ORIGIN, VARY,
};

use crate::{Request, Response};

/// Names the request's origin in the answer, if it may send credentials.
#[must_use]
pub fn with_credentials(mut response: Response, request: &Request, config: &impl Config) -> Response {
    let headers = response.headers_mut();
    let Some(allowed) = config.get("CORS_ORIGINS") else {
        return response;
    };
    // What is answered depends on the origin, so a cache must not give it to another.
    headers.append(VARY, HeaderValue::from_static("origin"));
    let origin = request.headers().get(ORIGIN);
    let named = origin.and_then(|origin| origin.to_str().ok());
    if let (Some(origin), Some(named)) = (origin, named)
        && allowed.split([',', ' ']).any(|pattern| matches(pattern, named))
    {
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin.clone());
        headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, HeaderValue::from_static("true"));
    }
    response
}

/// Whether `origin` is `pattern`, or a subdomain of it for `https://*.example.org`.
fn matches(pattern: &str, origin: &str) -> bool {
    match pattern.split_once("://*.") {
        Some((scheme, domain)) => origin
            .strip_prefix(scheme)
            .and_then(|rest| rest.strip_prefix("://"))
            .and_then(|host| host.strip_suffix(domain))
            .and_then(|host| host.strip_suffix('.'))
            .is_some_and(|sub| {
                !sub.is_empty()
                    && sub
                        .bytes()
                        .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.')
            }),
        None => pattern == origin,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_is_named_whole_or_by_its_domain() {
        for (pattern, origin, expected) in [
            ("https://a.org", "https://a.org", true),
            ("https://a.org", "http://a.org", false),
            ("https://a.org", "https://a.org:8080", false),
            ("https://*.a.org", "https://en.a.org", true),
            ("https://*.a.org", "https://en.m.a.org", true),
            ("https://*.a.org", "https://a.org", false),
            ("https://*.a.org", "https://.a.org", false),
            ("https://*.a.org", "https://eva.org", false),
            ("https://*.a.org", "http://en.a.org", false),
            ("https://*.a.org", "https://evil.org/.a.org", false),
            ("https://*.a.org", "https://user@en.a.org", false),
            ("", "null", false),
        ] {
            assert_eq!(matches(pattern, origin), expected, "{pattern} {origin}");
        }
    }
}
