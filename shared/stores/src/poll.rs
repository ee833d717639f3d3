//! Following a log by polling it: for hosts whose instances cannot wake one another.

use std::collections::VecDeque;
use std::time::Duration;

use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{PortError, Sql, Timer};
use futures_util::Stream;

use crate::{HEARTBEAT, SqlLog};

/// Bytes read from the log at once.
pub(crate) const READ_BYTES: usize = 256 * 1024;

enum State {
    Opening(Start),
    Reading {
        next: u64,
        ready: VecDeque<Chunk>,
        idle: Duration,
    },
    Ended,
}

/// The frames of a follower that reads the log each `interval`; ends after an error.
pub fn follow_by_polling<S: Sql + 'static, T: Timer + 'static>(
    log: SqlLog<S>,
    name: LogName,
    start: Start,
    timer: T,
    interval: Duration,
) -> impl Stream<Item = Result<Frame, PortError>> + 'static {
    futures_util::stream::unfold(
        (log, name, timer, State::Opening(start)),
        move |(log, name, timer, state)| async move {
            let (item, state) = step(&log, &name, &timer, interval, state).await?;
            Some((item, (log, name, timer, state)))
        },
    )
}

async fn step<S: Sql, T: Timer>(
    log: &SqlLog<S>,
    name: &LogName,
    timer: &T,
    interval: Duration,
    state: State,
) -> Option<(Result<Frame, PortError>, State)> {
    let (mut next, mut ready, mut idle) = match state {
        State::Ended => return None,
        State::Opening(start) => {
            let opened = log.open(name, start).await;
            let next = match &opened {
                Ok(Frame::Opened { start, .. }) => *start,
                _ => return Some((opened, State::Ended)),
            };
            return Some((
                opened,
                State::Reading {
                    next,
                    ready: VecDeque::new(),
                    idle: Duration::ZERO,
                },
            ));
        }
        State::Reading { next, ready, idle } => (next, ready, idle),
    };
    loop {
        if let Some(chunk) = ready.pop_front() {
            next = chunk.next();
            return Some((
                Ok(Frame::Chunk(chunk)),
                State::Reading {
                    next,
                    ready,
                    idle: Duration::ZERO,
                },
            ));
        }
        match log.read(name, next, READ_BYTES).await {
            Err(error) => return Some((Err(error), State::Ended)),
            Ok(chunks) if !chunks.is_empty() => ready = chunks.into(),
            Ok(_) if idle >= HEARTBEAT => {
                return Some((
                    Ok(Frame::Heartbeat),
                    State::Reading {
                        next,
                        ready,
                        idle: Duration::ZERO,
                    },
                ));
            }
            Ok(_) => {
                timer.sleep(interval).await;
                idle += interval;
            }
        }
    }
}
