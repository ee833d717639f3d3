//! Real schemas and real events, where they lie beside the repository.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use eventstar_tests::dev::StateDir;
use eventstar_tests::instance::{setting, shared_data};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::text::{as_sent, get, minify, names, replace};
use eventstar_tests::{Dev, Events, Instance, SseEvent};
use serde_json::{Value, json};

/// One line of the file of example events.
struct Example {
    schema: String,
    stream: String,
    /// The event as the file has it, whitespace included.
    text: String,
}

fn text_of(line: &str, path: &[&str]) -> String {
    let text = get(line, path).unwrap_or_else(|| panic!("no {path:?} in {line}"));
    serde_json::from_str(text).unwrap_or_else(|_| panic!("{path:?} is no string in {line}"))
}

fn examples(data: &Path) -> Vec<Example> {
    let file = fs::read_to_string(data.join("examples-primary.ndjson")).unwrap();
    let lines = file.lines().filter(|line| !line.trim().is_empty());
    let example = |line: &str| Example {
        schema: text_of(line, &["schema"]),
        stream: text_of(line, &["event", "meta", "stream"]),
        text: get(line, &["event"]).expect("an event").to_owned(),
    };
    lines.map(example).collect()
}

fn start(data: &Path, state: &StateDir) -> Dev {
    let repository = format!(
        "primary={}",
        data.join("schemas-event-primary/jsonschema").display()
    );
    let streams = data.join("streams-primary.json");
    let streams = streams.to_str().expect("a path");
    Dev::start(state, &["--schema-repo", &repository, "--stream-config", streams])
}

/// The path of all streams.
fn all_streams(examples: &[Example]) -> String {
    let mut streams: Vec<&str> = examples.iter().map(|example| example.stream.as_str()).collect();
    streams.sort_unstable();
    streams.dedup();
    format!("/v2/stream/{}", streams.join(","))
}

/// The published schemas by their `$id`, which is what events name; one of them lies at another path.
fn published_schemas(instance: &Instance, data: &Path) -> HashMap<String, Value> {
    let base = data.join("schemas-event-primary/jsonschema");
    let schema = |path: &PathBuf| {
        let uri = path.strip_prefix(&base).unwrap().with_extension("json");
        let answer = instance.get(&format!("/repositories/primary/jsonschema/{}", uri.display()));
        let schema = answer.expect(200).json();
        (schema["$id"].as_str().expect("an $id").to_owned(), schema)
    };
    materialized_versions(&base).iter().map(schema).collect()
}

/// The paths at which a schema has a default.
fn defaults(schema: &Value, path: &[String], found: &mut Vec<Vec<String>>) {
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let path: Vec<String> = path.iter().chain([name]).cloned().collect();
        defaults(property, &path, found);
        if property.get("default").is_some() {
            found.push(path);
        }
    }
}

fn default_paths(schema: &Value) -> Vec<Vec<String>> {
    let mut paths = Vec::new();
    defaults(schema, &[], &mut paths);
    paths
}

/// Whether an event that came out is the one that was sent, text for text.
fn is_what_was_sent(event: &SseEvent, sent: &str, defaults: &[Vec<String>]) -> bool {
    let defaults: Vec<Vec<&str>> = defaults
        .iter()
        .map(|path| path.iter().map(String::as_str).collect())
        .collect();
    let defaults: Vec<&[&str]> = defaults.iter().map(Vec::as_slice).collect();
    as_sent(&event.data, sent, &defaults) == sent
}

/// Takes every event that was sent out of those that arrived; fails for what is left on either side.
fn assert_all_arrived(sent: &[(String, Vec<Vec<String>>)], mut arrived: Vec<SseEvent>) {
    let mut missing = Vec::new();
    for (text, defaults) in sent {
        match arrived
            .iter()
            .position(|event| is_what_was_sent(event, text, defaults))
        {
            Some(place) => drop(arrived.remove(place)),
            None => missing.push(text),
        }
    }
    let left: Vec<&String> = arrived.iter().map(|event| &event.data).collect();
    assert!(
        missing.is_empty() && left.is_empty(),
        "sent, but did not arrive as sent: {missing:#?}\narrived: {left:#?}"
    );
}

/// Events of our own with numbers that a parser would spoil.
fn odd_numbers() -> Vec<String> {
    let numbers = [
        "1.0",
        "1e3",
        "18446744073709551615",
        "-0",
        "-0.0",
        "1E-2",
        "0.10",
        "123456789012345678901234567890",
        "3.14159265358979323846",
    ];
    numbers
        .iter()
        .map(|number| {
            format!(
                concat!(
                    r#"{{"$schema":"/test/event/0.0.3","n":{},"meta":{{"dt":"2020-07-01T00:00:00Z","#,
                    r#""stream":"test.event","domain":"x.org","id":"{}"}},"dt":"2020-07-01T00:00:00Z","test":"{}"}}"#
                ),
                number,
                fresh_uuid(),
                number
            )
        })
        .collect()
}

#[test]
fn every_real_event_comes_out_as_it_went_in() {
    let _ = setting("EVENTSTAR_XTASK");
    let Some(data) = shared_data() else { return };
    let examples = examples(&data);
    assert_eq!(examples.len(), 71);
    let state = StateDir::new("real");
    let dev = start(&data, &state);
    let instance = &dev.instance;

    let schemas = published_schemas(instance, &data);
    // Dev has posted an event of its own before it was ready.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let mut sent = Vec::new();
    let mut refused = Vec::new();
    for example in &examples {
        let answer = instance.post(example.text.clone());
        if answer.status != 201 {
            refused.push(format!("{} {}: {}", answer.status, example.schema, answer.text()));
        }
        sent.push((minify(&example.text), default_paths(&schemas[&example.schema])));
    }
    assert!(
        refused.is_empty(),
        "{} of {} real events were refused: {refused:#?}",
        refused.len(),
        examples.len()
    );
    for event in odd_numbers() {
        let answer = instance.post(event.clone());
        assert_eq!(answer.status, 201, "{event}: {}", answer.text());
        sent.push((event, vec![vec!["test".to_owned()]]));
    }
    let arrived = Events::open(
        &instance.origin,
        &format!("{}?since={since}", all_streams(&examples)),
    )
    .take(sent.len());
    let distinct: HashSet<String> = arrived.iter().map(|event| event.meta_id()).collect();
    assert!(
        distinct.len() < arrived.len(),
        "some of the real events share an id"
    );
    assert_all_arrived(&sent, arrived);
    println!(
        "{} real events and {} with odd numbers arrived as sent",
        examples.len(),
        sent.len() - examples.len()
    );

    all_of_them_at_once_are_kept_too(instance, &examples, &schemas);
    one_wrong_type_in_each_is_refused_by_name(instance, &examples, &schemas);
}

/// Posts all events again in one array and reads them back. Ids are fresh: the same event with the same id would be a
/// retry, which may be dropped.
fn all_of_them_at_once_are_kept_too(
    instance: &Instance,
    examples: &[Example],
    schemas: &HashMap<String, Value>,
) {
    let mut events = Events::open(&instance.origin, &all_streams(examples));
    let with_fresh_id = |example: &Example| match get(&example.text, &["meta", "id"]) {
        Some(_) => replace(&example.text, &["meta", "id"], &format!("\"{}\"", fresh_uuid())),
        None => example.text.clone(),
    };
    let body: Vec<String> = examples.iter().map(with_fresh_id).collect();
    let _ = instance.post(format!("[\n{}\n]", body.join(",\n"))).expect(201);
    let arrived = events.take(examples.len());
    let paths = |example: &Example| default_paths(&schemas[&example.schema]);
    let sent: Vec<_> = body
        .iter()
        .zip(examples)
        .map(|(text, example)| (minify(text), paths(example)))
        .collect();
    assert_all_arrived(&sent, arrived);
}

/// A member of the event with a type the schema names, what to put there instead, and the type.
fn wrong_type(example: &Example, schema: &Value) -> (Vec<String>, &'static str, String) {
    let scalar = |property: &Value| {
        let kind = property["type"].as_str()?.to_owned();
        matches!(
            kind.as_str(),
            "string" | "integer" | "number" | "boolean" | "object" | "array"
        )
        .then_some(kind)
    };
    let event = minify(&example.text);
    let own = names(&event)
        .into_iter()
        .filter(|name| !matches!(name.as_str(), "$schema" | "meta" | "dt"));
    let own = own.map(|name| vec![name]);
    let inherited = [
        vec!["meta".to_owned(), "domain".to_owned()],
        vec!["dt".to_owned()],
    ];
    let meta_dt = vec!["meta".to_owned(), "dt".to_owned()];
    for path in own.chain(inherited).chain([meta_dt]) {
        let borrowed: Vec<&str> = path.iter().map(String::as_str).collect();
        let pointer = format!("/properties/{}", path.join("/properties/"));
        let kind = schema.pointer(&pointer).and_then(scalar);
        if let (Some(_), Some(kind)) = (get(&event, &borrowed), kind) {
            let wrong = if kind == "boolean" { "\"wrong\"" } else { "true" };
            return (path, wrong, kind);
        }
    }
    panic!("no member with a type in {event}");
}

fn one_wrong_type_in_each_is_refused_by_name(
    instance: &Instance,
    examples: &[Example],
    schemas: &HashMap<String, Value>,
) {
    for example in examples {
        let (path, wrong, kind) = wrong_type(example, &schemas[&example.schema]);
        let borrowed: Vec<&str> = path.iter().map(String::as_str).collect();
        let answer = instance.post(replace(&example.text, &borrowed, wrong));
        let body = answer.text();
        assert_eq!(answer.status, 400, "{path:?} of {}: {body}", example.text);
        let body = answer.json();
        let name = format!(".{}", path.join("."));
        let context = &body["invalid"][0]["context"];
        let errors = context["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("no errors: {body}"));
        let found = errors
            .iter()
            .find(|error| error["dataPath"] == name.as_str() && error["keyword"] == "type");
        let found = found.unwrap_or_else(|| panic!("no error names {name}: {body}"));
        assert_eq!(found["params"], json!({"type": kind}), "{body}");
        assert_eq!(found["message"], format!("should be {kind}"), "{body}");
        let errors_text = context["errorsText"].as_str().unwrap_or_default();
        assert!(
            errors_text.contains(&format!("'{name}' should be {kind}")),
            "{errors_text}"
        );
    }
    println!("{} real events with one wrong type were refused", examples.len());
}

#[test]
fn every_real_schema_is_served_as_it_was_published() {
    let _ = setting("EVENTSTAR_XTASK");
    let Some(data) = shared_data() else { return };
    let state = StateDir::new("schemas");
    let dev = start(&data, &state);
    let base = data.join("schemas-event-primary/jsonschema");
    let versions = materialized_versions(&base);
    assert_eq!(versions.len(), 83);
    let mut titles: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for path in &versions {
        let uri = path.strip_prefix(&base).unwrap().to_str().unwrap();
        let uri = uri.strip_suffix(".yaml").unwrap();
        is_served_as(&dev.instance, uri, &fs::read(path).unwrap());
        let (title, version) = uri.rsplit_once('/').unwrap();
        titles.entry(title).or_default().push(version);
    }
    assert_eq!(titles.len(), 53);
    for (title, versions) in &mut titles {
        versions.sort_by_key(|version| numbers(version));
        let newest = versions.last().expect("a version");
        let newest = fs::read(base.join(format!("{title}/{newest}.yaml"))).unwrap();
        is_served_as(&dev.instance, &format!("{title}/latest"), &newest);
        are_listed(&dev.instance, title, versions);
    }
    println!("{} real schemas are served as published", versions.len());
}

/// A schema is what the repository has, byte for byte as YAML, and the same as JSON.
fn is_served_as(instance: &Instance, uri: &str, yaml: &[u8]) {
    let path = format!("/repositories/primary/jsonschema/{uri}");
    for form in ["", ".yaml"] {
        let answer = instance.get(&format!("{path}{form}")).expect(200);
        assert!(answer.body == yaml, "{uri}{form} is not what was published");
    }
    // More than 64 bits hold: the library reads it as a fraction only.
    let yaml = String::from_utf8(yaml.to_vec()).unwrap();
    let yaml = yaml.replace("18446744073709552000", "18446744073709552000.0");
    let value: Value = serde_yaml_ng::from_str(&yaml).unwrap();
    let answer = instance.get(&format!("{path}.json")).expect(200);
    assert_eq!(answer.json(), value, "{uri}.json");
}

/// The folder of a title lists its versions and `latest`, and the folders above lead to it.
fn are_listed(instance: &Instance, title: &str, versions: &[&str]) {
    let names = |path: &str| -> Vec<String> {
        let listing = instance.get(path).expect(200).json();
        let entries = listing.as_array().expect("a list").iter();
        entries
            .map(|entry| entry["name"].as_str().expect("a name").to_owned())
            .collect()
    };
    let mut folder = "/repositories/primary/jsonschema/".to_owned();
    for segment in title.split('/') {
        assert!(
            names(&folder).iter().any(|name| name == segment),
            "{folder} lists no {segment}"
        );
        folder = format!("{folder}{segment}/");
    }
    let expected: Vec<String> = versions
        .iter()
        .chain(&["latest"])
        .flat_map(|name| ["", ".json", ".yaml"].map(|form| format!("{name}{form}")))
        .collect();
    let mut listed = names(&folder);
    listed.drain(..listed.len() - expected.len());
    assert_eq!(listed, expected, "{folder}");
}

fn numbers(version: &str) -> Vec<u64> {
    version
        .split('.')
        .map(|number| number.parse().expect("a number"))
        .collect()
}

/// All materialized versions below a folder.
fn materialized_versions(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if path.is_dir() {
            found.extend(materialized_versions(&path));
        } else if name.ends_with(".yaml") && name.starts_with(|c: char| c.is_ascii_digit()) {
            found.push(path);
        }
    }
    found
}
