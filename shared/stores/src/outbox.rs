//! A durable queue in SQL, for hosts that have no queue of their own.

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_ports::{PortError, Sql, SqlValue, Statement};

/// How long a taken message is hidden from other takers, in milliseconds: longer than a delivery takes.
const LEASE: Millis = 60_000;

const TABLE: &str = "CREATE TABLE IF NOT EXISTS outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, due INTEGER NOT NULL, \
     attempts INTEGER NOT NULL, message BLOB NOT NULL)";

/// A message taken from the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxMessage {
    /// Its number.
    pub id: u64,
    /// How often it was taken before.
    pub attempts: u64,
    /// Its text.
    pub message: Bytes,
}

/// The outbox in a SQLite database. Format 1 of a message is a queue message's text.
#[derive(Debug, Clone)]
pub struct SqlOutbox<S> {
    sql: S,
}

impl<S: Sql> SqlOutbox<S> {
    /// An outbox.
    pub fn new(sql: S) -> Self {
        Self { sql }
    }

    async fn prepared<T>(&self, run: impl AsyncFn() -> Result<T, PortError>) -> Result<T, PortError> {
        match run().await {
            Err(error) if error.detail.contains("no such table") => {
                self.sql.write(vec![Statement::new(TABLE, vec![])]).await?;
                run().await
            }
            answer => answer,
        }
    }

    /// Stores messages; all or none, durable when it returns.
    ///
    /// # Errors
    /// The database's.
    pub async fn put(&self, messages: Vec<Bytes>) -> Result<(), PortError> {
        let inserts = || -> Vec<Statement> {
            messages
                .iter()
                .map(|message| {
                    Statement::new(
                        "INSERT INTO outbox (due, attempts, message) VALUES (0, 0, ?)",
                        vec![SqlValue::Blob(message.to_vec())],
                    )
                })
                .collect()
        };
        self.prepared(async || self.sql.write(inserts()).await).await
    }

    /// Takes up to `limit` due messages, oldest first, and hides them for a minute. No two takers get the same one.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&self, limit: usize, now: Millis) -> Result<Vec<OutboxMessage>, PortError> {
        // An update takes the write lock even when it finds nothing: look first.
        let due = || Statement::new("SELECT 1 FROM outbox WHERE due <= ? LIMIT 1", vec![now.into()]);
        if self
            .prepared(async || self.sql.query(due()).await)
            .await?
            .is_empty()
        {
            return Ok(Vec::new());
        }
        let take = Statement::new(
            "UPDATE outbox SET due = ?, attempts = attempts + 1 WHERE id IN \
             (SELECT id FROM outbox WHERE due <= ? ORDER BY id LIMIT ?) RETURNING id, attempts - 1, message",
            vec![(now + LEASE).into(), now.into(), (limit as u64).into()],
        );
        let mut taken: Vec<OutboxMessage> = self
            .sql
            .query(take)
            .await?
            .into_iter()
            .map(|mut row| OutboxMessage {
                id: row.integer(0),
                attempts: row.integer(1),
                message: Bytes::from(row.take_blob(2)),
            })
            .collect();
        taken.sort_by_key(|message| message.id);
        Ok(taken)
    }

    /// Forgets delivered messages.
    ///
    /// # Errors
    /// The database's.
    pub async fn done(&self, ids: &[u64]) -> Result<(), PortError> {
        if ids.is_empty() {
            return Ok(());
        }
        let ids = format!(
            "[{}]",
            ids.iter().map(u64::to_string).collect::<Vec<_>>().join(",")
        );
        let delete = Statement::new(
            "DELETE FROM outbox WHERE id IN (SELECT value FROM json_each(?))",
            vec![ids.as_str().into()],
        );
        self.sql.write(vec![delete]).await
    }

    /// Shows a message again at `until`.
    ///
    /// # Errors
    /// The database's.
    pub async fn retry_later(&self, id: u64, until: Millis) -> Result<(), PortError> {
        let update = Statement::new(
            "UPDATE outbox SET due = ? WHERE id = ?",
            vec![until.into(), id.into()],
        );
        self.sql.write(vec![update]).await
    }

    /// How many messages wait.
    ///
    /// # Errors
    /// The database's.
    pub async fn len(&self) -> Result<u64, PortError> {
        let rows = self
            .prepared(async || {
                self.sql
                    .query(Statement::new("SELECT COUNT(*) FROM outbox", vec![]))
                    .await
            })
            .await?;
        Ok(rows.first().map_or(0, |row| row.integer(0)))
    }

    /// Whether no message waits.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_empty(&self) -> Result<bool, PortError> {
        Ok(self.len().await? == 0)
    }
}

/// Drains an outbox for as long as `is_asked`, which says whether anything came since it was called last. Each `round` says
/// whether it took as much as it can; else the next one waits with `gather` for more.
pub async fn drain_in_rounds(
    is_asked: impl Fn() -> bool,
    gather: impl AsyncFn(),
    round: impl AsyncFn() -> bool,
) {
    let mut is_full = false;
    while is_full || is_asked() {
        if !is_full {
            gather().await;
        }
        is_full = round().await;
    }
}

#[cfg(test)]
mod tests;
