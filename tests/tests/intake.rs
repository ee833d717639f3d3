//! What a producer is answered.

use eventstar_tests::events::{PrivateStream, array, job_event, order_event, test_event};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::{Answer, Events, Instance, Request, SseEvent, golden};

/// The id of events that are refused, so that whole answers can be compared.
const REFUSED: &str = "5e1dd101-641c-41e8-ab6c-b083fecf1280";

/// What EventGate answers for an event whose `test` is a number.
const NOT_A_STRING: &str = concat!(
    r##"{"errors":[{"keyword":"type","dataPath":".test","schemaPath":"#/properties/test/type","##,
    r#""params":{"type":"string"},"message":"should be string"}],"errorsText":"'.test' should be string"}"#
);

fn invalid(event: &str, context: &str) -> String {
    format!(r#"{{"status":"invalid","event":{event},"context":{context}}}"#)
}

fn error(event: &str, message: &str) -> String {
    let message = serde_json::Value::from(message).to_string();
    format!(r#"{{"status":"error","event":{event},"context":{{"message":{message}}}}}"#)
}

/// The message of the only outcome of an answer, which must be an `error`.
fn only_error(answer: &Answer) -> String {
    let body = answer.json();
    assert_eq!(body["invalid"], serde_json::json!([]), "{body}");
    assert_eq!(body["error"].as_array().map(Vec::len), Some(1), "{body}");
    assert_eq!(body["error"][0]["status"], "error", "{body}");
    body["error"][0]["context"]["message"]
        .as_str()
        .expect("a message")
        .to_owned()
}

fn assert_cors(answer: &Answer) {
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("post"));
    let allowed = answer.header("access-control-allow-headers").unwrap_or_default();
    for name in ["accept", "x-requested-with", "content-type"] {
        assert!(
            allowed.split(", ").any(|other| other == name),
            "{name} in {allowed}"
        );
    }
}

#[test]
fn a_single_event_is_accepted_with_201_and_an_empty_body() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("single");
    let answer = instance.post(stream.event(&fresh_uuid())).expect(201);
    assert_eq!(answer.text(), "");
    assert_cors(&answer);
}

/// The end of a body whose length is not told is a packet of its own, for which clients have waited 40 ms.
#[test]
fn answers_tell_how_long_they_are() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("length");
    let id = fresh_uuid();
    let refused = instance.post("[1]").expect(400);
    let described = instance.get("/intake/_info").expect(200);
    for answer in [instance.post(stream.event(&id)).expect(201), refused, described] {
        let length = answer.header("content-length").map(str::to_owned);
        assert_eq!(length, Some(answer.body.len().to_string()), "{}", answer.text());
    }
}

#[test]
fn an_array_is_accepted_whole_and_in_order() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("array");
    let ids: Vec<String> = (0..100).map(|_| fresh_uuid()).collect();
    let events: Vec<String> = ids.iter().map(|id| stream.event(id)).collect();
    instance.produce(&events);
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(ids.len());
    assert_eq!(seen.iter().map(SseEvent::meta_id).collect::<Vec<_>>(), ids);
    assert_eq!(
        seen.iter().map(SseEvent::offset).collect::<Vec<_>>(),
        (0..100).collect::<Vec<_>>()
    );
}

#[test]
fn events_of_one_array_may_go_to_different_streams() {
    let instance = Instance::from_env();
    let (one, other) = (PrivateStream::new("one"), PrivateStream::new("other"));
    let (first, second, third) = (fresh_uuid(), fresh_uuid(), fresh_uuid());
    instance.produce(&[one.event(&first), other.event(&second), one.event(&third)]);
    let seen = Events::open(&instance.origin, &one.from_the_beginning()).up_to(&third);
    assert_eq!(
        seen.iter().map(SseEvent::meta_id).collect::<Vec<_>>(),
        [first, third]
    );
    assert_eq!(
        Events::open(&instance.origin, &other.from_the_beginning())
            .next_event()
            .meta_id(),
        second
    );
}

#[test]
fn beacons_and_reports_are_accepted_like_json() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("beacon");
    for media_type in [
        "text/plain",
        "text/plain;charset=UTF-8",
        "application/json; charset=utf-8",
        "application/reports+json",
    ] {
        let id = fresh_uuid();
        let request = Request::new("POST", "/v1/events")
            .header("content-type", media_type)
            .body(array(&[stream.event(&id)]));
        let answer = instance.send(&request).expect(201);
        assert_eq!(answer.text(), "", "{media_type}");
        assert_eq!(
            Events::open(&instance.origin, &stream.from_the_beginning())
                .find(&id)
                .meta_id(),
            id
        );
    }
}

#[test]
fn the_second_path_and_the_trailing_slash_reach_intake_too() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("paths");
    for path in ["/v1/events", "/v1/events/", "/v2/events", "/intake/v1/events"] {
        let _ = instance
            .send(&Request::post_json(path, stream.event(&fresh_uuid())))
            .expect(201);
    }
}

#[test]
fn a_hasty_post_is_answered_202_and_its_event_arrives() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("hasty");
    let mut events = Events::open(&instance.origin, &stream.live());
    for query in ["hasty=true", "hasty=1", "hasty=false"] {
        let id = fresh_uuid();
        let answer = instance.send(&Request::post_json(
            &format!("/v1/events?{query}"),
            stream.event(&id),
        ));
        assert_eq!(answer.expect(202).text(), "", "{query}");
        assert_eq!(events.next_event().meta_id(), id, "{query}");
    }
    let answer = instance.send(&Request::post_json(
        "/v1/events?hasty=",
        stream.event(&fresh_uuid()),
    ));
    assert_eq!(answer.expect(201).text(), "", "an empty value is not hasty");
}

#[test]
fn an_invalid_event_in_a_hasty_post_is_answered_202_and_dropped() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("hasty_invalid");
    let mut events = Events::open(&instance.origin, &stream.live());
    let (good, last) = (fresh_uuid(), fresh_uuid());
    let invalid = stream
        .event(&fresh_uuid())
        .replace(r#""job":"test""#, r#""job":1"#);
    let body = array(&[invalid, stream.event(&good)]);
    let answer = instance
        .send(&Request::post_json("/v1/events?hasty=true", body))
        .expect(202);
    assert_eq!(answer.text(), "");
    assert_eq!(events.next_event().meta_id(), good);
    instance.produce(&[stream.event(&last)]);
    assert_eq!(events.next_event().meta_id(), last);
}

#[test]
fn an_invalid_event_is_answered_400_in_the_words_of_ajv() {
    let instance = Instance::from_env();
    let event = test_event(REFUSED, "0.01");
    let request = Request::post_json("/v1/events", event.clone());
    let answer = instance.send(&request).expect(400);
    assert_eq!(
        answer.text(),
        format!(r#"{{"invalid":[{}]}}"#, invalid(&event, NOT_A_STRING))
    );
    assert_cors(&answer);
    golden::check("intake/invalid", &request, &answer, &[]);
}

#[test]
fn every_error_of_an_event_is_named() {
    let instance = Instance::from_env();
    let event = test_event(REFUSED, "[]").replace(r#""test":"#, r#""count":-1,"test":"#);
    let body = instance.post(event).expect(400).json();
    assert_eq!(
        body["invalid"][0]["context"]["errorsText"],
        "'.count' should be >= 0, '.test' should be string"
    );
    let first = &body["invalid"][0]["context"]["errors"][0];
    assert_eq!(
        first["params"],
        serde_json::json!({"comparison": ">=", "limit": 0, "exclusive": false})
    );
}

#[test]
fn a_missing_stream_is_an_invalid_event() {
    let instance = Instance::from_env();
    let event = format!(r#"{{"$schema":"/test/event/1.0.0","meta":{{"id":"{REFUSED}"}},"test":"x"}}"#);
    let body = instance.post(event).expect(400).json();
    assert_eq!(
        body["invalid"][0]["context"]["errorsText"],
        "'.meta' should have required property 'stream'"
    );
}

#[test]
fn an_invalid_id_and_date_are_named_by_format() {
    let instance = Instance::from_env();
    let event =
        test_event("zz", r#""x""#).replace("2026-01-01T00:00:00Z\",\"request", "2026-99-01\",\"request");
    let body = instance.post(event).expect(400).json();
    assert_eq!(
        body["invalid"][0]["context"]["errorsText"],
        "'.meta.dt' should match format \"date-time\", '.meta.id' should match format \"uuid\""
    );
}

#[test]
fn several_invalid_events_are_all_reported_in_order() {
    let instance = Instance::from_env();
    let events = [test_event(REFUSED, "1"), test_event(REFUSED, "2")];
    let answer = instance.post(array(&events)).expect(400);
    let outcomes: Vec<String> = events.iter().map(|event| invalid(event, NOT_A_STRING)).collect();
    assert_eq!(
        answer.text(),
        format!(r#"{{"invalid":[{}]}}"#, outcomes.join(","))
    );
}

#[test]
fn a_mix_of_good_and_bad_events_is_answered_207_and_the_good_ones_are_kept() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("mix");
    let (first, last) = (fresh_uuid(), fresh_uuid());
    let bad = test_event(REFUSED, "1");
    let body = array(&[stream.event(&first), bad.clone(), stream.event(&last)]);
    let answer = instance.post(body).expect(207);
    assert_eq!(
        answer.text(),
        format!(r#"{{"invalid":[{}],"error":[]}}"#, invalid(&bad, NOT_A_STRING))
    );
    assert_cors(&answer);
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).up_to(&last);
    assert_eq!(
        seen.iter().map(SseEvent::meta_id).collect::<Vec<_>>(),
        [first, last]
    );
}

#[test]
fn invalid_and_errored_events_stand_in_lists_of_their_own() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("lists");
    let bad = test_event(REFUSED, "1");
    let nowhere = test_event(REFUSED, r#""x""#).replace("/test/event/1.0.0", "/test/nope/1.0.0");
    let body = array(&[nowhere.clone(), stream.event(&fresh_uuid()), bad.clone()]);
    let answer = instance.post(body).expect(207);
    let message = answer.json()["error"][0]["context"]["message"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    let expected = format!(
        r#"{{"invalid":[{}],"error":[{}]}}"#,
        invalid(&bad, NOT_A_STRING),
        error(&nowhere, &message)
    );
    assert_eq!(answer.text(), expected);
    assert!(
        message.starts_with("Failed loading schema at /test/nope/1.0.0"),
        "{message}"
    );
}

#[test]
fn an_unknown_schema_is_an_error_that_names_its_uri_and_what_to_do() {
    let instance = Instance::from_env();
    for (name, uri) in [
        ("title", "/no/such/schema/1.0.0"),
        ("version", "/test/event/9.9.9"),
    ] {
        let request = Request::post_json(
            "/v1/events",
            test_event(REFUSED, r#""x""#).replace("/test/event/1.0.0", uri),
        );
        let answer = instance.send(&request).expect(400);
        let message = only_error(&answer);
        let advice = message.strip_prefix(&format!("Failed loading schema at {uri}"));
        assert!(
            advice.is_some_and(|advice| advice.len() > 10),
            "a text that goes on with advice: {message}"
        );
        golden::check(&format!("intake/unknown_schema_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn a_schema_uri_that_leads_out_of_the_repositories_is_an_error_that_names_it() {
    let instance = Instance::from_env();
    for (name, uri) in [
        ("form", "bad/uri/right/here@@@"),
        ("absolute", "https://schema.example.org/test/event/1.0.0"),
        ("traversal", "/../../etc/passwd"),
    ] {
        let request = Request::post_json(
            "/v1/events",
            test_event(REFUSED, r#""x""#).replace("/test/event/1.0.0", uri),
        );
        let answer = instance.send(&request).expect(400);
        let message = only_error(&answer);
        assert!(
            message.starts_with(&format!("Failed loading schema at {uri}")),
            "{message}"
        );
        golden::check(&format!("intake/unknown_schema_{name}"), &request, &answer, &[]);
    }
}

#[test]
fn an_unknown_stream_is_an_error_that_names_it_and_what_to_do() {
    let instance = Instance::from_env();
    let request = Request::post_json("/v1/events", job_event("no.such.stream", REFUSED, ""));
    let answer = instance.send(&request).expect(400);
    let message = only_error(&answer);
    let advice = message
        .split_once("no.such.stream is not configured")
        .map(|(_, advice)| advice);
    assert!(
        advice.is_some_and(|advice| advice.len() > 10),
        "a text that goes on with advice: {message}"
    );
    golden::check("intake/unknown_stream", &request, &answer, &[]);
}

#[test]
fn a_schema_of_another_title_is_not_allowed_in_a_stream() {
    let instance = Instance::from_env();
    let request = Request::post_json("/v1/events", job_event("test.event", REFUSED, ""));
    let answer = instance.send(&request).expect(400);
    let message = only_error(&answer);
    assert!(
        message.contains("is not allowed in stream; schema title must be test/event"),
        "{message}"
    );
    golden::check("intake/schema_not_allowed", &request, &answer, &[]);
}

#[test]
fn an_event_without_a_schema_uri_is_an_error() {
    let instance = Instance::from_env();
    let missing = "Field(s) $schema were missing from event and could not be extracted.";
    let event = format!(r#"{{"meta":{{"stream":"test.event","id":"{REFUSED}"}},"test":"x"}}"#);
    let answer = instance.post(event.clone()).expect(400);
    assert_eq!(
        answer.text(),
        format!(r#"{{"invalid":[],"error":[{}]}}"#, error(&event, missing))
    );
    let request = Request::post_json(
        "/v1/events",
        test_event(REFUSED, "1").replace("\"/test/event/1.0.0\"", "123"),
    );
    let answer = instance.send(&request).expect(400);
    let _ = only_error(&answer);
    golden::check("intake/schema_uri_not_a_string", &request, &answer, &[]);
}

#[test]
fn elements_that_are_no_objects_fail_one_by_one() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("elements");
    let id = fresh_uuid();
    let answer = instance
        .post(format!(r#"[1,"x",null,{}]"#, stream.event(&id)))
        .expect(207);
    let body = answer.json();
    let events: Vec<_> = body["error"]
        .as_array()
        .expect("errors")
        .iter()
        .map(|outcome| &outcome["event"])
        .collect();
    assert_eq!(
        events,
        [
            &serde_json::json!(1),
            &serde_json::json!("x"),
            &serde_json::Value::Null
        ]
    );
    assert_eq!(
        Events::open(&instance.origin, &stream.from_the_beginning())
            .next_event()
            .meta_id(),
        id
    );
}

#[test]
fn a_preflight_is_answered_200_with_what_is_allowed() {
    let instance = Instance::from_env();
    let request = Request::new("OPTIONS", "/v1/events")
        .header("origin", "https://shop.example.org")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = instance.send(&request).expect(200);
    assert_eq!(answer.header("allow"), Some("POST"));
    assert_eq!(answer.text(), "POST");
    assert_cors(&answer);
    golden::check("intake/preflight", &request, &answer, &[]);
}

#[test]
fn a_stream_that_wants_a_token_takes_no_event_without_one() {
    let instance = Instance::from_env();
    let event = order_event("shop.refund", REFUSED, "A-1");
    let request = Request::post_json("/v1/events", event.clone());
    let answer = instance.send(&request).expect(401);
    assert!(
        answer
            .header("www-authenticate")
            .is_some_and(|value| value.starts_with("Bearer")),
        "{answer:?}"
    );
    golden::check("intake/no_token", &request, &answer, &[]);
    for token in [
        "wrong",
        "",
        &instance.producer_token[..instance.producer_token.len() - 1],
    ] {
        let request = Request::post_json("/v1/events", event.clone()).bearer(token);
        let answer = instance.send(&request);
        assert!(matches!(answer.status, 401 | 403), "{token:?}: {answer:?}");
    }
    let request = Request::post_json("/v1/events", event).bearer("wrong");
    let answer = instance.send(&request).expect(403);
    golden::check("intake/wrong_token", &request, &answer, &[]);
}

#[test]
fn a_stream_that_wants_a_token_takes_events_with_it() {
    let instance = Instance::from_env();
    let id = fresh_uuid();
    let mut events = Events::open(&instance.origin, "/v2/stream/shop.refund");
    let request = Request::post_json("/v1/events", order_event("shop.refund", &id, "A-1"));
    let _ = instance
        .send(&request.bearer(&instance.producer_token))
        .expect(201);
    assert_eq!(events.find(&id).meta_id(), id);
}

#[test]
fn a_missing_token_fails_only_the_events_that_need_it() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("token_mix");
    let id = fresh_uuid();
    let refused = order_event("shop.refund", REFUSED, "A-1");
    let answer = instance
        .post(array(&[refused.clone(), stream.event(&id)]))
        .expect(207);
    let body = answer.json();
    let message = body["error"][0]["context"]["message"]
        .as_str()
        .expect("a message");
    assert!(
        message.contains("shop.refund") && message.contains("token"),
        "{message}"
    );
    assert_eq!(
        answer.text(),
        format!(r#"{{"invalid":[],"error":[{}]}}"#, error(&refused, message))
    );
    assert_eq!(
        Events::open(&instance.origin, &stream.from_the_beginning())
            .next_event()
            .meta_id(),
        id
    );
}
