//! Where a stream goes on: `id` and `Last-Event-ID`, and `since`.
//!
//! An id is the JSON array of all topic-partitions of the request. KafkaSSE's clients accept an offset and a timestamp
//! in one entry, and the offset wins; ours carry both, so that nothing is skipped and an id still works where
//! offsets differ.

use eventstar_event::time::Millis;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Number;

use crate::{TimeError, read_time};

/// Largest `Last-Event-ID`, in bytes: Cloudflare's limit for all headers of a request is 128 KB.
const MAX_ID_BYTES: usize = 64 * 1024;

/// One entry of an id.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    #[serde(deserialize_with = "integer")]
    pub partition: u32,
    /// The offset of the next event.
    #[serde(
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub offset: Option<i64>,
    /// The timestamp of the last event seen, plus one millisecond.
    #[serde(
        default,
        deserialize_with = "optional_integer",
        skip_serializing_if = "Option::is_none"
    )]
    pub timestamp: Option<Millis>,
    /// True if the reader has only some topic-partitions of its streams, by its own choice.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub partial: bool,
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
    #[error("since timestamp is not a UTC milliseconds unix epoch and was not parseable: {}", .0.found())]
    Since(TimeError),
}

/// Reads a whole number however it is written: clients that know doubles only write `0.0`, `1e0` and `1.704e12`.
fn integer<'de, T: TryFrom<i128>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
    let number = Number::deserialize(deserializer)?;
    whole(&number)
        .and_then(|number| T::try_from(number).ok())
        .ok_or_else(|| D::Error::custom("no whole number in range"))
}

fn optional_integer<'de, T: TryFrom<i128>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<T>, D::Error> {
    let Some(number) = Option::<Number>::deserialize(deserializer)? else {
        return Ok(None);
    };
    integer(number).map(Some).map_err(D::Error::custom)
}

/// The integer that a number is; doubles name each one up to 2^53 only.
fn whole(number: &Number) -> Option<i128> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let near = || {
        number
            .as_f64()
            .filter(|near| near.fract() == 0.0 && near.abs() <= EXACT)
    };
    #[expect(clippy::cast_possible_truncation, reason = "it is whole and in range")]
    number.as_i128().or_else(|| near().map(|near| near as i128))
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

/// Reads `since`, a time as [`read_time`] reads it.
///
/// # Errors
/// [`PositionError::Since`].
pub fn since_millis(since: &str, now: Millis) -> Result<Millis, PositionError> {
    read_time(since, now).map_err(PositionError::Since)
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
    fn numbers_of_ids_are_integers_however_they_are_written() {
        for (partition, offset, timestamp, read) in [
            ("0", "5", "1704067200001", Some((0, 5, 1_704_067_200_001))),
            ("0.0", "5.0", "1704067200001.0", Some((0, 5, 1_704_067_200_001))),
            ("1e0", "5E0", "1.704e12", Some((1, 5, 1_704_000_000_000))),
            (
                "10e-1",
                "50e-1",
                "1.704067200001e+12",
                Some((1, 5, 1_704_067_200_001)),
            ),
            ("-0", "-0.0", "0", Some((0, 0, 0))),
            ("0", "-1.0", "0", Some((0, -1, 0))),
            ("0", "-2e0", "0", Some((0, -2, 0))),
            ("0", "9007199254740993", "0", Some((0, 9_007_199_254_740_993, 0))),
            (
                "0",
                "9007199254740992.0",
                "0",
                Some((0, 9_007_199_254_740_992, 0)),
            ),
            ("4294967295.0", "0", "0", Some((4_294_967_295, 0, 0))),
            ("0", "5", "18446744073709551615", Some((0, 5, u64::MAX))),
            ("0.5", "5", "0", None),
            ("0", "5.5", "0", None),
            ("0", "5", "1.5", None),
            ("-1.0", "5", "0", None),
            ("4294967296", "5", "0", None),
            ("0", "1e300", "0", None),
            ("0", "1e16", "0", None),
            ("0", "5", "-1e0", None),
            ("0", "18446744073709551615", "0", None),
            ("0", "5", "18446744073709551616", None),
            ("\"0\"", "5", "0", None),
            ("0", "\"5\"", "0", None),
            ("0", "5", "true", None),
            ("null", "5", "0", None),
        ] {
            let id = format!(
                r#"[{{"topic":"a","partition":{partition},"offset":{offset},"timestamp":{timestamp}}}]"#
            );
            let expected = read.map(|(partition, offset, timestamp)| {
                vec![LastEventId::Position(Position {
                    topic: "a".to_owned(),
                    partition,
                    offset: Some(offset),
                    timestamp: Some(timestamp),
                    partial: false,
                })]
            });
            assert_eq!(
                parse_last_event_id(&id),
                expected.ok_or(PositionError::Form),
                "{id}"
            );
        }
        let LastEventId::Position(without) =
            &parse_last_event_id(r#"[{"topic":"a","partition":0.0,"offset":null,"timestamp":1e3}]"#).unwrap()
                [0]
        else {
            panic!("a topic")
        };
        assert_eq!((without.offset, without.timestamp), (None, Some(1000)));
    }

    #[test]
    fn a_since_that_is_no_time_is_refused_with_its_text() {
        assert_eq!(since_millis("-1s", 5000), Ok(4000));
        for (since, said) in [
            ("yesterday", "'yesterday'"),
            (&*"é".repeat(500), &*format!("'{}'", "é".repeat(100))),
            (
                "1704067200",
                "'1704067200': ten digits are seconds, write milliseconds, 1704067200000",
            ),
        ] {
            assert_eq!(
                since_millis(since, 5000).unwrap_err().to_string(),
                format!("since timestamp is not a UTC milliseconds unix epoch and was not parseable: {said}")
            );
        }
    }
}
