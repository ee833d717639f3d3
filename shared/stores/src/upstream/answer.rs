//! What is asked of an upstream, and whether its answer is fit to be published.

use std::time::Duration;

use bytes::Bytes;
use eventstar_event::SchemaUri;
use eventstar_ports::{HttpLimits, SchemaFile};
use eventstar_yaml::{check_json, yaml_to_json};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderName, Request, Response, StatusCode};
use serde_json::Value;

use super::Upstream;

/// How long an upstream may take: who sent an event waits as long.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Largest schema that is taken, in bytes: with its other form it has to fit one stored document.
const MAX_BYTES: usize = 900_000;

pub(super) const LIMITS: HttpLimits = HttpLimits {
    timeout: TIMEOUT,
    max_bytes: MAX_BYTES,
};

/// Who asks, as operators of servers expect of a robot.
const AGENT: &str = concat!("eventstar/", env!("CARGO_PKG_VERSION"), " (schema upstream)");

/// Why an answer is of no use.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Unfit {
    /// What is wrong.
    pub(super) why: String,
    /// Whether the upstream has a fault of its own, and not just this schema.
    pub(super) is_down: bool,
}

/// Asks for the schema at `uri`. Only the base comes from outside of the URI, whose parts have no special characters.
pub(super) fn request(upstream: &Upstream, uri: &SchemaUri) -> Option<Request<Bytes>> {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = format!("{}{uri}", upstream.base).parse().ok()?;
    request
        .headers_mut()
        .insert(USER_AGENT, HeaderValue::from_static(AGENT));
    request
        .headers_mut()
        .insert(ACCEPT, HeaderValue::from_static("*/*"));
    Some(request)
}

/// The schema in the answer to [`request`]; `None` when the upstream does not have it.
pub(super) fn schema(uri: &SchemaUri, answer: &Response<Bytes>) -> Result<Option<SchemaFile>, Unfit> {
    let status = answer.status();
    let header = |name: HeaderName| {
        let value = answer.headers().get(name).and_then(|value| value.to_str().ok());
        value.unwrap_or("nothing").to_owned()
    };
    let unfit = |why: String| Unfit {
        why,
        is_down: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
    };
    match status {
        StatusCode::OK => {}
        StatusCode::NOT_FOUND | StatusCode::GONE => return Ok(None),
        _ if status.is_redirection() => {
            let location = header(LOCATION);
            return Err(unfit(format!(
                "it redirects to {location}, which must be named in SCHEMA_UPSTREAM itself"
            )));
        }
        _ => return Err(unfit(format!("it answers {status}"))),
    }
    let file = file(uri, answer.body());
    file.map(Some)
        .map_err(|why| unfit(format!("it answers with {}: {why}", header(CONTENT_TYPE))))
}

fn file(uri: &SchemaUri, body: &[u8]) -> Result<SchemaFile, String> {
    let text = std::str::from_utf8(body).map_err(|_| "that is no UTF-8".to_owned())?;
    if text.trim().is_empty() {
        return Err("that is empty".to_owned());
    }
    let (json, yaml) = if text.trim_start().starts_with('{') {
        check_json(text).map_err(|error| error.to_string())?;
        (text.to_owned(), None)
    } else {
        let json = yaml_to_json(text).map_err(|error| error.to_string())?;
        (json, Some(text.to_owned()))
    };
    let value: Value = serde_json::from_str(&json).map_err(|error| error.to_string())?;
    if !value.is_object() {
        return Err("that is no JSON object".to_owned());
    }
    let id = value.get("$id").and_then(Value::as_str).unwrap_or_default();
    let is_asked = |named: &SchemaUri| {
        named.title() == uri.title()
            && !named.is_latest()
            && (uri.is_latest() || named.version() == uri.version())
    };
    let named = SchemaUri::parse(id).ok().filter(is_asked);
    let named = named.ok_or_else(|| {
        let shown: String = id.chars().take(200).collect();
        format!("its $id is '{shown}', not that of {uri}")
    })?;
    Ok(SchemaFile {
        title: named.title().to_owned(),
        version: named.version().to_owned(),
        json,
        yaml,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, body: impl Into<Bytes>) -> Response<Bytes> {
        let answer = Response::builder()
            .status(status)
            .header(CONTENT_TYPE, "text/plain");
        answer
            .header(LOCATION, "https://b.org/")
            .body(body.into())
            .unwrap()
    }

    fn read(uri: &str, status: u16, body: impl Into<Bytes>) -> Result<Option<SchemaFile>, Unfit> {
        schema(&SchemaUri::parse(uri).unwrap(), &answer(status, body))
    }

    #[test]
    fn the_request_names_the_schema_below_the_base() {
        let upstream = Upstream {
            repository: "primary".to_owned(),
            base: "https://a.org/x".to_owned(),
        };
        let request = request(&upstream, &SchemaUri::parse("/a/b/latest").unwrap()).unwrap();
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("GET", "https://a.org/x/a/b/latest".to_owned())
        );
        assert!(
            request.headers()[USER_AGENT]
                .to_str()
                .unwrap()
                .starts_with("eventstar/")
        );
    }

    #[test]
    fn yaml_and_json_are_read() {
        let yaml = "title: b\n$id: /a/b/1.2.0\nmaximum: 18446744073709551616\n";
        let file = read("/a/b/1.2.0", 200, yaml).unwrap().unwrap();
        assert_eq!((file.title.as_str(), file.version.as_str()), ("a/b", "1.2.0"));
        assert_eq!(
            file.json,
            r#"{"title":"b","$id":"/a/b/1.2.0","maximum":18446744073709551616}"#
        );
        assert_eq!(file.yaml.as_deref(), Some(yaml));
        let json = "\n{ \"$id\": \"/a/b/1.2.0\" }\n";
        let file = read("/a/b/latest", 200, json).unwrap().unwrap();
        assert_eq!(
            (file.version.as_str(), file.json.as_str(), file.yaml),
            ("1.2.0", json, None)
        );
    }

    #[test]
    fn what_an_upstream_does_not_have_is_no_error() {
        for status in [404, 410] {
            assert_eq!(read("/a/b/1.0.0", status, "<html>"), Ok(None));
        }
    }

    #[test]
    fn an_answer_that_is_no_such_schema_is_unfit() {
        let bomb = {
            let mut text = "$id: /a/b/1.0.0\na0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
            for level in 1..9 {
                let aliases = vec![format!("*a{}", level - 1); 10].join(", ");
                text.push_str(&format!("a{level}: &a{level} [{aliases}]\n"));
            }
            text
        };
        for (uri, status, body, why, is_down) in [
            ("/a/b/1.0.0", 500, &b""[..], "answers 500", true),
            ("/a/b/1.0.0", 429, b"", "answers 429", true),
            ("/a/b/1.0.0", 403, b"", "answers 403", false),
            ("/a/b/1.0.0", 204, b"", "answers 204", false),
            (
                "/a/b/1.0.0",
                301,
                b"",
                "redirects to https://b.org/, which must be named",
                false,
            ),
            ("/a/b/1.0.0", 200, b"", "that is empty", false),
            (
                "/a/b/1.0.0",
                200,
                b"\xff\xfe",
                "text/plain: that is no UTF-8",
                false,
            ),
            (
                "/a/b/1.0.0",
                200,
                b"<!DOCTYPE html><p>Be right back</p>",
                "no JSON object",
                false,
            ),
            ("/a/b/1.0.0", 200, b"<p>a: b: c</p>", "not valid YAML", false),
            ("/a/b/1.0.0", 200, b"[]", "no JSON object", false),
            (
                "/a/b/1.0.0",
                200,
                b"{\"a\":1,\"a\":2}",
                "the member appears twice",
                false,
            ),
            ("/a/b/1.0.0", 200, b"{\"a\":", "not valid JSON", false),
            (
                "/a/b/1.0.0",
                200,
                b"{}",
                "its $id is '', not that of /a/b/1.0.0",
                false,
            ),
            ("/a/b/1.0.0", 200, b"{\"$id\":7}", "its $id is ''", false),
            (
                "/a/b/1.0.0",
                200,
                b"{\"$id\":\"/a/b/1.0.1\"}",
                "its $id is '/a/b/1.0.1'",
                false,
            ),
            (
                "/a/b/1.0.0",
                200,
                b"{\"$id\":\"/a/c/1.0.0\"}",
                "its $id is '/a/c/1.0.0'",
                false,
            ),
            (
                "/a/b/latest",
                200,
                b"{\"$id\":\"/a/b/latest\"}",
                "its $id is",
                false,
            ),
            (
                "/a/b/1.0.0",
                200,
                b"{\"$id\":\"https://evil.org/a/b/1.0.0\"}",
                "its $id is",
                false,
            ),
            (
                "/a/b/1.0.0",
                200,
                bomb.as_bytes(),
                "aliases make the document more than",
                false,
            ),
        ] {
            let unfit = read(uri, status, body.to_vec()).unwrap_err();
            assert!(unfit.why.contains(why), "{why}: {unfit:?}");
            assert_eq!(unfit.is_down, is_down, "{unfit:?}");
        }
    }
}
