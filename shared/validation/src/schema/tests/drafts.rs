//! Drafts 4, 6 and 7 as AJV 6 reads them.

use super::*;

#[test]
fn every_number_without_a_fraction_is_an_integer_in_any_draft() {
    for draft in ["04", "06", "07"] {
        let schema = compile(json!({
            "$schema": format!("http://json-schema.org/draft-{draft}/schema#"),
            "properties": {"n": {"type": "integer"}, "u": {"type": ["integer", "null"]}},
        }));
        for number in ["1", "1.0", "1e3", "-0", "-0.0", "12345678901234567890"] {
            for name in ["n", "u"] {
                let event: Value = serde_json::from_str(&format!("{{\"{name}\":{number}}}")).unwrap();
                assert!(schema.validate(&event).is_ok(), "draft {draft}: {number}");
            }
        }
        assert!(schema.validate(&json!({"n": 1.5})).is_err());
    }
}

#[test]
fn what_media_a_text_holds_is_a_note() {
    for draft in ["06", "07"] {
        let schema = compile(json!({
            "$schema": format!("http://json-schema.org/draft-{draft}/schema#"),
            "properties": {"a": {"contentMediaType": "application/json", "contentEncoding": "base64"}},
        }));
        assert!(schema.validate(&json!({"a": "{ no base64, no JSON"})).is_ok());
    }
}

#[test]
fn a_ref_by_name_is_followed_and_one_out_of_the_document_is_refused() {
    for target in [
        "#a",
        "/t/x/1.0.0#/definitions/a",
        "1.0.0#a",
        "../x/1.0.0#/definitions/a",
        "other",
    ] {
        let schema = compile(json!({
            "$id": "/t/x/1.0.0",
            "definitions": {"a": {"$id": "#a", "type": "string"}, "o": {"$id": "other", "type": "string"}},
            "properties": {"v": {"$ref": target}},
        }));
        assert!(schema.validate(&json!({"v": "x"})).is_ok(), "{target}");
        assert!(schema.validate(&json!({"v": 1})).is_err(), "{target}");
    }
    let elsewhere = json!({"$id": "/t/x/1.0.0", "properties": {"v": {"$ref": "/t/y/1.0.0"}}});
    assert!(Schema::compile(&elsewhere.to_string()).is_err());
}

#[test]
fn the_type_beside_a_ref_counts_and_its_other_neighbours_do_not() {
    let schema = compile(json!({
        "definitions": {"d": {"maxLength": 2}},
        "properties": {
            "v": {"$ref": "#/definitions/d", "type": "string"},
            "w": {"$ref": "#/definitions/d", "minLength": 2},
        },
    }));
    assert!(schema.validate(&json!({"v": 1})).is_err());
    assert!(schema.validate(&json!({"v": "abc"})).is_err());
    assert!(schema.validate(&json!({"v": "a", "w": "a"})).is_ok());
}

#[test]
fn a_keyword_counts_in_any_draft_that_ajv_6_knows() {
    let schema = compile(json!({
        "$schema": "http://json-schema.org/draft-04/schema#",
        "properties": {"v": {"const": 1}},
        "if": {"required": ["w"]}, "then": {"required": ["x"]},
    }));
    assert!(schema.validate(&json!({"v": 2})).is_err());
    assert!(schema.validate(&json!({"v": 1, "w": 1})).is_err());
    assert!(schema.validate(&json!({"v": 1, "w": 1, "x": 1})).is_ok());
}
