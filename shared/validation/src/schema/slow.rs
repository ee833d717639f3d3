//! Pairs of schema and event that were slow, by the work they take.

use jsonschema::error::ValidationErrorKind;
use serde_json::{Value, json};

use super::pairs::{Pair, Random, schema, value};
use super::*;
use crate::ajv::{AjvError, MAX_ERRORS};
use crate::metered::{Allowance, duplicates, left, overrun, same};

/// The steps that some work takes.
fn steps(work: impl FnOnce()) -> usize {
    Allowance::ENDLESS.begin();
    work();
    usize::MAX - left()
}

fn compiled(schema: &Value) -> Schema {
    Schema::compile(&schema.to_string()).unwrap()
}

fn judged(pair: &Pair) -> Vec<AjvError> {
    compiled(&pair.schema)
        .validate(&pair.event)
        .err()
        .unwrap_or_default()
}

fn bytes(errors: &[AjvError]) -> usize {
    json!(errors).to_string().len()
}

#[test]
fn equal_items_are_found_without_a_look_at_all_pairs() {
    for (kind, values_an_item, expected) in [
        ("numbers", 1, None),
        ("two equal numbers", 1, Some((1, 0))),
        ("zeros", 1, Some((1024 * 1024 / 2 - 1, 1024 * 1024 / 2 - 2))),
        ("texts", 1, None),
        // Those that are one double.
        ("numbers past 2^53", 1, None),
        // Those that the validator's own hash takes for one.
        ("trees", 33, None),
    ] {
        let items = value(kind);
        let items = items.as_array().unwrap();
        let taken = steps(|| assert_eq!(duplicates(items), expected, "{kind}"));
        let bound = 2 * values_an_item * items.len();
        assert!(taken <= bound, "{kind}: {taken} steps, more than {bound}");
    }
}

#[test]
fn equal_items_are_those_that_a_search_from_the_end_finds() {
    let kinds = [
        json!(0),
        json!(-0.0),
        json!(1),
        json!(1.0),
        json!(9_007_199_254_740_993_u64),
        json!(9_007_199_254_740_992.0),
        json!("1"),
        json!(null),
        json!(false),
        json!([]),
        json!({}),
        json!([[], 1]),
        json!([[1.0]]),
        json!([[], 1.0]),
        json!({"a": 1, "b": [0]}),
        json!({"b": [-0.0], "a": 1.0}),
        json!({"a": 1}),
    ];
    let mut random = Random::new(1);
    Allowance::ENDLESS.begin();
    for _ in 0..2000 {
        let items: Vec<Value> = (0..random.below(9))
            .map(|_| kinds[random.below(kinds.len())].clone())
            .collect();
        let searched = (0..items.len()).rev().find_map(|i| {
            let j = (0..i).rev().find(|j| same(&items[*j], &items[i]))?;
            Some((i, j))
        });
        assert_eq!(duplicates(&items), searched, "{items:?}");
    }
}

#[test]
fn values_are_the_same_as_the_validator_compares_them() {
    for (a, b, expected) in [
        (json!(1), json!(1.0), true),
        (json!(0), json!(-0.0), true),
        (json!(1), json!("1"), false),
        (json!([1, {"a": 2}]), json!([1.0, {"a": 2.0}]), true),
        (json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1}), true),
        (json!({"a": 1}), json!({"a": 1, "b": 2}), false),
        (json!({"a": null}), json!({"b": null}), false),
        (json!([1]), json!([1, 2]), false),
        (json!("é"), json!("é"), true),
    ] {
        Allowance::ENDLESS.begin();
        assert_eq!(same(&a, &b), expected, "{a} {b}");
    }
}

#[test]
fn an_array_of_wrong_items_has_no_more_errors_than_are_told_and_sorted() {
    let pair = Pair::new(json!({"items": {"type": "string"}}), value("zeros"));
    let schema = compiled(&pair.schema);
    schema.allowance(MAX_ERRORS).begin();
    let found = schema.validator.iter_errors(&pair.event).count();
    assert!((MAX_ERRORS..2000).contains(&found), "{found}");
    let errors = judged(&pair);
    let places: Vec<_> = errors.iter().map(|error| error.data_path.clone()).collect();
    let expected: Vec<_> = (0..MAX_ERRORS).map(|n| format!(".v[{n}]")).collect();
    assert_eq!(places, expected);
}

#[test]
fn no_more_errors_are_told_than_are_wanted() {
    let pair = Pair::new(json!({"items": {"type": "string"}}), value("zeros"));
    let schema = compiled(&pair.schema);
    for most in [1, 7] {
        let errors = schema.validate_telling(&pair.event, most).unwrap_err();
        assert_eq!(errors.len(), most);
        schema.allowance(most).begin();
        let found = schema.validator.iter_errors(&pair.event).count();
        assert!(found < 20 * most, "{found}");
    }
}

#[test]
fn members_that_are_too_many_are_told_up_to_a_hundred() {
    let pair = Pair::new(json!({"additionalProperties": false}), value("members"));
    let errors = judged(&pair);
    assert_eq!(errors.len(), MAX_ERRORS);
    assert_eq!(errors[99].params, json!({"additionalProperty": "m99"}));
}

#[test]
fn branches_tell_what_is_wrong_although_there_is_no_step_left_for_the_last() {
    let pair = Pair::new(
        json!({"anyOf": [{"items": {"type": "string"}}, {"items": {"type": "boolean"}}]}),
        value("zeros"),
    );
    let errors = judged(&pair);
    assert_eq!(errors.len(), MAX_ERRORS);
    assert_eq!(errors[99].data_path, ".v[99]");
    assert_eq!(errors[99].schema_path, "#/properties/v/anyOf/0/items/type");
}

/// An error within a branch has a copy of the value that it is about.
#[test]
fn errors_of_branches_copy_no_large_values() {
    for kind in ["zeros", "members", "long text"] {
        let pair = Pair::new(schema("oneOf", 300, &json!({"type": "null"})), value(kind));
        let schema = compiled(&pair.schema);
        schema.allowance(MAX_ERRORS).begin();
        for error in schema.validator.iter_errors(&pair.event) {
            let ValidationErrorKind::OneOfNotValid { context } = error.kind() else {
                panic!("{kind}: {error:?}");
            };
            let copied = context
                .iter()
                .flatten()
                .map(|error| error.instance().to_string().len());
            assert!(copied.max().is_some_and(|bytes| bytes < 10), "{kind}");
        }
    }
}

/// Each error repeats the place, or all that would be right.
#[test]
fn errors_have_no_more_text_than_one_of_them_beyond_64_kb() {
    let texts: Vec<String> = (0..3000).map(|n| format!("text {n}")).collect();
    let one = json!(texts).to_string().len();
    let pair = Pair::new(json!({"items": {"enum": texts}}), value("numbers"));
    let errors = judged(&pair);
    assert!((2..5).contains(&errors.len()), "{}", errors.len());
    assert!(bytes(&errors) < 64 * 1024 + one + 1000, "{}", bytes(&errors));

    let pair = Pair::new(
        json!({"additionalProperties": {"items": {"type": "string"}}}),
        value("long name"),
    );
    let errors = judged(&pair);
    assert_eq!(errors.len(), 1);
    assert_eq!(errors[0].keyword, "type");
}

#[test]
fn what_takes_too_many_steps_is_refused_and_says_so() {
    for (of_value, kind) in [
        (json!({"items": schema("allOf", 300, &json!({}))}), "zeros"),
        (schema("patternProperties", 300, &json!({})), "members"),
        (
            json!({"additionalProperties": {"allOf": vec![json!({"not": {"minimum": 1}}); 300]}}),
            "members",
        ),
    ] {
        let errors = judged(&Pair::new(of_value.clone(), value(kind)));
        let keywords: Vec<_> = errors.iter().map(|error| error.keyword.as_str()).collect();
        assert_eq!(keywords, ["too_much"], "{of_value} {kind}");
        assert!(
            errors[0].message.contains("send less in one event"),
            "{}",
            errors[0].message
        );
    }
}

#[test]
fn large_events_of_usual_schemas_take_a_few_steps_a_value() {
    let item = json!({
        "type": "object",
        "required": ["m1", "n"],
        "properties": {"m1": {"type": "array", "items": {"type": ["integer", "string", "object"]}}, "n": {"type": "number", "minimum": 0}},
        "additionalProperties": false,
    });
    let pair = Pair::new(json!({"type": "array", "items": item}), value("mixed"));
    let schema = compiled(&pair.schema);
    let taken = steps(|| assert!(schema.validator.is_valid(&pair.event)));
    let values = 7 * pair.event["v"].as_array().unwrap().len();
    assert!(
        (values..4 * values).contains(&taken),
        "{taken} steps for {values} values"
    );
    assert!(schema.validate(&pair.event).is_ok());
}

/// Two ways into each `x`, so that one within `n` others is come to by 2^n ways.
fn doubled_defaults() -> Value {
    let x = json!({"properties": {"x": {"$ref": "#"}, "d": {"default": 1}}});
    json!({"allOf": [x, x]})
}

fn nested(levels: usize) -> Value {
    (0..levels).fold(json!({}), |within, _| json!({"x": within}))
}

#[test]
fn filling_in_defaults_ends_soon_after_its_last_step() {
    let filled = json!({"properties": {"d": {"default": 1}}});
    let conditions = vec![json!({"if": {"required": ["x"]}, "then": filled, "else": filled}); 40];
    let patterns: serde_json::Map<String, Value> = (0..300)
        .map(|n| (format!("^(m|n).*{n}$"), filled.clone()))
        .collect();
    let names: serde_json::Map<String, Value> = (0..3000)
        .map(|n| (format!("n{n}"), json!({"default": 1})))
        .collect();
    for (schema, event) in [
        (doubled_defaults(), nested(60)),
        (
            json!({"properties": {"v": {"allOf": conditions}}}),
            json!({"v": value("zeros")}),
        ),
        (
            json!({"properties": {"v": {"patternProperties": patterns}}}),
            json!({"v": value("members")}),
        ),
        (
            json!({"properties": {"v": {"additionalProperties": filled, "patternProperties": patterns}}}),
            json!({"v": value("members")}),
        ),
        (
            json!({"properties": {"v": {"items": {"properties": names}}}}),
            json!({"v": value("objects")}),
        ),
    ] {
        let compiled = compiled(&schema);
        let mut document = Document::parse(event.to_string()).unwrap();
        overrun();
        let refused = compiled.fill_defaults(&mut document);
        let overrun = overrun();
        let name: String = schema.to_string().chars().take(80).collect();
        assert!(overrun < 100_000, "{name}: {overrun} steps too many");
        if !document.is_overfull() {
            let errors = refused.unwrap_err();
            assert_eq!(errors[0].keyword, "too_much", "{name}");
            assert!(errors[0].message.contains("fill in"), "{}", errors[0].message);
        }
    }
    let usual = compiled(&doubled_defaults());
    let mut document = Document::parse(nested(3).to_string()).unwrap();
    usual.fill_defaults(&mut document).unwrap();
    assert_eq!(document.text().matches("\"d\":1").count(), 4);
}

#[test]
fn a_schema_whose_defaults_take_too_many_steps_themselves_is_none() {
    let x = json!({"properties": {"x": {"$ref": "#/definitions/a"}, "d": {"default": 1}}});
    let mut schema = json!({
        "definitions": {"a": {"allOf": [x, x]}},
        "properties": {"n": {"default": nested(19), "$ref": "#/definitions/a"}},
    });
    let error = Schema::compile(&schema.to_string()).unwrap_err();
    assert!(error.message.contains("too many steps"), "{error}");
    schema["properties"]["n"]["default"] = nested(3);
    assert!(Schema::compile(&schema.to_string()).is_ok());
}

#[test]
fn lists_are_filled_until_the_event_is_overfull() {
    let element = json!({"default": "x".repeat(100_000)});
    let schema = compiled(&json!({"properties": {"v": {"items": {"items": [{}, {}, element]}}}}));
    let mut document = Document::parse(json!({"v": vec![json!([]); 20]}).to_string()).unwrap();
    schema.fill_defaults(&mut document).unwrap();
    assert!(document.is_overfull());
    let texts = document.text().matches("[null,null,\"xx").count();
    assert_eq!(texts, 10);
}

/// The validator says of such a text that it does not know.
#[test]
fn a_text_that_a_pattern_goes_back_and_forth_in_too_often_is_refused_with_its_place() {
    let slow = json!({"pattern": "^(?!x)(a+)+\\1b$"});
    let text = json!("a".repeat(30));
    let many: Vec<Value> = (0..20).map(|n| json!(format!("{}{n}", "a".repeat(30)))).collect();
    for (of_value, value) in [
        (slow.clone(), text.clone()),
        (json!({"items": slow}), json!([1, text])),
        (json!({"items": slow}), json!(many)),
        (
            json!({"anyOf": [{"items": slow}, {"type": "null"}]}),
            json!([text]),
        ),
        (json!({"properties": {"p": slow}}), json!({"p": text})),
        (schema("look-around", 1, &json!({})), value("long text")),
        (
            json!({"items": schema("look-around", 1, &json!({}))}),
            value("doubtful texts"),
        ),
    ] {
        let errors = judged(&Pair::new(of_value.clone(), value));
        let first = errors.first().map(|error| error.data_path.as_str());
        assert!(
            first.is_some_and(|path| path.starts_with(".v")),
            "{of_value}: {errors:?}"
        );
    }
}

/// The search that found the others; `cargo xtask bench validation` goes on with it.
#[test]
fn whatever_pair_is_judged_ends_soon_after_its_last_step() {
    for seed in 0..20 {
        let (name, pair) = Pair::random(seed);
        let Ok(schema) = Schema::compile(&pair.schema.to_string()) else {
            continue;
        };
        let errors = schema.validate(&pair.event).err().unwrap_or_default();
        let overrun = overrun();
        assert!(overrun < 100_000, "{name} ({seed}): {overrun} steps too many");
        assert!(errors.len() <= MAX_ERRORS, "{name} ({seed})");
    }
}
