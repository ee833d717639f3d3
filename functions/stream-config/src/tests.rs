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
