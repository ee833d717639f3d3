use std::collections::BTreeMap;

use eventstar_event::Envelope;
use eventstar_log::Sinks;
use eventstar_platform_memory::{Fault, Memory};
use eventstar_stores::SqlLog;

use super::*;
use crate::DEAD_LETTER_TOPIC;
use crate::testing::{deliver, logged, name};

fn message(ids: std::ops::Range<u32>) -> Bytes {
    message_of("x", ids.map(|id| (id, format!("{{\"n\":{id}}}"))))
}

fn message_of(topic: &str, events: impl Iterator<Item = (u32, String)>) -> Bytes {
    let events = events
        .map(|(id, event)| Envelope {
            id: id.to_string(),
            dt: 1000 + u64::from(id),
            stream: topic.into(),
            key: None,
            headers: BTreeMap::new(),
            event,
        })
        .collect();
    QueueMessage {
        log: name(topic),
        retention: None,
        sinks: Sinks::default(),
        events,
    }
    .encode()
}

#[test]
fn redelivery_after_a_lost_ack_leaves_each_event_once() {
    pollster::block_on(async {
        let memory = Memory::new();
        for fault in [Fault::Before, Fault::After] {
            memory.fail("log", fault);
            assert_eq!(deliver(&memory, vec![message(0..3)]).await, [Delivered::Retry]);
            memory.heal();
        }
        assert_eq!(
            deliver(&memory, vec![message(0..3), message(2..5)]).await,
            [Delivered::Done, Delivered::Done]
        );
        let expected: Vec<String> = (0..5).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(logged(&memory, "x").await, expected);
    });
}

/// How many events each chunk of a log has.
async fn chunks(memory: &Memory, topic: &str) -> Vec<u64> {
    let log = SqlLog::new(memory.sql());
    let chunks = log.read(&name(topic), 0, usize::MAX).await.unwrap();
    chunks.iter().map(|chunk| chunk.count).collect()
}

#[test]
fn messages_of_one_log_are_one_append() {
    pollster::block_on(async {
        let memory = Memory::new();
        let others = message_of("y", std::iter::once((9, "{}".to_owned())));
        let messages = vec![message(0..2), others, message(2..3), message(3..5)];
        assert_eq!(deliver(&memory, messages).await, vec![Delivered::Done; 4]);
        assert_eq!(chunks(&memory, "x").await, [5]);
        assert_eq!(chunks(&memory, "y").await, [1]);
        let expected: Vec<String> = (0..5).map(|n| format!("{{\"n\":{n}}}")).collect();
        assert_eq!(logged(&memory, "x").await, expected);
    });
}

#[test]
fn no_more_is_appended_together_than_a_chunk_holds() {
    pollster::block_on(async {
        let memory = Memory::new();
        let text = format!("{{\"n\":\"{}\"}}", "x".repeat(MAX_TOGETHER / 2 - 8));
        let messages = (0..3).map(|id| message_of("x", std::iter::once((id, text.clone()))));
        assert_eq!(
            deliver(&memory, messages.collect()).await,
            vec![Delivered::Done; 3]
        );
        assert_eq!(chunks(&memory, "x").await, [2, 1]);
    });
}

#[test]
fn a_message_that_cannot_be_read_is_kept_as_a_dead_letter() {
    pollster::block_on(async {
        let memory = Memory::new();
        let outcomes = deliver(&memory, vec![Bytes::from_static(b"garbage \xff"), message(0..1)]).await;
        assert!(matches!(&outcomes[0], Delivered::Dead(reason) if reason.contains("not a queue message")));
        assert_eq!(outcomes[1], Delivered::Done);
        let dead = logged(&memory, DEAD_LETTER_TOPIC).await;
        assert_eq!(dead.len(), 1);
        assert!(dead[0].contains("garbage"), "{dead:?}");
    });
}

#[test]
fn a_dead_letter_that_cannot_be_kept_is_tried_again() {
    pollster::block_on(async {
        let memory = Memory::new();
        memory.fail("log", Fault::Before);
        assert_eq!(
            deliver(&memory, vec![Bytes::from_static(b"garbage")]).await,
            [Delivered::Retry]
        );
    });
}

#[test]
fn attempts_are_spread_out_and_never_too_far() {
    let seconds = |random: u8| {
        [1, 2, 3, 4, 9, 10, 100, u64::MAX].map(|attempts| retry_after(attempts, [random; 16]).as_secs_f64())
    };
    assert_eq!(seconds(0), [1.0, 2.0, 4.0, 8.0, 256.0, 300.0, 300.0, 300.0]);
    assert_eq!(seconds(255), [0.5, 1.0, 2.0, 4.0, 128.0, 150.0, 150.0, 150.0]);
}

#[test]
fn a_dead_letter_is_delivered_once_more_and_its_event_is_in_the_log_once() {
    pollster::block_on(async {
        let memory = Memory::new();
        let letter = || vec![QueueMessage::decode(&message(0..1)).unwrap()];
        for fault in [Fault::Before, Fault::After] {
            memory.fail("log", fault);
            let expected = [Redelivered::Later(Sink::Log)];
            assert_eq!(redeliver(&memory, letter()).await, expected, "{fault:?}");
            memory.heal();
        }
        for _ in 0..2 {
            assert_eq!(redeliver(&memory, letter()).await, [Redelivered::Delivered]);
        }
        assert_eq!(logged(&memory, "x").await, ["{\"n\":0}"]);
        assert!(logged(&memory, DEAD_LETTER_TOPIC).await.is_empty());
    });
}
