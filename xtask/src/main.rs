//! The development command of Eventstar: `cargo xtask <command>`.

#![expect(
    clippy::disallowed_methods,
    reason = "the banned clocks trap on Workers; this program runs on the host"
)]

mod artifacts;
mod bench;
mod browser;
mod costs;
mod deploy;
mod dev;
mod fixture;
mod kafka;
mod licences;
mod lint;
mod names;
mod process;
mod project;
mod queue;
mod round_trip;
mod server;
mod size;
mod test;
mod tidy;
mod tokens;
mod tools;
mod wrangler;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use project::Project;

/// Builds, runs and checks Eventstar.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Start all functions on one origin, with the example schemas and streams published.
    Dev(dev::Options),
    /// Run the unit tests and handlers natively, then the black-box suite on each host.
    Test(test::Options),
    /// Build every artefact for both platforms and print their sizes.
    Build(artifacts::Options),
    /// Compare the artefacts' gzip sizes with the committed budget.
    Size(size::Options),
    /// Check the layering, the length of files and leftovers.
    Tidy,
    /// Check formatting, clippy on every target, tidy, and the licences of dependencies.
    Lint,
    /// Run Kafka and the Strimzi bridge in the background.
    #[command(subcommand)]
    Kafka(kafka::Action),
    /// Deploy a stage to Cloudflare.
    Deploy(deploy::Options),
    /// Delete a stage from Cloudflare, and all that is stored in it.
    Destroy(deploy::destroy::Options),
    /// Measure a function, or the command.
    #[command(subcommand)]
    Bench(bench::Bench),
    /// Count what events use of Cloudflare's platform, and what that costs.
    Costs(costs::Options),
}

fn main() -> ExitCode {
    match run(Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<()> {
    let project = Project::find()?;
    match command {
        Command::Dev(options) => dev::run(&project, options),
        Command::Test(options) => test::run(&project, &options),
        Command::Build(options) => artifacts::run(&project, &options),
        Command::Size(options) => size::run(&project, &options),
        Command::Tidy => tidy::run(&project),
        Command::Lint => lint::run(&project),
        Command::Kafka(action) => kafka::run(&project, &action),
        Command::Deploy(options) => deploy::run(&project, &options),
        Command::Destroy(options) => deploy::destroy::run(&project, &options),
        Command::Bench(bench) => bench::run(&project, &bench),
        Command::Costs(options) => costs::run(&project, &options),
    }
}
