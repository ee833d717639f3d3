//! What is posted, and what has to be published for it: real events where they lie beside the checkout, small ones always.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use eventstar_cli::{Admin, SchemaRepository, StreamConfigFile};
use serde_json::{Map, Value};

use crate::project::Project;

/// Events in the larger of the two kinds of request.
pub(super) const BATCH: usize = 100;

/// How many small events there are: as many as make one batch.
const SMALL: usize = BATCH;

/// Events of one kind, as JSON texts.
#[derive(Debug)]
pub(super) struct Events {
    pub(super) name: &'static str,
    texts: Vec<String>,
}

impl Events {
    /// The bodies to post in turn: single events.
    pub(super) fn singles(&self) -> Vec<String> {
        self.texts.clone()
    }

    /// The bodies to post in turn: batches. As many as it takes for all events to be posted equally often.
    pub(super) fn batches(&self) -> Vec<String> {
        let mut turns = self.texts.iter().cycle();
        let mut batches = Vec::new();
        loop {
            let batch: Vec<&str> = turns.by_ref().take(BATCH).map(String::as_str).collect();
            batches.push(format!("[{}]", batch.join(",")));
            if (batches.len() * BATCH).is_multiple_of(self.texts.len().max(1)) {
                return batches;
            }
        }
    }
}

/// The events, and the schemas and streams they need.
#[derive(Debug)]
pub(super) struct Content {
    repository: (&'static str, SchemaRepository),
    streams: StreamConfigFile,
    /// Those like the events EventGate's own tests post, then the larger ones.
    pub(super) events: [Events; 2],
    /// Where the larger ones come from.
    pub(super) source: String,
}

impl Content {
    pub(super) fn read(project: &Project) -> Result<Self> {
        let shared = project.root.parent().map(|parent| parent.join("shared/data"));
        match shared.filter(|data| data.is_dir()) {
            Some(data) => Self::real(&data),
            None => Self::examples(&project.root.join("examples")),
        }
    }

    /// All schemas of a repository in use, and the events those schemas have as examples.
    fn real(data: &Path) -> Result<Self> {
        let texts = read_lines(&data.join("examples-primary.ndjson"))?
            .iter()
            .map(|line| {
                line.get("event")
                    .map(Value::to_string)
                    .context("a line without an event")
            })
            .collect::<Result<Vec<_>>>()?;
        let source = format!("real: {} events of schemas in use, posted in turn", texts.len());
        Self::new(
            (
                "primary",
                SchemaRepository::read(&data.join("schemas-event-primary/jsonschema"))?,
            ),
            StreamConfigFile::read(&data.join("streams-primary.json"))?,
            Events { name: "real", texts },
            source,
        )
    }

    /// The example schemas and streams, and the example events.
    pub(super) fn examples(examples: &Path) -> Result<Self> {
        let streams = StreamConfigFile::read(&examples.join("streams.yaml"))?;
        let events = read_lines(&examples.join("events.ndjson"))?;
        let texts = open_to_all(&events, &streams);
        let source = format!(
            "example: {} events of the example schemas, posted in turn, because there are no real ones in ../shared/data",
            texts.len()
        );
        Self::new(
            (
                "examples",
                SchemaRepository::read(&examples.join("schemas/jsonschema"))?,
            ),
            streams,
            Events {
                name: "example",
                texts,
            },
            source,
        )
    }

    fn new(
        repository: (&'static str, SchemaRepository),
        streams: StreamConfigFile,
        larger: Events,
        source: String,
    ) -> Result<Self> {
        ensure!(!larger.texts.is_empty(), "there are no events to post");
        Ok(Self {
            repository,
            streams,
            events: [small(), larger],
            source,
        })
    }

    /// Publishes the schemas and streams.
    pub(super) fn publish(&self, base_url: &str, admin_token: &str) -> Result<()> {
        let admin = Admin::new(base_url, admin_token)?;
        let (name, schemas) = &self.repository;
        admin.publish_schemas(name, schemas.schemas(), &mut |_| {})?;
        admin.publish_streams(&self.streams)?;
        Ok(())
    }
}

/// Events like those of EventGate's own tests. Schema and stream are in both repositories.
fn small() -> Events {
    let texts = (0..SMALL)
        .map(|number| {
            format!(
                concat!(
                    r#"{{"$schema":"/test/event/1.0.0","meta":{{"stream":"test.event","#,
                    r#""id":"5e1dd101-641c-41e8-ab6c-b083fecf{:04x}","dt":"2026-01-01T00:00:00.000Z"}},"test":"value {}"}}"#
                ),
                number, number
            )
        })
        .collect();
    Events { name: "small", texts }
}

fn read_lines(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(serde_json::from_str)
        .collect::<Result<_, _>>()
        .with_context(|| format!("{} is not valid", path.display()))
}

/// The events anybody may post.
fn open_to_all(events: &[Value], streams: &StreamConfigFile) -> Vec<String> {
    let needs_token = |settings: &Value| settings.pointer("/producers/auth").is_some();
    let closed: Map<String, Value> = streams
        .streams()
        .filter(|(_, settings)| needs_token(settings))
        .map(|(name, settings)| (name.to_owned(), settings.clone()))
        .collect();
    let stream = |event: &Value| event.pointer("/meta/stream")?.as_str().map(str::to_owned);
    events
        .iter()
        .filter(|event| stream(event).is_some_and(|stream| !closed.contains_key(&stream)))
        .map(Value::to_string)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn events(count: usize) -> Events {
        Events {
            name: "any",
            texts: (0..count).map(|number| number.to_string()).collect(),
        }
    }

    #[test]
    fn batches_have_all_events_equally_often() {
        for (count, batches) in [(1, 1), (6, 3), (71, 71), (100, 1), (150, 3)] {
            let found = events(count).batches();
            assert_eq!(found.len(), batches, "{count} events");
            let mut seen = vec![0; count];
            for batch in &found {
                let batch: Vec<usize> = serde_json::from_str(batch).unwrap();
                assert_eq!(batch.len(), BATCH);
                batch.iter().for_each(|event| seen[*event] += 1);
            }
            assert!(seen.iter().all(|times| *times == seen[0]), "{seen:?}");
        }
        assert!(events(71).batches()[1].starts_with("[29,30,"));
    }

    #[test]
    fn small_events_differ() {
        let texts = small().singles();
        let first: Value = serde_json::from_str(&texts[0]).unwrap();
        assert_eq!(first["meta"]["stream"], "test.event");
        let ids: std::collections::HashSet<_> = texts
            .iter()
            .map(|text| serde_json::from_str::<Value>(text).unwrap()["meta"]["id"].to_string())
            .collect();
        assert_eq!(ids.len(), SMALL);
    }

    #[test]
    fn example_events_that_need_a_token_are_left_out() {
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let content = Content::examples(&examples).unwrap();
        let [small, larger] = &content.events;
        assert_eq!((small.name, larger.name), ("small", "example"));
        let text = larger.singles().join("\n");
        assert!(
            text.contains("shop.order") && !text.contains("shop.refund"),
            "{text}"
        );
        assert!(content.source.contains("because"), "{}", content.source);
    }
}
