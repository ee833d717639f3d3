//! Schema repositories as folders and pages, and EventLogging's schemas.

use eventstar_tests::admin::{comes_into_force, publish_schema};
use eventstar_tests::random::random_bytes;
use eventstar_tests::{Answer, Instance, Request};
use serde_json::{Value, json};

const BASE: &str = "/repositories/examples/jsonschema";

/// What browsers send.
const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

fn names(listing: &Answer) -> Vec<String> {
    let entries: Vec<Value> = serde_json::from_slice(&listing.body).expect("a list");
    entries
        .iter()
        .map(|entry| entry["name"].as_str().expect("a name").to_owned())
        .collect()
}

fn browse(instance: &Instance, path: &str) -> Answer {
    instance.send(&Request::get(path).header("accept", BROWSER))
}

/// A name that no run had before.
fn fresh(label: &str) -> String {
    format!("{label}-{:016x}", u64::from_ne_bytes(random_bytes()))
}

#[test]
fn folders_are_listed_as_nginx_does() {
    let instance = Instance::from_env();
    for (path, name) in [
        ("/repositories/", "examples"),
        ("/repositories/examples/", "jsonschema"),
        ("/repositories/examples/jsonschema/", "w3c"),
        ("/repositories/examples/jsonschema/w3c/", "reportingapi"),
        ("/repositories/examples//jsonschema//test/", "event"),
        ("/schema/repositories/examples/jsonschema/test/", "event"),
    ] {
        let listing = instance.get(path).expect(200);
        assert_eq!(
            listing.header("content-type"),
            Some("application/json; charset=utf-8")
        );
        assert_eq!(listing.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            listing.header("cache-control"),
            Some("public, max-age=60, s-maxage=60")
        );
        assert!(names(&listing).iter().any(|other| other == name), "{listing:?}");
        let line = format!("\r\n{{ \"name\":\"{name}\", \"type\":\"directory\", \"mtime\":\"");
        assert!(listing.text().contains(&line), "{}", listing.text());
    }
    let redirect = instance.get(&format!("{BASE}/test/event")).expect(301);
    assert_eq!(
        redirect.header("location"),
        Some("/repositories/examples/jsonschema/test/event/")
    );
    let listing = instance.get(&format!("{BASE}/test/event/")).expect(200);
    for entry in listing.json().as_array().expect("a list") {
        let name = entry["name"].as_str().expect("a name");
        let file = instance.get(&format!("{BASE}/test/event/{name}")).expect(200);
        assert_eq!(entry["size"], file.body.len(), "{name}");
        assert_eq!(entry["mtime"].as_str(), file.header("last-modified"), "{name}");
    }
}

#[test]
fn versions_are_listed_and_resolved_by_semver() {
    let instance = Instance::from_env();
    let title = format!("test/{}", fresh("semver"));
    for version in ["1.10.0", "1.9.0", "1.2.0"] {
        let json = json!({"title": title, "type": "object", "description": version}).to_string();
        let _ = instance.admin(publish_schema(&title, version, &json)).expect(200);
    }
    comes_into_force("the title's three versions", || {
        let listing = instance.get(&format!("{BASE}/{title}/"));
        listing.status == 200
            && names(&listing)
                == [
                    "1.2.0",
                    "1.2.0.json",
                    "1.2.0.yaml",
                    "1.9.0",
                    "1.9.0.json",
                    "1.9.0.yaml",
                    "1.10.0",
                    "1.10.0.json",
                    "1.10.0.yaml",
                    "latest",
                    "latest.json",
                    "latest.yaml",
                ]
    });
    let latest = instance.get(&format!("{BASE}/{title}/latest.json")).expect(200);
    assert_eq!(latest.json()["description"], "1.10.0");
}

#[test]
fn what_was_not_modified_since_it_was_published_is_304() {
    let instance = Instance::from_env();
    for file in ["1.0.0", "1.0.0.yaml", "1.0.0.json", "latest"] {
        let request = Request::get(&format!("{BASE}/test/event/{file}"));
        let answer = instance.send(&request).expect(200);
        let published = answer.header("last-modified").expect("a date").to_owned();
        let again = request.clone().header("if-modified-since", &published);
        let again = instance.send(&again).expect(304);
        assert!(again.body.is_empty(), "{file}");
        for name in ["etag", "last-modified", "cache-control"] {
            assert_eq!(again.header(name), answer.header(name), "{file}");
        }
        let earlier = request.header("if-modified-since", "Thu, 01 Jan 1970 00:00:00 GMT");
        let _ = instance.send(&earlier).expect(200);
    }
}

#[test]
fn browsers_get_pages_without_scripts() {
    let instance = Instance::from_env();
    for (path, part) in [
        ("/repositories/", "<a href=\"examples/\">examples/</a>"),
        (
            "/repositories/examples/jsonschema/test/",
            "<a href=\"event/\">event/</a>",
        ),
        (
            "/repositories/examples/jsonschema/test/event/",
            "<a href=\"1.1.0\">1.1.0</a>",
        ),
        (
            "/repositories/examples/jsonschema/test/event/1.1.0",
            "version before: <a href=\"1.0.0\">1.0.0</a>",
        ),
        (
            "/repositories/examples/jsonschema/test/event/1.1.0",
            "<code>meta<wbr>.stream</code>",
        ),
        (
            "/repositories/examples/jsonschema/test/event/latest",
            "a specific test value",
        ),
    ] {
        let page = browse(&instance, path).expect(200);
        assert_eq!(
            page.header("content-type"),
            Some("text/html; charset=utf-8"),
            "{path}"
        );
        assert_eq!(page.header("vary"), Some("Accept"), "{path}");
        assert!(
            page.header("content-security-policy")
                .expect("a policy")
                .contains("default-src 'none'")
        );
        assert!(page.text().contains(part), "{part} in {}", page.text());
        assert!(!page.text().contains("<script"), "{path}");
    }
    let raw = browse(&instance, &format!("{BASE}/test/event/1.1.0.yaml")).expect(200);
    assert_eq!(raw.header("content-type"), Some("text/plain; charset=utf-8"));
}

/// Paths go out as they stand here: the client of these suites normalises nothing.
#[test]
fn no_path_leaves_the_repository() {
    let instance = Instance::from_env();
    for path in [
        "/repositories/examples/jsonschema/%2e%2e%2f%2e%2e%2fetc/passwd",
        "/repositories/examples/jsonschema/..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/repositories/examples/jsonschema/..%5c..%5cetc/passwd",
        "/repositories/examples%5cjsonschema/test/event/1.0.0",
        "/repositories/examples/jsonschema/../../../etc/passwd",
        "/repositories/examples/jsonschema/%2e%2e/%2E%2E/%2e%2e/etc/passwd",
        "/repositories/examples/jsonschema/.%2e/.%2e/.%2e/etc/passwd",
        "/repositories/examples/jsonschema/%252e%252e/etc/passwd",
        "/repositories/examples/jsonschema/%c0%ae%c0%ae/etc/passwd",
        "/repositories/examples/jsonschema/test/event/1.0.0%00.yaml",
        "/repositories/examples/jsonschema/test/event/1.0.0%0d%0ax-injected:1",
        "/repositories/examples/jsonschema/test/event/1.0.0;x",
        "/repositories/examples/jsonschema/test/event/1.0.0%20",
        "/repositories/examples/jsonschema/test/event/current.yaml",
        "/repositories/examples/jsonschema/test/event/1.0.0/",
        "/repositories/examples/jsonschema/.git/config",
        "/repositories/.git/config",
        "/repositories/%ff/",
        "/repositories/%zz/",
        "/repositories/%00/",
        "//repositories/",
    ] {
        let answer = instance.get(path).expect(404);
        assert_eq!(answer.json()["status"], 404, "{path}");
        assert_eq!(answer.header("x-injected"), None, "{path}");
    }
    // A host may refuse what is no HTTP before anybody sees it.
    for path in [
        "/repositories/\u{0}/",
        "/repositories/examples/jsonschema\\..\\..\\etc\\passwd",
        "/repositories/examples/jsonschema/test/event/1.0.0\u{7f}",
    ] {
        let status = instance.get(path).status;
        assert!(matches!(status, 400 | 404), "{status} for {path:?}");
    }
}

/// `..` means the folder above, as with nginx, or nothing: a host may resolve it before anybody sees it.
#[test]
fn a_path_with_dots_is_what_it_is_without_or_nothing() {
    let instance = Instance::from_env();
    let file = format!("{BASE}/test/event/1.0.0");
    let expected = instance.get(&file).expect(200).text();
    for path in [
        "/repositories/examples/jsonschema/test/../test/event/1.0.0",
        "/repositories/examples/jsonschema/test/%2e%2e/test/event/1.0.0",
        "/repositories/examples/./jsonschema/test/event/1.0.0",
        "/repositories/../repositories/examples/jsonschema/test/event/1.0.0",
    ] {
        let answer = instance.get(path);
        let is_it = answer.status == 200 && answer.text() == expected;
        assert!(is_it || answer.status == 404, "{path}: {answer:?}");
    }
    for path in [
        "/repositories//examples///jsonschema//test/event//1.0.0",
        "/repositories/examples%2fjsonschema%2ftest/event/1.0.0",
    ] {
        assert_eq!(instance.get(path).expect(200).text(), expected, "{path}");
    }
    let redirect = instance.get("/repositories//examples//jsonschema").expect(301);
    assert_eq!(
        redirect.header("location"),
        Some("/repositories/examples/jsonschema/")
    );
}

#[test]
fn what_is_not_there_says_where_to_look() {
    let instance = Instance::from_env();
    for (path, text) in [
        ("/repositories/nowhere", "no repository nowhere"),
        ("/repositories/nowhere/", "no repository nowhere"),
        ("/repositories/nowhere/jsonschema/", "no repository nowhere"),
        (
            "/repositories/nowhere/jsonschema/test/event/1.0.0",
            "repository nowhere has no schema /test/event/1.0.0",
        ),
        (
            "/repositories/examples/jsonschema/test/event/9.9.9.json",
            "repository examples has no schema /test/event/9.9.9.json",
        ),
    ] {
        let answer = instance.get(path).expect(404).json();
        let detail = answer["detail"].as_str().expect("a detail");
        assert!(
            detail.contains(text) && detail.ends_with("GET /repositories lists the repositories"),
            "{path}: {detail}"
        );
    }
    let long = format!("/repositories/examples/jsonschema/{}1.0.0", "a/".repeat(3_000));
    let _ = instance.get(&long).expect(404);
}

#[test]
fn schemas_of_eventlogging_are_published_and_answered_as_by_meta_wiki() {
    let instance = Instance::from_env();
    let title = fresh("EventLogging");
    let id = u64::from_ne_bytes(random_bytes()) >> 12;
    let schema = json!({
        "description": "A test.",
        "properties": {"b": {"type": "string", "required": true}, "a": {"type": "number", "minimum": 0.5}},
    });
    let publish = |revision: u64, schema: &Value| {
        let body = json!({"schemas": [{"title": title, "revision": revision, "schema": schema}]});
        Request::put_json("/admin/v1/eventlogging/schemas", body.to_string())
    };
    let _ = instance.send(&publish(id, &schema)).expect(401);
    let counts = |published: u64, answer: &Answer| {
        let body = answer.json();
        assert_eq!(
            (&body["published"], &body["unchanged"]),
            (&json!(published), &json!(1 - published))
        );
    };
    counts(1, &instance.admin(publish(id, &schema)).expect(200));
    counts(0, &instance.admin(publish(id, &schema)).expect(200));
    let _ = instance.admin(publish(id, &json!({}))).expect(409);
    let _ = instance
        .admin(publish(id + 1, &json!({"required": ["a"]})))
        .expect(400);
    counts(1, &instance.admin(publish(id + 1, &json!({}))).expect(200));

    let expected = format!(
        r#"{{"title":"{title}","description":"A test.","properties":{{"b":{{"type":"string","required":true}},"a":{{"type":"number","minimum":0.5}}}}}}"#
    );
    for path in ["/w/api.php", "/schema/w/api.php"] {
        let get = |query: &str| instance.get(&format!("{path}?action=jsonschema&formatversion=2&{query}"));
        let answer = get(&format!("title={title}&revid={id}")).expect(200);
        assert_eq!(answer.text(), expected);
        assert_eq!(
            answer.header("cache-control"),
            Some("max-age=300, s-maxage=300, public")
        );
        assert!(answer.header("last-modified").is_some());
        comes_into_force("the newest revision", || {
            get(&format!("title={title}")).text() == format!(r#"{{"title":"{title}"}}"#)
        });
        for (query, code) in [
            (String::new(), "missingparam"),
            (format!("revid={}", id + 2), "nosuchrevid"),
            (format!("revid={id}&title=Other"), "revwrongpage"),
            (format!("title={title}x"), "invalidtitle"),
        ] {
            let answer = get(&query).expect(400);
            assert_eq!(answer.header("mediawiki-api-error"), Some(code));
            assert_eq!(answer.json()["error"]["code"], code);
        }
    }
}
