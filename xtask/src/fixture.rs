//! `cargo xtask dev --fixture FILE`: streams and a log, as the recorded answers of EventStreams begin with.
//!
//! ```json
//! {"streams": {"a": {"topics": ["eqiad.a"]}}, "allowed_streams": ["a"],
//!  "log": {"eqiad.a": [[{"timestamp": 1532031066000, "value": {"n": 1}, "key": "k1"}, {"timestamp": 1532031067000, "raw": "not JSON"}]]}}
//! ```
//!
//! A topic has a list of partitions, a partition a list of events. A file with such an object as its member `fixture` will do.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use eventstar_cli::{Admin, StreamConfigFile};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// What a fixture holds.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    streams: Map<String, Value>,
    pub(crate) allowed_streams: Vec<String>,
    log: BTreeMap<String, Vec<Vec<Event>>>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Event {
    timestamp: u64,
    key: Option<Value>,
    value: Option<Value>,
    /// A text that is no event.
    raw: Option<String>,
}

impl Fixture {
    pub(crate) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown} cannot be read"))?;
        let mut file: Value = serde_json::from_str(&text).with_context(|| format!("{shown} is no JSON"))?;
        if let Some(fixture) = file.get_mut("fixture") {
            file = fixture.take();
        }
        let fixture = serde_json::from_value(file);
        fixture
            .with_context(|| format!("{shown} has not the form of a fixture: streams, allowed_streams, log"))
    }

    /// The stream config, as a file in `folder`: a stream has as many partitions as the widest of its topics, and keeps its
    /// events, which are old, for good.
    pub(crate) fn stream_config(&self, folder: &Path) -> Result<StreamConfigFile> {
        let mut streams = self.streams.clone();
        for settings in streams.values_mut() {
            let widest = topics(settings)
                .filter_map(|topic| Some(self.log.get(topic)?.len()))
                .max();
            let Some(settings) = settings.as_object_mut() else {
                continue;
            };
            if let Some(widest @ 2..) = widest {
                settings.insert("partitions".to_owned(), widest.into());
            }
            settings.insert("retention".to_owned(), json!({"ms": -1}));
        }
        let path: PathBuf = folder.join("fixture-streams.json");
        fs::write(&path, Value::from(streams).to_string())?;
        StreamConfigFile::read(&path)
    }

    /// Appends the log, each topic as one of the first stream that has it.
    pub(crate) fn append(&self, admin: &Admin) -> Result<()> {
        for (topic, partitions) in &self.log {
            let stream = self.streams.iter().find(|(name, settings)| {
                !name.starts_with('/') && topics(settings).any(|other| other == topic)
            });
            let Some((stream, _)) = stream else {
                bail!("no stream of the fixture has the topic {topic}");
            };
            for (partition, events) in partitions
                .iter()
                .enumerate()
                .filter(|(_, events)| !events.is_empty())
            {
                let lines: String = events.iter().map(line).collect();
                admin.append(stream, topic, partition, &lines)?;
            }
        }
        Ok(())
    }
}

fn topics(settings: &Value) -> impl Iterator<Item = &str> {
    let topics = settings.get("topics").and_then(Value::as_array);
    topics.into_iter().flatten().filter_map(Value::as_str)
}

fn line(event: &Event) -> String {
    let text = || event.raw.clone().map(Value::from);
    let value = event.value.clone().or_else(text);
    let mut line = json!({"dt": event.timestamp, "event": value});
    if let (Some(key), Some(line)) = (&event.key, line.as_object_mut()) {
        line.insert("key".to_owned(), key.clone());
    }
    format!("{line}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIXTURE: &str = r#"{"fixture": {
        "streams": {"a": {"topics": ["x.a", "y.a"]}, "b": {}}, "allowed_streams": ["a"],
        "log": {"x.a": [[{"timestamp": 1, "value": {"n": 1}, "key": "k"}], [{"timestamp": 2, "raw": "?"}]], "y.a": [[]]}
    }}"#;

    #[test]
    fn a_fixture_is_read_and_its_streams_are_as_wide_as_their_topics() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fixture.json");
        fs::write(&path, FIXTURE).unwrap();
        let fixture = Fixture::read(&path).unwrap();
        let config = fixture.stream_config(folder.path()).unwrap();
        assert_eq!(
            Value::from(config.value().clone()),
            json!({
                "a": {"topics": ["x.a", "y.a"], "partitions": 2, "retention": {"ms": -1}},
                "b": {"retention": {"ms": -1}},
            })
        );
        let lines: Vec<String> = fixture.log["x.a"].iter().flatten().map(line).collect();
        assert_eq!(
            lines,
            [
                "{\"dt\":1,\"event\":{\"n\":1},\"key\":\"k\"}\n",
                "{\"dt\":2,\"event\":\"?\"}\n"
            ]
        );
    }

    #[test]
    fn another_file_is_refused_with_what_it_must_have() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("fixture.json");
        fs::write(&path, "{\"streams\": {}}").unwrap();
        let error = Fixture::read(&path).unwrap_err();
        assert!(
            error.to_string().contains("streams, allowed_streams, log"),
            "{error}"
        );
    }
}
