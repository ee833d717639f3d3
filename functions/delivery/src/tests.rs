use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Queue};
use serde_json::{Value, json};

use super::*;

async fn send(
    memory: &Memory,
    method: &str,
    path: &str,
    headers: &[(&'static str, &str)],
    body: &str,
) -> (u16, Value) {
    let mut request = Request::new(Bytes::from(body.to_owned()));
    *request.method_mut() = method.parse().unwrap();
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let response = handle(&Rc::new(Isolate::default()), memory.clone(), request).await;
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (status, serde_json::from_slice(&body).unwrap_or(Value::Null))
}

const TOKEN: (&str, &str) = ("authorization", "Bearer root");
const CONFIGS: &str = "/admin/v1/stream-configs";
const SCHEMAS: &str = "/admin/v1/repositories/one/schemas";

fn world() -> Memory {
    Memory::new()
        .with("ADMIN_TOKEN", "root")
        .with("PRODUCER_TOKENS", "web=w1")
}

fn schemas(json: &str) -> String {
    json!({"schemas": [{"title": "a", "version": "1.0.0", "json": json}]}).to_string()
}

#[test]
fn it_is_ready_before_anything_is_published_and_not_where_streams_lack_their_proxy() {
    pollster::block_on(async {
        let memory = world();
        assert_eq!(
            send(&memory, "GET", "/delivery/readyz/", &[], "").await,
            (200, json!({"status": "ok"}))
        );
        let headers = [TOKEN, ("if-match", "*")];
        let memory = memory.with("KAFKA_REST_URL", "http://127.0.0.1:18080");
        let config = r#"{"a":{"sinks":["kafka"]}}"#;
        assert_eq!(send(&memory, "PUT", CONFIGS, &headers, config).await.0, 200);
        assert_eq!(send(&memory, "GET", "/readyz", &[], "").await.0, 200);
        let memory = memory.with("KAFKA_REST_URL", "");
        let (status, body) = send(&memory, "GET", "/readyz", &[], "").await;
        assert_eq!((status, &body["status"]), (503, &json!("unavailable")));
        let missing = "streams are in Kafka, but KAFKA_REST_URL is not set or cannot be used: set it";
        assert_eq!(body["missing"], json!({"kafka": missing}));
        assert_eq!(send(&memory, "POST", "/readyz", &[], "").await.0, 405);
    });
}

#[test]
fn admin_routes_need_the_admin_token() {
    pollster::block_on(async {
        for path in [
            CONFIGS,
            SCHEMAS,
            "/admin/v1/stream-configs/history",
            "/delivery/admin/v1/nope",
        ] {
            assert_eq!(send(&world(), "GET", path, &[], "").await.0, 401, "{path}");
            let producer = ("authorization", "Bearer w1");
            assert_eq!(
                send(&world(), "GET", path, &[producer], "").await.0,
                403,
                "{path}"
            );
            assert_ne!(send(&world(), "GET", path, &[TOKEN], "").await.0, 403, "{path}");
        }
        assert_eq!(
            send(
                &Memory::new(),
                "GET",
                CONFIGS,
                &[("authorization", "Bearer ")],
                ""
            )
            .await
            .0,
            403
        );
        assert_eq!(send(&world(), "GET", "/healthz", &[], "").await.0, 200);
        assert_eq!(send(&world(), "GET", "/readyz", &[], "").await.0, 200);
    });
}

#[test]
fn a_stream_config_is_published_over_the_version_it_names() {
    pollster::block_on(async {
        let memory = world();
        let put = async |headers: &[(&'static str, &str)], body: &str| {
            let mut all = vec![TOKEN];
            all.extend_from_slice(headers);
            send(&memory, "PUT", CONFIGS, &all, body).await
        };
        assert_eq!(send(&memory, "GET", CONFIGS, &[TOKEN], "").await.0, 404);
        assert_eq!(put(&[], "{}").await.0, 428);
        assert_eq!(
            put(&[("if-none-match", "*")], "{}").await,
            (200, json!({"version": 1, "in_kv": true}))
        );
        assert_eq!(put(&[("if-none-match", "*")], "{}").await.0, 412);
        assert_eq!(put(&[("if-match", "\"1\"")], r#"{"a":{}}"#).await.0, 200);
        assert_eq!(put(&[("if-match", "\"1\"")], "{}").await.0, 412);
        assert_eq!(put(&[("if-match", "soon")], "{}").await.0, 400);
        let (status, body) = put(&[("if-match", "*")], r#"{"a":{"accept":"maybe"}}"#).await;
        assert!(
            status == 400 && body["detail"].as_str().unwrap().contains("/a/accept"),
            "{body}"
        );
        assert_eq!(put(&[("if-match", "*")], "{").await.0, 400);
        assert_eq!(
            send(&memory, "GET", CONFIGS, &[TOKEN], "").await,
            (200, json!({"a": {}}))
        );
        assert_eq!(
            send(&memory, "GET", "/admin/v1/stream-configs?version=1", &[TOKEN], "").await,
            (200, json!({}))
        );
        assert_eq!(
            send(&memory, "GET", "/admin/v1/stream-configs?version=x", &[TOKEN], "")
                .await
                .0,
            400
        );
        let (_, history) = send(&memory, "GET", "/admin/v1/stream-configs/history", &[TOKEN], "").await;
        assert_eq!(history["versions"][0]["version"], 2);
    });
}

#[test]
fn a_stream_config_goes_back_over_the_version_it_names() {
    pollster::block_on(async {
        let memory = world();
        for body in [r#"{"a":{}}"#, r#"{"b":{}}"#] {
            let any = ("if-match", "*");
            assert_eq!(send(&memory, "PUT", CONFIGS, &[TOKEN, any], body).await.0, 200);
        }
        let back = async |query: &str, headers: &[(&'static str, &str)]| {
            let mut all = vec![TOKEN];
            all.extend_from_slice(headers);
            let path = format!("/admin/v1/stream-configs/rollback{query}");
            send(&memory, "POST", &path, &all, "").await
        };
        assert_eq!(back("?version=1", &[]).await.0, 428);
        for (query, tag, status) in [
            ("", "\"2\"", 400),
            ("?version=one", "\"2\"", 400),
            ("?version=9", "\"2\"", 404),
            ("?version=1", "\"1\"", 412),
            ("?version=1", "\"2\"", 200),
        ] {
            let (answered, body) = back(query, &[("if-match", tag)]).await;
            assert_eq!(answered, status, "{query} {tag}: {body}");
        }
        let current = send(&memory, "GET", CONFIGS, &[TOKEN], "").await;
        assert_eq!(current, (200, json!({"a": {}})));
        let same = ("if-none-match", "\"3\"");
        assert_eq!(send(&memory, "GET", CONFIGS, &[TOKEN, same], "").await.0, 304);
    });
}

#[test]
fn a_dry_run_tells_what_publishing_schemas_would_do() {
    pollster::block_on(async {
        let memory = world();
        let path = &format!("{SCHEMAS}?dry_run=true");
        let plan = async |json: &str| send(&memory, "PUT", path, &[TOKEN], &schemas(json)).await;
        let fresh = json!({"new": ["/a/1.0.0"], "unchanged": 0, "conflicting": []});
        assert_eq!(plan("{}").await, (200, fresh.clone()));
        assert_eq!(plan("{}").await, (200, fresh), "nothing was published");
        assert_eq!(
            send(&memory, "PUT", SCHEMAS, &[TOKEN], &schemas("{}")).await.0,
            200
        );
        assert_eq!(plan("{}").await.1["unchanged"], 1);
        assert_eq!(
            plan(r#"{"title":"a"}"#).await.1["conflicting"],
            json!(["/a/1.0.0"])
        );
        assert_eq!(plan(r#"{"type":1}"#).await.0, 400);
        let neither = format!("{SCHEMAS}?dry_run=perhaps");
        assert_eq!(
            send(&memory, "PUT", &neither, &[TOKEN], &schemas("{}")).await.0,
            400
        );
    });
}

#[test]
fn schemas_are_published_once_and_broken_ones_named() {
    pollster::block_on(async {
        let memory = world();
        let put = async |body: &str| send(&memory, "PUT", SCHEMAS, &[TOKEN], body).await;
        let published = json!({"published": 1, "unchanged": 0, "in_kv": true});
        assert_eq!(put(&schemas("{}")).await, (200, published));
        assert_eq!(put(&schemas("{}")).await.1["unchanged"], 1);
        assert_eq!(put(&schemas(r#"{"title":"a"}"#)).await.0, 409);
        let (status, body) = put(&schemas(r#"{"type":1}"#)).await;
        assert!(
            status == 400 && body["detail"].as_str().unwrap().contains("/a/1.0.0"),
            "{body}"
        );
        assert_eq!(put("[]").await.0, 400);
        let large = json!({"description": "x".repeat(1_900_000)}).to_string();
        let large = json!({"schemas": [
            {"title": "b", "version": "1.0.0", "json": "{}"},
            {"title": "b", "version": "1.1.0", "json": large},
        ]});
        let (status, body) = put(&large.to_string()).await;
        assert_eq!(status, 400);
        let detail = body["detail"].as_str().unwrap();
        assert!(detail.contains("/b/1.1.0 takes 1900"), "{detail}");
        assert!(
            detail.contains("more than the 1900000 that can be stored"),
            "{detail}"
        );
        let small = json!({"schemas": [{"title": "b", "version": "1.0.0", "json": "{}"}]});
        assert_eq!(
            put(&small.to_string()).await.1["published"],
            1,
            "it was all or nothing"
        );
        assert_eq!(put(&"x".repeat(MAX_BODY_BYTES + 1)).await.0, 413);
        assert_eq!(send(&memory, "GET", SCHEMAS, &[TOKEN], "").await.0, 405);
    });
}

#[test]
fn a_registry_that_fails_is_503_without_its_words() {
    pollster::block_on(async {
        let memory = world();
        memory.fail("registry", Fault::Before);
        let (status, body) = send(&memory, "GET", CONFIGS, &[TOKEN], "").await;
        assert_eq!(status, 503);
        assert!(!body.to_string().contains("injected"));
    });
}

#[test]
fn what_the_queue_gave_up_is_kept_or_tried_again() {
    pollster::block_on(async {
        let memory = world();
        let attempt = |text| Attempt {
            message: Bytes::from_static(text),
            number: 1,
        };
        let messages = || vec![attempt(b"a"), attempt(b"b")];
        memory.fail("log", Fault::Before);
        assert_eq!(
            consume_dead(&memory, messages()).await,
            [Delivered::Retry, Delivered::Retry]
        );
        memory.heal();
        assert_eq!(
            consume_dead(&memory, messages()).await,
            [Delivered::Done, Delivered::Done]
        );
    });
}

#[test]
fn a_setting_that_is_not_what_it_must_be_is_told_once() {
    pollster::block_on(async {
        let memory = world().with("RETRY_WINDOW_MS", "five minutes");
        let isolate = Rc::new(Isolate::default());
        for _ in 0..2 {
            let mut request = Request::default();
            *request.uri_mut() = "/healthz".parse().unwrap();
            assert_eq!(handle(&isolate, memory.clone(), request).await.status(), 200);
        }
        let lines = memory.lines();
        assert_eq!(lines.len(), 1, "{lines:?}");
        assert!(
            lines[0].contains("RETRY_WINDOW_MS is 'five minutes' but must be"),
            "{lines:?}"
        );
    });
}

#[test]
fn revisions_of_eventlogging_are_published_once_and_for_all() {
    pollster::block_on(async {
        const REVISIONS: &str = "/admin/v1/eventlogging/schemas";
        let memory = world();
        let revision = |title: &str, revision: u64, schema: &Value| {
            json!({"schemas": [{"title": title, "revision": revision, "schema": schema}]}).to_string()
        };
        let schema = json!({"properties": {"a": {"type": "string", "required": true}}});
        let body = revision("Test", 7, &schema);
        assert_eq!(send(&memory, "PUT", REVISIONS, &[], &body).await.0, 401);
        assert_eq!(send(&memory, "GET", REVISIONS, &[TOKEN], "").await.0, 405);
        let put = async |body: &str| send(&memory, "PUT", REVISIONS, &[TOKEN], body).await;
        let counts =
            |published: u64| json!({"published": published, "unchanged": 1 - published, "in_kv": true});
        assert_eq!(put(&body).await, (200, counts(1)));
        assert_eq!(put(&body).await, (200, counts(0)));
        for (other, status, text) in [
            (revision("Test", 7, &json!({})), 409, "revision 7 of Test"),
            (revision("Other", 7, &schema), 409, "revision 7 of Test"),
            (revision("Te?st", 8, &schema), 400, "no title"),
            (revision("Test", 0, &schema), 400, "no revision"),
            (revision("Test", 8, &json!([])), 400, "object"),
            (revision("Test", 8, &json!({"required": ["a"]})), 400, "/required"),
            ("{}".to_owned(), 400, "expected"),
        ] {
            let (got, answer) = put(&other).await;
            assert_eq!(got, status, "{other}");
            assert!(answer["detail"].as_str().unwrap().contains(text), "{answer}");
        }
    });
}

#[test]
fn a_stream_for_kafka_is_published_only_where_there_is_one() {
    pollster::block_on(async {
        let publish = async |memory: &Memory| {
            let config = r#"{"a": {}, "b": {"sinks": ["log", "kafka"]}}"#;
            send(memory, "PUT", CONFIGS, &[TOKEN, ("if-match", "*")], config).await
        };
        let (status, body) = publish(&world()).await;
        let detail = body["detail"].as_str().unwrap();
        assert_eq!(status, 400);
        assert!(
            detail.contains("stream b has the sink kafka, but the setting KAFKA_REST_URL is not set"),
            "{detail}"
        );
        let url = ("KAFKA_REST_URL", "http://bridge:8080");
        let (status, body) = publish(
            &world()
                .with(url.0, url.1)
                .with("KAFKA_REST_DIALECT", "confluent-v3"),
        )
        .await;
        let detail = body["detail"].as_str().unwrap();
        assert_eq!(status, 400);
        assert!(
            detail.contains("KAFKA_REST_DIALECT") && detail.contains("use strimzi or confluent-v2"),
            "{detail}"
        );
        assert_eq!(publish(&world().with(url.0, url.1)).await.0, 200);
    });
}

#[test]
fn a_queue_that_the_platform_does_not_deliver_is_drained() {
    pollster::block_on(async {
        let drain = async |memory: &Memory| send(memory, "POST", "/admin/v1/drain", &[TOKEN], "").await;
        let memory = world();
        assert_eq!(drain(&memory).await, (200, json!({"delivered": 0, "waiting": 0})));
        assert_eq!(send(&memory, "POST", "/admin/v1/drain", &[], "").await.0, 401);
        assert_eq!(send(&memory, "GET", "/admin/v1/drain", &[TOKEN], "").await.0, 405);
        memory.send(vec![Bytes::from_static(b"garbage")]).await.unwrap();
        memory.fail("log", Fault::Before);
        assert_eq!(drain(&memory).await, (200, json!({"delivered": 0, "waiting": 1})));
        memory.heal();
        assert_eq!(drain(&memory).await, (200, json!({"delivered": 1, "waiting": 0})));
        memory.fail("queue", Fault::Before);
        assert_eq!(drain(&memory).await.0, 503);
    });
}
