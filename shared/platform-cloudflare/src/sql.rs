//! SQL on the storage of a Durable Object.

use std::fmt;

use eventstar_ports::{PortError, Row, Sql, SqlValue, Statement};
use worker::js_sys::futures::JsFuture;
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::{SqlCursor, SqlStorage, SqlStorageValue, State};

use crate::error;
use crate::js::Storage;

/// The SQLite database of the Durable Object it was made in.
///
/// A write is visible to the object at once. The platform's output gate holds back every answer, request and stream
/// piece of the object until the write is on disk, so nothing outside ever sees what could still be lost.
#[derive(Clone)]
pub struct DoSql {
    sql: SqlStorage,
    storage: Storage,
}

impl DoSql {
    /// The database of the object with this state.
    #[must_use]
    pub fn new(state: &State) -> Self {
        let storage = state.storage();
        let raw: &JsValue = storage.as_raw().as_ref();
        Self {
            sql: storage.sql(),
            storage: raw.clone().unchecked_into(),
        }
    }
}

impl DoSql {
    /// Deletes the whole database, so that the object takes no space any more.
    ///
    /// # Errors
    /// The storage's.
    pub async fn delete_all(&self) -> Result<(), PortError> {
        let deleted = self.storage.delete_all().map_err(error::sql)?;
        JsFuture::from(deleted).await.map(drop).map_err(error::sql)
    }
}

impl fmt::Debug for DoSql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DoSql")
    }
}

impl Sql for DoSql {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError> {
        let cursor = self.exec(statement).map_err(error::sql)?;
        cursor
            .raw()
            .map(|row| {
                Ok(Row(row
                    .map_err(|thrown| error::sql(thrown.into()))?
                    .into_iter()
                    .map(read)
                    .collect()))
            })
            .collect()
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        let mut statements = statements.into_iter();
        // What throws in here rolls all of it back.
        self.storage
            .transaction_sync(&mut || {
                statements
                    .by_ref()
                    .try_for_each(|statement| self.exec(statement).map(drop))
            })
            .map_err(error::sql)
    }
}

impl DoSql {
    fn exec(&self, statement: Statement) -> Result<SqlCursor, JsValue> {
        let params: Vec<SqlStorageValue> = statement.params.into_iter().map(write).collect();
        Ok(self.sql.exec(statement.sql, params)?)
    }
}

fn write(value: SqlValue) -> SqlStorageValue {
    match value {
        SqlValue::Null => SqlStorageValue::Null,
        SqlValue::Integer(value) => SqlStorageValue::Integer(value),
        SqlValue::Text(value) => SqlStorageValue::String(value),
        SqlValue::Blob(value) => SqlStorageValue::Blob(value),
    }
}

fn read(value: SqlStorageValue) -> SqlValue {
    match value {
        SqlStorageValue::Null => SqlValue::Null,
        SqlStorageValue::Boolean(value) => SqlValue::Integer(i64::from(value)),
        SqlStorageValue::Integer(value) => SqlValue::Integer(value),
        // Every number comes as a double; one that is no safe integer is outside of what the port carries.
        SqlStorageValue::Float(value) => SqlValue::Integer(value as i64),
        SqlStorageValue::String(value) => SqlValue::Text(value),
        SqlStorageValue::Blob(value) => SqlValue::Blob(value),
    }
}
