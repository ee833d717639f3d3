//! Keywords that no draft of JSON Schema has. Validators ignore them without a word: a misspelt `maxLength` is none.

use eventstar_validation::keywords::{MAPS, SCHEMAS};
use serde_json::{Map, Value};

use crate::schema::token;

/// Keywords of drafts 4 to 2020-12.
const KNOWN: [&str; 65] = [
    "$anchor",
    "$comment",
    "$defs",
    "$dynamicAnchor",
    "$dynamicRef",
    "$id",
    "$recursiveAnchor",
    "$recursiveRef",
    "$ref",
    "$schema",
    "$vocabulary",
    "additionalItems",
    "additionalProperties",
    "allOf",
    "anyOf",
    "const",
    "contains",
    "contentEncoding",
    "contentMediaType",
    "contentSchema",
    "default",
    "definitions",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "deprecated",
    "description",
    "else",
    "enum",
    "example",
    "examples",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "id",
    "if",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "readOnly",
    "required",
    "then",
    "title",
    "type",
    "unevaluatedItems",
    "unevaluatedProperties",
    "uniqueItems",
    "version",
    "writeOnly",
];

/// Names further from a keyword than this many edits are not taken for it.
const MAX_EDITS: usize = 2;

/// Calls `visit` with each subschema of a schema, itself first, and its pointer.
pub(crate) fn each_schema(schema: &Value, pointer: &str, visit: &mut dyn FnMut(&Map<String, Value>, &str)) {
    let Value::Object(keywords) = schema else { return };
    visit(keywords, pointer);
    for (keyword, value) in keywords {
        let there = format!("{pointer}/{}", token(keyword));
        match value {
            Value::Object(members) if MAPS.contains(&keyword.as_str()) => {
                for (name, schema) in members {
                    each_schema(schema, &format!("{there}/{}", token(name)), visit);
                }
            }
            Value::Object(_) if SCHEMAS.contains(&keyword.as_str()) => each_schema(value, &there, visit),
            Value::Array(schemas) if SCHEMAS.contains(&keyword.as_str()) => {
                for (index, schema) in schemas.iter().enumerate() {
                    each_schema(schema, &format!("{there}/{index}"), visit);
                }
            }
            _ => {}
        }
    }
}

/// Whether a name is a keyword, or one that its authors know to be none.
pub(crate) fn is_known(name: &str) -> bool {
    KNOWN.contains(&name) || name.starts_with("x-")
}

/// The keyword a misspelt one may be meant for.
pub(crate) fn suggestion(name: &str) -> Option<&'static str> {
    let (distance, best) = KNOWN
        .iter()
        .map(|known| (edits(&name.to_lowercase(), &known.to_lowercase()), *known))
        .min_by_key(|(distance, _)| *distance)?;
    // Of a short name, two edits leave nothing.
    (distance <= MAX_EDITS && distance * 3 <= best.len()).then_some(best)
}

/// The edits (insert, remove, replace) from one text to another.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (line, a) in from.chars().enumerate() {
        let mut diagonal = line;
        let mut left = line + 1;
        let mut next = vec![left];
        for (b, above) in to.iter().zip(row.iter().skip(1)) {
            left = (above + 1).min(left + 1).min(diagonal + usize::from(a != *b));
            next.push(left);
            diagonal = *above;
        }
        row = next;
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_keyword_is_recognised() {
        for (name, meant) in [
            ("mexLength", Some("maxLength")),
            ("maxiumum", Some("maximum")),
            ("descripotion", Some("description")),
            ("descriptions", Some("description")),
            ("maxlength", Some("maxLength")),
            ("require", Some("required")),
            ("account", None),
            ("off", None),
            ("talk_page", None),
        ] {
            assert_eq!(suggestion(name), meant, "{name}");
            assert!(!is_known(name), "{name}");
        }
    }

    #[test]
    fn names_of_members_are_no_keywords() {
        let schema = serde_json::json!({
            "properties": {"mexLength": {"items": [{"not": {}}]}}, "examples": [{"mexLength": 1}],
        });
        let mut seen = Vec::new();
        each_schema(&schema, "", &mut |_, pointer| seen.push(pointer.to_owned()));
        assert_eq!(
            seen,
            [
                "",
                "/properties/mexLength",
                "/properties/mexLength/items/0",
                "/properties/mexLength/items/0/not"
            ]
        );
    }
}
