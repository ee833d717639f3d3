//! Following: frames as they come, whatever fails meanwhile.

use std::collections::VecDeque;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{HttpClient, Level, PortError, PortErrorKind};
use eventstar_stores::HEARTBEAT;
use futures_util::Stream;

use crate::instance::Failure;
use crate::{Host, KafkaLog};

/// How long a poll waits. A thread of the proxy waits, too, and the end of a stream is noticed in between.
const WAIT: Duration = Duration::from_secs(5);

/// How long more is gathered after a poll brought a few events: a busy topic is polled at most so often.
const GATHER: Duration = Duration::from_millis(50);

/// Events of a poll after which the next one is not waited for: Kafka's consumer has at most 500 (`max.poll.records`).
const MANY: u64 = 200;

/// Failures in a row after which a follower ends: after about a minute.
const MAX_FAILURES: u32 = 8;

/// Waits between tries: twice as long each time, with jitter.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(20);

/// The frames of one follower.
pub(crate) fn frames<H: HttpClient + Clone + 'static, T: Host>(
    log: KafkaLog<H, T>,
    name: LogName,
    start: Start,
) -> impl Stream<Item = Result<Frame, PortError>> + 'static {
    let follower = Follower {
        quiet_since: log.link.host.now(),
        log,
        name,
        state: State::Opening(start),
        failures: 0,
    };
    futures_util::stream::unfold(follower, |mut follower| async move {
        let frame = follower.next_frame().await?;
        Some((frame, follower))
    })
}

struct Follower<H: HttpClient + Clone + 'static, T: Host> {
    log: KafkaLog<H, T>,
    name: LogName,
    state: State,
    /// When the last frame was sent.
    quiet_since: Millis,
    /// Failures in a row.
    failures: u32,
}

enum State {
    Opening(Start),
    Reading {
        next: u64,
        /// Chunks that were read and not yet sent.
        ready: VecDeque<Chunk>,
        /// Whether the last poll brought a few events.
        came_few: bool,
    },
    Ended,
}

impl<H: HttpClient + Clone + 'static, T: Host> Follower<H, T> {
    async fn next_frame(&mut self) -> Option<Result<Frame, PortError>> {
        let frame = loop {
            let failure = match self.advance().await? {
                Ok(Some(frame)) => break Ok(frame),
                Ok(None) => continue,
                Err(failure) => failure,
            };
            if !self.bears(&failure) {
                self.state = State::Ended;
                break Err(failure.error);
            }
            self.pause(&failure).await;
        };
        self.quiet_since = self.log.link.host.now();
        Some(frame)
    }

    /// The next frame if there is one already; `None` when it has ended.
    async fn advance(&mut self) -> Option<Result<Option<Frame>, Failure>> {
        let host = &self.log.link.host;
        match &mut self.state {
            State::Ended => None,
            State::Opening(start) => {
                let opened = self.log.try_open(&self.name, *start).await;
                if let Ok(Frame::Opened { start, .. }) = opened {
                    self.failures = 0;
                    self.state = State::Reading {
                        next: start,
                        ready: VecDeque::new(),
                        came_few: false,
                    };
                }
                Some(opened.map(Some))
            }
            State::Reading {
                next,
                ready,
                came_few,
            } => {
                if let Some(chunk) = ready.pop_front() {
                    *next = chunk.next();
                    return Some(Ok(Some(Frame::Chunk(chunk))));
                }
                let quiet = host.now().saturating_sub(self.quiet_since);
                if u128::from(quiet) >= HEARTBEAT.as_millis() {
                    return Some(Ok(Some(Frame::Heartbeat)));
                }
                if std::mem::take(came_few) {
                    host.sleep(GATHER).await;
                }
                let read = self.log.try_read(&self.name, *next, WAIT).await;
                Some(read.map(|chunks| {
                    self.failures = 0;
                    let count = chunks.iter().map(|chunk| chunk.count).sum();
                    *came_few = (1..MANY).contains(&count);
                    *ready = chunks.into();
                    None
                }))
            }
        }
    }

    /// Whether another try makes sense.
    fn bears(&mut self, failure: &Failure) -> bool {
        self.failures += 1;
        let may_pass = matches!(
            failure.error.kind,
            PortErrorKind::Unavailable | PortErrorKind::Timeout
        );
        may_pass && self.failures < MAX_FAILURES
    }

    async fn pause(&self, failure: &Failure) {
        let host = &self.log.link.host;
        let longest = FIRST_PAUSE
            .saturating_mul(1 << self.failures.min(16))
            .min(LONGEST_PAUSE);
        let [random, ..] = host.random();
        // From half of it to all.
        let jittered = longest.mul_f64(0.5 + f64::from(random) / 512.0);
        let asked = failure.retry_after.unwrap_or_default().min(LONGEST_PAUSE);
        host.log(Level::Warn, &format!("reading is tried again: {}", failure.error));
        host.sleep(jittered.max(asked)).await;
    }
}
