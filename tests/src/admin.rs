//! Publishing, as an administrator does.

use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::http::{Answer, Request};
use crate::instance::Instance;

/// How long a published change may take until every function acts on it.
pub const IN_FORCE: Duration = Duration::from_secs(60);

/// Longer than an instance of a function keeps the stream config it has read: a second is `STREAM_CONFIG_TTL_MS` of the server
/// under test. Requests come to any instance.
const KEPT: Duration = Duration::from_millis(1200);

/// The path of the published stream config.
pub const STREAM_CONFIGS: &str = "/admin/v1/stream-configs";

/// The request that publishes a schema version to the example repository.
#[must_use]
pub fn publish_schema(title: &str, version: &str, json: &str) -> Request {
    let body = json!({"schemas": [{"title": title, "version": version, "json": json}]});
    Request::put_json("/admin/v1/repositories/examples/schemas", body.to_string())
}

/// The `ETag` of an answer.
///
/// # Panics
/// When it has none.
#[must_use]
#[track_caller]
pub fn etag(answer: &Answer) -> String {
    answer
        .header("etag")
        .unwrap_or_else(|| panic!("no etag: {answer:?}"))
        .to_owned()
}

/// Adds streams to the published configuration, over and over until nobody else was faster; returns the version.
///
/// # Panics
/// When they are refused.
pub fn add_streams(instance: &Instance, added: &Value) -> u64 {
    loop {
        let current = instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
        let mut config: Map<String, Value> = current.json().as_object().expect("a map").clone();
        config.extend(added.as_object().expect("a map").clone());
        let request = Request::put_json(STREAM_CONFIGS, Value::from(config).to_string());
        let answer = instance.admin(request.header("if-match", &etag(&current)));
        if answer.status != 412 {
            let answer = answer.expect(200);
            let version = answer.json()["version"].as_u64().expect("a version");
            assert_eq!(etag(&answer), format!("\"{version}\""));
            return version;
        }
    }
}

/// The same, and returns when every instance of every function knows their new settings, where streams of these names were there
/// before.
///
/// # Panics
/// When they are refused.
pub fn add_known_streams(instance: &Instance, added: &Value) -> u64 {
    let version = add_streams(instance, added);
    thread::sleep(KEPT);
    version
}

/// Repeats `attempt` until it says that the change is in force.
///
/// # Panics
/// When it is not after [`IN_FORCE`].
#[track_caller]
pub fn comes_into_force(what: &str, attempt: impl FnMut() -> bool) {
    comes_true_within(IN_FORCE, what, attempt);
}

/// Repeats `attempt` until it says that `what` is so.
///
/// # Panics
/// When it is not after `patience`.
#[track_caller]
pub fn comes_true_within(patience: Duration, what: &str, mut attempt: impl FnMut() -> bool) {
    let deadline = Instant::now() + patience;
    while !attempt() {
        assert!(Instant::now() < deadline, "{what}: not so after {patience:?}");
        thread::sleep(Duration::from_millis(100));
    }
}
