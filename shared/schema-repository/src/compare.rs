//! Which schemas say the same, though written differently; as json-schema-compare.

use crate::node::Node;

/// Whether two schemas accept the same for all their keywords tell.
pub(crate) fn same(left: &Node, right: &Node) -> bool {
    match (left.as_object(), right.as_object()) {
        (Some(left), Some(right)) => {
            left.len() == right.len()
                && left
                    .iter()
                    .all(|(key, value)| right.get(key).is_some_and(|other| same_value(key, value, other)))
        }
        _ => left == right,
    }
}

/// Whether two values of one keyword mean the same.
pub(crate) fn same_value(key: &str, left: &Node, right: &Node) -> bool {
    if left == right {
        return true;
    }
    match key {
        "additionalProperties" | "additionalItems" | "contains" | "propertyNames" | "not" | "items" => {
            same(left, right)
        }
        "required" | "enum" | "type" => {
            let list = |node: &Node| {
                node.as_array()
                    .map_or_else(|| vec![node.clone()], <[Node]>::to_vec)
            };
            let (left, right) = (list(left), list(right));
            left.iter().all(|item| right.contains(item)) && right.iter().all(|item| left.contains(item))
        }
        "properties" | "patternProperties" | "dependencies" => match (left.as_object(), right.as_object()) {
            (Some(left), Some(right)) => {
                left.len() == right.len()
                    && left
                        .iter()
                        .all(|(name, value)| right.get(name).is_some_and(|other| same(value, other)))
            }
            _ => false,
        },
        _ => false,
    }
}
