//! `action=jsonschema`: EventLogging's schemas as meta.wiki's API answers them, the whole answers as they are on the wire.

use std::fs;

use eventstar_tests::admin::comes_into_force;
use eventstar_tests::instance::repository;
use eventstar_tests::{Answer, Instance, Request, golden};
use serde_json::Value;

/// The revision that `examples/eventlogging/Test.json` publishes.
const TEST: &str = "action=jsonschema&title=Test&revid=15047841&formatversion=2";

/// An origin that has the revision.
fn published() -> Instance {
    let instance = Instance::from_env();
    let file = repository().join("examples/eventlogging/Test.json");
    let body = fs::read_to_string(file).expect("the example");
    let answer = instance
        .admin(Request::put_json("/admin/v1/eventlogging/schemas", body))
        .expect(200);
    let answer = answer.json();
    assert_eq!(
        answer["published"]
            .as_u64()
            .zip(answer["unchanged"].as_u64())
            .map(|(a, b)| a + b),
        Some(1),
        "{answer}"
    );
    comes_into_force("the revision", || ask(&instance, TEST).status == 200);
    instance
}

fn ask(instance: &Instance, query: &str) -> Answer {
    instance.get(&format!("/w/api.php?{query}"))
}

#[test]
fn answers_are_those_of_meta_wiki() {
    let instance = published();
    for (name, status, query) in [
        ("found", 200, TEST),
        ("newest", 200, "action=jsonschema&title=Test"),
        (
            "any_origin",
            200,
            "action=jsonschema&revid=15047841&origin=*&format=json",
        ),
        (
            "other_origin",
            403,
            "action=jsonschema&revid=15047841&origin=https://a.org",
        ),
        ("warning", 200, "action=jsonschema&revid=15047841&foo=1"),
        ("nothing_named", 400, "action=jsonschema&formatversion=2"),
        ("no_such_revision", 400, "action=jsonschema&revid=1"),
        (
            "revision_of_another_page",
            400,
            "action=jsonschema&revid=15047841&title=Other&formatversion=2",
        ),
        ("no_such_title", 400, "action=jsonschema&title=No_such_title"),
        ("bad_title", 400, "action=jsonschema&title=..%2F%00"),
        ("no_number", 200, "action=jsonschema&revid=15047841x"),
        ("error_any_origin", 400, "action=jsonschema&revid=1&origin=*"),
    ] {
        let request = Request::get(&format!("/w/api.php?{query}"));
        let answer = instance.send(&request).expect(status);
        let is_found = status == 200 && answer.header("mediawiki-api-error").is_none();
        let mut replaced = Vec::new();
        for (header, stands_for) in [
            ("expires", "<in five minutes>"),
            ("last-modified", "<when published>"),
        ] {
            let value = answer.header(header);
            assert_eq!(value.is_some(), is_found, "{name} {header}");
            replaced.extend(value.map(|value| (value, stands_for)));
        }
        golden::check(&format!("json_schema/{name}"), &request, &answer, &replaced);
    }
}

#[test]
fn the_origin_of_the_page_is_compared_with_its_header() {
    let instance = published();
    let request = Request::get(&format!("/w/api.php?{TEST}&origin=https://a.org"));
    for (origin, status) in [("https://a.org", 200), ("https://b.org", 403)] {
        let answer = instance
            .send(&request.clone().header("origin", origin))
            .expect(status);
        assert_eq!(
            answer.header("access-control-allow-origin"),
            Some("*"),
            "{origin}"
        );
        assert_eq!(
            answer.header("access-control-allow-credentials"),
            None,
            "{origin}"
        );
    }
}

#[test]
fn head_is_answered_with_the_headers_of_get_and_no_body() {
    let instance = published();
    for query in [TEST, "action=jsonschema&revid=1"] {
        let path = format!("/w/api.php?{query}");
        let got = instance.get(&path);
        let head = instance.send(&Request::new("HEAD", &path)).expect(got.status);
        assert_eq!(head.text(), "");
        for name in [
            "content-type",
            "cache-control",
            "last-modified",
            "mediawiki-api-error",
            "access-control-allow-origin",
            "access-control-expose-headers",
        ] {
            assert_eq!(head.header(name), got.header(name), "{query} {name}");
        }
    }
}

#[test]
fn publishing_is_refused_without_token_for_what_is_no_list_of_revisions_and_for_what_is_too_large() {
    let instance = published();
    let put = |body: Vec<u8>| Request::put_json("/admin/v1/eventlogging/schemas", body);
    let of =
        |schema: &str| format!(r#"{{"schemas":[{{"title":"Test","revision":15047842,"schema":{schema}}}]}}"#);
    let _ = instance.send(&put(of("{}").into())).expect(401);
    let _ = instance
        .send(&put(of("{}").into()).bearer(&instance.producer_token))
        .expect(403);
    let large = of(&format!(r#"{{"description":"{}"}}"#, "x".repeat(2_000_000)));
    for (body, text) in [
        (b"[]".to_vec(), "schemas"),
        (of("{nope").into_bytes(), "schemas"),
        (b"{\"schemas\":[{\"title\":\"\xff\"}]}".to_vec(), "schemas"),
        (of("[]").into_bytes(), "revision 15047842 of Test"),
        (large.into_bytes(), "1900000"),
    ] {
        let answer = instance.admin(put(body)).expect(400).json();
        let detail = answer["detail"].as_str().expect("a detail");
        assert!(detail.contains(text), "{detail}");
    }
    let _ = instance
        .send(&Request::new("POST", "/admin/v1/eventlogging/schemas").bearer(&instance.admin_token))
        .expect(405);
    let _ = ask(&instance, "action=jsonschema&revid=15047842").expect(400);
    let newest: Value = ask(&instance, "action=jsonschema&title=Test").expect(200).json();
    assert!(newest["properties"]["count"].is_object(), "{newest}");
}
