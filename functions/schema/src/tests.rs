use bytes::Bytes;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, KeyValueWrite, Registry, RegistryRequest, SchemaFile};

use super::*;

mod upstream;

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

async fn send(
    memory: &Memory,
    method: Method,
    path: &str,
    headers: &[(&'static str, &str)],
) -> (Response, Bytes) {
    let mut request = Request::default();
    *request.method_mut() = method;
    *request.uri_mut() = path.parse().unwrap();
    for (name, value) in headers {
        request.headers_mut().insert(*name, value.parse().unwrap());
    }
    let (parts, body) = handle(&Rc::new(Isolate::default()), memory.clone(), request)
        .await
        .into_parts();
    let Body::Full(body) = body else { panic!("streams") };
    (Response::from_parts(parts, Body::default()), body)
}

async fn get(memory: &Memory, path: &str) -> (Response, Bytes) {
    send(memory, Method::GET, path, &[]).await
}

#[test]
fn it_is_ready_while_its_backends_answer() {
    pollster::block_on(async {
        let memory = world().await;
        let (response, body) = get(&memory, "/schema/readyz").await;
        assert_eq!(
            (response.status().as_u16(), &body[..]),
            (200, &br#"{"status":"ok"}"#[..])
        );
        memory.fail("registry", Fault::Before);
        let (response, body) = get(&memory, "/readyz").await;
        let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(response.status().as_u16(), 503);
        let why = body["missing"]["registry"].as_str().unwrap();
        assert!(why.contains("the registry does not answer"), "{why}");
    });
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
fn values_of_format_1_are_served() {
    pollster::block_on(async {
        let memory = Memory::new();
        let version =
            r#"{"v":1,"repository":"one","title":"a","version":"1.0.0","published":1000,"json":"{}"}"#;
        for (key, value) in [
            ("repositories/v1", r#"["one"]"#),
            ("index/v1/one", r#"{"v":1,"titles":{"a":["1.0.0"]}}"#),
            ("versions/v1/one/a", r#"{"v":1,"versions":["1.0.0"]}"#),
            ("schema/v1/one/a/1.0.0", version),
            ("schema/v1/one/a/latest", version),
        ] {
            memory.put(key, value.as_bytes()).await.unwrap();
        }
        for file in ["1.0.0", "1.0.0.yaml", "latest.json"] {
            let (response, body) = get(&memory, &format!("/repositories/one/jsonschema/a/{file}")).await;
            let date = response.headers()["last-modified"].to_str().unwrap();
            assert_eq!((date, &body[..]), ("Thu, 01 Jan 1970 00:00:01 GMT", &b"{}"[..]));
        }
        for (path, listed) in [
            ("one/", "jsonschema"),
            ("one/jsonschema/", "a"),
            ("one/jsonschema/a/", "1.0.0"),
        ] {
            let (_, body) = get(&memory, &format!("/repositories/{path}")).await;
            let listing: Vec<serde_json::Value> = serde_json::from_slice(&body).unwrap();
            assert_eq!(listing[0]["name"], listed);
            assert!(listing[0].get("mtime").is_none(), "{listing:?}");
        }
        let html = [("accept", "text/html")];
        let (response, _) = send(
            &memory,
            Method::GET,
            "/repositories/one/jsonschema/a/latest",
            &html,
        )
        .await;
        assert_eq!(response.status(), 200);
    });
}

#[test]
fn what_a_client_has_already_is_304() {
    pollster::block_on(async {
        let memory = world().await;
        for (path, caching) in [
            (
                "/repositories/one/jsonschema/a/b/1.0.0",
                "public, max-age=31536000, immutable",
            ),
            (
                "/repositories/one/jsonschema/a/b/1.0.0.json",
                "public, max-age=31536000, immutable",
            ),
            ("/repositories/one/jsonschema/a/b/latest", "public, max-age=60"),
        ] {
            let (response, _) = get(&memory, path).await;
            let etag = response.headers()["etag"].to_str().unwrap().to_owned();
            let published = "Mon, 01 Jan 2024 00:00:00 GMT";
            assert_eq!(response.headers()["last-modified"], published, "{path}");
            for (headers, status) in [
                (vec![("if-none-match", etag.as_str())], 304),
                (vec![("if-none-match", "\"other\"")], 200),
                (
                    vec![("if-none-match", "\"other\""), ("if-modified-since", published)],
                    200,
                ),
                (vec![("if-modified-since", published)], 304),
                (vec![("if-modified-since", "Sun, 31 Dec 2023 23:59:59 GMT")], 200),
            ] {
                let (response, body) = send(&memory, Method::GET, path, &headers).await;
                assert_eq!(response.status().as_u16(), status, "{path} {headers:?}");
                assert_eq!(body.is_empty(), status == 304, "{path} {headers:?}");
                assert_eq!(response.headers()["etag"], *etag, "{path} {headers:?}");
                assert_eq!(response.headers()["cache-control"], caching, "{path} {headers:?}");
            }
        }
    });
}

#[test]
fn folders_are_listed_and_redirected_to_with_a_slash() {
    pollster::block_on(async {
        let memory = world().await;
        let folder = |name: &str| {
            format!(
                "[\r\n{{ \"name\":\"{name}\", \"type\":\"directory\", \"mtime\":\"Mon, 01 Jan 2024 00:00:00 GMT\" }}\r\n]"
            )
        };
        for (path, expected) in [
            ("/repositories/", folder("one")),
            ("/repositories/one/", folder("jsonschema")),
            ("/repositories/one/jsonschema/", folder("a")),
            ("/repositories//one/jsonschema//a/", folder("b")),
        ] {
            let (response, body) = get(&memory, path).await;
            assert_eq!(
                (response.status().as_u16(), &body[..]),
                (200, expected.as_bytes()),
                "{path}"
            );
            assert_eq!(
                response.headers()["content-type"],
                "application/json; charset=utf-8"
            );
            assert_eq!(
                response.headers()["cache-control"],
                "public, max-age=60, s-maxage=60"
            );
            assert_eq!(response.headers()["vary"], "Accept");
        }
        for (path, location) in [
            ("/repositories/one", "/repositories/one/"),
            (
                "/schema/repositories/one/jsonschema?x=1",
                "/schema/repositories/one/jsonschema/?x=1",
            ),
            (
                "/repositories/one/jsonschema/a/b",
                "/repositories/one/jsonschema/a/b/",
            ),
        ] {
            let (response, _) = get(&memory, path).await;
            assert_eq!(response.status(), 301, "{path}");
            assert_eq!(response.headers()["location"], location, "{path}");
        }
        let listing = get(&memory, "/repositories/one/jsonschema/a/b/").await.1;
        let listing: Vec<serde_json::Value> = serde_json::from_slice(&listing).unwrap();
        for entry in listing {
            let name = entry["name"].as_str().unwrap();
            let (response, body) = get(&memory, &format!("/repositories/one/jsonschema/a/b/{name}")).await;
            assert_eq!(
                entry["mtime"],
                response.headers()["last-modified"].to_str().unwrap()
            );
            assert_eq!(entry["size"], body.len(), "{name}");
        }
    });
}

#[test]
fn browsers_get_pages_and_what_a_schema_says_stays_text() {
    pollster::block_on(async {
        let memory = Memory::new();
        let json = serde_json::json!({
            "title": "a/b", "$id": "/a/b/1.1.0", "description": "<script>alert(1)</script>",
            "required": ["list"],
            "properties": {
                "list": {"type": "array", "maxItems": 3, "items": {"type": ["string", "null"], "enum": ["x", null]}},
                "map": {"type": "object", "additionalProperties": {"type": "number"}},
                "own": {"properties": {"deep": {"description": "Within.", "pattern": "^<"}}},
            },
            "examples": [{"list": ["<x>"]}],
        });
        let file = |version: &str, json: &str| SchemaFile {
            title: "a/b".into(),
            version: version.into(),
            json: json.into(),
            yaml: None,
        };
        let schemas = vec![
            file("1.0.0", "{}"),
            file("1.1.0", &json.to_string()),
            file("1.2.0", "{}"),
        ];
        let publish = RegistryRequest::PublishSchemas {
            repository: "one".into(),
            schemas,
        };
        memory.ask(publish).await.unwrap();
        let browse = async |path: &str| {
            let accept = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";
            let (response, body) = send(&memory, Method::GET, path, &[("accept", accept)]).await;
            (response, String::from_utf8(body.to_vec()).unwrap())
        };
        let (response, page) = browse("/repositories/one/jsonschema/a/b/1.1.0").await;
        assert_eq!(response.headers()["content-type"], "text/html; charset=utf-8");
        assert_eq!(
            response.headers()["cache-control"],
            "public, max-age=60, s-maxage=60"
        );
        assert_eq!(response.headers()["vary"], "Accept");
        let policy = response.headers()["content-security-policy"].to_str().unwrap();
        assert!(
            policy.starts_with("default-src 'none'; style-src 'sha256-"),
            "{policy}"
        );
        for part in [
            "<h1>a<wbr>/b 1.1.0</h1>",
            "<code>list</code><small>required</small><td>array",
            "<code>list[]</code><td>string or null<td><small>one of x, null</small>",
            "<code>map<wbr>.*</code><td>number",
            "<code>own<wbr>.deep</code><td>any<td><p>Within.</p>\n<small>pattern ^&lt;</small>",
            "version before: <a href=\"1.0.0\">1.0.0</a>",
            "version after: <a href=\"1.2.0\">1.2.0</a>",
            "&lt;x&gt;",
            "<a href=\"../../../../\">repositories</a>",
            "<a href=\"./\">b</a>",
            "&lt;script&gt;alert(1)",
        ] {
            assert!(page.contains(part), "{part} in {page}");
        }
        assert!(!page.contains("<script"), "{page}");
        let (_, latest) = browse("/repositories/one/jsonschema/a/b/latest").await;
        assert!(
            latest.contains("<h1>a<wbr>/b 1.2.0</h1>") && !latest.contains("version after"),
            "{latest}"
        );
        for (path, part) in [
            ("/repositories/", "<a href=\"one/\">one/</a>"),
            ("/repositories/one/jsonschema/a/", "<a href=\"b/\">b/</a>"),
            (
                "/repositories/one/jsonschema/a/",
                "<a href=\"../\">jsonschema</a>",
            ),
            (
                "/repositories/one/jsonschema/a/b/",
                "<a href=\"1.0.0.json\">json</a>",
            ),
        ] {
            let (response, page) = browse(path).await;
            assert_eq!(
                response.headers()["content-type"],
                "text/html; charset=utf-8",
                "{path}"
            );
            assert!(page.contains(part), "{part} in {page}");
        }
        let (response, _) = browse("/repositories").await;
        assert_eq!(response.headers()["location"], "/repositories/");
        let (response, _) = browse("/repositories/one/jsonschema/a/b/1.1.0.json").await;
        assert_eq!(
            response.headers()["content-type"],
            "application/json; charset=utf-8"
        );
        let (response, _) = browse("/repositories/one/jsonschema/a/b/9.0.0").await;
        assert_eq!(response.status(), 404);
    });
}

#[test]
fn eventloggings_schemas_are_answered_where_the_function_is_alone() {
    pollster::block_on(async {
        let memory = world().await;
        let schemas = vec![eventstar_ports::SchemaRevision {
            title: "Test".into(),
            revision: 7,
            json: "{}".into(),
        }];
        memory
            .ask(RegistryRequest::PublishRevisions { schemas })
            .await
            .unwrap();
        for (query, body) in [
            ("action=jsonschema&revid=7", r#"{"title":"Test"}"#),
            ("action=streamconfigs", "Unrecognized value"),
            ("", "must be set"),
        ] {
            let (_, got) = get(&memory, &format!("/schema/w/api.php?{query}")).await;
            assert!(String::from_utf8_lossy(&got).contains(body), "{got:?}");
        }
        let (response, _) = send(&memory, Method::POST, "/w/api.php", &[]).await;
        assert_eq!(response.status(), 405);
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
            "/repositories/one/jsonschema/..%2f..%2fetc/passwd",
            "/repositories/one/jsonschema/%2e%2e/%2e%2e/etc/passwd",
            "/repositories/one/jsonschema/a/b/1.0.0/",
            "/repositories/one/jsonschema/a/b/1.0.0.xml",
            "/repositories/one/jsonschema/a/b/current.yaml",
            "/repositories/one/jsonschema/a/bb/",
            "/repositories/two/",
            "/repositories/two/jsonschema/",
            "/repositories/one/x",
            "/repositoriesx",
            "/schema/nope",
        ] {
            assert_eq!(get(&memory, path).await.0.status(), 404, "{path}");
        }
        assert_eq!(
            send(&memory, Method::PUT, "/repositories", &[]).await.0.status(),
            405
        );
        assert_eq!(
            send(&memory, Method::OPTIONS, "/repositories", &[])
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

#[test]
fn a_page_is_for_those_who_would_rather_have_one() {
    pollster::block_on(async {
        let memory = world().await;
        for (accept, is_page) in [
            ("text/html", true),
            ("Text/HTML;q=0.5", true),
            ("application/xhtml+xml, text/html", true),
            ("text/html, application/json;q=0.9, */*;q=0.1", true),
            ("application/json;q=0.9, text/html", true),
            ("text/html;q=0", false),
            ("text/html;q=0.5, application/json", false),
            ("text/html;q=0.5, application/yaml", false),
            ("application/json, text/html", false),
            ("text/htmlx", false),
            ("*/*", false),
            ("", false),
        ] {
            for path in [
                "/repositories/one/jsonschema/",
                "/repositories/one/jsonschema/a/b/1.0.0",
            ] {
                let (response, _) = send(&memory, Method::GET, path, &[("accept", accept)]).await;
                let content_type = response.headers()["content-type"].to_str().unwrap();
                assert_eq!(content_type.starts_with("text/html"), is_page, "{path} {accept}");
                assert_eq!(response.headers()["vary"], "Accept", "{path} {accept}");
            }
        }
    });
}
