//! Pairs of a schema and an event that are slow to judge or to explain: keywords and sizes put together at random, from a seed.
//! The tests count what they take, and `cargo xtask bench validation` measures it.

use serde_json::{Map, Value, json};

/// Largest event, in bytes.
const EVENT_BYTES: usize = 1024 * 1024;

/// The registry's limit on a schema, in bytes, is more.
const MAX_SCHEMA_BYTES: usize = 1_000_000;

/// A schema, and an event that has what it is for as its member `v`.
pub(crate) struct Pair {
    pub(crate) schema: Value,
    pub(crate) event: Value,
}

/// The kinds of schema that a pair may have.
pub(crate) const SCHEMAS: [&str; 25] = [
    "type",
    "uniqueItems",
    "enum of numbers",
    "enum of texts",
    "enum of arrays",
    "const",
    "contains",
    "patternProperties",
    "additionalProperties",
    "propertyNames",
    "oneOf",
    "anyOf",
    "allOf",
    "not",
    "if",
    "dependencies",
    "required",
    "properties",
    "tree",
    "pattern",
    "look-around",
    "format",
    "multipleOf",
    "unevaluatedItems",
    "unevaluatedProperties",
];

/// The kinds of value that a pair's event may have.
pub(crate) const VALUES: [&str; 16] = [
    "zeros",
    "numbers",
    "two equal numbers",
    "numbers past 2^53",
    "texts",
    "alike texts",
    "doubtful texts",
    "long text",
    "empty arrays",
    "trees",
    "objects",
    "members",
    "long name",
    "deep",
    "alike arrays",
    "mixed",
];

/// Numbers without order, the same for the same seed (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// One of `0..bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let number = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(number).unwrap_or_default() % bound
    }

    fn one_of<'a>(&mut self, kinds: &[&'a str]) -> &'a str {
        kinds[self.below(kinds.len())]
    }
}

impl Pair {
    /// Each schema with each value, for the value itself and for its items.
    #[allow(dead_code, reason = "there are too many to test; the bench measures them")]
    pub(crate) fn each() -> impl Iterator<Item = (String, Self)> {
        SCHEMAS.iter().flat_map(|of| {
            VALUES.iter().flat_map(move |kind| {
                let size = 100;
                let schema = schema(of, size, &json!({"type": "string"}));
                let items = json!({"items": schema, "additionalProperties": schema});
                [
                    (format!("{of} × {size}, {kind}"), Self::new(schema, value(kind))),
                    (
                        format!("items: {of} × {size}, {kind}"),
                        Self::new(items, value(kind)),
                    ),
                ]
            })
        })
    }

    /// Any pair: up to three schemas within each other, and any value.
    pub(crate) fn random(seed: u64) -> (String, Self) {
        let mut random = Random::new(seed);
        let mut names = Vec::new();
        let mut inner = json!({"type": "string"});
        for _ in 0..=random.below(3) {
            let kind = random.one_of(&SCHEMAS);
            let most = MAX_SCHEMA_BYTES / inner.to_string().len();
            let size = [1, 3, 20, 300, 3000][random.below(5)].min(most / 2 + 1);
            inner = schema(kind, size, &inner);
            if random.below(3) == 0 {
                let around = ["items", "additionalProperties", "contains", "propertyNames"][random.below(4)];
                inner = json!({around: inner});
                names.push(format!("{around}: {kind} × {size}"));
            } else {
                names.push(format!("{kind} × {size}"));
            }
        }
        names.reverse();
        let kind = random.one_of(&VALUES);
        names.push(kind.to_owned());
        (names.join(", "), Self::new(inner, value(kind)))
    }

    /// The pair of a schema for `v` and a value.
    pub(crate) fn new(of_value: Value, value: Value) -> Self {
        let draft = if of_value.to_string().contains("unevaluated") {
            "https://json-schema.org/draft/2019-09/schema"
        } else {
            "http://json-schema.org/draft-07/schema#"
        };
        Self {
            schema: json!({"$schema": draft, "type": "object", "properties": {"v": of_value}}),
            event: json!({"v": value}),
        }
    }
}

/// A schema of a kind, with `size` branches or names, around another one.
pub(crate) fn schema(kind: &str, size: usize, inner: &Value) -> Value {
    let named = |each: &dyn Fn(usize) -> Value| -> Value {
        let members: Map<String, Value> = (0..size).map(|n| (format!("m{n}"), each(n))).collect();
        Value::Object(members)
    };
    let list = |each: &dyn Fn(usize) -> Value| -> Value { (0..size).map(each).collect() };
    match kind {
        "type" => json!({"type": ["string", "boolean"]}),
        "uniqueItems" => json!({"uniqueItems": true, "maxItems": 1_000_000}),
        "enum of numbers" => json!({"enum": list(&|n| json!(n as f64 + 0.5))}),
        "enum of texts" => json!({"enum": list(&|n| json!(format!("{:0>90}", n)))}),
        "enum of arrays" => json!({"enum": list(&|n| json!([0, 0, 0, 0, 0, 0, 0, [n]]))}),
        "const" => json!({"const": list(&|_| json!(0))}),
        "contains" => json!({"contains": inner}),
        "patternProperties" => {
            let patterns = (0..size).map(|n| (format!("^(m|n).*{n}$"), inner.clone()));
            json!({"patternProperties": Value::Object(patterns.collect()), "propertyNames": {"maxLength": 2_000_000}})
        }
        "additionalProperties" => {
            json!({"additionalProperties": false, "properties": named(&|_| inner.clone())})
        }
        "propertyNames" => {
            json!({"propertyNames": {"maxLength": 1, "enum": list(&|n| json!(format!("m{n}")))}})
        }
        "oneOf" => json!({"oneOf": list(&|n| json!({"allOf": [inner, {"minLength": n}]}))}),
        "anyOf" => {
            json!({"anyOf": list(&|n| json!({"items": inner, "maxItems": n + 1_000_000, "minLength": n}))})
        }
        "allOf" => json!({"allOf": list(&|n| json!({"items": inner, "minItems": n}))}),
        "not" => json!({"not": {"anyOf": list(&|_| inner.clone())}}),
        "if" => {
            json!({"if": inner, "then": {"items": inner}, "else": {"items": inner, "minProperties": size}})
        }
        "dependencies" => json!({"dependencies": named(&|n| json!([format!("m{}", n + 1), "none"]))}),
        "required" => json!({"required": list(&|n| json!(format!("r{n}")))}),
        "properties" => json!({"properties": named(&|_| inner.clone()), "additionalProperties": inner}),
        // Two branches that lead on: twice the work for each level.
        "tree" => json!({"anyOf": [
            {"type": "array", "items": {"$ref": "#/properties/v"}, "minItems": size},
            {"items": {"$ref": "#/properties/v"}, "required": ["none"]},
            inner,
        ]}),
        // A deterministic automaton of it has 2^15 states.
        "pattern" => json!({"pattern": "^(.*1.{15}|.*m.{14})x$", "maxLength": 2_000_000}),
        "look-around" => json!({"pattern": "^(?!x)([01m]+)+y$", "maxLength": 2_000_000}),
        "format" => json!({"format": "email", "maxLength": 2_000_000}),
        "multipleOf" => json!({"multipleOf": 0.01}),
        "unevaluatedItems" => {
            json!({"allOf": list(&|_| json!({"items": [inner]})), "unevaluatedItems": false})
        }
        _ => json!({
            "anyOf": list(&|n| json!({"properties": {format!("m{n}"): inner}})),
            "unevaluatedProperties": false,
        }),
    }
}

/// A value of a kind, of a megabyte.
pub(crate) fn value(kind: &str) -> Value {
    let list = |bytes: usize, each: &dyn Fn(usize) -> Value| -> Value {
        (0..EVENT_BYTES / bytes).map(each).collect()
    };
    match kind {
        "zeros" => list(2, &|_| json!(0)),
        "numbers" => list(7, &|n| json!(n)),
        "two equal numbers" => list(7, &|n| json!(n.saturating_sub(1))),
        "numbers past 2^53" => list(21, &|n| json!(u64::MAX - n as u64)),
        "texts" => list(9, &|n| json!(format!("m{n:05}"))),
        "alike texts" => list(93, &|n| json!(format!("{n:0>90}"))),
        "doubtful texts" => list(23, &|_| json!("01m01m01m01m01m01m01")),
        "long text" => json!("01m".repeat(EVENT_BYTES / 3 - 10)),
        "empty arrays" => list(3, &|_| json!([])),
        // All different, each of a few brackets.
        "trees" => list(40, &|n| {
            (0..16).fold(json!([]), |tree, bit| {
                if n >> bit & 1 == 1 {
                    json!([tree, []])
                } else {
                    json!([tree])
                }
            })
        }),
        "objects" => list(16, &|n| json!({"m1": n})),
        "members" => {
            let members = (0..EVENT_BYTES / 12).map(|n| (format!("m{n}"), json!(0)));
            Value::Object(members.collect())
        }
        "long name" => json!({"m".repeat(EVENT_BYTES - 10_000): vec![0; 4000]}),
        "deep" => {
            let leaf = list(3, &|_| json!(0));
            (0..50).fold(leaf, |value, _| json!([value]))
        }
        "alike arrays" => list(4016, &|n| {
            let mut alike = vec![0; 2000];
            alike.push(n);
            json!(alike)
        }),
        _ => list(40, &|n| json!({"m1": [n, "m", {"m2": null}], "n": 0.5})),
    }
}
