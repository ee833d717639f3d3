//! The page to watch streams on. Its tests are scripts for the pinned Node.js, in `tests/browser`.

use std::env;
use std::process::Command;

use eventstar_tests::Instance;
use eventstar_tests::instance::repository;

/// Runs files of `tests/browser`. They find the origin under test, and the browser, where this finds them.
#[track_caller]
fn run(files: &[&str]) {
    let node = env::var("EVENTSTAR_NODE").expect("EVENTSTAR_NODE");
    let folder = repository().join("tests/browser");
    let output = Command::new(node)
        .args(["--test", "--test-reporter=spec", "--test-timeout=120000"])
        .args(files.iter().map(|file| folder.join(file)))
        .output()
        .expect("the program EVENTSTAR_NODE names");
    let said = String::from_utf8_lossy(&output.stdout);
    let complained = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{complained}");
    let passed = said
        .lines()
        .find_map(|line| line.split_once("pass ")?.1.parse().ok());
    assert!(
        passed.is_some_and(|passed: u32| passed > 0),
        "no test ran:\n{said}"
    );
}

#[test]
fn what_the_page_is_made_of_does_what_it_says() {
    run(&["events.test.js", "forms.test.js"]);
}

#[test]
fn streams_are_watched_in_a_browser() {
    run(&["page.test.js"]);
}

#[test]
fn the_root_of_a_shared_origin_leads_to_the_page() {
    let instance = Instance::from_env();
    let root = instance.get("/").expect(303);
    assert_eq!(root.header("location"), Some("/v2/ui"));
    assert_eq!(root.text(), "See Other. Redirecting to /v2/ui");
    assert_eq!(
        instance.get("/v2/ui").expect(301).header("location"),
        Some("/v2/ui/")
    );
    let page = instance.get("/v2/ui/").expect(200);
    assert_eq!(page.header("content-type"), Some("text/html; charset=utf-8"));
    assert_eq!(instance.get("/rc").expect(301).header("location"), Some("/?doc"));
    let spec = instance.get("/?spec").expect(200).json();
    let stream = &spec["paths"]["/v2/stream/test.event"]["get"];
    let schema = &stream["responses"]["200"]["content"]["text/event-stream"]["schema"];
    assert_eq!(schema["$ref"], "#/components/schemas/test.event.1.1.0");
    let doc = instance.get("/?doc").expect(200).text();
    let curl = format!(
        "curl -N &#39;{}/v2/stream/test.event&#39;",
        instance.origin.base_url()
    );
    assert!(doc.contains(&curl), "no {curl} in {doc}");
    let policy = page.header("content-security-policy").unwrap_or_default();
    assert!(policy.starts_with("default-src 'self';"), "{policy}");
}
