//! Readers that come back after the stream config has changed.

use super::*;

async fn publish(memory: &Memory, config: &Value) {
    let config = serde_json::value::to_raw_value(config).unwrap();
    memory
        .ask(RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        })
        .await
        .unwrap();
    // Longer than an isolate keeps a config.
    memory.advance(60_000);
}

/// The numbers of the next events, and the texts of the `gap` events before and between them.
async fn resumed(
    memory: &Memory,
    isolate: &Rc<Isolate>,
    path: &str,
    id: &str,
    count: usize,
) -> (Vec<u64>, Vec<Value>, String) {
    let (response, stream) = open(isolate, memory, path, &[("last-event-id", id)]).await;
    let mut stream = stream.unwrap_or_else(|| panic!("{}", response.status()));
    let (mut numbers, mut gaps, mut last) = (Vec::new(), Vec::new(), String::new());
    while numbers.len() < count {
        let piece = stream.next().await.expect("goes on");
        for frame in std::str::from_utf8(&piece).unwrap().split("\n\n") {
            let Some((head, data)) = frame.split_once("\ndata: ") else {
                continue;
            };
            let (event, id) = head.split_once("\nid: ").unwrap();
            let data: Value = serde_json::from_str(data).unwrap();
            if event == "event: gap" {
                gaps.push(data);
                continue;
            }
            numbers.push(data["n"].as_u64().unwrap());
            last = id.to_owned();
        }
    }
    numbers.sort_unstable();
    (numbers, gaps, last)
}

#[test]
fn a_reader_that_resumes_gets_what_is_in_new_partitions_and_topics() {
    run(async {
        let (isolate, memory) = world("*").await;
        publish(&memory, &json!({"s": {}, "other": {}})).await;
        append(&memory, "s", 0, 0..2).await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/s,other?since=0", &[]).await;
        let id = read(&mut stream.unwrap(), 2).await[1].0.clone();
        publish(
            &memory,
            &json!({"s": {"partitions": 3, "topics": ["s", "also"]}, "other": {}}),
        )
        .await;
        append(&memory, "s", 2, 10..12).await;
        append(&memory, "also", 0, 20..21).await;
        append(&memory, "s", 0, 2..3).await;
        let (numbers, gaps, id) = resumed(&memory, &isolate, "/v2/stream/s,other", &id, 4).await;
        assert_eq!((numbers, gaps), (vec![2, 10, 11, 20], vec![]));
        // What was read is not read again.
        append(&memory, "also", 2, 30..31).await;
        let (numbers, _, _) = resumed(&memory, &isolate, "/v2/stream/s,other", &id, 1).await;
        assert_eq!(numbers, [30]);
    });
}

#[test]
fn a_reader_of_some_partitions_stays_with_them_however_often_it_comes_back() {
    run(async {
        let (isolate, memory) = world("*").await;
        append(&memory, "parted", 0, 0..2).await;
        append(&memory, "parted", 1, 10..12).await;
        let id = r#"[{"topic":"parted","partition":0,"offset":0}]"#;
        let (numbers, _, id) = resumed(&memory, &isolate, "/v2/stream/parted", id, 2).await;
        assert_eq!(numbers, [0, 1]);
        append(&memory, "parted", 0, 2..3).await;
        let (numbers, _, id) = resumed(&memory, &isolate, "/v2/stream/parted", &id, 1).await;
        assert_eq!(numbers, [2]);
        assert!(
            id.contains("\"partial\":true") && !id.contains("\"partition\":1"),
            "{id}"
        );
    });
}

#[test]
fn a_reader_whose_topic_is_gone_is_told_and_goes_on_with_the_rest() {
    run(async {
        let (isolate, memory) = world("*").await;
        publish(&memory, &json!({"s": {"topics": ["old", "kept"]}})).await;
        append(&memory, "kept", 0, 0..1).await;
        let (_, stream) = open(&isolate, &memory, "/v2/stream/s?since=0", &[]).await;
        let id = read(&mut stream.unwrap(), 1).await[0].0.clone();
        publish(&memory, &json!({"s": {"topics": ["kept", "new"]}})).await;
        append(&memory, "kept", 0, 1..2).await;
        append(&memory, "new", 0, 10..11).await;
        let (numbers, gaps, id) = resumed(&memory, &isolate, "/v2/stream/s", &id, 2).await;
        assert_eq!(numbers, [1, 10]);
        assert_eq!(
            (gaps.len(), &gaps[0]["reason"], &gaps[0]["topic"], &gaps[0]["to"]),
            (1, &json!("gone"), &json!("old"), &Value::Null)
        );
        assert!(!id.contains("old"), "{id}");
        // It is told once.
        append(&memory, "kept", 0, 2..3).await;
        let (numbers, gaps, _) = resumed(&memory, &isolate, "/v2/stream/s", &id, 1).await;
        assert_eq!((numbers, gaps), (vec![2], vec![]));
    });
}

/// The reader was at an isolate that knows a newer config.
#[test]
fn a_topic_that_this_isolate_does_not_know_yet_is_not_gone() {
    run(async {
        let (isolate, memory) = world("*").await;
        publish(&memory, &json!({"s": {"topics": ["s"]}})).await;
        drop(open(&isolate, &memory, "/v2/stream/s", &[]).await);
        let config = serde_json::value::to_raw_value(&json!({"s": {"topics": ["s", "new"]}})).unwrap();
        let publish = RegistryRequest::PublishStreamConfig {
            if_match: None,
            config,
        };
        memory.ask(publish).await.unwrap();
        memory.advance(2_000);
        let now = memory.now();
        append(&memory, "new", 0, 0..2).await;
        let id = json!([
            {"topic": "s", "partition": 0, "offset": 0, "timestamp": now},
            {"topic": "new", "partition": 0, "offset": 1, "timestamp": now + 1},
        ]);
        let (numbers, gaps, _) = resumed(&memory, &isolate, "/v2/stream/s", &id.to_string(), 1).await;
        assert_eq!((numbers, gaps), (vec![1], vec![]));
    });
}
