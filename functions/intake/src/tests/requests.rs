//! What a request says beside its events.

use std::io::Write;

use eventstar_ports::ClientAddress;
use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::*;

/// A schema with members that headers fill.
async fn traced_world() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    let schema = json!({
        "title": "traced", "$id": "/traced/1.0.0", "type": "object",
        "properties": {
            "meta": {"type": "object", "properties": {"stream": {"type": "string"}, "request_id": {"type": "string"}}},
            "http": {"type": "object", "properties": {
                "method": {"type": "string"},
                "client_ip": {"type": "string"},
                "request_headers": {"type": "object", "additionalProperties": {"type": "string"}}
            }}
        }
    });
    let insecure = json!({"title": "insecure", "properties": {"a": {"type": "string", "pattern": "x"}}});
    let publish = RegistryRequest::PublishSchemas {
        repository: "one".into(),
        schemas: [("traced", schema), ("insecure", insecure)]
            .map(|(title, json)| SchemaFile {
                title: title.into(),
                version: "1.0.0".into(),
                json: json.to_string(),
                yaml: None,
            })
            .to_vec(),
    };
    memory.ask(publish).await.unwrap();
    let enrich = |fields: Value| json!({"schema_title": "traced", "producers": {"eventgate": {"enrich_fields_from_http_headers": fields}}});
    configure(
        &memory,
        json!({
            "test.event": {"schema_title": "test"},
            "insecure": {"schema_title": "insecure"},
            "traced": {"schema_title": "traced"},
            "agent": enrich(json!({"http.request_headers.user-agent": "User-Agent", "http.nothing": "accept"})),
            "quiet": enrich(json!({"meta.request_id": false, "http.request_headers.user-agent": false})),
        }),
    )
    .await;
    (isolate, memory)
}

#[test]
fn headers_fill_the_members_a_stream_takes_from_them_where_the_event_lacks_them() {
    run(async {
        let (isolate, memory) = traced_world().await;
        let long = "x".repeat(500);
        let cut = "x".repeat(400);
        for (stream, sent, agent, expected) in [
            (
                "traced",
                json!({}),
                "curl",
                json!({"meta": {"stream": "traced", "request_id": "r1"}}),
            ),
            (
                "agent",
                json!({"http": {"method": "GET"}}),
                "curl",
                json!({"http": {"method": "GET", "request_headers": {"user-agent": "curl"}}, "meta": {"stream": "agent", "request_id": "r1"}}),
            ),
            (
                "agent",
                json!({"http": {"request_headers": {"user-agent": "own"}}}),
                "curl",
                json!({"http": {"request_headers": {"user-agent": "own"}}, "meta": {"stream": "agent", "request_id": "r1"}}),
            ),
            (
                "agent",
                json!({}),
                long.as_str(),
                json!({"http": {"request_headers": {"user-agent": cut}}, "meta": {"stream": "agent", "request_id": "r1"}}),
            ),
            ("quiet", json!({}), "curl", json!({"meta": {"stream": "quiet"}})),
        ] {
            let mut sent = sent;
            sent["$schema"] = "/traced/1.0.0".into();
            sent["meta"]["stream"] = stream.into();
            let mut request = request(&sent);
            request
                .headers_mut()
                .insert("x-request-id", HeaderValue::from_static("r1"));
            request
                .headers_mut()
                .insert("user-agent", HeaderValue::from_str(agent).unwrap());
            assert_eq!(
                send(&isolate, &memory, request).await,
                (201, Value::Null),
                "{sent}"
            );
            let mut stored: Value =
                serde_json::from_str(texts(&memory, stream).await.last().unwrap()).unwrap();
            stored.as_object_mut().unwrap().remove("$schema");
            assert_eq!(stored, expected, "{sent}");
        }
    });
}

#[test]
fn the_client_address_is_the_platforms_and_a_proxys_word_counts_only_where_it_is_trusted() {
    run(async {
        for (trusted, seen, headers, expected) in [
            ("", "203.0.113.9", vec![], "203.0.113.9"),
            (
                "",
                "203.0.113.9",
                vec![("x-client-ip", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")],
                "203.0.113.9",
            ),
            (
                "10.0.0.0/8",
                "203.0.113.9",
                vec![("x-client-ip", "1.2.3.4")],
                "203.0.113.9",
            ),
            (
                "10.0.0.0/8",
                "10.1.2.3",
                vec![("x-client-ip", "1.2.3.4"), ("x-forwarded-for", "5.6.7.8")],
                "5.6.7.8",
            ),
            (
                "10.0.0.0/8",
                "10.1.2.3",
                vec![("x-forwarded-for", "1.2.3.4, 5.6.7.8, 10.1.1.1")],
                "5.6.7.8",
            ),
            (
                "192.0.2.1, 10.1.2.3",
                "10.1.2.3",
                vec![("x-forwarded-for", "2001:db8::1")],
                "2001:db8::1",
            ),
            (
                "10.0.0.0/8",
                "10.1.2.3",
                vec![("x-forwarded-for", "unknown")],
                "10.1.2.3",
            ),
            ("10.0.0.0/8", "10.1.2.3", vec![], "10.1.2.3"),
            (
                "nonsense",
                "10.1.2.3",
                vec![("x-client-ip", "1.2.3.4")],
                "10.1.2.3",
            ),
        ] {
            let (isolate, memory) = traced_world().await;
            let memory = memory.with("TRUSTED_PROXIES", trusted);
            let mut request = request(json!({"$schema": "/traced/1.0.0", "meta": {"stream": "quiet"}}));
            for (name, value) in &headers {
                request
                    .headers_mut()
                    .insert(*name, HeaderValue::from_static(value));
            }
            request
                .extensions_mut()
                .insert(ClientAddress(seen.parse().unwrap()));
            assert_eq!(send(&isolate, &memory, request).await, (201, Value::Null));
            let stored: Value = serde_json::from_str(&texts(&memory, "quiet").await[0]).unwrap();
            assert_eq!(
                stored["http"]["client_ip"], expected,
                "{trusted} {seen} {headers:?}"
            );
        }
    });
}

#[test]
fn a_header_does_not_hide_that_a_member_has_the_wrong_type() {
    run(async {
        let (isolate, memory) = traced_world().await;
        let sent = json!({"$schema": "/traced/1.0.0", "meta": {"stream": "agent"}, "http": 5});
        let mut request = request(&sent);
        request
            .headers_mut()
            .insert("user-agent", HeaderValue::from_static("curl"));
        let (status, body) = send(&isolate, &memory, request).await;
        assert_eq!(status, 400);
        assert_eq!(
            body["invalid"][0]["context"]["errorsText"],
            "'.http' should be object"
        );
        assert_eq!(body["invalid"][0]["event"], sent);
    });
}

#[test]
fn the_query_names_schema_and_stream_where_the_event_does_not() {
    run(async {
        let (isolate, memory) = traced_world().await;
        let path = "/v1/events?schema_uri=%2Ftest%2F1.0.0&stream=test.event";
        for (sent, status) in [
            (json!({"test": "v"}), 201),
            (json!({"test": 5}), 400),
            (json!({"$schema": "/traced/1.0.0"}), 400),
            (json!({"meta": {"stream": "traced"}}), 400),
            (json!({"meta": 5}), 400),
        ] {
            let mut request = request(&sent);
            *request.uri_mut() = path.parse().unwrap();
            assert_eq!(send(&isolate, &memory, request).await.0, status, "{sent}");
        }
        let texts = texts(&memory, "test.event").await;
        assert_eq!(texts.len(), 1);
        assert!(
            texts[0]
                .starts_with(r#"{"test":"v","$schema":"/test/1.0.0","meta":{"stream":"test.event","id":""#),
            "{texts:?}"
        );
        let mut empty = request(json!({"test": "v"}));
        *empty.uri_mut() = "/v1/events?schema_uri=&stream=".parse().unwrap();
        assert_eq!(send(&isolate, &memory, empty).await.0, 400);
    });
}

#[test]
fn an_insecure_schema_is_not_used_unless_it_is_allowed() {
    run(async {
        let (isolate, memory) = traced_world().await;
        let sent = json!({"$schema": "/insecure/1.0.0", "meta": {"stream": "insecure"}});
        let (status, body) = post(&isolate, &memory, &sent).await;
        assert_eq!(status, 400);
        assert_eq!(message(&body), "Failed loading schema at /insecure/1.0.0");
        let told = memory.lines();
        assert!(
            told.iter()
                .any(|line| line.contains("/insecure/1.0.0 is not used: at /properties/a: not secure")),
            "{told:?}"
        );
        let allowing = memory.with("ALLOW_INSECURE_SCHEMAS", "true");
        let isolate = Rc::new(Isolate::default());
        assert_eq!(post(&isolate, &allowing, &sent).await, (201, Value::Null));
    });
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn a_compressed_body_is_read_up_to_the_limit_of_what_it_inflates_to() {
    run(async {
        let (isolate, memory) = world().await;
        let mut sent = event("test.event");
        // Without an id, what is sent again is another event.
        sent["meta"].as_object_mut().unwrap().remove("id");
        let sent = sent.to_string();
        let bomb = vec![b' '; MAX_BODY_BYTES + 1];
        let whole = gzip(sent.as_bytes());
        for (name, encoding, body, status) in [
            ("gzip", "gzip", whole.clone(), 201),
            ("upper case", "GZIP", whole.clone(), 201),
            ("deflate", "deflate", zlib(sent.as_bytes()), 201),
            (
                "two members",
                "gzip",
                [gzip(b"["), gzip(sent.as_bytes()), gzip(b"]")].concat(),
                201,
            ),
            ("nothing", "gzip", gzip(b""), 400),
            ("cut off", "gzip", whole[..whole.len() - 9].to_vec(), 400),
            ("not compressed", "gzip", sent.clone().into_bytes(), 400),
            ("the other", "deflate", whole, 400),
            ("a bomb", "gzip", gzip(&bomb), 413),
            ("a bomb", "deflate", zlib(&bomb), 413),
        ] {
            let mut request = request("");
            *request.body_mut() = body.into();
            request
                .headers_mut()
                .insert("content-encoding", HeaderValue::from_str(encoding).unwrap());
            assert_eq!(
                send(&isolate, &memory, request).await.0,
                status,
                "{name}, {encoding}"
            );
        }
        assert_eq!(texts(&memory, "test.event").await.len(), 4);
    });
}

#[test]
fn a_dry_run_tells_what_would_become_of_each_event_and_stores_nothing() {
    run(async {
        let (isolate, memory) = world().await;
        let ask = async |query: &str, sent: Value| {
            let mut request = request(sent);
            *request.uri_mut() = format!("/v1/events?{query}").parse().unwrap();
            send(&isolate, &memory, request).await
        };
        let mut wrong = event("test.event");
        wrong["test"] = 5.into();
        let sent = json!([event("test.event"), wrong, event("nope"), 7]);
        let (status, body) = ask("dry_run=true&hasty=true", sent.clone()).await;
        assert_eq!(status, 200);
        assert_eq!(
            body["results"][0],
            json!({
                "outcome": "accepted", "code": "accepted", "schema_uri": "/test/1.0.0", "stream": "test.event", "retryable": false,
                "event": {
                    "$schema": "/test/1.0.0",
                    "meta": {"stream": "test.event", "id": "5e1dd101-641c-11e8-ab6c-b083fecf1280", "dt": "2024-01-01T00:00:00.000Z"},
                    "test": "v", "test_default": "default_value"
                }
            })
        );
        let mut repeated = wrong.clone();
        repeated["test_default"] = "default_value".into();
        assert_eq!(
            body["results"][1],
            json!({
                "outcome": "invalid", "code": "invalid", "pointer": "/test", "schema_uri": "/test/1.0.0", "stream": "test.event",
                "retryable": false, "message": "'.test' should be string",
                "errors": [{"pointer": "/test", "keyword": "type", "message": "should be string"}], "event": repeated
            })
        );
        let short = |place: usize| {
            let result = &body["results"][place];
            json!([
                result["outcome"],
                result["code"],
                result["pointer"],
                result["event"]
            ])
        };
        assert_eq!(
            short(2),
            json!(["error", "unknown_stream", "/meta/stream", event("nope")])
        );
        assert_eq!(short(3), json!(["error", "missing_field", "", 7]));
        memory.run_background().await;
        assert!(texts(&memory, "test.event").await.is_empty());

        let (status, body) = ask("dry_run=yes", sent).await;
        assert_eq!((status, &body["type"]), (400, &json!("invalid_dry_run")));
        assert_eq!(
            ask("dry_run=false", event("test.event")).await,
            (201, Value::Null)
        );
        assert_eq!(texts(&memory, "test.event").await.len(), 1);
    });
}

#[test]
fn a_client_that_prefers_it_gets_a_result_for_each_event() {
    run(async {
        let (isolate, memory) = world().await;
        let mut wrong = event("test.event");
        wrong["test"] = 5.into();
        for (prefer, sent, status, codes) in [
            (
                "return=representation",
                json!([event("test.event")]),
                201,
                json!(["accepted"]),
            ),
            (
                "respond-async, Return=Representation",
                json!([wrong, event("test.event")]),
                207,
                json!(["invalid", "accepted"]),
            ),
            ("return=representation", json!([wrong]), 400, json!(["invalid"])),
            (
                "return=representation",
                json!([event("test.token")]),
                401,
                json!(["token_missing"]),
            ),
            ("return=minimal", json!([event("test.event")]), 201, json!([])),
        ] {
            let mut request = request(sent);
            request
                .headers_mut()
                .insert("prefer", HeaderValue::from_static(prefer));
            let response = handle(&isolate, memory.clone(), request).await;
            let applied = response.headers().contains_key("preference-applied");
            assert_eq!(
                (response.status().as_u16(), applied),
                (status, codes != json!([])),
                "{prefer}"
            );
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            let body: Value = serde_json::from_slice(&body).unwrap_or_default();
            let got: Vec<&Value> = body["results"]
                .as_array()
                .into_iter()
                .flatten()
                .map(|result| &result["code"])
                .collect();
            assert_eq!(json!(got), codes, "{prefer}");
        }
        let failing = memory.clone();
        failing.fail("log", Fault::Before);
        let mut request = request(event("test.event"));
        request
            .headers_mut()
            .insert("prefer", HeaderValue::from_static("return=representation"));
        let (status, body) = send(&isolate, &failing, request).await;
        assert_eq!((status, &body["results"][0]["retryable"]), (503, &json!(true)));
    });
}

#[test]
fn the_edge_puts_in_the_subject_an_event_awaits() {
    run(async {
        let schema = json!({
            "title": "exposure", "type": "object",
            "properties": {"experiment": {"type": "object", "properties": {"subject_id": {"type": "string"}}}},
        });
        for (stream, subject, header, expected) in [
            (
                "edge",
                "awaiting",
                Some("other-one=a/s0;teapot-lids=control/s1"),
                Ok("s1"),
            ),
            ("edge", "known", Some("broken"), Ok("known")),
            (
                "plain",
                "awaiting",
                Some("teapot-lids=control/s1"),
                Ok("awaiting"),
            ),
            (
                "edge",
                "awaiting",
                Some("teapot-lids=b/s1"),
                Err("has no experiment 'teapot-lids' with group 'control'"),
            ),
            ("edge", "awaiting", None, Err("has no experiment")),
            ("edge", "awaiting", Some("teapot-lids"), Err("cannot be read")),
        ] {
            let (isolate, memory) = world().await;
            publish(&memory, &[("exposure", &schema.to_string())]).await;
            configure(
                &memory,
                json!({
                    "edge": {"schema_title": "exposure", "producers": {"eventgate": {"use_edge_uniques": true}}},
                    "plain": {"schema_title": "exposure"},
                }),
            )
            .await;
            let mut sent = request(json!({
                "$schema": "/exposure/1.0.0", "meta": {"stream": stream},
                "experiment": {"enrolled": "teapot-lids", "assigned": "control", "subject_id": subject},
            }));
            if let Some(header) = header {
                sent.headers_mut()
                    .insert("x-experiment-enrollments", header.parse().unwrap());
            }
            let (status, body) = send(&isolate, &memory, sent).await;
            match expected {
                Ok(subject) => {
                    assert_eq!(status, 201, "{body}");
                    let stored: Value = serde_json::from_str(&texts(&memory, stream).await[0]).unwrap();
                    assert_eq!(stored["experiment"]["subject_id"], subject);
                }
                Err(part) => {
                    assert_eq!(status, 400, "{header:?}");
                    assert!(message(&body).contains(part), "{body}");
                }
            }
        }
    });
}
