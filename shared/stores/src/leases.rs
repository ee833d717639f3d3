//! Slots of clients in a SQLite database.

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_ports::{Body, PortError, SLOT_LIFE, Slot, Sql, Statement};
use http::{Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::object::{json, text};

/// One row a slot. Without a rowid a renewal writes one row, not two: on Workers each is paid for.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS lease (client TEXT NOT NULL, holder TEXT NOT NULL, until INTEGER NOT NULL, \
     PRIMARY KEY (client, holder)) WITHOUT ROWID";

/// Slots in the database `S`.
#[derive(Debug, Clone)]
pub struct SqlLeases<S>(S);

impl<S: Sql> SqlLeases<S> {
    /// The slots in `sql`.
    pub fn new(sql: S) -> Self {
        Self(sql)
    }

    /// Takes or renews a slot until `now` plus [`SLOT_LIFE`]; `false` when others hold `limit` slots of the client. Slots that
    /// have expired, of whatever client, are dropped.
    ///
    /// # Errors
    /// The database's.
    pub async fn take(&self, slot: &Slot, limit: u32, now: Millis) -> Result<bool, PortError> {
        let expired = Statement::new("DELETE FROM lease WHERE until <= ?", vec![now.into()]);
        match self.0.write(vec![expired.clone()]).await {
            Err(error) if is_new(&error) => {
                self.0.write(vec![Statement::new(TABLE, vec![]), expired]).await?;
            }
            dropped => dropped?,
        }
        // One statement counts and takes, so two instances cannot both take the last slot.
        let take = Statement::new(
            "INSERT INTO lease (client, holder, until) SELECT ?, ?, ? \
             WHERE (SELECT COUNT(*) FROM lease WHERE client = ? AND holder <> ? AND until > ?) < ? \
             ON CONFLICT (client, holder) DO UPDATE SET until = excluded.until RETURNING 1",
            vec![
                slot.client.as_str().into(),
                slot.holder.as_str().into(),
                (now + SLOT_LIFE).into(),
                slot.client.as_str().into(),
                slot.holder.as_str().into(),
                now.into(),
                u64::from(limit).into(),
            ],
        );
        Ok(!self.0.query(take).await?.is_empty())
    }

    /// Gives a slot back.
    ///
    /// # Errors
    /// The database's.
    pub async fn release(&self, slot: &Slot) -> Result<(), PortError> {
        let release = Statement::new(
            "DELETE FROM lease WHERE client = ? AND holder = ?",
            vec![slot.client.as_str().into(), slot.holder.as_str().into()],
        );
        match self.0.write(vec![release]).await {
            Err(error) if is_new(&error) => Ok(()),
            released => released,
        }
    }

    /// Whether no slot is held.
    ///
    /// # Errors
    /// The database's.
    pub async fn is_empty(&self) -> Result<bool, PortError> {
        match self
            .0
            .query(Statement::new("SELECT 1 FROM lease LIMIT 1", vec![]))
            .await
        {
            Err(error) if is_new(&error) => Ok(true),
            rows => Ok(rows?.is_empty()),
        }
    }
}

/// Whether the database has no table yet.
fn is_new(error: &PortError) -> bool {
    error.detail.contains("no such table")
}

/// What is asked of the object that counts the slots of one client.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LeaseRequest {
    Take { slot: Slot, limit: u32 },
    Release { slot: Slot },
}

/// Answers the requests of [`crate::object_api`] for slots. `forget` deletes the database: it runs when no slot is held any
/// more, so that an object costs nothing once its client has gone.
pub async fn lease_object<S: Sql>(
    sql: S,
    forget: impl AsyncFnOnce() -> Result<(), PortError>,
    request: http::Request<Bytes>,
    now: Millis,
) -> Response<Body> {
    let leases = SqlLeases::new(sql);
    let answer = match serde_json::from_slice(request.body()) {
        Ok(LeaseRequest::Take { slot, limit }) => leases.take(&slot, limit, now).await,
        Ok(LeaseRequest::Release { slot }) => release(&leases, forget, &slot).await,
        Err(error) => return text(StatusCode::BAD_REQUEST, format!("not about a slot: {error}")),
    };
    match answer {
        Ok(answer) => json(&answer),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

async fn release<S: Sql>(
    leases: &SqlLeases<S>,
    forget: impl AsyncFnOnce() -> Result<(), PortError>,
    slot: &Slot,
) -> Result<bool, PortError> {
    leases.release(slot).await?;
    if leases.is_empty().await? {
        forget().await?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests;
