//! What is sent again, because its answer was lost, is there once.

use super::*;

const MINUTE: u64 = 60_000;

async fn count(memory: &Memory) -> usize {
    texts(memory, "test.event").await.len()
}

#[test]
fn a_retry_is_accepted_again_and_stored_once() {
    run(async {
        let (isolate, memory) = world().await;
        let sent = event("test.event").to_string();
        for minute in 0..5 {
            assert_eq!(post(&isolate, &memory, &sent).await.0, 201, "{minute}");
            assert_eq!(count(&memory).await, 1, "{minute}");
            memory.advance(MINUTE);
        }
        // White space between tokens is not stored, so it makes no other event.
        assert_eq!(post(&isolate, &memory, format!(" {sent} ")).await.0, 201);
        assert_eq!(post(&isolate, &memory, format!("[{sent},{sent}]")).await.0, 201);
        assert_eq!(count(&memory).await, 1);
    });
}

#[test]
fn what_is_no_retry_is_another_event() {
    run(async {
        let (isolate, memory) = world().await;
        let first = event("test.event");
        assert_eq!(post(&isolate, &memory, &first).await.0, 201);
        let mut other_bytes = first.clone();
        other_bytes["test"] = json!("other");
        let mut no_id = first.clone();
        no_id["meta"].as_object_mut().unwrap().remove("id");
        for (n, (what, sent)) in [
            ("the id with other bytes", &other_bytes),
            ("no id", &no_id),
            ("no id again", &no_id),
        ]
        .into_iter()
        .enumerate()
        {
            assert_eq!(post(&isolate, &memory, sent).await.0, 201, "{what}");
            assert_eq!(count(&memory).await, n + 2, "{what}");
        }
        let mut other_stream = first;
        other_stream["meta"]["stream"] = json!("job.x");
        assert_eq!(post(&isolate, &memory, &other_stream).await.0, 201);
        assert_eq!(texts(&memory, "job.x").await.len(), 1);
    });
}

#[test]
fn a_retry_after_the_window_is_another_event() {
    run(async {
        for (window, wait, expected) in [(None, 300_000, 1), (None, 300_001, 2), (Some("1000"), 1001, 2)] {
            let (isolate, mut memory) = world().await;
            if let Some(window) = window {
                memory = memory.with("RETRY_WINDOW_MS", window);
            }
            let sent = event("test.event");
            assert_eq!(post(&isolate, &memory, &sent).await.0, 201);
            memory.advance(wait);
            assert_eq!(post(&isolate, &memory, &sent).await.0, 201);
            assert_eq!(count(&memory).await, expected, "{window:?} {wait}");
        }
    });
}

#[test]
fn a_retry_of_what_was_stored_though_the_answer_was_503_is_stored_once() {
    run(async {
        for (fault, already) in [(Fault::Before, 0), (Fault::After, 2)] {
            let (isolate, memory) = world().await;
            let mut second = event("test.event");
            second["test"] = json!("second");
            let sent = json!([event("test.event"), second]);
            memory.fail("log", fault);
            assert_eq!(post(&isolate, &memory, &sent).await.0, 503, "{fault:?}");
            assert_eq!(count(&memory).await, already, "{fault:?}");
            memory.heal();
            assert_eq!(post(&isolate, &memory, &sent).await.0, 201, "{fault:?}");
            assert_eq!(count(&memory).await, 2, "{fault:?}");
        }
    });
}
