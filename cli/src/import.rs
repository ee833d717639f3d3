//! A saved answer of `action=streamconfigs` as a stream config file.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, bail};
use eventstar_schema_repository::token;
use eventstar_stream_config::StreamConfigs;
use serde_json::{Map, Value};

/// Settings that are maps. PHP knows no difference between an empty map and an empty list, and writes both as `[]`.
const MAPS: [&str; 4] = ["producers", "consumers", "message_key_fields", "sample"];

/// Settings that are true or false.
const SWITCHES: [&str; 4] = [
    "canary_events_enabled",
    "enabled",
    "use_edge_uniques",
    "is_test_kitchen_stream",
];

/// Reads an answer; what is made of it answers the same.
///
/// # Errors
/// When the file is no such answer, or its streams cannot be configured so that they answer the same.
pub(crate) fn import(path: &Path) -> Result<Map<String, Value>> {
    let shown = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
    let answer: Value = serde_json::from_str(&text).with_context(|| format!("{shown}: not valid JSON"))?;
    if let Some(error) = answer.get("error") {
        bail!("{shown}: /error: the answer is a refusal: {error}");
    }
    let streams = answer.get("streams").unwrap_or(&answer);
    let Some(streams) = streams
        .as_object()
        .filter(|streams| streams.values().all(Value::is_object))
    else {
        bail!(
            "{shown}: /streams: expected a map of stream name to settings, as action=streamconfigs answers it"
        );
    };
    if let Some(pointer) = emptied_switch(streams) {
        bail!(
            "{shown}: /streams{pointer}: an empty text for `true`: the answer was asked for with formatversion=1, which leaves out what is `false`: ask for it with formatversion=2"
        );
    }
    let mut config = Map::new();
    let mut expected = Vec::new();
    for (name, settings) in streams {
        let Some(mut settings) = settings.as_object().cloned() else {
            continue;
        };
        for map in MAPS {
            if settings
                .get(map)
                .and_then(Value::as_array)
                .is_some_and(Vec::is_empty)
            {
                settings.insert(map.to_owned(), Value::Object(Map::new()));
            }
        }
        // A stream that was asked for by a name that a regex matches is configured under the regex.
        let key = match settings.shift_remove("stream") {
            Some(Value::String(key)) => key,
            _ => name.clone(),
        };
        let topics = settings.shift_remove("topics").unwrap_or_default();
        expected.push((name, key.clone(), topics.clone()));
        if !topics.is_null() && computed_topics(&key, &settings, name).as_ref() != Some(&topics) {
            settings.insert("topics".to_owned(), topics);
        }
        match config.get(&key) {
            Some(known) if *known != Value::Object(settings.clone()) => {
                bail!(
                    "{shown}: /streams: {name} and another stream have the config of {key}, but not the same"
                )
            }
            _ => config.insert(key, Value::Object(settings)),
        };
    }
    let parsed = StreamConfigs::parse(&Value::Object(config.clone()))
        .map_err(|error| anyhow::anyhow!("{shown}: /streams{}: {}", error.pointer, error.message))?;
    for (name, key, topics) in expected {
        let settings = parsed.settings(name).unwrap_or_default();
        let same = settings.get("stream").and_then(Value::as_str) == Some(key.as_str())
            && (topics.is_null() || settings.get("topics") == Some(&topics));
        if !same {
            bail!(
                "{shown}: /streams: {name} would not answer as it did: import the answer for all streams (no streams=…)"
            );
        }
    }
    Ok(config)
}

/// The pointer to a setting of which `formatversion=1` has made a text.
fn emptied_switch(settings: &Map<String, Value>) -> Option<String> {
    settings.iter().find_map(|(name, value)| {
        let inner = match value {
            Value::String(text) if text.is_empty() && SWITCHES.contains(&name.as_str()) => String::new(),
            Value::Object(inner) => emptied_switch(inner)?,
            _ => return None,
        };
        Some(format!("/{}{inner}", token(name)))
    })
}

/// The topics that a stream has by its other settings.
fn computed_topics(key: &str, settings: &Map<String, Value>, name: &str) -> Option<Value> {
    let one = Map::from_iter([(key.to_owned(), Value::Object(settings.clone()))]);
    let parsed = StreamConfigs::parse(&Value::Object(one)).ok()?;
    parsed.settings(name)?.get("topics").cloned()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(answer: &Value) -> Result<Map<String, Value>> {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("answer.json");
        fs::write(&path, answer.to_string()).unwrap();
        import(&path)
    }

    #[test]
    fn what_is_computed_is_left_out_and_what_was_set_stays() {
        let jobs = "/^job\\./";
        let prefixes = json!(["x.", "y."]);
        let answer = json!({"streams": {
            "a": {"schema_title": "t", "topic_prefixes": prefixes, "stream": "a", "topics": ["x.a", "y.a"]},
            "b": {"topics": ["own"], "stream": "b", "producers": []},
            "job.one": {"topic_prefixes": prefixes, "stream": jobs, "topics": ["x.job.one", "y.job.one"]},
            "job.two": {"topic_prefixes": prefixes, "stream": jobs, "topics": ["x.job.two", "y.job.two"]},
        }});
        let expected = json!({
            "a": {"schema_title": "t", "topic_prefixes": prefixes},
            "b": {"producers": {}, "topics": ["own"]},
            jobs: {"topic_prefixes": prefixes},
        });
        assert_eq!(Value::Object(of(&answer).unwrap()), expected);
        // What the config answers, imported, is the config.
        let parsed = StreamConfigs::parse(&expected).unwrap();
        let all = parsed
            .names()
            .map(|name| (name.to_owned(), parsed.settings(name).unwrap().into()));
        let answer = json!({"streams": all.collect::<Map<_, _>>()});
        assert_eq!(Value::Object(of(&answer).unwrap()), expected);
    }

    /// With `all_settings` and an unknown parameter, which MediaWiki warns of.
    fn recorded() -> Value {
        serde_json::from_str(include_str!("import/answer.json")).unwrap()
    }

    #[test]
    fn a_recorded_answer_is_answered_again() {
        let mut answer = recorded();
        let config = of(&answer).unwrap();
        let names: Vec<&String> = config.keys().collect();
        let expected = [
            "eventlogging_Popups",
            "page.change",
            "/^job\\..+/",
            "upload.complete",
            "product.web_click",
        ];
        assert_eq!(names, expected);
        for (name, settings) in &config {
            let has_topics = settings.get("topics").is_some();
            assert_eq!(has_topics, name == "upload.complete", "{name}");
            assert_eq!(settings.get("stream"), None, "{name}");
        }
        let parsed = StreamConfigs::parse(&Value::Object(config)).unwrap();
        // PHP writes an empty map as a list.
        answer["streams"]["page.change"]["producers"] = json!({});
        for (name, settings) in answer["streams"].as_object().unwrap() {
            assert_eq!(parsed.settings(name).as_ref(), settings.as_object(), "{name}");
        }
    }

    #[test]
    fn an_answer_that_lost_what_is_false_is_refused() {
        /// As `formatversion=1` writes booleans.
        fn emptied(value: &mut Value) {
            match value {
                Value::Object(members) => {
                    members.retain(|_, member| *member != json!(false));
                    members.values_mut().for_each(emptied);
                }
                Value::Bool(true) => *value = json!(""),
                _ => {}
            }
        }
        let mut answer = recorded();
        emptied(&mut answer);
        let error = of(&answer).unwrap_err().to_string();
        assert!(
            error.contains("/streams/eventlogging_Popups/canary_events_enabled: an empty text for `true`"),
            "{error}"
        );
        for stream in answer["streams"].as_object_mut().unwrap().values_mut() {
            stream.as_object_mut().unwrap().remove("canary_events_enabled");
        }
        let error = of(&answer).unwrap_err().to_string();
        assert!(
            error.contains("/streams/eventlogging_Popups/consumers/analytics_hadoop_ingestion/enabled: "),
            "{error}"
        );
    }

    #[test]
    fn what_is_no_answer_or_cannot_answer_the_same_is_refused() {
        for (answer, part) in [
            (json!({"error": {"code": "badvalue"}}), "the answer is a refusal"),
            (json!({"streams": []}), "expected a map of stream name"),
            (
                json!({"streams": {"a b": {}}}),
                "/streams/a b: 'a b' is not a stream name",
            ),
            (
                json!({"streams": {"a": {"accept": "maybe"}}}),
                "/streams/a/accept: expected",
            ),
            (
                json!({"streams": {"ax": {"x": 1, "stream": "/^a/"}, "ay": {"x": 2, "stream": "/^a/"}}}),
                "but not the same",
            ),
            (
                json!({"streams": {"ab": {"stream": "/b/"}, "/^a/": {"stream": "/^a/"}, "ac": {"stream": "/b/"}}}),
                "ac would not answer as it did",
            ),
        ] {
            let error = format!("{:#}", of(&answer).unwrap_err());
            assert!(error.contains(part), "{answer}: {error}");
        }
    }
}
