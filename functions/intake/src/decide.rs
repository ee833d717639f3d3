//! Decides what becomes of each event. No I/O: everything it needs was gathered.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use eventstar_delivery::DEAD_LETTER_TOPIC;
use eventstar_event::json::quote;
use eventstar_event::partition::partition_of;
use eventstar_event::time::{Millis, to_iso};
use eventstar_event::{Envelope, EventText, JsonError, SchemaUri, StreamName, Topic};
use eventstar_http_api::{Access, Principal};
use eventstar_log::LogName;
use eventstar_ports::{Level, Platform};
use eventstar_stores::SchemaLookup;
use eventstar_stream_config::{Accept, Stream};
use eventstar_validation::Schema;
use serde_json::Value;

use crate::answer::{Failure, Outcome};
use crate::enrich::{self, Said};
use crate::enrollments;
use crate::gather::Gathered;
use crate::ids::delivery_id;
use crate::limits::{MAX_NAME_SHOWN, MAX_SCHEMAS};

/// Who sent the request, and what it says of all its events.
#[derive(Debug, Clone)]
pub(crate) struct Sender {
    pub(crate) principal: Principal,
    pub(crate) said: Said,
}

/// An event as received: compacted, parsed, its schema and stream named.
pub(crate) enum Received<'a> {
    /// An event that can be judged.
    Event(Box<Event>),
    /// One that cannot; `raw` is repeated in the answer.
    Refused { raw: &'a str, failure: Failure },
}

/// An event that can be judged.
pub(crate) struct Event {
    text: EventText,
    value: Value,
    uri: SchemaUri,
    stream: Option<String>,
}

impl Received<'_> {
    pub(crate) fn schema_uri(&self) -> Option<&SchemaUri> {
        match self {
            Self::Event(event) => Some(&event.uri),
            Self::Refused { .. } => None,
        }
    }

    pub(crate) fn stream(&self) -> Option<&str> {
        match self {
            Self::Event(event) => event.stream.as_deref(),
            Self::Refused { .. } => None,
        }
    }
}

/// What is to be done with an event.
pub(crate) enum Decided {
    /// Append or send it.
    Accept {
        log: LogName,
        accept: Accept,
        envelope: Envelope,
        answer: String,
        stream: Rc<Stream>,
    },
    /// Nothing: the answer tells why.
    Refuse(Outcome),
}

/// Reads each event's text.
pub(crate) fn receive<'a>(events: &[&'a str], said: &Said, max_bytes: usize) -> Vec<Received<'a>> {
    events
        .iter()
        .map(|raw| match read(raw, said, max_bytes) {
            Ok(event) => Received::Event(Box::new(event)),
            Err(failure) => Received::Refused { raw, failure },
        })
        .collect()
}

fn read(raw: &str, said: &Said, max_bytes: usize) -> Result<Event, Failure> {
    let mut text = match EventText::compact(raw) {
        Ok(text) => text,
        // EventGate's words for an element that is no object.
        Err(JsonError::NotEvents) => return Err(missing("$schema")),
        Err(error) => return Err(Failure::json(&error)),
    };
    if text.as_str().len() > max_bytes {
        return Err(Failure::TooLarge {
            bytes: text.as_str().len(),
            limit: max_bytes,
        });
    }
    let mut value = text.to_value().map_err(|error| Failure::json(&error))?;
    said.name(&mut text, &mut value);
    let uri = match value.get("$schema") {
        None | Some(Value::Null) => return Err(missing("$schema")),
        Some(Value::String(uri)) => uri,
        Some(_) => {
            return Err(Failure::client(
                "schema_uri_not_text",
                "$schema is no string: set it to the URI of the event's schema, for example /test/event/1.0.0",
            ));
        }
    };
    // EventGate's words: a URI that leads out of the repositories is a schema that cannot be loaded.
    let uri = SchemaUri::parse(uri).map_err(|_| {
        Failure::client(
            "unknown_schema",
            format!("Failed loading schema at {}", shorten(uri)),
        )
    })?;
    let stream = value
        .get("meta")
        .and_then(|meta| meta.get("stream"))
        .and_then(Value::as_str)
        .map(str::to_owned);
    Ok(Event {
        text,
        value,
        uri,
        stream,
    })
}

fn missing(field: &str) -> Failure {
    let message = format!("Field(s) {field} were missing from event and could not be extracted.");
    Failure::client("missing_field", message)
}

fn shorten(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(MAX_NAME_SHOWN) {
        Some((end, _)) => Cow::Owned(format!("{}…", text.get(..end).unwrap_or_default())),
        None => Cow::Borrowed(text),
    }
}

/// What is the same for all events of a request, looked up and written once.
struct Common {
    now: Millis,
    /// The receive time in ISO 8601, and that as a JSON text.
    iso: String,
    quoted: String,
    topic_prefix: Option<String>,
    event_service: Option<String>,
}

impl Common {
    fn of<P: Platform>(platform: &P) -> Self {
        let now = platform.now();
        let iso = to_iso(now);
        Self {
            now,
            quoted: quote(&iso),
            iso,
            topic_prefix: platform.get("TOPIC_PREFIX"),
            event_service: platform.get("EVENT_SERVICE"),
        }
    }
}

/// Decides for each event, in order.
pub(crate) fn decide<P: Platform>(
    platform: &P,
    sender: &Sender,
    gathered: &Gathered,
    received: Vec<Received<'_>>,
) -> Vec<Decided> {
    let common = Common::of(platform);
    received
        .into_iter()
        .map(|received| match received {
            Received::Refused { raw, failure } => {
                // What is no JSON object is repeated as it came; it was accepted as JSON before.
                Decided::Refuse(Outcome::failed(raw.to_owned(), failure))
            }
            Received::Event(event) => {
                let sent = event.text.clone();
                let stream = event.stream.as_deref().and_then(|stream| gathered.stream(stream));
                match judge(platform, sender, gathered, *event, &common) {
                    Ok(decided) => decided,
                    Err((schema, failure)) => Decided::Refuse(Outcome {
                        stream,
                        ..Outcome::failed(with_defaults(sent, schema), failure)
                    }),
                }
            }
        })
        .collect()
}

/// The event an answer repeats: as sent, with the schema's defaults, as EventGate's is.
fn with_defaults(mut sent: EventText, schema: Option<&Schema>) -> String {
    if let (Some(schema), Ok(mut value)) = (schema, sent.to_value()) {
        schema.fill_defaults(&mut value, &mut sent);
    }
    sent.into_string()
}

type Refusal<'g> = (Option<&'g Schema>, Failure);

fn judge<'g, P: Platform>(
    platform: &P,
    sender: &Sender,
    gathered: &'g Gathered,
    event: Event,
    common: &Common,
) -> Result<Decided, Refusal<'g>> {
    let Event {
        mut text,
        mut value,
        uri,
        stream,
    } = event;
    let id = delivery_id(platform, common.now, stream.as_deref(), &value, &text);
    let schema: &Schema = match gathered.schemas.get(&uri) {
        Some(Ok(SchemaLookup::Found(schema))) => schema,
        None => {
            let message = format!(
                "Failed loading schema at {uri}: the request names more than {MAX_SCHEMAS} different schemas; split it"
            );
            return Err((None, Failure::client("too_many_schemas", message)));
        }
        Some(Ok(SchemaLookup::Unknown)) => {
            let message = format!(
                "Failed loading schema at {uri}: no repository has it; publish the schema, or correct the event's $schema"
            );
            return Err((None, Failure::client("unknown_schema", message)));
        }
        Some(Ok(SchemaLookup::Broken(why))) => {
            let message = format!(
                "Failed loading schema at {uri}: it cannot be used, {why}; publish a corrected version"
            );
            return Err((None, Failure::client("broken_schema", message)));
        }
        // EventGate's words, to the byte: where the schema lacks a bound is in the log.
        Some(Ok(SchemaLookup::Insecure(why))) => {
            platform.log(Level::Warn, &format!("schema {uri} is not used: {why}"));
            let message = format!("Failed loading schema at {uri}");
            return Err((None, Failure::client("insecure_schema", message)));
        }
        Some(Err(error)) => return Err((None, Failure::ours(error))),
    };
    let config = match &stream {
        Some(stream) => Some(
            allowed(common, &sender.principal, gathered, schema, &uri, stream)
                .map_err(|failure| (None, failure))?,
        ),
        None => None,
    };
    enrich::fill(
        platform,
        schema,
        config.as_deref(),
        &sender.said,
        &mut text,
        &mut value,
        &common.iso,
    );
    if config.as_ref().is_some_and(|config| config.edge_uniques) {
        enrollments::hoist(schema, &sender.said, &mut text, &mut value)
            .map_err(|failure| (Some(schema), failure))?;
    }
    schema.fill_defaults(&mut value, &mut text);
    schema
        .validate(&value)
        .map_err(|errors| (Some(schema), Failure::Invalid(errors)))?;
    let (Some(stream), Some(config)) = (stream, config) else {
        return Err((Some(schema), missing("meta.stream")));
    };
    // A `meta.dt` that was sent has been validated as sent; what is stored is the receive time (T376026).
    if value.get("meta").is_some_and(|meta| meta.get("dt").is_some()) {
        text.set(&["meta", "dt"], &common.quoted);
    }
    let route = route(&config, &stream, common.topic_prefix.as_deref(), &text)
        .map_err(|failure| (Some(schema), failure))?;
    let envelope = Envelope {
        id,
        dt: common.now,
        stream,
        key: route.key,
        headers: BTreeMap::new(),
        event: text.as_str().to_owned(),
    };
    Ok(Decided::Accept {
        log: route.log,
        accept: config.accept,
        envelope,
        answer: text.into_string(),
        stream: config,
    })
}

/// Whether the schema may enter the stream, and the caller may produce to it. The texts are eventgate-wikimedia's,
/// with what to do added.
fn allowed(
    common: &Common,
    principal: &Principal,
    gathered: &Gathered,
    schema: &Schema,
    uri: &SchemaUri,
    stream: &str,
) -> Result<Rc<Stream>, Failure> {
    let configs = gathered.configs.as_ref().map_err(Failure::ours)?;
    let shown = shorten(stream);
    let about = || format!("event of schema at {uri} destined to stream {shown}");
    let reserved = stream == DEAD_LETTER_TOPIC || StreamName::parse(stream).is_err();
    let service = &common.event_service;
    let ours = |config: &Rc<Stream>| service.is_none() || config.event_service == *service;
    let Some(config) = configs
        .streams
        .stream(stream)
        .filter(|config| !reserved && ours(config))
    else {
        let message = format!(
            "{} is not allowed in stream; {shown} is not configured. Add it to the stream config, or correct meta.stream",
            about()
        );
        return Err(Failure::client("unknown_stream", message));
    };
    if config.token_required {
        match principal.produce(&config.tokens) {
            Access::Granted => {}
            Access::TokenMissing => return Err(Failure::token_missing(&shown)),
            Access::Refused => return Err(Failure::token_refused(&shown)),
        }
    }
    let Some(expected) = &config.schema_title else {
        let message = format!(
            "{} is not allowed in stream; {shown} does not have a schema_title setting. Set it in the stream config",
            about()
        );
        return Err(Failure::client("stream_without_schema_title", message));
    };
    match schema.title() {
        // A schema that calls itself (`$id`) otherwise than its folder goes by either name.
        Some(title) if title == expected || uri.title() == expected => Ok(config),
        Some(_) => {
            let message = format!(
                "{} is not allowed in stream; schema title must be {expected}. Use a schema of that title, or another stream",
                about()
            );
            Err(Failure::client("schema_not_allowed_in_stream", message))
        }
        None => {
            let message = format!("Schema at {uri} must define a 'title' field. From {}", about());
            Err(Failure::client("schema_without_title", message))
        }
    }
}

/// Where an event goes.
struct Route {
    log: LogName,
    key: Option<String>,
}

fn route(config: &Stream, stream: &str, prefix: Option<&str>, text: &EventText) -> Result<Route, Failure> {
    let topic = match prefix {
        // eventgate-wikimedia: legacy EventLogging topics never had a prefix.
        Some(prefix) if !stream.starts_with("eventlogging_") => format!("{prefix}{stream}"),
        Some(_) => stream.to_owned(),
        None => config
            .topics
            .first()
            .cloned()
            .unwrap_or_else(|| stream.to_owned()),
    };
    let topic = Topic::parse(&topic).map_err(|_| {
        let message = format!(
            "stream {stream} has no topic to produce to: '{}' is no topic name; correct topics or topic_prefixes in the stream config",
            shorten(&topic)
        );
        Failure::client("no_topic", message)
    })?;
    let key = message_key(config, text)?;
    let hashed = key
        .as_deref()
        .or_else(|| text.get(&["meta", "id"]))
        .unwrap_or(text.as_str());
    let partition = partition_of(hashed.as_bytes(), config.partitions);
    Ok(Route {
        log: LogName {
            topic,
            partition,
            epoch: config.log_epoch,
        },
        key,
    })
}

/// The message key: a JSON object of the fields the stream names (`message_key_fields`).
fn message_key(config: &Stream, text: &EventText) -> Result<Option<String>, Failure> {
    if config.message_key_fields.is_empty() {
        return Ok(None);
    }
    let mut members = Vec::with_capacity(config.message_key_fields.len());
    for (name, path) in &config.message_key_fields {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let Some(value) = text.get(&path) else {
            let message = format!(
                "Failed extracting {} from event, field is not defined.",
                path.join(".")
            );
            return Err(Failure::client("missing_key_field", message));
        };
        members.push(format!("{}:{value}", quote(name)));
    }
    Ok(Some(format!("{{{}}}", members.join(","))))
}
