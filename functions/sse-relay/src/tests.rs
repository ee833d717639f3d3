use std::collections::BTreeMap;
use std::future::ready;

use bytes::Bytes;
use eventstar_event::{Envelope, Topic};
use eventstar_log::LogName;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{ByteStream, Clock, Registry, RegistryRequest, Sql, Statement, StreamLog};
use futures_util::StreamExt;
use serde_json::{Value, json};

use super::*;

mod asked;
mod bad_input;
mod connection;
mod limits;
mod resume;
mod wanted;

async fn world(allowed: &str) -> (Rc<Isolate>, Memory) {
    let memory = Memory::new().with("ALLOWED_STREAMS", allowed);
    let config = json!({
        "a": {"schema_title": "x", "stream_aliases": ["also-a"]},
        "b": {"schema_title": "x", "topic_prefixes": ["eqiad.", "codfw."]},
        "parted": {"schema_title": "x", "partitions": 3},
        "errors": {"schema_title": "error"},
        "/^job\\./": {"schema_title": "x"},
        "/^work\\./": {"schema_title": "x", "topics": ["a"], "stream_aliases": ["works"]},
        "wide": {"schema_title": "x", "partitions": 64, "topic_prefixes": ["1.", "2.", "3."]},
    });
    let config = serde_json::value::to_raw_value(&config).unwrap();
    memory
        .ask(RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        })
        .await
        .unwrap();
    (Rc::new(Isolate::default()), memory)
}

async fn append(memory: &Memory, topic: &str, partition: u32, ids: std::ops::Range<u64>) {
    let log = LogName {
        topic: Topic::parse(topic).unwrap(),
        partition,
        epoch: 0,
    };
    for id in ids {
        let envelope = Envelope {
            id: format!("{topic}-{partition}-{id}"),
            dt: memory.now() + id,
            stream: topic.into(),
            key: None,
            headers: BTreeMap::new(),
            event: format!("{{\"n\":{id}}}"),
        };
        memory.append(&log, &[envelope]).await.unwrap();
    }
}

async fn append_event(memory: &Memory, topic: &str, event: &str) {
    let log = LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    };
    let envelope = Envelope {
        id: event.into(),
        dt: memory.now(),
        stream: topic.into(),
        key: None,
        headers: BTreeMap::new(),
        event: event.into(),
    };
    memory.append(&log, &[envelope]).await.unwrap();
}

async fn open(
    isolate: &Rc<Isolate>,
    memory: &Memory,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (Response, Option<ByteStream>) {
    let mut request = Request::default();
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (parts, body) = handle(isolate, memory.clone(), request).await.into_parts();
    match body {
        Body::Stream(stream) => (Response::from_parts(parts, Body::default()), Some(stream)),
        full => (Response::from_parts(parts, full), None),
    }
}

/// Reads until `count` events have come; the ids and the `n` of each.
async fn read(stream: &mut ByteStream, count: usize) -> Vec<(String, u64)> {
    let mut text = String::new();
    let mut events = Vec::new();
    while events.len() < count {
        text.push_str(std::str::from_utf8(&stream.next().await.expect("goes on")).unwrap());
        while let Some((frame, rest)) = text
            .split_once("\n\n")
            .map(|(frame, rest)| (frame.to_owned(), rest.to_owned()))
        {
            text = rest;
            let Some(frame) = frame.strip_prefix("event: message\nid: ") else {
                continue;
            };
            let (id, data) = frame.split_once("\ndata: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            events.push((id.to_owned(), data["n"].as_u64().unwrap()));
        }
    }
    events
}

fn numbers(events: &[(String, u64)]) -> Vec<u64> {
    events.iter().map(|(_, n)| *n).collect()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

#[test]
fn a_stream_opens_with_ok_and_writes_events_as_the_original_does() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..1).await;
        let (response, stream) =
            open(&isolate, &memory, "/v2/stream/a?since=2023-01-01T00:00:00Z", &[]).await;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        assert_eq!(response.headers()["cache-control"], "no-cache");
        let mut stream = stream.unwrap();
        assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
        assert_eq!(
            stream.next().await.unwrap(),
            "event: message\nid: [{\"topic\":\"a\",\"partition\":0,\"offset\":1,\"timestamp\":1704067200001}]\n\
             data: {\"n\":0,\"meta\":{\"topic\":\"a\",\"partition\":0,\"offset\":0}}\n\n"
        );
    });
}

#[test]
fn a_stream_that_was_asked_for_just_before_it_was_published_opens() {
    run(async {
        let (isolate, memory) = world("*").await;
        for _ in 0..2 {
            assert_eq!(
                open(&isolate, &memory, "/v2/stream/new", &[]).await.0.status(),
                400
            );
        }
        let config = serde_json::value::to_raw_value(&json!({"new": {}})).unwrap();
        let if_match = None;
        let publish = RegistryRequest::PublishStreamConfig { if_match, config };
        memory.ask(publish).await.unwrap();
        assert_eq!(
            open(&isolate, &memory, "/v2/stream/new", &[]).await.0.status(),
            200
        );
    });
}

#[test]
fn it_is_ready_where_streams_can_be_read() {
    run(async {
        for (allowed, status, missing) in [("*", 200, ""), ("", 503, "ALLOWED_STREAMS")] {
            let (isolate, memory) = world(allowed).await;
            let (response, _) = open(&isolate, &memory, "/sse-relay/readyz", &[]).await;
            assert_eq!(response.status(), status);
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            assert!(String::from_utf8(body.to_vec()).unwrap().contains(missing));
        }
    });
}

#[test]
fn ndjson_is_for_those_who_accept_json() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..1).await;
        let accept = ("accept", "application/json");
        let (response, stream) = open(&isolate, &memory, "/v2/stream/a?since=0", &[accept]).await;
        assert_eq!(
            response.headers()["content-type"],
            "application/json; charset=utf-8"
        );
        let mut stream = stream.unwrap();
        assert_eq!(stream.next().await.unwrap(), "\n");
        assert_eq!(
            stream.next().await.unwrap(),
            "{\"n\":0,\"meta\":{\"topic\":\"a\",\"partition\":0,\"offset\":0}}\n"
        );
        let accept = ("accept", "text/event-stream");
        let (response, _) = open(&isolate, &memory, "/v2/stream/a", &[accept]).await;
        assert_eq!(
            response.headers()["content-type"],
            "text/event-stream; charset=utf-8"
        );
    });
}

#[test]
fn an_event_posted_after_the_first_bytes_is_not_missed() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..3).await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/a,b", &[]).await;
        let mut stream = stream.unwrap();
        assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
        append(&memory, "codfw.b", 0, 7..8).await;
        assert_eq!(numbers(&read(&mut stream, 1).await), [7]);
    });
}

#[test]
fn an_id_names_every_log_of_the_request_and_loses_nothing_on_a_silent_one() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "eqiad.b", 0, 0..2).await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/b?since=0", &[]).await;
        let events = read(&mut stream.unwrap(), 1).await;
        append(&memory, "codfw.b", 0, 50..51).await;
        append(&memory, "eqiad.b", 0, 2..3).await;
        let (_, stream) = open(
            &isolate,
            &memory,
            "/v2/stream/b",
            &[("last-event-id", &events[0].0)],
        )
        .await;
        let mut rest = numbers(&read(&mut stream.unwrap(), 3).await);
        rest.sort_unstable();
        assert_eq!(rest, [1, 2, 50]);
    });
}

#[test]
fn nothing_is_lost_or_repeated_over_a_hundred_disconnects() {
    run(async {
        let (isolate, memory) = world("*").await;
        let mut seen = Vec::new();
        let mut id: Option<String> = None;
        let mut posted = 0;
        let mut seed = 7_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        for _ in 0..100 {
            let more = random(6);
            for n in posted..posted + more {
                append(&memory, "parted", u32::try_from(random(3)).unwrap(), n..n + 1).await;
            }
            posted += more;
            let waiting = usize::try_from(posted).unwrap() - seen.len();
            if waiting == 0 {
                continue;
            }
            let headers: Vec<_> = id.iter().map(|id| ("last-event-id", id.as_str())).collect();
            let (_, stream) = open(&isolate, &memory, "/v2/stream/parted?since=0", &headers).await;
            let take = 1 + usize::try_from(random(waiting as u64)).unwrap();
            let mut events = read(&mut stream.unwrap(), take).await;
            events.truncate(take);
            id = events.last().map(|(id, _)| id.clone());
            seen.extend(numbers(&events));
        }
        let headers = [("last-event-id", id.unwrap())];
        let headers: Vec<_> = headers.iter().map(|(name, id)| (*name, id.as_str())).collect();
        let waiting = usize::try_from(posted).unwrap() - seen.len();
        let (_, stream) = open(&isolate, &memory, "/v2/stream/parted", &headers).await;
        seen.extend(numbers(&read(&mut stream.unwrap(), waiting).await));
        seen.sort_unstable();
        assert_eq!(seen, (0..posted).collect::<Vec<_>>());
    });
}

#[test]
fn positions_are_read_in_every_form() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        append(&memory, "a", 0, 0..10).await;
        let at = |id: Value| id.to_string();
        for (path, id, first) in [
            ("/v2/stream/a?since=0", None, 0),
            (&format!("/v2/stream/a?since={}", start + 4), None, 4),
            ("/v2/stream/a?since=-1h", None, 0),
            (
                "/v2/stream/a?since=0",
                Some(at(json!([{"topic": "a", "partition": 0, "offset": 6}]))),
                6,
            ),
            (
                "/v2/stream/a",
                Some(at(
                    json!([{"topic": "a", "partition": 0, "timestamp": start + 3}]),
                )),
                3,
            ),
            ("/v2/stream/a?since=0", Some(at(json!(["a"]))), 0),
            (
                "/v2/stream/a",
                Some(at(
                    json!([{"topic": "a", "partition": 0, "offset": 9999, "timestamp": start + 8}]),
                )),
                8,
            ),
            (
                "/v2/stream/a?since=0",
                Some(at(json!([{"topic": "a", "partition": 0, "offset": -1}]))),
                0,
            ),
        ] {
            let headers: Vec<_> = id.iter().map(|id| ("last-event-id", id.as_str())).collect();
            let (_, stream) = open(&isolate, &memory, path, &headers).await;
            let mut stream = stream.unwrap_or_else(|| panic!("{path} {id:?}"));
            assert_eq!(numbers(&read(&mut stream, 1).await)[0], first, "{path} {id:?}");
        }
    });
}

#[test]
fn bad_requests_are_refused_with_the_originals_words() {
    run(async {
        let (isolate, memory) = world("*").await;
        for (path, status, kind, detail) in [
            (
                "/v2/stream/nope,a,x.y",
                400,
                "not_found",
                "Invalid streams: nope,x.y",
            ),
            (
                "/v2/stream/%2F%5Ejob%5C.%2F",
                400,
                "not_found",
                "Invalid streams: /^job\\./",
            ),
            (
                "/v2/stream/%2F%5Ework%5C.%2F,works,work.x",
                400,
                "not_found",
                "Invalid streams: /^work\\./,works",
            ),
            (
                "/v2/stream/a?since=yesterday",
                400,
                "invalid_timestamp",
                "was not parseable: 'yesterday'",
            ),
            ("/v2/stream/wide", 400, "too_many_streams", "at most 128"),
            ("/v2/stream/", 404, "not_found", "nothing is served"),
            ("/nope", 404, "not_found", "nothing is served at /nope"),
        ] {
            let (response, stream) = open(&isolate, &memory, path, &[]).await;
            assert!(stream.is_none(), "{path}");
            assert_eq!(response.status(), status, "{path}");
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["type"], kind, "{path}");
            let said = body["detail"].as_str().unwrap();
            assert!(said.contains(detail), "{path}: {said}");
        }
    });
}

/// The bodies are those of the recorded answers.
#[test]
fn a_bad_last_event_id_is_refused_as_kafka_sse_does() {
    const FORM: &str = "Must provide either an array topic names, or  an array of objects with topic, partition and offset|timestamp.";
    run(async {
        let (isolate, memory) = world("*").await;
        let bad = |message: &str, original: &str, sent: &str| {
            format!(
                r#"{{"message":"{message}","origin":"KafkaSSE","name":"InvalidAssignmentError","originalName":"{original}",{sent},"statusCode":400}}"#
            )
        };
        let long = format!("[{}1]", "1,".repeat(600));
        for (id, status, expected) in [
            (
                r#""""{nope"#,
                400,
                bad(
                    "Unexpected non-whitespace character after JSON at position 2",
                    "SyntaxError",
                    r#""last_event_id":"\"\"\"{nope""#,
                ),
            ),
            (
                r#"{"topic":"a"}"#,
                400,
                bad(FORM, "Error", r#""assignments":{"topic":"a"}"#),
            ),
            ("[]", 400, bad(FORM, "Error", r#""assignments":[]"#)),
            (&long, 400, bad(FORM, "Error", r#""assignments":null"#)),
            (
                r#"[{"topic":"_nope","partition":0,"offset":0}]"#,
                404,
                r#"{"message":"Topics _nope are not available for consumption.","origin":"KafkaSSE","name":"TopicNotAvailableError","availableTopics":["eqiad.b","codfw.b"],"statusCode":404}"#
                    .to_owned(),
            ),
            (
                r#"[{"topic":"eqiad.b","partition":1,"offset":0}]"#,
                404,
                r#"{"message":"Topics eqiad.b are not available for consumption.","origin":"KafkaSSE","name":"TopicNotAvailableError","availableTopics":["eqiad.b","codfw.b"],"statusCode":404}"#
                    .to_owned(),
            ),
        ] {
            let (response, stream) = open(&isolate, &memory, "/v2/stream/b", &[("last-event-id", id)]).await;
            assert!(stream.is_none(), "{id}");
            assert_eq!(response.status(), status, "{id}");
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            assert_eq!(String::from_utf8_lossy(&body), expected + "\n");
        }
    });
}

#[test]
fn only_allowed_streams_are_readable_and_error_streams_only_by_name() {
    run(async {
        for (allowed, stream, readable) in [
            ("*", "a", true),
            ("*", "errors", false),
            ("*,errors", "errors", true),
            ("*", "eventstar.dead-letter", false),
            ("eventstar.dead-letter", "eventstar.dead-letter", true),
            ("a", "b", false),
            ("a, job.x", "job.x", true),
            ("", "a", false),
        ] {
            let (isolate, memory) = world(allowed).await;
            let (response, stream_body) = open(&isolate, &memory, &format!("/v2/stream/{stream}"), &[]).await;
            assert_eq!(stream_body.is_some(), readable, "{allowed:?} {stream}");
            assert_eq!(response.status(), if readable { 200 } else { 400 });
        }
    });
}

#[test]
fn a_quiet_connection_gets_heartbeats() {
    run(async {
        let (isolate, memory) = world("*").await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/a", &[]).await;
        let mut stream = stream.unwrap();
        assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
        assert_eq!(stream.next().await.unwrap(), ":\n\n");
    });
}

#[test]
fn head_and_options_answer_at_once_and_other_methods_are_405() {
    run(async {
        let (isolate, memory) = world("*").await;
        for (method, status) in [(Method::HEAD, 200), (Method::OPTIONS, 200), (Method::POST, 405)] {
            let mut request = Request::default();
            *request.method_mut() = method.clone();
            *request.uri_mut() = "/v2/stream/a".parse().unwrap();
            let response = handle(&isolate, memory.clone(), request).await;
            assert_eq!(response.status(), status, "{method}");
            assert!(matches!(response.body(), Body::Full(_)), "{method}");
        }
    });
}

#[test]
fn a_config_that_cannot_be_read_is_503() {
    run(async {
        let (isolate, memory) = world("*").await;
        memory.fail("kv", Fault::Before);
        memory.fail("registry", Fault::Before);
        assert_eq!(open(&isolate, &memory, "/v2/stream/a", &[]).await.0.status(), 503);
    });
}

#[test]
fn a_log_that_ends_is_followed_again_and_then_the_connection_ends() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..1).await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/a?since=0", &[]).await;
        let mut stream = stream.unwrap();
        read(&mut stream, 1).await;
        append(&memory, "a", 0, 1..2).await;
        memory.sql().fail_reads(3);
        assert_eq!(numbers(&read(&mut stream, 1).await), [1]);
        memory.sql().fail_reads(u32::MAX);
        let rest: Vec<Bytes> = stream.filter(|piece| ready(piece != ":\n\n")).collect().await;
        let [last] = rest.as_slice() else {
            panic!("{rest:?}")
        };
        let last = std::str::from_utf8(last).unwrap();
        assert!(
            last.starts_with("event: error\nid: [{\"topic\":\"a\",\"partition\":0,\"offset\":2,"),
            "{last}"
        );
        assert!(last.contains("\"name\":\"LogUnavailableError\""), "{last}");
        assert_eq!(open(&isolate, &memory, "/v2/stream/a", &[]).await.0.status(), 200);
    });
}

/// They are passed without a gap; the position moves on.
#[test]
fn offsets_without_an_event_are_no_gap() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..1).await;
        let empty = Statement::new(
            "INSERT INTO chunk (log, base, count, first, last, ids, lines) SELECT log, 1, 4, last, last, '', x'0A' FROM chunk",
            vec![],
        );
        memory.sql().write(vec![empty]).await.unwrap();
        append(&memory, "a", 0, 5..6).await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/a?since=0", &[]).await;
        let pieces: Vec<Bytes> = stream.unwrap().take(3).collect().await;
        let text = pieces.concat();
        let text = std::str::from_utf8(&text).unwrap();
        assert!(!text.contains("event: gap"), "{text}");
        assert!(
            text.contains("\"offset\":6,") && text.contains("\"n\":5"),
            "{text}"
        );
    });
}
