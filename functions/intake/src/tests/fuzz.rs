//! Bodies and beacons gone wrong: a fixed number of them, the same in every run.
//!
//! Each is a valid input with some of its bytes replaced by tokens that have broken readers of JSON before.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::beacon::legacy_world;
use super::errors::world_with_errors;
use super::*;

const CASES: u32 = 2000;

const TOKENS: &[&[u8]] = &[
    b"\"",
    b"\\",
    b"{",
    b"}",
    b"[",
    b"]",
    b",",
    b":",
    b"0",
    b"-",
    b".",
    b" ",
    b"\n",
    b"\t",
    b"\0",
    b"\x7f",
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",
    b"\xf0\x9f\x92\xa5",
    b"\xef\xbb\xbf",
    b"\\u0000",
    b"\\ud800",
    b"\\udc00\\ud800",
    b"\\x",
    b"null",
    b"true",
    b"NaN",
    b"1e999",
    b"-0",
    b"1E-400",
    b"9007199254740993",
    b"123456789012345678901234567890",
    b"\"$schema\":",
    b"\"meta\":",
    b"\"stream\":",
    b"\"id\":",
    b"\"dt\":",
    b"\"test\":",
    b"\"n\":",
    b"\"__proto__\":{},",
    b"\"constructor\":1,",
    b"\"\":1,",
    b"\"/test/1.0.0\"",
    b"\"/other/1.0.0\"",
    b"\"/../test/1.0.0\"",
    b"\"/test/latest\"",
    b"\"https://a.org/test/1.0.0\"",
    b"\"test.event\"",
    b"\"job.x\"",
    b"\"eventlogging_Test\"",
    b"\"intake.error\"",
    b"%",
    b"%22",
    b"%7B",
    b"%00",
    b"%ff",
    b"%C3%A9",
    b";",
    b"&",
    b"?",
    b"+",
    b"#",
    b"=",
];

/// What is done to an input: at `place` (of 65536), `gone` bytes give way to a token, `times` over.
type Mutation = (u16, usize, usize, usize);

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let times = prop_oneof![8 => 1..3_usize, 1 => 100..300_usize];
    vec((any::<u16>(), 0..6_usize, 0..TOKENS.len(), times), 0..6)
}

fn mutate(seed: &str, mutations: &[Mutation]) -> Vec<u8> {
    let mut bytes = seed.as_bytes().to_vec();
    for (place, gone, token, times) in mutations {
        let at = usize::from(*place) * bytes.len() / 65536;
        let end = (at + gone).min(bytes.len());
        bytes.splice(at..end, TOKENS[*token].repeat(*times));
    }
    bytes
}

fn fuzz<S: Strategy>(strategy: S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config {
        cases: CASES,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    if let Err(failure) = TestRunner::new_with_rng(config, rng).run(&strategy, test) {
        panic!("{failure}");
    }
}

/// The events of a topic, all of which must be JSON.
async fn parsed(memory: &Memory, topic: &str) -> Vec<Value> {
    let texts = texts(memory, topic).await;
    texts
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect()
}

/// Sends a request.
async fn send_any(isolate: &Rc<Isolate>, memory: &Memory, request: Request) -> (u16, Value) {
    let response = handle(isolate, memory.clone(), request).await;
    let status = response.status().as_u16();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    let text = String::from_utf8(body.to_vec()).unwrap();
    let answer = if text.is_empty() {
        Value::Null
    } else {
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    (status, answer)
}

#[test]
fn no_body_breaks_intake_and_what_is_refused_is_in_the_error_stream() {
    let seeds = [
        event("test.event").to_string(),
        json!([event("test.event"), event("job.x")]).to_string(),
        json!([{"$schema": "/test/1.0.0", "meta": {"stream": "test.event"}, "n": 1.5e3, "test": "é\u{1f4a5}\n"}]).to_string(),
    ];
    let queries = [
        "",
        "?hasty=true",
        "?dry_run=true",
        "?stream=job.y&schema_uri=/test/1.0.0",
    ];
    let inputs = (0..seeds.len(), 0..queries.len(), mutations());
    fuzz(inputs, |(seed, query, mutations)| {
        let body = mutate(&seeds[seed], &mutations);
        let mut mended = body.clone();
        eventstar_event::json::mend_surrogates(&mut mended);
        let shown = String::from_utf8_lossy(&mended).into_owned();
        run(async {
            let (isolate, memory) = world_with_errors().await;
            let mut request = request("");
            *request.body_mut() = body.into();
            *request.uri_mut() = format!("/v1/events{}", queries[query]).parse().unwrap();
            let (status, answer) = send_any(&isolate, &memory, request).await;
            memory.run_background().await;
            let expected = [200, 201, 202, 207, 400, 413];
            prop_assert!(expected.contains(&status), "{status} for {shown}");
            let mut stored = 0;
            for topic in ["test.event", "job.x", "job.y"] {
                let events = parsed(&memory, topic).await;
                prop_assert!(
                    events.iter().all(|event| event["meta"]["stream"] == topic),
                    "{shown}"
                );
                stored += events.len();
            }
            let errors = parsed(&memory, "intake.error").await;
            prop_assert!(
                errors
                    .iter()
                    .all(|error| shown.contains(error["raw_event"].as_str().unwrap()))
            );
            let refused = |kind: &str| answer[kind].as_array().map_or(0, Vec::len);
            match status {
                200 => prop_assert_eq!((stored, errors.len()), (0, 0), "{}", shown),
                201 => prop_assert!(stored > 0 && errors.is_empty(), "{shown}"),
                202 => prop_assert!(stored + errors.len() > 0, "{shown}"),
                _ if answer.get("invalid").is_some() => {
                    prop_assert_eq!(errors.len(), refused("invalid") + refused("error"), "{}", shown);
                    prop_assert_eq!(stored > 0, status == 207, "{}", shown);
                }
                // The body as a whole was refused.
                _ => prop_assert_eq!((stored, errors.len()), (0, 0), "{}", shown),
            }
            Ok(())
        })
    });
}

#[test]
fn no_beacon_is_lost() {
    let seeds = [
        "%7B%22event%22%3A%7B%22OtherMessage%22%3A%22a%22%7D%2C%22schema%22%3A%22Test%22%2C%22revision%22%3A7%7D;",
        r#"{"event":{"OtherMessage":"a"},"schema":"Test","wiki":"enwiki","seqId":1,"recvFrom":"a","dt":"b"};"#,
    ];
    fuzz((0..seeds.len(), mutations()), |(seed, mutations)| {
        let query = mutate(seeds[seed], &mutations);
        // What no server would hand on is no beacon.
        let Ok(uri) = http::Uri::try_from([b"/beacon/event?", query.as_slice()].concat()) else {
            return Ok(());
        };
        run(async {
            let (isolate, memory) = legacy_world().await;
            let mut request = request("");
            *request.uri_mut() = uri.clone();
            prop_assert_eq!(
                send(&isolate, &memory, request).await,
                (204, Value::Null),
                "{}",
                uri
            );
            memory.run_background().await;
            let stored = parsed(&memory, "eventlogging_Test").await.len();
            let errors = parsed(&memory, "intake.error").await;
            prop_assert_eq!(stored + errors.len(), 1, "{}", uri);
            let query = uri.query().unwrap_or_default();
            prop_assert!(errors.iter().all(|error| error["raw_event"] == query), "{uri}");
            Ok(())
        })
    });
}
