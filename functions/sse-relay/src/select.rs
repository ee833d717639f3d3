//! Which logs a request reads, and from where. No I/O.

use std::collections::HashSet;

use eventstar_delivery::DEAD_LETTER_TOPIC;
use eventstar_event::Topic;
use eventstar_http_api::{Request, decode_segment, query, query_value};
use eventstar_log::{LogName, Start};
use eventstar_ports::{Clock, Config};
use eventstar_sse::{parse_last_event_id, since_millis};
use eventstar_stores::Configs;

use crate::refusal::{MAX_LOGS, Refusal};
use crate::resume::{Gone, resume};

/// One log to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selected {
    pub(crate) log: LogName,
    /// The key of the stream in the config.
    pub(crate) stream: String,
    pub(crate) start: Start,
}

/// The logs that a request reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Selection {
    pub(crate) logs: Vec<Selected>,
    /// The other entries of the request's id.
    pub(crate) gone: Vec<Gone>,
    /// True if these are only some logs of the streams, by the reader's choice.
    pub(crate) is_partial: bool,
}

/// Resolves streams, `Last-Event-ID`, `since`: in this order of precedence, as the original.
pub(crate) fn select(
    platform: &(impl Config + Clock),
    configs: &Configs,
    request: &Request,
    streams: &str,
) -> Result<Selection, Refusal> {
    let logs = logs_of(platform, configs, streams)?;
    let since = query_value(request.uri(), "since").filter(|since| !since.is_empty());
    let since = since
        .map(|since| since_millis(&since, platform.now()))
        .transpose()
        .map_err(Refusal::Since)?;
    let default = since.map_or(Start::Latest, Start::Timestamp);
    let Some(id) = last_event_id(request) else {
        let from = |log: Log| log.from(default);
        return Ok(Selection {
            logs: logs.into_iter().map(from).collect(),
            gone: Vec::new(),
            is_partial: false,
        });
    };
    match parse_last_event_id(&id) {
        Ok(entries) => resume(&logs, &entries, default, |topic| configs.streams.has_topic(topic)),
        Err(error) => Err(Refusal::LastEventId { error, id }),
    }
}

/// The id to go on after: the header's, else one of the address, for those who cannot send the header: pages that are loaded
/// again, and polyfills. An empty one is none, as in the HTML standard.
///
/// Polyfills add theirs to the end of the address, so the last one is the newest.
fn last_event_id(request: &Request) -> Option<String> {
    const PARAMETERS: [&str; 3] = ["last_event_id", "lastEventId", "evs_last_event_id"];
    let header = request.headers().get("last-event-id");
    let header = header.map(|header| String::from_utf8_lossy(header.as_bytes()).into_owned());
    let is_id = |id: &String| !id.trim().is_empty();
    header.filter(is_id).or_else(|| {
        let parameters = query(request.uri()).into_iter();
        parameters
            .filter(|(name, id)| PARAMETERS.contains(&name.as_str()) && is_id(id))
            .map(|(_, id)| id)
            .next_back()
    })
}

/// A log of the streams asked for.
#[derive(Debug, Clone)]
pub(crate) struct Log {
    pub(crate) name: LogName,
    /// The key of the stream in the config.
    pub(crate) stream: String,
    /// Which of the streams asked for.
    pub(crate) asked: usize,
}

impl Log {
    pub(crate) fn from(self, start: Start) -> Selected {
        Selected {
            log: self.name,
            stream: self.stream,
            start,
        }
    }
}

fn logs_of(config: &impl Config, configs: &Configs, streams: &str) -> Result<Vec<Log>, Refusal> {
    let decoded = decode_segment(streams).unwrap_or_default();
    let allowed = config.get("ALLOWED_STREAMS").unwrap_or_default();
    let mut unknown = Vec::new();
    let mut logs: Vec<Log> = Vec::new();
    let mut seen = HashSet::new();
    for (asked, name) in decoded.split(',').enumerate() {
        let stream = configs.streams.name_of(name);
        let readable = may_read(&allowed, configs, stream);
        let Some(topics) = topics_of(configs, stream).filter(|_| readable) else {
            unknown.push(name.to_owned());
            continue;
        };
        let names = topics.logs().filter(|name| seen.insert(name.clone()));
        logs.extend(names.map(|name| Log {
            name,
            stream: topics.key.clone(),
            asked,
        }));
    }
    if !unknown.is_empty() {
        return Err(Refusal::UnknownStreams(unknown));
    }
    if logs.len() > MAX_LOGS {
        return Err(Refusal::TooMany { asked: logs.len() });
    }
    Ok(logs)
}

/// Whether `ALLOWED_STREAMS` (a comma list; `*` for all) lets a stream be read. Error streams and dead letters repeat what
/// producers sent, so `*` does not cover them: they must be named.
pub(crate) fn may_read(allowed: &str, configs: &Configs, stream: &str) -> bool {
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

/// What a stream is kept in.
pub(crate) struct Topics {
    /// The key of the stream in the config.
    key: String,
    topics: Vec<Topic>,
    partitions: u32,
    epoch: u32,
}

impl Topics {
    fn logs(&self) -> impl Iterator<Item = LogName> {
        let of_topic = move |topic: &Topic| {
            let topic = topic.clone();
            (0..self.partitions).map(move |partition| LogName {
                topic: topic.clone(),
                partition,
                epoch: self.epoch,
            })
        };
        self.topics.iter().flat_map(of_topic)
    }
}

/// The topics of a stream; `None` when it cannot be read.
pub(crate) fn topics_of(configs: &Configs, stream: &str) -> Option<Topics> {
    if stream == DEAD_LETTER_TOPIC {
        return Some(Topics {
            key: stream.to_owned(),
            topics: vec![Topic::parse(stream).ok()?],
            partitions: 1,
            epoch: 0,
        });
    }
    let config = configs.streams.stream(stream)?;
    // A regex is no stream, although the config knows its settings.
    let topics: Result<Vec<Topic>, _> = config.topics.iter().map(|topic| Topic::parse(topic)).collect();
    Some(Topics {
        key: config.key.clone(),
        topics: topics.ok().filter(|topics| !topics.is_empty())?,
        partitions: config.partitions,
        epoch: config.read_epoch(),
    })
}
