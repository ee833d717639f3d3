//! Which logs a request reads, and from where. No I/O.

use eventstar_delivery::DEAD_LETTER_TOPIC;
use eventstar_event::Topic;
use eventstar_event::time::Millis;
use eventstar_http_api::{Request, decode_segment, query_value};
use eventstar_log::{LogName, Start};
use eventstar_ports::Config;
use eventstar_sse::{LastEventId, PositionError, parse_last_event_id, since_millis};
use eventstar_stores::Configs;

/// Most topic-partitions of one request: each takes a subrequest, and its entry in every id.
const MAX_LOGS: usize = 128;

/// One log to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) log: LogName,
    pub(crate) start: Start,
    /// The timestamp to go on from when the offset asked for is not this log's.
    pub(crate) fallback: Option<Millis>,
}

/// Why a request is refused. The first text is the original's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Refusal {
    UnknownStreams(Vec<String>),
    TooMany { asked: usize },
    LastEventId(PositionError),
    ForeignTopics(Vec<String>),
    Since(PositionError),
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::UnknownStreams(streams) => write!(f, "Invalid streams: {}", streams.join(",")),
            Self::TooMany { asked } => {
                write!(
                    f,
                    "{asked} topic-partitions in one request: ask for at most {MAX_LOGS}, and use several requests"
                )
            }
            Self::LastEventId(error) | Self::Since(error) => error.fmt(f),
            Self::ForeignTopics(topics) => {
                write!(
                    f,
                    "Topics {} are not available for consumption.",
                    topics.join(",")
                )
            }
        }
    }
}

/// Resolves streams, `Last-Event-ID`, `since`: in this order of precedence, as the original.
pub(crate) fn select(
    config: &impl Config,
    configs: &Configs,
    request: &Request,
    streams: &str,
) -> Result<Vec<Selected>, Refusal> {
    let logs = logs_of(config, configs, streams)?;
    let since = query_value(request.uri(), "since").filter(|since| !since.is_empty());
    let since = since
        .map(|since| since_millis(&since))
        .transpose()
        .map_err(Refusal::Since)?;
    let default = since.map_or(Start::Latest, Start::Timestamp);
    let Some(header) = request.headers().get("last-event-id") else {
        return Ok(logs
            .into_iter()
            .map(|log| Selected {
                log,
                start: default,
                fallback: None,
            })
            .collect());
    };
    let header = std::str::from_utf8(header.as_bytes()).unwrap_or_default();
    let entries = parse_last_event_id(header).map_err(Refusal::LastEventId)?;
    resume(logs, &entries, default)
}

fn logs_of(config: &impl Config, configs: &Configs, streams: &str) -> Result<Vec<LogName>, Refusal> {
    let decoded = decode_segment(streams).unwrap_or_default();
    let allowed = config.get("ALLOWED_STREAMS").unwrap_or_default();
    let mut unknown = Vec::new();
    let mut logs: Vec<LogName> = Vec::new();
    for stream in decoded.split(',') {
        let topics = if may_read(&allowed, configs, stream) {
            topics_of(configs, stream)
        } else {
            None
        };
        let Some((topics, partitions, epoch)) = topics else {
            unknown.push(stream.chars().take(200).collect());
            continue;
        };
        for topic in topics {
            logs.extend((0..partitions).map(|partition| LogName {
                topic: topic.clone(),
                partition,
                epoch,
            }));
        }
    }
    if !unknown.is_empty() {
        unknown.truncate(20);
        return Err(Refusal::UnknownStreams(unknown));
    }
    let mut seen = std::collections::HashSet::new();
    logs.retain(|log| seen.insert(log.clone()));
    if logs.len() > MAX_LOGS {
        return Err(Refusal::TooMany { asked: logs.len() });
    }
    Ok(logs)
}

/// Whether `ALLOWED_STREAMS` (a comma list; `*` for all) lets a stream be read. Error streams and dead letters repeat what
/// producers sent, so `*` does not cover them: they must be named.
fn may_read(allowed: &str, configs: &Configs, stream: &str) -> bool {
    let mut names = allowed.split(',').map(str::trim);
    if names.clone().any(|name| name == stream) {
        return true;
    }
    let sensitive = stream == DEAD_LETTER_TOPIC
        || configs
            .streams
            .stream(stream)
            .is_some_and(|config| config.schema_title.as_deref() == Some("error"));
    !sensitive && names.any(|name| name == "*")
}

/// The topics, partitions and epoch of a stream; `None` when it cannot be read.
fn topics_of(configs: &Configs, stream: &str) -> Option<(Vec<Topic>, u32, u32)> {
    if stream == DEAD_LETTER_TOPIC {
        return Some((vec![Topic::parse(stream).ok()?], 1, 0));
    }
    let config = configs.streams.stream(stream)?;
    // A regex is no stream, although the config knows its settings.
    let topics: Result<Vec<Topic>, _> = config.topics.iter().map(|topic| Topic::parse(topic)).collect();
    let topics = topics.ok().filter(|topics| !topics.is_empty())?;
    Some((topics, config.partitions, config.log_epoch))
}

/// The logs that the entries name, and only those: a partial id consumes only its own partitions.
fn resume(logs: Vec<LogName>, entries: &[LastEventId], default: Start) -> Result<Vec<Selected>, Refusal> {
    let mut foreign = Vec::new();
    let mut by_offset = Vec::new();
    let mut by_time = Vec::new();
    for entry in entries {
        match entry {
            LastEventId::Topic(topic) => {
                let of_topic: Vec<_> = logs.iter().filter(|log| log.topic.as_str() == topic).collect();
                if of_topic.is_empty() {
                    foreign.push(topic.clone());
                }
                by_time.extend(of_topic.into_iter().map(|log| Selected {
                    log: log.clone(),
                    start: default,
                    fallback: None,
                }));
            }
            LastEventId::Position(position) => {
                let log = logs
                    .iter()
                    .find(|log| log.topic.as_str() == position.topic && log.partition == position.partition);
                let Some(log) = log.cloned() else {
                    foreign.push(position.topic.clone());
                    continue;
                };
                match (position.offset.map(u64::try_from), position.timestamp) {
                    (Some(Ok(offset)), fallback) => {
                        by_offset.push(Selected {
                            log,
                            start: Start::Offset(offset),
                            fallback,
                        });
                    }
                    // KafkaSSE writes -1 for a partition that it has not seen: the latest.
                    (_, None) => by_time.push(Selected {
                        log,
                        start: default,
                        fallback: None,
                    }),
                    (_, Some(time)) => by_time.push(Selected {
                        log,
                        start: Start::Timestamp(time),
                        fallback: None,
                    }),
                }
            }
        }
    }
    if !foreign.is_empty() {
        foreign.truncate(20);
        return Err(Refusal::ForeignTopics(foreign));
    }
    // As in the original's ids, entries by timestamp come after those with an offset.
    by_offset.append(&mut by_time);
    let mut seen = std::collections::HashSet::new();
    by_offset.retain(|selected| seen.insert(selected.log.clone()));
    Ok(by_offset)
}
