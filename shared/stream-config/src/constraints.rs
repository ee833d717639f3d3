//! Constraints: which settings a stream must have to be in an answer.
//!
//! Source: EventStreamConfig `ApiStreamConfigs.php:155-163`, `StreamConfig.php:199-258`, and MediaWiki's `wfCgiToArray`.
//! Values are texts, and settings are compared as PHP casts them to texts.

use percent_encoding::percent_decode_str;
use serde_json::{Map, Value};

/// Deepest level of settings that is compared, as in the original; what is asked of deeper ones counts as met.
const MAX_DEPTH: usize = 10;

/// Most constraints in all texts: ten in each of the 50 that MediaWiki takes. Each is compared with each stream.
pub const MAX_CONSTRAINTS: usize = 500;

/// There are more than [`MAX_CONSTRAINTS`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("more than {MAX_CONSTRAINTS} constraints: ask for fewer in one request")]
pub struct TooManyConstraints;

/// What settings must be: a map of texts and maps. A map with the keys `0`, `1`, … is a list, as in PHP.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Constraints(Map<String, Value>);

impl Constraints {
    /// Reads texts of the form `key=value` or `key[inner]=value`, percent-encoded, each perhaps several with `&` between.
    /// The same key in two texts makes a list of both values.
    ///
    /// # Errors
    /// [`TooManyConstraints`].
    pub fn parse<'t>(texts: impl IntoIterator<Item = &'t str>) -> Result<Self, TooManyConstraints> {
        let mut all = Map::new();
        let mut left = MAX_CONSTRAINTS;
        for text in texts {
            let asked = text.split('&').filter(|bit| !bit.is_empty()).count();
            left = left.checked_sub(asked).ok_or(TooManyConstraints)?;
            merge(&mut all, parse_one(text), true);
        }
        Ok(Self(all))
    }

    /// Whether nothing is asked.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether `settings` are as asked; `matches` tells whether they are those of a stream of that name.
    pub(crate) fn are_met_by(&self, settings: &Map<String, Value>, matches: impl Fn(&str) -> bool) -> bool {
        self.0.iter().all(|(name, expected)| match name.as_str() {
            "stream" => expected.as_str().is_some_and(&matches),
            name => fits(settings.get(name), expected, MAX_DEPTH),
        })
    }
}

fn parse_one(text: &str) -> Map<String, Value> {
    let mut read = Map::new();
    let text = text.strip_prefix('?').unwrap_or(text);
    for bit in text.split('&').filter(|bit| !bit.is_empty()) {
        let (key, value) = bit.split_once('=').unwrap_or((bit, ""));
        let (key, value) = (decode(key), Value::from(decode(value)));
        let mut names = key.split('[');
        let first = names.next().unwrap_or_default().to_owned();
        // A level more than is compared, so that the last one compared is still a map.
        let names: Vec<&str> = names.take(MAX_DEPTH).collect();
        let nested = names.into_iter().rev().fold(value, |inner, name| {
            // Without its bracket.
            let name = name
                .char_indices()
                .next_back()
                .map_or("", |(end, _)| name.get(..end).unwrap_or_default());
            Value::Object(Map::from_iter([(name.to_owned(), inner)]))
        });
        match (read.get_mut(&first), nested) {
            (Some(Value::Object(known)), Value::Object(nested)) => merge(known, nested, false),
            (_, nested) => drop(read.insert(first, nested)),
        }
    }
    read
}

/// PHP's `urldecode`.
fn decode(text: &str) -> String {
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8_lossy().into_owned()
}

/// PHP's `array_merge`, or `array_merge_recursive`: what has a number for a key is appended.
fn merge(base: &mut Map<String, Value>, over: Map<String, Value>, recursive: bool) {
    for (key, value) in over {
        if index(&key).is_some() {
            let next = base
                .keys()
                .filter_map(|key| index(key))
                .max()
                .map_or(0, |last| last + 1);
            base.insert(next.to_string(), value);
            continue;
        }
        match base.get_mut(&key) {
            Some(known) if recursive => {
                let mut both = as_map(known.take());
                merge(&mut both, as_map(value), true);
                *known = Value::Object(both);
            }
            _ => drop(base.insert(key, value)),
        }
    }
}

fn as_map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        value => Map::from_iter([("0".to_owned(), value)]),
    }
}

/// The number that PHP takes a key for.
fn index(key: &str) -> Option<u64> {
    let number: u64 = key.parse().ok()?;
    (number.to_string() == key).then_some(number)
}

fn fits(actual: Option<&Value>, expected: &Value, depth: usize) -> bool {
    match (actual, expected) {
        (None | Some(Value::Null), _) => false,
        (Some(actual @ (Value::Object(_) | Value::Array(_))), Value::Object(expected)) => {
            match (items(actual), list(expected)) {
                (Some(actual), Some(expected)) => {
                    let actual: Vec<Option<String>> = actual.into_iter().map(text).collect();
                    expected
                        .into_iter()
                        .map(text)
                        .all(|expected| expected.is_some() && actual.contains(&expected))
                }
                _ => {
                    depth == 1
                        || expected
                            .iter()
                            .all(|(name, expected)| fits(member(actual, name), expected, depth - 1))
                }
            }
        }
        (Some(actual), expected) => text(expected).is_some_and(|expected| text(actual) == Some(expected)),
    }
}

fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    match value {
        Value::Array(items) => items.get(usize::try_from(index(name)?).ok()?),
        value => value.get(name),
    }
}

/// The items of what PHP takes for a list.
fn items(value: &Value) -> Option<Vec<&Value>> {
    match value {
        Value::Array(items) => Some(items.iter().collect()),
        Value::Object(map) => list(map),
        _ => None,
    }
}

fn list(map: &Map<String, Value>) -> Option<Vec<&Value>> {
    let counted = map.keys().zip(0..).all(|(key, place)| index(key) == Some(place));
    counted.then(|| map.values().collect())
}

/// What PHP casts a value to; `None` for lists and maps.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => Some(String::new()),
        Value::Bool(flag) => Some(if *flag { "1" } else { "" }.to_owned()),
        Value::String(text) => Some(text.clone()),
        // Whole numbers lose their fraction; those past 15 digits are nobody's setting.
        Value::Number(number) => Some(match number.as_f64() {
            Some(double) if number.is_f64() => double.to_string(),
            _ => number.to_string(),
        }),
        Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn constraints(value: Value) -> Constraints {
        Constraints(value.as_object().unwrap().clone())
    }

    fn parsed(texts: &[&str]) -> Value {
        Value::Object(Constraints::parse(texts.iter().copied()).unwrap().0)
    }

    fn met(settings: &Value, constraints: &Constraints) -> bool {
        constraints.are_met_by(settings.as_object().unwrap(), |name| name == "nonya")
    }

    /// `StreamConfigTest.php:211-409`; lists are maps from place to item.
    #[test]
    fn settings_are_compared_as_eventstreamconfig_does() {
        let settings = json!({
            "schema_title": "mediawiki/nonya", "sample": {"rate": 0.5}, "destination_event_service": "eventgate-analytics",
            "canary_events_enabled": true, "off": false, "none": null, "whole": 1.0, "many": 5,
            "producers": {
                "foo_producer": {"foo_setting": false}, "bar_producer": true, "baz_producer": 0.1,
                "qux_producer": ["hello", "world"],
            },
        });
        for (asked, expected) in [
            (json!({}), true),
            (json!({"destination_event_service": "eventgate-analytics"}), true),
            (json!({"destination_event_service": "eventgate-main"}), false),
            (json!({"canary_events_enabled": true}), true),
            (json!({"canary_events_enabled": "1"}), true),
            (json!({"canary_events_enabled": "true"}), false),
            (json!({"off": ""}), true),
            (json!({"off": "0"}), false),
            (json!({"none": ""}), false),
            (json!({"whole": "1"}), true),
            (json!({"many": "5"}), true),
            (json!({"sample": {"rate": "0.5"}}), true),
            (json!({"sample": {"rate": "0.5", "unit": "session"}}), false),
            (json!({"sample": "0.5"}), false),
            (json!({"schema_title": {"x": "mediawiki/nonya"}}), false),
            (json!({"producers": {"bar_producer": true}}), true),
            (json!({"unrecognized": true}), false),
            (
                json!({"producers": {"foo_producer": {"foo_setting": false}, "bar_producer": true}}),
                true,
            ),
            (
                json!({"producers": {"foo_producer": {"foo_setting": ""}, "bar_producer": "1"}}),
                true,
            ),
            (json!({"producers": {"baz_producer": 0.1}}), true),
            (json!({"producers": {"qux_producer": {"0": "world"}}}), true),
            (
                json!({"producers": {"qux_producer": {"0": "hello", "1": "world", "2": "quux"}}}),
                false,
            ),
            (
                json!({"producers": {"foo_producer": {"0": "hello", "1": "world"}}}),
                false,
            ),
            (
                json!({"foo_producer": false, "qux_producer": "Hello, World!"}),
                false,
            ),
            // Not a list, so place by place.
            (json!({"producers": {"qux_producer": {"1": "world"}}}), true),
            (json!({"producers": {"qux_producer": {"1": "hello"}}}), false),
            (json!({"producers": {"qux_producer": {"": "hello"}}}), false),
            // The original looks no further after a list.
            (
                json!({"producers": {"qux_producer": {"0": "world"}, "bar_producer": "no"}}),
                false,
            ),
            (json!({"stream": "nonya"}), true),
            (json!({"stream": "other"}), false),
            (json!({"stream": {"0": "nonya"}}), false),
        ] {
            assert_eq!(met(&settings, &constraints(asked.clone())), expected, "{asked}");
        }
    }

    #[test]
    fn texts_are_read_as_mediawiki_reads_them() {
        for (texts, expected) in [
            (&[][..], json!({})),
            (&[""], json!({})),
            (&["a"], json!({"a": ""})),
            (&["a=b"], json!({"a": "b"})),
            (&["a=b", "c=d"], json!({"a": "b", "c": "d"})),
            (&["a=b&c=d&&"], json!({"a": "b", "c": "d"})),
            (&["a=b=c"], json!({"a": "b=c"})),
            (
                &["a=b+c%2Bd%5D", "%61=x"],
                json!({"a": {"0": "b c+d]", "1": "x"}}),
            ),
            (&["a=%ff"], json!({"a": "\u{fffd}"})),
            (&["a=1&a=2"], json!({"a": "2"})),
            (&["a[b]=c"], json!({"a": {"b": "c"}})),
            (
                &["a[b][c]=d", "a[b][e]=f"],
                json!({"a": {"b": {"c": "d", "e": "f"}}}),
            ),
            (&["a[b]=c&a[d]=e"], json!({"a": {"b": "c", "d": "e"}})),
            (&["a[0]=x", "a[0]=y"], json!({"a": {"0": "x", "1": "y"}})),
            (&["a[]=x"], json!({"a": {"": "x"}})),
            (&["a[=x"], json!({"a": {"": "x"}})),
            (&["a[b=x"], json!({"a": {"": "x"}})),
            (&["a[é=x"], json!({"a": {"": "x"}})),
            (&["a=x", "a[b]=y"], json!({"a": {"0": "x", "b": "y"}})),
            (&["=x"], json!({"": "x"})),
            (&["?a=b&?c"], json!({"a": "b", "?c": ""})),
        ] {
            assert_eq!(parsed(texts), expected, "{texts:?}");
        }
    }

    #[test]
    fn levels_without_end_are_neither_kept_nor_compared() {
        let text = format!("a{}=x", "[a]".repeat(20_000));
        let deep = Constraints::parse([text.as_str()]).unwrap();
        let mut settings = json!({"a": 1});
        assert!(!met(&settings, &deep));
        for _ in 0..20 {
            settings = json!({"a": settings});
        }
        assert!(met(&settings, &deep), "as the original counts it");
    }

    #[test]
    fn constraints_have_a_bound_over_all_texts() {
        let many = |count: usize| vec!["a[0]"; count].join("&");
        let list = Constraints::parse([many(MAX_CONSTRAINTS - 1).as_str(), "b=c&&"]).unwrap();
        assert_eq!(list.0["a"].as_object().unwrap().len(), MAX_CONSTRAINTS - 1);
        let all = many(MAX_CONSTRAINTS);
        assert_eq!(Constraints::parse([all.as_str(), "b=c"]), Err(TooManyConstraints));
        assert_eq!(
            Constraints::parse([many(37_000).as_str()]),
            Err(TooManyConstraints)
        );
    }
}
