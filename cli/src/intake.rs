//! A client of intake: posts batches of events, and again what could not be stored now.

use std::io::Write;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use ureq::Agent;
use ureq::http::StatusCode;

use crate::http::{Retries, base_url, detail, one_line, retry_after, token};
use crate::target::PRODUCER_TOKEN;

/// Most events of one request: a tenth of intake's limit, so that progress is seen and little is sent again.
pub(crate) const MAX_BATCH: usize = 1_000;

/// Most bytes of one request, well below intake's 10 MiB.
pub(crate) const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Longest answer that is read: it repeats the events.
const MAX_ANSWER_BYTES: u64 = 64 * 1024 * 1024;

/// Longer than intake needs to validate and store a full batch.
const TIMEOUT: Duration = Duration::from_secs(120);

/// How events are posted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Accepted events are durable, and each refused one is told.
    Guaranteed,
    /// Intake answers before it checks anything.
    Hasty,
    /// Intake tells what would become of each event, and stores nothing.
    DryRun,
}

/// Why intake refused an event: what it says, and what to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal(pub(crate) String);

/// A client of one deployment's intake.
#[derive(Debug)]
pub(crate) struct Intake {
    agent: Agent,
    url: String,
    bearer: Option<String>,
    mode: Mode,
    retries: Retries,
    /// Whether there was an answer: until then, that it cannot be reached is a wrong URL rather than a failure that passes.
    has_answered: bool,
}

/// What intake says of events.
#[derive(Deserialize)]
pub(crate) struct Results {
    pub(crate) results: Vec<EventResult>,
}

#[derive(Deserialize)]
pub(crate) struct EventResult {
    outcome: String,
    code: String,
    pointer: Option<String>,
    pub(crate) retryable: bool,
    message: Option<String>,
    #[serde(default)]
    errors: Vec<EventError>,
}

#[derive(Deserialize)]
struct EventError {
    pointer: String,
    message: String,
}

impl Intake {
    /// A client of the deployment at `base`.
    pub(crate) fn new(base: &str, producer_token: Option<&str>, mode: Mode) -> Result<Self> {
        let query = match mode {
            Mode::Guaranteed => "",
            Mode::Hasty => "?hasty=true",
            Mode::DryRun => "?dry_run=true",
        };
        let config = Agent::config_builder()
            .http_status_as_error(false)
            .timeout_global(Some(TIMEOUT))
            .user_agent(concat!("eventstar/", env!("CARGO_PKG_VERSION")))
            // A server may close an idle connection while the next request is on its way.
            .max_idle_connections(0)
            .build();
        let bearer = producer_token
            .map(|text| Ok::<_, anyhow::Error>(format!("Bearer {}", token(text, PRODUCER_TOKEN)?)))
            .transpose()?;
        Ok(Self {
            agent: config.into(),
            url: format!("{}/v1/events{query}", base_url(base)?),
            bearer,
            mode,
            retries: Retries::default(),
            has_answered: false,
        })
    }

    /// Posts events in their order; returns for each why it was refused, `None` where it was accepted. What could not be
    /// stored now is sent again; the texts must have a `meta.id`, so that none is stored twice.
    ///
    /// # Errors
    /// When intake cannot be reached, answers something else than what became of the events, or fails too often.
    pub(crate) fn post(&mut self, events: &[&str], log: &mut dyn Write) -> Result<Vec<Option<Refusal>>> {
        let mut refusals = vec![None; events.len()];
        let mut pending: Vec<(usize, &str)> = events.iter().copied().enumerate().collect();
        while !pending.is_empty() {
            let body = array(pending.iter().map(|(_, event)| *event));
            let mut request = self.agent.post(&self.url);
            if let Some(bearer) = &self.bearer {
                request = request.header("authorization", bearer);
            }
            let request = request
                .header("content-type", "application/json")
                .header("prefer", "return=representation");
            let mut answer = match request.send(body) {
                Ok(answer) => answer,
                Err(error) if self.has_answered => {
                    let why = format!("no answer from {}: {error}", self.url);
                    self.retries.wait(&why, None, log)?;
                    continue;
                }
                Err(error) => return Err(error).context(format!("{} cannot be reached", self.url)),
            };
            self.has_answered = true;
            let status = answer.status();
            let asked = retry_after(answer.headers());
            let text = answer
                .body_mut()
                .with_config()
                .limit(MAX_ANSWER_BYTES)
                .read_to_string();
            let text = match text {
                Ok(text) => text,
                Err(error) => {
                    let why = format!("the answer of {} ended early: {error}", self.url);
                    self.retries.wait(&why, None, log)?;
                    continue;
                }
            };
            let is_success = matches!(
                (status, self.mode),
                (StatusCode::CREATED, _) | (StatusCode::ACCEPTED, Mode::Hasty)
            );
            let results = serde_json::from_str::<Results>(&text).map(|results| results.results);
            let results = match results {
                Ok(results) if results.len() == pending.len() => results,
                _ if is_success => break,
                _ if status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS => {
                    let why = format!("{} answered {status}: {}", self.url, detail(&text));
                    self.retries.wait(&why, asked, log)?;
                    continue;
                }
                _ => bail!("{} answered {status}: {}", self.url, detail(&text)),
            };
            let before = pending.len();
            let mut again = Vec::new();
            for ((nth, event), result) in pending.into_iter().zip(results) {
                if result.retryable {
                    again.push((nth, event));
                } else if let Some(refusal) = refusals.get_mut(nth) {
                    *refusal = result.refusal();
                }
            }
            if again.len() < before {
                self.retries.succeeded();
            }
            if !again.is_empty() {
                let why = format!(
                    "{} of {before} events could not be stored now ({status})",
                    again.len()
                );
                self.retries.wait(&why, asked, log)?;
            }
            pending = again;
        }
        self.retries.succeeded();
        Ok(refusals)
    }
}

fn array<'e>(events: impl Iterator<Item = &'e str>) -> String {
    let mut body = String::new();
    for event in events {
        body.push(if body.is_empty() { '[' } else { ',' });
        body.push_str(event);
    }
    body.push(']');
    body
}

impl EventResult {
    /// Why it is not accepted.
    pub(crate) fn refusal(self) -> Option<Refusal> {
        if self.outcome == "accepted" {
            return None;
        }
        let at = |pointer: &str, message: &str| match pointer {
            "" => message.to_owned(),
            pointer => format!("{pointer}: {message}"),
        };
        let what = if self.errors.is_empty() {
            at(
                self.pointer.as_deref().unwrap_or_default(),
                self.message.as_deref().unwrap_or("refused"),
            )
        } else {
            let errors = self.errors.iter().map(|error| at(&error.pointer, &error.message));
            errors.collect::<Vec<_>>().join("; ")
        };
        let what = one_line(&format!("{}: {what}", self.code));
        Some(Refusal(match hint(&self.code) {
            Some(hint) => format!("{what}: {hint}"),
            None => what,
        }))
    }
}

/// What to do, where intake's message does not say it.
fn hint(code: &str) -> Option<&'static str> {
    Some(match code {
        "invalid" => "correct the event, or name the version of the schema that it fits",
        "missing_field" => "set $schema and meta.stream",
        "missing_key_field" => "set the field, which the stream's message_key_fields name",
        "token_missing" => "name a producer token with --token, EVENTSTAR_PRODUCER_TOKEN or the profile",
        "insecure_schema" => "publish a schema whose patterns and formats have bounds",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_why_and_how() {
        for (result, expected) in [
            (
                r#"{"outcome":"accepted","code":"accepted","retryable":false}"#,
                None,
            ),
            (
                r#"{"outcome":"invalid","code":"invalid","pointer":"/n","retryable":false,"message":"'.n' should be integer","errors":[{"pointer":"/n","keyword":"type","message":"should be integer"},{"pointer":"","message":"should have required property 'b'"}]}"#,
                Some(
                    "invalid: /n: should be integer; should have required property 'b': correct the event, or name the version of the schema that it fits",
                ),
            ),
            (
                r#"{"outcome":"error","code":"unknown_stream","pointer":"/meta/stream","retryable":false,"message":"s is not configured"}"#,
                Some("unknown_stream: /meta/stream: s is not configured"),
            ),
            (
                r#"{"outcome":"error","code":"x\u001b","pointer":"","retryable":false,"message":"a\u009b2J\nb"}"#,
                Some("x\u{fffd}: a\u{fffd}2J b"),
            ),
            (
                r#"{"outcome":"error","code":"missing_field","pointer":"","retryable":false,"message":"no $schema"}"#,
                Some("missing_field: no $schema: set $schema and meta.stream"),
            ),
        ] {
            let result: EventResult = serde_json::from_str(result).unwrap();
            assert_eq!(result.refusal().map(|refusal| refusal.0).as_deref(), expected);
        }
    }

    #[test]
    fn a_body_is_an_array() {
        assert_eq!(array(["{}", "1"].into_iter()), "[{},1]");
    }
}
