//! The delivery ids at the end of a log: what an append must not write again.

use std::collections::{HashSet, VecDeque};

use eventstar_event::Envelope;
use eventstar_event::time::Millis;

use super::{Head, id_bytes};

type Id = [u8; 16];

/// Clocks of machines differ by less than this.
const CLOCK_SKEW: Millis = 60_000;

/// Which ids an append has to know.
#[derive(Debug)]
pub(super) struct Needed {
    /// All of chunks that end at this time or later: redelivered events.
    redelivered_since: Millis,
    /// Those of chunks that end at this time or later, as far as there are not more than `most`: retried events.
    retried_since: Millis,
    most: usize,
}

impl Needed {
    /// What an append of `batch` has to know.
    pub(super) fn by(batch: &[Envelope], window: Millis, most: usize) -> Self {
        let earliest = |events: &mut dyn Iterator<Item = &Envelope>| events.map(|event| event.dt).min();
        let redelivered_since = earliest(&mut batch.iter()).unwrap_or(0);
        let retried = earliest(&mut batch.iter().filter(|event| event.may_be_retried()));
        Self {
            redelivered_since,
            retried_since: retried.map_or(redelivered_since, |dt| dt.saturating_sub(window)),
            most,
        }
    }

    fn is_met(&self, since: Millis, ids: usize) -> bool {
        since <= self.retried_since || (since <= self.redelivered_since && ids >= self.most)
    }
}

/// The end of a log and the ids before it.
#[derive(Debug)]
pub(super) struct Recent {
    log: String,
    pub(super) head: Head,
    /// The ids of all chunks that end at this time or later are here.
    since: Millis,
    ids: HashSet<Id>,
    /// The ids with the time their chunk ends, oldest first.
    order: VecDeque<(Millis, Id)>,
}

impl Recent {
    /// Nothing known yet of `log`.
    pub(super) fn of(log: &str) -> Self {
        Self {
            log: log.to_owned(),
            head: Head::default(),
            since: Millis::MAX,
            ids: HashSet::new(),
            order: VecDeque::new(),
        }
    }

    pub(super) fn is_of(&self, log: &str) -> bool {
        self.log == log
    }

    pub(super) fn contains(&self, id: &Id) -> bool {
        self.ids.contains(id)
    }

    pub(super) fn has(&self, needed: &Needed) -> bool {
        needed.is_met(self.since, self.ids.len())
    }

    /// Adds the chunk before all that were added; `end` is where it ends. False when no more chunks are needed.
    pub(super) fn add_older(&mut self, end: Head, needed: &Needed, ids: impl FnOnce() -> Vec<u8>) -> bool {
        if self.since == Millis::MAX {
            self.head = end;
        }
        self.since = end.last.saturating_add(1);
        if self.has(needed) {
            return false;
        }
        for id in ids().chunks_exact(16).rev() {
            if let Ok(id) = Id::try_from(id) {
                self.ids.insert(id);
                self.order.push_front((end.last, id));
            }
        }
        true
    }

    /// Says that there are no chunks before those that were added.
    pub(super) fn is_all(&mut self) {
        self.since = 0;
    }

    /// After `events` were written at the head.
    pub(super) fn with(mut self, events: &[&Envelope]) -> Self {
        for event in events {
            self.head.last = self.head.last.max(event.dt);
            self.head.next += 1;
        }
        for event in events {
            let id = id_bytes(&event.id);
            self.ids.insert(id);
            self.order.push_back((self.head.last, id));
        }
        self
    }

    /// Forgets what no retry within `window` needs, and the oldest beyond `most` ids.
    pub(super) fn forget_older(&mut self, window: Millis, most: usize) {
        let end = self.head.last.saturating_sub(window + CLOCK_SKEW);
        while let Some((time, id)) = self.order.front().copied()
            && (time < end || self.order.len() > most)
        {
            self.order.pop_front();
            self.ids.remove(&id);
            self.since = self.since.max(time.saturating_add(1));
        }
    }
}
