//! Small requests do not take much of a host's memory, whatever they hold.

use std::io::Write as _;
use std::thread;
use std::time::Duration;

use eventstar_tests::dev::StateDir;
use eventstar_tests::{Dev, Request};
use flate2::Compression;
use flate2::write::GzEncoder;

/// Requests at a time.
const AT_ONCE: usize = 4;

/// The most that a request may take, in bytes: three of them and all else fit the 128 MB of an isolate.
const BUDGET: u64 = 40_000_000;

/// The most bytes of a body when it is inflated.
const INFLATED: usize = 10 * 1024 * 1024;

const HEAD: &str = r#"{"$schema":"/test/event/1.1.0","meta":{"stream":"test.event"},"#;

/// An event with an array of as many `items` as fit.
fn event(items: &str, bytes: usize) -> String {
    let count = (bytes - HEAD.len() - 20) / (items.len() + 1);
    format!("{HEAD}\"n\":[{}]}}", vec![items; count].join(","))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).expect("memory");
    encoder.finish().expect("memory")
}

#[test]
fn small_bodies_that_inflate_to_large_ones_take_little_memory() {
    let state = StateDir::new("large-bodies");
    let dev = Dev::start(&state, &[]);
    let origin = &dev.instance.origin;
    let megabytes = vec![event("1", 1_000_000); 10].join(",");
    let wrong =
        vec![r#"{"$schema":"/test/event/1.1.0","meta":{"stream":"test.event"},"test":1}"#; 10_000].join(",");
    for (name, text, status) in [
        ("numbers", event("1", INFLATED), 413),
        ("objects", event("{}", INFLATED), 413),
        ("lists", event("[]", INFLATED), 413),
        ("ten large events", format!("[{megabytes}]"), 413),
        ("many wrong events", format!("[{wrong}]"), 400),
    ] {
        let body = gzip(&text);
        assert!(body.len() < 150_000, "{name}: {} bytes", body.len());
        let request = Request::post_json("/v1/events", body).header("content-encoding", "gzip");
        let before = dev.memory();
        let mut peak = before;
        thread::scope(|scope| {
            let senders: Vec<_> = (0..AT_ONCE)
                .map(|_| scope.spawn(|| origin.send(&request).status))
                .collect();
            while senders.iter().any(|sender| !sender.is_finished()) {
                peak = peak.max(dev.memory());
                thread::sleep(Duration::from_millis(10));
            }
            for sender in senders {
                assert_eq!(sender.join().expect("an answer"), status, "{name}");
            }
        });
        let growth = peak.max(dev.memory()) - before;
        println!("{name}: memory {before} bytes, grown by {growth}");
        assert!(growth < AT_ONCE as u64 * BUDGET, "{name}: {growth} bytes");
    }
}
