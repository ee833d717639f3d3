use bytes::Bytes;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_ports::{Body, Registry, RegistryRequest, SchemaRevision};

use super::*;

const DRAFT_3: &str = r#"{"description":"A test","properties":{"b":{"type":"string","required":true},"a":{"type":"number","minimum":0.5}},"title":"own"}"#;

async fn world() -> Memory {
    let memory = Memory::new();
    let revision = |title: &str, revision, json: &str| SchemaRevision {
        title: title.into(),
        revision,
        json: json.into(),
    };
    let schemas = vec![
        revision("test_page", 8, "{}"),
        revision("Test_page", 7, DRAFT_3),
        revision(
            "Other",
            9,
            r#"{"$schema":"http://json-schema.org/draft-07/schema#"}"#,
        ),
    ];
    let publish = RegistryRequest::PublishRevisions { schemas };
    memory.ask(publish).await.unwrap();
    memory
}

async fn send(memory: &Memory, query: &str) -> Response {
    let mut request = Request::new(Bytes::new());
    *request.uri_mut() = format!("/w/api.php?{query}").parse().unwrap();
    answer(&request, 0, async |parameters| {
        json_schema(memory, &request, parameters).await
    })
    .await
}

fn body(response: Response) -> String {
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    String::from_utf8(body.to_vec()).unwrap()
}

#[test]
fn a_revision_is_answered_with_the_title_beside_its_members() {
    pollster::block_on(async {
        let memory = world().await;
        let seven = r#"{"title":"Test page","description":"A test","properties":{"b":{"type":"string","required":true},"a":{"type":"number","minimum":0.5}}}"#;
        for (query, expected) in [
            ("revid=7", seven),
            ("revid=7&title=", seven),
            ("title=Test%20page&revid=7&formatversion=2&format=json", seven),
            ("title=schema:test_page&revid=7", seven),
            ("title=Test_page", r#"{"title":"Test page"}"#),
            (
                "title=Other",
                r#"{"title":"Other","$schema":"http://json-schema.org/draft-07/schema#"}"#,
            ),
            (
                "revid=8&x=1",
                r#"{"warnings":{"main":{"warnings":"Unrecognized parameter: x."}},"title":"Test page"}"#,
            ),
        ] {
            let response = send(&memory, query).await;
            assert_eq!(response.status(), 200, "{query}");
            let headers = response.headers().clone();
            assert_eq!(
                headers["cache-control"], "max-age=300, s-maxage=300, public",
                "{query}"
            );
            assert_eq!(
                headers["last-modified"], "Mon, 01 Jan 2024 00:00:00 GMT",
                "{query}"
            );
            assert_eq!(headers["expires"], "Mon, 01 Jan 2024 00:05:00 GMT", "{query}");
            assert_eq!(body(response), expected, "{query}");
        }
    });
}

#[test]
fn what_is_not_there_is_refused_with_mediawikis_codes() {
    pollster::block_on(async {
        let memory = world().await;
        for (query, status, code, info) in [
            ("", 400, "missingparam", "At least one of"),
            ("revid=6", 400, "nosuchrevid", "There is no revision with ID 6."),
            ("revid=-1", 400, "nosuchrevid", "ID -1."),
            (
                "revid=7&title=Other",
                400,
                "revwrongpage",
                "r7 is not a revision of Other.",
            ),
            ("title=Nope", 400, "invalidtitle", "Nope"),
            ("title=", 400, "invalidtitle", "Bad title"),
            ("title=a%00b", 400, "invalidtitle", "Bad title"),
            ("title=../7", 400, "invalidtitle", "Bad title"),
            ("revid=x", 200, "badinteger", "\"x\""),
        ] {
            let response = send(&memory, query).await;
            assert_eq!(response.status().as_u16(), status, "{query}");
            assert_eq!(response.headers()["mediawiki-api-error"], code, "{query}");
            let body: Value = serde_json::from_str(&body(response)).unwrap();
            assert_eq!(body["error"]["code"], code, "{query}");
            assert!(body["error"]["info"].as_str().unwrap().contains(info), "{body}");
        }
    });
}

#[test]
fn schemas_that_cannot_be_read_are_503() {
    pollster::block_on(async {
        let memory = world().await;
        memory.forget_kv();
        assert_eq!(send(&memory, "revid=7").await.status(), 200);
        memory.fail("kv", Fault::Before);
        memory.fail("registry", Fault::Before);
        let response = send(&memory, "revid=7").await;
        assert_eq!(response.status(), 503);
        assert!(response.headers().contains_key("retry-after"));
    });
}
