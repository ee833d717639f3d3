use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_log::{Policy, Sink, Sinks};
use eventstar_platform_memory::{Fault, Memory};
use http::{Request, Response};
use serde_json::{Value, json};

use super::*;
use crate::testing::{deliver, logged, name};
use crate::{Attempt, DEAD_LETTER_TOPIC, DeadLetter, Delivered, QueueMessage, write_through};

/// A bridge in memory: what it was given, and what it says of records.
#[derive(Clone, Default)]
struct Bridge(Rc<Inner>);

#[derive(Default)]
struct Inner {
    topics: RefCell<BTreeMap<String, Vec<(Value, String)>>>,
    requests: Cell<usize>,
    trouble: Cell<Trouble>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Trouble {
    #[default]
    None,
    /// The proxy is overloaded.
    Overloaded,
    /// The answer is a page of something before the proxy.
    Page,
    /// The proxy wants another authorization.
    Unauthorized,
    /// Records that say so are too large, each told by itself.
    Records,
    /// The same, and those sent with one fail too.
    Batches,
    /// A request with such a record is refused whole.
    Requests,
}

const LARGE: &str = "too large";

impl Bridge {
    fn new() -> (Self, Memory) {
        let memory = Memory::new().with("KAFKA_REST_URL", "http://bridge:8080");
        let bridge = Self::default();
        let served = bridge.clone();
        memory.serve("bridge:8080", move |request| served.answer(request));
        (bridge, memory)
    }

    fn answer(&self, request: &Request<Bytes>) -> Response<Bytes> {
        if request.method() == http::Method::GET {
            // The topic is there.
            return Response::new(Bytes::from_static(b"{}"));
        }
        self.0.requests.set(self.0.requests.get() + 1);
        let trouble = self.0.trouble.get();
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let text =
            |value: &Value| String::from_utf8(STANDARD.decode(value.as_str().unwrap()).unwrap()).unwrap();
        let records: Vec<(Value, String)> = body["records"]
            .as_array()
            .unwrap()
            .iter()
            .map(|record| (record.clone(), text(&record["value"])))
            .collect();
        let is_large = |value: &str| value.contains(LARGE);
        let (status, content_type, body) = match trouble {
            Trouble::Overloaded => (
                503,
                "application/json",
                json!({"error_code": 503, "message": "Bridge is overloaded"}),
            ),
            Trouble::Page => (502, "text/html", Value::Null),
            Trouble::Unauthorized => (401, "text/html", Value::Null),
            Trouble::Requests if records.iter().any(|(_, value)| is_large(value)) => (
                413,
                "application/json",
                json!({"error_code": 413, "message": "too large"}),
            ),
            _ => {
                let topic = request.uri().path().trim_start_matches("/topics/").to_owned();
                let mut topics = self.0.topics.borrow_mut();
                let topic = topics.entry(topic).or_default();
                let is_batch_refused =
                    trouble == Trouble::Batches && records.iter().any(|(_, value)| is_large(value));
                let offsets: Vec<Value> = records
                    .into_iter()
                    .map(|record| {
                        if matches!(trouble, Trouble::Records | Trouble::Batches) && is_large(&record.1) {
                            return json!({"error_code": 500, "message": "The message is 2 bytes when serialized which is larger than 1"});
                        }
                        if is_batch_refused {
                            return json!({"error_code": 500, "message": "Failed to append record because it was part of a batch which had one more more invalid records"});
                        }
                        topic.push(record);
                        json!({"partition": 0, "offset": topic.len() - 1})
                    })
                    .collect();
                (200, "application/vnd.kafka.v2+json", json!({"offsets": offsets}))
            }
        };
        let answer = Response::builder()
            .status(status)
            .header("content-type", content_type);
        answer.body(Bytes::from(body.to_string())).unwrap()
    }

    fn values(&self, topic: &str) -> Vec<String> {
        let topics = self.0.topics.borrow();
        topics
            .get(topic)
            .into_iter()
            .flatten()
            .map(|(_, value)| value.clone())
            .collect()
    }
}

fn event(id: &str, text: &str) -> Envelope {
    Envelope {
        id: id.into(),
        dt: 1000,
        stream: "x".into(),
        key: Some("{\"k\":1}".into()),
        headers: BTreeMap::from([("traceparent".into(), "00-1".into())]),
        event: text.into(),
    }
}

fn message(topic: &str, sinks: &[Sink], policy: Policy, events: Vec<Envelope>) -> Bytes {
    let sinks = Sinks {
        sinks: sinks.to_vec(),
        policy,
        done: vec![],
    };
    QueueMessage {
        log: name(topic),
        retention: None,
        sinks,
        events,
    }
    .encode()
}

fn texts(n: usize) -> (Vec<Envelope>, Vec<String>) {
    let texts: Vec<String> = (0..n).map(|n| format!("{{\"b\":1.0,\"n\":{n}}}")).collect();
    (
        texts
            .iter()
            .enumerate()
            .map(|(id, text)| event(&id.to_string(), text))
            .collect(),
        texts,
    )
}

use Policy::{All, Fallback, First};
use Sink::{Kafka, Log};

#[test]
fn events_reach_kafka_with_their_bytes_key_time_and_headers() {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new();
        let (events, texts) = texts(2);
        let outcome = deliver(&memory, vec![message("x", &[Log, Kafka], All, events)]).await;
        assert_eq!(outcome, [Delivered::Done]);
        assert_eq!(bridge.values("x"), texts);
        assert_eq!(logged(&memory, "x").await, texts);
        let record = bridge.0.topics.borrow()["x"][0].0.clone();
        assert_eq!(record["timestamp"], 1000);
        assert_eq!(record["key"], STANDARD.encode("{\"k\":1}"));
        let headers: BTreeMap<&str, &str> = record["headers"]
            .as_array()
            .unwrap()
            .iter()
            .map(|header| (header["key"].as_str().unwrap(), header["value"].as_str().unwrap()))
            .collect();
        assert_eq!(headers["traceparent"], STANDARD.encode("00-1"));
        assert_eq!(headers["eventstar-id"], STANDARD.encode("0"));
    });
}

#[test]
fn the_messages_of_a_batch_are_one_request_a_topic() {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new();
        let messages = (0..25)
            .map(|n| message(if n % 2 == 0 { "x" } else { "y" }, &[Kafka], All, texts(4).0))
            .collect();
        let outcomes = deliver(&memory, messages).await;
        assert!(outcomes.iter().all(|outcome| *outcome == Delivered::Done));
        assert_eq!((bridge.values("x").len(), bridge.values("y").len()), (52, 48));
        assert_eq!(bridge.0.requests.get(), 2);
        assert!(logged(&memory, "x").await.is_empty());
    });
}

#[test]
fn what_kafka_does_not_take_now_is_delivered_again_and_is_in_the_log_once() {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new();
        let (events, texts) = texts(3);
        let message = message("x", &[Log, Kafka], All, events);
        for trouble in [Trouble::Overloaded, Trouble::Page] {
            bridge.0.trouble.set(trouble);
            assert_eq!(deliver(&memory, vec![message.clone()]).await, [Delivered::Retry]);
        }
        bridge.0.trouble.set(Trouble::None);
        for fault in [Fault::Before, Fault::After] {
            memory.fail("http", fault);
            assert_eq!(deliver(&memory, vec![message.clone()]).await, [Delivered::Retry]);
            memory.heal();
        }
        assert_eq!(deliver(&memory, vec![message]).await, [Delivered::Done]);
        assert_eq!(logged(&memory, "x").await, texts);
        let values = bridge.values("x");
        assert!(texts.iter().all(|text| values.contains(text)), "{values:?}");
    });
}

#[test]
fn what_is_given_up_is_a_dead_letter_that_says_why_and_names_the_sinks_that_lack_it() {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new();
        bridge.0.trouble.set(Trouble::Unauthorized);
        let (events, texts) = texts(2);
        let message = message("x", &[Log, Kafka], All, events);
        let attempt = async |number| {
            let message = message.clone();
            crate::deliver(&memory, vec![Attempt { message, number }]).await
        };
        assert_eq!(attempt(99).await, [Delivered::Retry]);
        memory.fail("log", Fault::Before);
        assert_eq!(attempt(100).await, [Delivered::Retry], "the letters are not kept");
        memory.heal();
        let outcome = attempt(101).await;
        assert!(matches!(&outcome[0], Delivered::Dead(_)), "{outcome:?}");
        let dead = logged(&memory, DEAD_LETTER_TOPIC).await;
        assert_eq!(dead.len(), 2);
        for (letter, text) in dead.iter().zip(&texts) {
            let letter: DeadLetter = serde_json::from_str(letter).unwrap();
            for said in ["after 101 attempts", "answers 401", "KAFKA_REST_AUTHORIZATION"] {
                assert!(letter.reason.contains(said), "{}", letter.reason);
            }
            assert_eq!(
                (letter.sinks.as_slice(), letter.raw_event.as_ref()),
                (&[Kafka][..], Some(text))
            );
        }
        assert_eq!(logged(&memory, "x").await, texts);
    });
}

#[test]
fn an_outage_costs_a_topic_one_request() {
    pollster::block_on(async {
        let (_, memory) = Bridge::new();
        memory.fail("http", Fault::Before);
        let before = memory.calls();
        // More records than a request has.
        let messages = vec![message("x", &[Kafka], All, texts(2500).0)];
        assert_eq!(deliver(&memory, messages).await, [Delivered::Retry]);
        assert_eq!(memory.calls() - before, 1);
    });
}

#[test]
fn a_missing_topic_is_told_and_holds_up_no_other() {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new();
        let (served, clock) = (bridge.clone(), memory.clone());
        memory.serve("bridge:8080", move |request| {
            let is_missing = request.uri().path().contains("missing");
            let is_produced = request.method() == http::Method::POST;
            // Longer than a request may take.
            let delay = if is_missing && is_produced { 100 } else { 0 };
            clock.answer_after(Duration::from_secs(delay));
            if is_missing {
                let answer = Response::builder()
                    .status(404)
                    .header("content-type", "application/json");
                return answer
                    .body(Bytes::from_static(b"{\"message\":\"no topic\"}"))
                    .unwrap();
            }
            served.answer(request)
        });
        // One after the other, the first two would take all the time there is.
        let topics = ["missing.1", "missing.2", "x", "missing.1", "y"];
        let messages = topics.map(|topic| message(topic, &[Kafka], All, texts(3).0));
        let delivered = deliver(&memory, messages.to_vec()).await;
        let expected = topics.map(|topic| {
            if topic.starts_with("missing") {
                Delivered::Retry
            } else {
                Delivered::Done
            }
        });
        assert_eq!(delivered, expected);
        assert_eq!((bridge.values("x").len(), bridge.values("y").len()), (3, 3));
        let lines = memory.lines().concat();
        for topic in ["missing.1", "missing.2"] {
            let said = format!("answers 404: no topic; check that the topic {topic} exists");
            assert!(lines.contains(&said), "{lines}");
        }
    });
}

#[test]
fn one_record_that_kafka_refuses_is_a_dead_letter_and_the_others_are_there() {
    pollster::block_on(async {
        for trouble in [Trouble::Records, Trouble::Batches, Trouble::Requests] {
            let (bridge, memory) = Bridge::new();
            bridge.0.trouble.set(trouble);
            let (mut events, mut texts) = texts(100);
            events[42].event = format!("{{\"$schema\":\"/test/1.0.0\",\"test\":\"{LARGE}\"}}");
            let outcome = deliver(&memory, vec![message("x", &[Kafka], All, events.clone())]).await;
            assert!(
                matches!(outcome.as_slice(), [Delivered::Dead(reason)] if reason.contains("arge")),
                "{outcome:?}"
            );
            texts.remove(42);
            assert_eq!(bridge.values("x"), texts);
            let dead = logged(&memory, DEAD_LETTER_TOPIC).await;
            let letter: DeadLetter = serde_json::from_str(&dead[0]).unwrap();
            assert_eq!(dead.len(), 1);
            assert_eq!(letter.raw_event.as_deref(), Some(events[42].event.as_str()));
            assert_eq!(
                (letter.sinks.as_slice(), letter.schema_uri.as_deref()),
                (&[Kafka][..], Some("/test/1.0.0"))
            );
            assert_eq!(letter.key.as_deref(), Some("{\"k\":1}"));
        }
    });
}

#[test]
fn the_policy_says_what_a_failure_of_kafka_means() {
    pollster::block_on(async {
        for (sinks, policy, outcome, is_logged) in [
            ([Log, Kafka], All, Delivered::Retry, true),
            ([Kafka, Log], First, Delivered::Retry, true),
            ([Log, Kafka], First, Delivered::Done, true),
            ([Kafka, Log], Fallback, Delivered::Done, true),
        ] {
            let (bridge, memory) = Bridge::new();
            bridge.0.trouble.set(Trouble::Overloaded);
            let delivered = deliver(&memory, vec![message("x", &sinks, policy, texts(1).0)]).await;
            assert_eq!(delivered, [outcome], "{sinks:?} {policy:?}");
            assert_eq!(
                !logged(&memory, "x").await.is_empty(),
                is_logged,
                "{sinks:?} {policy:?}"
            );
        }
        let (bridge, memory) = Bridge::new();
        let delivered = deliver(&memory, vec![message("x", &[Log, Kafka], Fallback, texts(1).0)]).await;
        assert_eq!(
            (delivered, bridge.values("x").len()),
            (vec![Delivered::Done], 0),
            "the log had it"
        );
    });
}

#[test]
fn what_no_fallback_takes_is_one_dead_letter() {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new();
        bridge.0.trouble.set(Trouble::Records);
        let events = vec![event("1", &format!("{{\"test\":\"{LARGE}\"}}"))];
        let delivered = deliver(&memory, vec![message("x", &[Kafka], Fallback, events)]).await;
        assert!(
            matches!(delivered.as_slice(), [Delivered::Dead(_)]),
            "{delivered:?}"
        );
        assert_eq!(logged(&memory, DEAD_LETTER_TOPIC).await.len(), 1);
    });
}

#[test]
fn without_a_proxy_events_wait_and_the_log_says_what_to_set() {
    pollster::block_on(async {
        let memory = Memory::new();
        let delivered = deliver(&memory, vec![message("x", &[Kafka], All, texts(1).0)]).await;
        assert_eq!(delivered, [Delivered::Retry]);
        let lines = memory.lines().concat();
        assert!(lines.contains("KAFKA_REST_URL is not set"), "{lines}");
    });
}

#[test]
fn large_events_are_written_to_every_sink_as_the_policy_asks() {
    pollster::block_on(async {
        for (sinks, policy, is_written, in_kafka, in_log) in [
            ([Log, Kafka], All, false, 0, 1),
            ([Kafka, Log], First, false, 0, 1),
            ([Log, Kafka], First, true, 0, 1),
            ([Kafka, Log], Fallback, true, 0, 1),
        ] {
            let (bridge, memory) = Bridge::new();
            bridge.0.trouble.set(Trouble::Overloaded);
            let (log, events) = (name("x"), texts(1).0);
            let batch = Batch {
                log: &log,
                retention: None,
                events: &events,
            };
            let sinks = Sinks {
                sinks: sinks.to_vec(),
                policy,
                done: vec![],
            };
            let written = write_through(&memory, batch, &sinks).await;
            assert_eq!(written[0].is_ok(), is_written, "{sinks:?}");
            assert_eq!(
                (bridge.values("x").len(), logged(&memory, "x").await.len()),
                (in_kafka, in_log),
                "{sinks:?}"
            );
        }
    });
}

#[test]
fn a_large_event_that_one_sink_refuses_is_a_dead_letter_if_another_has_it_and_else_nowhere() {
    pollster::block_on(async {
        for (sinks, done, is_written, letters) in [
            (&[Log, Kafka][..], &[][..], true, 1),
            (&[Kafka, Log], &[], true, 1),
            (&[Log, Kafka], &[Log], true, 1),
            (&[Kafka], &[], false, 0),
        ] {
            let (bridge, memory) = Bridge::new();
            bridge.0.trouble.set(Trouble::Records);
            let log = name("x");
            let events = vec![event("1", &format!("{{\"test\":\"{LARGE}\"}}"))];
            let batch = Batch {
                log: &log,
                retention: None,
                events: &events,
            };
            let sinks = Sinks {
                sinks: sinks.to_vec(),
                policy: All,
                done: done.to_vec(),
            };
            let written = write_through(&memory, batch, &sinks).await;
            assert_eq!(written[0].is_ok(), is_written, "{sinks:?}");
            assert_eq!(
                logged(&memory, DEAD_LETTER_TOPIC).await.len(),
                letters,
                "{sinks:?}"
            );
            memory.fail("log", Fault::Before);
            let written = write_through(&memory, batch, &sinks).await;
            assert!(written[0].is_err(), "{sinks:?}");
        }
    });
}
