use super::*;

/// The faults of a schema, as `case pointer`.
fn faults(schema: &Value) -> Vec<String> {
    let compiled = Schema::compile(&schema.to_string());
    robustness(schema, compiled.as_ref(), Some((-100.0, 100.0)))
        .iter()
        .map(|fault| format!("{} {}", fault.case.as_str(), fault.pointer))
        .collect()
}

#[test]
fn each_rule_finds_its_faults() {
    let with = |member: Value| json!({"type": "object", "properties": {"a": member}});
    let string = json!({"type": "string"});
    for (schema, expected) in [
        (with(string.clone()), &[][..]),
        (
            json!({"type": "strin", "properties": {}}),
            &["schema-is-valid /type"],
        ),
        (
            with(json!({"type": "string", "pattern": "^a"})),
            &["schema-is-secure /properties/a"],
        ),
        (
            json!({"allOf": [{"properties": {"a-b": string}}], "properties": {"Ab": string, "$a1_": string}}),
            &[
                "schema-snake-case-properties /allOf/0/properties/a-b",
                "schema-snake-case-properties /properties/Ab",
            ],
        ),
        (
            with(json!({"type": ["string", "null"]})),
            &["schema-deterministic-types /properties/a/type"],
        ),
        (
            with(json!({"type": "array"})),
            &["schema-deterministic-types /properties/a"],
        ),
        (
            with(json!({"type": "array", "items": {"type": "array"}})),
            &["schema-deterministic-types /properties/a/items"],
        ),
        (
            with(json!({"type": "object"})),
            &["schema-deterministic-types /properties/a"],
        ),
        (
            with(json!({"type": "object", "additionalProperties": {"type": ["string", "null"]}})),
            &["schema-deterministic-types /properties/a/additionalProperties/type"],
        ),
        (with(json!({"type": "object", "additionalProperties": true})), &[]),
        (
            with(json!({"description": "d"})),
            &["schema-deterministic-types /properties/a"],
        ),
        (
            with(json!({"type": "string", "enum": ["x", null]})),
            &["schema-deterministic-types /properties/a/enum/1"],
        ),
        (
            with(json!({"type": "object", "oneOf": [{"type": "string"}, {"type": "boolean"}]})),
            &["schema-deterministic-types /properties/a/oneOf/1"],
        ),
        (
            with(json!({"type": "array", "items": {"type": "object", "required": ["b"], "properties": {}}})),
            &["schema-required-properties-exist /properties/a/items/required"],
        ),
        (
            with(json!({"type": "integer", "minimum": 0, "maximum": 100})),
            &[],
        ),
        (
            with(json!({"type": "integer", "minimum": 0})),
            &["schema-enforced-numeric-bounds /properties/a"],
        ),
        (
            with(json!({"type": "array", "items": {"type": "number", "minimum": -101, "maximum": 1}})),
            &["schema-enforced-numeric-bounds /properties/a/items"],
        ),
        (
            json!({"$id": "/a/1.0.0", "properties": {"$schema": string}, "examples": [{"$schema": "/a/2.0.0"}, {"$schema": "/a/1.0.0"}]}),
            &["schema-examples-$schema-matches-schema-$id /examples/0/$schema"],
        ),
        (
            json!({"properties": {"a": string}, "examples": [{}, {"a": 1}]}),
            &["schema-examples-are-valid /examples/1/a"],
        ),
        (
            with(json!({"type": "string", "mexLength": 5})),
            &["schema-known-keywords /properties/a/mexLength"],
        ),
        (with(json!({"type": "string", "x-pii": true})), &[]),
    ] {
        assert_eq!(faults(&schema), expected, "{schema}");
    }
}

#[test]
fn a_misspelt_keyword_comes_with_the_one_that_is_meant() {
    let schema = json!({"mexLength": 5, "user": {"type": "string"}, "off": "x"});
    let compiled = Schema::compile(&schema.to_string());
    let fixes: Vec<String> = robustness(&schema, compiled.as_ref(), None)
        .into_iter()
        .map(|fault| fault.fix)
        .collect();
    assert_eq!(fixes.len(), 3);
    assert_eq!(fixes[0], "did you mean `maxLength`?");
    assert!(fixes[1].contains("move it into `properties`"), "{}", fixes[1]);
    assert!(fixes[2].contains("`x-…`"), "{}", fixes[2]);
}
