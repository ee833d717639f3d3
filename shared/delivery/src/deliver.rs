//! What becomes of queue messages.

use std::time::Duration;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_log::{LogName, Policy, Retention, Sink};
use eventstar_ports::{Level, Platform, PortError, backoff};
use futures_util::future::join_all;

use crate::QueueMessage;
use crate::dead::{self, Letter};
use crate::sink::{self, Batch, Written, is_final};

/// What became of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Delivered {
    /// The sinks have its events as their policy asks.
    Done,
    /// A sink is not to be had now: deliver the message again.
    Retry,
    /// Some of it can never be delivered and is among the dead letters, with this reason; the rest is done.
    Dead(String),
}

/// One delivery of a queue message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The message's text.
    pub message: Bytes,
    /// Which one it is: 1 is the first.
    pub number: u64,
}

/// How often a message is delivered before it becomes a dead letter: with [`retry_after`], for some eight hours.
pub(crate) const MAX_ATTEMPTS: u64 = 100;

const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(300);

/// Bytes of events of one log that are written together: some of them more and a chunk of the log would be full.
const MAX_TOGETHER: usize = 900_000;

/// The wait of a message after its delivery failed for the `attempts`th time.
#[must_use]
pub fn retry_after(attempts: u64, random: [u8; 16]) -> Duration {
    backoff(FIRST_RETRY, LONGEST_RETRY, attempts, random)
}

/// Gives each message's events to their sinks. A second delivery is harmless to the log, by delivery ids, and at Kafka leaves
/// events twice. What fails for the hundredth time becomes dead letters, which say why.
pub async fn deliver<P: Platform>(platform: &P, attempts: Vec<Attempt>) -> Vec<Delivered> {
    let numbers: Vec<u64> = attempts.iter().map(|attempt| attempt.number).collect();
    let mut open: Vec<Result<Open, (Bytes, String)>> = attempts
        .into_iter()
        .map(|attempt| match QueueMessage::decode(&attempt.message) {
            Ok(message) => Ok(Open::new(message)),
            Err(error) => Err((attempt.message, error.to_string())),
        })
        .collect();
    give(platform, open.iter_mut().flatten().collect()).await;
    let mut delivered = Vec::with_capacity(open.len());
    for (message, number) in open.into_iter().zip(numbers) {
        delivered.push(match message {
            Ok(message) => message.settle(platform, number).await,
            Err((text, reason)) => {
                keep(platform, &[Letter::unreadable(&text, &reason)], reason.clone()).await
            }
        });
    }
    delivered
}

/// What became of an event of a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Redelivered {
    /// The sinks have it as their policy asks.
    Delivered,
    /// This sink is not to be had now: try again.
    Later(Sink),
    /// It is refused once more, with this reason.
    Refused(String),
}

/// Gives the events of dead letters to the sinks that lack them. What is refused again is not kept a second time: its letter is
/// there.
pub async fn redeliver<P: Platform>(platform: &P, messages: Vec<QueueMessage>) -> Vec<Redelivered> {
    let mut open: Vec<Open> = messages.into_iter().map(Open::new).collect();
    give(platform, open.iter_mut().collect()).await;
    open.into_iter()
        .map(|message| message.redelivered(platform))
        .collect()
}

/// Gives messages to their sinks, one sink after the other.
async fn give<P: Platform>(platform: &P, mut open: Vec<&mut Open>) {
    while let Some(sink) = open.iter().find_map(|message| message.next()) {
        let turn: Vec<&mut Open> = open
            .iter_mut()
            .filter(|message| message.next() == Some(sink))
            .map(|message| &mut **message)
            .collect();
        let groups = together(turn);
        let batches: Vec<Batch<'_>> = groups.iter().map(Group::batch).collect();
        let written = match sink {
            Sink::Log => sink::write(platform, sink, &batches).await,
            Sink::Kafka => by_topic(platform, sink, &batches).await,
        };
        for (group, written) in groups.into_iter().zip(written) {
            group.heard(sink, written);
        }
    }
}

/// Puts messages of one log together, in order: an append costs a request and a row, whatever it holds.
fn together(messages: Vec<&mut Open>) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for open in messages {
        let (log, retention) = (&open.message.log, open.message.retention);
        let last = groups.iter_mut().rev().find(|group| group.log == *log);
        match last.filter(|group| group.retention == retention && group.has_room(open)) {
            Some(group) => group.add(open),
            None => {
                let mut group = Group {
                    log: log.clone(),
                    retention,
                    bytes: 0,
                    events: Vec::new(),
                    members: Vec::new(),
                };
                group.add(open);
                groups.push(group);
            }
        }
    }
    groups
}

/// Messages of one log that are written together.
struct Group<'o> {
    log: LogName,
    retention: Option<Retention>,
    bytes: usize,
    /// Those of all messages, which have none meanwhile.
    events: Vec<Envelope>,
    /// The messages, each with how many events it has.
    members: Vec<(&'o mut Open, usize)>,
}

impl<'o> Group<'o> {
    fn has_room(&self, open: &Open) -> bool {
        self.bytes + open.bytes() <= MAX_TOGETHER
    }

    fn add(&mut self, open: &'o mut Open) {
        self.bytes += open.bytes();
        let events = std::mem::take(&mut open.message.events);
        self.members.push((open, events.len()));
        self.events.extend(events);
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            log: &self.log,
            retention: self.retention,
            events: &self.events,
        }
    }

    /// Gives each message its events back, and what became of them at `sink`.
    fn heard(self, sink: Sink, written: Vec<Written>) {
        let (mut events, mut written) = (self.events.into_iter(), written.into_iter());
        for (open, count) in self.members {
            open.message.events = events.by_ref().take(count).collect();
            open.heard(sink, written.by_ref().take(count).collect());
        }
    }
}

/// Writes the batches of all topics at the same time, so that a topic that is missing holds up no other.
async fn by_topic<P: Platform>(platform: &P, sink: Sink, batches: &[Batch<'_>]) -> Vec<Vec<Written>> {
    let mut topics: Vec<&str> = batches.iter().map(topic_of).collect();
    topics.sort_unstable();
    topics.dedup();
    let writes = topics.iter().map(async |topic| {
        let own = batches.iter().filter(|batch| topic_of(batch) == *topic);
        let own: Vec<Batch<'_>> = own.copied().collect();
        sink::write(platform, sink, &own).await.into_iter()
    });
    let mut written = join_all(writes).await;
    let of_batch = |batch| {
        let place = topics.binary_search(&topic_of(batch)).ok()?;
        written.get_mut(place)?.next()
    };
    batches
        .iter()
        .map(of_batch)
        .map(Option::unwrap_or_default)
        .collect()
}

fn topic_of<'b>(batch: &Batch<'b>) -> &'b str {
    batch.log.topic.as_str()
}

/// A message on its way.
struct Open {
    message: QueueMessage,
    tried: Vec<Sink>,
    /// What a sink refuses for good: the place of the event, the sink, and why.
    refused: Vec<(usize, Sink, String)>,
    /// Why a sink is not to be had now.
    later: Vec<(Sink, PortError)>,
}

impl Open {
    fn new(message: QueueMessage) -> Self {
        Self {
            message,
            tried: Vec::new(),
            refused: Vec::new(),
            later: Vec::new(),
        }
    }

    /// The size of its events.
    fn bytes(&self) -> usize {
        self.message.events.iter().map(|event| event.event.len()).sum()
    }

    /// The sink whose turn it is.
    fn next(&self) -> Option<Sink> {
        let open = self.message.sinks.open();
        open.into_iter().find(|sink| !self.tried.contains(sink))
    }

    /// Takes in what became of the events at `sink`.
    fn heard(&mut self, sink: Sink, written: Vec<Written>) {
        self.tried.push(sink);
        let mut lacks = false;
        for (place, error) in written
            .into_iter()
            .enumerate()
            .filter_map(|(place, written)| Some((place, written.err()?)))
        {
            if is_final(&error) {
                self.refused.push((place, sink, error.to_string()));
                lacks |= self.message.sinks.policy == Policy::Fallback;
            } else {
                lacks = true;
                if self.later.iter().all(|(known, _)| *known != sink) {
                    self.later.push((sink, error));
                }
            }
        }
        if !lacks {
            self.message.sinks = std::mem::take(&mut self.message.sinks).with(sink);
        }
    }

    /// Whether it counts for the policy that `sink` refuses events for good.
    fn counts(&self, sink: Sink) -> bool {
        let sinks = &self.message.sinks;
        match sinks.policy {
            Policy::All => true,
            Policy::First => sinks.sinks.first() == Some(&sink),
            Policy::Fallback => !sinks.are_satisfied(),
        }
    }

    /// Ends a message of dead letters, after each sink had its turn.
    fn redelivered<P: Platform>(self, platform: &P) -> Redelivered {
        if !self.message.sinks.are_satisfied()
            && let Some((sink, error)) = self.later.first()
        {
            let line = format!("a dead letter of {}: {error}", self.message.log);
            platform.log(Level::Warn, &line);
            return Redelivered::Later(*sink);
        }
        match self.refused.iter().find(|(_, sink, _)| self.counts(*sink)) {
            Some((_, _, reason)) => Redelivered::Refused(reason.clone()),
            None => Redelivered::Delivered,
        }
    }

    /// Ends the message's attempt with this number, after each sink had its turn.
    async fn settle<P: Platform>(self, platform: &P, number: u64) -> Delivered {
        let QueueMessage {
            log, sinks, events, ..
        } = &self.message;
        let is_last = number >= MAX_ATTEMPTS;
        for (sink, error) in &self.later {
            let what = if sinks.are_satisfied() {
                "was not given it, which its policy allows"
            } else if is_last {
                "is not tried again"
            } else {
                "is tried again"
            };
            platform.log(
                Level::Warn,
                &format!(
                    "delivery of {} events of {log} to {}: {what}: {error}",
                    events.len(),
                    sink.name()
                ),
            );
        }
        let waits_for = self.later.first().filter(|_| !sinks.are_satisfied());
        if waits_for.is_some() && !is_last {
            return Delivered::Retry;
        }
        let mut letters: Vec<Letter<'_>> = self
            .refused
            .iter()
            .filter(|(_, sink, _)| self.counts(*sink))
            .filter_map(|(place, sink, reason)| Some(Letter::of(log, events.get(*place)?, *sink, reason)))
            .collect();
        let refusal = self.refused.iter().find(|(_, sink, _)| self.counts(*sink));
        let mut why = refusal.map(|(_, _, reason)| reason.clone());
        if let Some((_, error)) = waits_for {
            let reason = format!("given up after {number} attempts: {error}");
            letters.extend(
                events
                    .iter()
                    .map(|event| Letter::open(&self.message, event, &reason)),
            );
            why = Some(reason);
        }
        match why {
            Some(why) => keep(platform, &letters, why).await,
            None => Delivered::Done,
        }
    }
}

/// Keeps dead letters; if that fails, their message is delivered again.
async fn keep<P: Platform>(platform: &P, letters: &[Letter<'_>], reason: String) -> Delivered {
    platform.log(
        Level::Error,
        &format!("{} events became dead letters: {reason}", letters.len()),
    );
    match dead::keep(platform, letters).await {
        Ok(()) => Delivered::Dead(reason),
        Err(error) => {
            platform.log(
                Level::Warn,
                &format!("dead letters could not be kept, they are tried again: {error}"),
            );
            Delivered::Retry
        }
    }
}

#[cfg(test)]
mod tests;
