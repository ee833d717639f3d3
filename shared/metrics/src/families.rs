//! What is counted, over all functions.

/// How a family is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows.
    Counter,
    /// How much there is now.
    Gauge,
    /// Durations in [`BOUNDS_MS`].
    Histogram,
}

/// A family of metrics.
#[derive(Debug, Clone, Copy)]
pub struct Family {
    /// Its name.
    pub name: &'static str,
    /// How it is counted.
    pub kind: Kind,
    /// What it tells.
    pub help: &'static str,
}

/// The upper bounds of a histogram's buckets, in milliseconds.
pub const BOUNDS_MS: [u64; 11] = [1, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10_000];

/// All families.
pub const FAMILIES: &[Family] = &[
    Family {
        name: "eventstar_intake_events_total",
        kind: Kind::Counter,
        help: "Events by stream (the stream config's name; unknown for all others) and what became of them.",
    },
    Family {
        name: "eventstar_intake_requests_total",
        kind: Kind::Counter,
        help: "Requests that produce events, by HTTP status.",
    },
    Family {
        name: "eventstar_intake_request_duration_seconds",
        kind: Kind::Histogram,
        help: "Time to the answer of requests that produce events. On Cloudflare Workers the clock stands still while code runs, so it covers I/O only.",
    },
    Family {
        name: "eventstar_intake_schema_cache_total",
        kind: Kind::Counter,
        help: "Schemas asked for, by whether the isolate had them compiled.",
    },
    Family {
        name: "eventstar_intake_error_events_dropped_total",
        kind: Kind::Counter,
        help: "Error events over the stream's budget.",
    },
    Family {
        name: "eventstar_intake_error_events_lost_total",
        kind: Kind::Counter,
        help: "Error events that could not be stored: is the error stream configured?",
    },
    Family {
        name: "eventstar_intake_lone_surrogates_total",
        kind: Kind::Counter,
        help: "Escapes of half a surrogate pair in what was sent, each replaced by U+FFFD.",
    },
    Family {
        name: "eventstar_relay_connections_total",
        kind: Kind::Counter,
        help: "Connections to a stream that were opened; one to several streams counts for each.",
    },
    Family {
        name: "eventstar_relay_connected_clients",
        kind: Kind::Gauge,
        help: "Clients that are connected now, by stream; one to several streams counts for each. Those of an isolate that was killed count for a minute more.",
    },
    Family {
        name: "eventstar_relay_ended_total",
        kind: Kind::Counter,
        help: "Connections that ended: gone (the client went), planned, slow (the client read too slowly), too_many (others have all slots of the client), unavailable (a log could not be followed).",
    },
    Family {
        name: "eventstar_relay_refused_total",
        kind: Kind::Counter,
        help: "Requests for streams that were refused, by reason.",
    },
    Family {
        name: "eventstar_relay_events_total",
        kind: Kind::Counter,
        help: "Events sent to clients, by stream: one that goes to ten clients counts ten times.",
    },
    Family {
        name: "eventstar_relay_withheld_events_total",
        kind: Kind::Counter,
        help: "Events that no client gets: what is no event, or could not be redacted.",
    },
    Family {
        name: "eventstar_relay_gaps_total",
        kind: Kind::Counter,
        help: "Gaps that clients were told of: events that retention had dropped, or an id of another log.",
    },
    Family {
        name: "eventstar_relay_repeated_records_total",
        kind: Kind::Counter,
        help: "Records of Kafka that were passed over, by topic, as often as they were read: delivery had written their events before.",
    },
    Family {
        name: "eventstar_relay_lag_seconds",
        kind: Kind::Histogram,
        help: "Time from an event's receipt to its sending, of events sent as they came in; the last event of each batch is observed.",
    },
];
