//! The producer: posts events at a rate.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::body::DUE;
use super::{PATIENCE, STREAM};
use crate::bench::http::{Answers, post};
use crate::bench::load::{connect, due_after};

/// Most requests a second: at higher rates a request has more events. So a higher rate loads the relay, and not intake.
const MAX_POSTS: u32 = 100;

/// Connections that post, so that one late answer does not hold back the next request.
const CONNECTIONS: usize = 4;

/// Bytes of an event: those of a real one on average.
const EVENT_BYTES: usize = 540;

/// What to post.
#[derive(Debug, Clone, Copy)]
pub(super) struct Schedule {
    pub(super) port: u16,
    /// Events a second.
    pub(super) rate: u32,
    pub(super) duration: Duration,
    /// When it starts, on both clocks; the other one is in microseconds since 1970.
    pub(super) start: Instant,
    pub(super) start_micros: u64,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Posted {
    /// Events the server took.
    pub(super) taken: u64,
    /// Why it did not take others.
    pub(super) problem: Option<String>,
}

impl Schedule {
    /// Requests a second.
    fn posts(&self) -> u32 {
        self.rate.min(MAX_POSTS)
    }

    /// Events of a request.
    fn batch(&self) -> u32 {
        self.rate / self.posts()
    }

    /// Posts everything; what the server refuses, or is too slow for, is not posted again.
    pub(super) fn post(&self) -> Result<Posted> {
        let next = AtomicUsize::new(0);
        let posted: Vec<Result<Posted>> = thread::scope(|scope| {
            let threads: Vec<_> = (0..CONNECTIONS)
                .map(|_| scope.spawn(|| self.connection(&next)))
                .collect();
            let results = threads.into_iter().map(|thread| {
                thread
                    .join()
                    .unwrap_or_else(|_| Err(anyhow!("the producer has a mistake")))
            });
            results.collect()
        });
        let mut all = Posted::default();
        for posted in posted {
            let posted = posted?;
            all.taken += posted.taken;
            all.problem = all.problem.or(posted.problem);
        }
        Ok(all)
    }

    fn connection(&self, next: &AtomicUsize) -> Result<Posted> {
        let mut stream = connect(self.port)?;
        let mut answers = Answers::new(stream.try_clone()?);
        let end = self.start + self.duration;
        let mut posted = Posted::default();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let due = due_after(number, self.posts());
            let now = Instant::now();
            if self.start + due >= end || now >= end + PATIENCE {
                return Ok(posted);
            }
            thread::sleep((self.start + due).saturating_duration_since(now));
            let body = self.body(number, due);
            let request = post(self.port, "/v1/events", &body);
            match stream.write_all(&request).and_then(|()| answers.next()) {
                Ok((201, _)) => posted.taken += u64::from(self.batch()),
                Ok((status, answer)) => {
                    let answer = String::from_utf8_lossy(answer);
                    posted.problem = Some(format!("a post was answered {status}: {answer}"));
                }
                // More than the server can take, perhaps: what is missing then tells.
                Err(error) => {
                    posted.problem = Some(format!("a post was not answered: {error}"));
                    return Ok(posted);
                }
            }
        }
    }

    /// The body of a request: its events were due when it was.
    fn body(&self, number: usize, due: Duration) -> String {
        let due = self.start_micros + due.as_micros() as u64;
        let events: Vec<String> = (0..self.batch()).map(|nth| event(due, number, nth)).collect();
        format!("[{}]", events.join(","))
    }
}

fn event(due: u64, number: usize, nth: u32) -> String {
    let mut event = format!(
        r#"{{"$schema":"/test/event/1.0.0","meta":{{"stream":"{STREAM}"}},{DUE}{due:016} {number} {nth} "#
    );
    while event.len() < EVENT_BYTES - 2 {
        event.push('x');
    }
    event.push_str("\"}");
    event
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_has_the_events_of_its_hundredth_of_a_second() {
        let schedule = Schedule {
            port: 1,
            rate: 400,
            duration: Duration::from_secs(1),
            start: Instant::now(),
            start_micros: 1_764_040_000_000_000,
        };
        let body: Vec<serde_json::Value> =
            serde_json::from_str(&schedule.body(3, Duration::from_millis(30))).unwrap();
        assert_eq!(body.len(), 4);
        let text = body[1]["test"].as_str().unwrap();
        assert!(text.starts_with("due 1764040000030000 3 1 xx"), "{text}");
        assert_eq!(body[1].to_string().len(), EVENT_BYTES);
    }
}
