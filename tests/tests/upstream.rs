//! Schemas that are fetched from a server elsewhere.

use std::thread;

use eventstar_tests::admin::{add_known_streams, comes_into_force, publish_schema};
use eventstar_tests::dev::StateDir;
use eventstar_tests::instance::setting;
use eventstar_tests::upstream::{Reply, Upstream};
use eventstar_tests::{Dev, Instance};
use serde_json::json;

const REPOSITORY: &str = "/repositories/elsewhere/jsonschema";

fn yaml(uri: &str) -> String {
    format!(
        "title: {}\n$id: {uri}\ntype: object\nproperties:\n  test:\n    type: string\n",
        uri.trim_start_matches('/').rsplit_once('/').expect("a version").0
    )
}

fn event(schema: &str) -> String {
    json!({"$schema": schema, "meta": {"stream": "up.thing"}, "test": "v"}).to_string()
}

/// Starts an origin with `upstream`, which it may ask, and a stream for its schema.
fn dev(state: &StateDir, upstream: &str, allowed: &str) -> Dev {
    let variables = [
        format!("SCHEMA_UPSTREAM=elsewhere={upstream}/schemas"),
        format!("SCHEMA_UPSTREAM_HOST={allowed}"),
    ];
    let dev = Dev::start(state, &["--var", &variables[0], "--var", &variables[1]]);
    add_known_streams(&dev.instance, &json!({"up.thing": {"schema_title": "up/thing"}}));
    dev
}

fn is_accepted(instance: &Instance, schema: &str) {
    let _ = instance.post(event(schema)).expect(201);
}

fn is_served(instance: &Instance) {
    for (file, body) in [
        ("1.0.0", yaml("/up/thing/1.0.0")),
        ("1.0.0.yaml", yaml("/up/thing/1.0.0")),
        (
            "1.0.0.json",
            r#"{"title":"up/thing","$id":"/up/thing/1.0.0","type":"object","properties":{"test":{"type":"string"}}}"#
                .to_owned(),
        ),
        ("latest.yaml", yaml("/up/thing/1.1.0")),
    ] {
        let answer = instance.get(&format!("{REPOSITORY}/up/thing/{file}")).expect(200);
        assert_eq!(answer.text(), body, "{file}");
    }
}

#[test]
fn a_schema_of_an_upstream_is_used_and_served_and_outlives_the_upstream() {
    let upstream = Upstream::start();
    let origin = upstream.origin().to_owned();
    upstream.give("/schemas/up/thing/1.0.0", &yaml("/up/thing/1.0.0"));
    upstream.give("/schemas/up/thing/latest", &yaml("/up/thing/1.1.0"));
    upstream.give("/schemas/up/thing/1.2.0", "<!DOCTYPE html><p>Be right back</p>");
    upstream.give("/schemas/up/thing/1.3.0", &yaml("/up/thing/1.3.1"));
    let large = format!("{}# {}\n", yaml("/up/thing/1.4.0"), "x".repeat(1_000_000));
    upstream.give("/schemas/up/thing/1.4.0", &large);
    upstream.reply(
        "/schemas/up/thing/1.5.0",
        Reply::Whole(302, "location: /away", Vec::new()),
    );
    upstream.give("/away", &yaml("/up/thing/1.5.0"));
    let half = yaml("/up/thing/1.6.0").into_bytes();
    upstream.reply("/schemas/up/thing/1.6.0", Reply::Half(half));

    let state = StateDir::new("upstream");
    let server = dev(&state, &origin, &origin);
    is_accepted(&server.instance, "/up/thing/1.0.0");
    is_served(&server.instance);
    is_accepted(&server.instance, "/up/thing/latest");
    let mut asked = upstream.take_asked();
    asked.sort();
    asked.dedup();
    assert_eq!(asked, ["/schemas/up/thing/1.0.0", "/schemas/up/thing/latest"]);

    let unknown = server.instance.post(event("/up/thing/9.0.0")).expect(400);
    assert!(
        unknown.text().contains("no repository has it"),
        "{}",
        unknown.text()
    );
    let _ = server
        .instance
        .get(&format!("{REPOSITORY}/up/thing/9.1.0"))
        .expect(404);
    for version in ["1.2.0", "1.3.0", "1.4.0", "1.5.0"] {
        let answer = server
            .instance
            .post(event(&format!("/up/thing/{version}")))
            .expect(503);
        assert!(answer.header("retry-after").is_some(), "{version}");
        let _ = server
            .instance
            .get(&format!("{REPOSITORY}/up/thing/{version}"))
            .expect(503);
    }
    for said in [
        "no JSON object",
        "its $id is '/up/thing/1.3.1'",
        "the answer has more than 900000 bytes",
        "it redirects to /away",
    ] {
        server.tells(said);
    }
    assert!(
        !upstream.take_asked().contains(&"/away".to_owned()),
        "nobody but the upstream is asked"
    );
    let _ = server
        .instance
        .get(&format!("{REPOSITORY}/up/thing/1.6.0"))
        .expect(503);
    server.tells("no whole answer within 5000 ms");

    upstream.stop();
    server.kill();
    let server = dev(&state, &origin, &origin);
    is_accepted(&server.instance, "/up/thing/1.0.0");
    is_served(&server.instance);
    let _ = server.instance.post(event("/up/thing/9.9.0")).expect(503);
    let _ = server
        .instance
        .get(&format!("{REPOSITORY}/up/thing/9.9.0"))
        .expect(503);
}

#[test]
fn latest_moves_with_the_upstream_after_an_answer() {
    let upstream = Upstream::start();
    let origin = upstream.origin().to_owned();
    upstream.give("/schemas/up/thing/latest", &yaml("/up/thing/1.1.0"));
    let state = StateDir::new("moving-upstream");
    let latest = |server: &Dev| {
        let path = format!("{REPOSITORY}/up/thing/latest.yaml");
        server.instance.get(&path).expect(200).text()
    };
    let server = dev(&state, &origin, &origin);
    assert_eq!(latest(&server), yaml("/up/thing/1.1.0"));
    server.kill();

    // What was compared in the last minute is forgotten by the restart.
    upstream.give("/schemas/up/thing/latest", &yaml("/up/thing/1.2.0"));
    let server = dev(&state, &origin, &origin);
    assert_eq!(
        latest(&server),
        yaml("/up/thing/1.1.0"),
        "nobody waits for the upstream"
    );
    comes_into_force("the newer version", || latest(&server) == yaml("/up/thing/1.2.0"));
}

#[test]
fn nothing_else_waits_for_an_upstream_that_is_slow() {
    let upstream = Upstream::start();
    let origin = upstream.origin().to_owned();
    upstream.reply(
        "/schemas/up/thing/1.0.0",
        Reply::Held(yaml("/up/thing/1.0.0").into()),
    );
    let state = StateDir::new("slow-upstream");
    let server = dev(&state, &origin, &origin);
    thread::scope(|scope| {
        let get = || server.instance.get(&format!("{REPOSITORY}/up/thing/1.0.0"));
        let waiting = scope.spawn(get);
        upstream.wait_until_asked("/schemas/up/thing/1.0.0");
        let publish = publish_schema("up/own", "1.0.0", r#"{"title":"up/own"}"#);
        let _ = server.instance.admin(publish).expect(200);
        let _ = server
            .instance
            .get("/repositories/examples/jsonschema/up/own/1.0.0")
            .expect(200);
        upstream.release();
        let _ = waiting.join().expect("an answer").expect(200);
    });
}

#[test]
fn a_host_that_may_not_be_asked_is_named_with_what_lets_it() {
    if setting("EVENTSTAR_HOST") != "spin" {
        return;
    }
    let upstream = Upstream::start();
    let state = StateDir::new("closed-upstream");
    let server = dev(&state, upstream.origin(), "https://schema.example.org");
    let _ = server
        .instance
        .get(&format!("{REPOSITORY}/up/thing/1.0.0"))
        .expect(503);
    let told = format!(
        "{} may not be asked: add it to this component's `allowed_outbound_hosts`",
        upstream.origin()
    );
    server.tells(&told);
    assert!(upstream.take_asked().is_empty());
}
