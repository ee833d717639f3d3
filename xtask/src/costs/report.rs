//! The tables, in Markdown.

use super::count::{Counts, Object};
use super::measure::{EVENT_BYTES, EVENTS, EXPIRING, Measured, Way};
use super::model::{Cost, Parameters, Price, Prices, Workload, cost, usage};

/// The months that are reckoned: events and logs.
const MONTHS: [(f64, f64); 3] = [(1e6, 1.0), (10e6, 1.0), (100e6, 10.0)];

/// Readers of each.
const READERS: f64 = 10.0;

/// All tables.
pub(super) fn report(measured: &Measured, parameters: &Parameters) -> String {
    [
        ways(measured),
        others(measured),
        prices(&parameters.prices),
        months(measured, parameters),
    ]
    .join("\n")
}

fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut text = format!("| {} |\n|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for row in rows {
        text.push_str(&format!("| {} |\n", row.join(" | ")));
    }
    text
}

fn ways(measured: &Measured) -> String {
    let head = [
        "`accept`",
        "`sinks`",
        "events a request",
        "requests to intake",
        "batches consumed",
        "KV reads",
        "queue messages",
        "queue operations",
        "object requests",
        "rows read",
        "rows written",
        "kB stored",
        "requests to the proxy of Kafka",
    ];
    let rows = measured.ways.iter().map(|(way, counts)| {
        let mut row = vec![
            way.accept.to_owned(),
            way.sinks().join(", "),
            way.batch.to_string(),
        ];
        let figures = [
            counts.intake_requests,
            counts.queue_batches,
            counts.kv_reads,
            counts.queue_messages,
            counts.queue_operations(),
            counts.log.requests,
            counts.log.rows_read,
            counts.log.rows_written,
            counts.log.bytes / 1000,
            counts.fetches,
        ];
        row.extend(figures.map(grouped));
        row
    });
    let text = table(&head, rows);
    format!(
        "{} events of {EVENT_BYTES} bytes, the first of their log:\n\n{text}",
        grouped(EVENTS as u64)
    )
}

fn others(measured: &Measured) -> String {
    let row = |what: String, counts: &Counts, object: &Object| {
        let figures = [
            counts.kv_reads,
            object.requests,
            object.rows_read,
            object.rows_written,
        ];
        let mut row = vec![what];
        row.extend(figures.map(grouped));
        row
    };
    let Measured {
        cold,
        expiring,
        flush,
        reader,
        idle,
        ..
    } = measured;
    let rows = [
        row(
            "an isolate's first event, which is the first of its log".to_owned(),
            cold,
            &cold.log,
        ),
        row(
            format!(
                "{} single events, of a log from which as many expire",
                grouped(EXPIRING as u64)
            ),
            expiring,
            &expiring.log,
        ),
        row(
            "handing on intake's counters, once".to_owned(),
            &Counts::default(),
            &flush.metrics,
        ),
        row(
            format!(
                "a reader of {} single events as they come, besides what these use",
                grouped(EVENTS as u64)
            ),
            reader,
            &reader.log,
        ),
        row(
            "a reader in a minute without events: counters".to_owned(),
            idle,
            &idle.metrics,
        ),
        row(
            "the same, with `MAX_CONNECTIONS_PER_CLIENT`: the client's slots".to_owned(),
            &Counts::default(),
            &idle.leases,
        ),
    ];
    table(
        &["what", "KV reads", "object requests", "rows read", "rows written"],
        rows,
    )
}

fn prices(prices: &Prices) -> String {
    let rows = [
        ("Workers: requests", prices.worker_requests),
        ("Workers: CPU, ms", prices.cpu_ms),
        ("KV: keys read", prices.kv_reads),
        ("Queues: operations", prices.queue_operations),
        ("Durable Objects: requests", prices.object_requests),
        ("Durable Objects: duration, GB-s", prices.object_gb_s),
        ("Durable Objects: rows read", prices.rows_read),
        ("Durable Objects: rows written", prices.rows_written),
        ("Durable Objects: stored, GB", prices.stored_gb),
    ];
    let rows = rows.map(|(what, Price { included, price, per })| {
        let each = match amount(per).as_str() {
            "1" => String::new(),
            each => format!(" a {}", each.trim_start_matches("1 ")),
        };
        let price = if price < 0.01 {
            price.to_string()
        } else {
            format!("{price:.2}")
        };
        vec![what.to_owned(), amount(included), format!("${price}{each}")]
    });
    let text = table(&["what", "included a month", "beyond"], rows);
    format!(
        "{text}\nThe subscription is ${:.2} a month.\n",
        prices.subscription
    )
}

fn months(measured: &Measured, parameters: &Parameters) -> String {
    let head = [
        "events a month",
        "logs",
        "`accept`",
        "`sinks`",
        "events a request",
        "Workers",
        "KV",
        "Queues",
        "Objects",
        "Rows",
        "Storage",
        "**total**",
    ];
    let mut rows = Vec::new();
    for (events, logs) in MONTHS {
        for (way, counts) in &measured.ways {
            // A second sink is the same for all amounts.
            if way.kafka && events < 100e6 {
                continue;
            }
            let workload = Workload {
                way: *way,
                events,
                logs,
                readers: READERS,
            };
            let cost = cost(
                &usage(&workload, counts, measured, &parameters.assumptions),
                &parameters.prices,
            );
            rows.push(month(*way, events, logs, &cost));
        }
    }
    let text = table(&head, rows);
    format!("US dollars a month, with {READERS} readers who read everything all the time:\n\n{text}")
}

fn month(way: Way, events: f64, logs: f64, cost: &Cost) -> Vec<String> {
    let mut row = vec![
        amount(events),
        logs.to_string(),
        way.accept.to_owned(),
        way.sinks().join(", "),
        way.batch.to_string(),
    ];
    let costs = [
        cost.workers,
        cost.kv,
        cost.queues,
        cost.objects,
        cost.rows,
        cost.storage,
    ];
    row.extend(costs.map(|cost| format!("{cost:.2}")));
    row.push(format!("**{:.2}**", cost.total));
    row
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A round amount in words.
fn amount(number: f64) -> String {
    let units = [(1e9, "billion"), (1e6, "million")];
    let Some((unit, word)) = units.into_iter().find(|(unit, _)| number >= *unit) else {
        return grouped(number as u64);
    };
    format!("{} {word}", number / unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!([7, 1000, 1_234_567].map(grouped), ["7", "1,000", "1,234,567"]);
        assert_eq!(
            [5.0, 400e3, 1e6, 25e9].map(amount),
            ["5", "400,000", "1 million", "25 billion"]
        );
    }

    #[test]
    fn a_table_has_a_line_for_each_row() {
        let text = table(&["a", "b"], [vec!["1".to_owned(), "2".to_owned()]]);
        assert_eq!(text, "| a | b |\n|---|---|\n| 1 | 2 |\n");
    }
}
