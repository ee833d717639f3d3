//! The description of the API for people.

use eventstar_pages::{Html, fields_table};
use serde_json::Value;

use super::catalog::{Catalog, Document, Readable, Shape};

/// Most streams that are described on one page; where there are more, each has a page of its own.
const MAX_TOGETHER: usize = 50;

/// The page of all streams, or of the one called `stream`. `origin` is where streams are read.
pub(crate) fn of(catalog: &Catalog, origin: &str, stream: Option<&str>) -> String {
    let mut html = Html::begin("Streams");
    let found = stream.and_then(|name| catalog.streams.iter().find(|(stream, _)| stream.name == name));
    if let Some((stream, shape)) = found {
        html.raw("<nav>");
        html.link("?doc", "Streams");
        html.raw("</nav>\n");
        section(&mut html, origin, stream, shape, "open");
        return html.end();
    }
    html.raw("<nav>");
    html.link("v2/ui/", "Watch");
    html.raw(" · ");
    html.link("?spec", "OpenAPI");
    html.raw("</nav>\n");
    html.element("h1", "Streams");
    if catalog.streams.is_empty() {
        html.element(
            "p",
            "No stream can be read: the setting ALLOWED_STREAMS names those that can.",
        );
    }
    let is_together = catalog.streams.len() <= MAX_TOGETHER;
    html.raw("<table><tbody>\n");
    for (stream, _) in &catalog.streams {
        let to = if is_together { "#" } else { "?doc&stream=" };
        html.raw("<tr><td class=f><code>");
        html.link(&format!("{to}{}", stream.name), &stream.name);
        html.raw("</code>");
        html.element("td", stream.description.as_deref().unwrap_or_default());
    }
    html.raw("</tbody></table>\n");
    html.element("h2", "Several streams over one connection");
    watching(&mut html, origin, &some(catalog));
    if is_together {
        for (stream, shape) in &catalog.streams {
            section(&mut html, origin, stream, shape, "");
        }
    }
    html.end()
}

/// The first two streams, for an example.
fn some(catalog: &Catalog) -> String {
    let names: Vec<&str> = catalog
        .streams
        .iter()
        .filter(|(stream, _)| !stream.is_alias)
        .map(|(stream, _)| stream.name.as_str())
        .take(2)
        .collect();
    names.join(",")
}

fn section(html: &mut Html, origin: &str, stream: &Readable, shape: &Shape, open: &str) {
    html.raw("<h2 id=\"");
    html.text(&stream.name);
    html.raw("\">");
    html.text(&stream.name);
    html.raw("</h2>\n");
    if let Some(description) = &stream.description {
        html.element("p", description);
    }
    html.raw("<p>");
    html.link(&format!("v2/ui/#/?streams={}", stream.name), "Watch it");
    if let Some(title) = &stream.title {
        html.raw(" · Schema title: <code>");
        html.text(title);
        html.raw("</code>");
    }
    html.raw("</p>\n");
    watching(html, origin, &stream.name);
    match shape {
        Shape::Unknown(why) => html.element("p", why),
        Shape::Known(document) => events(html, document, open),
    }
}

/// The fields of a stream's events, and one of them.
fn events(html: &mut Html, document: &Document, open: &str) {
    html.raw(&format!("<details {open}><summary>Fields, as of "));
    html.text(&document.version);
    html.raw("</summary>\n");
    fields_table(html, &document.schema);
    html.raw("</details>\n");
    if let Some(example) = document.schema.pointer("/examples/0") {
        html.raw(&format!("<details {open}><summary>An event</summary>"));
        preformatted(html, &pretty(example));
        html.raw("</details>\n");
    }
}

fn pretty(value: &Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default()
}

/// How to watch `streams` from a terminal and from a script.
fn watching(html: &mut Html, origin: &str, streams: &str) {
    let url = format!("{origin}/v2/stream/{streams}");
    preformatted(
        html,
        &format!(
            "curl -N '{url}'\n\nconst events = new EventSource('{url}');\nevents.onmessage = ({{data}}) => console.log(JSON.parse(data));"
        ),
    );
}

fn preformatted(html: &mut Html, text: &str) {
    html.raw("<pre>");
    html.text(text);
    html.raw("</pre>\n");
}
