//! A whole stream config: reading, lookup, listing.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use eventstar_event::StreamName;
use serde_json::{Map, Value};

use crate::constraints::Constraints;
use crate::merge::merge_settings;
use crate::pattern::StreamPattern;
use crate::stream::{self, Stream, strings};

/// Most streams whose settings are remembered; names that match a regex are the producers' choice, so the memory must be bounded.
/// With names of at most 249 bytes these are some megabytes of an isolate's 128 MB.
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

    /// True if a topic is one of the stream, or of a stream that the regex matches.
    fn has_topic(&self, topic: &str) -> bool {
        if topics(self, &self.key).iter().any(|known| known == topic) {
            return true;
        }
        let setting = |name: &str| self.settings.get(name).filter(|setting| !setting.is_null());
        let Some(pattern) = self.pattern.as_ref().filter(|_| setting("topics").is_none()) else {
            return false;
        };
        let prefixes =
            setting("topic_prefixes").map_or_else(|| vec![String::new()], |prefixes| strings(Some(prefixes)));
        let mut streams = prefixes
            .iter()
            .filter_map(|prefix| topic.strip_prefix(prefix.as_str()));
        streams.any(|stream| pattern.matches(stream))
    }

    fn typed(&self, stream: &str) -> Stream {
        Stream::from_settings(&self.settings, topics(self, stream))
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
    remembered: RefCell<HashMap<String, Rc<Stream>>>,
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
            let Value::Object(mut settings) = merge_settings(&defaults, settings) else {
                continue;
            };
            stream::check(&settings).map_err(|(below, message)| ConfigError {
                pointer: format!("{at}{below}"),
                message,
            })?;
            // A regex is no stream that could have another name.
            let aliases = strings(settings.get("stream_aliases"));
            let names = aliases
                .into_iter()
                .filter(|alias| pattern.is_none() && StreamName::parse(alias).is_ok());
            for alias in names {
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
            .filter(|(alias, _)| !self.exact.contains_key(*alias))
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

    /// The typed settings of `stream`, remembered for the next event; `None` for what is no name of a stream, as a regex, though
    /// it be a key of the config. Anybody may ask: what is not found is not remembered.
    #[must_use]
    pub fn stream(&self, stream: &str) -> Option<Rc<Stream>> {
        if let Some(known) = self.remembered.borrow().get(stream) {
            return Some(Rc::clone(known));
        }
        // Nobody may fill the memory with names that no stream can have.
        StreamName::parse(stream).ok()?;
        let found = Rc::new(self.find(stream)?.typed(stream));
        let mut remembered = self.remembered.borrow_mut();
        if remembered.len() >= MAX_REMEMBERED {
            remembered.clear();
        }
        remembered.insert(stream.to_owned(), Rc::clone(&found));
        Some(found)
    }

    /// True if a topic is one of a stream, known by its name or by a regex.
    #[must_use]
    pub fn has_topic(&self, topic: &str) -> bool {
        self.entries.iter().any(|entry| entry.has_topic(topic))
    }

    /// The typed settings of each key, those of regexes too, in order.
    pub fn entries(&self) -> impl Iterator<Item = (&str, Stream)> {
        let entries = self.entries.iter();
        entries.map(|entry| (entry.key.as_str(), entry.typed(&entry.key)))
    }

    /// The typed settings that count for a name, or for a regex that is a key.
    pub(crate) fn entry(&self, name: &str) -> Option<Stream> {
        Some(self.find(name)?.typed(name))
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
mod tests;
