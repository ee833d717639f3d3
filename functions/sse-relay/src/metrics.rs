//! What the relay counts.

use std::rc::Rc;

use eventstar_event::time::Millis;
use eventstar_metrics::Counters;
use eventstar_ports::Platform;

use crate::Isolate;
use crate::end::End;
use crate::place::Place;

/// The gauge of connected clients.
const CONNECTED: &str = "eventstar_relay_connected_clients";

/// The counters of an isolate.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    counters: Rc<Counters>,
}

impl Metrics {
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

    /// Hands on what was counted, and how many clients there are: soon, or a while after the last time.
    pub(crate) fn report<P: Platform>(&self, platform: &P) {
        self.counters.flush_soon(platform);
    }
}

/// A client that is connected. Its end is counted when this is dropped.
pub(crate) struct Connected<P: Platform> {
    platform: P,
    isolate: Rc<Isolate>,
    /// The streams, by their names in the config.
    streams: Vec<String>,
    end: End,
}

impl<P: Platform> Connected<P> {
    /// Counts a connection to the streams of `places`.
    pub(crate) fn new(platform: &P, isolate: &Rc<Isolate>, places: &[Place]) -> Self {
        let mut streams: Vec<String> = places.iter().map(|place| place.stream.clone()).collect();
        streams.sort_unstable();
        streams.dedup();
        let counters = &isolate.metrics.counters;
        for stream in &streams {
            let labels = [("stream", stream.as_str())];
            counters.add("eventstar_relay_connections_total", &labels, 1);
            counters.up(CONNECTED, &labels);
        }
        isolate.metrics.report(platform);
        Self {
            platform: platform.clone(),
            isolate: Rc::clone(isolate),
            streams,
            end: End::Gone,
        }
    }

    /// The relay ends the connection; else the client does.
    pub(crate) fn ended(&mut self, end: End) {
        self.end = end;
    }
}

impl<P: Platform> Drop for Connected<P> {
    fn drop(&mut self) {
        let metrics = &self.isolate.metrics;
        let reason = [("reason", self.end.name())];
        metrics.counters.add("eventstar_relay_ended_total", &reason, 1);
        for stream in &self.streams {
            metrics.counters.down(CONNECTED, &[("stream", stream)]);
        }
        metrics.report(&self.platform);
    }
}
