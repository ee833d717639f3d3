//! The producer: posts events at a rate.

use std::io::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};

use super::body::DUE;
use super::{PATIENCE, micros};
use crate::bench::http::{Answers, post};
use crate::bench::load::{connect, due_after};

/// Most requests a second: at higher rates a request has more events. So a higher rate loads what comes after intake.
pub(in crate::bench) const MAX_POSTS: u32 = 100;

/// Connections that post, so that one late answer does not hold back the next request.
const CONNECTIONS: usize = 4;

/// Bytes of an event: those of a real one on average.
pub(in crate::bench) const EVENT_BYTES: usize = 540;

/// What to post.
#[derive(Debug, Clone, Copy)]
pub(in crate::bench) struct Schedule<'a> {
    port: u16,
    stream: &'a str,
    /// Events a second.
    rate: u32,
    /// Most requests a second.
    max_posts: u32,
    pub(in crate::bench) duration: Duration,
    /// When it starts, on both clocks; the other one is in microseconds since 1970.
    start: Instant,
    pub(in crate::bench) start_micros: u64,
}

/// What became of it.
#[derive(Debug, Default)]
pub(super) struct Posted {
    /// Events the server took.
    pub(super) taken: u64,
    /// Why it did not take others.
    pub(super) problem: Option<String>,
}

impl<'a> Schedule<'a> {
    /// One that starts now.
    pub(in crate::bench) fn new(
        port: u16,
        stream: &'a str,
        rate: u32,
        max_posts: u32,
        duration: Duration,
    ) -> Self {
        Self {
            port,
            stream,
            rate,
            max_posts,
            duration,
            start: Instant::now(),
            start_micros: micros(),
        }
    }

    /// When it ends.
    pub(in crate::bench) fn end(&self) -> Instant {
        self.start + self.duration
    }

    /// How many events it has.
    pub(in crate::bench) fn events(&self) -> usize {
        self.rate as usize * self.duration.as_secs() as usize
    }

    /// Requests a second.
    fn posts(&self) -> u32 {
        self.rate / self.batch()
    }

    /// Events of a request: as few as make no more requests than wanted.
    pub(in crate::bench) fn batch(&self) -> u32 {
        let fits = |batch: &u32| self.rate.is_multiple_of(*batch) && self.rate / batch <= self.max_posts;
        (1..=self.rate).find(fits).unwrap_or(1)
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
        let end = self.end();
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
        let events: Vec<String> = (0..self.batch())
            .map(|nth| event(self.stream, due, number, nth))
            .collect();
        format!("[{}]", events.join(","))
    }
}

fn event(stream: &str, due: u64, number: usize, nth: u32) -> String {
    let mut event = format!(
        r#"{{"$schema":"/test/event/1.0.0","meta":{{"stream":"{stream}"}},{DUE}{due:016} {number} {nth} "#
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
        let mut schedule = Schedule::new(1, "a.b", 400, 100, Duration::from_secs(1));
        schedule.start_micros = 1_764_040_000_000_000;
        let body: Vec<serde_json::Value> =
            serde_json::from_str(&schedule.body(3, Duration::from_millis(30))).unwrap();
        assert_eq!(body.len(), 4);
        let text = body[1]["test"].as_str().unwrap();
        assert!(text.starts_with("due 1764040000030000 3 1 xx"), "{text}");
        assert_eq!(body[1].to_string().len(), EVENT_BYTES);
        assert_eq!(body[1]["meta"]["stream"], "a.b");
    }

    #[test]
    fn no_more_requests_are_posted_than_wanted_and_exactly_the_rate_of_events() {
        for (rate, max_posts, batch) in [
            (25, 100, 1),
            (400, 100, 4),
            (2000, 300, 8),
            (7, 3, 7),
            (500, 500, 1),
        ] {
            let schedule = Schedule::new(1, "a", rate, max_posts, Duration::from_secs(2));
            assert_eq!(schedule.batch(), batch, "{rate} in {max_posts} requests");
            assert_eq!(schedule.posts() * batch, rate);
            assert_eq!(schedule.events(), 2 * rate as usize);
        }
    }
}
