//! Schemas with the keywords that real schemas use, and events that mostly fit them, from a seed.

use serde_json::{Map, Value, json};

/// Names of members: plain ones, such that AJV writes in brackets, and such that JavaScript or a path could take for something else.
const NAMES: &[&str] = &["a", "b", "c", "meta", "x-y", "$d", "0", "it's", "id"];

/// Patterns, from those of real schemas to the corners of JavaScript's syntax.
const PATTERNS: &[&str] = &[
    "^[a-z]+$",
    "^(a|b|c)$",
    r"^\d{2}$",
    r"^\D+$",
    r"\s",
    r"^\S*$",
    r"^\w+$",
    r"\bfoo\b",
    "^.$",
    "^a{1,3}$",
    "a{,3}",
    "]",
    "^[^]$",
    "[]",
    r"\k<y>",
    r"^\/[a-z]+\/\d+\.\d+\.\d+$",
    r"^\-\_$",
    r"[\d\-x]",
    "^(?=.*a)b",
    "^(?!foo)",
    "(?<=a)b",
    r"^(a)\1$",
    r"^[\w.-]+@[\w.-]+$",
    "x{2}",
    "{",
    "a{1",
    "^é$",
    r"é",
    r"^\x41",
    r"\cA",
    r"^[^\W]$",
    "^$",
    "a||b",
    "[&&]",
    "[a-z&&[^b]]",
    r"\0",
    r"\8",
    "(?:a)",
    "(?<n>a)b",
    r"\p{L}",
    r"^\B",
    r"[\b]",
    r"[^\d]",
    "[--/]",
    "[]a]",
    "~~",
    r"\_",
    r"\#",
    " #",
    r"^\S+$",
];

const TEXTS: &[&str] = &[
    "",
    "a",
    "b",
    "foo",
    "foo bar",
    "12",
    "1",
    "aaa",
    "aa",
    "aba",
    "é",
    "\u{feff}",
    "\u{85}",
    "\u{2028}",
    "٣",
    "A",
    "a]",
    "-_",
    "/ab/1.2.3",
    "k<y>",
    "p{L}",
    "a{,3}",
    "{",
    "xx",
    "a{1",
    "ab",
    "ba",
    "a@b.c",
    "\u{1}",
    "\u{0}",
    "8",
    "&",
    " #",
    "#",
    "\n",
    "ſ",
    "\u{212a}",
    "2020-07-01T00:00:00Z",
    "2020-07-01",
    "https://example.org/x",
    "http://localhost",
    "ftp://10.0.0.1/a",
    "urn:uuid:5e1dd101-641c-11e8-ab6c-b083fecf1280",
    "::1",
    "1.2.3.4",
    "a.b",
    "{\"a\":1}",
    "YWJj",
];

const FORMATS: &[&str] = &[
    "date-time",
    "date",
    "time",
    "uri",
    "uri-reference",
    "uri-template",
    "url",
    "email",
    "hostname",
    "ipv4",
    "ipv6",
    "regex",
    "uuid",
    "json-pointer",
    "relative-json-pointer",
];

/// Numbers as texts: JSON has several for one.
const NUMBERS: &[&str] = &[
    "0",
    "-0",
    "1",
    "2",
    "3",
    "-1",
    "1.0",
    "1.5",
    "1e3",
    "1000",
    "0.1",
    "2.0",
    "1e-2",
    "10",
    "12345678901234567890",
];

const TYPES: &[&str] = &[
    "string", "number", "integer", "boolean", "null", "array", "object",
];

/// The SplitMix64 generator: the same seed gives the same pairs everywhere.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap()
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// A schema of draft 4, 6 or 7, whose root is an object.
pub(crate) fn schema(random: &mut Random) -> Value {
    let draft = *random.pick(&["04", "06", "07", "07", ""]);
    let mut made = Making {
        random,
        draft4: draft == "04",
    };
    let mut root = made.object(3);
    if made.random.one_in(4) {
        let definitions = json!({"d": made.any(2), "e": made.any(1)});
        root.insert("definitions".to_owned(), definitions);
        let target = made.reference();
        let name = (*made.random.pick(NAMES)).to_owned();
        members(&mut root).insert(name, target);
    }
    let id = if made.draft4 { "id" } else { "$id" };
    root.insert(id.to_owned(), json!("/t/x/1.0.0"));
    if !draft.is_empty() {
        root.insert(
            "$schema".to_owned(),
            json!(format!("http://json-schema.org/draft-{draft}/schema#")),
        );
    }
    Value::Object(root)
}

fn members(schema: &mut Map<String, Value>) -> &mut Map<String, Value> {
    schema
        .entry("properties")
        .or_insert_with(|| json!({}))
        .as_object_mut()
        .unwrap()
}

struct Making<'r> {
    random: &'r mut Random,
    draft4: bool,
}

impl Making<'_> {
    fn reference(&mut self) -> Value {
        let target = *self.random.pick(&[
            "#/definitions/d",
            "#/definitions/e",
            "/t/x/1.0.0#/definitions/d",
            "1.0.0#/definitions/e",
            "../x/1.0.0#/definitions/e",
        ]);
        json!({"$ref": target})
    }

    fn any(&mut self, depth: usize) -> Value {
        if !self.draft4 && self.random.one_in(25) {
            return json!(self.random.one_in(2));
        }
        let mut schema = match self.random.below(if depth == 0 { 5 } else { 8 }) {
            0 | 1 => self.string(),
            2 => self.number(),
            3 => self.scalar(),
            4 => self.choice(),
            5 => self.array(depth - 1),
            _ => self.object(depth - 1),
        };
        if self.random.one_in(3) {
            // Most defaults fit.
            let shape = Value::Object(schema.clone());
            let default = serde_json::from_str(&value(self.random, &shape, 2)).unwrap();
            schema.insert("default".to_owned(), default);
        }
        if self.random.one_in(8) {
            schema.insert("title".to_owned(), json!("t"));
            schema.insert("examples".to_owned(), json!([1]));
        }
        if depth > 0 && self.random.one_in(5) {
            self.combine(&mut schema, depth - 1);
        }
        Value::Object(schema)
    }

    fn combine(&mut self, schema: &mut Map<String, Value>, depth: usize) {
        match self.random.below(8) {
            0 | 1 => {
                let all = vec![self.any(depth), self.any(depth)];
                schema.insert("allOf".to_owned(), json!(all));
            }
            2 => {
                let any = vec![self.any(depth), self.any(depth)];
                schema.insert("anyOf".to_owned(), json!(any));
            }
            3 => {
                let one = vec![self.any(depth), self.any(depth)];
                schema.insert("oneOf".to_owned(), json!(one));
            }
            4 => {
                schema.insert("not".to_owned(), self.any(depth));
            }
            5 | 6 => {
                schema.insert("if".to_owned(), self.any(depth));
                schema.insert("then".to_owned(), self.any(depth));
                if self.random.one_in(2) {
                    schema.insert("else".to_owned(), self.any(depth));
                }
            }
            _ => {
                let mut types = vec![*self.random.pick(TYPES)];
                let more = *self.random.pick(TYPES);
                if !types.contains(&more) {
                    types.push(more);
                }
                schema.insert("type".to_owned(), json!(types));
            }
        }
    }

    fn string(&mut self) -> Map<String, Value> {
        let mut schema = Map::new();
        if !self.random.one_in(4) {
            schema.insert("type".to_owned(), json!("string"));
        }
        if self.random.one_in(3) {
            schema.insert("pattern".to_owned(), json!(self.random.pick(PATTERNS)));
        }
        if self.random.one_in(4) {
            schema.insert("format".to_owned(), json!(self.random.pick(FORMATS)));
        }
        if self.random.one_in(4) {
            schema.insert("minLength".to_owned(), json!(self.random.below(3)));
        }
        if self.random.one_in(4) {
            schema.insert("maxLength".to_owned(), json!(self.random.below(6)));
        }
        if self.random.one_in(12) {
            schema.insert("contentMediaType".to_owned(), json!("application/json"));
        }
        if self.random.one_in(12) {
            schema.insert("contentEncoding".to_owned(), json!("base64"));
        }
        schema
    }

    fn number(&mut self) -> Map<String, Value> {
        let mut schema = Map::new();
        if !self.random.one_in(4) {
            let kind = *self.random.pick(&["number", "integer"]);
            schema.insert("type".to_owned(), json!(kind));
        }
        for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
            let limit = *self.random.pick(&[0.0, 1.0, 2.0, 2.5, 1000.0]);
            let limit = if limit == 2.5 {
                json!(limit)
            } else {
                json!(limit as i64)
            };
            match self.random.below(6) {
                0 => {
                    schema.insert(bound.to_owned(), limit);
                }
                1 if self.draft4 => {
                    schema.insert(bound.to_owned(), limit);
                    schema.insert(exclusive.to_owned(), json!(self.random.one_in(2)));
                }
                1 => {
                    schema.insert(exclusive.to_owned(), limit);
                }
                _ => {}
            }
        }
        if self.random.one_in(6) {
            let of = self.random.pick(&[json!(2), json!(0.5), json!(3)]).clone();
            schema.insert("multipleOf".to_owned(), of);
        }
        schema
    }

    fn scalar(&mut self) -> Map<String, Value> {
        let mut schema = Map::new();
        schema.insert("type".to_owned(), json!(self.random.pick(TYPES)));
        schema
    }

    fn choice(&mut self) -> Map<String, Value> {
        let mut schema = Map::new();
        if !self.draft4 && self.random.one_in(2) {
            schema.insert("const".to_owned(), self.value(1));
        } else {
            let mut options: Vec<Value> = Vec::new();
            for _ in 0..3 {
                let value = self.value(1);
                if !options.iter().any(|option| crate::same(option, &value)) {
                    options.push(value);
                }
            }
            schema.insert("enum".to_owned(), json!(options));
        }
        schema
    }

    fn array(&mut self, depth: usize) -> Map<String, Value> {
        let mut schema = Map::new();
        if !self.random.one_in(4) {
            schema.insert("type".to_owned(), json!("array"));
        }
        match self.random.below(4) {
            0 => {}
            1 => {
                let items = vec![self.any(depth), self.any(depth)];
                schema.insert("items".to_owned(), json!(items));
                match self.random.below(3) {
                    0 => {
                        schema.insert("additionalItems".to_owned(), json!(false));
                    }
                    1 => {
                        schema.insert("additionalItems".to_owned(), self.any(depth));
                    }
                    _ => {}
                }
            }
            _ => {
                schema.insert("items".to_owned(), self.any(depth));
            }
        }
        if self.random.one_in(5) {
            schema.insert("uniqueItems".to_owned(), json!(true));
        }
        if self.random.one_in(6) {
            schema.insert("minItems".to_owned(), json!(self.random.below(3)));
        }
        if self.random.one_in(6) {
            schema.insert("maxItems".to_owned(), json!(self.random.below(4)));
        }
        if self.random.one_in(10) {
            schema.insert("contains".to_owned(), self.any(depth));
        }
        schema
    }

    fn object(&mut self, depth: usize) -> Map<String, Value> {
        let mut schema = Map::new();
        if !self.random.one_in(4) {
            schema.insert("type".to_owned(), json!("object"));
        }
        let mut names: Vec<&str> = Vec::new();
        for _ in 0..self.random.below(5) {
            let name = *self.random.pick(NAMES);
            if !names.contains(&name) {
                names.push(name);
                let member = self.any(depth);
                members(&mut schema).insert(name.to_owned(), member);
            }
        }
        if self.random.one_in(3) {
            // A member that must be there and must not is nothing that a real schema has.
            let may_be = |name: &&str| {
                schema.get("properties").and_then(|members| members.get(*name)) != Some(&json!(false))
            };
            let mut required: Vec<&str> = names.iter().copied().filter(may_be).take(2).collect();
            if self.random.one_in(4) || required.is_empty() {
                let name = *self.random.pick(NAMES);
                if !required.contains(&name) && may_be(&name) {
                    required.push(name);
                }
            }
            schema.insert("required".to_owned(), json!(required));
        }
        match self.random.below(5) {
            0 => {
                schema.insert("additionalProperties".to_owned(), json!(false));
            }
            1 => {
                schema.insert("additionalProperties".to_owned(), self.any(depth));
            }
            _ => {}
        }
        if self.random.one_in(6) {
            let pattern = *self.random.pick(&["^[a-c]$", "-", r"^\w$", "^[^]$", ".", "]"]);
            let member = self.any(depth);
            schema.insert("patternProperties".to_owned(), json!({pattern: member}));
        }
        if self.random.one_in(8) {
            let (name, other) = (*self.random.pick(NAMES), *self.random.pick(NAMES));
            let rule = if self.random.one_in(2) {
                json!([other])
            } else {
                self.any(depth)
            };
            let rule = if self.draft4 && rule.is_boolean() {
                json!({})
            } else {
                rule
            };
            schema.insert("dependencies".to_owned(), json!({name: rule}));
        }
        if !self.draft4 && self.random.one_in(12) {
            schema.insert("propertyNames".to_owned(), Value::Object(self.string()));
        }
        if self.random.one_in(8) {
            schema.insert("maxProperties".to_owned(), json!(self.random.below(4)));
        }
        if self.random.one_in(8) {
            schema.insert("minProperties".to_owned(), json!(self.random.below(3)));
        }
        if depth > 0 && self.random.one_in(4) {
            self.combine(&mut schema, depth - 1);
        }
        schema
    }

    fn value(&mut self, depth: usize) -> Value {
        serde_json::from_str(&text(self.random, depth)).unwrap()
    }
}

/// The JSON text of an event for a schema: most of it fits.
pub(crate) fn event(random: &mut Random, schema: &Value) -> String {
    object(random, schema, 3)
}

fn text(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 5 } else { 7 }) {
        0 => "null".to_owned(),
        1 => random.one_in(2).to_string(),
        2 => (*random.pick(NUMBERS)).to_owned(),
        3 | 4 => json!(random.pick(TEXTS)).to_string(),
        5 => array(random, &Value::Null, depth - 1),
        _ => object(random, &Value::Null, depth - 1),
    }
}

fn value(random: &mut Random, schema: &Value, depth: usize) -> String {
    if random.one_in(8) || depth == 0 {
        return text(random, depth.min(1));
    }
    if let Some(value) = schema.get("const") {
        return value.to_string();
    }
    if let Some(Value::Array(options)) = schema.get("enum") {
        return random.pick(options).to_string();
    }
    if let Some(Value::Array(branches)) = schema
        .get("anyOf")
        .or(schema.get("oneOf"))
        .or(schema.get("allOf"))
        && random.one_in(2)
    {
        let branch = random.pick(branches).clone();
        return value(random, &branch, depth - 1);
    }
    match schema.get("type").and_then(Value::as_str) {
        Some("string") => json!(random.pick(TEXTS)).to_string(),
        Some("number" | "integer") => (*random.pick(NUMBERS)).to_owned(),
        Some("boolean") => random.one_in(2).to_string(),
        Some("null") => "null".to_owned(),
        Some("array") => array(random, schema, depth - 1),
        Some("object") => object(random, schema, depth - 1),
        _ if schema.get("properties").is_some() => object(random, schema, depth - 1),
        _ if schema.get("items").is_some() => array(random, schema, depth - 1),
        _ => text(random, depth - 1),
    }
}

fn array(random: &mut Random, schema: &Value, depth: usize) -> String {
    let items: Vec<String> = (0..random.below(4))
        .map(|place| {
            let item = match schema.get("items") {
                Some(Value::Array(items)) => items.get(place).or(schema.get("additionalItems")),
                items => items,
            };
            value(random, item.unwrap_or(&Value::Null), depth)
        })
        .collect();
    format!("[{}]", items.join(","))
}

fn object(random: &mut Random, schema: &Value, depth: usize) -> String {
    let declared = schema.get("properties").and_then(Value::as_object);
    let mut names: Vec<&str> = Vec::new();
    for name in declared.into_iter().flat_map(Map::keys) {
        if !random.one_in(3) {
            names.push(name);
        }
    }
    for _ in 0..random.below(3) {
        let name = *random.pick(NAMES);
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let members: Vec<String> = names
        .into_iter()
        .map(|name| {
            let member = declared
                .and_then(|declared| declared.get(name))
                .or(schema.get("additionalProperties"));
            format!(
                "{}:{}",
                json!(name),
                value(random, member.unwrap_or(&Value::Null), depth)
            )
        })
        .collect();
    format!("{{{}}}", members.join(","))
}
