//! `eventstar produce`, `tail` and `replay`, run against a deployment.

use std::fs;

use eventstar_tests::command::{Said, run, start};
use eventstar_tests::dev::StateDir;
use eventstar_tests::events::PrivateStream;
use eventstar_tests::proxy::{Proxy, Trouble};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Events, Instance, SseEvent};

/// All events of a stream, up to one that is posted now.
fn all(instance: &Instance, stream: &PrivateStream) -> Vec<SseEvent> {
    let last = fresh_uuid();
    instance.produce(&[stream.event(&last)]);
    let mut events = Events::open(&instance.origin, &stream.from_the_beginning()).up_to(&last);
    events.pop();
    events
}

fn ids(events: &[SseEvent]) -> Vec<String> {
    events.iter().map(SseEvent::meta_id).collect()
}

fn fresh_ids(count: usize) -> Vec<String> {
    (0..count).map(|_| fresh_uuid()).collect()
}

#[track_caller]
fn expect(said: Said, code: i32) -> Said {
    assert_eq!(said.code, Some(code), "{said:?}");
    said
}

/// What follows a word on standard error, in quotes or not.
#[track_caller]
fn after<'l>(said: &'l Said, word: &str) -> &'l str {
    let (_, rest) = said
        .log
        .split_once(word)
        .unwrap_or_else(|| panic!("no {word}: {said:?}"));
    let rest = rest.trim_start();
    match rest.strip_prefix('\'') {
        Some(quoted) => quoted.split('\'').next().unwrap(),
        None => rest.split([' ', ':', '\n']).next().unwrap(),
    }
}

#[test]
fn the_command_produces_a_file_and_tells_what_is_refused() {
    let instance = Instance::from_env();
    let to = instance.origin.base_url();
    let dir = StateDir::new("produce");
    let (file, rejected) = (
        dir.path().join("events.ndjson"),
        dir.path().join("rejected.ndjson"),
    );
    let (file, rejected) = (file.to_str().unwrap(), rejected.to_str().unwrap());
    let stream = PrivateStream::new("produce");
    let good = fresh_ids(3);
    let bad = stream
        .event_with(&fresh_uuid(), "")
        .replace("\"attempt\":1", "\"attempt\":\"x\"");
    let without_id = stream.event("none").replace("\"id\":\"none\",", "");
    let lines = [
        stream.event(&good[0]),
        bad.clone(),
        "{nope".to_owned(),
        String::new(),
        stream.event(&good[1]),
        without_id,
        stream.event(&good[2]),
    ];
    fs::write(file, lines.join("\n")).unwrap();

    let dry = expect(run(&instance, &["produce", "--to", &to, "--dry-run", file]), 1);
    assert!(
        dry.log
            .ends_with("6 events: 4 would be accepted, 2 refused; nothing was stored\n"),
        "{dry:?}"
    );
    let run_id = fresh_uuid();
    let arguments = [
        "produce",
        "--to",
        &to,
        "--rejected",
        rejected,
        "--run",
        &run_id,
        file,
    ];
    let said = expect(run(&instance, &arguments), 1);
    let told: Vec<&str> = said.out.lines().collect();
    assert_eq!(told.len(), 2, "{said:?}");
    assert!(
        told[0].starts_with(&format!("{file}:2: invalid: /attempt: should be integer")),
        "{said:?}"
    );
    assert!(
        told[1].starts_with(&format!("{file}:3: not valid JSON")),
        "{said:?}"
    );
    assert_eq!(fs::read_to_string(rejected).unwrap(), format!("{bad}\n{{nope\n"));
    // The same run once more: each event is there once.
    let _ = expect(run(&instance, &arguments), 1);
    let stored = all(&instance, &stream);
    assert_eq!(stored.len(), 4, "{stored:?}");
    let of_file = [0, 1, 3].map(|nth| stored[nth].meta_id());
    assert_eq!(of_file[..], good[..]);
    assert_eq!(stored[2].meta_id().len(), 36, "given by the command");
}

#[test]
fn the_command_produces_what_comes_on_standard_input_at_once() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("stdin");
    let ids = fresh_ids(2);
    let mut events = Events::open(&instance.origin, &stream.live());
    let to = instance.origin.base_url();
    let mut command = start(&instance, &["produce", "--to", &to, "-"]);
    for id in &ids {
        command.write(&(stream.event(id) + "\n"));
        assert_eq!(events.next_event().meta_id(), *id);
    }
    let said = expect(command.end(), 0);
    assert!(
        said.log.ends_with("2 events: 2 accepted, 0 refused\n"),
        "{said:?}"
    );
}

#[test]
fn the_command_shows_a_token_and_goes_on_after_a_lost_answer() {
    let instance = Instance::from_env();
    let proxy = Proxy::start();
    proxy.lead_to(instance.origin.base_url().strip_prefix("http://").unwrap());
    let to = format!("http://{}", proxy.address());
    let dir = StateDir::new("lost");
    let file = dir.path().join("events.ndjson");
    let file = file.to_str().unwrap();
    let stream = PrivateStream::new("lost");
    let without_id = stream.event("none").replace("\"id\":\"none\",", "");
    fs::write(file, format!("{without_id}\n")).unwrap();
    proxy.make(Some(Trouble::CutAfter(10)));
    let lost = expect(run(&instance, &["produce", "--to", &to, file]), 1);
    proxy.make(None);
    let (line, run_id) = (after(&lost, "--from-line"), after(&lost, "--run"));
    let arguments = ["produce", "--to", &to, "--from-line", line, "--run", run_id, file];
    let _ = expect(run(&instance, &arguments), 0);
    assert_eq!(
        all(&instance, &stream).len(),
        1,
        "stored the first time, recognised the second"
    );

    let refund = eventstar_tests::events::order_event("shop.refund", &fresh_uuid(), "A-1");
    fs::write(file, format!("{refund}\n")).unwrap();
    let _ = expect(run(&instance, &["produce", "--to", &to, file]), 0);
    let said = expect(
        run(&instance, &["produce", "--to", &to, "--token", "wrong", file]),
        1,
    );
    assert!(
        said.out.contains(":1: token_refused: ") || said.log.contains("401"),
        "{said:?}"
    );
}

#[test]
fn the_command_follows_a_stream_over_connections_that_are_cut() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("tail");
    let ids = fresh_ids(20);
    let proxy = Proxy::start();
    proxy.lead_to(instance.origin.base_url().strip_prefix("http://").unwrap());
    let to = format!("http://{}", proxy.address());
    let arguments = [
        "tail",
        "--to",
        &to,
        "--since",
        "2020-01-01",
        "--limit",
        "20",
        "--ndjson",
        &stream.name,
    ];
    let mut command = start(&instance, &arguments);
    let mut lines = Vec::new();
    for ids in ids.chunks(5) {
        instance.produce(&ids.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
        // Now and then it is cut before it has read them all.
        lines.extend((0..3).map(|_| command.line()));
        proxy.make(None);
        lines.extend((0..2).map(|_| command.line()));
    }
    let said = expect(command.end(), 0);
    let expected: Vec<String> = Events::open(&instance.origin, &stream.from_the_beginning())
        .take(20)
        .into_iter()
        .map(|event| event.data)
        .collect();
    assert_eq!(lines, expected, "each once, as it was sent");
    assert!(
        said.out.is_empty() && said.log.contains("trying again in"),
        "it was cut: {said:?}"
    );

    // From the id it says at its end, and with what the relay is asked for.
    let direct = instance.origin.base_url();
    let first = [
        "tail",
        "--to",
        &direct,
        "--since=2020-01-01",
        "--limit",
        "7",
        "--fields",
        "meta.id",
        "--ndjson",
        &stream.name,
    ];
    let first = expect(run(&instance, &first), 0);
    let id = after(&first, "--from-id").to_owned();
    let rest = [
        "tail",
        "--to",
        &direct,
        "--from-id",
        &id,
        "--until=-0s",
        "--filter",
        "job = test",
        &stream.name,
    ];
    let rest = expect(run(&instance, &rest), 0);
    assert_eq!(
        first.out.lines().next(),
        Some(format!("{{\"meta\":{{\"id\":\"{}\"}}}}", ids[0]).as_str())
    );
    let lines: Vec<&str> = rest.out.lines().collect();
    assert_eq!((first.out.lines().count(), lines.len()), (7, 13), "{rest:?}");
    let event: serde_json::Value = serde_json::from_str(&expected[7]).unwrap();
    let time = event["meta"]["dt"].as_str().unwrap();
    assert_eq!(lines[0], format!("{time} {} {}", stream.name, expected[7]));
}

#[test]
fn the_command_ends_cleanly_when_it_is_interrupted_or_nobody_reads() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("ends");
    let to = instance.origin.base_url();
    let ids = fresh_ids(3);
    instance.produce(&[stream.event(&ids[0])]);
    let arguments = [
        "tail",
        "--to",
        &to,
        "--since",
        "2020-01-01",
        "--ndjson",
        &stream.name,
    ];
    let mut interrupted = start(&instance, &arguments);
    let mut unread = start(&instance, &arguments);
    assert!(interrupted.line().contains(&ids[0]));
    assert!(unread.line().contains(&ids[0]));
    unread.hang_up();
    instance.produce(&[stream.event(&ids[1])]);
    assert!(interrupted.line().contains(&ids[1]));
    let unread = expect(unread.end(), 0);
    assert!(
        after(&unread, "--from-id").contains("\"offset\":1"),
        "only what was read: {unread:?}"
    );
    instance.produce(&[stream.event(&ids[2])]);
    assert!(interrupted.line().contains(&ids[2]));
    // What it says was written down before it waits for the next event, which it does at the latest when this one comes.
    interrupted.interrupt();
    let interrupted = expect(interrupted.end(), 130);
    assert!(
        after(&interrupted, "--from-id").contains("\"offset\":"),
        "{interrupted:?}"
    );

    let refused = expect(run(&instance, &["tail", "--to", &to, "no.such.stream"]), 1);
    assert!(
        refused
            .log
            .contains("answered 400 Bad Request: Invalid streams: no.such.stream: check"),
        "{refused:?}"
    );
    let refused = expect(
        run(
            &instance,
            &["tail", "--to", &to, "--filter", "a = b AND", &stream.name],
        ),
        1,
    );
    assert!(refused.log.contains("answered 400"), "{refused:?}");
}

#[test]
fn the_command_replays_into_another_stream_and_to_a_deployment_each_event_once() {
    let instance = Instance::from_env();
    let (from, target) = (PrivateStream::new("from"), PrivateStream::new("target"));
    let at = instance.origin.base_url();
    let ids = fresh_ids(4);
    let texts: Vec<String> = ids
        .iter()
        .map(|id| from.event_with(id, r#","number":1.50,"text":"\u00e9é""#))
        .collect();
    instance.produce(&texts);
    let before = all(&instance, &from);
    let arguments = |to: &str, more: &[&str]| {
        let words = [
            "replay",
            "--at",
            &at,
            "--from",
            &from.name,
            "--since=-1h",
            "--filter",
            "number > 0",
            "--to",
            to,
        ];
        let words: Vec<String> = words.iter().chain(more).map(|word| (*word).to_owned()).collect();
        words
    };
    let replay = |to: &str, more: &[&str]| {
        let words = arguments(to, more);
        expect(
            run(&instance, &words.iter().map(String::as_str).collect::<Vec<_>>()),
            0,
        )
    };
    let dry = replay(&target.name, &["--dry-run"]);
    assert!(
        dry.out.starts_with("4 events; nothing was replayed\nfirst: "),
        "{dry:?}"
    );
    let first = replay(&target.name, &[]);
    assert_eq!(first.out, "4 events: 4 appended, 0 there already, 0 refused\n");
    let again = replay(&target.name, &["--rate", "100"]);
    assert_eq!(again.out, "4 events: 0 appended, 4 there already, 0 refused\n");
    let replayed = all(&instance, &target);
    assert_eq!(self::ids(&replayed), ids);
    for (event, original) in replayed.iter().zip(&before) {
        assert_eq!(event.data, original.data.replace(&from.name, &target.name));
        assert_eq!(event.timestamp(), original.timestamp());
    }
    // Posted, they are events anew, with the time of their receipt: once, however often.
    let until = (before[3].timestamp() + 1).to_string();
    for _ in 0..2 {
        let posted = replay(&at, &["--until", &until]);
        assert_eq!(posted.out, "4 events: 4 accepted, 0 refused\n");
    }
    let after = all(&instance, &from);
    let posted: Vec<String> = self::ids(&after)
        .into_iter()
        .filter(|id| ids.contains(id))
        .collect();
    assert_eq!(posted, [ids.clone(), ids].concat());
}
