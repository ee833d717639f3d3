//! `/w/api.php`: what MediaWiki's API answers, and `ApiStreamConfigsTest.php`.

use bytes::Bytes;
use http::HeaderMap;
use serde_json::Value;

use super::*;

const FIXTURE: &str = r#"{
    "defaults": {"topic_prefixes": ["eqiad."]},
    "streams": {
        "test": {"topics": ["topic"], "topic_prefixes": ["prefix."], "other-setting": [], "true-setting": true, "false-setting": false},
        "test2": {"foo": {"bar": "baz", "qux": ["qux"]}, "destination_event_service": "eventgate-main", "é/": 0.5},
        "bare": {},
        "/^job\\./": {"destination_event_service": "eventgate-main"}
    }
}"#;

const TEST: &str = r#""test":{"topic_prefixes":["prefix."],"topics":["topic"],"other-setting":[],"true-setting":true,"false-setting":false,"stream":"test"}"#;
const TEST2: &str = r#""test2":{"topic_prefixes":["eqiad."],"foo":{"bar":"baz","qux":["qux"]},"destination_event_service":"eventgate-main","é/":0.5,"stream":"test2","topics":["eqiad.test2"]}"#;
const BARE: &str = r#""bare":{"topic_prefixes":["eqiad."],"stream":"bare","topics":["eqiad.bare"]}"#;
const JOB: &str = r#""/^job\\./":{"topic_prefixes":["eqiad."],"destination_event_service":"eventgate-main","stream":"/^job\\./","topics":["/^(eqiad\\.)job\\./"]}"#;

async fn fixture() -> Memory {
    let memory = Memory::new();
    let config = serde_json::value::RawValue::from_string(FIXTURE.to_owned()).unwrap();
    let publish = RegistryRequest::PublishStreamConfig {
        if_match: None,
        config,
    };
    memory.ask(publish).await.unwrap();
    memory
}

async fn send(memory: &Memory, request: Request) -> (u16, HeaderMap, String) {
    let response = handle(&Rc::new(Isolate::default()), memory.clone(), request).await;
    let (parts, body) = response.into_parts();
    let Body::Full(body) = body else { panic!("streams") };
    let body = String::from_utf8(body.to_vec()).unwrap();
    (parts.status.as_u16(), parts.headers, body)
}

fn ask(query: &str) -> Request {
    let mut request = Request::default();
    *request.uri_mut() = format!("/w/api.php?{query}").parse().unwrap();
    request
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).map_or("", |value| value.to_str().unwrap())
}

#[test]
fn streams_are_answered_whole_and_in_order() {
    pollster::block_on(async {
        let memory = fixture().await;
        let all = format!("{TEST},{TEST2},{BARE},{JOB}");
        let job_x = JOB
            .replacen(r"/^job\\./", "job.x", 1)
            .replace(r"/^(eqiad\\.)job\\./", "eqiad.job.x");
        let main = format!("{TEST2},{JOB}");
        for (query, expected) in [
            ("", all.as_str()),
            ("&format=json", &all),
            ("&format=xml", &all),
            ("&formatversion=2", &all),
            ("&formatversion=latest", &all),
            ("&origin=*", &all),
            ("&uselang=de&maxlag=5", &all),
            ("&streams=bare", BARE),
            ("&streams=bare|test|bare", &format!("{BARE},{TEST}")),
            ("&streams=bare%7Ctest", &format!("{BARE},{TEST}")),
            ("&streams=%1Fbare%1Ftest", &format!("{BARE},{TEST}")),
            ("&streams=test&streams=bare", BARE),
            ("&streams=", ""),
            ("&streams=%1F", ""),
            ("&streams=nope|bare", BARE),
            ("&streams=job.x", &job_x),
            ("&streams=/%5Ejob%5C%5C./", ""),
            ("&streams=/%5Ejob%5C./", JOB),
            ("&constraints=", &all),
            ("&constraints=destination_event_service=eventgate-main", &main),
            ("&constraints=destination_event_service%3Deventgate-main", &main),
            ("&constraints=destination_event_service%253Deventgate-main", ""),
            (
                "&constraints=destination_event_service%3Deventgate%252Dmain",
                &main,
            ),
            (
                "&streams=bare|job.x&constraints=destination_event_service=eventgate-main",
                &job_x,
            ),
            ("&constraints=foo[bar]=baz", TEST2),
            ("&constraints=foo%5Bbar%5D=baz|foo%5Bqux%5D%5B0%5D=qux", TEST2),
            ("&constraints=foo=true", ""),
            ("&constraints=true-setting=1", TEST),
            ("&constraints=true-setting=true", ""),
            ("&constraints=false-setting=", TEST),
            ("&constraints=stream=job.x", JOB),
            ("&constraints=destination_event_service=eventgate-main=", ""),
            ("&constraints=%ff%ff", ""),
        ] {
            let (status, headers, body) = send(&memory, ask(&format!("action=streamconfigs{query}"))).await;
            assert_eq!(
                (status, body),
                (200, format!("{{\"streams\":{{{expected}}}}}")),
                "{query}"
            );
            assert_eq!(
                header(&headers, "content-type"),
                "application/json; charset=utf-8"
            );
            assert_eq!(
                header(&headers, "cache-control"),
                "max-age=600, s-maxage=600, public"
            );
            assert_eq!(header(&headers, "expires"), "Mon, 01 Jan 2024 00:10:00 GMT");
            assert_eq!(header(&headers, "access-control-allow-origin"), "*");
            assert_eq!(header(&headers, "mediawiki-api-error"), "");
        }
        let (_, _, body) = send(&Memory::new(), ask("action=streamconfigs")).await;
        assert_eq!(body, r#"{"streams":{}}"#);
    });
}

#[test]
fn what_is_out_of_use_or_unknown_is_warned_of() {
    pollster::block_on(async {
        let memory = fixture().await;
        let deprecated =
            r#""streamconfigs":{"warnings":"The parameter \"all_settings\" has been deprecated."}"#;
        for (query, warnings) in [
            ("all_settings", deprecated.to_owned()),
            ("all_settings=0", deprecated.to_owned()),
            (
                "foo=1",
                r#""main":{"warnings":"Unrecognized parameter: foo."}"#.to_owned(),
            ),
            (
                "foo&bar=1&foo=2&all_settings=1",
                format!(r#""main":{{"warnings":"Unrecognized parameters: foo, bar."}},{deprecated}"#),
            ),
            (
                "callback=f",
                r#""main":{"warnings":"Unrecognized parameter: callback."}"#.to_owned(),
            ),
        ] {
            let query = format!("action=streamconfigs&streams=bare&{query}");
            let (status, _, body) = send(&memory, ask(&query)).await;
            let expected = format!(r#"{{"warnings":{{{warnings}}},"streams":{{{BARE}}}}}"#);
            assert_eq!((status, body), (200, expected), "{query}");
        }
    });
}

#[test]
fn errors_are_answered_200_in_the_form_asked_for() {
    pollster::block_on(async {
        let memory = fixture().await;
        let many = |count: usize| vec!["a"; count].join("|");
        let too_many = |name: &str, limit: usize| {
            json!({
                "code": "toomanyvalues", "info": format!("Too many values supplied for parameter \"{name}\". The limit is {limit}."),
                "parameter": name, "limit": limit, "lowlimit": limit, "highlimit": 500,
            })
        };
        let bad = |name: &str, value: &str| json!({"code": "badvalue", "info": format!("Unrecognized value for parameter \"{name}\": {value}.")});
        let missing = json!({"code": "missingparam", "info": "The \"action\" parameter must be set."});
        for (query, expected, form) in [
            (String::new(), missing, "*"),
            ("action=".to_owned(), bad("action", ""), "*"),
            ("action=query&format=json".to_owned(), bad("action", "query"), "*"),
            (
                "action=nope&formatversion=2".to_owned(),
                bad("action", "nope"),
                "docref",
            ),
            (
                "action=streamconfigs&formatversion=1".to_owned(),
                bad("formatversion", "1"),
                "*",
            ),
            (
                "action=streamconfigs&formatversion=3".to_owned(),
                bad("formatversion", "3"),
                "*",
            ),
            (
                "action=streamconfigs&formatversion=".to_owned(),
                bad("formatversion", ""),
                "*",
            ),
            (
                format!("action=streamconfigs&streams={}", many(251)),
                too_many("streams", 250),
                "*",
            ),
            (
                format!("action=streamconfigs&formatversion=latest&streams={}", many(251)),
                too_many("streams", 250),
                "docref",
            ),
            (
                format!("action=streamconfigs&constraints={}", many(51)),
                too_many("constraints", 50),
                "*",
            ),
        ] {
            let (status, headers, body) = send(&memory, ask(&query)).await;
            let shown: String = query.chars().take(80).collect();
            let body: Value = serde_json::from_str(&body).unwrap();
            let mut error = body["error"].as_object().unwrap().clone();
            assert_eq!(body.as_object().unwrap().len(), 1, "{shown}");
            assert_eq!(header(&headers, "mediawiki-api-error"), error["code"], "{shown}");
            let help = error.shift_remove(form).unwrap();
            assert!(help.as_str().unwrap().starts_with("See https://"), "{help}");
            assert_eq!((status, Value::Object(error)), (200, expected), "{shown}");
            assert_eq!(
                header(&headers, "cache-control"),
                "private, must-revalidate, max-age=0",
                "{shown}"
            );
        }
        for (name, count) in [("streams", 250), ("constraints", 50)] {
            let query = format!("action=streamconfigs&{name}={}", many(count));
            let (_, headers, _) = send(&memory, ask(&query)).await;
            assert_eq!(header(&headers, "mediawiki-api-error"), "", "{name}");
        }
    });
}

#[test]
fn an_origin_must_be_any_or_the_requests_own() {
    pollster::block_on(async {
        let memory = fixture().await;
        for (origin, sent, status, credentials) in [
            ("*", None, 200, "false"),
            ("*", Some("https://a.org"), 200, "false"),
            ("https://a.org", Some("https://a.org"), 200, ""),
            ("https://a.org", Some("https://b.org"), 403, ""),
            ("https://a.org", None, 403, ""),
            ("", None, 403, ""),
        ] {
            let mut request = ask(&format!("action=streamconfigs&origin={origin}"));
            if let Some(sent) = sent {
                request.headers_mut().insert("origin", sent.parse().unwrap());
            }
            let (got, headers, body) = send(&memory, request).await;
            assert_eq!(got, status, "{origin} {sent:?}");
            assert_eq!(header(&headers, "access-control-allow-origin"), "*");
            assert_eq!(
                header(&headers, "access-control-allow-credentials"),
                credentials,
                "{origin}"
            );
            assert!(
                header(&headers, "access-control-expose-headers")
                    .starts_with("MediaWiki-API-Error, Retry-After")
            );
            if status == 403 {
                assert_eq!(body, "'origin' parameter does not match Origin header\n");
            }
        }
    });
}

#[test]
fn a_form_asks_as_a_query_does_and_other_methods_do_not() {
    pollster::block_on(async {
        let memory = fixture().await;
        let form = "application/x-www-form-urlencoded";
        let large = format!("action=streamconfigs&streams={}", "a".repeat(MAX_BODY_BYTES));
        let constraints = format!("action=streamconfigs&constraints={}", "a[0]%26".repeat(37_000));
        let names: String = (0..30_000).map(|n| format!("&p{n}")).collect();
        let unknown = format!("action=streamconfigs&streams=bare&a&a{names}&p0");
        for (method, path, content_type, body, status, part) in [
            (
                "POST",
                "/w/api.php",
                form,
                "action=streamconfigs&streams=bare",
                200,
                BARE,
            ),
            (
                "POST",
                "/w/api.php?action=streamconfigs&streams=test",
                form,
                "streams=bare",
                200,
                BARE,
            ),
            (
                "POST",
                "/w/api.php?action=streamconfigs&streams=bare",
                "text/plain",
                "streams=test",
                200,
                BARE,
            ),
            ("POST", "/w/api.php", form, &large, 413, "payload_too_large"),
            (
                "POST",
                "/w/api.php",
                form,
                &constraints,
                200,
                "more than 500 constraints",
            ),
            (
                "POST",
                "/w/api.php",
                form,
                &unknown,
                200,
                "Unrecognized parameters: a, p0, p1, p2",
            ),
            ("POST", "/w/api.php", form, "\u{0}%ff=&=", 200, "missingparam"),
            (
                "HEAD",
                "/w/api.php?action=streamconfigs&streams=bare",
                "",
                "",
                200,
                BARE,
            ),
            (
                "OPTIONS",
                "/w/api.php?action=streamconfigs&origin=*",
                "",
                "",
                200,
                "",
            ),
            (
                "PUT",
                "/w/api.php?action=streamconfigs",
                "",
                "",
                405,
                "method_not_allowed",
            ),
            (
                "GET",
                "/stream-config/w/api.php?action=streamconfigs&streams=bare",
                "",
                "",
                200,
                BARE,
            ),
            (
                "GET",
                "/w/api.php/?action=streamconfigs",
                "",
                "",
                404,
                "not_found",
            ),
            ("GET", "/w/index.php", "", "", 404, "not_found"),
        ] {
            let mut request = Request::new(Bytes::from(body.to_owned()));
            *request.method_mut() = method.parse().unwrap();
            *request.uri_mut() = path.parse().unwrap();
            request
                .headers_mut()
                .insert("content-type", content_type.parse().unwrap());
            let (got, headers, answer) = send(&memory, request).await;
            assert_eq!(got, status, "{method} {path}");
            assert!(answer.contains(part), "{method} {path}: {answer}");
            let allow = if matches!(method, "OPTIONS" | "PUT") {
                "GET,HEAD,POST"
            } else {
                ""
            };
            assert_eq!(header(&headers, "allow"), allow, "{method}");
        }
    });
}

#[test]
fn a_config_that_cannot_be_read_is_503_and_not_cached() {
    pollster::block_on(async {
        let memory = fixture().await;
        memory.fail("kv", Fault::Before);
        memory.fail("registry", Fault::Before);
        let (status, headers, body) = send(&memory, ask("action=streamconfigs")).await;
        assert_eq!(status, 503);
        assert_eq!(header(&headers, "cache-control"), "");
        assert!(headers.contains_key("retry-after"));
        assert!(!body.contains("injected"), "{body}");
    });
}

#[test]
fn schemas_of_eventlogging_are_answered_at_the_same_path() {
    pollster::block_on(async {
        let memory = fixture().await;
        let schemas = vec![eventstar_ports::SchemaRevision {
            title: "Test".into(),
            revision: 7,
            json: r#"{"description":"x"}"#.into(),
        }];
        memory
            .ask(RegistryRequest::PublishRevisions { schemas })
            .await
            .unwrap();
        let (status, headers, body) = send(&memory, ask("action=jsonschema&revid=7&origin=*")).await;
        assert_eq!(
            (status, body.as_str()),
            (200, r#"{"title":"Test","description":"x"}"#)
        );
        assert_eq!(header(&headers, "access-control-allow-origin"), "*");
        let (status, headers, _) = send(&memory, ask("action=jsonschema&revid=8")).await;
        assert_eq!(
            (status, header(&headers, "mediawiki-api-error")),
            (400, "nosuchrevid")
        );
    });
}
