//! Where a bounded read ends: after a number of events, or at a time.

use std::time::Duration;

use eventstar_event::time::Millis;

use crate::end::End;

/// Most events that `limit` asks for. It is for samples; longer reads are bounded by a time.
pub(crate) const MAX_LIMIT: u32 = 1_000_000;

/// What a reader asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Only events with an earlier timestamp in their log are sent.
    pub(crate) until: Option<Millis>,
    /// How many events are sent.
    pub(crate) limit: Option<u32>,
}

/// How far a bounded read has come in its logs.
#[derive(Debug)]
pub(crate) struct Progress {
    until: Option<Millis>,
    /// How many events are still to be sent.
    left: Option<u32>,
    logs: Vec<Log>,
    asked: bool,
}

#[derive(Debug, Clone, Default)]
struct Log {
    /// The offset of the next event.
    next: u64,
    /// Where the log ended at a time after `until`: what comes later is past it.
    head: Option<u64>,
    done: bool,
}

impl Progress {
    pub(crate) fn new(bounds: Bounds, logs: usize) -> Self {
        Self {
            until: bounds.until,
            left: bounds.limit,
            logs: vec![Log::default(); logs],
            asked: false,
        }
    }

    /// A log was opened at `now`: the next event to read, and the head of the log.
    pub(crate) fn opened(&mut self, log: usize, next: u64, head: u64, now: Millis) {
        if let Some(log) = self.logs.get_mut(log)
            && self.until.is_some_and(|until| until <= now)
        {
            log.head = Some(head);
            log.read_to(next);
        }
    }

    /// All events before offset `next` of a log are read.
    pub(crate) fn read(&mut self, log: usize, next: u64) {
        if let Some(log) = self.logs.get_mut(log) {
            log.read_to(next);
        }
    }

    /// Whether an event of a log is past `until`. Timestamps of a log never run backwards: so is all that follows.
    pub(crate) fn is_past(&mut self, log: usize, timestamp: Millis) -> bool {
        let past = self.until.is_some_and(|until| until <= timestamp);
        if past && let Some(log) = self.logs.get_mut(log) {
            log.done = true;
        }
        past
    }

    /// Whether nothing more is to be sent of a log.
    pub(crate) fn is_done(&self, log: usize) -> bool {
        self.logs.get(log).is_some_and(|log| log.done)
    }

    /// An event was sent.
    pub(crate) fn count_sent(&mut self) {
        self.left = self.left.map(|left| left.saturating_sub(1));
    }

    /// Why nothing more is to be sent.
    pub(crate) fn end(&self) -> Option<End> {
        if self.left == Some(0) {
            return Some(End::Limit);
        }
        let done = self.until.is_some() && self.logs.iter().all(|log| log.done);
        done.then_some(End::Until)
    }

    /// How long to wait for events before [`Progress::unfinished`] is asked again.
    pub(crate) fn wait(&self, now: Millis, longest: Duration) -> Duration {
        match self.until {
            Some(until) if now < until => longest.min(Duration::from_millis(until - now)),
            _ => longest,
        }
    }

    /// Once `until` has come: the logs whose head has to be asked for. Empty before, and after it was asked.
    pub(crate) fn unfinished(&mut self, now: Millis) -> Vec<usize> {
        if self.asked || self.until.is_none_or(|until| now < until) {
            return Vec::new();
        }
        self.asked = true;
        let waits = |log: &Log| !log.done && log.head.is_none();
        let logs = self.logs.iter().enumerate();
        logs.filter(|(_, log)| waits(log)).map(|(nth, _)| nth).collect()
    }
}

impl Log {
    fn read_to(&mut self, next: u64) {
        self.next = self.next.max(next);
        self.done |= self.head.is_some_and(|head| head <= self.next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn progress(until: Option<Millis>, limit: Option<u32>, logs: usize) -> Progress {
        Progress::new(Bounds { until, limit }, logs)
    }

    #[test]
    fn a_read_without_bounds_never_ends() {
        let mut read = progress(None, None, 1);
        read.opened(0, 5, 5, 100);
        read.count_sent();
        assert!(!read.is_past(0, u64::MAX));
        assert_eq!(read.end(), None);
        assert!(read.unfinished(u64::MAX).is_empty());
        assert_eq!(read.wait(100, Duration::from_secs(15)), Duration::from_secs(15));
    }

    #[test]
    fn a_read_with_a_limit_ends_with_its_last_event() {
        let mut read = progress(None, Some(2), 1);
        read.count_sent();
        assert_eq!(read.end(), None);
        read.count_sent();
        assert_eq!(read.end(), Some(End::Limit));
    }

    #[test]
    fn a_log_is_done_at_the_first_event_past_until() {
        let mut read = progress(Some(100), None, 1);
        assert!(!read.is_past(0, 99));
        assert_eq!(read.end(), None);
        assert!(read.is_past(0, 100));
        assert_eq!(read.end(), Some(End::Until));
    }

    #[test]
    fn until_in_the_past_a_log_is_done_at_the_head_it_had() {
        let mut read = progress(Some(100), None, 2);
        read.opened(0, 3, 5, 100);
        read.opened(1, 7, 7, 101);
        assert_eq!(read.end(), None);
        read.read(0, 4);
        assert_eq!(read.end(), None);
        read.read(0, 5);
        assert_eq!(read.end(), Some(End::Until));
    }

    #[test]
    fn until_in_the_future_heads_count_only_once_it_has_come() {
        let mut read = progress(Some(100), None, 2);
        read.opened(0, 5, 5, 99);
        read.opened(1, 5, 5, 99);
        assert_eq!(read.end(), None);
        assert_eq!(read.wait(99, Duration::from_millis(15)), Duration::from_millis(1));
        assert_eq!(read.wait(9, Duration::from_millis(15)), Duration::from_millis(15));
        assert!(read.unfinished(99).is_empty());
        assert!(read.is_past(1, 100));
        assert_eq!(read.unfinished(100), [0]);
        assert!(read.unfinished(101).is_empty(), "asked once");
        read.opened(0, 5, 6, 101);
        assert_eq!(read.end(), None);
        read.read(0, 6);
        assert_eq!(read.end(), Some(End::Until));
    }
}
