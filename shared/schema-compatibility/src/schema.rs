//! Questions to one place of a schema.

use serde_json::{Map, Value};

/// `$ref` chains longer than this are taken for a cycle.
const MAX_REFERENCES: usize = 16;

/// A set of JSON types; `number` is the union of `INTEGER` and `FRACTION`.
pub(crate) type Types = u8;

pub(crate) const NULL: Types = 1;
pub(crate) const BOOLEAN: Types = 1 << 1;
pub(crate) const OBJECT: Types = 1 << 2;
pub(crate) const ARRAY: Types = 1 << 3;
pub(crate) const INTEGER: Types = 1 << 4;
pub(crate) const FRACTION: Types = 1 << 5;
pub(crate) const STRING: Types = 1 << 6;
pub(crate) const NUMBER: Types = INTEGER | FRACTION;
pub(crate) const ANY: Types = NULL | BOOLEAN | OBJECT | ARRAY | NUMBER | STRING;

/// Every type, with its name.
pub(crate) const NAMES: [(Types, &str); 7] = [
    (STRING, "string"),
    (NUMBER, "number"),
    (INTEGER, "integer"),
    (BOOLEAN, "boolean"),
    (OBJECT, "object"),
    (ARRAY, "array"),
    (NULL, "null"),
];

/// The names of a set of types.
pub(crate) fn type_names(mut types: Types) -> String {
    if types == FRACTION {
        return "number".to_owned();
    }
    let mut names = Vec::new();
    for (one, name) in NAMES {
        if types & one == one {
            names.push(name);
            types &= !one;
        }
    }
    names.join(", ")
}

/// The types `type` names; all where there is none.
pub(crate) fn declared_types(schema: &Map<String, Value>) -> Types {
    let named = |name: &Value| {
        NAMES
            .iter()
            .find(|(_, known)| name == known)
            .map_or(0, |(one, _)| *one)
    };
    match schema.get("type") {
        Some(Value::Array(names)) => names.iter().fold(0, |all, name| all | named(name)),
        Some(name) => named(name),
        None => ANY,
    }
}

/// The types of the values a schema can accept, `enum` considered.
pub(crate) fn effective_types(schema: &Map<String, Value>) -> Types {
    let declared = declared_types(schema);
    match values(schema) {
        Some(values) => declared & values.iter().fold(0, |all, value| all | type_of(value)),
        None => declared,
    }
}

/// The type of a value.
pub(crate) fn type_of(value: &Value) -> Types {
    match value {
        Value::Null => NULL,
        Value::Bool(_) => BOOLEAN,
        Value::Object(_) => OBJECT,
        Value::Array(_) => ARRAY,
        Value::String(_) => STRING,
        Value::Number(number) => {
            if number.as_f64().is_some_and(|number| number.fract() == 0.0) {
                INTEGER
            } else {
                FRACTION
            }
        }
    }
}

/// The values of `const` or `enum`, where a schema has one.
pub(crate) fn values(schema: &Map<String, Value>) -> Option<Vec<&Value>> {
    if let Some(value) = schema.get("const") {
        return Some(vec![value]);
    }
    schema
        .get("enum")
        .and_then(Value::as_array)
        .map(|values| values.iter().collect())
}

/// Equality as JSON Schema sees it: 1 and 1.0 are one value.
pub(crate) fn same(a: &Value, b: &Value) -> bool {
    match (a, b) {
        (Value::Number(a), Value::Number(b)) => a.as_f64() == b.as_f64(),
        _ => a == b,
    }
}

/// What an object schema says of members it does not declare.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rest<'a> {
    Open,
    Closed,
    Map(&'a Value),
}

pub(crate) fn rest(schema: &Map<String, Value>) -> Rest<'_> {
    match schema.get("additionalProperties") {
        None | Some(Value::Bool(true)) => Rest::Open,
        Some(Value::Bool(false)) => Rest::Closed,
        Some(Value::Object(map)) if map.is_empty() => Rest::Open,
        Some(schema) => Rest::Map(schema),
    }
}

/// The schema `patternProperties` has for a member.
pub(crate) fn by_pattern<'a>(schema: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    schema
        .get("patternProperties")?
        .as_object()?
        .iter()
        .find(|(pattern, _)| regex::Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(name)))
        .map(|(_, schema)| schema)
}

/// The schema that a `$ref` within the document leads to; beside `$ref`, draft 7 looks at nothing else.
pub(crate) fn resolve<'a>(mut schema: &'a Value, root: &'a Value) -> &'a Value {
    for _ in 0..MAX_REFERENCES {
        let Some(reference) = schema.get("$ref").and_then(Value::as_str) else {
            break;
        };
        match reference
            .strip_prefix('#')
            .and_then(|pointer| root.pointer(pointer))
        {
            Some(target) => schema = target,
            None => break,
        }
    }
    schema
}

/// A member name as a token of a JSON pointer.
pub(crate) fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The names of an object's members under a keyword.
pub(crate) fn strings<'a>(schema: &'a Map<String, Value>, keyword: &str) -> Vec<&'a str> {
    schema
        .get(keyword)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .collect()
}

/// The members of `properties`.
pub(crate) fn properties(schema: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    schema
        .get("properties")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
}

/// The schema of a declared member.
pub(crate) fn property<'a>(schema: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    schema.get("properties")?.get(name)
}
