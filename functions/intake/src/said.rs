//! What a request says of all its events, beside them: its query and its headers.

use std::borrow::Cow;
use std::net::IpAddr;

use eventstar_event::Document;
use eventstar_event::json::quote;
use eventstar_http_api::{Request, client_address, query_value};
use eventstar_ports::Config;
use http::HeaderMap;

/// Longest text taken from a header, in characters.
pub(crate) const MAX_HEADER_CHARS: usize = 400;

/// Headers that carry a secret: no event gets them.
const SECRET: [&str; 3] = ["authorization", "cookie", "proxy-authorization"];

/// What a request says of all its events.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said<'r> {
    /// `?schema_uri=`, for events without `$schema`.
    schema_uri: Option<String>,
    /// `?stream=`, for events without `meta.stream`.
    stream: Option<String>,
    /// Its headers; `None` where nobody sent any.
    headers: Option<Cow<'r, HeaderMap>>,
    /// The client's address.
    client_ip: Option<IpAddr>,
}

impl<'r> Said<'r> {
    /// By its query and its headers.
    pub(crate) fn by(request: &'r Request, config: &impl Config) -> Self {
        let parameter = |name| query_value(request.uri(), name).filter(|value| !value.is_empty());
        Self {
            schema_uri: parameter("schema_uri"),
            stream: parameter("stream"),
            ..Self::by_headers(request, config)
        }
    }

    /// By its headers alone, where the query is the event.
    pub(crate) fn by_headers(request: &'r Request, config: &impl Config) -> Self {
        Self {
            schema_uri: None,
            stream: None,
            headers: Some(Cow::Borrowed(request.headers())),
            client_ip: client_address(request, config),
        }
    }

    /// The same, to be used after the request.
    pub(crate) fn into_owned(self) -> Said<'static> {
        Said {
            schema_uri: self.schema_uri,
            stream: self.stream,
            headers: self.headers.map(|headers| Cow::Owned(headers.into_owned())),
            client_ip: self.client_ip,
        }
    }

    /// The value of a header that carries no secret, cut to 400 characters.
    pub(crate) fn header(&self, name: &str) -> Option<Cow<'_, str>> {
        if SECRET.contains(&name) {
            return None;
        }
        let text = self.text(name)?;
        Some(match text.char_indices().nth(MAX_HEADER_CHARS) {
            Some((end, _)) => Cow::Owned(text.get(..end).unwrap_or_default().to_owned()),
            None => text,
        })
    }

    /// The header that names the experiments someone takes part in, whole.
    pub(crate) fn enrollments(&self) -> Option<Cow<'_, str>> {
        self.text("x-experiment-enrollments")
    }

    fn text(&self, name: &str) -> Option<Cow<'_, str>> {
        let value = self.headers.as_ref()?.get(name)?;
        Some(String::from_utf8_lossy(value.as_bytes()))
    }

    /// The client's address.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// Gives an event the schema URI and the stream of the query, where it has none.
    pub(crate) fn name(&self, event: &mut Document<'_>) {
        if let Some(uri) = &self.schema_uri {
            event.add(&["$schema"], || quote(uri));
        }
        if let Some(stream) = &self.stream {
            event.add(&["meta", "stream"], || quote(stream));
        }
    }
}
