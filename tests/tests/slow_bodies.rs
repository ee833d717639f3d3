//! Clients that send their body slowly, or not to its end.

use std::io;
use std::thread::sleep;
use std::time::{Duration, Instant};

use eventstar_tests::events::PrivateStream;
use eventstar_tests::http::Raw;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Answer, Events, Instance, SseEvent};

/// Longer than any answer takes that nobody holds up, shorter than the patience of a client.
const AT_ONCE: Duration = Duration::from_secs(10);

/// How the end of a body is told.
#[derive(Debug, Clone, Copy)]
enum Framing {
    Length,
    Chunked,
}

const FRAMINGS: [Framing; 2] = [Framing::Length, Framing::Chunked];

/// A body on its way.
struct Slow {
    raw: Raw,
    framing: Framing,
}

impl Slow {
    /// Sends the head of a request whose body will have `length` bytes.
    fn begin(instance: &Instance, framing: Framing, length: usize) -> Self {
        let mut raw = instance.origin.raw().unwrap();
        let header = match framing {
            Framing::Length => format!("content-length: {length}"),
            Framing::Chunked => "transfer-encoding: chunked".to_owned(),
        };
        raw.post_head("/v1/events", &header).unwrap();
        Self { raw, framing }
    }

    fn send(&mut self, piece: &str) {
        self.raw
            .send(match self.framing {
                Framing::Length => piece.to_owned(),
                Framing::Chunked => format!("{:x}\r\n{piece}\r\n", piece.len()),
            })
            .unwrap();
    }

    fn finish(mut self) -> Answer {
        if let Framing::Chunked = self.framing {
            self.raw.send("0\r\n\r\n").unwrap();
        }
        self.raw.answer().unwrap()
    }
}

/// Posts an event that must be accepted at once.
#[track_caller]
fn post_at_once(instance: &Instance, stream: &PrivateStream) -> String {
    let id = fresh_uuid();
    let begun = Instant::now();
    let _ = instance.post(stream.event(&id)).expect(201);
    assert!(begun.elapsed() < AT_ONCE, "answered after {:?}", begun.elapsed());
    id
}

fn ids(instance: &Instance, stream: &PrivateStream, count: usize) -> Vec<String> {
    let mut events = Events::open(&instance.origin, &stream.from_the_beginning());
    events.take(count).iter().map(SseEvent::meta_id).collect()
}

#[test]
fn a_body_that_comes_slowly_is_accepted_and_nobody_waits_for_it() {
    let instance = Instance::from_env();
    for framing in FRAMINGS {
        let stream = PrivateStream::new("slow");
        let id = fresh_uuid();
        let body = stream.event(&id);
        let mut slow = Slow::begin(&instance, framing, body.len());
        let (first, rest) = body.split_at(body.len() / 2);
        slow.send(first);
        let other = post_at_once(&instance, &stream);
        let _ = instance.get("/intake/healthz").expect(200);
        let (rest, last) = rest.split_at(rest.len() - 1);
        for piece in rest.as_bytes().chunks(rest.len().div_ceil(20)) {
            slow.send(std::str::from_utf8(piece).unwrap());
            sleep(Duration::from_millis(25));
        }
        let another = post_at_once(&instance, &stream);
        slow.send(last);
        assert_eq!(slow.finish().expect(201).text(), "", "{framing:?}");
        assert_eq!(ids(&instance, &stream, 3), [other, another, id], "{framing:?}");
    }
}

#[test]
fn many_bodies_that_hang_hold_nobody_up() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("hanging");
    let bodies: Vec<String> = (0..40).map(|_| stream.event(&fresh_uuid())).collect();
    let mut hanging: Vec<Slow> = Vec::new();
    for (body, framing) in bodies.iter().zip(FRAMINGS.iter().cycle()) {
        let mut slow = Slow::begin(&instance, *framing, body.len());
        slow.send(&body[..body.len() / 2]);
        hanging.push(slow);
    }
    let first = post_at_once(&instance, &stream);
    for (mut slow, body) in hanging.into_iter().zip(&bodies) {
        slow.send(&body[body.len() / 2..]);
        let _ = slow.finish().expect(201);
    }
    let seen = ids(&instance, &stream, bodies.len() + 1);
    assert_eq!(seen[0], first);
}

#[test]
fn a_request_that_is_cut_off_stores_nothing_and_the_server_goes_on() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("cut");
    let event = stream.event(&fresh_uuid());
    let length = |length: usize| format!("content-length: {length}");
    let chunked = "transfer-encoding: chunked".to_owned();
    let half = &event[..event.len() / 2];
    // Where the body is a whole event, only its framing tells that it is not all of it.
    let cases = [
        ("headers alone", length(event.len()), String::new()),
        ("half a body", length(event.len()), half.to_owned()),
        ("all but a byte", length(event.len() + 1), event.clone()),
        ("headers alone, chunked", chunked.clone(), String::new()),
        (
            "half a chunk",
            chunked.clone(),
            format!("{:x}\r\n{half}", event.len()),
        ),
        (
            "no last chunk",
            chunked.clone(),
            format!("{:x}\r\n{event}\r\n", event.len()),
        ),
        (
            "half of the last chunk",
            chunked.clone(),
            format!("{:x}\r\n{event}\r\n0", event.len()),
        ),
        (
            "a chunk that says it is longer",
            chunked,
            format!("{:x}\r\n{event}\r\n0\r\n\r\n", event.len() + 50),
        ),
    ];
    for (what, framing, body) in &cases {
        let mut raw = instance.origin.raw().unwrap();
        raw.post_head("/v1/events", framing).unwrap();
        raw.send(body).unwrap();
        sleep(Duration::from_millis(50));
        drop(raw);

        // A client that ends what it sends and waits may hear that it was wrong, but not that anything was accepted.
        let mut raw = instance.origin.raw().unwrap();
        raw.post_head("/v1/events", framing).unwrap();
        raw.send(body).unwrap();
        raw.end().unwrap();
        match raw.answer() {
            Ok(answer) => assert!(answer.status >= 400, "{what}: {answer:?}"),
            Err(error) => assert_ne!(
                error.kind(),
                io::ErrorKind::WouldBlock,
                "{what}: no answer and no end"
            ),
        }
    }
    let mut raw = instance.origin.raw().unwrap();
    raw.send("POST /v1/events HTTP/1.1\r\nhost: a.org\r\ncontent-le")
        .unwrap();
    drop(raw);
    // What was cut off could still be on its way.
    sleep(Duration::from_millis(300));
    let last = post_at_once(&instance, &stream);
    assert_eq!(ids(&instance, &stream, 1), [last]);
}
