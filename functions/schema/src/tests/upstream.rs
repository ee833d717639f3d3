//! Schemas that come from an upstream.

use super::*;

const BASE: &str = "https://a.org/primary";

fn world() -> Memory {
    Memory::new().with("SCHEMA_UPSTREAM", &format!("primary={BASE}"))
}

fn give(memory: &Memory, file: &str, version: &str) {
    let yaml = format!("title: a/b\n$id: /a/b/{version}\n");
    memory.answer_at(
        &format!("{BASE}/a/b/{file}"),
        http::Response::new(Bytes::from(yaml)),
    );
}

#[test]
fn both_forms_and_the_page_of_a_fetched_schema_are_answered_and_stay_when_the_upstream_is_down() {
    pollster::block_on(async {
        let memory = world();
        give(&memory, "1.0.0", "1.0.0");
        give(&memory, "latest", "1.0.0");
        for _ in 0..2 {
            for (file, body) in [
                ("1.0.0", "title: a/b\n$id: /a/b/1.0.0\n"),
                ("1.0.0.yaml", "title: a/b\n$id: /a/b/1.0.0\n"),
                ("1.0.0.json", r#"{"title":"a/b","$id":"/a/b/1.0.0"}"#),
                ("latest.json", r#"{"title":"a/b","$id":"/a/b/1.0.0"}"#),
            ] {
                let (response, got) =
                    get(&memory, &format!("/repositories/primary/jsonschema/a/b/{file}")).await;
                assert_eq!(
                    (response.status(), got),
                    (StatusCode::OK, Bytes::from(body)),
                    "{file}"
                );
            }
            memory.fail("http", Fault::Before);
            memory.forget_upstreams();
        }
        assert_eq!(get(&memory, "/repositories").await.1, r#"["primary"]"#);
    });
}

#[test]
fn a_page_of_a_schema_that_is_fetched_for_it_has_its_versions() {
    pollster::block_on(async {
        let memory = world();
        give(&memory, "1.0.0", "1.0.0");
        give(&memory, "latest", "1.1.0");
        let path = "/repositories/primary/jsonschema/a/b/1.0.0";
        let (response, page) = send(&memory, Method::GET, path, &[("accept", "text/html")]).await;
        assert_eq!(response.status(), 200);
        let page = String::from_utf8_lossy(&page);
        assert!(page.contains("<a href=\"1.1.0\">1.1.0</a>"), "{page}");
    });
}

#[test]
fn while_the_upstream_is_down_what_was_never_fetched_is_503_and_what_it_lacks_is_404() {
    pollster::block_on(async {
        let memory = world();
        let path = "/repositories/primary/jsonschema/a/b/1.0.0";
        assert_eq!(get(&memory, path).await.0.status(), 404);
        memory.advance(1_000);
        memory.fail("http", Fault::Before);
        let (response, body) = get(&memory, path).await;
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
        let body = String::from_utf8_lossy(&body).into_owned();
        assert!(
            body.contains("schemas cannot be read now: try again") && !body.contains("injected"),
            "{body}"
        );
        assert_eq!(
            get(&memory, "/repositories/other/jsonschema/a/b/1.0.0")
                .await
                .0
                .status(),
            404
        );
    });
}

#[test]
fn latest_is_compared_with_the_upstream_after_the_answer_once_a_minute() {
    pollster::block_on(async {
        let memory = world();
        let isolate = Rc::new(Isolate::default());
        let latest = async || {
            let mut request = Request::default();
            *request.uri_mut() = "/repositories/primary/jsonschema/a/b/latest.json"
                .parse()
                .unwrap();
            let response = handle(&isolate, memory.clone(), request).await;
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            memory.run_background().await;
            (
                String::from_utf8_lossy(&body).into_owned(),
                memory.take_requests().len(),
            )
        };
        let of = |version: &str| format!(r#"{{"title":"a/b","$id":"/a/b/{version}"}}"#);
        give(&memory, "latest", "1.0.0");
        assert_eq!(latest().await, (of("1.0.0"), 1));
        give(&memory, "latest", "1.1.0");
        assert_eq!(latest().await, (of("1.0.0"), 0));
        memory.advance(60_000);
        assert_eq!(latest().await, (of("1.0.0"), 1), "stale, and asked for");
        assert_eq!(latest().await, (of("1.1.0"), 0));
        memory.advance(60_000);
        memory.fail("http", Fault::Before);
        assert_eq!(latest().await.0, of("1.1.0"));
        assert_eq!(latest().await.0, of("1.1.0"));
    });
}
