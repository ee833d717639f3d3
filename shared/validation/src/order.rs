//! The order of errors: AJV 6 walks the schema, the `jsonschema` crate may walk the event.

use jsonschema::ValidationError;
use jsonschema::error::ValidationErrorKind as Kind;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

use crate::path::names;

/// The keywords of one schema in the order in which AJV 6 checks them (ajv 6.12.6, `lib/compile/rules.js`), by the type that
/// they are for.
const KEYWORDS: &[(&str, &[&str])] = &[
    (
        "number",
        &[
            "maximum",
            "exclusiveMaximum",
            "minimum",
            "exclusiveMinimum",
            "multipleOf",
        ],
    ),
    ("string", &["maxLength", "minLength", "pattern", "format"]),
    (
        "array",
        &[
            "maxItems",
            "minItems",
            "items",
            "additionalItems",
            "contains",
            "uniqueItems",
        ],
    ),
    (
        "object",
        &[
            "maxProperties",
            "minProperties",
            "required",
            "dependencies",
            "propertyNames",
            "additionalProperties",
            "properties",
            "patternProperties",
        ],
    ),
    (
        "",
        &[
            "$ref", "const", "enum", "not", "anyOf", "oneOf", "allOf", "if", "then", "else",
        ],
    ),
];

/// The key to sort an error of validating `event` against `schema` by: its way through the schema, and through the event where
/// the schema does not say which of its values come first.
pub(crate) fn order<'e>(schema: &Value, event: &'e Value, error: &ValidationError<'_>) -> Vec<usize> {
    let mut key = Vec::new();
    let mut at = Some(schema);
    let mut value = Some(event);
    let mut steps = names(error.instance_path()).into_iter();
    // The next step into the event: its name, and what it leads out of.
    let mut step = |value: &mut Option<&'e Value>| {
        let name = steps.next().unwrap_or_default();
        let parent = *value;
        *value = match parent {
            Some(Value::Array(items)) => name.parse().ok().and_then(|place: usize| items.get(place)),
            parent => parent.and_then(|parent| parent.get(&name)),
        };
        (parent, name)
    };
    let path = names(error.evaluation_path());
    let mut path = path.iter().map(String::as_str);
    while let Some(keyword) = path.next() {
        let node = at.and_then(Value::as_object);
        let below = node.and_then(|node| node.get(keyword));
        key.push(node.map_or(usize::MAX, |node| rank(node, keyword)));
        at = match (keyword, below) {
            ("$ref", Some(Value::String(target))) => {
                let pointer = percent_decode_str(target.trim_start_matches('#')).decode_utf8_lossy();
                schema.pointer(&pointer)
            }
            ("required", Some(Value::Array(required))) => {
                if let (Kind::Required { property }, Some(node)) = (error.kind(), node) {
                    let name = property.as_str().unwrap_or_default();
                    match node.get("properties").and_then(Value::as_object) {
                        // AJV says so where it comes to the member, if the schema says more of it.
                        Some(members) if members.get(name).is_some_and(has_rules) => {
                            key.pop();
                            key.extend([rank(node, "properties"), place(members, name)]);
                        }
                        _ => key.extend(required.iter().position(|listed| listed == property)),
                    }
                }
                None
            }
            ("properties" | "patternProperties", Some(Value::Object(members))) => {
                let name = path.next().unwrap_or_default();
                key.push(place(members, name));
                let (parent, step) = step(&mut value);
                if keyword == "patternProperties" {
                    key.push(place_in(parent, &step));
                }
                members.get(name)
            }
            ("dependencies", Some(Value::Object(members))) => {
                let name = path.next();
                key.extend(name.map(|name| place(members, name)));
                name.and_then(|name| members.get(name))
            }
            ("items" | "allOf" | "anyOf" | "oneOf", Some(Value::Array(schemas))) => {
                let place = path
                    .next()
                    .and_then(|place| place.parse().ok())
                    .unwrap_or(usize::MAX);
                key.push(place);
                if keyword == "items" {
                    step(&mut value);
                }
                schemas.get(place)
            }
            ("items" | "additionalItems" | "additionalProperties", Some(below @ Value::Object(_))) => {
                let (parent, step) = step(&mut value);
                key.push(place_in(parent, &step));
                Some(below)
            }
            ("propertyNames", below) => {
                if let (Kind::PropertyNames { error }, Some(Value::Object(members))) = (error.kind(), value) {
                    key.extend(error.instance().as_str().map(|name| place(members, name)));
                }
                below
            }
            (_, below) => below,
        };
    }
    key
}

/// Where AJV checks a keyword of a schema.
fn rank(node: &Map<String, Value>, keyword: &str) -> usize {
    let number = |group: usize, place: usize| (group + 1) * 100 + place;
    for (group, (kind, keywords)) in KEYWORDS.iter().enumerate() {
        // After the keywords of its type, if there are any.
        if keyword == "type" && node.get("type").is_some_and(|types| is_only(types, kind)) {
            let is_used = keywords
                .iter()
                .any(|used| node.contains_key(*used) && *used != "additionalItems");
            return if is_used { number(group, keywords.len()) } else { 0 };
        }
        if let Some(place) = keywords.iter().position(|known| *known == keyword) {
            // Too many items are looked for before those that there are.
            let is_first = keyword == "additionalItems" && node.get(keyword) == Some(&Value::Bool(false));
            return number(group, if is_first { place - 2 } else { place });
        }
    }
    if keyword == "type" { 0 } else { usize::MAX }
}

fn is_only(types: &Value, kind: &str) -> bool {
    match types {
        Value::Array(types) => types.len() == 1 && types.iter().all(|only| only == kind),
        only => only == kind,
    }
}

/// True if AJV has anything to check by a schema.
fn has_rules(schema: &Value) -> bool {
    let is_rule = |keyword: &String| {
        keyword == "type"
            || KEYWORDS
                .iter()
                .any(|(_, keywords)| keywords.contains(&keyword.as_str()))
    };
    schema
        .as_object()
        .is_some_and(|schema| schema.keys().any(is_rule))
}

fn place_in(parent: Option<&Value>, step: &str) -> usize {
    match parent {
        Some(Value::Object(members)) => place(members, step),
        _ => step.parse().unwrap_or(usize::MAX),
    }
}

/// Where JavaScript comes to a member: to names that are numbers first.
fn place(members: &Map<String, Value>, name: &str) -> usize {
    let number = |name: &str| {
        let is_written_so = name == "0" || name.starts_with(|c| matches!(c, '1'..='9'));
        if is_written_so {
            name.parse::<u32>().ok()
        } else {
            None
        }
    };
    let named = number(name);
    let mut numbers = 0;
    let mut others = 0;
    let mut is_found = false;
    for other in members.keys() {
        is_found |= other == name;
        match (number(other), named) {
            (Some(other), Some(named)) => numbers += usize::from(other < named),
            (Some(_), None) => numbers += 1,
            (None, None) => others += usize::from(!is_found),
            (None, Some(_)) => {}
        }
    }
    numbers + others
}
