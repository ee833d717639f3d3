//! The error stream.

use super::*;

const ERROR_SCHEMA: &str = include_str!("error-2.1.0.json");

/// A world with an error stream.
pub(super) async fn world_with_errors() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    let memory = memory.with("ERROR_STREAM", "intake.error");
    let schema = SchemaFile {
        title: "error".into(),
        version: "2.1.0".into(),
        json: ERROR_SCHEMA.into(),
        yaml: None,
    };
    memory
        .ask(RegistryRequest::PublishSchemas {
            repository: "one".into(),
            schemas: vec![schema],
        })
        .await
        .unwrap();
    configure(
        &memory,
        json!({
            "test.event": {"schema_title": "test"},
            "/^job\\./": {"schema_title": "test"},
            "test.token": {"schema_title": "test", "producers": {"auth": "token"}},
            "intake.error": {"schema_title": "error"},
        }),
    )
    .await;
    (isolate, memory)
}

async fn errors(memory: &Memory) -> Vec<Value> {
    memory.run_background().await;
    let texts = texts(memory, "intake.error").await;
    texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

#[test]
fn a_refused_event_is_in_the_error_stream_as_received() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let raw = r#"{ "$schema":"/test/1.0.0", "meta":{"stream":"test.event","uri":"https://a.org/b","domain":"a.org","request_id":"r1"}, "test": 1.0 }"#;
        assert_eq!(post(&isolate, &memory, raw).await.0, 400);
        let errors = errors(&memory).await;
        let mut error = errors.first().unwrap().clone();
        let id = error["meta"]["id"].take();
        assert_eq!(id.as_str().map(str::len), Some(36));
        error["meta"].as_object_mut().unwrap().remove("id");
        error["meta"].as_object_mut().unwrap().remove("dt").unwrap();
        assert_eq!(
            error,
            json!({
                "meta": {
                    "uri": "https://a.org/b", "domain": "a.org", "request_id": "r1", "stream": "intake.error",
                },
                "dt": "2024-01-01T00:00:00.000Z",
                "emitter_id": "eventstar-intake",
                "raw_event": raw,
                "errored_schema_uri": "/test/1.0.0",
                "errored_stream_name": "test.event",
                "message": "'.test' should be string",
                "$schema": "/error/2.1.0",
                "error_type": "ValidationError",
            })
        );
        assert_eq!(errors.len(), 1);
    });
}

#[test]
fn every_outcome_has_the_error_event_that_the_table_says() {
    run(async {
        for (sent, expected) in [
            (
                json!({"$schema": "/nope/1.0.0", "meta": {"stream": "test.event"}}),
                Some("EventSchemaLoadError"),
            ),
            (
                json!({"$schema": "/test/1.0.0", "meta": {"stream": "nope"}}),
                Some("UnauthorizedSchemaForStreamError"),
            ),
            (
                json!({"$schema": "/other/1.0.0", "meta": {"stream": "test.event"}}),
                Some("UnauthorizedSchemaForStreamError"),
            ),
            (
                json!({"meta": {"stream": "test.event"}}),
                Some("EventSchemaUriExtractionError"),
            ),
            (json!({"$schema": 1}), Some("EventSchemaUriExtractionError")),
            (json!([1]), Some("EventSchemaUriExtractionError")),
            (
                json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.event"}, "test": 1}),
                Some("ValidationError"),
            ),
            (
                json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.event", "id": "x"}}),
                Some("ValidationError"),
            ),
            (
                json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.token"}}),
                None,
            ),
            (
                json!({"$schema": "/error/2.1.0", "meta": {"stream": "intake.error"}}),
                None,
            ),
            (event("test.event"), None),
        ] {
            let (isolate, memory) = world_with_errors().await;
            let _ = post(&isolate, &memory, &sent).await;
            let types: Vec<Value> = errors(&memory)
                .await
                .iter()
                .map(|error| error["error_type"].clone())
                .collect();
            assert_eq!(
                types,
                expected.map(Value::from).into_iter().collect::<Vec<_>>(),
                "{sent}"
            );
        }
    });
}

#[test]
fn what_a_hasty_client_never_learns_is_in_the_error_stream() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let mut request =
            request(json!([{"$schema": "/test/1.0.0", "meta": {"stream": "test.event"}, "test": 1}]));
        *request.uri_mut() = "/v1/events?hasty=true".parse().unwrap();
        assert_eq!(send(&isolate, &memory, request).await.0, 202);
        assert_eq!(errors(&memory).await.len(), 1);
    });
}

#[test]
fn a_sinks_failure_is_reported_only_where_the_client_was_not_told() {
    run(async {
        for (query, expected) in [("", 0), ("?hasty=1", 1)] {
            let (isolate, memory) = world_with_errors().await;
            let memory = memory.with("TOPIC_PREFIX", "");
            memory.fail("queue", Fault::Before);
            configure(
                &memory,
                json!({"test.event": {"schema_title": "test", "accept": "queue"}, "intake.error": {"schema_title": "error"}}),
            )
            .await;
            let mut request = request(event("test.event"));
            *request.uri_mut() = format!("/v1/events{query}").parse().unwrap();
            let _ = send(&isolate, &memory, request).await;
            let errors = errors(&memory).await;
            assert_eq!(errors.len(), expected, "{query}");
            assert!(
                errors.iter().all(|error| error["error_type"] == "DeliveryError"),
                "{errors:?}"
            );
        }
    });
}

#[test]
fn a_stream_fills_its_budget_alone_and_the_rest_is_counted() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let memory = memory
            .with("ERROR_EVENTS_PER_MINUTE", "2")
            .with("ADMIN_TOKEN", "root");
        let bad = |stream: &str| json!({"$schema": "/test/1.0.0", "meta": {"stream": stream}, "test": 1});
        // Every name the regex matches shares one budget, and so do all names that are not configured.
        let sent = json!([
            bad("test.event"),
            bad("test.event"),
            bad("test.event"),
            bad("job.a"),
            bad("job.b"),
            bad("job.c")
        ]);
        assert_eq!(post(&isolate, &memory, &sent).await.0, 400);
        assert_eq!(errors(&memory).await.len(), 4);
        assert!(
            memory
                .lines()
                .iter()
                .any(|line| line.contains("2 error events dropped")),
            "{:?}",
            memory.lines()
        );
        memory.advance(60_000);
        assert_eq!(post(&isolate, &memory, bad("test.event")).await.0, 400);
        assert_eq!(errors(&memory).await.len(), 5);
        let page = metrics(&isolate, &memory).await;
        for line in [
            r#"eventstar_intake_error_events_dropped_total{stream="test.event"} 1"#,
            r#"eventstar_intake_error_events_dropped_total{stream="/^job\\./"} 1"#,
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
    });
}

#[test]
fn an_error_event_that_cannot_be_stored_is_logged_and_counted() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let memory = memory
            .with("ERROR_STREAM", "not.configured")
            .with("ADMIN_TOKEN", "root");
        let bad = json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.event"}, "test": 1});
        assert_eq!(post(&isolate, &memory, bad).await.0, 400);
        assert_eq!(errors(&memory).await.len(), 0);
        assert!(
            memory
                .lines()
                .iter()
                .any(|line| line.contains("an error event was not stored: unknown_stream"))
        );
        assert!(
            metrics(&isolate, &memory)
                .await
                .contains("eventstar_intake_error_events_lost_total 1\n")
        );
    });
}

#[test]
fn odd_events_have_error_events_too() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let long = "x".repeat(700_000);
        for (sent, part) in [
            (r#"{"$schema":"/test/1.0.0","meta":{"stream":"test.event","uri":"a b#c#d","domain":"","request_id":5},"test":1}"#.to_owned(), "'.test' should"),
            (r#"{"$schema":"/test/1.0.0","meta":"x"}"#.to_owned(), "'.meta' should be object"),
            (r#"{"a":1,"a":2}"#.to_owned(), "'.a'"),
            (format!(r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"test.event"}},"test":["\"{long}é"]}}"#), "raw_event holds the first"),
            (format!(r#"{{"$schema":"/{long}/1.0.0","meta":{{"stream":"{long}","request_id":"{long}"}}}}"#), "bytes"),
            ("\"text\"".to_owned(), "Field(s) $schema"),
        ] {
            let before = errors(&memory).await.len();
            let _ = post(&isolate, &memory, format!("[{sent}]")).await;
            let errors = errors(&memory).await;
            assert_eq!(errors.len(), before + 1, "{}: {:?}", sent.chars().take(80).collect::<String>(), memory.lines());
            let error = errors.last().unwrap();
            assert!(error["message"].as_str().unwrap().contains(part), "{}", error["message"]);
            assert!(sent.starts_with(error["raw_event"].as_str().unwrap()));
        }
    });
}

/// What a scrape of the metrics reads.
pub(super) async fn metrics(isolate: &Rc<Isolate>, memory: &Memory) -> String {
    memory.run_background().await;
    isolate.metrics.flush_soon(memory);
    memory.run_background().await;
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = "/intake/metrics".parse().unwrap();
    request
        .headers_mut()
        .insert("authorization", HeaderValue::from_static("Bearer root"));
    let Body::Full(body) = handle(isolate, memory.clone(), request).await.into_body() else {
        panic!("streams")
    };
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn events_are_counted_by_stream_and_outcome_with_names_of_the_config_alone() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let memory = memory.with("ADMIN_TOKEN", "root");
        let sent = json!([event("test.event"), event("job.a"), event("job.b"), event("made.up"), {"$schema": "/test/1.0.0", "meta": {"stream": "job.c"}, "test": 1}]);
        assert_eq!(post(&isolate, &memory, sent).await.0, 207);
        let page = metrics(&isolate, &memory).await;
        for line in [
            r#"eventstar_intake_events_total{stream="test.event",outcome="accepted",code="accepted"} 1"#,
            r#"eventstar_intake_events_total{stream="/^job\\./",outcome="accepted",code="accepted"} 2"#,
            r#"eventstar_intake_events_total{stream="/^job\\./",outcome="invalid",code="invalid"} 1"#,
            r#"eventstar_intake_events_total{stream="unknown",outcome="error",code="unknown_stream"} 1"#,
            r#"eventstar_intake_requests_total{status="207"} 1"#,
            r#"eventstar_intake_schema_cache_total{result="miss"}"#,
            "eventstar_intake_request_duration_seconds_count 1",
        ] {
            assert!(page.contains(line), "{line}\n{page}");
        }
        assert!(!page.contains("made.up"), "{page}");
    });
}

#[test]
fn a_refusal_is_logged_as_json_without_values_of_the_event() {
    run(async {
        let (isolate, memory) = world_with_errors().await;
        let secret = "hunter2";
        let bad = json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.event"}, "test": [secret]});
        let unknown = json!({"$schema": "/test/1.0.0", "meta": {"stream": secret}});
        assert_eq!(post(&isolate, &memory, json!([bad, bad, unknown])).await.0, 400);
        let lines = memory.lines();
        let records: Vec<Value> = lines
            .iter()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let record = |stream, code, events| {
            json!({
                "level": "info", "dt": "2024-01-01T00:00:00.000Z", "message": "events not accepted",
                "stream": stream, "code": code, "events": events, "of": 3,
            })
        };
        assert_eq!(
            records,
            [
                record("test.event", "invalid", 2),
                record("unknown", "unknown_stream", 1)
            ]
        );
        assert!(lines.iter().all(|line| !line.contains(secret)), "{lines:?}");
    });
}
