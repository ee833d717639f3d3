//! The OpenAPI document.

use std::collections::BTreeMap;
use std::rc::Rc;

use serde_json::{Map, Value, json};

use super::catalog::{Catalog, Document, Readable, Shape};

/// The parameters of a stream: name, where it stands, the JSON type of its value, and what it does.
const PARAMETERS: [(&str, &str, &str, &str); 10] = [
    (
        "since",
        "query",
        "string",
        "Start with events of this time: ISO 8601, an HTTP date, milliseconds since the epoch, or a time ago such as `-5m`. Without it, with what comes next.",
    ),
    (
        "Last-Event-ID",
        "header",
        "string",
        "Go on after the event with this id; it goes before `since`. EventSource sends it by itself.",
    ),
    (
        "last_event_id",
        "query",
        "string",
        "The same for those who cannot send the header; `lastEventId` and `evs_last_event_id` are other names of it.",
    ),
    (
        "filter",
        "query",
        "string",
        "Send only events for which this expression holds.",
    ),
    (
        "fields",
        "query",
        "string",
        "Send only these fields of events: a comma list.",
    ),
    (
        "canary",
        "query",
        "boolean",
        "`false` leaves out canary events, which only show that a stream works.",
    ),
    (
        "domain",
        "query",
        "string",
        "Send only events of these domains (`meta.domain`): a comma list.",
    ),
    (
        "wiki",
        "query",
        "string",
        "Send only events of these wikis: a comma list.",
    ),
    (
        "until",
        "query",
        "string",
        "End with the events before this time, given as for `since`.",
    ),
    ("limit", "query", "integer", "End after this many events."),
];

/// The names that schemas have in the document, by title and version.
type Names<'c> = BTreeMap<(&'c str, &'c str), String>;

/// The document; `base` is the path that everything is below, `` or `/sse-relay`.
pub(crate) fn of(catalog: &Catalog, base: &str) -> Value {
    let names = names(catalog);
    let mut paths = Map::new();
    paths.insert("/v2/stream/{streams}".to_owned(), any_streams(catalog));
    for (stream, shape) in &catalog.streams {
        paths.insert(
            format!("/v2/stream/{}", stream.name),
            one_stream(stream, shape, &names),
        );
    }
    let parameters: Map<String, Value> = PARAMETERS
        .iter()
        .map(|(name, place, kind, description)| {
            let parameter =
                json!({"name": name, "in": place, "description": description, "schema": {"type": kind}});
            ((*name).to_owned(), parameter)
        })
        .collect();
    let server = if base.is_empty() { "/" } else { base };
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "eventstar-sse-relay",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Streams events as Server-Sent Events.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "servers": [{"url": server}],
        // That of the schemas; what the document itself says of its parameters means the same in it.
        "jsonSchemaDialect": "http://json-schema.org/draft-07/schema#",
        "paths": paths,
        "components": {"parameters": parameters, "schemas": schemas(catalog, &names)},
    })
}

fn any_streams(catalog: &Catalog) -> Value {
    let names: Vec<&str> = catalog
        .streams
        .iter()
        .map(|(stream, _)| stream.name.as_str())
        .collect();
    // An enum must not be empty.
    let item = match names.as_slice() {
        [] => json!({"type": "string"}),
        names => json!({"type": "string", "enum": names}),
    };
    let content = content(&json!({"type": "object"}), None);
    let mut operation = operation("Events of one or more streams.", &content);
    let streams = json!({
        "name": "streams", "in": "path", "required": true, "style": "simple", "explode": false,
        "description": "Comma list of streams.",
        "schema": {"type": "array", "minItems": 1, "items": item},
    });
    if let Some(Value::Array(parameters)) = operation.get_mut("parameters") {
        parameters.insert(0, streams);
    }
    json!({"get": operation})
}

fn one_stream(stream: &Readable, shape: &Shape, names: &Names<'_>) -> Value {
    let content = match shape {
        Shape::Known(document) => {
            let name = names.get(&key(document)).map_or("", String::as_str);
            let example = document.schema.pointer("/examples/0");
            content(&json!({"$ref": format!("#/components/schemas/{name}")}), example)
        }
        Shape::Unknown(_) => content(&json!({"type": "object"}), None),
    };
    let mut operation = operation(&format!("Events of {}.", stream.name), &content);
    if let Some(operation) = operation.as_object_mut() {
        operation.insert("description".to_owned(), described(stream, shape).into());
    }
    json!({"get": operation})
}

/// What the stream config says of a stream, the title of its schema, and why that is not shown where it is not.
fn described(stream: &Readable, shape: &Shape) -> String {
    let title = stream
        .title
        .as_ref()
        .map(|title| format!("Schema title: {title}"));
    let missing = match shape {
        Shape::Known(_) => None,
        Shape::Unknown(why) => Some((*why).to_owned()),
    };
    let texts = [stream.description.clone(), title, missing];
    texts.into_iter().flatten().collect::<Vec<_>>().join("\n\n")
}

fn operation(summary: &str, content: &Value) -> Value {
    let parameters: Vec<Value> = PARAMETERS
        .iter()
        .map(|(name, ..)| json!({"$ref": format!("#/components/parameters/{name}")}))
        .collect();
    json!({
        "summary": summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Events for as long as the connection is open.", "content": content},
            "400": {"description": "An unknown stream, or a parameter that cannot be obeyed."},
            "503": {"description": "Streams cannot be read now: come back after Retry-After."},
        },
    })
}

fn content(schema: &Value, example: Option<&Value>) -> Value {
    let mut shown = json!({"schema": schema});
    if let (Some(shown), Some(example)) = (shown.as_object_mut(), example) {
        shown.insert("example".to_owned(), example.clone());
    }
    json!({"text/event-stream": shown, "application/json": shown, "application/x-ndjson": shown})
}

fn key(document: &Document) -> (&str, &str) {
    (&document.title, &document.version)
}

fn documents(catalog: &Catalog) -> impl Iterator<Item = &Rc<Document>> {
    catalog.streams.iter().filter_map(|(_, shape)| match shape {
        Shape::Known(document) => Some(document),
        Shape::Unknown(_) => None,
    })
}

/// Each schema's title and version, in the letters that names of components have.
fn names(catalog: &Catalog) -> Names<'_> {
    let mut names = Names::new();
    for document in documents(catalog) {
        let fits = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
        let mut name: String = format!("{}.{}", document.title, document.version)
            .chars()
            .map(|letter| if fits(letter) { letter } else { '.' })
            .collect();
        // Titles that only differ in other letters.
        while names
            .iter()
            .any(|(known, taken)| *known != key(document) && *taken == name)
        {
            name.push('_');
        }
        names.insert(key(document), name);
    }
    names
}

fn schemas(catalog: &Catalog, names: &Names<'_>) -> Map<String, Value> {
    let mut schemas = Map::new();
    for document in documents(catalog) {
        let Some(name) = names.get(&key(document)) else {
            continue;
        };
        schemas
            .entry(name.as_str())
            .or_insert_with(|| component(name, &document.schema));
    }
    schemas
}

/// A schema as a part of the document: its references are to itself, and it is no document of its own.
fn component(name: &str, schema: &Value) -> Value {
    let mut schema = schema.clone();
    if let Some(members) = schema.as_object_mut() {
        for member in ["$schema", "$id", "examples"] {
            members.shift_remove(member);
        }
    }
    lead_into(&mut schema, &format!("#/components/schemas/{name}"));
    schema
}

fn lead_into(schema: &mut Value, pointer: &str) {
    match schema {
        Value::Object(members) => {
            for (member, value) in members {
                match value {
                    Value::String(reference) if member == "$ref" => {
                        if let Some(below) = reference.strip_prefix('#') {
                            *reference = format!("{pointer}{below}");
                        }
                    }
                    value => lead_into(value, pointer),
                }
            }
        }
        Value::Array(values) => values.iter_mut().for_each(|value| lead_into(value, pointer)),
        _ => {}
    }
}
