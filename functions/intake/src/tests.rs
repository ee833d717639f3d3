use eventstar_event::MAX_EVENT_BYTES;
use std::collections::BTreeMap;

use bytes::Bytes;
use eventstar_log::LogName;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Registry, RegistryRequest, SchemaFile};
use eventstar_stores::SqlLog;
use http::header::CONTENT_TYPE;
use serde_json::{Value, json};

use super::*;

mod acting;
mod bad_beacons;
mod bad_events;
mod bad_settings;
mod bad_values;
mod beacon;
mod bounds;
mod errors;
mod eventbus;
mod fuzz;
mod production;
mod requests;
mod retries;
mod routes;
mod sinks;
mod upstream;

const SCHEMA: &str = r#"{
    "title": "test", "$id": "/test/1.0.0", "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
    "properties": {
        "$schema": {"type": "string"},
        "meta": {
            "type": "object",
            "properties": {
                "stream": {"type": "string"},
                "id": {"type": "string", "format": "uuid", "maxLength": 36},
                "dt": {"type": "string", "format": "date-time", "maxLength": 128}
            },
            "required": ["stream"]
        },
        "test": {"type": "string"},
        "n": {"type": "number"},
        "key": {},
        "test_default": {"type": "string", "default": "default_value"}
    }
}"#;

async fn world() -> (Rc<Isolate>, Memory) {
    let memory = Memory::new().with("PRODUCER_TOKENS", "shop=s1 web=w1");
    let other = SCHEMA.replace("\"test\", \"$id\"", "\"other\", \"$id\"");
    publish(&memory, &[("test", SCHEMA), ("other", &other)]).await;
    configure(
        &memory,
        json!({
            "test.event": {"schema_title": "test"},
            "test.queue": {"schema_title": "test", "accept": "queue"},
            "test.keyed": {"schema_title": "test", "message_key_fields": {"k": "key"}, "partitions": 4},
            "test.prefixed": {"schema_title": "test", "topic_prefixes": ["eqiad.", "codfw."]},
            "test.token": {"schema_title": "test", "producers": {"auth": "token", "tokens": ["shop"]}},
            "/^job\\./": {"schema_title": "test"},
            "untitled": {},
        }),
    )
    .await;
    (Rc::new(Isolate::default()), memory)
}

/// Publishes version 1.0.0 of each schema.
async fn publish(memory: &Memory, schemas: &[(&str, &str)]) {
    let file = |(title, json): &(&str, &str)| SchemaFile {
        title: (*title).into(),
        version: "1.0.0".into(),
        json: (*json).into(),
        yaml: None,
    };
    memory
        .ask(RegistryRequest::PublishSchemas {
            repository: "one".into(),
            schemas: schemas.iter().map(file).collect(),
        })
        .await
        .unwrap();
}

async fn configure(memory: &Memory, config: Value) {
    let config = serde_json::value::to_raw_value(&config).unwrap();
    memory
        .ask(RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        })
        .await
        .unwrap();
}

fn event(stream: &str) -> Value {
    json!({"$schema": "/test/1.0.0", "meta": {"stream": stream, "id": "5e1dd101-641c-11e8-ab6c-b083fecf1280"}, "test": "v"})
}

fn request(body: impl ToString) -> Request {
    let mut request = Request::new(Bytes::from(body.to_string()));
    *request.method_mut() = Method::POST;
    *request.uri_mut() = "/v1/events".parse().unwrap();
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    request
}

async fn send(isolate: &Rc<Isolate>, memory: &Memory, request: Request) -> (u16, Value) {
    let response = handle(isolate, memory.clone(), request).await;
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (
        status,
        if body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&body).unwrap()
        },
    )
}

async fn post(isolate: &Rc<Isolate>, memory: &Memory, body: impl ToString) -> (u16, Value) {
    send(isolate, memory, request(body)).await
}

/// The events in a log's partition.
async fn stored(memory: &Memory, topic: &str, partition: u32) -> Vec<eventstar_event::Envelope> {
    let name = LogName {
        topic: eventstar_event::Topic::parse(topic).unwrap(),
        partition,
        epoch: 0,
    };
    let chunks = SqlLog::new(memory.sql())
        .read(&name, 0, usize::MAX)
        .await
        .unwrap();
    chunks
        .iter()
        .flat_map(|chunk| chunk.events().unwrap())
        .map(|event| event.envelope)
        .collect()
}

async fn texts(memory: &Memory, topic: &str) -> Vec<String> {
    stored(memory, topic, 0)
        .await
        .into_iter()
        .map(|envelope| envelope.event)
        .collect()
}

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn message(body: &Value) -> &str {
    body.pointer("/error/0/context/message")
        .and_then(Value::as_str)
        .unwrap_or_default()
}

#[test]
fn a_valid_event_is_201_with_an_empty_body_and_is_in_the_log_with_receive_time_and_defaults() {
    run(async {
        let (isolate, memory) = world().await;
        assert_eq!(
            post(&isolate, &memory, event("test.event")).await,
            (201, Value::Null)
        );
        assert_eq!(
            texts(&memory, "test.event").await,
            [
                r#"{"$schema":"/test/1.0.0","meta":{"stream":"test.event","id":"5e1dd101-641c-11e8-ab6c-b083fecf1280","dt":"2024-01-01T00:00:00.000Z"},"test":"v","test_default":"default_value"}"#
            ]
        );
    });
}

#[test]
fn bytes_are_kept_and_a_sent_dt_is_replaced_in_place() {
    run(async {
        let (isolate, memory) = world().await;
        let sent = "{ \"$schema\" : \"/test/1.0.0\", \"n\": 1.0, \"big\": 18446744073709551615, \"e\":1e3,\n\"meta\":{\"dt\":\"2020-01-01T00:00:00Z\",\"stream\":\"test.event\",\"id\":\"5e1dd101-641c-11e8-ab6c-b083fecf1280\"},\"test_default\":\"a  \\u00e9\"}";
        assert_eq!(post(&isolate, &memory, sent).await.0, 201);
        assert_eq!(
            texts(&memory, "test.event").await,
            [
                r#"{"$schema":"/test/1.0.0","n":1.0,"big":18446744073709551615,"e":1e3,"meta":{"dt":"2024-01-01T00:00:00.000Z","stream":"test.event","id":"5e1dd101-641c-11e8-ab6c-b083fecf1280"},"test_default":"a  \u00e9"}"#
            ]
        );
    });
}

#[test]
fn a_missing_id_is_made_and_a_bad_dt_is_refused_before_it_is_replaced() {
    run(async {
        let (isolate, memory) = world().await;
        let sent = json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.event"}});
        assert_eq!(post(&isolate, &memory, sent).await.0, 201);
        let text: Value = serde_json::from_str(&texts(&memory, "test.event").await[0]).unwrap();
        assert_eq!(text["meta"]["id"].as_str().map(str::len), Some(36));
        let sent = json!({"$schema": "/test/1.0.0", "meta": {"stream": "test.event", "dt": "yesterday"}});
        let (status, body) = post(&isolate, &memory, sent).await;
        assert_eq!(
            (status, &body["invalid"][0]["context"]["errorsText"]),
            (400, &json!("'.meta.dt' should match format \"date-time\""))
        );
    });
}

#[test]
fn all_invalid_is_400_with_eventgates_body() {
    run(async {
        let (isolate, memory) = world().await;
        let mut bad = event("test.event");
        bad["test"] = json!(0.01);
        let (status, body) = post(&isolate, &memory, &bad).await;
        bad["test_default"] = json!("default_value");
        let errors = json!([{
            "keyword": "type", "dataPath": ".test", "schemaPath": "#/properties/test/type",
            "params": {"type": "string"}, "message": "should be string",
        }]);
        let context = json!({"errors": errors, "errorsText": "'.test' should be string"});
        assert_eq!(
            (status, body),
            (
                400,
                json!({"invalid": [{"status": "invalid", "event": bad, "context": context}]})
            )
        );
        assert!(texts(&memory, "test.event").await.is_empty());
    });
}

#[test]
fn some_failed_is_207_with_both_lists_and_the_others_are_stored() {
    run(async {
        let (isolate, memory) = world().await;
        let mut bad = event("test.event");
        bad["test"] = json!(1);
        let unknown = json!({"$schema": "/nope/1.0.0", "meta": {"stream": "test.event"}});
        let (status, body) = post(&isolate, &memory, json!([event("test.event"), bad, unknown])).await;
        assert_eq!(status, 207);
        assert_eq!(
            (
                body["invalid"].as_array().unwrap().len(),
                body["error"].as_array().unwrap().len()
            ),
            (1, 1)
        );
        assert_eq!(texts(&memory, "test.event").await.len(), 1);
    });
}

#[test]
fn clients_faults_are_400_errors_that_say_what_to_do() {
    run(async {
        let (isolate, memory) = world().await;
        let with = |name: &str, value: Value| {
            let mut event = event("test.event");
            event[name] = value;
            event
        };
        for (sent, part) in [
            (
                json!({"meta": {"stream": "test.event"}}),
                "Field(s) $schema were missing from event and could not be extracted.",
            ),
            (
                json!([5]),
                "Field(s) $schema were missing from event and could not be extracted.",
            ),
            (
                with("$schema", json!("bad/uri/right/here@@@")),
                "Failed loading schema at bad/uri/right/here@@@",
            ),
            (
                with("$schema", json!("/no/1.0.0")),
                "Failed loading schema at /no/1.0.0: no repository has it; publish",
            ),
            (
                with("$schema", json!("/../../etc/passwd")),
                "Failed loading schema at",
            ),
            (with("$schema", json!(123)), "$schema is no string"),
            (
                event("nope"),
                "nope is not configured. Add it to the stream config",
            ),
            (event("eventstar.dead-letter"), "is not configured"),
            (event("a b"), "is not configured"),
            (event("untitled"), "does not have a schema_title setting"),
            (
                with("$schema", json!("/other/1.0.0")),
                "schema title must be test",
            ),
            (
                event("test.keyed"),
                "Failed extracting key from event, field is not defined.",
            ),
        ] {
            let (status, body) = post(&isolate, &memory, &sent).await;
            assert!(
                status == 400 && message(&body).contains(part),
                "{sent}: {status} {body}"
            );
            assert_eq!(body["invalid"], json!([]), "{sent}");
        }
    });
}

#[test]
fn an_event_without_a_stream_is_what_its_schema_says_it_is() {
    run(async {
        let (isolate, memory) = world().await;
        let (status, body) = post(&isolate, &memory, json!({"$schema": "/test/1.0.0"})).await;
        let text = "'.meta' should have required property 'stream'";
        assert_eq!(
            (status, &body["invalid"][0]["context"]["errorsText"]),
            (400, &json!(text))
        );
        publish(&memory, &[("free", "{}")]).await;
        let (status, body) = post(&isolate, &memory, json!({"$schema": "/free/1.0.0", "a": 1})).await;
        assert!(
            status == 400 && message(&body).contains("Field(s) meta.stream were missing"),
            "{body}"
        );
    });
}

#[test]
fn a_schema_enters_a_stream_by_its_title_or_by_the_name_it_is_called_by() {
    run(async {
        let (isolate, memory) = world().await;
        let moved = r#"{"title": "dev/moved", "$id": "/moved/1.0.0"}"#;
        publish(&memory, &[("dev/moved", moved)]).await;
        configure(
            &memory,
            json!({"moved": {"schema_title": "moved"}, "dev": {"schema_title": "dev/moved"}}),
        )
        .await;
        for (uri, stream, status) in [
            ("/moved/1.0.0", "moved", 201),
            ("/moved/1.0.0", "dev", 201),
            ("/dev/moved/1.0.0", "dev", 201),
            ("/dev/moved/1.0.0", "moved", 400),
        ] {
            let sent = json!({"$schema": uri, "meta": {"stream": stream}});
            assert_eq!(post(&isolate, &memory, sent).await.0, status, "{uri} in {stream}");
        }
    });
}

#[test]
fn what_only_the_text_shows_is_invalid() {
    run(async {
        let (isolate, memory) = world().await;
        for (sent, code) in [
            (
                r#"{"$schema":"/test/1.0.0","a":1,"a":2}"#.to_owned(),
                "duplicate_key",
            ),
            (
                format!("{{\"a\":{}{}}}", "[".repeat(100), "]".repeat(100)),
                "too_deep",
            ),
            (
                r#"{"$schema":"/test/1.0.0","\ud800":1,"\udfff":2}"#.to_owned(),
                "duplicate_key",
            ),
        ] {
            let (status, body) = post(&isolate, &memory, &sent).await;
            assert_eq!(
                (status, &body["invalid"][0]["context"]["errors"][0]["keyword"]),
                (400, &json!(code)),
                "{sent}"
            );
        }
    });
}

#[test]
fn bad_bodies_are_refused_whole() {
    run(async {
        let (isolate, memory) = world().await;
        for (body, status, kind) in [
            ("{nope", 400, "malformed_json"),
            ("{\"a\":1", 400, "malformed_json"),
            ("\"hi\"", 400, "not_an_object"),
            ("null", 400, "not_an_object"),
        ] {
            let (got, answer) = post(&isolate, &memory, body).await;
            assert_eq!(
                (got, &answer["type"], &answer["uri"]),
                (status, &json!(kind), &json!("/v1/events")),
                "{body}"
            );
        }
        for body in ["", " \n", "[]", "{}", " { } "] {
            assert_eq!(
                post(&isolate, &memory, body).await,
                (400, Value::Null),
                "{body:?}"
            );
        }
        let exactly = |size: usize| format!("[{}]", " ".repeat(size - 2));
        assert_eq!(post(&isolate, &memory, exactly(MAX_BODY_BYTES)).await.0, 400);
        assert_eq!(post(&isolate, &memory, exactly(MAX_BODY_BYTES + 1)).await.0, 413);
        let many = |count: usize| format!("[{}]", vec!["1"; count].join(","));
        assert_eq!(post(&isolate, &memory, many(MAX_BATCH)).await.0, 400);
        assert_eq!(post(&isolate, &memory, many(MAX_BATCH + 1)).await.0, 413);
    });
}

#[test]
fn an_event_is_taken_up_to_its_limit_in_bytes() {
    run(async {
        let (isolate, memory) = world().await;
        let sized = |size: usize| {
            let mut event = event("test.event");
            event["test"] = json!("");
            let rest = size - event.to_string().len();
            event["test"] = json!("a".repeat(rest));
            event
        };
        assert_eq!(post(&isolate, &memory, sized(MAX_EVENT_BYTES)).await.0, 201);
        let (status, body) = post(&isolate, &memory, sized(MAX_EVENT_BYTES + 1)).await;
        assert!(
            status == 413 && message(&body).contains("1048577 bytes"),
            "{status}"
        );
        let memory = memory.with("MAX_EVENT_BYTES", "100");
        assert_eq!(post(&isolate, &memory, sized(200)).await.0, 413);
    });
}

#[test]
fn media_types_and_encodings_decide_what_is_read() {
    run(async {
        let (isolate, memory) = world().await;
        for (name, value, status) in [
            ("content-type", "application/json", 201),
            ("content-type", "application/json; charset=utf-8", 201),
            ("content-type", "text/plain;charset=UTF-8", 201),
            ("content-type", "application/reports+json", 201),
            ("content-type", "application/x-www-form-urlencoded", 415),
            ("content-type", "application/json; charset=latin1", 415),
            ("content-encoding", "br2", 415),
            ("content-encoding", "identity", 201),
        ] {
            let mut request = request(event("test.event"));
            request
                .headers_mut()
                .insert(name, HeaderValue::from_static(value));
            assert_eq!(
                send(&isolate, &memory, request).await.0,
                status,
                "{name}: {value}"
            );
        }
        let mut untyped = request(event("test.event"));
        untyped.headers_mut().remove(CONTENT_TYPE);
        assert_eq!(send(&isolate, &memory, untyped).await.0, 201);
    });
}

#[test]
fn methods_and_paths_are_checked() {
    run(async {
        let (isolate, memory) = world().await;
        for (method, path, status, allow) in [
            (Method::GET, "/v1/events", 405, Some("POST")),
            (Method::PUT, "/v2/events/", 405, Some("POST")),
            (Method::OPTIONS, "/v1/events", 200, Some("POST")),
            (Method::GET, "/intake/_info", 200, None),
            (Method::POST, "/intake/_info", 405, Some("GET,HEAD")),
            (Method::GET, "/intake/nope", 404, None),
        ] {
            let mut request = Request::default();
            *request.method_mut() = method.clone();
            *request.uri_mut() = path.parse().unwrap();
            let response = handle(&isolate, memory.clone(), request).await;
            let headers = response.headers();
            assert_eq!(response.status(), status, "{method} {path}");
            assert_eq!(
                headers.get(ALLOW).map(|allow| allow.to_str().unwrap()),
                allow,
                "{method} {path}"
            );
            assert_eq!(headers["access-control-allow-origin"], "*");
            assert_eq!(headers["access-control-allow-methods"], "post");
        }
    });
}
