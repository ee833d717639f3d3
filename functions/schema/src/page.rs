//! The page of a schema version: its fields, its examples, and the way to the versions before and after.

use eventstar_http_api::http_date;
use eventstar_stores::SchemaDocument;
use serde_json::Value;

use crate::html::Html;

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

/// The page of `document`, one of `versions`.
pub(crate) fn of(document: &SchemaDocument, versions: &[String]) -> String {
    let SchemaDocument { title, version, .. } = document;
    let schema: Value = serde_json::from_str(&document.json).unwrap_or_default();
    let mut html = Html::begin(&format!("{title} {version}"));
    let mut folders = vec![document.repository.as_str(), "jsonschema"];
    folders.extend(title.split('/'));
    html.crumbs(&folders, version, folders.len());
    html.raw("<h1>");
    html.name(title, '/');
    html.text(&format!(" {version}"));
    html.raw("</h1>\n");
    if let Some(description) = schema.get("description").and_then(Value::as_str) {
        html.element("p", description);
    }
    html.raw("<p>");
    html.link(&format!("{version}.yaml"), "YAML");
    html.raw(" · ");
    html.link(&format!("{version}.json"), "JSON");
    let at = versions.iter().position(|known| known == version);
    let before = at.and_then(|at| versions.get(at.checked_sub(1)?));
    let after = at.and_then(|at| versions.get(at + 1));
    for (name, other) in [("version before", before), ("version after", after)] {
        if let Some(other) = other {
            html.raw(&format!(" · {name}: "));
            html.link(other, other);
        }
    }
    html.raw("</p>\n<p><small>Published ");
    html.text(&http_date(document.published));
    if let Some(id) = schema.get("$id").and_then(Value::as_str) {
        html.raw(" · <code>$id</code> <code>");
        html.text(id);
        html.raw("</code>");
    }
    html.raw("</small></p>\n");
    html.element("h2", "Fields");
    html.raw("<table class=fields><thead><tr><th>Field<th>Type<th>Meaning</thead><tbody>\n");
    members(&mut html, &schema, "");
    html.raw("</tbody></table>\n");
    examples(&mut html, &schema);
    html.raw("<h2>Source</h2>\n<details><summary>The schema as published</summary><pre>");
    html.text(document.yaml.as_ref().unwrap_or(&document.json));
    html.raw("</pre></details>\n");
    html.end()
}

fn examples(html: &mut Html, schema: &Value) {
    let Some(Value::Array(examples)) = schema.get("examples") else {
        return;
    };
    html.element("h2", "Examples");
    for example in examples {
        html.raw("<pre>");
        html.text(&serde_json::to_string_pretty(example).unwrap_or_default());
        html.raw("</pre>\n");
    }
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
