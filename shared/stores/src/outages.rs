//! Logs that cannot be read now: their followers try again together, ever less often, and not for ever.

use std::cell::RefCell;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_log::LogName;
use eventstar_ports::{PortError, PortErrorKind, backoff};

/// A follower bears for so long that a log cannot be read: the first try that fails after this ends it. A proxy that is started again,
/// or moved to another machine, is back within a minute; a request to one that hangs takes 15 s more to fail.
const PATIENCE: Millis = 75_000;

/// The wait after the first failure, and the longest one.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(15);

/// Longest `Retry-After` that is obeyed: who asks for more is asked again before.
const LONGEST_RETRY_AFTER: Duration = Duration::from_secs(60);

/// The others wait for so long at a time while one tries.
const WHILE_TRYING: Duration = Duration::from_secs(1);

/// When a try that nothing was heard of does not hold up the others any more: its follower has gone. Requests take less.
const LOST_AFTER: Millis = 20_000;

/// Outages that are remembered, of the places where followers stand or stood. One that is forgotten begins again.
const MAX_OUTAGES: usize = 64;

/// Why a log could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReadFailure {
    /// The error.
    pub error: PortError,
    /// The time for which the server wants to be left alone, where it says so.
    pub retry_after: Option<Duration>,
}

impl From<PortError> for ReadFailure {
    fn from(error: PortError) -> Self {
        Self {
            error,
            retry_after: None,
        }
    }
}

impl ReadFailure {
    /// True where another try can have another end.
    fn may_pass(&self) -> bool {
        matches!(
            self.error.kind,
            PortErrorKind::Unavailable | PortErrorKind::Timeout
        )
    }
}

/// Places at which logs could not be read when a follower last tried.
#[derive(Debug, Default)]
pub(crate) struct Outages(RefCell<Vec<Outage>>);

/// A place in a log: the offset that is read from, or `None` where a follower has not found its place yet. What fails at one place
/// may go well at another.
pub(crate) type PlaceIn<'l> = (&'l LogName, Option<u64>);

#[derive(Debug)]
struct Outage {
    log: LogName,
    place: Option<u64>,
    /// When the first try failed, and the last one.
    since: Millis,
    failed: Millis,
    /// Tries that failed, in a row.
    failures: u64,
    /// When the next try may begin.
    next: Millis,
    /// Since when a follower tries.
    trying: Option<Millis>,
    error: PortError,
}

impl Outage {
    fn is_at(&self, (log, place): PlaceIn<'_>) -> bool {
        self.place == place && self.log == *log
    }
}

/// The next step of a follower.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Turn {
    /// Read the log.
    Read,
    /// Wait, and ask again.
    Wait(Duration),
    /// End: the log could not be read for too long.
    End(PortError),
}

/// The consequence of a try that failed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Failed {
    /// Another try in a while.
    Again,
    /// Another follower's try failed meanwhile: this one says nothing new.
    Known,
    /// No other try can help.
    Final(PortError),
}

impl Outages {
    /// The next step of a follower that stands at `place` and began at `began`.
    pub(crate) fn turn(&self, place: PlaceIn<'_>, began: Millis, now: Millis) -> Turn {
        let mut outages = self.0.borrow_mut();
        let Some(outage) = outages.iter_mut().find(|outage| outage.is_at(place)) else {
            return Turn::Read;
        };
        if outage.failed.saturating_sub(outage.since.max(began)) >= PATIENCE {
            return Turn::End(outage.error.clone());
        }
        if outage
            .trying
            .is_some_and(|since| now.abs_diff(since) < LOST_AFTER)
        {
            return Turn::Wait(WHILE_TRYING);
        }
        let wait = Duration::from_millis(outage.next.saturating_sub(now));
        // A clock that was set back must not stop anybody.
        if !wait.is_zero() && wait <= LONGEST_RETRY_AFTER {
            return Turn::Wait(wait);
        }
        outage.trying = Some(now);
        Turn::Read
    }

    /// Takes in that a try at `place`, which was begun at `tried`, has failed.
    pub(crate) fn failed(
        &self,
        place: PlaceIn<'_>,
        failure: ReadFailure,
        tried: Millis,
        now: Millis,
        random: [u8; 16],
    ) -> Failed {
        if !failure.may_pass() {
            return Failed::Final(failure.error);
        }
        let mut outages = self.0.borrow_mut();
        let known = outages.iter().position(|outage| outage.is_at(place));
        let outage = match known.map(|known| outages.remove(known)) {
            Some(known) if known.failed > tried => {
                outages.push(known);
                return Failed::Known;
            }
            Some(known) => known,
            None => Outage {
                log: place.0.clone(),
                place: place.1,
                since: now,
                failed: now,
                failures: 0,
                next: now,
                trying: None,
                error: failure.error.clone(),
            },
        };
        let failures = outage.failures + 1;
        let asked = failure.retry_after.unwrap_or_default().min(LONGEST_RETRY_AFTER);
        let pause = backoff(FIRST_PAUSE, LONGEST_PAUSE, failures, random).max(asked);
        // The one that failed last comes last.
        outages.push(Outage {
            failed: now,
            failures,
            next: now + u64::try_from(pause.as_millis()).unwrap_or_default(),
            trying: None,
            error: failure.error,
            ..outage
        });
        let too_many = outages.len().saturating_sub(MAX_OUTAGES);
        outages.drain(..too_many);
        Failed::Again
    }

    /// Forgets an outage: the log was read.
    pub(crate) fn over(&self, place: PlaceIn<'_>) {
        self.0.borrow_mut().retain(|outage| !outage.is_at(place));
    }
}

#[cfg(test)]
mod tests;
