//! `cargo xtask bench`: a function against a worker that does nothing, in `workerd serve`, without wrangler's proxies.

mod load;
mod workerd;

use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};

use crate::artifacts::{self, Worker};
use crate::process::step;
use crate::project::Project;
use load::{Figures, Load};
use workerd::Workerd;

/// The worker that does nothing.
pub(crate) const NOOP_PACKAGE: &str = "noop-cloudflare";

/// Events in the larger of the two kinds of request.
const BATCH: usize = 100;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Validate and accept events, storing nothing: single events and batches of 100.
    Intake(Options),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// How often each measurement is repeated; the four alternate.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Connections that post at the same time.
    #[arg(long, default_value_t = 16)]
    connections: usize,
}

pub(crate) fn run(project: &Project, bench: &Bench) -> Result<()> {
    let Bench::Intake(options) = bench;
    artifacts::cloudflare(project)?;
    let noop = Worker {
        name: "cloudflare/noop".to_owned(),
        package: NOOP_PACKAGE.to_owned(),
        folder: project.root.join("benches").join(NOOP_PACKAGE),
        script: project.root.join("build/cloudflare/noop/index.js"),
    };
    artifacts::build_workers(project, &[noop])?;

    let folder = project.root.join(".eventstar/bench");
    let workerd = Workerd::start(project, &folder)?;
    let bodies = bodies(project, &folder)?;
    let mut cases = Vec::new();
    for (events, body) in &bodies {
        for (worker, url) in workerd.urls() {
            cases.push(Case {
                worker,
                events: *events,
                load: Load { url, body, options },
                rounds: Vec::new(),
            });
        }
    }
    step("warming up");
    for case in &cases {
        case.load.run(project, 1)?;
    }
    for round in 1..=options.rounds {
        step(&format!("round {round} of {}", options.rounds));
        for case in &mut cases {
            case.rounds.push(case.load.run(project, options.seconds)?);
        }
    }
    print(&cases, options);
    Ok(())
}

/// One worker with one kind of request.
struct Case<'a> {
    worker: &'static str,
    events: usize,
    load: Load<'a>,
    rounds: Vec<Figures>,
}

impl Case<'_> {
    /// The median of the rounds, figure by figure.
    fn figures(&self) -> Figures {
        let median = |figure: fn(&Figures) -> f64| {
            let mut values: Vec<f64> = self.rounds.iter().map(figure).collect();
            values.sort_unstable_by(f64::total_cmp);
            values.get(values.len() / 2).copied().unwrap_or_default()
        };
        Figures {
            per_second: median(|f| f.per_second),
            p50: median(|f| f.p50),
            p99: median(|f| f.p99),
        }
    }
}

/// The two request bodies: one example event, and an array of it.
fn bodies(project: &Project, folder: &Path) -> Result<Vec<(usize, std::path::PathBuf)>> {
    let text =
        fs::read_to_string(project.root.join("examples/events.ndjson")).context("no example events")?;
    let event = text.lines().next().context("examples/events.ndjson is empty")?;
    let single = folder.join("single.json");
    fs::write(&single, event)?;
    let batch = folder.join("batch.json");
    fs::write(&batch, format!("[{}]", vec![event; BATCH].join(",")))?;
    Ok(vec![(1, single), (BATCH, batch)])
}

fn print(cases: &[Case], options: &Options) {
    println!(
        "\n{} connections, median of {} rounds of {} s\n",
        options.connections, options.rounds, options.seconds
    );
    println!(
        "{:<10}{:>8}{:>14}{:>14}{:>12}{:>12}",
        "worker", "events", "requests/s", "events/s", "p50 ms", "p99 ms"
    );
    for case in cases {
        let figures = case.figures();
        println!(
            "{:<10}{:>8}{:>14.0}{:>14.0}{:>12.2}{:>12.2}",
            case.worker,
            case.events,
            figures.per_second,
            figures.per_second * case.events as f64,
            figures.p50,
            figures.p99
        );
    }
    println!();
    for pair in cases.chunks_exact(2) {
        if let [noop, intake] = pair {
            let (noop, intake, events) = (noop.figures(), intake.figures(), intake.events);
            println!(
                "intake / noop with {events:>3} events a request: requests/s {:.2}, p50 {:.2}, p99 {:.2}",
                intake.per_second / noop.per_second,
                intake.p50 / noop.p50,
                intake.p99 / noop.p99
            );
        }
    }
    if let [_, single, _, batch] = cases {
        let ratio = batch.figures().per_second * BATCH as f64 / single.figures().per_second;
        println!("events/s of intake, batches of {BATCH} / single events: {ratio:.2}");
    }
}
