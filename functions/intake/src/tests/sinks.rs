//! Streams with other sinks than the log, and what their answers wait for.

use std::cell::Cell;

use eventstar_delivery::QueueMessage;
use eventstar_log::{Policy, Sink, Sinks};
use http::{Method, Response};

use super::*;

/// A world with streams for Kafka, whose bridge answers while `up` is true.
async fn with_kafka() -> (Rc<Isolate>, Memory, Rc<Cell<bool>>) {
    let (isolate, memory) = world().await;
    let stream = |sinks: &[&str], policy: &str, accept: &str| json!({"schema_title": "test", "sinks": sinks, "sink_policy": policy, "accept": accept});
    configure(
        &memory,
        json!({
            "both": stream(&["log", "kafka"], "all", "log"),
            "kafka": stream(&["kafka"], "all", "log"),
            "acknowledged": stream(&["kafka"], "all", "kafka"),
            "acknowledged.both": stream(&["kafka", "log"], "all", "kafka"),
            "fallback": stream(&["log", "kafka"], "fallback", "log"),
            "fallback.kafka": stream(&["kafka", "log"], "fallback", "kafka"),
        }),
    )
    .await;
    let memory = memory.with("KAFKA_REST_URL", "http://bridge:8080");
    let up = Rc::new(Cell::new(true));
    let is_up = Rc::clone(&up);
    memory.serve("bridge:8080", move |request| {
        if request.method() == Method::GET {
            // The topic is there.
            return Response::new(Bytes::from_static(b"{}"));
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let offsets: Vec<Value> = (0..body["records"].as_array().unwrap().len())
            .map(|offset| json!({"partition": 0, "offset": offset}))
            .collect();
        let mut answer = Response::new(Bytes::from(json!({"offsets": offsets}).to_string()));
        let status = if is_up.get() { 200 } else { 503 };
        *answer.status_mut() = status.try_into().unwrap();
        answer.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/vnd.kafka.v2+json"),
        );
        answer
    });
    (isolate, memory, up)
}

fn queued(memory: &Memory) -> Vec<QueueMessage> {
    memory
        .take_queue()
        .iter()
        .map(|message| QueueMessage::decode(message).unwrap())
        .collect()
}

#[test]
fn a_stream_with_two_sinks_is_in_the_log_and_on_its_way_to_kafka() {
    run(async {
        let (isolate, memory, _) = with_kafka().await;
        assert_eq!(post(&isolate, &memory, event("both")).await.0, 201);
        let logged = texts(&memory, "both").await;
        let messages = queued(&memory);
        assert_eq!((logged.len(), messages.len()), (1, 1));
        assert_eq!(messages[0].events[0].event, logged[0]);
        assert_eq!(
            messages[0].sinks,
            Sinks {
                sinks: vec![Sink::Log, Sink::Kafka],
                policy: Policy::All,
                done: vec![Sink::Log]
            }
        );
        assert!(memory.take_requests().is_empty());
    });
}

#[test]
fn an_event_that_one_of_its_sinks_may_lack_is_never_a_201() {
    run(async {
        let (isolate, memory, _) = with_kafka().await;
        for fault in [Fault::Before, Fault::After] {
            memory.fail("log", fault);
            assert_eq!(post(&isolate, &memory, event("both")).await.0, 503);
            assert!(
                queued(&memory).is_empty(),
                "Kafka has nothing that the log may lack"
            );
            memory.heal();
            memory.fail("queue", fault);
            assert_eq!(post(&isolate, &memory, event("both")).await.0, 503);
            memory.heal();
            let _ = memory.take_queue();
        }
        assert_eq!(post(&isolate, &memory, event("both")).await.0, 201);
        assert_eq!(
            (texts(&memory, "both").await.len(), queued(&memory).len()),
            (1, 1),
            "the retry is in the log once"
        );
    });
}

#[test]
fn a_stream_for_kafka_alone_is_queued_and_what_fits_no_message_is_written_at_once() {
    run(async {
        let (isolate, memory, up) = with_kafka().await;
        let mut large = event("kafka");
        large["test"] = json!("a".repeat(200_000));
        assert_eq!(
            post(&isolate, &memory, json!([event("kafka"), large])).await.0,
            201
        );
        let messages = queued(&memory);
        assert_eq!((messages.len(), messages[0].events.len()), (1, 1));
        assert_eq!(messages[0].sinks.sinks, [Sink::Kafka]);
        assert_eq!(memory.take_requests().len(), 1);
        assert!(texts(&memory, "kafka").await.is_empty());
        up.set(false);
        assert_eq!(post(&isolate, &memory, large).await.0, 503);
    });
}

#[test]
fn accept_kafka_waits_for_its_acknowledgement() {
    run(async {
        let (isolate, memory, up) = with_kafka().await;
        assert_eq!(post(&isolate, &memory, event("acknowledged")).await.0, 201);
        assert_eq!((memory.take_requests().len(), queued(&memory).len()), (1, 0));
        assert_eq!(post(&isolate, &memory, event("acknowledged.both")).await.0, 201);
        assert_eq!(queued(&memory)[0].sinks.done, [Sink::Kafka]);
        up.set(false);
        for stream in ["acknowledged", "acknowledged.both"] {
            assert_eq!(post(&isolate, &memory, event(stream)).await.0, 503);
            assert!(queued(&memory).is_empty());
        }
        memory.fail("http", Fault::After);
        assert_eq!(
            post(&isolate, &memory, event("acknowledged")).await.0,
            503,
            "unknown is no success"
        );
    });
}

#[test]
fn where_the_first_sink_fails_its_fallback_is_asked_later() {
    run(async {
        let (isolate, memory, up) = with_kafka().await;
        for stream in ["fallback", "fallback.kafka"] {
            assert_eq!(post(&isolate, &memory, event(stream)).await.0, 201);
            assert!(queued(&memory).is_empty(), "{stream}: one sink is enough");
        }
        up.set(false);
        memory.fail("log", Fault::Before);
        for stream in ["fallback", "fallback.kafka"] {
            assert_eq!(post(&isolate, &memory, event(stream)).await.0, 201, "{stream}");
            let messages = queued(&memory);
            assert_eq!((messages.len(), messages[0].sinks.done.len()), (1, 0), "{stream}");
        }
        memory.fail("queue", Fault::Before);
        assert_eq!(post(&isolate, &memory, event("fallback")).await.0, 503);
    });
}
