//! What a month costs, from what 1,000 events use.

use serde::Deserialize;

use super::count::Counts;
use super::measure::{EVENTS, Measured, Way};
use crate::queue::Queue;

/// A month, as Cloudflare's examples take it.
const MONTH_S: f64 = 30.0 * 86_400.0;

/// What an object is billed with while it is awake, in GB.
const OBJECT_GB: f64 = 0.128;

/// How often an isolate hands on its counters while there are any (`shared/metrics`).
const FLUSH_S: f64 = 15.0;

/// `docs/costs.toml`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Parameters {
    pub(crate) prices: Prices,
    pub(crate) assumptions: Assumptions,
}

/// Prices in US dollars.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Prices {
    pub(crate) subscription: f64,
    pub(crate) worker_requests: Price,
    pub(crate) cpu_ms: Price,
    pub(crate) kv_reads: Price,
    pub(crate) queue_operations: Price,
    pub(crate) object_requests: Price,
    pub(crate) object_gb_s: Price,
    pub(crate) rows_read: Price,
    pub(crate) rows_written: Price,
    pub(crate) stored_gb: Price,
}

/// What is beyond the included amount costs `price` for each `per`.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Price {
    pub(crate) included: f64,
    pub(crate) price: f64,
    pub(crate) per: f64,
}

impl Price {
    fn of(self, used: f64) -> f64 {
        (used - self.included).max(0.0) * self.price / self.per
    }
}

/// What is not counted; the file says what each is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Assumptions {
    pub(crate) isolates: f64,
    pub(crate) isolate_hours: f64,
    pub(crate) stream_config_ttl_s: f64,
    pub(crate) connection_s: f64,
    pub(crate) retention_days: f64,
    pub(crate) request_ms: f64,
    pub(crate) event_ms: f64,
    pub(crate) delivered_ms: f64,
    pub(crate) object_ms: f64,
}

/// A month's traffic, spread evenly over the month and over the logs; each request has events of one log.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Workload {
    pub(crate) way: Way,
    pub(crate) events: f64,
    pub(crate) logs: f64,
    /// Each reads everything, all the time.
    pub(crate) readers: f64,
}

/// What a month uses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Usage {
    pub(crate) worker_requests: f64,
    pub(crate) cpu_ms: f64,
    pub(crate) kv_reads: f64,
    pub(crate) queue_operations: f64,
    pub(crate) object_requests: f64,
    pub(crate) object_gb_s: f64,
    pub(crate) rows_read: f64,
    pub(crate) rows_written: f64,
    pub(crate) stored_gb: f64,
}

/// What that costs, by service.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Cost {
    pub(crate) workers: f64,
    pub(crate) kv: f64,
    pub(crate) queues: f64,
    /// Requests to objects and the time they are awake.
    pub(crate) objects: f64,
    pub(crate) rows: f64,
    pub(crate) storage: f64,
    /// All of it, with the subscription.
    pub(crate) total: f64,
}

/// How many of `all` are expected among `draws`, each of any of them.
fn distinct(all: f64, draws: f64) -> f64 {
    all * (1.0 - (1.0 - 1.0 / all).powf(draws))
}

/// What a month of `workload` uses. `counts` are those of its way.
pub(crate) fn usage(
    workload: &Workload,
    counts: &Counts,
    measured: &Measured,
    assumptions: &Assumptions,
) -> Usage {
    let Workload {
        way,
        events,
        logs,
        readers,
    } = *workload;
    let thousands = events / EVENTS as f64;
    let requests = thousands * counts.intake_requests as f64;
    let messages = thousands * counts.queue_messages as f64;
    let Queue {
        max_batch_size,
        max_batch_timeout,
    } = measured.queue;
    let at_once = messages / MONTH_S * max_batch_timeout as f64;
    let together = at_once.clamp(1.0, max_batch_size as f64);
    let consumed = messages / together;
    let appends = match way.accept {
        "queue" => consumed * distinct(logs, together),
        _ => thousands * counts.log.requests as f64,
    };

    let isolates = assumptions.isolates;
    let relays = isolates.min(readers);
    let connections = readers * MONTH_S / assumptions.connection_s;
    let flushes = requests.min(isolates * MONTH_S / FLUSH_S);
    let reports = relays * MONTH_S / FLUSH_S;
    let minutes = relays * MONTH_S / 60.0;
    let config_reads =
        |requests: f64, isolates: f64| requests.min(isolates * MONTH_S / assumptions.stream_config_ttl_s);
    let schema_reads = requests.min(isolates * MONTH_S / 3600.0 / assumptions.isolate_hours);

    // A log that is followed is awake all the time.
    let busy_s = assumptions.object_ms / 1000.0;
    let log_s = if readers > 0.0 {
        logs * MONTH_S
    } else {
        (appends * busy_s).min(logs * MONTH_S)
    };
    let metrics_s = ((flushes + 2.0 * reports) * busy_s).min(MONTH_S);

    // Each chunk is written, counted and read once for the readers, and deleted when it expires.
    let each = |rows: u64, of: u64| rows as f64 / of as f64;
    let expired = &measured.expiring.log;
    let pushed = if readers > 0.0 {
        each(measured.reader.log.rows_read, EVENTS as u64)
    } else {
        0.0
    };
    Usage {
        worker_requests: requests + consumed + connections,
        cpu_ms: requests * assumptions.request_ms
            + events * assumptions.event_ms * if counts.queue_messages > 0 { 2.0 } else { 1.0 }
            + events * readers * assumptions.delivered_ms,
        kv_reads: config_reads(requests, isolates) + schema_reads + config_reads(connections, relays),
        queue_operations: thousands * counts.queue_operations() as f64,
        object_requests: appends
            + connections * logs
            + flushes
            + minutes * measured.idle.metrics.requests as f64,
        object_gb_s: (log_s + metrics_s) * OBJECT_GB,
        rows_read: appends * (each(expired.rows_read, expired.requests) + pushed),
        rows_written: appends * each(expired.rows_written, expired.requests)
            + flushes * measured.flush.metrics.rows_written as f64
            + minutes * measured.idle.metrics.rows_written as f64,
        stored_gb: thousands * counts.log.bytes as f64 / 1e9 * assumptions.retention_days * 86_400.0
            / MONTH_S,
    }
}

/// What `usage` costs.
pub(crate) fn cost(usage: &Usage, prices: &Prices) -> Cost {
    let workers = prices.worker_requests.of(usage.worker_requests) + prices.cpu_ms.of(usage.cpu_ms);
    let kv = prices.kv_reads.of(usage.kv_reads);
    let queues = prices.queue_operations.of(usage.queue_operations);
    let objects = prices.object_requests.of(usage.object_requests) + prices.object_gb_s.of(usage.object_gb_s);
    let rows = prices.rows_read.of(usage.rows_read) + prices.rows_written.of(usage.rows_written);
    let storage = prices.stored_gb.of(usage.stored_gb);
    let total = prices.subscription + workers + kv + queues + objects + rows + storage;
    Cost {
        workers,
        kv,
        queues,
        objects,
        rows,
        storage,
        total,
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::count::Object;
    use super::*;

    fn parameters() -> Parameters {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/costs.toml");
        toml::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
    }

    fn object(requests: u64, rows_read: u64, rows_written: u64) -> Object {
        Object {
            requests,
            rows_read,
            rows_written,
            bytes: 1_000_000,
        }
    }

    fn measured() -> Measured {
        Measured {
            queue: Queue {
                max_batch_size: 25,
                max_batch_timeout: 1,
            },
            cold: Counts::default(),
            ways: Vec::new(),
            expiring: Counts {
                log: object(1000, 4000, 2000),
                ..Counts::default()
            },
            flush: Counts {
                metrics: object(1, 0, 10),
                ..Counts::default()
            },
            reader: Counts {
                log: object(1, 2000, 0),
                ..Counts::default()
            },
            idle: Counts {
                metrics: object(8, 0, 20),
                ..Counts::default()
            },
        }
    }

    fn counts(batch: u64, queue: bool) -> Counts {
        let requests = 1000 / batch;
        let messages = if queue { requests } else { 0 };
        Counts {
            intake_requests: requests,
            queue_messages: messages,
            queue_writes: messages,
            queue_reads: messages,
            queue_deletes: messages,
            log: object(requests, 0, 0),
            ..Counts::default()
        }
    }

    fn month(accept: &'static str, batch: u64, events: f64, readers: f64) -> Usage {
        let way = Way {
            accept,
            kafka: false,
            batch: 1,
        };
        let workload = Workload {
            way,
            events,
            logs: 1.0,
            readers,
        };
        let counts = counts(batch, accept == "queue");
        usage(&workload, &counts, &measured(), &parameters().assumptions)
    }

    #[test]
    fn what_is_included_costs_nothing() {
        let price = Price {
            included: 1e6,
            price: 0.4,
            per: 1e6,
        };
        assert!((price.of(1e6) - 0.0).abs() < 1e-9);
        assert!((price.of(3e6) - 0.8).abs() < 1e-9);
    }

    #[test]
    fn a_batch_is_one_request_and_one_append() {
        let [single, batched] = [1, 10].map(|batch| month("log", batch, 100e6, 0.0));
        assert!((single.worker_requests - 100e6).abs() < 1.0);
        assert!((batched.worker_requests - 10e6).abs() < 1.0);
        // Ten isolates hand on their counters every 15 s.
        let flushes = 10.0 * 172_800.0;
        assert!((single.object_requests - 100e6 - flushes).abs() < 1.0);
        assert!((single.rows_written - 200e6 - 10.0 * flushes).abs() < 1.0);
        assert!((single.stored_gb - 100.0 * 7.0 / 30.0).abs() < 1e-6);
    }

    #[test]
    fn a_queue_that_is_busy_has_fewer_appends() {
        // 0.4 messages a second come alone, 40 a second 25 at once.
        for (events, together) in [(1e6, 1.0), (100e6, 25.0)] {
            let used = month("queue", 1, events, 0.0);
            assert!((used.queue_operations - 3.0 * events).abs() < 1.0);
            assert!((used.worker_requests - events - events / together).abs() < 1.0);
        }
    }

    #[test]
    fn config_is_read_by_time_and_not_by_event() {
        let [few, many] = [100e6, 200e6].map(|events| month("log", 1, events, 0.0).kv_reads);
        assert!((few - many).abs() < 1e-6);
        assert!((few - 10.0 * (86_400.0 + 720.0)).abs() < 1.0);
    }

    #[test]
    fn a_log_that_is_followed_is_awake_however_many_follow() {
        let awake = |readers| month("log", 1, 1e6, readers).object_gb_s;
        assert!(awake(1.0) > MONTH_S * OBJECT_GB);
        assert!(awake(1000.0) < 2.0 * MONTH_S * OBJECT_GB);
        assert!(awake(0.0) < 0.02 * MONTH_S);
    }

    #[test]
    fn distinct_logs_are_at_most_all() {
        assert!((distinct(1.0, 25.0) - 1.0).abs() < 1e-9);
        assert!((distinct(10.0, 1.0) - 1.0).abs() < 1e-9);
        assert!(distinct(10.0, 25.0) < 10.0);
    }

    #[test]
    fn the_total_is_the_sum_and_the_subscription() {
        let used = month("queue", 1, 100e6, 10.0);
        let cost = cost(&used, &parameters().prices);
        let sum = cost.workers + cost.kv + cost.queues + cost.objects + cost.rows + cost.storage;
        assert!((cost.total - sum - 5.0).abs() < 1e-9);
        // 299 million operations beyond the included one, at 0.40 dollars a million.
        assert!((cost.queues - 119.6).abs() < 1e-6);
    }
}
