//! The recorded answers of EventGate, where they lie beside the repository, against the running intake.

use std::fs;
use std::path::Path;

use eventstar_tests::dev::StateDir;
use eventstar_tests::http::Answer;
use eventstar_tests::instance::shared;
use eventstar_tests::{Dev, Request};
use serde_json::{Value, json};

/// What is compared byte for byte but for this case: EventGate answers with the text of a crash in its own code.
const CRASH: (&str, &str) = (
    "id.replace is not a function",
    "$schema is no string: set it to the URI of the event's schema, for example /test/event/1.0.0",
);

fn start(golden: &Path, state: &StateDir) -> Dev {
    // Dev posts an event of its own, which has to be an example of a schema.
    let streams = json!({
        "test.event": {"schema_title": "test"},
        "web.page_view": {"schema_title": "web/page_view"},
    });
    let file = state.path().join("streams.json");
    fs::write(&file, streams.to_string()).unwrap();
    let repository = format!("golden={}", golden.join("eventgate-schemas").display());
    let examples = format!(
        "examples={}",
        eventstar_tests::instance::repository()
            .join("examples/schemas/jsonschema")
            .display()
    );
    Dev::start(
        state,
        &[
            "--schema-repo",
            &repository,
            "--schema-repo",
            &examples,
            "--stream-config",
            file.to_str().unwrap(),
        ],
    )
}

/// EventGate was recorded with a limit of 100 kB; ours is 10 MiB.
const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

fn request(case: &Value) -> Request {
    let sent = &case["request"];
    // On a shared origin some paths are another function's.
    let url = case["eventstar"]["url"]
        .as_str()
        .or(sent["url"].as_str())
        .unwrap();
    let mut request = Request::new(sent["method"].as_str().unwrap(), url);
    for (name, value) in sent["headers"].as_object().unwrap() {
        request = request.header(name, value.as_str().unwrap());
    }
    match sent["body"].as_str() {
        Some(body) if body.len() > 100 * 1024 => {
            request.body(body.replacen("xxx", &"x".repeat(MAX_BODY_BYTES), 1))
        }
        Some(body) => request.body(body),
        None => request,
    }
}

/// Where `answer` differs from what the case asks for.
fn differences(case: &Value, answer: &Answer) -> Vec<String> {
    let ours = &case["eventstar"];
    let mut found = Vec::new();
    let mut compare = |what: &str, expected: &str, got: &str| {
        if expected != got {
            found.push(format!("{what}: expected {expected}, got {got}"));
        }
    };
    let status = ours["status"].as_u64().or(case["status"].as_u64()).unwrap();
    compare("status", &status.to_string(), &answer.status.to_string());

    let body = case["body"].as_str().unwrap().replace(CRASH.0, CRASH.1);
    // A refusal of ours has a body of ours, but what is said of events stays.
    let own_body = ours["body"] == "ours" || (ours["status"].is_u64() && !body.starts_with(r#"{"invalid":"#));
    if !own_body {
        compare("body", &body, &answer.text());
    }
    for (name, value) in case["headers"].as_object().unwrap() {
        let same = !own_body || !["content-type", "allow"].contains(&name.as_str());
        if same {
            compare(
                name,
                value.as_str().unwrap(),
                answer.header(name).unwrap_or("none"),
            );
        }
    }
    found
}

#[test]
fn answers_are_those_of_eventgate() {
    let Some(golden) = shared("golden") else { return };
    let text = fs::read_to_string(golden.join("eventgate.json")).unwrap();
    let cases: Vec<Value> = serde_json::from_str(&text).unwrap();
    let state = StateDir::new("golden");
    let dev = start(&golden, &state);
    let mut replayed = 0;
    let mut wrong = Vec::new();
    for case in cases.iter().filter(|case| case["eventstar"]["fault"].is_null()) {
        replayed += 1;
        let answer = dev.instance.send(&request(case));
        for difference in differences(case, &answer) {
            wrong.push(format!("{}: {difference}", case["name"]));
        }
    }
    println!("{replayed} of {} recorded answers replayed", cases.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(replayed > 25, "{replayed} cases");
}
