//! What changed between two versions.

use similar::TextDiff;

use crate::node::Node;
use crate::text::write_yaml;

/// The unified diff of two schemas in the form materialized files have; empty when they say the same.
pub fn diff(old_name: &str, old: &Node, new_name: &str, new: &Node) -> String {
    let (old, new) = (write_yaml(old), write_yaml(new));
    TextDiff::from_lines(&old, &new)
        .unified_diff()
        .header(old_name, new_name)
        .to_string()
}
