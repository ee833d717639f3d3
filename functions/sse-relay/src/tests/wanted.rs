//! Filters, fields and bounds, on a connection.

use eventstar_ports::{Sql, Statement};

use super::*;

/// Appends events as one chunk: `n`, whether it is even, and a domain.
async fn append_events(memory: &Memory, topic: &str, partition: u32, ns: std::ops::Range<u64>) {
    let log = LogName {
        topic: Topic::parse(topic).unwrap(),
        partition,
        epoch: 0,
    };
    let envelope = |n: u64| {
        let even = n.is_multiple_of(2);
        let domain = if n.is_multiple_of(3) { "canary" } else { "shop" };
        Envelope {
            id: format!("{topic}-{partition}-{n}"),
            dt: memory.now() + n,
            stream: topic.into(),
            key: None,
            headers: BTreeMap::new(),
            event: format!(r#"{{"n":{n},"even":{even},"meta":{{"domain":"{domain}"}}}}"#),
        }
    };
    let batch: Vec<Envelope> = ns.map(envelope).collect();
    memory.append(&log, &batch).await.unwrap();
}

/// More blocks than a stream here has: one that does not end fails its test, and does not hang it.
const ALL: usize = 5_000;

/// The blocks of a stream, up to `count` of them.
async fn read_blocks(stream: ByteStream, count: usize) -> Vec<String> {
    let mut text = String::new();
    let mut stream = stream;
    while text.matches("\n\n").count() < count {
        let Some(piece) = stream.next().await else { break };
        text.push_str(std::str::from_utf8(&piece).unwrap());
    }
    text.split_terminator("\n\n").map(str::to_owned).collect()
}

fn id_of(block: &str) -> Option<String> {
    let mut lines = block.lines();
    lines
        .find_map(|line| line.strip_prefix("id: "))
        .map(str::to_owned)
}

fn data_of(block: &str) -> Option<Value> {
    let mut lines = block.lines();
    let data = lines.find_map(|line| line.strip_prefix("data: "))?;
    Some(serde_json::from_str(data).unwrap())
}

/// The `n` of the events among the blocks.
fn ns(blocks: &[String]) -> Vec<u64> {
    let events = blocks.iter().filter(|block| block.starts_with("event: message"));
    events.filter_map(|block| data_of(block)?["n"].as_u64()).collect()
}

async fn opened(
    isolate: &Rc<Isolate>,
    memory: &Memory,
    query: &str,
    headers: &[(&'static str, &str)],
) -> ByteStream {
    let (response, stream) = open(isolate, memory, &format!("/v2/stream/{query}"), headers).await;
    stream.unwrap_or_else(|| panic!("{query}: {}", response.status()))
}

/// The id of log `a` at an offset whose events have the timestamps of `append_events` from `start` on.
fn id_at(offset: u64, start: u64) -> String {
    format!(
        r#"[{{"topic":"a","partition":0,"offset":{offset},"timestamp":{}}}]"#,
        start + offset
    )
}

#[test]
fn only_events_that_fit_are_sent_and_their_ids_are_those_of_the_log() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        append_events(&memory, "a", 0, 0..10).await;
        for (query, expected) in [
            ("filter=even=true", vec![0, 2, 4, 6, 8]),
            ("filter=meta.offset%20%3E%3D%207", vec![7, 8, 9]),
            ("filter=meta.topic=a%20AND%20n=(3%20OR%205)", vec![3, 5]),
            ("canary=false&filter=even=true", vec![2, 4, 8]),
            ("canary=true&filter=even=true", vec![0, 2, 4, 6, 8]),
            ("domain=shop,other", vec![1, 2, 4, 5, 7, 8]),
        ] {
            let stream = opened(&isolate, &memory, &format!("a?since=0&{query}"), &[]).await;
            let blocks = read_blocks(stream, expected.len() + 1).await;
            assert_eq!(ns(&blocks), expected, "{query}");
            let last = *expected.last().unwrap();
            assert_eq!(
                id_of(blocks.last().unwrap()),
                Some(id_at(last + 1, start)),
                "{query}"
            );
        }
    });
}

#[test]
fn fields_are_those_asked_for_and_no_others() {
    run(async {
        let (isolate, memory) = world("*").await;
        append_events(&memory, "a", 0, 4..5).await;
        for (query, expected) in [
            ("fields=n", json!({"n": 4})),
            (
                "fields=meta.offset,meta.domain",
                json!({"meta": {"domain": "shop", "offset": 0}}),
            ),
            ("fields=nope", json!({})),
            ("fields=n&filter=even=true", json!({"n": 4})),
        ] {
            let stream = opened(&isolate, &memory, &format!("a?since=0&{query}"), &[]).await;
            assert_eq!(
                data_of(&read_blocks(stream, 2).await[1]),
                Some(expected),
                "{query}"
            );
        }
        let accept = ("accept", "application/json");
        let mut stream = opened(&isolate, &memory, "a?since=0&fields=n", &[accept]).await;
        assert_eq!(stream.next().await.unwrap(), "\n");
        assert_eq!(stream.next().await.unwrap(), "{\"n\":4}\n");
    });
}

#[test]
fn an_id_comes_after_a_thousand_events_that_were_passed_over() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        for events in [0..500, 500..1000, 1000..1500, 1500..2000, 2000..2001] {
            append_events(&memory, "a", 0, events).await;
        }
        let stream = opened(&isolate, &memory, "a?since=0&filter=n=2000", &[]).await;
        let blocks = read_blocks(stream, 4).await;
        assert_eq!(blocks[1], format!("id: {}", id_at(1000, start)));
        assert_eq!(blocks[2], format!("id: {}", id_at(2000, start)));
        assert_eq!(ns(&blocks), [2000]);
        let accept = ("accept", "application/json");
        let mut stream = opened(&isolate, &memory, "a?since=0&filter=n=2000&fields=n", &[accept]).await;
        assert_eq!(stream.next().await.unwrap(), "\n");
        assert_eq!(
            stream.next().await.unwrap(),
            "{\"n\":2000}\n",
            "NDJSON has no ids"
        );
    });
}

#[test]
fn a_heartbeat_is_an_id_where_events_were_passed_over() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        append_events(&memory, "a", 0, 0..3).await;
        let stream = opened(&isolate, &memory, "a?since=0&filter=n=7", &[]).await;
        let blocks = read_blocks(stream, 3).await;
        assert_eq!(blocks[1], format!("id: {}", id_at(3, start)));
        assert_eq!(blocks[2], ":");
        let stream = opened(&isolate, &memory, "a?since=0&filter=n=2", &[]).await;
        let blocks = read_blocks(stream, 3).await;
        assert_eq!(
            (ns(&blocks), blocks[2].as_str()),
            (vec![2], ":"),
            "an event has told its id"
        );
    });
}

#[test]
fn a_filtered_stream_loses_and_repeats_nothing_over_a_hundred_disconnects() {
    run(async {
        let (isolate, memory) = world("*").await;
        let mut seed = 11_u64;
        let mut random = |below: u64| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 33) % below
        };
        let (mut seen, mut posted, mut id) = (Vec::new(), 0, None::<String>);
        for _ in 0..100 {
            for _ in 0..random(60) {
                append_events(
                    &memory,
                    "parted",
                    u32::try_from(random(3)).unwrap(),
                    posted..posted + 1,
                )
                .await;
                posted += 1;
            }
            let headers: Vec<_> = id.iter().map(|id| ("last-event-id", id.as_str())).collect();
            let query = "parted?since=0&filter=even=true";
            let stream = opened(&isolate, &memory, query, &headers).await;
            // The client goes in the middle of events, of ids alone, and of heartbeats.
            let count = 1 + usize::try_from(random(20)).unwrap();
            let mut blocks = read_blocks(stream, count).await;
            blocks.truncate(count);
            seen.extend(ns(&blocks));
            id = blocks.iter().rev().find_map(|block| id_of(block)).or(id);
        }
        memory.advance(60_000);
        let headers = [("last-event-id", id.as_deref().unwrap())];
        let query = "parted?filter=even=true&until=-0s";
        seen.extend(ns(&read_blocks(
            opened(&isolate, &memory, query, &headers).await,
            ALL,
        )
        .await));
        seen.sort_unstable();
        let expected: Vec<u64> = (0..posted).filter(|n| n % 2 == 0).collect();
        assert!(seen == expected, "{} of {}", seen.len(), expected.len());
    });
}

#[test]
fn a_limited_stream_ends_after_so_many_events_and_goes_on_from_its_end() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        append_events(&memory, "a", 0, 0..10).await;
        let stream = opened(&isolate, &memory, "a?since=0&limit=3&filter=even=true", &[]).await;
        let first = read_blocks(stream, ALL).await;
        assert_eq!(ns(&first), [0, 2, 4]);
        let end = first.last().unwrap();
        assert_eq!(
            *end,
            format!(
                "event: end\nid: {}\ndata: {{\"reason\":\"limit\"}}",
                id_at(5, start)
            )
        );
        let id = id_of(end).unwrap();
        let stream = opened(&isolate, &memory, "a?limit=2", &[("last-event-id", &id)]).await;
        assert_eq!(ns(&read_blocks(stream, ALL).await), [5, 6]);
        let accept = ("accept", "application/json");
        let stream = opened(&isolate, &memory, "a?since=0&limit=2&fields=n", &[accept]).await;
        let pieces: Vec<Bytes> = stream.collect().await;
        assert_eq!(pieces.concat(), b"\n{\"n\":0}\n{\"n\":1}\n");
    });
}

#[test]
fn windows_of_time_share_no_event_and_leave_none_out() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        for partition in 0..2 {
            append_events(&memory, "parted", partition, 0..10).await;
        }
        for n in 0..10 {
            append_events(&memory, "parted", 2, n..n + 1).await;
        }
        memory.advance(60_000);
        let mut all = Vec::new();
        for (since, until, count) in [
            (0, start + 4, 12),
            (start + 4, start + 9, 15),
            (start + 9, start + 50, 3),
        ] {
            let query = format!("parted?since={since}&until={until}");
            let blocks = read_blocks(opened(&isolate, &memory, &query, &[]).await, ALL).await;
            assert_eq!(ns(&blocks).len(), count, "{query}");
            assert_eq!(blocks.len(), count + 2, "{query}: {blocks:?}");
            let end = blocks.last().unwrap();
            assert!(end.starts_with("event: end\n"), "{end}");
            assert_eq!(data_of(end), Some(json!({"reason": "until"})));
            all.extend(ns(&blocks));
        }
        all.sort_unstable();
        let expected: Vec<u64> = (0..10).flat_map(|n| [n; 3]).collect();
        assert_eq!(all, expected);
    });
}

#[test]
fn a_log_that_is_past_the_end_is_quiet_while_others_are_read() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        for n in 0..10 {
            append_events(&memory, "a", 0, n..n + 1).await;
            append_event(&memory, "eqiad.b", &format!("{{\"n\":{}}}", 100 + n)).await;
        }
        memory.advance(60_000);
        let query = format!("a,b?since=0&until={}", start + 1);
        let blocks = read_blocks(opened(&isolate, &memory, &query, &[]).await, ALL).await;
        assert_eq!(ns(&blocks).len(), 11, "{blocks:?}");
        assert_eq!(blocks.len(), 13, "{blocks:?}");
    });
}

#[test]
fn a_read_until_a_past_time_ends_where_a_log_is_empty_or_read() {
    run(async {
        let (isolate, memory) = world("*").await;
        append_events(&memory, "eqiad.b", 0, 0..2).await;
        memory.advance(60_000);
        for (query, expected) in [
            ("a?since=0&until=-1s", vec![]),
            ("b?since=0&until=-1s", vec![0, 1]),
            ("b?until=-1s", vec![]),
            ("a,b?since=-1d&until=-1s&filter=n=1", vec![1]),
        ] {
            let stream = opened(&isolate, &memory, query, &[]).await;
            let blocks = read_blocks(stream, ALL).await;
            assert_eq!(ns(&blocks), expected, "{query}");
            assert!(blocks.last().unwrap().starts_with("event: end"), "{query}");
            assert_eq!(
                blocks.len(),
                expected.len() + 2,
                "without a heartbeat: {blocks:?}"
            );
        }
    });
}

#[test]
fn a_read_until_a_time_to_come_has_all_events_before_it() {
    run(async {
        let (isolate, memory) = world("*").await;
        let until = memory.now() + 20_000;
        append_events(&memory, "a", 0, 0..2).await;
        let mut stream = opened(&isolate, &memory, &format!("a,b?since=0&until={until}"), &[]).await;
        assert_eq!(numbers(&read(&mut stream, 2).await), [0, 1]);
        append_events(&memory, "a", 0, 2..3).await;
        assert_eq!(numbers(&read(&mut stream, 1).await), [2]);
        assert!(memory.now() < until);
        append_events(&memory, "codfw.b", 0, 3..4).await;
        memory.advance(until - memory.now());
        append_events(&memory, "codfw.b", 0, 4..5).await;
        let rest = read_blocks(stream, ALL).await;
        assert_eq!(ns(&rest), [3], "{rest:?}");
        let end = rest.last().unwrap();
        assert_eq!(data_of(end), Some(json!({"reason": "until"})));
        let id: Value = serde_json::from_str(&id_of(end).unwrap()).unwrap();
        let of_b = id
            .as_array()
            .unwrap()
            .iter()
            .find(|entry| entry["topic"] == "codfw.b")
            .unwrap();
        assert_eq!(of_b["offset"], 1, "what is past until is not read: {id}");
    });
}

#[test]
fn a_read_until_a_time_to_come_ends_at_it_and_not_a_heartbeat_later() {
    run(async {
        for (seconds, heartbeats) in [(5, 1), (20, 2), (38, 3)] {
            let (isolate, memory) = world("*").await;
            let until = memory.now() + seconds * 1000;
            let mut stream = opened(&isolate, &memory, &format!("a,b?until={until}"), &[]).await;
            assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
            for _ in 0..heartbeats {
                assert!(memory.now() < until);
                assert_eq!(stream.next().await.unwrap(), ":\n\n");
            }
            let late = memory.now() - until;
            assert!(late < 5000, "{seconds} s: {late} ms late");
            let end = stream.next().await.unwrap();
            assert!(end.starts_with(b"event: end\n"), "{end:?}");
            assert_eq!(stream.next().await, None);
        }
    });
}

#[test]
fn a_chunk_that_cannot_be_read_does_not_keep_a_bounded_read_open() {
    run(async {
        let (isolate, memory) = world("*").await;
        append_events(&memory, "a", 0, 0..2).await;
        append_events(&memory, "a", 0, 2..4).await;
        let broken = Statement::new(
            "UPDATE chunk SET lines = ? WHERE base = 2",
            vec!["no envelope\n".into()],
        );
        memory.sql().write(vec![broken]).await.unwrap();
        memory.advance(60_000);
        let stream = opened(&isolate, &memory, "a?since=0&until=-1s", &[]).await;
        let blocks = read_blocks(stream, ALL).await;
        assert_eq!(ns(&blocks), [0, 1]);
        assert!(blocks.last().unwrap().starts_with("event: end"), "{blocks:?}");
    });
}

#[test]
fn a_bounded_read_that_breaks_off_has_no_end_event() {
    run(async {
        let (isolate, memory) = world("*").await;
        append_events(&memory, "a", 0, 0..1).await;
        memory.advance(60_000);
        let stream = opened(&isolate, &memory, "a?since=0&until=-1s", &[]).await;
        memory.sql().fail_reads(u32::MAX);
        let blocks = read_blocks(stream, ALL).await;
        let (last, before) = blocks.split_last().unwrap();
        assert!(before.iter().all(|block| block.starts_with(':')), "{blocks:?}");
        assert!(last.starts_with("event: error"), "{blocks:?}");
    });
}

#[test]
fn parameters_that_cannot_be_obeyed_are_400_and_say_what_is_taken() {
    run(async {
        let (isolate, memory) = world("*").await;
        for (query, kind, title, detail) in [
            (
                "filter=wiki==enwiki",
                "invalid_parameter",
                "Invalid Parameter",
                "filter: column 6: expected a value, found =enwiki; an example: wiki = enwiki AND",
            ),
            (
                "fields=a..b",
                "invalid_parameter",
                "Invalid Parameter",
                "fields: expected names",
            ),
            (
                "canary=no",
                "invalid_parameter",
                "Invalid Parameter",
                "canary: expected true",
            ),
            (
                "domain=,",
                "invalid_parameter",
                "Invalid Parameter",
                "domain: expected names",
            ),
            (
                "wiki=,",
                "invalid_parameter",
                "Invalid Parameter",
                "wiki: expected names",
            ),
            (
                "limit=0",
                "invalid_parameter",
                "Invalid Parameter",
                "limit: expected a number",
            ),
            (
                "until=soon",
                "invalid_timestamp",
                "Invalid timestamp",
                "until: expected milliseconds",
            ),
            (
                "since=-5x",
                "invalid_timestamp",
                "Invalid timestamp",
                "not parseable: '-5x'",
            ),
            (
                "since=1704067200",
                "invalid_timestamp",
                "Invalid timestamp",
                "not parseable: '1704067200': ten digits are seconds, write milliseconds, 1704067200000",
            ),
            (
                "since=2024-01-01T00:00:00+01:00",
                "invalid_timestamp",
                "Invalid timestamp",
                "not parseable: '2024-01-01T00:00:00 01:00': a + in a URL is a space, write %2B for it",
            ),
            (
                "until=2024-01-01T00:00+0100",
                "invalid_timestamp",
                "Invalid timestamp",
                "found '2024-01-01T00:00 0100': a + in a URL is a space, write %2B for it",
            ),
        ] {
            let (response, stream) = open(&isolate, &memory, &format!("/v2/stream/a?{query}"), &[]).await;
            assert!(stream.is_none(), "{query}");
            assert_eq!(response.status(), 400, "{query}");
            let Body::Full(body) = response.into_body() else {
                panic!("streams")
            };
            let body: Value = serde_json::from_slice(&body).unwrap();
            assert_eq!(
                (&body["type"], &body["title"]),
                (&json!(kind), &json!(title)),
                "{query}"
            );
            let said = body["detail"].as_str().unwrap();
            assert!(said.contains(detail), "{query}: {said}");
        }
    });
}

#[test]
fn since_and_until_take_dates_as_people_write_them() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..2000).await;
        for (since, until) in [
            ("2024-01-01T00:00:01Z", "2024-01-01T00:00:01.003Z"),
            ("2024-01-01T01:00:01%2B0100", "2024-01-01+00:00:01,003"),
            ("20240101T000001Z", "2024-01-01T02:00:01.003%2B02"),
            ("Mon,+01+Jan+2024+00:00:01+GMT", "2024-01-01t00:00:01.003z"),
            ("20240101000001", "1704067201003"),
        ] {
            let path = format!("a?since={since}&until={until}");
            let mut stream = opened(&isolate, &memory, &path, &[]).await;
            assert_eq!(numbers(&read(&mut stream, 3).await), [1000, 1001, 1002], "{path}");
        }
        let mut stream = opened(&isolate, &memory, "a?since=2024-01&limit=1", &[]).await;
        assert_eq!(numbers(&read(&mut stream, 1).await), [0]);
    });
}
