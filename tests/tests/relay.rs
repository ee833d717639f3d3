//! Streaming events out.

use std::collections::BTreeSet;
use std::thread;
use std::time::Duration;

use eventstar_tests::admin::add_known_streams;
use eventstar_tests::events::{PrivateStream, order_event, page_view_event};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::text::{get, replace};
use eventstar_tests::{Events, Instance, Request, SseEvent, golden};
use serde_json::json;

fn ids(events: &[SseEvent]) -> Vec<String> {
    events.iter().map(SseEvent::meta_id).collect()
}

fn fresh_ids(count: usize) -> Vec<String> {
    (0..count).map(|_| fresh_uuid()).collect()
}

#[test]
fn an_event_is_framed_byte_for_byte() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("framing");
    let sent = stream.event(&fresh_uuid());
    instance.produce(std::slice::from_ref(&sent));
    let mut events = Events::open(&instance.origin, &stream.from_the_beginning());
    assert_eq!(events.answer.header("content-type"), Some("text/event-stream"));
    assert_eq!(events.answer.header("cache-control"), Some("no-cache"));
    assert_eq!(events.answer.header("access-control-allow-origin"), Some("*"));

    let event = events.next_event();
    let (topic, next_time) = (&stream.name, event.timestamp() + 1);
    let dt = get(&event.data, &["meta", "dt"]).expect("meta.dt").to_owned();
    let place = format!(r#""request_id":"r-1","topic":"{topic}","partition":0,"offset":0}}"#);
    let data = replace(&sent, &["meta", "dt"], &dt).replace(r#""request_id":"r-1"}"#, &place);
    let expected = format!(
        "event: message\nid: [{{\"topic\":\"{topic}\",\"partition\":0,\"offset\":1,\"timestamp\":{next_time}}}]\n\
         data: {data}\n\n"
    );
    assert_eq!(event.raw, expected);
}

#[test]
fn the_content_type_follows_the_accept_header_as_in_eventstreams() {
    let instance = Instance::from_env();
    let request = Request::get(&PrivateStream::new("accept").live()).header("accept", "text/event-stream");
    let (answer, _) = instance.origin.open(&request).unwrap();
    assert_eq!(
        answer.header("content-type"),
        Some("text/event-stream; charset=utf-8")
    );
}

#[test]
fn an_event_posted_after_the_stream_is_open_arrives_within_five_seconds() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("live");
    let mut events = Events::open(&instance.origin, &stream.live());
    for id in fresh_ids(20) {
        let _ = instance.post(stream.event(&id)).expect(201);
        assert_eq!(events.next_within(Duration::from_secs(5)).meta_id(), id);
    }
}

#[test]
fn nothing_posted_after_ok_is_missed_however_many_streams_are_opened() {
    let instance = Instance::from_env();
    for _ in 0..5 {
        let streams: Vec<PrivateStream> = (0..60).map(|n| PrivateStream::new(&format!("ok{n}"))).collect();
        let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
        let mut expected = fresh_ids(streams.len());
        let sent: Vec<String> = streams
            .iter()
            .zip(&expected)
            .map(|(stream, id)| stream.event(id))
            .collect();
        let mut events = Events::open(&instance.origin, &format!("/v2/stream/{}", names.join(",")));
        instance.produce(&sent);
        let mut seen = ids(&events.take(streams.len()));
        seen.sort();
        expected.sort();
        assert_eq!(seen, expected);
    }
}

#[test]
fn a_stream_opened_without_a_position_has_only_what_comes_after() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("latest");
    let (before, after) = (fresh_uuid(), fresh_uuid());
    instance.produce(&[stream.event(&before)]);
    let mut events = Events::open(&instance.origin, &stream.live());
    instance.produce(&[stream.event(&after)]);
    assert_eq!(events.next_event().meta_id(), after);
}

#[test]
fn every_reader_of_a_stream_gets_every_event() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("readers");
    let mut readers: Vec<Events> = (0..20)
        .map(|_| Events::open(&instance.origin, &stream.live()))
        .collect();
    let sent = fresh_ids(50);
    for batch in sent.chunks(7) {
        instance.produce(&batch.iter().map(|id| stream.event(id)).collect::<Vec<_>>());
    }
    for reader in &mut readers {
        assert_eq!(ids(&reader.take(sent.len())), sent);
    }
}

#[test]
fn several_streams_come_over_one_connection() {
    let instance = Instance::from_env();
    let streams: Vec<PrivateStream> = (0..4)
        .map(|n| PrivateStream::new(&format!("several{n}")))
        .collect();
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    let mut events = Events::open(&instance.origin, &format!("/v2/stream/{}", names.join(",")));
    let sent = fresh_ids(20);
    for (nth, id) in sent.iter().enumerate() {
        instance.produce(&[streams[nth % 4].event(id)]);
    }
    let seen = events.take(20);
    for (nth, stream) in streams.iter().enumerate() {
        let own: Vec<&SseEvent> = seen
            .iter()
            .filter(|event| event.json()["meta"]["stream"] == stream.name)
            .collect();
        let expected: Vec<&String> = sent.iter().skip(nth).step_by(4).collect();
        assert_eq!(
            own.iter().map(|event| event.meta_id()).collect::<Vec<_>>(),
            expected.into_iter().cloned().collect::<Vec<_>>()
        );
    }
    let last: serde_json::Value = serde_json::from_str(&seen[19].id).unwrap();
    let topics: Vec<_> = last
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| entry["topic"].as_str().unwrap())
        .collect();
    assert_eq!(
        topics, names,
        "the id names every topic in the order of the request"
    );
}

/// Producers that post one event after the other, each with a key of its own, and all at the same time.
#[test]
fn the_events_of_a_key_are_in_the_order_in_which_they_were_accepted() {
    const EVENTS: u64 = 25;
    let instance = Instance::from_env();
    let stream = format!("order.{}", fresh_uuid());
    let settings = json!({
        "schema_title": "shop/order", "partitions": 4, "message_key_fields": {"order": "order.order_id"}, "accept": "log",
    });
    add_known_streams(&instance, &json!({&stream: settings}));
    let keys: Vec<String> = (0..8).map(|key| format!("order-{key}")).collect();
    let accepted: Vec<Vec<String>> = thread::scope(|scope| {
        let producers: Vec<_> = keys
            .iter()
            .map(|key| {
                scope.spawn(|| {
                    let ids = fresh_ids(usize::try_from(EVENTS).expect("a number"));
                    for id in &ids {
                        instance.produce(&[order_event(&stream, id, key)]);
                    }
                    ids
                })
            })
            .collect();
        producers
            .into_iter()
            .map(|producer| producer.join().expect("a producer"))
            .collect()
    });
    let path = format!("/v2/stream/{stream}?since=2020-01-01T00:00:00Z");
    let events = Events::open(&instance.origin, &path).take(keys.len() * accepted[0].len());
    let mut used = BTreeSet::new();
    for (key, accepted) in keys.iter().zip(&accepted) {
        let own: Vec<SseEvent> = events
            .iter()
            .filter(|event| event.json()["order"]["order_id"] == **key)
            .cloned()
            .collect();
        assert_eq!(&ids(&own), accepted, "{key}");
        used.extend(own.iter().map(|event| event.json()["meta"]["partition"].as_u64()));
    }
    assert!(used.len() > 1, "{used:?}");
}

#[test]
fn a_partitioned_stream_delivers_all_partitions_and_keeps_a_key_in_one() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/shop.order");
    let run = fresh_uuid();
    let mut sent = Vec::new();
    for round in 0..3 {
        let batch: Vec<String> = (0..20)
            .map(|order| {
                let id = fresh_uuid();
                let event = order_event("shop.order", &id, &format!("{order}-{}", &run[..8]));
                sent.push((order, round, id));
                event
            })
            .collect();
        instance.produce(&batch);
    }
    let mut seen = Vec::new();
    while seen.len() < sent.len() {
        let event = events.next_event();
        if sent.iter().any(|(_, _, id)| *id == event.meta_id()) {
            seen.push(event);
        }
    }
    let mut used = [0; 2];
    for order in 0..20 {
        let own: Vec<&(i32, i32, String)> = sent.iter().filter(|(other, _, _)| *other == order).collect();
        let arrived: Vec<&SseEvent> = seen
            .iter()
            .filter(|event| own.iter().any(|(_, _, id)| *id == event.meta_id()))
            .collect();
        let arrived_ids: Vec<String> = arrived.iter().map(|event| event.meta_id()).collect();
        assert_eq!(
            arrived_ids,
            own.iter().map(|(_, _, id)| id.clone()).collect::<Vec<_>>(),
            "order {order}"
        );
        let meta = arrived[0].json()["meta"].clone();
        assert_eq!(meta["key"], json!({"order_id": format!("{order}-{}", &run[..8])}));
        assert!(
            arrived
                .iter()
                .all(|event| event.json()["meta"]["partition"] == meta["partition"]),
            "order {order}"
        );
        used[usize::try_from(meta["partition"].as_u64().unwrap()).unwrap()] += 1;
    }
    assert!(used[0] > 0 && used[1] > 0, "both partitions are used: {used:?}");
    for partition in 0..2 {
        assert!(
            seen[59].position("shop.order", partition)["offset"].is_u64(),
            "{}",
            seen[59].id
        );
    }
}

#[test]
fn an_event_of_a_queue_stream_arrives_once() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/web.page_view");
    let sent = fresh_ids(30);
    for batch in sent.chunks(4) {
        instance.produce(&batch.iter().map(|id| page_view_event(id)).collect::<Vec<_>>());
    }
    let mut seen = Vec::new();
    while sent.iter().any(|id| !seen.contains(id)) {
        let event = events.next_event();
        if sent.contains(&event.meta_id()) {
            assert_eq!(event.json()["meta"]["topic"], "east.web.page_view");
            seen.push(event.meta_id());
        }
    }
    let last = fresh_uuid();
    instance.produce(&[page_view_event(&last)]);
    seen.extend(
        ids(&events.up_to(&last))
            .into_iter()
            .filter(|id| sent.contains(id)),
    );
    seen.sort();
    let mut expected = sent;
    expected.sort();
    assert_eq!(seen, expected, "every event once");
}

#[test]
fn a_quiet_stream_carries_heartbeats() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, &PrivateStream::new("quiet").live());
    assert_eq!(events.heartbeat(), ":\n\n");
    assert_eq!(events.heartbeat(), ":\n\n");
}

#[test]
fn readers_that_go_away_leave_the_stream_working() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("away");
    // More than a host may hold at a time, if it held those that went.
    for _ in 0..8 {
        let readers: Vec<Events> = (0..40)
            .map(|_| Events::open(&instance.origin, &stream.live()))
            .collect();
        instance.produce(&[stream.event(&fresh_uuid())]);
        drop(readers);
    }
    let mut events = Events::open(&instance.origin, &stream.live());
    let id = fresh_uuid();
    instance.produce(&[stream.event(&id)]);
    assert_eq!(events.next_event().meta_id(), id);
}

#[test]
fn head_is_answered_with_the_headers_alone() {
    let instance = Instance::from_env();
    let answer = instance
        .send(&Request::new("HEAD", "/v2/stream/test.event"))
        .expect(200);
    assert_eq!(answer.header("content-type"), Some("text/event-stream"));
    assert!(answer.body.is_empty());
}

#[test]
fn an_unknown_stream_is_answered_400_with_the_names() {
    let instance = Instance::from_env();
    for (name, streams, unknown) in [
        ("one", "no.such.stream", "no.such.stream"),
        (
            "several",
            "no.such.stream,test.event,neither",
            "no.such.stream,neither",
        ),
        ("regex", "%2F%5Ejob%5C.run%5C..%2B%2F", r"/^job\.run\..+/"),
        ("form", "a%20b", "a b"),
    ] {
        let request = Request::get(&format!("/v2/stream/{streams}"));
        let answer = instance.send(&request).expect(400);
        assert_eq!(
            answer.json(),
            json!({
                "status": 400,
                "type": "not_found",
                "title": "Stream Not Found",
                "detail": format!("Invalid streams: {unknown}"),
                "method": "GET",
                "uri": format!("/v2/stream/{streams}")
            })
        );
        golden::check(&format!("relay/unknown_stream_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn a_preflight_of_a_stream_lets_readers_resume() {
    let instance = Instance::from_env();
    let request = Request::new("OPTIONS", "/v2/stream/test.event")
        .header("origin", "https://shop.example.org")
        .header("access-control-request-method", "GET")
        .header("access-control-request-headers", "last-event-id");
    let answer = instance.send(&request).expect(200);
    assert_eq!(answer.header("allow"), Some("GET,HEAD"));
    let allowed = answer
        .header("access-control-allow-headers")
        .unwrap_or_default()
        .to_lowercase();
    assert!(allowed.contains("last-event-id"), "{allowed}");
    golden::check("relay/preflight", &request, &answer, &[]);
}
