//! Errors in the words of AJV 6: `keyword`, `dataPath`, `schemaPath`, `params`, `message`.
//!
//! Source: ajv 6.12.6, `lib/dotjs`; EventGate answers these as `context.errors`.

use jsonschema::ValidationError;
use jsonschema::error::{TypeKind, ValidationErrorKind as Kind};
use serde::Serialize;
use serde_json::{Value, json};

use crate::metered::{duplicates, is_cut};
use crate::order::order;
use crate::path::{data_path, schema_path};

/// Most errors reported for one event; an array of ten thousand wrong items needs no more.
pub const MAX_ERRORS: usize = 100;

/// Most bytes that the errors of one event have but for the last. Each repeats names of the event, and a wrong value all that
/// `enum` allows: a hundred could have a hundred times what event and schema have.
const MAX_BYTES: usize = 64 * 1024;

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
    /// The name of a member, where that and not its value is wrong.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub property_name: Option<String>,
    /// The place in the event as a JSON pointer, which AJV does not tell.
    #[serde(skip)]
    pub pointer: String,
}

impl AjvError {
    /// An error of the limit on steps, with what the event does.
    pub(crate) fn too_much(does: &str) -> Self {
        Self {
            keyword: "too_much".to_owned(),
            data_path: String::new(),
            schema_path: String::new(),
            params: json!({}),
            message: format!(
                "{does}: send less in one event, or give the schema fewer branches and patterns"
            ),
            property_name: None,
            pointer: String::new(),
        }
    }

    fn bytes(&self) -> usize {
        let name = self.property_name.as_ref().map_or(0, String::len);
        let params = self.params.to_string().len();
        self.data_path.len()
            + self.schema_path.len()
            + self.message.len()
            + self.pointer.len()
            + name
            + params
    }
}

/// The errors of an event, up to a number and a size.
#[derive(Debug)]
pub(crate) struct Errors {
    pub(crate) all: Vec<AjvError>,
    most: usize,
    bytes: usize,
}

impl Errors {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            all: Vec::new(),
            most,
            bytes: 0,
        }
    }

    /// True if no more errors are reported.
    pub(crate) fn is_full(&self) -> bool {
        self.all.len() >= self.most || self.bytes > MAX_BYTES
    }

    pub(crate) fn push(&mut self, error: AjvError) {
        // AJV says once that a name is invalid, after all that is wrong with it.
        if error.keyword == "propertyNames"
            && let Some(earlier) = self.all.iter().position(|other| *other == error)
        {
            self.bytes = self.bytes.saturating_sub(error.bytes());
            self.all.remove(earlier);
        }
        if !self.is_full() {
            self.bytes += error.bytes();
            self.all.push(error);
        }
    }
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

/// Translates one error of validating `event` against `schema`; some become several, as with AJV's `allErrors`.
pub(crate) fn translate(schema: &Value, event: &Value, error: &ValidationError<'_>, out: &mut Errors) {
    if out.is_full() {
        return;
    }
    if is_cut(error) {
        // Branches that were looked at before do fail.
        if let Kind::AnyOf { context } | Kind::OneOfNotValid { context } = error.kind() {
            branches(schema, event, context, out);
        }
        return;
    }
    let (path, found) = data_path(event, error);
    let schema_path = schema_path(error);
    let mut push = |keyword: &str, schema_path: String, params: Value, message: String| {
        out.push(AjvError {
            keyword: keyword.to_owned(),
            data_path: path.clone(),
            schema_path,
            params,
            message,
            property_name: None,
            pointer: error.instance_path().as_str().to_owned(),
        });
    };
    match error.kind() {
        Kind::Type { kind } => {
            let types = match kind {
                TypeKind::Single(one) => one.to_string(),
                TypeKind::Multiple(_) => declared_types(schema, error),
            };
            push(
                "type",
                schema_path,
                json!({"type": types}),
                format!("should be {types}"),
            );
        }
        // `jsonschema` misses a member that is there, where only `required` names it and no others are allowed.
        Kind::Required { property }
            if found.is_some_and(|found| found.get(property.as_str().unwrap_or_default()).is_some()) => {}
        Kind::Required { property } if schema_path.ends_with("/dependencies") => {
            let name = property.as_str().unwrap_or_default();
            if let Some((params, message)) = dependency(schema, found, error, name) {
                push("dependencies", schema_path, params, message);
            }
        }
        Kind::Required { property } => {
            let name = property.as_str().unwrap_or_default();
            let message = format!("should have required property '{name}'");
            push("required", schema_path, json!({"missingProperty": name}), message);
        }
        Kind::AdditionalProperties { unexpected } | Kind::UnevaluatedProperties { unexpected } => {
            for name in unexpected.iter().take(MAX_ERRORS) {
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
            let message = format!("should NOT be shorter than {limit} characters");
            push("minLength", schema_path, json!({"limit": limit}), message);
        }
        Kind::MaxLength { limit } => {
            let message = format!("should NOT be longer than {limit} characters");
            push("maxLength", schema_path, json!({"limit": limit}), message);
        }
        Kind::MinItems { limit } => {
            let message = format!("should NOT have fewer than {limit} items");
            push("minItems", schema_path, json!({"limit": limit}), message);
        }
        Kind::MaxItems { limit } => {
            let message = format!("should NOT have more than {limit} items");
            push("maxItems", schema_path, json!({"limit": limit}), message);
        }
        Kind::MinProperties { limit } => {
            let message = format!("should NOT have fewer than {limit} properties");
            push("minProperties", schema_path, json!({"limit": limit}), message);
        }
        Kind::MaxProperties { limit } => {
            let message = format!("should NOT have more than {limit} properties");
            push("maxProperties", schema_path, json!({"limit": limit}), message);
        }
        Kind::AdditionalItems { limit } => {
            let message = format!("should NOT have more than {limit} items");
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
            // The pair that AJV finds: it searches from the end (`i`) for an equal item before it (`j`).
            let (i, j) = found
                .and_then(Value::as_array)
                .and_then(|items| duplicates(items))
                .unwrap_or_default();
            let message = format!("should NOT have duplicate items (items ## {j} and {i} are identical)");
            push("uniqueItems", schema_path, json!({"i": i, "j": j}), message);
        }
        Kind::PropertyNames { error: inner } => {
            let name = inner.instance().as_str().unwrap_or_default();
            let pointer = error.instance_path().as_str();
            let end = schema_path
                .rfind("/propertyNames")
                .map_or(schema_path.len(), |at| at + "/propertyNames".len());
            let schema_path = schema_path.get(..end).unwrap_or_default().to_owned();
            // First what is wrong with the name, then that a name is wrong.
            let mut of_name = Errors::new(MAX_ERRORS);
            translate(schema, event, inner, &mut of_name);
            for found in of_name.all {
                out.push(AjvError {
                    data_path: path.clone(),
                    property_name: Some(name.to_owned()),
                    pointer: pointer.to_owned(),
                    ..found
                });
            }
            out.push(AjvError {
                keyword: "propertyNames".to_owned(),
                data_path: path.clone(),
                schema_path,
                params: json!({"propertyName": name}),
                message: format!("property name '{name}' is invalid"),
                property_name: None,
                pointer: pointer.to_owned(),
            });
        }
        Kind::Contains => push(
            "contains",
            schema_path,
            json!({}),
            "should contain a valid item".to_owned(),
        ),
        Kind::Not { .. } => push("not", schema_path, json!({}), "should NOT be valid".to_owned()),
        Kind::AnyOf { context } => {
            branches(schema, event, context, out);
            out.push(AjvError {
                keyword: "anyOf".to_owned(),
                data_path: path,
                schema_path,
                params: json!({}),
                message: "should match some schema in anyOf".to_owned(),
                property_name: None,
                pointer: error.instance_path().as_str().to_owned(),
            });
        }
        Kind::OneOfNotValid { context } => {
            branches(schema, event, context, out);
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
            // AJV looks no further than the second that fits.
            let looked_at = valid.last().copied().unwrap_or_default();
            branches(schema, event, context.get(..looked_at).unwrap_or_default(), out);
            out.push(one_of(error, path, schema_path, json!(valid)));
        }
        // The crate's shortcut for an object schema that declares no member at all.
        Kind::FalseSchema if schema_path.ends_with("/additionalProperties") => {
            for name in found
                .and_then(Value::as_object)
                .into_iter()
                .flat_map(|object| object.keys())
                .take(MAX_ERRORS)
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
                format!("{schema_path}/false schema"),
                json!({}),
                "boolean schema is false".to_owned(),
            );
        }
        Kind::UnevaluatedItems { .. } => push(
            "unevaluatedItems",
            schema_path,
            json!({}),
            "should NOT have unevaluated items".to_owned(),
        ),
        kind => push(kind.keyword(), schema_path, json!({}), error.masked().to_string()),
    }
}

fn branches(schema: &Value, event: &Value, context: &[Vec<ValidationError<'static>>], out: &mut Errors) {
    for errors in context {
        if out.is_full() {
            return;
        }
        let mut errors: Vec<_> = errors.iter().collect();
        errors.sort_by_cached_key(|error| order(schema, event, error));
        for error in errors {
            translate(schema, event, error, out);
        }
    }
}

fn one_of(error: &ValidationError<'_>, data_path: String, schema_path: String, passing: Value) -> AjvError {
    AjvError {
        keyword: "oneOf".to_owned(),
        data_path,
        schema_path,
        params: json!({"passingSchemas": passing}),
        message: "should match exactly one schema in oneOf".to_owned(),
        property_name: None,
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
    let limit = limit
        .as_f64()
        .filter(|_| limit.is_f64())
        .map_or_else(|| limit.clone(), number);
    // Doubles beyond 64 bits have no digits as values, but as texts they do, as in JavaScript.
    let shown = match limit.as_f64() {
        Some(double) if limit.is_f64() && double.abs() < 1e21 => double.to_string(),
        _ => limit.to_string(),
    };
    let params = json!({"comparison": comparison, "limit": limit, "exclusive": exclusive});
    push(
        keyword,
        schema_path,
        params,
        format!("should be {comparison} {shown}"),
    );
}

/// A number as JavaScript prints it: whole ones without a fraction, or an exponent.
fn number(value: f64) -> Value {
    const BOUND: f64 = 9_223_372_036_854_775_808.0;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "only whole numbers within 64 bits are cast"
    )]
    if value.fract() == 0.0 && value.abs() < BOUND {
        Value::from(value as i64)
    } else {
        Value::from(value)
    }
}

/// The types of a union in the schema's order.
fn declared_types(schema: &Value, error: &ValidationError<'_>) -> String {
    let types = schema
        .pointer(error.schema_path().as_str())
        .and_then(Value::as_array);
    let names: Vec<&str> = types.into_iter().flatten().filter_map(Value::as_str).collect();
    names.join(",")
}

/// What AJV says of a member that is missing because another one is there.
fn dependency(
    schema: &Value,
    found: Option<&Value>,
    error: &ValidationError<'_>,
    missing: &str,
) -> Option<(Value, String)> {
    let all = schema.pointer(error.schema_path().as_str())?.as_object()?;
    let (property, names) = all.iter().find_map(|(property, names)| {
        let names: Vec<&str> = names.as_array()?.iter().filter_map(Value::as_str).collect();
        let fits = found?.get(property).is_some() && names.contains(&missing);
        fits.then_some((property, names))
    })?;
    let params = json!({"property": property, "missingProperty": missing, "depsCount": names.len(), "deps": names.join(", ")});
    let noun = if names.len() == 1 {
        "property"
    } else {
        "properties"
    };
    let message = format!(
        "should have {noun} {} when property {property} is present",
        names.join(", ")
    );
    Some((params, message))
}
