//! Makes accepted events durable.

use std::collections::BTreeMap;

use eventstar_delivery::{Packed, pack};
use eventstar_event::Envelope;
use eventstar_log::LogName;
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
    places: Vec<usize>,
    events: Vec<Envelope>,
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
                answer,
                stream,
            } => {
                let one_too_many = appends.len() >= MAX_APPENDS && !appends.contains_key(&log);
                let groups = if accept == Accept::Queue || one_too_many {
                    &mut queued
                } else {
                    &mut appends
                };
                let group = groups.entry(log).or_default();
                group.places.push(place);
                group.events.push(envelope);
                outcomes.push(Outcome {
                    event: answer,
                    failure: None,
                    stream: Some(stream),
                });
            }
        }
    }
    // Benchmarks measure intake without its sink.
    if dry_run || platform.get("SINK").as_deref() == Some("null") {
        return outcomes;
    }
    let failed = send(platform, queued, &mut appends).await;
    note(&mut outcomes, failed);
    let groups: Vec<(LogName, Group)> = appends.into_iter().collect();
    for some in groups.chunks(APPENDS_AT_ONCE) {
        let results = join_all(
            some.iter()
                .map(|(log, group)| platform.stream_log().append(log, &group.events)),
        )
        .await;
        for ((_, group), result) in some.iter().zip(results) {
            if let Err(error) = result {
                note(
                    &mut outcomes,
                    group.places.iter().map(|place| (*place, error.clone())).collect(),
                );
            }
        }
    }
    outcomes
}

/// Sends all queued groups; events that fit no queue message go to `appends`. Returns what failed.
async fn send<P: Platform>(
    platform: &P,
    queued: BTreeMap<LogName, Group>,
    appends: &mut BTreeMap<LogName, Group>,
) -> Vec<(usize, PortError)> {
    let mut messages = Vec::new();
    let mut places = Vec::new();
    for (log, group) in queued {
        let Packed {
            messages: packed,
            too_large,
        } = pack(&log, &group.events);
        messages.extend(packed);
        for (index, (place, event)) in group.places.into_iter().zip(group.events).enumerate() {
            if too_large.contains(&index) {
                let append = appends.entry(log.clone()).or_default();
                append.places.push(place);
                append.events.push(event);
            } else {
                places.push(place);
            }
        }
    }
    if messages.is_empty() {
        return Vec::new();
    }
    match platform.queue().send(messages).await {
        Ok(()) => Vec::new(),
        Err(error) => places.into_iter().map(|place| (place, error.clone())).collect(),
    }
}

fn note(outcomes: &mut [Outcome], failed: Vec<(usize, PortError)>) {
    for (place, error) in failed {
        if let Some(outcome) = outcomes.get_mut(place) {
            outcome.failure = Some(sink_failure(&error));
        }
    }
}
