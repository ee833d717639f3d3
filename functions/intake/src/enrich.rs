//! Fills what the platform or the request knows and an event lacks, before validation, as eventgate-wikimedia does
//! (`makeSetCustomDefaults`).

use std::collections::HashMap;
use std::net::IpAddr;

use eventstar_event::EventText;
use eventstar_event::json::quote;
use eventstar_http_api::{Request, query_value};
use eventstar_ports::{ClientAddress, Config, Platform};
use eventstar_stream_config::Stream;
use eventstar_validation::Schema;
use http::HeaderMap;
use ipnet::IpNet;
use serde_json::{Map, Value};

/// Longest text taken from a header, in characters.
pub(crate) const MAX_HEADER_CHARS: usize = 400;

/// What a request says of all its events, beside them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Said {
    /// `?schema_uri=`, for events without `$schema`.
    schema_uri: Option<String>,
    /// `?stream=`, for events without `meta.stream`.
    stream: Option<String>,
    /// Header values by name.
    headers: HashMap<String, String>,
    /// `X-Experiment-Enrollments`, whole.
    enrollments: Option<String>,
    /// The client's address.
    client_ip: Option<IpAddr>,
}

impl Said {
    /// By its query and its headers.
    pub(crate) fn by(request: &Request, config: &impl Config) -> Self {
        let parameter = |name| query_value(request.uri(), name).filter(|value| !value.is_empty());
        Self {
            schema_uri: parameter("schema_uri"),
            stream: parameter("stream"),
            ..Self::by_headers(request, config)
        }
    }

    /// By its headers alone, where the query is the event.
    pub(crate) fn by_headers(request: &Request, config: &impl Config) -> Self {
        Self {
            schema_uri: None,
            stream: None,
            headers: texts(request.headers()),
            enrollments: request
                .headers()
                .get("x-experiment-enrollments")
                .map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()),
            client_ip: client_ip(request, config),
        }
    }

    /// The value of a header, cut to 400 characters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    /// The header that names the experiments someone takes part in.
    pub(crate) fn enrollments(&self) -> Option<&str> {
        self.enrollments.as_deref()
    }

    /// The client's address.
    pub(crate) fn client_ip(&self) -> Option<IpAddr> {
        self.client_ip
    }

    /// Gives an event the schema URI and the stream of the query, where it has none.
    pub(crate) fn name(&self, text: &mut EventText, value: &mut Value) {
        for (path, said) in [
            (&["$schema"][..], &self.schema_uri),
            (&["meta", "stream"], &self.stream),
        ] {
            if let Some(said) = said {
                set_where_missing(text, value, path, || said.clone());
            }
        }
    }
}

/// The headers that can be an event's: not those that carry a secret.
fn texts(headers: &HeaderMap) -> HashMap<String, String> {
    headers
        .iter()
        .filter(|(name, _)| !["authorization", "cookie", "proxy-authorization"].contains(&name.as_str()))
        .map(|(name, value)| {
            let text = String::from_utf8_lossy(value.as_bytes());
            (
                name.as_str().to_owned(),
                text.chars().take(MAX_HEADER_CHARS).collect(),
            )
        })
        .collect()
}

/// The address the platform saw. Behind one of the `TRUSTED_PROXIES` it is the proxy's, which then says whose the request
/// is: `X-Client-IP`, else the leftmost of `X-Forwarded-For`.
fn client_ip(request: &Request, config: &impl Config) -> Option<IpAddr> {
    let ClientAddress(seen) = *request.extensions().get()?;
    let proxies = config.get("TRUSTED_PROXIES").unwrap_or_default();
    let is_proxy = proxies
        .split([',', ' '])
        .any(|proxy| proxy.parse() == Ok(seen) || proxy.parse().is_ok_and(|net: IpNet| net.contains(&seen)));
    let told = |name: &str| {
        let text = request.headers().get(name)?.to_str().ok()?;
        text.split(',').next()?.trim().parse().ok()
    };
    let told = told("x-client-ip")
        .or_else(|| told("x-forwarded-for"))
        .filter(|_| is_proxy);
    Some(told.unwrap_or(seen))
}

/// Fills `meta.id`, `meta.dt`, `dt` (legacy schemas), `http.client_ip` and the fields the stream takes from headers, where the schema
/// declares them and the event lacks them.
pub(crate) fn fill<P: Platform>(
    platform: &P,
    schema: &Schema,
    stream: Option<&Stream>,
    said: &Said,
    text: &mut EventText,
    value: &mut Value,
    now: &str,
) {
    let mut set = |path: &[&str], new: &dyn Fn() -> String| {
        if schema.takes(path) {
            set_where_missing(text, value, path, new);
        }
    };
    let now = || now.to_owned();
    set(&["meta", "id"], &|| {
        uuid::Builder::from_random_bytes(platform.random())
            .into_uuid()
            .to_string()
    });
    set(&["meta", "dt"], &now);
    if schema
        .title()
        .is_some_and(|title| title.starts_with("analytics/legacy"))
    {
        set(&["dt"], &now);
    }
    for (path, header) in stream
        .map(|stream| stream.header_fields.as_slice())
        .unwrap_or_default()
    {
        if let Some(said) = said.headers.get(header) {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            set(&path, &|| said.clone());
        }
    }
    if let Some(address) = said.client_ip {
        set(&["http", "client_ip"], &|| address.to_string());
    }
}

/// Sets a member the event lacks; not below something that is no object, which validation then refuses.
fn set_where_missing(text: &mut EventText, value: &mut Value, path: &[&str], new: impl Fn() -> String) {
    if let Some(missing) = missing(value, path) {
        let new = new();
        text.set(path, &quote(&new));
        missing.insert(
            path.last().copied().unwrap_or_default().to_owned(),
            Value::from(new),
        );
    }
}

/// The object that lacks the member at `path`, made if need be; `None` when the member is there or cannot be.
fn missing<'v>(value: &'v mut Value, path: &[&str]) -> Option<&'v mut Map<String, Value>> {
    let (last, parents) = path.split_last()?;
    let mut at = value;
    for name in parents {
        at = at
            .as_object_mut()?
            .entry(*name)
            .or_insert_with(|| Value::Object(Map::new()));
    }
    at.as_object_mut().filter(|object| !object.contains_key(*last))
}
