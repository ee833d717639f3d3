//! The peak memory of a request, counted by the allocator of this program: no body may make it pass the budget.

#![allow(clippy::unwrap_used)]

use std::io::Write as _;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_platform_memory::Memory;
use eventstar_ports::{Body, Registry as _, RegistryRequest, SchemaFile};
use flate2::Compression;
use flate2::write::GzEncoder;
use function_intake::{Isolate, MAX_BATCH, MAX_BODY_BYTES, handle};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue};
use http::{Method, Request};
use peak_alloc::PeakAlloc;
use serde_json::json;

/// A third of the 128 MB of an isolate.
const BUDGET: usize = 40_000_000;

/// Growing counts the old and the new place, as where memory is moved.
#[global_allocator]
static ALLOCATOR: PeakAlloc = PeakAlloc;

const SCHEMA: &str = r#"{
    "title": "any", "$id": "/any/1.0.0", "$schema": "http://json-schema.org/draft-07/schema#", "type": "object",
    "properties": {
        "meta": {"type": "object", "properties": {"stream": {"type": "string"}}},
        "s": {"type": "array", "items": {"type": "string"}},
        "filled": {"type": "string", "default": "default_value"}
    }
}"#;

async fn world() -> Memory {
    let memory = Memory::new().with("ERROR_STREAM", "intake.error");
    let file = |title: &str, version: &str, json: &str| SchemaFile {
        title: title.into(),
        version: version.into(),
        json: json.into(),
        yaml: None,
    };
    let schemas = vec![
        file("any", "1.0.0", SCHEMA),
        file("error", "2.1.0", include_str!("../src/tests/error-2.1.0.json")),
    ];
    let published = RegistryRequest::PublishSchemas {
        repository: "one".into(),
        schemas,
    };
    memory.ask(published).await.unwrap();
    let config = json!({
        "any": {"schema_title": "any"},
        "/^many\\./": {"schema_title": "any"},
        "intake.error": {"schema_title": "error"},
    });
    let config = RegistryRequest::PublishStreamConfig {
        if_match: None,
        config: serde_json::value::to_raw_value(&config).unwrap(),
    };
    memory.ask(config).await.unwrap();
    memory
}

fn event(member: &str) -> String {
    format!(
        r#"{{"$schema":"/any/1.0.0","meta":{{"stream":"any","topic":"any","schema_uri":"any/1"}},{member}}}"#
    )
}

/// As many of `item` as fit `bytes`.
fn list(item: &str, bytes: usize) -> String {
    format!("[{}]", vec![item; bytes / (item.len() + 1)].join(","))
}

fn array(event: &str, times: usize) -> String {
    format!("[{}]", vec![event; times].join(","))
}

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

/// The status, and the peak of memory besides what was there before the body came.
async fn measure(path: &str, body: Bytes, encoding: Option<&'static str>) -> (u16, usize) {
    let memory = world().await;
    let isolate = Rc::new(Isolate::default());
    let mut request = Request::new(body);
    *request.method_mut() = Method::POST;
    *request.uri_mut() = path.parse().unwrap();
    request
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if let Some(encoding) = encoding {
        request
            .headers_mut()
            .insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
    }
    let before = ALLOCATOR.current_usage() - request.body().len();
    ALLOCATOR.reset_peak_usage();
    let response = handle(&isolate, memory.clone(), request).await;
    memory.run_background().await;
    let status = response.status().as_u16();
    if let Body::Full(body) = response.into_body() {
        assert!(
            body.len() < 2 * MAX_BODY_BYTES,
            "an answer of {} bytes",
            body.len()
        );
    }
    (status, ALLOCATOR.peak_usage() - before)
}

#[test]
fn no_request_takes_more_memory_than_the_budget() {
    const MIB: usize = 1024 * 1024;
    const FILL: usize = MAX_BODY_BYTES - 200;
    let chain = format!("{}0{}", r#"{"":"#.repeat(60), "}".repeat(60));
    let pad = |bytes: usize| event(&format!(r#""p":"{}""#, "x".repeat(bytes)));
    let distinct = |name: &str| {
        let names: Vec<String> = (0..MAX_BATCH)
            .map(|n| {
                let stream = format!("many.{n}.{}", "y".repeat(220));
                let schema = format!("/{}/1.0.0", name.replace('N', &n.to_string()));
                format!(
                    r#"{{"$schema":"{schema}","meta":{{"stream":"{stream}"}},"p":"{}"}}"#,
                    "x".repeat(400)
                )
            })
            .collect();
        format!("[{}]", names.join(","))
    };
    let values =
        |item: &str, values: usize| event(&format!(r#""n":{}"#, list(item, values * (item.len() + 1))));
    let rows: Vec<(&str, String, u16)> = vec![
        ("numbers", event(&format!(r#""n":{}"#, list("1", FILL))), 413),
        ("objects", event(&format!(r#""n":{}"#, list("{}", FILL))), 413),
        ("arrays", event(&format!(r#""n":{}"#, list("[]", FILL))), 413),
        (
            "members",
            event(&format!(r#""n":{}"#, list(r#"{"":1}"#, FILL))),
            413,
        ),
        ("numbers as events", list("1", FILL), 413),
        ("no end of arrays", "[".repeat(FILL), 413),
        (
            "deep",
            event(&format!(r#""n":{}{}"#, "[".repeat(20_000), "]".repeat(20_000))),
            400,
        ),
        ("chains", event(&format!(r#""n":{}"#, list(&chain, FILL))), 413),
        ("numbers within the limit", array(&values("1", 60_000), 8), 201),
        (
            "members within the limit",
            array(&values(r#"{"":1}"#, 30_000), 8),
            201,
        ),
        ("chains within the limit", array(&values(&chain, 1_000), 8), 201),
        (
            "one long name",
            event(&format!(r#""{}":1"#, "n".repeat(FILL))),
            413,
        ),
        (
            "long names",
            array(&event(&format!(r#""{}":1"#, "n".repeat(MIB - 200))), 10),
            201,
        ),
        (
            "long stream names",
            array(
                &pad(10).replace(r#":"any","#, &format!(r#":"{}","#, "s".repeat(MIB / 2 - 300))),
                10,
            ),
            400,
        ),
        (
            "long schema names",
            array(
                &pad(10).replace("/any/", &format!("/{}/", "s".repeat(MIB - 300))),
                10,
            ),
            400,
        ),
        ("large events", array(&pad(MIB - 200), 10), 201),
        ("small events", array(&pad(700), MAX_BATCH), 201),
        ("smallest events", array("{}", MAX_BATCH), 400),
        ("too many events", list("{}", FILL / 4), 413),
        ("many streams", distinct("any"), 207),
        ("many schemas", distinct(&format!("{}N", "z".repeat(300))), 400),
        (
            "white space",
            pad(MIB - 500).replace(':', &format!(":{}", " ".repeat(MIB))),
            201,
        ),
        (
            "pretty-printed values",
            values(&format!("1{}", " ".repeat(150)), 60_000),
            201,
        ),
        (
            "wrong items",
            array(&event(&format!(r#""s":{}"#, list("1", 200))), 4_500),
            400,
        ),
        (
            "wrong items, many events",
            array(&event(&format!(r#""s":{}"#, list("1", 80))), MAX_BATCH),
            400,
        ),
        (
            "wrong large events",
            array(&event(&format!(r#""s":1,"p":"{}""#, "x".repeat(MIB - 200))), 10),
            400,
        ),
        (
            "wrong events of quotes",
            array(
                &event(&format!(r#""s":1,"p":"{}""#, r#"\""#.repeat(MIB / 2 - 100))),
                10,
            ),
            400,
        ),
        (
            "halves of pairs",
            array(&event(&format!(r#""p":"{}""#, r"\ud83d".repeat(170_000))), 10),
            201,
        ),
    ];
    let mut worst: Vec<(usize, String)> = Vec::new();
    for (name, body, expected) in rows {
        assert!(body.len() <= MAX_BODY_BYTES, "{name}: {} bytes", body.len());
        let packed = Bytes::from(gzip(&body));
        for (path, encoding) in [
            ("/v1/events", None),
            ("/v1/events", Some("gzip")),
            ("/v1/events?hasty=true", None),
            ("/v1/events?dry_run=true", None),
            ("/eventbus/v1/events", None),
        ] {
            let sent = match encoding {
                None => Bytes::from(body.clone().into_bytes()),
                Some(_) => Bytes::from(packed.to_vec()),
            };
            let (status, peak) = pollster::block_on(measure(path, sent, encoding));
            println!(
                "{peak:>10} {status} {name} {path} {}",
                encoding.unwrap_or("plain")
            );
            if path == "/v1/events" && status != expected {
                worst.push((usize::MAX, format!("{name}: {status}, expected {expected}")));
            }
            worst.push((peak, format!("{name}, {path}, {encoding:?}")));
        }
    }
    // No longer URL can be parsed.
    let capsule = format!(
        r#"/beacon/event?%7B%22schema%22:%22any%22,%22n%22:{}%7D;"#,
        list("1", 65_000)
    );
    let (status, peak) = pollster::block_on(measure(&capsule, Bytes::new(), None));
    println!("{peak:>10} {status} beacon");
    assert_eq!(status, 204);
    worst.push((peak, "beacon".to_owned()));
    worst.retain(|(peak, _)| *peak > BUDGET);
    assert!(worst.is_empty(), "{worst:#?}");
}
