//! What changed between two versions.

use similar::TextDiff;

use crate::node::{Node, join};
use crate::text::write_yaml;

/// The unified diff of two schemas in the form materialized files have; empty when they say the same.
pub fn diff(old_name: &str, old: &Node, new_name: &str, new: &Node) -> String {
    let (old, new) = (write_yaml(old), write_yaml(new));
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .header(old_name, new_name)
        .to_string()
}

/// JSON pointer to the first place where two schemas say something else; the order of members does not count.
pub fn difference(old: &Node, new: &Node) -> Option<String> {
    if old == new {
        return None;
    }
    let inner = match (old, new) {
        (Node::Object(old), Node::Object(new)) => {
            let missing = new.keys().find(|name| !old.contains_key(*name));
            let other = old.iter().find_map(|(name, member)| match new.get(name) {
                Some(other) => difference(member, other).map(|below| join("", name) + &below),
                None => Some(join("", name)),
            });
            other.or_else(|| missing.map(|name| join("", name)))
        }
        (Node::Array(old), Node::Array(new)) => {
            let each = old.iter().zip(new.iter()).enumerate();
            let mut differing = each
                .filter_map(|(index, (old, new))| difference(old, new).map(|below| join("", index) + &below));
            differing.next()
        }
        _ => None,
    };
    Some(inner.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_has_a_pointer() {
        let node = |text: &str| serde_json::from_str::<Node>(text).unwrap();
        let old = r#"{"a": 1, "b": [{"c/d": 2}, 3], "e": {}}"#;
        for (new, expected) in [
            (r#"{"e": {}, "b": [{"c/d": 2}, 3], "a": 1}"#, None),
            (r#"{"a": 1, "b": [{"c/d": 4}, 3], "e": {}}"#, Some("/b/0/c~1d")),
            (r#"{"a": 1, "b": [{"c/d": 2}], "e": {}}"#, Some("/b")),
            (r#"{"a": 1, "b": [{"c/d": 2}, 3]}"#, Some("/e")),
            (r#"{"a": 1, "b": [{"c/d": 2}, 3], "e": {"f": 1}}"#, Some("/e/f")),
            ("[]", Some("")),
        ] {
            assert_eq!(difference(&node(old), &node(new)).as_deref(), expected, "{new}");
        }
    }
}
