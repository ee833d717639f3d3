//! Keywords that hold subschemas, in any draft from 4 to 2020-12.

use serde_json::{Map, Value};

/// Keywords whose value is a map from name to schema.
pub const MAPS: &[&str] = &[
    "properties",
    "patternProperties",
    "definitions",
    "$defs",
    "dependencies",
    "dependentSchemas",
];

/// Keywords whose value is a schema, or an array of schemas.
pub const SCHEMAS: &[&str] = &[
    "items",
    "prefixItems",
    "additionalItems",
    "unevaluatedItems",
    "additionalProperties",
    "unevaluatedProperties",
    "contains",
    "propertyNames",
    "not",
    "if",
    "then",
    "else",
    "allOf",
    "anyOf",
    "oneOf",
];

/// The schemas right below a schema, each with the end of its JSON pointer.
pub(crate) fn below(schema: &mut Map<String, Value>) -> Vec<(String, &mut Value)> {
    let mut found = Vec::new();
    for (keyword, value) in schema {
        if MAPS.contains(&keyword.as_str()) {
            for (name, schema) in value.as_object_mut().into_iter().flatten() {
                found.push((format!("/{keyword}/{}", escaped(name)), schema));
            }
        } else if SCHEMAS.contains(&keyword.as_str()) {
            match value {
                Value::Array(schemas) => {
                    for (place, schema) in schemas.iter_mut().enumerate() {
                        found.push((format!("/{keyword}/{place}"), schema));
                    }
                }
                schema => found.push((format!("/{keyword}"), schema)),
            }
        }
    }
    found
}

/// A name as a segment of a JSON pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// The name that a segment of a JSON pointer stands for.
pub(crate) fn unescaped(segment: &str) -> String {
    segment.replace("~1", "/").replace("~0", "~")
}
