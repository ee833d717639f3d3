//! `allOf`, merged as json-schema-merge-allof 0.6 does with `ignoreAdditionalProperties` and the first `examples`.

use std::collections::HashMap;

use crate::compare::{same, same_value};
use crate::node::{Node, Object, join};

const GROUPS: [&str; 4] = ["properties", "patternProperties", "definitions", "dependencies"];
const SCHEMAS: [&str; 4] = ["contains", "propertyNames", "not", "additionalItems"];

/// How many combinations of `oneOf` or `anyOf` a merge may make: as many as a reader could still check.
const MAX_COMBINATIONS: usize = 1000;

/// Where the contradiction is, and what contradicts.
pub(crate) type Conflict = (String, String);
type Merged = Result<Node, Conflict>;

/// The schema without any `allOf`.
pub(crate) fn merge_all_of(root: &Node) -> Merged {
    let base = root.as_object().map(|members| {
        let mut members = members.clone();
        members.shift_remove("allOf");
        members
    });
    merge(flatten(root), base.unwrap_or_default(), "")
}

fn flatten(schema: &Node) -> Vec<Node> {
    let Some(Node::Array(all)) = schema.get("allOf") else {
        return vec![schema.clone()];
    };
    let mut own = schema.as_object().cloned().unwrap_or_default();
    own.shift_remove("allOf");
    let mut schemas = vec![Node::object(own)];
    schemas.extend(all.iter().flat_map(flatten));
    schemas
}

fn merge_new(schemas: Vec<Node>, pointer: &str) -> Merged {
    merge(schemas, Object::new(), pointer)
}

fn merge(schemas: Vec<Node>, mut merged: Object, pointer: &str) -> Merged {
    if schemas.contains(&Node::Bool(false)) {
        return Ok(Node::Bool(false));
    }
    if schemas.iter().all(|schema| *schema == Node::Bool(true)) {
        return Ok(Node::Bool(true));
    }
    let copies = &mut HashMap::new();
    let schemas: Vec<Node> = schemas
        .iter()
        .filter(|schema| schema.as_object().is_some())
        .map(|schema| schema.detached(copies))
        .collect();
    let mut keys: Vec<&str> = Vec::new();
    for key in schemas.iter().filter_map(Node::as_object).flat_map(Object::keys) {
        if !keys.contains(&key.as_ref()) {
            keys.push(key);
        }
    }
    if keys.contains(&"allOf") {
        return merge_new(schemas.iter().flat_map(flatten).collect(), pointer);
    }
    for key in &keys {
        let values = distinct(schemas.iter().filter_map(|schema| schema.get(key)), |a, b| {
            same_value(key, a, b)
        });
        let at = join(pointer, key);
        let value = match *key {
            "properties" | "patternProperties" => {
                let value = group(&values, &at)?;
                (value.as_object().is_some_and(|members| !members.is_empty())).then_some(value)
            }
            "additionalProperties" => {
                let value = merge_new(values, &at)?;
                (value.as_object().is_none_or(|members| !members.is_empty())).then_some(value)
            }
            "items" => items(values, &at)?,
            "definitions" | "dependencies" => Some(group(&values, &at)?),
            _ => keyword(key, values, &at, &mut merged)?,
        };
        if let Some(value) = value {
            merged.insert((*key).into(), value);
        }
    }
    let is_closed = merged.get("additionalProperties") == Some(&Node::Bool(false));
    if is_closed && let Some(Node::Object(properties)) = merged.get("properties") {
        let kept = properties
            .iter()
            .filter(|(_, schema)| **schema != Node::Bool(false));
        let kept = kept
            .map(|(name, schema)| (name.clone(), schema.clone()))
            .collect();
        merged.insert("properties".into(), Node::object(kept));
    }
    Ok(Node::object(merged))
}

fn distinct<'a>(values: impl Iterator<Item = &'a Node>, same: impl Fn(&Node, &Node) -> bool) -> Vec<Node> {
    let mut kept: Vec<Node> = Vec::new();
    for value in values {
        if !kept.iter().any(|other| same(other, value)) {
            kept.push(value.clone());
        }
    }
    kept
}

/// Subschemas by name: those of the same name are merged.
fn group(values: &[Node], pointer: &str) -> Merged {
    let mut merged = Object::new();
    for members in values.iter().filter_map(Node::as_object) {
        for name in members.keys() {
            if merged.contains_key(name) {
                continue;
            }
            let named = distinct(values.iter().filter_map(|value| value.get(name)), same);
            let at = join(pointer, name);
            // A dependency may be a list of names, which is a schema that requires them.
            let value = if named.iter().all(|value| value.as_array().is_some()) {
                sorted_union(&named)
            } else {
                let as_schema = |value: &Node| match value {
                    Node::Array(_) => Node::object(Object::from([("required".into(), value.clone())])),
                    _ => value.clone(),
                };
                merge_new(named.iter().map(as_schema).collect(), &at)?
            };
            merged.insert(name.clone(), value);
        }
    }
    Ok(Node::object(merged))
}

fn items(values: Vec<Node>, pointer: &str) -> Result<Option<Node>, Conflict> {
    if !values.iter().any(|value| value.as_array().is_some()) {
        let value = merge_new(values, pointer)?;
        return Ok((value.as_object().is_none_or(|members| !members.is_empty())).then_some(value));
    }
    if values.iter().any(|value| value.as_array().is_none()) {
        return Err((
            pointer.to_owned(),
            "one `items` is a schema, the other a list: write the list in both".to_owned(),
        ));
    }
    let length = values
        .iter()
        .filter_map(Node::as_array)
        .map(<[Node]>::len)
        .max()
        .unwrap_or_default();
    let mut list = Vec::new();
    for index in 0..length {
        let at = values.iter().filter_map(|value| value.as_array()?.get(index));
        list.push(merge_new(distinct(at, same), &join(pointer, index))?);
    }
    Ok(Some(Node::array(list)))
}

fn keyword(
    key: &str,
    values: Vec<Node>,
    pointer: &str,
    merged: &mut Object,
) -> Result<Option<Node>, Conflict> {
    debug_assert!(!GROUPS.contains(&key), "groups are merged by name");
    let contradiction = || {
        let shown: Vec<_> = values.iter().map(crate::text::write_json).collect();
        (
            pointer.to_owned(),
            format!("{} exclude each other", shown.join(" and ")),
        )
    };
    if key == "not" {
        let any = Node::array(values.clone());
        return Ok(Some(Node::object(Object::from([("anyOf".into(), any)]))));
    }
    if SCHEMAS.contains(&key) {
        return merge_new(values, pointer).map(Some);
    }
    if matches!(key, "anyOf" | "oneOf") {
        return combinations(&values, pointer).map(Some);
    }
    if let [value] = values.as_slice() {
        return Ok(Some(value.clone()));
    }
    let numbers = || values.iter().filter_map(Node::as_number);
    let value = match key {
        "title" | "$id" | "$schema" | "$ref" | "description" | "default" | "examples" => {
            values.first().cloned()
        }
        "maximum" | "maxItems" | "maxLength" | "maxProperties" | "exclusiveMaximum" => {
            numbers().reduce(f64::min).map(Node::Number)
        }
        "minimum" | "minItems" | "minLength" | "minProperties" | "exclusiveMinimum" => {
            numbers().reduce(f64::max).map(Node::Number)
        }
        "uniqueItems" => Some(Node::Bool(values.contains(&Node::Bool(true)))),
        "required" => Some(sorted_union(&values)),
        "type" => common(&values, true),
        "enum" => common(&values, false),
        "pattern" => {
            // Two patterns are no one pattern: both stay, under `allOf`.
            let own = |pattern: &Node| Node::object(Object::from([("pattern".into(), pattern.clone())]));
            merged.insert("allOf".into(), Node::array(values.iter().map(own).collect()));
            return Ok(None);
        }
        _ => None,
    };
    value.map(Some).ok_or_else(contradiction)
}

fn combinations(values: &[Node], pointer: &str) -> Merged {
    let mut sets: Vec<Vec<Node>> = vec![Vec::new()];
    for alternatives in values.iter().filter_map(Node::as_array) {
        if sets.len() * alternatives.len() > MAX_COMBINATIONS {
            let problem = format!("more than {MAX_COMBINATIONS} combinations of alternatives");
            return Err((pointer.to_owned(), problem));
        }
        sets = sets
            .iter()
            .flat_map(|set| {
                alternatives.iter().map(|item| {
                    let mut with = vec![item.clone()];
                    with.extend(set.iter().cloned());
                    with
                })
            })
            .collect();
    }
    if values.len() == 1 {
        let each = sets
            .into_iter()
            .enumerate()
            .map(|(index, set)| merge_new(set, &join(pointer, index)));
        return each.collect::<Result<_, _>>().map(Node::array);
    }
    // Combinations that exclude each other describe nothing.
    let possible: Vec<Node> = sets
        .into_iter()
        .filter_map(|set| merge_new(set, pointer).ok())
        .collect();
    let possible = distinct(possible.iter(), same);
    if possible.is_empty() {
        return Err((
            pointer.to_owned(),
            "no two of the alternatives go together".to_owned(),
        ));
    }
    Ok(Node::array(possible))
}

fn sorted_union(lists: &[Node]) -> Node {
    let mut names = distinct(lists.iter().filter_map(Node::as_array).flatten(), |a, b| a == b);
    sort(&mut names);
    Node::array(names)
}

/// What all values have in common, in the order of the first for types, sorted for enums.
fn common(values: &[Node], is_type: bool) -> Option<Node> {
    if is_type && !values.iter().any(|value| value.as_array().is_some()) {
        return None;
    }
    let lists: Vec<Vec<Node>> = values
        .iter()
        .map(|value| {
            value
                .as_array()
                .map_or_else(|| vec![value.clone()], <[Node]>::to_vec)
        })
        .collect();
    let (first, others) = lists.split_first()?;
    let mut common: Vec<Node> = first
        .iter()
        .filter(|item| others.iter().all(|list| list.contains(item)))
        .cloned()
        .collect();
    match common.as_slice() {
        [] => None,
        [one] if is_type => Some(one.clone()),
        _ => {
            if !is_type {
                sort(&mut common);
            }
            Some(Node::array(common))
        }
    }
}

fn sort(values: &mut [Node]) {
    values.sort_by(|left, right| match (left, right) {
        (Node::Number(left), Node::Number(right)) => left.total_cmp(right),
        _ => left.as_str().cmp(&right.as_str()),
    });
}
