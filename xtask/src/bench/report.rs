//! The table of figures, and how they compare with the goals.

use std::fmt::{self, Write as _};

use super::case::{Case, Contestant, Kind, RATE};
use super::events::BATCH;
use super::figures::Figures;

/// A measured case as the table shows it.
#[derive(Debug, Clone, Copy)]
struct Row {
    events: &'static str,
    kind: Kind,
    contestant: Contestant,
    figures: Figures,
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
enum Goal {
    AtLeast(f64),
    AtMost(f64),
}

impl Goal {
    fn is_met(self, value: f64) -> bool {
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
            figures: case.figures(),
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
        let Figures { per_second, p50, p99 } = row.figures;
        let _ = writeln!(
            text,
            "{:<9}{:<22}{:<8}{per_second:>12.0}{:>12.0}{p50:>9.2}{p99:>9.2}",
            row.events,
            row.kind.name(),
            row.contestant.name(),
            events_per_second(row),
        );
    }
    text
}

fn events_per_second(row: &Row) -> f64 {
    row.figures.per_second * row.kind.events_a_request() as f64
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
            rows.iter()
                .find(|row| (row.events, row.kind, row.contestant) == (events, kind, contestant))
        };
        let pair = |intake, noop| {
            Some((
                find(intake, Contestant::Intake)?,
                find(noop, Contestant::NoOp)?.figures,
            ))
        };
        if let Some((intake, noop)) = pair(Kind::Single, Kind::Single) {
            ratios.push(Ratio {
                what: format!("{events}, single: requests/s of intake / no-op"),
                value: intake.figures.per_second / noop.per_second,
                goal: Goal::AtLeast(0.9),
            });
        }
        if let Some((intake, noop)) = pair(Kind::Batch, Kind::Single) {
            ratios.push(Ratio {
                what: format!(
                    "{events}, batches of {BATCH}: events/s of intake / single requests/s of no-op"
                ),
                value: events_per_second(intake) / noop.per_second,
                goal: Goal::AtLeast(28.0),
            });
        }
        if let Some((intake, noop)) = pair(Kind::Rate, Kind::Rate) {
            ratios.push(Ratio {
                what: format!("{events}, single, {RATE}/s: p99 of intake / no-op"),
                value: intake.figures.p99 / noop.p99,
                goal: Goal::AtMost(1.2),
            });
        }
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

    fn row(kind: Kind, contestant: Contestant, per_second: f64, p99: f64) -> Row {
        Row {
            events: "small",
            kind,
            contestant,
            figures: Figures {
                per_second,
                p50: 1.0,
                p99,
            },
        }
    }

    #[test]
    fn comparisons_are_of_the_right_figures() {
        let rows = [
            row(Kind::Single, Contestant::NoOp, 1000.0, 2.0),
            row(Kind::Single, Contestant::Intake, 900.0, 9.0),
            row(Kind::Batch, Contestant::NoOp, 700.0, 1.0),
            row(Kind::Batch, Contestant::Intake, 140.0, 1.0),
            row(Kind::Rate, Contestant::NoOp, 1000.0, 2.0),
            row(Kind::Rate, Contestant::Intake, 1000.0, 2.5),
        ];
        let ratios = ratios(&rows);
        let values: Vec<(f64, bool)> = ratios
            .iter()
            .map(|ratio| (ratio.value, ratio.goal.is_met(ratio.value)))
            .collect();
        assert_eq!(values, [(0.9, true), (14.0, false), (1.25, false)]);
        let text = ratio_table(&ratios);
        assert!(
            text.lines().nth(1).unwrap().ends_with("at least 0.9  met"),
            "{text}"
        );
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
        let text = table(&[row(Kind::Batch, Contestant::Intake, 140.0, 2.0)]);
        let figures: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert!(figures.ends_with(&["140", "14000", "1.00", "2.00"]), "{text}");
    }
}
