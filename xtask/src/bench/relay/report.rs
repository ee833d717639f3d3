//! The tables: each server's rates, and how it compares with the one in Node.

use std::fmt::Write as _;

use super::servers::Contestant;
use super::{GOAL_RATE, Measured, Options, Step};
use crate::bench::report::Goal;

/// The p99 in milliseconds that is wanted of `workerd` at [`GOAL_RATE`].
const GOAL: Goal = Goal::AtMost(250.0);

/// The report of all that were measured.
pub(super) fn report(all: &[Measured], options: &Options) -> String {
    let mut text = format!(
        "{} clients, each rate for {} s; latencies count from when an event was due to be posted\n",
        options.clients, options.seconds
    );
    for measured in all {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n{}\n{}", measured.contestant.name(), table(measured));
    }
    let node = all
        .iter()
        .find(|measured| measured.contestant == Contestant::Node);
    let others = all
        .iter()
        .filter(|measured| measured.contestant != Contestant::Node);
    for (measured, node) in others.zip(node.into_iter().cycle()) {
        let _ = write!(text, "\n{}", comparison(measured, node));
    }
    text
}

fn table(measured: &Measured) -> String {
    let mut text = format!(
        "{:>12}{:>10}{:>14}{:>12}{:>9}{:>9}{:>15}{:>7}\n",
        "events/s in", "taken", "delivered/s", "delivered", "p50 ms", "p99 ms", "CPU us/event", "lost"
    );
    for step in &measured.steps {
        let _ = writeln!(
            text,
            "{:>12}{:>9.1}%{:>14.0}{:>11.1}%{:>9.1}{:>9.1}{:>15.2}{:>7}",
            step.rate,
            step.taken * 100.0,
            step.figures.per_second,
            step.share * 100.0,
            step.figures.p50,
            step.figures.p99,
            step.cpu,
            step.lost,
        );
    }
    let _ = writeln!(text, "{}", saturation(&measured.steps));
    let _ = writeln!(text, "memory of an idle client: {:.1} kB", measured.idle / 1000.0);
    if measured.contestant == Contestant::Workerd {
        let mut held = measured.steps.iter().filter(|step| step.is_sustained());
        let met = held.any(|step| step.rate == GOAL_RATE && GOAL.is_met(step.figures.p99));
        let verdict = if met { "met" } else { "missed" };
        let _ = writeln!(text, "p99 at {GOAL_RATE} events/s in, ms: {GOAL}: {verdict}");
    }
    text
}

/// Where more is too much.
fn saturation(steps: &[Step]) -> String {
    let Some(last) = steps.last() else {
        return String::new();
    };
    if last.is_sustained() {
        return format!("does not saturate up to {} events/s in", last.rate);
    }
    match sustained(steps) {
        Some(best) => format!(
            "saturates between {} and {} events/s in ({:.0} delivered/s held)",
            best.rate, last.rate, best.figures.per_second
        ),
        None => format!("saturates below {} events/s in", last.rate),
    }
}

/// The highest rate that was held.
fn sustained(steps: &[Step]) -> Option<&Step> {
    steps.iter().rfind(|step| step.is_sustained())
}

/// What the one does as a multiple of what the other does, at the rates both held.
fn comparison(measured: &Measured, node: &Measured) -> String {
    let mut text = format!(
        "{:<28}{:>12}{:>12}{:>12}{:>14}{:>12}\n",
        format!("{} / node", measured.contestant.name()),
        "p50",
        "p99",
        "CPU/event",
        "highest rate",
        "memory"
    );
    let both = measured.steps.iter().zip(&node.steps);
    for (of, with) in both.filter(|(of, with)| of.is_sustained() && with.is_sustained()) {
        let _ = writeln!(
            text,
            "{:<28}{:>12.2}{:>12.2}{:>12.2}",
            format!("{} events/s in", of.rate),
            of.figures.p50 / with.figures.p50,
            of.figures.p99 / with.figures.p99,
            of.cpu / with.cpu,
        );
    }
    let highest = match (sustained(&measured.steps), sustained(&node.steps)) {
        (Some(of), Some(with)) => format!("{:.2}", f64::from(of.rate) / f64::from(with.rate)),
        _ => "-".to_owned(),
    };
    let _ = writeln!(
        text,
        "{:<28}{highest:>50}{:>12.2}",
        "in all",
        measured.idle / node.idle,
    );
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::figures::Figures;

    fn step(rate: u32, p99: f64, share: f64) -> Step {
        let figures = Figures {
            per_second: f64::from(rate) * 200.0 * share,
            p50: p99 / 2.0,
            p99,
        };
        Step {
            rate,
            figures,
            taken: 1.0,
            share,
            cpu: p99 / 10.0,
            lost: 0,
        }
    }

    #[test]
    fn the_highest_rate_is_the_last_one_held() {
        let late = [step(100, 20.0, 1.0), step(200, 1000.5, 1.0)];
        assert_eq!(
            saturation(&late),
            "saturates between 100 and 200 events/s in (20000 delivered/s held)"
        );
        let missing = [step(100, 20.0, 0.94)];
        assert_eq!(saturation(&missing), "saturates below 100 events/s in");
        let held = [step(100, 20.0, 1.0), step(200, 1000.0, 0.95)];
        assert_eq!(saturation(&held), "does not saturate up to 200 events/s in");
    }

    #[test]
    fn servers_are_compared_at_the_rates_both_held() {
        let measured = |contestant, idle, steps| Measured {
            contestant,
            idle,
            steps,
        };
        let all = [
            measured(
                Contestant::Workerd,
                30_000.0,
                vec![
                    step(100, 260.0, 1.0),
                    step(200, 300.0, 1.0),
                    step(400, 2000.0, 1.0),
                ],
            ),
            measured(
                Contestant::Node,
                20_000.0,
                vec![step(100, 130.0, 1.0), step(200, 400.0, 0.5)],
            ),
        ];
        let options = Options {
            seconds: 1,
            clients: 200,
            idle: 1,
            host: None,
            prebuilt: true,
        };
        let text = report(&all, &options);
        assert!(text.contains("at most 250: missed"), "{text}");
        let (_, compared) = text.split_once("workerd / node").unwrap();
        let rows: Vec<Vec<&str>> = compared
            .lines()
            .skip(1)
            .map(|row| row.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0], ["100", "events/s", "in", "2.00", "2.00", "2.00"]);
        assert_eq!(rows[1], ["in", "all", "2.00", "1.50"]);
    }
}
