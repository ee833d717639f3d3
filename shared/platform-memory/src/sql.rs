//! A real SQLite database in memory.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use eventstar_ports::{PortError, PortErrorKind, Row, Sql, SqlValue, Statement};
use rusqlite::types::{Value, ValueRef};

use crate::Fault;

struct Inner {
    connection: RefCell<rusqlite::Connection>,
    fault: Cell<Option<Fault>>,
    rows_written: Cell<u64>,
    queries: Cell<u64>,
    failing_reads: Cell<u32>,
}

/// A SQLite database in memory; clones share it.
#[derive(Clone)]
pub struct MemorySql(Rc<Inner>);

impl Default for MemorySql {
    fn default() -> Self {
        #[expect(clippy::expect_used, reason = "tests only, and an in-memory database opens")]
        let connection = rusqlite::Connection::open_in_memory().expect("an in-memory database");
        let inner = Inner {
            connection: RefCell::new(connection),
            fault: Cell::new(None),
            rows_written: Cell::new(0),
            queries: Cell::new(0),
            failing_reads: Cell::new(0),
        };
        Self(Rc::new(inner))
    }
}

impl MemorySql {
    /// Makes the next write fail, before or after it took effect.
    pub fn fail_next_write(&self, fault: Fault) {
        self.0.fault.set(Some(fault));
    }

    /// Makes the next `count` queries fail.
    pub fn fail_reads(&self, count: u32) {
        self.0.failing_reads.set(count);
    }

    /// Rows inserted, updated and deleted so far, by queries that write too.
    #[must_use]
    pub fn total_changes(&self) -> u64 {
        self.0.connection.borrow().total_changes()
    }

    /// Rows inserted, updated and deleted by writes so far.
    #[must_use]
    pub fn rows_written(&self) -> u64 {
        self.0.rows_written.get()
    }

    /// Queries so far.
    #[must_use]
    pub fn queries(&self) -> u64 {
        self.0.queries.get()
    }
}

fn value(value: SqlValue) -> Value {
    match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(value) => Value::Integer(value),
        SqlValue::Text(value) => Value::Text(value),
        SqlValue::Blob(value) => Value::Blob(value),
    }
}

fn column(value: ValueRef<'_>) -> SqlValue {
    match value {
        ValueRef::Null | ValueRef::Real(_) => SqlValue::Null,
        ValueRef::Integer(value) => SqlValue::Integer(value),
        ValueRef::Text(value) => SqlValue::Text(String::from_utf8_lossy(value).into_owned()),
        ValueRef::Blob(value) => SqlValue::Blob(value.to_vec()),
    }
}

fn error(error: rusqlite::Error) -> PortError {
    let kind = match error.sqlite_error_code() {
        Some(rusqlite::ErrorCode::ConstraintViolation) => PortErrorKind::Conflict,
        _ => PortErrorKind::Rejected,
    };
    PortError::new(kind, "sql", error.to_string())
}

impl Sql for MemorySql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError> {
        self.0.queries.set(self.0.queries.get() + 1);
        if let Some(left) = self.0.failing_reads.get().checked_sub(1) {
            self.0.failing_reads.set(left);
            return Err(PortError::unavailable("sql", "injected read failure"));
        }
        let connection = self.0.connection.borrow();
        let mut prepared = connection.prepare(statement.sql).map_err(error)?;
        let columns = prepared.column_count();
        let params = statement.params.into_iter().map(value);
        let mut rows = prepared
            .query(rusqlite::params_from_iter(params))
            .map_err(error)?;
        let mut answer = Vec::new();
        while let Some(row) = rows.next().map_err(error)? {
            let cells: Result<Vec<_>, _> = (0..columns).map(|index| row.get_ref(index).map(column)).collect();
            answer.push(Row(cells.map_err(error)?));
        }
        Ok(answer)
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        let fault = self.0.fault.take();
        if fault == Some(Fault::Before) {
            return Err(PortError::unavailable("sql", "injected before the write"));
        }
        let mut connection = self.0.connection.borrow_mut();
        let transaction = connection.transaction().map_err(error)?;
        let mut written = 0;
        for statement in statements {
            let params = statement.params.into_iter().map(value);
            written += transaction
                .execute(statement.sql, rusqlite::params_from_iter(params))
                .map_err(error)? as u64;
        }
        transaction.commit().map_err(error)?;
        self.0.rows_written.set(self.0.rows_written.get() + written);
        match fault {
            Some(Fault::After) => Err(PortError::new(
                PortErrorKind::Timeout,
                "sql",
                "injected after the write",
            )),
            _ => Ok(()),
        }
    }
}
