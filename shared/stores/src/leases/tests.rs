use std::cell::Cell;

use eventstar_platform_memory::{Fault, MemorySql};
use eventstar_ports::PortErrorKind;

use super::*;
use crate::object_api::{lease_result, release_request, take_request};

fn run<T>(future: impl Future<Output = T>) -> T {
    pollster::block_on(future)
}

fn slot(client: &str, holder: &str) -> Slot {
    Slot {
        client: client.to_owned(),
        holder: holder.to_owned(),
    }
}

#[test]
fn a_client_holds_as_many_slots_as_it_may_and_each_client_its_own() {
    run(async {
        let leases = SqlLeases::new(MemorySql::default());
        for (client, holder, limit, taken) in [
            ("a", "1", 2, true),
            ("a", "2", 2, true),
            ("a", "3", 2, false),
            // Renewed, not taken twice.
            ("a", "2", 2, true),
            ("b", "3", 2, true),
            ("a", "3", 3, true),
            // The limit was lowered: who has a slot loses it when it is to be renewed.
            ("a", "1", 2, false),
            ("c", "1", 0, false),
        ] {
            let slot = slot(client, holder);
            assert_eq!(leases.take(&slot, limit, 1000).await.unwrap(), taken, "{slot:?}");
        }
    });
}

#[test]
fn a_slot_is_free_when_it_is_given_back_and_when_it_was_not_renewed_for_a_minute() {
    run(async {
        let leases = SqlLeases::new(MemorySql::default());
        let (first, second) = (slot("a", "1"), slot("a", "2"));
        assert!(leases.take(&first, 1, 0).await.unwrap());
        assert!(!leases.take(&second, 1, 59_999).await.unwrap());
        assert!(leases.take(&first, 1, 30_000).await.unwrap());
        assert!(!leases.take(&second, 1, 89_999).await.unwrap());
        assert!(leases.take(&second, 1, 90_000).await.unwrap());

        leases.release(&first).await.unwrap();
        assert!(!leases.take(&first, 1, 90_000).await.unwrap());
        leases.release(&second).await.unwrap();
        assert!(leases.is_empty().await.unwrap());
        assert!(leases.take(&first, 1, 90_000).await.unwrap());
    });
}

#[test]
fn expired_slots_of_clients_that_never_come_back_are_dropped() {
    run(async {
        let sql = MemorySql::default();
        let leases = SqlLeases::new(sql.clone());
        for client in 0..100 {
            leases.take(&slot(&client.to_string(), "1"), 1, 0).await.unwrap();
        }
        leases.take(&slot("last", "1"), 1, 60_000).await.unwrap();
        let rows = Statement::new("SELECT COUNT(*) FROM lease", vec![]);
        assert_eq!(sql.query(rows).await.unwrap()[0].integer(0), 1);
    });
}

#[test]
fn a_renewal_writes_one_row() {
    run(async {
        let sql = MemorySql::default();
        let leases = SqlLeases::new(sql.clone());
        leases.take(&slot("a", "1"), 1, 0).await.unwrap();
        let before = sql.total_changes();
        leases.take(&slot("a", "1"), 1, 30_000).await.unwrap();
        assert_eq!(sql.total_changes() - before, 1);
    });
}

/// A database where another instance takes a slot just before a statement of this one.
struct Interleaved {
    sql: MemorySql,
    other: Slot,
    statements_left: Cell<u32>,
}

impl Sql for Interleaved {
    async fn query(&self, statement: Statement) -> Result<Vec<eventstar_ports::Row>, PortError> {
        self.other_takes().await;
        self.sql.query(statement).await
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        self.other_takes().await;
        self.sql.write(statements).await
    }
}

impl Interleaved {
    async fn other_takes(&self) {
        let left = self.statements_left.get();
        self.statements_left.set(left.wrapping_sub(1));
        if left == 0 {
            let other = SqlLeases::new(self.sql.clone());
            assert!(other.take(&self.other, 2, 0).await.unwrap());
        }
    }
}

#[test]
fn two_instances_never_take_the_last_slot_both() {
    run(async {
        for statements_before in 0..2 {
            let sql = MemorySql::default();
            let leases = SqlLeases::new(sql.clone());
            assert!(leases.take(&slot("a", "1"), 2, 0).await.unwrap());
            let racing = SqlLeases::new(Interleaved {
                sql,
                other: slot("a", "2"),
                statements_left: Cell::new(statements_before),
            });
            assert!(!racing.take(&slot("a", "3"), 2, 0).await.unwrap());
            assert!(
                racing.0.statements_left.get() > 2,
                "the other one has come too late"
            );
        }
    });
}

#[test]
fn what_fails_can_be_tried_again() {
    run(async {
        for fault in [Fault::Before, Fault::After] {
            let sql = MemorySql::default();
            let leases = SqlLeases::new(sql.clone());
            let (first, second) = (slot("a", "1"), slot("a", "2"));
            leases.take(&slot("b", "1"), 1, 0).await.unwrap();
            sql.fail_next_write(fault);
            assert!(leases.take(&first, 1, 0).await.is_err());
            assert!(leases.take(&first, 1, 0).await.unwrap(), "{fault:?}");
            assert!(!leases.take(&second, 1, 0).await.unwrap(), "{fault:?}");
            sql.fail_next_write(fault);
            assert!(leases.release(&first).await.is_err());
            leases.release(&first).await.unwrap();
            assert!(leases.take(&second, 1, 0).await.unwrap(), "{fault:?}");
        }
    });
}

async fn ask(sql: &MemorySql, request: http::Request<Bytes>, now: Millis) -> (bool, bool) {
    let forgot = Cell::new(false);
    let forget = async || {
        forgot.set(true);
        Ok(())
    };
    let response = lease_object(sql.clone(), forget, request, now).await;
    let status = response.status();
    let Body::Full(body) = response.into_body() else {
        panic!("streams")
    };
    (lease_result(status, &body).unwrap(), forgot.get())
}

#[test]
fn an_object_counts_by_its_own_clock_and_forgets_a_client_that_has_gone() {
    run(async {
        let sql = MemorySql::default();
        let (first, second) = (slot("a", "1"), slot("a", "2"));
        assert_eq!(ask(&sql, take_request(&first, 1), 0).await, (true, false));
        assert_eq!(ask(&sql, take_request(&second, 1), 59_999).await, (false, false));
        assert_eq!(ask(&sql, take_request(&second, 1), 60_000).await, (true, false));
        assert_eq!(ask(&sql, release_request(&first), 60_000).await, (true, false));
        assert_eq!(ask(&sql, release_request(&second), 60_000).await, (true, true));
        assert_eq!(ask(&sql, take_request(&first, 1), 60_000).await, (true, false));
    });
}

/// What functions of the current version send; the objects of the version before have none.
#[test]
fn the_requests_to_an_object_have_the_form_that_was_agreed() {
    let taken = take_request(&slot("c", "h"), 2);
    assert_eq!(taken.uri().path(), "/lease");
    assert_eq!(
        *taken.body(),
        r#"{"take":{"slot":{"client":"c","holder":"h"},"limit":2}}"#
    );
    assert_eq!(
        *release_request(&slot("c", "h")).body(),
        r#"{"release":{"slot":{"client":"c","holder":"h"}}}"#
    );
    for (status, body, kind) in [
        (404, "", PortErrorKind::Rejected),
        (503, "", PortErrorKind::Unavailable),
        (200, "?", PortErrorKind::Corrupt),
    ] {
        let status = StatusCode::from_u16(status).unwrap();
        let error = lease_result(status, body.as_bytes()).unwrap_err();
        assert_eq!(error.kind, kind, "{status}");
    }
}

#[test]
fn what_is_not_about_a_slot_is_refused() {
    run(async {
        let request = http::Request::new(Bytes::from_static(b"{}"));
        let forget = async || Ok(());
        let response = lease_object(MemorySql::default(), forget, request, 0).await;
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
    });
}
