use std::sync::{Arc, Mutex};

use clap::Parser as _;

use super::*;
use crate::Arguments;
use crate::fake::{self, State};

struct World {
    to: String,
    state: Arc<Mutex<State>>,
}

/// A reader of the output that goes away after some writes.
struct Pipe {
    written: Vec<u8>,
    left: usize,
}

impl Write for Pipe {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        self.written.extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.left = self.left.saturating_sub(1);
        Ok(())
    }
}

impl World {
    fn new(streams: &[&str]) -> Self {
        let (target, state) = fake::start();
        state
            .lock()
            .unwrap()
            .events
            .streams
            .extend(streams.iter().map(|body| (*body).to_owned()));
        Self {
            to: target.url().to_owned(),
            state,
        }
    }

    fn run_to(&self, more: &[&str], out: &mut dyn Write) -> (bool, String) {
        let command = ["eventstar", "tail", "--to", &self.to];
        let (is_good, log) = fake::run(command.iter().chain(more).copied(), out);
        (is_good, log.replace(&self.to, "URL"))
    }

    fn run(&self, more: &[&str]) -> (bool, String, String) {
        let mut out = Vec::new();
        let (is_good, log) = self.run_to(more, &mut out);
        (is_good, String::from_utf8(out).unwrap(), log)
    }

    fn connections(&self) -> Vec<(String, Option<String>)> {
        self.state.lock().unwrap().events.connections.clone()
    }
}

fn frame(n: u32) -> String {
    format!("event: message\nid: [{n}]\ndata: {{\"n\":{n}}}\n\n")
}

const END: &str = "event: end\nid: [9]\ndata: {\"reason\":\"until\"}\n\n";

#[test]
fn events_are_lines_and_a_connection_that_is_cut_goes_on_where_it_was() {
    let cut_in_an_event = format!(
        ":ok\n\nretry: 1\n\n{}{}",
        frame(1),
        "event: message\nid: [2]\ndata: {\"n\":"
    );
    let cut_before_the_blank_line = format!("{}event: message\nid: [3]\ndata: {{\"n\":3}}\n", frame(2));
    let an_id_alone = format!("{}id: [5]\nretry: 1\n\n", frame(3));
    let world = World::new(&[
        &cut_in_an_event,
        &cut_before_the_blank_line,
        &an_id_alone,
        &(frame(6) + END),
    ]);
    let (is_good, out, log) = world.run(&["--ndjson", "a", "b,c", "--since", "0", "--until", "99"]);
    assert!(is_good, "{log}");
    assert_eq!(out, "{\"n\":1}\n{\"n\":2}\n{\"n\":3}\n{\"n\":6}\n");
    let query = "a,b,c?since=0&until=99".to_owned();
    let asked = |id: &str| (query.clone(), Some(id.to_owned()));
    assert_eq!(
        world.connections(),
        [(query.clone(), None), asked("[1]"), asked("[2]"), asked("[5]")]
    );
    assert!(log.ends_with("to go on: --from-id '[9]'\n"), "{log}");
    assert_eq!(
        log.matches("the connection ended: trying again in 0.0 s").count(),
        3,
        "{log}"
    );
}

#[test]
fn without_a_time_the_first_connection_says_when_it_began() {
    let world = World::new(&["retry: 1\n\n"]);
    let before = crate::relay::now();
    let (is_good, _, log) = world.run(&["a"]);
    assert!(is_good, "{log}");
    let connections = world.connections();
    let since: Millis = connections[0]
        .0
        .strip_prefix("a?since=")
        .unwrap()
        .parse()
        .unwrap();
    assert!((before..=crate::relay::now()).contains(&since));
    assert_eq!(connections[0], connections[1], "nothing between the two is lost");
}

#[test]
fn parameters_are_passed_on_and_a_limit_counts_over_connections() {
    let world = World::new(&[&(frame(1) + &frame(2)), &(frame(3) + &frame(4))]);
    let (is_good, out, _) = world.run(&[
        "a",
        "--ndjson",
        "--limit",
        "3",
        "--from-id",
        "[\"a\"]",
        "--filter",
        "a = \"x y\" AND b>1",
        "--wiki",
        "enwiki",
        "--domain",
        "*.org",
        "--canary",
        "false",
        "--fields",
        "meta.dt,n",
    ]);
    assert!(is_good);
    assert_eq!(out.lines().count(), 3);
    let connections = world.connections();
    assert_eq!(connections[0].1.as_deref(), Some("[\"a\"]"));
    for (nth, limit) in [(0, "limit=3"), (1, "limit=1")] {
        let query: Vec<&str> = connections[nth].0.split(['?', '&']).collect();
        for part in [limit, "wiki=enwiki", "canary=false"] {
            assert!(query.contains(&part), "{part}: {query:?}");
        }
        let filter = query.iter().find(|part| part.starts_with("filter=")).unwrap();
        let decoded = filter
            .replace("%20", " ")
            .replace("%22", "\"")
            .replace("%3D", "=")
            .replace("%3E", ">");
        assert_eq!(decoded, "filter=a = \"x y\" AND b>1");
    }
}

#[test]
fn gaps_and_errors_of_the_relay_are_told_and_reading_goes_on() {
    let gap = "event: gap\nid: [4]\ndata: {\"type\":\"gap\",\"reason\":\"expired\",\"topic\":\"a\",\"partition\":0,\"from\":{\"offset\":1},\"to\":{\"offset\":4}}\n\n";
    let slow = "event: error\nid: [4]\ndata: {\"name\":\"SlowClientError\"}\n\n";
    let world = World::new(&[&format!("retry: 1\n\n{gap}{slow}"), &(frame(5) + END)]);
    let (is_good, out, log) = world.run(&["a", "--ndjson"]);
    assert!(is_good);
    assert_eq!(out, "{\"n\":5}\n");
    assert!(
        log.contains("gap: a/0, from offset 1 to 4: retention has dropped events\n"),
        "{log}"
    );
    assert!(
        log.contains("the relay ends the connection: {\"name\":\"SlowClientError\"}\n"),
        "{log}"
    );
    assert_eq!(world.connections()[1].1.as_deref(), Some("[4]"));
}

#[test]
fn a_refusal_says_what_why_and_how() {
    for (status, expected) in [
        (
            "400",
            "error: URL/v2/stream/a answered 400 Bad Request: the reason, and what to do\n",
        ),
        (
            "404",
            "error: URL/v2/stream/a answered 404 Not Found: the reason, and what to do: check the URL, and that the id came from these streams\n",
        ),
    ] {
        let world = World::new(&[status]);
        let (is_good, _, log) = world.run(&["a"]);
        assert!(!is_good);
        assert_eq!(log, expected);
    }
    let world = World::new(&["429", "503", &(frame(1) + END)]);
    let (is_good, out, log) = world.run(&["a", "--ndjson"]);
    assert!(is_good && out == "{\"n\":1}\n", "{log}");
    assert!(
        log.contains("429 Too Many Requests: the reason, and what to do Close others, or raise MAX_CONNECTIONS_PER_CLIENT: trying again in 0.0 s"),
        "{log}"
    );
    let world = World::new(&["503"; 9]);
    let (is_good, _, log) = world.run(&["a"]);
    assert!(
        !is_good && log.ends_with("tried 8 times again: try later\n"),
        "{log}"
    );
    let world = World {
        to: world.to.replace("127.0.0.1", "127.0.0.2"),
        ..world
    };
    let (_, _, log) = world.run(&["a"]);
    assert!(log.contains("error: URL/v2/stream/a cannot be reached"), "{log}");
}

#[test]
fn a_reader_that_goes_away_ends_it_after_what_it_got() {
    let world = World::new(&[&(frame(1) + &frame(2) + &frame(3))]);
    let mut pipe = Pipe {
        written: Vec::new(),
        left: 2,
    };
    let (is_good, log) = world.run_to(&["a", "--ndjson"], &mut pipe);
    assert!(is_good, "{log}");
    assert_eq!(pipe.written, b"{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(log, "to go on: --from-id '[2]'\n");
}

#[test]
fn a_line_has_time_stream_and_text() {
    for (data, expected) in [
        (
            r#"{"n":1.0,"meta":{"stream":"a.b","dt":"2026-01-01T00:00:00.000Z"}}"#,
            r#"2026-01-01T00:00:00.000Z a.b {"n":1.0,"meta":{"stream":"a.b","dt":"2026-01-01T00:00:00.000Z"}}"#,
        ),
        (r#"{"n":1}"#, r#"- - {"n":1}"#),
        // What a terminal would obey stays escaped.
        (
            r#"{"meta":{"stream":"\u001b[2J","dt":"\u001b"}}"#,
            r#"- - {"meta":{"stream":"\u001b[2J","dt":"\u001b"}}"#,
        ),
        (
            r#"{"meta":{"dt":"2026-01-01\n00:00:00Z"}}"#,
            r#"- - {"meta":{"dt":"2026-01-01\n00:00:00Z"}}"#,
        ),
    ] {
        assert_eq!(pretty(data), expected);
    }
}

#[test]
fn what_a_server_sends_is_shown_without_what_a_terminal_acts_on() {
    assert_eq!(pretty("no JSON \u{1b}[2J"), "no JSON \u{fffd}[2J");
    assert_eq!(pretty("{\"a\":\"\u{9b}2J\"}"), "- - {\"a\":\"\u{fffd}2J\"}");
    let frames = "retry: 1\n\nevent: gap\nid: [1]\ndata: \u{1b}[2J\n\nevent: error\ndata: \u{1b}[3J\n\n";
    let world = World::new(&[frames, "event: end\nid: [\u{9b}9]\ndata: {}\n\n"]);
    let (_, _, log) = world.run(&["a"]);
    let expected = [
        "gap: \u{fffd}[2J",
        "the relay ends the connection: \u{fffd}[3J",
        "to go on: --from-id '[\u{fffd}9]'",
    ];
    for line in expected {
        assert!(log.contains(line), "{log:?}");
    }
}

#[test]
fn arguments_that_cannot_be_obeyed_are_told_before_anything_is_asked() {
    for (more, expected) in [
        (&["a b"][..], "stream"),
        (&["a", "--since", "yesterday"], "a time ago such as -30s"),
        (&["a", "--until", "5m"], "a time ago such as -30s"),
        (&["a", "--from-id", "[1"], "copy what an earlier run said"),
        (
            &["a", "--from-id", "[\"a\"]", "--since", "0"],
            "cannot be used with",
        ),
        (&["a", "--limit", "0"], "0 is not in 1..=1000000"),
        (&[], "<STREAM>"),
    ] {
        let command = ["eventstar", "tail", "--to", "http://127.0.0.1:1"];
        let error = Arguments::try_parse_from(command.iter().chain(more)).unwrap_err();
        assert_eq!(error.exit_code(), 2);
        assert!(error.to_string().contains(expected), "{more:?}: {error}");
    }
    for since in ["--since=-5m", "--since -5m"] {
        let words = format!("eventstar tail --profile p {since} a");
        assert!(Arguments::try_parse_from(words.split(' ')).is_ok(), "{since}");
    }
}
