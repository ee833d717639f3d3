//! Workers allow a request a number of subrequests; the server says when one makes more.

use std::thread;
use std::time::{Duration, Instant};

use eventstar_tests::dev::StateDir;
use eventstar_tests::events::{PrivateStream, array};
use eventstar_tests::instance::setting;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::sse::PATIENCE;
use eventstar_tests::{Dev, Events};

/// How many records say that a request made too many.
fn told(dev: &Dev) -> usize {
    dev.output().matches(r#""subrequests":51"#).count()
}

#[test]
fn a_hundred_events_of_as_many_streams_are_posted_and_delivered_in_few_subrequests() {
    if setting("EVENTSTAR_HOST") != "workerd" {
        return;
    }
    let state = StateDir::new("subrequests");
    let dev = Dev::start(&state, &[]);
    let streams: Vec<PrivateStream> = (0..100).map(|n| PrivateStream::new(&format!("sub{n}"))).collect();
    let ids: Vec<String> = streams.iter().map(|_| fresh_uuid()).collect();
    let events: Vec<String> = streams
        .iter()
        .zip(&ids)
        .map(|(stream, id)| stream.event(id))
        .collect();
    let _ = dev.instance.post(array(&events)).expect(201);
    for (stream, id) in streams.iter().zip(&ids) {
        let seen = Events::open(&dev.instance.origin, &stream.from_the_beginning()).next_event();
        assert_eq!(&seen.meta_id(), id);
    }

    // Each stream that is read together with others takes a subrequest. That this is told shows that the rest would have been.
    let names: Vec<&str> = streams.iter().map(|stream| stream.name.as_str()).collect();
    let names = names.get(..60).unwrap_or_default().join(",");
    let _reader = Events::open(&dev.instance.origin, &format!("/v2/stream/{names}"));
    let deadline = Instant::now() + PATIENCE;
    while told(&dev) == 0 {
        assert!(
            Instant::now() < deadline,
            "nothing says that the reader took too many"
        );
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(
        told(&dev),
        1,
        "something besides the reader took too many, or it told twice"
    );
}
