//! Where a reader starts.

use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_kafka_rest::{Consumed, Offsets};
use eventstar_log::{Frame, Gap, GapReason, LogName, Start};
use eventstar_ports::{HttpClient, PortError};
use eventstar_stores::ReadFailure;

use crate::chunks::partition;
use crate::instance::Instance;
use crate::{Host, Link};

/// How long a poll waits for a record that must be there.
const WAIT: Duration = Duration::from_secs(2);

/// How long it waits for one that need not be there: after the last event may be marks of transactions alone. Brokers answer
/// consumers after half a second (`fetch.max.wait.ms`).
const WAIT_FOR_LAST: Duration = Duration::from_millis(600);

/// Polls that may bring nothing before it is believed: the first one has to wait for the broker.
const MAX_POLLS: u32 = 3;

/// Records ahead of the end among which the last event is looked for: the marks of a transaction come after its events.
const LAST: u64 = 10;

/// Records that a guess at a time's offset stays ahead, so that a poll, which brings up to 500, has the event in it.
const AHEAD: u64 = 100;

/// Looks for a time at most: offsets have 64 bits.
const MAX_LOOKS: u32 = 64;

/// How much later than the event itself a reader's position may be in a topic whose timestamps run backwards: an event
/// waits in a queue for at most a day.
const DISORDER: Millis = 86_400_000;

/// A place in a log.
#[derive(Debug, Clone, Copy)]
struct At {
    offset: u64,
    /// The timestamp of the event there, if there is one.
    timestamp: Option<Millis>,
}

/// What the reader is told first, and an instance for what comes next.
pub(crate) async fn open<H: HttpClient + Clone + 'static, T: Host>(
    link: &Link<H, T>,
    log: &LogName,
    asked: Start,
) -> Result<(Frame, Option<Instance<H, T>>), ReadFailure> {
    // A log that is not there yet is an empty one.
    let offsets = link.offsets(log).await?;
    let Some(Offsets { beginning, end }) = offsets.filter(|offsets| offsets.beginning < offsets.end) else {
        let end = offsets.map_or(0, |offsets| offsets.end);
        let (start, gap) = in_empty(asked, end);
        return Ok((opened(start, end, end, 0, gap), None));
    };
    let mut look = Look {
        link,
        log,
        offsets: Offsets { beginning, end },
        head: end,
        instance: None,
    };
    let last = look.last().await?;
    if let Some(last) = last {
        // Marks of transactions that end the log are no events to wait for.
        look.head = last.offset + 1;
    }
    let (start, gap) = look.resolve(asked, last).await?;
    let instance = look.at(start).await?;
    let last = last.map_or(0, |event| event.timestamp);
    Ok((opened(start, beginning, look.head, last, gap), Some(instance)))
}

fn opened(start: u64, earliest: u64, head: u64, last: Millis, gap: Option<Gap>) -> Frame {
    Frame::Opened {
        start,
        earliest,
        head,
        last,
        gap,
    }
}

fn gap(reason: GapReason, timestamp: Option<Millis>) -> Option<Gap> {
    Some(Gap { reason, timestamp })
}

/// Where a reader starts in a log without events that ends at `end`.
fn in_empty(asked: Start, end: u64) -> (u64, Option<Gap>) {
    let gap = match asked {
        Start::Offset(offset @ 1..) | Start::Position { offset, .. } if offset < end => {
            gap(GapReason::Expired, None)
        }
        Start::Position { offset, .. } if offset > end => gap(GapReason::Foreign, None),
        _ => None,
    };
    (end, gap)
}

/// An event, as far as its place matters.
#[derive(Debug, Clone, Copy)]
struct Seen {
    offset: u64,
    timestamp: Millis,
}

impl From<Seen> for At {
    fn from(event: Seen) -> Self {
        Self {
            offset: event.offset,
            timestamp: Some(event.timestamp),
        }
    }
}

/// A look around in a log.
struct Look<'l, H: HttpClient + Clone + 'static, T: Host> {
    link: &'l Link<H, T>,
    log: &'l LogName,
    offsets: Offsets,
    /// The offset after the last event.
    head: u64,
    instance: Option<Instance<H, T>>,
}

impl<H: HttpClient + Clone + 'static, T: Host> Look<'_, H, T> {
    /// The last event, unless it is far ahead of the end.
    async fn last(&mut self) -> Result<Option<Seen>, ReadFailure> {
        let Offsets { beginning, end } = self.offsets;
        let mut from = beginning.max(end.saturating_sub(LAST));
        let mut last = None;
        while from < end
            && let Some(seen) = self.events_from(from).await?.last()
        {
            last = Some(*seen);
            from = seen.offset + 1;
        }
        Ok(last)
    }

    /// The offset a reader starts at; `last` is the last event.
    async fn resolve(&mut self, asked: Start, last: Option<Seen>) -> Result<(u64, Option<Gap>), ReadFailure> {
        let beginning = self.offsets.beginning;
        Ok(match asked {
            Start::Latest => (self.head, None),
            // From 0 means from wherever it begins.
            Start::Offset(offset @ 1..) | Start::Position { offset, .. } if offset < beginning => {
                let first = self.first().await?;
                (
                    beginning,
                    gap(GapReason::Expired, first.map(|first| first.timestamp)),
                )
            }
            Start::Offset(offset) => (offset.clamp(beginning, self.head), None),
            Start::Timestamp(time) if last.is_some_and(|last| last.timestamp < time) => (self.head, None),
            Start::Timestamp(time) => {
                let first = self.first().await?;
                match first.filter(|first| time > 0 && beginning > 0 && time < first.timestamp) {
                    Some(first) => (beginning, gap(GapReason::Expired, Some(first.timestamp))),
                    None => (self.at_time(time, first, last).await?.offset, None),
                }
            }
            Start::Position { offset, timestamp } if self.is_own(offset, timestamp).await? => (offset, None),
            Start::Position { timestamp, .. } => {
                let first = self.first().await?;
                let at = self.at_time(timestamp, first, last).await?;
                (at.offset, gap(GapReason::Foreign, at.timestamp))
            }
        })
    }

    /// Whether a reader of this log can have been told to go on at `offset` and `timestamp`: the event before is older than
    /// that, and the event there not much older.
    async fn is_own(&mut self, offset: u64, timestamp: Millis) -> Result<bool, ReadFailure> {
        let Offsets { beginning, end } = self.offsets;
        if offset > end {
            return Ok(false);
        }
        let around = self
            .events_from(beginning.max(offset.saturating_sub(LAST)))
            .await?;
        let before = around.iter().rev().find(|event| event.offset < offset);
        let there = around.iter().find(|event| event.offset >= offset);
        Ok(before.is_none_or(|event| event.timestamp < timestamp)
            && there.is_none_or(|event| timestamp <= event.timestamp.saturating_add(1 + DISORDER)))
    }

    /// The first event of `time` or later; the end of the log when there is none.
    ///
    /// Timestamps grow with offsets, mostly evenly: the offset is guessed from the events around it, every other time, and
    /// the rest is halved.
    async fn at_time(
        &mut self,
        time: Millis,
        first: Option<Seen>,
        last: Option<Seen>,
    ) -> Result<At, ReadFailure> {
        let mut found = At {
            offset: self.head,
            timestamp: None,
        };
        let mut newer = match last {
            Some(last) if last.timestamp < time => return Ok(found),
            Some(last) => last.timestamp,
            None => time,
        };
        if let Some(first) = first.filter(|first| time <= first.timestamp) {
            return Ok(first.into());
        }
        if let Some(event) = self.by_index(time).await? {
            return Ok(event.into());
        }
        // Invariant: events before `low` are older than `time`; from `high` on is what was found, or nothing.
        let (mut low, mut high) = (self.offsets.beginning, self.head);
        let mut older = first.map_or(0, |first| first.timestamp);
        for look in 0..MAX_LOOKS {
            if low >= high {
                break;
            }
            let guess = if look % 2 == 0 {
                interpolate(time, (low, older), (high, newer)).saturating_sub(AHEAD)
            } else {
                low + (high - low) / 2
            };
            let from = guess.clamp(low, high - 1);
            let events = self.events_from(from).await?;
            match events.iter().position(|event| event.timestamp >= time) {
                Some(0) => {
                    let Some(event) = events.first() else { break };
                    if event.offset < found.offset {
                        found = (*event).into();
                    }
                    (high, newer) = (from, event.timestamp);
                }
                // The one ahead is older.
                Some(position) => {
                    let event = events.get(position).copied();
                    return Ok(event.map_or(found, At::from));
                }
                None => match events.last() {
                    Some(event) => (low, older) = (event.offset + 1, event.timestamp),
                    None => high = from,
                },
            }
        }
        Ok(found)
    }

    async fn first(&mut self) -> Result<Option<Seen>, ReadFailure> {
        Ok(self.events_from(self.offsets.beginning).await?.first().copied())
    }

    /// The first event of `time` or later by Kafka's own index, where the dialect can ask it.
    async fn by_index(&mut self, time: Millis) -> Result<Option<Seen>, ReadFailure> {
        let mut instance = self.at(self.offsets.beginning).await?;
        if !instance.seek_time(time).await? {
            self.instance = Some(instance);
            return Ok(None);
        }
        // The instance is where nobody knows: it is done with.
        let records = instance.poll(WAIT).await?;
        Ok(self.seen(&records).first().copied())
    }

    /// The events from `offset` on that come with one poll, of those that were there when this began.
    async fn events_from(&mut self, offset: u64) -> Result<Vec<Seen>, ReadFailure> {
        let is_last = offset.saturating_add(LAST) >= self.offsets.end;
        let wait = if is_last { WAIT_FOR_LAST } else { WAIT };
        let is_there = self
            .instance
            .as_ref()
            .is_some_and(|instance| instance.next == offset);
        let mut instance = self.at(offset).await?;
        for _ in 0..if is_last && is_there { 1 } else { MAX_POLLS } {
            let (same, records) = instance.read(wait).await?;
            if !records.is_empty() {
                self.instance = Some(same);
                return Ok(self.seen(&records));
            }
            instance = same;
        }
        self.instance = Some(instance);
        if is_last {
            return Ok(Vec::new());
        }
        let why = format!("{} in Kafka gives nothing from {offset} on", self.log);
        Err(PortError::unavailable("log", why).into())
    }

    fn seen(&self, records: &[Consumed]) -> Vec<Seen> {
        let records = records.iter().filter(|record| record.offset < self.offsets.end);
        let seen = records.filter_map(|record| {
            let told = || record.envelope(partition(self.log), self.link.host.now());
            Some(Seen {
                offset: record.offset,
                timestamp: match record.timestamp {
                    Some(timestamp) => timestamp,
                    None => told()?.dt,
                },
            })
        });
        seen.collect()
    }

    /// An instance that reads on at `offset`.
    async fn at(&mut self, offset: u64) -> Result<Instance<H, T>, ReadFailure> {
        match self.instance.take() {
            Some(instance) if instance.next == offset => Ok(instance),
            // One that waits for what comes after the end would wait there for half a second more.
            Some(instance) if instance.next < self.head => instance.place(offset).await,
            _ => Instance::create(self.link, self.log, offset).await,
        }
    }
}

/// The offset at `time` on the line between two events.
fn interpolate(time: Millis, (low, older): (u64, Millis), (high, newer): (u64, Millis)) -> u64 {
    let (passed, all) = (time.saturating_sub(older), newer.saturating_sub(older).max(1));
    let part = u128::from(high - low) * u128::from(passed) / u128::from(all);
    low + u64::try_from(part).unwrap_or(0)
}
