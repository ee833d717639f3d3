//! The EventLogging beacon: `EventLoggingLegacyConverterTest.php:18-219`, and what becomes of broken ones.

use std::net::IpAddr;

use eventstar_ports::ClientAddress;

use super::*;

pub(super) async fn legacy_world() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    let capsule = json!({
        "title": "analytics/legacy/test", "type": "object", "required": ["event"],
        "properties": {
            "dt": {"type": "string"},
            "event": {"type": "object", "properties": {"OtherMessage": {"type": "string"}}},
            "meta": {"type": "object", "properties": {"dt": {"type": "string"}}},
        },
    });
    let error = include_str!("error-2.1.0.json");
    publish(
        &memory,
        &[
            ("analytics/legacy/test", &capsule.to_string()),
            (
                "analytics/legacy/old",
                &capsule.to_string().replace("test", "old"),
            ),
        ],
    )
    .await;
    let schema = SchemaFile {
        title: "error".into(),
        version: "2.1.0".into(),
        json: error.into(),
        yaml: None,
    };
    let publish = RegistryRequest::PublishSchemas {
        repository: "one".into(),
        schemas: vec![schema],
    };
    memory.ask(publish).await.unwrap();
    let legacy = json!({"schema_uri": "/analytics/legacy/test/1.0.0", "revisions": {"7": "/analytics/legacy/old/1.0.0"}});
    configure(
        &memory,
        json!({
            "eventlogging_Test": {"schema_title": "analytics/legacy/test", "producers": {"eventlogging": legacy}},
            "eventlogging_Plain": {"schema_title": "analytics/legacy/test"},
            "intake.error": {"schema_title": "error"},
        }),
    )
    .await;
    (isolate, memory.with("ERROR_STREAM", "intake.error"))
}

pub(super) fn beacon(query: &str) -> Request {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::POST;
    *request.uri_mut() = format!("/beacon/event{query}").parse().unwrap();
    request
        .headers_mut()
        .insert("user-agent", HeaderValue::from_static("UA/1"));
    request
        .extensions_mut()
        .insert(ClientAddress(IpAddr::from([203, 0, 113, 9])));
    request
}

/// As `encodeURIComponent` does.
pub(super) fn encoded(capsule: &Value) -> String {
    let text = capsule.to_string();
    let encoded = text.bytes().map(|byte| match byte {
        b'a'..=b'z'
        | b'A'..=b'Z'
        | b'0'..=b'9'
        | b'-'
        | b'_'
        | b'.'
        | b'!'
        | b'~'
        | b'*'
        | b'\''
        | b'('
        | b')' => char::from(byte).to_string(),
        _ => format!("%{byte:02X}"),
    });
    format!("?{};", encoded.collect::<String>())
}

#[test]
fn a_capsule_becomes_an_event_of_its_schemas_stream() {
    run(async {
        let (isolate, memory) = legacy_world().await;
        let capsule = json!({"event": {"OtherMessage": "a+b é"}, "schema": "Test", "webHost": "en.wikipedia.org", "wiki": "enwiki", "revision": -1, "meta": {"stream": "other", "x": 1}});
        let response = handle(&isolate, memory.clone(), beacon(&encoded(&capsule))).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["cache-control"]),
            (204, &HeaderValue::from_static("no-store"))
        );
        assert!(
            texts(&memory, "eventlogging_Test").await.is_empty(),
            "answered before anything is stored"
        );
        memory.run_background().await;
        let stored: Value = serde_json::from_str(&texts(&memory, "eventlogging_Test").await[0]).unwrap();
        let uuid = stored["uuid"].as_str().unwrap();
        assert_eq!(uuid.len(), 36);
        assert_eq!(
            stored,
            json!({
                "event": {"OtherMessage": "a+b é"},
                "schema": "Test",
                "webHost": "en.wikipedia.org",
                "wiki": "enwiki",
                "revision": -1,
                "meta": {"stream": "eventlogging_Test", "dt": "2024-01-01T00:00:00.000Z"},
                "$schema": "/analytics/legacy/test/1.0.0",
                "uuid": uuid,
                "dt": "2024-01-01T00:00:00.000Z",
                "client_dt": "2024-01-01T00:00:00.000Z",
                "recvFrom": "203.0.113.9",
                "http": {"request_headers": {"user-agent": "UA/1"}},
            })
        );
    });
}

#[test]
fn get_post_and_the_older_names_all_work_and_nothing_else_does() {
    run(async {
        let (isolate, memory) = legacy_world().await;
        let query = encoded(&json!({"schema": "Test", "event": {}, "uuid": "mine"}));
        for (method, path, status) in [
            ("GET", "/beacon/event", 204),
            ("HEAD", "/beacon/event", 204),
            ("POST", "/beacon/event", 204),
            ("GET", "/beacon/event.gif", 204),
            ("GET", "/event.gif", 204),
            ("GET", "/intake/beacon/event", 204),
            ("OPTIONS", "/beacon/event", 200),
            ("DELETE", "/beacon/event", 405),
            ("GET", "/beacon/other", 404),
        ] {
            let before = texts(&memory, "eventlogging_Test").await.len();
            let mut request = beacon(&query);
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = format!("{path}{query}").parse().unwrap();
            let response = handle(&isolate, memory.clone(), request).await;
            assert_eq!(response.status(), status, "{method} {path}");
            memory.run_background().await;
            let stored = texts(&memory, "eventlogging_Test").await.len() - before;
            assert_eq!(stored, usize::from(status == 204), "{method} {path}");
        }
        assert!(texts(&memory, "eventlogging_Test").await[0].contains(r#""uuid":"mine""#));
    });
}

#[test]
fn a_capsule_that_is_no_event_is_204_and_in_the_error_stream_as_received() {
    run(async {
        let long = encoded(&json!({"schema": "Test", "event": {"OtherMessage": "x".repeat(1900)}}));
        for (query, stream, message) in [
            ("", "unknown", "the query is empty"),
            ("?", "unknown", "the query is empty"),
            ("?%7B%22schema%22%3A%22Te", "unknown", "not valid JSON"),
            ("?%7B%22%%22", "unknown", "not valid JSON"),
            ("?%FF%FE;", "unknown", "not percent-encoded UTF-8"),
            ("?%5B%5D;", "unknown", "object"),
            ("?%5B%7B%22schema%22%3A%22Test%22%7D%5D;", "unknown", "object"),
            ("?1;", "unknown", "object"),
            ("?%7B%7D;", "unknown", "the capsule has no schema"),
            ("?%7B%22schema%22%3A1%7D;", "unknown", "the capsule has no schema"),
            (
                "?%7B%22schema%22%3A%22Nope%22%7D;",
                "eventlogging_Nope",
                "Nope is not in the list of allowed legacy schemas.",
            ),
            (
                "?%7B%22schema%22%3A%22Plain%22%7D;",
                "eventlogging_Plain",
                "Plain is not in the list of allowed legacy schemas.",
            ),
            (
                "?%7B%22schema%22%3A%22Test%22%7D;",
                "eventlogging_Test",
                "'' should have required property 'event'",
            ),
            (
                "?%7B%22schema%22%3A%22Test%22%2C%22revision%22%3A7%2C%22event%22%3A%7B%7D%7D",
                "eventlogging_Test",
                "schema title must be analytics/legacy/test",
            ),
            (
                "?%7B%22schema%22%3A%22Test%22%2C%22schema%22%3A%22Test%22%7D",
                "unknown",
                "'.schema'",
            ),
            (long.get(..long.len() - 10).unwrap(), "unknown", "EOF"),
        ] {
            let (isolate, memory) = legacy_world().await;
            assert_eq!(
                send(&isolate, &memory, beacon(query)).await,
                (204, Value::Null),
                "{query}"
            );
            memory.run_background().await;
            let errors = texts(&memory, "intake.error").await;
            let error: Value = serde_json::from_str(
                errors
                    .first()
                    .unwrap_or_else(|| panic!("{query}: {:?}", memory.lines())),
            )
            .unwrap();
            assert_eq!(error["raw_event"], query.trim_start_matches('?'), "{query}");
            assert_eq!(error["errored_stream_name"], stream, "{query}");
            assert!(
                error["message"].as_str().unwrap().contains(message),
                "{query}: {}",
                error["message"]
            );
        }
    });
}

#[test]
fn a_url_of_two_thousand_characters_is_taken_whole() {
    run(async {
        let (isolate, memory) = legacy_world().await;
        let short =
            encoded(&json!({"schema": "Test", "event": {"OtherMessage": ""}})).len() + "/beacon/event".len();
        let query = encoded(&json!({"schema": "Test", "event": {"OtherMessage": "x".repeat(2000 - short)}}));
        assert_eq!(query.len() + "/beacon/event".len(), 2000);
        assert_eq!(send(&isolate, &memory, beacon(&query)).await.0, 204);
        memory.run_background().await;
        assert_eq!(texts(&memory, "eventlogging_Test").await.len(), 1);
    });
}
