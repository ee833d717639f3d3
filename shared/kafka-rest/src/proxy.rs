//! A proxy: where it is, how it is spoken to.

use bytes::Bytes;
use http::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{Method, Request, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::Dialect;

/// The content type of answers and of requests without records.
pub(crate) const PLAIN: &str = "application/vnd.kafka.v2+json";

/// The content type of records whose keys and values are base64. Strimzi compares the whole text.
pub(crate) const BINARY: &str = "application/vnd.kafka.binary.v2+json";

const AGENT: &str = concat!("eventstar/", env!("CARGO_PKG_VERSION"), " (kafka-rest)");

/// What stands for itself in a segment of a path.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A Kafka REST proxy.
#[derive(Debug, Clone)]
pub struct Proxy {
    /// Scheme, authority and path, without a slash at the end.
    base: String,
    dialect: Dialect,
    authorization: Option<HeaderValue>,
}

/// What a proxy cannot be spoken to with. No text has the authorization in it, nor the URL, where it may stand, too.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ProxyError {
    /// Not an absolute URL with `http` or `https`.
    #[error(
        "the URL of the Kafka REST proxy is no http(s) URL: use one like https://bridge.example.org:8080"
    )]
    NoUrl,
    /// A user or a password in the URL.
    #[error("the URL of the Kafka REST proxy has a user in it: put it into the Authorization header instead")]
    UserInfo,
    /// A query or a fragment in the URL.
    #[error(
        "the URL of the Kafka REST proxy has a query or a fragment: leave out '?' and '#' and what follows"
    )]
    Query,
    /// An authorization that fits no header.
    #[error(
        "the authorization of the Kafka REST proxy is no header value: use one line of ASCII, like 'Bearer abc'"
    )]
    Authorization,
}

impl Proxy {
    /// The proxy at `url`, whose path is kept; `authorization`, if there is one, is sent as the header `Authorization`.
    ///
    /// # Errors
    /// [`ProxyError`].
    pub fn new(url: &str, dialect: Dialect, authorization: Option<&str>) -> Result<Self, ProxyError> {
        // `Uri` drops a fragment without a word.
        if url.contains(['?', '#']) {
            return Err(ProxyError::Query);
        }
        let uri: Uri = url.parse().map_err(|_| ProxyError::NoUrl)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(ProxyError::NoUrl);
        };
        if authority.as_str().contains('@') {
            return Err(ProxyError::UserInfo);
        }
        let authorization = authorization.map(|text| {
            let mut value = HeaderValue::from_str(text).map_err(|_| ProxyError::Authorization)?;
            // Left out wherever headers are shown.
            value.set_sensitive(true);
            Ok(value)
        });
        Ok(Self {
            base: format!("{scheme}://{authority}{}", uri.path().trim_end_matches('/')),
            dialect,
            authorization: authorization.transpose()?,
        })
    }

    /// Which API it has.
    #[must_use]
    pub fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// A request for the path of `segments` below the base.
    pub(crate) fn request(&self, method: Method, segments: &[&str], query: &str) -> Request<Bytes> {
        let mut uri = self.base.clone();
        for segment in segments {
            uri.push('/');
            uri.extend(utf8_percent_encode(segment, SEGMENT));
        }
        uri.push_str(query);
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = method;
        // A URI, more segments of what may stand in one, and a query of numbers: that is a URI.
        *request.uri_mut() = uri.parse().unwrap_or_default();
        let headers = request.headers_mut();
        headers.insert(USER_AGENT, HeaderValue::from_static(AGENT));
        headers.insert(ACCEPT, HeaderValue::from_static(PLAIN));
        if let Some(authorization) = &self.authorization {
            headers.insert(AUTHORIZATION, authorization.clone());
        }
        request
    }

    /// The same with a body.
    pub(crate) fn post(&self, segments: &[&str], content_type: &'static str, body: Bytes) -> Request<Bytes> {
        let mut request = self.request(Method::POST, segments, "");
        request
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        *request.body_mut() = body;
        request
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxy(url: &str) -> Result<Proxy, ProxyError> {
        Proxy::new(url, Dialect::Strimzi, None)
    }

    #[test]
    fn requests_go_below_the_base() {
        for (url, expected) in [
            ("http://a.org", "http://a.org/topics/a.b-c_d"),
            ("https://a.org:8080/", "https://a.org:8080/topics/a.b-c_d"),
            ("http://[::1]:80/x/y/", "http://[::1]:80/x/y/topics/a.b-c_d"),
        ] {
            let request = proxy(url)
                .unwrap()
                .request(Method::GET, &["topics", "a.b-c_d"], "");
            assert_eq!(request.uri(), expected);
            assert!(!request.headers().contains_key(AUTHORIZATION));
        }
        let request = proxy("http://a.org")
            .unwrap()
            .request(Method::GET, &["topics", "a/b?c#d é"], "");
        assert_eq!(request.uri(), "http://a.org/topics/a%2Fb%3Fc%23d%20%C3%A9");
    }

    #[test]
    fn a_url_that_leads_to_no_proxy_is_refused() {
        use ProxyError::{NoUrl, Query, UserInfo};
        for (url, error) in [
            ("", NoUrl),
            ("/kafka", NoUrl),
            ("bridge:8080", NoUrl),
            ("ftp://a.org", NoUrl),
            ("http://", NoUrl),
            ("http://a b", NoUrl),
            ("http://u:p@a.org", UserInfo),
            ("http://u@a.org/x", UserInfo),
            ("http://a.org/x?y", Query),
            ("http://a.org/x?", Query),
            ("http://a.org/#x", Query),
        ] {
            assert_eq!(proxy(url).unwrap_err(), error, "{url}");
        }
    }

    #[test]
    fn the_authorization_is_sent_and_never_shown() {
        let secret = "Bearer s3cret";
        let proxy = Proxy::new("http://a.org", Dialect::Strimzi, Some(secret)).unwrap();
        let request = proxy.produce("t", &[]);
        assert_eq!(request.headers()[AUTHORIZATION], secret);
        let shown = format!("{proxy:?} {request:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        let error = Proxy::new("http://a.org", Dialect::Strimzi, Some("s3cret\n")).unwrap_err();
        assert_eq!(error, ProxyError::Authorization);
        assert!(!error.to_string().contains("s3cret"));
    }
}
