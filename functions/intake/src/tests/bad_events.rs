//! Bad values of the members of an event, and what is answered or stored.

use std::net::IpAddr;

use eventstar_ports::ClientAddress;

use super::bad_values::{last, loose_world, told};
use super::*;

#[test]
fn each_bad_member_is_answered_with_its_code() {
    run(async {
        let (isolate, memory) = loose_world().await;
        let long = "x".repeat(10_000);
        let long_uri = format!("/{long}/1.0.0");
        // The member at a pointer of an event of schema `test` becomes the value; none is as if it were not there.
        for (pointer, value, code) in [
            ("/$schema", None, "missing_field"),
            ("/$schema", Some(json!(null)), "missing_field"),
            ("/$schema", Some(json!(5)), "schema_uri_not_text"),
            ("/$schema", Some(json!([])), "schema_uri_not_text"),
            ("/$schema", Some(json!({})), "schema_uri_not_text"),
            ("/$schema", Some(json!(true)), "schema_uri_not_text"),
            ("/$schema", Some(json!("")), "unknown_schema"),
            ("/$schema", Some(json!(" ")), "unknown_schema"),
            ("/$schema", Some(json!("/")), "unknown_schema"),
            ("/$schema", Some(json!("//")), "unknown_schema"),
            ("/$schema", Some(json!("/test")), "unknown_schema"),
            ("/$schema", Some(json!("/test/")), "unknown_schema"),
            ("/$schema", Some(json!("/test/1.0.0/")), "unknown_schema"),
            ("/$schema", Some(json!("/test/1.0")), "unknown_schema"),
            ("/$schema", Some(json!("/test/v1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/test/01.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/TEST/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/./test/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/x/../test/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/%74est/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("\\test\\1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("//a.org/test/1.0.0")), "unknown_schema"),
            (
                "/$schema",
                Some(json!("https://a.org/test/1.0.0")),
                "unknown_schema",
            ),
            ("/$schema", Some(json!("file:///etc/passwd")), "unknown_schema"),
            ("/$schema", Some(json!("javascript:alert(1)")), "unknown_schema"),
            ("/$schema", Some(json!("/test/1.0.0?x")), "unknown_schema"),
            (
                "/$schema",
                Some(json!("/test/1.0.0#/properties")),
                "unknown_schema",
            ),
            ("/$schema", Some(json!("/test\u{0}/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/__proto__/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!("/é/1.0.0")), "unknown_schema"),
            ("/$schema", Some(json!(long_uri)), "unknown_schema"),
            ("/$schema", Some(json!("test/1.0.0")), "accepted"),
            ("/$schema", Some(json!("/test/1.0.0#")), "accepted"),
            ("/$schema", Some(json!("/test/1.0.0.yaml")), "accepted"),
            ("/$schema", Some(json!("/test/latest")), "accepted"),
            ("/meta", None, "invalid"),
            ("/meta", Some(json!(null)), "invalid"),
            ("/meta", Some(json!(5)), "invalid"),
            ("/meta", Some(json!([])), "invalid"),
            ("/meta", Some(json!("test.event")), "invalid"),
            ("/meta", Some(json!({})), "invalid"),
            ("/meta/stream", Some(json!(null)), "invalid"),
            ("/meta/stream", Some(json!(5)), "invalid"),
            ("/meta/stream", Some(json!(["test.event"])), "invalid"),
            ("/meta/stream", Some(json!("")), "unknown_stream"),
            ("/meta/stream", Some(json!("Test.Event")), "unknown_stream"),
            ("/meta/stream", Some(json!("test.event ")), "unknown_stream"),
            ("/meta/stream", Some(json!("test.event\u{0}")), "unknown_stream"),
            ("/meta/stream", Some(json!("../test.event")), "unknown_stream"),
            ("/meta/stream", Some(json!("/^job\\./")), "unknown_stream"),
            ("/meta/stream", Some(json!("job.\n")), "unknown_stream"),
            ("/meta/stream", Some(json!("__proto__")), "unknown_stream"),
            (
                "/meta/stream",
                Some(json!("eventstar.dead-letter")),
                "unknown_stream",
            ),
            (
                "/meta/stream",
                Some(json!(format!("job.{long}"))),
                "unknown_stream",
            ),
            ("/meta/id", Some(json!(null)), "invalid"),
            ("/meta/id", Some(json!(5)), "invalid"),
            ("/meta/id", Some(json!("")), "invalid"),
            (
                "/meta/id",
                Some(json!("5e1dd101641c11e8ab6cb083fecf1280")),
                "invalid",
            ),
            ("/meta/id", Some(json!(long)), "invalid"),
            (
                "/meta/id",
                Some(json!("5E1DD101-641C-11E8-AB6C-B083FECF1280")),
                "accepted",
            ),
            ("/meta/dt", Some(json!(null)), "invalid"),
            ("/meta/dt", Some(json!(1_700_000_000)), "invalid"),
            ("/meta/dt", Some(json!("")), "invalid"),
            ("/meta/dt", Some(json!("2020-07-01")), "invalid"),
            ("/meta/dt", Some(json!("2020-07-01T00:00:00")), "invalid"),
            ("/meta/dt", Some(json!("2020-07-01T25:61:00Z")), "invalid"),
            ("/meta/dt", Some(json!("2020-07-01T00:00:00Z\n")), "invalid"),
            ("/meta/dt", Some(json!("2020-19-39 29:59:59z")), "accepted"),
            ("/n", Some(json!("1")), "invalid"),
            ("/n", Some(json!(true)), "invalid"),
            ("/n", Some(json!(null)), "invalid"),
            ("/n", Some(json!(-1e308)), "accepted"),
            ("/test", Some(json!("a\u{0}b")), "accepted"),
            (
                "/__proto__",
                Some(json!({"test": 5, "constructor": {"prototype": 1}})),
                "accepted",
            ),
            ("/constructor", Some(json!(null)), "accepted"),
            ("/", Some(json!("a member without a name")), "accepted"),
        ] {
            let mut sent = event("test.event");
            let (parent, name) = pointer.rsplit_once('/').unwrap();
            let parent = sent.pointer_mut(parent).unwrap().as_object_mut().unwrap();
            match value {
                Some(value) => parent.insert(name.to_owned(), value),
                None => parent.remove(name),
            };
            let status = if code == "accepted" { 201 } else { 400 };
            let shown: String = sent.to_string().chars().take(300).collect();
            assert_eq!(
                told(&isolate, &memory, request(&sent)).await,
                (status, code.to_owned()),
                "{pointer} in {shown}"
            );
        }
    });
}

/// Members that a schema may leave open: what intake fills in does not go below or over a value that is there.
#[test]
fn what_is_there_is_not_filled_over() {
    run(async {
        let dt = "2024-01-01T00:00:00.000Z";
        for (sent, pointer, expected) in [
            (json!({"meta": {"id": null}}), "/meta/id", json!(null)),
            (json!({"meta": {"id": ""}}), "/meta/id", json!("")),
            (json!({"meta": {"id": 5}}), "/meta/id", json!(5)),
            (
                json!({"meta": {"request_id": null}}),
                "/meta/request_id",
                json!(null),
            ),
            // What was sent has been validated; what is stored is the receive time.
            (json!({"meta": {"dt": null}}), "/meta/dt", json!(dt)),
            (json!({"meta": {"dt": "yesterday"}}), "/meta/dt", json!(dt)),
            (json!({"meta": {"dt": [1]}}), "/meta/dt", json!(dt)),
            (json!({"dt": "yesterday"}), "/dt", json!("yesterday")),
            (
                json!({"http": {"client_ip": null}}),
                "/http/client_ip",
                json!(null),
            ),
            (json!({"http": {"client_ip": 5}}), "/http/client_ip", json!(5)),
            (
                json!({"http": {"client_ip": "made up"}}),
                "/http/client_ip",
                json!("made up"),
            ),
            (json!({"http": {}}), "/http/client_ip", json!("203.0.113.9")),
            (
                json!({"http": {"request_headers": null}}),
                "/http/request_headers",
                json!(null),
            ),
            (
                json!({"http": {"request_headers": []}}),
                "/http/request_headers",
                json!([]),
            ),
            (
                json!({"http": {"request_headers": {"user-agent": 5}}}),
                "/http/request_headers",
                json!({"user-agent": 5}),
            ),
            (
                json!({"http": {"request_headers": {"User-Agent": "x"}}}),
                "/http/request_headers",
                json!({"User-Agent": "x", "user-agent": "UA/1"}),
            ),
        ] {
            let (isolate, memory) = loose_world().await;
            let mut sent = sent;
            sent["$schema"] = "/loose/1.0.0".into();
            sent["meta"]["stream"] = "loose".into();
            let mut request = request(&sent);
            let headers = request.headers_mut();
            headers.insert("user-agent", HeaderValue::from_static("UA/1"));
            headers.insert("x-request-id", HeaderValue::from_static("r1"));
            request
                .extensions_mut()
                .insert(ClientAddress(IpAddr::from([203, 0, 113, 9])));
            assert_eq!(
                told(&isolate, &memory, request).await,
                (201, "accepted".to_owned()),
                "{sent}"
            );
            assert_eq!(
                last(&memory, "loose").await.pointer(pointer),
                Some(&expected),
                "{sent}"
            );
        }
    });
}

#[test]
fn a_request_of_many_bad_events_is_told_all_errors_of_the_first_and_one_of_each_other() {
    run(async {
        let (isolate, memory) = world().await;
        let items = r#"{"title":"items","type":"object","properties":{"v":{"items":{"type":"string"}}}}"#;
        publish(&memory, &[("items", items)]).await;
        let event = json!({"$schema": "/items/1.0.0", "meta": {"stream": "test.event"}, "v": vec![0; 300]});
        configure(&memory, json!({"test.event": {"schema_title": "items"}})).await;
        let (status, body) = post(&isolate, &memory, json!(vec![event; 30])).await;
        assert_eq!(status, 400);
        let told: Vec<usize> = body["invalid"]
            .as_array()
            .unwrap()
            .iter()
            .map(|failure| failure["context"]["errors"].as_array().unwrap().len())
            .collect();
        assert_eq!(told, [vec![100; 20], vec![1; 10]].concat());
    });
}

#[test]
fn an_event_that_would_have_more_defaults_than_a_megabyte_is_refused() {
    run(async {
        let (isolate, memory) = world().await;
        let default = "x".repeat(100_000);
        let items = json!({"title": "items", "type": "object", "properties": {
            "v": {"items": {"type": "object", "properties": {"d": {"default": default}}}},
        }});
        publish(&memory, &[("items", &items.to_string())]).await;
        configure(&memory, json!({"test.event": {"schema_title": "items"}})).await;
        let event = |items| json!({"$schema": "/items/1.0.0", "meta": {"stream": "test.event"}, "v": vec![json!({}); items]});
        assert_eq!(post(&isolate, &memory, event(9)).await.0, 201);
        let (status, body) = post(&isolate, &memory, event(11)).await;
        assert_eq!(status, 400);
        assert!(
            message(&body).starts_with("the schema's defaults would add more than 1048576 bytes"),
            "{}",
            message(&body)
        );
    });
}
