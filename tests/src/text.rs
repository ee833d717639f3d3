//! JSON text: read, cut and compared without parsing it into values, so that a changed number text, key order or
//! escape shows.
//!
//! Everything here takes text that is valid JSON and panics on anything else.

use std::ops::Range;

/// What the platform writes into every event it hands out, over what the producer sent.
const WRITTEN: [&[&str]; 5] = [
    &["meta", "topic"],
    &["meta", "partition"],
    &["meta", "offset"],
    &["meta", "key"],
    &["meta", "dt"],
];

/// What the platform fills in only where the producer left it out and the schema has it.
const FILLED: [&[&str]; 5] = [
    &["meta", "id"],
    &["meta", "request_id"],
    &["http", "client_ip"],
    &["http", "request_headers", "user-agent"],
    &["dt"],
];

/// Removes the whitespace outside strings.
#[must_use]
pub fn minify(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut in_string, mut escaped) = (false, false);
    for character in text.chars() {
        if in_string {
            out.push(character);
            (in_string, escaped) = match character {
                _ if escaped => (true, false),
                '\\' => (true, true),
                '"' => (false, false),
                _ => (true, false),
            };
        } else if !matches!(character, ' ' | '\t' | '\r' | '\n') {
            out.push(character);
            in_string = character == '"';
        }
    }
    out
}

/// The text of the member at `path`.
#[must_use]
pub fn get<'a>(text: &'a str, path: &[&str]) -> Option<&'a str> {
    find(text, path).map(|member| &text[member.value])
}

/// Puts `value` in the place of the member at `path`, which must be there.
#[must_use]
#[track_caller]
pub fn replace(text: &str, path: &[&str], value: &str) -> String {
    let member = find(text, path).unwrap_or_else(|| panic!("no {path:?} in {text}"));
    format!(
        "{}{value}{}",
        &text[..member.value.start],
        &text[member.value.end..]
    )
}

/// Takes out the member at `path`, with one of the commas beside it, if it is there.
#[must_use]
pub fn remove(text: &str, path: &[&str]) -> String {
    let Some(member) = find(text, path) else {
        return text.to_owned();
    };
    let (before, after) = (&text[..member.whole.start], &text[member.whole.end..]);
    if let Some(before) = before.trim_end().strip_suffix(',') {
        format!("{before}{after}")
    } else if let Some(after) = after.trim_start().strip_prefix(',') {
        format!("{before}{after}")
    } else {
        format!("{before}{after}")
    }
}

/// The names of an object's members, in order.
#[must_use]
pub fn names(object: &str) -> Vec<String> {
    members(object, 0)
        .iter()
        .map(|member| unquote(&object[member.name.clone()]))
        .collect()
}

/// Takes out of an event that came over SSE what the platform put in, so that what was sent remains.
///
/// `sent` says which members are the producer's: those it has are left as they came (what the platform writes over
/// them is put back), those it has not are removed if they are the platform's own or one of `defaults`.
#[must_use]
pub fn as_sent(received: &str, sent: &str, defaults: &[&[&str]]) -> String {
    let mut text = received.to_owned();
    for path in WRITTEN {
        text = match get(sent, path) {
            Some(value) if get(&text, path).is_some() => replace(&text, path, value),
            _ => remove(&text, path),
        };
    }
    for path in FILLED.iter().chain(defaults).copied() {
        if get(sent, path).is_some() {
            continue;
        }
        text = remove(&text, path);
        for depth in (1..path.len()).rev() {
            let parent = &path[..depth];
            if get(&text, parent) == Some("{}") && get(sent, parent).is_none() {
                text = remove(&text, parent);
            }
        }
    }
    text
}

struct Member {
    name: Range<usize>,
    value: Range<usize>,
    whole: Range<usize>,
}

fn find(text: &str, path: &[&str]) -> Option<Member> {
    let mut start = 0;
    let mut found = None;
    for name in path {
        if !text[start..].trim_start().starts_with('{') {
            return None;
        }
        let member = members(text, start)
            .into_iter()
            .find(|member| unquote(&text[member.name.clone()]) == *name)?;
        start = member.value.start;
        found = Some(member);
    }
    found
}

/// The members of the object that starts at `at`.
fn members(text: &str, at: usize) -> Vec<Member> {
    let bytes = text.as_bytes();
    let mut at = skip_space(bytes, at);
    assert_eq!(bytes.get(at), Some(&b'{'), "an object at {at} of {text}");
    at = skip_space(bytes, at + 1);
    let mut members = Vec::new();
    while bytes[at] != b'}' {
        if !members.is_empty() {
            assert_eq!(bytes[at], b',', "a comma at {at} of {text}");
            at = skip_space(bytes, at + 1);
        }
        let name = at..skip_value(bytes, at);
        at = skip_space(bytes, name.end);
        assert_eq!(bytes[at], b':', "a colon at {at} of {text}");
        at = skip_space(bytes, at + 1);
        let value = at..skip_value(bytes, at);
        members.push(Member {
            whole: name.start..value.end,
            name,
            value: value.clone(),
        });
        at = skip_space(bytes, value.end);
    }
    members
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while matches!(bytes.get(at), Some(b' ' | b'\t' | b'\r' | b'\n')) {
        at += 1;
    }
    at
}

/// Where the value that starts at `at` ends.
fn skip_value(bytes: &[u8], mut at: usize) -> usize {
    match bytes[at] {
        b'"' => {
            at += 1;
            while bytes[at] != b'"' {
                at += if bytes[at] == b'\\' { 2 } else { 1 };
            }
            at + 1
        }
        b'{' | b'[' => {
            let mut depth = 0;
            loop {
                match bytes[at] {
                    b'"' => at = skip_value(bytes, at) - 1,
                    b'{' | b'[' => depth += 1,
                    b'}' | b']' => depth -= 1,
                    _ => {}
                }
                at += 1;
                if depth == 0 {
                    return at;
                }
            }
        }
        _ => {
            while !matches!(
                bytes.get(at),
                None | Some(b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n')
            ) {
                at += 1;
            }
            at
        }
    }
}

fn unquote(name: &str) -> String {
    serde_json::from_str(name).unwrap_or_else(|error| panic!("not a member name ({error}): {name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whitespace_goes_outside_strings_only() {
        assert_eq!(
            minify(" { \"a \\\" b\" :\t[ 1.0 ,\r\n \"x\\\\\" , { } ] } "),
            r#"{"a \" b":[1.0,"x\\",{}]}"#
        );
    }

    #[test]
    fn members_are_found_replaced_and_removed_where_they_stand() {
        let text = r#"{"a":1e3,"b":{"c":"x,}","d":[{"c":2}]},"\u0065":null}"#;
        assert_eq!(get(text, &["a"]), Some("1e3"));
        assert_eq!(get(text, &["b", "c"]), Some("\"x,}\""));
        assert_eq!(get(text, &["e"]), Some("null"));
        assert_eq!(get(text, &["a", "b"]), None);
        assert_eq!(replace(text, &["b"], "0"), r#"{"a":1e3,"b":0,"\u0065":null}"#);
        assert_eq!(
            remove(text, &["a"]),
            r#"{"b":{"c":"x,}","d":[{"c":2}]},"\u0065":null}"#
        );
        assert_eq!(remove(text, &["e"]), r#"{"a":1e3,"b":{"c":"x,}","d":[{"c":2}]}}"#);
        assert_eq!(
            remove(text, &["b", "d"]),
            r#"{"a":1e3,"b":{"c":"x,}"},"\u0065":null}"#
        );
        assert_eq!(remove(r#"{"a":1}"#, &["a"]), "{}");
        assert_eq!(names(text), ["a", "b", "e"]);
    }

    #[test]
    fn what_the_platform_put_in_comes_out_again() {
        let sent = r#"{"meta":{"dt":"2020","stream":"s"},"n":1.0}"#;
        let received = concat!(
            r#"{"meta":{"dt":"2026","stream":"s","id":"i","topic":"s","partition":0,"offset":7},"#,
            r#""n":1.0,"dt":"2026","http":{"request_headers":{"user-agent":"x"}},"test":"d"}"#
        );
        assert_eq!(as_sent(received, sent, &[&["test"]]), sent);
    }

    #[test]
    fn what_the_producer_sent_stays_in() {
        let sent = r#"{"dt":"2020","meta":{"id":"i","stream":"s","offset":"mine"},"http":{}}"#;
        let received = r#"{"dt":"2021","meta":{"id":"i","stream":"s","offset":3,"dt":"2026"},"http":{}}"#;
        let expected = r#"{"dt":"2021","meta":{"id":"i","stream":"s","offset":"mine"},"http":{}}"#;
        assert_eq!(as_sent(received, sent, &[]), expected);
    }
}
