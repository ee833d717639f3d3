//! What intake counts.

use std::rc::Rc;

use eventstar_event::time::Millis;
use eventstar_metrics::Counters;
use eventstar_ports::Platform;
use http::StatusCode;

use crate::answer::{Failure, Outcome};

/// The counters of an isolate.
#[derive(Debug, Default)]
pub(crate) struct Metrics(Rc<Counters>);

impl Metrics {
    /// Counts what became of events, and how often the schema cache `(had, lacked)` a schema.
    pub(crate) fn events(&self, outcomes: &[Outcome<'_>], (hits, misses): (u64, u64)) {
        // Most requests have one stream and one outcome.
        let mut counts: Vec<(&str, &str, &str, u64)> = Vec::new();
        for outcome in outcomes {
            let (kind, code) = match &outcome.failure {
                None => ("accepted", "accepted"),
                Some(failure @ Failure::Invalid(_)) => ("invalid", failure.code()),
                Some(failure) => ("error", failure.code()),
            };
            let stream = outcome.label();
            match counts
                .iter_mut()
                .find(|count| (count.0, count.2) == (stream, code))
            {
                Some(count) => count.3 += 1,
                None => counts.push((stream, kind, code, 1)),
            }
        }
        for (stream, outcome, code, count) in counts {
            let labels = [("stream", stream), ("outcome", outcome), ("code", code)];
            self.0.add("eventstar_intake_events_total", &labels, count);
        }
        self.0
            .add("eventstar_intake_schema_cache_total", &[("result", "hit")], hits);
        self.0.add(
            "eventstar_intake_schema_cache_total",
            &[("result", "miss")],
            misses,
        );
    }

    /// Counts a request that produces events.
    pub(crate) fn request(&self, status: StatusCode, millis: Millis) {
        self.0.add(
            "eventstar_intake_requests_total",
            &[("status", status.as_str())],
            1,
        );
        self.0
            .observe("eventstar_intake_request_duration_seconds", &[], millis);
    }

    /// Counts an error event over its stream's budget.
    pub(crate) fn error_event_dropped(&self, stream: &str) {
        self.0.add(
            "eventstar_intake_error_events_dropped_total",
            &[("stream", stream)],
            1,
        );
    }

    /// Counts an error event that could not be stored.
    pub(crate) fn error_event_lost(&self) {
        self.0.add("eventstar_intake_error_events_lost_total", &[], 1);
    }

    /// Counts the halves of surrogate pairs that were replaced.
    pub(crate) fn surrogates_mended(&self, count: u64) {
        if count > 0 {
            self.0.add("eventstar_intake_lone_surrogates_total", &[], count);
        }
    }

    /// Hands on what was counted, a little later.
    pub(crate) fn flush_soon<P: Platform>(&self, platform: &P) {
        self.0.flush_soon(platform);
    }
}
