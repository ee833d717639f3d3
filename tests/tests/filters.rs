//! Readers that ask for some events, for some of their fields, and for an end.

use std::time::{SystemTime, UNIX_EPOCH};

use eventstar_tests::events::PrivateStream;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::sse::events_of;
use eventstar_tests::{Events, Instance, Request, SseEvent};
use serde_json::{Value, json};

/// A stream with events `n` from 0 on: of enwiki and dewiki in turns, each third one a canary event.
fn stream_of(instance: &Instance, label: &str, count: u64) -> PrivateStream {
    let stream = PrivateStream::new(label);
    instance.produce(&(0..count).map(|n| event(&stream, n)).collect::<Vec<_>>());
    stream
}

fn event(stream: &PrivateStream, n: u64) -> String {
    let wiki = if n.is_multiple_of(2) { "enwiki" } else { "dewiki" };
    let domain = if n.is_multiple_of(3) {
        "canary"
    } else {
        "shop.example.org"
    };
    let members = format!(
        r#","n":{n},"wiki":"{wiki}","title":"User:Ada {n}","bot":false,"tags":["a","t{n}"],"length":{{"new":{}}}"#,
        n * 1000
    );
    let event = stream.event_with(&fresh_uuid(), &members);
    event.replace(r#""request_id":"r-1""#, &format!(r#""domain":"{domain}""#))
}

fn n_of(event: &SseEvent) -> u64 {
    event.json()["n"]
        .as_u64()
        .unwrap_or_else(|| panic!("no n: {}", event.raw))
}

fn ns(events: &[SseEvent]) -> Vec<u64> {
    let events = events.iter().filter(|event| event.event == "message");
    events.map(n_of).collect()
}

/// Percent-encodes all but letters and digits.
fn encoded(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}

/// Reads a stream that ends by itself; the last event tells why.
#[track_caller]
fn whole(instance: &Instance, path: &str) -> (Vec<SseEvent>, SseEvent) {
    let answer = instance.get(path).expect(200);
    let mut events = events_of(&answer.text());
    let end = events
        .pop()
        .unwrap_or_else(|| panic!("no event: {}", answer.text()));
    assert_eq!(end.event, "end", "{}", end.raw);
    (events, end)
}

#[test]
fn a_filter_chooses_events_by_their_fields() {
    let instance = Instance::from_env();
    let stream = stream_of(&instance, "filter", 10);
    for (filter, expected) in [
        ("wiki = enwiki", vec![0, 2, 4, 6, 8]),
        ("wiki = (enwiki OR frwiki) AND n > 3", vec![4, 6, 8]),
        (r#"title = "User:Ada 7""#, vec![7]),
        ("title = \"*:* 7\" OR tags:t8", vec![7, 8]),
        ("length.new >= 2000 AND length.new < 4000.5", vec![2, 3, 4]),
        ("NOT bot = true AND -(n < 8)", vec![8, 9]),
        (
            "length.new:* AND n = 5 AND meta.dt > 2026-01-01T00:00:00Z",
            vec![5],
        ),
        ("meta.offset = 6", vec![6]),
    ] {
        let path = format!(
            "{}&limit={}&filter={}",
            stream.from_the_beginning(),
            expected.len(),
            encoded(filter)
        );
        assert_eq!(ns(&whole(&instance, &path).0), expected, "{filter}");
    }
}

#[test]
fn wiki_domain_and_canary_are_filters_of_their_own() {
    let instance = Instance::from_env();
    let stream = stream_of(&instance, "shorthand", 10);
    for (query, expected) in [
        ("wiki=dewiki", vec![1, 3, 5, 7, 9]),
        (
            "wiki=dewiki,enwiki&domain=shop.example.org",
            vec![1, 2, 4, 5, 7, 8],
        ),
        ("domain=*.example.org&filter=n%3C5", vec![1, 2, 4]),
        ("canary=false", vec![1, 2, 4, 5, 7, 8]),
        ("canary=true", (0..10).collect()),
    ] {
        let path = format!("{}&limit={}&{query}", stream.from_the_beginning(), expected.len());
        assert_eq!(ns(&whole(&instance, &path).0), expected, "{query}");
    }
}

#[test]
fn fields_are_those_asked_for_with_their_bytes() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("fields");
    instance.produce(&[stream.event_with(&fresh_uuid(), r#","n":1.50,"é":"\u00e9","list":[{"a":1,"b":2}]"#)]);
    for (fields, expected) in [
        ("n,é", r#"{"n":1.50,"é":"\u00e9"}"#.to_owned()),
        (
            "list.b,meta.offset",
            r#"{"meta":{"offset":0},"list":[{"b":2}]}"#.to_owned(),
        ),
        (
            "/meta/stream",
            format!(r#"{{"meta":{{"stream":"{}"}}}}"#, stream.name),
        ),
        ("nope", "{}".to_owned()),
    ] {
        let path = format!(
            "{}&limit=1&fields={}",
            stream.from_the_beginning(),
            encoded(fields)
        );
        let (events, _) = whole(&instance, &path);
        assert_eq!(events[0].data, expected, "{fields}");
        assert_eq!(
            events[0].position(&stream.name, 0)["offset"],
            1,
            "the id is whole"
        );
    }
}

#[test]
fn a_quiet_filtered_stream_tells_its_position_and_resumes_there() {
    let instance = Instance::from_env();
    let stream = stream_of(&instance, "position", 5);
    let path = format!("{}&filter=n%3E%3D7", stream.from_the_beginning());
    let mut events = Events::open(&instance.origin, &path);
    let heartbeat = events.heartbeat();
    assert!(heartbeat.starts_with("id: [{"), "{heartbeat}");
    let id = events.last_id().expect("an id").to_owned();
    let position: Value = serde_json::from_str(&id).unwrap();
    assert_eq!(position[0]["offset"], 5);
    drop(events);
    instance.produce(&(5..9).map(|n| event(&stream, n)).collect::<Vec<_>>());
    let mut events = Events::resume(&instance.origin, &path, &id);
    assert_eq!(ns(&events.take(2)), [7, 8]);
}

#[test]
fn a_limited_stream_ends_and_goes_on_from_its_end() {
    let instance = Instance::from_env();
    let stream = stream_of(&instance, "limit", 7);
    let (events, end) = whole(&instance, &format!("{}&limit=3", stream.from_the_beginning()));
    assert_eq!(ns(&events), [0, 1, 2]);
    assert_eq!(end.json(), json!({"reason": "limit"}));
    assert_eq!(end.id, events[2].id);
    let request = Request::get(&format!("{}?limit=4", stream.live())).header("last-event-id", &end.id);
    let answer = instance.send(&request).expect(200);
    assert_eq!(ns(&events_of(&answer.text())), [3, 4, 5, 6]);
    let path = format!("{}&limit=2&fields=n", stream.from_the_beginning());
    let ndjson = instance.send(&Request::get(&path).header("accept", "application/json"));
    assert_eq!(ndjson.text(), "\n{\"n\":0}\n{\"n\":1}\n");
}

#[test]
fn times_and_forms_are_those_that_clients_ask_for() {
    let instance = Instance::from_env();
    let stream = stream_of(&instance, "forms", 2);
    for since in [
        "2020-01-01T00:00Z",
        "2020-01-01T01:00:00%2B0100",
        "2020-01-01+00:00:00",
        "20200101T000000,5Z",
        "2020-01",
        "20200101",
        "Wed,+01+Jan+2020+00:00:00+GMT",
        "Wednesday,+01-Jan-20+00:00:00+GMT",
        "Wed+Jan++1+00:00:00+2020",
    ] {
        let (events, _) = whole(&instance, &format!("{}?since={since}&limit=2", stream.live()));
        assert_eq!(ns(&events), [0, 1], "{since}");
    }
    let path = format!("{}&limit=1&fields=n", stream.from_the_beginning());
    for (accept, content_type, first) in [
        (
            "Application/JSON",
            "application/json; charset=utf-8",
            "\n{\"n\":0}\n",
        ),
        (
            "application/x-ndjson",
            "application/x-ndjson; charset=utf-8",
            "\n{\"n\":0}\n",
        ),
        (
            "application/json;q=0, text/event-stream",
            "text/event-stream; charset=utf-8",
            ":ok\n\n",
        ),
        (
            "application/json-seq",
            "text/event-stream; charset=utf-8",
            ":ok\n\n",
        ),
        ("*/*", "text/event-stream; charset=utf-8", ":ok\n\n"),
    ] {
        let answer = instance
            .send(&Request::get(&path).header("accept", accept))
            .expect(200);
        assert_eq!(answer.header("content-type"), Some(content_type), "{accept}");
        assert!(answer.text().starts_with(first), "{accept}: {}", answer.text());
    }
}

#[test]
fn windows_of_time_share_no_event_and_leave_none_out() {
    let instance = Instance::from_env();
    let streams = [PrivateStream::new("window_a"), PrivateStream::new("window_b")];
    for n in 0..12 {
        instance.produce(&[event(&streams[n % 2], n as u64)]);
    }
    let path = format!("/v2/stream/{},{}", streams[0].name, streams[1].name);
    let (events, _) = whole(&instance, &format!("{path}?since=-1h&limit=12"));
    let mut times: Vec<u64> = events.iter().map(SseEvent::timestamp).collect();
    times.sort_unstable();
    let (middle, after) = (times[6], times[11] + 1);
    let mut seen = Vec::new();
    for (since, until) in [(0, middle), (middle, after)] {
        let (events, end) = whole(&instance, &format!("{path}?since={since}&until={until}"));
        assert_eq!(end.json(), json!({"reason": "until"}));
        assert!(
            events
                .iter()
                .all(|event| (since..until).contains(&event.timestamp()))
        );
        seen.extend(ns(&events));
    }
    seen.sort_unstable();
    assert_eq!(seen, (0..12).collect::<Vec<_>>());
}

#[test]
fn a_read_until_a_time_to_come_waits_for_it() {
    let instance = Instance::from_env();
    let quiet: Vec<PrivateStream> = (0..30)
        .map(|n| PrivateStream::new(&format!("quiet{n}")))
        .collect();
    let names: Vec<&str> = quiet.iter().map(|stream| stream.name.as_str()).collect();
    let stream = stream_of(&instance, "until", 2);
    let now = || {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH);
        u64::try_from(since_epoch.expect("a clock").as_millis()).expect("a time")
    };
    let until = now() + 5000;
    let path = format!(
        "/v2/stream/{},{}?since=-1h&until={until}",
        names.join(","),
        stream.name
    );
    let (events, end) = whole(&instance, &path);
    assert!(now() >= until);
    assert_eq!(ns(&events), [0, 1]);
    assert_eq!(end.json(), json!({"reason": "until"}));
}

#[test]
fn a_read_of_an_empty_stream_until_a_past_time_ends() {
    let instance = Instance::from_env();
    let path = format!("{}&until=-1m", PrivateStream::new("empty").from_the_beginning());
    assert_eq!(whole(&instance, &path).0, []);
}

#[test]
fn a_parameter_that_cannot_be_obeyed_is_answered_400_with_what_is_taken() {
    let instance = Instance::from_env();
    let invalid = ("invalid_parameter", "Invalid Parameter");
    let timestamp = ("invalid_timestamp", "Invalid timestamp");
    for (query, (kind, title), detail) in [
        (
            "filter=wiki",
            invalid,
            "filter: column 5: expected one of = != < <= > >= : after a field, found the end",
        ),
        (
            "filter=n=1%20or%20n=2",
            invalid,
            "filter: column 5: expected AND, OR or the end, found or, which is written",
        ),
        ("fields=a..b", invalid, "fields: expected names of fields"),
        ("canary=maybe", invalid, "canary: expected true"),
        ("wiki=enwiki,", invalid, "wiki: expected names"),
        (
            "limit=0",
            invalid,
            "limit: expected a number of events from 1 to 1000000, found '0'",
        ),
        ("limit=1&limit=2", invalid, "limit: is given more than once"),
        (
            "until=soon",
            timestamp,
            "until: expected milliseconds since the epoch",
        ),
        (
            "since=-5",
            timestamp,
            "since timestamp is not a UTC milliseconds unix epoch",
        ),
        (
            "since=1767225600",
            timestamp,
            "since timestamp is not a UTC milliseconds unix epoch and was not parseable: '1767225600': ten digits are seconds",
        ),
        (
            "since=2026-01-01T00:00:00+01:00",
            timestamp,
            "since timestamp is not a UTC milliseconds unix epoch and was not parseable: '2026-01-01T00:00:00 01:00': a + in a URL",
        ),
    ] {
        let answer = instance
            .get(&format!("/v2/stream/test.event?{query}"))
            .expect(400)
            .json();
        assert_eq!(
            (&answer["type"], &answer["title"]),
            (&json!(kind), &json!(title)),
            "{query}"
        );
        let said = answer["detail"].as_str().unwrap_or_default();
        assert!(said.starts_with(detail), "{query}: {said}");
    }
}
