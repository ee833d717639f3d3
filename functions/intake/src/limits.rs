//! Limits, each with its source.

use eventstar_event::MAX_EVENT_BYTES;
use eventstar_ports::Config;

/// Largest body, in bytes: `max_body_size` of production's EventGate (10mb).
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// Most events in one request.
pub const MAX_BATCH: usize = 10_000;

/// Most different schemas in one request: as many as Workers KV reads at once.
pub(crate) const MAX_SCHEMAS: usize = 100;

/// Most different logs one request appends to. Each takes a subrequest, of which Workers' free plan allows 50 a request;
/// schemas, stream config, queue, error events and metrics take at most ten.
pub(crate) const MAX_APPENDS: usize = 30;

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
