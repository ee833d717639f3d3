//! Dead letters, and events that failed validation: they are listed, replayed once what was wrong is mended, and dropped.
//!
//! How an event becomes a dead letter needs a sink that refuses it; here, letters come from elsewhere, as in a restore.

use std::time::Duration;

use eventstar_tests::admin::{add_known_streams, comes_true_within};
use eventstar_tests::events::{PrivateStream, job_event};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Answer, Events, Instance, Request};
use serde_json::{Value, json};

const LETTERS: &str = "/admin/v1/dead-letters";
const TOPIC: &str = "eventstar.dead-letter";
const ERRORS: &str = "intake.error.validation";

/// How long an error event may take after the answer.
const PATIENCE: Duration = Duration::from_secs(20);

fn post(route: &str, body: &str) -> Request {
    Request::post_json(&format!("{LETTERS}/{route}"), body)
}

/// All lines of a list, page by page.
fn list(instance: &Instance, query: &str) -> Vec<Value> {
    let mut lines = Vec::new();
    let mut from = 0;
    loop {
        let path = format!("{LETTERS}?from={from}&limit=100&{query}");
        let page = instance.admin(Request::get(&path)).expect(200);
        lines.extend(lines_of(&page));
        let header = |name: &str| -> u64 { page.header(name).expect(name).parse().expect("a number") };
        let (next, head) = (header("next-offset"), header("head-offset"));
        if next >= head {
            return lines;
        }
        assert!(next > from, "{path} does not move on");
        from = next;
    }
}

fn lines_of(answer: &Answer) -> Vec<Value> {
    let text = answer.text();
    let lines = text.lines().map(|line| serde_json::from_str(line).expect("JSON"));
    lines.collect()
}

/// The marks of letters with this id.
fn marks(instance: &Instance, id: &Value) -> Vec<Value> {
    let mut marks = list(instance, "settled=only");
    marks.retain(|mark| mark["settled"].as_array().expect("ids").contains(id));
    marks
}

fn settle(instance: &Instance, letter: &Value, how: &str, topic: Option<&str>) {
    let named = json!({"offset": letter["offset"], "id": letter["id"]});
    let body = json!({"letters": [named], "how": how, "topic": topic}).to_string();
    let answer = instance.admin(post("settle", &body)).expect(200);
    assert_eq!(answer.json(), json!({"settled": 1}));
}

/// How often the stream has the event with this id, up to a last one.
fn times(instance: &Instance, stream: &PrivateStream, id: &str) -> usize {
    let last = fresh_uuid();
    instance.produce(&[stream.event(&last)]);
    let events = Events::open(&instance.origin, &stream.from_the_beginning()).up_to(&last);
    events.iter().filter(|event| event.meta_id() == id).count()
}

#[test]
fn dead_letters_of_failed_validation_are_replayed_after_the_config_was_mended() {
    let instance = Instance::from_env();
    let stream = PrivateStream {
        name: format!("dead.{}", fresh_uuid()),
    };
    let configure =
        |title: &str| add_known_streams(&instance, &json!({&stream.name: {"schema_title": title}}));
    let id = fresh_uuid();
    let event = stream.event(&id);
    configure("test/event");
    let _ = instance.post(event.as_str()).expect(400);

    let query = format!("topic={ERRORS}&stream={}", stream.name);
    let mut found = Vec::new();
    comes_true_within(PATIENCE, "the error event", || {
        found = list(&instance, &query);
        !found.is_empty()
    });
    let letter = &found[0];
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(letter["raw_event"], event.as_str(), "as it was received");
    assert_eq!(letter["schema_uri"], "/job/run/1.0.0");
    assert!(
        letter["reason"]
            .as_str()
            .expect("a reason")
            .contains("test/event"),
        "{letter}"
    );
    assert_eq!(letter["fingerprint"].as_str().map(str::len), Some(12), "{letter}");
    for filter in ["schema=job/run", "schema=/job/run/1.0.0", "since=-1h"] {
        assert_eq!(list(&instance, &format!("{query}&{filter}")), found, "{filter}");
    }
    for filter in ["schema=test/event", "until=-1h", "fingerprint=0"] {
        assert!(
            list(&instance, &format!("{query}&{filter}")).is_empty(),
            "{filter}"
        );
    }

    configure("job/run");
    let raw = letter["raw_event"].as_str().expect("an event");
    for _ in 0..2 {
        let _ = instance.post(raw).expect(201);
    }
    settle(&instance, letter, "replayed", Some(ERRORS));
    let marks = marks(&instance, &letter["id"]);
    assert_eq!(marks.len(), 1, "{marks:?}");
    assert_eq!(
        (&marks[0]["how"], &marks[0]["topic"]),
        (&json!("replayed"), &json!(ERRORS))
    );
    assert_eq!(times(&instance, &stream, &id), 1);
    assert_eq!(list(&instance, &query).len(), 1, "nothing failed again");
}

/// Puts letters into the topic of dead letters.
fn restore(instance: &Instance, letters: &[(String, Value)]) {
    // A stream of one's own that has the topic.
    let stream = format!("dead.{}", fresh_uuid());
    add_known_streams(instance, &json!({&stream: {"topics": [TOPIC]}}));
    let lines: String = letters
        .iter()
        .map(|(id, letter)| {
            format!(
                "{}\n",
                json!({"id": id, "dt": 1_750_000_000_000_u64, "event": letter})
            )
        })
        .collect();
    let path = format!("/admin/v1/streams/{stream}/events");
    let _ = instance
        .admin(Request::post_json(&path, lines.as_str()))
        .expect(200);
}

#[test]
fn dead_letters_are_replayed_into_their_log_once_or_dropped() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("dead");
    let (first, second) = (fresh_uuid(), fresh_uuid());
    let letter = |id: &str| {
        let letter = json!({
            "reason": format!("the log is full at {id}"), "log": format!("v1/{}/0/0", stream.name), "stream": stream.name,
            "raw_event": job_event(&stream.name, id, ",\"n\":1.0"),
        });
        (fresh_uuid(), letter)
    };
    restore(&instance, &[letter(&first), letter(&second)]);
    let query = format!("stream={}", stream.name);
    let of_stream = || {
        let mut lines = list(&instance, &query);
        lines.retain(|line| line.get("settled").is_none());
        lines
    };
    let letters = of_stream();
    assert_eq!(letters.len(), 2, "{letters:?}");
    assert_eq!(
        letters[0]["fingerprint"], letters[1]["fingerprint"],
        "they fail alike"
    );
    assert_eq!(letters[0]["schema_uri"], "/job/run/1.0.0");
    assert_eq!(letters[0]["dt"], "2025-06-15T15:06:40.000Z");

    // Others come in between.
    instance.produce(&[stream.event(&fresh_uuid())]);
    for _ in 0..2 {
        let answer = instance
            .admin(post("replay", &letters[0].to_string()))
            .expect(200);
        let expected =
            json!({"offset": letters[0]["offset"], "id": letters[0]["id"], "outcome": "delivered"});
        assert_eq!(lines_of(&answer), [expected]);
    }
    settle(&instance, &letters[0], "replayed", None);
    settle(&instance, &letters[1], "dropped", None);
    settle(&instance, &letters[1], "dropped", None);
    assert_eq!(times(&instance, &stream, &first), 1);
    assert_eq!(times(&instance, &stream, &second), 0);
    let last = fresh_uuid();
    instance.produce(&[stream.event(&last)]);
    let read = Events::open(&instance.origin, &stream.from_the_beginning()).find(&first);
    assert_eq!(read.json()["n"].to_string(), "1.0");
    for (letter, how) in letters.iter().zip(["replayed", "dropped"]) {
        let marks = marks(&instance, &letter["id"]);
        assert_eq!((marks.len(), &marks[0]["how"]), (1, &json!(how)), "{marks:?}");
    }
}

#[test]
fn dead_letters_that_are_refused_again_are_told_and_are_no_new_ones() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("dead");
    let bad = json!({
        "offset": 0, "id": fresh_uuid(), "dt": "2026-01-01T00:00:00Z", "fingerprint": "", "reason": "", "stream": stream.name,
        "log": format!("v1/{}/0/0", stream.name), "raw_event": "{", "sinks": ["log"],
    });
    let answer = instance.admin(post("replay", &bad.to_string())).expect(200);
    let outcome = &lines_of(&answer)[0];
    assert_eq!(outcome["outcome"], "refused");
    assert!(
        outcome["reason"]
            .as_str()
            .expect("a reason")
            .contains("raw_event is not JSON"),
        "{outcome}"
    );
    let mut lines = list(&instance, &format!("stream={}", stream.name));
    lines.retain(|line| line.get("settled").is_none());
    assert!(lines.is_empty(), "{lines:?}");
}

#[test]
fn only_the_admin_token_opens_dead_letters_and_mistyped_filters_are_refused() {
    let instance = Instance::from_env();
    for request in [Request::get(LETTERS), post("replay", ""), post("settle", "{}")] {
        let _ = instance.send(&request).expect(401);
        let _ = instance
            .send(&request.bearer(&instance.producer_token))
            .expect(403);
    }
    for query in ["steam=x", "limit=0", "since=soon", "from=-1"] {
        let _ = instance
            .admin(Request::get(&format!("{LETTERS}?{query}")))
            .expect(400);
    }
    let _ = instance
        .admin(Request::get(&format!("{LETTERS}?topic=nope.{}", fresh_uuid())))
        .expect(404);
    let _ = instance.admin(post("settle", "{\"letters\":[]}")).expect(400);
}
