//! Readers that ask for little.

use std::io::{Read as _, Write as _};
use std::time::{Duration, Instant};

use eventstar_tests::dev::StateDir;
use eventstar_tests::events::PrivateStream;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Dev, Events, Request};
use flate2::write::GzDecoder;

/// Longer than a busy host may take.
const PATIENCE: Duration = Duration::from_secs(60);

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
