//! Reading schemas and stream configuration.

use std::fs;

use eventstar_tests::instance::repository;
use eventstar_tests::{Answer, Instance, Request, golden};
use serde_json::{Value, json};

fn example(path: &str) -> String {
    let path = repository().join("examples/schemas/jsonschema").join(path);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Gets a schema of the example repository.
#[track_caller]
fn schema(path: &str) -> Answer {
    Instance::from_env()
        .get(&format!("/repositories/examples/jsonschema/{path}"))
        .expect(200)
}

fn streams(answer: &Answer) -> Vec<String> {
    answer
        .json()
        .as_object()
        .expect("a map of streams")
        .keys()
        .cloned()
        .collect()
}

/// Compares with the golden file but for the version, which counts how often somebody published.
#[track_caller]
fn check_streams(name: &str, request: &Request, answer: &Answer) {
    let etag = format!("etag: {}\n", answer.header("etag").expect("an etag"));
    golden::check(
        &format!("reads/streams_{name}"),
        request,
        answer,
        &[(&etag, "etag: <version>\n")],
    );
}

#[test]
fn the_repositories_are_listed() {
    let instance = Instance::from_env();
    let answer = instance.get("/repositories").expect(200);
    assert!(answer.text().contains("\"examples\""), "{}", answer.text());
}

#[test]
fn a_schema_is_served_as_the_yaml_text_that_was_published() {
    for path in [
        "test/event/1.0.0",
        "test/event/1.1.0",
        "shop/order/1.0.0",
        "error/2.1.0",
    ] {
        let text = example(&format!("{path}.yaml"));
        assert_eq!(schema(&format!("{path}.yaml")).text(), text, "{path}.yaml");
        assert_eq!(
            schema(path).text(),
            text,
            "{path} without extension, as jsonschema-tools links it"
        );
    }
}

#[test]
fn a_schema_is_served_as_json_too() {
    let answer = schema("test/event/1.0.0.json");
    let body = answer.json();
    assert_eq!(body["$id"], "/test/event/1.0.0");
    assert_eq!(body["title"], "test/event");
    assert_eq!(body["required"], json!(["$schema", "meta", "test"]));
    assert_eq!(
        body["properties"]["count"]["maximum"],
        json!(9_007_199_254_740_991_u64)
    );
    let names: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(
        names[..3],
        ["title", "description", "$id"],
        "the order of the file"
    );
}

#[test]
fn latest_is_the_highest_version() {
    assert_eq!(
        schema("test/event/latest.yaml").text(),
        example("test/event/1.1.0.yaml")
    );
    assert_eq!(
        schema("test/event/latest").text(),
        example("test/event/1.1.0.yaml")
    );
    assert_eq!(
        schema("test/event/latest.json").json()["$id"],
        "/test/event/1.1.0"
    );
}

#[test]
fn schema_answers_are_the_same_bytes_with_the_same_headers() {
    let instance = Instance::from_env();
    for (name, path) in [
        ("plain", "test/event/1.0.0"),
        ("yaml", "test/event/1.0.0.yaml"),
        ("json", "test/event/1.0.0.json"),
        ("latest", "test/event/latest"),
    ] {
        let request = Request::get(&format!("/repositories/examples/jsonschema/{path}"));
        let answer = instance.send(&request).expect(200);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        let etag = answer.header("etag").expect("an etag").to_owned();
        let published = answer.header("last-modified").expect("a date").to_owned();
        golden::check(
            &format!("reads/schema_{name}"),
            &request,
            &answer,
            &[(&etag, "<etag>"), (&published, "<published>")],
        );
        let again = instance.send(&request.header("if-none-match", &etag)).expect(304);
        assert!(again.body.is_empty(), "{name}");
    }
}

#[test]
fn a_schema_that_is_not_there_is_answered_404_as_json() {
    let instance = Instance::from_env();
    for (name, path) in [
        ("version", "/repositories/examples/jsonschema/test/event/9.9.9"),
        ("title", "/repositories/examples/jsonschema/no/such/1.0.0"),
        ("latest", "/repositories/examples/jsonschema/no/such/latest"),
        ("repository", "/repositories/nowhere/jsonschema/test/event/1.0.0"),
        (
            "extension",
            "/repositories/examples/jsonschema/test/event/1.0.0.xml",
        ),
        (
            "traversal",
            "/repositories/examples/jsonschema/..%2f..%2fetc/passwd",
        ),
        ("base", "/repositories/examples/other/test/event/1.0.0"),
    ] {
        let request = Request::get(path);
        let answer = instance.send(&request).expect(404);
        let body = answer.json();
        assert_eq!(
            (&body["status"], &body["method"], &body["uri"]),
            (&json!(404), &json!("GET"), &json!(path))
        );
        golden::check(&format!("reads/no_schema_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn a_schema_answers_head_with_the_headers_alone() {
    let instance = Instance::from_env();
    let path = "/repositories/examples/jsonschema/test/event/1.0.0";
    let head = instance.send(&Request::new("HEAD", path)).expect(200);
    assert_eq!(
        head.header("content-type"),
        instance.get(path).header("content-type")
    );
    assert!(head.body.is_empty());
}

#[test]
fn all_streams_are_listed_with_their_settings() {
    let instance = Instance::from_env();
    let answer = instance.get("/v1/stream-configs").expect(200);
    let names = streams(&answer);
    for name in [
        "test.event",
        "web.page_view",
        "shop.order",
        "shop.refund",
        r"/^job\.run\..+/",
        "intake.error.validation",
    ] {
        assert!(names.iter().any(|other| other == name), "{name} in {names:?}");
    }
}

#[test]
fn streams_asked_for_by_name_are_answered_and_unknown_ones_left_out() {
    let instance = Instance::from_env();
    for (name, asked, expected) in [
        ("one", "test.event", vec!["test.event"]),
        (
            "several",
            "shop.order,test.event",
            vec!["shop.order", "test.event"],
        ),
        ("unknown", "no.such.stream,test.event,neither", vec!["test.event"]),
        ("none", "no.such.stream", vec![]),
    ] {
        let request = Request::get(&format!("/v1/stream-configs/{asked}"));
        let answer = instance.send(&request).expect(200);
        assert_eq!(streams(&answer), expected, "{asked}");
        check_streams(name, &request, &answer);
    }
}

#[test]
fn a_stream_that_matches_a_regex_is_answered_under_its_own_name() {
    let instance = Instance::from_env();
    let request = Request::get("/v1/stream-configs/job.run.reindex");
    let answer = instance.send(&request).expect(200);
    assert_eq!(
        answer.json(),
        json!({
            "job.run.reindex": {
                "schema_title": "job/run",
                "description": "Jobs that were queued.",
                "stream": r"/^job\.run\..+/",
                "topics": ["job.run.reindex"]
            }
        })
    );
    check_streams("regex", &request, &answer);
}

#[test]
fn topics_are_computed_from_the_prefixes() {
    let instance = Instance::from_env();
    let answer = instance.get("/v1/stream-configs/web.page_view").expect(200);
    assert_eq!(
        answer.json()["web.page_view"]["topics"],
        json!(["east.web.page_view", "west.web.page_view"])
    );
}

#[test]
fn settings_keep_the_values_and_the_order_they_were_published_with() {
    let instance = Instance::from_env();
    let answer = instance
        .get("/v1/stream-configs/shop.order,web.page_view")
        .expect(200);
    let streams = answer.json();
    let names = |stream: &str| {
        streams[stream]
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(
        names("shop.order"),
        [
            "schema_title",
            "description",
            "message_key_fields",
            "partitions",
            "stream",
            "topics"
        ]
    );
    assert_eq!(
        streams["web.page_view"]["sample"],
        json!({"rate": 0.1, "unit": "session"})
    );
}

#[test]
fn every_function_says_who_it_is() {
    let instance = Instance::from_env();
    for function in ["intake", "stream-config", "schema", "sse-relay", "delivery"] {
        let request = Request::get(&format!("/{function}/_info"));
        let answer = instance.send(&request).expect(200);
        let body = answer.json();
        for member in ["name", "version", "description", "home"] {
            assert!(
                body[member].as_str().is_some_and(|text| !text.is_empty()),
                "{member} of {function}: {body}"
            );
        }
        assert!(body["name"].as_str().unwrap().contains(function), "{body}");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(body["version"], version, "{body}");
        let shown = format!("\"version\":\"{version}\"");
        golden::check(
            &format!("reads/info_{function}"),
            &request,
            &answer,
            &[(&shown, "\"version\":\"<version>\"")],
        );
    }
}

#[test]
fn the_platform_says_that_it_is_well() {
    let instance = Instance::from_env();
    let answer = instance.get("/healthz").expect(200);
    assert!(!answer.body.is_empty());
    let names: Value = answer.json();
    assert!(names.is_object(), "{names}");
}

#[test]
fn every_function_says_whether_it_is_ready() {
    let instance = Instance::from_env();
    for function in [
        "",
        "/intake",
        "/stream-config",
        "/schema",
        "/sse-relay",
        "/delivery",
    ] {
        let answer = instance.get(&format!("{function}/readyz")).expect(200);
        assert_eq!(answer.text(), r#"{"status":"ok"}"#, "{function}");
        assert_eq!(answer.header("cache-control"), Some("no-store"));
    }
}
