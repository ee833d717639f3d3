//! The order of errors: AJV 6 walks the schema, the `jsonschema` crate may walk the event.

use jsonschema::ValidationError;
use serde_json::Value;

use crate::path::names;

/// The keywords of one schema in the order in which AJV 6 checks them (ajv 6.12.6, `lib/compile/rules.js`). A wrong `type` is
/// reported after the keywords of the types and before those of all.
const KEYWORDS: &[&str] = &[
    "maximum",
    "exclusiveMaximum",
    "minimum",
    "exclusiveMinimum",
    "multipleOf",
    "maxLength",
    "minLength",
    "pattern",
    "format",
    "maxItems",
    "minItems",
    "items",
    "additionalItems",
    "contains",
    "uniqueItems",
    "maxProperties",
    "minProperties",
    "required",
    "dependencies",
    "propertyNames",
    "additionalProperties",
    "properties",
    "patternProperties",
    "type",
    "$ref",
    "const",
    "enum",
    "not",
    "anyOf",
    "oneOf",
    "allOf",
    "if",
];

/// What to sort an error of validating against `schema` by: its way through the schema, and through the event's arrays.
pub(crate) fn order(schema: &Value, error: &ValidationError<'_>) -> Vec<usize> {
    let mut key = Vec::new();
    let mut at = Some(schema);
    let mut event = names(error.instance_path()).into_iter();
    let mut keyword = String::new();
    for name in names(error.schema_path()) {
        let in_map = matches!(keyword.as_str(), "properties" | "patternProperties");
        key.push(match at {
            Some(Value::Object(map)) if in_map => position(map.keys().map(String::as_str), &name),
            Some(Value::Array(_)) => name.parse().unwrap_or(usize::MAX),
            _ => position(KEYWORDS.iter().copied(), &name),
        });
        let below = at.and_then(|value| match value {
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            value => value.get(&name),
        });
        if in_map {
            // The member's name was the event's step.
            event.next();
            keyword.clear();
        } else {
            if name == "items" && below.is_some_and(Value::is_object) {
                key.push(
                    event
                        .next()
                        .and_then(|index| index.parse().ok())
                        .unwrap_or(usize::MAX),
                );
            }
            keyword = name;
        }
        at = below;
    }
    key
}

fn position<'a>(mut names: impl Iterator<Item = &'a str>, name: &str) -> usize {
    names.position(|known| known == name).unwrap_or(usize::MAX)
}
