//! The page of a schema version: its fields, its examples, and the way to the versions before and after.

use eventstar_http_api::http_date;
use eventstar_pages::{Html, fields_table};
use eventstar_stores::SchemaDocument;
use serde_json::Value;

use crate::crumbs;

/// The page of `document`, one of `versions`.
pub(crate) fn of(document: &SchemaDocument, versions: &[String]) -> String {
    let SchemaDocument { title, version, .. } = document;
    let schema: Value = serde_json::from_str(&document.json).unwrap_or_default();
    let mut html = Html::begin(&format!("{title} {version}"));
    let mut folders = vec![document.repository.as_str(), "jsonschema"];
    folders.extend(title.split('/'));
    crumbs::write(&mut html, &folders, version, folders.len());
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
    fields_table(&mut html, &schema);
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
