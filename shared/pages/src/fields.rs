//! The fields of a schema, as a table.

use serde_json::Value;

use crate::Html;

/// The keywords that a field's row tells, beside `type`, `enum` and `description`.
const BOUNDS: [&str; 14] = [
    "format",
    "pattern",
    "const",
    "default",
    "minimum",
    "exclusiveMinimum",
    "maximum",
    "exclusiveMaximum",
    "minLength",
    "maxLength",
    "minItems",
    "maxItems",
    "minProperties",
    "maxProperties",
];

/// Adds a table of all fields that `schema` names, with their types and meanings.
pub fn fields_table(html: &mut Html, schema: &Value) {
    html.raw("<table class=fields><thead><tr><th>Field<th>Type<th>Meaning</thead><tbody>\n");
    members(html, schema, "");
    html.raw("</tbody></table>\n");
}

/// Rows for all that is within a value of `schema`, which stands at `path`. Schemas nest no deeper than their JSON did.
fn members(html: &mut Html, schema: &Value, path: &str) {
    let required = schema.get("required").and_then(Value::as_array);
    let is_required = |name: &str| required.is_some_and(|names| names.iter().any(|known| known == name));
    let properties = schema.get("properties").and_then(Value::as_object);
    for (name, member) in properties.into_iter().flatten() {
        let dot = if path.is_empty() { "" } else { "." };
        row(html, member, &format!("{path}{dot}{name}"), is_required(name));
    }
    if let Some(values) = schema
        .get("additionalProperties")
        .filter(|values| values.is_object())
    {
        let dot = if path.is_empty() { "" } else { "." };
        row(html, values, &format!("{path}{dot}*"), false);
    }
    if let Some(items) = schema.get("items").filter(|items| items.is_object()) {
        row(html, items, &format!("{path}[]"), false);
    }
}

fn row(html: &mut Html, schema: &Value, path: &str, is_required: bool) {
    html.raw("<tr><td><code>");
    html.name(path, '.');
    html.raw("</code>");
    if is_required {
        html.raw("<small>required</small>");
    }
    html.raw("<td>");
    html.text(&match schema.get("type") {
        Some(Value::String(name)) => name.clone(),
        Some(Value::Array(names)) => listed(names, " or "),
        _ => "any".to_owned(),
    });
    html.raw("<td>");
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        html.element("p", description);
    }
    let mut bounds: Vec<String> = BOUNDS
        .iter()
        .filter_map(|keyword| Some(format!("{keyword} {}", shown(schema.get(*keyword)?))))
        .collect();
    if let Some(Value::Array(values)) = schema.get("enum") {
        bounds.push(format!("one of {}", listed(values, ", ")));
    }
    if !bounds.is_empty() {
        html.element("small", &bounds.join(" · "));
    }
    html.raw("\n");
    members(html, schema, path);
}

fn listed(values: &[Value], between: &str) -> String {
    values.iter().map(shown).collect::<Vec<_>>().join(between)
}

/// Texts without quotes.
fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}
