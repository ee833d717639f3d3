use crate::node::Node;
use crate::order::KeyOrder;

/// The document as JSON with an indent of two spaces and, as the original, without a line end at its end.
pub fn write_json(node: &Node) -> String {
    let mut text = String::new();
    write(&KeyOrder::new(), node, 0, &mut text);
    text
}

fn write(order: &KeyOrder, node: &Node, level: usize, text: &mut String) {
    match node {
        Node::Null => text.push_str("null"),
        Node::Bool(value) => text.push_str(if *value { "true" } else { "false" }),
        // JavaScript writes the negative zero without its sign.
        Node::Number(value) => text.push_str(&super::number(if *value == 0.0 { 0.0 } else { *value })),
        Node::String(value) => text.push_str(&serde_json::Value::from(value.as_ref()).to_string()),
        Node::Array(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(level + 1, text);
                write(order, item, level + 1, text);
            }
            line(level, text);
            text.push(']');
        }
        Node::Object(members) => {
            text.push('{');
            for (index, (name, member)) in order.sorted(members).into_iter().enumerate() {
                if index > 0 {
                    text.push(',');
                }
                line(level + 1, text);
                text.push_str(&serde_json::Value::from(name).to_string());
                text.push_str(": ");
                write(order, member, level + 1, text);
            }
            line(level, text);
            text.push('}');
        }
    }
}

fn line(level: usize, text: &mut String) {
    text.push('\n');
    text.extend(std::iter::repeat_n("  ", level));
}
