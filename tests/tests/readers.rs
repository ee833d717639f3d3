//! Readers that ask for little, or behave badly.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use eventstar_tests::dev::StateDir;
use eventstar_tests::events::PrivateStream;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Dev, Events, Instance, Request};
use flate2::write::GzDecoder;

/// Longer than a busy host may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Connections of each bad kind at a time.
const MANY: usize = 30;

#[test]
fn a_compressed_stream_can_be_read_as_it_comes() {
    let state = StateDir::new("compressed");
    let dev = Dev::start(&state, &["--var", "COMPRESS_STREAMS=gzip"]);
    let stream = PrivateStream::new("compressed");
    let request = Request::get(&stream.live()).header("accept-encoding", "gzip");
    let (answer, mut body) = dev.instance.origin.open(&request).expect("a stream");
    assert_eq!(answer.header("content-encoding"), Some("gzip"));
    let mut decoder = GzDecoder::new(Vec::new());
    let mut read_until = |text: &str| {
        let deadline = Instant::now() + PATIENCE;
        while !String::from_utf8_lossy(decoder.get_ref()).contains(text) {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {text}");
            body.set_timeout(left).expect("a socket");
            let mut buffer = [0; 4096];
            let count = body.read(&mut buffer).expect("a stream");
            decoder.write_all(&buffer[..count]).expect("gzip");
            decoder.flush().expect("gzip");
        }
    };
    read_until(":ok\n\n");
    for _ in 0..3 {
        let id = fresh_uuid();
        dev.instance.produce(&[stream.event(&id)]);
        read_until(&id);
    }
    let mut plain = Events::open(&dev.instance.origin, &stream.from_the_beginning());
    assert_eq!(plain.take(3).len(), 3, "who asks for no compression gets none");
}

#[test]
fn a_page_of_the_setting_reads_with_its_cookies() {
    const OURS: &str = "https://en.a.org";
    let state = StateDir::new("cookies");
    let dev = Dev::start(&state, &["--var", "CORS_ORIGINS=https://*.a.org"]);
    let stream = PrivateStream::new("cookies");
    for (origin, allowed, credentials) in [
        (Some(OURS), OURS, Some("true")),
        (Some("https://b.org"), "*", None),
        (None, "*", None),
    ] {
        for path in [&*stream.live(), "/v2/stream/no.such"] {
            let mut request = Request::get(path).header("accept", "text/event-stream");
            if let Some(origin) = origin {
                request = request.header("origin", origin).header("cookie", "a=b");
            }
            let (answer, _) = dev.instance.origin.open(&request).expect("an answer");
            let case = format!("{path} {origin:?}");
            assert_eq!(
                answer.header("access-control-allow-origin"),
                Some(allowed),
                "{case}"
            );
            assert_eq!(
                answer.header("access-control-allow-credentials"),
                credentials,
                "{case}"
            );
            let varies = answer.headers.iter().filter(|(name, _)| name == "vary");
            let mut named = varies.flat_map(|(_, value)| value.split(','));
            assert!(named.any(|name| name.trim() == "origin"), "{case}");
        }
    }
}

#[test]
fn readers_that_never_read_hold_nobody_up() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("unread");
    for _ in 0..5 {
        let batch: Vec<String> = (0..10)
            .map(|_| stream.event_of_size(&fresh_uuid(), 100_000))
            .collect();
        instance.produce(&batch);
    }
    let idle: Vec<_> = (0..MANY)
        .map(|_| {
            instance
                .origin
                .open(&Request::get(&stream.from_the_beginning()))
                .expect("a stream")
        })
        .collect();
    let last = fresh_uuid();
    instance.produce(&[stream.event(&last)]);
    let mut reader = Events::open(&instance.origin, &stream.from_the_beginning());
    assert_eq!(reader.up_to(&last).len(), 51);
    drop(idle);
}

#[test]
fn requests_that_never_end_hold_nobody_up() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("half");
    let open: Vec<_> = (0..MANY)
        .map(|_| {
            let mut raw = instance.origin.raw().expect("a connection");
            raw.send(format!("GET {} HTTP/1.1\r\nhost: half", stream.live()))
                .expect("a socket");
            raw
        })
        .collect();
    let mut reader = Events::open(&instance.origin, &stream.live());
    let id = fresh_uuid();
    instance.produce(&[stream.event(&id)]);
    assert_eq!(reader.next_event().meta_id(), id);
    drop(open);
}
