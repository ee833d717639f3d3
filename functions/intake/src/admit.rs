//! Whether events of a schema may enter a stream, and the caller may produce to it: judged once for all of them.

use std::rc::Rc;

use eventstar_delivery::DEAD_LETTER_TOPIC;
use eventstar_event::{SchemaUri, Topic};
use eventstar_http_api::{Access, Principal};
use eventstar_ports::{Level, Platform};
use eventstar_stores::SchemaLookup;
use eventstar_stream_config::Stream;
use eventstar_validation::Schema;

use crate::answer::Failure;
use crate::gather::{Gathered, Named, shorten};
use crate::limits::MAX_SCHEMAS;
use crate::plan::{Plan, PlanCache};

/// What was found and judged for events of one schema and stream.
pub(crate) struct Target {
    /// The settings of the stream, where it is configured.
    pub(crate) stream: Option<Rc<Stream>>,
    pub(crate) verdict: Result<Admitted, Failure>,
}

/// What events are validated with, and where they go.
pub(crate) struct Admitted {
    pub(crate) schema: Rc<Schema>,
    pub(crate) plan: Rc<Plan>,
    /// `None` for events that name no stream.
    pub(crate) destination: Option<Destination>,
}

/// Where events go.
pub(crate) struct Destination {
    pub(crate) name: String,
    pub(crate) config: Rc<Stream>,
    pub(crate) topic: Result<Topic, Failure>,
}

/// Settings of the deployment that the judgement needs.
pub(crate) struct Rules {
    pub(crate) topic_prefix: Option<String>,
    pub(crate) event_service: Option<String>,
}

/// Judges what events of `named` may do.
pub(crate) fn admit<P: Platform>(
    platform: &P,
    plans: &PlanCache,
    principal: &Principal,
    rules: &Rules,
    gathered: &Gathered,
    named: &Named,
) -> Target {
    let stream = named.stream.as_deref().and_then(|stream| gathered.stream(stream));
    let verdict = (|| {
        let uri = named.uri.as_ref().map_err(Failure::clone)?;
        let schema = schema(platform, gathered, uri)?;
        let destination = match &named.stream {
            Some(name) => {
                let config = allowed(rules, principal, gathered, &schema, uri, name)?;
                Some(Destination {
                    topic: topic(&config, name, rules.topic_prefix.as_deref()),
                    name: name.clone(),
                    config,
                })
            }
            None => None,
        };
        let config = destination.as_ref().map(|destination| &destination.config);
        Ok(Admitted {
            plan: plans.plan(&schema, config),
            schema,
            destination,
        })
    })();
    Target { stream, verdict }
}

fn schema<P: Platform>(platform: &P, gathered: &Gathered, uri: &SchemaUri) -> Result<Rc<Schema>, Failure> {
    let (code, message) = match gathered.schema(uri) {
        Some(Ok(SchemaLookup::Found(schema))) => return Ok(Rc::clone(schema)),
        Some(Err(error)) => return Err(Failure::ours(error)),
        None => (
            "too_many_schemas",
            format!(
                "Failed loading schema at {uri}: the request names more than {MAX_SCHEMAS} different schemas; split it"
            ),
        ),
        Some(Ok(SchemaLookup::Unknown)) => (
            "unknown_schema",
            format!(
                "Failed loading schema at {uri}: no repository has it; publish the schema, or correct the event's $schema"
            ),
        ),
        Some(Ok(SchemaLookup::Broken(why))) => (
            "broken_schema",
            format!("Failed loading schema at {uri}: it cannot be used, {why}; publish a corrected version"),
        ),
        // EventGate's words, to the byte: where the schema lacks a bound is in the log.
        Some(Ok(SchemaLookup::Insecure(why))) => {
            platform.log(Level::Warn, &format!("schema {uri} is not used: {why}"));
            ("insecure_schema", format!("Failed loading schema at {uri}"))
        }
    };
    Err(Failure::client(code, message))
}

/// Whether the schema may enter the stream, and the caller may produce to it. The texts are eventgate-wikimedia's,
/// with what to do added.
fn allowed(
    rules: &Rules,
    principal: &Principal,
    gathered: &Gathered,
    schema: &Schema,
    uri: &SchemaUri,
    stream: &str,
) -> Result<Rc<Stream>, Failure> {
    let configs = gathered.configs.as_ref().map_err(Failure::ours)?;
    let shown = shorten(stream);
    let about = || format!("event of schema at {uri} destined to stream {shown}");
    let reserved = stream == DEAD_LETTER_TOPIC;
    let service = &rules.event_service;
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

fn topic(config: &Stream, stream: &str, prefix: Option<&str>) -> Result<Topic, Failure> {
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
    Topic::parse(&topic).map_err(|_| {
        let message = format!(
            "stream {stream} has no topic to produce to: '{}' is no topic name; correct topics or topic_prefixes in the stream config",
            shorten(&topic)
        );
        Failure::client("no_topic", message)
    })
}
