//! Metrics in a SQLite database.

use std::collections::BTreeMap;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_ports::{Body, GAUGE_LIFE, PortError, Row, Sample, Sql, Statement};
use http::{Method, Response, StatusCode};
use serde::{Deserialize, Serialize};

use crate::object::{json, text};

const TABLE: &str = "CREATE TABLE IF NOT EXISTS metric (name TEXT NOT NULL, labels TEXT NOT NULL, value INTEGER NOT NULL, \
     PRIMARY KEY (name, labels)) WITHOUT ROWID";

/// What each isolate has now, as JSON: one row an isolate, because on Workers each row written is paid for.
const GAUGES: &str = "CREATE TABLE IF NOT EXISTS gauge (holder TEXT NOT NULL PRIMARY KEY, until INTEGER NOT NULL, \
     samples TEXT NOT NULL) WITHOUT ROWID";

/// Metrics in the database `S`.
#[derive(Debug, Clone)]
pub struct SqlMetrics<S>(S);

impl<S: Sql> SqlMetrics<S> {
    /// The metrics in `sql`.
    pub fn new(sql: S) -> Self {
        Self(sql)
    }

    /// Adds what an isolate has counted.
    ///
    /// # Errors
    /// The database's.
    pub async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError> {
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

    /// Says what the isolate `holder` has now, in place of what it said before.
    ///
    /// # Errors
    /// The database's.
    pub async fn report(&self, holder: &str, gauges: &[Sample], now: Millis) -> Result<(), PortError> {
        let mut statements = vec![
            Statement::new(GAUGES, vec![]),
            Statement::new("DELETE FROM gauge WHERE until <= ?", vec![now.into()]),
        ];
        statements.push(if gauges.is_empty() {
            Statement::new("DELETE FROM gauge WHERE holder = ?", vec![holder.into()])
        } else {
            let samples = serde_json::to_string(gauges).unwrap_or_default();
            Statement::new(
                "INSERT INTO gauge (holder, until, samples) VALUES (?, ?, ?) \
                 ON CONFLICT (holder) DO UPDATE SET until = excluded.until, samples = excluded.samples",
                vec![holder.into(), (now + GAUGE_LIFE).into(), samples.as_str().into()],
            )
        });
        self.0.write(statements).await
    }

    /// What all isolates have counted, and what they have now.
    ///
    /// # Errors
    /// The database's.
    pub async fn read(&self, now: Millis) -> Result<Vec<Sample>, PortError> {
        let counted = Statement::new("SELECT name, labels, value FROM metric", vec![]);
        let counted = self.rows(counted).await?;
        let counted = counted.iter().map(|row| Sample {
            name: row.text(0).to_owned(),
            labels: row.text(1).to_owned(),
            value: row.integer(2),
        });
        let held = Statement::new("SELECT samples FROM gauge WHERE until > ?", vec![now.into()]);
        let held = sums(&self.rows(held).await?);
        Ok(counted.chain(held).collect())
    }

    async fn rows(&self, query: Statement) -> Result<Vec<Row>, PortError> {
        match self.0.query(query).await {
            Err(error) if error.detail.contains("no such table") => Ok(Vec::new()),
            rows => rows,
        }
    }
}

/// The gauges of all isolates, added up. What cannot be read is of another version, and is told anew in a moment.
fn sums(rows: &[Row]) -> Vec<Sample> {
    let mut sums: BTreeMap<(String, String), u64> = BTreeMap::new();
    for row in rows {
        let samples: Vec<Sample> = serde_json::from_str(row.text(0)).unwrap_or_default();
        for sample in samples {
            *sums.entry((sample.name, sample.labels)).or_default() += sample.value;
        }
    }
    let sums = sums.into_iter();
    sums.map(|((name, labels), value)| Sample { name, labels, value })
        .collect()
}

/// What an isolate tells the object of its gauges.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct GaugeReport {
    pub(crate) holder: String,
    pub(crate) gauges: Vec<Sample>,
}

/// Answers the requests of [`crate::object_api`] for metrics.
pub async fn metrics_object<S: Sql>(sql: S, request: http::Request<Bytes>, now: Millis) -> Response<Body> {
    let metrics = SqlMetrics::new(sql);
    let body = request.body();
    let answer = match (request.method(), request.uri().path()) {
        (&Method::GET, _) => metrics.read(now).await,
        (_, "/gauges") => match serde_json::from_slice(body) {
            Ok(GaugeReport { holder, gauges }) => {
                metrics.report(&holder, &gauges, now).await.map(|()| Vec::new())
            }
            Err(error) => return text(StatusCode::BAD_REQUEST, format!("not gauges: {error}")),
        },
        _ => match serde_json::from_slice(body) {
            Ok(samples) => metrics.add(samples).await.map(|()| Vec::new()),
            Err(error) => return text(StatusCode::BAD_REQUEST, format!("not samples: {error}")),
        },
    };
    match answer {
        Ok(samples) => json(&samples),
        Err(error) => text(StatusCode::SERVICE_UNAVAILABLE, error.to_string()),
    }
}

#[cfg(test)]
mod tests;
