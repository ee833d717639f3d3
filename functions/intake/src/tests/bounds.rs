//! Texts that JavaScript takes, and what is too much.

use eventstar_event::json::MAX_VALUES;

use super::*;

#[test]
fn half_a_surrogate_pair_is_replaced_and_all_else_stays() {
    run(async {
        let (isolate, memory) = errors::world_with_errors().await;
        let memory = memory.with("ADMIN_TOKEN", "root");
        let sent = r#"{"$schema":"/test/1.0.0","meta":{"stream":"test.event","id":"5e1dd101-641c-11e8-ab6c-b083fecf1280"},"test":"\u006fk \ud83d","\uDE00":[ "\ud83d\ude00" ]}"#;
        assert_eq!(post(&isolate, &memory, sent).await, (201, Value::Null));
        let stored = texts(&memory, "test.event").await.remove(0);
        assert!(
            stored.contains(r#""test":"\u006fk \ufffd","\ufffd":["\ud83d\ude00"],"#),
            "{stored}"
        );
        // A retry is the same event, and so is one that a reader has mended.
        for again in [
            sent.to_owned(),
            sent.replace(r"\ud83d\ude00", "X")
                .replace(r"\ud83d", r"\ufffd")
                .replace("X", r"\ud83d\ude00")
                .replace(r"\uDE00", r"\ufffd"),
        ] {
            assert_eq!(post(&isolate, &memory, again).await.0, 201);
        }
        assert_eq!(texts(&memory, "test.event").await.len(), 1);
        // Answers and error events that repeat such a text are JSON for everybody; so is what comes by the other doors.
        let bad = r#"{"$schema":"/test/1.0.0","meta":{"stream":"test.event"},"test":["\ud83d"]}"#;
        let (status, answer) = post(&isolate, &memory, bad).await;
        assert_eq!(status, 400);
        assert_eq!(answer["invalid"][0]["event"]["test"], json!(["\u{fffd}"]));
        memory.run_background().await;
        let error: Value = serde_json::from_str(&texts(&memory, "intake.error").await.remove(0)).unwrap();
        assert_eq!(error["raw_event"], bad.replace(r"\ud83d", r"\ufffd"));
        let mut hasty = request(sent.replace("5e1dd101", "5e1dd102"));
        *hasty.uri_mut() = "/v1/events?hasty=true".parse().unwrap();
        assert_eq!(send(&isolate, &memory, hasty).await.0, 202);
        memory.run_background().await;
        assert_eq!(texts(&memory, "test.event").await.len(), 2);
        let counted = errors::metrics(&isolate, &memory).await;
        assert!(
            counted.contains("eventstar_intake_lone_surrogates_total 7\n"),
            "{counted}"
        );
    });
}

#[test]
fn an_events_values_are_limited_and_so_are_those_of_a_request() {
    run(async {
        let (isolate, memory) = world().await;
        let sized = |values: usize, comma: &str| {
            // The event, `$schema`, `meta` and two in it, and the array.
            let items = vec!["1"; values - 6].join(comma);
            format!(
                r#"{{"$schema":"/test/1.0.0","meta":{{"stream":"test.event","id":"5e1dd101-641c-11e8-ab6c-b083fecf1280"}},"key":[{items}]}}"#
            )
        };
        assert_eq!(post(&isolate, &memory, sized(MAX_VALUES, ",")).await.0, 201);
        let (status, body) = post(&isolate, &memory, sized(MAX_VALUES + 1, ",")).await;
        assert_eq!(status, 413);
        assert_eq!(
            message(&body),
            "the event has 65537 values, more than the 65536 that are accepted: make it smaller"
        );
        // White space counts for nothing.
        assert_eq!(
            post(
                &isolate,
                &memory,
                sized(MAX_VALUES, &format!(",\n{}", " ".repeat(100)))
            )
            .await
            .0,
            201
        );
        let seven = vec![sized(MAX_VALUES, ","); 7].join(",");
        assert_eq!(post(&isolate, &memory, format!("[{seven}]")).await.0, 201);
        let (status, body) = post(&isolate, &memory, format!("[{seven},{}]", sized(MAX_VALUES, ","))).await;
        assert_eq!((status, &body["type"]), (413, &json!("too_many_values")));
    });
}

#[test]
fn a_request_tells_a_bounded_number_of_errors_and_one_of_each_event() {
    run(async {
        let (isolate, memory) = world().await;
        let schema = SCHEMA
            .replace("\"key\": {}", "\"key\": {\"items\": {\"type\": \"string\"}}")
            .replace("\"test\", \"$id\"", "\"list\", \"$id\"");
        publish(&memory, &[("list", &schema)]).await;
        let events = vec![json!({"$schema": "/list/1.0.0", "key": vec![1; 150]}); 30];
        let (status, body) = post(&isolate, &memory, json!(events)).await;
        assert_eq!(status, 400);
        let told: Vec<usize> = body["invalid"]
            .as_array()
            .unwrap()
            .iter()
            .map(|entry| entry["context"]["errors"].as_array().unwrap().len())
            .collect();
        assert_eq!(told, [[100; 20].as_slice(), &[1; 10]].concat());
    });
}
