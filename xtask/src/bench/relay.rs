//! `cargo xtask bench relay`: events out, to many clients of one stream.

mod report;
mod servers;

use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::at_least_one;
use super::figures::Figures;
use super::flow::{Arrival, Clients, MAX_POSTS, Schedule, flow};
use crate::process::{self, step};
use crate::project::Project;
use crate::server;
use servers::{Contestant, Origin};

/// The stream that is read.
const STREAM: &str = "test.event";

/// The lowest rate, in events a second. Each further one is twice the one before.
const LOWEST_RATE: u32 = 25;

/// The rate that has a goal.
const GOAL_RATE: u32 = 100;

/// How many rates there are, where nothing saturates before.
const RATES: u32 = 10;

/// The rate and the time of the warm-up.
const WARM_UP: (u32, Duration) = (GOAL_RATE, Duration::from_secs(2));

/// How long memory may settle after the idle clients came.
const SETTLE: Duration = Duration::from_secs(2);

/// The package that measures the handler in one process.
const NATIVE_PACKAGE: &str = "relay-native";

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Host {
    /// The handler in one process, without HTTP.
    Native,
    /// Workers.
    Workerd,
    /// Spin.
    Spin,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each rate is held.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Clients that read the stream.
    #[arg(long, default_value_t = 200, value_parser = at_least_one)]
    clients: usize,
    /// Idle clients whose memory is measured.
    #[arg(long, default_value_t = 1000, value_parser = at_least_one)]
    idle: usize,
    /// Measure on this host only.
    #[arg(long)]
    host: Option<Host>,
    /// Build nothing: use what the last run has left.
    #[arg(long)]
    prebuilt: bool,
}

/// What one rate brought.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    /// Events a second.
    rate: u32,
    /// Of the events that were delivered.
    figures: Figures,
    /// The part of all events that the server took.
    taken: f64,
    /// The part of all events for all clients that was delivered.
    share: f64,
    /// CPU time of the server for one delivered event, in microseconds.
    cpu: f64,
    /// Clients the server sent away.
    lost: usize,
}

impl Step {
    fn is_sustained(&self) -> bool {
        self.share >= 0.95 && self.figures.p99 <= 1000.0
    }
}

/// What one server did.
#[derive(Debug)]
struct Measured {
    contestant: Contestant,
    /// Bytes of resident memory for an idle client.
    idle: f64,
    steps: Vec<Step>,
}

pub(super) fn run(project: &Project, options: &Options) -> Result<()> {
    if options.host == Some(Host::Spin) {
        server::require_spin()?;
    }
    let wanted = |host| options.host.is_none_or(|only| only == host);
    let mut reports = Vec::new();
    if wanted(Host::Native) {
        reports.push(native(project, options)?);
    }
    let mut contestants = Vec::new();
    if wanted(Host::Workerd) {
        contestants.push(Contestant::Workerd);
    }
    if wanted(Host::Spin) && process::find("spin").is_some() {
        contestants.push(Contestant::Spin);
    } else if wanted(Host::Spin) {
        reports.push("spin: SKIPPED (no `spin` on PATH)\n".to_owned());
    }
    if !contestants.is_empty() {
        contestants.push(Contestant::Node);
        let measured = contestants
            .into_iter()
            .map(|contestant| measure(project, contestant, options));
        let measured = measured.collect::<Result<Vec<_>>>()?;
        reports.push(report::report(&measured, options));
    }
    println!("\n{}", reports.join("\n"));
    Ok(())
}

fn native(project: &Project, options: &Options) -> Result<String> {
    if !options.prebuilt {
        step("building the relay for this machine");
        let mut build = project.cargo();
        process::run(build.args(["build", "--profile", "dist", "--package", NATIVE_PACKAGE]))?;
    }
    step("measuring it in one process");
    let mut bench = std::process::Command::new(project.target()?.join("dist").join(NATIVE_PACKAGE));
    bench
        .args(["--clients", &options.clients.to_string()])
        .args(["--seconds", &options.seconds.to_string()]);
    Ok(format!(
        "native: handler and log in one process, {} clients of 2 isolates, a thread each\n\n{}",
        options.clients,
        process::output(&mut bench)?
    ))
}

fn measure(project: &Project, contestant: Contestant, options: &Options) -> Result<Measured> {
    let name = contestant.name();
    let servers = servers::prepare(project, contestant, options.prebuilt)?;
    step(&format!("{name}: memory of {} idle clients", options.idle));
    let idle =
        memory_of_a_client(&servers.start()?, options).with_context(|| format!("{name}: idle clients"))?;
    // Another one: memory that idle clients have left, and those themselves, would be part of what comes now.
    let origin = servers.start()?;
    let mut clients = connect(&origin, options.clients)?;
    held(&origin, &mut clients, WARM_UP.0, WARM_UP.1)?;
    let mut steps: Vec<Step> = Vec::new();
    for doubled in 0..RATES {
        let rate = LOWEST_RATE << doubled;
        step(&format!("{name}: {rate} events/s to {} clients", options.clients));
        let held = held(&origin, &mut clients, rate, Duration::from_secs(options.seconds))
            .with_context(|| format!("{name}, {rate} events/s"))?;
        steps.push(held);
        if !held.is_sustained() {
            break;
        }
    }
    Ok(Measured {
        contestant,
        idle,
        steps,
    })
}

fn connect(origin: &Origin, count: usize) -> Result<Clients> {
    Clients::connect(origin.relay, &format!("/v2/stream/{STREAM}"), count)
}

fn memory_of_a_client(origin: &Origin, options: &Options) -> Result<f64> {
    // What the first clients take is code and heap, not theirs.
    let mut warm = connect(origin, options.clients)?;
    held(origin, &mut warm, WARM_UP.0, WARM_UP.1)?;
    let before = origin.server.memory()?;
    let idle = connect(origin, options.idle)?;
    thread::sleep(SETTLE);
    let after = origin.server.memory()?;
    Ok((after as f64 - before as f64) / idle.open() as f64)
}

/// Holds a rate.
fn held(origin: &Origin, clients: &mut Clients, rate: u32, duration: Duration) -> Result<Step> {
    let cpu = origin.server.cpu()?;
    let wanted = clients.open();
    let schedule = Schedule::new(origin.intake, STREAM, rate, MAX_POSTS, duration);
    let (arrivals, taken) = flow(&schedule, clients)?;
    let expected = wanted * schedule.events();
    let delivered = arrivals.len();
    let cpu = origin.server.cpu()?.saturating_sub(cpu);
    Ok(Step {
        rate,
        figures: Figures::of(arrivals.iter().map(Arrival::latency).collect(), duration),
        taken: taken as f64 / schedule.events() as f64,
        share: delivered as f64 / expected as f64,
        cpu: cpu.as_secs_f64() * 1e6 / delivered as f64,
        lost: wanted - clients.open(),
    })
}
