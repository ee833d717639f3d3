//! Makes a published schema fit for a strict compiler without changing what it accepts.
//!
//! Real schemas carry `$id`, `$schema` and `examples` of the fragments they were merged from inside property
//! subschemas; the same nested `$id` even recurs with different content. AJV 6 ignores all that, so only the
//! root of a schema is a resource here.

use serde_json::{Map, Value};

use crate::keywords::below;

/// Keywords that say where a schema is, not what it accepts.
const IDENTITY: &[&str] = &["$id", "$schema", "$anchor", "id"];

/// Removes nested identities and all `examples`; the root loses its `$id`, which is relative and names nothing a
/// compiler could load.
pub(crate) fn clean(schema: &mut Value) {
    if let Value::Object(root) = schema {
        remove_text(root, "$id");
        remove_text(root, "id");
        root.shift_remove("examples");
        descend(root);
    }
}

fn remove_text(schema: &mut Map<String, Value>, keyword: &str) {
    if schema.get(keyword).is_some_and(Value::is_string) {
        schema.shift_remove(keyword);
    }
}

fn descend(schema: &mut Map<String, Value>) {
    for (_, schema) in below(schema) {
        nested(schema);
    }
}

fn nested(schema: &mut Value) {
    if let Value::Object(schema) = schema {
        for keyword in IDENTITY {
            remove_text(schema, keyword);
        }
        schema.shift_remove("examples");
        descend(schema);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn nested_identities_go_and_properties_of_that_name_stay() {
        let mut schema = json!({
            "$schema": "https://json-schema.org/draft-07/schema#",
            "$id": "/a/1.0.0",
            "examples": [{"$id": "x"}],
            "properties": {
                "$id": {"type": "string", "$id": "/b/1.0.0", "$schema": "y", "title": "b"},
                "id": {"type": "string"},
                "list": {"items": [{"$id": "/c/1.0.0", "examples": []}]},
            },
            "allOf": [{"id": "/d"}],
            "enum": [{"$id": "kept"}],
        });
        clean(&mut schema);
        assert_eq!(
            schema,
            json!({
                "$schema": "https://json-schema.org/draft-07/schema#",
                "properties": {
                    "$id": {"type": "string", "title": "b"},
                    "id": {"type": "string"},
                    "list": {"items": [{}]},
                },
                "allOf": [{}],
                "enum": [{"$id": "kept"}],
            })
        );
    }
}
