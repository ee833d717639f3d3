//! The settings that something acts on, and names that are close to them.

use serde_json::Value;

use crate::stream_config::escape;

/// All of them, by dotted path; `*` stands for any name. Those of EventStreamConfig are the ones that Wikimedia's production
/// uses, which other programs than Eventstar act on.
const KNOWN: [&str; 35] = [
    "accept",
    "canary_events_enabled",
    "consumers.analytics_hadoop_ingestion.enabled",
    "consumers.analytics_hadoop_ingestion.job_name",
    "consumers.analytics_hive_ingestion.enabled",
    "consumers.analytics_hive_ingestion.spark_job_ingestion_scale",
    "description",
    "destination_event_service",
    "log_epoch",
    "message_key_fields.*",
    "partitions",
    "producers.auth",
    "producers.eventgate.enrich_fields_from_http_headers.*",
    "producers.eventgate.use_edge_uniques",
    "producers.eventlogging.revisions.*",
    "producers.eventlogging.schema_uri",
    "producers.mediawiki_eventbus.enabled",
    "producers.mediawiki_eventbus.event_service_name",
    "producers.metrics_platform_client.curation.*",
    "producers.metrics_platform_client.events",
    "producers.metrics_platform_client.provide_values",
    "producers.metrics_platform_client.stream_name",
    "producers.test_kitchen.is_test_kitchen_stream",
    "producers.tokens",
    "read_from",
    "retention.bytes",
    "retention.ms",
    "sample.rate",
    "sample.unit",
    "schema_title",
    "sink_policy",
    "sinks",
    "stream_aliases",
    "topic_prefixes",
    "topics",
];

/// Where names are other programs' own: only one that is close to a known one is taken for a mistake.
const OPEN: [&str; 2] = ["producers", "consumers"];

/// The pointers of settings that nothing is known to act on, with what to say of them.
pub(super) fn unknown(pointer: &str, settings: &Value) -> Vec<(String, String)> {
    let mut found = Vec::new();
    walk(pointer, "", settings, &mut found);
    found
}

fn walk(pointer: &str, path: &str, settings: &Value, found: &mut Vec<(String, String)>) {
    let known = below(path);
    let Value::Object(settings) = settings else { return };
    if known.is_empty() || known.contains(&"*") {
        return;
    }
    for (name, value) in settings {
        let pointer = format!("{pointer}/{}", escape(name));
        if known.contains(&name.as_str()) {
            let path = if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            walk(&pointer, &path, value, found);
            continue;
        }
        // EventStreamConfig's answers name the stream in its settings.
        if path.is_empty() && name == "stream" {
            continue;
        }
        match suggestion(name, &known) {
            Some(suggestion) => found.push((pointer, format!("unknown setting{suggestion}"))),
            None if OPEN.contains(&path) => {}
            None => found.push((pointer, "unknown setting: nothing acts on it".to_owned())),
        }
    }
}

/// The names known below a path, each once.
fn below(path: &str) -> Vec<&'static str> {
    let mut names: Vec<&str> = KNOWN
        .iter()
        .filter_map(|known| match path {
            "" => Some(*known),
            _ => known.strip_prefix(path)?.strip_prefix('.'),
        })
        .filter_map(|rest| rest.split('.').next())
        .collect();
    names.dedup();
    names
}

/// `: did you mean …?`, where a known name is close: a third of its letters may be wrong.
pub(super) fn suggestion(name: &str, known: &[&str]) -> Option<String> {
    let (distance, best) = known
        .iter()
        .map(|known| (distance(name, known), *known))
        .min_by_key(|(distance, _)| *distance)?;
    let close = distance <= best.chars().count() / 3;
    close.then(|| format!(": did you mean {best}?"))
}

/// How many letters must be added, removed, replaced or swapped with their neighbour (optimal string alignment).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let at = |row: &[usize], column: usize| row.get(column).copied().unwrap_or(usize::MAX - 1);
    let mut before: Vec<usize> = Vec::new();
    let mut above: Vec<usize> = (0..=to.len()).collect();
    let mut last = None;
    for (line, letter) in from.chars().enumerate() {
        let mut row = vec![line + 1];
        for (column, other) in to.iter().enumerate() {
            let replaced = at(&above, column) + usize::from(letter != *other);
            let mut cost = replaced.min(at(&above, column + 1) + 1).min(at(&row, column) + 1);
            let swapped = column > 0 && last == Some(*other) && to.get(column - 1) == Some(&letter);
            if swapped {
                cost = cost.min(at(&before, column - 1) + 1);
            }
            row.push(cost);
        }
        last = Some(letter);
        before = std::mem::replace(&mut above, row);
    }
    at(&above, to.len())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn distances_are_those_of_typing() {
        for (from, to, expected) in [
            ("", "", 0),
            ("", "ab", 2),
            ("ab", "", 2),
            ("abc", "abc", 0),
            ("abc", "acb", 1),
            ("abc", "ab", 1),
            ("abc", "xbc", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(from, to), expected, "{from} {to}");
        }
    }

    #[test]
    fn names_that_belong_to_other_programs_are_left_alone() {
        let settings = json!({
            "stream": "a",
            "message_key_fields": {"anything": "a.b"},
            "consumers": {"my_own_program": {"x": 1}},
            "producers": {"eventgate": {"use_edge_unique": true}, "evntgate": {}},
            "sample": {"rat": 1},
        });
        let found: Vec<String> = unknown("/a", &settings)
            .into_iter()
            .map(|(pointer, message)| format!("{pointer} {message}"))
            .collect();
        assert_eq!(
            found,
            [
                "/a/producers/eventgate/use_edge_unique unknown setting: did you mean use_edge_uniques?",
                "/a/producers/evntgate unknown setting: did you mean eventgate?",
                "/a/sample/rat unknown setting: did you mean rate?",
            ]
        );
    }
}
