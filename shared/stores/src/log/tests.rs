use std::collections::BTreeMap;

use eventstar_event::Topic;
use eventstar_log::{Frame, Gap, GapReason, Retention, Start};
use eventstar_platform_memory::{Fault, MemorySql};

use super::*;

mod retention;
mod retries;

fn name(topic: &str) -> LogName {
    LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    }
}

fn event(id: u64, dt: Millis) -> Envelope {
    let id = uuid::Uuid::from_u128(u128::from(id)).to_string();
    Envelope {
        id,
        dt,
        stream: "x".into(),
        key: None,
        headers: BTreeMap::new(),
        event: "{}".into(),
    }
}

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

async fn all(log: &SqlLog<MemorySql>, from: u64) -> Vec<(u64, Millis, u128)> {
    let chunks = log.read(&name("x"), from, usize::MAX).await.unwrap();
    let events = chunks.iter().flat_map(|chunk| chunk.events().unwrap());
    events
        .map(|e| {
            (
                e.offset,
                e.timestamp,
                uuid::Uuid::parse_str(&e.envelope.id).unwrap().as_u128(),
            )
        })
        .collect()
}

#[test]
fn offsets_are_dense_and_timestamps_never_run_backwards() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        log.append(&name("x"), &[event(1, 100), event(2, 90)])
            .await
            .unwrap();
        let appended = log.append(&name("x"), &[event(3, 95)]).await.unwrap();
        assert_eq!(
            appended,
            Appended {
                base: 2,
                written: 1,
                duplicates: 0
            }
        );
        assert_eq!(all(&log, 0).await, [(0, 100, 1), (1, 100, 2), (2, 100, 3)]);
        assert_eq!(log.append(&name("y"), &[event(4, 1)]).await.unwrap().base, 0);
    });
}

#[test]
fn a_delivery_id_is_stored_once_however_late_it_comes_again() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        for id in 0..50 {
            log.append(&name("x"), &[event(id, 1000 + id)]).await.unwrap();
        }
        let again = log
            .append(&name("x"), &[event(3, 1003), event(60, 1060), event(60, 1060)])
            .await
            .unwrap();
        assert_eq!((again.written, again.duplicates), (1, 2));
        assert_eq!(all(&log, 0).await.len(), 51);
    });
}

#[test]
fn an_append_whose_ack_was_lost_is_there_once_after_a_retry() {
    run(async {
        for (fault, duplicates) in [(Fault::Before, 0), (Fault::After, 1)] {
            let sql = MemorySql::default();
            let log = SqlLog::new(sql.clone());
            log.append(&name("x"), &[event(1, 1)]).await.unwrap();
            sql.fail_next_write(fault);
            assert!(log.append(&name("x"), &[event(2, 2)]).await.is_err());
            assert_eq!(
                log.append(&name("x"), &[event(2, 2)]).await.unwrap().duplicates,
                duplicates
            );
            assert_eq!(all(&log, 0).await.len(), 2);
        }
    });
}

/// A database in which a rival appends just before each of the first writes.
struct Raced {
    sql: MemorySql,
    rivals: std::cell::RefCell<Vec<Envelope>>,
}

impl Sql for Raced {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError> {
        self.sql.query(statement).await
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        let rival = self.rivals.borrow_mut().pop();
        if let Some(rival) = rival {
            SqlLog::new(self.sql.clone()).append(&name("x"), &[rival]).await?;
        }
        self.sql.write(statements).await
    }
}

#[test]
fn an_append_that_is_overtaken_goes_to_the_end() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        log.append(&name("x"), &[event(1, 10)]).await.unwrap();
        let rivals = vec![event(3, 30), event(2, 20)].into();
        let raced = SqlLog::new(Raced { sql, rivals });
        let appended = raced
            .append(&name("x"), &[event(4, 15), event(5, 40)])
            .await
            .unwrap();
        assert_eq!((appended.base, appended.written), (3, 2));
        assert_eq!(
            all(&log, 0).await,
            [(0, 10, 1), (1, 20, 2), (2, 30, 3), (3, 30, 4), (4, 40, 5)]
        );
    });
}

#[test]
fn the_same_message_delivered_twice_at_once_is_stored_once() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        log.append(&name("x"), &[event(1, 10)]).await.unwrap();
        for rivals in [vec![event(2, 20)], vec![event(4, 30), event(3, 30)]] {
            let last = rivals.first().cloned().unwrap();
            let raced = SqlLog::new(Raced {
                sql: sql.clone(),
                rivals: rivals.into(),
            });
            raced.append(&name("x"), &[last]).await.unwrap();
        }
        let ids: Vec<u128> = all(&log, 0).await.into_iter().map(|(_, _, id)| id).collect();
        assert_eq!(ids, [1, 2, 3, 4]);
    });
}

#[test]
fn a_large_batch_becomes_several_chunks_in_one_transaction() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        let batch: Vec<Envelope> = (0..5)
            .map(|id| Envelope {
                event: format!("\"{}\"", "a".repeat(400_000)),
                ..event(id, id)
            })
            .collect();
        log.append(&name("x"), &batch).await.unwrap();
        let chunks = log.read(&name("x"), 0, usize::MAX).await.unwrap();
        assert_eq!(
            chunks
                .iter()
                .map(|chunk| (chunk.base, chunk.count))
                .collect::<Vec<_>>(),
            [(0, 2), (2, 2), (4, 1)]
        );
        assert!(chunks.iter().all(|chunk| chunk.lines.len() <= MAX_CHUNK_BYTES));
    });
}

#[test]
fn a_thousand_events_in_batches_of_ten_take_a_hundred_rows() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        for batch in 0..100 {
            let events: Vec<Envelope> = (0..10).map(|n| event(batch * 10 + n, 5000 + batch)).collect();
            log.append(&name("x"), &events).await.unwrap();
        }
        assert_eq!(sql.rows_written(), 100);
    });
}

#[test]
fn readers_start_at_an_offset_a_time_or_the_latest() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        let open = async |start| match log.open(&name("x"), start).await.unwrap() {
            Frame::Opened { start, head, .. } => (start, head),
            other => panic!("{other:?}"),
        };
        assert_eq!(open(Start::Latest).await, (0, 0));
        assert_eq!(open(Start::Timestamp(5)).await, (0, 0));
        let mut next = 0;
        for batch in 1..=40_u64 {
            let events: Vec<Envelope> = (0..batch % 4 + 1)
                .map(|n| event(batch * 10 + n, batch * 100 + n))
                .collect();
            next += events.len() as u64;
            log.append(&name("x"), &events).await.unwrap();
        }
        let stored = all(&log, 0).await;
        for time in (0..4200).step_by(7) {
            let expected = stored
                .iter()
                .find(|(_, at, _)| *at >= time)
                .map_or(next, |(offset, ..)| *offset);
            assert_eq!(open(Start::Timestamp(time)).await, (expected, next), "at {time}");
        }
        assert_eq!(open(Start::Offset(7)).await.0, 7);
        assert_eq!(open(Start::Offset(7777)).await.0, next);
        assert_eq!(open(Start::Latest).await.0, next);
    });
}

#[test]
fn a_reader_goes_on_where_its_id_says_if_the_id_is_this_logs() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        // Two chunks: offsets 0 to 2 at 100, 100, 110; 3 and 4 at 200, 205.
        for batch in [&[(1, 100), (2, 100), (3, 110)][..], &[(4, 200), (5, 205)][..]] {
            let events: Vec<Envelope> = batch.iter().map(|(id, dt)| event(*id, *dt)).collect();
            log.append(&name("x"), &events).await.unwrap();
        }
        let foreign = |timestamp| {
            Some(Gap {
                reason: GapReason::Foreign,
                timestamp,
            })
        };
        for (offset, timestamp, expected, gap) in [
            // As ids have them: the event before, plus a millisecond.
            (0, 1, 0, None),
            (1, 101, 1, None),
            (2, 101, 2, None),
            (3, 111, 3, None),
            (5, 206, 5, None),
            // As `since` has them: anything between the event before and the event there.
            (3, 150, 3, None),
            (3, 200, 3, None),
            (5, 9_000, 5, None),
            // Another log's: too far, too early, too late.
            (6, 206, 5, foreign(None)),
            (77, 110, 2, foreign(Some(110))),
            (3, 50, 0, foreign(Some(100))),
            (1, 190, 3, foreign(Some(200))),
        ] {
            let opened = log
                .open(&name("x"), Start::Position { offset, timestamp })
                .await
                .unwrap();
            let Frame::Opened {
                start, gap: found, ..
            } = opened
            else {
                panic!("{opened:?}")
            };
            assert_eq!(
                (start, found),
                (expected, gap),
                "offset {offset}, timestamp {timestamp}"
            );
        }
    });
}

#[test]
fn a_reader_of_an_empty_log_may_come_from_another_one() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        let opened = async |offset| {
            let asked = Start::Position { offset, timestamp: 7 };
            match log.open(&name("x"), asked).await.unwrap() {
                Frame::Opened { start, gap, .. } => (start, gap.map(|gap| gap.reason)),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(opened(0).await, (0, None));
        assert_eq!(opened(4).await, (0, Some(GapReason::Foreign)));
    });
}

#[test]
fn reading_begins_with_the_chunk_that_holds_the_offset_and_is_bounded() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        for batch in 0..20 {
            log.append(
                &name("x"),
                &[event(batch * 2, batch), event(batch * 2 + 1, batch)],
            )
            .await
            .unwrap();
        }
        let chunks = log.read(&name("x"), 5, 1).await.unwrap();
        assert_eq!(chunks.iter().map(|chunk| chunk.base).collect::<Vec<_>>(), [4]);
        assert_eq!(all(&log, 5).await.len(), 36);
        assert!(log.read(&name("x"), 40, 1).await.unwrap().is_empty());
    });
}

#[test]
fn the_end_of_a_log_is_read_in_one_query() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        for id in 0..20 {
            log.append(&name("x"), &[event(id, 100 + id)]).await.unwrap();
        }
        for (from, chunks, queries) in [(20, 0, 1), (19, 1, 1), (13, 7, 1), (12, 8, 2), (0, 20, 3)] {
            let before = sql.queries();
            let read = log.read(&name("x"), from, usize::MAX).await.unwrap();
            assert_eq!(
                (read.len(), sql.queries() - before),
                (chunks, queries),
                "from {from}"
            );
        }
    });
}
