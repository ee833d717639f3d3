//! `cargo xtask bench schema`: `eventstar schema` against `jsonschema-tools`, over copies of one repository.
//!
//! Both do the same work: the original always writes what it materializes, so ours has to write all of it as well.

mod copy;
mod original;

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::figures::median;
use crate::process::{self, step};
use crate::project::Project;
use copy::Copy;
use original::Original;

/// Longest that ours may take, in seconds.
const GOAL_SECONDS: f64 = 1.0;

/// How many times as fast as the original ours must be.
const GOAL_RATIO: f64 = 20.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The schema repository, with `.jsonschema-tools.yaml`.
    #[arg(long, default_value = "examples/schemas")]
    repository: PathBuf,
    /// How often each measurement is repeated; all alternate.
    #[arg(long, default_value_t = 7, value_parser = super::at_least_one)]
    rounds: usize,
}

/// One thing that both do, and how long it took them in each round.
struct Contest {
    name: &'static str,
    theirs: Vec<Duration>,
    ours: Vec<Duration>,
    /// How each ended.
    outcome: [String; 2],
}

impl Contest {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            theirs: Vec::new(),
            ours: Vec::new(),
            outcome: [String::new(), String::new()],
        }
    }

    fn round(&mut self, theirs: &mut Command, ours: &mut Command) -> Result<()> {
        let [(theirs, their_end), (ours, our_end)] = [timed(theirs)?, timed(ours)?];
        self.theirs.push(theirs);
        self.ours.push(ours);
        self.outcome = [their_end, our_end];
        Ok(())
    }
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let repository = project.root.join(&options.repository);
    let original = Original::install(project)?;
    step("building the command");
    // Without TLS, which nothing here needs: its C code would be compiled anew in each run.
    let build = [
        "build",
        "--profile",
        "dist",
        "-p",
        "eventstar-cli",
        "--no-default-features",
    ];
    process::run(project.cargo().args(build))?;
    let eventstar = project.target()?.join("dist/eventstar");
    let folder = project.root.join(".eventstar/bench/schema");
    let mut materialize = Contest::new("materialize-all");
    let mut check = Contest::new("check");
    let mut different = BTreeSet::new();
    for round in 1..=options.rounds {
        step(&format!("round {round} of {}", options.rounds));
        let theirs = Copy::of(&repository, &folder.join("theirs"))?;
        let ours = Copy::of(&repository, &folder.join("ours"))?;
        ours.remove_current_versions()?;
        let our = |verb: &str| schema_command(&eventstar, verb, ours.path());
        materialize.round(
            &mut original.materialize_all(theirs.path()),
            &mut our("materialize-all"),
        )?;
        different.extend(theirs.difference(&ours)?);
        check.round(&mut original.tests(theirs.path()), &mut our("check"))?;
    }
    let copy = Copy::of(&repository, &folder.join("ours"))?;
    println!(
        "\n{}, median of {} rounds\n\n{}",
        copy.summary()?,
        options.rounds,
        table(&[materialize, check])
    );
    if !different.is_empty() {
        let different: Vec<String> = different.into_iter().collect();
        bail!(
            "these files differ after materializing:\n  {}",
            different.join("\n  ")
        );
    }
    println!("all files are byte for byte the same after materializing");
    Ok(())
}

fn schema_command(eventstar: &Path, verb: &str, repository: &Path) -> Command {
    let mut command = Command::new(eventstar);
    command.args(["schema", verb]).arg(repository);
    command
}

/// Runs a command to its end: how long it took, and its exit code. What it found is no failure of the bench.
fn timed(command: &mut Command) -> Result<(Duration, String)> {
    let start = Instant::now();
    let output = process::capture(command)?;
    let elapsed = start.elapsed();
    match output.status.code() {
        Some(code) => Ok((elapsed, code.to_string())),
        None => bail!("a command was ended from outside:\n{}", process::texts(&output)),
    }
}

fn table(contests: &[Contest]) -> String {
    let mut text = format!(
        "{:<17}{:>18}{:>6}{:>12}{:>6}{:>9}   {}\n",
        "", "jsonschema-tools", "exit", "eventstar", "exit", "ratio", "goals"
    );
    for contest in contests {
        let seconds = |rounds: &[Duration]| median(rounds.iter().map(Duration::as_secs_f64).collect());
        let rounds = contest.theirs.iter().zip(&contest.ours);
        // What else the machine does changes over time, less so within a round.
        let ratio = median(
            rounds
                .map(|(theirs, ours)| theirs.as_secs_f64() / ours.as_secs_f64())
                .collect(),
        );
        let (theirs, ours) = (seconds(&contest.theirs), seconds(&contest.ours));
        let verdict = |is_met| if is_met { "met" } else { "missed" };
        let [their_end, our_end] = &contest.outcome;
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "{:<17}{theirs:>16.3} s{their_end:>6}{ours:>10.3} s{our_end:>6}{ratio:>9.1}   at most {GOAL_SECONDS} s {}, at least {GOAL_RATIO} {}",
            contest.name,
            verdict(ours <= GOAL_SECONDS),
            verdict(ratio >= GOAL_RATIO)
        );
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ratios_are_taken_within_a_round_and_judged() {
        let mut contest = Contest::new("check");
        for (theirs, ours) in [(400, 20), (4000, 1100), (900, 30)] {
            contest.theirs.push(Duration::from_millis(theirs));
            contest.ours.push(Duration::from_millis(ours));
        }
        contest.outcome = ["0".to_owned(), "1".to_owned()];
        let text = table(&[contest]);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split_whitespace().collect();
        assert_eq!(
            words.join(" "),
            "check 0.900 s 0 0.030 s 1 20.0 at most 1 s met, at least 20 met"
        );
    }
}
