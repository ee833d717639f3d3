//! What is wrong or odd in a stream config, before it is published.

mod overlap;
mod settings;

use std::collections::{BTreeMap, HashSet};
use std::fmt;

use eventstar_stream_config::StreamConfigs;
use serde_json::{Map, Value, json};

use crate::StreamConfigFile;
use crate::stream_config::{escape, nested};
use settings::{suggestion, unknown};

/// Whether a finding keeps the config from being published.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Severity {
    /// The config, or one of its streams, cannot work.
    Error,
    /// It works, perhaps otherwise than it was meant.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// One thing that is wrong or odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// JSON pointer of the place.
    pub(crate) pointer: String,
    pub(crate) message: String,
}

/// Checks a config; `titles` are those of all schemas, where they are known.
pub(crate) fn lint(file: &StreamConfigFile, titles: Option<&HashSet<String>>) -> Vec<Finding> {
    let mut lint = Lint {
        file,
        findings: Vec::new(),
    };
    lint.structure();
    // What follows reads settings that have the types they must have.
    if lint.findings.is_empty()
        && let Ok(streams) = file.parse()
    {
        lint.settings();
        lint.lists();
        lint.titles(&streams, titles);
        lint.destinations(&streams);
        lint.topics(&streams);
        lint.patterns();
    }
    lint.findings
}

struct Lint<'f> {
    file: &'f StreamConfigFile,
    findings: Vec<Finding>,
}

impl Lint<'_> {
    fn found(&mut self, severity: Severity, pointer: String, message: String) {
        self.findings.push(Finding {
            severity,
            pointer,
            message,
        });
    }

    fn defaults(&self) -> Option<&Value> {
        nested(self.file.value()).and_then(|_| self.file.value().get("defaults"))
    }

    /// Each stream by itself, so that all that are wrong are told at once.
    fn structure(&mut self) {
        let defaults = self.defaults().cloned().unwrap_or_default();
        if let Err(error) = StreamConfigs::parse(&json!({"defaults": defaults, "streams": {"defaults": {}}}))
        {
            // Wrong settings of `defaults` are found where they are merged into a stream without settings.
            let below = error
                .pointer
                .trim_start_matches("/streams")
                .trim_start_matches("/defaults");
            return self.found(Severity::Error, format!("/defaults{below}"), error.message);
        }
        let file = self.file;
        for (name, settings) in file.streams() {
            let one = json!({"defaults": defaults, "streams": {name: settings}});
            if let Err(error) = StreamConfigs::parse(&one) {
                let own = format!("/streams/{}", escape(name));
                let below = error.pointer.strip_prefix(own.as_str()).unwrap_or_default();
                self.found(
                    Severity::Error,
                    format!("{}{below}", file.pointer(name)),
                    error.message,
                );
            }
        }
        if self.findings.is_empty()
            && let Err(error) = StreamConfigs::parse(&Value::Object(file.value().clone()))
        {
            self.found(Severity::Error, error.pointer, error.message);
        }
    }

    fn settings(&mut self) {
        let file = self.file;
        let defaults = self.defaults().map(|settings| ("/defaults".to_owned(), settings));
        let streams = file
            .streams()
            .map(|(name, settings)| (file.pointer(name), settings));
        let found: Vec<_> = defaults
            .into_iter()
            .chain(streams)
            .flat_map(|(pointer, settings)| unknown(&pointer, settings))
            .collect();
        for (pointer, message) in found {
            self.found(Severity::Warning, pointer, message);
        }
    }

    /// Lists are merged by index, as EventStreamConfig does: a shorter one keeps the end of the default.
    fn lists(&mut self) {
        let Some(Value::Object(defaults)) = self.defaults().cloned() else {
            return;
        };
        let file = self.file;
        for (name, settings) in file.streams() {
            for (member, default) in &defaults {
                let (Value::Array(default), Some(Value::Array(own))) = (default, settings.get(member)) else {
                    continue;
                };
                if own.len() < default.len() {
                    let message = format!(
                        "lists are merged by index, so the last {} of the default stay: write null for none, or as many as the default has",
                        default.len() - own.len()
                    );
                    let pointer = format!("{}/{}", file.pointer(name), escape(member));
                    self.found(Severity::Warning, pointer, message);
                }
            }
        }
    }

    fn titles(&mut self, streams: &StreamConfigs, titles: Option<&HashSet<String>>) {
        for name in streams.names() {
            let settings = streams.settings(name).unwrap_or_default();
            let stream = self.file.pointer(name);
            let pointer = format!("{stream}/schema_title");
            let Some(title) = text(&settings, "schema_title") else {
                let message = "no schema_title: intake takes no events for the stream".to_owned();
                self.found(Severity::Warning, stream, message);
                continue;
            };
            let bare = title.trim_start_matches('/');
            if bare != title {
                let message = format!("no schema has a title that begins with /: write {bare}");
                self.found(Severity::Error, pointer, message);
                continue;
            }
            if let Some(titles) = titles.filter(|titles| !titles.contains(title)) {
                let mut known: Vec<&str> = titles.iter().map(String::as_str).collect();
                known.sort_unstable();
                let message = format!(
                    "no schema is titled {title}{}",
                    suggestion(title, &known).unwrap_or_default()
                );
                self.found(Severity::Error, pointer, message);
            }
        }
    }

    /// A config that names event services names one for every stream; one that names none needs none.
    fn destinations(&mut self, streams: &StreamConfigs) {
        let without: Vec<&str> = streams
            .names()
            .filter(|name| {
                let settings = streams.settings(name).unwrap_or_default();
                text(&settings, "destination_event_service").is_none()
            })
            .collect();
        if without.len() == streams.names().count() {
            return;
        }
        for name in without {
            let message = "no destination_event_service, which other streams have: no deployment with EVENT_SERVICE set takes its events";
            self.found(Severity::Warning, self.file.pointer(name), message.to_owned());
        }
    }

    fn topics(&mut self, streams: &StreamConfigs) {
        let mut owners: BTreeMap<String, &str> = BTreeMap::new();
        for name in streams.names().filter(|name| !name.starts_with('/')) {
            let settings = streams.settings(name).unwrap_or_default();
            let topics = settings.get("topics").and_then(Value::as_array);
            for topic in topics.into_iter().flatten().filter_map(Value::as_str) {
                if let Some(other) = owners
                    .insert(topic.to_owned(), name)
                    .filter(|other| *other != name)
                {
                    let message =
                        format!("topic {topic} is that of stream {other} too: readers of one get both");
                    self.found(Severity::Warning, self.file.pointer(name), message);
                }
            }
        }
    }

    fn patterns(&mut self) {
        let file = self.file;
        let patterns: Vec<&str> = file
            .streams()
            .map(|(name, _)| name)
            .filter(|name| name.starts_with('/'))
            .collect();
        for (at, later) in patterns.iter().enumerate() {
            for earlier in patterns.iter().take(at) {
                if let Some(name) = overlap::common_name(earlier, later) {
                    let message = format!(
                        "{earlier} matches '{name}' too, and is asked first: make them exclude each other, or mind their order"
                    );
                    self.found(Severity::Warning, file.pointer(later), message);
                }
            }
        }
    }
}

fn text<'m>(settings: &'m Map<String, Value>, name: &str) -> Option<&'m str> {
    settings
        .get(name)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn findings(yaml: &str) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("streams.yaml");
        std::fs::write(&path, yaml).unwrap();
        let file = StreamConfigFile::read(&path).unwrap();
        let titles = HashSet::from(["page/view".to_owned(), "page/edit".to_owned()]);
        lint(&file, Some(&titles))
            .into_iter()
            .map(|found| format!("{} {}: {}", found.severity, found.pointer, found.message))
            .collect()
    }

    #[test]
    fn each_rule_finds_what_it_is_for_and_nothing_else() {
        for (yaml, expected) in [
            ("a: {schema_title: page/view}\n", &[][..]),
            (
                "a: {accept: maybe}\nb: {}\nc: {partitions: 0}\nd e: {}\n",
                &[
                    "error /a/accept: expected \"log\", \"queue\" or \"kafka\"",
                    "error /c/partitions: expected a number",
                    "error /d e: 'd e' is not a stream name",
                ],
            ),
            (
                "defaults: {accept: maybe}\nstreams: {a: {}, b: {}}\n",
                &["error /defaults/accept: expected"],
            ),
            ("/(/: {}\n", &["error /~1(~1: '/(/' is not a regex"]),
            (
                "a: {schema_title: page/view, canary_events_enabed: true, zzz: 1}\n",
                &[
                    "warning /a/canary_events_enabed: unknown setting: did you mean canary_events_enabled?",
                    "warning /a/zzz: unknown setting",
                ],
            ),
            (
                "a: {schema_title: page/veiw}\n",
                &["error /a/schema_title: no schema is titled page/veiw: did you mean page/view?"],
            ),
            (
                "defaults: {}\nstreams:\n  a: {schema_title: /page/view}\n",
                &["error /streams/a/schema_title: no schema has a title that begins with /: write page/view"],
            ),
            ("a: {}\n", &["warning /a: no schema_title"]),
            (
                "a: {schema_title: page/view, destination_event_service: x}\nb: {schema_title: page/view}\n",
                &["warning /b: no destination_event_service"],
            ),
            (
                "a: {schema_title: page/view, topics: [x]}\nx: {schema_title: page/view}\n",
                &["warning /x: topic x is that of stream a too"],
            ),
            (
                "/^job\\./: {schema_title: page/view}\n/^job\\.run\\./: {schema_title: page/view}\n/^jobs\\./: {schema_title: page/view}\n",
                &["warning /~1^job\\.run\\.~1: /^job\\./ matches 'job.run.' too"],
            ),
            (
                "defaults: {topic_prefixes: [x., y.]}\nstreams:\n  a: {schema_title: page/view, topic_prefixes: [z.]}\n",
                &["warning /streams/a/topic_prefixes: lists are merged by index, so the last 1"],
            ),
        ] {
            let found = findings(yaml);
            assert_eq!(found.len(), expected.len(), "{yaml}{found:#?}");
            for (found, expected) in found.iter().zip(expected) {
                assert!(found.starts_with(expected), "{yaml}{found}");
            }
        }
    }
}
