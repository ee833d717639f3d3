//! SQLite through Spin, as the SQL port.
//!
//! Every component and every instance opens the same file, and a burst of requests makes dozens of instances. So the write
//! lock must be short: a lone statement holds it within the host only, a transaction from call to call. Who finds it
//! taken waits in SQLite, on a thread of the host, for [`BUSY_TIMEOUT_MS`], then asks again until [`PATIENCE`] is used
//! up. The wait on the thread is short because the holder of the lock needs one of the same threads to go on.

use std::cell::RefCell;
use std::time::Duration;

use eventstar_ports::{Config as _, PortError, PortErrorKind, Row, Sql, SqlValue, Statement};
use spin_sdk::sqlite::{Connection, Error, RowResult, Value};
use spin_sdk::time::sleep;

use crate::random;
use crate::settings::Settings;

/// How long SQLite itself waits for a lock, in milliseconds.
const BUSY_TIMEOUT_MS: u64 = 250;

/// How long a statement is tried again while the database is locked.
const PATIENCE: Duration = Duration::from_secs(10);

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

/// What went wrong, and what can be done about it.
struct Failure {
    error: PortError,
    /// Others hold the lock: the same may work in a moment.
    locked: bool,
    /// The connection is as it was before; otherwise only closing it is sure to undo what had begun.
    clean: bool,
}

/// Runs `work` with a connection of its own, again and again while the database is locked.
async fn patiently<T>(work: impl AsyncFn(&Connection) -> Result<T, Failure>) -> Result<T, PortError> {
    let mut connection = None;
    let mut slept = Duration::ZERO;
    loop {
        let failure = match attempt(&mut connection, &work).await {
            Ok(done) => {
                keep(connection);
                return Ok(done);
            }
            Err(failure) => failure,
        };
        connection = connection.filter(|_| failure.clean);
        if !failure.locked || slept >= PATIENCE {
            keep(connection);
            return Err(failure.error);
        }
        let pause = Duration::from_millis(1 + random() % LONGEST_PAUSE_MS);
        sleep(pause).await;
        slept += pause + Duration::from_millis(BUSY_TIMEOUT_MS);
    }
}

async fn attempt<T>(
    connection: &mut Option<Connection>,
    work: &impl AsyncFn(&Connection) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let connection = match connection.take().or_else(|| IDLE.with_borrow_mut(Vec::pop)) {
        Some(ready) => connection.insert(ready),
        None => connection.insert(open().await?),
    };
    work(connection).await
}

fn keep(connection: Option<Connection>) {
    IDLE.with_borrow_mut(|idle| {
        if idle.len() < MAX_IDLE {
            idle.extend(connection);
        }
    });
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
    let Err(failure) = run(connection, "COMMIT", &[]).await else {
        return Ok(());
    };
    let mut failure = roll_back(connection, failure).await;
    if !failure.locked {
        // Nobody knows how far a commit came that did not merely find a lock.
        failure.error.kind = PortErrorKind::Timeout;
    }
    Err(failure)
}

/// Gives the lock back at once, after `failure` within a transaction.
async fn roll_back(connection: &Connection, failure: Failure) -> Failure {
    let clean = run(connection, "ROLLBACK", &[]).await.is_ok();
    Failure { clean, ..failure }
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
    // A statement that is refused for these reasons has had no effect.
    let clean = locked || kind == PortErrorKind::Conflict;
    Failure {
        error: PortError::new(kind, "sql", error.to_string()),
        locked,
        clean,
    }
}
