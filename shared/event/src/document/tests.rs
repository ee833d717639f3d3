use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::json::MAX_DEPTH;

fn document(raw: &str) -> Document<'_> {
    Document::parse(raw).unwrap()
}

#[test]
fn reading_removes_whitespace_outside_strings_only() {
    for (raw, expected) in [
        (
            "{ \"a\" : [ 1.0 , 1e3,18446744073709551615 ],\n\t\"b\":\"x  \\\" y\\u00e9\" , \"c\" : { } } ",
            "{\"a\":[1.0,1e3,18446744073709551615],\"b\":\"x  \\\" y\\u00e9\",\"c\":{}}",
        ),
        ("{}", "{}"),
        ("{\r\n}", "{}"),
        ("{\"a\":null}", "{\"a\":null}"),
    ] {
        assert_eq!(document(raw).text(), expected);
        assert_eq!(document(raw).into_string(), expected);
    }
}

#[test]
fn a_repeated_member_name_is_named_by_its_pointer() {
    for (raw, pointer) in [
        (r#"{"a":1,"a":2}"#, "/a"),
        (r#"{"a":1,"\u0061":2}"#, "/a"),
        (r#"{"x":[0,{"b/c":1,"b/c":2}]}"#, "/x/1/b~1c"),
        (r#"{"x": [0, {"b/c" : 1, "b/c":2} ] }"#, "/x/1/b~1c"),
        (r#"{"a":{"b":1},"c":{"b":1},"a":0}"#, "/a"),
        (r#"{"m~":{"n":[[],[{"d":0,"e":1,"d":2}]]}}"#, "/m~0/n/1/0/d"),
    ] {
        let error = Document::parse(raw).unwrap_err();
        assert_eq!(error, JsonError::DuplicateKey(pointer.into()), "{raw}");
    }
    let many: Vec<String> = (0..1000).map(|n| format!("\"k{n}\":{n}")).collect();
    assert!(Document::parse(format!("{{{}}}", many.join(","))).is_ok());
    assert!(Document::parse(format!("{{{},\"k3\":0}}", many.join(","))).is_err());
    let few: Vec<String> = (0..FEW).map(|n| format!("\"k{n}\":{n}")).collect();
    assert!(Document::parse(format!("{{{}}}", few.join(","))).is_ok());
    assert!(Document::parse(format!("{{{},\"k3\":0}}", few.join(", "))).is_err());
}

/// Few enough to be compared with each other.
const FEW: usize = 10;

#[test]
fn depth_is_bounded() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth - 1), "]".repeat(depth - 1));
    assert!(Document::parse(nested(MAX_DEPTH)).is_ok());
    let error = Document::parse(nested(MAX_DEPTH + 1)).unwrap_err();
    assert_eq!(error, JsonError::TooDeep);
}

#[test]
fn what_only_a_full_parse_sees_is_malformed() {
    for raw in [
        r#"{"a":"\ud800"}"#,
        r#"{"\ud800":1}"#,
        r#"{"a":["x\n\udc00"]}"#,
        r#"{"a":1e999}"#,
        r#"{"a":-1E+400}"#,
    ] {
        let error = Document::parse(raw).unwrap_err();
        assert!(matches!(error, JsonError::Malformed(_)), "{raw}: {error}");
    }
    for raw in [r#"{"a":"\ud83d\ude00","b":1e-999,"c":-0}"#, r#"{"a":"\\ud800"}"#] {
        assert!(Document::parse(raw).is_ok(), "{raw}");
    }
    assert_eq!(Document::parse("[]").unwrap_err(), JsonError::NotEvents);
}

#[test]
fn members_are_read_at_any_depth() {
    let raw =
        r#"{"n":-1.5e3,"meta":{"id":"x","s":"a\"b","o":{"p":[1,{"q":2}]}},"t":true,"z":null,"\u00e9":1}"#;
    let event = document(raw);
    for (path, expected) in [
        (&["n"][..], Some("-1.5e3")),
        (&["meta", "id"], Some("\"x\"")),
        (&["meta", "o"], Some(r#"{"p":[1,{"q":2}]}"#)),
        (&["meta", "o", "p", "1", "q"], Some("2")),
        (&["t"], Some("true")),
        (&["z"], Some("null")),
        (&["é"], Some("1")),
        (&["meta", "missing"], None),
        (&["meta", "o", "p", "2"], None),
        (&["n", "x"], None),
        (&["q"], None),
    ] {
        let found = event.get(path).map(|node| node.text().into_owned());
        assert_eq!(found.as_deref(), expected, "{path:?}");
    }
    assert_eq!(event.get_str(&["meta", "s"]).as_deref(), Some("a\"b"));
    assert_eq!(event.get_str(&["n"]), None);
    let names: Vec<_> = event.root().children().map(|child| child.name()).collect();
    assert_eq!(names, ["n", "meta", "t", "z", "é"]);
    assert_eq!(event.root().len(), 5);
}

#[test]
fn members_are_replaced_in_place_or_added_last() {
    for (raw, path, expected) in [
        (
            r#"{"meta":{"dt":"old","x":1},"y":2}"#,
            &["meta", "dt"][..],
            r#"{"meta":{"dt":9,"x":1},"y":2}"#,
        ),
        (
            r#"{"meta":{"x":1},"y":2}"#,
            &["meta", "dt"],
            r#"{"meta":{"x":1,"dt":9},"y":2}"#,
        ),
        (
            r#"{"meta":{},"y":2}"#,
            &["meta", "dt"],
            r#"{"meta":{"dt":9},"y":2}"#,
        ),
        (r#"{"y":2}"#, &["meta", "dt"], r#"{"y":2,"meta":{"dt":9}}"#),
        (r#"{"y":2}"#, &["a", "b", "c"], r#"{"y":2,"a":{"b":{"c":9}}}"#),
        (r#"{"y":2}"#, &["a b\""], r#"{"y":2,"a b\"":9}"#),
        (r#"{"meta":3}"#, &["meta", "dt"], r#"{"meta":3}"#),
        (
            r#"{"l":[{},{"b":1}]}"#,
            &["l", "1", "a"],
            r#"{"l":[{},{"b":1,"a":9}]}"#,
        ),
        (r#"{"l":[0,1]}"#, &["l", "0"], r#"{"l":[9,1]}"#),
        (r#"{"l":[]}"#, &["l", "0"], r#"{"l":[]}"#),
        (r#"{}"#, &["a"], r#"{"a":9}"#),
    ] {
        let mut event = document(raw);
        event.set(path, "9");
        assert_eq!(event.text(), expected);
        assert_eq!(event.root().to_value(), parsed(expected));
    }
}

#[test]
fn only_what_is_missing_is_added() {
    let mut event = document(r#"{"a":1,"b":{}}"#);
    let unwanted = || -> String { panic!("nothing is missing") };
    event.add(&["a"], unwanted);
    event.add(&["a", "c"], unwanted);
    event.add(&["b", "c"], || "2");
    event.add(&["b", "c"], unwanted);
    assert_eq!(event.text(), r#"{"a":1,"b":{"c":2}}"#);
    let root = event.root().position();
    let added = event.add_to(root, "d", r#"{"e":[1]}"#).unwrap();
    assert_eq!(event.at(added).text(), r#"{"e":[1]}"#);
    assert_eq!(event.add_to(root, "d", "0"), Some(added));
    event.add_to(added, "f", "3");
    assert_eq!(event.into_string(), r#"{"a":1,"b":{"c":2},"d":{"e":[1],"f":3}}"#);
}

#[test]
fn the_text_of_a_value_has_what_was_added_to_it_and_no_more() {
    let mut event = document(r#"{"a":{"b":{}}}"#);
    event.set(&["a", "c"], "1");
    event.set(&["d"], "2");
    event.set(&["a", "b", "e"], "3");
    assert_eq!(event.get(&["a", "b"]).unwrap().text(), r#"{"e":3}"#);
    assert_eq!(event.get(&["a"]).unwrap().text(), r#"{"b":{"e":3},"c":1}"#);
    event.set(&["a", "b"], "[]");
    assert_eq!(event.text(), r#"{"a":{"b":[],"c":1},"d":2}"#);
    event.set(&["a", "b"], "{}");
    event.set(&["a", "b", "f"], "4");
    assert_eq!(event.text(), r#"{"a":{"b":{"f":4},"c":1},"d":2}"#);
}

/// The right sides are from `JSON.stringify(JSON.parse(…))`.
#[test]
fn the_canonical_text_is_that_of_json_stringify() {
    for (text, expected) in [
        (r#""A\/1""#, r#""A/1""#),
        (r#""\u0041n""#, r#""An""#),
        (r#""\ud83d\ude00""#, "\"\u{1f600}\""),
        (r#""\u2028\u007f\u00e9""#, "\"\u{2028}\u{7f}é\""),
        (
            r#""\u0000\u001F\u0008\u000C\n\r\t\"\\""#,
            r#""\u0000\u001f\b\f\n\r\t\"\\""#,
        ),
        ("1", "1"),
        ("1.0", "1"),
        ("1e0", "1"),
        ("10E-1", "1"),
        ("-0", "0"),
        ("-0.0", "0"),
        ("-1.50", "-1.5"),
        ("1e3", "1000"),
        ("0.1", "0.1"),
        ("0.10000000000000000001", "0.1"),
        ("1e21", "1e+21"),
        ("1e20", "100000000000000000000"),
        ("123456789012345678901234", "1.2345678901234569e+23"),
        ("9007199254740993", "9007199254740992"),
        ("18446744073709551615", "18446744073709552000"),
        ("0.000001", "0.000001"),
        ("1e-7", "1e-7"),
        ("1.5E-9", "1.5e-9"),
        ("5e-324", "5e-324"),
        ("1e-999", "0"),
        ("1.7976931348623157e308", "1.7976931348623157e+308"),
        ("true", "true"),
        ("null", "null"),
        (r#"[ 1.0 ,[ ],{ },"\u0061"]"#, r#"[1,[],{},"a"]"#),
        (
            r#"{"b":1,"10":2,"\u0061":{"9":0,"2":0},"2":3,"01":4,"-1":5}"#,
            r#"{"2":3,"10":2,"b":1,"a":{"2":0,"9":0},"01":4,"-1":5}"#,
        ),
    ] {
        let event = format!(r#"{{"a":{text}}}"#);
        assert_eq!(
            document(&event).get(&["a"]).unwrap().canonical(),
            expected,
            "{text}"
        );
    }
    let mut event = document(r#"{"a":{"b":1.0}}"#);
    event.set(&["a", "c"], "2e0");
    assert_eq!(event.get(&["a"]).unwrap().canonical(), r#"{"b":1,"c":2}"#);
}

#[test]
fn a_long_array_may_be_edited_everywhere() {
    let items = 100_000;
    let mut event = Document::parse(format!("{{\"a\":[{}]}}", vec!["{}"; items].join(","))).unwrap();
    let at: Vec<Position> = event
        .get(&["a"])
        .unwrap()
        .children()
        .map(|item| item.position())
        .collect();
    for item in at {
        event.add_to(item, "b", "1");
    }
    assert_eq!(
        event.text(),
        format!("{{\"a\":[{}]}}", vec!["{\"b\":1}"; items].join(","))
    );
}

#[test]
fn the_members_of_a_large_object_are_found_among_those_sent_and_added() {
    let members = 200;
    let sent: Vec<String> = (0..members).map(|n| format!("\"k{n}\":{n}")).collect();
    let mut event = Document::parse(format!("{{\"a\":{{{},\"\\u0065\":0}}}}", sent.join(","))).unwrap();
    let large = event.get(&["a"]).unwrap().position();
    for added in 0..members {
        let name = format!("new {added}");
        assert!(event.at(large).member(&name).is_none(), "{name}");
        let at = event.add_to(large, &name, "1").unwrap();
        assert_eq!(event.at(large).member(&name).unwrap().position(), at);
    }
    for n in 0..members {
        let name = format!("k{n}");
        assert_eq!(event.at(large).member(&name).unwrap().text(), n.to_string());
        assert_eq!(
            event
                .add_to(large, &name, "\"again\"")
                .map(|at| event.at(at).text().into_owned()),
            Some(n.to_string())
        );
    }
    assert_eq!(event.get_str(&["a", "e"]), None);
    assert_eq!(event.get(&["a", "e"]).unwrap().text(), "0");
    assert_eq!(event.at(large).len(), 2 * members + 1);
    event.set(&["a", "k7"], "{}");
    assert_eq!(event.get(&["a", "k7"]).unwrap().text(), "{}");
    // Another object at the same place.
    event.set(&["a"], "{\"k7\":true}");
    assert_eq!(event.get(&["a", "k7"]).unwrap().text(), "true");
    assert!(event.get(&["a", "k8"]).is_none());
}

#[test]
fn an_event_grows_by_no_more_than_a_megabyte() {
    let mut event = Document::parse(format!("{{\"a\":[{}]}}", vec!["{}"; 100].join(","))).unwrap();
    let items: Vec<Position> = event
        .get(&["a"])
        .unwrap()
        .children()
        .map(|item| item.position())
        .collect();
    let value = format!("\"{}\"", "x".repeat(100_000));
    let added = items
        .into_iter()
        .filter(|item| event.add_to(*item, "b", &value).is_some())
        .count();
    assert_eq!(added, MAX_ADDED_BYTES / 100_000);
    assert!(event.is_overfull());
    assert!(event.text().len() < 300 + MAX_ADDED_BYTES);
    assert!(!document("{}").is_overfull());
}

#[test]
fn lists_may_be_edited_in_any_order() {
    let list = |name: &str, value: &str| format!("\"{name}\":[{}]", vec![value; 20_000].join(","));
    let mut event = Document::parse(format!("{{{},{}}}", list("a", "{}"), list("b", "{}"))).unwrap();
    for name in ["b", "a"] {
        let items: Vec<Position> = event
            .get(&[name])
            .unwrap()
            .children()
            .map(|item| item.position())
            .collect();
        for item in items.into_iter().rev() {
            event.add_to(item, "c", "1");
        }
    }
    let filled = "{\"c\":1}";
    assert_eq!(
        event.text(),
        format!("{{{},{}}}", list("a", filled), list("b", filled))
    );
}

fn parsed(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

/// Objects of any values, few names, so that edits hit.
fn objects() -> impl Strategy<Value = Value> {
    let scalar = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<i32>().prop_map(|n| json!(f64::from(n) / 8.0)),
        any::<String>().prop_map(Value::from),
    ];
    let name = || prop_oneof![Just("a".to_owned()), Just("b".to_owned()), any::<String>()];
    let value = scalar.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((name(), inner), 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    });
    prop::collection::vec((name(), value), 0..6)
        .prop_map(|members| Value::Object(members.into_iter().collect()))
}

fn same(node: Node<'_>, value: &Value) -> bool {
    match value {
        Value::Array(items) => {
            node.kind() == Kind::Array
                && node.len() == items.len()
                && node.children().zip(items).all(|(node, item)| same(node, item))
        }
        Value::Object(members) => {
            node.kind() == Kind::Object
                && node.len() == members.len()
                && node
                    .children()
                    .zip(members)
                    .all(|(node, (name, value))| node.name() == *name && same(node, value))
        }
        Value::String(text) => node.as_str().as_deref() == Some(text),
        scalar => serde_json::from_str::<Value>(node.scalar()).unwrap() == *scalar,
    }
}

fn with_longer_texts(value: Value) -> Value {
    match value {
        Value::String(text) => Value::from(format!("{text}\u{e9}")),
        Value::Array(items) => items.into_iter().map(with_longer_texts).collect(),
        Value::Object(members) => members
            .into_iter()
            .map(|(name, value)| (name, with_longer_texts(value)))
            .collect(),
        scalar => scalar,
    }
}

/// Sets a member of a value as `Document::set` does.
fn set(value: &mut Value, path: &[&str], new: Value) {
    let Some((name, rest)) = path.split_first() else {
        *value = new;
        return;
    };
    match value {
        Value::Object(members) => {
            let missing = json!({});
            set(members.entry(*name).or_insert(missing), rest, new);
        }
        Value::Array(items) => {
            if let Some(item) = name.parse::<usize>().ok().and_then(|n| items.get_mut(n)) {
                set(item, rest, new);
            }
        }
        _ => {}
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_document_is_what_a_parser_makes_of_the_text(value in objects(), pretty: bool) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let event = document(&text);
        prop_assert!(same(event.root(), &value));
        prop_assert_eq!(event.text(), value.to_string());
        prop_assert_eq!(event.root().to_value(), value);
    }

    #[test]
    fn a_value_written_over_is_the_same_as_a_new_one(values in prop::collection::vec(objects(), 1..4)) {
        let mut written = Value::Null;
        // Each shape twice: made anew, and kept.
        for value in values.into_iter().flat_map(|value| [value.clone(), with_longer_texts(value)]) {
            document(&value.to_string()).root().write_to(&mut written);
            prop_assert_eq!(&written, &value);
        }
    }

    #[test]
    fn edits_in_any_order_are_what_they_are_on_the_value(
        value in objects(),
        edits in prop::collection::vec((prop::collection::vec("[ab0]", 1..4), objects()), 1..6),
    ) {
        let (text, mut value) = (value.to_string(), value);
        let mut event = document(&text);
        for (path, new) in edits {
            let path: Vec<&str> = path.iter().map(String::as_str).collect();
            event.set(&path, &new.to_string());
            set(&mut value, &path, new);
        }
        prop_assert_eq!(event.text(), value.to_string());
        prop_assert!(same(event.root(), &value));
        prop_assert_eq!(event.root().to_value(), value);
    }
}

#[test]
fn elements_are_added_to_arrays_after_the_last_one() {
    let mut document = Document::parse(r#"{"a":[],"b":[1],"c":{}}"#).unwrap();
    for name in ["a", "b", "c"] {
        let at = document.get(&[name]).unwrap().position();
        document.push_to(at, "null");
        document.push_to(at, r#"{"x":[]}"#);
    }
    let nested = document.get(&["b", "2", "x"]).unwrap().position();
    document.push_to(nested, "2");
    assert_eq!(
        document.text(),
        r#"{"a":[null,{"x":[]}],"b":[1,null,{"x":[2]}],"c":{}}"#
    );
    assert_eq!(document.root().to_value().to_string(), document.text());
    assert_eq!(document.get(&["a"]).unwrap().len(), 2);
}

#[test]
fn members_and_elements_are_added_in_any_order() {
    let mut document = Document::parse(r#"{"l":[{},{"a":1},{}]}"#).unwrap();
    for name in ["n", "m"] {
        let items: Vec<_> = document
            .get(&["l"])
            .unwrap()
            .children()
            .map(|item| item.position())
            .collect();
        // The last one first.
        for item in items.into_iter().rev() {
            document.add_to(item, name, r#"{"x":[]}"#);
            let added = document
                .at(item)
                .member(name)
                .unwrap()
                .member("x")
                .unwrap()
                .position();
            document.push_to(added, "1");
        }
    }
    let root = document.root().position();
    document.add_to(root, "end", "null");
    let item = r#""n":{"x":[1]},"m":{"x":[1]}"#;
    assert_eq!(
        document.text(),
        format!(r#"{{"l":[{{{item}}},{{"a":1,{item}}},{{{item}}}],"end":null}}"#)
    );
}
