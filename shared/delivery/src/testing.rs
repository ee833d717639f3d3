//! What the tests of this crate look at: logs in memory.

use bytes::Bytes;
use eventstar_event::Topic;
use eventstar_log::LogName;
use eventstar_platform_memory::Memory;
use eventstar_stores::SqlLog;

use crate::{Attempt, Delivered};

/// Delivers messages for the first time.
pub(crate) async fn deliver(memory: &Memory, messages: Vec<Bytes>) -> Vec<Delivered> {
    let first = |message| Attempt { message, number: 1 };
    crate::deliver(memory, messages.into_iter().map(first).collect()).await
}

/// The first log of a topic.
pub(crate) fn name(topic: &str) -> LogName {
    LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    }
}

/// The events in it.
pub(crate) async fn logged(memory: &Memory, topic: &str) -> Vec<String> {
    let chunks = SqlLog::new(memory.sql())
        .read(&name(topic), 0, usize::MAX)
        .await
        .unwrap();
    chunks
        .iter()
        .flat_map(|chunk| chunk.events().unwrap())
        .map(|event| event.envelope.event)
        .collect()
}
