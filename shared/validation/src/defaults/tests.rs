use serde_json::{Value, json};

use super::*;
use crate::Schema;

fn filled(schema: &Value, sent: &str) -> String {
    let mut event = Document::parse(sent).unwrap();
    Schema::compile(&schema.to_string())
        .unwrap()
        .fill_defaults(&mut event)
        .unwrap();
    assert_eq!(event.root().to_value().to_string(), event.text());
    event.into_string()
}

#[test]
fn defaults_fill_what_is_missing_at_any_depth() {
    let schema = json!({
        "properties": {
            "a": {"default": "x"},
            "o": {"properties": {"p": {"default": 1}, "q": {}}},
            "new": {"default": {"z": {}}, "properties": {"z": {"properties": {"deep": {"default": true}}}}},
            "list": {"items": {"properties": {"n": {"default": null}}}},
        }
    });
    for (sent, expected) in [
        (
            r#"{"o":{}}"#,
            r#"{"o":{"p":1},"a":"x","new":{"z":{"deep":true}}}"#,
        ),
        (r#"{"a":0,"o":{"p":2},"new":1}"#, r#"{"a":0,"o":{"p":2},"new":1}"#),
        (
            r#"{"a":0,"new":1,"list":[{},{"n":1},{"m":2}]}"#,
            r#"{"a":0,"new":1,"list":[{"n":null},{"n":1},{"m":2,"n":null}]}"#,
        ),
    ] {
        assert_eq!(filled(&schema, sent), expected);
    }
}

/// Each line was given to ajv 6.12.6, too.
#[test]
fn defaults_are_filled_where_ajv_6_fills_them() {
    let d = json!({"properties": {"d": {"default": 1}}});
    for (schema, sent, expected) in [
        (
            json!({"properties": {"a": {}}, "patternProperties": {"^p": {}}, "additionalProperties": d}),
            r#"{"a":{},"p":{},"m":{},"n":{"d":2},"o":1}"#,
            r#"{"a":{},"p":{},"m":{"d":1},"n":{"d":2},"o":1}"#,
        ),
        (
            json!({"patternProperties": {"^p": d, "[^]2$": {"properties": {"e": {"default": 2}}}}}),
            r#"{"p":{},"q":{},"p2":{}}"#,
            r#"{"p":{"d":1},"q":{},"p2":{"d":1,"e":2}}"#,
        ),
        (json!({"allOf": [{}, d]}), "{}", r#"{"d":1}"#),
        (
            json!({"definitions": {"a b": d}, "properties": {"a": {"$ref": "#/definitions/a%20b"}}}),
            r#"{"a":{}}"#,
            r#"{"a":{"d":1}}"#,
        ),
        (
            json!({"properties": {"next": {"$ref": "#"}, "d": {"default": 1}}}),
            r#"{"next":{"next":{}}}"#,
            r#"{"next":{"next":{"d":1},"d":1},"d":1}"#,
        ),
        (
            json!({"properties": {"a": {"items": [d, {"default": 2}], "additionalItems": {"properties": {"e": {"default": 3}}}}}}),
            r#"{"a":[{}]}"#,
            r#"{"a":[{"d":1},2]}"#,
        ),
        (
            json!({"properties": {"a": {"items": [{}, {"default": 2}], "additionalItems": {"properties": {"e": {"default": 3}}}}}}),
            r#"{"a":[0,0,{}]}"#,
            r#"{"a":[0,0,{"e":3}]}"#,
        ),
        (
            json!({"properties": {"a": {"items": [{}, {"default": {}}]}}}),
            r#"{"a":[]}"#,
            r#"{"a":[null,{}]}"#,
        ),
        (
            json!({"dependencies": {"x": d, "y": {"properties": {"e": {"default": 2}}}}}),
            r#"{"x":0}"#,
            r#"{"x":0,"d":1}"#,
        ),
        (
            json!({"if": {"required": ["x"]}, "then": d, "else": {"properties": {"e": {"default": 2}}}}),
            r#"{"x":0}"#,
            r#"{"x":0,"d":1}"#,
        ),
        (
            json!({"if": {"required": ["x"]}, "then": d, "else": {"properties": {"e": {"default": 2}}}}),
            "{}",
            r#"{"e":2}"#,
        ),
        // A default is there when the condition is looked at, and the condition may look elsewhere.
        (
            json!({
                "definitions": {"c": {"properties": {"k": {"const": "v"}}}},
                "properties": {"k": {"default": "v"}},
                "if": {"$ref": "#/definitions/c"}, "then": d,
            }),
            "{}",
            r#"{"k":"v","d":1}"#,
        ),
        // Only tried, never filled.
        (
            json!({"anyOf": [d], "oneOf": [d], "not": {"required": ["x"], "properties": {"e": {"default": 1}}}}),
            "{}",
            "{}",
        ),
        (json!({"if": d, "then": {}}), "{}", "{}"),
        (
            json!({"properties": {"a": {"contains": d}}}),
            r#"{"a":[{}]}"#,
            r#"{"a":[{}]}"#,
        ),
        // What stands beside a `$ref` does not count, but for the default itself.
        (
            json!({"definitions": {"s": {}}, "properties": {"a": {"$ref": "#/definitions/s", "default": {}, "properties": {"d": {"default": 1}}}}}),
            "{}",
            r#"{"a":{}}"#,
        ),
        (json!({"default": {"a": 1}}), "{}", "{}"),
    ] {
        assert_eq!(filled(&schema, sent), expected, "{schema}");
    }
}

#[test]
fn defaults_without_end_are_refused_with_their_place() {
    for (schema, pointer) in [
        (json!({"properties": {"a": {"default": {}, "$ref": "#"}}}), ""),
        (
            json!({"properties": {"o": {"properties": {
                "a": {"default": {}, "$ref": "#/properties/o"}, "b": {"default": {}, "$ref": "#/properties/o"},
            }}}}),
            "/properties/o",
        ),
        (
            json!({"properties": {"l": {"items": [{"default": [], "$ref": "#/properties/l"}]}}}),
            "/properties/l",
        ),
    ] {
        let error = Schema::compile(&schema.to_string()).unwrap_err();
        assert_eq!(error.pointer, pointer, "{schema}");
        assert!(error.message.contains("without end"), "{error}");
    }
    for schema in [
        json!({"properties": {"children": {"default": [], "items": {"$ref": "#"}}}}),
        json!({"properties": {"a": {"default": null, "$ref": "#"}}}),
        json!({"allOf": [{"$ref": "#"}], "properties": {"d": {"default": 1}}}),
    ] {
        assert!(Schema::compile(&schema.to_string()).is_ok(), "{schema}");
    }
}

/// With a search for the place of each change, this would be quadratic.
#[test]
fn two_schemas_fill_the_items_of_a_long_list() {
    let items = |name: &str| json!({"properties": {"l": {"items": {"properties": {name: {"default": 1}}}}}});
    let schema = json!({"allOf": [items("a"), items("b")]});
    let sent = format!(r#"{{"l":[{}]}}"#, vec!["{}"; 90_000].join(","));
    let expected = format!(r#"{{"l":[{}]}}"#, vec![r#"{"a":1,"b":1}"#; 90_000].join(","));
    let mut event = Document::parse(sent).unwrap();
    Schema::compile(&schema.to_string())
        .unwrap()
        .fill_defaults(&mut event)
        .unwrap();
    assert!(event.into_string() == expected);
}
