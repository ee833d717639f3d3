//! Paths, methods, CORS and the document that describes them.

use super::*;
use crate::routes;

fn bare(method: &str, uri: &str) -> Request {
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = uri.parse().unwrap();
    request
}

#[test]
fn the_document_describes_what_is_answered_and_nothing_else() {
    run(async {
        let (isolate, memory) = world().await;
        let memory = memory.with("TEST_EVENTS", "[]");
        let (status, spec) = send(&isolate, &memory, bare("GET", "/intake/?spec")).await;
        assert_eq!((status, &spec["openapi"]), (200, &json!("3.0.3")));
        for (path, operations) in spec["paths"].as_object().unwrap() {
            let uri = format!("/intake{}", path.replace("{uri}", "test/1.0.0"));
            let uri = if path == "/" {
                "/intake/?spec".to_owned()
            } else {
                uri
            };
            for method in ["GET", "POST", "PUT", "DELETE", "PATCH"] {
                let described = operations.get(method.to_ascii_lowercase());
                let response = handle(&isolate, memory.clone(), bare(method, &uri)).await;
                let status = response.status().as_u16();
                match described {
                    Some(operation) => assert!(
                        operation["responses"].get(status.to_string()).is_some(),
                        "{method} {path} answers {status}, which the document does not have"
                    ),
                    None => assert_eq!(status, 405, "{method} {path}"),
                }
            }
        }
        assert_eq!(
            spec["paths"].as_object().map(serde_json::Map::len),
            Some(routes::ROUTES.len())
        );
        for path in ["/", "/?fooo=true", "/v1", "/v3/events", "/v1/events/x", "/beacon"] {
            assert_eq!(
                send(&isolate, &memory, bare("GET", &format!("/intake{path}")))
                    .await
                    .0,
                404,
                "{path}"
            );
        }
    });
}

#[test]
fn it_is_ready_where_it_can_take_events() {
    run(async {
        let ready = async |memory: &Memory| {
            let isolate = Rc::new(Isolate::default());
            let response = handle(&isolate, memory.clone(), bare("GET", "/intake/readyz")).await;
            assert_eq!(response.headers()["cache-control"], "no-store");
            let retry = response.headers().contains_key("retry-after");
            let status = response.status().as_u16();
            assert_eq!(retry, status == 503);
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            (status, serde_json::from_slice::<Value>(&body).unwrap())
        };
        let (_, memory) = world().await;
        assert_eq!(ready(&memory).await, (200, json!({"status": "ok"})));
        memory.fail("kv", Fault::Before);
        let missing = json!({"kv": "edge KV cannot be read"});
        assert_eq!(
            ready(&memory).await,
            (503, json!({"status": "unavailable", "missing": missing}))
        );
        let (status, body) = ready(&Memory::new()).await;
        assert_eq!(status, 503);
        let why = body["missing"]["stream_config"].as_str().unwrap();
        assert!(why.contains("no stream config is published"), "{why}");
    });
}

#[test]
fn prefixes_of_the_setting_lead_to_the_same_routes() {
    run(async {
        let (isolate, memory) = world().await;
        let memory = memory.with("PATH_PREFIXES", "/evt-103e, /ins-502b/");
        for (path, status) in [
            ("/evt-103e/v2/events", 201),
            ("/ins-502b/v1/events", 201),
            ("/v2/events", 201),
            ("/evt-103ev2/events", 404),
            ("/other/v2/events", 404),
            ("/evt-103e", 404),
        ] {
            let mut request = request(event("test.event"));
            *request.uri_mut() = path.parse().unwrap();
            assert_eq!(send(&isolate, &memory, request).await.0, status, "{path}");
        }
    });
}

#[test]
fn an_origin_of_the_setting_may_send_credentials_and_all_others_go_without() {
    run(async {
        for (setting, origin, allowed, credentials, vary) in [
            ("", Some("https://a.org"), "*", None, None),
            (
                "https://a.org",
                Some("https://a.org"),
                "https://a.org",
                Some("true"),
                Some("origin"),
            ),
            ("https://a.org", Some("https://b.org"), "*", None, Some("origin")),
            ("https://a.org", None, "*", None, Some("origin")),
        ] {
            for method in ["POST", "OPTIONS"] {
                let (isolate, memory) = world().await;
                let memory = memory.with("CORS_ORIGINS", setting);
                let mut request = request(event("test.event"));
                *request.method_mut() = method.parse().unwrap();
                if let Some(origin) = origin {
                    request.headers_mut().insert("origin", origin.parse().unwrap());
                }
                let response = handle(&isolate, memory, request).await;
                let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
                assert_eq!(
                    header("access-control-allow-origin"),
                    Some(allowed),
                    "{setting} {origin:?}"
                );
                assert_eq!(
                    header("access-control-allow-credentials"),
                    credentials,
                    "{setting} {origin:?}"
                );
                assert_eq!(header("vary"), vary, "{setting} {origin:?}");
            }
        }
    });
}

#[test]
fn test_events_are_posted_where_they_are_configured() {
    run(async {
        let (isolate, memory) = world().await;
        assert_eq!(
            send(&isolate, &memory, bare("GET", "/v1/_test/events")).await.0,
            404
        );
        let mut test = event("test.event");
        test["meta"].as_object_mut().unwrap().remove("id");
        let memory = memory.with("TEST_EVENTS", &json!([test]).to_string());
        assert_eq!(
            send(&isolate, &memory, bare("GET", "/v1/_test/events")).await.0,
            201
        );
        assert_eq!(
            send(&isolate, &memory, bare("GET", "/v1/_test/events?hasty=1"))
                .await
                .0,
            202
        );
        memory.run_background().await;
        assert_eq!(texts(&memory, "test.event").await.len(), 2);
    });
}

#[test]
fn a_stream_of_another_event_service_is_not_configured_here() {
    run(async {
        let (isolate, memory) = world().await;
        configure(
            &memory,
            json!({
                "main": {"schema_title": "test", "destination_event_service": "eventgate-main"},
                "analytics": {"schema_title": "test", "destination_event_service": "eventgate-analytics"},
                "nobodys": {"schema_title": "test"},
            }),
        )
        .await;
        for (service, expected) in [("", [201, 201, 201]), ("eventgate-main", [201, 400, 400])] {
            let memory = memory.clone().with("EVENT_SERVICE", service);
            for (stream, status) in ["main", "analytics", "nobodys"].into_iter().zip(expected) {
                let (got, body) = post(&isolate, &memory, event(stream)).await;
                assert_eq!(got, status, "{service} {stream}");
                assert!(
                    status == 201 || message(&body).contains("is not configured"),
                    "{body}"
                );
            }
        }
    });
}

/// `golden/eventgate.json`, "invalid+error no success": a sink that fails beside an invalid event.
#[test]
fn an_invalid_event_beside_one_the_sink_refuses_is_eventgates_answer_but_503() {
    run(async {
        let (isolate, memory) = world().await;
        memory.fail("log", Fault::Before);
        let mut invalid = event("test.event");
        invalid["test"] = 12345.into();
        let (status, body) = post(&isolate, &memory, json!([invalid, event("test.prefixed")])).await;
        assert_eq!(status, 503);
        assert_eq!(body["invalid"][0]["status"], "invalid");
        assert_eq!(body["invalid"][0]["event"]["test_default"], "default_value");
        assert_eq!(
            body["invalid"][0]["context"],
            json!({"errors": [{"keyword": "type", "dataPath": ".test", "schemaPath": "#/properties/test/type", "params": {"type": "string"}, "message": "should be string"}], "errorsText": "'.test' should be string"})
        );
        assert_eq!(body["error"][0]["status"], "error");
        assert_eq!(body["error"][0]["event"]["test_default"], "default_value");
        assert_eq!(
            body["error"][0]["context"],
            json!({"message": "the event could not be stored now: send it again"})
        );
        assert_eq!(body.as_object().map(serde_json::Map::len), Some(2));
    });
}
