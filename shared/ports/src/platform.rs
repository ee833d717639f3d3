//! Time, ids, configuration, background work, and the bundle of all ports.

use std::future::Future;
use std::time::Duration;

use eventstar_event::time::Millis;

use crate::{KeyValue, Metrics, Queue, Registry, StreamLog};

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

/// Where the operator reads what happened. Lines hold no event values.
pub trait Diagnostics {
    /// Writes one line.
    fn log(&self, level: Level, line: &str);
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
}
