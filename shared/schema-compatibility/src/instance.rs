//! Makes values that a schema accepts, or just does not.

use serde_json::{Map, Value, json};

use crate::schema::{
    ARRAY, BOOLEAN, FRACTION, INTEGER, NULL, OBJECT, STRING, declared_types, property, resolve, strings,
    values,
};

/// Deeper values are not made: a required member may be of its own schema.
const MAX_DEPTH: usize = 16;

/// Longer strings and arrays are not made: nobody would read them.
const MAX_LENGTH: f64 = 20_000.0;

/// A string of each format.
const FORMATS: [(&str, &str); 13] = [
    ("date-time", "2020-01-01T00:00:00Z"),
    ("date", "2020-01-01"),
    ("time", "00:00:00Z"),
    ("uri", "https://example.org/"),
    ("uri-reference", "/x"),
    ("url", "https://example.org/"),
    ("email", "a@example.org"),
    ("hostname", "example.org"),
    ("ipv4", "192.0.2.1"),
    ("ipv6", "2001:db8::1"),
    ("uuid", "00000000-0000-4000-8000-000000000000"),
    ("json-pointer", "/x"),
    ("regex", "x"),
];

/// Values of every kind, most of them odd.
pub(crate) fn probes() -> Vec<Value> {
    let strings = [
        "not declared",
        "x",
        "",
        "0",
        "X",
        "/",
        "\\",
        "é",
        "2020-01-01",
        "https://example.org/",
    ];
    let mut probes: Vec<Value> = strings.iter().map(|text| json!(text)).collect();
    probes.extend([
        json!(0),
        json!(0.5),
        json!(true),
        json!(null),
        json!([]),
        json!({}),
    ]);
    probes
}

/// Values for a place: those the schema names, and one of each type it has.
pub(crate) fn samples(schema: &Value, root: &Value) -> Vec<Value> {
    let schema = resolve(schema, root);
    let Some(keywords) = schema.as_object() else {
        return probes();
    };
    let mut found: Vec<Value> = values(keywords).into_iter().flatten().cloned().collect();
    let types = declared_types(keywords);
    for one in [STRING, INTEGER, FRACTION, BOOLEAN, OBJECT, ARRAY, NULL] {
        if types & one != 0 {
            found.push(of_type(one, keywords, root, 0));
        }
    }
    found
}

/// A small value that a schema accepts, as far as it can be told without a search.
pub(crate) fn minimal(schema: &Value, root: &Value) -> Value {
    minimal_at(schema, root, 0)
}

fn minimal_at(schema: &Value, root: &Value, depth: usize) -> Value {
    let Some(keywords) = resolve(schema, root).as_object() else {
        return json!("x");
    };
    if let Some(first) = values(keywords).and_then(|values| values.first().copied().cloned()) {
        return first;
    }
    let typed = keywords.contains_key("type");
    for keyword in ["anyOf", "oneOf"] {
        let first = keywords
            .get(keyword)
            .and_then(Value::as_array)
            .and_then(|all| all.first());
        if let (Some(first), false) = (first, typed) {
            return minimal_at(first, root, depth + 1);
        }
    }
    let types = declared_types(keywords);
    let order = if keywords.contains_key("properties") {
        [OBJECT, STRING, INTEGER, FRACTION, BOOLEAN, ARRAY, NULL]
    } else {
        [STRING, INTEGER, FRACTION, BOOLEAN, OBJECT, ARRAY, NULL]
    };
    order
        .into_iter()
        .find(|one| types & one != 0)
        .map_or(Value::Null, |one| of_type(one, keywords, root, depth))
}

fn of_type(one: u8, schema: &Map<String, Value>, root: &Value, depth: usize) -> Value {
    let number = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    match one {
        STRING => {
            let format = schema.get("format").and_then(Value::as_str);
            let known = FORMATS.iter().find(|(name, _)| Some(*name) == format);
            let text = known.map_or("x", |(_, text)| text);
            json!(stretched(text, number("minLength").unwrap_or_default()))
        }
        INTEGER | FRACTION => {
            let (low, high) = (number("minimum"), number("maximum"));
            let (above, below) = (number("exclusiveMinimum"), number("exclusiveMaximum"));
            let half = if one == INTEGER { 1.0 } else { 0.5 };
            let mut value = if one == INTEGER { 0.0 } else { 0.5 };
            if low.is_some_and(|low| value < low) || above.is_some_and(|above| value <= above) {
                value = low
                    .unwrap_or(f64::NEG_INFINITY)
                    .max(above.map_or(f64::NEG_INFINITY, |above| above + half));
            }
            if high.is_some_and(|high| value > high) || below.is_some_and(|below| value >= below) {
                value = high
                    .unwrap_or(f64::INFINITY)
                    .min(below.map_or(f64::INFINITY, |below| below - half));
            }
            number_value(value)
        }
        BOOLEAN => json!(true),
        OBJECT => object(schema, root, depth),
        ARRAY => {
            // Arrays in arrays in arrays of many items are not made: their sizes multiply.
            let most = if depth < 2 { 100.0 } else { 1.0 };
            let wanted = number("minItems").unwrap_or(1.0).clamp(1.0, most);
            match schema.get("items") {
                _ if depth >= MAX_DEPTH => json!([]),
                Some(Value::Array(_)) => json!([]),
                items => {
                    let item = items.map_or(json!("x"), |items| minimal_at(items, root, depth + 1));
                    Value::Array(repeated(&item, wanted))
                }
            }
        }
        _ => Value::Null,
    }
}

fn object(schema: &Map<String, Value>, root: &Value, depth: usize) -> Value {
    let mut members = Map::new();
    if depth < MAX_DEPTH {
        for name in strings(schema, "required") {
            let of = property(schema, name).or_else(|| schema.get("additionalProperties"));
            let value = of.map_or(json!("x"), |of| minimal_at(of, root, depth + 1));
            members.insert(name.to_owned(), value);
        }
    }
    Value::Object(members)
}

/// Values past a bound of the refusing schema.
pub(crate) fn beyond(
    keyword: &str,
    limit: f64,
    accepting: &Map<String, Value>,
    refusing: &Map<String, Value>,
    root: &Value,
) -> Vec<Value> {
    // The sign is lost in a distance from zero: the keyword's own value counts.
    let bound = refusing.get(keyword).and_then(Value::as_f64).unwrap_or(limit);
    let base = |one| of_type(one, accepting, root, 0);
    if let Some(values) = values(accepting) {
        return values.into_iter().cloned().collect();
    }
    match keyword {
        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum" => {
            let sign = if keyword.ends_with("aximum") { 1.0 } else { -1.0 };
            let mut numbers = vec![
                number_value(bound),
                number_value(bound + sign),
                number_value(bound + sign * 0.5),
            ];
            // Beyond 2^53 a step of one is lost.
            numbers.push(number_value(bound + sign * bound.abs() * 1e-9));
            numbers.extend(
                ["minimum", "maximum"]
                    .iter()
                    .filter_map(|own| accepting.get(*own).cloned()),
            );
            numbers.push(base(INTEGER));
            numbers
        }
        "maxLength" if bound < MAX_LENGTH => match base(STRING) {
            Value::String(text) => longer(&text, bound + 1.0),
            other => vec![other],
        },
        "minLength" => {
            let kept: String = "x".repeat(below(bound));
            vec![json!(""), json!(kept), base(STRING)]
        }
        "maxItems" if bound < MAX_LENGTH => vec![items(accepting, root, bound + 1.0)],
        "minItems" => vec![json!([]), items(accepting, root, bound - 1.0)],
        "maxProperties" if bound < MAX_LENGTH => vec![members(accepting, root, bound + 1.0)],
        "minProperties" => vec![object(accepting, root, 0), members(accepting, root, bound - 1.0)],
        _ => Vec::new(),
    }
}

#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped just before"
)]
fn count(value: f64) -> usize {
    value.clamp(0.0, MAX_LENGTH + 1.0) as usize
}

fn below(bound: f64) -> usize {
    count(bound - 1.0)
}

fn items(schema: &Map<String, Value>, root: &Value, wanted: f64) -> Value {
    let item = match schema.get("items") {
        None | Some(Value::Array(_)) => json!("x"),
        Some(items) => minimal(items, root),
    };
    if schema.get("uniqueItems") == Some(&Value::Bool(true)) {
        return Value::Array(
            (0..count(wanted))
                .map(|index| {
                    if item.is_string() {
                        json!(format!("x{index}"))
                    } else {
                        json!(index)
                    }
                })
                .collect(),
        );
    }
    Value::Array(repeated(&item, wanted))
}

/// An object with as many members, of those the schema declares and then of any.
fn members(schema: &Map<String, Value>, root: &Value, wanted: f64) -> Value {
    let mut made = match object(schema, root, 0) {
        Value::Object(made) => made,
        _ => Map::new(),
    };
    let wanted = count(wanted);
    for (name, of) in crate::schema::properties(schema) {
        if made.len() < wanted && !made.contains_key(name) {
            made.insert(name.clone(), minimal(of, root));
        }
    }
    let any = schema
        .get("additionalProperties")
        .map_or(json!("x"), |of| minimal(of, root));
    let mut index = 0;
    while made.len() < wanted && index <= wanted {
        made.entry(format!("x{index}")).or_insert_with(|| any.clone());
        index += 1;
    }
    Value::Object(made)
}

fn repeated(item: &Value, wanted: f64) -> Vec<Value> {
    std::iter::repeat_n(item.clone(), count(wanted)).collect()
}

/// A text of at least so many characters, of the same format where it can be.
fn stretched(text: &str, wanted: f64) -> String {
    longer(text, wanted)
        .first()
        .and_then(Value::as_str)
        .unwrap_or(text)
        .to_owned()
}

/// Texts of so many characters: a longer fraction of a second, then just more of the same.
fn longer(text: &str, wanted: f64) -> Vec<Value> {
    let missing = count(wanted).saturating_sub(text.chars().count());
    if missing == 0 {
        return vec![json!(text)];
    }
    let mut texts = Vec::new();
    if let Some(start) = text.strip_suffix(":00Z") {
        texts.push(json!(format!(
            "{start}:00.{}Z",
            "0".repeat(missing.saturating_sub(1).max(1))
        )));
    }
    texts.push(json!(format!("{text}{}", "x".repeat(missing))));
    texts.push(json!(format!("{text}{}", "0".repeat(missing))));
    texts
}

/// A number, as an integer where it is one.
fn number_value(value: f64) -> Value {
    #[expect(clippy::cast_possible_truncation, reason = "only where nothing is lost")]
    if value.fract() == 0.0 && value.abs() <= 9_007_199_254_740_992.0 {
        return json!(value as i64);
    }
    json!(value)
}
