//! An event posted by ourselves that must come back over SSE.

use std::io::{BufRead as _, BufReader};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail};
use eventstar_cli::{SchemaRepository, StreamConfigFile};
use serde_json::{Map, Value, json};

use crate::tokens;

/// An event accepted by the queue is written with the next batch, seconds later.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The samples are sent on their way at most this often, with a pause after each failure.
const TRIES: usize = 3;
const PAUSE: Duration = Duration::from_secs(1);

/// How many of a repository's examples are tried until intake accepts one.
const MAX_ATTEMPTS: usize = 5;

/// An event and the stream it goes to.
#[derive(Debug, Clone)]
pub(crate) struct Sample {
    pub(crate) stream: String,
    pub(crate) event: Map<String, Value>,
}

impl Sample {
    fn new(mut event: Map<String, Value>, stream: Option<&str>) -> Option<Self> {
        let meta = event.entry("meta").or_insert_with(|| json!({})).as_object_mut()?;
        if let Some(stream) = stream {
            meta.insert("stream".to_owned(), Value::from(stream));
        }
        let stream = meta.get("stream")?.as_str()?.to_owned();
        Some(Self { stream, event })
    }
}

/// The first event of a newline-delimited file.
pub(crate) fn first_event(text: &str) -> Option<Sample> {
    Sample::new(serde_json::from_str(text.lines().next()?).ok()?, None)
}

/// Examples found in schemas, for streams that name those schemas.
pub(crate) fn examples(config: &StreamConfigFile, repositories: &[&SchemaRepository]) -> Vec<Sample> {
    let named = config.streams().filter(|(name, _)| !name.starts_with('/'));
    let samples = named.filter_map(|(name, settings)| {
        let title = settings
            .get("schema_title")?
            .as_str()
            .filter(|title| *title != "error")?;
        let schemas = repositories.iter().flat_map(|repository| repository.schemas());
        let schema = schemas
            .filter(|schema| schema.title == title)
            .find(|schema| schema.example().is_some())?;
        let mut event = schema.example()?;
        event.insert("$schema".to_owned(), Value::from(schema.uri()));
        Sample::new(event, Some(name))
    });
    samples.take(MAX_ATTEMPTS).collect()
}

/// Posts samples until one is accepted, and waits until it has come back; a few times, as a server that has just started may be
/// slow. Gives that one, or why none did the last time.
pub(crate) fn travel(base_url: &str, producer_token: &str, samples: &[Sample]) -> Result<Sample> {
    let mut tries = 1;
    loop {
        match travel_once(base_url, producer_token, samples) {
            Err(_) if tries < TRIES => thread::sleep(PAUSE),
            outcome => return outcome,
        }
        tries += 1;
    }
}

fn travel_once(base_url: &str, producer_token: &str, samples: &[Sample]) -> Result<Sample> {
    let config = ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_global(Some(TIMEOUT))
        .max_idle_connections(0)
        .build();
    let agent = ureq::Agent::from(config);
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .context("the clock is before 1970")?
        .as_millis();
    let mut refusals = Vec::new();
    for sample in samples {
        let id = uuid()?;
        let mut event = sample.event.clone();
        if let Some(meta) = event.get_mut("meta").and_then(Value::as_object_mut) {
            meta.insert("id".to_owned(), Value::from(id.as_str()));
        }
        let body = Value::from(event).to_string();
        let request = agent
            .post(format!("{base_url}/v1/events"))
            .header("content-type", "application/json");
        let answer = request
            .header("authorization", format!("Bearer {producer_token}"))
            .send(&body);
        let mut answer = answer.context("intake cannot be reached")?;
        if answer.status() != 201 {
            let text = answer.body_mut().read_to_string().unwrap_or_default();
            refusals.push(format!("{}: {} {}", sample.stream, answer.status(), text.trim()));
            continue;
        }
        wait_for(
            &agent,
            &format!("{base_url}/v2/stream/{}?since={since}", sample.stream),
            &id,
        )?;
        return Ok(sample.clone());
    }
    bail!("intake refused the example event:\n  {}", refusals.join("\n  "))
}

fn wait_for(agent: &ureq::Agent, url: &str, id: &str) -> Result<()> {
    let answer = agent
        .get(url)
        .call()
        .with_context(|| format!("{url} cannot be reached"))?;
    let status = answer.status();
    if status != 200 {
        let text = answer.into_body().read_to_string().unwrap_or_default();
        bail!("{url} answered {status}: {}", text.trim());
    }
    let lines = BufReader::new(answer.into_body().into_reader()).lines();
    for line in lines {
        let line = line.with_context(|| format!("the example event did not come back from {url}"))?;
        if line.starts_with("data:") && line.contains(id) {
            return Ok(());
        }
    }
    bail!("{url} ended before the example event came back")
}

/// A random UUID (version 4).
fn uuid() -> Result<String> {
    let random = tokens::random()?;
    let part = |from, to| random.get(from..to).unwrap_or_default();
    Ok(format!(
        "{}-{}-4{}-8{}-{}",
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32)
    ))
}

#[cfg(test)]
mod tests {
    use std::io::{Read as _, Write as _};
    use std::net::{Ipv4Addr, TcpListener};

    use super::*;

    #[test]
    fn the_first_event_names_its_stream() {
        let sample = first_event("{\"meta\":{\"stream\":\"page.view\"}}\n{}\n").unwrap();
        assert_eq!(sample.stream, "page.view");
        assert!(first_event("").is_none());
        assert!(first_event("{}").is_none());
    }

    #[test]
    fn an_example_is_taken_from_the_schema_a_stream_names() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(dir.path().join("page/view")).unwrap();
        let schema = "title: page/view\nexamples:\n  - {page: 1, meta: {dt: x}}\n";
        std::fs::write(dir.path().join("page/view/1.0.0.yaml"), schema).unwrap();
        let streams = "/^a/: {schema_title: page/view}\nother: {schema_title: b}\npage.view: {schema_title: page/view}\n";
        std::fs::write(dir.path().join("streams.yaml"), streams).unwrap();

        let repository = SchemaRepository::read(dir.path()).unwrap();
        let config = StreamConfigFile::read(&dir.path().join("streams.yaml")).unwrap();
        let samples = examples(&config, &[&repository]);
        assert_eq!(samples.len(), 1);
        assert_eq!(samples[0].stream, "page.view");
        assert_eq!(
            Value::from(samples[0].event.clone()).to_string(),
            r#"{"page":1,"meta":{"dt":"x","stream":"page.view"},"$schema":"/page/view/1.0.0"}"#
        );
    }

    /// A server that answers one request a connection with the next of `answers`; to a reader, with what was posted last.
    fn serve(answers: &'static [&'static str]) -> (String, thread::JoinHandle<usize>) {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let base_url = format!("http://{}", listener.local_addr().unwrap());
        let serving = thread::spawn(move || {
            let mut posted = String::new();
            for answer in answers {
                let mut connection = BufReader::new(listener.accept().unwrap().0);
                let (mut length, mut line) = (0, String::new());
                while connection.read_line(&mut line).unwrap() > 2 {
                    if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                    line.clear();
                }
                let mut body = vec![0; length];
                connection.read_exact(&mut body).unwrap();
                if !body.is_empty() {
                    posted = String::from_utf8(body).unwrap();
                }
                let answer = answer.replace("POSTED", &posted);
                let text = format!("HTTP/1.1 {answer}");
                connection.get_mut().write_all(text.as_bytes()).unwrap();
            }
            answers.len()
        });
        (base_url, serving)
    }

    const REFUSED: &str = "400 Bad Request\r\ncontent-length: 2\r\nconnection: close\r\n\r\nno";

    #[test]
    fn what_is_refused_at_first_is_tried_again() {
        let (base_url, serving) = serve(&[
            REFUSED,
            "201 Created\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            "200 OK\r\nconnection: close\r\n\r\ndata: POSTED\n\n",
        ]);
        let sample = first_event("{\"meta\":{\"stream\":\"page.view\"}}").unwrap();
        let travelled = travel(&base_url, "token", &[sample]).unwrap();
        assert_eq!(travelled.stream, "page.view");
        assert_eq!(serving.join().unwrap(), 3);
    }

    #[test]
    fn a_refusal_of_every_try_is_an_error() {
        let (base_url, serving) = serve(&[REFUSED; TRIES]);
        let sample = first_event("{\"meta\":{\"stream\":\"page.view\"}}").unwrap();
        let error = travel(&base_url, "token", &[sample]).unwrap_err().to_string();
        assert_eq!(
            error,
            "intake refused the example event:\n  page.view: 400 Bad Request no"
        );
        assert_eq!(serving.join().unwrap(), TRIES);
    }

    #[test]
    fn ids_are_uuids() {
        let id = uuid().unwrap();
        assert_eq!(id.len(), 36);
        assert_eq!(id.split('-').map(str::len).collect::<Vec<_>>(), [8, 4, 4, 4, 12]);
    }
}
