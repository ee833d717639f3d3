mod drafts;

use serde_json::json;

use super::*;
use crate::errors_text;

fn compile(schema: Value) -> Schema {
    Schema::compile(&schema.to_string()).unwrap()
}

fn first_error(schema: Value, event: Value) -> Value {
    let errors = compile(schema).validate(&event).unwrap_err();
    serde_json::to_value(&errors[0]).unwrap()
}

#[test]
fn errors_are_worded_as_ajv_6_words_them() {
    for (schema, value, keyword, params, message) in [
        (
            json!({"type": "string"}),
            json!(1),
            "type",
            json!({"type": "string"}),
            "should be string",
        ),
        (
            json!({"enum": ["a", 1]}),
            json!("b"),
            "enum",
            json!({"allowedValues": ["a", 1]}),
            "should be equal to one of the allowed values",
        ),
        (
            json!({"const": 2}),
            json!(3),
            "const",
            json!({"allowedValue": 2}),
            "should be equal to constant",
        ),
        (
            json!({"minLength": 2}),
            json!("a"),
            "minLength",
            json!({"limit": 2}),
            "should NOT be shorter than 2 characters",
        ),
        (
            json!({"minLength": 1}),
            json!(""),
            "minLength",
            json!({"limit": 1}),
            "should NOT be shorter than 1 characters",
        ),
        (
            json!({"maxLength": 2}),
            json!("abc"),
            "maxLength",
            json!({"limit": 2}),
            "should NOT be longer than 2 characters",
        ),
        (
            json!({"pattern": "^a"}),
            json!("b"),
            "pattern",
            json!({"pattern": "^a"}),
            "should match pattern \"^a\"",
        ),
        (
            json!({"format": "uuid"}),
            json!("b"),
            "format",
            json!({"format": "uuid"}),
            "should match format \"uuid\"",
        ),
        (
            json!({"minimum": 2}),
            json!(1),
            "minimum",
            json!({"comparison": ">=", "limit": 2, "exclusive": false}),
            "should be >= 2",
        ),
        (
            json!({"maximum": 2}),
            json!(3),
            "maximum",
            json!({"comparison": "<=", "limit": 2, "exclusive": false}),
            "should be <= 2",
        ),
        (
            json!({"exclusiveMinimum": 2}),
            json!(2),
            "exclusiveMinimum",
            json!({"comparison": ">", "limit": 2, "exclusive": true}),
            "should be > 2",
        ),
        (
            json!({"exclusiveMaximum": 2}),
            json!(2),
            "exclusiveMaximum",
            json!({"comparison": "<", "limit": 2, "exclusive": true}),
            "should be < 2",
        ),
        (
            json!({"multipleOf": 2}),
            json!(3),
            "multipleOf",
            json!({"multipleOf": 2}),
            "should be multiple of 2",
        ),
        (
            json!({"minItems": 2}),
            json!([1]),
            "minItems",
            json!({"limit": 2}),
            "should NOT have fewer than 2 items",
        ),
        (
            json!({"maxItems": 1}),
            json!([1, 2]),
            "maxItems",
            json!({"limit": 1}),
            "should NOT have more than 1 items",
        ),
        (
            json!({"uniqueItems": true}),
            json!([1, 2, 1]),
            "uniqueItems",
            json!({"i": 2, "j": 0}),
            "should NOT have duplicate items (items ## 0 and 2 are identical)",
        ),
        (
            json!({"contains": {"const": 1}}),
            json!([2]),
            "contains",
            json!({}),
            "should contain a valid item",
        ),
        (
            json!({"minProperties": 1}),
            json!({}),
            "minProperties",
            json!({"limit": 1}),
            "should NOT have fewer than 1 properties",
        ),
        (
            json!({"maxProperties": 0}),
            json!({"a": 1}),
            "maxProperties",
            json!({"limit": 0}),
            "should NOT have more than 0 properties",
        ),
        (
            json!({"not": {"type": "string"}}),
            json!("x"),
            "not",
            json!({}),
            "should NOT be valid",
        ),
    ] {
        let error = first_error(json!({"properties": {"v": schema}}), json!({"v": value}));
        assert_eq!(
            error,
            json!({
                "keyword": keyword,
                "dataPath": ".v",
                "schemaPath": format!("#/properties/v/{keyword}"),
                "params": params,
                "message": message,
            })
        );
    }
}

/// What ajv 6.12.6 answers with EventGate's options (`allErrors`, `useDefaults`, `schemaId: auto`), recorded.
#[test]
fn errors_are_those_that_ajv_6_was_heard_to_answer() {
    let recorded: Vec<Value> = serde_json::from_str(include_str!("ajv-6.json")).unwrap();
    assert!(recorded.len() > 60);
    for row in recorded {
        let errors = compile(row["schema"].clone())
            .validate(&row["event"])
            .err()
            .unwrap_or_default();
        assert_eq!(json!(errors), row["errors"], "{}", row["schema"]);
    }
}

#[test]
fn missing_and_additional_members_are_reported_at_their_parent() {
    let schema = compile(json!({
        "required": ["a"],
        "properties": {"a": {}, "o": {"additionalProperties": false}},
    }));
    let errors = schema.validate(&json!({"o": {"x": 1, "y": 2}})).unwrap_err();
    let short: Vec<_> = errors
        .iter()
        .map(|e| (e.keyword.as_str(), e.data_path.as_str(), &e.params))
        .collect();
    assert!(
        short.contains(&("required", "", &json!({"missingProperty": "a"}))),
        "{short:?}"
    );
    assert!(
        short.contains(&("additionalProperties", ".o", &json!({"additionalProperty": "x"}))),
        "{short:?}"
    );
    assert!(
        short.contains(&("additionalProperties", ".o", &json!({"additionalProperty": "y"}))),
        "{short:?}"
    );
}

#[test]
fn data_paths_are_javascript_paths() {
    let schema = compile(json!({
        "properties": {"user-agent": {"type": "string"}, "l": {"items": {"properties": {"0": {"type": "string"}}}}},
    }));
    let errors = schema
        .validate(&json!({"user-agent": 1, "l": [{}, {"0": 1}]}))
        .unwrap_err();
    assert_eq!(
        errors_text(&errors),
        "'['user-agent']' should be string, '.l[1]['0']' should be string"
    );
    let schema = compile(
        json!({"properties": {"o": {"additionalProperties": false}, "p": {"additionalProperties": {"type": "null"}}}}),
    );
    let errors = schema.validate(&json!({"p": {"": 1, "a/~b": 1}})).unwrap_err();
    assert_eq!(
        errors_text(&errors),
        "'.p['']' should be null, '.p['a/~b']' should be null"
    );
}

#[test]
fn numbers_past_53_bits_are_compared_as_doubles() {
    let schema = compile(json!({
        "properties": {"n": {"type": "integer", "minimum": 0, "maximum": 18_446_744_073_709_552_000_u128 as f64}},
    }));
    assert!(schema.validate(&json!({"n": u64::MAX})).is_ok());
    assert!(schema.validate(&json!({"n": 1.0})).is_ok());
    assert!(schema.validate(&json!({"n": 1.5})).is_err());
}

#[test]
fn every_draft_compiles_under_either_scheme() {
    for uri in [
        "http://json-schema.org/draft-04/schema#",
        "https://json-schema.org/draft-06/schema#",
        "https://json-schema.org/draft-07/schema#",
        "http://json-schema.org/draft-07/schema",
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema#",
    ] {
        let schema = compile(json!({"$schema": uri, "$id": "/a/1.0.0", "type": "object"}));
        assert!(schema.validate(&json!(1)).is_err(), "{uri}");
    }
}

#[test]
fn each_draft_has_its_keywords() {
    let draft = |name: &str| match name {
        "04" | "06" | "07" => format!("http://json-schema.org/draft-{name}/schema#"),
        name => format!("https://json-schema.org/draft/{name}/schema"),
    };
    // A schema of `v`, what fits it and what does not, and the drafts of which that is true.
    for (drafts, schema, good, bad) in [
        (
            &["04"][..],
            json!({"minimum": 2, "exclusiveMinimum": true}),
            json!(3),
            json!(2),
        ),
        (
            &["04"],
            json!({"maximum": 2, "exclusiveMaximum": true}),
            json!(1),
            json!(2),
        ),
        (
            &["06", "07", "2019-09", "2020-12"],
            json!({"exclusiveMinimum": 2}),
            json!(3),
            json!(2),
        ),
        (
            &["06", "07", "2019-09", "2020-12"],
            json!({"const": 2}),
            json!(2),
            json!(3),
        ),
        (
            &["06", "07", "2019-09", "2020-12"],
            json!({"contains": {"const": 1}}),
            json!([2, 1]),
            json!([2]),
        ),
        (
            &["06", "07", "2019-09", "2020-12"],
            json!({"propertyNames": {"maxLength": 1}}),
            json!({"a": 1}),
            json!({"ab": 1}),
        ),
        (
            &["06", "07", "2019-09", "2020-12"],
            json!({"properties": {"a": false}}),
            json!({}),
            json!({"a": 1}),
        ),
        (
            &["07", "2019-09", "2020-12"],
            json!({"if": {"type": "number"}, "then": {"minimum": 5}, "else": {"type": "string"}}),
            json!("x"),
            json!(1),
        ),
        (
            &["04", "06", "07", "2019-09"],
            json!({"items": [{"type": "string"}], "additionalItems": false}),
            json!(["x"]),
            json!(["x", 1]),
        ),
        (
            &["04", "06", "07"],
            json!({"dependencies": {"a": ["b"]}}),
            json!({"b": 1}),
            json!({"a": 1}),
        ),
        (
            &["2019-09", "2020-12"],
            json!({"dependentRequired": {"a": ["b"]}}),
            json!({"b": 1}),
            json!({"a": 1}),
        ),
        (
            &["2019-09", "2020-12"],
            json!({"contains": {"const": 1}, "minContains": 2}),
            json!([1, 1]),
            json!([1]),
        ),
        (
            &["2019-09", "2020-12"],
            json!({"allOf": [{"properties": {"a": {}}}], "unevaluatedProperties": false}),
            json!({"a": 1}),
            json!({"b": 1}),
        ),
        (
            &["2020-12"],
            json!({"prefixItems": [{"type": "string"}], "items": false}),
            json!(["x"]),
            json!(["x", 1]),
        ),
        (
            &["04", "06", "07", "2019-09", "2020-12"],
            json!({"$ref": "#/definitions/positive"}),
            json!(1),
            json!(-1),
        ),
        (
            &["04", "06", "07", "2019-09", "2020-12"],
            json!({"type": "string", "format": "date-time", "mexLength": 1}),
            json!("2020-07-01 00:00:00z"),
            json!("2020-07-01"),
        ),
    ] {
        for name in drafts {
            let schema = compile(json!({
                "$schema": draft(name), "definitions": {"positive": {"minimum": 0}}, "properties": {"v": schema},
            }));
            assert!(schema.validate(&json!({"v": good})).is_ok(), "{name} {good}");
            let errors = schema.validate(&json!({"v": bad})).unwrap_err();
            assert!(
                errors.iter().all(|error| error.data_path.starts_with(".v")),
                "{name} {errors:?}"
            );
        }
    }
}

#[test]
fn broken_schemas_name_the_place() {
    for (schema, pointer, part) in [
        (
            json!({"properties": {"a": {"type": "strnig"}}}),
            "/properties/a/type",
            "",
        ),
        (
            json!({"$schema": "https://example.org/mine"}),
            "/$schema",
            "unknown draft",
        ),
        (json!({"properties": {"a": {"format": "shiny"}}}), "", "shiny"),
        (
            json!({"properties": {"a": {"pattern": r"(?:\w{999}){999}"}}}),
            "/properties/a/pattern",
            "",
        ),
        (
            json!({"properties": {"a": {"pattern": "(?=a)*b"}}}),
            "/properties/a/pattern",
            "",
        ),
        (
            json!({"properties": {"a": {"patternProperties": {"(?=a)*b": {}}}}}),
            "/properties/a/patternProperties",
            "",
        ),
        (json!([]), "", "object"),
    ] {
        let error = Schema::compile(&schema.to_string()).unwrap_err();
        assert!(error.pointer.starts_with(pointer), "{schema}: {error}");
        assert!(error.to_string().contains(part), "{schema}: {error}");
    }
    assert!(Schema::compile("{").is_err());
    assert!(Schema::compile(r##"{"$ref": "http://example.org/x"}"##).is_err());
}

#[test]
fn errors_are_bounded() {
    let schema = compile(json!({"items": {"type": "string"}}));
    let errors = schema.validate(&json!(vec![1; 10_000])).unwrap_err();
    assert_eq!(errors.len(), crate::ajv::MAX_ERRORS);
}

#[test]
fn declared_fields_are_known() {
    let schema = compile(json!({"title": "t", "properties": {"meta": {"properties": {"id": {}}}}}));
    assert_eq!(schema.title(), Some("t"));
    assert!(schema.takes(&["meta", "id"]));
    assert!(!schema.takes(&["meta", "dt"]));
}

#[test]
fn a_pattern_with_look_around_still_works_and_cannot_blow_up() {
    let schema = compile(json!({"properties": {"a": {"pattern": "^(?=x)(a+)+b"}}}));
    assert!(schema.validate(&json!({"a": "y"})).is_err());
    let schema = compile(json!({"properties": {"a": {"pattern": "(a+)+b"}}}));
    assert!(schema.validate(&json!({"a": "a".repeat(10_000)})).is_err());
}

#[test]
fn errors_come_in_the_order_of_ajv_6() {
    let schema = compile(json!({
        "additionalProperties": false,
        "required": ["r"],
        "type": "object",
        "properties": {
            "b": {"maxLength": 1, "pattern": "^x", "enum": ["x"]},
            "a": {"type": "string"},
            "l": {"items": {"properties": {"z": {"type": "string"}, "y": {"type": "string"}}}},
        },
    }));
    let event = json!({"l": [{"y": 1, "z": 1}, {"y": 1}], "a": 1, "b": "no", "extra": 1});
    let errors = schema.validate(&event).unwrap_err();
    let order: Vec<_> = errors
        .iter()
        .map(|e| (e.keyword.as_str(), e.data_path.as_str()))
        .collect();
    assert_eq!(
        order,
        [
            ("required", ""),
            ("additionalProperties", ""),
            ("maxLength", ".b"),
            ("pattern", ".b"),
            ("enum", ".b"),
            ("type", ".a"),
            ("type", ".l[0].z"),
            ("type", ".l[0].y"),
            ("type", ".l[1].y"),
        ]
    );
}

/// EventGate's rule, from `lib/EventValidator.js` and `json-schema-secure.json`; checked against AJV 6.
#[test]
fn a_schema_without_a_bound_where_a_check_is_slow_is_insecure() {
    let string = |more: Value| {
        let mut schema = json!({"type": "string"});
        schema
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        json!({"properties": {"a": schema}})
    };
    for (schema, pointer) in [
        (string(json!({"pattern": "x"})), Some("/properties/a")),
        (string(json!({"pattern": "x", "maxLength": 9})), None),
        (string(json!({"format": "uri"})), Some("/properties/a")),
        (string(json!({"format": "uri", "maxLength": 9})), None),
        (string(json!({"enum": ["pattern"]})), None),
        (
            json!({"properties": {"pattern": {"type": "string"}, "format": {}}}),
            None,
        ),
        (json!({"patternProperties": {"x": {}}}), Some("")),
        (
            json!({"patternProperties": {"x": {}}, "propertyNames": {"maxLength": 9}}),
            None,
        ),
        (
            json!({"uniqueItems": true, "items": {"type": "object"}}),
            Some(""),
        ),
        (
            json!({"uniqueItems": true, "items": {"type": "object"}, "maxItems": 9}),
            None,
        ),
        (json!({"uniqueItems": true, "items": {"type": "string"}}), None),
        (json!({"uniqueItems": false, "items": {"type": "object"}}), None),
        (json!({"uniqueItems": true}), Some("")),
        // AJV's meta-schema does not look into tuples.
        (json!({"items": [{"pattern": "x"}]}), None),
        (
            json!({"anyOf": [{"not": {"format": "date"}}]}),
            Some("/anyOf/0/not"),
        ),
        (
            json!({"additionalProperties": {"pattern": "x"}}),
            Some("/additionalProperties"),
        ),
        (
            json!({"definitions": {"d": {"pattern": "x"}}}),
            Some("/definitions/d"),
        ),
    ] {
        let found = compile(schema.clone()).insecurity();
        assert_eq!(found.map(|error| error.pointer).as_deref(), pointer, "{schema}");
    }
}
