use std::rc::Rc;

use bytes::Bytes;
use eventstar_log::{Frame, Start};
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Registry as _, RegistryRequest};
use futures_util::StreamExt as _;
use serde_json::{Value, json};

use super::*;

async fn world() -> (Rc<Isolate>, Memory) {
    let memory = Memory::new().with("ADMIN_TOKEN", "root");
    let config = json!({
        "one": {"retention": {"ms": -1}},
        "two": {
            "topics": ["eqiad.two", "codfw.two"], "partitions": 2, "log_epoch": 3, "retention": {"ms": -1},
        },
        "/^job\\./": {"topics": ["jobs"]},
    });
    let config = serde_json::value::to_raw_value(&config).unwrap();
    let publish = RegistryRequest::PublishStreamConfig {
        if_match: None,
        config,
    };
    memory.ask(publish).await.unwrap();
    (Rc::default(), memory)
}

async fn send(isolate: &Rc<Isolate>, memory: &Memory, path: &str, body: &[u8]) -> (u16, Value) {
    let mut request = Request::new(Bytes::from(body.to_vec()));
    *request.method_mut() = http::Method::POST;
    *request.uri_mut() = format!("/admin/v1/streams/{path}").parse().unwrap();
    request
        .headers_mut()
        .insert("authorization", "Bearer root".parse().unwrap());
    let response = crate::handle(isolate, memory.clone(), request).await;
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (status, serde_json::from_slice(&body).unwrap())
}

/// The events of a log: offset, timestamp, key, text.
async fn stored(memory: &Memory, name: &str) -> Vec<(u64, u64, Option<String>, String)> {
    let log = LogName::parse(name).unwrap();
    let mut frames = std::pin::pin!(memory.follow(&log, Start::Offset(0)));
    let Some(Ok(Frame::Opened { head, .. })) = frames.next().await else {
        panic!("{name} does not open")
    };
    let mut events = Vec::new();
    while (events.len() as u64) < head {
        if let Some(Ok(Frame::Chunk(chunk))) = frames.next().await {
            let read = chunk.events().unwrap().into_iter();
            events.extend(read.map(|event| {
                (
                    event.offset,
                    event.timestamp,
                    event.envelope.key,
                    event.envelope.event,
                )
            }));
        }
    }
    events
}

#[test]
fn lines_are_in_the_log_as_they_are_sent_and_once() {
    pollster::block_on(async {
        let (isolate, memory) = world().await;
        let body = concat!(
            r#"{"dt": 5000, "event": {"n" : 1.0}, "key": {"w":"en"}}"#,
            "\n\n",
            r#"{"dt": 6000, "event": "no event"}"#,
            "\n"
        );
        let answer = |written, duplicates, base| json!({"topic": "codfw.two", "partition": 1, "base": base, "written": written, "duplicates": duplicates});
        let path = "two/events?topic=codfw.two&partition=1";
        assert_eq!(
            send(&isolate, &memory, path, body.as_bytes()).await,
            (200, answer(2, 0, 0))
        );
        // Nobody knows whether the first answer arrived.
        assert_eq!(
            send(&isolate, &memory, path, body.as_bytes()).await,
            (200, answer(0, 2, 2))
        );
        assert_eq!(
            stored(&memory, "v1/codfw.two/1/3").await,
            [
                (
                    0,
                    5000,
                    Some(r#"{"w":"en"}"#.to_owned()),
                    r#"{"n":1.0}"#.to_owned()
                ),
                (1, 6000, None, r#""no event""#.to_owned()),
            ]
        );
        let one = send(
            &isolate,
            &memory,
            "one/events",
            br#"{"dt":1,"event":{},"id":"x"}"#,
        )
        .await;
        assert_eq!(
            (one.0, &one.1["topic"], &one.1["written"]),
            (200, &json!("one"), &json!(1))
        );
    });
}

#[test]
fn what_cannot_be_appended_is_refused_whole() {
    pollster::block_on(async {
        let (isolate, memory) = world().await;
        let good = r#"{"dt":1,"event":{}}"#;
        let many = format!("{good}\n").repeat(10_001);
        let large = format!(
            "{good}\n{{\"dt\":1,\"event\":\"{}\"}}",
            "x".repeat(MAX_EVENT_BYTES - 1)
        );
        let second = format!("{good}\n{{\"event\":{{}}}}");
        for (path, body, status, said) in [
            ("nope/events", good.as_bytes(), 404, "has no stream nope"),
            (
                "%2F%5Ejob%5C.%2F/events",
                good.as_bytes(),
                404,
                "has no stream /^job\\./",
            ),
            ("two/events", good.as_bytes(), 400, "?topic=eqiad.two|codfw.two"),
            (
                "two/events?topic=other",
                good.as_bytes(),
                400,
                "?topic=eqiad.two|codfw.two",
            ),
            (
                "two/events?topic=eqiad.two&partition=2",
                good.as_bytes(),
                400,
                "it has 2, from 0",
            ),
            (
                "two/events?topic=eqiad.two&partition=x",
                good.as_bytes(),
                400,
                "x is no partition",
            ),
            ("one/events", second.as_bytes(), 400, "line 2: expected {\"dt\""),
            ("one/events", b"\xff", 400, "not UTF-8"),
            (
                "one/events",
                large.as_bytes(),
                400,
                "line 2: its event has 1048577 bytes",
            ),
            ("one/events", many.as_bytes(), 400, "more than 10000 lines"),
        ] {
            let (got, answer) = send(&isolate, &memory, path, body).await;
            assert_eq!(got, status, "{path}: {answer}");
            assert!(
                answer["detail"].as_str().unwrap().contains(said),
                "{path}: {answer}"
            );
        }
        assert!(stored(&memory, "v1/one/0/0").await.is_empty());
    });
}

#[test]
fn a_log_that_fails_is_503_and_the_same_body_may_be_sent_again() {
    pollster::block_on(async {
        for fault in [Fault::Before, Fault::After] {
            let (isolate, memory) = world().await;
            memory.fail("log", fault);
            let line = br#"{"dt":1,"event":{}}"#;
            assert_eq!(send(&isolate, &memory, "one/events", line).await.0, 503);
            memory.heal();
            assert_eq!(send(&isolate, &memory, "one/events", line).await.0, 200);
            assert_eq!(stored(&memory, "v1/one/0/0").await.len(), 1);
        }
    });
}
