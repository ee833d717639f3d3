//! The faults of one version of a schema: the robustness rules of `jsonschema-tools`, all of each schema's faults told at
//! once, and a rule against misspelt keywords.
//!
//! Source: jsonschema-tools 1.2, `lib/tests/robustness.js`.

use eventstar_validation::{Schema, errors_text};
use serde_json::{Map, Value, json};

use crate::keywords::{each_schema, is_known, suggestion};
use crate::schema::{properties, strings, token};

/// A rule, by the name that skip lists know it by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Case {
    /// The schema compiles.
    Valid,
    /// No value is slow to check for being long.
    Secure,
    /// Members are named in snake case.
    SnakeCase,
    /// Every place has one type, known beforehand.
    DeterministicTypes,
    /// What is required is declared.
    RequiredExist,
    /// `$schema` of an example names the schema.
    ExamplesId,
    /// Examples are events of the schema.
    ExamplesValid,
    /// Numbers have bounds that every consumer can hold.
    NumericBounds,
    /// Every keyword is one.
    KnownKeywords,
    /// A version is compatible with the one before.
    Compatibility,
}

impl Case {
    /// The name, as in `skipSchemaTestCases`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "schema-is-valid",
            Self::Secure => "schema-is-secure",
            Self::SnakeCase => "schema-snake-case-properties",
            Self::DeterministicTypes => "schema-deterministic-types",
            Self::RequiredExist => "schema-required-properties-exist",
            Self::ExamplesId => "schema-examples-$schema-matches-schema-$id",
            Self::ExamplesValid => "schema-examples-are-valid",
            Self::NumericBounds => "schema-enforced-numeric-bounds",
            Self::KnownKeywords => "schema-known-keywords",
            Self::Compatibility => "schema-version-compatibility",
        }
    }
}

/// The least minimum and the greatest maximum of numbers.
pub type Bounds = (f64, f64);

/// One fault of a schema.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The rule.
    pub case: Case,
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

/// All faults of a materialized schema. `compiled` is what compiling it gave; `bounds` is `None` where numbers need none.
#[must_use]
pub fn robustness(
    schema: &Value,
    compiled: Result<&Schema, &eventstar_validation::SchemaError>,
    bounds: Option<Bounds>,
) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    match compiled {
        Err(error) => faults.push(Case::Valid, &error.pointer, error.message.clone(), "correct it"),
        Ok(compiled) => {
            if let Some(error) = compiled.insecurity() {
                let fix = "add the bound: `maxLength` beside `pattern` and `format`, `maxItems` beside `uniqueItems`, \
                           `propertyNames` with `maxLength` beside `patternProperties`";
                faults.push(Case::Secure, &error.pointer, error.message, fix);
            }
            faults.examples(schema, compiled);
        }
    }
    faults.snake_case(schema, "");
    faults.types(schema, "");
    faults.required(schema, "");
    if let Some(bounds) = bounds {
        faults.numeric_bounds(schema, bounds);
    }
    faults.keywords(schema);
    faults.0
}

/// The words of a schema that are no keywords; also of one that is not materialized yet.
#[must_use]
pub fn unknown_keywords(schema: &Value) -> Vec<Fault> {
    let mut faults = Faults(Vec::new());
    faults.keywords(schema);
    faults.0
}

struct Faults(Vec<Fault>);

impl Faults {
    fn push(&mut self, case: Case, pointer: &str, message: String, fix: impl Into<String>) {
        self.0.push(Fault {
            case,
            pointer: pointer.to_owned(),
            message,
            fix: fix.into(),
        });
    }

    fn examples(&mut self, schema: &Value, compiled: &Schema) {
        let Some(Value::Array(examples)) = schema.get("examples") else {
            return;
        };
        let id = schema.get("$id").unwrap_or(&Value::Null);
        let has_schema_member = schema.pointer("/properties/$schema").is_some();
        for (index, example) in examples.iter().enumerate() {
            let pointer = format!("/examples/{index}");
            let own = example.get("$schema").unwrap_or(&Value::Null);
            if has_schema_member && own != id {
                let message = format!("`$schema` of the example is {own}, the `$id` of the schema {id}");
                let fix = "write `$ref: '#/$id'` for it in current.yaml, and materialize";
                self.push(Case::ExamplesId, &format!("{pointer}/$schema"), message, fix);
            }
            if let Err(errors) = compiled.validate(example) {
                let place = errors.first().map_or("", |error| error.pointer.as_str());
                let message = format!("the example is no event of the schema: {}", errors_text(&errors));
                let fix = "correct the example, or the schema";
                self.push(Case::ExamplesValid, &format!("{pointer}{place}"), message, fix);
            }
        }
    }

    fn snake_case(&mut self, schema: &Value, pointer: &str) {
        let Value::Object(keywords) = schema else { return };
        for (index, part) in list(keywords, "allOf") {
            self.snake_case(part, &format!("{pointer}/allOf/{index}"));
        }
        for (name, member) in properties(keywords) {
            let there = format!("{pointer}/properties/{}", token(name));
            if !is_snake_case(name) {
                let message = format!("\"{name}\" is not in snake case");
                let fix = "use lower case letters, digits and `_`, a letter first: names become columns";
                self.push(Case::SnakeCase, &there, message, fix);
            }
            self.snake_case(member, &there);
        }
    }

    fn types(&mut self, schema: &Value, pointer: &str) {
        let Value::Object(keywords) = schema else { return };
        let case = Case::DeterministicTypes;
        let own = keywords.get("type").unwrap_or(&Value::Null);
        if let Value::Array(_) = own {
            let message = format!("several types: {own}");
            self.push(
                case,
                &format!("{pointer}/type"),
                message,
                "use one type: consumers have one column for it",
            );
        }
        if own == "array" {
            let items = keywords.get("items").unwrap_or(&Value::Null);
            if items.get("type").is_none() {
                self.push(
                    case,
                    pointer,
                    "an array without `items.type`".to_owned(),
                    "add `items` with a `type`",
                );
            }
            self.types(items, &format!("{pointer}/items"));
        }
        if own == "object" {
            let rest = keywords.get("additionalProperties").unwrap_or(&Value::Null);
            let is_declared = ["properties", "oneOf", "allOf"]
                .iter()
                .any(|keyword| keywords.contains_key(*keyword));
            if !is_declared && matches!(rest, Value::Null | Value::Bool(false)) {
                let fix = "declare its members in `properties`, or the type of all of them in `additionalProperties`";
                self.push(case, pointer, "an object of unknown members".to_owned(), fix);
            }
            self.types(rest, &format!("{pointer}/additionalProperties"));
        }
        for (index, value) in list(keywords, "enum") {
            if value.is_null() {
                let there = format!("{pointer}/enum/{index}");
                self.push(
                    case,
                    &there,
                    "`enum` has null".to_owned(),
                    "leave the member out of events instead",
                );
            }
        }
        for (name, member) in properties(keywords) {
            let there = format!("{pointer}/properties/{}", token(name));
            if member.get("type").is_none() {
                self.push(case, &there, format!("\"{name}\" has no type"), "add `type`");
            }
            self.types(member, &there);
        }
        for (index, part) in list(keywords, "allOf") {
            self.types(part, &format!("{pointer}/allOf/{index}"));
        }
        self.alternatives(keywords, pointer);
    }

    fn alternatives(&mut self, keywords: &Map<String, Value>, pointer: &str) {
        let first = list(keywords, "oneOf").next().map(|(_, first)| first);
        for (index, one) in list(keywords, "oneOf") {
            let there = format!("{pointer}/oneOf/{index}");
            let shape = |schema: &Value| {
                let object = schema
                    .as_object()
                    .filter(|_| schema.get("type") == Some(&json!("object")));
                let mut names: Vec<String> = object
                    .map(|keywords| {
                        strings(keywords, "required")
                            .into_iter()
                            .map(str::to_owned)
                            .collect()
                    })
                    .unwrap_or_default();
                names.sort_unstable();
                (schema.get("type").cloned(), names)
            };
            if first.map(shape) != Some(shape(one)) {
                let message = "the alternatives of `oneOf` differ in type or in required members".to_owned();
                self.push(
                    Case::DeterministicTypes,
                    &there,
                    message,
                    "make them equal, or use two members",
                );
            }
            self.types(one, &there);
        }
    }

    fn required(&mut self, schema: &Value, pointer: &str) {
        let Value::Object(keywords) = schema else { return };
        for name in strings(keywords, "required") {
            if !properties(keywords).any(|(declared, _)| declared == name) {
                let message = format!("\"{name}\" is required, but not declared");
                let fix = "declare it in `properties`, or do not require it";
                self.push(Case::RequiredExist, &format!("{pointer}/required"), message, fix);
            }
        }
        for (name, member) in properties(keywords) {
            self.required(member, &format!("{pointer}/properties/{}", token(name)));
        }
        for keyword in ["items", "additionalProperties"] {
            if let Some(schema) = keywords.get(keyword) {
                self.required(schema, &format!("{pointer}/{keyword}"));
            }
        }
    }

    fn numeric_bounds(&mut self, schema: &Value, (least, greatest): Bounds) {
        each_schema(schema, "", &mut |keywords, pointer| {
            if !keywords
                .get("type")
                .is_some_and(|own| own == "number" || own == "integer")
            {
                return;
            }
            for (keyword, bound, is_within) in [
                ("minimum", least, f64::ge as fn(&f64, &f64) -> bool),
                ("maximum", greatest, f64::le),
            ] {
                let message = match keywords.get(keyword).and_then(Value::as_f64) {
                    None => format!("a number without `{keyword}`"),
                    Some(own) if is_within(&own, &bound) => continue,
                    Some(own) => format!("`{keyword}` is {own}, past {bound}"),
                };
                let fix = format!("set `{keyword}` to {bound} or within: consumers may not hold more");
                self.push(Case::NumericBounds, pointer, message, fix);
            }
        });
    }

    fn keywords(&mut self, schema: &Value) {
        each_schema(schema, "", &mut |keywords, pointer| {
            for (name, value) in keywords.iter().filter(|(name, _)| !is_known(name)) {
                let message = format!("`{name}` is no keyword, and does nothing");
                let fix = match suggestion(name) {
                    Some(meant) => format!("did you mean `{meant}`?"),
                    None if value.get("type").is_some() => {
                        format!("if \"{name}\" is a member of events, move it into `properties`")
                    }
                    None => "remove it, or name it `x-…` where it is for a tool of yours".to_owned(),
                };
                self.push(
                    Case::KnownKeywords,
                    &format!("{pointer}/{}", token(name)),
                    message,
                    fix,
                );
            }
        });
    }
}

fn list<'a>(keywords: &'a Map<String, Value>, keyword: &str) -> impl Iterator<Item = (usize, &'a Value)> {
    keywords
        .get(keyword)
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .enumerate()
}

/// `^[$a-z]+[a-z0-9_]*$`
fn is_snake_case(name: &str) -> bool {
    let rest = name.trim_start_matches(|letter: char| letter == '$' || letter.is_ascii_lowercase());
    rest.len() < name.len()
        && rest
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

#[cfg(test)]
mod tests;
