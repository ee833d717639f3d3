use std::cell::Cell;
use std::collections::BTreeMap;
use std::time::Duration;

use eventstar_event::Topic;
use eventstar_log::FrameDecoder;
use eventstar_platform_memory::MemorySql;
use eventstar_ports::PortErrorKind;
use futures_util::future::LocalBoxFuture;

use super::*;
use crate::object_api::{append_request, append_result, follow_request, registry_request, registry_result};
use crate::{SqlRegistry, UpstreamMemory};

/// A timer that never rings.
#[derive(Clone)]
struct Never;

impl Timer for Never {
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
        std::future::pending()
    }
}

/// A timer that never rings, and counts how often it was set.
#[derive(Clone, Default)]
struct Counting(Rc<Cell<u32>>);

impl Timer for Counting {
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
        self.0.set(self.0.get() + 1);
        std::future::pending()
    }
}

/// A timer that rings at once.
#[derive(Clone)]
struct AtOnce;

impl Timer for AtOnce {
    fn sleep(&self, _: Duration) -> impl Future<Output = ()> + 'static {
        std::future::ready(())
    }
}

/// When the first event is received.
const START: u64 = 100 * 3_600_000;

fn name() -> LogName {
    LogName {
        topic: Topic::parse("x").unwrap(),
        partition: 0,
        epoch: 0,
    }
}

fn events(ids: std::ops::Range<u64>) -> Vec<Envelope> {
    ids.map(|id| Envelope {
        id: id.to_string(),
        dt: START + id,
        stream: "x".into(),
        key: None,
        headers: BTreeMap::new(),
        event: format!("{{\"n\":{id}}}"),
    })
    .collect()
}

async fn append<T: Timer + Clone + 'static>(object: &Rc<LogObject<MemorySql, T>>, ids: std::ops::Range<u64>) {
    let answer = object
        .handle(append_request(&name(), &events(ids), None), 0)
        .await;
    let status = answer.status();
    let Body::Full(body) = answer.into_body() else {
        panic!("streams")
    };
    append_result(status, &body).unwrap();
}

async fn follow<T: Timer + Clone + 'static>(
    object: &Rc<LogObject<MemorySql, T>>,
    start: Start,
) -> eventstar_ports::ByteStream {
    match object.handle(follow_request(&name(), start), 0).await.into_body() {
        Body::Stream(stream) => stream,
        Body::Full(body) => panic!("{body:?}"),
    }
}

/// Reads frames until `count` events have come; panics when the stream would wait for ever.
fn read(stream: &mut eventstar_ports::ByteStream, count: usize) -> Vec<u64> {
    let mut decoder = FrameDecoder::default();
    let mut offsets = Vec::new();
    while offsets.len() < count {
        let next: LocalBoxFuture<'_, _> = stream.next().boxed_local();
        decoder.push(
            &next
                .now_or_never()
                .expect("a frame is ready")
                .expect("the stream goes on"),
        );
        while let Some(frame) = decoder.next_frame().unwrap() {
            if let Frame::Chunk(chunk) = frame {
                offsets.extend(chunk.base..chunk.next());
            }
        }
    }
    offsets
}

#[test]
fn many_followers_get_what_comes_within_a_moment_as_one_piece_and_few_get_it_at_once() {
    pollster::block_on(async {
        for (followers, pieces) in [(FEW_FOLLOWERS - 1, 5), (FEW_FOLLOWERS, 1), (300, 1)] {
            let object = LogObject::new(MemorySql::default(), Gate::default(), 60_000);
            let mut streams = Vec::new();
            for _ in 0..followers {
                let mut stream = follow(&object, Start::Latest).await;
                assert!(stream.next().await.is_some(), "opened");
                assert!(stream.next().now_or_never().is_none(), "subscribed");
                streams.push(stream);
            }
            let mut first = Vec::new();
            for id in 0..5 {
                append(&object, id..id + 1).await;
                first.extend(streams[0].next().now_or_never().flatten());
            }
            object.timer.open();
            first.extend(streams[0].next().now_or_never().flatten());
            assert_eq!(first.len(), pieces, "{followers} followers");
            let mut decoder = FrameDecoder::default();
            first.iter().for_each(|piece| decoder.push(piece));
            let mut offsets = Vec::new();
            while let Some(Frame::Chunk(chunk)) = decoder.next_frame().unwrap() {
                offsets.extend(chunk.base..chunk.next());
            }
            assert_eq!(offsets, [0, 1, 2, 3, 4], "{followers} followers");
        }
    });
}

/// Moments last until it is opened; nothing longer passes.
#[derive(Debug, Clone, Default)]
struct Gate(Rc<Cell<bool>>);

impl Gate {
    fn open(&self) {
        self.0.set(true);
    }
}

impl Timer for Gate {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        let gate = Rc::clone(&self.0);
        std::future::poll_fn(move |_| match gate.get() && duration < Duration::from_secs(1) {
            true => std::task::Poll::Ready(()),
            false => std::task::Poll::Pending,
        })
    }
}

#[test]
fn what_is_no_frame_ends_the_frames_with_an_error() {
    pollster::block_on(async {
        let pieces = ["\n", "<html>oops</html>\n", "\n"].map(|piece| Bytes::from_static(piece.as_bytes()));
        let frames = crate::object_api::frames(futures_util::stream::iter(pieces));
        let frames: Vec<_> = frames.collect().await;
        assert!(
            matches!(frames.as_slice(), [Ok(Frame::Heartbeat), Err(_)]),
            "{frames:?}"
        );
    });
}

#[test]
fn an_append_reaches_every_follower_after_what_was_there() {
    pollster::block_on(async {
        let object = LogObject::new(MemorySql::default(), Never, 60_000);
        append(&object, 0..3).await;
        let mut from_start = follow(&object, Start::Offset(0)).await;
        let mut latest = follow(&object, Start::Latest).await;
        assert_eq!(read(&mut from_start, 3), [0, 1, 2]);
        assert!(latest.next().await.is_some(), "opened");
        assert!(latest.next().now_or_never().is_none(), "nothing new yet");
        append(&object, 3..5).await;
        assert_eq!(read(&mut from_start, 2), [3, 4]);
        assert_eq!(read(&mut latest, 2), [3, 4]);
    });
}

#[test]
fn a_follower_too_slow_for_its_queue_reads_on_from_the_log_and_misses_nothing() {
    pollster::block_on(async {
        let object = LogObject::new(MemorySql::default(), Never, 60_000);
        let mut slow = follow(&object, Start::Latest).await;
        assert!(slow.next().await.is_some(), "opened");
        assert!(slow.next().now_or_never().is_none(), "subscribed");
        let many = 3 * FOLLOWER_QUEUE as u64;
        for id in 0..many {
            append(&object, id..id + 1).await;
        }
        assert_eq!(object.followers(), 0, "its queue was taken away");
        assert_eq!(read(&mut slow, many as usize), (0..many).collect::<Vec<_>>());
    });
}

#[test]
fn a_follower_that_went_is_forgotten() {
    pollster::block_on(async {
        let object = LogObject::new(MemorySql::default(), Never, 60_000);
        for _ in 0..10 {
            let mut stream = follow(&object, Start::Latest).await;
            assert!(stream.next().await.is_some(), "opened");
            assert!(stream.next().now_or_never().is_none(), "subscribed");
            assert_eq!(object.followers(), 1);
        }
        assert_eq!(object.followers(), 0);
    });
}

#[test]
fn hundreds_of_followers_come_and_go_and_a_new_one_still_reads() {
    pollster::block_on(async {
        let gate = Gate::default();
        gate.open();
        let object = LogObject::new(MemorySql::default(), gate, 60_000);
        let mut streams = Vec::new();
        for _ in 0..300 {
            let mut stream = follow(&object, Start::Latest).await;
            assert!(stream.next().await.is_some(), "opened");
            assert!(stream.next().now_or_never().is_none(), "subscribed");
            streams.push(stream);
        }
        assert_eq!(object.followers(), 300);
        append(&object, 0..1).await;
        streams.truncate(100);
        assert_eq!(object.followers(), 100);
        for stream in &mut streams {
            assert_eq!(read(stream, 1), [0]);
        }
        streams.clear();
        assert_eq!(object.followers(), 0);
        append(&object, 1..2).await;
        assert_eq!(read(&mut follow(&object, Start::Offset(0)).await, 2), [0, 1]);
    });
}

#[test]
fn a_follower_behind_what_was_dropped_goes_on_with_the_first_event_there_is() {
    pollster::block_on(async {
        /// Both are counted from the first event: when what came before has expired, and when all has.
        const LATER: u64 = Retention::DEFAULT_MS + 1000;
        const LAST: u64 = 2 * LATER + 1000;
        let object = LogObject::new(MemorySql::default(), Never, 60_000);
        append(&object, 0..3).await;
        let mut behind = follow(&object, Start::Offset(0)).await;
        let mut at_the_end = follow(&object, Start::Latest).await;
        assert!(behind.next().await.is_some(), "opened");
        assert!(at_the_end.next().await.is_some(), "opened");
        assert!(at_the_end.next().now_or_never().is_none(), "subscribed");
        object.ring(START + LATER).await.unwrap();
        assert!(behind.next().now_or_never().is_none(), "everything has expired");
        append(&object, LATER..LATER + 2).await;
        assert_eq!(read(&mut behind, 2), [3, 4]);
        assert_eq!(read(&mut at_the_end, 2), [3, 4]);
        // Too slow for its queue, which is full of what was dropped since.
        let mut slow = follow(&object, Start::Offset(3)).await;
        assert_eq!(read(&mut slow, 2), [3, 4]);
        for id in 5..5 + 2 * FOLLOWER_QUEUE as u64 {
            append(&object, LATER + id..LATER + id + 1).await;
        }
        object.ring(START + LAST).await.unwrap();
        append(&object, LAST..LAST + 1).await;
        let next = 5 + 2 * FOLLOWER_QUEUE as u64;
        let mut offsets = Vec::new();
        while offsets.last() != Some(&next) {
            offsets.extend(read(&mut slow, 1));
        }
        let queued: Vec<u64> = (5..4 + offsets.len() as u64).collect();
        assert!((FOLLOWER_QUEUE..2 * FOLLOWER_QUEUE).contains(&queued.len()));
        assert_eq!(offsets[..queued.len()], queued);
    });
}

#[test]
fn the_alarm_rings_when_events_expire_and_drops_them() {
    pollster::block_on(async {
        const HOUR: u64 = 3_600_000;
        let sql = MemorySql::default();
        let object = LogObject::new(sql.clone(), Never, 60_000);
        let append = async |dt, now, retention: Option<Retention>| {
            let event = Envelope {
                dt,
                id: dt.to_string(),
                ..events(0..1).remove(0)
            };
            object
                .handle(append_request(&name(), &[event], retention), now)
                .await;
            object.take_alarm()
        };
        let kept_for = |ms| {
            Some(Retention {
                ms: Some(ms),
                ..Retention::default()
            })
        };
        let start = 100 * HOUR;
        assert_eq!(
            append(start, start, kept_for(2 * HOUR)).await,
            Some(start + 2 * HOUR)
        );
        assert_eq!(
            append(start + 1, start + 1, kept_for(2 * HOUR)).await,
            None,
            "known"
        );
        assert_eq!(
            append(start + HOUR + 5, start + HOUR + 5, None).await,
            Some(start + 2 * HOUR + 5),
            "not more often than once an hour"
        );
        // What expired at the same time is dropped together; the rest an hour later at the earliest.
        object.ring(start + 2 * HOUR + 5).await.unwrap();
        assert_eq!(object.take_alarm(), Some(start + 3 * HOUR + 5));
        object.ring(start + 3 * HOUR + 6).await.unwrap();
        assert_eq!(object.take_alarm(), None, "nothing is left");
        let mut reader = follow(&object, Start::Offset(0)).await;
        let opened = reader.next().await.unwrap();
        assert!(
            opened.starts_with(br#"{"opened":{"start":3,"earliest":3,"head":3"#),
            "{opened:?}"
        );
    });
}

#[test]
fn an_alarm_that_could_not_drop_fails_so_that_it_rings_again() {
    pollster::block_on(async {
        let sql = MemorySql::default();
        let object = LogObject::new(sql.clone(), Never, 60_000);
        sql.fail_reads(1);
        assert!(object.ring(1).await.is_err());
        assert!(object.ring(1).await.is_ok());
    });
}

#[test]
fn an_idle_follower_gets_heartbeats() {
    pollster::block_on(async {
        let object = LogObject::new(MemorySql::default(), AtOnce, 60_000);
        let mut stream = follow(&object, Start::Latest).await;
        let opened = stream.next().await.unwrap();
        assert!(opened.starts_with(b"{\"opened\""), "{opened:?}");
        assert_eq!(stream.next().await.unwrap(), "\n");
        assert_eq!(stream.next().await.unwrap(), "\n");
    });
}

#[test]
fn a_follower_sets_one_timer_for_many_chunks() {
    pollster::block_on(async {
        let timer = Counting::default();
        let object = LogObject::new(MemorySql::default(), timer.clone(), 60_000);
        let mut stream = follow(&object, Start::Offset(0)).await;
        assert!(stream.next().await.is_some(), "opened");
        for id in 0..10 {
            assert!(stream.next().now_or_never().is_none(), "nothing new yet");
            append(&object, id..id + 1).await;
            assert_eq!(read(&mut stream, 1), [id]);
        }
        assert_eq!(timer.0.get(), 1);
    });
}

#[test]
fn foreign_requests_are_refused() {
    pollster::block_on(async {
        let object = LogObject::new(MemorySql::default(), Never, 60_000);
        for (path, status) in [
            ("/nope", 404),
            ("/v1/x/0/0/nope", 404),
            ("/v1/x/0/0/follow?start=yesterday", 400),
            ("/v1/x/0/0/append?retention=forever", 400),
        ] {
            let mut request = http::Request::new(Bytes::new());
            *request.uri_mut() = path.parse().unwrap();
            assert_eq!(object.handle(request, 0).await.status(), status, "{path}");
        }
        let mut request = append_request(&name(), &[], None);
        *request.body_mut() = Bytes::from_static(b"nope\n");
        assert_eq!(object.handle(request, 0).await.status(), 400);
    });
}

#[test]
fn the_registry_answers_through_its_object() {
    pollster::block_on(async {
        let memory = eventstar_platform_memory::Memory::new();
        let question = registry_request(&RegistryRequest::StreamConfigHistory);
        let upstreams = UpstreamMemory::default();
        let registry = SqlRegistry::new(memory.sql(), memory.clone());
        let registry = UpstreamRegistry::new(registry, memory, &upstreams);
        let answer = registry_object(registry, question).await;
        let status = answer.status();
        let Body::Full(body) = answer.into_body() else {
            panic!("streams")
        };
        assert!(matches!(
            registry_result(status, &body),
            Ok(eventstar_ports::Published::History(versions)) if versions.is_empty()
        ));
        assert!(registry_result(StatusCode::BAD_GATEWAY, b"<html>").is_err());
    });
}

/// What is throttled or overloaded may be sent again, so the client hears 503.
#[test]
fn an_object_that_is_throttled_or_overloaded_is_unavailable_and_one_that_refuses_is_not() {
    for (status, kind) in [
        (400, PortErrorKind::Rejected),
        (404, PortErrorKind::Rejected),
        (413, PortErrorKind::Rejected),
        (429, PortErrorKind::Unavailable),
        (500, PortErrorKind::Unavailable),
        (503, PortErrorKind::Unavailable),
        (522, PortErrorKind::Unavailable),
        (200, PortErrorKind::Corrupt),
    ] {
        let answer = append_result(StatusCode::from_u16(status).unwrap(), b"overloaded");
        assert_eq!(answer.unwrap_err().kind, kind, "{status}");
    }
}
