//! eventlogging-service-eventbus: events that name a topic and a schema by name and revision.
//!
//! `meta.topic` is the stream, `meta.schema_uri` (`<name>/<revision>`) the schema: revision 2 of the original is version
//! 2.0.0 here. An event without a schema URI is one of its topic's schema, in its latest version; what was taken for it
//! is written back. What could not be accepted is answered as EventErrors. Source: EventLogging `service.py:194-428`.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_event::document::Kind;
use eventstar_event::json::quote;
use eventstar_event::{Document, JsonError, MAX_EVENT_BYTES, SchemaUri, StreamName};
use eventstar_http_api::{
    Principal, Request, Response, decode_segment, empty, error, large_json, preferred, retry_after, text,
    unavailable,
};
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{Configs, IndexDocument, SchemaDocument, decode, keys, read_through};
use eventstar_validation::errors_text;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue};
use serde::Serialize;
use serde_json::{Map, Value};

use crate::answer::{self, Failure, Outcome};
use crate::decide::{Sender, check_size};
use crate::errors::{self, Refused, Repeated};
use crate::gather::shorten;
use crate::limits::max_event_bytes;
use crate::said::Said;
use crate::{Isolate, body, process};

/// The original says in the reason phrase how many events were accepted, which HTTP/2 has none of.
const MESSAGE: HeaderName = HeaderName::from_static("x-eventbus-message");

/// The revision of the schema of EventErrors on meta.wikimedia.org.
const EVENT_ERROR_REVISION: u32 = 14_035_058;

/// `POST /eventbus/v1/events`.
pub(crate) async fn produce<P: Platform>(
    isolate: &Rc<Isolate>,
    platform: &P,
    request: &Request,
    body: Bytes,
) -> Response {
    let refuse = |kind, title, detail: &str| error(request, StatusCode::BAD_REQUEST, kind, title, detail);
    let content_type = request
        .headers()
        .get(CONTENT_TYPE)
        .map_or("", |value| value.to_str().unwrap_or("?"));
    if !body::media_type(content_type).eq_ignore_ascii_case("application/json") {
        let detail = format!("Cannot produce messages of type {content_type}. Use application/json");
        return refuse("unsupported_type", "Unsupported Type", &detail);
    }
    let decoded = match body::decode(request, body, &isolate.metrics) {
        Ok(decoded) => decoded,
        Err(refusal) => return refusal,
    };
    if decoded.is_empty() {
        return refuse("empty_body", "Empty Body", "Must provide body in request.");
    }
    let raws = match body::split(request, &decoded) {
        Ok(raws) => raws,
        Err(refusal) => return refusal,
    };
    let max_bytes = max_event_bytes(platform);
    // What is no name of a stream is not configured, whatever it is.
    let topics: BTreeSet<String> = raws
        .iter()
        .filter_map(|raw| topic_of(&small(raw, max_bytes)?))
        .filter(|topic| StreamName::parse(topic).is_ok())
        .collect();
    let configs = match isolate
        .configs
        .with_streams(
            platform,
            &isolate.version.from_now(),
            topics.iter().map(String::as_str),
        )
        .await
    {
        Ok(configs) => configs,
        Err(port_error) => return unreadable(platform, request, &port_error),
    };
    let sender = Sender {
        principal: Principal::of(request.headers(), platform),
        said: Said::by_headers(request, platform),
    };
    let mut outcomes: Vec<Option<Outcome>> = Vec::with_capacity(raws.len());
    let mut converted = Vec::with_capacity(raws.len());
    for raw in &raws {
        match convert(raw, &configs, max_bytes) {
            Ok(event) => {
                outcomes.push(None);
                converted.push(event);
            }
            Err(failure) => outcomes.push(Some(Outcome::failed(*raw, failure))),
        }
    }
    let texts: Vec<&str> = converted.iter().map(String::as_str).collect();
    let mut processed = process(isolate, platform, &sender, &texts, false)
        .await
        .into_iter();
    let outcomes: Vec<Outcome> = outcomes
        .into_iter()
        .filter_map(|outcome| outcome.or_else(|| processed.next()))
        .collect();
    answer::log_failures(platform, &outcomes);
    let refused = raws
        .iter()
        .zip(&outcomes)
        .map(|(raw, outcome)| Refused { raw, outcome });
    errors::report(isolate, platform, &sender.said, refused, true);
    respond(platform, request, &raws, &outcomes)
}

fn respond<P: Platform>(
    platform: &P,
    request: &Request,
    raws: &[&str],
    outcomes: &[Outcome<'_>],
) -> Response {
    let failures: Vec<&Failure> = outcomes
        .iter()
        .filter_map(|outcome| outcome.failure.as_ref())
        .collect();
    let total = outcomes.len();
    let accepted = total - failures.len();
    let status = answer::status(total, &failures);
    let (mut response, message) = if failures.is_empty() {
        (empty(status), format!("All {total} events were accepted."))
    } else {
        let host = request
            .headers()
            .get(HOST)
            .and_then(|host| host.to_str().ok())
            .unwrap_or_default();
        let mut repeated = Repeated::default();
        let errors: Vec<EventError<'_>> = raws
            .iter()
            .zip(outcomes)
            .filter_map(|(raw, outcome)| {
                let error = event_error(platform, host, raw, outcome)?;
                // What is too large to be read is too large to be repeated.
                let raw_event = repeated.beginning(raw, MAX_EVENT_BYTES);
                Some(EventError {
                    event: Errored {
                        raw_event,
                        ..error.event
                    },
                    ..error
                })
            })
            .collect();
        (
            large_json(status, &errors),
            format!("{accepted} out of {total} events were accepted."),
        )
    };
    if let Ok(message) = HeaderValue::from_str(&message) {
        response.headers_mut().insert(MESSAGE, message);
    }
    if status == StatusCode::SERVICE_UNAVAILABLE {
        let [random, ..] = platform.random();
        retry_after(&mut response, random);
    }
    response
}

/// The event, unless it is too large to be read.
fn small(raw: &str, max_bytes: usize) -> Option<Document<'_>> {
    check_size(raw, max_bytes).ok()?;
    Document::parse(raw).ok()
}

fn topic_of(event: &Document<'_>) -> Option<String> {
    let topic = event
        .get_str(&["meta", "topic"])
        .or_else(|| event.get_str(&["topic"]));
    topic.map(Cow::into_owned)
}

/// The event with the stream and schema URI that its topic and schema name mean.
fn convert(raw: &str, configs: &Configs, max_bytes: usize) -> Result<String, Failure> {
    check_size(raw, max_bytes)?;
    let mut event = Document::parse(raw).map_err(|error| match error {
        JsonError::NotEvents => {
            Failure::client("not_an_object", "an event is a JSON object: send objects only")
        }
        error => Failure::json(&error),
    })?;
    let topic = topic_of(&event).ok_or_else(|| {
        Failure::client(
            "missing_topic",
            "Could not get topic from the event. Set meta.topic",
        )
    })?;
    let config = StreamName::parse(&topic)
        .ok()
        .and_then(|topic| configs.streams.stream(topic.as_str()));
    let Some(stream) = config else {
        return Err(Failure::client(
            "unknown_stream",
            format!("Topic {} not configured", shorten(&topic)),
        ));
    };
    let (name, version) = match schema_of(&event) {
        Some(named) => named,
        None => {
            let title = stream.schema_title.clone().ok_or_else(|| {
                let message = format!("Could not find schema for provided topic in the event. Set schema_title of {topic} in the stream config");
                Failure::client("stream_without_schema_title", message)
            })?;
            (title, None)
        }
    };
    let version = version.unwrap_or_else(|| "latest".to_owned());
    let encapsulated = event
        .get(&["meta"])
        .is_none_or(|meta| meta.kind() != Kind::Object);
    if encapsulated {
        event.set(&["meta"], "{}");
    } else {
        event.set(&["meta", "schema_uri"], &quote(&format!("{name}/{version}")));
    }
    if event.get(&["$schema"]).is_none() {
        event.set(&["$schema"], &quote(&format!("/{name}/{version}")));
    }
    event.set(&["meta", "stream"], &quote(&topic));
    Ok(event.into_string())
}

/// The schema an event names, and the version if it names one: `meta.schema_uri`, else `schema` and `revision`.
fn schema_of(event: &Document<'_>) -> Option<(String, Option<String>)> {
    if let Some(uri) = event.get_str(&["meta", "schema_uri"]) {
        return Some(name_and_version(&uri));
    }
    let name = event.get_str(&["schema"])?;
    let revision = event
        .get(&["revision"])
        .and_then(|revision| version_of(&revision.text()));
    Some((name.into_owned(), revision))
}

/// `name/revision` or `name`, with an extension or without.
fn name_and_version(uri: &str) -> (String, Option<String>) {
    let uri = uri.trim_matches('/');
    let named = uri.rsplit_once('/').and_then(|(name, last)| {
        let bare = [".yaml", ".yml", ".json"]
            .iter()
            .find_map(|extension| last.strip_suffix(extension));
        Some((name.to_owned(), Some(version_of(bare.unwrap_or(last))?)))
    });
    named.unwrap_or_else(|| (uri.to_owned(), None))
}

/// The version a revision means: `2` is `2.0.0`.
fn version_of(revision: &str) -> Option<String> {
    let parts: Vec<&str> = revision.split('.').collect();
    let numbers = parts
        .iter()
        .all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()));
    match (numbers, parts.len(), revision) {
        (true, 1, _) => Some(format!("{revision}.0.0")),
        (true, 3, _) | (_, _, "latest") => Some(revision.to_owned()),
        _ => None,
    }
}

/// An EventError (`event.py:255-310`).
#[derive(Serialize)]
struct EventError<'a> {
    schema: &'static str,
    revision: u32,
    wiki: &'static str,
    uuid: String,
    #[serde(rename = "recvFrom")]
    recv_from: &'a str,
    timestamp: u64,
    event: Errored<'a>,
}

#[derive(Serialize)]
struct Errored<'a> {
    /// The event as received.
    #[serde(rename = "rawEvent")]
    raw_event: &'a str,
    message: String,
    code: &'static str,
    schema: String,
    revision: Value,
}

/// The EventError of a refused event.
fn event_error<'a, P: Platform>(
    platform: &P,
    host: &'a str,
    raw: &'a str,
    outcome: &Outcome<'_>,
) -> Option<EventError<'a>> {
    let failure = outcome.failure.as_ref()?;
    let event = small(raw, max_event_bytes(platform));
    let named = event.as_ref().and_then(schema_of);
    let (name, version) = named.map_or(("unknown".to_owned(), None), |(name, version)| {
        (shorten(&name).into_owned(), version)
    });
    let revision = match &version {
        Some(version) => match version
            .strip_suffix(".0.0")
            .and_then(|major| major.parse::<u32>().ok())
        {
            Some(major) => Value::from(major),
            None => Value::from(shorten(version).as_ref()),
        },
        None => Value::from(-1),
    };
    let id = event
        .as_ref()
        .and_then(|event| event.get_str(&["meta", "id"]))
        .unwrap_or(Cow::Borrowed("unknown"));
    let about = format!("<Event {} of schema ({name}, {revision})>", shorten(&id));
    let message = match failure {
        Failure::Invalid(errors) => {
            let path = errors
                .first()
                .map_or("", |error| error.pointer.trim_start_matches('/'));
            format!(
                "Failed validating at path {path}: {about}. {}",
                errors_text(errors)
            )
        }
        Failure::Client {
            code: "schema_not_allowed_in_stream",
            ..
        } => {
            let topic = event.as_ref().and_then(topic_of).unwrap_or_default();
            let expected = outcome
                .stream
                .as_ref()
                .and_then(|stream| stream.schema_title.clone())
                .unwrap_or_default();
            format!(
                "Events of schema {name} are not allowed in topic {}. Expected schema {expected}",
                shorten(&topic)
            )
        }
        Failure::Client {
            code: "unknown_schema",
            message,
        } => {
            format!("Could not find schema for provided topic in {about}. {message}")
        }
        Failure::Ours { .. } => format!("Failed sending event {about}. {}", failure.message()),
        other => other.message(),
    };
    let id = uuid::Builder::from_random_bytes(platform.random())
        .into_uuid()
        .simple()
        .to_string();
    Some(EventError {
        schema: "EventError",
        revision: EVENT_ERROR_REVISION,
        wiki: "",
        uuid: id,
        recv_from: host,
        timestamp: platform.now() / 1000,
        event: Errored {
            raw_event: raw,
            message,
            code: "validation",
            schema: name,
            revision,
        },
    })
}

/// `GET /eventbus/v1/topics`.
pub(crate) async fn topics<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let configs = match isolate.configs.current(platform).await {
        Ok(configs) => configs,
        Err(port_error) => return unreadable(platform, request, &port_error),
    };
    let topics: Map<String, Value> = configs
        .streams
        .entries()
        .map(|(name, stream)| {
            (
                name.to_owned(),
                serde_json::json!({"schema_name": stream.schema_title}),
            )
        })
        .collect();
    negotiated(request.headers(), Value::Object(topics).to_string(), None)
}

/// `GET /eventbus/v1/schemas`, and `/eventbus/v1/schemas/<name>[/<revision>]`.
pub(crate) async fn schemas<P: Platform>(platform: &P, request: &Request, path: &str) -> Response {
    let uri = path
        .trim_end_matches('/')
        .strip_prefix("/eventbus/v1/schemas")
        .unwrap_or_default();
    let answer = match uri {
        "" => list(platform, request).await,
        uri => schema(platform, request, uri).await,
    };
    answer.unwrap_or_else(|port_error| unreadable(platform, request, &port_error))
}

async fn list<P: Platform>(platform: &P, request: &Request) -> Result<Response, PortError> {
    let repositories: Vec<String> = match read_through(platform, keys::REPOSITORIES).await? {
        Some(value) => decode(keys::REPOSITORIES, &value)?,
        None => Vec::new(),
    };
    let mut uris = BTreeSet::new();
    for repository in &repositories {
        let key = keys::index(repository);
        if let Some(value) = read_through(platform, &key).await? {
            let index: IndexDocument = decode(&key, &value)?;
            for (title, versions) in index.titles {
                uris.extend(versions.into_iter().map(|version| format!("{title}/{version}")));
            }
        }
    }
    let uris: Vec<Value> = uris.into_iter().map(Value::from).collect();
    Ok(negotiated(
        request.headers(),
        Value::Array(uris).to_string(),
        None,
    ))
}

async fn schema<P: Platform>(platform: &P, request: &Request, asked: &str) -> Result<Response, PortError> {
    let asked = decode_segment(asked.trim_start_matches('/')).unwrap_or_default();
    let (name, version) = name_and_version(&asked);
    let uri = SchemaUri::parse(&format!("/{name}/{}", version.as_deref().unwrap_or("latest")));
    let document = match uri.map(|uri| keys::uri(&uri)) {
        Ok(key) => match read_through(platform, &key).await? {
            Some(value) => Some(decode::<SchemaDocument>(&key, &value)?),
            None => None,
        },
        Err(_) => None,
    };
    Ok(match document {
        Some(document) => negotiated(request.headers(), document.json, document.yaml),
        None => {
            let message = format!("No schema exists at schema_uri {asked}\n");
            text(StatusCode::NOT_FOUND, "text/plain; charset=utf-8", message)
        }
    })
}

/// As YAML for those who would rather have it (JSON is YAML, where there is no other text), as JSON for the rest.
fn negotiated(headers: &HeaderMap, json: String, yaml: Option<String>) -> Response {
    match preferred(
        headers,
        &["application/json", "application/x-yaml", "application/yaml"],
    ) {
        Some("application/x-yaml" | "application/yaml") => text(
            StatusCode::OK,
            "application/x-yaml; charset=UTF-8",
            yaml.unwrap_or(json),
        ),
        _ => text(StatusCode::OK, "application/json; charset=UTF-8", json),
    }
}

fn unreadable<P: Platform>(platform: &P, request: &Request, port_error: &PortError) -> Response {
    unavailable(
        platform,
        request,
        &port_error.to_string(),
        "streams and schemas cannot be read now: try again",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EventLogging `tests/test_schema.py:56-139,250-297`.
    #[test]
    fn schema_uris_name_a_schema_and_perhaps_a_version() {
        for (uri, name, version) in [
            ("test_event/1", "test_event", Some("1.0.0")),
            ("/test_event/1.yaml", "test_event", Some("1.0.0")),
            ("mediawiki/page/create/3", "mediawiki/page/create", Some("3.0.0")),
            (
                "mediawiki/page/create/1.2.3",
                "mediawiki/page/create",
                Some("1.2.3"),
            ),
            (
                "mediawiki/page/create/1.2.3.json",
                "mediawiki/page/create",
                Some("1.2.3"),
            ),
            ("mediawiki/page/create", "mediawiki/page/create", None),
            ("test_event", "test_event", None),
            ("test_event/latest", "test_event", Some("latest")),
        ] {
            assert_eq!(
                name_and_version(uri),
                (name.to_owned(), version.map(str::to_owned)),
                "{uri}"
            );
        }
    }
}
