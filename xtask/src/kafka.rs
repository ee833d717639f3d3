//! A Kafka cluster of one node, and the Strimzi bridge to it, for development and tests.

mod command;
mod config;
mod install;

use std::fs::{self, File};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::process::{self, step};
use crate::project::Project;
use crate::server;

pub(crate) use command::{Action, run};

/// Two programs for the JVM on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// After this a part that was asked to stop is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(20);

/// Longer than the bridge takes to tell that the broker is missing.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(15);

const POLL_INTERVAL: Duration = Duration::from_millis(200);

/// How much of a log is shown when a start fails.
const LOG_LINES: usize = 40;

/// Where the record goes that tells that records can be produced.
const READY_TOPIC: &str = "eventstar.ready";

/// Refuses to go on without what a cluster needs, and downloads what can be.
pub(crate) fn require(project: &Project) -> Result<()> {
    install::java()?;
    install::bridge(project)?;
    install::kafka(project)?;
    Ok(())
}

/// The settings of functions that have events in Kafka, through the bridge at `url`.
pub(crate) fn settings(url: &str) -> [(String, String); 3] {
    [
        ("KAFKA_REST_URL", url),
        ("KAFKA_REST_DIALECT", "strimzi"),
        // Spin asks which hosts may be reached.
        ("KAFKA_REST_HOST", url),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
}

/// Ports on the loopback interface; what is not said is as at the last start.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct WantedPorts {
    /// Where Kafka's clients connect to [default: that of the last start, or 19092].
    #[arg(long, value_name = "PORT")]
    pub(crate) broker_port: Option<u16>,
    /// Where Kafka's controller listens [default: that of the last start, or 19093].
    #[arg(long, value_name = "PORT")]
    pub(crate) controller_port: Option<u16>,
    /// Where the bridge answers HTTP [default: that of the last start, or 18080].
    #[arg(long, value_name = "PORT")]
    pub(crate) bridge_port: Option<u16>,
    /// Where the bridge answers health checks, from version 1.0 on [default: that of the last start, or 18081].
    #[arg(long, value_name = "PORT")]
    pub(crate) management_port: Option<u16>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Part {
    Broker,
    Bridge,
}

impl Part {
    /// In the order of their start.
    pub(crate) const ALL: [Self; 2] = [Self::Broker, Self::Bridge];

    fn name(self) -> &'static str {
        match self {
            Self::Broker => "broker",
            Self::Bridge => "bridge",
        }
    }

    fn jars(self, project: &Project) -> Result<PathBuf> {
        match self {
            Self::Broker => install::kafka(project),
            Self::Bridge => install::bridge(project),
        }
    }

    fn config(self, ports: &Ports, topics_must_exist: bool) -> String {
        match self {
            Self::Broker => config::broker(ports, topics_must_exist),
            Self::Bridge => config::bridge(ports),
        }
    }
}

/// Ports on the loopback interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Ports {
    broker: u16,
    controller: u16,
    bridge: u16,
    management: u16,
}

impl Ports {
    const DEFAULT: Self = Self {
        broker: 19092,
        controller: 19093,
        bridge: 18080,
        management: 18081,
    };

    fn with(self, wanted: &WantedPorts) -> Self {
        Self {
            broker: wanted.broker_port.unwrap_or(self.broker),
            controller: wanted.controller_port.unwrap_or(self.controller),
            bridge: wanted.bridge_port.unwrap_or(self.bridge),
            management: wanted.management_port.unwrap_or(self.management),
        }
    }

    /// Those a part listens on, with the options that set them.
    fn of(&self, part: Part) -> Vec<(u16, &'static str)> {
        match part {
            Part::Broker => vec![
                (self.broker, "`cargo xtask kafka up --broker-port`"),
                (self.controller, "`cargo xtask kafka up --controller-port`"),
            ],
            Part::Bridge => vec![
                (self.bridge, "`cargo xtask kafka up --bridge-port`"),
                (self.management, "`cargo xtask kafka up --management-port`"),
            ],
        }
    }
}

/// The process of a part, as noted in the state folder.
#[derive(Debug, Serialize, Deserialize)]
struct Process {
    id: i32,
    /// What it runs, with the version.
    program: String,
}

impl Process {
    fn parse(note: &str) -> Option<Self> {
        // 0 and negative numbers are groups of processes.
        serde_json::from_str(note)
            .ok()
            .filter(|process: &Self| process.id > 0)
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(self.id)
    }
}

/// A cluster, running or not: all that is known of it is in its state folder.
#[derive(Debug)]
pub(crate) struct Kafka {
    state: PathBuf,
    ports: Ports,
    /// Whether a broker that is started makes no topic by itself.
    topics_must_exist: bool,
}

impl Kafka {
    /// The cluster whose state is in `state`, or the one of the checkout.
    pub(crate) fn at(project: &Project, state: Option<&Path>) -> Result<Self> {
        let state = match state {
            Some(state) => state.to_owned(),
            None => project.root.join(".eventstar/kafka"),
        };
        fs::create_dir_all(&state).with_context(|| format!("{} cannot be created", state.display()))?;
        let state = state.canonicalize()?;
        let ports = match fs::read_to_string(state.join(PORTS)) {
            Ok(text) => serde_json::from_str(&text)
                .with_context(|| format!("{} is damaged: remove it", state.join(PORTS).display()))?,
            Err(_) => Ports::DEFAULT,
        };
        Ok(Self {
            state,
            ports,
            topics_must_exist: false,
        })
    }

    /// Where the bridge answers.
    pub(crate) fn bridge_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.ports.bridge)
    }

    /// Where Kafka's clients connect to.
    pub(crate) fn broker(&self) -> String {
        format!("127.0.0.1:{}", self.ports.broker)
    }

    /// A command that produces a record.
    pub(crate) fn curl(&self) -> String {
        let url = self.bridge_url();
        format!(
            "curl -H 'content-type: {JSON_RECORDS}' -d '{{\"records\":[{{\"value\":\"hello\"}}]}}' {url}/topics/example"
        )
    }

    /// Starts those of `parts` that do not run, waits until they can be used, and gives those it has started. When it
    /// fails they are ended again.
    pub(crate) fn start(
        &mut self,
        project: &Project,
        parts: &[Part],
        wanted: &WantedPorts,
    ) -> Result<Vec<Part>> {
        let missing: Vec<Part> = parts
            .iter()
            .copied()
            .filter(|part| self.process(*part).is_none())
            .collect();
        self.move_to(self.ports.with(wanted))?;
        for part in &missing {
            for (port, option) in self.ports.of(*part) {
                server::check_port(port, option)?;
            }
        }
        let java = install::java()?;
        let jars = missing.iter().map(|part| part.jars(project));
        let jars = jars.collect::<Result<Vec<_>>>()?;
        write(&self.state.join(PORTS), &serde_json::to_string(&self.ports)?)?;
        let outcome = missing
            .iter()
            .zip(&jars)
            .try_for_each(|(part, jars)| self.launch(*part, &java, jars))
            .and_then(|()| self.wait_until_ready(parts));
        if let Err(error) = outcome {
            self.stop(&missing)?;
            return Err(error);
        }
        Ok(missing)
    }

    /// Ends those of `parts` that run.
    pub(crate) fn stop(&self, parts: &[Part]) -> Result<()> {
        for part in Part::ALL.iter().rev().filter(|part| parts.contains(part)) {
            let Some(process) = self.process(*part) else {
                continue;
            };
            step(&format!("stopping the {}", part.name()));
            // It may have ended by itself.
            let _ = kill(process.pid(), Signal::SIGTERM);
            let deadline = Instant::now() + STOP_TIMEOUT;
            while self.process(*part).is_some() {
                if Instant::now() > deadline {
                    let _ = kill(process.pid(), Signal::SIGKILL);
                }
                thread::sleep(POLL_INTERVAL);
            }
            let note = self.file(*part, "json");
            fs::remove_file(&note).with_context(|| format!("{} cannot be removed", note.display()))?;
        }
        Ok(())
    }

    /// Takes other ports, which what runs cannot.
    fn move_to(&mut self, ports: Ports) -> Result<()> {
        for part in Part::ALL {
            // The bridge knows the broker's port too.
            if part.config(&ports, false) != part.config(&self.ports, false) && self.process(part).is_some() {
                bail!(
                    "the {} runs with other ports: stop it first with `cargo xtask kafka down`, or leave the options for ports out",
                    part.name()
                );
            }
        }
        self.ports = ports;
        Ok(())
    }

    fn launch(&self, part: Part, java: &Path, jars: &Path) -> Result<()> {
        let config = self.file(part, "properties");
        write(&config, &part.config(&self.ports, self.topics_must_exist))?;
        let mut command = Command::new(java);
        command
            .current_dir(&self.state)
            .arg(format!("-D{}", self.marker(part)));
        let program = match part {
            Part::Broker => {
                self.format(java, jars)?;
                command
                    .args(["-Xmx512m", "-Dorg.slf4j.simpleLogger.showDateTime=true"])
                    .arg("-Dorg.slf4j.simpleLogger.dateTimeFormat=yyyy-MM-dd HH:mm:ss.SSS");
                command
                    .arg("-cp")
                    .arg(jars.join("*"))
                    .arg("kafka.Kafka")
                    .arg(&config);
                format!("Kafka {}", install::KAFKA)
            }
            Part::Bridge => {
                command.args(["-Xmx256m", "-Dlog4j2.level=INFO", "-Dvertx.cacheDirBase=vertx"]);
                command
                    .arg("-cp")
                    .arg(jars.join("*"))
                    .arg("io.strimzi.kafka.bridge.Application");
                command.arg("--config-file").arg(&config);
                format!(
                    "Strimzi bridge {}",
                    install::bridge_version(jars).unwrap_or_default()
                )
            }
        };
        step(&format!("starting the {} ({program})", part.name()));
        let log = self.file(part, "log");
        let output = File::create(&log).with_context(|| format!("{} cannot be created", log.display()))?;
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        // It is to outlive us, and a Ctrl-C that is meant for us.
        let child = command
            .process_group(0)
            .spawn()
            .context("Java cannot be started")?;
        let id = i32::try_from(child.id())?;
        write(
            &self.file(part, "json"),
            &serde_json::to_string(&Process { id, program })?,
        )
    }

    /// Makes the broker's data folder.
    fn format(&self, java: &Path, jars: &Path) -> Result<()> {
        if self.state.join(config::DATA).join("meta.properties").is_file() {
            return Ok(());
        }
        let mut command = Command::new(java);
        command
            .current_dir(&self.state)
            .arg("-Dorg.slf4j.simpleLogger.defaultLogLevel=warn");
        command
            .arg("-cp")
            .arg(jars.join("*"))
            .arg("kafka.tools.StorageTool");
        command.args(["format", "--cluster-id", config::CLUSTER_ID, "--config"]);
        process::output(command.arg(self.file(Part::Broker, "properties")))?;
        Ok(())
    }

    /// Waits until a record can be produced, or, where one of the two is missing, until `parts` listen.
    fn wait_until_ready(&self, parts: &[Part]) -> Result<()> {
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let failure = match self.ready(parts) {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            for part in parts {
                if self.process(*part).is_none() {
                    bail!(
                        "the {} ended while starting. {}",
                        part.name(),
                        self.log_tail(*part)
                    );
                }
            }
            if Instant::now() > deadline {
                let logs: Vec<String> = parts.iter().map(|part| self.log_tail(*part)).collect();
                bail!("Kafka is not ready: {failure:#}. {}", logs.join("\n"));
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn ready(&self, parts: &[Part]) -> Result<()> {
        for part in parts {
            let port = match part {
                Part::Broker => self.ports.broker,
                Part::Bridge => self.ports.bridge,
            };
            TcpStream::connect((Ipv4Addr::LOCALHOST, port))
                .with_context(|| format!("nothing listens on port {port}"))?;
        }
        if Part::ALL.iter().all(|part| self.process(*part).is_some()) {
            self.produce()?;
        }
        Ok(())
    }

    fn produce(&self) -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(REQUEST_TIMEOUT))
            .build()
            .into();
        if self.topics_must_exist {
            // It may be there from an earlier start.
            let _ = agent
                .post(format!("{}/admin/topics", self.bridge_url()))
                .content_type(JSON_RECORDS)
                .send(format!(r#"{{"topic_name":"{READY_TOPIC}"}}"#));
        }
        let answer = agent
            .post(format!("{}/topics/{READY_TOPIC}", self.bridge_url()))
            .content_type(JSON_RECORDS)
            .send(r#"{"records":[{"value":"ready"}]}"#)?
            .body_mut()
            .read_to_string()?;
        if !is_produced(&answer) {
            bail!("the bridge cannot produce: {answer}");
        }
        Ok(())
    }

    /// The process of a part, if it runs.
    fn process(&self, part: Part) -> Option<Process> {
        let process = Process::parse(&fs::read_to_string(self.file(part, "json")).ok()?)?;
        let mut ps = Command::new("ps");
        ps.args(["-ww", "-o", "args=", "-p", &process.id.to_string()]);
        is_ours(&process::output(&mut ps).ok()?, &self.marker(part)).then_some(process)
    }

    /// A system property that tells a part's process from whatever else may get its number.
    fn marker(&self, part: Part) -> String {
        format!("eventstar.kafka={}/{}", self.state.display(), part.name())
    }

    fn file(&self, part: Part, extension: &str) -> PathBuf {
        self.state.join(part.name()).with_extension(extension)
    }

    fn log_tail(&self, part: Part) -> String {
        let path = self.file(part, "log");
        let text = fs::read_to_string(&path).unwrap_or_default();
        format!("The end of {}:\n{}", path.display(), tail(&text, LOG_LINES))
    }
}

/// Parts of a cluster that end when this is dropped: those that it had to start.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) kafka: Kafka,
    started: Vec<Part>,
}

impl Running {
    /// Starts what does not run of a cluster.
    pub(crate) fn start(project: &Project, mut kafka: Kafka, wanted: &WantedPorts) -> Result<Self> {
        let started = kafka.start(project, &Part::ALL, wanted)?;
        Ok(Self { kafka, started })
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Err(error) = self.kafka.stop(&self.started) {
            eprintln!("warning: {error:#}");
        }
    }
}

/// In the state folder: the ports of the last start.
const PORTS: &str = "ports.json";

const JSON_RECORDS: &str = "application/vnd.kafka.json.v2+json";

/// Whether the one record was taken; records that are refused are in an answer of 200 too.
fn is_produced(answer: &str) -> bool {
    serde_json::from_str::<Value>(answer).is_ok_and(|answer| answer.pointer("/offsets/0/offset").is_some())
}

/// Whether a command line has the system property.
fn is_ours(arguments: &str, marker: &str) -> bool {
    arguments.contains(&format!(" -D{marker} "))
}

/// The last lines of a text.
fn tail(text: &str, count: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines
        .get(lines.len().saturating_sub(count)..)
        .unwrap_or_default()
        .join("\n")
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("{} cannot be written", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_ours_by_its_state_folder() {
        let line = "java -Deventstar.kafka=/a b/kafka/broker -Xmx512m kafka.Kafka\n";
        assert!(is_ours(line, "eventstar.kafka=/a b/kafka/broker"));
        assert!(!is_ours(line, "eventstar.kafka=/a b/kafka/bridge"));
        assert!(!is_ours(line, "eventstar.kafka=/a b/kafka"));
        assert!(!is_ours("", "eventstar.kafka=/a b/kafka/broker"));
    }

    #[test]
    fn only_one_process_can_be_meant() {
        let id = |note: &str| Process::parse(note).map(|process| process.id);
        assert_eq!(id(r#"{"id":17,"program":"Kafka 1"}"#), Some(17));
        assert_eq!(id(r#"{"id":0,"program":"Kafka 1"}"#), None);
        assert_eq!(id(r#"{"id":-1,"program":"Kafka 1"}"#), None);
        assert_eq!(id(r#"{"id":17"#), None, "half a note");
    }

    #[test]
    fn a_record_in_an_answer_of_200_may_be_refused() {
        assert!(is_produced(r#"{"offsets":[{"partition":0,"offset":0}]}"#));
        assert!(!is_produced(
            r#"{"offsets":[{"error_code":404,"message":"Topic a not present"}]}"#
        ));
        assert!(!is_produced("null"));
    }

    #[test]
    fn ports_are_those_of_the_last_start_unless_told() {
        let wanted = WantedPorts {
            bridge_port: Some(1),
            ..WantedPorts::default()
        };
        let ports = Ports::DEFAULT.with(&wanted);
        assert_eq!((ports.broker, ports.controller, ports.bridge), (19092, 19093, 1));
        assert_eq!(ports.with(&WantedPorts::default()), ports);
        let text = serde_json::to_string(&ports).unwrap();
        assert_eq!(serde_json::from_str::<Ports>(&text).unwrap(), ports);
    }

    #[test]
    fn a_part_that_does_not_run_has_no_process() {
        let folder = tempfile::tempdir().unwrap();
        let kafka = Kafka {
            state: folder.path().to_owned(),
            ports: Ports::DEFAULT,
            topics_must_exist: false,
        };
        assert!(kafka.process(Part::Broker).is_none());
        // This process has the number, and is another one.
        let note = format!(r#"{{"id":{},"program":"Kafka 1"}}"#, std::process::id());
        fs::write(folder.path().join("broker.json"), note).unwrap();
        assert!(kafka.process(Part::Broker).is_none());
        kafka.stop(&Part::ALL).unwrap();
    }

    #[test]
    fn the_end_of_a_log_is_shown() {
        assert_eq!(tail("a\nb\nc\n", 2), "b\nc");
        assert_eq!(tail("a", 2), "a");
    }
}
