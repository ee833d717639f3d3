//! How many connections a client may have, and how many clients there are.

use std::thread;
use std::time::Duration;

use eventstar_tests::admin::{add_known_streams, comes_into_force, comes_true_within};
use eventstar_tests::dev::{Dev, StateDir};
use eventstar_tests::events::PrivateStream;
use eventstar_tests::http::{BodyReader, Origin};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Answer, Events, Instance, Request};
use serde_json::json;

/// A connection that was closed is noticed within two heartbeats, each 15 s; a slot that nobody gives back is free after 60 s.
const SOON: Duration = Duration::from_secs(50);

/// The client at `address`, behind two trusted proxies. It makes up another address each time, in a line of its own.
fn by(address: &str) -> Request {
    let made_up = format!("2001:db8:bad:{}::1", &fresh_uuid()[..4]);
    Request::get(&PrivateStream::new("limits").live())
        .header("x-client-ip", &made_up)
        .header("x-forwarded-for", &made_up)
        .header("x-forwarded-for", &entry(address))
        .header("x-forwarded-for", "unknown, 127.0.0.2:80")
}

/// The entry of a proxy that tells the port, too.
fn entry(address: &str) -> String {
    match address.contains(':') {
        true => format!("\"[{address}]:51234\""),
        false => format!("{address}:51234"),
    }
}

/// Opens a connection; only the status where it is refused.
fn connect(origin: &Origin, address: &str) -> Result<BodyReader, u16> {
    let (answer, body) = origin.open(&by(address)).expect("an answer");
    if answer.status == 200 {
        Ok(body)
    } else {
        Err(answer.status)
    }
}

fn start(state: &StateDir) -> Dev {
    let settings = ["MAX_CONNECTIONS_PER_CLIENT=2", "TRUSTED_PROXIES=127.0.0.0/8"];
    Dev::start(state, &["--var", settings[0], "--var", settings[1]])
}

#[test]
fn a_client_has_as_many_connections_as_it_may() {
    let state = StateDir::new("limits");
    let dev = start(&state);
    let origin = &dev.instance.origin;
    refused_with_the_words_of_the_original(origin);
    a_burst_gets_no_more(origin);
    what_is_closed_is_free_soon(origin);

    let held: Vec<_> = (0..2).map(|_| connect(origin, "192.0.2.9")).collect();
    assert!(held.iter().all(Result::is_ok));
    assert_eq!(connect(origin, "192.0.2.9").err(), Some(429));
    dev.kill();
    let dev = start(&state);
    comes_into_force("what a killed instance held is free", || {
        connect(&dev.instance.origin, "192.0.2.9").is_ok()
    });
}

fn refused_with_the_words_of_the_original(origin: &Origin) {
    let held: Vec<_> = (0..2).map(|_| connect(origin, "2001:db8::1")).collect();
    assert!(held.iter().all(Result::is_ok));
    // The same network is the same client.
    let answer: Answer = origin.send(&by("2001:db8::2")).expect(429);
    let body = answer.json();
    assert_eq!(body["type"], "too_many_requests");
    assert_eq!(
        body["title"],
        "Too Many Concurrent Connections From Your Client IP"
    );
    assert_eq!(
        body["detail"],
        "Your HTTP client is likely opening too many concurrent connections."
    );
    let seconds: u32 = answer
        .header("retry-after")
        .expect("retry-after")
        .parse()
        .unwrap();
    assert!((15..=30).contains(&seconds), "{seconds}");

    let head = Request::new("HEAD", &PrivateStream::new("limits").live());
    let head = origin.send(&head.header("x-forwarded-for", "2001:db8::1"));
    assert_eq!(head.status, 200, "HEAD takes no connection");
    assert!(connect(origin, "2001:db8:0:1::1").is_ok());
}

/// Whatever instances the connections of a burst come to.
fn a_burst_gets_no_more(origin: &Origin) {
    let answers: Vec<Result<BodyReader, u16>> = thread::scope(|scope| {
        let opening: Vec<_> = (0..24)
            .map(|_| scope.spawn(|| connect(origin, "192.0.2.1")))
            .collect();
        opening
            .into_iter()
            .map(|each| each.join().expect("an answer"))
            .collect()
    });
    let open = answers.iter().filter(|answer| answer.is_ok()).count();
    let refused = answers.iter().filter(|answer| matches!(answer, Err(429)));
    assert_eq!((open, refused.count()), (2, 22));
}

fn what_is_closed_is_free_soon(origin: &Origin) {
    let first = connect(origin, "192.0.2.2").expect("a connection");
    let _second = connect(origin, "192.0.2.2").expect("a connection");
    assert_eq!(connect(origin, "192.0.2.2").err(), Some(429));
    drop(first);
    let mut third = None;
    comes_true_within(SOON, "a connection that was closed is free", || {
        third = connect(origin, "192.0.2.2").ok();
        third.is_some()
    });
    assert_eq!(connect(origin, "192.0.2.2").err(), Some(429));
}

/// What `/metrics` says of the clients that are connected to `stream`.
fn connected(instance: &Instance, stream: &str) -> u64 {
    let page = instance.admin(Request::get("/metrics")).expect(200).text();
    let series = format!("eventstar_relay_connected_clients{{stream=\"{stream}\"}} ");
    let found = page.lines().find_map(|line| line.strip_prefix(&series));
    found.map_or(0, |value| value.parse().expect("a number"))
}

#[test]
fn the_number_of_connected_clients_rises_and_falls() {
    const CLIENTS: u64 = 220;
    let instance = Instance::from_env();
    let stream = format!("clients.{}", fresh_uuid());
    add_known_streams(&instance, &json!({&stream: {"schema_title": "test/event"}}));
    let path = format!("/v2/stream/{stream}");
    let clients: Vec<Events> = (0..CLIENTS)
        .map(|_| Events::open(&instance.origin, &path))
        .collect();
    comes_into_force("all clients are counted", || {
        connected(&instance, &stream) == CLIENTS
    });
    drop(clients);
    comes_into_force("all clients have gone", || connected(&instance, &stream) == 0);
}
