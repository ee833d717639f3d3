//! What a connection says besides events, and how it ends.

use eventstar_ports::Metrics as _;

use super::*;

/// The next piece of `stream` that is no heartbeat.
async fn piece(stream: &mut ByteStream) -> Option<String> {
    loop {
        let piece = String::from_utf8(stream.next().await?.to_vec()).unwrap();
        if piece != ":\n\n" {
            return Some(piece);
        }
    }
}

async fn opened(isolate: &Rc<Isolate>, memory: &Memory, path: &str, id: Option<&str>) -> ByteStream {
    let headers: Vec<_> = id.iter().map(|id| ("last-event-id", *id)).collect();
    let (_, stream) = open(isolate, memory, path, &headers).await;
    let mut stream = stream.unwrap_or_else(|| panic!("{path}"));
    assert_eq!(stream.next().await.unwrap(), ":ok\n\n");
    stream
}

async fn metric(memory: &Memory, name: &str) -> u64 {
    let samples = memory.metrics().read().await.unwrap();
    samples
        .iter()
        .filter(|sample| sample.name == name)
        .map(|sample| sample.value)
        .sum()
}

#[test]
fn an_id_of_another_log_is_told_as_a_gap_and_goes_on_by_its_timestamp() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..4).await;
        let (start, id) = (
            memory.now(),
            json!([{"topic": "a", "partition": 0, "offset": 900, "timestamp": memory.now() + 2}]),
        );
        let mut stream = opened(&isolate, &memory, "/v2/stream/a", Some(&id.to_string())).await;
        let expected = format!(
            "event: gap\nid: [{{\"topic\":\"a\",\"partition\":0,\"offset\":2,\"timestamp\":{time}}}]\n\
             data: {{\"type\":\"gap\",\"reason\":\"foreign\",\"topic\":\"a\",\"partition\":0,\
             \"from\":{{\"offset\":900,\"timestamp\":{time}}},\"to\":{{\"offset\":2,\"timestamp\":{time}}}}}\n\n",
            time = start + 2
        );
        assert_eq!(piece(&mut stream).await.unwrap(), expected);
        assert_eq!(numbers(&read(&mut stream, 2).await), [2, 3]);
    });
}

#[test]
fn an_id_of_its_own_log_opens_without_a_gap() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..4).await;
        let mut stream = opened(&isolate, &memory, "/v2/stream/a?since=0", None).await;
        let ids: Vec<String> = read(&mut stream, 4).await.into_iter().map(|(id, _)| id).collect();
        for (nth, id) in ids.iter().enumerate().take(3) {
            let mut stream = opened(&isolate, &memory, "/v2/stream/a", Some(id)).await;
            let next = piece(&mut stream).await.unwrap();
            assert!(next.starts_with("event: message\n"), "{next}");
            assert!(next.contains(&format!("\"n\":{}", nth + 1)), "{next}");
        }
    });
}

#[test]
fn a_connection_ends_as_planned_with_an_id_and_a_time_to_come_back() {
    run(async {
        let (isolate, memory) = world("*").await;
        let memory = memory.with("CONNECTION_SECONDS", "100");
        append(&memory, "a", 0, 0..1).await;
        let mut stream = opened(&isolate, &memory, "/v2/stream/a?since=0", None).await;
        let (id, _) = read(&mut stream, 1).await.remove(0);
        let last = piece(&mut stream).await.unwrap();
        let retry = last
            .strip_prefix(&format!("id: {id}\nretry: "))
            .unwrap_or_else(|| panic!("{last}"));
        let retry: u64 = retry.trim_end().parse().unwrap();
        assert!((1000..=5000).contains(&retry), "{retry}");
        assert_eq!(stream.next().await, None);

        let accept = [("accept", "application/json")];
        let (_, stream) = open(&isolate, &memory, "/v2/stream/a?since=0", &accept).await;
        let pieces: Vec<Bytes> = stream.unwrap().collect().await;
        let words = pieces.iter().filter(|piece| *piece != "\n").count();
        assert_eq!(words, 1, "NDJSON has no place for a word on the end: {pieces:?}");
    });
}

#[test]
fn a_client_that_does_not_read_is_told_so_and_goes_on_from_its_last_id() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..3).await;
        let mut stream = opened(&isolate, &memory, "/v2/stream/a?since=0", None).await;
        let (id, _) = read(&mut stream, 3).await.remove(2);
        memory.advance(30_001);
        let last = piece(&mut stream).await.unwrap();
        assert!(
            last.starts_with(&format!("event: error\nid: {id}\ndata: ")),
            "{last}"
        );
        assert!(last.contains("SlowClientError"), "{last}");
        assert_eq!(stream.next().await, None);
    });
}

#[test]
fn events_that_are_at_hand_are_one_piece_up_to_a_size() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..5).await;
        let mut stream = opened(&isolate, &memory, "/v2/stream/a?since=0", None).await;
        assert_eq!(
            piece(&mut stream)
                .await
                .unwrap()
                .matches("event: message")
                .count(),
            5
        );
        let large = format!("{{\"text\":\"{}\"}}", "x".repeat(40_000));
        for n in 0..4 {
            append_event(&memory, "a", &large.replacen('x', &n.to_string(), 1)).await;
        }
        assert_eq!(
            piece(&mut stream)
                .await
                .unwrap()
                .matches("event: message")
                .count(),
            2
        );
        assert_eq!(
            piece(&mut stream)
                .await
                .unwrap()
                .matches("event: message")
                .count(),
            2
        );
    });
}

#[test]
fn aliases_lead_to_their_streams() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..1).await;
        let mut stream = opened(&isolate, &memory, "/v2/stream/also-a?since=0", None).await;
        assert_eq!(numbers(&read(&mut stream, 1).await), [0]);
    });
}

#[test]
fn who_acted_on_a_redacted_page_is_sent_to_nobody_and_what_cannot_be_redacted_not_at_all() {
    run(async {
        let (isolate, memory) = world("*").await;
        let memory = memory.with("REDACTED_PAGES", r#"{"en.test": ["Secret"]}"#);
        let events = [
            r#"{"meta":{"domain":"en.test"},"page_title":["Secret"],"performer":"A"}"#,
            r#"{"meta":{"domain":"en.test"},"page_title":"secret","performer":"A"}"#,
        ];
        for event in events {
            append_event(&memory, "a", event).await;
        }
        let mut stream = opened(&isolate, &memory, "/v2/stream/a?since=0", None).await;
        let event = piece(&mut stream).await.unwrap();
        assert!(event.contains("\"offset\":1}"), "{event}");
        assert!(
            event.contains("\"page_title\":\"secret\"") && !event.contains("performer"),
            "{event}"
        );
        piece_of_time(&memory, &mut stream).await;
        assert_eq!(metric(&memory, "eventstar_relay_withheld_events_total").await, 1);
    });
}

/// Lets some heartbeats pass, so that what was counted is handed on.
async fn piece_of_time(memory: &Memory, stream: &mut ByteStream) {
    for _ in 0..2 {
        assert_eq!(stream.next().await.unwrap(), ":\n\n");
        memory.run_background().await;
    }
}

#[test]
fn nothing_is_read_while_it_is_not_known_what_to_redact() {
    run(async {
        let (isolate, memory) = world("*").await;
        let memory = memory.with("REDACTED_PAGES", "en.test: Secret");
        let (response, stream) = open(&isolate, &memory, "/v2/stream/a", &[]).await;
        assert!(stream.is_none());
        assert_eq!(response.status(), 503);
        assert!(memory.lines().iter().any(|line| line.contains("REDACTED_PAGES")));
    });
}

#[test]
fn what_is_sent_is_counted_by_stream() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "a", 0, 0..3).await;
        let mut stream = opened(&isolate, &memory, "/v2/stream/a,b?since=0", None).await;
        read(&mut stream, 3).await;
        piece_of_time(&memory, &mut stream).await;
        for (name, expected) in [
            ("eventstar_relay_connections_total", 2),
            ("eventstar_relay_events_total", 3),
        ] {
            assert_eq!(metric(&memory, name).await, expected, "{name}");
        }
        drop(stream);
        open(&isolate, &memory, "/v2/stream/nope", &[]).await;
        memory.advance(20_000);
        let mut stream = opened(&isolate, &memory, "/v2/stream/a", None).await;
        piece_of_time(&memory, &mut stream).await;
        assert_eq!(metric(&memory, "eventstar_relay_ended_total").await, 1);
        assert_eq!(metric(&memory, "eventstar_relay_refused_total").await, 1);
    });
}

#[test]
fn a_thousand_clients_come_and_go_and_nothing_of_them_stays() {
    const GAUGE: &str = "eventstar_relay_connected_clients";
    run(async {
        let (isolate, memory) = world("*").await;
        let connected = async || {
            let samples = memory.metrics().read().await.unwrap();
            let of = |stream: &str| {
                let labels = format!("stream=\"{stream}\"");
                let mut found = samples
                    .iter()
                    .filter(|sample| sample.name == GAUGE && sample.labels == labels);
                found.next().map(|sample| sample.value)
            };
            (of("a"), of("b"))
        };
        let mut streams = Vec::new();
        for nth in 0..1000 {
            let path = ["/v2/stream/a", "/v2/stream/a,b"][nth % 2];
            streams.push(opened(&isolate, &memory, path, None).await);
        }
        memory.run_background().await;
        assert_eq!(connected().await, (Some(1000), Some(500)));

        // What is connected stays counted, for as long as it is.
        for _ in 0..10 {
            piece_of_time(&memory, &mut streams[0]).await;
        }
        assert_eq!(connected().await, (Some(1000), Some(500)));

        streams.drain(..400);
        memory.run_background().await;
        assert_eq!(connected().await, (Some(600), Some(300)));
        streams.clear();
        memory.run_background().await;
        assert_eq!(connected().await, (None, None));
        assert_eq!(metric(&memory, "eventstar_relay_ended_total").await, 1000);
        assert_eq!(Rc::strong_count(&isolate), 1, "a connection is left");
    });
}

#[test]
fn clients_of_a_killed_isolate_are_forgotten_after_a_minute() {
    run(async {
        let (isolate, memory) = world("*").await;
        std::mem::forget(opened(&isolate, &memory, "/v2/stream/a", None).await);
        memory.run_background().await;
        assert_eq!(metric(&memory, "eventstar_relay_connected_clients").await, 1);
        memory.advance(60_000);
        assert_eq!(metric(&memory, "eventstar_relay_connected_clients").await, 0);
    });
}

#[test]
fn an_isolate_reports_at_most_every_fifteen_seconds() {
    run(async {
        let (isolate, memory) = world("*").await;
        let start = memory.now();
        let mut reports = 0;
        for _ in 0..100 {
            let calls = memory.calls();
            open(&isolate, &memory, "/v2/stream/nope", &[]).await;
            memory.advance(500);
            let lookups = memory.calls() - calls;
            memory.run_background().await;
            reports += memory.calls() - calls - lookups;
        }
        assert!(reports <= 1 + (memory.now() - start) / 15_000, "{reports}");
        assert!(reports > 1, "{reports}");
    });
}

#[test]
fn a_stream_is_compressed_for_clients_that_take_it_where_that_is_set() {
    run(async {
        for (setting, accepted, encoding) in [
            ("gzip", "gzip, br", Some("gzip")),
            ("gzip", "br", None),
            ("", "gzip", None),
        ] {
            let (isolate, memory) = world("*").await;
            let memory = memory.with("COMPRESS_STREAMS", setting);
            let headers = [("accept-encoding", accepted)];
            let (response, stream) = open(&isolate, &memory, "/v2/stream/a", &headers).await;
            let found = response.headers().get("content-encoding");
            assert_eq!(
                found.and_then(|value| value.to_str().ok()),
                encoding,
                "{setting} {accepted}"
            );
            let first = stream.unwrap().next().await.unwrap();
            assert_eq!(first == ":ok\n\n", encoding.is_none(), "{setting} {accepted}");
        }
    });
}
