//! Publishing while clients are at it already, and what a development server does with an example that is refused.

use std::fs;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use eventstar_tests::admin::{add_streams, publish_schema};
use eventstar_tests::dev::{Dev, StateDir};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Instance, Request};
use serde_json::json;

/// The pause of each client between two requests.
const PACE: Duration = Duration::from_millis(10);

/// Clients that post, at the same time, so that several instances of a function are at work.
const CLIENTS: usize = 4;

/// Requests of each client after the publish has answered.
const AFTERWARDS: usize = 50;

/// The experience of all clients: the number of refusals, and that the publish has answered or one of them was accepted.
#[derive(Default)]
struct Seen {
    refused: AtomicUsize,
    is_usable: AtomicBool,
    has_failed: AtomicBool,
}

impl Seen {
    /// Sends `request` again and again until it was accepted often enough.
    fn send_on(&self, instance: &Instance, request: &Request, accepted: u16, refused: u16) {
        let mut left = AFTERWARDS;
        while left > 0 && !self.has_failed.load(Ordering::SeqCst) {
            let is_usable = self.is_usable.load(Ordering::SeqCst);
            let answer = instance.send(request);
            if answer.status == accepted {
                self.is_usable.store(true, Ordering::SeqCst);
            } else {
                self.refused.fetch_add(1, Ordering::SeqCst);
                if is_usable || answer.status != refused {
                    self.has_failed.store(true, Ordering::SeqCst);
                    panic!("refused once it was usable: {answer:?}");
                }
            }
            left -= usize::from(is_usable);
            thread::sleep(PACE);
        }
    }

    /// Waits for some more refusals.
    fn wait_for_refusals(&self) {
        let enough = self.refused.load(Ordering::SeqCst) + 2 * CLIENTS;
        while self.refused.load(Ordering::SeqCst) < enough && !self.has_failed.load(Ordering::SeqCst) {
            thread::sleep(PACE);
        }
    }
}

/// The schema first, and some time later the stream.
#[test]
fn what_is_published_is_usable_at_the_next_request_and_stays_so() {
    let instance = &Instance::from_env();
    let name = format!("published-{}", fresh_uuid());
    let schema = json!({
        "title": name,
        "$id": format!("/{name}/1.0.0"),
        "$schema": "http://json-schema.org/draft-07/schema#",
        "type": "object",
        "properties": {"meta": {"type": "object"}},
    });
    let event = json!({"$schema": format!("/{name}/1.0.0"), "meta": {"stream": name}});
    let post = Request::post_json("/v1/events", event.to_string());
    let read = Request::new("HEAD", &format!("/v2/stream/{name}"));
    let seen = Seen::default();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| seen.send_on(instance, &post, 201, 400));
        }
        scope.spawn(|| seen.send_on(instance, &read, 200, 400));
        seen.wait_for_refusals();
        let _ = instance
            .admin(publish_schema(&name, "1.0.0", &schema.to_string()))
            .expect(200);
        seen.wait_for_refusals();
        add_streams(instance, &json!({&name: {"schema_title": name}}));
        seen.is_usable.store(true, Ordering::SeqCst);
    });
    let configs = instance.get(&format!("/v1/stream-configs/{name}")).expect(200);
    assert_eq!(configs.json()[&name]["schema_title"], json!(name));
}

#[test]
fn a_development_server_whose_example_is_refused_says_so_and_serves_on() {
    let state = StateDir::new("refused-example");
    let streams = state.path().join("closed.yaml");
    let closed = "test.event: {schema_title: test/event, producers: {auth: token, tokens: [nobody]}}\n";
    fs::write(&streams, closed).expect("a file");
    let dev = Dev::start(&state, &["--stream-config", streams.to_str().expect("a path")]);
    dev.tells("warning: intake refused the example event");
    dev.tells("The server runs on.");
    let _ = dev.instance.get("/readyz").expect(200);
    let configs = dev.instance.get("/v1/stream-configs/test.event").expect(200);
    assert_eq!(configs.json()["test.event"]["schema_title"], json!("test/event"));
}
