//! Tells the operator of settings that are not what they must be.
//!
//! Such a value is passed over, so that one typing error takes nothing down; but what is passed over in silence is found
//! last.

use std::cell::Cell;

use eventstar_delivery::kafka_proxy;
use eventstar_event::json::split_body;
use eventstar_event::{MAX_EVENT_BYTES, StreamName, Topic};
use eventstar_ports::{Config, Level, Platform};
use eventstar_stores::{bad_entries, bad_number, bad_origins, bad_proxies, bad_setting, bad_settings};

use crate::errors::DEFAULT_PER_MINUTE;
use crate::limits::max_event_bytes;

/// Whether an isolate has told of its settings; they do not change while it lives.
#[derive(Debug, Default)]
pub(crate) struct Told(Cell<bool>);

impl Told {
    /// Logs a record for each setting that is wrong, the first time.
    pub(crate) fn tell_once<P: Platform>(&self, platform: &P) {
        if !self.0.replace(true) {
            for problem in problems(platform) {
                platform.log(Level::Error, &problem);
            }
        }
    }
}

fn problems(config: &impl Config) -> Vec<String> {
    let mut found = bad_settings(config);
    found.extend(kafka_proxy(config).err());
    let most = u64::try_from(MAX_EVENT_BYTES).unwrap_or(u64::MAX);
    let used = u64::try_from(max_event_bytes(config)).unwrap_or(u64::MAX);
    found.extend(bad_number(config, "MAX_EVENT_BYTES", 1..=most, used));
    found.extend(bad_number(
        config,
        "ERROR_EVENTS_PER_MINUTE",
        0..=u64::from(u32::MAX),
        u64::from(DEFAULT_PER_MINUTE),
    ));
    found.extend(bad_proxies(config));
    found.extend(bad_entries(
        config,
        "PATH_PREFIXES",
        |entry| entry.len() > 1 && entry.starts_with('/') && !entry.contains(['?', '#', '*']),
        "paths such as /evt-103e",
        "nothing is served below it",
    ));
    found.extend(bad_origins(config));
    found.extend(bad_text(
        config,
        "ERROR_STREAM",
        |name| StreamName::parse(name).is_ok(),
        "the name of a stream",
        "error events are lost",
    ));
    found.extend(bad_text(
        config,
        "TOPIC_PREFIX",
        |prefix| Topic::parse(&format!("{prefix}x")).is_ok(),
        "the beginning of topic names, of letters, digits, '_', '.' and '-'",
        "no event is accepted",
    ));
    // What it holds are events, whose values are in no log.
    let no_events = config
        .get("TEST_EVENTS")
        .filter(|events| split_body(events.as_bytes()).map_or(true, |events| events.is_empty()));
    found.extend(no_events.map(|_| {
        "the setting TEST_EVENTS must be a JSON array of events: /v1/_test/events answers 400 until it is corrected".to_owned()
    }));
    found
}

fn bad_text(
    config: &impl Config,
    name: &str,
    fits: impl Fn(&str) -> bool,
    expected: &str,
    instead: &str,
) -> Option<String> {
    let value = config.get(name).filter(|value| !fits(value))?;
    Some(bad_setting(name, &value, expected, instead))
}
