//! Where replayed events go.

use std::collections::BTreeMap;
use std::io::Write;
use std::rc::Rc;

use anyhow::{Context as _, Result, bail};
use eventstar_event::{Document, MAX_EVENT_BYTES};
use eventstar_stream_config::{Stream, StreamConfigs};
use serde_json::{Value, json};
use ureq::http::StatusCode;

use crate::Admin;
use crate::http::{Retries, retry_after};
use crate::intake::Intake;
use crate::replay::copied::Copied;

/// What became of events.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    pub(super) events: u64,
    pub(super) refused: u64,
    /// Those that a log had already.
    pub(super) duplicates: u64,
}

/// Where replayed events go.
pub(super) enum Sink {
    /// Nowhere: they are counted.
    Nothing,
    /// Another deployment.
    Intake(Intake),
    /// Another stream of the same deployment.
    Stream(StreamLogs),
}

/// The logs of a stream.
pub(super) struct StreamLogs {
    admin: Admin,
    name: String,
    config: Rc<Stream>,
    /// The topic that the command line names.
    topic: Option<String>,
    /// The stream that is read.
    from: String,
    retries: Retries,
}

impl Sink {
    /// Puts events where they go; tells each that is refused.
    pub(super) fn put(
        &mut self,
        events: &[Copied],
        counts: &mut Counts,
        out: &mut dyn Write,
        log: &mut dyn Write,
    ) -> Result<()> {
        counts.events += events.len() as u64;
        match self {
            Self::Nothing => {}
            Self::Intake(intake) => {
                let texts = events.iter().map(Copied::with_id).collect::<Result<Vec<_>>>()?;
                let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
                for (event, refusal) in events.iter().zip(intake.post(&texts, log)?) {
                    if let Some(refusal) = refusal {
                        counts.refused += 1;
                        writeln!(out, "{}: {}", event.place(), refusal.0)?;
                    }
                }
            }
            Self::Stream(logs) => logs.append(events, counts, out, log)?,
        }
        Ok(())
    }
}

impl StreamLogs {
    /// The logs of the stream `name`, for events of the stream `from`.
    pub(super) fn new(admin: Admin, name: &str, topic: Option<&str>, from: &str) -> Result<Self> {
        let published = admin
            .stream_config(None)?
            .context("no stream config is published: publish one with `eventstar stream publish`")?;
        let configs = StreamConfigs::parse(&Value::from(published.config)).map_err(|error| {
            anyhow::anyhow!("the published stream config cannot be used: {}", error.message)
        })?;
        let config = configs
            .stream(name)
            .with_context(|| format!("the stream config has no stream {name}: publish one with it first"))?;
        if configs.name_of(from) == configs.name_of(name) {
            bail!("{from} and {name} are one stream: name another with --to");
        }
        if let Some(topic) = topic
            && !config.topics.iter().any(|known| known == topic)
        {
            let known = config.topics.join(", ");
            bail!("{topic} is no topic of {name}: name one of {known} with --topic");
        }
        Ok(Self {
            admin,
            name: name.to_owned(),
            config,
            topic: topic.map(str::to_owned),
            from: from.to_owned(),
            retries: Retries::default(),
        })
    }

    /// The topic that an event of `source` goes to: the one named, the only one, or the one of the same datacenter.
    fn topic(&self, source: &str) -> Result<&str> {
        let topics = self.config.topics.as_slice();
        let same = source
            .strip_suffix(&self.from)
            .map(|prefix| format!("{prefix}{}", self.name));
        match (&self.topic, topics) {
            (Some(topic), _) | (None, [topic]) => Ok(topic),
            _ => topics
                .iter()
                .find(|topic| Some(*topic) == same.as_ref())
                .map(String::as_str)
                .with_context(|| {
                    let known = topics.join(", ");
                    format!(
                        "{} has several topics: name one of {known} with --topic",
                        self.name
                    )
                }),
        }
    }

    fn append(
        &mut self,
        events: &[Copied],
        counts: &mut Counts,
        out: &mut dyn Write,
        log: &mut dyn Write,
    ) -> Result<()> {
        let mut lines: BTreeMap<(String, u32), String> = BTreeMap::new();
        for event in events {
            let topic = self.topic(&event.topic)?;
            match self.line(event, topic)? {
                Ok((partition, line)) => {
                    let lines = lines.entry((topic.to_owned(), partition)).or_default();
                    lines.push_str(&line);
                    lines.push('\n');
                }
                Err(why) => {
                    counts.refused += 1;
                    writeln!(out, "{}: {why}", event.place())?;
                }
            }
        }
        for ((topic, partition), lines) in lines {
            counts.duplicates += self.append_to(&topic, partition, &lines, log)?;
        }
        Ok(())
    }

    /// The line that appends an event, and the partition it goes to, as intake would choose it; or why it cannot go there.
    fn line(&self, event: &Copied, topic: &str) -> Result<Result<(u32, String), String>> {
        let text = event.of_stream(&self.name)?;
        if text.len() > MAX_EVENT_BYTES {
            return Ok(Err(format!(
                "the event has {} bytes with the name of the stream, more than the {MAX_EVENT_BYTES} that a log takes",
                text.len()
            )));
        }
        let document = Document::parse(text.as_str())?;
        let key = match self.config.message_key(&document) {
            Ok(key) => key,
            Err(missing) => {
                return Ok(Err(format!(
                    "{missing} The message_key_fields of {} name it",
                    self.name
                )));
            }
        };
        let partition = self.config.partition(key.as_deref(), &document);
        let id = event.delivery_id(topic);
        let key = key.map_or(String::new(), |key| format!("\"key\":{key},"));
        let line = format!(
            "{{\"id\":{},\"dt\":{},{key}\"event\":{text}}}",
            json!(id),
            event.dt
        );
        Ok(Ok((partition, line)))
    }

    /// Appends lines to one log, again where it cannot be written now; returns how many it had already.
    fn append_to(&mut self, topic: &str, partition: u32, lines: &str, log: &mut dyn Write) -> Result<u64> {
        loop {
            let answer = self
                .admin
                .try_append(&self.name, topic, usize::try_from(partition)?, lines);
            let (why, asked) = match answer {
                Ok(answer) if answer.status == StatusCode::OK => {
                    self.retries.succeeded();
                    let said: Value = serde_json::from_str(&answer.text).unwrap_or_default();
                    return Ok(said.get("duplicates").and_then(Value::as_u64).unwrap_or_default());
                }
                Ok(answer)
                    if answer.status.is_server_error() || answer.status == StatusCode::TOO_MANY_REQUESTS =>
                {
                    (answer.refusal(), retry_after(&answer.headers))
                }
                Ok(answer) => bail!("{}", answer.refusal()),
                Err(error) => (format!("{error:#}"), None),
            };
            self.retries.wait(&why, asked, log)?;
        }
    }
}
