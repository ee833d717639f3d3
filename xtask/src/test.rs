//! `cargo xtask test`: natively, then the black-box suite on each host.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::artifacts::{self, Platform};
use crate::dev::host_name;
use crate::process::{self, step};
use crate::project::Project;
use crate::{browser, kafka, server, tokens, tools};

/// Longer than dev takes to give up by itself.
const READY_TIMEOUT: Duration = Duration::from_secs(600);

/// What the names of tests have in common that need Kafka.
const KAFKA_TESTS: &str = "over_kafka";

const POLL_INTERVAL: Duration = Duration::from_millis(100);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Run on this host only.
    #[arg(long)]
    host: Option<Host>,
    /// Arguments for the black-box suite, after `--`: such as the name of a test.
    #[arg(last = true)]
    suite: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Host {
    Native,
    Workerd,
    Spin,
}

const HOSTS: [(Host, &str); 3] = [
    (Host::Native, "native"),
    (Host::Workerd, "workerd"),
    (Host::Spin, "spin"),
];

#[derive(Debug, Clone, PartialEq, Eq)]
enum Outcome {
    Passed,
    Failed(String),
    Skipped(String),
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let mut outcomes = Vec::new();
    for (host, name) in HOSTS {
        let outcome = match options.host {
            Some(only) if only != host => continue,
            None if host == Host::Spin && process::find("spin").is_none() => {
                Outcome::Skipped("no `spin` on PATH".to_owned())
            }
            _ => match run_on(project, host, &options.suite) {
                Ok(()) => Outcome::Passed,
                Err(error) => Outcome::Failed(format!("{error:#}")),
            },
        };
        if let Outcome::Failed(why) = &outcome {
            eprintln!("\n{name} failed: {why}");
        }
        outcomes.push((name, outcome));
    }
    if options.host != Some(Host::Native) && browser::find().is_none() {
        outcomes.push(("in a browser", Outcome::Skipped(browser::MISSING.to_owned())));
    }
    if options.host != Some(Host::Native)
        && let Err(missing) = kafka::require(project)
    {
        outcomes.push(("over Kafka", Outcome::Skipped(format!("{missing:#}"))));
    }
    println!("\n{}", summary(&outcomes));
    if outcomes
        .iter()
        .any(|(_, outcome)| matches!(outcome, Outcome::Failed(_)))
    {
        bail!("tests failed");
    }
    Ok(())
}

fn summary(outcomes: &[(&str, Outcome)]) -> String {
    let shown = outcomes.iter().map(|(name, outcome)| match outcome {
        Outcome::Passed => format!("{name}: passed"),
        Outcome::Failed(_) => format!("{name}: FAILED"),
        Outcome::Skipped(why) => format!("{name}: SKIPPED ({why})"),
    });
    shown.collect::<Vec<_>>().join(", ")
}

fn run_on(project: &Project, host: Host, suite: &[String]) -> Result<()> {
    match host {
        Host::Native => {
            // The validator is compared with AJV 6.
            tools::npm_packages(project)?;
            step("unit and handler tests");
            process::run(
                project
                    .cargo()
                    .arg("test")
                    .env("EVENTSTAR_NODE", tools::node(project)),
            )
        }
        Host::Workerd => {
            black_box(project, Platform::Workerd, suite)?;
            step("deployments: a dry run, and whole ones against a stand-in for Cloudflare's API");
            process::run(project.cargo().args([
                "test",
                "--package",
                "xtask",
                "--test",
                "deploy",
                "--test",
                "stages",
            ]))
        }
        Host::Spin => {
            server::require_spin()?;
            black_box(project, Platform::Spin, suite)
        }
    }
}

fn black_box(project: &Project, platform: Platform, suite: &[String]) -> Result<()> {
    artifacts::build(project, Some(platform))?;
    tools::npm_packages(project)?;
    // Compiled before the server starts: the two would compete for the machine.
    process::run(
        project
            .cargo()
            .args(["test", "--package", "eventstar-tests", "--no-run"]),
    )?;
    process::run(
        project
            .cargo()
            .args(["build", "--package", "eventstar-cli", "--bin", "eventstar"]),
    )?;
    let command = project.target()?.join("debug/eventstar");
    let name = host_name(platform);
    step(&format!("starting {name} for the black-box suite"));
    let server = DevServer::start(project, platform)?;
    let ready = &server.ready;
    let setting = |member: &str| ready[member].as_str().unwrap_or_default().to_owned();
    step(&format!(
        "black-box suite against {name} at {}",
        setting("base_url")
    ));
    let mut cargo = project.cargo();
    cargo
        .args(["test", "--package", "eventstar-tests", "--no-fail-fast", "--"])
        .args(suite);
    cargo
        .env("EVENTSTAR_BASE_URL", setting("base_url"))
        .env("EVENTSTAR_HOST", name);
    cargo.env("EVENTSTAR_ADMIN_TOKEN", setting("admin_token"));
    cargo.env("EVENTSTAR_PRODUCER_TOKEN", setting("producer_token"));
    cargo.env("EVENTSTAR_XTASK", &project.executable);
    cargo.env("EVENTSTAR_COMMAND", command);
    cargo.env("EVENTSTAR_NODE", tools::node(project));
    match browser::find() {
        Some(chromium) => cargo.env("CHROMIUM", chromium),
        None => cargo.args(["--skip", browser::TESTS]),
    };
    if kafka::require(project).is_err() {
        cargo.args(["--skip", KAFKA_TESTS]);
    }
    let outcome = process::run(&mut cargo);
    if outcome.is_err() {
        eprintln!("What {name} wrote last:\n{}", server.log_tail());
    }
    outcome
}

/// `cargo xtask dev` as a child process, with a state folder that goes when it goes.
struct DevServer {
    child: Child,
    folder: PathBuf,
    ready: Value,
}

impl DevServer {
    fn start(project: &Project, platform: Platform) -> Result<Self> {
        let folder = env::temp_dir().join(format!("eventstar-test-{}", tokens::random()?));
        let state = folder.join("state");
        fs::create_dir_all(&state).with_context(|| format!("{} cannot be created", state.display()))?;
        let log = File::create(folder.join("log")).context("the log cannot be created")?;
        let mut command = Command::new(&project.executable);
        command.args(["dev", "--prebuilt", "--host", host_name(platform)]);
        command
            .arg("--port")
            .arg(server::free_port()?.to_string())
            .arg("--state")
            .arg(&state);
        // The suites change streams, and wait this long for every instance of every function.
        command.args(["--var", "STREAM_CONFIG_TTL_MS=1000"]);
        command
            .stdout(log.try_clone()?)
            .stderr(log)
            .current_dir(&project.root);
        let child = command.spawn().context("dev cannot be started")?;
        let mut server = Self {
            child,
            folder,
            ready: Value::Null,
        };
        server.ready = server.wait_until_ready(&state.join(server::READY))?;
        Ok(server)
    }

    fn wait_until_ready(&mut self, note: &Path) -> Result<Value> {
        let deadline = Instant::now() + READY_TIMEOUT;
        loop {
            // Half a note is not JSON: it is complete a moment later.
            if let Ok(text) = fs::read_to_string(note)
                && let Ok(ready) = serde_json::from_str(&text)
            {
                return Ok(ready);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("dev ended ({status}):\n{}", self.log_tail());
            }
            if Instant::now() > deadline {
                bail!("dev is not ready:\n{}", self.log_tail());
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn log_tail(&self) -> String {
        let text = fs::read_to_string(self.folder.join("log")).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines
            .get(lines.len().saturating_sub(60)..)
            .unwrap_or_default()
            .join("\n")
    }
}

impl Drop for DevServer {
    fn drop(&mut self) {
        if let Ok(id) = i32::try_from(self.child.id()) {
            // It stops what it has started; it may have ended by itself.
            let _ = kill(Pid::from_raw(id), Signal::SIGTERM);
        }
        let _ = self.child.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_summary_names_every_host() {
        let outcomes = [
            ("native", Outcome::Passed),
            ("workerd", Outcome::Failed("why".to_owned())),
            ("spin", Outcome::Skipped("no `spin` on PATH".to_owned())),
        ];
        assert_eq!(
            summary(&outcomes),
            "native: passed, workerd: FAILED, spin: SKIPPED (no `spin` on PATH)"
        );
    }
}
