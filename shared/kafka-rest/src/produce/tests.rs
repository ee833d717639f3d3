use http::header::{ACCEPT, CONTENT_TYPE};

use super::*;
use crate::Dialect;

const JSON: &str = "application/vnd.kafka.v2+json";

fn proxy(dialect: Dialect) -> Proxy {
    Proxy::new("http://bridge:8080", dialect, None).unwrap()
}

fn answer(status: u16, content_type: &str, body: &str) -> Response<Bytes> {
    let answer = Response::builder()
        .status(status)
        .header(CONTENT_TYPE, content_type);
    answer.body(Bytes::from(body.to_owned())).unwrap()
}

/// What becomes of `count` records: a letter each, and the last reason.
fn outcomes(dialect: Dialect, count: usize, answer: &Response<Bytes>) -> (String, String) {
    outcomes_of(dialect, &vec![record(Some("k")); count], answer)
}

fn record(key: Option<&'static str>) -> Record {
    Record {
        key: key.map(|key| Bytes::from_static(key.as_bytes())),
        value: Bytes::from_static(b"{}"),
        timestamp: None,
        headers: vec![],
        partition: None,
    }
}

fn outcomes_of(dialect: Dialect, records: &[Record], answer: &Response<Bytes>) -> (String, String) {
    let outcomes = proxy(dialect).produced("test.event", records, answer);
    assert_eq!(outcomes.len(), records.len());
    let mut last = String::new();
    let letters = outcomes.into_iter().map(|outcome| {
        let (letter, reason) = match outcome {
            Written { partition, offset } => (format!("{partition}@{offset} "), String::new()),
            Retry(reason) => ("retry ".into(), reason),
            Unknown(reason) => ("unknown ".into(), reason),
            Rejected(reason) => ("rejected ".into(), reason),
            Split(reason) => ("split ".into(), reason),
        };
        assert!(reason.chars().count() < 400, "{reason}");
        last = reason;
        letter
    });
    let letters: String = letters.collect();
    (letters.trim().to_owned(), last)
}

#[test]
fn records_are_produced_to_the_topic_in_the_binary_format() {
    for dialect in [Dialect::Strimzi, Dialect::ConfluentV2] {
        let request = proxy(dialect).produce("test.event", &[]);
        assert_eq!(
            (request.method().as_str(), request.uri().to_string()),
            ("POST", "http://bridge:8080/topics/test.event".to_owned())
        );
        assert_eq!(
            request.headers()[CONTENT_TYPE],
            "application/vnd.kafka.binary.v2+json"
        );
        assert_eq!(request.headers()[ACCEPT], JSON);
        assert_eq!(request.body(), "{\"records\":[]}");
    }
}

#[test]
fn each_record_has_its_outcome() {
    for (dialect, status, body, expected) in [
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"partition":0,"offset":12},{"partition":3,"offset":9007199254740993}]}"#,
            "0@12 3@9007199254740993",
        ),
        (
            Dialect::ConfluentV2,
            200,
            r#"{"offsets":[{"partition":0,"offset":12,"error_code":null,"error":null},
                {"partition":null,"offset":null,"error_code":50003,"error":"Topic test.event not present in metadata after 60000 ms."}],
                "key_schema_id":null,"value_schema_id":null}"#,
            "0@12 retry",
        ),
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"error_code":404,"message":"Topic test.event not present in metadata after 60000 ms."},{"partition":0,"offset":1}]}"#,
            "retry 0@1",
        ),
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"partition":0,"offset":1},{"error_code":500,"message":"The message is 2097241 bytes when serialized which is larger than 1048576, which is the value of the max.request.size configuration."}]}"#,
            "0@1 rejected",
        ),
        (
            Dialect::ConfluentV2,
            200,
            r#"{"offsets":[{"partition":null,"offset":null,"error_code":50002,"error":"The request included a message larger than the max message size the server will accept."},{"partition":0,"offset":1}]}"#,
            "rejected 0@1",
        ),
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"error_code":500,"message":"Timestamp 1 of message with offset 0 is out of range. The timestamp should be within [2, 3]"},{"error_code":500,"message":"Compacted topic cannot accept message without key in topic partition test.event-0."}]}"#,
            "rejected rejected",
        ),
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"error_code":500,"message":"Expiring 2 record(s) for test.event-0:120000 ms has passed since batch creation"},{"error_code":500,"message":"Not authorized to access topics: [test.event]"}]}"#,
            "unknown retry",
        ),
        // Both records were sent, and one was not allowed.
        (
            Dialect::ConfluentV2,
            403,
            r#"{"offsets":[{"partition":0,"offset":12,"error_code":null,"error":null},{"partition":null,"offset":null,"error_code":40301,"error":"Not authorized to access topics: [test.event]"}]}"#,
            "0@12 retry",
        ),
        (
            Dialect::ConfluentV2,
            200,
            r#"{"offsets":[{"partition":null,"offset":null,"error_code":42206,"error":"no"},{"partition":null,"offset":null,"error_code":40401,"error":"no"}]}"#,
            "rejected retry",
        ),
        // A producer that waits for nobody.
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"partition":0,"offset":-1},{"partition":0}]}"#,
            "unknown unknown",
        ),
        (
            Dialect::Strimzi,
            200,
            r#"{"offsets":[{"error_code":408},{"error_code":429,"message":null}]}"#,
            "retry retry",
        ),
    ] {
        assert_eq!(
            outcomes(dialect, 2, &answer(status, JSON, body)).0,
            expected,
            "{body}"
        );
    }
}

/// One entry between two that are written: whatever it says, it says nothing of them.
#[test]
fn an_entry_says_what_became_of_its_record_and_of_no_other() {
    const CORRUPT: &str = "This message has failed its CRC checksum, exceeds the valid size, has a null key for a compacted topic, or is otherwise corrupt.";
    const BATCH: &str =
        "Failed to append record because it was part of a batch which had one more more invalid records";
    const LARGE: &str =
        "The request included a message larger than the max message size the server will accept.";
    const EXPIRED: &str = "Expiring 1 record(s) for test.event-0:120000 ms has passed since batch creation";
    const UNDER_REPLICATED: &str =
        "Messages are written to the log, but to fewer in-sync replicas than required.";
    let of_code = |code: &str, error: &str| {
        format!(r#"{{"partition":null,"offset":null,"error_code":{code},"error":"{error}"}}"#)
    };
    for (entry, with_key, without_key, words) in [
        // Confluent's documentation of version 2: not retriable, and retriable.
        (
            of_code("1", "The server experienced an unexpected error."),
            "retry",
            "retry",
            "(1): The server",
        ),
        (
            of_code("1", LARGE),
            "rejected",
            "rejected",
            "(1): The request included",
        ),
        (of_code("1", BATCH), "retry", "retry", "part of a batch"),
        (
            of_code("2", "This server is not the leader for that topic-partition."),
            "retry",
            "retry",
            "(2): This",
        ),
        (of_code("2", CORRUPT), "retry", "rejected", "(2): This message"),
        (of_code("2", EXPIRED), "unknown", "unknown", "(2): Expiring"),
        // Its proxy says these instead.
        (
            of_code("50002", "Cannot execute transactional method"),
            "retry",
            "retry",
            "(50002)",
        ),
        (of_code("50002", BATCH), "retry", "retry", "part of a batch"),
        (
            of_code("50002", LARGE),
            "rejected",
            "rejected",
            "max message size",
        ),
        (
            of_code(
                "50002",
                "Compacted topic cannot accept message without key in topic partition test.event-0.",
            ),
            "rejected",
            "rejected",
            "without key",
        ),
        (
            of_code("50003", "This server is not the leader"),
            "retry",
            "retry",
            "(50003)",
        ),
        (
            of_code("50003", CORRUPT),
            "retry",
            "rejected",
            "(50003): This message",
        ),
        (
            of_code("50003", EXPIRED),
            "unknown",
            "unknown",
            "(50003): Expiring",
        ),
        (
            of_code("50003", "The request timed out."),
            "unknown",
            "unknown",
            "timed out",
        ),
        (
            of_code("50003", UNDER_REPLICATED),
            "unknown",
            "unknown",
            "fewer in-sync",
        ),
        (of_code("40101", "no"), "retry", "retry", "check the rights"),
        (of_code("40301", "no"), "retry", "retry", "check the rights"),
        (of_code("40401", "no"), "retry", "retry", "topic exists"),
        (of_code("40402", "no"), "retry", "retry", "has the partition"),
        (of_code("42206", "no"), "rejected", "rejected", "(42206): no"),
        // Kafka's own codes, which Redpanda's proxy has.
        (
            r#"{"partition":4,"offset":12,"error_code":0}"#.into(),
            "4@12",
            "4@12",
            "",
        ),
        (
            of_code("-1", "The server experienced an unexpected error."),
            "retry",
            "retry",
            "(-1): The server",
        ),
        // Texts for numbers.
        (
            r#"{"partition":"4","offset":"12","error_code":null}"#.into(),
            "4@12",
            "4@12",
            "",
        ),
        (
            of_code("\"50003\"", LARGE),
            "rejected",
            "rejected",
            "(50003): The request",
        ),
        (of_code("\"50003\"", "no"), "retry", "retry", "(50003): no"),
        (
            r#"{"partition":"x","offset":"12"}"#.into(),
            "unknown",
            "unknown",
            "tells no offset",
        ),
        (of_code("\"FAILED\"", "no"), "unknown", "unknown", "(no code): no"),
        (
            of_code("true", LARGE),
            "rejected",
            "rejected",
            "(no code): The request",
        ),
        // No place.
        (
            r#"{"partition":-1,"offset":-1}"#.into(),
            "unknown",
            "unknown",
            "acks=all",
        ),
        (
            r#"{"partition":-1,"offset":12}"#.into(),
            "unknown",
            "unknown",
            "acks=all",
        ),
        (
            r#"{"partition":4,"offset":-1,"error_code":null,"error":null}"#.into(),
            "unknown",
            "unknown",
            "acks=all",
        ),
        (
            r#"{"partition":-1,"offset":-1,"error_code":50003,"error":"no"}"#.into(),
            "retry",
            "retry",
            "(50003): no",
        ),
        (
            r#"{"partition":4.5,"offset":12}"#.into(),
            "unknown",
            "unknown",
            "acks=all",
        ),
        (
            r#"{"partition":4294967296,"offset":12}"#.into(),
            "unknown",
            "unknown",
            "acks=all",
        ),
        // Both names of the text, or none, or another kind of value.
        (
            r#"{"error_code":500,"message":"one","error":"two"}"#.into(),
            "retry",
            "retry",
            "(500): one",
        ),
        (
            r#"{"error_code":500,"message":null,"error":"two"}"#.into(),
            "retry",
            "retry",
            "(500): two",
        ),
        (
            r#"{"error_code":500,"message":"one","message":"two"}"#.into(),
            "retry",
            "retry",
            "(500): ",
        ),
        (
            r#"{"error_code":500,"message":{"a":1},"error":["b"]}"#.into(),
            "retry",
            "retry",
            "(500): ",
        ),
        (
            r#"{"partition":4,"offset":12,"error":"a warning"}"#.into(),
            "4@12",
            "4@12",
            "",
        ),
        (
            format!(r#"{{"error":"{LARGE}"}}"#),
            "rejected",
            "rejected",
            "(no code): The request",
        ),
        (
            r#"{"message":"no"}"#.into(),
            "unknown",
            "unknown",
            "(no code): no",
        ),
        // No entry at all.
        (
            "null".into(),
            "unknown",
            "unknown",
            "answers 200 without a result",
        ),
        ("[]".into(), "unknown", "unknown", "answers 200 without a result"),
        (
            "\"12\"".into(),
            "unknown",
            "unknown",
            "answers 200 without a result",
        ),
        ("{}".into(), "unknown", "unknown", "tells no offset"),
    ] {
        for dialect in [Dialect::Strimzi, Dialect::ConfluentV2] {
            for (key, expected) in [(Some("k"), with_key), (None, without_key)] {
                let places = [
                    r#"{"partition":0,"offset":1}"#,
                    r#"{"partition":2,"offset":3,"error_code":null}"#,
                ];
                let body = format!(r#"{{"offsets":[{},{},{entry}]}}"#, places[0], places[1]);
                let records = [record(None), record(Some("k")), record(key)];
                let (letters, reason) = outcomes_of(dialect, &records, &answer(200, JSON, &body));
                assert_eq!(letters, format!("0@1 2@3 {expected}"), "{entry}");
                assert!(reason.contains(words), "{entry}: {reason}");
            }
        }
    }
}

#[test]
fn an_answer_that_fits_no_records_leaves_it_open_what_became_of_them() {
    let one = r#"{"offsets":[{"partition":0,"offset":12}]}"#;
    for (status, content_type, body, reason) in [
        (200, JSON, one, "tells of 1 records of 2"),
        (200, JSON, r#"{"offsets":[]}"#, "tells of 0 records of 2"),
        (
            200,
            JSON,
            r#"{"offsets":[null,null]}"#,
            "without a result for each record",
        ),
        (200, JSON, "", "without a result for each record"),
        (
            200,
            "text/html",
            r#"{"offsets":[{"partition":0,"offset":1},{"partition":0,"offset":2}]}"#,
            "answers 200 without",
        ),
        (202, JSON, one, "answers 202 without"),
        (204, JSON, "", "answers 204, which tells nothing"),
    ] {
        let (letters, last) = outcomes(Dialect::Strimzi, 2, &answer(status, content_type, body));
        assert_eq!(letters, "unknown unknown", "{status} {body}");
        assert!(last.contains(reason), "{last}");
    }
}

#[test]
fn a_refused_request_says_what_becomes_of_all_its_records() {
    const OVERLOADED: &str = r#"{"error_code":503,"message":"Bridge is overloaded, please retry later"}"#;
    const CONVERSION: &str = r#"{"error_code":422,"message":"Illegal base64 character 3f"}"#;
    const STRICT: &str = r#"{"error_code":422,"message":"Unrecognized field: timestamp"}"#;
    const PAGE: &str = "<html><body>{\"message\":\"no\"}";
    for (status, content_type, body, alone, of_two, reason) in [
        (
            503,
            JSON,
            OVERLOADED,
            "retry",
            "retry",
            "answers 503: Bridge is overloaded, please retry later",
        ),
        (429, "text/html", PAGE, "retry", "retry", "answers 429"),
        (408, JSON, "", "retry", "retry", "answers 408"),
        (
            401,
            "text/html",
            PAGE,
            "retry",
            "retry",
            "check KAFKA_REST_AUTHORIZATION",
        ),
        (
            403,
            JSON,
            r#"{"error_code":40301,"message":"no"}"#,
            "retry",
            "retry",
            "answers 403: no; check",
        ),
        (
            404,
            JSON,
            r#"{"error_code":40401,"message":"Topic not found."}"#,
            "retry",
            "retry",
            "check that the topic test.event exists",
        ),
        (
            301,
            "text/html",
            PAGE,
            "retry",
            "retry",
            "answers 301 and leads to nowhere",
        ),
        (405, JSON, "", "retry", "retry", "answers 405"),
        (
            415,
            JSON,
            r#"{"error_code":415,"message":"HTTP 415 Unsupported Media Type"}"#,
            "retry",
            "retry",
            "answers 415",
        ),
        (
            400,
            JSON,
            r#"{"error_code":400,"message":"Validation error on: Schema validation error"}"#,
            "retry",
            "retry",
            "check the dialect",
        ),
        (422, JSON, STRICT, "retry", "retry", "check the dialect"),
        (
            422,
            JSON,
            CONVERSION,
            "rejected",
            "split",
            "answers 422: Illegal base64 character 3f",
        ),
        (413, "text/html", PAGE, "rejected", "split", "answers 413"),
        (
            500,
            JSON,
            r#"{"error_code":500,"message":"Internal Server Error"}"#,
            "unknown",
            "unknown",
            "answers 500",
        ),
        (502, "text/html", PAGE, "unknown", "unknown", "answers 502"),
        (504, "text/html", PAGE, "unknown", "unknown", "answers 504"),
    ] {
        for dialect in [Dialect::Strimzi, Dialect::ConfluentV2] {
            let answer = answer(status, content_type, body);
            let (letters, last) = outcomes(dialect, 1, &answer);
            assert_eq!(letters, alone, "{status} {body}");
            assert!(last.contains(reason), "{last}");
            assert_eq!(
                outcomes(dialect, 2, &answer).0,
                format!("{of_two} {of_two}"),
                "{status} {body}"
            );
        }
    }
}
