//! Retention: what a stream need not keep goes, and its log goes on where it was.

use std::time::{Duration, Instant, SystemTime};

use eventstar_tests::admin::{add_known_streams, comes_true_within};
use eventstar_tests::events::{PrivateStream, array};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::sse::{Events, events_of};
use eventstar_tests::{Instance, Request, SseEvent};
use serde_json::{Value, json};

/// Longer than it may take until an event expires that is kept for a second.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than it may take until events of a stream go to which nothing more is posted: on Spin an instance looks for them once
/// a minute, when a request comes to it.
const QUIET: Duration = Duration::from_secs(75);

/// A new stream with this retention, to which one event was posted.
fn stream(instance: &Instance, retention: &Value) -> PrivateStream {
    let stream = PrivateStream {
        name: format!("retention.{}", fresh_uuid()),
    };
    let settings = json!({"schema_title": "job/run", "retention": retention});
    add_known_streams(instance, &json!({&stream.name: settings}));
    instance.produce(&[stream.event(&fresh_uuid())]);
    stream
}

/// The stream's events, with a new one at the end.
fn all(instance: &Instance, stream: &PrivateStream) -> Vec<SseEvent> {
    let last = fresh_uuid();
    instance.produce(&[stream.event(&last)]);
    Events::open(&instance.origin, &stream.from_the_beginning()).up_to(&last)
}

fn offsets(events: &[SseEvent]) -> Vec<u64> {
    events.iter().map(SseEvent::offset).collect()
}

#[test]
fn a_log_larger_than_its_stream_may_be_loses_its_oldest_events() {
    let instance = Instance::from_env();
    let stream = stream(&instance, &json!({"bytes": 700_000}));
    for _ in 0..6 {
        let batch: Vec<String> = (0..3)
            .map(|_| stream.event_of_size(&fresh_uuid(), 100_000))
            .collect();
        instance.produce(&batch);
    }
    // One event, and six batches of 300 kB, of which three are kept: two would be less than 700 kB.
    let expected: Vec<u64> = (10..20).collect();
    assert_eq!(offsets(&all(&instance, &stream)), expected);
}

#[test]
fn events_older_than_their_stream_keeps_them_are_gone_and_offsets_go_on() {
    let instance = Instance::from_env();
    let stream = stream(&instance, &json!({"ms": 1000}));
    let deadline = Instant::now() + PATIENCE;
    let mut posted = 1;
    let left = loop {
        let left = offsets(&all(&instance, &stream));
        posted += 1;
        if left[0] > 0 {
            break left;
        }
        assert!(Instant::now() < deadline, "{left:?}");
        std::thread::sleep(Duration::from_millis(300));
    };
    assert_eq!(left.last(), Some(&(posted - 1)));
    assert!(left.windows(2).all(|pair| pair[0] + 1 == pair[1]), "{left:?}");
}

#[test]
fn events_expire_though_nothing_more_is_posted() {
    let instance = Instance::from_env();
    let stream = stream(&instance, &json!({"ms": 1000}));
    let since_the_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    let after = since_the_epoch.expect("a clock").as_millis() + 1;
    let path = format!("{}&until={after}", stream.from_the_beginning());
    let kept = || {
        events_of(&instance.get(&path).expect(200).text())
            .iter()
            .any(|event| event.event == "message")
    };
    comes_true_within(QUIET, "the only event has expired", || !kept());
    // The log goes on where it was.
    assert_eq!(offsets(&all(&instance, &stream)), [1]);
}

#[test]
fn a_reader_goes_on_over_what_was_dropped_while_it_was_away() {
    let instance = Instance::from_env();
    let stream = stream(&instance, &json!({"bytes": 1}));
    let mut reader = Events::open(&instance.origin, &stream.from_the_beginning());
    assert_eq!(reader.next_event().offset(), 0);
    let position = reader.last_id().expect("an id").to_owned();
    drop(reader);
    for _ in 0..3 {
        let batch: Vec<String> = (0..3)
            .map(|_| stream.event_of_size(&fresh_uuid(), 100_000))
            .collect();
        instance.produce(&batch);
    }
    let mut reader = Events::resume(&instance.origin, &stream.live(), &position);
    let next = fresh_uuid();
    let _ = instance.post(array(&[stream.event(&next)])).expect(201);
    assert_eq!(offsets(&reader.up_to(&next)), [7, 8, 9, 10]);
    let gap = reader.gaps()[0].json();
    assert_eq!(gap["reason"], "expired");
    assert_eq!(
        (&gap["from"]["offset"], &gap["to"]["offset"]),
        (&1.into(), &7.into())
    );
}

#[test]
fn a_retention_that_is_none_is_refused_with_its_place() {
    let instance = Instance::from_env();
    for (retention, place) in [
        (json!(7), "/retention"),
        (json!({"ms": "7d"}), "/retention/ms"),
        (json!({"bytes": 9_000_000_000_u64}), "/retention/bytes"),
    ] {
        let config = json!({"retention.bad": {"retention": retention}});
        let request = Request::put_json(eventstar_tests::admin::STREAM_CONFIGS, config.to_string());
        let refused = instance.admin(request.header("if-match", "*")).expect(400).json();
        let detail = refused["detail"].as_str().expect("a detail");
        assert!(detail.contains(&format!("/retention.bad{place}:")), "{detail}");
    }
}
