//! `cargo xtask bench`: a function against one that does nothing or the like, on each host, all of them from end to end, and the
//! command against `jsonschema-tools`.

mod case;
mod delivery;
mod events;
mod figures;
mod flow;
mod http;
mod load;
mod pack;
mod relay;
mod report;
mod schema;
mod spin;
mod validation;
mod workerd;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use crate::artifacts::Platform;
use crate::dev::host_name;
use crate::process::{self, step};
use crate::project::Project;
use crate::server::{self, Server};
use case::{Case, Contestant};
use events::Content;
use report::Memory;

/// How long each case runs before it is measured.
const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Bench {
    /// Validate, enrich and accept events, storing nothing.
    Intake(Options),
    /// Materialize and check a schema repository, as `jsonschema-tools` does.
    Schema(schema::Options),
    /// Stream events to many clients.
    Relay(relay::Options),
    /// Judge events of a megabyte by schemas that are slow to judge by.
    Validation(validation::Options),
    /// Bring events from POST to Kafka and to a client.
    Delivery(delivery::Options),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each measurement takes.
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// How often each measurement is repeated; all cases alternate.
    #[arg(long, default_value_t = 7, value_parser = at_least_one)]
    rounds: usize,
    /// Connections that post at the same time.
    #[arg(long, default_value_t = 16, value_parser = at_least_one)]
    connections: usize,
    /// Measure on this host only.
    #[arg(long)]
    host: Option<Platform>,
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err("a number from 1".to_owned()),
    }
}

pub(crate) fn run(project: &Project, bench: &Bench) -> Result<()> {
    match bench {
        Bench::Intake(options) => intake(project, options),
        Bench::Schema(options) => schema::run(project, options),
        Bench::Relay(options) => relay::run(project, options),
        Bench::Validation(options) => validation::run(project, options),
        Bench::Delivery(options) => delivery::run(project, options),
    }
}

fn intake(project: &Project, options: &Options) -> Result<()> {
    if options.host == Some(Platform::Spin) {
        server::require_spin()?;
    }
    let content = Content::read(project)?;
    let mut reports = Vec::new();
    for host in [Platform::Workerd, Platform::Spin] {
        let name = host_name(host);
        match options.host {
            Some(only) if only != host => {}
            None if host == Platform::Spin && process::find("spin").is_none() => {
                reports.push(format!("{name}: SKIPPED (no `spin` on PATH)\n"));
            }
            _ => reports.push(format!(
                "{name}\n\n{}",
                measure(project, &content, host, options)?
            )),
        }
    }
    println!(
        "\n{} connections, median of {} rounds of {} s; latencies count from when a request was due\nsmall: like those of EventGate's own tests\n{}\n",
        options.connections, options.rounds, options.seconds, content.source
    );
    println!("{}", reports.join("\n"));
    Ok(())
}

/// A running server and its port.
struct Running {
    server: Server,
    port: u16,
}

/// One function and the one that does nothing on one host.
struct Contest {
    noop: Running,
    intake: Running,
}

impl Contest {
    fn memory(&self) -> Result<[u64; 2]> {
        Ok([self.noop.server.memory()?, self.intake.server.memory()?])
    }
}

fn measure(project: &Project, content: &Content, host: Platform, options: &Options) -> Result<String> {
    let folder = project.root.join(".eventstar/bench").join(host_name(host));
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    create(&folder)?;
    let contest = match host {
        Platform::Workerd => workerd::start(project, content, &folder)?,
        Platform::Spin => spin::start(project, content, &folder)?,
    };
    let before = contest.memory()?;
    let contestants = [Contestant::NoOp, Contestant::Intake];
    let ports = [
        (Contestant::NoOp, contest.noop.port),
        (Contestant::Intake, contest.intake.port),
    ];
    let mut cases = Case::all(content, ports, options);
    step("warming up");
    for case in &cases {
        case.warm_up(WARM_UP)?;
    }
    for round in 1..=options.rounds {
        step(&format!("round {round} of {}", options.rounds));
        for case in &mut cases {
            case.measure(Duration::from_secs(options.seconds))?;
        }
    }
    let after = contest.memory()?;
    let memory: Vec<Memory> = contestants
        .into_iter()
        .zip(before.into_iter().zip(after))
        .map(|(contestant, (before, after))| Memory {
            contestant,
            before,
            after,
        })
        .collect();
    Ok(report::report(&cases, &memory))
}

fn create(folder: &Path) -> Result<()> {
    fs::create_dir_all(folder).with_context(|| format!("{} cannot be created", folder.display()))
}
