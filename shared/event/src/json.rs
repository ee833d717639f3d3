//! JSON text: splitting a body into events.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::envelope::MAX_EVENT_BYTES;

/// Deepest nesting of objects and arrays in an event. The deepest published schema nests 11 levels;
/// `serde_json` stops at 128.
pub const MAX_DEPTH: usize = 64;

/// Most values in an event, objects and arrays included: as many as the largest event has where each takes 16 bytes with its
/// name and punctuation, less than which events of real schemas never take. The index takes 36 bytes a value and the parsed
/// event up to 176, so an event takes 14 MB at most.
pub const MAX_VALUES: usize = MAX_EVENT_BYTES / 16;

/// Why a text is not an event.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The text is not JSON; the detail has line and column.
    #[error("not valid JSON: {0}")]
    Malformed(String),
    /// The text is JSON, but neither an object nor an array of objects.
    #[error("expected a JSON object or an array of JSON objects")]
    NotEvents,
    /// A member name occurs twice in one object.
    #[error("member {0} occurs twice: remove one of the two")]
    DuplicateKey(String),
    /// Objects and arrays nest deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels: flatten the event")]
    TooDeep,
    /// There are more events than one request may have.
    #[error("{count} events in one request: send at most {most} and split the rest")]
    TooMany {
        /// The number of elements.
        count: usize,
        /// The most that there may be.
        most: usize,
    },
}

impl JsonError {
    /// A stable token for metrics and answers.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Malformed(_) => "malformed_json",
            Self::NotEvents => "not_an_object",
            Self::DuplicateKey(_) => "duplicate_key",
            Self::TooDeep => "too_deep",
            Self::TooMany { .. } => "batch_too_large",
        }
    }
}

/// Splits a body of any number of events, as [`split_body_of`].
///
/// # Errors
/// As [`split_body_of`].
pub fn split_body(body: &[u8]) -> Result<Vec<&str>, JsonError> {
    split_body_of(body, usize::MAX)
}

/// Splits a body into the texts of its events: one object, or the elements of an array.
///
/// Elements may be anything: each is judged by itself later. An object without members, like an array
/// without elements, is no event, as in EventGate. Of more than `most` elements only the count is found.
///
/// # Errors
/// [`JsonError::Malformed`] when the body is not JSON, [`JsonError::NotEvents`] for another top-level value,
/// [`JsonError::TooMany`] for more than `most` elements.
pub fn split_body_of(body: &[u8], most: usize) -> Result<Vec<&str>, JsonError> {
    let malformed = |error: serde_json::Error| JsonError::Malformed(error.to_string());
    let body = std::str::from_utf8(body).map_err(|error| JsonError::Malformed(error.to_string()))?;
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    match body.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next() {
        Some(b'[') => {
            let mut reader = serde_json::Deserializer::from_str(body);
            let (events, count) = reader.deserialize_seq(Elements { most }).map_err(malformed)?;
            reader.end().map_err(malformed)?;
            if count > most {
                return Err(JsonError::TooMany { count, most });
            }
            Ok(events)
        }
        Some(b'{') => {
            let event: &RawValue = serde_json::from_str(body).map_err(malformed)?;
            let empty = event
                .get()
                .bytes()
                .all(|b| matches!(b, b'{' | b'}' | b' ' | b'\t' | b'\r' | b'\n'));
            Ok(if empty { Vec::new() } else { vec![event.get()] })
        }
        _ => {
            serde_json::from_str::<&RawValue>(body).map_err(malformed)?;
            Err(JsonError::NotEvents)
        }
    }
}

/// The elements of an array: the first `most`, and how many there are.
struct Elements {
    most: usize,
}

impl<'de> Visitor<'de> for Elements {
    type Value = (Vec<&'de str>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Self::Value, A::Error> {
        let (mut texts, mut count) = (Vec::new(), 0);
        while count < self.most {
            let Some(element) = elements.next_element::<&RawValue>()? else {
                return Ok((texts, count));
            };
            texts.push(element.get());
            count += 1;
        }
        while elements.next_element::<IgnoredAny>()?.is_some() {
            count += 1;
        }
        Ok((texts, count))
    }
}

/// The JSON texts of the members of an object that have these names, the last one where there are several. Nothing of the others is
/// kept, however many there are.
#[must_use]
pub fn members<'t, const N: usize>(object: &'t str, names: [&str; N]) -> [Option<&'t str>; N] {
    serde_json::Deserializer::from_str(object)
        .deserialize_map(Members(names))
        .unwrap_or([None; N])
}

struct Members<'n, const N: usize>([&'n str; N]);

impl<'de, const N: usize> Visitor<'de> for Members<'_, N> {
    type Value = [Option<&'de str>; N];

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        let mut found = [None; N];
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            match self.0.iter().zip(&mut found).find(|(wanted, _)| **wanted == name) {
                Some((_, found)) => *found = Some(members.next_value::<&RawValue>()?.get()),
                None => {
                    members.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(found)
    }
}

/// The size of a JSON text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size {
    /// Its bytes without white space between tokens.
    pub bytes: usize,
    /// Its values, objects and arrays included.
    pub values: usize,
}

impl Size {
    /// Looks at each byte of a JSON text once and keeps nothing of it.
    #[must_use]
    pub fn of_text(json: &[u8]) -> Self {
        let (mut bytes, mut tokens, mut names) = (0, 0, 0);
        let (mut at, mut in_word) = (0, false);
        while let Some(byte) = json.get(at) {
            let from = at;
            at += 1;
            let was_in_word = std::mem::take(&mut in_word);
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => continue,
                b'"' => {
                    at = end_of_string(json, at);
                    tokens += 1;
                }
                b'{' | b'[' => tokens += 1,
                b':' => names += 1,
                b',' | b'}' | b']' => {}
                _ => {
                    in_word = true;
                    tokens += usize::from(!was_in_word);
                }
            }
            bytes += at - from;
        }
        Self {
            bytes,
            values: tokens.saturating_sub(names),
        }
    }
}

/// The place behind the quote that ends the string `at` is in.
fn end_of_string(json: &[u8], mut at: usize) -> usize {
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr2(b'"', b'\\', rest)) {
        at += found;
        if json.get(at) == Some(&b'"') {
            return at + 1;
        }
        at += 2;
    }
    json.len()
}

/// Puts `\ufffd` in place of each escape of a surrogate that has no other half, and returns how many there were.
///
/// JavaScript cuts texts between the halves of a pair and writes what is left as an escape, which other readers of JSON refuse.
/// Both escapes are equally long, so all else stays where it is.
pub fn mend_surrogates(json: &mut [u8]) -> u64 {
    let (mut mended, mut at) = (0, 0);
    while let Some(found) = json.get(at..).and_then(|rest| memchr::memchr(b'\\', rest)) {
        at += found;
        match code_unit(json, at) {
            None => at += 2,
            Some(0xd800..=0xdbff) if matches!(code_unit(json, at + ESCAPE), Some(0xdc00..=0xdfff)) => {
                at += 2 * ESCAPE
            }
            Some(unit) => {
                let digits = json.get_mut(at + 2..at + ESCAPE);
                if let (0xd800..=0xdfff, Some(digits)) = (unit, digits) {
                    digits.copy_from_slice(b"fffd");
                    mended += 1;
                }
                at += ESCAPE;
            }
        }
    }
    mended
}

/// Length of an escape such as `\ufffd`.
const ESCAPE: usize = 6;

/// The code unit whose escape stands at `at`.
fn code_unit(json: &[u8], at: usize) -> Option<u32> {
    let digits = json.get(at..at + ESCAPE)?.strip_prefix(b"\\u")?;
    digits.iter().try_fold(0, |unit, digit| {
        Some(unit * 16 + char::from(*digit).to_digit(16)?)
    })
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_escape_of_half_a_pair_is_mended_and_all_else_stays_byte_for_byte() {
        for (sent, expected, count) in [
            (r#"{"a":"ok \ud83d"}"#, r#"{"a":"ok \ufffd"}"#, 1),
            (r#"{"a":"\uDC00 ok"}"#, r#"{"a":"\ufffd ok"}"#, 1),
            (r#"{"\uD83D":1}"#, r#"{"\ufffd":1}"#, 1),
            (r#"["\ud83d\ud83d\ude00"]"#, r#"["\ufffd\ud83d\ude00"]"#, 1),
            (r#"["\ude00\ud83d"]"#, r#"["\ufffd\ufffd"]"#, 2),
            (r#"["\ud83d\n\ude00"]"#, r#"["\ufffd\n\ufffd"]"#, 2),
            (r#"["\ud83d\\ude00"]"#, r#"["\ufffd\\ude00"]"#, 1),
            (r#"["\\\ud83d"]"#, r#"["\\\ufffd"]"#, 1),
            (
                r#"["\ud83d\ude00", 1.0,  "\u00e9\/\ue000\ud7ff"]"#,
                r#"["\ud83d\ude00", 1.0,  "\u00e9\/\ue000\ud7ff"]"#,
                0,
            ),
            (r#"["\\ud83d"]"#, r#"["\\ud83d"]"#, 0),
            // What no parser takes is left to it.
            (r#"["\ud83"]"#, r#"["\ud83"]"#, 0),
            (r#"["\u+83d"]"#, r#"["\u+83d"]"#, 0),
            ("\\", "\\", 0),
        ] {
            let mut text = sent.as_bytes().to_vec();
            assert_eq!(mend_surrogates(&mut text), count, "{sent}");
            assert_eq!(String::from_utf8(text).unwrap(), expected);
        }
    }

    #[test]
    fn the_size_of_a_text_is_that_of_its_compact_form() {
        for (text, bytes, values) in [
            ("{}", 2, 1),
            (" [ ] ", 2, 1),
            (r#"{"a":1}"#, 7, 2),
            (r#"{ "a b" : [ 1.0 , -2e3, true,null ,"x  \" y" ] }"#, 38, 7),
            (r#"[[],{},{"":{"":""}}]"#, 20, 6),
            (r#"["\\",":,{[",1]"#, 15, 4),
            ("[1\n2]", 4, 3),
            ("\"", 1, 1),
            (r#"["\"#, 3, 2),
        ] {
            assert_eq!(Size::of_text(text.as_bytes()), Size { bytes, values }, "{text}");
        }
    }

    #[test]
    fn of_too_many_elements_only_the_count_is_found() {
        assert_eq!(split_body_of(b"[1,2,3]", 3), Ok(vec!["1", "2", "3"]));
        let error = split_body_of(b"[1,2,3]", 2).unwrap_err();
        assert_eq!(error, JsonError::TooMany { count: 3, most: 2 });
        assert!(matches!(
            split_body_of(b"[1,2,3,]", 2),
            Err(JsonError::Malformed(_))
        ));
        assert!(matches!(
            split_body_of(b"[1,2] 3", 2),
            Err(JsonError::Malformed(_))
        ));
    }

    #[test]
    fn members_are_found_without_the_others() {
        let event = r#"{"a":1,"x":{"b":0},"\u0062":{"c": "d"},"a":"2"}"#;
        assert_eq!(
            members(event, ["a", "b", "c"]),
            [Some("\"2\""), Some("{\"c\": \"d\"}"), None]
        );
        assert_eq!(members("[1]", ["a"]), [None]);
        assert_eq!(members("{", ["a"]), [None]);
    }

    #[test]
    fn bodies_split_into_events() {
        assert_eq!(split_body(b" {\"a\":1} "), Ok(vec!["{\"a\":1}"]));
        assert_eq!(split_body(b"[{\"a\":1}, 2]"), Ok(vec!["{\"a\":1}", "2"]));
        assert_eq!(split_body(b"[]"), Ok(vec![]));
        assert_eq!(split_body(b" { } "), Ok(vec![]));
        assert_eq!(split_body(b"\"hi\""), Err(JsonError::NotEvents));
        assert_eq!(split_body(b"null"), Err(JsonError::NotEvents));
        for bad in [
            &b"{nope"[..],
            b"{\"a\":1",
            b"{\"a\":1}x",
            b"\xff",
            b"[1,]",
            b"nope",
        ] {
            assert!(matches!(split_body(bad), Err(JsonError::Malformed(_))), "{bad:?}");
        }
    }
}
