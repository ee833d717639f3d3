use std::sync::{Arc, Mutex};

use clap::Parser as _;
use serde_json::{Value, json};

use super::fake::{DEAD, Letters};
use crate::Arguments;
use crate::fake::{self, State, start};

const ERRORS: &str = "errors";

/// A deployment with letters.
struct World {
    to: String,
    state: Arc<Mutex<State>>,
}

impl World {
    /// Letters `a` to `e`, of which `b` and `d` are of another kind, and the same as error events.
    fn new() -> Self {
        let (target, state) = start();
        for topic in [DEAD, ERRORS] {
            for (id, kind) in [
                ("a", "one"),
                ("b", "two"),
                ("c", "one"),
                ("d", "two"),
                ("e", "one"),
            ] {
                let id = if topic == DEAD {
                    id.to_owned()
                } else {
                    format!("{id}-error")
                };
                state.lock().unwrap().letters.add(topic, &id, kind);
            }
        }
        Self {
            to: target.url().to_owned(),
            state,
        }
    }

    fn letters<T>(&self, look: impl FnOnce(&mut Letters) -> T) -> T {
        look(&mut self.state.lock().unwrap().letters)
    }

    /// Runs a command; gives whether it ended well, what it wrote, and what it told besides.
    fn run(&self, command: &str) -> (bool, String, String) {
        let (verb, rest) = command.split_once(' ').unwrap_or((command, ""));
        let line = format!(
            "eventstar dead-letters {verb} --to {} --token root {rest}",
            self.to
        );
        let mut out = Vec::new();
        let (is_good, log) = fake::run(line.split_whitespace(), &mut out);
        (is_good, String::from_utf8(out).unwrap(), log)
    }

    fn good(&self, command: &str) -> String {
        let (is_good, out, log) = self.run(command);
        assert!(is_good, "{command}: {out}{log}");
        out
    }

    fn bad(&self, command: &str) -> String {
        let (is_good, out, log) = self.run(command);
        assert!(!is_good, "{command}: {out}{log}");
        format!("{out}{log}")
    }

    /// The first words of what a list writes.
    fn offsets(&self, command: &str) -> Vec<String> {
        let out = self.good(command);
        let words = out
            .lines()
            .map(|line| line.split_whitespace().next().unwrap().to_owned());
        words.collect()
    }
}

#[test]
fn like_failures_are_one_line() {
    let world = World::new();
    let expected = concat!(
        "     3  one  2026-01-01T00:00:00.000Z  2026-01-01T00:00:04.000Z  s  /a/1.0.0  no room for e\n",
        "     2  two  2026-01-01T00:00:01.000Z  2026-01-01T00:00:03.000Z  s  /a/1.0.0  no room for d\n",
    );
    assert_eq!(world.good("list"), expected);
    let line: Value = serde_json::from_str(&world.good("list --json --fingerprint two")).unwrap();
    let expected = json!({
        "fingerprint": "two", "count": 2, "first": "2026-01-01T00:00:01.000Z", "last": "2026-01-01T00:00:03.000Z",
        "stream": "s", "schemas": ["/a/1.0.0"], "reason": "no room\nfor d",
    });
    assert_eq!(line, expected);
    let (is_good, out, log) = world.run("list --stream t");
    assert!(
        is_good && out.is_empty() && log.starts_with("nothing to list"),
        "{out}{log}"
    );
}

#[test]
fn each_letter_is_a_line() {
    let world = World::new();
    assert_eq!(world.offsets("list --each"), ["0", "1", "2", "3", "4"]);
    assert_eq!(
        world.good("list --each --fingerprint two --topic errors"),
        concat!(
            "       1  2026-01-01T00:00:01.000Z  two  s  /a/1.0.0  no room for b-error\n",
            "       3  2026-01-01T00:00:03.000Z  two  s  /a/1.0.0  no room for d-error\n",
        )
    );
    let out = world.good("list --each --json --fingerprint two");
    let lines: Vec<Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let expected = world.letters(|letters| [1, 3].map(|at| letters.topics[DEAD][at].clone()));
    assert_eq!(lines, expected);
}

#[test]
fn a_letter_is_shown_with_its_event_by_offset_or_by_id() {
    let world = World::new();
    let shown = world.good("show 3");
    assert_eq!(shown, world.good("show d"));
    for part in [
        "offset       3\n",
        "lacking      log\n",
        "reason       no room for d\n",
        "\n{\n  \"$schema\": \"/a/1.0.0\"",
    ] {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert_eq!(
        world.good("show --raw d"),
        "{\"$schema\":\"/a/1.0.0\",\"id\":\"d\"}\n"
    );
    // What a stranger sent does nothing to a terminal.
    world.letters(|letters| letters.topics.get_mut(DEAD).unwrap()[3]["raw_event"] = json!("\u{1b}[2J{"));
    assert!(world.good("show 3").ends_with("\n\u{fffd}[2J{\n"));
    // Settled or not.
    let _ = world.good("drop --yes 3");
    let _ = world.good("show 3");
}

#[test]
fn what_is_replayed_is_delivered_and_listed_no_more() {
    let world = World::new();
    let (is_good, out, log) = world.run("replay --yes --fingerprint one");
    assert!(is_good, "{out}{log}");
    assert_eq!(out, "3 of 3 replayed, 0 refused, 0 to be tried again\n");
    assert_eq!(log, "replaying: 3 of 3\n");
    assert_eq!(
        world.letters(|letters| letters.delivered.clone()),
        ["a", "c", "e"]
    );
    assert_eq!(world.offsets("list --each"), ["1", "3"]);
    assert_eq!(
        world.good("replay --yes --fingerprint one"),
        "nothing to replay\n"
    );
    let _ = world.good("replay --yes d 1");
    assert_eq!(
        world.letters(|letters| letters.delivered.clone()),
        ["a", "c", "e", "b", "d"]
    );
    assert_eq!(world.offsets("list --each --topic errors").len(), 5);
}

#[test]
fn what_remains_is_told_and_is_not_settled() {
    let world = World::new();
    world.letters(|letters| {
        letters
            .outcomes
            .extend([("b".to_owned(), "refused"), ("c".to_owned(), "later")])
    });
    let said = world.bad("replay --yes");
    let expected = concat!(
        "       1  b  refused: because\n",
        "       2  c  later: because\n",
        "3 of 5 replayed, 1 refused, 1 to be tried again\n",
    );
    assert!(said.starts_with(expected), "{said}");
    assert_eq!(world.offsets("list --each"), ["1", "2"]);
    world.letters(|letters| letters.outcomes.clear());
    let _ = world.good("replay --yes");
    assert_eq!(
        world.letters(|letters| letters.delivered.clone()),
        ["a", "d", "e", "b", "c"]
    );
}

#[test]
fn where_a_sink_is_down_the_rest_waits() {
    let world = World::new();
    world.letters(|letters| {
        for n in 0..40 {
            letters.add(DEAD, &format!("more-{n}"), "one");
        }
        let ids: Vec<String> = letters.topics[DEAD]
            .iter()
            .map(|line| line["id"].as_str().unwrap().to_owned())
            .collect();
        letters.outcomes.extend(ids.into_iter().map(|id| (id, "later")));
    });
    let said = world.bad("replay --yes");
    assert!(
        said.contains("0 of 45 replayed, 0 refused, 20 to be tried again, 25 not tried, as those before them have to wait\n"),
        "{said}"
    );
    let requests = world.state.lock().unwrap().requests.clone();
    assert_eq!(
        requests
            .iter()
            .filter(|request| request.ends_with("/replay"))
            .count(),
        1
    );
}

#[test]
fn a_replay_that_was_interrupted_goes_on() {
    let world = World::new();
    world.letters(|letters| (0..40).for_each(|n| letters.add(DEAD, &format!("more-{n}"), "one")));
    // The 23 pages of the list, 10 until the first 20 letters are there, these replayed and settled, and no more.
    world.state.lock().unwrap().answers_left = Some(23 + 10 + 2);
    let said = world.bad("replay --yes");
    assert!(said.contains("replaying: 20 of 45"), "{said}");
    world.state.lock().unwrap().answers_left = None;
    assert!(world.good("replay --yes").starts_with("25 of 25 replayed"));
    let mut delivered = world.letters(|letters| letters.delivered.clone());
    delivered.sort();
    delivered.dedup();
    assert_eq!(
        (delivered.len(), world.letters(|letters| letters.delivered.len())),
        (45, 45)
    );
}

#[test]
fn error_events_are_posted_to_intake_as_they_were_received() {
    let world = World::new();
    let raw = |id: &str| json!({"$schema": "/a/1.0.0", "id": format!("{id}-error")}).to_string();
    world.letters(|letters| {
        letters.topics.get_mut(ERRORS).unwrap()[4]["raw_event"] = json!("{\"cut");
        let invalid = json!({"outcome": "invalid", "code": "invalid", "message": "still no text", "retryable": false});
        let ours = json!({"outcome": "error", "code": "delivery_failed", "message": "the log is down", "retryable": true});
        letters
            .unaccepted
            .extend([(raw("a"), invalid), (raw("b"), ours), (raw("c"), json!("down"))]);
        letters.unaccepted.insert(
            "{\"cut".to_owned(),
            json!({"outcome": "invalid", "code": "invalid_json", "message": "not JSON", "retryable": false}),
        );
    });
    let said = world.bad("replay --dry-run --topic errors");
    assert!(
        said.contains("1 of 5 would be accepted, 2 refused, 2 to be tried again\n"),
        "{said}"
    );
    assert!(world.letters(|letters| letters.accepted.is_empty()));
    let said = world.bad("replay --yes --topic errors");
    for line in [
        "a-error  refused: invalid: still no text: correct the event, or name the version of the schema that it fits\n",
        "b-error  later: delivery_failed: the log is down\n",
        "answered 503 Service Unavailable: down\n",
        "e-error  refused: invalid_json: not JSON\n",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(
        said.contains("1 of 5 replayed, 2 refused, 2 to be tried again\n"),
        "{said}"
    );
    assert_eq!(world.letters(|letters| letters.accepted.clone()), [raw("d")]);
    let mark = world.letters(|letters| letters.topics[DEAD].last().unwrap().clone());
    assert_eq!(
        mark,
        json!({"offset": 5, "settled": ["d-error"], "how": "replayed", "topic": "errors"})
    );
    assert_eq!(world.offsets("list --each --topic errors"), ["0", "1", "2", "4"]);
    assert_eq!(world.offsets("list --each").len(), 5);
}

#[test]
fn what_is_dropped_is_listed_no_more() {
    let world = World::new();
    let trial = world.good("drop --dry-run --fingerprint two");
    assert!(
        trial.starts_with("     2  two") && trial.ends_with("nothing was done: 2 to drop\n"),
        "{trial}"
    );
    assert_eq!(world.offsets("list --each").len(), 5);
    assert_eq!(world.good("drop --yes --fingerprint two"), "2 dropped\n");
    assert_eq!(world.offsets("list --each"), ["0", "2", "4"]);
    assert_eq!(world.good("drop --yes --fingerprint two"), "nothing to drop\n");
    assert!(world.letters(|letters| letters.delivered.is_empty()));
}

#[test]
fn bad_input_is_told_and_nothing_is_done() {
    let world = World::new();
    let _ = world.good("drop --yes 4");
    for (command, expected) in [
        ("list --since soon", "answered 400 Bad Request: since is 'soon'"),
        ("show 9", "9: no letter with this offset or id"),
        ("show nope", "nope: no letter with this offset or id"),
        ("drop --yes nope", "nope: no letter with this offset or id"),
        (
            "replay --yes 0 4",
            "4: no letter with this offset or id, or it is replayed, dropped",
        ),
        (
            "drop --yes --fingerprint one 1",
            "1: no letter with this offset or id",
        ),
    ] {
        let said = world.bad(command);
        assert!(said.contains(expected), "{command}: {said}");
    }
    let of_another_release =
        |world: &World| world.letters(|letters| letters.topics.get_mut(DEAD).unwrap().push(json!({"n": 1})));
    of_another_release(&world);
    assert!(world.bad("list").contains("is another release deployed?"));
    assert!(world.bad("drop --yes").contains("is another release deployed?"));
    assert!(world.letters(|letters| letters.delivered.is_empty()));
    assert_eq!(world.letters(|letters| letters.topics[DEAD].len()), 7);
    for wrong in ["show", "list --partition 1", "list --limit 3", "nope"] {
        let line = format!("eventstar dead-letters {wrong} --to http://127.0.0.1:1");
        assert!(
            Arguments::try_parse_from(line.split_whitespace()).is_err(),
            "{wrong}"
        );
    }
}
