use std::cell::{Cell, RefCell};

use eventstar_platform_memory::{Fault, MemorySql};

use super::*;

fn message(text: &str) -> Bytes {
    Bytes::from(text.to_owned())
}

#[test]
fn messages_are_taken_in_order_and_hidden_until_done() {
    pollster::block_on(async {
        let outbox = SqlOutbox::new(MemorySql::default());
        assert!(outbox.is_empty().await.unwrap());
        outbox.put(vec![message("a"), message("b")]).await.unwrap();
        let taken = outbox.take(10, 1000).await.unwrap();
        assert_eq!(
            taken
                .iter()
                .map(|m| (m.attempts, m.message.clone()))
                .collect::<Vec<_>>(),
            [(0, message("a")), (0, message("b"))]
        );
        assert!(outbox.take(10, 1000 + LEASE - 1).await.unwrap().is_empty());
        outbox.done(&[taken[0].id]).await.unwrap();
        let again = outbox.take(10, 1000 + LEASE).await.unwrap();
        assert_eq!(
            again
                .iter()
                .map(|m| (m.attempts, m.message.clone()))
                .collect::<Vec<_>>(),
            [(1, message("b"))]
        );
        outbox.retry_later(again[0].id, 5_000).await.unwrap();
        assert!(outbox.take(10, 4_999).await.unwrap().is_empty());
        assert_eq!(outbox.take(10, 5_000).await.unwrap().len(), 1);
        outbox.done(&[again[0].id]).await.unwrap();
        assert!(outbox.is_empty().await.unwrap());
    });
}

#[test]
fn a_put_that_failed_stored_nothing() {
    pollster::block_on(async {
        let sql = MemorySql::default();
        let outbox = SqlOutbox::new(sql.clone());
        outbox.put(vec![message("a")]).await.unwrap();
        sql.fail_next_write(Fault::Before);
        assert!(outbox.put(vec![message("b"), message("c")]).await.is_err());
        assert_eq!(outbox.len().await.unwrap(), 1);
    });
}

#[test]
fn each_round_waits_for_more_but_after_a_full_one() {
    // What comes while each round is at work, and whether it is full.
    let rounds = [
        (true, false),
        (false, true),
        (true, true),
        (false, false),
        (false, false),
    ];
    let turn = Cell::new(0);
    let is_asked = Cell::new(true);
    let steps = RefCell::new(String::new());
    pollster::block_on(drain_in_rounds(
        || is_asked.replace(false),
        async || steps.borrow_mut().push_str("gather "),
        async || {
            steps.borrow_mut().push_str("drain ");
            let (comes, is_full) = rounds[turn.replace(turn.get() + 1)];
            if comes {
                is_asked.set(true);
            }
            is_full
        },
    ));
    assert_eq!(
        steps.into_inner(),
        "gather drain gather drain drain drain gather drain "
    );
}
