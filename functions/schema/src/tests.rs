use bytes::Bytes;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Registry, RegistryRequest, SchemaFile};

use super::*;

async fn world() -> Memory {
    let memory = Memory::new();
    let file = |version: &str, yaml: Option<&str>| SchemaFile {
        title: "a/b".into(),
        version: version.into(),
        json: format!("{{\"title\":\"a/b\",\"description\":\"{version}\"}}"),
        yaml: yaml.map(str::to_owned),
    };
    let schemas = vec![file("1.0.0", Some("title: a/b\n")), file("1.1.0", None)];
    memory
        .ask(RegistryRequest::PublishSchemas {
            repository: "one".into(),
            schemas,
        })
        .await
        .unwrap();
    memory
}

async fn send(memory: &Memory, method: Method, path: &str, if_none_match: Option<&str>) -> (Response, Bytes) {
    let mut request = Request::default();
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    if let Some(tag) = if_none_match {
        request
            .headers_mut()
            .insert("if-none-match", tag.parse().unwrap());
    }
    let (parts, body) = handle(&Rc::new(Isolate::default()), memory.clone(), request)
        .await
        .into_parts();
    let Body::Full(body) = body else { panic!("streams") };
    (Response::from_parts(parts, Body::default()), body)
}

async fn get(memory: &Memory, path: &str) -> (Response, Bytes) {
    send(memory, Method::GET, path, None).await
}

#[test]
fn each_form_of_a_version_has_its_type_and_caching() {
    pollster::block_on(async {
        let memory = world().await;
        let json = "application/json; charset=utf-8";
        let text = "text/plain; charset=utf-8";
        for (file, content_type, body, caching) in [
            ("1.0.0", text, "title: a/b\n", "immutable"),
            ("1.0.0.yaml", text, "title: a/b\n", "immutable"),
            (
                "1.0.0.json",
                json,
                r#"{"title":"a/b","description":"1.0.0"}"#,
                "immutable",
            ),
            (
                "1.1.0",
                json,
                r#"{"title":"a/b","description":"1.1.0"}"#,
                "immutable",
            ),
            (
                "latest",
                json,
                r#"{"title":"a/b","description":"1.1.0"}"#,
                "max-age=60",
            ),
            (
                "latest.yaml",
                text,
                r#"{"title":"a/b","description":"1.1.0"}"#,
                "max-age=60",
            ),
        ] {
            let (response, got) = get(&memory, &format!("/repositories/one/jsonschema/a/b/{file}")).await;
            assert_eq!(
                (response.status().as_u16(), &got[..]),
                (200, body.as_bytes()),
                "{file}"
            );
            assert_eq!(response.headers()["content-type"], content_type, "{file}");
            assert!(
                response.headers()["cache-control"]
                    .to_str()
                    .unwrap()
                    .contains(caching),
                "{file}"
            );
        }
    });
}

#[test]
fn a_known_etag_is_304() {
    pollster::block_on(async {
        let memory = world().await;
        let path = "/repositories/one/jsonschema/a/b/1.0.0";
        let (response, _) = get(&memory, path).await;
        let etag = response.headers()["etag"].to_str().unwrap().to_owned();
        let (response, body) = send(&memory, Method::GET, path, Some(&etag)).await;
        assert_eq!((response.status().as_u16(), body.len()), (304, 0));
        assert_eq!(
            send(&memory, Method::GET, path, Some("\"other\""))
                .await
                .0
                .status(),
            200
        );
    });
}

#[test]
fn what_is_not_there_is_404_and_other_methods_are_405() {
    pollster::block_on(async {
        let memory = world().await;
        for path in [
            "/repositories/one/jsonschema/a/b/9.0.0",
            "/repositories/two/jsonschema/a/b/1.0.0",
            "/repositories/one/jsonschema/../../etc/passwd",
            "/repositories/one/x",
            "/schema/nope",
        ] {
            assert_eq!(get(&memory, path).await.0.status(), 404, "{path}");
        }
        assert_eq!(
            send(&memory, Method::PUT, "/repositories", None).await.0.status(),
            405
        );
        assert_eq!(
            send(&memory, Method::OPTIONS, "/repositories", None)
                .await
                .0
                .status(),
            200
        );
        assert_eq!(get(&memory, "/repositories").await.1, r#"["one"]"#);
        assert_eq!(get(&Memory::new(), "/repositories").await.1, "[]");
    });
}

#[test]
fn a_kv_that_fails_or_lags_is_made_up_for_by_the_registry() {
    pollster::block_on(async {
        let memory = world().await;
        let path = "/schema/repositories/one/jsonschema/a/b/1.0.0";
        memory.forget_kv();
        assert_eq!(get(&memory, path).await.0.status(), 200);
        memory.fail("kv", Fault::Before);
        assert_eq!(get(&memory, path).await.0.status(), 200);
        memory.fail("registry", Fault::Before);
        let (response, body) = get(&memory, path).await;
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        assert!(!String::from_utf8_lossy(&body).contains("injected"));
    });
}
