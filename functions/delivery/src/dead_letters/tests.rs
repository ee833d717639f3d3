use std::rc::Rc;

use bytes::Bytes;
use eventstar_delivery::{dead_letter_log, dead_letters};
use eventstar_event::Topic;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Registry as _, RegistryRequest, StreamLog as _};
use serde_json::{Value, json};

use super::*;

const PATH: &str = "/admin/v1/dead-letters";

/// When the first event of the tests was received.
const START: u64 = 1_704_000_000_000;

/// The streams `x`, and `errors` with its topic `east.errors`.
async fn world() -> Memory {
    let memory = Memory::new().with("ADMIN_TOKEN", "root");
    let config = json!({
        "x": {}, "errors": {"topics": ["east.errors"], "log_epoch": 2}, "wide": {"topics": ["wide"], "partitions": 2},
    });
    let config = serde_json::value::to_raw_value(&config).unwrap();
    let publish = RegistryRequest::PublishStreamConfig {
        if_match: None,
        config,
    };
    memory.ask(publish).await.unwrap();
    memory
}

fn event(id: &str, dt: u64, event: &str) -> Envelope {
    Envelope {
        id: id.to_owned(),
        dt,
        stream: "x".to_owned(),
        key: Some("{\"w\":\"en\"}".to_owned()),
        headers: BTreeMap::from([("traceparent".to_owned(), "00-x".to_owned())]),
        event: event.to_owned(),
    }
}

fn queue_message(events: Vec<Envelope>) -> Bytes {
    let message = QueueMessage {
        log: LogName::parse("v1/x/0/0").unwrap(),
        retention: None,
        sinks: Sinks::default(),
        events,
    };
    message.encode()
}

/// Makes a dead letter of an event that names `schema`.
async fn dies(memory: &Memory, id: &str, dt: u64, schema: &str, reason: &str) {
    let text = format!("{{\"$schema\":\"{schema}\",\"n\":1.0}}");
    let message = queue_message(vec![event(id, dt, &text)]);
    dead_letters(memory, &[message], reason).await.unwrap();
}

struct Answer {
    status: u16,
    next: Option<String>,
    head: Option<String>,
    body: String,
}

impl Answer {
    fn lines(&self) -> Vec<Value> {
        let lines = self.body.lines();
        lines.map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// A member of each line.
    fn each(&self, member: &str) -> Vec<Value> {
        self.lines().iter().map(|line| line[member].clone()).collect()
    }
}

async fn send(memory: &Memory, method: &str, route: &str, body: &str) -> Answer {
    let mut request = Request::new(Bytes::from(body.to_owned()));
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = format!("{PATH}{route}").parse().unwrap();
    let token = "Bearer root".parse().unwrap();
    request.headers_mut().insert("authorization", token);
    let response = crate::handle(&Rc::default(), memory.clone(), request).await;
    let header = |name: &str| Some(response.headers().get(name)?.to_str().unwrap().to_owned());
    let (status, next, head) = (
        response.status().as_u16(),
        header("next-offset"),
        header("head-offset"),
    );
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    Answer {
        status,
        next,
        head,
        body: String::from_utf8(body.into()).unwrap(),
    }
}

async fn list(memory: &Memory, query: &str) -> Answer {
    let answer = send(memory, "GET", query, "").await;
    assert_eq!(answer.status, 200, "{query}: {}", answer.body);
    answer
}

/// The events in the log of `x`.
async fn stored(memory: &Memory) -> Vec<Envelope> {
    let log = LogName::parse("v1/x/0/0").unwrap();
    let chunks = eventstar_stores::SqlLog::new(memory.sql())
        .read(&log, 0, usize::MAX)
        .await
        .unwrap();
    let events = chunks.iter().flat_map(|chunk| chunk.events().unwrap());
    events.map(|event| event.envelope).collect()
}

#[test]
fn letters_are_listed_page_by_page_until_the_head() {
    pollster::block_on(async {
        let memory = world().await;
        let empty = list(&memory, "").await;
        assert_eq!(
            (empty.next.as_deref(), empty.head.as_deref(), empty.body.as_str()),
            (Some("0"), Some("0"), "")
        );
        for n in 0..5 {
            dies(&memory, &n.to_string(), START + n, "/a/1.0.0", "no room for 1").await;
        }
        let mut offsets = Vec::new();
        let mut next = 0;
        loop {
            let page = list(&memory, &format!("?from={next}&limit=2")).await;
            assert!(page.lines().len() <= 2);
            offsets.extend(page.each("offset"));
            next = page.next.clone().unwrap().parse().unwrap();
            if page.next == page.head {
                break;
            }
        }
        assert_eq!(offsets, [0, 1, 2, 3, 4]);
        let first = &list(&memory, "?limit=1").await.lines()[0];
        let expected = json!({
            "offset": 0, "id": "0", "dt": "2023-12-31T05:20:00.000Z", "headers": {"traceparent": "00-x"},
            "fingerprint": eventstar_delivery::fingerprint("x/log", "no room for 2"), "reason": "no room for 1",
            "sinks": ["log"], "log": "v1/x/0/0", "stream": "x", "schema_uri": "/a/1.0.0", "key": "{\"w\":\"en\"}",
            "raw_event": "{\"$schema\":\"/a/1.0.0\",\"n\":1.0}",
        });
        assert_eq!(*first, expected);
        assert!(list(&memory, "?from=99").await.body.is_empty());
    });
}

#[test]
fn filters_choose_letters_and_a_page_without_any_moves_on() {
    pollster::block_on(async {
        let memory = world().await;
        dies(&memory, "a", START, "/a/b/1.0.0", "one").await;
        dies(&memory, "b", START + 1000, "/a/b/1.1.0", "two").await;
        dies(&memory, "c", START + 2000, "/c/1.0.0", "two").await;
        dead_letters(&memory, &[Bytes::from_static(b"garbage")], "three")
            .await
            .unwrap();
        let print = list(&memory, "").await.each("fingerprint")[0].clone();
        let print = print.as_str().unwrap();
        for (query, expected) in [
            ("?schema=a/b", vec![0, 1]),
            ("?schema=/a/b/1.1.0", vec![1]),
            ("?schema=b", vec![]),
            ("?stream=x", vec![0, 1, 2]),
            ("?stream=y", vec![]),
            (&format!("?fingerprint={print}"), vec![0]),
            ("?since=2023-12-31T05:20:01Z&stream=x", vec![1, 2]),
            ("?until=2023-12-31T05:20:01Z", vec![0]),
            ("?since=2023-12-31T05:20:01Z&until=1704000002000", vec![1]),
            ("?settled=only", vec![]),
            (
                &format!("?topic={}", eventstar_delivery::DEAD_LETTER_TOPIC),
                vec![0, 1, 2, 3],
            ),
        ] {
            let page = list(&memory, query).await;
            assert_eq!(page.each("offset"), expected, "{query}");
            assert_eq!(
                (page.next.as_deref(), page.head.as_deref()),
                (Some("4"), Some("4")),
                "{query}"
            );
        }
    });
}

#[test]
fn a_page_reads_only_so_much_of_the_log() {
    pollster::block_on(async {
        let memory = world().await;
        let large = format!("\"{}\"", "x".repeat(900_000));
        for n in 0..20_u64 {
            let message = queue_message(vec![event(&n.to_string(), START + n, &large)]);
            dead_letters(&memory, &[message], "large").await.unwrap();
        }
        let page = list(&memory, "").await;
        assert_eq!(
            (page.lines().len(), page.next.as_deref()),
            (5, Some("5")),
            "4 MiB"
        );
        let page = list(&memory, "?stream=y").await;
        let next: usize = page.next.unwrap().parse().unwrap();
        assert_eq!(
            next,
            page::MAX_READ_BYTES.div_ceil(900_000),
            "16 MiB of which nothing is wanted"
        );
        assert_eq!(page.head.as_deref(), Some("20"));
    });
}

#[test]
fn error_events_of_a_topic_are_listed_as_letters() {
    pollster::block_on(async {
        let memory = world().await;
        let log = LogName {
            topic: Topic::parse("east.errors").unwrap(),
            partition: 0,
            epoch: 2,
        };
        let error = json!({
            "errored_stream_name": "x", "errored_schema_uri": "/a/1.0.0", "message": "'.n' should be string", "raw_event": "{ }",
        });
        let batch = [event("no", START, "{}"), event("e", START, &error.to_string())];
        memory.append(&log, &batch).await.unwrap();
        let page = list(&memory, "?topic=east.errors").await;
        let lines = page.lines();
        assert_eq!((lines.len(), page.next.as_deref()), (1, Some("2")));
        for (member, expected) in [
            ("offset", json!(1)),
            ("id", json!("e")),
            ("stream", json!("x")),
            ("schema_uri", json!("/a/1.0.0")),
            ("reason", json!("'.n' should be string")),
            ("raw_event", json!("{ }")),
            ("log", Value::Null),
        ] {
            assert_eq!(lines[0][member], expected, "{member}");
        }
        assert_eq!(send(&memory, "GET", "?topic=errors", "").await.status, 404);
        assert_eq!(send(&memory, "GET", "?topic=wide", "").await.status, 400);
        assert!(list(&memory, "?topic=wide&partition=1").await.body.is_empty());
        // Posting is for intake, which validates.
        let replayed = send(&memory, "POST", "/replay", &page.body).await;
        assert_eq!(replayed.each("outcome"), ["refused"]);
        assert!(replayed.body.contains("/v1/events"), "{}", replayed.body);
    });
}

#[test]
fn a_replayed_event_is_in_the_log_once_as_it_was_received() {
    pollster::block_on(async {
        let memory = world().await;
        dies(&memory, "a", START, "/a/1.0.0", "one").await;
        let letters = list(&memory, "").await.body;
        for fault in [Fault::Before, Fault::After] {
            memory.fail("log", fault);
            let answer = send(&memory, "POST", "/replay", &letters).await;
            assert_eq!(
                (answer.status, answer.each("outcome")),
                (200, vec![json!("later")]),
                "{fault:?}"
            );
            assert!(!answer.body.contains("injected"), "{}", answer.body);
            memory.heal();
        }
        // Long after the window for retries.
        memory.advance(86_400_000);
        for _ in 0..2 {
            let answer = send(&memory, "POST", "/replay", &letters).await;
            assert_eq!(
                answer.lines(),
                [json!({"offset": 0, "id": "a", "outcome": "delivered"})]
            );
        }
        let expected = event("a", START, "{\"$schema\":\"/a/1.0.0\",\"n\":1.0}");
        assert_eq!(stored(&memory).await, [expected]);
        assert_eq!(
            list(&memory, "").await.head.as_deref(),
            Some("1"),
            "no new letter"
        );
    });
}

#[test]
fn an_event_that_kafka_refuses_is_replayed_to_kafka_alone() {
    pollster::block_on(async {
        let memory = world().await.with("KAFKA_REST_URL", "http://bridge:8080");
        let kafka = |answer: &'static str| {
            memory.serve("bridge:8080", move |_| {
                let builder =
                    http::Response::builder().header("content-type", "application/vnd.kafka.v2+json");
                builder.body(Bytes::from_static(answer.as_bytes())).unwrap()
            });
        };
        kafka(r#"{"offsets":[{"error_code":400,"message":"The message is 9 bytes when serialized"}]}"#);
        let mut message = QueueMessage::decode(&queue_message(vec![event("k", START, "{}")])).unwrap();
        message.sinks.sinks.push(Sink::Kafka);
        let delivered = crate::consume(
            &memory,
            vec![crate::Attempt {
                message: message.encode(),
                number: 1,
            }],
        )
        .await;
        assert!(
            matches!(&delivered[0], crate::Delivered::Dead(_)),
            "{delivered:?}"
        );
        let letters = list(&memory, "").await;
        assert_eq!(letters.each("sinks"), [json!(["kafka"])]);

        let answer = send(&memory, "POST", "/replay", &letters.body).await;
        assert_eq!(answer.each("outcome"), ["refused"]);
        assert!(answer.body.contains("9 bytes"), "{}", answer.body);
        assert_eq!(
            list(&memory, "").await.head.as_deref(),
            Some("1"),
            "no new letter"
        );

        kafka(r#"{"offsets":[{"partition":0,"offset":7}]}"#);
        let _ = memory.take_requests();
        memory.fail("log", Fault::Before);
        let answer = send(&memory, "POST", "/replay", &letters.body).await;
        assert_eq!(answer.each("outcome"), ["delivered"]);
        assert_eq!(memory.take_requests().len(), 1);
        memory.heal();
        assert_eq!(stored(&memory).await.len(), 1);
    });
}

#[test]
fn what_is_refused_again_is_told_and_is_no_new_letter() {
    pollster::block_on(async {
        let memory = world().await;
        dies(&memory, "a", START, "/a/1.0.0", "one").await;
        let good = list(&memory, "").await.lines()[0].clone();
        let with = |member: &str, value: Value| {
            let mut letter = good.clone();
            letter[member] = value;
            letter
        };
        for (letter, outcome, reason) in [
            (with("log", json!("x")), "refused", "'x' is no log"),
            (with("log", Value::Null), "refused", "names no log"),
            (
                with("stream", json!("/^x/")),
                "refused",
                "'/^x/' is not a stream name",
            ),
            (with("dt", json!("soon")), "refused", "dt: no time"),
            (with("raw_event", json!("{")), "refused", "raw_event is not JSON"),
            (
                with("raw_event", json!("{\n}")),
                "refused",
                "raw_event has a line break",
            ),
            (with("key", json!("{")), "refused", "key is not JSON"),
            (
                with("raw_event", json!(format!("\"{}\"", "x".repeat(MAX_EVENT_BYTES)))),
                "refused",
                "has 1048578 bytes",
            ),
            (
                with("raw_message", json!("garbage")),
                "refused",
                "not a queue message",
            ),
            (
                with("sinks", json!(["kafka"])),
                "later",
                "the sink kafka is not to be had now",
            ),
        ] {
            let answer = send(&memory, "POST", "/replay", &letter.to_string()).await;
            let line = &answer.lines()[0];
            assert_eq!(line["outcome"], outcome, "{reason}: {line}");
            assert!(line["reason"].as_str().unwrap().contains(reason), "{line}");
        }
        assert!(stored(&memory).await.is_empty());
        assert_eq!(list(&memory, "").await.head.as_deref(), Some("1"));
        // A message that could not be read, and now can.
        let message = queue_message(vec![event("m", START, "{}")]);
        let letter = with("raw_message", json!(String::from_utf8(message.to_vec()).unwrap()));
        let answer = send(&memory, "POST", "/replay", &letter.to_string()).await;
        assert_eq!(answer.each("outcome"), ["delivered"]);
        assert_eq!(stored(&memory).await.len(), 1);
    });
}

#[test]
fn a_mark_is_listed_once_whatever_the_filter() {
    pollster::block_on(async {
        let memory = world().await;
        dies(&memory, "a", START, "/a/1.0.0", "one").await;
        let mark = json!({"letters": [{"offset": 0, "id": "a"}], "how": "dropped"}).to_string();
        for fault in [Fault::Before, Fault::After] {
            memory.fail("log", fault);
            assert_eq!(send(&memory, "POST", "/settle", &mark).await.status, 503);
            memory.heal();
        }
        assert_eq!(
            send(&memory, "POST", "/settle", &mark).await.body,
            r#"{"settled":1}"#
        );
        let line = json!({"offset": 1, "settled": ["a"], "how": "dropped", "dt": "2024-01-01T00:00:00.000Z"});
        for query in [
            "?stream=y",
            "?settled=only",
            "?until=2000-01-01",
            "?since=2023-12-31",
        ] {
            let lines = list(&memory, query).await.lines();
            assert_eq!(lines.last(), Some(&line), "{query}");
            assert_eq!(lines.len(), 1 + usize::from(query.contains("since")), "{query}");
        }
    });
}

#[test]
fn bad_requests_are_refused_and_nothing_is_written() {
    pollster::block_on(async {
        let memory = world().await;
        dies(&memory, "a", START, "/a/1.0.0", "one").await;
        let letter = list(&memory, "").await.body;
        let named = |count: usize| vec![json!({"offset": 0, "id": "a"}); count];
        let settle = |count: usize| json!({"letters": named(count), "how": "dropped"}).to_string();
        for (method, route, body, status, said) in [
            (
                "GET",
                "?from=x",
                String::new(),
                400,
                "from is 'x': expected a number",
            ),
            ("GET", "?limit=0", String::new(), 400, "a number from 1 to 1000"),
            (
                "GET",
                "?limit=1001",
                String::new(),
                400,
                "a number from 1 to 1000",
            ),
            ("GET", "?since=soon", String::new(), 400, "since is 'soon'"),
            ("GET", "?settled=yes", String::new(), 400, "expected only"),
            ("GET", "?partition=-1", String::new(), 400, "partition is '-1'"),
            ("GET", "?steam=x", String::new(), 400, "steam is no parameter"),
            ("GET", "?topic=nope", String::new(), 404, "has the topic nope"),
            ("GET", "/nope", String::new(), 404, "nothing is served"),
            ("POST", "", String::new(), 405, "use GET"),
            ("GET", "/replay", String::new(), 405, "use POST"),
            ("GET", "/settle", String::new(), 405, "use POST"),
            ("POST", "/settle", "{}".to_owned(), 400, "expected {\"letters\""),
            ("POST", "/settle", settle(0), 400, "0 letters"),
            (
                "POST",
                "/settle",
                settle(1001),
                400,
                "1001 letters: send 1 to 1000",
            ),
            ("POST", "/replay", letter.repeat(21), 400, "more than 20 letters"),
            (
                "POST",
                "/replay",
                format!("{letter}{{}}"),
                400,
                "line 2: expected a letter",
            ),
        ] {
            let answer = send(&memory, method, route, &body).await;
            assert_eq!(answer.status, status, "{method} {route}: {}", answer.body);
            let detail: Value = serde_json::from_str(&answer.body).unwrap();
            assert!(detail["detail"].as_str().unwrap().contains(said), "{detail}");
        }
        assert_eq!(list(&memory, "").await.head.as_deref(), Some("1"));
        assert!(stored(&memory).await.is_empty());
        assert_eq!(send(&memory, "POST", "/settle", &settle(1000)).await.status, 200);
        assert_eq!(
            send(&memory, "POST", "/replay", &letter.repeat(20)).await.status,
            200
        );
        assert_eq!(
            dead_letter_log().unwrap().to_string(),
            "v1/eventstar.dead-letter/0/0"
        );
    });
}
