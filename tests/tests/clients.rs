//! The producers of Wikimedia's Event Platform, unmodified: each test sends what that client sends.

use std::thread;
use std::time::{Duration, Instant};

use eventstar_tests::admin::{add_known_streams, publish_schema};
use eventstar_tests::events::{PrivateStream, array, page_view_event};
use eventstar_tests::random::fresh_uuid;
use eventstar_tests::text::as_sent;
use eventstar_tests::{Answer, Events, Instance, Request, SseEvent};
use serde_json::{Value, json};

/// How long an event may take that is stored after its answer.
const PATIENCE: Duration = Duration::from_secs(20);

/// What `navigator.sendBeacon(url, JSON.stringify(event))` sends.
fn beacon(path: &str, body: impl Into<Vec<u8>>) -> Request {
    Request::new("POST", path)
        .header("content-type", "text/plain;charset=UTF-8")
        .header("origin", "https://en.wikipedia.org")
        .header("cookie", "mwuser-sessionId=0123456789abcdef0123")
        .body(body)
}

/// The next event of `stream` for which `fits`.
fn find(events: &mut Events, mut fits: impl FnMut(&Value) -> bool) -> Value {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let event = events.next_event().json();
        if fits(&event) {
            return event;
        }
        assert!(Instant::now() < deadline, "the event did not come");
    }
}

fn assert_empty(answer: &Answer) {
    assert_eq!(answer.text(), "");
    assert_eq!(answer.header("content-type"), None);
}

/// C1: Test Kitchen's opaque first-party paths, an array of one; C6: with credentials, without a pre-flight.
#[test]
fn test_kitchen_sends_beacons_to_paths_of_the_wiki_itself() {
    let instance = Instance::from_env();
    for path in [
        "/evt-103e/v2/events?hasty=true",
        "/ins-502b/v2/events?hasty=true",
        "/v2/events?hasty=true",
    ] {
        let stream = PrivateStream::new("kitchen");
        let id = fresh_uuid();
        let answer = instance
            .send(&beacon(path, array(&[stream.event(&id)])))
            .expect(202);
        assert_empty(&answer);
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"), "{path}");
        let _ = Events::open(&instance.origin, &stream.from_the_beginning()).find(&id);
    }
}

/// C2, C5: EventLogging's client sends one object without id, receive time or request id (W1 of the wire vectors).
#[test]
fn eventlogging_sends_single_events_as_text() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/test.event");
    let mark = fresh_uuid();
    let sent = format!(
        r#"{{"$schema":"/test/event/1.0.0","test":"{mark}","dt":"2011-04-01T09:00:00.000Z","meta":{{"stream":"test.event","domain":"en.wikipedia.org"}}}}"#
    );
    let request = beacon("/v1/events?hasty=true", sent).header("x-request-id", "r-42");
    assert_empty(&instance.send(&request).expect(202));
    let event = find(&mut events, |event| event["test"] == mark);
    assert_eq!(event["dt"], "2011-04-01T09:00:00.000Z");
    assert_eq!(event["meta"]["domain"], "en.wikipedia.org");
    assert_eq!(event["meta"]["request_id"], "r-42");
    assert_eq!(event["meta"]["id"].as_str().map(str::len), Some(36));
    assert!(event["meta"]["dt"].is_string(), "{event}");
}

/// What EventBus sends: always an array, its slashes and letters unescaped, and the client's address.
fn eventbus(events: &[String]) -> Request {
    Request::post_json("/v1/events", array(events))
        .header("x-client-ip", "203.0.113.9")
        .header("user-agent", "MediaWiki/1.45 MultiHttpClient")
}

/// C3: EventBus tells all, some and none from the status, and reads the bodies.
#[test]
fn eventbus_reads_statuses_and_bodies() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("eventbus");
    let good = || stream.event(&fresh_uuid());
    let invalid = || {
        stream
            .event_with(&fresh_uuid(), r#","page":{"a/b":"é"},"attempt":"one""#)
            .replace(r#""attempt":1,"#, "")
    };
    let unknown = || good().replace("/job/run/1.0.0", "/no/such/1.0.0");
    assert_empty(&instance.send(&eventbus(&[good(), good()])).expect(201));
    for (events, status, kinds) in [
        (vec![good(), invalid()], 207, json!({"invalid": 1, "error": 0})),
        (
            vec![good(), invalid(), unknown()],
            207,
            json!({"invalid": 1, "error": 1}),
        ),
        (vec![invalid(), invalid()], 400, json!({"invalid": 2})),
        (vec![invalid(), unknown()], 400, json!({"invalid": 1, "error": 1})),
    ] {
        let body = instance.send(&eventbus(&events)).expect(status).json();
        let counts: Value = body
            .as_object()
            .unwrap()
            .iter()
            .map(|(kind, entries)| (kind.clone(), json!(entries.as_array().unwrap().len())))
            .collect();
        assert_eq!(counts, kinds);
        for entry in body
            .as_object()
            .unwrap()
            .values()
            .flat_map(|entries| entries.as_array().unwrap())
        {
            assert!(entry["event"]["meta"]["stream"].is_string(), "{entry}");
            assert!(entry["context"].is_object(), "{entry}");
        }
    }
}

/// C4: the Reporting API knows neither schema nor stream; the browser asks first.
#[test]
fn browsers_report_network_errors() {
    let instance = Instance::from_env();
    let path =
        "/v1/events?stream=w3c.reportingapi.network_error&schema_uri=/w3c/reportingapi/network_error/1.0.0";
    let preflight = Request::new("OPTIONS", path)
        .header("origin", "https://en.wikipedia.org")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "content-type");
    let answer = instance.send(&preflight).expect(200);
    assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
    assert_eq!(answer.header("access-control-allow-methods"), Some("post"));
    assert!(
        answer
            .header("access-control-allow-headers")
            .is_some_and(|headers| headers.contains("content-type"))
    );

    let mut events = Events::open(&instance.origin, "/v2/stream/w3c.reportingapi.network_error");
    let url = format!("https://en.wikipedia.org/{}", fresh_uuid());
    let report = json!([{
        "age": 10, "type": "network-error", "url": url, "user_agent": "Mozilla/5.0",
        "body": {
            "elapsed_time": 7, "method": "GET", "phase": "connection", "protocol": "http/1.1", "referrer": "",
            "sampling_fraction": 1.0, "server_ip": "203.0.113.9", "status_code": 0, "type": "tcp.refused",
        },
    }]);
    let request = Request::new("POST", path)
        .header("content-type", "application/reports+json")
        .header("origin", "https://en.wikipedia.org")
        .body(report.to_string());
    let _ = instance.send(&request).expect(201);
    let event = find(&mut events, |event| event["url"] == url);
    assert_eq!(event["$schema"], "/w3c/reportingapi/network_error/1.0.0");
    assert_eq!(event["meta"]["stream"], "w3c.reportingapi.network_error");
    assert_eq!(event["body"]["type"], "tcp.refused");
}

/// C7: Test Kitchen's experiments, whose subject only the edge knows.
#[test]
fn the_edge_knows_who_takes_part_in_an_experiment() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/web.exposure");
    let subject = fresh_uuid();
    let sent = json!([{
        "$schema": "/web/exposure/1.0.0", "meta": {"stream": "web.exposure"}, "dt": "2026-01-01T00:00:00.000Z",
        "action": "experiment_exposure",
        "experiment": {"enrolled": "teapot-lids", "assigned": "control", "subject_id": "awaiting", "sampling_unit": "edge-unique"},
    }]);
    let enrolled = |header: &str| {
        beacon("/evt-103e/v2/events", sent.to_string()).header("x-experiment-enrollments", header)
    };
    let header = format!("other-test=b/s0;teapot-lids=control/{subject};");
    let _ = instance.send(&enrolled(&header)).expect(201);
    let event = find(&mut events, |event| event["experiment"]["subject_id"] == subject);
    assert_eq!(event["experiment"]["enrolled"], "teapot-lids");
    for broken in ["teapot-lids", "teapot-lids=b/s1", ""] {
        let _ = instance.send(&enrolled(broken)).expect(400);
    }
}

/// C8: EventBus splits its batches at 4 MiB.
#[test]
fn eventbus_sends_batches_of_four_megabytes() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("megabytes");
    let ids: Vec<String> = (0..8).map(|_| fresh_uuid()).collect();
    let events: Vec<String> = ids.iter().map(|id| stream.event_of_size(id, 524_286)).collect();
    let request = eventbus(&events);
    assert!(array(&events).len() <= 4_194_304 && array(&events).len() > 4_194_200);
    assert_empty(&instance.send(&request).expect(201));
    let seen = Events::open(&instance.origin, &stream.from_the_beginning()).take(ids.len());
    assert_eq!(seen.iter().map(SseEvent::meta_id).collect::<Vec<_>>(), ids);
}

/// Job events as MediaWiki's `mediawiki/job` has them, and streams for them.
fn publish_jobs(instance: &Instance) {
    let text = json!({"type": "string"});
    let schema = json!({
        "title": "mediawiki/job", "$id": "/mediawiki/job/1.0.0", "$schema": "https://json-schema.org/draft-07/schema#",
        "type": "object", "required": ["$schema", "meta", "database", "type"],
        "properties": {
            "$schema": text,
            "meta": {"type": "object", "required": ["dt", "stream"], "properties": {
                "uri": text, "request_id": text, "id": text, "dt": text, "domain": text, "stream": text,
            }},
            "database": text, "type": text, "page_namespace": {"type": "integer"}, "page_title": text, "sha1": text,
            "root_event": {"type": "object", "required": ["dt", "signature"], "properties": {"dt": text, "signature": text}},
            "params": {"type": "object"}, "mediawiki_signature": text,
        },
    });
    let _ = instance
        .admin(publish_schema("mediawiki/job", "1.0.0", &schema.to_string()))
        .expect(200);
    add_known_streams(
        instance,
        &json!({r"/^mediawiki\.job\..+/": {"schema_title": "mediawiki/job", "destination_event_service": "eventgate-main"}}),
    );
}

/// The signature of MediaWiki (`hash_hmac('sha1', …)`): of the event's JSON text without the signature.
fn mediawiki_signature(event: &str) -> String {
    let hash = |parts: [&[u8]; 2]| {
        let mut sha1 = sha1_smol::Sha1::new();
        parts.iter().for_each(|part| sha1.update(part));
        sha1.digest().bytes()
    };
    let mut key = [0_u8; 64];
    key[..10].copy_from_slice(b"secret key");
    let inner = hash([&key.map(|byte| byte ^ 0x36), event.as_bytes()]);
    let outer = hash([&key.map(|byte| byte ^ 0x5c), &inner]);
    outer.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// C9: the job queue signs whole events; a runner verifies the signature over the event as it comes out, in its own words:
/// parsed and written again, which keeps the order of keys.
#[test]
fn eventbus_signs_jobs_and_the_signature_holds_for_what_comes_out() {
    let instance = Instance::from_env();
    publish_jobs(&instance);
    let stream = format!("mediawiki.job.refreshLinks_{}", fresh_uuid().replace('-', ""));
    let event = |id: &str| {
        format!(
            concat!(
                r#"{{"$schema":"/mediawiki/job/1.0.0","meta":{{"uri":"https://placeholder.invalid/wiki/Special:Badtitle","#,
                r#""request_id":"0123456789abcdef01234567","id":"{}","domain":"en.wikipedia.org","stream":"{}"}},"#,
                r#""type":"refreshLinks","page_title":"Straße/\"a\" é","page_namespace":0,"database":"enwiki","#,
                r#""params":{{"zeta":[1,0.5,-3,true,null],"alpha":"/w/api.php?a=1&b=<c>","causeAction":"edit-page","#,
                r#""triggeringRevisionId":1234567890123,"requestId":"0123456789abcdef01234567","namespace":0,"title":""}},"#,
                r#""sha1":"2a1ae1b5fd3b5ddbfe0a4ed4a50b9d02b3a4c5d6","#,
                r#""root_event":{{"signature":"e3b0c44298fc1c149afb","dt":"2026-01-01T00:00:00Z"}}}}"#
            ),
            id, stream
        )
    };
    let signed = |event: &str| {
        let signature = mediawiki_signature(event);
        let open = event.strip_suffix('}').expect("an object");
        format!(r#"{open},"mediawiki_signature":"{signature}"}}"#)
    };
    let sent: Vec<String> = (0..2).map(|_| signed(&event(&fresh_uuid()))).collect();
    let _ = instance.send(&eventbus(&sent)).expect(201);
    let path = format!("/v2/stream/{stream}?since=2020-01-01T00:00:00Z");
    let mut events = Events::open(&instance.origin, &path);
    for sent in &sent {
        // A runner knows what the platform adds: the receive time and the place in the log.
        let received = as_sent(&events.next_event().data, sent, &[]);
        let mut parsed: Value = serde_json::from_str(&received).unwrap();
        let signature = parsed
            .as_object_mut()
            .unwrap()
            .shift_remove("mediawiki_signature");
        assert_eq!(
            signature,
            Some(json!(mediawiki_signature(&parsed.to_string()))),
            "{received}"
        );
        assert_eq!(received, *sent);
    }
}

/// C10: EventGate, the Metrics Platform's clients and the apps read the streams of their event service from MediaWiki's API.
#[test]
fn clients_read_the_streams_of_their_event_service() {
    let instance = Instance::from_env();
    let (service, one, two) = (
        format!("eventgate-{}", fresh_uuid()),
        PrivateStream::new("config"),
        PrivateStream::new("config"),
    );
    let settings = json!({"schema_title": "job/run", "destination_event_service": service, "sample": {"unit": "pageview", "rate": 0.5}});
    add_known_streams(&instance, &json!({&one.name: settings, &two.name: settings}));
    let answered = |name: &str| {
        let mut answered = settings.clone();
        answered["stream"] = name.into();
        answered["topics"] = json!([name]);
        answered
    };
    let both = json!({"streams": {&one.name: answered(&one.name), &two.name: answered(&two.name)}});
    let get = |query: &str| instance.get(&format!("/w/api.php?{query}")).expect(200);
    let eventgate =
        format!("format=json&action=streamconfigs&constraints=destination_event_service={service}");
    assert_eq!(get(&eventgate).json(), both);
    for query in [
        format!(
            "action=streamconfigs&format=json&formatversion=2&constraints=destination_event_service%3D{service}"
        ),
        format!(
            "action=streamconfigs&format=json&formatversion=2&constraints=destination_event_service={service}&origin=*"
        ),
        format!(
            "action=streamconfigs&format=json&streams={}|{}",
            one.name, two.name
        ),
    ] {
        let answer = get(&query);
        assert_eq!(answer.json(), both, "{query}");
        assert_eq!(
            answer.header("cache-control"),
            Some("max-age=600, s-maxage=600, public")
        );
        assert_eq!(answer.header("access-control-allow-origin"), Some("*"));
        assert_eq!(
            answer.header("content-type"),
            Some("application/json; charset=utf-8")
        );
    }
    // The Swift client still asks for all settings.
    let swift = get(&format!("{eventgate}&all_settings")).json();
    assert_eq!(swift["streams"], both["streams"]);
    assert!(
        swift["warnings"]["streamconfigs"]["warnings"].is_string(),
        "{swift}"
    );
}

/// C11: the beacon of EventLogging: an empty POST, or an image, with all in the query.
#[test]
fn legacy_eventlogging_sends_its_capsule_in_the_query() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/eventlogging_Test");
    for method in ["POST", "GET"] {
        let mark = fresh_uuid();
        let query = format!(
            "%7B%22event%22%3A%7B%22OtherMessage%22%3A%22{mark}%20%C3%A9%22%7D%2C%22schema%22%3A%22Test%22%2C%22webHost%22%3A%22en.wikipedia.org%22%2C%22wiki%22%3A%22enwiki%22%2C%22revision%22%3A-1%7D;"
        );
        let request =
            Request::new(method, &format!("/beacon/event?{query}")).header("user-agent", "Mozilla/5.0");
        assert_empty(&instance.send(&request).expect(204));
        let event = find(&mut events, |event| {
            event["event"]["OtherMessage"] == format!("{mark} é")
        });
        assert_eq!(event["$schema"], "/analytics/legacy/test/1.2.0");
        assert_eq!(event["http"]["request_headers"]["user-agent"], "Mozilla/5.0");
        assert!(
            event["recvFrom"].is_string() && event["uuid"].is_string() && event["client_dt"].is_string(),
            "{event}"
        );
    }
}

/// Header values are bytes: browsers' and robots' names of themselves have more than ASCII in them.
#[test]
fn header_values_beyond_ascii_reach_the_event() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/eventlogging_Test");
    let mark = fresh_uuid();
    let query = format!(
        "%7B%22event%22%3A%7B%22OtherMessage%22%3A%22{mark}%22%7D%2C%22schema%22%3A%22Test%22%2C%22webHost%22%3A%22en.wikipedia.org%22%2C%22wiki%22%3A%22enwiki%22%2C%22revision%22%3A-1%7D;"
    );
    let request = Request::get(&format!("/beacon/event?{query}")).header("user-agent", "Robô ☃/1.0");
    assert_empty(&instance.send(&request).expect(204));
    let event = find(&mut events, |event| event["event"]["OtherMessage"] == mark);
    assert_eq!(event["http"]["request_headers"]["user-agent"], "Robô ☃/1.0");
}

/// C12: parameters nobody knows are passed over, and an empty body is refused.
#[test]
fn unknown_parameters_are_passed_over_and_an_empty_body_is_refused() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("parameters");
    let _ = instance
        .send(&Request::post_json(
            "/v1/events?utm=1&x&hasty=",
            stream.event(&fresh_uuid()),
        ))
        .expect(201);
    for body in ["", "[]", "{}"] {
        assert_empty(&instance.send(&Request::post_json("/v1/events", body)).expect(400));
        assert_empty(&instance.send(&beacon("/v1/events?hasty=true", body)).expect(400));
    }
}

/// What is refused is in the error stream as received, and counted.
#[test]
fn refused_events_are_in_the_error_stream_and_in_the_metrics() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("errors");
    let mut errors = Events::open(&instance.origin, "/v2/stream/intake.error.validation");
    let raw = stream
        .event(&fresh_uuid())
        .replace(r#""attempt":1"#, r#""attempt": "one" "#);
    let _ = instance
        .send(&beacon("/v1/events?hasty=true", raw.clone()))
        .expect(202);
    let event = find(&mut errors, |event| event["raw_event"] == raw);
    assert_eq!(event["error_type"], "ValidationError");
    assert_eq!(event["errored_stream_name"], stream.name);
    let query = "%7B%22schema%22%3A%22Nope%22%7D;";
    let _ = instance.get(&format!("/beacon/event?{query}")).expect(204);
    let event = find(&mut errors, |event| event["raw_event"] == query);
    assert_eq!(event["errored_stream_name"], "eventlogging_Nope");

    let _ = instance.get("/metrics").expect(401);
    let counted = |page: &str| {
        let line = page
            .lines()
            .find(|line| line.contains(r#"stream="/^job\\.run\\..+/",outcome="invalid",code="invalid""#));
        line.and_then(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
            .unwrap_or(0)
    };
    let before = counted(&instance.admin(Request::get("/metrics")).expect(200).text());
    let _ = instance.post(raw).expect(400);
    let deadline = Instant::now() + PATIENCE;
    loop {
        let now = counted(&instance.admin(Request::get("/intake/metrics")).expect(200).text());
        assert!(now >= before, "metrics only grow");
        if now > before {
            break;
        }
        assert!(Instant::now() < deadline, "the refused event was not counted");
        thread::sleep(Duration::from_millis(500));
    }
}

/// eventlogging-service-eventbus, and the document of all routes.
#[test]
fn the_routes_of_the_eventbus_service_and_the_document_answer() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("service");
    let event = json!([{
        "meta": {"topic": stream.name, "stream": stream.name, "id": fresh_uuid(), "schema_uri": "job/run/1"},
        "dt": "2026-01-01T00:00:00Z", "job": "test", "attempt": 1,
    }]);
    for content_type in ["application/json", "application/json; charset=utf-8"] {
        let request = Request::new("POST", "/eventbus/v1/events")
            .header("content-type", content_type)
            .body(event.to_string());
        let answer = instance.send(&request);
        assert_eq!(answer.status, 201, "{content_type}: {}", answer.text());
        assert_eq!(
            answer.header("x-eventbus-message"),
            Some("All 1 events were accepted.")
        );
    }
    let answer = instance
        .send(&Request::post_json(
            "/eventbus/v1/events",
            r#"{"meta":{"topic":"nope"}}"#,
        ))
        .expect(400);
    assert_eq!(answer.json()[0]["event"]["message"], "Topic nope not configured");
    let topics = instance.get("/eventbus/v1/topics").expect(200).json();
    assert_eq!(topics["test.event"], json!({"schema_name": "test/event"}));
    let schemas = instance.get("/eventbus/v1/schemas").expect(200).json();
    assert!(
        schemas
            .as_array()
            .is_some_and(|schemas| schemas.contains(&json!("test/event/1.1.0"))),
        "{schemas}"
    );
    let schema = instance.get("/eventbus/v1/schemas/test/event").expect(200).json();
    assert_eq!(schema["title"], "test/event");
    let _ = instance.get("/eventbus/v1/schemas/no/such/1").expect(404);
    let spec = instance.get("/intake/?spec").expect(200).json();
    assert!(spec["paths"]["/v1/events"]["post"].is_object(), "{spec}");
}

/// A producer whose answer was lost sends the same bytes again; another event may have the same id.
#[test]
fn what_is_sent_again_is_there_once() {
    let instance = Instance::from_env();
    let stream = PrivateStream::new("retries");
    let (id, last) = (fresh_uuid(), fresh_uuid());
    let sent = stream.event(&id);
    let other = stream.event_with(&id, r#","reason":"another""#);
    for body in [
        sent.clone(),
        format!("\n{sent} "),
        array(&[other, sent.clone()]),
        sent,
        stream.event(&last),
    ] {
        let _ = instance.post(body).expect(201);
    }
    let mut events = Events::open(&instance.origin, &stream.from_the_beginning());
    let seen: Vec<String> = events.take(3).iter().map(SseEvent::meta_id).collect();
    assert_eq!(seen, [id.clone(), id, last]);
}

/// The same through the queue.
#[test]
fn what_is_queued_again_is_there_once() {
    let instance = Instance::from_env();
    let mut events = Events::open(&instance.origin, "/v2/stream/web.page_view");
    let (id, last) = (fresh_uuid(), fresh_uuid());
    for body in [page_view_event(&id), page_view_event(&id), page_view_event(&id)] {
        let _ = instance.post(body).expect(201);
    }
    let _ = find(&mut events, |event| event["meta"]["id"] == id);
    let _ = instance.post(page_view_event(&last)).expect(201);
    let mut again = 0;
    let _ = find(&mut events, |event| {
        again += usize::from(event["meta"]["id"] == id);
        event["meta"]["id"] == last
    });
    assert_eq!(again, 0);
}
