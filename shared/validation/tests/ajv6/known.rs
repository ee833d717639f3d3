//! The differences that may stay. One that is no longer there fails the test, so that this list and
//! `docs/compatibility.md` stay true.

use serde_json::{Value, json};

use crate::{Case, Judged, same};

/// A difference that may stay.
struct Known {
    name: &'static str,
    /// The reason why it may.
    why: &'static str,
    /// A schema and an event that show it.
    example: (&'static str, &'static str),
    explains: fn(&Pair) -> bool,
}

const KNOWN: &[Known] = &[
    Known {
        name: "errors for `if`, and for the items that `contains` looked at",
        why: "the same events are refused, and what is wrong with them is said",
        example: (
            r#"{"properties": {"a": {"contains": {"type": "string"}}}, "if": {}, "then": {"required": ["b"]}}"#,
            r#"{"a": [1]}"#,
        ),
        explains: |pair| pair.uses(&["if", "contains"]) && pair.has_ours_within(&pair.errors),
    },
    Known {
        name: "defaults that come late",
        why: "all defaults are there before anything is checked; AJV adds those of `allOf`, `$ref`, `then`, `dependencies` and \
              lists of `items` when it has checked other keywords without them",
        example: (
            r#"{"required": ["d"], "allOf": [{"properties": {"d": {"default": 1}}}]}"#,
            "{}",
        ),
        explains: |pair| pair.is_filled && pair.is_same_event && pair.has_ours_within(&pair.again),
    },
    Known {
        name: "defaults behind a `$ref` that is only tried",
        why: "AJV fills them where the target has a `$ref` itself, and leaves them out where it has none",
        example: (
            r##"{"definitions": {"b": {}, "a": {"properties": {"d": {"default": 1}, "x": {"$ref": "#/definitions/b"}}}}, "anyOf": [{"$ref": "#/definitions/a"}]}"##,
            "{}",
        ),
        explains: |pair| {
            !pair.is_same_event
                && pair.uses(&["anyOf", "oneOf", "not", "if", "contains"])
                && pair.uses(&["$ref"])
        },
    },
    Known {
        name: "edges of words beside letters that are not ASCII",
        why: "`\\b` and `\\B` run in linear time with all letters, and would not with ASCII's alone",
        example: (
            r#"{"properties": {"a": {"pattern": "\\bfoo"}}}"#,
            r#"{"a": "éfoo"}"#,
        ),
        explains: |pair| {
            pair.schema.to_string().contains(r"\\b") && !pair.event.is_ascii()
                || pair.schema.to_string().contains(r"\\B") && !pair.event.is_ascii()
        },
    },
    Known {
        name: "emoji and others beyond U+FFFF as two characters",
        why: "texts are characters, not UTF-16",
        example: (r#"{"properties": {"a": {"pattern": "^.$"}}}"#, r#"{"a": "😀"}"#),
        explains: |pair| pair.event.chars().any(|c| c > '\u{ffff}'),
    },
    Known {
        name: "a reference to a group that took no part, or comes later",
        why: "the engine for references takes it for no match",
        example: (
            r#"{"properties": {"a": {"pattern": "^(a)?\\1b$"}}}"#,
            r#"{"a": "b"}"#,
        ),
        explains: |pair| pair.schema.to_string().contains(r"?\\1"),
    },
    Known {
        name: "look-around that is repeated",
        why: "no engine has it; such a schema is refused when it is published, with the place of the pattern",
        example: (r#"{"properties": {"a": {"pattern": "(?=a)*b"}}}"#, "{}"),
        explains: |pair| pair.ours.starts_with("refused, at /properties/a/pattern"),
    },
    Known {
        name: "a `$ref` to a meta-schema",
        why: "a schema is a document of its own: what it refers to elsewhere is refused when it is published",
        example: (r#"{"$ref": "http://json-schema.org/draft-07/schema#"}"#, "{}"),
        explains: |pair| {
            pair.ours.starts_with("refused") && pair.schema.to_string().contains("json-schema.org/draft-0")
        },
    },
    Known {
        name: "`uniqueItems` of items that have the wrong type",
        why: "AJV does not compare them where `items` has a scalar type; the event is refused for the type",
        example: (
            r#"{"properties": {"a": {"items": {"type": "string"}, "uniqueItems": true}}}"#,
            r#"{"a": [1, 1]}"#,
        ),
        explains: |pair| {
            let unique = |(keyword, _): &&(String, String)| keyword == "uniqueItems";
            let ours = pair.our_errors.iter().filter(unique).count();
            ours > pair.errors.iter().filter(unique).count() && !pair.errors.is_empty()
        },
    },
    Known {
        name: "formats of draft 7 that AJV 6 does not know (`iri`, `iri-reference`)",
        why: "they are checked; AJV refuses such a schema",
        example: (r#"{"properties": {"a": {"format": "iri"}}}"#, "{}"),
        explains: |pair| pair.theirs.contains("unknown format \\\"iri"),
    },
    Known {
        name: "one error more for a member that must be there and must not",
        why: "nothing can fit such a schema",
        example: (r#"{"properties": {"a": false}, "required": ["a"]}"#, "{}"),
        explains: |pair| pair.has_ours_within(&pair.errors) && pair.schema.to_string().contains(":false"),
    },
];

pub(crate) fn examples() -> impl Iterator<Item = Case> {
    KNOWN.iter().map(|known| Case {
        schema: serde_json::from_str(known.example.0).unwrap(),
        events: vec![known.example.1.to_owned()],
    })
}

/// A schema and an event of which the two do not say the same.
pub(crate) struct Pair<'p> {
    schema: &'p Value,
    event: &'p str,
    ours: String,
    theirs: String,
    /// True if AJV has added defaults.
    is_filled: bool,
    is_same_event: bool,
    our_errors: Vec<(String, String)>,
    errors: Vec<(String, String)>,
    /// AJV's errors when it gets the event with its defaults.
    again: Vec<(String, String)>,
}

impl<'p> Pair<'p> {
    pub(crate) fn of_schema(case: &'p Case, ours: String, theirs: String) -> Self {
        Self {
            schema: &case.schema,
            event: "",
            ours,
            theirs,
            is_filled: false,
            is_same_event: true,
            our_errors: Vec::new(),
            errors: Vec::new(),
            again: Vec::new(),
        }
    }

    fn uses(&self, keywords: &[&str]) -> bool {
        let schema = self.schema.to_string();
        keywords
            .iter()
            .any(|keyword| schema.contains(&format!("\"{keyword}\":")))
    }

    /// True if our errors are these, but for some that we do not say; the event is refused by both or by none.
    fn has_ours_within(&self, errors: &[(String, String)]) -> bool {
        let mut rest = errors.iter();
        let is_within = self
            .our_errors
            .iter()
            .all(|ours| rest.any(|theirs| theirs == ours));
        let others = |(keyword, _): &&(String, String)| keyword != "if";
        let is_whole = self.uses(&["contains"])
            || self.schema.to_string().contains(":false")
            || errors.iter().filter(others).count() == self.our_errors.len();
        self.is_same_event && is_within && is_whole && self.our_errors.is_empty() == errors.is_empty()
    }
}

#[derive(Default)]
pub(crate) struct Differences {
    explained: [usize; KNOWN.len()],
    others: Vec<String>,
}

impl Differences {
    pub(crate) fn compare(&mut self, case: &Case, event: &str, ours: &Judged, theirs: &Value) {
        let short = |error: &Value| {
            let text = |name: &str| error[name].as_str().unwrap().to_owned();
            (text("keyword"), text("dataPath"))
        };
        let list = |name: &str| -> Vec<_> { theirs[name].as_array().unwrap().iter().map(short).collect() };
        let pair = Pair {
            schema: &case.schema,
            event,
            ours: format!("{} {}", json!(ours.errors), ours.event),
            theirs: format!("{} {}", theirs["errors"], theirs["event"]),
            is_filled: !same(&serde_json::from_str(event).unwrap(), &theirs["event"]),
            is_same_event: same(&ours.event, &theirs["event"]),
            our_errors: ours
                .errors
                .iter()
                .map(|error| (error.keyword.clone(), error.data_path.clone()))
                .collect(),
            errors: list("errors"),
            again: list("again"),
        };
        if !pair.is_same_event || pair.our_errors != pair.errors {
            self.note(&pair);
        }
    }

    pub(crate) fn note(&mut self, pair: &Pair<'_>) {
        match KNOWN.iter().position(|known| (known.explains)(pair)) {
            Some(known) => self.explained[known] += 1,
            None => self.others.push(format!(
                "schema {}\nevent  {}\nours   {}\nAJV's  {}\n",
                pair.schema, pair.event, pair.ours, pair.theirs
            )),
        }
    }

    /// Says which differences there are.
    ///
    /// # Panics
    /// For one that is not known, and for a known one that is not there.
    pub(crate) fn report(&self) {
        for (known, pairs) in KNOWN.iter().zip(self.explained) {
            println!("{pairs:5} pairs differ: {}: {}", known.name, known.why);
            assert!(
                pairs > 0,
                "no longer a difference, take it out of the list: {}",
                known.name
            );
        }
        let shown: Vec<&str> = self.others.iter().take(3).map(String::as_str).collect();
        assert!(
            self.others.is_empty(),
            "{} pairs differ for no known reason, such as\n\n{}",
            self.others.len(),
            shown.join("\n")
        );
    }
}
