//! Time, ids, configuration, background work, and the bundle of all ports.

use std::future::Future;
use std::time::Duration;

use eventstar_event::json::quote;
use eventstar_event::time::{Millis, to_iso};
use serde_json::Value;

use crate::{HttpClient, KeyValue, Leases, Metrics, Queue, Registry, StreamLog};

/// The time of day.
pub trait Clock {
    /// Now. On Workers it stands still while the CPU works and moves with I/O.
    fn now(&self) -> Millis;
}

/// Randomness for ids and jitter.
pub trait Ids {
    /// 16 random bytes, fit for a UUID.
    fn random(&self) -> [u8; 16];
}

/// Sleeping.
pub trait Timer {
    /// Returns after `duration`.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static;
}

/// Work that goes on after the answer.
pub trait Background {
    /// Runs `work` to its end within the platform's limits (30 s on Cloudflare); lost in a crash.
    fn spawn(&self, work: impl Future<Output = ()> + 'static);
}

/// Settings and secrets.
pub trait Config {
    /// The setting `name` (upper case with underscores), or `None` when it is not set or empty.
    fn get(&self, name: &str) -> Option<String>;
}

/// How grave a diagnostic line is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Level {
    /// Someone should look.
    Error,
    /// Something was refused or retried.
    Warn,
    /// For the record.
    Info,
}

impl Level {
    /// Its name in a record.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warn => "warn",
            Self::Info => "info",
        }
    }
}

/// Where the operator reads what happened. A record is one line of JSON, and holds no event values:
/// `{"level":"warn","dt":"2026-01-01T00:00:00.000Z","message":"…"}` and further members.
pub trait Diagnostics: Clock {
    /// Writes one line.
    fn write_line(&self, level: Level, line: &str);

    /// Writes a record.
    fn log(&self, level: Level, message: &str) {
        self.log_with(level, message, &[]);
    }

    /// Writes a record with further members: their names, and their values as JSON.
    fn log_with(&self, level: Level, message: &str, members: &[(&str, Value)]) {
        let mut line = format!(
            "{{\"level\":\"{}\",\"dt\":{},\"message\":{}",
            level.name(),
            quote(&to_iso(self.now())),
            quote(message)
        );
        for (name, value) in members {
            line.push_str(&format!(",{}:{value}", quote(name)));
        }
        line.push('}');
        self.write_line(level, &line);
    }
}

/// Everything a function handler may use.
pub trait Platform: Clock + Ids + Timer + Background + Config + Diagnostics + Clone + 'static {
    /// Edge KV.
    type Kv: KeyValue;
    /// The registry.
    type Registry: Registry;
    /// The queue.
    type Queue: Queue;
    /// The stream log.
    type Log: StreamLog;
    /// The metrics.
    type Metrics: Metrics;
    /// Other servers.
    type Http: HttpClient;
    /// The slots of clients.
    type Leases: Leases;

    /// Edge KV.
    fn kv(&self) -> &Self::Kv;
    /// The registry.
    fn registry(&self) -> &Self::Registry;
    /// The queue.
    fn queue(&self) -> &Self::Queue;
    /// The stream log.
    fn stream_log(&self) -> &Self::Log;
    /// The metrics.
    fn metrics(&self) -> &Self::Metrics;
    /// Other servers.
    fn http(&self) -> &Self::Http;
    /// The slots of clients.
    fn leases(&self) -> &Self::Leases;
}
