//! Appending.

use eventstar_log::{Appended, Retention, Start};
use eventstar_ports::StreamLog;

use crate::{Follower, HOUR, Subject, event, events, name, numbers, read};

/// Whatever the clocks of those who append say.
pub async fn offsets_are_dense_and_timestamps_never_run_backwards(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    log.append(&x, &[event(1, 100), event(2, 90)]).await.unwrap();
    let appended = log.append(&x, &[event(3, 95)]).await.unwrap();
    let expected = Appended {
        base: 2,
        written: 1,
        duplicates: 0,
    };
    assert_eq!(appended, expected);
    log.append(&x, &[event(4, 101)]).await.unwrap();
    assert_eq!(
        numbers(&read(subject, &x, 3).await),
        [(0, 100), (1, 100), (2, 100), (3, 101)]
    );
}

/// Bytes are kept.
pub async fn keys_headers_and_texts_come_out_as_they_went_in(subject: &impl Subject) {
    let mut sent = event(1, 5);
    sent.key = Some(r#"{"wiki":"en","n":1.50}"#.into());
    sent.headers.insert("traceparent".into(), "00-ab".into());
    sent.headers.insert("empty".into(), String::new());
    sent.event = r#"{"b":1.0,"a":"\u00e9é\n☃"}"#.into();
    subject.log().append(&name("x"), &[sent.clone()]).await.unwrap();
    let read = read(subject, &name("x"), 0).await;
    assert_eq!(read[0].envelope, sent);
}

/// A row of a SQLite-backed Durable Object holds 2 MB.
pub async fn a_large_batch_becomes_chunks_of_at_most_a_megabyte(subject: &impl Subject) {
    let batch: Vec<_> = (0..7)
        .map(|id| {
            let mut large = event(id, 5);
            large.event = format!("\"{}\"", "a".repeat(400_000));
            large
        })
        .collect();
    let appended = subject.log().append(&name("x"), &batch).await.unwrap();
    assert_eq!((appended.base, appended.written), (0, 7));
    let (mut follower, _) = Follower::open(subject.log(), &name("x"), Start::Offset(0)).await;
    let mut next = 0;
    while next < 7 {
        let chunk = follower.next_chunk().await.expect("a chunk");
        assert!(chunk.lines.len() <= 1_000_000, "{}", chunk.lines.len());
        assert_eq!(
            (chunk.base, chunk.events().unwrap().len() as u64),
            (next, chunk.count)
        );
        next = chunk.next();
    }
}

/// Within a batch, right after, and late.
pub async fn an_event_is_stored_once_however_often_it_comes(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    let first = log
        .append(&x, &[event(1, 10), event(1, 10), event(2, 10)])
        .await
        .unwrap();
    assert_eq!((first.written, first.duplicates), (2, 1));
    for id in 3..40 {
        log.append(&x, &[event(id, 10 + id)]).await.unwrap();
    }
    let again = log
        .append(&x, &[event(1, 10), event(39, 49), event(40, 50)])
        .await
        .unwrap();
    assert_eq!((again.base, again.written, again.duplicates), (39, 1, 2));
    let all = log.append(&x, &[event(1, 10)]).await.unwrap();
    assert_eq!((all.base, all.written, all.duplicates), (40, 0, 1));
    let read = read(subject, &x, 39).await;
    let texts: Vec<_> = read.iter().map(|event| event.envelope.event.clone()).collect();
    let expected: Vec<_> = (1..=40).map(|id| event(id, 0).event).collect();
    assert_eq!(texts, expected);
}

/// Topics, partitions and epochs are logs of their own.
pub async fn logs_do_not_mix(subject: &impl Subject) {
    let mut names = [name("x"), name("x.y"), name("x"), name("x")];
    names[2].partition = 1;
    names[3].epoch = 1;
    for round in 0..3 {
        for (index, log) in names.iter().enumerate() {
            let id = (round * 10 + index) as u64;
            let appended = subject.log().append(log, &[event(id, id)]).await.unwrap();
            assert_eq!(appended.base, round as u64);
            // The same event in another log is another event there.
            let other = subject
                .log()
                .append(&name("other"), &[event(id, id)])
                .await
                .unwrap();
            assert_eq!(other.written, 1);
        }
    }
    for (index, log) in names.iter().enumerate() {
        let read = read(subject, log, 2).await;
        let texts: Vec<_> = read.iter().map(|event| event.envelope.event.clone()).collect();
        let expected: Vec<_> = [0, 10, 20].map(|id| event(id + index as u64, 0).event).into();
        assert_eq!(texts, expected, "{log}");
    }
}

/// The oldest first, then all; offsets and timestamps go on.
pub async fn what_expired_is_gone_and_the_log_goes_on(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    let retention = Some(Retention {
        ms: Some(3 * HOUR),
        ..Retention::default()
    });
    for hour in 0..10 {
        let batch = events(hour * 10..hour * 10 + 2, (100 + hour) * HOUR);
        log.append_with(&x, &batch, retention).await.unwrap();
    }
    let read_first = async || read(subject, &x, 19).await[0].offset;
    assert_eq!(read_first().await, 12);
    subject.sweep(&x, 111 * HOUR);
    assert_eq!(read_first().await, 16);
    subject.sweep(&x, 200 * HOUR);
    // An event that was received earlier and comes late.
    let appended = log.append(&x, &[event(1000, 105 * HOUR)]).await.unwrap();
    assert_eq!((appended.base, appended.written), (20, 1));
    assert_eq!(numbers(&read(subject, &x, 20).await), [(20, 109 * HOUR)]);
}
