//! Retention: what expires goes, and the log goes on where it was.

use super::*;

const HOUR: Millis = 3_600_000;

fn kept_for(ms: Millis) -> Option<Retention> {
    Some(Retention {
        ms: Some(ms),
        ..Retention::default()
    })
}

fn kept_bytes(bytes: u64) -> Option<Retention> {
    Some(Retention { ms: None, bytes })
}

/// An event whose text is found by `traces`.
fn personal(id: u64, dt: Millis) -> Envelope {
    Envelope {
        event: "\"personal\"".into(),
        ..event(id, dt)
    }
}

/// How many chunks hold text or ids.
async fn traces(sql: &MemorySql) -> u64 {
    let count = "SELECT COUNT(*) FROM chunk WHERE length(lines) > 0 OR length(ids) > 0";
    let rows = sql.query(Statement::new(count, vec![])).await.unwrap();
    rows[0].integer(0)
}

async fn offsets(log: &SqlLog<MemorySql>) -> Vec<u64> {
    all(log, 0).await.into_iter().map(|(offset, ..)| offset).collect()
}

/// Sweeps; returns when the next chunk expires.
async fn sweep(log: &SqlLog<MemorySql>, now: Millis) -> Option<Millis> {
    log.sweep(now).await.unwrap();
    let rows = log.query("SELECT MIN(due) FROM retention", vec![]).await.unwrap();
    Some(rows[0].integer(0)).filter(|due| *due > 0)
}

/// The bytes that are counted, and those that are there.
async fn sizes(sql: &MemorySql) -> (u64, u64) {
    let both =
        "SELECT (SELECT SUM(size) FROM retention), (SELECT SUM(length(lines) + length(ids)) FROM chunk)";
    let rows = sql.query(Statement::new(both, vec![])).await.unwrap();
    (rows[0].integer(0), rows[0].integer(1))
}

#[test]
fn chunks_older_than_the_retention_are_dropped_whole() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        for hour in 1..=10 {
            let events = [event(hour * 2, hour * HOUR), event(hour * 2 + 1, hour * HOUR + 5)];
            log.append_with(&name("x"), &events, kept_for(3 * HOUR))
                .await
                .unwrap();
        }
        // At 10:00 and 5 ms the chunk of 7:00 and 5 ms is just young enough.
        assert_eq!(offsets(&log).await, [12, 13, 14, 15, 16, 17, 18, 19]);
        let asked = Start::Position {
            offset: 3,
            timestamp: 2 * HOUR,
        };
        let gap = Gap {
            reason: GapReason::Expired,
            timestamp: Some(7 * HOUR),
        };
        let opened = log.open(&name("x"), asked).await.unwrap();
        let expected = Frame::Opened {
            start: 12,
            earliest: 12,
            head: 20,
            last: 10 * HOUR + 5,
            gap: Some(gap),
        };
        assert_eq!(opened, expected);
    });
}

#[test]
fn events_are_kept_seven_days_where_nothing_else_is_said() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        let first = 100 * HOUR;
        for dt in [first, first + 7 * 24 * HOUR, first + 7 * 24 * HOUR + 1] {
            log.append(&name("x"), &[event(dt, dt)]).await.unwrap();
            assert!(sweep(&log, dt).await.is_some());
            let expected = u64::from(dt > first + 7 * 24 * HOUR);
            assert_eq!(offsets(&log).await[0], expected, "{dt}");
        }
    });
}

#[test]
fn a_log_whose_events_all_expired_goes_on_and_nothing_personal_is_left() {
    run(async {
        for open in [SqlLog::new, SqlLog::owned] {
            let sql = MemorySql::default();
            let log = open(sql.clone());
            let events: Vec<Envelope> = (0..5).map(|id| personal(id, 10 * HOUR + id)).collect();
            log.append_with(&name("x"), &events[..3], kept_for(HOUR))
                .await
                .unwrap();
            log.append_with(&name("x"), &events[3..], kept_for(HOUR))
                .await
                .unwrap();
            let due = sweep(&log, 11 * HOUR + 2).await;
            assert_eq!((due, traces(&sql).await), (Some(11 * HOUR + 2), 2), "not yet");
            assert_eq!(sweep(&log, 11 * HOUR + 3).await, Some(11 * HOUR + 4));
            assert_eq!(sweep(&log, 11 * HOUR + 5).await, None);
            assert_eq!(traces(&sql).await, 0);
            assert_eq!(sizes(&sql).await, (0, 0));
            // Neither the open log nor one that only knows the database starts again.
            for (log, id) in [(&log, 10), (&SqlLog::new(sql.clone()), 11)] {
                let appended = log.append(&name("x"), &[event(id, 9 * HOUR)]).await.unwrap();
                assert_eq!((appended.base, appended.written), (id - 5, 1));
            }
            assert_eq!(
                all(&log, 0).await,
                [(5, 10 * HOUR + 4, 10), (6, 10 * HOUR + 4, 11)]
            );
        }
    });
}

#[test]
fn a_reader_of_a_log_whose_events_all_expired_waits_for_the_next() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        let events: Vec<Envelope> = (0..5).map(|id| event(id, 10 * HOUR + id)).collect();
        log.append_with(&name("x"), &events, kept_for(HOUR))
            .await
            .unwrap();
        sweep(&log, 12 * HOUR).await;
        let gap = |reason| {
            Some(Gap {
                reason,
                timestamp: None,
            })
        };
        let position = |offset, timestamp| Start::Position { offset, timestamp };
        for (asked, gap) in [
            (Start::Latest, None),
            (Start::Offset(0), None),
            (Start::Offset(2), gap(GapReason::Expired)),
            (Start::Timestamp(10 * HOUR + 1), None),
            (Start::Timestamp(13 * HOUR), None),
            (position(5, 10 * HOUR + 5), None),
            (position(2, 10 * HOUR + 2), gap(GapReason::Expired)),
            (position(5, 10 * HOUR + 4), gap(GapReason::Foreign)),
            (position(9, 10 * HOUR), gap(GapReason::Foreign)),
        ] {
            let expected = Frame::Opened {
                start: 5,
                earliest: 5,
                head: 5,
                last: 10 * HOUR + 4,
                gap,
            };
            assert_eq!(log.open(&name("x"), asked).await.unwrap(), expected, "{asked:?}");
        }
        assert!(log.read(&name("x"), 2, 1).await.unwrap().is_empty());
        log.append(&name("x"), &[event(9, 12 * HOUR)]).await.unwrap();
        assert_eq!(offsets(&log).await, [5]);
        assert_eq!(
            log.read(&name("x"), 2, 1).await.unwrap()[0].base,
            5,
            "the gap is told by the offset"
        );
    });
}

#[test]
fn the_oldest_chunks_go_when_a_log_is_larger_than_it_may_be() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        let large = |id| Envelope {
            event: format!("\"{}\"", "a".repeat(LARGE)),
            ..event(id, 1)
        };
        const LARGE: usize = 300_000;
        for id in 0..10 {
            log.append_with(&name("x"), &[large(id)], kept_bytes(1_000_000))
                .await
                .unwrap();
            let (counted, there) = sizes(&sql).await;
            assert_eq!(counted, there);
        }
        assert_eq!(offsets(&log).await, [6, 7, 8, 9], "three and a bit of the fourth");
        log.append_with(&name("x"), &[large(10)], kept_bytes(1))
            .await
            .unwrap();
        assert_eq!(offsets(&log).await, [10], "the last one always fits");
    });
}

#[test]
fn a_batch_that_is_larger_than_the_log_may_be_is_kept_to_its_last_chunk() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        let batch: Vec<Envelope> = (0..5)
            .map(|id| Envelope {
                event: format!("\"{}\"", "a".repeat(400_000)),
                ..event(id, id)
            })
            .collect();
        log.append_with(&name("x"), &batch, kept_bytes(1)).await.unwrap();
        assert_eq!(offsets(&log).await, [4]);
    });
}

#[test]
fn many_small_appends_are_counted_too() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        for id in 0..2500 {
            log.append_with(&name("x"), &[event(id, 1)], kept_bytes(10_000))
                .await
                .unwrap();
            if id % 100 > 0 {
                continue;
            }
            let (_, there) = sizes(&sql).await;
            // What is kept, and what comes between two looks.
            assert!(there < 10_000 + 1025 * 120, "{there} bytes after {id}");
        }
        assert_eq!(all(&log, 0).await.last().unwrap().0, 2499);
    });
}

#[test]
fn retention_takes_a_row_a_look_and_one_for_each_chunk_that_it_drops() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::owned(sql.clone());
        // A thousand events in batches of ten, over five hours.
        let thousand = async |first: u64, start: Millis| {
            let before = sql.rows_written();
            for batch in 0..100 {
                let dt = start + batch * 180_000;
                let events: Vec<Envelope> = (0..10).map(|n| event(first + batch * 10 + n, dt)).collect();
                log.append_with(&name("x"), &events, kept_for(100 * HOUR))
                    .await
                    .unwrap();
            }
            sql.rows_written() - before
        };
        let rows = thousand(0, 10 * HOUR).await;
        assert!(rows > 100 && rows <= 110, "{rows}");
        let rows = thousand(1000, 110 * HOUR).await;
        let dropped = 2000 / 10 - log.read(&name("x"), 0, usize::MAX).await.unwrap().len() as u64;
        assert!(dropped >= 80, "{dropped}");
        let kept = rows - dropped;
        assert!(kept > 100 && kept <= 115, "{kept}");
    });
}

#[test]
fn a_log_remembers_its_retention_for_writers_that_do_not_say() {
    run(async {
        let log = SqlLog::new(MemorySql::default());
        log.append_with(&name("x"), &[event(1, 10 * HOUR)], kept_for(HOUR))
            .await
            .unwrap();
        log.append(&name("x"), &[event(2, 12 * HOUR)]).await.unwrap();
        assert_eq!(offsets(&log).await, [1]);
        log.append_with(&name("x"), &[event(3, 14 * HOUR)], kept_for(100 * HOUR))
            .await
            .unwrap();
        log.append(&name("x"), &[event(4, 50 * HOUR)]).await.unwrap();
        assert_eq!(offsets(&log).await, [1, 2, 3]);
    });
}

#[test]
fn logs_of_one_database_expire_each_by_its_own_retention() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::new(sql.clone());
        for (topic, hours) in [("x", 1), ("y", 2), ("z", 3)] {
            log.append_with(&name(topic), &[event(1, 10 * HOUR)], kept_for(hours * HOUR))
                .await
                .unwrap();
        }
        for (now, left, next) in [
            (11 * HOUR, 3, Some(11 * HOUR)),
            (11 * HOUR + 1, 2, Some(12 * HOUR)),
            (14 * HOUR, 0, None),
        ] {
            assert_eq!(sweep(&log, now).await, next);
            assert_eq!(traces(&sql).await, left);
        }
    });
}

#[test]
fn one_look_drops_a_bounded_number_of_chunks_and_the_next_goes_on() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::owned(sql.clone());
        for id in 0..5000 {
            log.append(&name("x"), &[event(id, 10 * HOUR)]).await.unwrap();
        }
        log.append_with(&name("x"), &[event(9999, 20 * HOUR)], kept_for(HOUR))
            .await
            .unwrap();
        let mut left = vec![offsets(&log).await.len()];
        while sweep(&log, 20 * HOUR).await.is_some_and(|due| due < 20 * HOUR) {
            left.push(offsets(&log).await.len());
        }
        left.push(offsets(&log).await.len());
        // A last chunk of 64 is looked at whole: 2048 a look.
        assert_eq!(left, [5001 - 2048, 5001 - 2 * 2048, 1]);
    });
}

#[test]
fn an_append_is_good_although_the_look_failed_and_the_next_look_makes_up_for_it() {
    run(async {
        let sql = MemorySql::default();
        let log = SqlLog::owned(sql.clone());
        log.append_with(&name("x"), &[event(1, 10 * HOUR)], kept_for(HOUR))
            .await
            .unwrap();
        sql.fail_reads(1);
        let appended = log
            .append_with(&name("x"), &[event(2, 12 * HOUR)], kept_for(HOUR))
            .await
            .unwrap();
        assert_eq!((appended.base, appended.written), (1, 1));
        assert_eq!(offsets(&log).await, [0, 1], "the look failed");
        log.append_with(&name("x"), &[event(3, 13 * HOUR)], kept_for(HOUR))
            .await
            .unwrap();
        assert_eq!(offsets(&log).await, [1, 2]);
        let (counted, there) = sizes(&sql).await;
        assert_eq!(counted, there);
    });
}

#[test]
fn a_sweep_that_fails_before_or_after_its_write_can_be_made_again() {
    run(async {
        for fault in [Fault::Before, Fault::After] {
            let sql = MemorySql::default();
            let log = SqlLog::new(sql.clone());
            for hour in 10..13 {
                log.append_with(&name("x"), &[event(hour, hour * HOUR)], kept_for(100 * HOUR))
                    .await
                    .unwrap();
            }
            sql.fail_next_write(fault);
            assert!(log.sweep(111 * HOUR + 1).await.is_err());
            assert_eq!(sweep(&log, 111 * HOUR + 1).await, Some(112 * HOUR));
            assert_eq!(offsets(&log).await, [2]);
            let (counted, there) = sizes(&sql).await;
            assert_eq!(counted, there);
        }
    });
}

/// A database as it was before there was retention.
#[test]
fn chunks_from_before_there_was_retention_expire_too() {
    run(async {
        let sql = MemorySql::default();
        sql.write(vec![Statement::new(TABLE, vec![])]).await.unwrap();
        let old = event(1, 10 * HOUR);
        sql.write(inserts(&name("x").to_string(), Head::default(), &[&old]))
            .await
            .unwrap();
        let log = SqlLog::new(sql.clone());
        assert_eq!(sweep(&log, 11 * HOUR).await, None, "unknown until its next event");
        log.append_with(&name("x"), &[event(2, 12 * HOUR)], kept_for(HOUR))
            .await
            .unwrap();
        assert_eq!(offsets(&log).await, [1]);
    });
}
