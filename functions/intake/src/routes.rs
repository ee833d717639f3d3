//! What intake answers at: the one table that both the dispatch and `/?spec` are made of.

use serde_json::{Map, Value, json};

/// What answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    Events,
    TestEvents,
    Beacon,
    EventBusEvents,
    EventBusTopics,
    EventBusSchemas,
    Metrics,
    Ready,
    /// What every function has.
    Info,
    Spec,
}

/// A path and what it takes.
pub(crate) struct Route {
    /// The path; a last segment `{uri}` stands for any rest.
    pub(crate) path: &'static str,
    pub(crate) endpoint: Endpoint,
    /// The methods, as `Allow` lists them.
    pub(crate) allow: &'static str,
    summary: &'static str,
    parameters: &'static [&'static str],
    /// The statuses it answers with.
    responses: &'static [(u16, &'static str)],
}

const ACCEPTED_OR_NOT: &[(u16, &str)] = &[
    (201, "All events were accepted."),
    (
        202,
        "The events were received; they are validated and stored after the answer (hasty).",
    ),
    (207, "Some events were not accepted: Failures."),
    (
        400,
        "No event was accepted, and the fault is the client's: Failures, or Error for what is not JSON.",
    ),
    (401, "All events need a token."),
    (403, "The token may not produce to any of the streams."),
    (413, "The body or all events are too large."),
    (
        415,
        "The content type, charset or content encoding is not supported.",
    ),
    (
        503,
        "The events could not be stored now: send them again after Retry-After seconds.",
    ),
];

const PRODUCE: &[&str] = &["hasty", "schema_uri", "stream", "dry_run", "Prefer"];

const EVENTBUS: &[(u16, &str)] = &[
    (201, "All events were accepted."),
    (207, "Some events were not accepted: EventErrors."),
    (400, "No event was accepted: EventErrors."),
    (503, "The events could not be stored now."),
];

const FOUND: &[(u16, &str)] = &[(200, "It.")];
const FOUND_OR_NOT: &[(u16, &str)] = &[(200, "It."), (404, "There is none.")];

/// All routes.
pub(crate) const ROUTES: &[Route] = &[
    Route {
        path: "/v1/events",
        endpoint: Endpoint::Events,
        allow: "POST",
        summary: "Produce one event or an array of events.",
        parameters: PRODUCE,
        responses: ACCEPTED_OR_NOT,
    },
    Route {
        path: "/v2/events",
        endpoint: Endpoint::Events,
        allow: "POST",
        summary: "The same, for clients that use this path.",
        parameters: PRODUCE,
        responses: ACCEPTED_OR_NOT,
    },
    Route {
        path: "/v1/_test/events",
        endpoint: Endpoint::TestEvents,
        allow: "GET,HEAD",
        summary: "Produce the events of the setting TEST_EVENTS, as if they were posted.",
        parameters: &["hasty"],
        responses: ACCEPTED_OR_NOT,
    },
    Route {
        path: "/beacon/event",
        endpoint: Endpoint::Beacon,
        allow: "GET,HEAD,POST",
        summary: "The EventLogging beacon: the query is the percent-encoded JSON of a capsule, and ';'.",
        parameters: &[],
        responses: &[(204, "Always.")],
    },
    Route {
        path: "/beacon/event.gif",
        endpoint: Endpoint::Beacon,
        allow: "GET,HEAD,POST",
        summary: "The EventLogging beacon under its older name.",
        parameters: &[],
        responses: &[(204, "Always.")],
    },
    Route {
        path: "/event.gif",
        endpoint: Endpoint::Beacon,
        allow: "GET,HEAD,POST",
        summary: "The EventLogging beacon under its oldest name.",
        parameters: &[],
        responses: &[(204, "Always.")],
    },
    Route {
        path: "/eventbus/v1/events",
        endpoint: Endpoint::EventBusEvents,
        allow: "POST",
        summary: "Produce events that name a topic (meta.topic) and a schema (meta.schema_uri), as eventlogging-service took them.",
        parameters: &[],
        responses: EVENTBUS,
    },
    Route {
        path: "/eventbus/v1/topics",
        endpoint: Endpoint::EventBusTopics,
        allow: "GET,HEAD",
        summary: "The topics and the schema of each.",
        parameters: &[],
        responses: FOUND,
    },
    Route {
        path: "/eventbus/v1/schemas",
        endpoint: Endpoint::EventBusSchemas,
        allow: "GET,HEAD",
        summary: "All schemas, as name/version.",
        parameters: &[],
        responses: FOUND,
    },
    Route {
        path: "/eventbus/v1/schemas/{uri}",
        endpoint: Endpoint::EventBusSchemas,
        allow: "GET,HEAD",
        summary: "A schema; the latest version where the URI names none.",
        parameters: &["uri"],
        responses: FOUND_OR_NOT,
    },
    Route {
        path: "/",
        endpoint: Endpoint::Spec,
        allow: "GET,HEAD",
        summary: "This document.",
        parameters: &["spec"],
        responses: FOUND_OR_NOT,
    },
    Route {
        path: "/metrics",
        endpoint: Endpoint::Metrics,
        allow: "GET,HEAD",
        summary: "What all isolates counted, for Prometheus; needs the admin token.",
        parameters: &[],
        responses: &[
            (200, "It."),
            (401, "The admin token is missing."),
            (403, "It is another token."),
        ],
    },
    info("/_info", "Name, version, description and home."),
    info("/_info/name", "The name."),
    info("/_info/version", "The version."),
    info("/robots.txt", "Nothing here is for crawlers."),
    info("/healthz", "Whether the function answers."),
    Route {
        path: "/readyz",
        endpoint: Endpoint::Ready,
        allow: "GET,HEAD",
        summary: "Whether the function has all that its work takes.",
        parameters: &[],
        responses: &[(200, "It has."), (503, "What is missing, and why.")],
    },
];

const fn info(path: &'static str, summary: &'static str) -> Route {
    Route {
        path,
        endpoint: Endpoint::Info,
        allow: "GET,HEAD",
        summary,
        parameters: &[],
        responses: FOUND,
    }
}

/// The route of a path.
pub(crate) fn find(path: &str) -> Option<&'static Route> {
    let trimmed = path.trim_end_matches('/');
    ROUTES
        .iter()
        .find(|route| match route.path.strip_suffix("{uri}") {
            Some(prefix) => trimmed.len() > prefix.len() && trimmed.starts_with(prefix),
            None => route.path.trim_end_matches('/') == trimmed,
        })
}

/// The OpenAPI document.
pub(crate) fn spec() -> Value {
    let mut paths = Map::new();
    for route in ROUTES {
        let methods = route.allow.split(',').filter(|method| *method != "HEAD");
        let operations: Map<String, Value> = methods
            .map(|method| (method.to_ascii_lowercase(), operation(route, method)))
            .collect();
        paths.insert(route.path.to_owned(), Value::Object(operations));
    }
    json!({
        "openapi": "3.0.3",
        "info": {
            "title": "eventstar-intake",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Event intake: validates events and makes them durable.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "paths": paths,
        "components": {"parameters": parameters(), "schemas": schemas()},
    })
}

fn operation(route: &Route, method: &str) -> Value {
    let parameters: Vec<Value> = route
        .parameters
        .iter()
        .map(|name| json!({"$ref": format!("#/components/parameters/{name}")}))
        .collect();
    let responses: Map<String, Value> = route
        .responses
        .iter()
        .map(|(status, description)| (status.to_string(), json!({"description": description})))
        .collect();
    let mut operation = json!({"summary": route.summary, "parameters": parameters, "responses": responses});
    let takes_events = matches!(route.endpoint, Endpoint::Events | Endpoint::EventBusEvents);
    if let (true, "POST", Some(operation)) = (takes_events, method, operation.as_object_mut()) {
        let event = json!({"$ref": "#/components/schemas/Event"});
        let body = json!({"schema": {"oneOf": [event, {"type": "array", "items": event}]}});
        let mut content = Map::new();
        content.insert("application/json".to_owned(), body.clone());
        if route.endpoint == Endpoint::Events {
            content.insert("text/plain".to_owned(), body.clone());
            content.insert("application/reports+json".to_owned(), body);
        }
        operation.insert(
            "requestBody".to_owned(),
            json!({"required": true, "content": content}),
        );
    }
    operation
}

fn parameters() -> Value {
    let query = |name: &str, description: &str| json!({"name": name, "in": "query", "description": description, "schema": {"type": "string"}});
    json!({
        "hasty": query("hasty", "Any value: answer 202 before the events are validated and stored."),
        "schema_uri": query("schema_uri", "The schema URI of events without $schema."),
        "stream": query("stream", "The stream of events without meta.stream."),
        "dry_run": query("dry_run", "true: validate and answer what would become of each event, store nothing."),
        "spec": query("spec", "Any value, or none."),
        "Prefer": {
            "name": "Prefer", "in": "header", "schema": {"type": "string"},
            "description": "return=representation: answer what became of each event.",
        },
        "uri": {
            "name": "uri", "in": "path", "required": true, "schema": {"type": "string"},
            "description": "name, or name/version",
        },
    })
}

fn schemas() -> Value {
    let entries = json!({"type": "array", "items": {"type": "object", "properties": {
        "status": {"type": "string", "enum": ["invalid", "error"]},
        "event": {"description": "The event, with the defaults of its schema."},
        "context": {"type": "object", "description": "errors and errorsText of an invalid event, message of another."},
    }}});
    json!({
        "Event": {
            "type": "object",
            "required": ["$schema", "meta"],
            "properties": {
                "$schema": {"type": "string", "description": "Its schema's URI, for example /test/event/1.1.0."},
                "meta": {"type": "object", "required": ["stream"], "properties": {"stream": {"type": "string"}}},
            },
        },
        "Failures": {"type": "object", "properties": {"invalid": entries, "error": entries}},
        "Error": {"type": "object", "properties": {
            "status": {"type": "integer"}, "type": {"type": "string"}, "title": {"type": "string"},
            "detail": {"type": "string"}, "method": {"type": "string"}, "uri": {"type": "string"},
        }},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_find_their_routes() {
        for (path, expected) in [
            ("/v1/events", Some("/v1/events")),
            ("/v1/events/", Some("/v1/events")),
            ("/", Some("/")),
            ("/eventbus/v1/schemas", Some("/eventbus/v1/schemas")),
            ("/eventbus/v1/schemas/", Some("/eventbus/v1/schemas")),
            ("/eventbus/v1/schemas/a/b/1", Some("/eventbus/v1/schemas/{uri}")),
            ("/eventbus/v1/schemasx", None),
            ("/v1", None),
            ("/v1/events/x", None),
        ] {
            assert_eq!(find(path).map(|route| route.path), expected, "{path}");
        }
    }

    #[test]
    fn every_reference_of_the_document_leads_somewhere() {
        let spec = spec();
        let text = spec.to_string();
        let references: Vec<&str> = text
            .split("\"$ref\":\"#")
            .skip(1)
            .filter_map(|rest| rest.split('"').next())
            .collect();
        assert!(references.len() > 10);
        for reference in references {
            assert!(spec.pointer(reference).is_some(), "{reference}");
        }
    }
}
