//! A schema of draft 4, 6 or 7 in the words of draft 7, as AJV 6 reads it: it has one set of keywords for all three.

use std::collections::HashMap;

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::ajv::AjvError;
use crate::keywords::{below, escaped, unescaped};
use crate::path::fragment;
use crate::{SchemaError, pattern};

/// Notes to people and programs, which AJV 6 does not look at.
const NOTES: &[&str] = &["contentMediaType", "contentEncoding"];

/// Keywords beside `$ref` that check nothing.
const BESIDE_REF: &[&str] = &[
    "$ref",
    "type",
    "title",
    "description",
    "default",
    "definitions",
    "$comment",
];

/// Patterns as they were written, by the text that took their place.
#[derive(Debug, Default)]
pub(crate) struct Patterns(HashMap<String, String>);

/// Rewrites the keywords.
pub(crate) fn modernize(schema: &mut Value, is_draft_4: bool) {
    let Value::Object(schema) = schema else { return };
    for note in NOTES {
        if schema.get(*note).is_some_and(Value::is_string) {
            schema.shift_remove(*note);
        }
    }
    for (bound, exclusive) in [("minimum", "exclusiveMinimum"), ("maximum", "exclusiveMaximum")] {
        if is_draft_4 {
            without_boolean(schema, bound, exclusive);
        }
        narrower_bound(schema, bound, exclusive);
    }
    type_beside_ref(schema);
    for (_, schema) in below(schema) {
        modernize(schema, is_draft_4);
    }
}

/// Rewrites the patterns.
///
/// # Errors
/// [`SchemaError`] for a pattern that is none.
pub(crate) fn translate(schema: &mut Value) -> Result<Patterns, SchemaError> {
    let mut patterns = Patterns::default();
    translate_at(schema, "", &mut patterns)?;
    Ok(patterns)
}

fn translate_at(schema: &mut Value, pointer: &str, patterns: &mut Patterns) -> Result<(), SchemaError> {
    let Value::Object(schema) = schema else {
        return Ok(());
    };
    if let Some(Value::String(text)) = schema.get_mut("pattern") {
        *text = patterns.translated(text, &format!("{pointer}/pattern"))?;
    }
    // First what is below, whose place is said by the names as written.
    for (below, schema) in below(schema) {
        translate_at(schema, &format!("{pointer}{below}"), patterns)?;
    }
    if let Some(Value::Object(members)) = schema.get_mut("patternProperties") {
        let mut translated = Map::new();
        for (text, schema) in std::mem::take(members) {
            let place = format!("{pointer}/patternProperties/{}", escaped(&text));
            let mut name = patterns.translated(&text, &place)?;
            while translated.contains_key(&name) {
                // Another spelling of a pattern that is there.
                name.push_str("(?:)");
                patterns.0.insert(name.clone(), text.clone());
            }
            translated.insert(name, schema);
        }
        *members = translated;
    }
    Ok(())
}

/// Draft 4 says by a boolean that a bound is exclusive.
fn without_boolean(schema: &mut Map<String, Value>, bound: &str, exclusive: &str) {
    if let Some(Value::Bool(is_exclusive)) = schema.get(exclusive) {
        let limit = if *is_exclusive {
            schema.shift_remove(bound)
        } else {
            None
        };
        match limit {
            Some(limit) => schema.insert(exclusive.to_owned(), limit),
            None => schema.shift_remove(exclusive),
        };
    }
}

/// Of two bounds AJV looks at the narrower alone.
fn narrower_bound(schema: &mut Map<String, Value>, bound: &str, exclusive: &str) {
    let limit = |keyword: &str| schema.get(keyword).and_then(Value::as_f64);
    if let (Some(limit), Some(narrow)) = (limit(bound), limit(exclusive)) {
        let is_narrower = if bound == "minimum" {
            narrow >= limit
        } else {
            narrow <= limit
        };
        schema.shift_remove(if is_narrower { bound } else { exclusive });
    }
}

/// Of the keywords beside a `$ref`, AJV looks at `type` alone.
fn type_beside_ref(schema: &mut Map<String, Value>) {
    if schema.contains_key("type")
        && schema.contains_key("$ref")
        && schema
            .keys()
            .all(|keyword| BESIDE_REF.contains(&keyword.as_str()))
        && let (Some(kind), Some(target)) = (schema.shift_remove("type"), schema.shift_remove("$ref"))
    {
        schema.insert("allOf".to_owned(), json!([{"type": kind}, {"$ref": target}]));
    }
}

impl Patterns {
    fn translated(&mut self, text: &str, place: &str) -> Result<String, SchemaError> {
        let translated = pattern::translate(text).map_err(|why| SchemaError {
            pointer: place.to_owned(),
            message: format!("the pattern {text} is no regular expression of JavaScript: {why}"),
        })?;
        if translated != text {
            self.0.insert(translated.clone().into_owned(), text.to_owned());
        }
        Ok(translated.into_owned())
    }

    /// Puts patterns as they were written into an error.
    pub(crate) fn restore(&self, error: &mut AjvError) {
        if self.0.is_empty() {
            return;
        }
        if let Some(written) = error
            .params
            .get("pattern")
            .and_then(Value::as_str)
            .and_then(|text| self.0.get(text))
        {
            error.message = format!("should match pattern \"{written}\"");
            error.params = json!({"pattern": written});
        }
        let mut is_pattern = false;
        let steps: Vec<String> = error
            .schema_path
            .split('/')
            .map(|step| {
                let written = is_pattern.then(|| self.written(step)).flatten();
                is_pattern = step == "patternProperties";
                written.unwrap_or_else(|| step.to_owned())
            })
            .collect();
        error.schema_path = steps.join("/");
    }

    /// The step of a path that takes the place of a pattern's, if that was translated.
    fn written(&self, step: &str) -> Option<String> {
        let text = percent_decode_str(step).decode_utf8().ok()?;
        let written = self.0.get(&unescaped(&text))?;
        Some(fragment(&escaped(written)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn modern(mut schema: Value, is_draft_4: bool) -> Value {
        modernize(&mut schema, is_draft_4);
        schema
    }

    #[test]
    fn notes_go_wherever_they_stand() {
        assert_eq!(
            modern(
                json!({
                    "contentMediaType": "application/json",
                    "properties": {"contentEncoding": {"contentEncoding": "base64", "type": "string"}},
                }),
                false
            ),
            json!({"properties": {"contentEncoding": {"type": "string"}}})
        );
    }

    #[test]
    fn of_two_bounds_one_is_left() {
        for (old, new) in [
            (
                json!({"minimum": 1, "exclusiveMinimum": true}),
                json!({"exclusiveMinimum": 1}),
            ),
            (
                json!({"maximum": 1, "exclusiveMaximum": false}),
                json!({"maximum": 1}),
            ),
            (
                json!({"minimum": 1, "exclusiveMinimum": 1}),
                json!({"exclusiveMinimum": 1}),
            ),
            (
                json!({"minimum": 2, "exclusiveMinimum": 1}),
                json!({"minimum": 2}),
            ),
            (
                json!({"maximum": 2, "exclusiveMaximum": 1}),
                json!({"exclusiveMaximum": 1}),
            ),
            (
                json!({"maximum": 1, "exclusiveMaximum": 2}),
                json!({"maximum": 1}),
            ),
        ] {
            assert_eq!(modern(old.clone(), true), new, "{old}");
        }
        // A boolean is of draft 4 alone: the meta-schemas of the others refuse it.
        let unchanged = json!({"minimum": 1, "exclusiveMinimum": true});
        assert_eq!(modern(unchanged.clone(), false), unchanged);
    }

    #[test]
    fn two_spellings_of_a_pattern_stay_two() {
        let mut schema = json!({"patternProperties": {"]": {"minimum": 1}, r"\]": {"maximum": 2}, "^a": {}}});
        let patterns = translate(&mut schema).unwrap();
        assert_eq!(
            schema,
            json!({"patternProperties": {r"\]": {"minimum": 1}, r"\](?:)": {"maximum": 2}, "^a": {}}})
        );
        assert_eq!(patterns.0.get(r"\](?:)").map(String::as_str), Some(r"\]"));
    }
}
