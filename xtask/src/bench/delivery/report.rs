//! The tables: each stream's rates, and what they should come to.

use std::fmt::Write as _;

use super::{Accept, Delivered, GOAL_RATES, LONGEST, Measured, Options, Produced, Step};
use crate::artifacts::Platform;
use crate::bench::flow::{EVENT_BYTES, PATIENCE};
use crate::bench::report::Goal;
use crate::dev::host_name;
use crate::queue::Queue;

/// Events of a produce request that are wanted.
const PRODUCED: Goal = Goal::AtLeast(50.0);

/// The p99 in milliseconds until the client has read an event that is wanted of `workerd`; with `accept: queue` it is
/// [`QUEUED`] more than the queue's `max_batch_timeout`.
const ACCEPTED: f64 = 150.0;
const QUEUED: f64 = 300.0;

/// The report of all that were measured.
pub(super) fn report(all: &[Measured], queue: &Queue, options: &Options) -> String {
    let mut text = format!(
        "measured locally, the load, the clients, Kafka and its proxy on the same machine; each rate for {} s\n\
         at most {} requests/s are posted, each of several events of {EVENT_BYTES} bytes then\n\
         latencies count from when an event was due to be posted: until an SSE client has read it, and until Kafka's broker has\n\
         appended it, by the broker's clock in whole milliseconds; what comes later than {} s after the end counts as missing\n\
         the queue: max_batch_size {}, max_batch_timeout {} s (wrangler.toml; Miniflare's queue), on Spin the outbox\n",
        options.seconds,
        options.posts,
        PATIENCE.as_secs(),
        queue.max_batch_size,
        queue.max_batch_timeout,
    );
    for measured in all {
        let has_kafka = measured.steps.iter().any(|step| step.kafka.is_some());
        let sinks = if has_kafka { "[log, kafka]" } else { "[log]" };
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "\n{}, accept: {}, sinks: {sinks}\n{}{}",
            host_name(measured.host),
            measured.accept.name(),
            table(&measured.steps),
            saturation(&measured.steps)
        );
        text.push_str(&goals(measured, queue));
    }
    text
}

fn table(steps: &[Step]) -> String {
    let mut text = format!(
        "{:>10}{:>8}{:>8} |{:^27}|{:^27}|{:^27}\n{:>10}{:>8}{:>8} |{:>9}{:>9}{:>9}|{:>9}{:>9}{:>9}|{:>14}{:>13}\n",
        "events/s",
        "in each",
        "taken",
        "client",
        "Kafka",
        "requests to the proxy",
        "",
        "request",
        "",
        "came",
        "p50 ms",
        "p99 ms",
        "came",
        "p50 ms",
        "p99 ms",
        "per 1000",
        "events each",
    );
    for step in steps {
        let _ = writeln!(
            text,
            "{:>10}{:>8}{:>7.1}% |{}|{}|{}",
            step.rate,
            step.batch,
            step.taken * 100.0,
            end(Some(step.client)),
            end(step.kafka.map(|kafka| kafka.delivered)),
            step.kafka.map_or_else(
                || format!("{:>14}{:>13}", "-", "-"),
                |kafka| format!(
                    "{:>14.1}{:>13.1}",
                    1000.0 / kafka.events_each(),
                    kafka.events_each()
                )
            ),
        );
    }
    text
}

fn end(delivered: Option<Delivered>) -> String {
    delivered.map_or_else(
        || format!("{:>9}{:>9}{:>9}", "-", "-", "-"),
        |Delivered { figures, share }| {
            format!("{:>8.1}%{:>9.1}{:>9.1}", share * 100.0, figures.p50, figures.p99)
        },
    )
}

impl Produced {
    fn events_each(&self) -> f64 {
        self.events as f64 / self.requests as f64
    }
}

/// Where more is too much, and how much comes at most.
fn saturation(steps: &[Step]) -> String {
    let highest = steps.iter().map(Step::per_second).fold(0.0, f64::max);
    let held = steps.iter().rfind(|step| step.is_sustained());
    let last = steps.last().map_or(0, |step| step.rate);
    match held {
        Some(held) if held.rate == last => {
            format!("does not saturate up to {last} events/s: {highest:.0} delivered/s")
        }
        held => format!(
            "saturates {} events/s (less than 95 % in time, or p99 above {LONGEST} ms): {highest:.0} delivered/s at most",
            held.map_or_else(
                || format!("below {last}"),
                |held| format!("between {} and {last}", held.rate)
            )
        ),
    }
}

/// What is wanted, beside what was measured.
fn goals(measured: &Measured, queue: &Queue) -> String {
    let latency = Goal::AtMost(match measured.accept {
        Accept::Log => ACCEPTED,
        Accept::Queue => queue.max_batch_timeout as f64 * 1000.0 + QUEUED,
    });
    let mut text = String::new();
    for rate in GOAL_RATES {
        let Some(step) = measured.steps.iter().find(|step| step.rate == rate) else {
            let _ = writeln!(text, "at {rate} events/s: not measured, it saturates before");
            continue;
        };
        let mut line = |what: &str, value: f64, goal: Goal, met: bool| {
            let verdict = if met { "met" } else { "missed" };
            let _ = writeln!(text, "at {rate} events/s, {what}: {value:.1} ({goal}: {verdict})");
        };
        if measured.host == Platform::Workerd {
            let p99 = step.client.figures.p99;
            // Of events that do not come there is no latency.
            let met = latency.is_met(p99) && step.client.is_sustained();
            line("p99 to the client in ms", p99, latency, met);
        }
        if let Some(kafka) = step.kafka {
            let each = kafka.events_each();
            line(
                "events of a produce request",
                each,
                PRODUCED,
                PRODUCED.is_met(each),
            );
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Figures;

    const QUEUE: Queue = Queue {
        max_batch_size: 25,
        max_batch_timeout: 1,
    };

    fn delivered(rate: u32, p99: f64, share: f64) -> Delivered {
        let figures = Figures {
            per_second: f64::from(rate) * share,
            p50: p99 / 2.0,
            p99,
        };
        Delivered { figures, share }
    }

    fn step(rate: u32, client: Delivered, kafka: Option<Delivered>) -> Step {
        let kafka = kafka.map(|delivered| Produced {
            delivered,
            events: rate as usize,
            requests: 20,
        });
        Step {
            rate,
            batch: 5,
            taken: 1.0,
            client,
            kafka,
        }
    }

    fn both(rate: u32, client: f64, kafka: f64) -> Step {
        step(
            rate,
            delivered(rate, client, 1.0),
            Some(delivered(rate, kafka, 1.0)),
        )
    }

    fn measured(accept: Accept, steps: Vec<Step>) -> Measured {
        Measured {
            host: Platform::Workerd,
            accept,
            steps,
        }
    }

    #[test]
    fn a_rate_is_held_where_both_ends_hold_it() {
        let late = [both(500, 20.0, 30.0), both(1000, 20.0, 2000.5)];
        assert_eq!(
            saturation(&late),
            "saturates between 500 and 1000 events/s (less than 95 % in time, or p99 above 2000 ms): 1000 delivered/s at most"
        );
        let missing = [step(
            500,
            delivered(500, 20.0, 1.0),
            Some(delivered(500, 20.0, 0.9)),
        )];
        assert_eq!(
            saturation(&missing),
            "saturates below 500 events/s (less than 95 % in time, or p99 above 2000 ms): 450 delivered/s at most"
        );
        let held = [both(500, 20.0, 2000.0)];
        assert_eq!(
            saturation(&held),
            "does not saturate up to 500 events/s: 500 delivered/s"
        );
    }

    #[test]
    fn goals_stand_beside_the_figures() {
        let steps = vec![both(500, 140.0, 300.0), both(2000, 160.0, 300.0)];
        assert_eq!(
            goals(&measured(Accept::Log, steps.clone()), &QUEUE),
            "at 500 events/s, p99 to the client in ms: 140.0 (at most 150: met)\n\
             at 500 events/s, events of a produce request: 25.0 (at least 50: missed)\n\
             at 2000 events/s, p99 to the client in ms: 160.0 (at most 150: missed)\n\
             at 2000 events/s, events of a produce request: 100.0 (at least 50: met)\n"
        );
        let queue = goals(&measured(Accept::Queue, steps), &QUEUE);
        assert!(queue.contains("160.0 (at most 1300: met)"), "{queue}");
        let missing = goals(
            &measured(Accept::Log, vec![step(500, delivered(500, 9.0, 0.5), None)]),
            &QUEUE,
        );
        assert_eq!(
            missing,
            "at 500 events/s, p99 to the client in ms: 9.0 (at most 150: missed)\n\
             at 2000 events/s: not measured, it saturates before\n"
        );
        let mut spin = measured(Accept::Log, vec![both(500, 500.0, 500.0)]);
        spin.host = Platform::Spin;
        assert!(!goals(&spin, &QUEUE).contains("p99"));
    }

    #[test]
    fn a_row_has_both_ends_and_what_the_proxy_was_asked() {
        let row = |step| {
            let text = table(&[step]);
            let row = text.lines().last().unwrap();
            row.split([' ', '|'])
                .filter(|word| !word.is_empty())
                .map(str::to_owned)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            row(both(2000, 40.0, 60.0)),
            [
                "2000", "5", "100.0%", "100.0%", "20.0", "40.0", "100.0%", "30.0", "60.0", "10.0", "100.0"
            ]
        );
        let without = step(500, delivered(500, 40.0, 1.0), None);
        assert_eq!(
            row(without),
            [
                "500", "5", "100.0%", "100.0%", "20.0", "40.0", "-", "-", "-", "-", "-"
            ]
        );
    }
}
