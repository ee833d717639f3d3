//! Following a log by polling it: for hosts whose instances cannot wake one another.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{Clock, Diagnostics, Ids, Level, PortError, Sql, Timer};
use futures_util::Stream;

use crate::outages::{Failed, PlaceIn, Turn};
use crate::tails::Seen;
use crate::{HEARTBEAT, ReadFailure, SqlLog, Tails};

/// Bytes read from the log at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// What can be followed by polling it.
pub trait PolledLog {
    /// Resolves where a reader starts: a [`Frame::Opened`].
    async fn open(&self, log: &LogName, start: Start) -> Result<Frame, ReadFailure>;

    /// What comes from the offset `next` on, for now: the chunk that holds it and some more; nothing at the end.
    async fn read(&self, log: &LogName, next: u64) -> Result<Vec<Chunk>, ReadFailure>;
}

impl<S: Sql> PolledLog for SqlLog<S> {
    async fn open(&self, log: &LogName, start: Start) -> Result<Frame, ReadFailure> {
        Ok(self.open(log, start).await?)
    }

    async fn read(&self, log: &LogName, next: u64) -> Result<Vec<Chunk>, ReadFailure> {
        Ok(self.read(log, next, READ_BYTES).await?)
    }
}

/// The ports that a follower needs. The host must not belong to one request.
pub trait PollingHost: Timer + Clock + Ids + Diagnostics + 'static {}

impl<T: Timer + Clock + Ids + Diagnostics + 'static> PollingHost for T {}

/// The frames of a follower that looks for new events each `interval`. What fails and may pass is tried again, ever less often, for
/// more than a minute; then, or after another error, the stream ends with the error. All followers of an instance have the same
/// `tails`, and read each log as often as one would.
pub fn follow_by_polling<L: PolledLog + 'static, T: PollingHost>(
    log: L,
    name: LogName,
    start: Start,
    tails: Rc<Tails>,
    host: T,
    interval: Duration,
) -> impl Stream<Item = Result<Frame, PortError>> + 'static {
    let began = host.now();
    let follower = Follower {
        log,
        name,
        tails,
        interval,
        state: State::Opening(start),
        began,
        quiet_since: began,
        host,
    };
    futures_util::stream::unfold(follower, |mut follower| async move {
        let frame = follower.next_frame().await?;
        Some((frame, follower))
    })
}

struct Follower<L, T> {
    log: L,
    name: LogName,
    tails: Rc<Tails>,
    host: T,
    interval: Duration,
    state: State,
    /// When it began.
    began: Millis,
    /// When the last frame was sent.
    quiet_since: Millis,
}

enum State {
    Opening(Start),
    Reading {
        next: u64,
        /// Chunks that were read and not yet sent.
        ready: VecDeque<Chunk>,
    },
    Ended,
}

/// The outcome of one look.
enum Step {
    Frame(Frame),
    /// There may be more at once.
    Again,
    /// Nothing for so long.
    Wait(Duration),
    End(PortError),
}

impl<L: PolledLog, T: PollingHost> Follower<L, T> {
    async fn next_frame(&mut self) -> Option<Result<Frame, PortError>> {
        let frame = loop {
            let wait = match self.step().await? {
                Step::Frame(frame) => break Ok(frame),
                Step::Again => continue,
                Step::Wait(wait) => wait,
                Step::End(error) => {
                    self.state = State::Ended;
                    break Err(error);
                }
            };
            let quiet = Duration::from_millis(self.host.now().saturating_sub(self.quiet_since));
            match HEARTBEAT.checked_sub(quiet) {
                Some(left) if !left.is_zero() => self.host.sleep(wait.min(left)).await,
                _ => break Ok(Frame::Heartbeat),
            }
        };
        self.quiet_since = self.host.now();
        Some(frame)
    }

    /// `None` when it has ended.
    async fn step(&mut self) -> Option<Step> {
        Some(match &mut self.state {
            State::Ended => return None,
            State::Opening(start) => {
                let start = *start;
                self.open(start).await
            }
            State::Reading { next, ready } => {
                if let Some(chunk) = ready.pop_front() {
                    *next = chunk.next();
                    return Some(Step::Frame(Frame::Chunk(chunk)));
                }
                match self.tails.see(&self.name, *next, self.host.now(), self.interval) {
                    Seen::Chunks(chunks) => {
                        *ready = chunks.into();
                        Step::Again
                    }
                    Seen::Nothing(wait) => Step::Wait(wait),
                    Seen::Unknown => {
                        let next = *next;
                        self.look(next).await
                    }
                }
            }
        })
    }

    async fn open(&mut self, start: Start) -> Step {
        let place = (&self.name, None);
        if let Some(step) = self.held_up(place) {
            return step;
        }
        let tried = self.host.now();
        let frame = match self.log.open(&self.name, start).await {
            Ok(frame) => frame,
            Err(failure) => return self.failed(place, failure, tried),
        };
        self.tails.outages.over(place);
        if let Frame::Opened { start, .. } = frame {
            self.state = State::Reading {
                next: start,
                ready: VecDeque::new(),
            };
        }
        Step::Frame(frame)
    }

    async fn look(&mut self, next: u64) -> Step {
        let place = (&self.name, Some(next));
        if let Some(step) = self.held_up(place) {
            return step;
        }
        let tried = self.host.now();
        let read = {
            let _looking = self.tails.look(&self.name, next, tried);
            let read = self.log.read(&self.name, next).await;
            if let Ok(chunks) = &read {
                self.tails.add(&self.name, chunks);
            }
            read
        };
        let chunks = match read {
            Ok(chunks) => chunks,
            Err(failure) => return self.failed(place, failure, tried),
        };
        self.tails.outages.over(place);
        if chunks.is_empty() {
            return Step::Wait(self.interval);
        }
        self.state = State::Reading {
            next,
            ready: chunks.into(),
        };
        Step::Again
    }

    /// The step of a follower that may not read now, as it could not be read a moment ago.
    fn held_up(&self, place: PlaceIn<'_>) -> Option<Step> {
        match self.tails.outages.turn(place, self.began, self.host.now()) {
            Turn::Read => None,
            Turn::Wait(wait) => Some(Step::Wait(wait)),
            Turn::End(error) => Some(Step::End(error)),
        }
    }

    fn failed(&self, place: PlaceIn<'_>, failure: ReadFailure, tried: Millis) -> Step {
        let (now, random) = (self.host.now(), self.host.random());
        let message = format!("reading failed: {}", failure.error);
        match self.tails.outages.failed(place, failure, tried, now, random) {
            Failed::Again => {
                self.host.log(Level::Warn, &message);
                Step::Again
            }
            Failed::Known => Step::Again,
            Failed::Final(error) => Step::End(error),
        }
    }
}
