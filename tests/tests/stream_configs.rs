//! MediaWiki's API for stream configs: the whole answers, as they are on the wire.

use eventstar_tests::{Instance, Request, golden};
use serde_json::json;

#[test]
fn answers_of_the_api_are_those_of_mediawiki() {
    let instance = Instance::from_env();
    let many = vec!["a"; 251].join("|");
    for (name, status, query) in [
        ("one", 200, "action=streamconfigs&streams=web.page_view"),
        (
            "regex",
            200,
            "action=streamconfigs&streams=job.run.reindex|/^job\\.run\\..%2B/",
        ),
        ("none", 200, "action=streamconfigs&streams="),
        ("unknown", 200, "action=streamconfigs&streams=no.such.stream"),
        (
            "constraints",
            200,
            "action=streamconfigs&streams=web.page_view|shop.order|test.event&constraints=sample[unit]=session|accept=queue",
        ),
        (
            "any_origin",
            200,
            "action=streamconfigs&streams=test.event&origin=*",
        ),
        (
            "other_origin",
            403,
            "action=streamconfigs&streams=test.event&origin=https://a.org",
        ),
        (
            "warnings",
            200,
            "action=streamconfigs&streams=test.event&all_settings&foo=1",
        ),
        ("form_1", 200, "action=streamconfigs&format=json&formatversion=1"),
        (
            "too_many",
            200,
            &format!("action=streamconfigs&format=json&formatversion=2&streams={many}"),
        ),
        (
            "constraints_of_any_form",
            200,
            "action=streamconfigs&streams=test.event&constraints=|%26|=|%3D%3D|?a|a[b=c|a]b[=c|[]=|stream[0]=test.event|%25ff=%25ff",
        ),
        (
            "too_many_constraints",
            200,
            &format!("action=streamconfigs&constraints={}", vec!["a=1"; 51].join("|")),
        ),
        ("no_action", 200, ""),
        ("other_action", 200, "action=query&format=json"),
    ] {
        let request = Request::get(&format!("/w/api.php?{query}"));
        let answer = instance.send(&request).expect(status);
        let expires = answer
            .header("expires")
            .map_or(String::new(), |value| format!("expires: {value}\n"));
        assert_eq!(
            expires.is_empty(),
            answer.header("mediawiki-api-error").is_some() || status == 403,
            "{name}"
        );
        let replaced = [
            (expires.as_str(), "expires: <in ten minutes>\n"),
            (many.as_str(), "<251 names>"),
        ];
        golden::check(
            &format!("stream_configs/{name}"),
            &request,
            &answer,
            &replaced[usize::from(expires.is_empty())..],
        );
    }
}

#[test]
fn a_form_asks_as_a_query_does() {
    let instance = Instance::from_env();
    let query = "action=streamconfigs&streams=test.event";
    let request = Request::new("POST", "/w/api.php")
        .header("content-type", "application/x-www-form-urlencoded")
        .body(query);
    let posted = instance.send(&request).expect(200).text();
    assert_eq!(
        posted,
        instance.get(&format!("/w/api.php?{query}")).expect(200).text()
    );
    let _ = instance.send(&request.body(vec![b'a'; 300 * 1024])).expect(413);
    let _ = instance.send(&Request::new("DELETE", "/w/api.php")).expect(405);
}

#[test]
fn thousands_of_streams_are_refused_by_the_api_and_answered_by_path() {
    let instance = Instance::from_env();
    let names = |separator: &str| -> String {
        let names: Vec<String> = (0..3_000).map(|n| format!("s{n}")).collect();
        names.join(separator)
    };
    let query = format!("action=streamconfigs&streams={}", names("|"));
    let form = Request::new("POST", "/w/api.php").header("content-type", "application/x-www-form-urlencoded");
    for request in [Request::get(&format!("/w/api.php?{query}")), form.body(query)] {
        let answer = instance.send(&request).expect(200);
        assert_eq!(answer.header("mediawiki-api-error"), Some("toomanyvalues"));
        let error = answer.json()["error"].clone();
        assert_eq!(
            (&error["parameter"], &error["limit"]),
            (&json!("streams"), &json!(250))
        );
    }
    let path = format!("/v1/stream-configs/{},test.event", names(","));
    let found = instance.get(&path).expect(200).json();
    let found: Vec<&String> = found.as_object().expect("a map").keys().collect();
    assert_eq!(found, ["test.event"]);
}
