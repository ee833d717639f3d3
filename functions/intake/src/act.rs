//! Makes accepted events durable.

use std::collections::BTreeMap;

use eventstar_delivery::{Packed, pack};
use eventstar_event::Envelope;
use eventstar_log::{LogName, Retention};
use eventstar_ports::{Platform, PortError, Queue, StreamLog};
use eventstar_stream_config::Accept;
use futures_util::future::join_all;

use crate::answer::{Outcome, sink_failure};
use crate::decide::Decided;
use crate::limits::MAX_APPENDS;

/// Logs appended to at the same time: Workers allow six connections that wait for headers.
const APPENDS_AT_ONCE: usize = 6;

/// Events of one log, with their places in the request.
#[derive(Default)]
struct Group {
    retention: Option<Retention>,
    places: Vec<usize>,
    events: Vec<Envelope>,
}

impl Group {
    fn push(&mut self, place: usize, event: Envelope) {
        self.places.push(place);
        self.events.push(event);
    }

    /// Gives the outcomes their events, and what went wrong with all of them.
    fn end(self, outcomes: &mut [Outcome], error: Option<&PortError>) {
        for (place, envelope) in self.places.into_iter().zip(self.events) {
            if let Some(outcome) = outcomes.get_mut(place) {
                outcome.event = envelope.event;
                outcome.failure = error.map(sink_failure);
            }
        }
    }
}

/// Appends or sends what was accepted: one append a log and one send for all that is queued. What belongs to more than
/// [`MAX_APPENDS`] logs is queued as well: durable too, and one request to the platform. An event's outcome is that of
/// its group. A dry run stores nothing, and its outcomes are what would be.
pub(crate) async fn act<P: Platform>(platform: &P, decided: Vec<Decided>, dry_run: bool) -> Vec<Outcome> {
    let mut outcomes = Vec::with_capacity(decided.len());
    let mut appends: BTreeMap<LogName, Group> = BTreeMap::new();
    let mut queued: BTreeMap<LogName, Group> = BTreeMap::new();
    for (place, decided) in decided.into_iter().enumerate() {
        match decided {
            Decided::Refuse(outcome) => outcomes.push(outcome),
            Decided::Accept {
                log,
                accept,
                envelope,
                stream,
            } => {
                let one_too_many = appends.len() >= MAX_APPENDS && !appends.contains_key(&log);
                let groups = if accept == Accept::Queue || one_too_many {
                    &mut queued
                } else {
                    &mut appends
                };
                let group = groups.entry(log).or_default();
                group.retention = Some(stream.retention);
                group.push(place, envelope);
                // The event follows when its group is done with.
                outcomes.push(Outcome {
                    event: String::new(),
                    failure: None,
                    stream: Some(stream),
                });
            }
        }
    }
    // Benchmarks measure intake without its sink.
    if dry_run || platform.get("SINK").as_deref() == Some("null") {
        appends
            .into_values()
            .chain(queued.into_values())
            .for_each(|group| group.end(&mut outcomes, None));
        return outcomes;
    }
    send(platform, queued, &mut appends, &mut outcomes).await;
    let mut groups: Vec<(LogName, Group)> = appends.into_iter().collect();
    while !groups.is_empty() {
        let some: Vec<_> = groups.drain(..groups.len().min(APPENDS_AT_ONCE)).collect();
        let results = join_all(some.iter().map(|(log, group)| {
            platform
                .stream_log()
                .append_with(log, &group.events, group.retention)
        }))
        .await;
        for ((_, group), result) in some.into_iter().zip(results) {
            group.end(&mut outcomes, result.err().as_ref());
        }
    }
    outcomes
}

/// Sends all queued groups; events that fit no queue message go to `appends`.
async fn send<P: Platform>(
    platform: &P,
    queued: BTreeMap<LogName, Group>,
    appends: &mut BTreeMap<LogName, Group>,
    outcomes: &mut [Outcome],
) {
    let mut messages = Vec::new();
    let mut sent = Group::default();
    for (log, group) in queued {
        let Packed {
            messages: packed,
            too_large,
        } = pack(&log, group.retention, &group.events);
        messages.extend(packed);
        for (index, (place, event)) in group.places.into_iter().zip(group.events).enumerate() {
            if too_large.contains(&index) {
                let append = appends.entry(log.clone()).or_default();
                append.retention = group.retention;
                append.push(place, event);
            } else {
                sent.push(place, event);
            }
        }
    }
    if !messages.is_empty() {
        let result = platform.queue().send(messages).await;
        sent.end(outcomes, result.err().as_ref());
    }
}
