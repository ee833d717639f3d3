//! Where a stream starts: `Last-Event-ID` and `since`.

use std::thread;

use eventstar_tests::admin::add_known_streams;
use eventstar_tests::events::{PrivateStream, order_event};
use eventstar_tests::random::{Seeded, fresh_uuid};
use eventstar_tests::{Events, Instance, Request, SseEvent, golden};
use serde_json::json;

fn ids(events: &[SseEvent]) -> Vec<String> {
    events.iter().map(SseEvent::meta_id).collect()
}

fn fresh_ids(count: usize) -> Vec<String> {
    (0..count).map(|_| fresh_uuid()).collect()
}

#[test]
fn a_hundred_random_disconnects_while_posting_lose_and_repeat_nothing() {
    const DISCONNECTS: usize = 100;
    let instance = Instance::from_env();
    let stream = PrivateStream::new("resume");
    let mut random = Seeded::new(11);
    let takes: Vec<usize> = (0..DISCONNECTS)
        .map(|_| usize::try_from(random.between(1, 12)).unwrap())
        .collect();
    let sent = fresh_ids(takes.iter().sum());
    let seen = thread::scope(|scope| {
        scope.spawn(|| {
            let mut random = Seeded::new(7);
            let mut rest = sent.as_slice();
            while !rest.is_empty() {
                let size = usize::try_from(random.between(1, 9)).unwrap().min(rest.len());
                let (batch, after) = rest.split_at(size);
                instance.produce(&batch.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
                rest = after;
            }
        });
        let mut seen = Vec::new();
        let mut events = Events::open(&instance.origin, &stream.from_the_beginning());
        for take in takes {
            seen.extend(ids(&events.take(take)));
            let last_id = events.last_id().expect("an id").to_owned();
            events = Events::resume(&instance.origin, &stream.live(), &last_id);
        }
        seen
    });
    assert_eq!(seen, sent);
}

#[test]
fn who_cannot_send_the_header_goes_on_after_the_id_in_the_address() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("address");
    let sent = fresh_ids(3);
    instance.produce(&sent.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
    let first = Events::open(&instance.origin, &stream.from_the_beginning()).next_event();
    let encoded = |id: &str| id.bytes().map(|byte| format!("%{byte:02X}")).collect::<String>();
    // A client whose JSON knows doubles only.
    let doubles = format!(r#"[{{"topic":"{}","partition":0.0,"offset":1e0}}]"#, stream.name);
    for id in [&first.id, &doubles] {
        for name in ["last_event_id", "lastEventId", "evs_last_event_id"] {
            let path = format!("{}&{name}={}", stream.from_the_beginning(), encoded(id));
            let seen = ids(&Events::open(&instance.origin, &path).take(2));
            assert_eq!(seen, sent[1..], "{path}");
            let seen = ids(&Events::resume(&instance.origin, &path, "").take(2));
            assert_eq!(seen, sent[1..], "{path}, with an empty header");
        }
        assert_eq!(
            ids(&Events::resume(&instance.origin, &stream.live(), id).take(2)),
            sent[1..]
        );
    }
    let seen = ids(&Events::resume(&instance.origin, &stream.from_the_beginning(), "").take(3));
    assert_eq!(seen, sent, "an empty id is none");
}

#[test]
fn an_event_posted_while_the_reader_is_away_is_there_when_it_comes_back() {
    let instance = Instance::from_env();
    let (busy, silent) = (PrivateStream::new("busy"), PrivateStream::new("silent"));
    let path = format!("/v2/stream/{},{}", busy.name, silent.name);
    let mut events = Events::open(&instance.origin, &path);
    instance.produce(&[busy.event(&fresh_uuid())]);
    let last_id = events.next_event().id;
    drop(events);
    let (missed, later) = (fresh_uuid(), fresh_uuid());
    instance.produce(&[silent.event(&missed)]);
    let mut events = Events::resume(&instance.origin, &path, &last_id);
    assert_eq!(
        events.next_event().meta_id(),
        missed,
        "the stream that was silent before the break"
    );
    instance.produce(&[busy.event(&later)]);
    assert_eq!(events.next_event().meta_id(), later);
}

#[test]
fn a_resumed_stream_takes_the_id_before_since() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("priority");
    let sent = fresh_ids(3);
    instance.produce(&sent.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
    let first = Events::open(&instance.origin, &stream.from_the_beginning()).next_event();
    let mut events = Events::resume(&instance.origin, &stream.from_the_beginning(), &first.id);
    assert_eq!(ids(&events.take(2)), sent[1..]);
}

#[test]
fn an_id_may_name_offsets_or_timestamps() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("positions");
    let sent = fresh_ids(3);
    instance.produce(&sent.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
    let topic = &stream.name;
    let by_offset = format!(r#"[{{"topic":"{topic}","partition":0,"offset":1}}]"#);
    let mut events = Events::resume(&instance.origin, &stream.live(), &by_offset);
    assert_eq!(ids(&events.take(2)), sent[1..]);
    let by_time = format!(r#"[{{"topic":"{topic}","partition":0,"timestamp":1577836800000}}]"#);
    let mut events = Events::resume(&instance.origin, &stream.live(), &by_time);
    assert_eq!(ids(&events.take(3)), sent);
}

#[test]
fn an_offset_past_the_end_waits_for_the_next_event_or_goes_on_by_its_timestamp() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("past");
    let (first, second) = (fresh_uuid(), fresh_uuid());
    instance.produce(&[stream.event(&first)]);
    let topic = &stream.name;
    let with_time =
        format!(r#"[{{"topic":"{topic}","partition":0,"offset":99999999999,"timestamp":1577836800000}}]"#);
    let mut events = Events::resume(&instance.origin, &stream.live(), &with_time);
    assert_eq!(
        events.next_event().meta_id(),
        first,
        "the id of another log with a time before the first event"
    );
    let gap = events.gaps()[0].json();
    assert_eq!(
        (&gap["reason"], &gap["to"]["offset"]),
        (&"foreign".into(), &0.into())
    );

    let without = format!(r#"[{{"topic":"{topic}","partition":0,"offset":99999999999}}]"#);
    let mut events = Events::resume(&instance.origin, &stream.live(), &without);
    instance.produce(&[stream.event(&second)]);
    assert_eq!(events.next_event().meta_id(), second);
}

#[test]
fn an_id_that_names_some_topics_reads_only_these() {
    let instance = Instance::from_env();
    let (one, other) = (PrivateStream::new("some"), PrivateStream::new("rest"));
    let (ignored, wanted) = (fresh_uuid(), fresh_uuid());
    instance.produce(&[one.event(&ignored)]);
    instance.produce(&[other.event(&wanted)]);
    let id = format!(r#"[{{"topic":"{}","partition":0,"offset":0}}]"#, other.name);
    let mut events = Events::resume(
        &instance.origin,
        &format!("/v2/stream/{},{}", one.name, other.name),
        &id,
    );
    let event = events.next_event();
    assert_eq!(event.meta_id(), wanted);
    assert!(!event.id.contains(&one.name), "{}", event.id);
}

#[test]
fn since_starts_at_the_first_event_of_that_time_in_both_spellings() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("since");
    let mut events = Events::open(&instance.origin, &stream.live());
    let post = |events: &mut Events| {
        instance.produce(&[stream.event(&fresh_uuid())]);
        events.next_event()
    };
    let early = post(&mut events);
    let late = loop {
        let event = post(&mut events);
        if event.timestamp() > early.timestamp() {
            break event;
        }
    };
    let since = |value: &str| {
        Events::open(&instance.origin, &format!("{}?since={value}", stream.live())).next_event()
    };
    assert_eq!(since(&late.timestamp().to_string()).meta_id(), late.meta_id());
    assert_eq!(since(&early.timestamp().to_string()).meta_id(), early.meta_id());
    assert_eq!(
        since("1577836800000").meta_id(),
        early.meta_id(),
        "milliseconds before the first event"
    );
    let dt = late.json()["meta"]["dt"].as_str().expect("meta.dt").to_owned();
    assert_eq!(since(&dt).meta_id(), late.meta_id(), "{dt}");
    assert_eq!(
        since(&dt.replace(':', "%3A")).meta_id(),
        late.meta_id(),
        "{dt}, percent-encoded"
    );
    assert_eq!(since("2020-01-01").meta_id(), early.meta_id(), "a date");
}

#[test]
fn since_after_the_last_event_waits_for_the_next() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("future");
    instance.produce(&[stream.event(&fresh_uuid())]);
    let mut events = Events::open(
        &instance.origin,
        &format!("{}?since=2099-01-01T00:00:00Z", stream.live()),
    );
    let next = fresh_uuid();
    instance.produce(&[stream.event(&next)]);
    assert_eq!(events.next_event().meta_id(), next);
}

#[test]
fn an_empty_since_is_no_since() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("no_since");
    instance.produce(&[stream.event(&fresh_uuid())]);
    let mut events = Events::open(&instance.origin, &format!("{}?since=", stream.live()));
    let next = fresh_uuid();
    instance.produce(&[stream.event(&next)]);
    assert_eq!(events.next_event().meta_id(), next);
}

#[test]
fn a_partitioned_stream_resumes_in_every_partition() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/shop.order");
    let mut expected = fresh_ids(60);
    let batch: Vec<String> = expected
        .iter()
        .map(|id| order_event("shop.order", id, &fresh_uuid()))
        .collect();
    instance.produce(&batch);
    let mut seen = Vec::new();
    while seen.len() < expected.len() {
        seen.push(events.next_event().meta_id());
        seen.retain(|id| expected.contains(id));
        if seen.len() % 7 == 0 {
            let last_id = events.last_id().expect("an id").to_owned();
            events = Events::resume(&instance.origin, "/v2/stream/shop.order", &last_id);
        }
    }
    seen.sort();
    expected.sort();
    assert_eq!(seen, expected);
}

#[test]
fn a_reader_that_resumes_gets_what_is_in_partitions_that_are_new() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("raised");
    let configure = |partitions: u32| {
        let settings = json!({"schema_title": "job/run", "partitions": partitions});
        add_known_streams(&instance, &json!({&stream.name: settings}));
    };
    configure(1);
    let mut events = Events::open(&instance.origin, &stream.live());
    instance.produce(&[stream.event(&fresh_uuid())]);
    let last_id = events.next_event().id;
    drop(events);
    configure(4);
    let mut sent = fresh_ids(40);
    instance.produce(&sent.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
    let mut events = Events::resume(&instance.origin, &stream.live(), &last_id);
    let mut seen = ids(&events.take(sent.len()));
    seen.sort();
    sent.sort();
    assert_eq!(seen, sent);
    let last_id = events.last_id().expect("an id");
    assert!(last_id.contains("\"partition\":3"), "{last_id}");
    assert!(events.gaps().is_empty());
}

#[test]
fn a_reader_whose_topic_is_gone_is_told_and_goes_on_with_the_rest() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("topics");
    let name = &stream.name;
    let [old, kept, new] = ["old", "kept", "new"].map(|part| format!("{part}.{name}"));
    let configure = |topics: &[&String]| {
        let settings = json!({"schema_title": "job/run", "topics": topics});
        add_known_streams(&instance, &json!({name: settings}));
    };
    configure(&[&old, &kept]);
    let first = fresh_uuid();
    let mut events = Events::open(&instance.origin, &stream.live());
    instance.produce(&[stream.event(&first)]);
    let last_id = events.next_event().id;
    drop(events);
    configure(&[&new, &kept]);
    let second = fresh_uuid();
    instance.produce(&[stream.event(&second)]);
    let mut events = Events::resume(&instance.origin, &stream.live(), &last_id);
    let event = events.next_event();
    assert_eq!(event.meta_id(), second, "it is in the new topic");
    assert!(!event.id.contains(&old), "{}", event.id);
    let [gap] = events.gaps() else {
        panic!("{:?}", events.gaps())
    };
    let gap = gap.json();
    assert_eq!(
        (
            &gap["reason"],
            &gap["topic"],
            &gap["partition"],
            &gap["from"]["offset"]
        ),
        (&json!("gone"), &json!(old), &json!(0), &json!(1))
    );
}

#[test]
fn a_since_that_is_no_time_is_answered_400() {
    let instance = Instance::from_env();
    for (name, since) in [("word", "notadate"), ("month", "2020-13-01"), ("negative", "-1")] {
        let request = Request::get(&format!("/v2/stream/test.event?since={since}"));
        let answer = instance.send(&request).expect(400);
        assert_eq!(
            answer.json(),
            json!({
                "status": 400,
                "type": "invalid_timestamp",
                "title": "Invalid timestamp",
                "detail": format!(
                    "since timestamp is not a UTC milliseconds unix epoch and was not parseable: '{since}'"
                ),
                "method": "GET",
                "uri": format!("/v2/stream/test.event?since={since}")
            })
        );
        golden::check(&format!("relay/bad_since_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn a_last_event_id_that_names_no_position_is_refused() {
    let instance = Instance::from_env();
    for (name, id, status) in [
        ("not_json", "\"\"\"{nope", 400),
        ("no_array", r#"{"topic":"test.event"}"#, 400),
        ("empty", "[]", 400),
        ("no_position", r#"[{"topic":"test.event","partition":0}]"#, 400),
        (
            "text_offset",
            r#"[{"topic":"test.event","partition":0,"offset":"x"}]"#,
            400,
        ),
        (
            "other_topic",
            r#"[{"topic":"_nope","partition":0,"offset":0}]"#,
            404,
        ),
    ] {
        let request = Request::get("/v2/stream/test.event").header("last-event-id", id);
        let answer = instance.send(&request).expect(status);
        let _ = answer.json();
        golden::check(&format!("relay/last_event_id_{name}"), &request, &answer, &[]);
    }
}
