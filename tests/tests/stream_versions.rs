//! The versions of the stream config: each is kept and answered, an earlier one is published once more, and a bad one not at
//! all.

use eventstar_tests::admin::{STREAM_CONFIGS, add_known_streams, etag};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Instance, Request};
use serde_json::{Value, json};

fn names(config: &Value) -> Vec<&str> {
    let config = config.as_object().expect("a map");
    config.keys().map(String::as_str).collect()
}

#[test]
fn every_version_is_answered_and_never_changes() {
    let instance = Instance::from_env();
    let stream = format!("versions.{}", fresh_uuid());
    let added = add_known_streams(&instance, &json!({&stream: {"schema_title": "test/event"}}));
    let current = instance.get(&format!("/v1/stream-configs/{stream}")).expect(200);
    assert_eq!(names(&current.json()), [stream.as_str()]);

    let of = |version: u64| format!("/v1/stream-configs/{stream}?version={version}");
    let with = instance.get(&of(added)).expect(200);
    assert_eq!(names(&with.json()), [stream.as_str()]);
    assert_eq!(etag(&with), format!("\"{added}\""));
    assert!(
        with.header("cache-control")
            .is_some_and(|caching| caching.contains("immutable"))
    );
    assert_eq!(instance.get(&of(added - 1)).expect(200).json(), json!({}));

    let known = Request::get(&of(added)).header("if-none-match", &etag(&with));
    let answer = instance.send(&known).expect(304);
    assert_eq!((answer.text().as_str(), etag(&answer)), ("", etag(&with)));
    let _ = instance.get(&of(added + 1_000_000)).expect(404);
    let _ = instance.get(&of(0)).expect(404);
    let _ = instance.get("/v1/stream-configs?version=first").expect(400);
}

#[test]
fn an_earlier_version_becomes_the_next_one() {
    let instance = Instance::from_env();
    // Back to the current version, so that the streams of other tests stay.
    let (before, after) = loop {
        let current = instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
        let before: u64 = etag(&current).trim_matches('"').parse().expect("a number");
        let path = format!("{STREAM_CONFIGS}/rollback?version={before}");
        let request = Request::new("POST", &path).header("if-match", &etag(&current));
        let answer = instance.admin(request);
        if answer.status != 412 {
            break (
                before,
                answer.expect(200).json()["version"].as_u64().expect("a version"),
            );
        }
    };
    assert_eq!(after, before + 1);
    let of = |version: u64| {
        let path = format!("{STREAM_CONFIGS}?version={version}");
        instance.admin(Request::get(&path)).expect(200).text()
    };
    assert_eq!(of(before), of(after));
    let history = instance
        .admin(Request::get(&format!("{STREAM_CONFIGS}/history")))
        .expect(200)
        .json();
    let listed = history["versions"].as_array().expect("a list");
    assert!(
        listed.iter().any(|version| version["version"] == after),
        "{history}"
    );

    let back = |query: &str| Request::new("POST", &format!("{STREAM_CONFIGS}/rollback{query}"));
    let _ = instance
        .send(&back("?version=1").header("if-match", "*"))
        .expect(401);
    let _ = instance.admin(back("?version=1")).expect(428);
    let _ = instance.admin(back("").header("if-match", "*")).expect(400);
    let _ = instance
        .admin(back("?version=1000000").header("if-match", "*"))
        .expect(404);
    let _ = instance
        .admin(back("?version=1").header("if-match", "\"1000000\""))
        .expect(412);
    let _ = instance
        .admin(Request::get(&format!("{STREAM_CONFIGS}/rollback")))
        .expect(405);
}

#[test]
fn one_bad_stream_publishes_nothing() {
    let instance = Instance::from_env();
    let good = format!("versions.{}", fresh_uuid());
    let current = instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
    let mut config = current.json();
    config[&good] = json!({});
    config["versions.bad"] = json!({"partitions": 0});
    let request = Request::put_json(STREAM_CONFIGS, config.to_string()).header("if-match", "*");
    let refused = instance.admin(request).expect(400).json();
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(detail.contains("/versions.bad/partitions"), "{detail}");
    let now = instance.admin(Request::get(STREAM_CONFIGS)).expect(200).json();
    assert!(now.get(&good).is_none());
}

#[test]
fn partitions_may_only_grow_unless_the_logs_begin_anew() {
    let instance = Instance::from_env();
    let stream = format!("versions.{}", fresh_uuid());
    let publish = |settings: Value| {
        let mut config = instance.admin(Request::get(STREAM_CONFIGS)).expect(200).json();
        config[&stream] = settings;
        instance.admin(Request::put_json(STREAM_CONFIGS, config.to_string()).header("if-match", "*"))
    };
    let _ = publish(json!({"partitions": 3})).expect(200);
    let refused = publish(json!({"partitions": 2})).expect(400).json();
    let detail = refused["detail"].as_str().expect("a detail");
    assert!(
        detail.contains(&format!("/{stream}/partitions")) && detail.contains("log_epoch"),
        "{detail}"
    );
    let _ = publish(json!({"partitions": 4})).expect(200);
    let _ = publish(json!({"partitions": 1, "log_epoch": 1})).expect(200);
}

#[test]
fn a_dry_run_publishes_no_schema() {
    let instance = Instance::from_env();
    let title = format!("versions/{}", fresh_uuid());
    let request = |description: &str, query: &str| {
        let schema = json!({"title": title, "$id": format!("/{title}/1.0.0"), "description": description});
        let body = json!({"schemas": [{"title": title, "version": "1.0.0", "json": schema.to_string()}]});
        let path = format!("/admin/v1/repositories/examples/schemas{query}");
        Request::put_json(&path, body.to_string())
    };
    let plan = |description| {
        instance
            .admin(request(description, "?dry_run=true"))
            .expect(200)
            .json()
    };
    let uri = format!("/{title}/1.0.0");
    let fresh = json!({"new": [uri], "unchanged": 0, "conflicting": []});
    assert_eq!(plan("one"), fresh);
    assert_eq!(plan("one"), fresh);
    let _ = instance.admin(request("one", "")).expect(200);
    assert_eq!(plan("one"), json!({"new": [], "unchanged": 1, "conflicting": []}));
    assert_eq!(
        plan("two"),
        json!({"new": [], "unchanged": 0, "conflicting": [uri]})
    );
    let _ = instance.admin(request("two", "")).expect(409);
}
