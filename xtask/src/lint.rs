//! `cargo xtask lint`: formatting, clippy on every target, tidy, licences.

use anyhow::Result;

use crate::process::{self, step};
use crate::project::{FUNCTIONS, Project};
use crate::{artifacts, licences, tidy, tools};

pub(crate) fn run(project: &Project) -> Result<()> {
    step("formatting");
    process::run(project.cargo().args(["fmt", "--all", "--check"]))?;

    for target in [tools::CLOUDFLARE_TARGET, tools::SPIN_TARGET] {
        tools::rust_target(project, target)?;
    }
    let cloudflare = platform_packages("cloudflare");
    let spin = platform_packages("spin");

    step("clippy, native");
    let others = cloudflare
        .iter()
        .chain(&spin)
        .flat_map(|package| ["--exclude", package]);
    let mut clippy = project.cargo();
    clippy
        .args(["clippy", "--workspace", "--all-targets"])
        .args(others);
    process::run(deny_warnings(&mut clippy))?;

    // Not among all targets, because plain `cargo test` leaves it out.
    let mut clippy = project.cargo();
    clippy.args(["clippy", "--package", "xtask", "--test", "deploy"]);
    process::run(deny_warnings(&mut clippy))?;

    for (target, packages) in [
        (tools::CLOUDFLARE_TARGET, &cloudflare),
        (tools::SPIN_TARGET, &spin),
    ] {
        step(&format!("clippy, {target}"));
        let mut clippy = project.cargo();
        clippy
            .args(["clippy", "--target", target])
            .args(packages.iter().flat_map(|package| ["--package", package]));
        process::run(deny_warnings(artifacts::with_wasm_settings(&mut clippy)))?;
    }

    step("layers and leftovers");
    tidy::run(project)?;
    step("licences and sources of dependencies");
    licences::run(project)
}

fn deny_warnings(clippy: &mut std::process::Command) -> &mut std::process::Command {
    clippy.args(["--", "--deny", "warnings"])
}

/// The packages that only compile for one platform.
fn platform_packages(platform: &str) -> Vec<String> {
    let shims = FUNCTIONS.iter().map(|function| format!("{function}-{platform}"));
    shims
        .chain([
            format!("eventstar-platform-{platform}"),
            format!("noop-{platform}"),
        ])
        .collect()
}
