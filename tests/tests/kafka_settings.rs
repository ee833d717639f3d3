//! Settings of Kafka's REST proxy that are wrong are told of: when a stream is published, or else when events are.

use eventstar_tests::admin::{STREAM_CONFIGS, add_known_streams, comes_into_force, etag};
use eventstar_tests::dev::StateDir;
use eventstar_tests::events::job_event;
use eventstar_tests::instance::setting;
use eventstar_tests::proxy::Proxy;
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::tls::start_self_signed;
use eventstar_tests::{Dev, Request};
use serde_json::{Value, json};

/// What the bridge says of one record that is written.
const WRITTEN: &str = "HTTP/1.1 200 OK\r\ncontent-type: application/vnd.kafka.v2+json\r\ncontent-length: 41\r\nconnection: close\r\n\r\n\
     {\"offsets\":[{\"partition\":0,\"offset\":17}]}";

fn start(state: &StateDir, settings: &[(&str, &str)]) -> Dev {
    let settings: Vec<String> = settings
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    let arguments: Vec<&str> = settings.iter().flat_map(|setting| ["--var", setting]).collect();
    Dev::start(state, &arguments)
}

fn sinks(accept: &str) -> Value {
    json!({"schema_title": "job/run", "sinks": ["log", "kafka"], "accept": accept})
}

/// Posts to streams of which only one waits for Kafka: that is answered 503, and the log tells `said`, of the queue's delivery too.
fn is_told(dev: &Dev, said: &str) {
    let streams = ["log", "kafka"].map(|accept| (accept, format!("settings.{accept}")));
    for (accept, stream) in &streams {
        add_known_streams(&dev.instance, &json!({stream: sinks(accept)}));
    }
    for ((_, stream), status) in streams.iter().zip([201, 503]) {
        let answer = dev
            .instance
            .post(job_event(stream, &fresh_uuid(), ""))
            .expect(status);
        assert!(
            !answer.text().contains(said),
            "what a backend said stays in the log"
        );
    }
    dev.tells(said);
    comes_into_force("both tell", || dev.output().matches(said).count() > 1);
}

#[test]
fn a_dialect_that_does_not_exist_is_told_when_a_stream_is_published() {
    let state = StateDir::new("dialect");
    let proxy = Proxy::start();
    let url = format!("http://{}", proxy.address());
    let dev = start(
        &state,
        &[("KAFKA_REST_URL", &url), ("KAFKA_REST_DIALECT", "confluent-v3")],
    );
    let current = dev.instance.admin(Request::get(STREAM_CONFIGS)).expect(200);
    let config = json!({"settings.dialect": sinks("log")}).to_string();
    let request = Request::put_json(STREAM_CONFIGS, config).header("if-match", &etag(&current));
    let told = dev.instance.admin(request).expect(400).text();
    for said in [
        "KAFKA_REST_DIALECT",
        "confluent-v3",
        "use strimzi or confluent-v2",
    ] {
        assert!(told.contains(said), "{told}");
    }
}

#[test]
fn a_certificate_that_nobody_signed_is_told_and_nothing_is_sent() {
    let state = StateDir::new("tls");
    let url = format!("https://{}", start_self_signed(WRITTEN));
    let dev = start(&state, &[("KAFKA_REST_URL", &url), ("KAFKA_REST_HOST", &url)]);
    is_told(&dev, "certificate");
}

#[test]
fn a_proxy_that_the_manifest_does_not_allow_is_told() {
    if setting("EVENTSTAR_HOST") != "spin" {
        // Workers may ask any host.
        return;
    }
    let state = StateDir::new("not-allowed");
    let proxy = Proxy::start();
    let url = format!("http://{}", proxy.address());
    let dev = start(&state, &[("KAFKA_REST_URL", &url)]);
    is_told(
        &dev,
        &format!("{url} may not be asked: add it to this component's `allowed_outbound_hosts`"),
    );
}
