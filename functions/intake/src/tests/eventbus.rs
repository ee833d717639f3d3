//! eventlogging-service-eventbus: `tests/test_service.py`.

use super::*;

pub(super) async fn bus() -> (Rc<Isolate>, Memory) {
    let (isolate, memory) = world().await;
    let create = json!({
        "title": "mediawiki/page/create", "$id": "/mediawiki/page/create/1.0.0", "type": "object", "required": ["page_title"],
        "properties": {
            "meta": {"type": "object", "required": ["topic"], "properties": {"topic": {"type": "string"}, "schema_uri": {"type": "string"}}},
            "page_title": {"type": "string"},
        },
    });
    let capsule = json!({"title": "Edit", "type": "object", "required": ["event"], "properties": {"event": {"type": "object"}}});
    publish(
        &memory,
        &[
            ("mediawiki/page/create", &create.to_string()),
            ("Edit", &capsule.to_string()),
        ],
    )
    .await;
    configure(
        &memory,
        json!({
            "mediawiki.page-create": {"schema_title": "mediawiki/page/create"},
            "edit": {"schema_title": "Edit"},
            "/^job\\./": {"schema_title": "test"},
        }),
    )
    .await;
    (isolate, memory)
}

fn create(schema_uri: Option<&str>, title: Value) -> Value {
    let mut event = json!({"meta": {"topic": "mediawiki.page-create", "id": "e1"}, "page_title": title});
    if let Some(uri) = schema_uri {
        event["meta"]["schema_uri"] = uri.into();
    }
    event
}

pub(super) async fn ask(isolate: &Rc<Isolate>, memory: &Memory, request: Request) -> (u16, String, String) {
    let response = handle(isolate, memory.clone(), request).await;
    let message = response
        .headers()
        .get("x-eventbus-message")
        .map_or("", |value| value.to_str().unwrap())
        .to_owned();
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (status, message, String::from_utf8(body.to_vec()).unwrap())
}

pub(super) fn produce(body: impl ToString) -> Request {
    let mut request = request(body);
    *request.uri_mut() = "/eventbus/v1/events".parse().unwrap();
    request
}

#[test]
fn events_that_name_topic_and_schema_are_accepted() {
    run(async {
        for (sent, uri) in [
            (
                create(Some("mediawiki/page/create/1"), "A".into()),
                "mediawiki/page/create/1.0.0",
            ),
            (
                create(Some("/mediawiki/page/create/1.yaml"), "A".into()),
                "mediawiki/page/create/1.0.0",
            ),
            (
                create(Some("mediawiki/page/create"), "A".into()),
                "mediawiki/page/create/latest",
            ),
            (create(None, "A".into()), "mediawiki/page/create/latest"),
        ] {
            let (isolate, memory) = bus().await;
            let answer = ask(&isolate, &memory, produce(&sent)).await;
            assert_eq!(
                answer,
                (201, "All 1 events were accepted.".into(), String::new()),
                "{sent}"
            );
            let stored: Value =
                serde_json::from_str(&texts(&memory, "mediawiki.page-create").await[0]).unwrap();
            assert_eq!(stored["meta"]["schema_uri"], uri);
            assert_eq!(stored["meta"]["stream"], "mediawiki.page-create");
            assert_eq!(stored["$schema"], format!("/{uri}"));
        }
        let (isolate, memory) = bus().await;
        let capsule = json!({"schema": "Edit", "revision": 1, "topic": "edit", "event": {}});
        assert_eq!(ask(&isolate, &memory, produce(capsule)).await.0, 201);
        assert_eq!(texts(&memory, "edit").await.len(), 1);
    });
}

#[test]
fn what_is_not_accepted_is_answered_as_event_errors() {
    run(async {
        for (sent, message) in [
            (
                create(Some("mediawiki/page/create/1"), 5.into()),
                "Failed validating at path page_title: <Event e1 of schema (mediawiki/page/create, 1)>. '.page_title' should be string",
            ),
            (
                json!({"meta": {"topic": "nope", "schema_uri": "a/1"}}),
                "Topic nope not configured",
            ),
            (
                json!({"meta": {"id": "x"}}),
                "Could not get topic from the event.",
            ),
            (
                json!({"meta": {"topic": "mediawiki.page-create", "schema_uri": "Edit/1"}, "event": {}}),
                "Events of schema Edit are not allowed in topic mediawiki.page-create. Expected schema mediawiki/page/create",
            ),
            (
                json!({"meta": {"topic": "mediawiki.page-create", "schema_uri": "nope/1"}}),
                "Could not find schema for provided topic in <Event unknown of schema (nope, 1)>.",
            ),
            (json!("text"), "an event is a JSON object"),
        ] {
            let (isolate, memory) = bus().await;
            let (status, said, body) = ask(&isolate, &memory, produce(json!([sent]))).await;
            assert_eq!(
                (status, said.as_str()),
                (400, "0 out of 1 events were accepted."),
                "{sent}"
            );
            let errors: Value = serde_json::from_str(&body).unwrap();
            let error = &errors[0];
            assert_eq!(
                (&error["schema"], &error["revision"], &error["wiki"]),
                (&json!("EventError"), &json!(14_035_058), &json!(""))
            );
            assert_eq!(error["timestamp"], 1_704_067_200);
            assert_eq!(error["event"]["rawEvent"], sent.to_string());
            assert_eq!(error["event"]["code"], "validation");
            assert!(
                error["event"]["message"].as_str().unwrap().starts_with(message),
                "{}",
                error["event"]["message"]
            );
        }
        let (isolate, memory) = bus().await;
        let mixed = json!([create(None, "A".into()), create(None, 5.into())]);
        let (status, said, body) = ask(&isolate, &memory, produce(mixed)).await;
        assert_eq!((status, said.as_str()), (207, "1 out of 2 events were accepted."));
        assert_eq!(serde_json::from_str::<Vec<Value>>(&body).unwrap().len(), 1);
    });
}

#[test]
fn bodies_and_types_are_checked_as_the_service_does() {
    run(async {
        let (isolate, memory) = bus().await;
        for (content_type, body, status, part) in [
            ("application/json; charset=utf-8", "[]", 201, ""),
            ("Application/JSON;charset=UTF-8", "[]", 201, ""),
            (
                "application/json; charset=latin1",
                "[]",
                415,
                "unsupported charset",
            ),
            (
                "application/json-seq",
                "{}",
                400,
                "Cannot produce messages of type application/json-seq.",
            ),
            (
                "text/plain",
                "{}",
                400,
                "Cannot produce messages of type text/plain.",
            ),
            ("", "{}", 400, "Cannot produce messages of type ."),
            ("application/json", "", 400, "Must provide body in request."),
            ("application/json", "{nope", 400, "malformed_json"),
            ("application/json", "[]", 201, ""),
        ] {
            let mut request = produce(body);
            if content_type.is_empty() {
                request.headers_mut().remove(CONTENT_TYPE);
            } else {
                request
                    .headers_mut()
                    .insert(CONTENT_TYPE, content_type.parse().unwrap());
            }
            let (got, _, text) = ask(&isolate, &memory, request).await;
            assert_eq!(got, status, "{content_type} {body}");
            assert!(text.contains(part), "{text}");
        }
        memory.fail("log", Fault::Before);
        let (status, _, body) = ask(&isolate, &memory, produce(create(None, "A".into()))).await;
        assert_eq!(status, 503);
        assert!(body.contains("Failed sending event <Event e1"), "{body}");
    });
}

#[test]
fn topics_and_schemas_are_listed_and_served() {
    run(async {
        let (isolate, memory) = bus().await;
        let get = |path: &str, accept: &'static str| {
            let mut request = Request::new(Bytes::new());
            *request.uri_mut() = path.parse().unwrap();
            if !accept.is_empty() {
                request
                    .headers_mut()
                    .insert("accept", HeaderValue::from_static(accept));
            }
            request
        };
        let (status, _, body) = ask(&isolate, &memory, get("/eventbus/v1/topics", "")).await;
        assert_eq!(
            (status, serde_json::from_str::<Value>(&body).unwrap()),
            (
                200,
                json!({"mediawiki.page-create": {"schema_name": "mediawiki/page/create"}, "edit": {"schema_name": "Edit"}, "/^job\\./": {"schema_name": "test"}})
            )
        );
        let (_, _, body) = ask(&isolate, &memory, get("/eventbus/v1/schemas/", "")).await;
        assert_eq!(
            body,
            r#"["Edit/1.0.0","mediawiki/page/create/1.0.0","other/1.0.0","test/1.0.0"]"#
        );
        for (path, status, part) in [
            (
                "mediawiki/page/create/1",
                200,
                r#""title":"mediawiki/page/create""#,
            ),
            ("mediawiki/page/create", 200, r#""title":"mediawiki/page/create""#),
            (
                "mediawiki%2Fpage%2Fcreate/1.yaml",
                200,
                r#""title":"mediawiki/page/create""#,
            ),
            (
                "mediawiki/page/create/2",
                404,
                "No schema exists at schema_uri mediawiki/page/create/2\n",
            ),
            ("../x", 404, "No schema exists at schema_uri ../x\n"),
        ] {
            let (got, _, body) = ask(
                &isolate,
                &memory,
                get(&format!("/eventbus/v1/schemas/{path}"), ""),
            )
            .await;
            assert_eq!(got, status, "{path}");
            assert!(body.contains(part), "{path}: {body}");
        }
        for (accept, expected) in [
            ("application/x-yaml", "application/x-yaml; charset=UTF-8"),
            ("application/yaml", "application/x-yaml; charset=UTF-8"),
            ("Application/YAML;q=0.5", "application/x-yaml; charset=UTF-8"),
            ("application/yaml, */*;q=0.1", "application/x-yaml; charset=UTF-8"),
            ("application/yaml, */*", "application/x-yaml; charset=UTF-8"),
            ("application/yaml;q=0.5, */*", "application/json; charset=UTF-8"),
            ("application/yaml;q=0", "application/json; charset=UTF-8"),
            ("text/html", "application/json; charset=UTF-8"),
            ("*/*", "application/json; charset=UTF-8"),
        ] {
            let response = handle(&isolate, memory.clone(), get("/eventbus/v1/topics", accept)).await;
            assert_eq!(response.headers()["content-type"], expected, "{accept}");
        }
    });
}
