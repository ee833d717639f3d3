//! What goes wrong.

use eventstar_log::Start;
use eventstar_ports::StreamLog;

use crate::{Follower, Subject, events, name, read};

/// Whether the write took effect or not, each event is there once.
pub async fn a_failed_append_can_be_made_again(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    log.append(&x, &events(0..2, 10)).await.unwrap();
    for (took_effect, first) in [(false, 2), (true, 4)] {
        let batch = events(first..first + 2, 10 + first);
        subject.fail_next_write(&x, took_effect);
        assert!(log.append(&x, &batch).await.is_err(), "{took_effect}");
        let appended = log.append(&x, &batch).await.unwrap();
        let written = if took_effect { 0 } else { 2 };
        assert_eq!((appended.written, appended.duplicates), (written, 2 - written));
    }
    let read = read(subject, &x, 5).await;
    let offsets: Vec<_> = read.iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 1, 2, 3, 4, 5]);
}

/// A follower takes a failed read again, or ends, and then the relay follows again where it was.
pub async fn a_failed_read_loses_nothing(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    log.append(&x, &events(0..3, 10)).await.unwrap();
    let (mut follower, _) = Follower::open(log, &x, Start::Offset(0)).await;
    subject.fail_next_read(&x);
    let chunk = match follower.next_chunk().await {
        Some(chunk) => chunk,
        None => {
            (follower, _) = Follower::open(log, &x, Start::Offset(0)).await;
            follower.next_chunk().await.expect("a chunk")
        }
    };
    let offsets: Vec<_> = chunk.events().unwrap().iter().map(|event| event.offset).collect();
    assert_eq!(offsets, [0, 1, 2]);
    log.append(&x, &events(3..4, 20)).await.unwrap();
    assert_eq!(follower.up_to(3).await.len(), 1);
}
