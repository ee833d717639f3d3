//! What js-yaml 3 and json-schema-merge-allof 0.6 made of the same documents.

use super::repository;
use crate::{File, Files, Options, Problem, read, write_json, write_yaml};
use serde_json::Value;

fn cases(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

fn one(document: &Value) -> Files {
    Files::from([(
        "a.json".to_owned(),
        File::Bytes(document.to_string().into_bytes()),
    )])
}

#[test]
fn yaml_is_written_as_js_yaml_writes_it() {
    for case in cases(include_str!("golden/js-yaml.json")) {
        let node = read(&one(&case["document"]), "a.json").unwrap();
        let (ours, theirs) = (write_yaml(&node), case["yaml"].as_str().unwrap());
        for (ours, theirs) in ours.lines().zip(theirs.lines()) {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours, theirs);
    }
}

#[test]
fn json_is_written_as_json_stable_stringify_writes_it() {
    let document = serde_json::json!({"b": [], "a": {}, "n": [1.0, "é\n"], "title": null});
    let node = read(&one(&document), "a.json").unwrap();
    let expected =
        "{\n  \"title\": null,\n  \"a\": {\n  },\n  \"b\": [\n  ],\n  \"n\": [\n    1,\n    \"é\\n\"\n  ]\n}";
    assert_eq!(write_json(&node), expected);
}

#[test]
fn all_of_is_merged_as_the_original_merges_it() {
    for case in cases(include_str!("golden/merge-allof.json")) {
        let repository = repository(one(&case["schema"]), Options::default());
        let merged = repository.dereference("a.json");
        if case["merged"].is_null() {
            let fault = merged.unwrap_err();
            assert!(matches!(fault.problem, Problem::Unmergeable(_)), "{fault}");
        } else {
            let expected = read(&one(&case["merged"]), "a.json").unwrap();
            assert_eq!(merged.unwrap(), expected, "{}", case["schema"]);
        }
    }
}

#[test]
fn examples_never_change() {
    let options = Options::parse("config", "shouldGenerateExample: true").unwrap();
    let max = 9_007_199_254_740_991_i64;
    for (schema, example) in [
        (
            serde_json::json!({"type": "integer", "minimum": 0, "maximum": max}),
            "1351079888211148",
        ),
        (
            serde_json::json!({"type": "integer", "minimum": 1}),
            "1351079888211149",
        ),
        (serde_json::json!({"type": "number"}), "-6305039478318694"),
        (
            serde_json::json!({"type": "number", "minimum": 5, "maximum": 17.5}),
            "6.875",
        ),
        (
            serde_json::json!({"type": "integer", "minimum": 0, "maximum": 100, "multipleOf": 10}),
            "10",
        ),
        (
            serde_json::json!({"type": "string", "minLength": 10}),
            "dolordolor",
        ),
        (
            serde_json::json!({"type": "string", "pattern": "^[0-9a-z]{5}$"}),
            "'55555'",
        ),
        (
            serde_json::json!({"type": "string", "format": "date-time"}),
            "'2021-01-01T00:00:00.0Z'",
        ),
        (
            serde_json::json!({"enum": ["a", "b", "c", "d", "e", "f", "g"]}),
            "b",
        ),
        (serde_json::json!({"type": ["null", "string"]}), "null"),
        (
            serde_json::json!({"type": "array", "items": {"type": "boolean"}}),
            "- false",
        ),
        (
            serde_json::json!({"type": "object", "additionalProperties": {"type": "string"}}),
            "dolorb: dolor",
        ),
        (
            serde_json::json!({"properties": {"a": {"type": "string", "pattern": "(?=x)"}, "b": {"const": 1}}}),
            "b: 1",
        ),
    ] {
        let repository = repository(one(&schema), options.clone());
        let text = write_yaml(&repository.schema("a.json").unwrap());
        assert!(
            text.contains(&format!("examples:\n  - {example}\n")),
            "{schema}:\n{text}"
        );
    }
    for (schema, pointer) in [
        (
            serde_json::json!({"required": ["a"], "properties": {"a": {"type": "string", "pattern": "x", "minLength": 2}}}),
            "/properties/a",
        ),
        (
            serde_json::json!({"properties": {"a": {"type": "string"}}, "minProperties": 2}),
            "",
        ),
    ] {
        let repository = repository(one(&schema), options.clone());
        let fault = repository.schema("a.json").unwrap_err();
        assert!(matches!(fault.problem, Problem::NoExample(_)), "{fault}");
        assert_eq!(fault.pointer, pointer, "{fault}");
    }
}
