//! Events from a producer to SSE clients, at a rate.

mod body;
mod clients;
mod producer;

use std::thread;
use std::time::{Duration, SystemTime};

use anyhow::Result;

use crate::process::step;
pub(super) use clients::Clients;
pub(super) use producer::{EVENT_BYTES, MAX_POSTS, Schedule};

/// How long after its end a rate's events are waited for.
pub(super) const PATIENCE: Duration = Duration::from_secs(2);

/// An event that came somewhere. Times are in microseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Arrival {
    /// When it was due to be posted.
    pub(super) due: u64,
    /// When it was there.
    pub(super) at: u64,
}

impl Arrival {
    pub(super) fn latency(&self) -> Duration {
        Duration::from_micros(self.at.saturating_sub(self.due))
    }
}

/// Posts what `schedule` has, and gives what has come to the clients and how many events the server took.
pub(super) fn flow(schedule: &Schedule, clients: &mut Clients) -> Result<(Vec<Arrival>, u64)> {
    let expected = clients.open() * schedule.events();
    let (arrivals, posted) = thread::scope(|scope| {
        let producer = scope.spawn(|| schedule.post());
        let until = schedule.end() + PATIENCE;
        let arrivals = clients.receive(schedule.start_micros, expected, until)?;
        let posted = producer
            .join()
            .unwrap_or_else(|_| Err(anyhow::anyhow!("the producer has a mistake")))?;
        anyhow::Ok((arrivals, posted))
    })?;
    if let Some(problem) = posted.problem {
        step(&problem);
    }
    Ok((arrivals, posted.taken))
}

/// Microseconds since 1970.
fn micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| since.as_micros() as u64)
}
