//! The list of dead letters, or of error events, a page at a time.

use eventstar_delivery::{DEAD_LETTER_TOPIC, dead_letter_log};
use eventstar_event::time::Millis;
use eventstar_event::{SchemaUri, Topic};
use eventstar_http_api::{Request, Response, error, query, text, unavailable};
use eventstar_log::{LogName, Start};
use eventstar_ports::Platform;
use eventstar_sse::{TimeError, read_time};
use eventstar_stores::Configs;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use super::{Line, NDJSON, page};
use crate::Isolate;
use crate::admin::bad_request;

/// Most lines of a page, and how many there are when nobody says.
const MAX_LINES: usize = 1000;

/// The offset to go on from: when it is that of [`HEAD`], all was read that was there.
const NEXT: HeaderName = HeaderName::from_static("next-offset");

/// The offset that the next event will get, as it was when the page was asked for.
const HEAD: HeaderName = HeaderName::from_static("head-offset");

/// What is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    from: Option<u64>,
    limit: Option<usize>,
    since: Option<Millis>,
    until: Option<Millis>,
    stream: Option<String>,
    schema: Option<String>,
    fingerprint: Option<String>,
    topic: Option<String>,
    partition: Option<u32>,
    /// Only marks.
    settled: bool,
}

impl Wanted {
    /// Reads a query. What is unknown is refused: who mistypes a filter must not drop all letters.
    fn read(query: Vec<(String, String)>, now: Millis) -> Result<Self, String> {
        let mut wanted = Self::default();
        for (name, value) in query {
            let bad = |expected: &str| format!("{name} is '{value}': expected {expected}");
            let number = || value.parse::<u64>().map_err(|_| bad("a number"));
            let time = || {
                read_time(&value, now)
                    .map_err(|error| format!("{name} is {}: expected {}", error.found(), TimeError::EXPECTED))
            };
            match name.as_str() {
                "from" => wanted.from = Some(number()?),
                "limit" => {
                    let limit = value.parse().ok().filter(|limit| (1..=MAX_LINES).contains(limit));
                    let expected = format!("a number from 1 to {MAX_LINES}");
                    wanted.limit = Some(limit.ok_or_else(|| bad(&expected))?);
                }
                "since" => wanted.since = Some(time()?),
                "until" => wanted.until = Some(time()?),
                "partition" => wanted.partition = Some(value.parse().map_err(|_| bad("a number"))?),
                "settled" if value == "only" => wanted.settled = true,
                "settled" => return Err(bad("only")),
                "stream" => wanted.stream = Some(value),
                "schema" => wanted.schema = Some(value),
                "fingerprint" => wanted.fingerprint = Some(value),
                "topic" => wanted.topic = Some(value),
                _ => {
                    return Err(format!(
                        "{name} is no parameter: there are from, limit, since, until, stream, schema, fingerprint, topic, partition and settled"
                    ));
                }
            }
        }
        Ok(wanted)
    }

    pub(super) fn limit(&self) -> usize {
        self.limit.unwrap_or(MAX_LINES)
    }

    /// Whether a letter, received at `dt`, is wanted.
    pub(super) fn takes(&self, dt: Millis, line: &Line) -> bool {
        let same = |wanted: &Option<String>, value: Option<&str>| {
            wanted
                .as_deref()
                .is_none_or(|wanted| value.is_some_and(|value| value == wanted))
        };
        let letter = &line.letter;
        let uri = letter.schema_uri.as_deref();
        let title = uri.and_then(|uri| SchemaUri::parse(uri).ok());
        let title = title.as_ref().map(SchemaUri::title);
        !self.settled
            && self.since.is_none_or(|since| dt >= since)
            && self.until.is_none_or(|until| dt < until)
            && same(&self.stream, letter.stream.as_deref())
            && same(&self.fingerprint, Some(&letter.fingerprint))
            && (same(&self.schema, uri) || same(&self.schema, title))
    }

    /// Where to read from. Timestamps of a log are never before the receive time of its events.
    fn start(&self) -> Start {
        match (self.from, self.since) {
            (Some(from), _) => Start::Offset(from),
            (None, Some(since)) if !self.settled => Start::Timestamp(since),
            (None, _) => Start::Offset(0),
        }
    }
}

/// `GET /admin/v1/dead-letters?from=N&limit=N&since=T&until=T&stream=S&schema=URI|TITLE&fingerprint=F`: a page of letters, and of
/// marks, which no filter leaves out. `Next-Offset` is where to go on, until it is `Head-Offset`. `settled=only` leaves out
/// letters; `topic=T` (`&partition=N`) lists the error events of a topic of the stream config.
pub(super) async fn list<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let wanted = match Wanted::read(query(request.uri()), platform.now()) {
        Ok(wanted) => wanted,
        Err(detail) => return bad_request(request, &detail),
    };
    let failed = |failure: &dyn std::fmt::Display| {
        let detail = "dead letters cannot be read now: try again";
        unavailable(platform, request, &failure.to_string(), detail)
    };
    let errors_of = wanted
        .topic
        .as_deref()
        .filter(|topic| *topic != DEAD_LETTER_TOPIC);
    let log = match errors_of {
        None => match dead_letter_log() {
            Ok(log) => log,
            Err(failure) => return failed(&failure),
        },
        Some(topic) => {
            let log = |configs: &Configs| log_of(configs, request, topic, wanted.partition);
            let version = isolate.version.from_now();
            let known = match isolate.configs.current(platform).await {
                Ok(configs) => log(&configs).ok(),
                Err(failure) => return failed(&failure),
            };
            match known {
                Some(known) => known,
                None => match isolate
                    .configs
                    .refreshed(platform, &version)
                    .await
                    .map(|new| log(&new))
                {
                    Ok(Ok(log)) => log,
                    Ok(Err(refusal)) => return refusal,
                    Err(failure) => return failed(&failure),
                },
            }
        }
    };
    let page = match page::read(platform, &log, wanted.start(), &wanted, errors_of.is_some()).await {
        Ok(page) => page,
        Err(failure) => return failed(&failure),
    };
    let mut response = text(StatusCode::OK, NDJSON, page.lines);
    let headers = response.headers_mut();
    headers.insert(NEXT, HeaderValue::from(page.next));
    headers.insert(HEAD, HeaderValue::from(page.head));
    response
}

/// The log of a topic of the stream config.
fn log_of(
    configs: &Configs,
    request: &Request,
    topic: &str,
    partition: Option<u32>,
) -> Result<LogName, Response> {
    let mut streams = configs.streams.entries().map(|(_, stream)| stream);
    let Some(stream) = streams.find(|stream| stream.topics.iter().any(|known| known == topic)) else {
        let detail = format!("no stream of the stream config, by its name, has the topic {topic}");
        return Err(error(
            request,
            StatusCode::NOT_FOUND,
            "not_found",
            "Topic Not Found",
            &detail,
        ));
    };
    let partition = match partition {
        Some(partition) if partition < stream.partitions => partition,
        None if stream.partitions == 1 => 0,
        _ => {
            let last = stream.partitions - 1;
            let detail = format!("name a partition of {topic}: &partition=0 to {last}");
            return Err(bad_request(request, &detail));
        }
    };
    match Topic::parse(topic) {
        Ok(topic) => Ok(LogName {
            topic,
            partition,
            epoch: stream.log_epoch,
        }),
        Err(error) => Err(bad_request(request, &error.to_string())),
    }
}
