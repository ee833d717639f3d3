//! `cargo xtask bench validation`: how long the validator takes for events of a megabyte and schemas that are put together at random.

use anyhow::Result;

use crate::process::{self, step};
use crate::project::Project;

/// The program that measures.
const PACKAGE: &str = "validation-native";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The number of pairs of a schema and an event.
    #[arg(long, default_value_t = 2000)]
    pairs: u64,
    /// The first pair.
    #[arg(long, default_value_t = 0)]
    seed: u64,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    step("building the validator for this machine");
    let mut build = project.cargo();
    process::run(build.args(["build", "--profile", "dist", "--package", PACKAGE]))?;
    step("judging events");
    let mut bench = std::process::Command::new(project.target()?.join("dist").join(PACKAGE));
    bench
        .args(["--pairs", &options.pairs.to_string()])
        .args(["--seed", &options.seed.to_string()]);
    println!("{}", process::output(&mut bench)?);
    Ok(())
}
