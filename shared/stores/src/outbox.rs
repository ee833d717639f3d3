//! A durable queue in SQL, for hosts that have no queue of their own.

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_ports::{PortError, Row, Sql, SqlValue, Statement};

/// How long a taken message is hidden from other takers, in milliseconds: longer than a delivery takes.
const LEASE: Millis = 30_000;

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

    /// Takes up to `limit` due messages, oldest first, and hides them for 30 s. Another taker may take the same ones at
    /// the same moment: delivery ids make that harmless.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&self, limit: usize, now: Millis) -> Result<Vec<OutboxMessage>, PortError> {
        let statement = || {
            Statement::new(
                "SELECT id, attempts, message FROM outbox WHERE due <= ? ORDER BY id LIMIT ?",
                vec![now.into(), (limit as u64).into()],
            )
        };
        let rows: Vec<Row> = self.prepared(async || self.sql.query(statement()).await).await?;
        let taken: Vec<OutboxMessage> = rows
            .into_iter()
            .map(|mut row| OutboxMessage {
                id: row.integer(0),
                attempts: row.integer(1),
                message: Bytes::from(row.take_blob(2)),
            })
            .collect();
        let leases: Vec<Statement> = taken
            .iter()
            .map(|message| {
                Statement::new(
                    "UPDATE outbox SET due = ?, attempts = attempts + 1 WHERE id = ?",
                    vec![(now + LEASE).into(), message.id.into()],
                )
            })
            .collect();
        if !leases.is_empty() {
            self.sql.write(leases).await?;
        }
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
        let deletes = ids
            .iter()
            .map(|id| Statement::new("DELETE FROM outbox WHERE id = ?", vec![(*id).into()]))
            .collect();
        self.sql.write(deletes).await
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

#[cfg(test)]
mod tests;
