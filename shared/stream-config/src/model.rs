//! A whole stream config: reading, lookup, listing.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use eventstar_event::StreamName;
use serde_json::{Map, Value};

use crate::merge;
use crate::pattern::StreamPattern;
use crate::stream::{self, Stream, strings};

/// Most lookups remembered; names that match a regex are the producers' choice, so the memory must be bounded.
const MAX_REMEMBERED: usize = 4096;

/// A config that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("stream config at {}: {message}", if pointer.is_empty() { "the root" } else { pointer })]
pub struct ConfigError {
    /// JSON pointer of the place.
    pub pointer: String,
    /// What is wrong and what is expected.
    pub message: String,
}

struct Entry {
    key: String,
    pattern: Option<StreamPattern>,
    settings: Map<String, Value>,
}

/// A stream config, checked, with defaults merged.
pub struct StreamConfigs {
    entries: Vec<Entry>,
    exact: HashMap<String, usize>,
    remembered: RefCell<HashMap<String, Option<Rc<Stream>>>>,
}

impl StreamConfigs {
    /// Reads a map of stream name (or `/regex/`) to settings, or `{"defaults": {…}, "streams": {…}}`. Order is kept.
    ///
    /// # Errors
    /// [`ConfigError`] names the first place that is wrong.
    pub fn parse(config: &Value) -> Result<Self, ConfigError> {
        let error = |pointer: String, message: &str| {
            Err(ConfigError {
                pointer,
                message: message.to_owned(),
            })
        };
        let Some(root) = config.as_object() else {
            return error(String::new(), "expected a map from stream name to settings");
        };
        let nested =
            root.contains_key("streams") && root.keys().all(|key| key == "streams" || key == "defaults");
        let (streams, base, defaults) = if nested {
            let Some(streams) = root.get("streams").and_then(Value::as_object) else {
                return error("/streams".into(), "expected a map from stream name to settings");
            };
            (streams, "/streams", root.get("defaults"))
        } else {
            (root, "", None)
        };
        let defaults = match defaults {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(defaults)) => defaults.clone(),
            Some(_) => return error("/defaults".into(), "expected a map of settings"),
        };
        let mut configs = Self {
            entries: Vec::with_capacity(streams.len()),
            exact: HashMap::new(),
            remembered: RefCell::default(),
        };
        for (key, settings) in streams {
            let at = format!("{base}/{}", key.replace('~', "~0").replace('/', "~1"));
            let pattern = if StreamPattern::is_pattern(key) {
                Some(StreamPattern::parse(key).map_err(|message| ConfigError {
                    pointer: at.clone(),
                    message,
                })?)
            } else {
                StreamName::parse(key).map_err(|error| ConfigError {
                    pointer: at.clone(),
                    message: error.to_string(),
                })?;
                None
            };
            if !settings.is_object() {
                return error(at, "expected a map of settings");
            }
            let mut merged = Value::Object(defaults.clone());
            merge(&mut merged, settings);
            let Value::Object(mut settings) = merged else {
                continue;
            };
            stream::check(&settings).map_err(|(below, message)| ConfigError {
                pointer: format!("{at}{below}"),
                message,
            })?;
            settings.insert("stream".into(), Value::from(key.as_str()));
            configs.exact.insert(key.clone(), configs.entries.len());
            configs.entries.push(Entry {
                key: key.clone(),
                pattern,
                settings,
            });
        }
        Ok(configs)
    }

    /// The names (or regexes) of all streams, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.key.as_str())
    }

    fn find(&self, stream: &str) -> Option<&Entry> {
        match self.exact.get(stream) {
            Some(index) => self.entries.get(*index),
            None => self.entries.iter().find(|entry| {
                entry
                    .pattern
                    .as_ref()
                    .is_some_and(|pattern| pattern.matches(stream))
            }),
        }
    }

    /// The settings of `stream` as EventStreamConfig answers them: defaults merged, `stream` the config's key,
    /// `topics` computed for the stream asked for.
    #[must_use]
    pub fn settings(&self, stream: &str) -> Option<Map<String, Value>> {
        let entry = self.find(stream)?;
        let mut settings = entry.settings.clone();
        settings.insert("topics".into(), Value::from(topics(entry, stream)));
        Some(settings)
    }

    /// The typed settings of `stream`, remembered for the next event.
    #[must_use]
    pub fn stream(&self, stream: &str) -> Option<Rc<Stream>> {
        if let Some(known) = self.remembered.borrow().get(stream) {
            return known.clone();
        }
        let found = self
            .find(stream)
            .map(|entry| Rc::new(Stream::from_settings(&entry.settings, topics(entry, stream))));
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(stream.to_owned(), found.clone());
        found
    }
}

/// The topics of `stream` (StreamConfig.php:101-156): as configured, else each prefix with the stream's name.
fn topics(entry: &Entry, stream: &str) -> Vec<String> {
    if entry
        .settings
        .get("topics")
        .is_some_and(|topics| !topics.is_null())
    {
        return strings(entry.settings.get("topics"));
    }
    let prefixes = match entry.settings.get("topic_prefixes") {
        None | Some(Value::Null) => return vec![stream.to_owned()],
        prefixes => strings(prefixes),
    };
    match entry.pattern.as_ref().filter(|_| stream == entry.key) {
        Some(pattern) => vec![pattern.prefixed(&prefixes.iter().map(String::as_str).collect::<Vec<_>>())],
        None => prefixes
            .iter()
            .map(|prefix| format!("{prefix}{stream}"))
            .collect(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Accept;

    fn topics_of(config: &Value, stream: &str) -> Value {
        StreamConfigs::parse(config)
            .unwrap()
            .settings(stream)
            .unwrap()
            .get("topics")
            .cloned()
            .unwrap()
    }

    /// StreamConfigTest.php:450-564, the eight rows.
    #[test]
    fn topics_are_computed_as_eventstreamconfig_does() {
        let jobs = r"/^mediawiki\.job\..+/";
        let prefixes = json!(["eqiad.", "codfw."]);
        for (key, settings, stream, expected) in [
            (
                "nonya",
                json!({"topics": ["eqiad.nonya", "codfw.nonya"]}),
                "nonya",
                json!(["eqiad.nonya", "codfw.nonya"]),
            ),
            ("nonya", json!({}), "nonya", json!(["nonya"])),
            (
                "nonya",
                json!({"topic_prefixes": prefixes}),
                "nonya",
                json!(["eqiad.nonya", "codfw.nonya"]),
            ),
            (jobs, json!({}), jobs, json!([jobs])),
            (
                jobs,
                json!({"topic_prefixes": prefixes}),
                jobs,
                json!([r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"]),
            ),
            (
                jobs,
                json!({}),
                "mediawiki.job.workworkwork",
                json!(["mediawiki.job.workworkwork"]),
            ),
            (
                jobs,
                json!({"topic_prefixes": prefixes}),
                "mediawiki.job.workworkwork",
                json!([
                    "eqiad.mediawiki.job.workworkwork",
                    "codfw.mediawiki.job.workworkwork"
                ]),
            ),
            (
                jobs,
                json!({"topic_prefixes": prefixes, "topics": ["t"]}),
                "mediawiki.job.x",
                json!(["t"]),
            ),
        ] {
            assert_eq!(
                topics_of(&json!({key: settings}), stream),
                expected,
                "{key} {stream}"
            );
        }
    }

    #[test]
    fn lookup_is_exact_first_and_then_the_first_regex_in_order() {
        let configs = StreamConfigs::parse(&json!({
            "/^a/": {"schema_title": "first"},
            "/^a\\.b/": {"schema_title": "second"},
            "a.b": {"schema_title": "exact"},
        }))
        .unwrap();
        let title = |stream: &str| {
            configs
                .stream(stream)
                .and_then(|stream| stream.schema_title.clone())
        };
        assert_eq!(title("a.b").as_deref(), Some("exact"));
        assert_eq!(title("a.b.c").as_deref(), Some("first"));
        assert_eq!(title("b"), None);
        assert_eq!(title("/^a/").as_deref(), Some("first"));
    }

    #[test]
    fn defaults_are_merged_under_every_stream() {
        let configs = StreamConfigs::parse(&json!({
            "defaults": {"topic_prefixes": ["eqiad."], "producers": {"auth": "token"}, "accept": "queue"},
            "streams": {"a": {"producers": {"tokens": ["x"]}}, "b": {"topic_prefixes": null, "accept": "log"}},
        }))
        .unwrap();
        let a = configs.stream("a").unwrap();
        assert!(a.token_required);
        assert_eq!(
            (a.tokens.as_slice(), a.topics.as_slice()),
            (&["x".to_owned()][..], &["eqiad.a".to_owned()][..])
        );
        assert_eq!(a.accept, Accept::Queue);
        let b = configs.stream("b").unwrap();
        assert_eq!(
            (b.topics.as_slice(), b.accept),
            (&["b".to_owned()][..], Accept::Log)
        );
    }

    #[test]
    fn a_stream_may_be_called_streams() {
        let configs = StreamConfigs::parse(&json!({"streams": {"schema_title": "x"}, "other": {}}));
        assert_eq!(configs.unwrap().names().collect::<Vec<_>>(), ["streams", "other"]);
    }

    #[test]
    fn what_is_wrong_is_named_by_its_pointer() {
        for (config, pointer) in [
            (json!([]), ""),
            (json!({"a b": {}}), "/a b"),
            (json!({"a": 1}), "/a"),
            (json!({"/(/": {}}), "/~1(~1"),
            (json!({"defaults": 1, "streams": {}}), "/defaults"),
            (json!({"streams": []}), "/streams"),
            (
                json!({"defaults": {}, "streams": {"a": {"accept": "maybe"}}}),
                "/streams/a/accept",
            ),
            (json!({"a": {"schema_title": 1}}), "/a/schema_title"),
            (json!({"a": {"topics": "x"}}), "/a/topics"),
            (json!({"a": {"partitions": 0}}), "/a/partitions"),
            (json!({"a": {"partitions": 65}}), "/a/partitions"),
            (
                json!({"a": {"message_key_fields": {"k": 1}}}),
                "/a/message_key_fields/k",
            ),
            (json!({"a": {"producers": {"auth": "yes"}}}), "/a/producers/auth"),
            (
                json!({"a": {"producers": {"tokens": "x"}}}),
                "/a/producers/tokens",
            ),
        ] {
            let error = StreamConfigs::parse(&config).err().unwrap();
            assert_eq!(error.pointer, pointer, "{config}: {error}");
        }
    }

    #[test]
    fn remembered_lookups_are_bounded() {
        let configs = StreamConfigs::parse(&json!({"/./": {}})).unwrap();
        for n in 0..=MAX_REMEMBERED {
            assert!(configs.stream(&format!("s{n}")).is_some());
        }
        assert!(configs.remembered.borrow().len() <= MAX_REMEMBERED);
    }
}
