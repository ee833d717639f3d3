//! Retries: events whose delivery id is made from what was received come again with a later receive time.

use super::*;

const WINDOW: Millis = 1000;

fn retried(id: u64, dt: Millis) -> Envelope {
    let id = uuid::Builder::from_custom_bytes(u128::from(id).to_be_bytes()).into_uuid();
    Envelope {
        id: id.to_string(),
        ..event(0, dt)
    }
}

fn shared(sql: &MemorySql) -> SqlLog<MemorySql> {
    SqlLog::new(sql.clone()).with_retry_window(WINDOW)
}

fn owned(sql: &MemorySql) -> SqlLog<MemorySql> {
    SqlLog::owned(sql.clone()).with_retry_window(WINDOW)
}

/// How many of `events` are written.
async fn written(log: &SqlLog<MemorySql>, events: &[Envelope]) -> u64 {
    log.append(&name("x"), events).await.unwrap().written
}

#[test]
fn a_retry_within_the_window_is_not_written() {
    run(async {
        for open in [shared, owned] {
            let sql = MemorySql::default();
            let log = open(&sql);
            assert_eq!(written(&log, &[retried(1, 100)]).await, 1);
            for n in 2..10 {
                assert_eq!(written(&log, &[retried(n, 100 + n)]).await, 1);
            }
            assert_eq!(written(&log, &[retried(1, 1100), retried(10, 1100)]).await, 1);
        }
        let log = shared(&MemorySql::default());
        for (dt, expected) in [(100, 1), (100 + WINDOW, 0), (101 + WINDOW, 1)] {
            assert_eq!(written(&log, &[retried(1, dt)]).await, expected, "{dt}");
        }
    });
}

#[test]
fn a_new_owner_reads_the_window_from_the_log() {
    run(async {
        let sql = MemorySql::default();
        for id in 0..300 {
            assert_eq!(written(&owned(&sql), &[retried(id, 500 + id)]).await, 1);
        }
        assert_eq!(written(&owned(&sql), &[retried(3, 1503)]).await, 0);
        assert_eq!(written(&owned(&sql), &[retried(3, 1504)]).await, 1);
    });
}

#[test]
fn an_owner_need_not_read_what_it_wrote() {
    run(async {
        let sql = MemorySql::default();
        let log = owned(&sql);
        assert_eq!(written(&log, &[retried(1, 100)]).await, 1);
        sql.fail_reads(1);
        assert_eq!(written(&log, &[retried(2, 200), retried(1, 200)]).await, 1);
        assert_eq!(written(&log, &[retried(2, 201)]).await, 0);
        assert!(
            log.read(&name("x"), 0, 1).await.is_err(),
            "the read was not used up"
        );
    });
}

#[test]
fn an_owner_whose_write_failed_knows_what_was_written() {
    run(async {
        for (fault, expected) in [(Fault::Before, 1), (Fault::After, 0)] {
            let sql = MemorySql::default();
            let log = owned(&sql);
            assert_eq!(written(&log, &[retried(1, 100)]).await, 1);
            sql.fail_next_write(fault);
            assert!(log.append(&name("x"), &[retried(2, 101)]).await.is_err());
            assert_eq!(written(&log, &[retried(2, 102)]).await, expected);
            assert_eq!(all(&log, 0).await.len(), 2);
        }
    });
}

#[test]
fn an_owner_that_was_replaced_writes_nothing_twice() {
    run(async {
        let sql = MemorySql::default();
        let (old, new) = (owned(&sql), owned(&sql));
        assert_eq!(written(&old, &[retried(1, 100)]).await, 1);
        assert_eq!(written(&new, &[retried(2, 110)]).await, 1);
        assert_eq!(written(&old, &[retried(2, 120)]).await, 0);
        assert_eq!(written(&old, &[retried(3, 130)]).await, 1);
        assert_eq!(written(&new, &[retried(3, 140), retried(4, 140)]).await, 1);
        let offsets: Vec<u64> = all(&old, 0)
            .await
            .into_iter()
            .map(|(offset, ..)| offset)
            .collect();
        assert_eq!(offsets, [0, 1, 2, 3]);
    });
}

#[test]
fn what_is_remembered_is_bounded_and_redelivery_is_not() {
    run(async {
        let sql = MemorySql::default();
        let log = shared(&sql);
        let most = MAX_READ as u64;
        let new = event(u64::MAX, 100);
        assert_eq!(written(&log, &[retried(0, 100)]).await, 1);
        assert_eq!(written(&log, std::slice::from_ref(&new)).await, 1);
        for id in 1..=most + 600 {
            assert_eq!(written(&log, &[event(id, 100 + id / 100)]).await, 1);
        }
        let retry = retried(0, 200);
        assert_eq!(
            written(&log, std::slice::from_ref(&retry)).await,
            1,
            "too many since"
        );
        assert_eq!(written(&log, &[new]).await, 0, "its receive time is known");

        let sql = MemorySql::default();
        let log = owned(&sql);
        let batch: Vec<Envelope> = (0..MAX_REMEMBERED as u64).map(|id| retried(id, 100)).collect();
        assert_eq!(written(&log, &batch).await, MAX_REMEMBERED as u64);
        assert_eq!(written(&log, &[retried(0, 101)]).await, 0);
        assert_eq!(written(&log, &[retried(u64::MAX, 102)]).await, 1);
        assert_eq!(written(&log, &[retried(1, 103)]).await, 0);
        assert_eq!(
            written(&log, &[retried(0, 103)]).await,
            1,
            "the oldest is forgotten"
        );
    });
}
