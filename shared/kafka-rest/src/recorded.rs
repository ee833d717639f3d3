//! Exchanges with real proxies, in their order, as recorded: what is sent is what was sent, and answers are understood.
//!
//! `strimzi-0.33.1.json`: Strimzi's bridge 0.33.1 before Apache Kafka 4.1.2, with names of topics and times made the same.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Request, Response};
use serde::Deserialize;

use super::*;

#[derive(Deserialize)]
struct Exchange {
    name: String,
    method: String,
    path: String,
    /// Left out where it is very long.
    request: Option<String>,
    status: u16,
    content_type: Option<String>,
    answer: String,
}

struct Recorded(VecDeque<Exchange>);

impl Recorded {
    /// The answer to the next request, which must be `request`.
    fn answer(&mut self, name: &str, request: &Request<Bytes>) -> Response<Bytes> {
        let next = self.0.front().unwrap();
        assert_eq!(
            request.uri().path_and_query().unwrap(),
            next.path.as_str(),
            "{name}"
        );
        assert_eq!(request.method().as_str(), next.method, "{name}");
        if let Some(body) = &next.request {
            assert_eq!(std::str::from_utf8(request.body()).unwrap(), body, "{name}");
        }
        self.answer_to_another(name)
    }

    /// The answer to the next request, which nothing here makes.
    fn answer_to_another(&mut self, name: &str) -> Response<Bytes> {
        let next = self.0.pop_front().unwrap();
        assert_eq!(next.name, name);
        let mut answer = Response::builder().status(next.status);
        if let Some(content_type) = next.content_type {
            answer = answer.header(CONTENT_TYPE, content_type);
        }
        answer.body(Bytes::from(next.answer)).unwrap()
    }
}

fn record(value: &str) -> Record {
    Record {
        key: Some(Bytes::from_static(b"k")),
        value: Bytes::copy_from_slice(value.as_bytes()),
        timestamp: Some(1_795_597_682_566),
        headers: vec![("h".into(), Bytes::from_static(b"\xff\x00"))],
        partition: Some(0),
    }
}

fn large(bytes: usize) -> Record {
    record(&format!("{{\"a\":\"{}\"}}", "x".repeat(bytes)))
}

/// That each begins with its kind and holds its words.
fn check(name: &str, found: &[impl Debug], expected: &[(&str, &str)]) {
    assert_eq!(found.len(), expected.len(), "{name}");
    for (found, (kind, words)) in found.iter().zip(expected) {
        let found = format!("{found:?}");
        assert!(
            found.starts_with(kind) && found.contains(words),
            "{name}: {found}"
        );
    }
}

#[test]
fn strimzis_bridge_is_spoken_to_and_understood() {
    let exchanges = include_str!("recorded/strimzi-0.33.1.json");
    let mut recorded = Recorded(serde_json::from_str(exchanges).unwrap());
    let proxy = Proxy::new("http://bridge:8080", Dialect::Strimzi, None).unwrap();
    produce(&mut recorded, &proxy);
    consume(&mut recorded, &proxy);
    assert!(recorded.0.is_empty());
}

fn produce(recorded: &mut Recorded, proxy: &Proxy) {
    let written = |offset| format!("Written {{ partition: 0, offset: {offset} }}");
    produced(
        recorded,
        proxy,
        "two records",
        "test.event",
        &[record("{\"n\":0}"), record("{\"n\":1}")],
        &[(&written(0), ""), (&written(1), "")],
    );
    produced(
        recorded,
        proxy,
        "one record of two is too large",
        "test.event",
        &[record("{\"n\":2}"), large(1_200_000)],
        &[(&written(2), ""), ("Rejected", "1200102 bytes when serialized")],
    );
    // The broker refuses a batch of Kafka's producer as a whole.
    let out_of_range = Record {
        timestamp: Some(1 << 55),
        ..record("{}")
    };
    produced(
        recorded,
        proxy,
        "one timestamp of two is out of range",
        "test.event",
        &[record("{\"n\":3}"), out_of_range],
        &[("Retry", "part of a batch"), ("Rejected", "is out of range")],
    );
    for (name, words) in [
        (
            "a field that is not known",
            "Schema validation error; check the dialect",
        ),
        ("no json", "can't be decoded; check the dialect"),
    ] {
        let answer = recorded.answer_to_another(name);
        check(
            name,
            &proxy.produced("test.event", &[record("{}")], &answer),
            &[("Retry", words)],
        );
    }
    let elsewhere = Record {
        partition: Some(7),
        ..record("{}")
    };
    produced(
        recorded,
        proxy,
        "one partition of two is not there",
        "test.event",
        &[record("{}"), elsewhere],
        &[(&written(4), ""), ("Retry", "Partition 7 of topic test.event")],
    );
    produced(
        recorded,
        proxy,
        "a name that no topic has",
        "no such",
        &[record("{}")],
        &[("Retry", "Invalid topics: [no such]")],
    );
    produced(
        recorded,
        proxy,
        "one record of three is too large for the topic",
        "small.event",
        &[record("{\"n\":1}"), large(1200), record("{\"n\":2}")],
        &[("Unknown", "Expiring 3 record(s)"); 3],
    );
    produced(
        recorded,
        proxy,
        "a record that is too large for the topic",
        "small.event",
        &[large(1200)],
        &[("Rejected", "larger than the max message size")],
    );
    let without_key = Record {
        key: None,
        ..record("{}")
    };
    produced(
        recorded,
        proxy,
        "one record of two has no key in a compacted topic",
        "compact.event",
        &[record("{}"), without_key],
        &[
            ("Retry", "part of a batch"),
            ("Rejected", "cannot accept message without key"),
        ],
    );
    let astray = Proxy::new("http://bridge:8080/nowhere", Dialect::Strimzi, None).unwrap();
    produced(
        recorded,
        &astray,
        "produced below a wrong path",
        "test.event",
        &[record("{}")],
        &[("Retry", "answers 404: Not Found")],
    );
}

fn produced(
    recorded: &mut Recorded,
    proxy: &Proxy,
    name: &str,
    topic: &str,
    records: &[Record],
    expected: &[(&str, &str)],
) {
    let answer = recorded.answer(name, &proxy.produce(topic, records));
    check(name, &proxy.produced(topic, records, &answer), expected);
}

fn consume(recorded: &mut Recorded, proxy: &Proxy) {
    let wait = Duration::from_secs(2);
    let partition = Partition {
        topic: "test.event",
        partition: 0,
    };
    for (name, topic, number, expected) in [
        (
            "offsets",
            "test.event",
            0,
            ("Ok", "Offsets { beginning: 0, end: 4 }"),
        ),
        (
            "offsets of a partition that is not there",
            "test.event",
            9,
            ("Err(Missing", "does not have partition with id 9"),
        ),
        (
            "offsets of a topic that is not there",
            "no.such",
            0,
            ("Err(Missing", "does not host this topic-partition"),
        ),
    ] {
        let asked = Partition {
            topic,
            partition: number,
        };
        let answer = recorded.answer(name, &proxy.offsets(asked));
        check(name, &[offsets_read(&answer)], &[expected]);
    }

    let group = "eventstar-relay-x";
    let request = proxy.create_consumer(group, "one", wait);
    let answer = recorded.answer("created", &request);
    let consumer = proxy.consumer_created(group, &answer).unwrap();
    let answer = recorded.answer("created again", &request);
    let again = proxy.consumer_created(group, &answer);
    check("created again", &[again], &[("Err(Conflict", "already exists")]);
    let confluent = Proxy::new("http://bridge:8080", Dialect::ConfluentV2, None).unwrap();
    let request = confluent.create_consumer(group, "two", Duration::from_secs(5));
    let answer = recorded.answer("created in the other dialect", &request);
    let refused = confluent.consumer_created(group, &answer);
    check(
        "created in the other dialect",
        &[refused],
        &[("Err(Refused", "check the URL, the dialect")],
    );
    let astray = Proxy::new("http://bridge:8080/nowhere", Dialect::Strimzi, None).unwrap();
    let answer = recorded.answer(
        "created below a wrong path",
        &astray.create_consumer("g", "i", wait),
    );
    let refused = astray.consumer_created("g", &answer);
    check(
        "created below a wrong path",
        &[refused],
        &[("Err(Refused", "check the URL")],
    );

    let poll = proxy.poll(&consumer, wait, 100_000);
    let place = |seek| proxy.seek(&consumer, partition, seek);
    let end = place(Seek::End);
    let delete = proxy.delete_consumer(&consumer);
    for (name, request, expected) in [
        ("polled unassigned", &poll, ("Err(Unavailable", "not subscribed")),
        (
            "placed unassigned",
            &place(Seek::Offset(0)),
            ("Err(Forgotten", "No current assignment"),
        ),
        ("assigned", &proxy.assign(&consumer, partition), ("Ok", "")),
        ("placed", &place(Seek::Offset(0)), ("Ok", "")),
        ("polled", &poll, ("Ok", "[0, 1, 2, 3]")),
        ("polled, nothing there", &poll, ("Ok", "[]")),
        ("placed at the beginning", &place(Seek::Beginning), ("Ok", "")),
        // What was polled is passed by.
        (
            "polled, too large",
            &proxy.poll(&consumer, wait, 100),
            ("Err(TooLarge", "exceeds the maximum"),
        ),
        ("polled after too large", &poll, ("Ok", "[]")),
        ("placed at the end", &end, ("Ok", "")),
        ("placed after the end", &place(Seek::Offset(1000)), ("Ok", "")),
        ("polled after the end", &poll, ("Ok", "[0, 1, 2, 3]")),
        (
            "polled in another format",
            &poll,
            ("Err(Refused", "Consumer format does not match"),
        ),
        ("deleted", &delete, ("Ok", "")),
        ("polled when deleted", &poll, ("Err(Forgotten", "was not found")),
        ("deleted again", &delete, ("Err(Forgotten", "was not found")),
    ] {
        let answer = recorded.answer(name, request);
        let found = if name.starts_with("polled") {
            polled(&answer).map(|records| format!("{:?}", offsets_of(&records)))
        } else {
            done(&answer).map(|()| String::new())
        };
        check(name, &[found], &[expected]);
        if name == "polled" {
            let first = &polled(&answer).unwrap()[0];
            let sent = record("{\"n\":0}");
            assert_eq!(
                (
                    first.key.clone(),
                    first.value.clone(),
                    first.timestamp,
                    first.headers.clone()
                ),
                (sent.key, Some(sent.value), sent.timestamp, sent.headers)
            );
        }
    }
}

fn offsets_of(records: &[Consumed]) -> Vec<u64> {
    records.iter().map(|record| record.offset).collect()
}
