//! Bad values of each query parameter and header, and what is answered or stored. Everywhere: no panic, and no 5xx for what
//! a client sent.

use std::net::IpAddr;

use eventstar_ports::ClientAddress;

use super::*;

/// A schema that takes every member that something fills, and says of none what it must be.
const LOOSE: &str = r#"{
    "title": "loose", "$id": "/loose/1.0.0", "type": "object",
    "properties": {
        "meta": {"type": "object", "properties": {"stream": {}, "id": {}, "dt": {}, "request_id": {}}},
        "http": {"type": "object", "properties": {"client_ip": {}, "request_headers": {"additionalProperties": {}}}},
        "experiment": {"type": "object", "properties": {"subject_id": {"type": "string"}}}
    }
}"#;

pub(super) async fn loose_world() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    publish(&memory, &[("loose", LOOSE)]).await;
    let eventgate = json!({
        "use_edge_uniques": true,
        "enrich_fields_from_http_headers": {"http.request_headers.user-agent": "user-agent"},
    });
    configure(
        &memory,
        json!({
            "test.event": {"schema_title": "test"},
            "test.token": {"schema_title": "test", "producers": {"auth": "token", "tokens": ["shop"]}},
            "/^job\\./": {"schema_title": "test"},
            "loose": {"schema_title": "loose", "producers": {"eventgate": eventgate}},
        }),
    )
    .await;
    (isolate, memory)
}

/// The status and the code of the answer to one event: that of its result, or of the refusal of the body.
pub(super) async fn told(isolate: &Rc<Isolate>, memory: &Memory, mut request: Request) -> (u16, String) {
    request
        .headers_mut()
        .append("prefer", HeaderValue::from_static("return=representation"));
    let response = handle(isolate, memory.clone(), request).await;
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let code = body["results"][0]["code"].as_str().or(body["type"].as_str());
    (status, code.unwrap_or_default().to_owned())
}

/// The last event of a topic.
pub(super) async fn last(memory: &Memory, topic: &str) -> Value {
    let texts = texts(memory, topic).await;
    serde_json::from_str(texts.last().unwrap()).unwrap()
}

#[test]
fn query_parameters_of_any_value_are_answered() {
    run(async {
        let (isolate, memory) = loose_world().await;
        let long = "x".repeat(10_000);
        let long_stream = format!("stream={long}");
        let long_schema = format!("stream=test.event&schema_uri=/{long}/1.0.0");
        for (query, status, code) in [
            // Any value is hasty, none is not.
            ("hasty", 201, "accepted"),
            ("hasty=", 201, "accepted"),
            ("hasty=0", 202, ""),
            ("hasty=%00", 202, ""),
            ("hasty=%ff", 202, ""),
            ("hasty=%zz", 202, ""),
            ("HASTY=1", 201, "accepted"),
            ("dry_run", 400, "invalid_dry_run"),
            ("dry_run=", 400, "invalid_dry_run"),
            ("dry_run=1", 400, "invalid_dry_run"),
            ("dry_run=TRUE", 400, "invalid_dry_run"),
            ("dry_run=true%00", 400, "invalid_dry_run"),
            ("dry_run=%ff", 400, "invalid_dry_run"),
            ("dry_run=true&dry_run=false", 200, "accepted"),
            ("stream=", 201, "accepted"),
            ("schema_uri=", 201, "accepted"),
            ("a=b&&=&%&x", 201, "accepted"),
        ] {
            let mut request = request(event("test.event"));
            *request.uri_mut() = format!("/v1/events?{query}").parse().unwrap();
            assert_eq!(
                told(&isolate, &memory, request).await,
                (status, code.to_owned()),
                "{query}"
            );
        }
        // For an event that names neither.
        for (query, code) in [
            ("stream=a%20b&schema_uri=/test/1.0.0", "unknown_stream"),
            ("stream=..%2fx&schema_uri=/test/1.0.0", "unknown_stream"),
            ("stream=test.event%00&schema_uri=/test/1.0.0", "unknown_stream"),
            ("stream=%ff&schema_uri=/test/1.0.0", "unknown_stream"),
            ("stream=__proto__&schema_uri=/test/1.0.0", "unknown_stream"),
            ("stream=%2f%5ejob%5c.%2f&schema_uri=/test/1.0.0", "unknown_stream"),
            (
                "stream=eventstar.dead-letter&schema_uri=/test/1.0.0",
                "unknown_stream",
            ),
            ("stream=test.event,job.x&schema_uri=/test/1.0.0", "unknown_stream"),
            (
                "stream=test.event&stream=job.x&schema_uri=/test/1.0.0",
                "accepted",
            ),
            (long_stream.as_str(), "missing_field"),
            ("stream=test.event", "missing_field"),
            ("stream=test.event&schema_uri=", "missing_field"),
            ("stream=test.event&schema_uri=%00", "unknown_schema"),
            ("stream=test.event&schema_uri=%ff", "unknown_schema"),
            ("stream=test.event&schema_uri=/", "unknown_schema"),
            ("stream=test.event&schema_uri=1.0.0", "unknown_schema"),
            (
                "stream=test.event&schema_uri=/..%2f..%2fetc/passwd",
                "unknown_schema",
            ),
            (
                "stream=test.event&schema_uri=https://a.org/test/1.0.0",
                "unknown_schema",
            ),
            (
                "stream=test.event&schema_uri=file:///test/1.0.0",
                "unknown_schema",
            ),
            ("stream=test.event&schema_uri=/test/1.0.0%23", "accepted"),
            (long_schema.as_str(), "unknown_schema"),
            ("schema_uri=/test/1.0.0", "invalid"),
        ] {
            let mut request = request(json!({"test": "v"}));
            *request.uri_mut() = format!("/v1/events?{query}").parse().unwrap();
            let status = if code == "accepted" { 201 } else { 400 };
            assert_eq!(
                told(&isolate, &memory, request).await,
                (status, code.to_owned()),
                "{query}"
            );
        }
    });
}

#[test]
fn headers_of_any_value_are_answered() {
    run(async {
        let (isolate, memory) = loose_world().await;
        let long = "x".repeat(10_000);
        for (name, value, status, code) in [
            ("content-type", "application/json;", 201, "accepted"),
            (
                "content-type",
                "APPLICATION/JSON; Charset=\"UTF-8\"",
                201,
                "accepted",
            ),
            ("content-type", "text/plain; charset=us-ascii", 201, "accepted"),
            (
                "content-type",
                "application/json;charset=",
                415,
                "unsupported_media_type",
            ),
            (
                "content-type",
                "application/json;charset=utf-16",
                415,
                "unsupported_media_type",
            ),
            ("content-type", "application/jsonx", 415, "unsupported_media_type"),
            (
                "content-type",
                "application/json, text/plain",
                415,
                "unsupported_media_type",
            ),
            ("content-type", "json", 415, "unsupported_media_type"),
            ("content-type", "", 415, "unsupported_media_type"),
            ("content-type", ";", 415, "unsupported_media_type"),
            ("content-type", "\u{e9}", 415, "unsupported_media_type"),
            ("content-type", &long, 415, "unsupported_media_type"),
            ("content-encoding", "", 201, "accepted"),
            ("content-encoding", "IDENTITY", 201, "accepted"),
            ("content-encoding", "br", 415, "unsupported_media_type"),
            ("content-encoding", "gzip, gzip", 415, "unsupported_media_type"),
            ("content-encoding", "gzip;q=1", 415, "unsupported_media_type"),
            ("content-encoding", "\u{e9}", 415, "unsupported_media_type"),
            ("content-encoding", "gzip", 400, "malformed_encoding"),
            ("content-encoding", "x-gzip", 400, "malformed_encoding"),
            ("content-encoding", "deflate", 400, "malformed_encoding"),
            ("origin", "null", 201, "accepted"),
            ("origin", "\u{e9}", 201, "accepted"),
            ("origin", &long, 201, "accepted"),
            ("traceparent", "00-nonsense", 201, "accepted"),
            ("traceparent", "\u{e9}", 201, "accepted"),
            ("if-none-match", "*", 201, "accepted"),
            ("expect", "nonsense", 201, "accepted"),
        ] {
            let mut request = request(event("test.event"));
            let value = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().insert(name, value.clone());
            assert_eq!(
                told(&isolate, &memory, request).await,
                (status, code.to_owned()),
                "{name}: {value:?}"
            );
        }
        for (value, status, code) in [
            ("Bearer s1", 201, "accepted"),
            ("bEARER  s1 ", 201, "accepted"),
            ("", 403, "token_refused"),
            ("Bearer", 403, "token_refused"),
            ("Bearer ", 403, "token_refused"),
            ("Bearer s1 s1", 403, "token_refused"),
            ("Bearer shop=s1", 403, "token_refused"),
            ("Basic s1", 403, "token_refused"),
            ("s1", 403, "token_refused"),
            ("Bearer \u{e9}", 403, "token_refused"),
            (&long, 403, "token_refused"),
        ] {
            let mut request = request(event("test.token"));
            let header = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().insert("authorization", header);
            assert_eq!(
                told(&isolate, &memory, request).await,
                (status, code.to_owned()),
                "{value}"
            );
        }
        for value in [
            "",
            ",",
            "return",
            "return=",
            "return=minimal",
            "return=representation;x",
            "representation",
            "\u{e9}",
            &long,
        ] {
            let mut request = request(event("test.event"));
            let header = HeaderValue::from_bytes(value.as_bytes()).unwrap();
            request.headers_mut().insert("prefer", header);
            assert_eq!(
                send(&isolate, &memory, request).await,
                (201, Value::Null),
                "{value}"
            );
        }
    });
}

/// What a header leaves in the event.
#[test]
fn headers_of_any_value_become_members() {
    run(async {
        let long = "é".repeat(10_000);
        let cut = "é".repeat(400);
        let commas = ",".repeat(10_000);
        for (name, value, pointer, expected) in [
            ("x-request-id", &b"r\"1\\\t"[..], "/meta/request_id", "r\"1\\\t"),
            ("x-request-id", b"", "/meta/request_id", ""),
            ("x-request-id", b"r\xff1", "/meta/request_id", "r\u{fffd}1"),
            ("x-request-id", long.as_bytes(), "/meta/request_id", &cut),
            (
                "user-agent",
                b"\xff",
                "/http/request_headers/user-agent",
                "\u{fffd}",
            ),
            (
                "user-agent",
                "\u{1f4a5}".as_bytes(),
                "/http/request_headers/user-agent",
                "\u{1f4a5}",
            ),
            (
                "user-agent",
                long.as_bytes(),
                "/http/request_headers/user-agent",
                &cut,
            ),
            ("x-client-ip", b"1.2.3.4", "/http/client_ip", "1.2.3.4"),
            ("x-client-ip", b" 1.2.3.4 , 5.6.7.8", "/http/client_ip", "5.6.7.8"),
            ("x-client-ip", b"::ffff:1.2.3.4", "/http/client_ip", "1.2.3.4"),
            ("x-client-ip", b"", "/http/client_ip", "10.1.2.3"),
            ("x-client-ip", b"unknown", "/http/client_ip", "10.1.2.3"),
            ("x-client-ip", b"1.2.3.4:80", "/http/client_ip", "1.2.3.4"),
            ("x-client-ip", b"1.2.3.4/8", "/http/client_ip", "10.1.2.3"),
            ("x-client-ip", b"1.2.3", "/http/client_ip", "10.1.2.3"),
            ("x-client-ip", b"256.1.1.1", "/http/client_ip", "10.1.2.3"),
            ("x-client-ip", b"\xff", "/http/client_ip", "10.1.2.3"),
            ("x-forwarded-for", b"[::1]:80", "/http/client_ip", "::1"),
            ("x-forwarded-for", b", 1.2.3.4", "/http/client_ip", "1.2.3.4"),
            (
                "x-forwarded-for",
                b"2001:db8::1,10.0.0.1",
                "/http/client_ip",
                "2001:db8::1",
            ),
            (
                "x-forwarded-for",
                commas.as_bytes(),
                "/http/client_ip",
                "10.1.2.3",
            ),
        ] {
            let (isolate, memory) = loose_world().await;
            let header = if name == "x-client-ip" { name } else { "" };
            let memory = memory
                .with("TRUSTED_PROXIES", "10.0.0.0/8")
                .with("CLIENT_ADDRESS_HEADER", header);
            let mut request = request(json!({"$schema": "/loose/1.0.0", "meta": {"stream": "loose"}}));
            let header = HeaderValue::from_bytes(value).unwrap();
            request.headers_mut().insert(name, header);
            request
                .extensions_mut()
                .insert(ClientAddress(IpAddr::from([10, 1, 2, 3])));
            assert_eq!(
                told(&isolate, &memory, request).await,
                (201, "accepted".to_owned()),
                "{name}: {value:?}"
            );
            let stored = last(&memory, "loose").await;
            assert_eq!(
                stored.pointer(pointer),
                Some(&json!(expected)),
                "{name}: {value:?}"
            );
        }
    });
}

#[test]
fn enrollments_of_any_form_are_answered() {
    run(async {
        let (isolate, memory) = loose_world().await;
        let many = "teapot-lids=a/s;".repeat(1000);
        let experiment = |enrolled: Value, assigned: Value| json!({"enrolled": enrolled, "assigned": assigned, "subject_id": "awaiting"});
        let known = experiment("teapot-lids".into(), "a".into());
        for (experiment, header, code) in [
            (known.clone(), "teapot-lids=a/s", "accepted"),
            (known.clone(), ";; teapot-lids=a/s ;", "accepted"),
            (known.clone(), &many, "accepted"),
            (known.clone(), "", "not_enrolled"),
            (known.clone(), ";", "not_enrolled"),
            (known.clone(), "teapot-lids=A/s", "not_enrolled"),
            (known.clone(), "teapot-lids=a", "malformed_enrollments"),
            (
                known.clone(),
                "teapot-lids=a/s,other=b/s",
                "malformed_enrollments",
            ),
            (known.clone(), "teapot-lids=a/\u{e9}", "accepted"),
            (known.clone(), "\u{e9}=a/s", "malformed_enrollments"),
            (known.clone(), "nonsense", "malformed_enrollments"),
            (
                experiment(Value::Null, "a".into()),
                "teapot-lids=a/s",
                "not_enrolled",
            ),
            (
                experiment(5.into(), "a".into()),
                "teapot-lids=a/s",
                "not_enrolled",
            ),
            (
                experiment("teapot-lids".into(), json!([])),
                "teapot-lids=a/s",
                "not_enrolled",
            ),
            (
                json!({"subject_id": "awaiting"}),
                "teapot-lids=a/s",
                "not_enrolled",
            ),
            (json!({"subject_id": null}), "nonsense", "invalid"),
            (json!({"subject_id": 5}), "nonsense", "invalid"),
            (json!({"subject_id": ""}), "nonsense", "accepted"),
            (json!({"subject_id": "Awaiting"}), "nonsense", "accepted"),
            (json!({}), "nonsense", "accepted"),
            (json!([]), "nonsense", "invalid"),
            (Value::Null, "nonsense", "invalid"),
        ] {
            let sent =
                json!({"$schema": "/loose/1.0.0", "meta": {"stream": "loose"}, "experiment": experiment});
            let mut request = request(&sent);
            let value = HeaderValue::from_bytes(header.as_bytes()).unwrap();
            request.headers_mut().insert("x-experiment-enrollments", value);
            let status = if code == "accepted" { 201 } else { 400 };
            assert_eq!(
                told(&isolate, &memory, request).await,
                (status, code.to_owned()),
                "{sent} {header}"
            );
        }
    });
}
