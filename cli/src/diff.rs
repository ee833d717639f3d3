//! What differs between two stream configs, as lines to read.

use serde_json::{Map, Value};

use crate::stream_config::{escape, nested};

/// The lines: `+` for a stream that is added, `-` for one that is removed, `~` for one that changes, with each change below it.
/// Empty when both mean the same.
pub(crate) fn diff(old: &Map<String, Value>, new: &Map<String, Value>) -> Vec<String> {
    let mut lines = Vec::new();
    changed("defaults", &defaults(old), &defaults(new), &mut lines);
    let (old, new) = (nested(old).unwrap_or(old), nested(new).unwrap_or(new));
    for name in old.keys().filter(|name| !new.contains_key(*name)) {
        lines.push(format!("- {name}"));
    }
    for (name, settings) in new {
        match old.get(name) {
            None => lines.push(format!("+ {name}")),
            Some(before) => changed(name, before, settings, &mut lines),
        }
    }
    let patterns = |one: &Map<String, Value>, other: &Map<String, Value>| -> Vec<String> {
        let both = one
            .keys()
            .filter(|name| name.starts_with('/') && other.contains_key(*name));
        both.cloned().collect()
    };
    let (before, after) = (patterns(old, new), patterns(new, old));
    if before != after {
        lines.push("~ the order of regexes, of which the first that matches counts".to_owned());
        lines.push(format!("    {} → {}", before.join(" "), after.join(" ")));
    }
    lines
}

fn defaults(config: &Map<String, Value>) -> Value {
    let defaults = nested(config).and_then(|_| config.get("defaults"));
    let defaults = defaults.filter(|defaults| !defaults.is_null());
    defaults.cloned().unwrap_or_else(|| Value::Object(Map::new()))
}

fn changed(name: &str, old: &Value, new: &Value, lines: &mut Vec<String>) {
    let before = lines.len();
    settings("", Some(old), Some(new), lines);
    if lines.len() > before {
        lines.insert(before, format!("~ {name}"));
    }
}

fn settings(pointer: &str, old: Option<&Value>, new: Option<&Value>, lines: &mut Vec<String>) {
    match (old, new) {
        (Some(Value::Object(old)), Some(Value::Object(new))) => {
            let added = new.keys().filter(|name| !old.contains_key(*name));
            for name in old.keys().chain(added) {
                let pointer = format!("{pointer}/{}", escape(name));
                settings(&pointer, old.get(name), new.get(name), lines);
            }
        }
        (old, new) if old == new => {}
        (old, new) => {
            let shown = |value: Option<&Value>| value.map_or("(none)".to_owned(), Value::to_string);
            lines.push(format!("    {pointer}: {} → {}", shown(old), shown(new)));
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_differs_is_told_and_nothing_else() {
        for (old, new, expected) in [
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"y": 2, "x": 1}}),
                vec![],
            ),
            (
                json!({"a": {}}),
                json!({"defaults": {}, "streams": {"a": {}}}),
                vec![],
            ),
            (json!({"a": {}, "b": {}}), json!({"b": {}, "a": {}}), vec![]),
            (json!({"a": {}}), json!({"b": {}}), vec!["- a", "+ b"]),
            (
                json!({"a": {"p": {"auth": "none", "k/l": 1}, "t": [1]}}),
                json!({"a": {"p": {"auth": "token"}, "t": [2], "n": null}}),
                vec![
                    "~ a",
                    "    /p/auth: \"none\" → \"token\"",
                    "    /p/k~1l: 1 → (none)",
                    "    /t: [1] → [2]",
                    "    /n: (none) → null",
                ],
            ),
            (
                json!({"a": {}}),
                json!({"defaults": {"accept": "log"}, "streams": {"a": {}}}),
                vec!["~ defaults", "    /accept: (none) → \"log\""],
            ),
            (
                json!({"/a/": {}, "/b/": {}}),
                json!({"/b/": {}, "/a/": {}}),
                vec![
                    "~ the order of regexes, of which the first that matches counts",
                    "    /a/ /b/ → /b/ /a/",
                ],
            ),
        ] {
            let lines = diff(old.as_object().unwrap(), new.as_object().unwrap());
            assert_eq!(lines, expected, "{old} {new}");
        }
    }
}
