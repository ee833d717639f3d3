use eventstar_validation::Schema;
use serde_json::json;

use super::*;
use crate::counter_example::{Versions, counter_example};
use crate::incompatibility::Policy;

/// What is found, as `rule pointer`, with `!` where no event shows it.
fn found(old: &Value, new: &Value, policy: Policy) -> Vec<String> {
    let compile = |schema: &Value| Schema::compile(&schema.to_string()).unwrap();
    let (old_compiled, new_compiled) = (compile(old), compile(new));
    let versions = Versions {
        old,
        new,
        old_compiled: &old_compiled,
        new_compiled: &new_compiled,
    };
    compare(old, new)
        .iter()
        .filter(|found| found.breaks(policy))
        .map(|found| {
            let event = counter_example(found, &versions);
            if let Some(event) = &event {
                let accepted = (
                    old_compiled.validate(event).is_ok(),
                    new_compiled.validate(event).is_ok(),
                );
                assert_eq!(
                    accepted,
                    (
                        found.direction == Direction::OldOnly,
                        found.direction == Direction::NewOnly
                    )
                );
            }
            let mark = if event.is_some() { "" } else { "!" };
            format!("{}{mark} {}", found.rule.as_str(), found.pointer)
        })
        .collect()
}

/// A schema whose member `a` is this, required.
fn with(member: Value) -> Value {
    json!({"type": "object", "properties": {"a": member}})
}

#[test]
fn what_narrows_breaks_backward_and_its_reverse_breaks_forward() {
    let at = "/properties/a";
    for (old, new, narrowed, widened, pointer) in [
        (
            json!({"type": ["string", "null"]}),
            json!({"type": "string"}),
            "type-narrowed",
            "type-widened",
            "/type",
        ),
        (
            json!({"type": "number"}),
            json!({"type": "integer"}),
            "type-narrowed",
            "type-widened",
            "/type",
        ),
        (
            json!({}),
            json!({"type": "string"}),
            "type-narrowed",
            "type-widened",
            "/type",
        ),
        (
            json!({"enum": ["a", "b"]}),
            json!({"enum": ["b"]}),
            "enum-narrowed",
            "enum-widened",
            "/enum",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "enum": ["q"]}),
            "enum-narrowed",
            "enum-widened",
            "/enum",
        ),
        (
            json!({"type": "boolean"}),
            json!({"type": "boolean", "const": true}),
            "enum-narrowed",
            "enum-widened",
            "/const",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "maxLength": 3}),
            "bound-narrowed",
            "bound-widened",
            "/maxLength",
        ),
        (
            json!({"type": "string", "maxLength": 9}),
            json!({"type": "string", "maxLength": 8}),
            "bound-narrowed",
            "bound-widened",
            "/maxLength",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "minLength": 1}),
            "bound-narrowed",
            "bound-widened",
            "/minLength",
        ),
        (
            json!({"type": "string", "format": "date-time"}),
            json!({"type": "string", "format": "date-time", "maxLength": 40}),
            "bound-narrowed",
            "bound-widened",
            "/maxLength",
        ),
        (
            json!({"type": "integer"}),
            json!({"type": "integer", "minimum": 0}),
            "bound-narrowed",
            "bound-widened",
            "/minimum",
        ),
        (
            json!({"type": "number", "maximum": 5}),
            json!({"type": "number", "exclusiveMaximum": 5}),
            "bound-narrowed",
            "bound-widened",
            "/exclusiveMaximum",
        ),
        (
            json!({"type": "integer", "minimum": -9}),
            json!({"type": "integer", "minimum": -8}),
            "bound-narrowed",
            "bound-widened",
            "/minimum",
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "maxItems": 2}),
            "bound-narrowed",
            "bound-widened",
            "/maxItems",
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "minItems": 2}),
            "bound-narrowed",
            "bound-widened",
            "/minItems",
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "maxProperties": 2}),
            "bound-narrowed",
            "bound-widened",
            "/maxProperties",
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "minProperties": 1}),
            "bound-narrowed",
            "bound-widened",
            "/minProperties",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "pattern": "^x$"}),
            "pattern-narrowed",
            "pattern-widened",
            "/pattern",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "format": "date-time"}),
            "format-narrowed",
            "format-widened",
            "/format",
        ),
        (
            json!({"type": "string", "format": "uri-reference"}),
            json!({"type": "string", "format": "uri"}),
            "format-narrowed",
            "format-widened",
            "/format",
        ),
        (
            json!({"type": "integer", "multipleOf": 2}),
            json!({"type": "integer", "multipleOf": 4}),
            "value-narrowed",
            "value-widened",
            "/multipleOf",
        ),
        (
            json!({"type": "array"}),
            json!({"type": "array", "uniqueItems": true}),
            "value-narrowed",
            "value-widened",
            "/uniqueItems",
        ),
        (
            with(json!({})),
            json!({"type": "object", "properties": {"a": {}}, "required": ["a"]}),
            "required-added",
            "required-removed",
            "/required",
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": false}),
            "object-closed",
            "object-opened",
            "/additionalProperties",
        ),
        (
            json!({"type": "object", "additionalProperties": {"type": "string"}}),
            json!({"type": "object", "additionalProperties": {"type": "string", "maxLength": 1}}),
            "bound-narrowed",
            "bound-widened",
            "/additionalProperties/maxLength",
        ),
        (
            json!({"type": "array", "items": {"type": "string"}}),
            json!({"type": "array", "items": {"type": "string", "maxLength": 1}}),
            "bound-narrowed",
            "bound-widened",
            "/items/maxLength",
        ),
        (
            json!({"oneOf": [{"type": "string"}, {"type": "boolean"}]}),
            json!({"oneOf": [{"type": "string"}]}),
            "alternative-removed",
            "alternative-added",
            "/oneOf",
        ),
        (
            json!({"anyOf": [{"type": "string"}, {"type": "null"}]}),
            json!({"anyOf": [{"type": "string", "maxLength": 2}, {"type": "null"}]}),
            "bound-narrowed",
            "bound-widened",
            "/anyOf/0/maxLength",
        ),
        (
            json!({"type": "string"}),
            json!({"type": "string", "not": {"const": "x"}}),
            "keyword-changed",
            "keyword-changed",
            "/not",
        ),
    ] {
        let (lax, strict) = (with(old.clone()), with(new.clone()));
        let finds = |rule: &str| vec![format!("{rule} {at}{pointer}")];
        let row = format!("{old} -> {new}");
        assert_eq!(found(&lax, &strict, Policy::Backward), finds(narrowed), "{row}");
        assert!(found(&lax, &strict, Policy::Forward).is_empty(), "{row}");
        assert_eq!(
            found(&strict, &lax, Policy::Forward),
            finds(widened),
            "reverse of {row}"
        );
        assert_eq!(
            found(&strict, &lax, Policy::Full),
            finds(widened),
            "reverse of {row}"
        );
        let is_lost = widened == "required-removed";
        assert_eq!(
            found(&strict, &lax, Policy::Backward).is_empty(),
            !is_lost,
            "reverse of {row}"
        );
        assert!(
            found(&lax, &lax, Policy::Full).is_empty() && found(&strict, &strict, Policy::Full).is_empty()
        );
    }
}

#[test]
fn members_that_come_and_go() {
    let string = json!({"type": "string"});
    let open = |members: Value| json!({"type": "object", "properties": members});
    let closed =
        |members: Value| json!({"type": "object", "additionalProperties": false, "properties": members});
    let map =
        |members: Value| json!({"type": "object", "additionalProperties": string, "properties": members});
    for (old, new, backward, forward) in [
        (open(json!({})), open(json!({"a": string})), None, None),
        (
            closed(json!({})),
            closed(json!({"a": string})),
            None,
            Some("property-added /properties/a"),
        ),
        (
            open(json!({"a": string})),
            open(json!({})),
            Some("property-removed /properties/a"),
            Some("property-removed /properties/a"),
        ),
        (
            closed(json!({"a": string})),
            closed(json!({})),
            Some("property-removed /properties/a"),
            None,
        ),
        (
            open(json!({"a": {}})),
            open(json!({})),
            Some("property-removed! /properties/a"),
            Some("property-removed! /properties/a"),
        ),
        (
            map(json!({})),
            map(json!({"a": {"type": "integer"}})),
            Some("type-narrowed /properties/a/type"),
            None,
        ),
    ] {
        let row = format!("{old} -> {new}");
        assert_eq!(
            found(&old, &new, Policy::Backward),
            Vec::from_iter(backward),
            "{row}"
        );
        assert_eq!(
            found(&old, &new, Policy::Forward),
            Vec::from_iter(forward),
            "{row}"
        );
    }
}

#[test]
fn what_breaks_nothing_is_not_found() {
    let string = json!({"type": "string"});
    for (old, new) in [
        (
            json!({"title": "a", "description": "b", "examples": [1]}),
            json!({"title": "c", "default": "d"}),
        ),
        (json!({"enum": [1]}), json!({"enum": [1.0]})),
        (
            json!({"enum": ["ab", "c"]}),
            json!({"type": "string", "enum": ["c", "ab"], "maxLength": 2, "pattern": "^[a-c]+$"}),
        ),
        (
            json!({"type": "boolean"}),
            json!({"type": "boolean", "enum": [true, false]}),
        ),
        (
            string.clone(),
            json!({"type": "string", "minLength": 0, "maximum": 5, "maxItems": 1}),
        ),
        (
            json!({"type": "integer", "exclusiveMaximum": 5}),
            json!({"type": "integer", "maximum": 4}),
        ),
        (
            json!({"type": "integer", "multipleOf": 4}),
            json!({"type": "integer", "multipleOf": 2}),
        ),
        (
            json!({"type": "string", "format": "url"}),
            json!({"type": "string", "format": "uri-reference"}),
        ),
        (
            json!({"type": "array", "uniqueItems": false}),
            json!({"type": "array", "items": true}),
        ),
        (
            json!({"oneOf": [{"type": "null"}, string]}),
            json!({"oneOf": [string, {"type": "null", "title": "none"}]}),
        ),
        (
            json!({"type": "object"}),
            json!({"type": "object", "additionalProperties": {}}),
        ),
        (
            json!({"type": "object", "patternProperties": {"^b": string}}),
            json!({"type": "object", "patternProperties": {"^b": string}, "properties": {"b": string}}),
        ),
        (
            json!({"type": "object", "properties": {"b": {"default": "x"}}}),
            json!({"type": "object", "properties": {"b": {"default": "x"}}, "required": ["b"]}),
        ),
    ] {
        assert_eq!(
            found(&with(old.clone()), &with(new.clone()), Policy::Backward),
            Vec::<String>::new(),
            "{old} -> {new}"
        );
    }
}

#[test]
fn references_within_the_document_are_followed_and_may_be_cyclic() {
    let schema = |length: u32| {
        json!({
            "definitions": {
                "node": {"type": "object", "properties": {"next": {"$ref": "#/definitions/node"}, "name": {"$ref": "#/definitions/name"}}},
                "name": {"type": "string", "maxLength": length},
            },
            "type": "object",
            "properties": {"node": {"$ref": "#/definitions/node"}},
        })
    };
    assert_eq!(
        found(&schema(9), &schema(8), Policy::Full),
        ["bound-narrowed /properties/node/properties/name/maxLength"]
    );
}

#[test]
fn the_event_is_an_example_without_what_it_does_not_need() {
    let schema = |length: u32| {
        json!({
            "type": "object",
            "properties": {
                "id": {"type": "string", "pattern": "^[0-9]+$"},
                "user": {"type": "object", "properties": {"name": {"type": "string", "maxLength": length}, "age": {"type": "integer"}}},
            },
            "required": ["id"],
            "examples": [{"id": "7", "user": {"name": "Ada", "age": 36}}],
        })
    };
    let (old, new) = (schema(5), schema(4));
    let compile = |schema: &Value| Schema::compile(&schema.to_string()).unwrap();
    let (old_compiled, new_compiled) = (compile(&old), compile(&new));
    let versions = Versions {
        old: &old,
        new: &new,
        old_compiled: &old_compiled,
        new_compiled: &new_compiled,
    };
    let event = counter_example(&compare(&old, &new)[0], &versions).unwrap();
    assert_eq!(event, json!({"id": "7", "user": {"name": "xxxxx"}}));
}

#[test]
fn a_text_of_a_pattern_is_made_from_the_one_in_the_example() {
    let schema = |keyword: &str, length: u32| {
        json!({
            "type": "object",
            "properties": {"id": {"type": "string", "pattern": "^[0-9]+$", keyword: length}},
            "examples": [{"id": "1234"}],
        })
    };
    assert_eq!(
        found(&schema("maxLength", 9), &schema("maxLength", 8), Policy::Full),
        ["bound-narrowed /properties/id/maxLength"]
    );
    assert_eq!(
        found(&schema("minLength", 2), &schema("minLength", 3), Policy::Full),
        ["bound-narrowed /properties/id/minLength"]
    );
}

#[test]
fn references_that_branch_are_followed_only_so_far() {
    let schema = |length: u32| {
        let mut definitions = Map::new();
        for level in 0..40 {
            let next = json!({"$ref": format!("#/definitions/{}", level + 1)});
            definitions.insert(level.to_string(), json!({"properties": {"a": next, "b": next}}));
        }
        definitions.insert("40".to_owned(), json!({"type": "string", "maxLength": length}));
        json!({"definitions": definitions, "properties": {"a": {"$ref": "#/definitions/0"}}})
    };
    let found = compare(&schema(2), &schema(1));
    assert_eq!(found.last().map(|last| last.rule), Some(Rule::KeywordChanged));
}
