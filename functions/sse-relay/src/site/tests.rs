use std::rc::Rc;

use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Registry as _, RegistryRequest, SchemaFile};
use serde_json::json;

use super::*;
use crate::handle;

/// Streams `a` and `b` of one schema, with aliases, `c` of one that is not published, and such that cannot be read.
async fn world(allowed: &str) -> (Rc<Isolate>, Memory) {
    let memory = Memory::new().with("ALLOWED_STREAMS", allowed);
    let config = json!({
        "b": {"schema_title": "x/y", "description": "Letters <after> a.", "stream_aliases": ["also-b", "a"]},
        "a": {"schema_title": "x/y", "stream_aliases": ["also-a"]},
        "c": {"schema_title": "no/such"},
        "d": {},
        "errors": {"schema_title": "error", "stream_aliases": ["also-errors"]},
        "/^job\\./": {"schema_title": "x/y", "stream_aliases": ["jobs"]},
    });
    publish_config(&memory, &config).await;
    publish_schema(&memory, "1.0.0", "The first.").await;
    (Rc::new(Isolate::default()), memory)
}

async fn publish_config(memory: &Memory, config: &Value) {
    let config = serde_json::value::to_raw_value(config).unwrap();
    let publish = RegistryRequest::PublishStreamConfig {
        if_match: None,
        config,
    };
    memory.ask(publish).await.unwrap();
}

async fn publish_schema(memory: &Memory, version: &str, description: &str) {
    let schema = json!({
        "$id": format!("/x/y/{version}"), "$schema": "http://json-schema.org/draft-07/schema#", "title": "x/y",
        "description": description, "type": "object", "required": ["n"],
        "definitions": {"count": {"type": ["integer", "null"]}},
        "properties": {"n": {"$ref": "#/definitions/count", "description": "How <many>."}},
        "examples": [{"n": 1, "t": "</pre>"}, {"n": 2}],
    });
    let schemas = vec![SchemaFile {
        title: "x/y".into(),
        version: version.into(),
        json: schema.to_string(),
        yaml: None,
    }];
    let publish = RegistryRequest::PublishSchemas {
        repository: "one".into(),
        schemas,
    };
    memory.ask(publish).await.unwrap();
}

async fn send(
    (isolate, memory): &(Rc<Isolate>, Memory),
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (Response, String) {
    let mut request = Request::default();
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let response = handle(isolate, memory.clone(), request).await;
    let Body::Full(body) = response.body() else {
        panic!("{path} streams")
    };
    let body = String::from_utf8(body.to_vec()).unwrap();
    (response, body)
}

fn get(path: &str) -> (Response, String) {
    pollster::block_on(async { send(&world("*").await, Method::GET, path, &[]).await })
}

fn spec(allowed: &str) -> Value {
    let (_, body) =
        pollster::block_on(async { send(&world(allowed).await, Method::GET, "/?spec", &[]).await });
    serde_json::from_str(&body).unwrap()
}

/// `golden/eventstreams.json`: the cases root, /rc, /v2/ui.
#[test]
fn the_ways_to_the_page_and_the_description_are_the_originals() {
    let plain = "text/plain; charset=utf-8";
    let html = "text/html; charset=UTF-8";
    let page = |to: &str| {
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n<title>Redirecting</title>\n\
             </head>\n<body>\n<pre>Redirecting to <a href=\"{to}\">{to}</a></pre>\n</body>\n</html>\n"
        )
    };
    for (path, status, location, kind, body) in [
        ("/", 303, "/v2/ui", plain, "See Other. Redirecting to /v2/ui"),
        (
            "/rc",
            301,
            "/?doc",
            plain,
            "Moved Permanently. Redirecting to /?doc",
        ),
        ("/v2/ui", 301, "/v2/ui/", html, page("/v2/ui/").as_str()),
        (
            "/sse-relay",
            303,
            "/sse-relay/v2/ui",
            plain,
            "See Other. Redirecting to /sse-relay/v2/ui",
        ),
        (
            "/sse-relay/rc",
            301,
            "/sse-relay/?doc",
            plain,
            "Moved Permanently. Redirecting to /sse-relay/?doc",
        ),
        (
            "/sse-relay/v2/ui?a=%3Cb",
            301,
            "/sse-relay/v2/ui/?a=%3Cb",
            html,
            page("/sse-relay/v2/ui/?a=%3Cb").as_str(),
        ),
    ] {
        let (response, answered) = get(path);
        assert_eq!(response.status(), status, "{path}");
        assert_eq!(response.headers()["location"], location, "{path}");
        assert_eq!(response.headers()["content-type"], kind, "{path}");
        assert_eq!(answered, body, "{path}");
    }
}

/// `golden/eventstreams.json`: the cases _info and robots.
#[test]
fn what_every_function_has_is_there() {
    let (response, body) = get("/_info");
    assert_eq!(response.status(), 200);
    assert_eq!(
        response.headers()["content-type"],
        "application/json; charset=utf-8"
    );
    assert!(body.starts_with(r#"{"name":"eventstar-sse-relay","#), "{body}");
    let (response, body) = get("/robots.txt");
    assert_eq!(response.headers()["content-type"], "text/plain; charset=utf-8");
    assert_eq!(body, "User-agent: *\nDisallow: /\n");
    for path in ["/v2/ui/none.js", "/v2/ui/../lib.rs", "/rc/x", "/v2/stream"] {
        assert_eq!(get(path).0.status(), 404, "{path}");
    }
}

#[test]
fn other_methods_are_refused_with_those_that_are_taken() {
    pollster::block_on(async {
        let world = world("*").await;
        for path in ["/", "/rc", "/v2/ui", "/v2/ui/", "/v2/ui/app.js"] {
            let (response, _) = send(&world, Method::POST, path, &[]).await;
            assert_eq!(response.status(), 405, "{path}");
            assert_eq!(response.headers()["allow"], "GET,HEAD", "{path}");
            let (response, _) = send(&world, Method::OPTIONS, path, &[]).await;
            assert_eq!(response.status(), 200, "{path}");
            let (response, _) = send(&world, Method::HEAD, path, &[]).await;
            assert!(response.status().as_u16() < 400, "{path}");
        }
    });
}

#[test]
fn the_page_is_served_with_its_policy_and_is_not_sent_twice() {
    pollster::block_on(async {
        let world = world("*").await;
        for (path, kind) in [
            ("/v2/ui/", "text/html; charset=utf-8"),
            ("/sse-relay/v2/ui/", "text/html; charset=utf-8"),
            ("/v2/ui/app.js", "text/javascript; charset=utf-8"),
            ("/v2/ui/style.css", "text/css; charset=utf-8"),
            ("/v2/ui/icon.svg", "image/svg+xml"),
            ("/v2/ui/streams.json", "application/json; charset=utf-8"),
        ] {
            let (response, body) = send(&world, Method::GET, path, &[]).await;
            assert_eq!(response.status(), 200, "{path}");
            assert_eq!(response.headers()["content-type"], kind);
            let policy = response.headers()["content-security-policy"].to_str().unwrap();
            assert!(
                policy.starts_with("default-src 'self'; object-src 'none'"),
                "{path}: {policy}"
            );
            assert!(!body.is_empty());
            let etag = response.headers()["etag"].to_str().unwrap();
            let (again, body) = send(&world, Method::GET, path, &[("if-none-match", etag)]).await;
            assert_eq!(again.status(), 304, "{path}");
            assert_eq!(again.headers()["etag"], etag);
            assert_eq!(
                again.headers()["cache-control"],
                response.headers()["cache-control"]
            );
            assert!(body.is_empty());
        }
    });
}

#[test]
fn streams_to_choose_are_those_that_can_be_read() {
    for (allowed, expected) in [
        ("*", vec!["a", "also-a", "also-b", "b", "c", "d"]),
        ("", vec![]),
        ("b,errors,nosuch", vec!["also-b", "also-errors", "b", "errors"]),
        (
            "a,eventstar.dead-letter",
            vec!["a", "also-a", "eventstar.dead-letter"],
        ),
    ] {
        let (_, body) = pollster::block_on(async {
            send(&world(allowed).await, Method::GET, "/v2/ui/streams.json", &[]).await
        });
        let streams: Vec<Value> = serde_json::from_str(&body).unwrap();
        let names: Vec<&str> = streams
            .iter()
            .map(|stream| stream["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, expected, "{allowed}");
        let spec = spec(allowed);
        let items = spec
            .pointer("/paths/~1v2~1stream~1{streams}/get/parameters/0/schema/items")
            .unwrap();
        let listed = items.get("enum").cloned().unwrap_or_else(|| json!([]));
        assert_eq!(listed, json!(expected), "{allowed}");
        for name in expected {
            assert!(spec["paths"][format!("/v2/stream/{name}")].is_object(), "{name}");
        }
    }
}

#[test]
fn an_alias_is_described_as_its_stream_is() {
    let spec = spec("*");
    let paths = &spec["paths"];
    let (alias, stream) = (&paths["/v2/stream/also-b"]["get"], &paths["/v2/stream/b"]["get"]);
    assert_eq!(
        alias["description"],
        "An alias of b. Letters <after> a.\n\nSchema title: x/y"
    );
    assert_eq!(alias["responses"], stream["responses"]);
    let (_, streams) = get("/v2/ui/streams.json");
    assert!(
        streams.contains(r#"{"name":"also-a","title":"x/y","description":"An alias of a."}"#),
        "{streams}"
    );
}

#[test]
fn a_hundred_aliases_are_listed_and_no_more() {
    pollster::block_on(async {
        let memory = Memory::new().with("ALLOWED_STREAMS", "*");
        let aliases: Vec<String> = (0..101).map(|n| format!("also-{n:03}")).collect();
        publish_config(&memory, &json!({"a": {"stream_aliases": aliases}})).await;
        let world = (Rc::new(Isolate::default()), memory);
        let (_, body) = send(&world, Method::GET, "/v2/ui/streams.json", &[]).await;
        let streams: Vec<Value> = serde_json::from_str(&body).unwrap();
        assert_eq!(streams.len(), 101);
        assert_eq!(streams[100]["name"], "also-099");
    });
}

#[test]
fn the_document_has_a_path_for_each_stream_with_schema_and_example() {
    let spec = spec("*");
    let operation = &spec["paths"]["/v2/stream/b"]["get"];
    assert_eq!(
        operation["description"],
        "Letters <after> a.\n\nSchema title: x/y"
    );
    for kind in ["text/event-stream", "application/json"] {
        let content = &operation["responses"]["200"]["content"][kind];
        assert_eq!(
            content["schema"],
            json!({"$ref": "#/components/schemas/x.y.1.0.0"})
        );
        assert_eq!(content["example"], json!({"n": 1, "t": "</pre>"}));
    }
    assert_eq!(
        spec["components"]["schemas"]["x.y.1.0.0"],
        json!({
            "title": "x/y", "description": "The first.", "type": "object", "required": ["n"],
            "definitions": {"count": {"type": ["integer", "null"]}},
            "properties": {"n": {"$ref": "#/components/schemas/x.y.1.0.0/definitions/count", "description": "How <many>."}},
        })
    );
    assert_eq!(
        spec["paths"]["/v2/stream/c"]["get"]["description"],
        "Schema title: no/such\n\nIts schema is not published."
    );
    assert_eq!(
        spec["paths"]["/v2/stream/d"]["get"]["description"],
        "The stream config names no schema."
    );
    assert_eq!(spec["servers"], json!([{"url": "/"}]));
    let (_, below) = get("/sse-relay/?spec");
    let below: Value = serde_json::from_str(&below).unwrap();
    assert_eq!(below["servers"], json!([{"url": "/sse-relay"}]));
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let spec = spec("*");
    let text = spec.to_string();
    let references: Vec<&str> = text
        .split("\"$ref\":\"#")
        .skip(1)
        .filter_map(|rest| rest.split('"').next())
        .collect();
    assert!(references.len() > 20);
    for reference in references {
        assert!(spec.pointer(reference).is_some(), "{reference}");
    }
    let parameters = &spec["paths"]["/v2/stream/a"]["get"]["parameters"];
    let names: Vec<&str> = parameters
        .as_array()
        .unwrap()
        .iter()
        .filter_map(|parameter| parameter["$ref"].as_str()?.rsplit('/').next())
        .collect();
    assert_eq!(
        names,
        [
            "since",
            "Last-Event-ID",
            "last_event_id",
            "filter",
            "fields",
            "canary",
            "domain",
            "wiki",
            "until",
            "limit"
        ]
    );
}

#[test]
fn schemas_are_read_once_a_minute_and_again_after_a_failure() {
    pollster::block_on(async {
        let world = world("*").await;
        let memory = &world.1;
        let description = async || {
            let (_, body) = send(&world, Method::GET, "/?spec", &[]).await;
            let spec: Value = serde_json::from_str(&body).unwrap();
            let schemas = spec["components"]["schemas"].as_object().unwrap().clone();
            schemas
                .values()
                .next()
                .map(|schema| schema["description"].clone())
        };
        // The config is known before everything fails.
        let _ = send(&world, Method::GET, "/v2/ui/streams.json", &[]).await;
        memory.fail("kv", Fault::Before);
        memory.fail("registry", Fault::Before);
        assert_eq!(description().await, None);
        memory.heal();
        assert_eq!(description().await, Some(json!("The first.")));
        publish_schema(memory, "1.1.0", "The second.").await;
        assert_eq!(description().await, Some(json!("The first.")));
        memory.advance(60_000);
        assert_eq!(description().await, Some(json!("The second.")));
    });
}

#[test]
fn however_many_schemas_there_are_one_answer_takes_few_subrequests() {
    pollster::block_on(async {
        let memory = Memory::new().with("ALLOWED_STREAMS", "*");
        let config: Value = (0..700)
            .map(|n| (format!("s{n:03}"), json!({"schema_title": format!("x/{n:03}")})))
            .collect::<serde_json::Map<_, _>>()
            .into();
        publish_config(&memory, &config).await;
        let before = memory.calls();
        let world = (Rc::new(Isolate::default()), memory);
        let (_, body) = send(&world, Method::GET, "/?spec", &[]).await;
        // Two for the config; for each hundred schemas one of KV, and one of the registry, which has none of them either.
        assert!(world.1.calls() - before <= 12, "{}", world.1.calls() - before);
        assert_eq!(body.matches("Its schema is not published.").count(), 500);
        assert_eq!(
            body.matches("Its schema is left out: there are too many").count(),
            200
        );
        let (_, page) = send(&world, Method::GET, "/?doc", &[]).await;
        assert!(page.contains("<a href=\"?doc&amp;stream=s699\">s699</a>") && page.len() < 100_000);
        assert_eq!(page.matches("<h2 id=").count(), 0);
    });
}

#[test]
fn schemas_beyond_four_megabytes_are_left_out() {
    pollster::block_on(async {
        let world = world("*").await;
        let memory = &world.1;
        let titles: Vec<String> = (0..9).map(|n| format!("large/{n}")).collect();
        let config: Value = titles
            .iter()
            .map(|title| (title.replace('/', "."), json!({"schema_title": title})))
            .collect::<serde_json::Map<_, _>>()
            .into();
        let config = serde_json::value::to_raw_value(&config).unwrap();
        for title in titles {
            let schema =
                json!({"$id": format!("/{title}/1.0.0"), "title": title, "description": "x".repeat(500_000)});
            let schemas = vec![SchemaFile {
                title,
                version: "1.0.0".into(),
                json: schema.to_string(),
                yaml: None,
            }];
            let publish = RegistryRequest::PublishSchemas {
                repository: "one".into(),
                schemas,
            };
            memory.ask(publish).await.unwrap();
        }
        let publish = RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        };
        memory.ask(publish).await.unwrap();
        let (_, body) = send(&world, Method::GET, "/?spec", &[]).await;
        let spec: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(spec["components"]["schemas"].as_object().unwrap().len(), 8);
        let description = &spec["paths"]["/v2/stream/large.8"]["get"]["description"];
        assert_eq!(
            description,
            "Schema title: large/8\n\nIts schema is left out: there are too many to show here."
        );
    });
}

#[test]
fn without_a_config_the_description_is_unavailable() {
    pollster::block_on(async {
        let world = world("*").await;
        world.1.fail("kv", Fault::Before);
        world.1.fail("registry", Fault::Before);
        for path in ["/?spec", "/?doc", "/v2/ui/streams.json"] {
            let (response, _) = send(&world, Method::GET, path, &[]).await;
            assert_eq!(response.status(), 503, "{path}");
            assert!(response.headers().contains_key("retry-after"), "{path}");
        }
    });
}

#[test]
fn the_description_for_people_shows_each_stream_and_how_to_watch_it() {
    pollster::block_on(async {
        let world = world("*").await;
        let host = [("host", "events.test:8787")];
        let (response, page) = send(&world, Method::GET, "/sse-relay/?doc", &host).await;
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(policy.starts_with("default-src 'none'"), "{policy}");
        for part in [
            "<h2 id=\"b\">b</h2>",
            "<p>Letters &lt;after&gt; a.</p>",
            "<code>x/y</code>",
            "How &lt;many&gt;.",
            "&quot;t&quot;: &quot;&lt;/pre&gt;&quot;",
            "curl -N &#39;https://events.test:8787/sse-relay/v2/stream/a&#39;",
            "new EventSource(&#39;https://events.test:8787/sse-relay/v2/stream/a&#39;)",
            "curl -N &#39;https://events.test:8787/sse-relay/v2/stream/a,b&#39;",
            "<a href=\"v2/ui/#/?streams=b\">Watch it</a>",
            "Its schema is not published.",
        ] {
            assert!(page.contains(part), "{part} is not in {page}");
        }
        assert!(!page.contains("<script"));
        let (_, one) = send(&world, Method::GET, "/?doc&stream=a", &host).await;
        assert!(
            one.contains("<h2 id=\"a\">") && !one.contains("<h2 id=\"b\">"),
            "{one}"
        );
        let (_, none) = send(&world, Method::GET, "/?doc&stream=nosuch", &host).await;
        assert!(none.contains("<h1>Streams</h1>"));
    });
}
