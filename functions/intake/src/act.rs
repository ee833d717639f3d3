//! Makes accepted events durable.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::rc::Rc;

use eventstar_delivery::{Batch, Packed, Written, is_final, pack, write, write_through};
use eventstar_event::Envelope;
use eventstar_log::{LogName, Policy, Retention, Sink, Sinks};
use eventstar_ports::{Platform, Queue};
use eventstar_stream_config::{Accept, Stream};

use crate::answer::{Outcome, sink_failure};
use crate::decide::Decided;
use crate::limits::{MAX_APPENDS, MAX_PRODUCES};

/// Events of one log that are to have the same sinks, with their places in the request.
struct Group {
    log: LogName,
    retention: Option<Retention>,
    sinks: Sinks,
    places: Vec<usize>,
    events: Vec<Envelope>,
}

impl Group {
    fn new(log: LogName, stream: &Stream) -> Self {
        Self {
            log,
            retention: Some(stream.retention),
            sinks: stream.sinks.clone(),
            places: Vec::new(),
            events: Vec::new(),
        }
    }

    /// An empty one, for the same log.
    fn with_sinks(&self, sinks: Sinks) -> Self {
        Self {
            log: self.log.clone(),
            retention: self.retention,
            sinks,
            places: Vec::new(),
            events: Vec::new(),
        }
    }

    fn push(&mut self, place: usize, event: Envelope) {
        self.places.push(place);
        self.events.push(event);
    }

    fn batch(&self) -> Batch<'_> {
        Batch {
            log: &self.log,
            retention: self.retention,
            events: &self.events,
        }
    }

    /// Gives the outcomes their events, and what became of each.
    fn end(self, outcomes: &mut [Outcome<'_>], written: impl IntoIterator<Item = Written>) {
        for ((place, event), written) in self.places.into_iter().zip(self.events).zip(written) {
            end(outcomes, place, event, &written);
        }
    }
}

fn end(outcomes: &mut [Outcome<'_>], place: usize, event: Envelope, written: &Written) {
    if let Some(outcome) = outcomes.get_mut(place) {
        outcome.event = event.event.into();
        outcome.failure = written.as_ref().err().map(sink_failure);
    }
}

/// Gives what was accepted to the sink that its answer waits for, and sends to the queue what other sinks are to have: one
/// append a log, one send for all that is queued. What belongs to more than [`MAX_APPENDS`] logs, or [`MAX_PRODUCES`] topics
/// of Kafka, is queued as well: durable too, and one request to the platform. A dry run stores nothing, and its outcomes are
/// what would be.
pub(crate) async fn act<'a, P: Platform>(
    platform: &P,
    decided: Vec<Decided<'a>>,
    dry_run: bool,
) -> Vec<Outcome<'a>> {
    let mut outcomes = Vec::with_capacity(decided.len());
    let mut groups: BTreeMap<(LogName, Accept, Sinks), Group> = BTreeMap::new();
    for (place, decided) in decided.into_iter().enumerate() {
        match decided {
            Decided::Refuse(outcome) => outcomes.push(outcome),
            Decided::Accept {
                log,
                envelope,
                stream,
            } => {
                let group = groups
                    .entry((log, stream.accept, stream.sinks.clone()))
                    .or_insert_with_key(|(log, ..)| Group::new(log.clone(), &stream));
                group.push(place, envelope);
                // The event follows when its group is done with.
                outcomes.push(Outcome {
                    event: Cow::default(),
                    failure: None,
                    stream: Some(Rc::clone(&stream)),
                });
            }
        }
    }
    // Benchmarks measure intake without its sink.
    if dry_run || platform.get("SINK").as_deref() == Some("null") {
        for group in groups.into_values() {
            group.end(&mut outcomes, std::iter::repeat(Ok(())));
        }
        return outcomes;
    }
    let (mut appends, mut produces, mut queued) = (Vec::new(), Vec::new(), Vec::new());
    for ((_, accept, _), group) in groups {
        let (most, now) = match accept {
            Accept::Log if group.sinks.has(Sink::Log) => (MAX_APPENDS, &mut appends),
            Accept::Kafka if group.sinks.has(Sink::Kafka) => (MAX_PRODUCES, &mut produces),
            _ => (usize::MAX, &mut queued),
        };
        if now.len() < most {
            now.push(group)
        } else {
            queued.push(group)
        }
    }
    for (sink, now) in [(Sink::Log, appends), (Sink::Kafka, produces)] {
        write_now(platform, sink, now, &mut queued, &mut outcomes).await;
    }
    send(platform, queued, &mut outcomes).await;
    outcomes
}

/// Writes to the sink that the answer waits for. What other sinks are to have, too, or instead, goes to `queued`.
async fn write_now<P: Platform>(
    platform: &P,
    sink: Sink,
    groups: Vec<Group>,
    queued: &mut Vec<Group>,
    outcomes: &mut [Outcome<'_>],
) {
    if groups.is_empty() {
        return;
    }
    let batches: Vec<Batch<'_>> = groups.iter().map(Group::batch).collect();
    let written = write(platform, sink, &batches).await;
    for (group, written) in groups.into_iter().zip(written) {
        let is_fallback = group.sinks.policy == Policy::Fallback && group.sinks.sinks.len() > 1;
        let mut there = group.with_sinks(group.sinks.clone().with(sink));
        let mut elsewhere = group.with_sinks(group.sinks.clone());
        let is_done = there.sinks.open().is_empty();
        for ((place, event), written) in group.places.into_iter().zip(group.events).zip(written) {
            match written {
                Ok(()) if !is_done => there.push(place, event),
                Err(error) if is_fallback && !is_final(&error) => elsewhere.push(place, event),
                written => end(outcomes, place, event, &written),
            }
        }
        queued.extend(
            [there, elsewhere]
                .into_iter()
                .filter(|group| !group.places.is_empty()),
        );
    }
}

/// Sends all groups to the queue; events that fit no queue message go to their sinks at once.
async fn send<P: Platform>(platform: &P, groups: Vec<Group>, outcomes: &mut [Outcome<'_>]) {
    let mut messages = Vec::new();
    let mut sent = Vec::new();
    let mut large = Vec::new();
    for group in groups {
        let Packed {
            messages: packed,
            too_large,
        } = pack(&group.batch(), &group.sinks);
        messages.extend(packed);
        let mut through = group.with_sinks(group.sinks.clone());
        for (index, (place, event)) in group.places.into_iter().zip(group.events).enumerate() {
            if too_large.contains(&index) {
                through.push(place, event);
            } else {
                sent.push((place, event));
            }
        }
        if !through.places.is_empty() {
            large.push(through);
        }
    }
    if !messages.is_empty() {
        let written = platform.queue().send(messages).await;
        for (place, event) in sent {
            end(outcomes, place, event, &written);
        }
    }
    for group in large {
        let written = write_through(platform, group.batch(), &group.sinks).await;
        group.end(outcomes, written);
    }
}
