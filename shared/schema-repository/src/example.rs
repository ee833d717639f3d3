//! Generated examples: what json-schema-faker makes with `random: () => 0.15`, so that they never change.

mod pattern;

use crate::node::{Node, Object, join};

const RANDOM: f64 = 0.15;
/// Where a schema bounds a number on neither side.
const UNBOUNDED: f64 = 1e8;
/// Lists and texts longer than this are no examples.
const MAX_LENGTH: f64 = 1000.0;

/// Where no example could be made, and why.
pub(crate) type Refusal = (String, String);

/// Adds an example to a schema that has none.
pub(crate) fn add_example(schema: &Node, version_field: &str) -> Result<Node, Refusal> {
    let has_examples = schema
        .get("examples")
        .and_then(Node::as_array)
        .is_some_and(|list| !list.is_empty());
    let Some(members) = schema.as_object().filter(|_| !has_examples) else {
        return Ok(schema.clone());
    };
    let mut example = generate(schema, "")?;
    if let (Some(id), Some(members)) = (schema.get(version_field), example.as_object())
        && members.contains_key("$schema")
    {
        let mut members = members.clone();
        members.insert("$schema".into(), id.clone());
        example = Node::object(members);
    }
    let mut members = members.clone();
    members.insert("examples".into(), Node::array(vec![example]));
    Ok(Node::object(members))
}

fn generate(schema: &Node, pointer: &str) -> Result<Node, Refusal> {
    let copy = |node: &Node| node.detached(&mut std::collections::HashMap::new());
    if let Some(value) = schema.get("default").or_else(|| schema.get("const")) {
        return Ok(copy(value));
    }
    if let Some(values) = schema.get("enum").and_then(Node::as_array) {
        let index = (values.len() as f64 * RANDOM) as usize;
        return values
            .get(index)
            .map(copy)
            .ok_or_else(|| refusal(pointer, "`enum` is empty"));
    }
    for key in ["oneOf", "anyOf"] {
        if let Some(first) = schema.get(key).and_then(|list| list.as_array()?.first()) {
            return generate(first, &join(&join(pointer, key), 0));
        }
    }
    let kind = match schema.get("type") {
        Some(Node::Array(kinds)) => kinds.first().and_then(Node::as_str),
        Some(kind) => kind.as_str(),
        None if schema.get("properties").is_some() => Some("object"),
        None if schema.get("items").is_some() => Some("array"),
        None => None,
    };
    match kind {
        Some("string") => text(schema, pointer),
        Some("boolean") => Ok(Node::Bool(false)),
        Some("integer") => Ok(Node::Number(number(schema, true))),
        Some("number") => Ok(Node::Number(number(schema, false))),
        Some("null") => Ok(Node::Null),
        Some("array") => list(schema, pointer),
        Some("object") | None => object(schema, pointer),
        Some(_) => Err(refusal(pointer, "the type is unknown")),
    }
}

fn refusal(pointer: &str, why: &str) -> Refusal {
    (pointer.to_owned(), why.to_owned())
}

fn bound(schema: &Node, key: &str) -> Option<f64> {
    schema.get(key).and_then(Node::as_number)
}

fn number(schema: &Node, is_integer: bool) -> f64 {
    let smallest = bound(schema, "minimum").unwrap_or(-UNBOUNDED);
    let largest = bound(schema, "maximum").unwrap_or(UNBOUNDED).max(smallest);
    let step = if is_integer { 1.0 } else { 0.0 };
    let value = RANDOM * (largest - smallest + step) + smallest;
    let value = if is_integer { value.floor() } else { value };
    match bound(schema, "multipleOf") {
        Some(factor) if factor > 0.0 => (value / factor).floor() * factor,
        _ => value,
    }
}

fn text(schema: &Node, pointer: &str) -> Result<Node, Refusal> {
    let fixed = match schema.get("format").and_then(Node::as_str) {
        Some("date-time") => Some("2021-01-01T00:00:00.0Z"),
        // The original takes the day it runs on.
        Some("date") => Some("2021-01-01"),
        Some("time") => Some("00:00:00.0Z"),
        Some("uri-reference" | "uri") => Some("http://example.org"),
        Some("email") => Some("jjjj@hhhhh.dd"),
        Some("hostname") => Some("hhhhh.dd"),
        Some("ipv4") => Some("38.38.38.38"),
        Some("uuid") => Some("22222222-2222-2222-2222-222222222222"),
        _ => None,
    };
    if let Some(fixed) = fixed {
        return Ok(Node::string(fixed));
    }
    let least = bound(schema, "minLength").unwrap_or_default();
    if let Some(pattern) = schema.get("pattern").and_then(Node::as_str) {
        let most = bound(schema, "maxLength").unwrap_or(MAX_LENGTH);
        return pattern::matching(pattern)
            .filter(|text| (least..=most).contains(&(text.len() as f64)))
            .map(|text| Node::string(&text))
            .ok_or_else(|| refusal(pointer, "no text that matches `pattern` was found"));
    }
    if least > MAX_LENGTH {
        return Err(refusal(pointer, "`minLength` is too large for an example"));
    }
    let mut text = "dolor".repeat(((least / 5.0).ceil() as usize).max(1));
    if let Some(most) = bound(schema, "maxLength")
        && text.len() as f64 > most
    {
        text.truncate(most.max(0.0) as usize);
    }
    Ok(Node::string(&text))
}

fn list(schema: &Node, pointer: &str) -> Result<Node, Refusal> {
    let at = join(pointer, "items");
    let items = match schema.get("items") {
        None => Vec::new(),
        Some(Node::Array(items)) => {
            let each = items.iter().enumerate();
            each.map(|(index, item)| generate(item, &join(&at, index)))
                .collect::<Result<_, _>>()?
        }
        Some(item) => {
            let least = bound(schema, "minItems").unwrap_or(1.0).max(1.0);
            let count = bound(schema, "maxItems").unwrap_or(least);
            if count > MAX_LENGTH {
                return Err(refusal(pointer, "the list is too long for an example"));
            }
            let is_set = schema.get("uniqueItems") == Some(&Node::Bool(true));
            let count = if is_set { count.min(1.0) } else { count } as usize;
            (0..count)
                .map(|_| generate(item, &at))
                .collect::<Result<_, _>>()?
        }
    };
    Ok(Node::array(items))
}

fn object(schema: &Node, pointer: &str) -> Result<Node, Refusal> {
    let mut members = Object::new();
    let required = schema
        .get("required")
        .and_then(Node::as_array)
        .unwrap_or_default();
    let at = join(pointer, "properties");
    let properties = schema.get("properties").and_then(Node::as_object);
    for (name, property) in properties.into_iter().flatten() {
        match generate(property, &join(&at, name)) {
            Ok(value) => {
                members.insert(name.clone(), value);
            }
            // What nobody needs to send may be missing from an example.
            Err(_) if !required.iter().any(|item| item.as_str() == Some(name)) => {}
            Err(refusal) => return Err(refusal),
        }
    }
    if properties.is_none_or(Object::is_empty)
        && let Some(values @ Node::Object(_)) = schema.get("additionalProperties")
    {
        members.insert(
            "dolorb".into(),
            generate(values, &join(pointer, "additionalProperties"))?,
        );
    }
    if bound(schema, "minProperties").is_some_and(|least| least > members.len() as f64) {
        return Err(refusal(pointer, "more members are wanted than the schema names"));
    }
    Ok(Node::object(members))
}
