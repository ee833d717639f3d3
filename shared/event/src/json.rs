//! JSON text: splitting a body into events, compacting, reading and patching members by splicing.

use std::borrow::Cow;
use std::collections::HashSet;

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

/// The compact text of one JSON object: no whitespace outside strings, no duplicate member names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventText(String);

impl EventText {
    /// Compacts the text of one JSON value that a JSON parser has accepted (an element of [`split_body`]).
    ///
    /// # Errors
    /// [`JsonError::NotEvents`] when it is no object, [`JsonError::DuplicateKey`] with a JSON pointer,
    /// [`JsonError::TooDeep`], and [`JsonError::Malformed`] for an unpaired surrogate in a member name.
    pub fn compact(raw: &str) -> Result<Self, JsonError> {
        if !raw.starts_with('{') {
            return Err(JsonError::NotEvents);
        }
        compact(raw).map(Self)
    }

    /// Takes a text that came out of [`EventText::compact`] before.
    #[must_use]
    pub fn from_stored(text: String) -> Self {
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The text, owned.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0
    }

    /// The JSON text of the member at `path`, or `None` when it or a parent is missing.
    #[must_use]
    pub fn get(&self, path: &[&str]) -> Option<&str> {
        let mut value = self.0.as_str();
        for name in path {
            value = member(value, name)?;
        }
        Some(value)
    }

    /// The string at `path`, unescaped; `None` when it is missing or no string.
    #[must_use]
    pub fn get_str(&self, path: &[&str]) -> Option<Cow<'_, str>> {
        let text = self.get(path)?;
        let inner = text.strip_prefix('"')?.strip_suffix('"')?;
        if inner.contains('\\') {
            serde_json::from_str(text).ok().map(Cow::Owned)
        } else {
            Some(Cow::Borrowed(inner))
        }
    }

    /// Sets the member at `path` to the JSON text `value`: replaced where it stands, else added after the last
    /// member. Missing parents are created. Nothing happens where a parent is not an object.
    pub fn set(&mut self, path: &[&str], value: &str) {
        let mut at = 0..self.0.len();
        for (depth, name) in path.iter().enumerate() {
            let Some(object) = self.0.get(at.clone()) else {
                return;
            };
            let base = at.start;
            if let Some(found) = member(object, name) {
                let start = base + (found.as_ptr() as usize - object.as_ptr() as usize);
                at = start..start + found.len();
                continue;
            }
            if !object.starts_with('{') {
                return;
            }
            let mut added = String::with_capacity(value.len() + 16);
            if object != "{}" {
                added.push(',');
            }
            let rest = path.get(depth..).unwrap_or_default();
            for (nth, name) in rest.iter().enumerate() {
                if nth > 0 {
                    added.push('{');
                }
                added.push_str(&quote(name));
                added.push(':');
            }
            added.push_str(value);
            added.extend(std::iter::repeat_n('}', rest.len().saturating_sub(1)));
            self.0.insert_str(at.end - 1, &added);
            return;
        }
        self.0.replace_range(at, value);
    }

    /// Parses the text.
    ///
    /// # Errors
    /// [`JsonError::Malformed`] for what only a full parse sees: an unpaired surrogate, a number past `f64`.
    pub fn to_value(&self) -> Result<serde_json::Value, JsonError> {
        serde_json::from_str(&self.0).map_err(|error| JsonError::Malformed(error.to_string()))
    }
}

/// `text` as a JSON string, quotes included.
#[must_use]
pub fn quote(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

/// One open object or array while compacting.
enum Open<'a> {
    Object { names: Names<'a>, last: Cow<'a, str> },
    Array { index: usize },
}

/// The member names seen in one object: a list while short, a set once long.
enum Names<'a> {
    Few(Vec<Cow<'a, str>>),
    Many(HashSet<Cow<'a, str>>),
}

impl<'a> Names<'a> {
    const FEW: usize = 24;

    /// Adds a name; `false` when it was there.
    fn insert(&mut self, name: Cow<'a, str>) -> bool {
        match self {
            Self::Few(names) if names.contains(&name) => false,
            Self::Few(names) if names.len() < Self::FEW => {
                names.push(name);
                true
            }
            Self::Few(names) => {
                let mut many: HashSet<_> = names.drain(..).collect();
                many.insert(name);
                *self = Self::Many(many);
                true
            }
            Self::Many(names) => names.insert(name),
        }
    }
}

fn pointer(open: &[Open<'_>]) -> String {
    open.iter()
        .map(|level| match level {
            Open::Object { last, .. } => format!("/{}", last.replace('~', "~0").replace('/', "~1")),
            Open::Array { index } => format!("/{index}"),
        })
        .collect()
}

fn compact(raw: &str) -> Result<String, JsonError> {
    let mut out = String::with_capacity(raw.len());
    let mut open: Vec<Open<'_>> = Vec::new();
    let mut name_next = false;
    let mut rest = raw;
    while let Some(first) = rest.bytes().next() {
        let length = match first {
            b' ' | b'\t' | b'\r' | b'\n' => {
                rest = rest.trim_start_matches([' ', '\t', '\r', '\n']);
                continue;
            }
            b'"' => string_length(rest),
            _ => 1,
        };
        let (token, after) = rest.split_at_checked(length).unwrap_or((rest, ""));
        match first {
            b'"' if name_next => {
                name_next = false;
                let name = unquote(token)?;
                if let Some(Open::Object { names, last }) = open.last_mut() {
                    last.clone_from(&name);
                    if !names.insert(name) {
                        return Err(JsonError::DuplicateKey(pointer(&open)));
                    }
                }
            }
            b'{' | b'[' => {
                if open.len() >= MAX_DEPTH {
                    return Err(JsonError::TooDeep);
                }
                name_next = first == b'{';
                open.push(if name_next {
                    Open::Object {
                        names: Names::Few(Vec::new()),
                        last: Cow::Borrowed(""),
                    }
                } else {
                    Open::Array { index: 0 }
                });
            }
            b'}' | b']' => {
                open.pop();
                name_next = false;
            }
            b',' => match open.last_mut() {
                Some(Open::Array { index }) => *index += 1,
                _ => name_next = true,
            },
            _ => {}
        }
        out.push_str(token);
        rest = after;
    }
    Ok(out)
}

fn unquote(token: &str) -> Result<Cow<'_, str>, JsonError> {
    if token.contains('\\') {
        serde_json::from_str(token)
            .map(Cow::Owned)
            .map_err(|error| JsonError::Malformed(error.to_string()))
    } else {
        Ok(Cow::Borrowed(token.trim_matches('"')))
    }
}

/// The length of the JSON string that `text` starts with, quotes included.
fn string_length(text: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// The length of the compact JSON value that `text` starts with.
fn value_length(text: &str) -> usize {
    let mut depth = 0_usize;
    let mut at = 0;
    while let Some(rest) = text.get(at..) {
        match rest.bytes().next() {
            Some(b'"') => at += string_length(rest),
            Some(b'{' | b'[') => {
                depth += 1;
                at += 1;
            }
            Some(b'}' | b']') => {
                if depth == 0 {
                    return at;
                }
                depth -= 1;
                at += 1;
            }
            Some(b',') if depth == 0 => return at,
            Some(_) => {
                at += rest
                    .bytes()
                    .take_while(|b| !matches!(b, b'"' | b'{' | b'[' | b'}' | b']' | b','))
                    .count()
                    .max(1)
            }
            None => return at,
        }
        if depth == 0 && at > 0 && matches!(text.as_bytes().first(), Some(b'{' | b'[' | b'"')) {
            return at;
        }
    }
    text.len()
}

/// The value of the member `name` of a compact object, or of the element whose index `name` is of a compact array.
fn member<'a>(value: &'a str, name: &str) -> Option<&'a str> {
    if let Some(mut rest) = value.strip_prefix('[') {
        for _ in 0..name.parse::<usize>().ok()? {
            rest = rest.get(value_length(rest)..)?.strip_prefix(',')?;
        }
        return rest
            .get(..value_length(rest))
            .filter(|element| !element.is_empty());
    }
    let mut rest = value.strip_prefix('{')?;
    loop {
        let length = string_length(rest);
        let key = rest.get(..length).filter(|key| key.starts_with('"'))?;
        let after = rest.get(length..)?.strip_prefix(':')?;
        let length = value_length(after);
        if unquote(key).is_ok_and(|key| key == name) {
            return after.get(..length);
        }
        rest = after.get(length..)?.strip_prefix(',')?;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(raw: &str) -> EventText {
        EventText::compact(raw).unwrap()
    }

    #[test]
    fn compacting_removes_whitespace_outside_strings_only() {
        let raw =
            "{ \"a\" : [ 1.0 , 1e3,18446744073709551615 ],\n\t\"b\":\"x  \\\" y\\u00e9\" , \"c\" : { } }";
        assert_eq!(
            text(raw).as_str(),
            "{\"a\":[1.0,1e3,18446744073709551615],\"b\":\"x  \\\" y\\u00e9\",\"c\":{}}"
        );
    }

    #[test]
    fn a_duplicate_member_name_is_named_by_its_pointer() {
        for (raw, pointer) in [
            (r#"{"a":1,"a":2}"#, "/a"),
            (r#"{"a":1,"\u0061":2}"#, "/a"),
            (r#"{"x":[0,{"b/c":1,"b/c":2}]}"#, "/x/1/b~1c"),
            (r#"{"a":{"b":1},"c":{"b":1},"a":0}"#, "/a"),
        ] {
            assert_eq!(
                EventText::compact(raw),
                Err(JsonError::DuplicateKey(pointer.into())),
                "{raw}"
            );
        }
        let many: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
        assert!(EventText::compact(&format!("{{{}}}", many.join(","))).is_ok());
        assert!(EventText::compact(&format!("{{{},\"k3\":0}}", many.join(","))).is_err());
    }

    #[test]
    fn depth_is_bounded() {
        let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
        assert!(EventText::compact(&nested(MAX_DEPTH)).is_ok());
        assert_eq!(
            EventText::compact(&nested(MAX_DEPTH + 1)),
            Err(JsonError::TooDeep)
        );
    }

    #[test]
    fn members_are_read_at_any_depth() {
        let event =
            text(r#"{"n":-1.5e3,"meta":{"id":"x","s":"a\"b","o":{"p":[1,{"q":2}]}},"t":true,"z":null}"#);
        for (path, expected) in [
            (&["n"][..], Some("-1.5e3")),
            (&["meta", "id"], Some("\"x\"")),
            (&["meta", "o"], Some(r#"{"p":[1,{"q":2}]}"#)),
            (&["t"], Some("true")),
            (&["z"], Some("null")),
            (&["meta", "missing"], None),
            (&["n", "x"], None),
            (&["q"], None),
        ] {
            assert_eq!(event.get(path), expected, "{path:?}");
        }
        assert_eq!(event.get_str(&["meta", "s"]).as_deref(), Some("a\"b"));
        assert_eq!(event.get_str(&["n"]), None);
    }

    #[test]
    fn members_are_replaced_in_place_or_added_last() {
        for (raw, path, expected) in [
            (
                r#"{"meta":{"dt":"old","x":1},"y":2}"#,
                &["meta", "dt"][..],
                r#"{"meta":{"dt":9,"x":1},"y":2}"#,
            ),
            (
                r#"{"meta":{"x":1},"y":2}"#,
                &["meta", "dt"],
                r#"{"meta":{"x":1,"dt":9},"y":2}"#,
            ),
            (
                r#"{"meta":{},"y":2}"#,
                &["meta", "dt"],
                r#"{"meta":{"dt":9},"y":2}"#,
            ),
            (r#"{"y":2}"#, &["meta", "dt"], r#"{"y":2,"meta":{"dt":9}}"#),
            (r#"{"y":2}"#, &["a", "b", "c"], r#"{"y":2,"a":{"b":{"c":9}}}"#),
            (r#"{"meta":3}"#, &["meta", "dt"], r#"{"meta":3}"#),
            (
                r#"{"l":[{},{"b":1}]}"#,
                &["l", "1", "a"],
                r#"{"l":[{},{"b":1,"a":9}]}"#,
            ),
            (r#"{"l":[0,1]}"#, &["l", "0"], r#"{"l":[9,1]}"#),
            (r#"{"l":[]}"#, &["l", "0"], r#"{"l":[]}"#),
            (r#"{}"#, &["a"], r#"{"a":9}"#),
        ] {
            let mut event = text(raw);
            event.set(path, "9");
            assert_eq!(event.as_str(), expected);
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

    #[test]
    fn unpaired_surrogates_are_malformed() {
        let event = text(r#"{"a":"\ud800"}"#);
        assert!(matches!(event.to_value(), Err(JsonError::Malformed(_))));
        assert!(matches!(
            EventText::compact(r#"{"\ud800":1}"#),
            Err(JsonError::Malformed(_))
        ));
    }
}
