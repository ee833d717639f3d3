//! A whole stream config: reading, lookup, listing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use eventstar_event::StreamName;
use serde_json::{Map, Value};

use crate::constraints::Constraints;
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

pub(crate) struct Entry {
    /// JSON pointer of its settings.
    pointer: String,
    key: String,
    pattern: Option<StreamPattern>,
    pub(crate) settings: Map<String, Value>,
}

impl Entry {
    /// Whether it is the config of `stream`; a regex is no name that it matches itself.
    fn matches(&self, stream: &str) -> bool {
        match &self.pattern {
            Some(pattern) => pattern.matches(stream),
            None => self.key == stream,
        }
    }

    /// All settings, with the topics of `stream`.
    fn answered(&self, stream: &str) -> Map<String, Value> {
        let mut settings = self.settings.clone();
        settings.insert("topics".into(), Value::from(topics(self, stream)));
        settings
    }
}

/// A stream config, checked, with defaults merged.
pub struct StreamConfigs {
    pub(crate) entries: Vec<Entry>,
    exact: HashMap<String, usize>,
    /// Other names of streams (`stream_aliases`), and the streams' own.
    aliases: BTreeMap<String, String>,
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
            aliases: BTreeMap::new(),
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
            for alias in strings(settings.get("stream_aliases")) {
                configs.aliases.entry(alias).or_insert_with(|| key.clone());
            }
            settings.insert("stream".into(), Value::from(key.as_str()));
            configs.exact.insert(key.clone(), configs.entries.len());
            configs.entries.push(Entry {
                pointer: at,
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

    /// The name of the stream that readers also know as `name` (EventStreams' `stream_aliases`); `name` itself when it is no
    /// alias, or a stream of its own.
    #[must_use]
    pub fn name_of<'s>(&'s self, name: &'s str) -> &'s str {
        match self.aliases.get(name) {
            Some(stream) if !self.exact.contains_key(name) => stream,
            _ => name,
        }
    }

    /// Other names of streams, in order, each with its stream: those by which [`StreamConfigs::name_of`] finds it, and that are
    /// names as streams have them.
    pub fn aliases(&self) -> impl Iterator<Item = (&str, &str)> {
        let aliases = self.aliases.iter();
        aliases
            .filter(|(alias, _)| !self.exact.contains_key(*alias) && StreamName::parse(alias).is_ok())
            .map(|(alias, stream)| (alias.as_str(), stream.as_str()))
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

    /// JSON pointer of the settings that count for `stream`.
    pub(crate) fn pointer(&self, stream: &str) -> Option<&str> {
        self.find(stream).map(|entry| entry.pointer.as_str())
    }

    /// The settings of `stream` as EventStreamConfig answers them: defaults merged, `stream` the config's key,
    /// `topics` computed for the stream asked for.
    #[must_use]
    pub fn settings(&self, stream: &str) -> Option<Map<String, Value>> {
        self.find(stream).map(|entry| entry.answered(stream))
    }

    /// The settings of `streams` by the names asked for, of all by the config's keys when that is `None`; without those
    /// that do not meet `constraints` (EventStreamConfig's `StreamConfigs::get`).
    #[must_use]
    pub fn select(&self, streams: Option<&[String]>, constraints: &Constraints) -> Map<String, Value> {
        let found: Vec<(&str, &Entry)> = match streams {
            None => self
                .entries
                .iter()
                .map(|entry| (entry.key.as_str(), entry))
                .collect(),
            Some(streams) => streams
                .iter()
                .filter_map(|stream| Some((stream.as_str(), self.find(stream)?)))
                .collect(),
        };
        found
            .into_iter()
            .filter(|(_, entry)| constraints.are_met_by(&entry.settings, |name| entry.matches(name)))
            .map(|(stream, entry)| (stream.to_owned(), Value::Object(entry.answered(stream))))
            .collect()
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
    use eventstar_log::Retention;
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
    fn a_stream_has_the_names_that_its_aliases_give_it() {
        let configs = StreamConfigs::parse(&json!({
            "mediawiki.page-create": {"stream_aliases": ["page-create", "other", "new pages", "creation"]},
            "other": {"stream_aliases": ["page-create"]},
        }))
        .unwrap();
        for (name, expected) in [
            ("page-create", "mediawiki.page-create"),
            ("other", "other"),
            ("nope", "nope"),
        ] {
            assert_eq!(configs.name_of(name), expected);
        }
        let aliases: Vec<_> = configs.aliases().collect();
        assert_eq!(
            aliases,
            [
                ("creation", "mediawiki.page-create"),
                ("page-create", "mediawiki.page-create")
            ]
        );
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

    /// StreamConfigsTest.php:14-381.
    #[test]
    fn streams_are_selected_by_name_and_by_constraints() {
        let jobs = r"/^mediawiki\.job\..+/";
        let configs = StreamConfigs::parse(&json!({
            "defaults": {"topic_prefixes": ["eqiad.", "codfw."]},
            "streams": {
                "plain": {"schema_title": "plain_schema", "destination_event_service": "eventgate-main"},
                "nonya": {
                    "schema_title": "mediawiki/nonya", "sample": {"rate": 0.5},
                    "destination_event_service": "eventgate-analytics", "topics": ["nonya_topic"],
                },
                "eventlogging_Test": {
                    "schema_title": "analytics/legacy/test", "sample": {"rate": 1.0, "unit": "session"},
                    "destination_event_service": "eventgate-analytics", "topic_prefixes": null,
                },
                "test.event": {
                    "schema_title": "test/event", "sample": {"rate": 1.0, "unit": "session"},
                    "destination_event_service": "eventgate-main", "topic_prefixes": ["dc1.", "dc2."],
                },
                jobs: {
                    "schema_title": "mediawiki/job", "sample": {"rate": 0.8},
                    "destination_event_service": "eventgate-main",
                },
            },
        }))
        .unwrap();
        let nonya = ("nonya", "nonya", json!(["nonya_topic"]));
        let plain = ("plain", "plain", json!(["eqiad.plain", "codfw.plain"]));
        let test = (
            "test.event",
            "test.event",
            json!(["dc1.test.event", "dc2.test.event"]),
        );
        let legacy = (
            "eventlogging_Test",
            "eventlogging_Test",
            json!(["eventlogging_Test"]),
        );
        let all_jobs = (jobs, jobs, json!([r"/^(eqiad\.|codfw\.)mediawiki\.job\..+/"]));
        let job = |name: &'static str| {
            (
                name,
                jobs,
                json!([format!("eqiad.{name}"), format!("codfw.{name}")]),
            )
        };
        let main = "destination_event_service=eventgate-main";
        for (streams, constraint, expected) in [
            (Some(vec!["nonya"]), "", vec![nonya.clone()]),
            (
                Some(vec!["test.event", "nonya"]),
                "",
                vec![test.clone(), nonya.clone()],
            ),
            (
                Some(vec!["nonya", "mediawiki.job.A", "mediawiki.job.B"]),
                "",
                vec![nonya.clone(), job("mediawiki.job.A"), job("mediawiki.job.B")],
            ),
            (Some(vec!["unconfigured-stream-name"]), "", vec![]),
            (Some(vec![]), "", vec![]),
            (Some(vec!["nonya", "nonya"]), "", vec![nonya.clone()]),
            (Some(vec![jobs]), "", vec![all_jobs.clone()]),
            (
                None,
                "",
                vec![
                    plain.clone(),
                    nonya.clone(),
                    legacy,
                    test.clone(),
                    all_jobs.clone(),
                ],
            ),
            (None, main, vec![plain, test.clone(), all_jobs.clone()]),
            (
                Some(vec!["mediawiki.job.A", "nonya"]),
                main,
                vec![job("mediawiki.job.A")],
            ),
            (None, "stream=mediawiki.job.A", vec![all_jobs]),
            (None, "topic_prefixes[0]=dc2.", vec![test]),
            // Topics that are made of prefixes are no settings.
            (None, "topics[0]=nonya_topic", vec![nonya]),
            (None, "topics[0]=eqiad.plain", vec![]),
            (None, "schema_title=nope", vec![]),
        ] {
            let streams: Option<Vec<String>> =
                streams.map(|streams| streams.into_iter().map(str::to_owned).collect());
            let selected = configs.select(streams.as_deref(), &Constraints::parse([constraint]));
            let got: Vec<_> = selected
                .iter()
                .map(|(name, settings)| {
                    (
                        name.as_str(),
                        settings["stream"].as_str().unwrap(),
                        settings["topics"].clone(),
                    )
                })
                .collect();
            assert_eq!(got, expected, "{streams:?} {constraint}");
        }
        let nonya = configs.select(Some(&["nonya".to_owned()]), &Constraints::default());
        assert_eq!(
            json!(nonya).to_string(),
            r#"{"nonya":{"topic_prefixes":["eqiad.","codfw."],"schema_title":"mediawiki/nonya","sample":{"rate":0.5},"destination_event_service":"eventgate-analytics","topics":["nonya_topic"],"stream":"nonya"}}"#,
            "defaults first, then in the config's order"
        );
    }

    /// StreamConfigTest.php:52-143.
    #[test]
    fn defaults_are_merged_deeply() {
        let configs = StreamConfigs::parse(&json!({
            "defaults": {"consumers": {
                "analytics_hadoop_ingestion": {"job_name": "event_default", "enabled": true},
                "analytics_hive_ingestion": {"enabled": false},
            }},
            "streams": {"nonya": {
                "schema_title": "mediawiki/nonya", "destination_event_service": "eventgate-analytics", "topics": ["nonya"],
                "consumers": {"analytics_hadoop_ingestion": {"job_name": "nonya"}},
            }},
        }))
        .unwrap();
        assert_eq!(
            Value::Object(configs.settings("nonya").unwrap()),
            json!({
                "consumers": {
                    "analytics_hadoop_ingestion": {"job_name": "nonya", "enabled": true},
                    "analytics_hive_ingestion": {"enabled": false},
                },
                "schema_title": "mediawiki/nonya", "destination_event_service": "eventgate-analytics",
                "topics": ["nonya"], "stream": "nonya",
            })
        );
    }

    #[test]
    fn a_stream_may_be_called_streams() {
        let configs = StreamConfigs::parse(&json!({"streams": {"schema_title": "x"}, "other": {}}));
        assert_eq!(configs.unwrap().names().collect::<Vec<_>>(), ["streams", "other"]);
    }

    #[test]
    fn retention_is_seven_days_unless_the_stream_says_otherwise() {
        let week = 7 * 24 * 60 * 60 * 1000;
        for (retention, ms, bytes) in [
            (json!(null), Some(week), 8_000_000_000),
            (json!({}), Some(week), 8_000_000_000),
            (json!({"ms": 1000}), Some(1000), 8_000_000_000),
            (json!({"bytes": 1}), Some(week), 1),
            (json!({"ms": -1, "bytes": -1}), None, 8_000_000_000),
        ] {
            let configs = StreamConfigs::parse(&json!({"a": {"retention": retention}})).unwrap();
            let expected = Retention { ms, bytes };
            assert_eq!(configs.stream("a").unwrap().retention, expected, "{retention}");
        }
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
            (json!({"a": {"retention": 1000}}), "/a/retention"),
            (json!({"a": {"retention": {"ms": 999}}}), "/a/retention/ms"),
            (json!({"a": {"retention": {"ms": "7d"}}}), "/a/retention/ms"),
            (
                json!({"a": {"retention": {"ms": 3_155_760_000_001_u64}}}),
                "/a/retention/ms",
            ),
            (json!({"a": {"retention": {"bytes": 0}}}), "/a/retention/bytes"),
            (
                json!({"a": {"retention": {"bytes": 8_000_000_001_u64}}}),
                "/a/retention/bytes",
            ),
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
