//! Bad values of beacons and of eventbus, and what is answered or stored.

use super::beacon::{beacon, encoded, legacy_world};
use super::eventbus::{ask, bus, produce};
use super::*;

/// Sends a beacon; what is stored of it: the event, or the error event.
async fn stored_of(query: &str) -> Result<Value, Value> {
    let (isolate, memory) = legacy_world().await;
    let mut request = beacon("");
    // What a server hands on, so that only what is no URI at all is left out.
    *request.uri_mut() = http::Uri::try_from([b"/beacon/event", query.as_bytes()].concat()).unwrap();
    assert_eq!(
        send(&isolate, &memory, request).await,
        (204, Value::Null),
        "{query}"
    );
    memory.run_background().await;
    let parsed = |texts: Vec<String>| -> Vec<Value> {
        texts
            .iter()
            .map(|text| serde_json::from_str(text).unwrap())
            .collect()
    };
    let mut events = parsed(texts(&memory, "eventlogging_Test").await);
    let mut errors = parsed(texts(&memory, "intake.error").await);
    assert_eq!(events.len() + errors.len(), 1, "{query}: {:?}", memory.lines());
    events.pop().ok_or_else(|| errors.remove(0))
}

#[test]
fn each_bad_field_of_a_capsule_is_replaced_kept_or_reported() {
    run(async {
        let long = "x".repeat(10_000);
        // The field becomes the value (none: it is missing); then what is stored, or the type of the error event.
        let event = |pointer: &'static str, expected: Value| Ok((pointer, expected));
        for (field, value, expected) in [
            ("schema", None, Err("MalformedBeaconError")),
            ("schema", Some(json!(null)), Err("MalformedBeaconError")),
            ("schema", Some(json!(5)), Err("MalformedBeaconError")),
            ("schema", Some(json!(["Test"])), Err("MalformedBeaconError")),
            ("schema", Some(json!("")), Err("UnauthorizedSchemaForStreamError")),
            (
                "schema",
                Some(json!("test")),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            (
                "schema",
                Some(json!("Test ")),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            (
                "schema",
                Some(json!("Test\u{0}")),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            (
                "schema",
                Some(json!("../Test")),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            (
                "schema",
                Some(json!("__proto__")),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            (
                "schema",
                Some(json!(long)),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            (
                "revision",
                None,
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!(null)),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!(-1)),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!(1.5)),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!(1e300)),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!([7])),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!({})),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!("")),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!("7")),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!("../x/1.0.0")),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
            (
                "revision",
                Some(json!("/nope/1.0.0")),
                Err("EventSchemaLoadError"),
            ),
            (
                "revision",
                Some(json!(7)),
                Err("UnauthorizedSchemaForStreamError"),
            ),
            ("event", None, Err("ValidationError")),
            ("event", Some(json!(null)), Err("ValidationError")),
            ("event", Some(json!("x")), Err("ValidationError")),
            ("event", Some(json!([])), Err("ValidationError")),
            ("event", Some(json!({"OtherMessage": 5})), Err("ValidationError")),
            (
                "event",
                Some(json!({"__proto__": {"a": 1}})),
                event("/event", json!({"__proto__": {"a": 1}})),
            ),
            ("uuid", Some(json!("mine")), event("/uuid", json!("mine"))),
            ("uuid", Some(json!("")), event("/uuid", json!(""))),
            ("uuid", Some(json!(5)), event("/uuid", json!(5))),
            (
                "dt",
                Some(json!("yesterday")),
                event("/dt", json!("2024-01-01T00:00:00.000Z")),
            ),
            (
                "dt",
                Some(json!(null)),
                event("/dt", json!("2024-01-01T00:00:00.000Z")),
            ),
            (
                "client_dt",
                Some(json!(5)),
                event("/client_dt", json!("2024-01-01T00:00:00.000Z")),
            ),
            (
                "recvFrom",
                Some(json!(5)),
                event("/recvFrom", json!("203.0.113.9")),
            ),
            (
                "recvFrom",
                Some(json!(null)),
                event("/recvFrom", json!("203.0.113.9")),
            ),
            ("seqId", Some(json!("x")), event("/seqId", json!("x"))),
            ("webHost", Some(json!(null)), event("/webHost", json!(null))),
            (
                "webHost",
                Some(json!({"a": 1})),
                event("/webHost", json!({"a": 1})),
            ),
            ("wiki", Some(json!(5)), event("/wiki", json!(5))),
            (
                "http",
                Some(json!(5)),
                event("/http", json!({"request_headers": {"user-agent": "UA/1"}})),
            ),
            (
                "meta",
                Some(json!(5)),
                event("/meta/stream", json!("eventlogging_Test")),
            ),
            (
                "meta",
                Some(json!({"stream": "intake.error", "dt": 5})),
                event("/meta/dt", json!("2024-01-01T00:00:00.000Z")),
            ),
            (
                "$schema",
                Some(json!("/error/2.1.0")),
                event("/$schema", json!("/analytics/legacy/test/1.0.0")),
            ),
        ] {
            let mut capsule = json!({"schema": "Test", "event": {}});
            match value {
                Some(value) => capsule[field] = value,
                None => drop(capsule.as_object_mut().unwrap().remove(field)),
            }
            let stored = stored_of(&encoded(&capsule)).await;
            let shown: String = capsule.to_string().chars().take(200).collect();
            match (stored, expected) {
                (Ok(stored), Ok((pointer, expected))) => {
                    assert_eq!(stored.pointer(pointer), Some(&expected), "{shown}");
                }
                (Err(error), Err(expected)) => assert_eq!(error["error_type"], expected, "{shown}"),
                (stored, _) => panic!("{shown}: {stored:?}"),
            }
        }
    });
}

/// Only what an edge cache has stamped has an id that is the same for each copy.
#[test]
fn only_whole_stamps_give_a_capsule_eventloggings_id() {
    run(async {
        let stamped = json!({"seqId": 1, "recvFrom": "cp1", "dt": "2013-01-19T23:16:38Z"});
        for (field, value) in [
            ("seqId", json!(null)),
            ("seqId", json!("1")),
            ("seqId", json!(-1)),
            ("seqId", json!(1.5)),
            ("seqId", json!([1])),
            ("recvFrom", json!(null)),
            ("recvFrom", json!(5)),
            ("dt", json!(null)),
            ("dt", json!(5)),
        ] {
            let mut capsule = json!({"schema": "Test", "event": {}});
            capsule
                .as_object_mut()
                .unwrap()
                .extend(stamped.as_object().unwrap().clone());
            let whole = stored_of(&encoded(&capsule)).await.unwrap();
            assert_eq!(
                whole["uuid"].as_str().map(str::len),
                Some(32),
                "EventLogging's own"
            );
            capsule[field] = value;
            let stored = stored_of(&encoded(&capsule)).await.unwrap();
            assert_eq!(
                stored["uuid"].as_str().map(str::len),
                Some(36),
                "a random one: {capsule}"
            );
        }
    });
}

#[test]
fn each_bad_query_of_a_beacon_is_reported() {
    run(async {
        let capsule = encoded(&json!({"schema": "Test", "event": {}}));
        let long = encoded(&json!({"schema": "Test", "event": {"OtherMessage": "x".repeat(60_000)}}));
        let twice = capsule.replace('%', "%25");
        let two = format!("{capsule}{}", capsule.trim_start_matches('?'));
        let array = format!("?%5B{}%5D;", capsule.trim_matches(['?', ';']));
        let bom = capsule.replace("?%7B", "?%EF%BB%BF%7B");
        let deep = format!(
            "?%7B%22schema%22%3A%22Test%22%2C%22event%22%3A{}{}%7D;",
            "%5B".repeat(100),
            "%5D".repeat(100)
        );
        for (query, expected) in [
            ("", Some("MalformedBeaconError")),
            ("?", Some("MalformedBeaconError")),
            ("?;", Some("MalformedBeaconError")),
            ("?&&;;", Some("MalformedBeaconError")),
            ("?%", Some("ValidationError")),
            ("?%;", Some("ValidationError")),
            ("?%zz;", Some("ValidationError")),
            ("?%7;", Some("ValidationError")),
            ("?%ff;", Some("MalformedBeaconError")),
            ("?%C3%28;", Some("MalformedBeaconError")),
            ("?%ed%a0%80;", Some("MalformedBeaconError")),
            ("?%00;", Some("ValidationError")),
            ("?%22%22;", Some("ValidationError")),
            ("?null;", Some("ValidationError")),
            ("?5;", Some("ValidationError")),
            ("?%7B%7D;", Some("MalformedBeaconError")),
            ("?%5B%5D;", Some("ValidationError")),
            (
                "?%7B%22schema%22%3A%22Test%22%2C%22event%22%3A%7B%7D;",
                Some("ValidationError"),
            ),
            (
                "?%7B%22schema%22%3A%22Test%22%2C%22event%22%3A%7B%7D%2C%22event%22%3A%7B%7D%7D;",
                Some("ValidationError"),
            ),
            (
                "?%7B%22schema%22%3A%22%5Cud800%22%7D;",
                Some("UnauthorizedSchemaForStreamError"),
            ),
            (
                "?%7B%22schema%22%3A%22Test%22%2C%22event%22%3A%7B%22OtherMessage%22%3A%22%01%22%7D%7D;",
                Some("ValidationError"),
            ),
            (
                "?%7B%22schema%22%3A%22Test%22%2C%22event%22%3A%7B%22n%22%3A1e999%7D%7D;",
                Some("ValidationError"),
            ),
            // A plus is a plus: nothing that is in a JSON text.
            ("?%7B%22schema%22%3A+%22Test%22%7D;", Some("ValidationError")),
            (&twice, Some("ValidationError")),
            (&two, Some("ValidationError")),
            (&array, Some("ValidationError")),
            (&deep, Some("ValidationError")),
            (&bom, Some("ValidationError")),
            (capsule.trim_end_matches(';'), None),
            (&long, None),
        ] {
            let shown: String = query.chars().take(200).collect();
            match (stored_of(query).await, expected) {
                (Ok(_), None) => {}
                (Err(error), Some(expected)) => {
                    assert_eq!(error["error_type"], expected, "{shown}: {}", error["message"]);
                    assert_eq!(
                        error["raw_event"],
                        query.strip_prefix('?').unwrap_or_default(),
                        "{shown}"
                    );
                }
                (stored, _) => panic!("{shown}: {stored:?}"),
            }
        }
    });
}

#[test]
fn bad_names_of_topic_and_schema_are_event_errors() {
    run(async {
        let (isolate, memory) = bus().await;
        let long = "x".repeat(10_000);
        let topic = "mediawiki.page-create";
        let no_topic = "Could not get topic from the event.";
        let unknown = "Could not find schema for provided topic in <Event";
        for (sent, part) in [
            (json!({"meta": {"topic": null}}), no_topic),
            (json!({"meta": {"topic": 5}}), no_topic),
            (json!({"meta": {"topic": [topic]}}), no_topic),
            (json!({"meta": 5, "page_title": "A"}), no_topic),
            (json!({"meta": [], "page_title": "A"}), no_topic),
            (json!({"meta": null}), no_topic),
            (json!({"meta": {"topic": ""}}), "Topic  not configured"),
            (json!({"meta": {"topic": "a b"}}), "Topic a b not configured"),
            (
                json!({"meta": {"topic": "__proto__"}}),
                "Topic __proto__ not configured",
            ),
            (
                json!({"meta": {"topic": format!("job.{long}")}}),
                "xx… not configured",
            ),
            (
                json!({"meta": {"topic": "/^job\\./"}}),
                "Topic /^job\\./ not configured",
            ),
            (json!({"meta": {"topic": topic, "schema_uri": ""}}), unknown),
            (json!({"meta": {"topic": topic, "schema_uri": "/"}}), unknown),
            (json!({"meta": {"topic": topic, "schema_uri": "//1"}}), unknown),
            (
                json!({"meta": {"topic": topic, "schema_uri": "../../etc/passwd"}}),
                unknown,
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": "https://a.org/x/1"}}),
                unknown,
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": "mediawiki/page/create/99999999999999999999"}}),
                unknown,
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": "mediawiki/page/create/-1"}}),
                unknown,
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": "mediawiki/page/create/1.0"}}),
                unknown,
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": "mediawiki/page/create/1.xml"}}),
                unknown,
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": "\u{0}/1"}}),
                unknown,
            ),
            (json!({"meta": {"topic": topic, "schema_uri": long}}), unknown),
            (json!({"topic": topic, "schema": "", "revision": 1}), unknown),
            (json!({"topic": topic, "schema": "../x", "revision": 1}), unknown),
            (
                json!({"topic": "edit", "schema": "Edit", "revision": "x", "event": 5}),
                "Failed validating at path event",
            ),
            // What is no schema name leaves the schema to the topic.
            (
                json!({"meta": {"topic": topic, "schema_uri": 5}}),
                "Failed validating at path",
            ),
            (
                json!({"meta": {"topic": topic, "schema_uri": null}}),
                "Failed validating at path",
            ),
        ] {
            let (status, _, body) = ask(&isolate, &memory, produce(&sent)).await;
            let shown: String = sent.to_string().chars().take(200).collect();
            assert_eq!(status, 400, "{shown}: {body}");
            let errors: Value = serde_json::from_str(&body).unwrap();
            let message = errors[0]["event"]["message"].as_str().unwrap();
            assert!(message.contains(part), "{shown}: {message}");
            assert_eq!(errors[0]["event"]["rawEvent"], sent.to_string(), "{shown}");
        }
    });
}

#[test]
fn bad_paths_of_the_eventbus_service_are_not_found() {
    run(async {
        let (isolate, memory) = bus().await;
        let long = "x".repeat(10_000);
        let long = format!("/eventbus/v1/schemas/{long}");
        for (path, status) in [
            ("/eventbus/v1/schemas/test/1", 200),
            ("/eventbus/v1/schemas/test/1.0.0.json", 200),
            ("/eventbus/v1/schemas/test/latest", 200),
            ("/eventbus/v1/schemas/test", 200),
            ("/eventbus/v1/schemas/test?accept=x&%ff", 200),
            ("/eventbus/v1/schemas//", 200),
            ("/eventbus/v1/schemas/%2e%2e/%2e%2e/etc/passwd", 404),
            ("/eventbus/v1/schemas/test/..%2f..", 404),
            ("/eventbus/v1/schemas/%00", 404),
            ("/eventbus/v1/schemas/%ff", 404),
            ("/eventbus/v1/schemas/%zz", 404),
            ("/eventbus/v1/schemas/test/99999999999999999999", 404),
            ("/eventbus/v1/schemas/https://a.org/1", 404),
            (&long, 404),
            ("/eventbus/v1/topics/x", 404),
            ("/eventbus/v1/nothing", 404),
            ("/eventbus/v2/events", 404),
            ("/eventbus/v1/events", 405),
        ] {
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = path.parse().unwrap();
            let (got, _, body) = ask(&isolate, &memory, request).await;
            let shown: String = path.chars().take(200).collect();
            assert_eq!(got, status, "{shown}: {body}");
        }
    });
}
