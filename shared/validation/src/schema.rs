//! A compiled schema.

use eventstar_event::Document;
use jsonschema::{Draft, PatternOptions, Validator};
use serde_json::Value;

use crate::ajv::AjvError;
use crate::breadth::Breadth;
use crate::clean::clean;
use crate::defaults::Defaults;
use crate::dialect::{self, Patterns};
use crate::formats::FORMATS;
use crate::metered::{Allowance, Metered};
use crate::refs;
use crate::secure::insecurity;

/// Steps a pattern with look-around may take before it counts as not matching. Others run in linear time.
const BACKTRACK_LIMIT: usize = 10_000;

/// Why a schema cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("at {}: {message}", if pointer.is_empty() { "the root" } else { pointer })]
pub struct SchemaError {
    /// JSON pointer into the schema.
    pub pointer: String,
    /// What is wrong.
    pub message: String,
}

/// A compiled schema: what a version in a schema repository becomes on first use.
#[derive(Debug)]
pub struct Schema {
    cleaned: Value,
    validator: Validator<Metered>,
    patterns: Patterns,
    defaults: Defaults,
    breadth: Breadth,
}

impl Schema {
    /// Compiles the JSON text of a schema of draft 4, 6, 7 (assumed without `$schema`), 2019-09 or 2020-12.
    ///
    /// # Errors
    /// [`SchemaError`] when the text is no JSON object, breaks its draft's meta-schema, names an unknown format or draft,
    /// has a `$ref` that leads out of the document, or too many subschemas for one value.
    pub fn compile(text: &str) -> Result<Self, SchemaError> {
        let error = |pointer: &str, message: String| SchemaError {
            pointer: pointer.to_owned(),
            message,
        };
        let mut schema: Value =
            serde_json::from_str(text).map_err(|e| error("", format!("not valid JSON: {e}")))?;
        if !schema.is_object() {
            return Err(error("", "expected a JSON object".to_owned()));
        }
        let mut draft = draft(&schema)?;
        refs::resolve(&mut schema);
        clean(&mut schema);
        // The draft is known: a meta-schema URI would only be looked up again, under a spelling AJV also accepts.
        if let Value::Object(root) = &mut schema {
            root.shift_remove("$schema");
        }
        let mut patterns = Patterns::default();
        if matches!(draft, Draft::Draft4 | Draft::Draft6 | Draft::Draft7) {
            patterns = dialect::translate(&mut schema)?;
            let fits = match draft {
                Draft::Draft4 => jsonschema::draft4::meta::validate(&schema),
                Draft::Draft6 => jsonschema::draft6::meta::validate(&schema),
                _ => Ok(()),
            };
            fits.map_err(|e| error(e.instance_path().as_str(), e.to_string()))?;
            dialect::modernize(&mut schema, draft == Draft::Draft4);
            draft = Draft::Draft7;
        }
        let breadth = Breadth::of(&schema)?;
        let build = |schema: &Value, fancy: bool| {
            let mut options = jsonschema::options_for::<Metered>()
                .with_draft(draft)
                .should_validate_formats(true)
                .should_ignore_unknown_formats(false);
            for (name, check) in FORMATS {
                options = options.with_format(*name, *check);
            }
            if fancy {
                let patterns = PatternOptions::fancy_regex().backtrack_limit(BACKTRACK_LIMIT);
                options.with_pattern_options(patterns).build(schema)
            } else {
                options
                    .with_pattern_options(PatternOptions::regex())
                    .build(schema)
            }
        };
        let compile = |schema: &Value| build(schema, false).or_else(|_| build(schema, true));
        let validator = compile(&schema).map_err(|e| error(e.instance_path().as_str(), e.to_string()))?;
        let is_old = draft == Draft::Draft7;
        let allowance = judge::allowance(breadth, 1);
        let defaults = Defaults::read(&schema, is_old, allowance, &|part| compile(part).ok())?;
        Ok(Self {
            defaults,
            breadth,
            validator,
            patterns,
            cleaned: schema,
        })
    }

    /// The schema's `title`.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        self.cleaned.get("title").and_then(Value::as_str)
    }

    /// Whether the schema declares the member at `path` through `properties`, or its parent as a map of values.
    #[must_use]
    pub fn takes(&self, path: &[&str]) -> bool {
        let declared = |path: &[&str]| {
            path.iter().try_fold(&self.cleaned, |schema, name| {
                schema.get("properties").and_then(|members| members.get(*name))
            })
        };
        let is_map = |parent: &Value| parent.get("additionalProperties").is_some_and(Value::is_object);
        declared(path).is_some()
            || path
                .split_last()
                .and_then(|(_, parents)| declared(parents))
                .is_some_and(is_map)
    }

    /// The first place where a long value would be slow to check, as EventGate judges it; `None` when there is none.
    #[must_use]
    pub fn insecurity(&self) -> Option<SchemaError> {
        insecurity(&self.cleaned)
    }

    /// Adds the schema's defaults for missing members.
    ///
    /// # Errors
    /// The single error `too_much` where that takes too many steps: then some defaults are missing.
    pub fn fill_defaults(&self, event: &mut Document<'_>) -> Result<(), Vec<AjvError>> {
        self.allowance(1).begin();
        let is_filled = self.defaults.fill(event);
        Allowance::ENDLESS.begin();
        if is_filled {
            return Ok(());
        }
        let does = "takes too many steps to fill in its schema's defaults";
        Err(vec![AjvError::too_much(does)])
    }
}

/// The draft that `$schema` names, in any spelling AJV 6 accepts (`http` or `https`, with or without `#`).
fn draft(schema: &Value) -> Result<Draft, SchemaError> {
    let error = |message: String| SchemaError {
        pointer: "/$schema".to_owned(),
        message,
    };
    let uri = match schema.get("$schema") {
        None => return Ok(Draft::Draft7),
        Some(Value::String(uri)) => uri,
        Some(_) => return Err(error("expected the URI of a draft".to_owned())),
    };
    let name = uri
        .trim_end_matches('#')
        .trim_start_matches("https://")
        .trim_start_matches("http://");
    Ok(match name {
        "json-schema.org/draft-04/schema" => Draft::Draft4,
        "json-schema.org/draft-06/schema" => Draft::Draft6,
        "json-schema.org/draft-07/schema" | "json-schema.org/schema" => Draft::Draft7,
        "json-schema.org/draft/2019-09/schema" => Draft::Draft201909,
        "json-schema.org/draft/2020-12/schema" => Draft::Draft202012,
        _ => {
            return Err(error(format!(
                "unknown draft '{uri}': use draft 04, 06, 07, 2019-09 or 2020-12, for example https://json-schema.org/draft-07/schema#"
            )));
        }
    })
}

mod judge;
#[cfg(test)]
mod pairs;
#[cfg(test)]
mod slow;
#[cfg(test)]
mod tests;
