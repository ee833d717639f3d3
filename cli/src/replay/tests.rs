use std::sync::{Arc, Mutex};

use clap::Parser as _;

use crate::Arguments;
use crate::fake::{self, State};

struct World {
    at: String,
    state: Arc<Mutex<State>>,
}

const CONFIG: &str = r#"{"a": {"topic_prefixes": ["x.", "y."]}, "b": {}, "two": {"topic_prefixes": ["x.", "z."]},
    "keyed": {"message_key_fields": {"k": "k"}, "partitions": 4}}"#;

impl World {
    fn new(streams: &[&str]) -> Self {
        let (target, state) = fake::start();
        {
            let mut state = state.lock().unwrap();
            state.configs.push(CONFIG.to_owned());
            state
                .events
                .streams
                .extend(streams.iter().map(|body| (*body).to_owned()));
        }
        Self {
            at: target.url().to_owned(),
            state,
        }
    }

    /// Whether it ended well, what it wrote, and what it said.
    fn run(&self, more: &str) -> (bool, String, String) {
        let command = format!("eventstar replay --at {} --from a --token root {more}", self.at);
        let mut out = Vec::new();
        let (is_good, log) = fake::run(command.split_whitespace(), &mut out);
        (
            is_good,
            String::from_utf8(out).unwrap(),
            log.replace(&self.at, "URL"),
        )
    }

    fn stored(&self) -> Vec<String> {
        self.state.lock().unwrap().events.stored.clone()
    }
}

fn id(offset: u64) -> String {
    format!(
        r#"[{{"topic":"x.a","partition":0,"offset":{},"timestamp":{}}},{{"topic":"y.a","partition":0,"offset":-1}}]"#,
        offset + 1,
        1001 + offset
    )
}

const END: &str = "event: end\nid: [9]\ndata: {\"reason\":\"until\"}\n\n";

/// An event of the relay, at an offset, with more members.
fn frame_with(offset: u64, members: &str) -> String {
    let meta = format!(r#""stream":"a","id":"{offset}","topic":"x.a","partition":0,"offset":{offset}"#);
    format!(
        "event: message\nid: {}\ndata: {{\"meta\":{{{meta}}}{members}}}\n\n",
        id(offset)
    )
}

fn frame(offset: u64) -> String {
    frame_with(offset, "")
}

#[test]
fn events_are_appended_to_another_stream_once_however_often_they_are_replayed() {
    let events: String = (0..3).map(frame).collect();
    // The connection is cut between, and an append cannot be made at first; one is made without an answer.
    let world = World::new(&[
        &format!("retry: 1\n\n{}", frame(0)),
        &(frame(1) + &frame(2)),
        END,
        &events,
    ]);
    world
        .state
        .lock()
        .unwrap()
        .events
        .instead
        .extend([Some(503), None]);
    let (is_good, out, log) = world.run("--since 0 --until 99 --to b --filter n=1");
    assert!(is_good, "{log}");
    assert_eq!(out, "3 events: 3 appended, 0 there already, 0 refused\n");
    assert!(
        log.contains("answered 503 Service Unavailable: said instead: trying again"),
        "{log}"
    );
    let stored = world.stored();
    assert_eq!(stored.len(), 3);
    for (nth, line) in stored.iter().enumerate() {
        let (place, line) = line.split_once(' ').unwrap();
        assert_eq!(place, "b?topic=b&partition=0");
        let (before, event) = line.split_once(",\"event\":").unwrap();
        assert_eq!(
            event,
            format!("{{\"meta\":{{\"stream\":\"b\",\"id\":\"{nth}\"}}}}}}")
        );
        assert!(before.ends_with(&format!(",\"dt\":{}", 1000 + nth)), "{before}");
    }
    let connections = world.state.lock().unwrap().events.connections.clone();
    for part in ["since=0", "until=99", "filter=n%3D1"] {
        assert!(connections[0].0.contains(part), "{part}: {connections:?}");
    }
    assert_eq!(connections[1].1, Some(id(0)));
    assert!(world.run("--since 0 --until 99 --to b").0);
    assert_eq!(world.stored(), stored, "the same delivery ids");
}

#[test]
fn events_are_posted_to_another_deployment_as_they_were() {
    let without_id = frame_with(2, ",\"n\":1.0").replace("\"id\":\"2\",", "");
    let world = World::new(&[&(frame(0) + &frame_with(1, ",\"bad\":1") + &without_id)]);
    let other = World::new(&[]);
    let (is_good, out, _) = world.run(&format!("--since 0 --to {}", other.at));
    assert!(!is_good);
    assert!(
        out.starts_with("x.a/0/1: invalid: /bad: should not be there: correct the event"),
        "{out}"
    );
    assert!(out.ends_with("3 events: 2 accepted, 1 refused\n"), "{out}");
    let stored = other.stored();
    assert_eq!(stored[0], r#"{"meta":{"stream":"a","id":"0"}}"#);
    assert!(
        stored[1].starts_with(r#"{"meta":{"stream":"a","id":""#) && stored[1].ends_with("\"},\"n\":1.0}")
    );
    assert!(world.stored().is_empty());
    let tokens = other.state.lock().unwrap().events.tokens.clone();
    assert_eq!(tokens, [Some("Bearer root".to_owned())]);
}

#[test]
fn a_dry_run_counts_and_changes_nothing() {
    let world = World::new(&[&(frame(0) + &frame(1) + &frame(2))]);
    let (is_good, out, log) = world.run("--since 0 --to b --dry-run");
    assert!(is_good, "{log}");
    assert_eq!(
        out,
        "3 events; nothing was replayed\nfirst: 1970-01-01T00:00:01.000Z x.a/0/0\nlast: 1970-01-01T00:00:01.002Z x.a/0/2\n"
    );
    assert!(world.stored().is_empty());
    let world = World::new(&[]);
    let (_, out, _) = world.run("--since 0 --to http://127.0.0.1:1 --dry-run");
    assert_eq!(out, "0 events; nothing was replayed\n");
}

#[test]
fn an_interrupted_replay_goes_on_after_what_is_done() {
    let events: String = (0..1500).map(frame).collect();
    let world = World::new(&[&events]);
    world.state.lock().unwrap().events.instead.push_back(Some(403));
    let (is_good, _, log) = world.run("--since 0 --until 7 --to b");
    assert!(!is_good);
    assert!(log.contains("error: nothing was replayed: "), "{log}");

    let world = World::new(&[&events]);
    // The config, the stream and the first batch: then nothing answers.
    world.state.lock().unwrap().answers_left = Some(3);
    let (_, _, log) = world.run("--since 0 --until 7 --to b");
    let go_on = format!("error: to go on: --from-id '{}' --until 7: ", id(999));
    assert!(log.contains(&go_on), "{log}");
    {
        let mut state = world.state.lock().unwrap();
        state.answers_left = None;
        let rest: String = (1000..1500).map(frame).collect();
        state.events.streams.push_back(rest);
    }
    let (is_good, out, log) = world.run(&format!("--from-id {} --until 7 --to b", id(999)));
    assert!(is_good, "{log}");
    assert_eq!(out, "500 events: 500 appended, 0 there already, 0 refused\n");
    let state = world.state.lock().unwrap();
    assert_eq!(state.events.stored.len(), 1500);
    let (query, last) = state.events.connections[1].clone();
    assert_eq!((query.as_str(), last), ("a?until=7", Some(id(999))));
}

#[test]
fn topic_and_partition_are_those_that_intake_would_choose() {
    let keyed = |offset, key: &str| frame_with(offset, &format!(",\"k\":{key}"));
    let events = keyed(0, "\"p\"") + &keyed(1, "\"q\"") + &frame(2);
    let world = World::new(&[&(events + END), &(frame(0) + END), &(frame(0) + END)]);
    let (is_good, out, _) = world.run("--since 0 --to keyed");
    assert!(!is_good);
    assert_eq!(
        out,
        "x.a/0/2: Failed extracting k from event, field is not defined. The message_key_fields of keyed name it\n3 events: 2 appended, 0 there already, 1 refused\n"
    );
    for line in world.stored() {
        let key = line.contains("\"key\":{\"k\":\"p\"},").then_some(r#"{"k":"p"}"#);
        let key = key.unwrap_or(r#"{"k":"q"}"#);
        let partition = eventstar_event::partition::partition_of(key.as_bytes(), 4);
        assert!(
            line.starts_with(&format!("keyed?topic=keyed&partition={partition} ")),
            "{line}"
        );
    }
    // The topic of the same datacenter, or the one that is named.
    assert!(world.run("--since 0 --to two").0);
    assert!(world.stored()[2].starts_with("two?topic=x.two&partition=0 "));
    assert!(world.run("--since 0 --to two --topic z.two").0);
    assert!(world.stored()[3].starts_with("two?topic=z.two&partition=0 "));
    let elsewhere = frame(0).replace("x.a", "w.a");
    let world = World::new(&[&elsewhere]);
    let (_, _, log) = world.run("--since 0 --to two");
    assert!(
        log.contains("two has several topics: name one of x.two, z.two with --topic"),
        "{log}"
    );
}

#[test]
fn a_rate_makes_batches_of_a_second() {
    let world = World::new(&[&(0..3).map(frame).collect::<String>()]);
    let (is_good, ..) = world.run("--since 0 --to b --rate 2");
    assert!(is_good);
    assert_eq!(world.state.lock().unwrap().events.batches, [2, 1]);
}

#[test]
fn what_cannot_be_a_source_or_a_target_is_told_before_anything_is_read() {
    let world = World::new(&[]);
    for (more, expected) in [
        (
            "--since 0 --to a",
            "a and a are one stream: name another with --to",
        ),
        (
            "--since 0 --to gone",
            "the stream config has no stream gone: publish one with it first",
        ),
        ("--since 0 --to b/c", "--to b/c: "),
        (
            "--since 0 --to ftp://b",
            "ftp://b: not a URL: write it with http:// or https://",
        ),
        (
            "--since 0 --to b --topic c",
            "c is no topic of b: name one of b with --topic",
        ),
    ] {
        let (is_good, _, log) = world.run(more);
        assert!(!is_good && log.contains(expected), "{more}: {log}");
    }
    assert!(world.state.lock().unwrap().events.connections.is_empty());
    for (more, expected) in [
        ("--from a --to b", "--since <TIME>"),
        ("--from a --since soon --to b", "a time ago such as"),
        ("--from a,b --since 0 --to b", "--from"),
        ("--from a --since 0 --to b --rate 0", "--rate"),
        ("--from a --since 0", "--to"),
    ] {
        let command = format!("eventstar replay --at http://127.0.0.1:1 {more}");
        let error = Arguments::try_parse_from(command.split(' ')).unwrap_err();
        assert!(
            error.exit_code() == 2 && error.to_string().contains(expected),
            "{more}: {error}"
        );
    }
}
