//! `eventstar validate`: events checked offline, with the validator, the reader and the stream config of the edge.
//!
//! What the platform fills (`meta.id`, `meta.dt`, a legacy `dt`) is filled here too, since intake fills it before it validates.
//! Members that come from HTTP headers are not there.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use eventstar_event::json::{JsonError, mend_surrogates, split_body};
use eventstar_event::{Document, MAX_EVENT_BYTES, SchemaUri};
use eventstar_stream_config::{Stream, StreamConfigs};
use eventstar_validation::{AjvError, Schema};
use serde_json::Value;

use crate::{SchemaRepository, StreamConfigFile};

/// Stand-ins for what the platform knows when an event arrives: all that is checked of them is their form.
const RECEIVE_TIME: &str = "\"2026-01-01T00:00:00.000Z\"";
const EVENT_ID: &str = "\"00000000-0000-4000-8000-000000000000\"";

/// Checks events offline, one JSON object a line, as intake would.
#[derive(Debug, Args)]
#[command(after_help = "\
Each bad event is one line: FILE:LINE: /pointer: message. The exit code is 1 when there is one.

Examples:
  eventstar validate events.ndjson --schemas schemas/jsonschema
  eventstar validate events.ndjson --schemas primary/jsonschema --schemas secondary/jsonschema --streams streams.yaml
  kcat -C -e -t test.event | eventstar validate - --schemas schemas/jsonschema")]
pub(crate) struct Validate {
    /// Files of events; `-` is standard input.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Base folder of a schema repository; several are looked up in order.
    #[arg(long, required = true, value_name = "DIR")]
    schemas: Vec<PathBuf>,
    /// Stream config: events must fit their stream, too.
    #[arg(long, value_name = "FILE")]
    streams: Option<PathBuf>,
}

impl Validate {
    /// Writes a line for each bad event to `out`, and how many there are to `log`.
    pub(crate) fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let mut rules = Rules::default();
        for dir in &self.schemas {
            rules.add(SchemaRepository::read(dir)?);
        }
        if let Some(file) = &self.streams {
            rules.streams = Some(StreamConfigFile::read(file)?.parse()?);
        }
        let (mut events, mut bad) = (0_usize, 0_usize);
        for file in &self.files {
            let name = file.display().to_string();
            let mut input = open(file).with_context(|| format!("{name}: cannot be read"))?;
            let mut line = Vec::new();
            for number in 1_usize.. {
                line.clear();
                let read = input.read_until(b'\n', &mut line);
                if read.with_context(|| format!("{name}:{number}: cannot be read"))? == 0 {
                    break;
                }
                if line.trim_ascii().is_empty() {
                    continue;
                }
                events += 1;
                if let Err(refusal) = rules.check(&line) {
                    bad += 1;
                    writeln!(out, "{name}:{number}: {refusal}")?;
                }
            }
        }
        writeln!(log, "{bad} of {events} events are bad")?;
        Ok(if bad == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn open(file: &Path) -> io::Result<Box<dyn BufRead>> {
    Ok(if file == Path::new("-") {
        Box::new(BufReader::new(io::stdin()))
    } else {
        Box::new(BufReader::new(File::open(file)?))
    })
}

/// A schema, compiled when an event first names it.
struct Lazy {
    json: String,
    compiled: Option<Result<Schema, String>>,
}

/// What events are checked against.
#[derive(Default)]
struct Rules {
    schemas: Vec<Lazy>,
    by_uri: HashMap<String, usize>,
    streams: Option<StreamConfigs>,
}

impl Rules {
    /// Adds a repository behind those that are there.
    fn add(&mut self, repository: SchemaRepository) {
        let first = self.schemas.len();
        let mut latest: HashMap<String, usize> = HashMap::new();
        for (at, schema) in (first..).zip(repository.schemas()) {
            // Versions come oldest first.
            latest.insert(format!("/{}/latest", schema.title), at);
            self.by_uri.entry(schema.uri()).or_insert(at);
        }
        for (uri, at) in latest {
            self.by_uri.entry(uri).or_insert(at);
        }
        // A schema that calls itself otherwise than its place is found by that name too, unless another one lies there.
        for (at, schema) in (first..).zip(repository.schemas()) {
            if let Some(uri) = schema.own_uri() {
                self.by_uri.entry(uri.to_string()).or_insert(at);
            }
        }
        self.schemas
            .extend(repository.schemas().iter().map(|schema| Lazy {
                json: schema.json.clone(),
                compiled: None,
            }));
    }

    fn schema(&mut self, uri: &SchemaUri) -> Result<&Schema, String> {
        let schema = self
            .by_uri
            .get(&uri.to_string())
            .and_then(|at| self.schemas.get_mut(*at))
            .ok_or_else(|| {
                format!("/$schema: no repository has {uri}: publish the schema, or correct $schema")
            })?;
        let json = &schema.json;
        schema
            .compiled
            .get_or_insert_with(|| Schema::compile(json).map_err(|error| error.to_string()))
            .as_ref()
            .map_err(|error| format!("/$schema: {uri} cannot be used: {error}"))
    }

    /// Checks one line.
    ///
    /// # Errors
    /// All that is wrong, each part with its pointer.
    fn check(&mut self, line: &[u8]) -> Result<(), String> {
        let mut mended = line.to_vec();
        mend_surrogates(&mut mended);
        let raw = match split_body(&mended)
            .map_err(|error| unreadable(&error))?
            .as_slice()
        {
            [raw] if line.trim_ascii_start().starts_with(b"{") => *raw,
            [] => return Err("an object without members is no event: set $schema".to_owned()),
            _ => return Err("expected one JSON object a line, not an array".to_owned()),
        };
        let mut event = Document::parse(raw).map_err(|error| unreadable(&error))?;
        let bytes = event.sent_bytes();
        if bytes > MAX_EVENT_BYTES {
            return Err(format!(
                "the event has {bytes} bytes, more than the {MAX_EVENT_BYTES} that are accepted: make it smaller"
            ));
        }
        let Some(uri) = event.get_str(&["$schema"]) else {
            return Err(
                "/$schema: missing, or no string: set it to the URI of the event's schema".to_owned(),
            );
        };
        let uri = SchemaUri::parse(&uri).map_err(|error| format!("/$schema: {error}"))?;
        let stream = event
            .get_str(&["meta", "stream"])
            .map(|stream| stream.into_owned());
        let config = match (&self.streams, &stream) {
            (Some(streams), Some(stream)) => Some(streams.stream(stream).ok_or(
                "/meta/stream: not configured: add the stream to the stream config, or correct the event",
            )?),
            _ => None,
        };
        let schema = self.schema(&uri)?;
        if let Some(config) = &config {
            fits_stream(schema, &uri, config)?;
        }
        fill(&mut event, schema).map_err(told)?;
        if event.is_overfull() {
            return Err(format!(
                "the schema's defaults would add more than {MAX_EVENT_BYTES} bytes to the event: send fewer items, or the members themselves"
            ));
        }
        let value: Value = serde_json::from_str(&event.text()).map_err(|error| error.to_string())?;
        schema.validate(&value).map_err(told)?;
        if stream.is_none() {
            return Err("/meta/stream: missing: set it to the event's stream".to_owned());
        }
        let keys = config.iter().flat_map(|config| &config.message_key_fields);
        match keys.map(|(_, path)| path).find(|path| event.get(path).is_none()) {
            Some(path) => Err(format!(
                "/{}: missing, but the stream's message_key_fields name it",
                path.join("/")
            )),
            None => Ok(()),
        }
    }
}

/// The errors of an event, on one line.
fn told(errors: Vec<AjvError>) -> String {
    let errors: Vec<String> = errors
        .into_iter()
        .map(|error| match error.pointer.as_str() {
            "" => error.message,
            pointer => format!("{pointer}: {}", error.message),
        })
        .collect();
    errors.join("; ")
}

/// Why a text is no event.
pub(crate) fn unreadable(error: &JsonError) -> String {
    match error {
        JsonError::DuplicateKey(pointer) => format!("{pointer}: the member appears twice: remove one"),
        error => error.to_string(),
    }
}

/// Whether events of the schema may enter the stream, as intake decides it.
fn fits_stream(schema: &Schema, uri: &SchemaUri, config: &Stream) -> Result<(), String> {
    let Some(expected) = &config.schema_title else {
        return Err("/meta/stream: the stream has no schema_title: set it in the stream config".to_owned());
    };
    match schema.title() {
        Some(title) if title == expected || uri.title() == expected => Ok(()),
        Some(_) => Err(format!(
            "/$schema: the stream takes only schemas titled {expected}: use one of those, or another stream"
        )),
        None => Err(format!("/$schema: {uri} has no title: no stream takes it")),
    }
}

/// Adds what intake adds before it validates.
fn fill(event: &mut Document<'_>, schema: &Schema) -> Result<(), Vec<AjvError>> {
    let legacy = schema
        .title()
        .is_some_and(|title| title.starts_with("analytics/legacy"));
    let fields: [(&[&str], &str); 3] = [
        (&["meta", "id"], EVENT_ID),
        (&["meta", "dt"], RECEIVE_TIME),
        (&["dt"], RECEIVE_TIME),
    ];
    for (path, value) in fields {
        if (legacy || path.len() > 1) && schema.takes(path) {
            event.add(path, || value);
        }
    }
    schema.fill_defaults(event)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const SCHEMA: &str = "title: a\n$id: /b/1.0.0\nrequired: [meta, n]\nproperties:\n  n: {type: integer}\n  \
        list: {items: {type: string}}\n  many: {items: {properties: {d: {default: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}}}}\n  \
        meta:\n    type: object\n    required: [id, dt]\n    properties:\n      id: {type: string}\n      \
        dt: {type: string, format: date-time}\n      stream: {type: string}\n";

    fn validate(events: &str, streams: Option<&str>) -> (ExitCode, Vec<String>, String) {
        let dir = tempfile::tempdir().unwrap();
        let at = |name: &str| dir.path().join(name);
        fs::create_dir_all(at("schemas/a")).unwrap();
        fs::write(at("schemas/a/1.0.0.yaml"), SCHEMA).unwrap();
        fs::write(at("schemas/a/1.1.0.yaml"), SCHEMA.replace("integer", "string")).unwrap();
        fs::write(at("events.ndjson"), events).unwrap();
        let command = Validate {
            files: vec![at("events.ndjson")],
            schemas: vec![at("schemas")],
            streams: streams.map(|text| {
                fs::write(at("streams.yaml"), text).unwrap();
                at("streams.yaml")
            }),
        };
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let code = command.run(&mut out, &mut log).unwrap();
        let prefix = format!("{}:", at("events.ndjson").display());
        let lines = String::from_utf8(out).unwrap();
        let lines = lines
            .lines()
            .map(|line| line.strip_prefix(&prefix).unwrap().to_owned());
        (code, lines.collect(), String::from_utf8(log).unwrap())
    }

    #[test]
    fn each_bad_event_is_one_line_with_its_number_pointer_and_message() {
        for (event, expected) in [
            (r#"{"$schema":"/a/1.0.0","meta":{"stream":"s"},"n":1}"#, ""),
            (r#"{"$schema":"/b/1.0.0","meta":{"stream":"s"},"n":1}"#, ""),
            (r#"{"$schema":"/a/latest","meta":{"stream":"s"},"n":"1"}"#, ""),
            (
                r#"{"$schema":"/a/latest","meta":{"stream":"s"},"n":"ok \ud83d"}"#,
                "",
            ),
            (
                r#"{"$schema":"/a/latest","meta":{"stream":"s"},"n":"","\ud83d":1,"\ude00":2}"#,
                "/\u{fffd}: the member appears twice",
            ),
            (
                r#"{"$schema":"/a/1.0.0","meta":{"stream":"s"},"n":"x","list":["a",1]}"#,
                "/n: should be integer; /list/1: should be string",
            ),
            (
                r#"{"$schema":"/a/1.0.0","meta":{"stream":"s"}}"#,
                "should have required property 'n'",
            ),
            (
                r#"{"$schema":"/a/1.0.0","meta":{"stream":"s","dt":"today"},"n":1}"#,
                "/meta/dt: should match format \"date-time\"",
            ),
            (
                r#"{"$schema":"/a/1.0.0","meta":{},"n":1}"#,
                "/meta/stream: missing",
            ),
            (r#"{"n":1}"#, "/$schema: missing"),
            (
                r#"{"$schema":"/c/1.0.0"}"#,
                "/$schema: no repository has /c/1.0.0",
            ),
            (r#"{"$schema":"https://a.org/x"}"#, "/$schema: '"),
            (
                r#"{"$schema":"/a/1.0.0","n":1,"n":2}"#,
                "/n: the member appears twice",
            ),
            (r#"[{"$schema":"/a/1.0.0"}]"#, "expected one JSON object a line"),
            ("{}", "an object without members"),
            ("{", "not valid JSON"),
            ("5", "expected a JSON object"),
        ] {
            let (code, lines, log) = validate(&format!("\n{event}\n"), None);
            if expected.is_empty() {
                assert_eq!(
                    (code, lines, log.as_str()),
                    (ExitCode::SUCCESS, vec![], "0 of 1 events are bad\n")
                );
                continue;
            }
            assert_eq!(
                (code, log.as_str()),
                (ExitCode::FAILURE, "1 of 1 events are bad\n"),
                "{event}"
            );
            assert!(
                lines.len() == 1 && lines[0].starts_with(&format!("2: {expected}")),
                "{event}: {lines:?}"
            );
        }
    }

    #[test]
    fn an_event_is_bad_if_the_defaults_of_its_schema_would_add_more_than_a_megabyte() {
        for (items, expected) in [
            (20_000, None),
            (
                30_000,
                Some("1: the schema's defaults would add more than 1048576 bytes"),
            ),
        ] {
            let many = vec!["{}"; items].join(",");
            let event = format!(r#"{{"$schema":"/a/1.0.0","meta":{{"stream":"s"}},"n":1,"many":[{many}]}}"#);
            let (_, lines, _) = validate(&event, None);
            match expected {
                None => assert!(lines.is_empty(), "{lines:?}"),
                Some(expected) => assert!(lines.len() == 1 && lines[0].starts_with(expected), "{lines:?}"),
            }
        }
    }

    #[test]
    fn a_last_line_without_its_end_counts_and_bytes_that_are_no_text_are_bad() {
        let (_, lines, log) = validate("{\n\n{", None);
        assert_eq!((lines.len(), log.as_str()), (2, "2 of 2 events are bad\n"));
        assert!(lines[1].starts_with("3: "), "{lines:?}");
    }

    #[test]
    fn an_event_must_fit_its_stream_where_a_stream_config_is_named() {
        let streams =
            "s: {schema_title: a, message_key_fields: {n: n, l: list}}\nt: {schema_title: c}\nu: {}\n";
        for (stream, expected) in [
            ("s", "/list: missing, but the stream's message_key_fields name it"),
            ("t", "/$schema: the stream takes only schemas titled c"),
            ("u", "/meta/stream: the stream has no schema_title"),
            ("v", "/meta/stream: not configured"),
        ] {
            let event = format!(r#"{{"$schema":"/a/1.0.0","meta":{{"stream":"{stream}"}},"n":1}}"#);
            let (_, lines, _) = validate(&event, Some(streams));
            assert!(
                lines.len() == 1 && lines[0].starts_with(&format!("1: {expected}")),
                "{lines:?}"
            );
        }
    }
}
