//! A client of the relay: reads streams as Server-Sent Events, and goes on where a connection ended.

use std::collections::VecDeque;
use std::io::{Read, Write};
use std::time::{Duration, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eventstar_event::StreamName;
use eventstar_event::time::Millis;
use eventstar_sse::{Incoming, Parser, parse_last_event_id, read_time};
use serde_json::Value;
use ureq::http::StatusCode;
use ureq::typestate::WithoutBody;
use ureq::{Agent, RequestBuilder};

use crate::http::{Retries, base_url, detail, one_line, retry_after};

/// Until a connection is open.
const CONNECT: Duration = Duration::from_secs(30);

/// Until an answer begins: the relay opens its logs first.
const ANSWER: Duration = Duration::from_secs(60);

/// Four heartbeats: a connection that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(60);

/// How much is read at once.
const READ_BYTES: usize = 64 * 1024;

/// Longest refusal that is read.
const MAX_REFUSAL_BYTES: u64 = 1024 * 1024;

/// Which events are read. The relay's parameters of the same names.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Select {
    /// Only events that fit an expression, such as `type = edit AND NOT bot = true`.
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) filter: Option<String>,
    /// Only events of these wikis, a comma list; `*` stands for any text.
    #[arg(long, value_name = "WIKIS")]
    pub(crate) wiki: Option<String>,
    /// Only events of these domains, a comma list; `*` stands for any text.
    #[arg(long, value_name = "DOMAINS")]
    pub(crate) domain: Option<String>,
    /// `false` leaves out canary events.
    #[arg(long, value_name = "BOOL", action = clap::ArgAction::Set)]
    pub(crate) canary: Option<bool>,
}

/// What is read.
#[derive(Debug, Default)]
pub(crate) struct Wanted {
    pub(crate) streams: Vec<String>,
    pub(crate) select: Select,
    pub(crate) since: Option<Millis>,
    pub(crate) until: Option<Millis>,
    pub(crate) limit: Option<u64>,
    pub(crate) fields: Option<String>,
    pub(crate) from_id: Option<String>,
}

/// Milliseconds since the epoch.
pub(crate) fn now() -> Millis {
    UNIX_EPOCH.elapsed().map_or(0, |time| {
        Millis::try_from(time.as_millis()).unwrap_or(Millis::MAX)
    })
}

/// A time of the command line. A time ago is one from now on, so that it stays the same over connections.
pub(crate) fn time(text: &str) -> Result<Millis, String> {
    read_time(text, now()).map_err(|error| {
        format!(
            "write milliseconds since the epoch, ISO-8601 such as 2026-11-25T00:00:00Z, or a time ago such as -30s, -5m, -2h, -7d, found {}",
            error.found()
        )
    })
}

/// A stream name of the command line.
pub(crate) fn stream(text: &str) -> Result<String, String> {
    match StreamName::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// A `Last-Event-ID` of the command line.
pub(crate) fn last_id(text: &str) -> Result<String, String> {
    match parse_last_event_id(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(error) => Err(format!("{error}: copy what an earlier run said")),
    }
}

/// What is read next.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// An event: its data, and the id to go on from after it.
    Event { data: String, id: String },
    /// Nothing to be handled lies before this id.
    Position(String),
}

/// Reads streams of one deployment.
pub(crate) struct Relay {
    agent: Agent,
    url: String,
    wanted: Wanted,
    connection: Option<Connection>,
    had_answer: bool,
    last_id: Option<String>,
    read: u64,
    is_done: bool,
    retries: Retries,
}

struct Connection {
    body: Box<dyn Read>,
    parser: Parser,
    incoming: VecDeque<Incoming>,
}

/// How a command goes on after an id.
pub(crate) fn go_on(id: &str) -> String {
    format!("to go on: --from-id '{}'", one_line(id))
}

impl Relay {
    /// A reader of the deployment at `base`.
    pub(crate) fn new(base: &str, mut wanted: Wanted) -> Result<Self> {
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(ANSWER))
            .timeout_per_read(Some(SILENCE))
            .user_agent(concat!("eventstar/", env!("CARGO_PKG_VERSION")))
            .max_idle_connections(0)
            .build();
        // Without an id or a time, a connection that is cut before the first id came would begin again later than it did.
        if wanted.from_id.is_none() {
            wanted.since.get_or_insert_with(now);
        }
        Ok(Self {
            agent: config.into(),
            url: format!("{}/v2/stream/{}", base_url(base)?, wanted.streams.join(",")),
            connection: None,
            had_answer: false,
            last_id: wanted.from_id.clone(),
            wanted,
            read: 0,
            is_done: false,
            retries: Retries::default(),
        })
    }

    /// What comes next, each event once; `None` when all that was asked for has come. `log` gets what else is to be told.
    ///
    /// # Errors
    /// A refusal, or too many failures in a row.
    pub(crate) fn next(&mut self, log: &mut dyn Write) -> Result<Option<Next>> {
        while !self.is_done {
            let Some(connection) = &mut self.connection else {
                self.connect(log)?;
                continue;
            };
            if let Some(incoming) = connection.incoming.pop_front() {
                if let Some(next) = self.take(incoming, log)? {
                    return Ok(Some(next));
                }
                continue;
            }
            let mut bytes = vec![0; READ_BYTES];
            let why = match connection.body.read(&mut bytes) {
                Ok(0) => "the connection ended".to_owned(),
                Ok(count) => {
                    let read = bytes.get(..count).unwrap_or_default();
                    connection.incoming.extend(connection.parser.push(read)?);
                    continue;
                }
                Err(error) => format!("the connection was cut: {error}"),
            };
            self.connection = None;
            self.retries.wait(&why, None, log)?;
        }
        Ok(None)
    }

    /// Opens a connection, or waits before the next try.
    fn connect(&mut self, log: &mut dyn Write) -> Result<()> {
        let answer = match self.request().call() {
            Ok(answer) => answer,
            Err(error) if self.had_answer => {
                let why = format!("{} cannot be reached: {error}", self.url);
                return self.retries.wait(&why, None, log);
            }
            Err(error) => return Err(error).context(format!("{} cannot be reached", self.url)),
        };
        self.had_answer = true;
        let status = answer.status();
        let asked = retry_after(answer.headers());
        let mut body = answer.into_body().into_reader();
        if status == StatusCode::OK {
            self.connection = Some(Connection {
                body: Box::new(body),
                parser: Parser::after(self.last_id.as_deref().unwrap_or_default()),
                incoming: VecDeque::new(),
            });
            return Ok(());
        }
        let mut text = Vec::new();
        // Half a refusal says more than none.
        let _ = body.by_ref().take(MAX_REFUSAL_BYTES).read_to_end(&mut text);
        let text = String::from_utf8_lossy(&text);
        let why = format!("{} answered {status}: {}", self.url, refusal(status, &text));
        if !status.is_server_error() && status != StatusCode::TOO_MANY_REQUESTS {
            bail!("{why}");
        }
        self.retries.wait(&why, asked, log)
    }

    fn request(&self) -> RequestBuilder<WithoutBody> {
        let Wanted {
            select,
            since,
            until,
            limit,
            fields,
            ..
        } = &self.wanted;
        // The relay counts anew for each connection.
        let limit = limit.map(|limit| limit - self.read);
        let parameters = [
            ("since", since.map(|time| time.to_string())),
            ("until", until.map(|time| time.to_string())),
            ("limit", limit.map(|limit| limit.to_string())),
            ("fields", fields.clone()),
            ("filter", select.filter.clone()),
            ("wiki", select.wiki.clone()),
            ("domain", select.domain.clone()),
            ("canary", select.canary.map(|canary| canary.to_string())),
        ];
        let mut request = self.agent.get(&self.url).header("accept", "text/event-stream");
        for (name, value) in parameters {
            if let Some(value) = value {
                request = request.query(name, value);
            }
        }
        match &self.last_id {
            Some(id) => request.header("last-event-id", id),
            None => request,
        }
    }

    fn take(&mut self, incoming: Incoming, log: &mut dyn Write) -> Result<Option<Next>> {
        let (event, id, data) = match incoming {
            Incoming::Retry(millis) => {
                self.retries.set_first_wait(Duration::from_millis(millis));
                return Ok(None);
            }
            Incoming::Id(id) => {
                self.at(&id);
                return Ok(Some(Next::Position(id)));
            }
            Incoming::Event { event, id, data } => (event, id, data),
        };
        if event == "error" {
            writeln!(log, "the relay ends the connection: {}", one_line(&data))?;
            return Ok(None);
        }
        self.at(&id);
        match event.as_str() {
            "message" => {
                self.read += 1;
                self.is_done = self.wanted.limit == Some(self.read);
                return Ok(Some(Next::Event { data, id }));
            }
            "end" => self.is_done = true,
            "gap" => writeln!(log, "{}", one_line(&gap(&data)))?,
            _ => {}
        }
        Ok(Some(Next::Position(id)))
    }

    fn at(&mut self, id: &str) {
        self.retries.succeeded();
        self.last_id = Some(id.to_owned()).filter(|id| !id.is_empty());
    }
}

/// What a refusal says, with what to do where it does not say so.
fn refusal(status: StatusCode, text: &str) -> String {
    let said = detail(text);
    match status {
        StatusCode::BAD_REQUEST if said.starts_with("Invalid streams") => {
            format!("{said}: check the names, and that ALLOWED_STREAMS lets the public read them")
        }
        StatusCode::NOT_FOUND => format!("{said}: check the URL, and that the id came from these streams"),
        StatusCode::TOO_MANY_REQUESTS => format!("{said} Close others, or raise MAX_CONNECTIONS_PER_CLIENT"),
        _ => said,
    }
}

/// A `gap` event in words.
fn gap(data: &str) -> String {
    let gap: Value = serde_json::from_str(data).unwrap_or_default();
    let text = |pointer: &str| {
        gap.pointer(pointer).map(|value| match value {
            Value::String(text) => text.clone(),
            other => other.to_string(),
        })
    };
    let reason = text("/reason");
    let is_gone = reason.as_deref() == Some("gone");
    let why = match reason.as_deref() {
        Some("expired") => "retention has dropped events",
        Some("foreign") => "the log is another one than that of the id, and its time decided",
        Some("gone") => "the streams do not have it any more, the others go on",
        _ => return format!("gap: {data}"),
    };
    let part = |pointer| text(pointer).unwrap_or_else(|| "?".to_owned());
    if is_gone {
        return format!(
            "gap: {}/{}, from offset {}: {why}",
            part("/topic"),
            part("/partition"),
            part("/from/offset")
        );
    }
    format!(
        "gap: {}/{}, from offset {} to {}: {why}",
        part("/topic"),
        part("/partition"),
        part("/from/offset"),
        part("/to/offset"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_told_in_words() {
        let data = r#"{"type":"gap","reason":"expired","topic":"a","partition":0,"from":{"offset":3,"timestamp":40},"to":{"offset":8,"timestamp":90}}"#;
        assert_eq!(
            gap(data),
            "gap: a/0, from offset 3 to 8: retention has dropped events"
        );
        let foreign = data.replace("expired", "foreign").replace("\"offset\":3,", "");
        assert!(gap(&foreign).starts_with("gap: a/0, from offset ? to 8: the log is another one"));
        let gone = r#"{"type":"gap","reason":"gone","topic":"a","partition":0,"from":{"offset":3,"timestamp":40},"to":null}"#;
        assert_eq!(
            gap(gone),
            "gap: a/0, from offset 3: the streams do not have it any more, the others go on"
        );
        assert_eq!(gap("[]"), "gap: []");
    }

    #[test]
    fn streams_that_are_refused_come_with_what_to_check() {
        let text = r#"{"detail":"Invalid streams: a"}"#;
        assert_eq!(
            refusal(StatusCode::BAD_REQUEST, text),
            "Invalid streams: a: check the names, and that ALLOWED_STREAMS lets the public read them"
        );
        assert_eq!(refusal(StatusCode::BAD_REQUEST, "x"), "x");
    }
}
