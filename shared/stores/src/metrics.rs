//! Metrics in a SQLite database.

use bytes::Bytes;
use eventstar_ports::{Body, Metrics, PortError, Sample, Sql, Statement};
use http::{Method, Response};

use crate::object::{json, text};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS metric (name TEXT NOT NULL, labels TEXT NOT NULL, value INTEGER NOT NULL, \
     PRIMARY KEY (name, labels)) WITHOUT ROWID";

/// Metrics in the database `S`.
#[derive(Debug, Clone)]
pub struct SqlMetrics<S>(S);

impl<S: Sql> SqlMetrics<S> {
    /// The metrics in `sql`.
    pub fn new(sql: S) -> Self {
        Self(sql)
    }
}

impl<S: Sql> Metrics for SqlMetrics<S> {
    async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError> {
        let mut statements = vec![Statement::new(TABLE, vec![])];
        statements.extend(samples.into_iter().map(|sample| {
            Statement::new(
                "INSERT INTO metric (name, labels, value) VALUES (?, ?, ?) \
                 ON CONFLICT (name, labels) DO UPDATE SET value = value + excluded.value",
                vec![
                    sample.name.as_str().into(),
                    sample.labels.as_str().into(),
                    sample.value.into(),
                ],
            )
        }));
        self.0.write(statements).await
    }

    async fn read(&self) -> Result<Vec<Sample>, PortError> {
        let query = Statement::new("SELECT name, labels, value FROM metric", vec![]);
        let rows = match self.0.query(query).await {
            Err(error) if error.detail.contains("no such table") => return Ok(Vec::new()),
            rows => rows?,
        };
        let samples = rows.iter().map(|row| Sample {
            name: row.text(0).to_owned(),
            labels: row.text(1).to_owned(),
            value: row.integer(2),
        });
        Ok(samples.collect())
    }
}

/// Answers the requests of [`crate::object_api`] for metrics.
pub async fn metrics_object<S: Sql>(sql: S, request: http::Request<Bytes>) -> Response<Body> {
    let metrics = SqlMetrics::new(sql);
    let answer = if request.method() == Method::GET {
        metrics.read().await
    } else {
        match serde_json::from_slice(request.body()) {
            Ok(samples) => metrics.add(samples).await.map(|()| Vec::new()),
            Err(error) => return text(http::StatusCode::BAD_REQUEST, format!("not samples: {error}")),
        }
    };
    match answer {
        Ok(samples) => json(&samples),
        Err(error) => text(http::StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}
