//! Requests of clients in headers or, where it cannot send them, in the address: where to go on, the form of the answer,
//! and to be let in with its cookies.

use super::*;

const FIRST: &str = r#"[{"topic":"a","partition":0,"offset":1}]"#;
const SECOND: &str = r#"[{"topic":"a","partition":0,"offset":2}]"#;

/// The text percent-encoded.
fn encoded(text: &str) -> String {
    text.bytes().map(|byte| format!("%{byte:02X}")).collect()
}

#[test]
fn who_cannot_send_the_header_goes_on_after_the_id_in_the_address() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..4).await;
        let (first, second) = (encoded(FIRST), encoded(SECOND));
        for (header, query, expected) in [
            (None, format!("last_event_id={first}"), 1),
            (None, format!("lastEventId={first}"), 1),
            (None, format!("evs_last_event_id={first}"), 1),
            (Some(""), format!("last_event_id={first}"), 1),
            (Some("  "), format!("lastEventId={first}"), 1),
            (Some(SECOND), format!("last_event_id={first}"), 2),
            // A polyfill adds its own to the address that the page was given.
            (None, format!("last_event_id={first}&lastEventId={second}"), 2),
            (
                None,
                format!("evs_last_event_id={first}&evs_last_event_id={second}"),
                2,
            ),
            (None, format!("last_event_id={first}&lastEventId="), 1),
            (None, format!("since=0&last_event_id={second}"), 2),
            (None, "since=0&last_event_id=".to_owned(), 0),
            (Some(""), "since=0".to_owned(), 0),
            (None, format!("since=0&LastEventId={second}"), 0),
        ] {
            let headers: Vec<_> = header.iter().map(|id| ("last-event-id", *id)).collect();
            let (_, stream) = open(&isolate, &memory, &format!("/v2/stream/a?{query}"), &headers).await;
            let rest: Vec<u64> = (expected..4).collect();
            let events = read(&mut stream.expect(&query), rest.len()).await;
            assert_eq!(numbers(&events), rest, "{header:?} {query}");
        }
    });
}

#[test]
fn an_id_of_doubles_goes_on_where_it_says() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..4).await;
        for id in [
            r#"[{"topic":"a","partition":0.0,"offset":2.0,"timestamp":1.704067200002e12}]"#,
            r#"[{"topic":"a","partition":0e0,"offset":2e0}]"#,
            r#"[{"topic":"a","partition":0,"timestamp":1.704067200002E+12}]"#,
        ] {
            let (_, stream) = open(&isolate, &memory, "/v2/stream/a", &[("last-event-id", id)]).await;
            let events = read(&mut stream.expect(id), 2).await;
            assert_eq!(numbers(&events), [2, 3], "{id}");
        }
    });
}

#[test]
fn an_id_of_the_address_or_the_header_that_cannot_be_read_is_refused_in_kafka_sses_words() {
    run(async {
        let (isolate, memory) = world("*").await;
        let cases = [
            (
                "last_event_id=x",
                &b""[..],
                "Unexpected token 'x', \"x\" is not valid JSON",
            ),
            (
                "lastEventId=%5B%5D",
                b"",
                "Must provide either an array topic names",
            ),
            ("since=0", b"\xff", "Unexpected token '\u{fffd}'"),
        ];
        for (query, header, said) in cases {
            let mut request = Request::default();
            *request.uri_mut() = format!("/v2/stream/a?{query}").parse().unwrap();
            let header = HeaderValue::from_bytes(header).unwrap();
            request.headers_mut().insert("last-event-id", header);
            let response = handle(&isolate, memory.clone(), request).await;
            assert_eq!(response.status(), 400, "{query}");
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(body["name"], "InvalidAssignmentError");
            assert!(body["message"].as_str().unwrap().starts_with(said), "{body}");
        }
    });
}

#[test]
fn a_stream_has_the_form_that_the_client_likes_best() {
    const JSON: &str = "application/json; charset=utf-8";
    const NDJSON: &str = "application/x-ndjson; charset=utf-8";
    const SSE: &str = "text/event-stream; charset=utf-8";
    run(async {
        let (isolate, memory) = world("*").await;
        for (accept, content_type) in [
            ("application/json", JSON),
            ("Application/JSON; charset=UTF-8", JSON),
            ("application/json, text/plain, */*", JSON),
            ("application/*", JSON),
            ("application/x-ndjson", NDJSON),
            ("application/x-ndjson, application/json;q=0.9", NDJSON),
            ("text/event-stream", SSE),
            ("*/*", SSE),
            ("application/json;q=0, text/event-stream", SSE),
            ("application/json;q=0.5, text/event-stream", SSE),
            ("application/json-seq", SSE),
            ("text/html", SSE),
        ] {
            let (response, stream) = open(&isolate, &memory, "/v2/stream/a", &[("accept", accept)]).await;
            assert_eq!(response.headers()["content-type"], content_type, "{accept}");
            assert_eq!(response.headers()["vary"], "accept");
            let first = if content_type == SSE { ":ok\n\n" } else { "\n" };
            assert_eq!(stream.unwrap().next().await.unwrap(), first, "{accept}");
        }
        let (response, _) = open(&isolate, &memory, "/v2/stream/a", &[]).await;
        assert_eq!(response.headers()["content-type"], "text/event-stream");
    });
}

#[test]
fn an_origin_of_the_setting_may_read_with_its_cookies_and_all_others_go_without() {
    run(async {
        for (setting, origin, allowed, credentials) in [
            ("", Some("https://a.org"), "*", None),
            (
                "https://*.a.org",
                Some("https://en.a.org"),
                "https://en.a.org",
                Some("true"),
            ),
            ("https://a.org", Some("https://b.org"), "*", None),
            ("https://a.org", None, "*", None),
        ] {
            for path in ["/v2/stream/a", "/v2/stream/none", "/v2/ui/", "/?spec"] {
                let (isolate, memory) = world("*").await;
                let memory = memory.with("CORS_ORIGINS", setting);
                let headers: Vec<_> = origin.iter().map(|origin| ("origin", *origin)).collect();
                let (response, _) = open(&isolate, &memory, path, &headers).await;
                let header = |name: &str| response.headers().get(name).map(|value| value.to_str().unwrap());
                let case = format!("{path} {setting} {origin:?}");
                assert_eq!(header("access-control-allow-origin"), Some(allowed), "{case}");
                assert_eq!(header("access-control-allow-credentials"), credentials, "{case}");
                let varies = response
                    .headers()
                    .get_all("vary")
                    .iter()
                    .any(|value| value == "origin");
                assert_eq!(varies, !setting.is_empty(), "{case}");
                assert!(
                    header("access-control-allow-headers")
                        .unwrap()
                        .contains("last-event-id")
                );
            }
        }
    });
}

#[test]
fn an_origin_that_no_browser_sends_is_told() {
    run(async {
        let (isolate, memory) = world("*").await;
        let memory = memory.with("CORS_ORIGINS", "https://a.org https://b.org/");
        open(&isolate, &memory, "/v2/stream/a", &[]).await;
        let lines = memory.lines();
        let told: Vec<_> = lines
            .iter()
            .filter(|line| line.contains("CORS_ORIGINS"))
            .collect();
        assert_eq!(told.len(), 1, "{told:?}");
        assert!(told[0].contains("'https://b.org/'"), "{told:?}");
    });
}
