//! The ends of logs as the followers of one instance have last read them, so that many followers of a log read it as often
//! as one does.
//!
//! Followers share data, never work: who finds that another is looking sleeps for a moment and comes again.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_log::{Chunk, LogName};

use crate::outages::Outages;
use crate::poll::READ_BYTES;

/// Bytes kept of one log, what a chunk takes besides its lines included: some followers are a little behind the others.
const TAIL_BYTES: usize = 1024 * 1024;

/// Logs of which something is kept. What is beyond is read by each follower for itself.
const MAX_TAILS: usize = 64;

/// A follower sleeps for so long while another one looks: a query takes a few milliseconds. Where it takes longer, as one to a server that
/// hangs, half as long as it has taken, and this at most.
const WHILE_LOOKING: Duration = Duration::from_millis(20);
const LONGEST_WHILE_LOOKING: Duration = Duration::from_secs(1);

/// The ends of the logs that are followed.
#[derive(Debug, Default)]
pub struct Tails {
    ends: RefCell<HashMap<LogName, Tail>>,
    pub(crate) outages: Outages,
}

#[derive(Debug)]
struct Tail {
    chunks: VecDeque<Chunk>,
    bytes: usize,
    /// The end of the log, when it was last looked at.
    next: u64,
    looked: Millis,
    looking: bool,
    /// Whether that look found all that it takes at once, so that there may be more.
    is_full: bool,
}

/// What a follower sees without looking in the log.
pub(crate) enum Seen {
    /// What comes next.
    Chunks(Vec<Chunk>),
    /// Nothing new; to be asked again after this.
    Nothing(Duration),
    /// Too long ago, or not here: the follower has to look itself.
    Unknown,
}

impl Tails {
    /// What comes from the offset `next` on, for a follower that wants to know it each `interval`.
    pub(crate) fn see(&self, log: &LogName, next: u64, now: Millis, interval: Duration) -> Seen {
        let tails = self.ends.borrow();
        let Some(tail) = tails.get(log) else {
            return Seen::Unknown;
        };
        let chunks = tail.from(next);
        if !chunks.is_empty() {
            return Seen::Chunks(chunks);
        }
        // A clock that was set back must not stop anybody from looking.
        let since = Duration::from_millis(now.abs_diff(tail.looked));
        match interval.checked_sub(since) {
            _ if next != tail.next => Seen::Unknown,
            _ if tail.looking => Seen::Nothing((since / 2).clamp(WHILE_LOOKING, LONGEST_WHILE_LOOKING)),
            _ if tail.is_full => Seen::Unknown,
            Some(left) if !left.is_zero() => Seen::Nothing(left),
            _ => Seen::Unknown,
        }
    }

    /// Says that a follower looks for what comes from `next` on, until the answer is dropped.
    pub(crate) fn look<'t>(&'t self, log: &'t LogName, next: u64, now: Millis) -> Option<Looking<'t>> {
        let mut tails = self.ends.borrow_mut();
        if !tails.contains_key(log) {
            make_room(&mut tails);
        }
        let tail = tails.entry(log.clone()).or_insert_with(|| Tail {
            chunks: VecDeque::new(),
            bytes: 0,
            next,
            looked: now,
            looking: false,
            is_full: false,
        });
        // Who is behind looks for itself alone.
        if tail.next != next {
            return None;
        }
        (tail.looked, tail.looking, tail.is_full) = (now, true, false);
        Some(Looking { tails: self, log })
    }

    /// Keeps what a follower has found.
    pub(crate) fn add(&self, log: &LogName, chunks: &[Chunk]) {
        if let (Some(tail), Some(first), Some(last)) =
            (self.ends.borrow_mut().get_mut(log), chunks.first(), chunks.last())
            && last.next() > tail.next
        {
            let follows = first.base <= tail.next && !tail.chunks.is_empty();
            tail.add(chunks, follows);
        }
    }
}

/// Forgets the log that nobody has looked at for the longest time, if there are too many.
fn make_room(tails: &mut HashMap<LogName, Tail>) {
    if tails.len() < MAX_TAILS {
        return;
    }
    let oldest = tails
        .iter()
        .min_by_key(|(_, tail)| tail.looked)
        .map(|(log, _)| log.clone());
    if let Some(oldest) = oldest {
        tails.remove(&oldest);
    }
}

impl Tail {
    fn from(&self, next: u64) -> Vec<Chunk> {
        let mut bytes = 0;
        let held = self.chunks.iter();
        let from = held.skip_while(|chunk| chunk.next() <= next);
        // A gap is for the log to tell.
        let starts_here = self.chunks.front().is_some_and(|first| first.base <= next);
        from.take_while(|chunk| {
            let room = bytes < READ_BYTES;
            bytes += chunk.lines.len();
            starts_here && room
        })
        .cloned()
        .collect()
    }

    /// Adds `chunks`, some of which may be here already if they follow.
    fn add(&mut self, chunks: &[Chunk], follows: bool) {
        if !follows {
            self.chunks.clear();
            self.bytes = 0;
        }
        for chunk in chunks {
            if !follows || chunk.base >= self.next {
                self.bytes += kept_bytes(chunk);
                self.chunks.push_back(chunk.clone());
            }
        }
        self.next = chunks.last().map_or(self.next, Chunk::next);
        self.is_full = chunks.iter().map(|chunk| chunk.lines.len()).sum::<usize>() >= READ_BYTES;
        while self.bytes > TAIL_BYTES
            && self.chunks.len() > 1
            && let Some(oldest) = self.chunks.pop_front()
        {
            self.bytes -= kept_bytes(&oldest);
        }
    }
}

/// What a chunk takes here: one of Kafka's may have no lines.
fn kept_bytes(chunk: &Chunk) -> usize {
    chunk.lines.len() + size_of::<Chunk>()
}

/// As long as this is there, others wait.
pub(crate) struct Looking<'t> {
    tails: &'t Tails,
    log: &'t LogName,
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        if let Some(tail) = self.tails.ends.borrow_mut().get_mut(self.log) {
            tail.looking = false;
        }
    }
}

#[cfg(test)]
mod tests;
