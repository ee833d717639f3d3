use std::cmp::Ordering;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn matches(filter: &str, event: &Value) -> bool {
    let text = event.to_string();
    let document = Document::parse(text.as_str()).unwrap();
    Filter::parse(filter)
        .unwrap_or_else(|error| panic!("{filter}: {error}"))
        .matches(&document)
}

#[track_caller]
fn check(event: &Value, filters: &[(&str, bool)]) {
    for (filter, expected) in filters {
        assert_eq!(matches(filter, event), *expected, "{filter}");
    }
}

#[test]
fn texts_are_equal_whole_or_by_a_pattern() {
    let event = json!({"title": "User:Ada \"A*\"", "s": "a.b-c/d:e", "empty": "", "t": "aXbXc"});
    check(
        &event,
        &[
            (r#"title = "User:Ada \"A*\"""#, true),
            (r#"title = 'User:Ada "A\*"'"#, true),
            (r#"title = 'User:Ada "B\*"'"#, false),
            (r#"title = "User:*""#, true),
            ("title=User:*", true),
            ("title = User", false),
            (r#"title = "Talk:*""#, false),
            (r#"title = "*Ada*""#, true),
            (r#"title != "User:*""#, false),
            ("s=a.b-c/d:e", true),
            ("s=*e", true),
            ("empty = \"\"", true),
            ("empty = *", true),
            ("title = *", true),
            ("t = a*b*c", true),
            ("t = a*c*b*", false),
            ("t = *a*a*", false),
            ("t = aXbXc*aXbXc", false),
            ("t = **X**", true),
            ("t = A*", false),
        ],
    );
}

#[test]
fn each_number_of_an_event_is_read_once_for_all_values_of_a_field() {
    let numbers: Vec<u32> = (1000..2000).collect();
    let event = json!({ "n": numbers });
    let text = event.to_string();
    let document = Document::parse(text.as_str()).unwrap();
    let values: Vec<String> = (0..MAX_TERMS).map(|value| value.to_string()).collect();
    for filter in [
        format!("n = ({})", values.join(" OR ")),
        format!("n: ({})", values.join(" OR ")),
    ] {
        let filter = Filter::parse(&filter).unwrap();
        let before = literal::PARSED.get();
        assert!(!filter.matches(&document));
        assert_eq!(literal::PARSED.get() - before, numbers.len());
    }
}

#[test]
fn numbers_are_compared_by_value() {
    let event = json!({
        "n": 5, "zero": 0, "minus": -3, "half": 0.5, "id": 9_007_199_254_740_993_u64, "text": "5", "big": 1e300
    });
    check(
        &event,
        &[
            ("n = 5", true),
            ("n = 5.0", true),
            ("n = 50e-1", true),
            ("n = \"5\"", false),
            ("text = 5", true),
            ("text = \"5\"", true),
            ("text = 5.0", false),
            ("n > 4", true),
            ("n > 5", false),
            ("n >= 5", true),
            ("n < 10", true),
            ("n <= 4.99", false),
            ("n = (1 OR 5)", true),
            ("n = (1 OR 2)", false),
            ("n > x", false),
            ("n = inf", false),
            ("minus < 0", true),
            ("minus = -3", true),
            ("zero = -0", true),
            ("half > 0.49 AND half < 0.51", true),
            ("id = 9007199254740993", true),
            ("id = 9007199254740992", false),
            ("id > 9007199254740992", true),
            ("big > 99999999999999999999999999999999999999999999", true),
        ],
    );
}

#[test]
fn texts_and_times_have_an_order() {
    let event = json!({"dt": "2026-01-01T00:00:00.250Z", "zone": "2026-01-01T02:00:00+02:00", "word": "b"});
    check(
        &event,
        &[
            ("word > a", true),
            ("word < \"b\"", false),
            ("word < ba", true),
            ("word > 1", true),
            ("dt >= \"2026-01-01T00:00:00Z\"", true),
            ("dt >= 2026-01-01T00:00:00Z AND dt < 2026-01-01T00:00:01Z", true),
            ("dt > 2026-01-01", true),
            ("dt = 2026-01-01T00:00:00.25Z", true),
            ("zone = 2026-01-01T00:00:00Z", true),
            ("zone = 2026-01-01T02:00:00Z", false),
            ("word > 2026-01-01", true),
        ],
    );
}

#[test]
fn all_that_the_format_date_time_accepts_is_compared_as_a_time() {
    for value in [
        "2026-11-01T00:00:00Z",
        "2026-11-01t00:00:00z",
        "2026-11-01 00:00:00Z",
        "2026-11-01\t00:00:00.000Z",
        "2026-11-01T01:00:00+01:00",
        "2026-11-01T01:00:00+0100",
        "2026-11-01T01:00:00+01",
        "2026-10-31T23:00:00.0000-01",
        "2026-10-31T24:00:00Z",
        "2026-10-31T23:59:60Z",
    ] {
        check(
            &json!({"dt": value}),
            &[
                ("dt = 2026-11-01T00:00:00Z", true),
                ("dt = 20261101T000000Z", true),
                ("dt = 2026-11-01T01:00+01", true),
                ("dt = '2026-11-01 00:00'", true),
                ("dt = 'Sun, 01 Nov 2026 00:00:00 GMT'", true),
                ("dt = 2026-11-01", true),
                ("dt = 2026-11", true),
                (
                    "dt < 2026-11-01T00:00:00.001Z AND dt > 2026-10-31T23:59:59.999Z",
                    true,
                ),
                ("dt != 2026-11-01T00:00:00+00", false),
            ],
        );
    }
    check(
        &json!({"born": "1952-03-11T01:00:00+01:00", "none": "2026-19-39T29:59:59Z"}),
        &[
            ("born = 1952-03-11T00:00:00Z", true),
            ("born < 1952-03-11T00:30:00Z", true),
            ("none = 2026-19-39T29:59:59+00:00", false),
        ],
    );
}

#[test]
fn days_and_months_alone_are_compared_as_texts() {
    check(
        &json!({"title": "2026-11-01", "short": "2026-11"}),
        &[
            ("title = 2026-11-01", true),
            ("title = 2026-11", false),
            ("title >= 2026-11 AND title < 2026-12", true),
            ("short = 2026-11-01", false),
            ("title = 2026-11-01T00:00:00Z", true),
        ],
    );
}

#[test]
fn booleans_and_null_are_words_without_quotes() {
    let event = json!({"bot": true, "minor": false, "nothing": null, "word": "true"});
    check(
        &event,
        &[
            ("bot = true", true),
            ("bot = false", false),
            ("bot != false", true),
            ("bot = \"true\"", false),
            ("minor = false", true),
            ("nothing = null", true),
            ("nothing = \"null\"", false),
            ("word = true", true),
            ("bot = t*", false),
            ("bot > false", false),
            ("nothing != 1", true),
        ],
    );
}

#[test]
fn nothing_is_said_of_a_missing_field() {
    let event = json!({"a": {"b": 1}, "nothing": null, "none": [], "object": {}});
    check(
        &event,
        &[
            ("a:*", true),
            ("a.b:*", true),
            ("a.c:*", false),
            ("a.b.c:*", false),
            ("nothing:*", false),
            ("none:*", true),
            ("object : *", true),
            ("missing = 1", false),
            ("missing != 1", false),
            ("missing < 1", false),
            ("missing = null", false),
            ("missing:1", false),
            ("NOT missing = 1", true),
            ("-missing:*", true),
            ("NOT a:*", false),
            ("a = 1", false),
            ("a != 1", true),
        ],
    );
}

#[test]
fn of_an_array_one_element_is_enough() {
    let event = json!({
        "tags": ["mobile edit", "visual", 7],
        "slots": [{"role": "main", "size": 5}, {"role": "extra", "size": 50}],
        "nested": [["x"], ["y"]],
        "none": [],
    });
    check(
        &event,
        &[
            ("tags = visual", true),
            ("tags : visual", true),
            ("tags : (nope OR \"mobile edit\")", true),
            ("tags = 7", true),
            ("tags = nope", false),
            ("tags != visual", false),
            ("tags != nope", true),
            ("tags = mobile*", true),
            ("slots.role = extra", true),
            ("slots.size > 40", true),
            ("slots.size > 50", false),
            ("slots.role = main AND slots.size > 40", true),
            ("slots:role", true),
            ("slots.0.role = main", false),
            ("nested = y", true),
            ("none = x", false),
            ("none != x", true),
        ],
    );
}

#[test]
fn an_object_has_the_members_it_has() {
    let event = json!({"map": {"a b": 1, "c.d": {"e": 2}, "$schema": 3}, "AND": 1, "NOT": {"x": 1}});
    check(
        &event,
        &[
            ("map:\"a b\"", true),
            ("map:c", false),
            ("map:c*", true),
            ("map = \"a b\"", false),
            ("map.\"a b\" = 1", true),
            ("map.'c.d'.e = 2", true),
            ("map.$schema = 3", true),
            ("\"AND\" = 1", true),
            ("\"NOT\".x = 1", true),
        ],
    );
}

#[test]
fn words_combine_and_parentheses_group() {
    let event = json!({"a": 1, "b": 2, "ORE": 3, "NOTE": 4});
    check(
        &event,
        &[
            ("a=1 AND b=2", true),
            ("a=1 AND b=2 AND b=3", false),
            ("a=2 OR b=3 OR b=2", true),
            ("a=2 OR b=3", false),
            ("(a=2 OR b=2) AND a=1", true),
            ("a=2 OR (b=2 AND a=1)", true),
            ("NOT a=2", true),
            ("NOT(a=1)", false),
            ("-(a=1 AND b=3)", true),
            ("- a = 2 AND -b=3", true),
            (" ( ( a=1 ) ) ", true),
            ("a=1\n\tAND\nb=2", true),
            ("ORE=3 AND NOTE=4", true),
            ("a = 1AND", false),
        ],
    );
}

#[test]
fn a_text_that_is_no_filter_is_refused_where_it_goes_wrong() {
    for (filter, column, problem) in [
        ("", 1, "expected the name of a field, found the end"),
        ("   ", 4, "expected the name of a field, found the end"),
        (
            "a",
            2,
            "expected one of = != < <= > >= : after a field, found the end",
        ),
        ("enwiki dewiki", 8, "after a field, found dewiki"),
        ("a =", 4, "expected a value, found the end"),
        ("a == 1", 4, "expected a value, found ="),
        ("a =~ x", 6, "expected AND, OR or the end, found x"),
        ("a = 1 b = 2", 7, "expected AND, OR or the end, found b"),
        (
            "a = 1 and b = 2",
            7,
            "expected AND, OR or the end, found and, which is written in capitals",
        ),
        ("a = 1 AND", 10, "expected the name of a field, found the end"),
        ("AND a = 1", 1, "expected the name of a field, found AND"),
        ("a = AND", 5, "expected a value, found AND"),
        (
            "a = 1 AND b = 2 OR c = 3",
            17,
            "AND and OR side by side: put parentheses",
        ),
        (
            "a = 1 OR b = 2 AND c = 3",
            16,
            "AND and OR side by side: put parentheses",
        ),
        ("(a = 1", 7, "expected AND, OR or ), found the end"),
        ("a = 1)", 6, "expected AND, OR or the end, found )"),
        ("()", 2, "expected the name of a field, found )"),
        ("a = (1, 2)", 7, "expected OR or ), found ,"),
        ("a = (1 AND 2)", 8, "expected OR or ), found AND"),
        ("a = ()", 6, "expected a value, found )"),
        (
            "a != (1 OR 2)",
            6,
            "a list of values stands after = or : only; for none of them write NOT",
        ),
        ("a < (1 OR 2)", 5, "a list of values stands after = or : only"),
        ("a > b*", 5, "a * stands for any text after =, != or : only"),
        ("a..b = 1", 3, "expected the name of a field, found .b"),
        (".a = 1", 1, "expected the name of a field, found .a"),
        ("a. = 1", 4, "expected the name of a field, found ="),
        ("--a = 1", 2, "expected the name of a field, found -a"),
        ("NOT NOT a = 1", 5, "expected the name of a field, found NOT"),
        ("exists(a)", 7, "after a field, found (a)"),
        ("a = \"b", 5, "the quote \" is not closed"),
        ("é = \"b\\n\"", 7, "a backslash stands before"),
        ("a = 'b\\", 7, "a backslash stands before"),
        ("a = b!", 6, "expected AND, OR or the end, found !"),
    ] {
        let error = Filter::parse(filter).expect_err(filter);
        assert_eq!(error.column, column, "{filter}: {error}");
        assert!(error.problem.contains(problem), "{filter}: {error}");
        assert!(error.to_string().ends_with(parser::EXAMPLE), "{error}");
    }
    assert!(Filter::parse(parser::EXAMPLE).is_ok());
}

#[test]
fn length_depth_values_and_names_are_bounded() {
    let of_length = |length: usize| format!("a={}", "é".repeat(length - 2));
    let of_depth = |depth: usize| format!("{}a=1{}", "(".repeat(depth), ")".repeat(depth));
    let of_values = |count: usize| vec!["a=1"; count].join(" OR ");
    let of_list = |count: usize| format!("a=({})", vec!["1"; count].join(" OR "));
    let of_presences = |count: usize| vec!["a:*"; count].join(" AND ");
    let of_names = |count: usize| format!("{}=1", vec!["a"; count].join("."));
    type Case<'f> = (&'f dyn Fn(usize) -> String, usize, &'f str);
    let cases: [Case<'_>; 6] = [
        (&of_length, MAX_CHARACTERS, "2001 characters are too many"),
        (&of_depth, MAX_DEPTH, "more than 16 parentheses"),
        (&of_values, MAX_TERMS, "more than 64 values"),
        (&of_list, MAX_TERMS, "more than 64 values"),
        (&of_presences, MAX_TERMS, "more than 64 values"),
        (&of_names, MAX_NAMES, "more than 16 names"),
    ];
    for (filter, most, problem) in cases {
        assert!(Filter::parse(&filter(most)).is_ok(), "{problem}");
        let error = Filter::parse(&filter(most + 1)).expect_err(problem);
        assert!(error.problem.starts_with(problem), "{error}");
    }
}

#[test]
fn a_pattern_takes_one_pass_however_many_stars_it_has() {
    let event = json!({"a": "a".repeat(1_000_000)});
    let stars = "*a".repeat(MAX_CHARACTERS / 2 - 2);
    check(
        &event,
        &[(&format!("a={stars}*"), true), (&format!("a={stars}*b"), false)],
    );
}

/// How many values a filter compares with, and how deep it nests.
fn size(filter: &Filter) -> (usize, usize) {
    let of_all = |filters: &[Filter]| {
        filters
            .iter()
            .map(size)
            .fold((0, 0), |(values, depth), (more, deeper)| {
                (values + more, depth.max(deeper))
            })
    };
    match filter {
        Filter::All(filters) | Filter::Any(filters) => {
            let (values, depth) = of_all(filters);
            (values, depth + 1)
        }
        Filter::Not(filter) => size(filter),
        Filter::Field { test, .. } => match test {
            Test::Equals(values) | Test::Has(values) => (values.len(), 0),
            _ => (1, 0),
        },
    }
}

/// A filter's text with what it says of an event, found without the code under test.
#[derive(Debug, Clone)]
enum Model {
    Compare(&'static str, &'static str, i64),
    Present(&'static str),
    Not(Box<Model>),
    And(Vec<Model>),
    Or(Vec<Model>),
}

impl Model {
    fn text(&self) -> String {
        let join = |models: &[Self], word: &str| {
            let texts: Vec<String> = models.iter().map(|model| format!("({})", model.text())).collect();
            texts.join(word)
        };
        match self {
            Self::Compare(field, comparator, number) => format!("{field}{comparator}{number}"),
            Self::Present(field) => format!("{field}:*"),
            Self::Not(model) => format!("NOT ({})", model.text()),
            Self::And(models) => join(models, " AND "),
            Self::Or(models) => join(models, " OR "),
        }
    }

    fn holds(&self, event: &Value) -> bool {
        let at = |field: &str| event.pointer(&format!("/{}", field.replace('.', "/")));
        match self {
            Self::Compare(field, comparator, number) => {
                let Some(value) = at(field) else { return false };
                let order = match value {
                    Value::String(text) => Some(text.as_str().cmp(&number.to_string())),
                    value => value.as_i64().map(|value| value.cmp(number)),
                };
                match *comparator {
                    "=" => order == Some(Ordering::Equal),
                    "!=" => order != Some(Ordering::Equal),
                    "<" => order == Some(Ordering::Less),
                    ">=" => matches!(order, Some(Ordering::Greater | Ordering::Equal)),
                    other => panic!("{other}"),
                }
            }
            Self::Present(field) => at(field).is_some_and(|value| !value.is_null()),
            Self::Not(model) => !model.holds(event),
            Self::And(models) => models.iter().all(|model| model.holds(event)),
            Self::Or(models) => models.iter().any(|model| model.holds(event)),
        }
    }
}

fn models() -> impl Strategy<Value = Model> {
    let field = prop::sample::select(vec!["a", "b", "o.a", "o.o.b"]);
    let comparator = prop::sample::select(vec!["=", "!=", "<", ">="]);
    let leaf = prop_oneof![
        (field.clone(), comparator, -2..3_i64)
            .prop_map(|(field, comparator, number)| Model::Compare(field, comparator, number)),
        field.prop_map(Model::Present),
    ];
    leaf.prop_recursive(4, 24, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|model| Model::Not(Box::new(model))),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Model::And),
            prop::collection::vec(inner, 1..4).prop_map(Model::Or),
        ]
    })
}

fn objects() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        (-2..3_i64).prop_map(Value::from),
        Just(Value::Null),
        Just(json!("1x"))
    ];
    scalar.prop_recursive(3, 16, 3, |inner| {
        prop::collection::btree_map("[abo]", inner, 0..4).prop_map(|members| json!(members))
    })
}

proptest! {
    #[test]
    fn a_filter_says_of_an_event_what_its_words_say(model in models(), event in objects()) {
        let event = json!({"o": event, "a": 1});
        prop_assert_eq!(matches(&model.text(), &event), model.holds(&event), "{} {}", model.text(), event);
    }

    #[test]
    fn any_text_is_read_or_refused(text in any::<String>()) {
        let _ = Filter::parse(&text);
    }

    #[test]
    fn texts_of_the_words_of_filters_are_read_or_refused_and_bounded(
        words in prop::collection::vec(
            prop::sample::select(vec![
                "a", "é.b", "=", "!=", "<", ">=", ":", "*", "(", ")", " AND ", " OR ", "NOT ", "-", "\"x*\\\"\"", "'", "\\",
                "1", ".", ",", " ",
            ]),
            0..200,
        ),
    ) {
        let text = words.concat();
        match Filter::parse(&text) {
            Ok(filter) => {
                let (values, depth) = size(&filter);
                prop_assert!(values <= MAX_TERMS && depth <= MAX_DEPTH + 1, "{}", text);
                let document = Document::parse(r#"{"a":[1,{"b":"x"}]}"#).unwrap();
                let _ = filter.matches(&document);
            }
            Err(error) => prop_assert!(error.column <= text.chars().count() + 1, "{}", error),
        }
    }
}
