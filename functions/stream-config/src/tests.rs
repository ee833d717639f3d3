use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Registry, RegistryRequest};
use serde_json::json;

use super::*;

mod api;

async fn world() -> Memory {
    let memory = Memory::new();
    let config = json!({
        "defaults": {"topic_prefixes": ["eqiad."]},
        "streams": {"b": {"schema_title": "x"}, "a": {"topic_prefixes": null}, "/^job\\./": {}},
    });
    let config = serde_json::value::to_raw_value(&config).unwrap();
    memory
        .ask(RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        })
        .await
        .unwrap();
    memory
}

async fn get(isolate: &Rc<Isolate>, memory: &Memory, path: &str) -> (u16, String) {
    let mut request = Request::default();
    *request.uri_mut() = path.parse().unwrap();
    let response = handle(isolate, memory.clone(), request).await;
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (status, String::from_utf8(body.to_vec()).unwrap())
}

#[test]
fn the_streams_asked_for_are_answered_with_defaults_and_topics() {
    pollster::block_on(async {
        let memory = world().await;
        let isolate = Rc::new(Isolate::default());
        let b = r#""b":{"topic_prefixes":["eqiad."],"schema_title":"x","stream":"b","topics":["eqiad.b"]}"#;
        let a = r#""a":{"topic_prefixes":null,"stream":"a","topics":["a"]}"#;
        let job = r#""job.x":{"topic_prefixes":["eqiad."],"stream":"/^job\\./","topics":["eqiad.job.x"]}"#;
        let regex = r#""/^job\\./":{"topic_prefixes":["eqiad."],"stream":"/^job\\./","topics":["/^(eqiad\\.)job\\./"]}"#;
        for (path, expected) in [
            ("/v1/stream-configs/b,nope,job.x", format!("{{{b},{job}}}")),
            ("/v1/stream-configs/a%7Cb", format!("{{{a},{b}}}")),
            ("/v1/stream-configs/nope", "{}".to_owned()),
            ("/v1/stream-configs", format!("{{{b},{a},{regex}}}")),
            (
                "/stream-config/v1/stream-configs/",
                format!("{{{b},{a},{regex}}}"),
            ),
        ] {
            assert_eq!(get(&isolate, &memory, path).await, (200, expected), "{path}");
        }
        assert_eq!(get(&isolate, &memory, "/v1/stream-configsx").await.0, 404);
    });
}

#[test]
fn a_stream_that_was_asked_for_just_before_it_was_published_is_answered() {
    pollster::block_on(async {
        let memory = world().await;
        let isolate = Rc::new(Isolate::default());
        let by_action = "/w/api.php?action=streamconfigs&format=json&formatversion=2&streams=new";
        for path in ["/v1/stream-configs/new", by_action] {
            assert!(
                !get(&isolate, &memory, path).await.1.contains("schema_title"),
                "{path}"
            );
        }
        let config = serde_json::value::to_raw_value(&json!({"new": {"schema_title": "y"}})).unwrap();
        let if_match = None;
        let publish = RegistryRequest::PublishStreamConfig { if_match, config };
        memory.ask(publish).await.unwrap();
        for path in ["/v1/stream-configs/new", by_action] {
            assert!(
                get(&isolate, &memory, path)
                    .await
                    .1
                    .contains(r#""schema_title":"y""#),
                "{path}"
            );
        }
    });
}

#[test]
fn it_is_ready_once_a_config_is_published() {
    pollster::block_on(async {
        let ready = async |memory: &Memory| get(&Rc::default(), memory, "/stream-config/readyz").await;
        assert_eq!(
            ready(&world().await).await,
            (200, r#"{"status":"ok"}"#.to_owned())
        );
        let (status, body) = ready(&Memory::new()).await;
        assert!(
            status == 503 && body.contains(r#""stream_config":"no stream config"#),
            "{body}"
        );
    });
}

#[test]
fn the_old_config_is_kept_while_it_cannot_be_read() {
    pollster::block_on(async {
        let memory = world().await;
        let isolate = Rc::new(Isolate::default());
        assert_eq!(get(&isolate, &memory, "/v1/stream-configs/a").await.0, 200);
        memory.fail("kv", Fault::Before);
        memory.fail("registry", Fault::Before);
        memory.advance(60_000);
        assert_eq!(get(&isolate, &memory, "/v1/stream-configs/a").await.0, 200);
        assert!(
            memory
                .lines()
                .iter()
                .any(|line| line.contains("the old one is used"))
        );
        assert_eq!(
            get(&Rc::new(Isolate::default()), &memory, "/v1/stream-configs/a")
                .await
                .0,
            503
        );
    });
}

#[test]
fn the_etag_is_the_configs_version() {
    pollster::block_on(async {
        let memory = world().await;
        let mut request = Request::default();
        *request.uri_mut() = "/v1/stream-configs".parse().unwrap();
        request
            .headers_mut()
            .insert("if-none-match", HeaderValue::from_static("\"1\""));
        let response = handle(&Rc::new(Isolate::default()), memory, request).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["etag"]),
            (304, &HeaderValue::from_static("\"1\""))
        );
    });
}

#[test]
fn earlier_versions_are_answered_and_kept() {
    pollster::block_on(async {
        let memory = world().await;
        let isolate = Rc::new(Isolate::default());
        let config = serde_json::value::to_raw_value(&json!({"c": {}})).unwrap();
        let publish = RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        };
        memory.ask(publish).await.unwrap();
        let c = r#"{"c":{"stream":"c","topics":["c"]}}"#.to_owned();
        assert_eq!(
            get(&isolate, &memory, "/v1/stream-configs").await,
            (200, c.clone())
        );
        let (status, first) = get(&isolate, &memory, "/v1/stream-configs/a?version=1").await;
        assert!(status == 200 && first.starts_with(r#"{"a":{"#), "{first}");
        for (path, expected) in [
            ("/v1/stream-configs?version=0", 404),
            ("/v1/stream-configs?version=3", 404),
            ("/v1/stream-configs?version=-1", 400),
            ("/v1/stream-configs?version=", 400),
        ] {
            assert_eq!(get(&isolate, &memory, path).await.0, expected, "{path}");
        }
        memory.fail("registry", Fault::Before);
        memory.fail("kv", Fault::Before);
        let path = "/v1/stream-configs?version=2";
        assert_eq!(
            get(&isolate, &memory, path).await,
            (200, c),
            "it is the current one"
        );
        let path = "/v1/stream-configs/a?version=1";
        assert_eq!(get(&isolate, &memory, path).await, (200, first), "it is kept");
        let other = Rc::new(Isolate::default());
        assert_eq!(get(&other, &memory, path).await.0, 503);
    });
}

#[test]
fn a_version_may_be_cached_for_good_and_the_current_one_shortly() {
    pollster::block_on(async {
        let memory = world().await;
        for (path, tag, status, caching) in [
            ("/v1/stream-configs", "\"0\"", 200, "public, max-age=30"),
            (
                "/v1/stream-configs?version=1",
                "\"0\"",
                200,
                "public, max-age=31536000, immutable",
            ),
            (
                "/v1/stream-configs?version=1",
                "W/\"1\"",
                304,
                "public, max-age=31536000, immutable",
            ),
        ] {
            let mut request = Request::default();
            *request.uri_mut() = path.parse().unwrap();
            let tag = HeaderValue::from_static(tag);
            request.headers_mut().insert("if-none-match", tag);
            let response = handle(&Rc::new(Isolate::default()), memory.clone(), request).await;
            assert_eq!(response.status().as_u16(), status, "{path}");
            assert_eq!(response.headers()["cache-control"], caching);
            assert_eq!(response.headers()["etag"], "\"1\"");
        }
    });
}
