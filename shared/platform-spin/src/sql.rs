//! SQLite through Spin, as the SQL port.
//!
//! Every component and every instance opens the same file, so a writer waits its turn: SQLite waits on a thread of the
//! host for [`BUSY_TIMEOUT_MS`], then this adapter sleeps and asks again until [`PATIENCE`] is used up. The host's wait is
//! short because the holder of the write lock needs one of the same threads to go on.

use std::cell::RefCell;
use std::time::Duration;

use eventstar_ports::{PortError, PortErrorKind, Row, Sql, SqlValue, Statement};
use spin_sdk::sqlite::{Connection, Error, RowResult, Value};
use spin_sdk::time::sleep;

use crate::random;
use crate::settings::Settings;

/// How long SQLite itself waits for a lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 250;

/// How long a statement is tried again while the database is locked.
const PATIENCE: Duration = Duration::from_secs(5);

/// The longest sleep between two tries, in milliseconds.
const LONGEST_PAUSE_MS: u64 = 20;

/// How many idle connections an instance keeps: each costs the host three file descriptors and a page cache.
const MAX_IDLE: usize = 4;

thread_local! {
    /// Connections nobody uses. A connection is a handle of the instance, not of a request, so the next request may
    /// take it; it is taken out for exclusive use, so that transactions never interleave.
    static IDLE: RefCell<Vec<Connection>> = const { RefCell::new(Vec::new()) };
}

/// The component's default SQLite database.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpinSql;

impl Sql for SpinSql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError> {
        let rows =
            patiently(async |connection| run(connection, statement.sql, &statement.params).await).await?;
        rows.into_iter().map(row).collect()
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        patiently(async |connection| match statements.as_slice() {
            [] => Ok(()),
            // SQLite wraps a lone statement into a transaction itself.
            [only] => run(connection, only.sql, &only.params).await.map(drop),
            all => transaction(connection, all).await,
        })
        .await
    }
}

/// Runs `work` in one transaction that holds the write lock from its first statement on: what it reads stays so until it
/// writes, and nobody overtakes it. Without that, a hundred writers at the end of one log would lose most races for the
/// next offset.
pub(crate) async fn exclusively<T>(
    work: impl AsyncFn(Locked<'_>) -> Result<T, PortError>,
) -> Result<T, PortError> {
    patiently(async |connection| {
        run(connection, "BEGIN IMMEDIATE", &[]).await?;
        match work(Locked(connection)).await {
            Ok(done) => commit(connection).await.map(|()| done),
            Err(error) => Err(roll_back(connection, Failure { error, locked: false }).await),
        }
    })
    .await
}

/// The database as seen from inside a transaction.
pub(crate) struct Locked<'a>(&'a Connection);

impl Sql for Locked<'_> {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError> {
        let rows = run(self.0, statement.sql, &statement.params)
            .await
            .map_err(|failure| failure.error)?;
        rows.into_iter().map(row).collect()
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        for statement in statements {
            run(self.0, statement.sql, &statement.params)
                .await
                .map_err(|failure| failure.error)?;
        }
        Ok(())
    }
}

/// What went wrong, and whether it is only that others hold the lock.
struct Failure {
    error: PortError,
    locked: bool,
}

/// Runs `work` with a connection of its own, again and again while the database is locked.
async fn patiently<T>(work: impl AsyncFn(&Connection) -> Result<T, Failure>) -> Result<T, PortError> {
    let mut slept = Duration::ZERO;
    loop {
        let failure = match attempt(&work).await {
            Ok(done) => return Ok(done),
            Err(failure) => failure,
        };
        if !failure.locked || slept >= PATIENCE {
            return Err(failure.error);
        }
        let pause = Duration::from_millis(1 + random() % LONGEST_PAUSE_MS);
        sleep(pause).await;
        slept += pause + Duration::from_millis(BUSY_TIMEOUT_MS);
    }
}

/// One try. A connection that failed is closed: whatever it had begun is rolled back with it.
async fn attempt<T>(work: &impl AsyncFn(&Connection) -> Result<T, Failure>) -> Result<T, Failure> {
    let connection = match IDLE.with_borrow_mut(Vec::pop) {
        Some(connection) => connection,
        None => open().await?,
    };
    let done = work(&connection).await?;
    IDLE.with_borrow_mut(|idle| {
        if idle.len() < MAX_IDLE {
            idle.push(connection);
        }
    });
    Ok(done)
}

async fn open() -> Result<Connection, Failure> {
    let connection = Connection::open_default()
        .await
        .map_err(|error| failure(&error))?;
    run(
        &connection,
        &format!("PRAGMA busy_timeout = {BUSY_TIMEOUT_MS}"),
        &[],
    )
    .await?;
    // Readers do not wait for the writer, nor the writer for them.
    run(&connection, "PRAGMA journal_mode = WAL", &[]).await?;
    // A commit survives a killed process either way. After a power cut, NORMAL may have lost the last moments, and FULL
    // has lost nothing; but FULL waits for the disk at every commit, which is a hundred times slower and more.
    let full = Settings::load()
        .await
        .get("SQLITE_SYNCHRONOUS")
        .is_some_and(|mode| mode == "full");
    let synchronous = if full {
        "PRAGMA synchronous = FULL"
    } else {
        "PRAGMA synchronous = NORMAL"
    };
    run(&connection, synchronous, &[]).await?;
    Ok(connection)
}

async fn transaction(connection: &Connection, statements: &[Statement]) -> Result<(), Failure> {
    run(connection, "BEGIN IMMEDIATE", &[]).await?;
    for statement in statements {
        if let Err(failure) = run(connection, statement.sql, &statement.params).await {
            return Err(roll_back(connection, failure).await);
        }
    }
    commit(connection).await
}

async fn commit(connection: &Connection) -> Result<(), Failure> {
    run(connection, "COMMIT", &[])
        .await
        .map(drop)
        .map_err(|failure| Failure {
            // Nobody knows how far a commit came that did not merely find a lock.
            error: match failure.locked {
                true => failure.error,
                false => PortError::new(PortErrorKind::Timeout, "sql", failure.error.detail),
            },
            locked: failure.locked,
        })
}

/// Gives the lock back at once. Should this fail too, closing the connection does the same.
async fn roll_back(connection: &Connection, failure: Failure) -> Failure {
    let _ = run(connection, "ROLLBACK", &[]).await;
    failure
}

/// Runs a statement to its end: it has taken effect only when its rows are drained and its result is `Ok`.
async fn run(connection: &Connection, sql: &str, params: &[SqlValue]) -> Result<Vec<RowResult>, Failure> {
    let params = params.iter().map(|value| match value {
        SqlValue::Null => Value::Null,
        SqlValue::Integer(value) => Value::Integer(*value),
        SqlValue::Text(value) => Value::Text(value.clone()),
        SqlValue::Blob(value) => Value::Blob(value.clone()),
    });
    let answer = connection
        .execute(sql, params)
        .await
        .map_err(|error| failure(&error))?;
    answer.collect().await.map_err(|error| failure(&error))
}

fn row(row: RowResult) -> Result<Row, PortError> {
    let values = row.values.into_iter().map(|value| match value {
        Value::Null => Ok(SqlValue::Null),
        Value::Integer(value) => Ok(SqlValue::Integer(value)),
        Value::Text(value) => Ok(SqlValue::Text(value)),
        Value::Blob(value) => Ok(SqlValue::Blob(value)),
        Value::Real(_) => Err(PortError::corrupt(
            "sql",
            "a column holds a real, which nothing here stores",
        )),
    });
    Ok(Row(values.collect::<Result<_, _>>()?))
}

/// Spin passes SQLite's own words on, without its codes.
fn failure(error: &Error) -> Failure {
    let kind = match error {
        Error::NoSuchDatabase | Error::AccessDenied => PortErrorKind::Rejected,
        Error::InvalidConnection | Error::DatabaseFull => PortErrorKind::Unavailable,
        Error::Io(text) if text.contains("UNIQUE constraint failed") => PortErrorKind::Conflict,
        Error::Io(text) if text.contains("malformed") || text.contains("not a database") => {
            PortErrorKind::Corrupt
        }
        Error::Io(_) => PortErrorKind::Unavailable,
    };
    let locked = matches!(error, Error::Io(text) if text.contains("is locked"));
    Failure {
        error: PortError::new(kind, "sql", error.to_string()),
        locked,
    }
}
