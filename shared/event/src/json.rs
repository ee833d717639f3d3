//! JSON text: splitting a body into events.

use serde_json::value::RawValue;

/// Deepest nesting of objects and arrays in an event. The deepest published schema nests 11 levels;
/// `serde_json` stops at 128.
pub const MAX_DEPTH: usize = 64;

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
        }
    }
}

/// Splits a body into the texts of its events: one object, or the elements of an array.
///
/// Elements may be anything: each is judged by itself later. An object without members, like an array
/// without elements, is no event, as in EventGate.
///
/// # Errors
/// [`JsonError::Malformed`] when the body is not JSON, [`JsonError::NotEvents`] for another top-level value.
pub fn split_body(body: &[u8]) -> Result<Vec<&str>, JsonError> {
    let malformed = |error: serde_json::Error| JsonError::Malformed(error.to_string());
    let body = std::str::from_utf8(body).map_err(|error| JsonError::Malformed(error.to_string()))?;
    let body = body.strip_prefix('\u{feff}').unwrap_or(body);
    match body.trim_start_matches([' ', '\t', '\r', '\n']).bytes().next() {
        Some(b'[') => {
            let events: Vec<&RawValue> = serde_json::from_str(body).map_err(malformed)?;
            Ok(events.into_iter().map(RawValue::get).collect())
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
            Some(0xd800..=0xdbff) if matches!(code_unit(json, at + ESCAPE), Some(0xdc00..=0xdfff)) => at += 2 * ESCAPE,
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
    digits
        .iter()
        .try_fold(0, |unit, digit| Some(unit * 16 + char::from(*digit).to_digit(16)?))
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
            (r#"["\ud83d\ude00", 1.0,  "\u00e9\/\ue000\ud7ff"]"#, r#"["\ud83d\ude00", 1.0,  "\u00e9\/\ue000\ud7ff"]"#, 0),
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
