//! The sinks: what keeps events, each behind the same trait.

use eventstar_event::Envelope;
use eventstar_log::{LogName, Policy, Retention, Sink, Sinks};
use eventstar_ports::{Level, Platform, PortError, PortErrorKind, StreamLog};
use futures_util::future::join_all;

use crate::KafkaSink;
use crate::dead::{self, Letter};

/// Appends under way at the same time: Workers allow six connections that wait for headers.
const APPENDS_AT_ONCE: usize = 6;

/// Largest append, in bytes of its events, where it has more than one: a chunk of the stream log. What is appended is copied, and a
/// request's events may have ten times as much.
const MAX_APPEND_BYTES: usize = 1_000_000;

/// Events of one log, in order.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'e> {
    /// The log; its topic is Kafka's topic too.
    pub log: &'e LogName,
    /// The retention of the events' stream.
    pub retention: Option<Retention>,
    /// The events.
    pub events: &'e [Envelope],
}

/// What became of one event: `Rejected` and `Corrupt` for good, other errors for now. A `Timeout` is unknown: the event may be
/// there.
pub type Written = Result<(), PortError>;

/// Whether a sink refuses an event for good.
#[must_use]
pub fn is_final(error: &PortError) -> bool {
    matches!(error.kind, PortErrorKind::Rejected | PortErrorKind::Corrupt)
}

/// What keeps events.
pub trait EventSink {
    /// Writes the events of `batches`, and says for each of each batch, in order, what became of it.
    async fn write(&self, batches: &[Batch<'_>]) -> Vec<Vec<Written>>;
}

/// The stream log as a sink: all events of an append, or none, and none after one that failed; delivery ids make a second time
/// harmless.
#[derive(Debug)]
pub struct LogSink<'p, P>(pub &'p P);

impl<P: Platform> EventSink for LogSink<'_, P> {
    async fn write(&self, batches: &[Batch<'_>]) -> Vec<Vec<Written>> {
        let mut written = Vec::with_capacity(batches.len());
        let mut rest = batches;
        while !rest.is_empty() {
            let (some, later) = rest.split_at(at_once(rest));
            let appends = some.iter().map(async |batch| {
                let mut rest = batch.events;
                while !rest.is_empty() {
                    let (some, later) = rest.split_at(one_append(rest));
                    let log = self.0.stream_log();
                    if let Err(error) = log.append_with(batch.log, some, batch.retention).await {
                        let mut written = vec![Ok(()); batch.events.len() - rest.len()];
                        written.resize(batch.events.len(), Err(error));
                        return written;
                    }
                    rest = later;
                }
                vec![Ok(()); batch.events.len()]
            });
            written.extend(join_all(appends).await);
            rest = later;
        }
        written
    }
}

/// The number of the first events that are appended together: at least one.
fn one_append(events: &[Envelope]) -> usize {
    let mut bytes = 0;
    let more = events.iter().take_while(|event| {
        bytes += event.event.len();
        bytes <= MAX_APPEND_BYTES
    });
    more.count().max(1)
}

/// How many of the first batches may be appended at the same time: those of one log keep their order.
fn at_once(batches: &[Batch<'_>]) -> usize {
    let mut logs: Vec<&LogName> = Vec::with_capacity(APPENDS_AT_ONCE);
    for batch in batches {
        if logs.len() == APPENDS_AT_ONCE || logs.contains(&batch.log) {
            break;
        }
        logs.push(batch.log);
    }
    logs.len()
}

/// Writes the events of `batches` to `sink`.
pub async fn write<P: Platform>(platform: &P, sink: Sink, batches: &[Batch<'_>]) -> Vec<Vec<Written>> {
    match sink {
        Sink::Log => LogSink(platform).write(batches).await,
        Sink::Kafka => KafkaSink(platform).write(batches).await,
    }
}

/// Writes events that fit no queue message to the open ones of `sinks`, as their policy asks. What one sink refuses for good
/// and another has is a dead letter; what no sink has is not there at all.
pub async fn write_through<P: Platform>(platform: &P, batch: Batch<'_>, sinks: &Sinks) -> Vec<Written> {
    let mut result = vec![Ok(()); batch.events.len()];
    let mut is_kept = vec![!sinks.done.is_empty(); batch.events.len()];
    let mut refused = Vec::new();
    for sink in sinks.open() {
        let written = write(platform, sink, &[batch]).await.pop().unwrap_or_default();
        if sinks.policy == Policy::Fallback {
            if written.iter().all(Result::is_ok) {
                return written;
            }
            result = written;
            continue;
        }
        let counts = sinks.policy == Policy::All || sinks.sinks.first() == Some(&sink);
        for (place, written) in written.into_iter().enumerate() {
            let (Some(result), Some(is_kept)) = (result.get_mut(place), is_kept.get_mut(place)) else {
                continue;
            };
            match written {
                Ok(()) => *is_kept = true,
                Err(error) if !counts => {
                    let message = format!(
                        "{} was not given a large event, which its policy allows: {error}",
                        sink.name()
                    );
                    platform.log(Level::Warn, &message);
                }
                Err(error) => {
                    if is_final(&error) {
                        refused.push((place, sink, error.to_string()));
                    }
                    // What may succeed later is for the client to send again.
                    if result.as_ref().err().is_none_or(is_final) {
                        *result = Err(error);
                    }
                }
            }
        }
    }
    let letters: Vec<Letter<'_>> = refused
        .iter()
        .filter(|(place, ..)| {
            let is_refused = result
                .get(*place)
                .is_some_and(|result| result.as_ref().err().is_some_and(is_final));
            is_refused && is_kept.get(*place) == Some(&true)
        })
        .filter_map(|(place, sink, reason)| {
            Some(Letter::of(batch.log, batch.events.get(*place)?, *sink, reason))
        })
        .collect();
    if !letters.is_empty() {
        let kept = dead::keep(platform, &letters).await;
        for (result, _) in result
            .iter_mut()
            .zip(is_kept)
            .filter(|(result, is_kept)| *is_kept && result.as_ref().err().is_some_and(is_final))
        {
            *result = kept.clone();
        }
    }
    result
}
