//! The table of figures, and how they compare with the goals.

use std::fmt::{self, Write as _};

use super::case::{Case, Contestant, Kind, RATE};
use super::events::BATCH;
use super::figures::{Figures, median_ratio};

/// A measured case.
#[derive(Debug, Clone, Copy)]
struct Row<'a> {
    events: &'static str,
    kind: Kind,
    contestant: Contestant,
    rounds: &'a [Figures],
}

/// Memory of a contestant's processes, in bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Memory {
    pub(super) contestant: Contestant,
    pub(super) before: u64,
    pub(super) after: u64,
}

/// What a comparison should come to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    pub(super) fn is_met(self, value: f64) -> bool {
        match self {
            Self::AtLeast(goal) => value >= goal,
            Self::AtMost(goal) => value <= goal,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtLeast(goal) => write!(formatter, "at least {goal}"),
            Self::AtMost(goal) => write!(formatter, "at most {goal}"),
        }
    }
}

/// Two figures compared.
#[derive(Debug, PartialEq)]
struct Ratio {
    what: String,
    value: f64,
    goal: Goal,
}

/// The whole report of one host.
pub(super) fn report(cases: &[Case], memory: &[Memory]) -> String {
    let rows: Vec<Row> = cases
        .iter()
        .map(|case| Row {
            events: case.events,
            kind: case.kind,
            contestant: case.contestant,
            rounds: case.rounds(),
        })
        .collect();
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write!(
        text,
        "{}\n{}\n{}",
        table(&rows),
        memory_table(memory),
        ratio_table(&ratios(&rows))
    );
    text
}

fn table(rows: &[Row]) -> String {
    let mut text = format!(
        "{:<9}{:<22}{:<8}{:>12}{:>12}{:>9}{:>9}\n",
        "events", "load", "", "requests/s", "events/s", "p50 ms", "p99 ms"
    );
    for row in rows {
        let Figures { per_second, p50, p99 } = Figures::median(row.rounds);
        let _ = writeln!(
            text,
            "{:<9}{:<22}{:<8}{per_second:>12.0}{:>12.0}{p50:>9.2}{p99:>9.2}",
            row.events,
            row.kind.name(),
            row.contestant.name(),
            per_second * row.kind.events_a_request() as f64,
        );
    }
    text
}

fn memory_table(memory: &[Memory]) -> String {
    let mut text = format!(
        "{:<31}{:<8}{:>12}{:>12}\n",
        "memory, MB (resident)", "", "start", "end"
    );
    for Memory {
        contestant,
        before,
        after,
    } in memory
    {
        let megabytes = |bytes: u64| bytes as f64 / 1e6;
        let _ = writeln!(
            text,
            "{:<31}{:<8}{:>12.0}{:>12.0}",
            "",
            contestant.name(),
            megabytes(*before),
            megabytes(*after)
        );
    }
    text
}

/// The comparisons that have a goal, for each kind of event.
fn ratios(rows: &[Row]) -> Vec<Ratio> {
    let mut kinds: Vec<&'static str> = rows.iter().map(|row| row.events).collect();
    kinds.dedup();
    let mut ratios = Vec::new();
    for events in kinds {
        let find = |kind, contestant| {
            let wanted = (events, kind, contestant);
            let row = rows
                .iter()
                .find(|row| (row.events, row.kind, row.contestant) == wanted);
            row.map_or(&[][..], |row| row.rounds)
        };
        let mut compare = |what: String, of: Kind, with: Kind, figure: fn(&Figures) -> f64, goal| {
            let value = median_ratio(find(of, Contestant::Intake), find(with, Contestant::NoOp), figure);
            let value = value * of.events_a_request() as f64 / with.events_a_request() as f64;
            ratios.push(Ratio { what, value, goal });
        };
        compare(
            format!("{events}, single: requests/s of intake / no-op"),
            Kind::Single,
            Kind::Single,
            |figures| figures.per_second,
            Goal::AtLeast(0.9),
        );
        compare(
            format!("{events}, batches of {BATCH}: events/s of intake / single requests/s of no-op"),
            Kind::Batch,
            Kind::Single,
            |figures| figures.per_second,
            Goal::AtLeast(28.0),
        );
        compare(
            format!("{events}, single, {RATE}/s: p99 of intake / no-op"),
            Kind::Rate,
            Kind::Rate,
            |figures| figures.p99,
            Goal::AtMost(1.2),
        );
    }
    ratios
}

fn ratio_table(ratios: &[Ratio]) -> String {
    let mut text = format!("{:<76}{:>7}   {:<14}\n", "compared", "", "goal");
    for Ratio { what, value, goal } in ratios {
        let verdict = if goal.is_met(*value) { "met" } else { "missed" };
        let _ = writeln!(text, "{what:<76}{value:>7.2}   {:<14}{verdict}", goal.to_string());
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(per_second: f64, p99: f64) -> [Figures; 1] {
        let p50 = 1.0;
        [Figures { per_second, p50, p99 }]
    }

    fn row(kind: Kind, contestant: Contestant, rounds: &[Figures]) -> Row<'_> {
        Row {
            events: "small",
            kind,
            contestant,
            rounds,
        }
    }

    #[test]
    fn comparisons_are_of_the_right_figures() {
        let ratios = ratios(&[
            row(Kind::Single, Contestant::NoOp, &figures(1000.0, 2.0)),
            row(Kind::Single, Contestant::Intake, &figures(900.0, 9.0)),
            row(Kind::Batch, Contestant::NoOp, &figures(700.0, 1.0)),
            row(Kind::Batch, Contestant::Intake, &figures(140.0, 1.0)),
            row(Kind::Rate, Contestant::NoOp, &figures(1000.0, 2.0)),
            row(Kind::Rate, Contestant::Intake, &figures(1000.0, 2.5)),
        ]);
        let text = ratio_table(&ratios);
        assert!(text.contains("0.90   at least 0.9  met"), "{text}");
        assert!(text.contains("14.00   at least 28   missed"), "{text}");
        assert!(text.contains("1.25   at most 1.2   missed"), "{text}");
    }

    #[test]
    fn a_goal_met_exactly_is_met() {
        assert!(Goal::AtLeast(28.0).is_met(28.0) && Goal::AtMost(1.2).is_met(1.2));
        assert!(!Goal::AtLeast(28.0).is_met(27.9) && !Goal::AtMost(1.2).is_met(1.21));
    }

    #[test]
    fn the_table_counts_events_in_batches() {
        let text = table(&[row(Kind::Batch, Contestant::Intake, &figures(140.0, 2.0))]);
        let figures: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert!(figures.ends_with(&["140", "14000", "1.00", "2.00"]), "{text}");
    }
}
