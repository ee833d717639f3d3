use std::fs;
use std::sync::{Arc, Mutex};

use super::*;
use crate::fake::{self, State};

struct World {
    dir: tempfile::TempDir,
    to: String,
    state: Arc<Mutex<State>>,
}

impl World {
    fn new(events: &[u8]) -> Self {
        let (target, state) = fake::start();
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("a.ndjson"), events).unwrap();
        let to = target.url().to_owned();
        Self { dir, to, state }
    }

    /// Runs it with more arguments: whether it ended well, what it wrote, and what it said.
    fn run(&self, more: &str) -> (bool, String, String) {
        let dir = self.dir.path().display();
        let command = format!("eventstar produce --to {} {more} DIR/a.ndjson", self.to);
        let command = command.replace("DIR", &dir.to_string());
        let mut out = Vec::new();
        let (is_good, log) = fake::run(command.split_whitespace(), &mut out);
        let shown = |text: String| text.replace(&format!("{dir}/"), "").replace(&self.to, "URL");
        (is_good, shown(String::from_utf8(out).unwrap()), shown(log))
    }

    fn rejected(&self) -> String {
        fs::read_to_string(self.dir.path().join("rejected")).unwrap()
    }

    fn stored(&self) -> Vec<String> {
        self.state.lock().unwrap().events.stored.clone()
    }

    fn batches(&self) -> Vec<usize> {
        self.state.lock().unwrap().events.batches.clone()
    }

    fn instead(&self, answers: impl IntoIterator<Item = Option<u16>>) {
        self.state.lock().unwrap().events.instead.extend(answers);
    }
}

fn numbered(count: usize) -> String {
    (0..count)
        .map(|n| format!("{{\"meta\":{{\"id\":\"{n}\"}}}}\n"))
        .collect()
}

#[test]
fn events_are_posted_in_order_as_they_are_in_batches() {
    let world = World::new(numbered(2001).as_bytes());
    let (is_good, out, log) = world.run("");
    assert!(is_good, "{log}");
    assert_eq!(out, "");
    assert_eq!(
        log,
        "producing: 1000 events\nproducing: 2000 events\nproducing: 2001 events\n2001 events: 2001 accepted, 0 refused\n"
    );
    assert_eq!(world.batches(), [1000, 1000, 1]);
    let expected: Vec<String> = numbered(2001).lines().map(str::to_owned).collect();
    assert_eq!(world.stored(), expected);
    // By bytes: three events of 1.5 MiB do not fit, but intake takes no such; four of a bit more than 1 MiB less some.
    let large = |n: usize| {
        format!(
            "{{\"meta\":{{\"id\":\"{n}\"}},\"x\":\"{}\"}}\n",
            "x".repeat(1_040_000)
        )
    };
    let world = World::new((0..6).map(large).collect::<String>().as_bytes());
    assert!(world.run("").0);
    assert_eq!(world.batches(), [4, 2]);
}

#[test]
fn numbers_and_order_stay_and_white_space_goes() {
    let world = World::new(b"  {\"b\": 1.0, \"a\": 12345678901234567890, \"meta\": {\"id\": \"x\"}}  \r\n\n");
    assert!(world.run("").0);
    assert_eq!(
        world.stored(),
        [r#"{"b":1.0,"a":12345678901234567890,"meta":{"id":"x"}}"#]
    );
}

#[test]
fn what_is_refused_is_told_with_its_line_and_kept() {
    let text = b"{\"meta\":{\"id\":\"1\"}}\n\n{\"bad\": 1,\"meta\":{}}\nnope\n[{}]\n{}\n{\"a\":1,\"a\":2}\n{\"meta\":{\"id\":\"2\"}}";
    let world = World::new(text);
    let (is_good, out, log) = world.run("--rejected DIR/rejected");
    assert!(!is_good);
    let lines: Vec<&str> = out.lines().collect();
    for (line, expected) in lines.iter().zip([
        "a.ndjson:3: invalid: /bad: should not be there: correct the event",
        "a.ndjson:4: not valid JSON: expected ident",
        "a.ndjson:5: expected one JSON object a line, not an array",
        "a.ndjson:6: an object without members is no event",
        "a.ndjson:7: /a: the member appears twice",
    ]) {
        assert!(line.starts_with(expected), "{line}");
    }
    assert_eq!(lines.len(), 5, "{out}");
    assert!(log.ends_with("7 events: 2 accepted, 5 refused\n"), "{log}");
    assert_eq!(
        world.rejected(),
        "{\"bad\": 1,\"meta\":{}}\nnope\n[{}]\n{}\n{\"a\":1,\"a\":2}\n",
        "to be produced once more, corrected"
    );
    assert_eq!(world.stored().len(), 2);
}

#[test]
fn an_event_or_a_line_that_is_too_large_is_told_and_passed_over() {
    let of_size = |bytes: usize| {
        let empty = r#"{"meta":{"id":""},"x":""}"#;
        format!(
            "{}\n",
            empty.replace(
                "\"x\":\"\"",
                &format!("\"x\":\"{}\"", "x".repeat(bytes - empty.len()))
            )
        )
    };
    let text = of_size(MAX_EVENT_BYTES)
        + &of_size(MAX_EVENT_BYTES + 1)
        + &of_size(MAX_LINE_BYTES)
        + &of_size(MAX_LINE_BYTES + 9)
        + "{\"meta\":{\"id\":\"2\"}}\n";
    let world = World::new(text.as_bytes());
    let (_, out, log) = world.run("");
    assert!(log.ends_with("5 events: 2 accepted, 3 refused\n"), "{log}");
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(
        lines,
        [
            "a.ndjson:2: the event has 1048577 bytes, more than the 1048576 that are accepted: make it smaller",
            "a.ndjson:3: the event has 8388608 bytes, more than the 1048576 that are accepted: make it smaller",
            "a.ndjson:4: the line has more than 8388608 bytes: put one event on a line, of at most 1048576 bytes",
        ]
    );
}

#[test]
fn what_could_not_be_stored_is_sent_again_and_stored_once() {
    let text = "{\"n\":1}\n{\"later\":2}\n{\"n\":3}\n".to_owned() + &numbered(998);
    let world = World::new(text.as_bytes());
    // Busy twice, and one answer is lost; of the next batch only one event is still missing.
    world.instead([Some(503), Some(429), None]);
    let (is_good, out, log) = world.run("");
    assert!(is_good && out.is_empty(), "{log}");
    assert_eq!(world.batches(), [1000, 1000, 1000, 1000, 1]);
    for why in [
        "URL/v1/events answered 503 Service Unavailable: said instead: trying again in 0.0 s",
        "URL/v1/events answered 429 Too Many Requests: said instead: trying again",
        "no answer from URL/v1/events: ",
    ] {
        assert!(log.contains(why), "{why}: {log}");
    }
    let stored = world.stored();
    assert_eq!(stored.len(), 1001, "each once");
    assert!(
        stored.iter().all(|event| event.contains("\"meta\":{\"id\":\"")),
        "{:?}",
        &stored[..3]
    );

    let world = World::new(b"{\"n\":1}\n{\"later\":2}\n{\"n\":3}\n");
    let (is_good, _, log) = world.run("");
    assert!(
        is_good && log.contains("1 of 3 events could not be stored now (207 Multi-Status)"),
        "{log}"
    );
    assert_eq!((world.batches(), world.stored().len()), (vec![3, 1], 3));
}

#[test]
fn an_interrupted_run_goes_on_with_the_same_ids() {
    let text: String = (0..1500).map(|n| format!("{{\"n\":{n}}}\n")).collect();
    let world = World::new(text.as_bytes());
    // The second batch is stored, and its answer never comes.
    world.instead([Some(503), None]);
    world.state.lock().unwrap().answers_left = Some(2);
    let (is_good, _, log) = world.run("--run one");
    assert!(!is_good, "{log}");
    let go_on = "a.ndjson: not done from line 1 on: go on with --from-line 1 --run one: ";
    assert!(
        log.contains(go_on) && log.contains("tried 8 times again: try later"),
        "{log}"
    );
    world.state.lock().unwrap().answers_left = None;
    let stored = world.stored();
    assert_eq!(stored.len(), 1000);
    assert!(world.run("--run one").0);
    assert_eq!(world.stored()[..1000], stored);
    assert_eq!(world.stored().len(), 1500, "each once");
    assert!(world.run("--run two --from-line 1500").0);
    assert_eq!(world.stored().len(), 1501, "another run is of other events");
}

#[test]
fn a_run_that_is_refused_says_where_it_stopped() {
    let world = World::new(numbered(1001).as_bytes());
    world.instead([Some(404)]);
    let (_, _, log) = world.run("--run r");
    assert_eq!(
        log,
        "error: a.ndjson: not done from line 1 on: go on with --from-line 1 --run r: URL/v1/events answered 404 Not Found: said instead\n"
    );
    let (target, _) = fake::start();
    let port_of_nobody = target.url().replace("127.0.0.1", "127.0.0.2");
    let world = World {
        to: port_of_nobody,
        ..World::new(b"{\"n\":1}")
    };
    let (_, _, log) = world.run("");
    assert!(log.contains("URL/v1/events cannot be reached"), "{log}");
}

#[test]
fn nothing_is_stored_by_a_dry_run_and_nothing_is_awaited_when_hasty() {
    let world = World::new(b"{\"n\":1}\n{\"bad\":2}\n");
    let (is_good, out, log) = world.run("--dry-run");
    assert!(!is_good && out.starts_with("a.ndjson:2: invalid: /bad"), "{out}");
    assert!(
        log.ends_with("2 events: 1 would be accepted, 1 refused; nothing was stored\n"),
        "{log}"
    );
    assert!(world.stored().is_empty());
    let (is_good, out, log) = world.run("--hasty");
    assert!(
        is_good && out.is_empty() && log.ends_with("2 events: 2 sent, 0 refused\n"),
        "{log}"
    );
    assert_eq!(world.stored().len(), 1);
}

#[test]
fn the_token_is_that_of_the_command_line_or_none() {
    let world = World::new(b"{\"n\":1}\n");
    assert!(world.run("--token secret").0);
    let (_, _, log) = world.run("--token é");
    assert!(log.contains("the token is empty or has characters a header cannot hold: check --token, EVENTSTAR_PRODUCER_TOKEN"), "{log}");
    assert_eq!(
        world.state.lock().unwrap().events.tokens,
        [Some("Bearer secret".to_owned())]
    );
    assert_eq!(producer_token(None, Some("p".into())).as_deref(), Some("p"));
    assert_eq!(producer_token(Some("a"), Some("p".into())).as_deref(), Some("a"));
}
