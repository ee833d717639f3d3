use std::collections::{HashMap, HashSet};

use super::scalar;
use crate::node::Node;
use crate::order::KeyOrder;

/// A name longer than this needs the `? name` form; YAML allows no longer one before a colon.
const MAX_NAME: usize = 1024;

/// The document as block YAML: two spaces, lines of 80 columns, anchors for what is referenced twice.
pub fn write_yaml(node: &Node) -> String {
    let mut writer = Writer {
        order: KeyOrder::new(),
        anchors: anchors(node),
        written: HashSet::new(),
    };
    let mut text = writer.node(node, 0, true);
    text.push('\n');
    text
}

/// The numbers of the anchors, by identity, in the order in which the second mention is found.
fn anchors(node: &Node) -> HashMap<usize, usize> {
    let mut anchors = HashMap::new();
    find_anchors(node, &mut HashSet::new(), &mut anchors);
    anchors
}

fn find_anchors(node: &Node, seen: &mut HashSet<usize>, anchors: &mut HashMap<usize, usize>) {
    let Some(identity) = node.identity() else { return };
    if !seen.insert(identity) {
        let next = anchors.len();
        anchors.entry(identity).or_insert(next);
        return;
    }
    match node {
        Node::Array(items) => items.iter().for_each(|item| find_anchors(item, seen, anchors)),
        Node::Object(members) => members
            .values()
            .for_each(|member| find_anchors(member, seen, anchors)),
        _ => {}
    }
}

struct Writer {
    order: KeyOrder,
    anchors: HashMap<usize, usize>,
    written: HashSet<usize>,
}

impl Writer {
    /// What follows `name:` or `-`. It begins with a line feed when it must stand on lines of its own; a `compact`
    /// block begins on the line it is on.
    fn node(&mut self, node: &Node, level: usize, compact: bool) -> String {
        let anchor = node
            .identity()
            .and_then(|identity| self.anchors.get(&identity))
            .copied();
        if let Some(anchor) = anchor
            && !self.written.insert(anchor)
        {
            return format!("*ref_{anchor}");
        }
        let text = match node {
            Node::Null => "null".to_owned(),
            Node::Bool(value) => value.to_string(),
            Node::Number(value) => scalar::number(*value),
            Node::String(value) => scalar::string(value, level, false),
            Node::Array(items) => self.list(items, level, compact && anchor.is_none()),
            Node::Object(members) => self.mapping(members, level, compact && anchor.is_none()),
        };
        match anchor {
            Some(anchor) if text.starts_with('\n') => format!("&ref_{anchor}{text}"),
            Some(anchor) => format!("&ref_{anchor} {text}"),
            None => text,
        }
    }

    fn list(&mut self, items: &[Node], level: usize, compact: bool) -> String {
        if items.is_empty() {
            return "[]".to_owned();
        }
        let mut text = String::new();
        for (index, item) in items.iter().enumerate() {
            if !compact || index > 0 {
                next_line(level, &mut text);
            }
            let item = self.node(item, level + 1, true);
            text.push_str(if item.starts_with('\n') { "-" } else { "- " });
            text.push_str(&item);
        }
        text
    }

    fn mapping(&mut self, members: &crate::node::Object, level: usize, compact: bool) -> String {
        if members.is_empty() {
            return "{}".to_owned();
        }
        let mut text = String::new();
        // The borrow of the order must end before the members are written.
        let sorted: Vec<(String, Node)> = self
            .order
            .sorted(members)
            .into_iter()
            .map(|(name, member)| (name.to_owned(), member.clone()))
            .collect();
        for (index, (name, member)) in sorted.iter().enumerate() {
            if !compact || index > 0 {
                next_line(level, &mut text);
            }
            let name = scalar::string(name, level + 1, true);
            let is_long = name.encode_utf16().count() > MAX_NAME;
            if is_long {
                text.push_str("? ");
            }
            text.push_str(&name);
            if is_long {
                next_line(level, &mut text);
            }
            let member = self.node(member, level + 1, is_long);
            text.push_str(if member.starts_with('\n') { ":" } else { ": " });
            text.push_str(&member);
        }
        text
    }
}

fn next_line(level: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", level));
}
