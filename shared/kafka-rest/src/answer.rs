//! What every answer of a proxy has in common.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, LOCATION, RETRY_AFTER};
use http::{HeaderName, Response};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Longest text of another server in a reason, in characters.
const MAX_TEXT: usize = 200;

/// How long the proxy wants to be left alone, where it says so in seconds; how much of that is granted is up to who asks.
#[must_use]
pub fn retry_after(answer: &Response<Bytes>) -> Option<Duration> {
    header(answer, RETRY_AFTER)?
        .trim()
        .parse()
        .ok()
        .map(Duration::from_secs)
}

/// The body of a refusal.
#[derive(Debug, Deserialize)]
pub(crate) struct Failure {
    pub(crate) message: Option<String>,
}

/// The body as JSON, if that is what it is: pages of servers in between are not looked at.
pub(crate) fn json<T: DeserializeOwned>(answer: &Response<Bytes>) -> Option<T> {
    let is_other = header(answer, CONTENT_TYPE).is_some_and(|name| !name.contains("json"));
    if is_other {
        None
    } else {
        serde_json::from_slice(answer.body()).ok()
    }
}

/// What an answer that is no success says: its status, where it leads, its own words.
pub(crate) fn describe(answer: &Response<Bytes>) -> String {
    let mut text = format!("the Kafka REST proxy answers {}", answer.status().as_u16());
    if answer.status().is_redirection() {
        let to = header(answer, LOCATION).unwrap_or("nowhere");
        text.push_str(&format!(
            " and leads to {}: name the proxy itself in its URL",
            shorten(to)
        ));
    } else if let Some(words) = json::<Failure>(answer).and_then(|failure| failure.message) {
        text.push_str(": ");
        text.push_str(&shorten(&words));
    }
    text
}

/// The first line of `text`, not too long.
pub(crate) fn shorten(text: &str) -> String {
    let line = text.lines().next().unwrap_or_default();
    let kept = line.chars().filter(|character| !character.is_control());
    kept.take(MAX_TEXT).collect()
}

fn header(answer: &Response<Bytes>, name: HeaderName) -> Option<&str> {
    answer.headers().get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, name: HeaderName, value: &'static str, body: &'static str) -> Response<Bytes> {
        let answer = Response::builder().status(status).header(name, value);
        answer.body(Bytes::from_static(body.as_bytes())).unwrap()
    }

    #[test]
    fn seconds_to_wait_are_read() {
        for (value, expected) in [
            ("7", Some(7)),
            (" 0 ", Some(0)),
            ("-1", None),
            ("1.5", None),
            ("Wed, 21 Oct 2015 07:28:00 GMT", None),
        ] {
            let seconds = retry_after(&answer(503, RETRY_AFTER, value, ""));
            assert_eq!(seconds, expected.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&Response::new(Bytes::new())), None);
    }

    #[test]
    fn words_of_others_are_short_and_pages_are_not_read() {
        const JSON: &str = r#"{"error_code":503,"message":"Bridge is overloaded\nreally"}"#;
        for (content_type, body, expected) in [
            (
                "application/vnd.kafka.v2+json",
                JSON,
                "answers 503: Bridge is overloaded",
            ),
            ("text/html", JSON, "answers 503"),
            ("application/json", "<html>", "answers 503"),
            ("application/json", "[]", "answers 503"),
        ] {
            let text = describe(&answer(503, CONTENT_TYPE, content_type, body));
            assert!(text.ends_with(expected), "{text}");
        }
        assert_eq!(shorten(&"é".repeat(5000)).chars().count(), MAX_TEXT);
        assert_eq!(shorten("a\u{7}b"), "ab");
        let text = describe(&answer(302, LOCATION, "https://login.example.org/", "<html>"));
        assert!(
            text.contains("answers 302 and leads to https://login.example.org/: name"),
            "{text}"
        );
    }
}
