//! What the relay counts.

use std::cell::Cell;
use std::rc::Rc;

use eventstar_event::time::Millis;
use eventstar_metrics::Counters;
use eventstar_ports::Platform;

use crate::end::End;
use crate::place::Place;

/// How often an isolate hands on what it counted: each time is a subrequest of some connection.
const REPORT_EVERY: Millis = 15_000;

/// The counters of an isolate.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counters: Rc<Counters>,
    /// When they are handed on next.
    report_at: Cell<Millis>,
}

impl Metrics {
    /// Counts a connection to the streams of `places`, and its end.
    pub(crate) fn connected(&self, places: &[Place]) -> Connected {
        let mut streams: Vec<&str> = places.iter().map(|place| place.stream.as_str()).collect();
        streams.sort_unstable();
        streams.dedup();
        for stream in streams {
            self.counters
                .add("eventstar_relay_connections_total", &[("stream", stream)], 1);
        }
        Connected {
            counters: Rc::clone(&self.counters),
            end: End::Gone,
        }
    }

    /// Counts events that were sent to one client, and those that nobody gets; `lag` is the time since the last of them was
    /// received, where it was sent as it came.
    pub(crate) fn relayed(&self, stream: &str, sent: u64, withheld: u64, lag: Option<Millis>) {
        let labels = [("stream", stream)];
        self.counters.add("eventstar_relay_events_total", &labels, sent);
        self.counters
            .add("eventstar_relay_withheld_events_total", &labels, withheld);
        if let Some(lag) = lag {
            self.counters.observe("eventstar_relay_lag_seconds", &[], lag);
        }
    }

    /// Counts a gap that a client was told of.
    pub(crate) fn gap(&self) {
        self.counters.add("eventstar_relay_gaps_total", &[], 1);
    }

    /// Counts a request that was refused.
    pub(crate) fn refused(&self, kind: &str) {
        self.counters
            .add("eventstar_relay_refused_total", &[("reason", kind)], 1);
    }

    /// Hands on what was counted, if that was not done a moment ago.
    pub(crate) fn report<P: Platform>(&self, platform: &P) {
        let now = platform.now();
        if now >= self.report_at.get() {
            self.report_at.set(now + REPORT_EVERY);
            self.counters.flush_soon(platform);
        }
    }
}

/// Counts the end of a connection when it is dropped.
#[derive(Debug)]
pub(crate) struct Connected {
    counters: Rc<Counters>,
    end: End,
}

impl Connected {
    /// The relay ends the connection; else the client does.
    pub(crate) fn ended(&mut self, end: End) {
        self.end = end;
    }
}

impl Drop for Connected {
    fn drop(&mut self) {
        self.counters
            .add("eventstar_relay_ended_total", &[("reason", self.end.name())], 1);
    }
}
