//! Limits, each with its source.

use eventstar_event::MAX_EVENT_BYTES;
use eventstar_ports::Config;

/// Largest body, in bytes: `max_body_size` of production's EventGate (10mb).
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Most events in one request.
pub const MAX_BATCH: usize = 10_000;

/// Most values in one request, objects and arrays included: those of seven of the largest events, of which ten fit a body. The text
/// itself is the rest of what a request takes in memory.
pub(crate) const MAX_REQUEST_VALUES: usize = 500_000;

/// The memory that the events of a request take while they wait to be judged, in bytes; what is over that is read once more then. A tenth of the
/// 40 MB that a request may take: three of them and all else fit the 128 MB of an isolate.
pub(crate) const MAX_WAITING_BYTES: usize = 4_000_000;

/// Bytes of refused events that an answer repeats with what was filled in, which are copies: as many as the largest event has. The
/// others are repeated as sent.
pub(crate) const MAX_FILLED_BYTES: usize = MAX_EVENT_BYTES;

/// Text of refused events, in bytes, that the error events of one request repeat whole: four of the largest events.
pub(crate) const MAX_REPORTED_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of each event beyond them that its error event repeats: the schema, the stream and the id most often stand there.
pub(crate) const MIN_REPORTED_BYTES: usize = 256;

/// Most different schemas in one request: as many as Workers KV reads at once.
pub(crate) const MAX_SCHEMAS: usize = 100;

/// Most validation errors that an answer tells, but for the first of each event: twenty events with all that are told of one. Ten
/// thousand events with a hundred each would make an answer of 300 MB.
pub(crate) const MAX_REQUEST_ERRORS: usize = 2000;

/// Most different logs one request appends to. Each takes a subrequest, and another one for each megabyte, ten at most; Workers' free
/// plan allows 50 a request, and schemas, stream config, queue, error events and metrics take at most ten.
pub(crate) const MAX_APPENDS: usize = 30;

/// Most different streams with their schemas in one request: each takes some 4 kB until the answer, for its names, its settings and
/// what is appended or sent for it.
pub(crate) const MAX_TARGETS: usize = 1_000;

/// Most Kafka topics one request produces to before it is answered (`accept: kafka`): a subrequest each, and a while.
pub(crate) const MAX_PRODUCES: usize = 5;

/// Longest text of an event or message repeated in an answer about a failure is the event itself; of a name, this many
/// characters.
pub(crate) const MAX_NAME_SHOWN: usize = 200;

/// The largest event this deployment takes: the setting `MAX_EVENT_BYTES` may lower the limit.
pub(crate) fn max_event_bytes(config: &impl Config) -> usize {
    let set = config.get("MAX_EVENT_BYTES").and_then(|bytes| bytes.parse().ok());
    // No event has no bytes: a limit of 0 is a mistake, not a wish to refuse all.
    set.filter(|bytes| *bytes > 0)
        .unwrap_or(MAX_EVENT_BYTES)
        .min(MAX_EVENT_BYTES)
}
