//! The recorded answers of EventStreams, where they lie beside the repository, against the running relay.

use std::fs;
use std::io::Read as _;
use std::time::{Duration, Instant};

use eventstar_tests::dev::StateDir;
use eventstar_tests::http::Answer;
use eventstar_tests::instance::shared;
use eventstar_tests::{Dev, Request};
use serde_json::{Value, json};

/// Answered otherwise on purpose (docs/compatibility.md): streams without topics have those that EventStreamConfig computes,
/// and a topic is there with its first event.
const OTHERWISE: [&str; 2] = ["stream w/o topics", "stream whose topics do not exist in kafka"];

/// How long an open stream may take to send what was recorded.
const PATIENCE: Duration = Duration::from_secs(20);

/// How long is listened for what must not come.
const SILENCE: Duration = Duration::from_millis(500);

#[derive(Debug, PartialEq)]
struct Block {
    event: String,
    id: Vec<Value>,
    data: Value,
}

/// The events of a body, in the order of each topic; between topics there is none.
fn blocks(body: &str) -> Vec<Block> {
    let mut blocks: Vec<Block> = body
        .split("\n\n")
        .filter_map(|block| {
            let mut fields = block.lines().filter_map(|line| line.split_once(": "));
            let mut field = |name: &str| fields.find(|(found, _)| *found == name).map(|(_, value)| value);
            Some(Block {
                event: field("event")?.to_owned(),
                id: serde_json::from_str(field("id")?).unwrap(),
                data: serde_json::from_str(field("data")?).unwrap(),
            })
        })
        .collect();
    blocks.sort_by_key(|block| position(&block.data));
    blocks
}

fn position(data: &Value) -> (String, u64, u64) {
    let meta = &data["meta"];
    let number = |name: &str| meta[name].as_u64().unwrap();
    (meta["topic"].to_string(), number("partition"), number("offset"))
}

/// The members of an entry that say where a partition stands.
fn stands(entry: &Value) -> (&Value, &Value) {
    (&entry["topic"], &entry["partition"])
}

/// Where an event differs from the recorded one. Ids have more than the original's: an offset for each partition, and
/// partitions that a topic has because another of the stream has them.
fn difference(expected: &Block, got: &Block) -> Option<String> {
    if (&expected.event, &expected.data) != (&got.event, &got.data) {
        return Some(format!("expected {expected:?}, got {got:?}"));
    }
    let (.., offset) = position(&got.data);
    let own = json!([got.data["meta"]["topic"], got.data["meta"]["partition"]]);
    let known = got
        .id
        .iter()
        .filter(|entry| expected.id.iter().any(|other| stands(other) == stands(entry)));
    if known.map(stands).ne(expected.id.iter().map(stands)) {
        return Some(format!(
            "the id has other entries: expected {:?}, got {:?}",
            expected.id, got.id
        ));
    }
    for entry in &got.id {
        let recorded = expected.id.iter().find(|other| stands(other) == stands(entry));
        let timestamp = recorded.and_then(|recorded| recorded["timestamp"].as_u64());
        let is_own = json!([entry["topic"], entry["partition"]]) == own;
        if is_own && (entry["offset"] != offset + 1 || entry["timestamp"].as_u64() != timestamp) {
            return Some(format!("expected {recorded:?} and the next offset, got {entry}"));
        }
        if !entry["offset"].is_u64() || !entry["timestamp"].is_u64() {
            return Some(format!("a partition without a place: {entry}"));
        }
    }
    None
}

fn request(case: &Value) -> Request {
    let sent = &case["request"];
    let headers = sent["headers"].as_object().unwrap();
    let request = Request::new(sent["method"].as_str().unwrap(), sent["url"].as_str().unwrap());
    headers.iter().fold(request, |request, (name, value)| {
        request.header(name, value.as_str().unwrap())
    })
}

fn count_events(text: &str) -> usize {
    text.lines().filter(|line| line.contains("\"meta\"")).count()
}

/// What an open stream sends until it has sent as many events as were recorded, and is then silent.
fn read_open(dev: &Dev, request: &Request, events: usize) -> (Answer, String) {
    let (answer, mut body) = dev.instance.origin.open(request).unwrap();
    let deadline = Instant::now() + PATIENCE;
    let mut text = String::new();
    loop {
        let wait = if count_events(&text) < events {
            deadline.saturating_duration_since(Instant::now())
        } else {
            SILENCE
        };
        if wait.is_zero() || body.set_timeout(wait).is_err() {
            return (answer, text);
        }
        let mut buffer = [0; 4096];
        match body.read(&mut buffer) {
            Ok(0) | Err(_) => return (answer, text),
            Ok(read) => text.push_str(std::str::from_utf8(&buffer[..read]).unwrap()),
        }
    }
}

fn differences(dev: &Dev, case: &Value) -> Vec<String> {
    let ours = &case["eventstar"];
    let body = case["body"].as_str().unwrap();
    let request = request(case);
    let is_open = case["connection"] == "open";
    let is_json = case["headers"]["content-type"]
        .as_str()
        .is_some_and(|kind| kind.starts_with("application/json"));
    let (answer, text) = if is_open {
        read_open(dev, &request, count_events(body))
    } else {
        let answer = dev.instance.send(&request);
        let text = answer.text();
        (answer, text)
    };
    let mut found = Vec::new();
    let status = ours["status"].as_u64().or(case["status"].as_u64()).unwrap();
    if u64::from(answer.status) != status {
        found.push(format!("status: expected {status}, got {}", answer.status));
    }
    let own_body = ours.is_object();
    for (name, value) in case["headers"].as_object().unwrap() {
        let own = own_body && ["content-type", "allow"].contains(&name.as_str());
        if !own && answer.header(name) != value.as_str() {
            found.push(format!("{name}: expected {value}, got {:?}", answer.header(name)));
        }
    }
    if is_open && !is_json {
        let (expected, got) = (blocks(body), blocks(&text));
        if !text.starts_with(":ok\n\n") {
            found.push(format!("begins with {text:?}"));
        }
        if expected.len() != got.len() {
            found.push(format!("expected {} events, got {got:?}", expected.len()));
        }
        found.extend(
            expected
                .iter()
                .zip(&got)
                .filter_map(|(expected, got)| difference(expected, got)),
        );
    } else if is_open {
        let sorted = |text: &str| {
            let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        if sorted(body) != sorted(&text) {
            found.push(format!("body: expected {body}, got {text}"));
        }
    } else if !own_body && text != body {
        found.push(format!("body: expected {body}, got {text}"));
    }
    found
}

#[test]
fn answers_are_those_of_eventstreams() {
    let Some(golden) = shared("golden") else { return };
    let file = golden.join("eventstreams.json");
    let recorded: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    let state = StateDir::new("eventstreams");
    let dev = Dev::start(&state, &["--fixture", file.to_str().unwrap()]);
    let mut wrong = Vec::new();
    let replayed: Vec<&Value> = cases
        .iter()
        .filter(|case| !OTHERWISE.iter().any(|name| case["name"] == *name))
        .collect();
    for case in &replayed {
        for difference in differences(&dev, case) {
            wrong.push(format!("{}: {difference}", case["name"]));
        }
    }
    println!("{} of {} recorded answers replayed", replayed.len(), cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(replayed.len() > 20, "{} cases", replayed.len());
}
