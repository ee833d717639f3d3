//! Errors in the words of AJV 6: `keyword`, `dataPath`, `schemaPath`, `params`, `message`.
//!
//! Source: ajv 6.12.6, `lib/dotjs`; EventGate answers these as `context.errors`.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use jsonschema::paths::{Location, LocationSegment};
use serde::Serialize;
use serde_json::{Value, json};

/// One error, serialized as AJV 6 does.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AjvError {
    /// The keyword that failed.
    pub keyword: String,
    /// The place in the event: `.a.b`, `['user-agent']`, `[0].x`; empty for the event itself.
    pub data_path: String,
    /// The place in the schema: `#/properties/test/type`.
    pub schema_path: String,
    /// What the keyword expected.
    pub params: Value,
    /// The message: `should be string`.
    pub message: String,
    /// The place in the event as a JSON pointer, which AJV does not tell.
    #[serde(skip)]
    pub pointer: String,
}

/// The errors as one text, as EventGate's `errorsText`.
#[must_use]
pub fn errors_text(errors: &[AjvError]) -> String {
    let texts: Vec<String> = errors
        .iter()
        .map(|error| format!("'{}' {}", error.data_path, error.message))
        .collect();
    texts.join(", ")
}

fn is_identifier(name: &str) -> bool {
    name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_' || c == '$')
        && name
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '$')
}

/// AJV's `getProperty`: `.a`, or `['a b']` with quotes escaped.
fn member_path(name: &str) -> String {
    if is_identifier(name) {
        return format!(".{name}");
    }
    let escaped = name
        .replace('\\', "\\\\")
        .replace('\'', "\\'")
        .replace('\n', "\\n")
        .replace('\r', "\\r")
        .replace('\u{c}', "\\f")
        .replace('\t', "\\t");
    format!("['{escaped}']")
}

/// The JavaScript path of `location` in `event`, and the value there. A location does not tell the index `0` from a
/// member called `0`; the event does.
fn locate<'e>(event: &'e Value, location: &Location) -> (String, Option<&'e Value>) {
    let mut path = String::new();
    let mut at = Some(event);
    for segment in location.segments() {
        let name = match segment {
            LocationSegment::Property(name) => name.into_owned(),
            LocationSegment::Index(index) => index.to_string(),
        };
        if at.is_some_and(Value::is_array) {
            path.push_str(&format!("[{name}]"));
            at = name.parse::<usize>().ok().and_then(|index| at?.get(index));
        } else {
            path.push_str(&member_path(&name));
            at = at.and_then(|object| object.get(&name));
        }
    }
    (path, at)
}

fn plural(limit: u64, one: &str, many: &str) -> String {
    if limit == 1 {
        one.to_owned()
    } else {
        many.to_owned()
    }
}

/// Translates one error of validating `event`; some become several, as with AJV's `allErrors`.
pub(crate) fn translate(event: &Value, error: &ValidationError<'_>, out: &mut Vec<AjvError>) {
    let (path, found) = locate(event, error.instance_path());
    let schema_path = format!("#{}", error.schema_path().as_str());
    let mut push = |keyword: &str, schema_path: String, params: Value, message: String| {
        out.push(AjvError {
            keyword: keyword.to_owned(),
            data_path: path.clone(),
            schema_path,
            params,
            message,
            pointer: error.instance_path().as_str().to_owned(),
        });
    };
    match error.kind() {
        Kind::Type { kind } => {
            let types = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(many) => declared_types(many),
            };
            push(
                "type",
                schema_path,
                json!({"type": types}),
                format!("should be {types}"),
            );
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let message = format!("should have required property '{}'", required_name(name));
            push("required", schema_path, json!({"missingProperty": name}), message);
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected {
                push(
                    "additionalProperties",
                    schema_path.clone(),
                    json!({"additionalProperty": name}),
                    "should NOT have additional properties".to_owned(),
                );
            }
        }
        Kind::Enum { options } => push(
            "enum",
            schema_path,
            json!({"allowedValues": &**options}),
            "should be equal to one of the allowed values".to_owned(),
        ),
        Kind::Constant { expected_value } => push(
            "const",
            schema_path,
            json!({"allowedValue": &**expected_value}),
            "should be equal to constant".to_owned(),
        ),
        Kind::MinLength { limit } => {
            let message = format!(
                "should NOT be shorter than {limit} character{}",
                plural(*limit, "", "s")
            );
            push("minLength", schema_path, json!({"limit": limit}), message);
        }
        Kind::MaxLength { limit } => {
            let message = format!(
                "should NOT be longer than {limit} character{}",
                plural(*limit, "", "s")
            );
            push("maxLength", schema_path, json!({"limit": limit}), message);
        }
        Kind::MinItems { limit } => {
            let message = format!(
                "should NOT have fewer than {limit} item{}",
                plural(*limit, "", "s")
            );
            push("minItems", schema_path, json!({"limit": limit}), message);
        }
        Kind::MaxItems { limit } => {
            let message = format!(
                "should NOT have more than {limit} item{}",
                plural(*limit, "", "s")
            );
            push("maxItems", schema_path, json!({"limit": limit}), message);
        }
        Kind::MinProperties { limit } => {
            let message = format!(
                "should NOT have fewer than {limit} propert{}",
                plural(*limit, "y", "ies")
            );
            push("minProperties", schema_path, json!({"limit": limit}), message);
        }
        Kind::MaxProperties { limit } => {
            let message = format!(
                "should NOT have more than {limit} propert{}",
                plural(*limit, "y", "ies")
            );
            push("maxProperties", schema_path, json!({"limit": limit}), message);
        }
        Kind::AdditionalItems { limit } => {
            let message = format!(
                "should NOT have more than {limit} item{}",
                plural(*limit as u64, "", "s")
            );
            push("additionalItems", schema_path, json!({"limit": limit}), message);
        }
        Kind::Minimum { limit } => bound("minimum", ">=", limit, false, schema_path, &mut push),
        Kind::Maximum { limit } => bound("maximum", "<=", limit, false, schema_path, &mut push),
        Kind::ExclusiveMinimum { limit } => {
            bound("exclusiveMinimum", ">", limit, true, schema_path, &mut push)
        }
        Kind::ExclusiveMaximum { limit } => {
            bound("exclusiveMaximum", "<", limit, true, schema_path, &mut push)
        }
        Kind::MultipleOf { multiple_of } => push(
            "multipleOf",
            schema_path,
            json!({"multipleOf": number(*multiple_of)}),
            format!("should be multiple of {}", number(*multiple_of)),
        ),
        Kind::Pattern { pattern } => {
            push(
                "pattern",
                schema_path,
                json!({"pattern": pattern}),
                format!("should match pattern \"{pattern}\""),
            );
        }
        Kind::Format { format } => {
            push(
                "format",
                schema_path,
                json!({"format": format}),
                format!("should match format \"{format}\""),
            );
        }
        Kind::UniqueItems => {
            let (i, j) = first_pair(error.instance());
            let message = format!("should NOT have duplicate items (items ## {j} and {i} are identical)");
            push("uniqueItems", schema_path, json!({"i": i, "j": j}), message);
        }
        Kind::PropertyNames { error } => {
            let name = error.instance().as_str().unwrap_or_default().to_owned();
            let message = format!("property name '{name}' is invalid");
            let end = schema_path
                .rfind("/propertyNames")
                .map_or(schema_path.len(), |at| at + "/propertyNames".len());
            let schema_path = schema_path.get(..end).unwrap_or_default().to_owned();
            push(
                "propertyNames",
                schema_path,
                json!({"propertyName": name}),
                message,
            );
        }
        Kind::Contains => push(
            "contains",
            schema_path,
            json!({}),
            "should contain a valid item".to_owned(),
        ),
        Kind::Not { .. } => push("not", schema_path, json!({}), "should NOT be valid".to_owned()),
        Kind::AnyOf { context } => {
            branches(event, context, out);
            out.push(AjvError {
                keyword: "anyOf".to_owned(),
                data_path: path,
                schema_path,
                params: json!({}),
                message: "should match some schema in anyOf".to_owned(),
                pointer: error.instance_path().as_str().to_owned(),
            });
        }
        Kind::OneOfNotValid { context } => {
            branches(event, context, out);
            out.push(one_of(error, path, schema_path, Value::Null));
        }
        Kind::OneOfMultipleValid { context } => {
            let valid: Vec<usize> = context
                .iter()
                .enumerate()
                .filter(|(_, errors)| errors.is_empty())
                .map(|(n, _)| n)
                .take(2)
                .collect();
            out.push(one_of(error, path, schema_path, json!(valid)));
        }
        // The crate's shortcut for an object schema that declares no member at all.
        Kind::FalseSchema if schema_path.ends_with("/additionalProperties") => {
            for name in found
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|object| object.keys())
            {
                push(
                    "additionalProperties",
                    schema_path.clone(),
                    json!({"additionalProperty": name}),
                    "should NOT have additional properties".to_owned(),
                );
            }
        }
        Kind::FalseSchema => {
            push(
                "false schema",
                schema_path,
                json!({}),
                "boolean schema is false".to_owned(),
            );
        }
        kind => push(kind.keyword(), schema_path, json!({}), error.masked().to_string()),
    }
}

fn branches(event: &Value, context: &[Vec<ValidationError<'static>>], out: &mut Vec<AjvError>) {
    for error in context.iter().flatten() {
        translate(event, error, out);
    }
}

fn one_of(error: &ValidationError<'_>, data_path: String, schema_path: String, passing: Value) -> AjvError {
    AjvError {
        keyword: "oneOf".to_owned(),
        data_path,
        schema_path,
        params: json!({"passingSchemas": passing}),
        message: "should match exactly one schema in oneOf".to_owned(),
        pointer: error.instance_path().as_str().to_owned(),
    }
}

fn bound(
    keyword: &str,
    comparison: &str,
    limit: &Value,
    exclusive: bool,
    schema_path: String,
    push: &mut impl FnMut(&str, String, Value, String),
) {
    let params = json!({"comparison": comparison, "limit": limit, "exclusive": exclusive});
    push(
        keyword,
        schema_path,
        params,
        format!("should be {comparison} {limit}"),
    );
}

/// A number as JavaScript prints it: whole ones without a fraction.
fn number(value: f64) -> Value {
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers within 53 bits are cast"
    )]
    if value.fract() == 0.0 && value.abs() < 9_007_199_254_740_992.0 {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

fn required_name(name: &str) -> String {
    if is_identifier(name) {
        name.to_owned()
    } else {
        name.replace('\\', "\\\\").replace('\'', "\\'")
    }
}

fn declared_types(types: &jsonschema::JsonTypeSet) -> String {
    let names: Vec<String> = types.iter().map(|one| one.to_string()).collect();
    names.join(",")
}

/// The pair AJV reports: it searches from the end (`i`) for an equal item before it (`j`).
fn first_pair(items: &Value) -> (usize, usize) {
    let items = items.as_array().map(Vec::as_slice).unwrap_or_default();
    for (i, item) in items.iter().enumerate().rev() {
        if let Some(j) = items.iter().take(i).rposition(|other| other == item) {
            return (i, j);
        }
    }
    (0, 0)
}
