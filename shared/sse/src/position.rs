//! Where a stream goes on: `id` and `Last-Event-ID`, and `since`.
//!
//! An id is the JSON array of all topic-partitions of the request. KafkaSSE's clients accept an offset and a timestamp
//! in one entry, and the offset wins; ours carry both, so that nothing is skipped and an id still works where
//! offsets differ.

use eventstar_event::time::Millis;
use serde::{Deserialize, Serialize};

use crate::read_time;

/// Largest `Last-Event-ID`, in bytes: Cloudflare's limit for all headers of a request is 128 KB.
const MAX_ID_BYTES: usize = 64 * 1024;

/// One entry of an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: u32,
    /// The offset of the next event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset: Option<i64>,
    /// The timestamp of the last event seen, plus one millisecond.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<Millis>,
}

/// An element of `Last-Event-ID`.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub enum LastEventId {
    /// A topic: all its partitions, from `since` or the latest.
    Topic(String),
    /// A topic-partition with where to go on.
    Position(Position),
}

/// A position that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PositionError {
    /// `Last-Event-ID` is no JSON.
    #[error("{0}")]
    Syntax(String),
    /// `Last-Event-ID` is JSON of another form. The text is the original's, two spaces included.
    #[error(
        "Must provide either an array topic names, or  an array of objects with topic, partition and offset|timestamp."
    )]
    Form,
    /// `since` is neither milliseconds nor a date.
    #[error("since timestamp is not a UTC milliseconds unix epoch and was not parseable: '{0}'")]
    Since(String),
}

/// Reads `Last-Event-ID`.
///
/// # Errors
/// [`PositionError::Syntax`] or [`PositionError::Form`].
pub fn parse_last_event_id(header: &str) -> Result<Vec<LastEventId>, PositionError> {
    if header.len() > MAX_ID_BYTES {
        return Err(PositionError::Syntax(format!("longer than {MAX_ID_BYTES} bytes")));
    }
    let json: serde_json::Value =
        serde_json::from_str(header).map_err(|error| PositionError::Syntax(syntax_error(header, &error)))?;
    let entries: Vec<LastEventId> = serde_json::from_value(json).map_err(|_| PositionError::Form)?;
    let complete = |entry: &LastEventId| match entry {
        LastEventId::Topic(topic) => !topic.is_empty(),
        LastEventId::Position(position) => position.offset.is_some() || position.timestamp.is_some(),
    };
    if entries.is_empty() || !entries.iter().all(complete) {
        return Err(PositionError::Form);
    }
    Ok(entries)
}

/// The words of V8's `JSON.parse` for what is wrong with a header, which is one line.
fn syntax_error(header: &str, error: &serde_json::Error) -> String {
    let position = error.column().saturating_sub(1);
    if error.is_eof() {
        return "Unexpected end of JSON input".to_owned();
    }
    if error.to_string().starts_with("trailing characters") {
        return format!("Unexpected non-whitespace character after JSON at position {position}");
    }
    let unexpected = header.get(position..).and_then(|rest| rest.chars().next());
    let shown: String = header.chars().take(100).collect();
    format!(
        "Unexpected token '{}', \"{shown}\" is not valid JSON",
        unexpected.map(String::from).unwrap_or_default()
    )
}

/// Reads `since`: milliseconds since the epoch, ISO-8601, or a time ago (`-5m`).
///
/// # Errors
/// [`PositionError::Since`].
pub fn since_millis(since: &str, now: Millis) -> Result<Millis, PositionError> {
    read_time(since, now).ok_or_else(|| PositionError::Since(since.chars().take(100).collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_either_form_are_read() {
        let entries = parse_last_event_id(
            r#"["a",{"topic":"b","partition":0,"offset":-1},{"topic":"c","partition":1,"offset":5,"timestamp":9}]"#,
        )
        .unwrap();
        assert_eq!(entries[0], LastEventId::Topic("a".into()));
        let LastEventId::Position(last) = &entries[2] else {
            panic!("{entries:?}")
        };
        assert_eq!(
            (last.partition, last.offset, last.timestamp),
            (1, Some(5), Some(9))
        );
    }

    #[test]
    fn other_forms_are_refused() {
        for (header, said) in [
            (
                r#""""{nope"#,
                "Unexpected non-whitespace character after JSON at position 2",
            ),
            ("", "Unexpected end of JSON input"),
            ("[1", "Unexpected end of JSON input"),
            ("xope", "Unexpected token 'x', \"xope\" is not valid JSON"),
        ] {
            assert_eq!(
                parse_last_event_id(header),
                Err(PositionError::Syntax(said.to_owned())),
                "{header}"
            );
        }
        let huge = format!("[{}]", "\"a\",".repeat(20_000));
        assert!(matches!(
            parse_last_event_id(&huge),
            Err(PositionError::Syntax(_))
        ));
        for form in [
            "[]",
            "{}",
            "[1]",
            r#"[{"topic":"a"}]"#,
            r#"[{"topic":"a","partition":0}]"#,
            r#"[""]"#,
        ] {
            assert_eq!(parse_last_event_id(form), Err(PositionError::Form), "{form}");
        }
    }

    #[test]
    fn a_since_that_is_no_time_is_refused_with_its_text() {
        assert_eq!(since_millis("-1s", 5000), Ok(4000));
        assert_eq!(
            since_millis("yesterday", 5000),
            Err(PositionError::Since("yesterday".into()))
        );
        let long = since_millis(&"é".repeat(500), 0);
        assert_eq!(long, Err(PositionError::Since("é".repeat(100))));
    }
}
