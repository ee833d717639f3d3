//! Following a log by polling it: for hosts whose instances cannot wake one another.

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{Clock, PortError, Sql, Timer};
use futures_util::Stream;

use crate::tails::Seen;
use crate::{HEARTBEAT, SqlLog, Tails};

/// Bytes read from the log at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

/// What can be followed by polling it.
pub trait PolledLog {
    /// Resolves where a reader starts: a [`Frame::Opened`].
    async fn open(&self, log: &LogName, start: Start) -> Result<Frame, PortError>;

    /// What comes from the offset `next` on, for now: the chunk that holds it and some more; nothing at the end.
    async fn read(&self, log: &LogName, next: u64) -> Result<Vec<Chunk>, PortError>;
}

impl<S: Sql> PolledLog for SqlLog<S> {
    async fn open(&self, log: &LogName, start: Start) -> Result<Frame, PortError> {
        self.open(log, start).await
    }

    async fn read(&self, log: &LogName, next: u64) -> Result<Vec<Chunk>, PortError> {
        self.read(log, next, READ_BYTES).await
    }
}

/// The frames of a follower that looks for new events each `interval`; ends after an error. All followers of an instance
/// have the same `tails`, and read each log as often as one would.
pub fn follow_by_polling<L: PolledLog + 'static, T: Timer + Clock + 'static>(
    log: L,
    name: LogName,
    start: Start,
    tails: Rc<Tails>,
    host: T,
    interval: Duration,
) -> impl Stream<Item = Result<Frame, PortError>> + 'static {
    let follower = Follower {
        log,
        name,
        tails,
        host,
        interval,
        state: State::Opening(start),
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
}

enum State {
    Opening(Start),
    Reading(Place),
    Ended,
}

/// Where a follower stands.
struct Place {
    next: u64,
    /// Chunks that were read and not yet sent.
    ready: VecDeque<Chunk>,
    /// How long nothing has come.
    idle: Duration,
}

impl<L: PolledLog, T: Timer + Clock> Follower<L, T> {
    async fn next_frame(&mut self) -> Option<Result<Frame, PortError>> {
        let (frame, state) = match std::mem::replace(&mut self.state, State::Ended) {
            State::Ended => return None,
            State::Opening(start) => self.open(start).await,
            State::Reading(place) => self.read_on(place).await,
        };
        self.state = state;
        Some(frame)
    }

    async fn open(&self, start: Start) -> (Result<Frame, PortError>, State) {
        let opened = self.log.open(&self.name, start).await;
        let state = match &opened {
            Ok(Frame::Opened { start, .. }) => State::Reading(Place {
                next: *start,
                ready: VecDeque::new(),
                idle: Duration::ZERO,
            }),
            _ => State::Ended,
        };
        (opened, state)
    }

    async fn read_on(&self, mut place: Place) -> (Result<Frame, PortError>, State) {
        loop {
            if let Some(chunk) = place.ready.pop_front() {
                place.next = chunk.next();
                place.idle = Duration::ZERO;
                return (Ok(Frame::Chunk(chunk)), State::Reading(place));
            }
            let wait = match self
                .tails
                .see(&self.name, place.next, self.host.now(), self.interval)
            {
                Seen::Chunks(chunks) => {
                    place.ready = chunks.into();
                    continue;
                }
                Seen::Nothing(wait) => wait,
                Seen::Unknown => match self.look(place.next).await {
                    Err(error) => return (Err(error), State::Ended),
                    Ok(chunks) if chunks.is_empty() => self.interval,
                    Ok(chunks) => {
                        place.ready = chunks.into();
                        continue;
                    }
                },
            };
            if place.idle >= HEARTBEAT {
                place.idle = Duration::ZERO;
                return (Ok(Frame::Heartbeat), State::Reading(place));
            }
            self.host.sleep(wait).await;
            place.idle += wait;
        }
    }

    async fn look(&self, next: u64) -> Result<Vec<Chunk>, PortError> {
        let _looking = self.tails.look(&self.name, next, self.host.now());
        let chunks = self.log.read(&self.name, next).await?;
        self.tails.add(&self.name, &chunks);
        Ok(chunks)
    }
}
