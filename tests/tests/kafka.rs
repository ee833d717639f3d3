//! Streams whose events go to Kafka: an ordinary client finds them there as they were accepted, whatever failed on the way.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use eventstar_tests::admin::{add_known_streams, comes_true_within};
use eventstar_tests::cluster::Cluster;
use eventstar_tests::dev::StateDir;
use eventstar_tests::events::{array, job_event};
use eventstar_tests::kafka::{Record, create_topics, found_in_topic, read_topic};
use eventstar_tests::ledger::Found;
use eventstar_tests::load::{Load, PATIENCE, found_in_log, publish, send_until_accepted};
use eventstar_tests::proxy::{Proxy, Trouble};
use eventstar_tests::random::{Seeded, fresh_uuid};
use eventstar_tests::{Dev, Events, Request};
use serde_json::{Value, json};

/// Longer than the functions wait before they try to deliver.
const ATTEMPT: Duration = Duration::from_secs(3);

/// Longer than anybody waits for an answer: the server does its work, and hangs.
const LONGER_THAN_ANY_WAITS: Duration = Duration::from_secs(60);

/// How many events are posted into each trouble.
const EVENTS: usize = 20;

const OVERLOADED: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/vnd.kafka.v2+json\r\ncontent-length: 80\r\nconnection: close\r\n\r\n\
     {\"error_code\":503,\"message\":\"Bridge is overloaded, please retry again later. --\"}";
const TOO_MANY: &str = "HTTP/1.1 429 Too Many Requests\r\ncontent-type: text/html\r\nretry-after: 1\r\ncontent-length: 26\r\nconnection: close\r\n\r\n<h1>Too Many Requests</h1>";
const PAGE: &str = "HTTP/1.1 502 Bad Gateway\r\ncontent-type: text/html\r\ncontent-length: 20\r\nconnection: close\r\n\r\n<h1>Bad Gateway</h1>";

/// An origin whose way to Kafka leads through a door.
struct World {
    dev: Dev,
    door: Proxy,
    cluster: Cluster,
}

impl World {
    fn add(&self, stream: &str, settings: &Value) {
        let mut all = json!({"schema_title": "job/run"});
        let settings = settings.as_object().expect("a map").clone();
        all.as_object_mut().expect("a map").extend(settings);
        add_known_streams(&self.dev.instance, &json!({stream: all}));
    }

    /// Posts events until they are accepted, each with the same bytes; returns their ids.
    fn post(&self, stream: &str) -> Vec<String> {
        let ids: Vec<String> = (0..EVENTS).map(|_| fresh_uuid()).collect();
        let events: Vec<String> = ids.iter().map(|id| job_event(stream, id, "")).collect();
        comes_true_within(PATIENCE, "events are accepted", || {
            self.dev.instance.post(array(&events)).status == 201
        });
        ids
    }

    fn records(&self, topic: &str) -> Vec<Record> {
        read_topic(&self.cluster.broker(), topic)
    }

    fn delivered(&self, topic: &str) -> Found {
        found_in_topic(&self.cluster.broker(), topic)
    }
}

/// One cluster for all that follows: it takes its time to start.
#[test]
fn over_kafka_nothing_is_lost() {
    let cluster = Cluster::start();
    let door = Proxy::start();
    door.lead_to(&cluster.bridge());
    let state = StateDir::new("over-kafka");
    let url = format!("KAFKA_REST_URL=http://{}", door.address());
    let host = format!("KAFKA_REST_HOST=http://{}", door.address());
    let dev = Dev::start(&state, &["--var", &url, "--var", &host]);
    let world = World { dev, door, cluster };
    events_are_in_kafka_as_they_were_accepted(&world);
    readers_read_them_back(&world);
    readers_bear_that_the_proxy_is_away_and_get_each_event_once(&world);
    one_record_that_kafka_refuses_is_a_dead_letter(&world);
    an_event_that_is_too_large_for_the_proxy_is_a_dead_letter_or_refused(&world);
    accept_kafka_waits_for_the_acknowledgement(&world);
    whatever_fails_every_accepted_event_is_in_kafka_and_once_in_the_log(&world);
}

fn events_are_in_kafka_as_they_were_accepted(world: &World) {
    let stream = format!("kafka.bytes.{}", fresh_uuid());
    world.add(
        &stream,
        &json!({"sinks": ["kafka"], "message_key_fields": {"job": "job"}}),
    );
    let ids: Vec<String> = (0..EVENTS).map(|_| fresh_uuid()).collect();
    let members = r#","n":1.50e2,"text":"\u00e9 é""#;
    let events: Vec<String> = ids.iter().map(|id| job_event(&stream, id, members)).collect();
    world.dev.instance.produce(&events);
    comes_true_within(PATIENCE, "the events are in Kafka", || {
        topic_exists(world, &stream) && world.records(&stream).len() >= EVENTS
    });
    let mut seen = BTreeSet::new();
    let records = world.records(&stream).into_iter();
    // An answer that came too late on a busy machine leaves an event there twice.
    let records: Vec<Record> = records.filter(|record| seen.insert(record.meta_id())).collect();
    assert_eq!(records.len(), EVENTS);
    for (record, sent) in records.iter().zip(&events) {
        let value = String::from_utf8(record.value.clone().expect("a value")).expect("UTF-8");
        let received = serde_json::from_str::<Value>(&value).expect("JSON")["meta"]["dt"].clone();
        let expected = sent.replacen(
            r#""dt":"2026-01-01T00:00:00Z","request_id""#,
            &format!(r#""dt":{received},"request_id""#),
            1,
        );
        assert_eq!(value, expected);
        assert_eq!(record.key.as_deref(), Some(&br#"{"job":"test"}"#[..]));
        let names: Vec<&str> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
        assert!(
            names.contains(&"eventstar-id") && names.contains(&"eventstar-stream"),
            "{names:?}"
        );
    }
}

fn topic_exists(world: &World, topic: &str) -> bool {
    let bridge = eventstar_tests::http::Origin::parse(&format!("http://{}", world.cluster.bridge()));
    bridge
        .send(&Request::get(&format!("/topics/{topic}/partitions/0/offsets")))
        .status
        == 200
}

fn readers_read_them_back(world: &World) {
    let stream = format!("kafka.read.{}", fresh_uuid());
    create_topics(&world.cluster.broker(), &[&stream], 1_000_000);
    world.add(&stream, &json!({"sinks": ["kafka"], "accept": "kafka"}));
    let ids = world.post(&stream);
    let records = world.records(&stream);
    let origin = &world.dev.instance.origin;
    let all = format!("/v2/stream/{stream}?since=2020-01-01T00:00:00Z");
    let events = Events::open(origin, &all).take(EVENTS);
    let told = |event: &eventstar_tests::SseEvent| (event.meta_id(), event.offset(), event.timestamp());
    let expected: Vec<_> = records
        .iter()
        .map(|record| {
            (
                record.meta_id(),
                record.offset,
                u64::try_from(record.timestamp).expect("a time"),
            )
        })
        .collect();
    assert_eq!(events.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(
        events
            .iter()
            .map(eventstar_tests::SseEvent::meta_id)
            .collect::<Vec<_>>(),
        ids
    );
    let mut live = Events::open(origin, &format!("/v2/stream/{stream}"));
    let mut resumed = Events::resume(origin, &all, &events[9].id);
    assert_eq!(
        resumed.take(EVENTS - 10).iter().map(told).collect::<Vec<_>>(),
        expected[10..]
    );
    let later = world.post(&stream);
    for reader in [&mut live, &mut resumed] {
        let came: Vec<String> = reader
            .take(EVENTS)
            .iter()
            .map(eventstar_tests::SseEvent::meta_id)
            .collect();
        assert_eq!(came, later);
    }
    let since = events[5].timestamp();
    let mut from_a_time = Events::open(origin, &format!("/v2/stream/{stream}?since={since}"));
    assert!(from_a_time.next_event().timestamp() >= since);
}

/// The way is closed to readers and to delivery alike, which writes again what was not acknowledged.
fn readers_bear_that_the_proxy_is_away_and_get_each_event_once(world: &World) {
    let stream = format!("kafka.away.{}", fresh_uuid());
    create_topics(&world.cluster.broker(), &[&stream], 1_000_000);
    world.add(&stream, &json!({"sinks": ["kafka"], "accept": "queue"}));
    let origin = &world.dev.instance.origin;
    let live = format!("/v2/stream/{stream}");
    let all = format!("{live}?since=2020-01-01T00:00:00Z");
    let mut readers = vec![Events::open(origin, &live), Events::open(origin, &all)];
    let mut posted = world.post(&stream);
    for trouble in [
        Trouble::CutAfter(0),
        Trouble::Slow(LONGER_THAN_ANY_WAITS),
        Trouble::Answered(OVERLOADED),
        Trouble::Answered(TOO_MANY),
        Trouble::HungUp,
    ] {
        world.door.make(Some(trouble));
        posted.extend(world.post(&stream));
        thread::sleep(ATTEMPT);
    }
    // One that comes meanwhile is let in, and reads once it can.
    readers.push(Events::open(origin, &all));
    world.door.make(None);
    comes_true_within(PATIENCE, "every event is in Kafka, and some are twice", || {
        let delivered = world.delivered(&stream);
        delivered.len() == posted.len() && delivered.values().any(|count| *count > 1)
    });
    let last = world.post(&stream);
    posted.extend(last.clone());
    posted.sort_unstable();
    for reader in &mut readers {
        let mut came: Vec<String> = reader
            .take(posted.len())
            .iter()
            .map(eventstar_tests::SseEvent::meta_id)
            .collect();
        assert!(
            came.ends_with(&last),
            "the last come last, and no other comes again"
        );
        came.sort_unstable();
        assert_eq!(came, posted);
        assert!(reader.gaps().is_empty());
    }
    comes_true_within(PATIENCE, "the metrics tell of what was passed over", || {
        let page = world
            .dev
            .instance
            .admin(Request::get("/metrics"))
            .expect(200)
            .text();
        page.contains(&format!(
            "eventstar_relay_repeated_records_total{{topic=\"{stream}\"}}"
        ))
    });
}

fn one_record_that_kafka_refuses_is_a_dead_letter(world: &World) {
    let stream = format!("kafka.bad.{}", fresh_uuid());
    create_topics(&world.cluster.broker(), &[&stream], 20_000);
    world.add(&stream, &json!({"sinks": ["log", "kafka"]}));
    let ids: Vec<String> = (0..100).map(|_| fresh_uuid()).collect();
    let large = format!(r#","filler":"{}""#, "x".repeat(60_000));
    let events: Vec<String> = ids
        .iter()
        .enumerate()
        .map(|(place, id)| job_event(&stream, id, if place == 42 { &large } else { "" }))
        .collect();
    world.dev.instance.produce(&events);
    let good: BTreeSet<&String> = ids.iter().filter(|id| **id != ids[42]).collect();
    comes_true_within(PATIENCE, "the others are in Kafka", || {
        let delivered = world.delivered(&stream);
        delivered.keys().collect::<BTreeSet<_>>() == good
    });
    let letter = letter(world, &stream);
    assert_eq!(letter["sinks"], json!(["kafka"]));
    assert!(
        letter["raw_event"]
            .as_str()
            .is_some_and(|event| event.contains(&ids[42]))
    );
    assert!(
        letter["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("larger")),
        "{letter}"
    );
    let all = format!("/v2/stream/{stream}?since=2020-01-01T00:00:00Z");
    assert_eq!(
        Events::open(&world.dev.instance.origin, &all).take(100).len(),
        100,
        "the log has it"
    );
}

/// The one dead letter of a stream.
fn letter(world: &World, stream: &str) -> Value {
    let letters = format!("/admin/v1/dead-letters?stream={stream}");
    let mut found: Vec<Value> = Vec::new();
    comes_true_within(PATIENCE, "a dead letter", || {
        let page = world.dev.instance.admin(Request::get(&letters)).expect(200);
        let text = page.text();
        found = text
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        !found.is_empty()
    });
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

/// Larger than what the proxy's producer sends, and too large for the queue: its sinks are asked before the answer.
fn an_event_that_is_too_large_for_the_proxy_is_a_dead_letter_or_refused(world: &World) {
    let [both, kafka] = ["both", "only"].map(|name| format!("kafka.large.{name}.{}", fresh_uuid()));
    world.add(&both, &json!({"sinks": ["log", "kafka"]}));
    world.add(&kafka, &json!({"sinks": ["kafka"], "accept": "kafka"}));
    let event = |stream: &str, id: &str| {
        let empty = job_event(stream, id, r#","filler":"""#);
        let filler = "x".repeat(1_048_570 - empty.len());
        job_event(stream, id, &format!(r#","filler":"{filler}""#))
    };
    let id = fresh_uuid();
    let _ = world.dev.instance.post(event(&both, &id)).expect(201);
    let letter = letter(world, &both);
    assert_eq!(letter["sinks"], json!(["kafka"]));
    assert!(
        letter["reason"]
            .as_str()
            .is_some_and(|reason| reason.contains("larger")),
        "{letter}"
    );
    assert_eq!(found_in_log(&world.dev.instance, &both).get(&id), Some(&1));
    let answer = world.dev.instance.post(event(&kafka, &fresh_uuid())).expect(400);
    assert!(answer.text().contains("make it smaller"), "{}", answer.text());
}

fn accept_kafka_waits_for_the_acknowledgement(world: &World) {
    let stream = format!("kafka.ack.{}", fresh_uuid());
    world.add(&stream, &json!({"sinks": ["kafka"], "accept": "kafka"}));
    for trouble in [
        Trouble::HungUp,
        Trouble::Answered(OVERLOADED),
        Trouble::Answered(PAGE),
        Trouble::CutAfter(0),
    ] {
        world.door.make(Some(trouble));
        let answer = world.dev.instance.post(job_event(&stream, &fresh_uuid(), ""));
        assert_eq!(answer.status, 503, "{trouble:?}: {}", answer.text());
        assert!(answer.header("retry-after").is_some());
    }
    world.door.make(None);
    let ids = world.post(&stream);
    let delivered = world.delivered(&stream);
    assert!(
        ids.iter().all(|id| delivered.get(id) == Some(&1)),
        "{delivered:?}"
    );
}

fn whatever_fails_every_accepted_event_is_in_kafka_and_once_in_the_log(world: &World) {
    let instance = &world.dev.instance;
    let accepts = ["log", "queue", "kafka"];
    let mut loads = accepts.map(|accept| Load::new(&format!("all faults of the way, accept: {accept}")));
    let settings = accepts.map(|accept| json!({"sinks": ["log", "kafka"], "accept": accept}));
    publish(instance, loads.iter().zip(settings));
    let mut post = |may_wait_for_kafka: bool| {
        for (load, accept) in loads.iter_mut().zip(accepts) {
            let is_late = accept == "kafka" && !may_wait_for_kafka;
            let expected = if is_late { 503 } else { 201 };
            assert_eq!(load.post(instance, EVENTS), expected, "{}", load.label);
            load.post_invalid(instance);
        }
        thread::sleep(ATTEMPT);
    };
    for trouble in [
        Trouble::HungUp,
        Trouble::Answered(OVERLOADED),
        Trouble::Answered(TOO_MANY),
        Trouble::Answered(PAGE),
        // The acknowledgement is lost, and cut in its middle.
        Trouble::CutAfter(0),
        Trouble::CutAfter(150),
        Trouble::Slow(Duration::from_secs(2)),
    ] {
        world.door.make(Some(trouble));
        post(matches!(trouble, Trouble::Slow(_)));
    }
    world.door.make(None);
    for part in ["bridge", "broker"] {
        world.cluster.down(part);
        post(false);
        world.cluster.up();
    }
    post(true);
    send_until_accepted(&instance.origin, &mut loads, &mut Seeded::new(1));
    let broker = world.cluster.broker();
    for (load, accept) in loads.iter().zip(accepts) {
        let tally = load.check(instance, Some(&broker), true);
        // Kafka had what was answered 503 because the acknowledgement was lost.
        assert!(accept != "kafka" || tally.duplicates >= EVENTS, "{tally}");
    }
}
