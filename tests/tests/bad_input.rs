//! Requests that are refused, at each limit and one past it.

use eventstar_tests::events::{PrivateStream, array, test_event};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::text::{as_sent, names};
use eventstar_tests::{Answer, Events, Instance, Request, SseEvent, golden};

const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;
const MAX_EVENT_BYTES: usize = 1024 * 1024;
const MAX_BATCH: usize = 10_000;
const MAX_DEPTH: usize = 64;
const REFUSED: &str = "5e1dd101-641c-41e8-ab6c-b083fecf1280";

/// Checks the form every refusal of a whole request has.
#[track_caller]
fn assert_problem(request: &Request, answer: &Answer) {
    assert_eq!(
        answer.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    let text = answer.text();
    assert_eq!(
        names(&text),
        ["status", "type", "title", "detail", "method", "uri"],
        "{text}"
    );
    let body = answer.json();
    assert_eq!(body["status"], answer.status);
    assert_eq!(
        format!(
            "{} {}",
            body["method"].as_str().unwrap_or_default(),
            body["uri"].as_str().unwrap_or_default()
        ),
        request.line()
    );
    for member in ["type", "title", "detail"] {
        assert!(
            body[member].as_str().is_some_and(|text| !text.is_empty()),
            "{member} in {text}"
        );
    }
}

/// Sends a request that must be refused as a whole, and compares the answer with its golden file.
#[track_caller]
fn refused(name: &str, request: &Request, status: u16) -> Answer {
    let answer = Instance::from_env().send(request).expect(status);
    assert_problem(request, &answer);
    golden::check(&format!("bad_input/{name}"), request, &answer, &[]);
    answer
}

#[test]
fn malformed_json_is_answered_400() {
    for (name, body) in [
        ("brace", "{nope"),
        ("truncated", r#"{"a":1"#),
        ("truncated_array", r#"[{"a":1},"#),
        ("trailing", r#"{"a":1}{"a":2}"#),
        ("comma", r#"[{"a":1},]"#),
        ("comment", r#"{"a":1 /* no */}"#),
        ("nan", r#"{"a":NaN}"#),
        ("control_character", "{\"a\":\"\u{1}\"}"),
    ] {
        refused(
            &format!("malformed_{name}"),
            &Request::post_json("/v1/events", body),
            400,
        );
    }
}

#[test]
fn a_body_that_is_not_utf8_is_answered_400() {
    let body = [&b"{\"a\":\""[..], &[0xff, 0xfe], b"\"}"].concat();
    refused("not_utf8", &Request::post_json("/v1/events", body), 400);
}

#[test]
fn a_body_that_is_neither_object_nor_array_is_answered_400() {
    for (name, body) in [
        ("string", "\"hi\""),
        ("number", "17"),
        ("null", "null"),
        ("true", "true"),
    ] {
        refused(
            &format!("primitive_{name}"),
            &Request::post_json("/v1/events", body),
            400,
        );
    }
}

#[test]
fn a_body_without_events_is_answered_400_even_when_hasty() {
    let instance = Instance::from_env();
    for (name, body) in [
        ("nothing", ""),
        ("space", " \n "),
        ("array", "[]"),
        ("object", "{}"),
    ] {
        for (hasty, path) in [("", "/v1/events"), ("_hasty", "/v1/events?hasty=true")] {
            let request = Request::post_json(path, body);
            let answer = instance.send(&request).expect(400);
            assert_eq!(answer.text(), "", "no body, as in EventGate");
            golden::check(&format!("bad_input/empty_{name}{hasty}"), &request, &answer, &[]);
        }
    }
}

#[test]
fn a_body_of_the_largest_size_is_accepted() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("largest_body");
    let id = fresh_uuid();
    let mut body = stream.event(&id).into_bytes();
    body.resize(MAX_BODY_BYTES, b' ');
    let _ = instance.post(body).expect(201);
    assert_eq!(
        Events::open(&instance.origin, &stream.from_the_beginning())
            .next_event()
            .meta_id(),
        id
    );
}

#[test]
fn a_body_one_byte_over_the_limit_is_answered_413() {
    let mut body = test_event(REFUSED, "\"x\"").into_bytes();
    body.resize(MAX_BODY_BYTES + 1, b' ');
    refused(
        "body_too_large",
        &Request::post_json("/v1/events", body.clone()),
        413,
    );
    refused(
        "body_too_large_chunked",
        &Request::post_json("/v1/events", body).chunked(),
        413,
    );
}

#[test]
fn a_body_far_over_the_limit_is_answered_413() {
    let body = vec![b' '; 5 * MAX_BODY_BYTES];
    let request = Request::post_json("/v1/events", body);
    let answer = Instance::from_env().send(&request).expect(413);
    assert_problem(&request, &answer);
}

#[test]
fn an_event_of_the_largest_size_arrives_whole() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("largest_event");
    let sent = stream.event_of_size(&fresh_uuid(), MAX_EVENT_BYTES);
    assert_eq!(sent.len(), MAX_EVENT_BYTES);
    let _ = instance.post(sent.clone()).expect(201);
    let data = Events::open(&instance.origin, &stream.from_the_beginning())
        .next_event()
        .data;
    assert!(as_sent(&data, &sent, &[]) == sent, "the event came back changed");
}

#[test]
fn a_post_of_several_large_events_arrives_whole() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("large_events");
    let sent: Vec<String> = (0..9)
        .map(|_| stream.event_of_size(&fresh_uuid(), MAX_EVENT_BYTES))
        .collect();
    instance.produce(&sent);
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(sent.len());
    for (event, sent) in seen.iter().zip(&sent) {
        assert!(
            as_sent(&event.data, sent, &[]) == *sent,
            "an event came back changed or out of order"
        );
    }
}

#[test]
fn an_event_one_byte_over_the_limit_is_answered_413_when_alone() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("too_large");
    let request = Request::post_json("/v1/events", stream.event_of_size(REFUSED, MAX_EVENT_BYTES + 1));
    let answer = instance.send(&request).expect(413);
    let text = answer.text();
    assert!(
        text.contains(&MAX_EVENT_BYTES.to_string()),
        "the limit in {}",
        &text[text.len().saturating_sub(500)..]
    );
}

#[test]
fn an_event_over_the_limit_fails_alone_among_others() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("too_large_mix");
    let (first, last) = (fresh_uuid(), fresh_uuid());
    let large = stream.event_of_size(REFUSED, MAX_EVENT_BYTES + 1);
    let answer = instance
        .post(array(&[stream.event(&first), large, stream.event(&last)]))
        .expect(207);
    let body = answer.json();
    assert_eq!(
        (&body["invalid"], body["error"].as_array().map(Vec::len)),
        (&serde_json::json!([]), Some(1))
    );
    let message = body["error"][0]["context"]["message"]
        .as_str()
        .expect("a message");
    assert!(message.contains(&MAX_EVENT_BYTES.to_string()), "{message}");
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).up_to(&last);
    assert_eq!(
        seen.iter().map(SseEvent::meta_id).collect::<Vec<_>>(),
        [first, last]
    );
}

#[test]
fn a_media_type_that_is_not_json_is_answered_415() {
    let event = test_event(REFUSED, "\"x\"");
    for (name, media_type) in [
        ("form", "application/x-www-form-urlencoded"),
        ("xml", "application/xml"),
        ("html", "text/html"),
        ("multipart", "multipart/form-data; boundary=x"),
        ("bytes", "application/octet-stream"),
    ] {
        let request = Request::new("POST", "/v1/events")
            .header("content-type", media_type)
            .body(event.clone());
        refused(&format!("media_type_{name}"), &request, 415);
    }
}

#[test]
fn a_body_without_media_type_is_taken_for_json() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("no_media_type");
    let request = Request::new("POST", "/v1/events").body(stream.event(&fresh_uuid()));
    let _ = instance.send(&request).expect(201);
}

#[test]
fn a_charset_other_than_utf8_is_answered_415() {
    let request = Request::new("POST", "/v1/events")
        .header("content-type", "application/json; charset=latin1")
        .body(test_event(REFUSED, "\"x\""));
    refused("charset", &request, 415);
}

#[test]
fn a_batch_of_the_largest_length_is_accepted_and_one_event_more_is_answered_413() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("largest_batch");
    let mut events: Vec<String> = (0..MAX_BATCH).map(|_| stream.event(&fresh_uuid())).collect();
    instance.produce(&events);
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(MAX_BATCH);
    for (event, sent) in seen.iter().zip(&events) {
        assert_eq!(as_sent(&event.data, sent, &[]), *sent);
    }
    events.push(stream.event(&fresh_uuid()));
    refused(
        "batch_too_large",
        &Request::post_json("/v1/events", array(&events)),
        413,
    );
}

#[test]
fn an_unknown_content_encoding_is_answered_415() {
    let request =
        Request::post_json("/v1/events", test_event(REFUSED, "\"x\"")).header("content-encoding", "br2");
    refused("content_encoding", &request, 415);
}

#[test]
fn a_wrong_method_is_answered_405_with_what_is_allowed() {
    for (name, method, path, allowed) in [
        ("get_events", "GET", "/v1/events", "POST"),
        ("put_events", "PUT", "/v1/events", "POST"),
        ("delete_events", "DELETE", "/v1/events", "POST"),
        ("post_stream", "POST", "/v2/stream/test.event", "GET"),
        ("post_stream_configs", "POST", "/v1/stream-configs", "GET"),
        (
            "delete_schema",
            "DELETE",
            "/repositories/examples/jsonschema/test/event/1.0.0",
            "GET",
        ),
        ("post_health", "POST", "/healthz", "GET"),
        ("post_ready", "POST", "/readyz", "GET"),
    ] {
        let answer = refused(&format!("method_{name}"), &Request::new(method, path), 405);
        let allow = answer.header("allow").unwrap_or_default();
        assert!(
            allow.split(',').any(|other| other.trim() == allowed),
            "{method} {path} allows {allow}"
        );
    }
}

#[test]
fn an_unknown_path_is_answered_404_as_json() {
    for (name, path) in [
        ("nothing", "/no/such/path"),
        ("events_child", "/v1/events/x"),
        ("stream", "/v2/stream"),
        ("version", "/v3/events"),
        ("intake", "/intake/no/such/path"),
        ("query", "/no/such/path?a=b"),
    ] {
        refused(&format!("path_{name}"), &Request::get(path), 404);
    }
}

#[test]
fn a_member_name_that_occurs_twice_makes_the_event_invalid() {
    let instance = Instance::from_env();
    for (name, event) in [
        ("root", test_event(REFUSED, r#""a","test":"b""#)),
        (
            "nested",
            test_event(REFUSED, r#""a","x":[{"y":1},{"z":1,"z":2}]"#),
        ),
        ("escaped", test_event(REFUSED, r#""a","te\u0073t":"b""#)),
    ] {
        let request = Request::post_json("/v1/events", event);
        let answer = instance.send(&request).expect(400);
        let body = answer.json();
        assert_eq!(body["invalid"][0]["status"], "invalid", "{body}");
        assert_eq!(
            body["invalid"][0]["context"]["errors"][0]["keyword"], "duplicate_key",
            "{body}"
        );
        golden::check(&format!("bad_input/duplicate_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn an_event_of_the_deepest_nesting_arrives_and_one_level_more_is_invalid() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("deep");
    let nested = |levels: usize| format!(r#","deep":{}1{}"#, "[".repeat(levels), "]".repeat(levels));
    let sent = stream.event_with(&fresh_uuid(), &nested(MAX_DEPTH - 1));
    let _ = instance.post(sent.clone()).expect(201);
    let data = Events::open(&instance.origin, &stream.from_the_beginning())
        .next_event()
        .data;
    assert_eq!(as_sent(&data, &sent, &[]), sent);

    let request = Request::post_json(
        "/v1/events",
        test_event(REFUSED, &format!("\"x\"{}", nested(MAX_DEPTH))),
    );
    let answer = instance.send(&request).expect(400);
    assert_eq!(
        answer.json()["invalid"][0]["context"]["errors"][0]["keyword"],
        "too_deep"
    );
    golden::check("bad_input/too_deep", &request, &answer, &[]);
}

#[test]
fn a_body_that_nests_without_end_is_answered_400() {
    let _ = Instance::from_env().post("[".repeat(1_000_000)).expect(400);
    let event = test_event(REFUSED, &format!("{}{}", "[".repeat(5000), "]".repeat(5000)));
    let _ = Instance::from_env().post(event).expect(400);
}

#[test]
fn what_cannot_be_a_json_value_is_answered_400() {
    let instance = Instance::from_env();
    let request = Request::post_json("/v1/events", test_event(REFUSED, r#""x","n":1e400"#));
    let answer = instance.send(&request).expect(400);
    golden::check("bad_input/huge_number", &request, &answer, &[]);
}

/// Browsers send beacons of at most 2,000 characters; what is longer is stored or refused, and harms nobody.
#[test]
fn a_url_of_any_length_is_answered_and_the_server_goes_on() {
    let instance = Instance::from_env();
    let beacon = |length: usize| {
        let query = format!(
            "%7B%22schema%22%3A%22Nope%22%2C%22x%22%3A%22{}%22%7D;",
            "x".repeat(length)
        );
        Request::new("POST", &format!("/beacon/event?{query}"))
    };
    let _ = instance.send(&beacon(4_000)).expect(204);
    for length in [60_000, 1_000_000] {
        // A host may close the connection on what it has no room for.
        if let Ok(answer) = instance.origin.try_send(&beacon(length)) {
            assert!(answer.status < 500, "{length}: {answer:?}");
        }
        let _ = instance.get("/intake/healthz").expect(200);
    }
}
