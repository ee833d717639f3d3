//! Where an error is, in AJV 6's notation: in the event (`dataPath`), and in the schema (`schemaPath`).
//!
//! Source: ajv 6.12.6, `lib/compile/util.js` (`getProperty`, `getPathExpr`, `escapeFragment`).

use jsonschema::ValidationError;
use jsonschema::paths::Location;
use serde_json::Value;

use crate::keywords::unescaped;

/// The JavaScript path of an error in `event` (`.a.b`, `['user-agent']`, `[0].x`), and the value there. A location does not tell
/// the index `0` from a member called `0`; the event does.
pub(crate) fn data_path<'e>(event: &'e Value, error: &ValidationError<'_>) -> (String, Option<&'e Value>) {
    let by_map = by_map(&names(error.evaluation_path()));
    let names = names(error.instance_path());
    let mut path = String::new();
    let mut at = Some(event);
    for (place, name) in names.iter().enumerate() {
        if at.is_some_and(Value::is_array) {
            path.push_str(&format!("[{name}]"));
            at = name.parse::<usize>().ok().and_then(|index| at?.get(index));
            continue;
        }
        let dynamic = by_map.get(place).copied();
        if dynamic == Some(true) {
            // AJV puts such a name in when it runs, as it is.
            path.push_str(&format!("['{name}']"));
        } else {
            path.push_str(&member(name));
        }
        at = at.and_then(|object| object.get(name));
    }
    (path, at)
}

/// The place of an error in the schema, as a URI's fragment.
pub(crate) fn schema_path(error: &ValidationError<'_>) -> String {
    format!("#{}", fragment(error.schema_path().as_str()))
}

/// A JSON pointer as a URI's fragment has it.
pub(crate) fn fragment(pointer: &str) -> String {
    let mut path = String::with_capacity(pointer.len() + 1);
    for c in pointer.chars() {
        if c.is_ascii_alphanumeric() || "/-_.!~*'()".contains(c) {
            path.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                path.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    path
}

/// For each step into the event that a path through the schema takes: whether it is a member whose name the schema does
/// not say.
fn by_map(schema_path: &[String]) -> Vec<bool> {
    let mut steps = Vec::new();
    let mut rest = schema_path.iter().map(String::as_str).peekable();
    while let Some(keyword) = rest.next() {
        match keyword {
            "properties" | "patternProperties" => {
                rest.next();
                steps.push(keyword == "patternProperties");
            }
            "additionalProperties" if rest.peek().is_some() => steps.push(true),
            "items" | "prefixItems" | "additionalItems" | "contains" if rest.peek().is_some() => {
                rest.next_if(|next| next.bytes().all(|digit| digit.is_ascii_digit()));
                steps.push(false);
            }
            "allOf" | "anyOf" | "oneOf" | "definitions" | "$defs" | "dependencies" | "dependentSchemas" => {
                rest.next();
            }
            _ => {}
        }
    }
    steps
}

/// The steps of a location. Its own `segments` leave out a member without a name.
pub(crate) fn names(location: &Location) -> Vec<String> {
    location.as_str().split('/').skip(1).map(unescaped).collect()
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// `.a`, or `['a b']` with quotes escaped.
fn member(name: &str) -> String {
    if is_identifier(name) {
        return format!(".{name}");
    }
    let escaped = name
        .replace('\\', "\\\\")
        .replace('\'', "\\'")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\u{c}', "\\f")
        .replace('\t', "\\t");
    format!("['{escaped}']")
}
