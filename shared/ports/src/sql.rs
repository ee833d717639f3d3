//! A small SQL port: what the stream log, the registry and the outbox are stored through.

use crate::PortError;

/// A bound parameter or a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SqlValue {
    /// SQL `NULL`.
    Null,
    /// An integer of at most 53 bits: JavaScript hosts pass it as a double.
    Integer(i64),
    /// A text.
    Text(String),
    /// Bytes; at most 2 MB, the row limit of a SQLite-backed Durable Object.
    Blob(Vec<u8>),
}

impl From<u64> for SqlValue {
    fn from(value: u64) -> Self {
        Self::Integer(i64::try_from(value).unwrap_or(i64::MAX))
    }
}

impl From<&str> for SqlValue {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<Vec<u8>> for SqlValue {
    fn from(value: Vec<u8>) -> Self {
        Self::Blob(value)
    }
}

/// One row of an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row(pub Vec<SqlValue>);

impl Row {
    /// The column `index` as a non-negative integer; 0 for `NULL` and everything else.
    #[must_use]
    pub fn integer(&self, index: usize) -> u64 {
        match self.0.get(index) {
            Some(SqlValue::Integer(value)) => u64::try_from(*value).unwrap_or(0),
            _ => 0,
        }
    }

    /// The column `index` as text; empty for everything else.
    #[must_use]
    pub fn text(&self, index: usize) -> &str {
        match self.0.get(index) {
            Some(SqlValue::Text(value)) => value,
            _ => "",
        }
    }

    /// The column `index` as bytes, moved out; empty for everything else.
    pub fn take_blob(&mut self, index: usize) -> Vec<u8> {
        match self.0.get_mut(index) {
            Some(SqlValue::Blob(value)) => std::mem::take(value),
            Some(SqlValue::Text(value)) => std::mem::take(value).into_bytes(),
            _ => Vec::new(),
        }
    }
}

/// A statement with `?` placeholders.
#[derive(Debug, Clone)]
pub struct Statement {
    /// The SQL text.
    pub sql: &'static str,
    /// One value a placeholder.
    pub params: Vec<SqlValue>,
}

impl Statement {
    /// A statement.
    #[must_use]
    pub fn new(sql: &'static str, params: Vec<SqlValue>) -> Self {
        Self { sql, params }
    }
}

/// A SQLite database.
pub trait Sql {
    /// Runs a query.
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError>;

    /// Runs all statements in one transaction; durable when it returns. `Conflict` when a uniqueness rule refuses one:
    /// then none has had an effect. On a host without interactive transactions only the first statement may conflict.
    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError>;
}
