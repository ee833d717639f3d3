//! The two hosts as child processes.

use std::collections::HashMap;
use std::fs;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use crate::artifacts::Platform;
use crate::process;
use crate::project::Project;
use crate::tokens::{self, Tokens};
use crate::{tools, wrangler};

/// Spin compiles the components to machine code when it sees them first: minutes on a busy machine.
const START_TIMEOUT: Duration = Duration::from_secs(300);

/// A server that compiles nothing listens within this.
const LISTEN_TIMEOUT: Duration = Duration::from_secs(30);

/// After this a host that was asked to stop is killed.
const STOP_TIMEOUT: Duration = Duration::from_secs(5);

/// The unit of CPU times that Linux tells programs (`USER_HZ`).
const TICK: Duration = Duration::from_millis(10);

const POLL_INTERVAL: Duration = Duration::from_millis(50);

/// What a host is started with.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) platform: Platform,
    pub(crate) port: u16,
    pub(crate) state: &'a Path,
    pub(crate) tokens: &'a Tokens,
    /// The value of `ALLOWED_STREAMS`.
    pub(crate) allowed_streams: &'a str,
    /// The value of `SINK`, where it is not to be the deployed one.
    pub(crate) sink: Option<&'a str>,
    /// Whether each worker tells at `/FUNCTION/__counts` what it has used of the platform. On workerd only.
    pub(crate) counts: bool,
    /// Further settings; they go before those here.
    pub(crate) variables: &'a [(String, String)],
}

impl Launch<'_> {
    /// Where the functions answer.
    pub(crate) fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    fn settings(&self) -> Vec<(&str, String)> {
        let mut settings = vec![
            ("ADMIN_TOKEN", self.tokens.admin.clone()),
            ("PRODUCER_TOKENS", format!("example={}", self.tokens.producer)),
            ("ALLOWED_STREAMS", self.allowed_streams.to_owned()),
            // A published stream configuration is visible at once.
            ("STREAM_CONFIG_TTL_MS", "1000".to_owned()),
        ];
        settings.extend(self.sink.map(|sink| ("SINK", sink.to_owned())));
        let further = self.variables.iter();
        settings.extend(further.map(|(name, value)| (name.as_str(), value.clone())));
        settings
    }
}

/// A running host; dropping it stops it.
#[derive(Debug)]
pub(crate) struct Server {
    child: Child,
    /// Held open: its end tells the host that we are gone.
    stdin: Option<ChildStdin>,
}

impl Server {
    /// Starts a host. It is not yet listening.
    pub(crate) fn start(project: &Project, launch: &Launch) -> Result<Self> {
        check_port(launch.port, "--port")?;
        let command = match launch.platform {
            Platform::Workerd => workerd(project)?,
            Platform::Spin => spin(project, launch)?,
        };
        let mut server = Self::spawn(command)?;
        if launch.platform == Platform::Workerd
            && let Some(stdin) = &mut server.stdin
        {
            writeln!(stdin, "{}", workerd_input(project, launch)?).context("the host ended at once")?;
        }
        Ok(server)
    }

    /// Starts whatever `command` starts.
    pub(crate) fn spawn(mut command: Command) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(io::stderr());
        let mut child = command.spawn().context("the host cannot be started")?;
        let stdin = child.stdin.take();
        Ok(Self { child, stdin })
    }

    /// Memory of the host and of all it has started that is resident, in bytes.
    pub(crate) fn memory(&self) -> Result<u64> {
        let processes: Vec<String> = family(self.child.id()).iter().map(Pid::to_string).collect();
        let listed = process::output(Command::new("ps").args(["-o", "rss=", "-p", &processes.join(",")]))?;
        Ok(kilobytes(&listed) * 1024)
    }

    /// CPU time that the host and all it has started have used. Known on Linux only.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let mut ticks = 0;
        for process in family(self.child.id()) {
            let path = format!("/proc/{process}/stat");
            let stat = fs::read_to_string(&path).with_context(|| format!("{path} cannot be read"))?;
            ticks += cpu_ticks(&stat).with_context(|| format!("{path} tells no CPU time"))?;
        }
        Ok(TICK * ticks)
    }

    /// Waits until the functions answer.
    pub(crate) fn wait_until_healthy(&mut self, base_url: &str) -> Result<()> {
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .build()
            .into();
        let deadline = Instant::now() + START_TIMEOUT;
        loop {
            let failure = match agent.get(format!("{base_url}/healthz")).call() {
                Ok(_) => return Ok(()),
                Err(failure) => failure,
            };
            if let Some(status) = self.exited()? {
                bail!("the host stopped while starting ({status}): what it wrote above says why");
            }
            if Instant::now() > deadline {
                bail!("{base_url}/healthz does not answer: {failure}");
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// Waits until something listens on `port`.
    pub(crate) fn wait_until_listening(&mut self, port: u16) -> Result<()> {
        let deadline = Instant::now() + LISTEN_TIMEOUT;
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if let Some(status) = self.exited()? {
                bail!("the host ended at once ({status}): what it wrote above says why");
            }
            if Instant::now() > deadline {
                bail!("nothing listens on port {port}");
            }
            thread::sleep(POLL_INTERVAL);
        }
        Ok(())
    }

    /// The exit status, once the host has ended.
    pub(crate) fn exited(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().context("the host cannot be waited for")
    }

    fn stop(&mut self) {
        // A host starts further processes: they are asked too, and none may outlive us.
        let family = family(self.child.id());
        self.stdin = None;
        signal(&family, Signal::SIGTERM);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while Instant::now() < deadline {
            // Taken note of here, or the child would stay a zombie that seems alive.
            let _ = self.child.try_wait();
            if family.iter().all(|process| kill(*process, None).is_err()) {
                return;
            }
            thread::sleep(POLL_INTERVAL);
        }
        signal(&family, Signal::SIGKILL);
        let _ = self.child.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A port nobody listens on.
pub(crate) fn free_port() -> Result<u16> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("no port is free")?;
    Ok(listener.local_addr()?.port())
}

/// Refuses a port in use before anything slow is done; `option` sets it.
pub(crate) fn check_port(port: u16, option: &str) -> Result<()> {
    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)) {
        Ok(_) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            bail!(
                "port {port} is in use: stop the program that listens there, or choose another with {option}"
            )
        }
        Err(error) => {
            Err(error).with_context(|| format!("port {port} cannot be used: choose another with {option}"))
        }
    }
}

/// Refuses to go on without Spin.
pub(crate) fn require_spin() -> Result<()> {
    if process::find("spin").is_none() {
        bail!(
            "`spin` is not on PATH: install Spin 4.1 or later from https://spinframework.dev, or use --host workerd"
        );
    }
    Ok(())
}

fn workerd(project: &Project) -> Result<Command> {
    let mut command = Command::new(tools::node(project));
    command
        .arg(project.root.join("xtask/assets/serve.mjs"))
        .current_dir(&project.root);
    command
        .env("WRANGLER_SEND_METRICS", "false")
        .env("PATH", tools::path_with_node(project)?);
    Ok(command)
}

fn workerd_input(project: &Project, launch: &Launch) -> Result<String> {
    let config = wrangler::config(project)?;
    let mut workers = Vec::new();
    for (function, routes) in wrangler::ROUTES {
        let script = wrangler::main_script(project, &config, function)?;
        workers.push(json!({ "function": function, "routes": routes, "script": script }));
    }
    let bindings: HashMap<_, _> = launch.settings().into_iter().collect();
    let config = wrangler::config_path(project);
    let input = json!({
        "config": config, "port": launch.port, "state": launch.state, "bindings": bindings, "workers": workers,
        "counts": launch.counts,
    });
    Ok(input.to_string())
}

fn spin(project: &Project, launch: &Launch) -> Result<Command> {
    let manifest = launch.state.join("spin.toml");
    let text = fs::read_to_string(project.root.join("spin.toml")).context("spin.toml cannot be read")?;
    fs::write(&manifest, spin_manifest(&text, project.target()?))
        .with_context(|| format!("{} cannot be written", manifest.display()))?;
    let mut command = spin_up(project, &manifest, launch.port, launch.state);
    for (name, value) in launch.settings() {
        command.env(format!("SPIN_VARIABLE_{name}"), value);
    }
    Ok(command)
}

/// `spin up`, as every application is to be run.
pub(crate) fn spin_up(project: &Project, manifest: &Path, port: u16, state: &Path) -> Command {
    let mut command = Command::new("spin");
    command
        .current_dir(&project.root)
        .arg("up")
        .arg("--from")
        .arg(manifest);
    command
        .arg("--listen")
        .arg(format!("127.0.0.1:{port}"))
        .arg("--state-dir")
        .arg(state);
    // An instance keeps compiled validators, so it should live longer than the default of a second.
    command.args([
        "--max-instance-reuse-count",
        "10000",
        "--idle-instance-timeout",
        "60s",
    ]);
    command
}

/// The manifest with the components where cargo has put them.
fn spin_manifest(text: &str, target: &Path) -> String {
    text.replace("source = \"target/", &format!("source = \"{}/", target.display()))
}

/// A process and all its descendants.
fn family(root: u32) -> Vec<Pid> {
    let listed = process::output(Command::new("ps").args(["-A", "-o", "pid=,ppid="])).unwrap_or_default();
    descendants(root, &listed)
        .into_iter()
        .filter_map(|id| Some(Pid::from_raw(i32::try_from(id).ok()?)))
        .collect()
}

fn descendants(root: u32, listed: &str) -> Vec<u32> {
    let pairs: Vec<(u32, u32)> = listed
        .lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace().map(str::parse);
            Some((words.next()?.ok()?, words.next()?.ok()?))
        })
        .collect();
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(pairs.iter().filter(|(_, of)| *of == parent).map(|(id, _)| *id));
        next += 1;
    }
    found
}

/// User and system time in a line of `/proc/<id>/stat`. The program's name before them may hold anything.
fn cpu_ticks(stat: &str) -> Option<u32> {
    let (_, numbers) = stat.rsplit_once(')')?;
    let mut numbers = numbers.split_whitespace().skip(11).map(str::parse::<u32>);
    Some(numbers.next()?.ok()? + numbers.next()?.ok()?)
}

/// The sum of the numbers in a column.
fn kilobytes(listed: &str) -> u64 {
    listed
        .split_whitespace()
        .filter_map(|number| number.parse::<u64>().ok())
        .sum()
}

fn signal(processes: &[Pid], signal: Signal) {
    for process in processes {
        // It may have ended by itself.
        let _ = kill(*process, signal);
    }
}

/// Forgets what only concerns the last run, and notes where this one is for programs that started it.
pub(crate) fn announce(launch: &Launch, name: &str) -> Result<()> {
    let note = json!({
        "host": name,
        "base_url": launch.base_url(),
        "admin_token": launch.tokens.admin,
        "producer_token": launch.tokens.producer,
        "pid": std::process::id(),
    });
    tokens::write_private(&launch.state.join(READY), &format!("{note}\n"))
}

/// In the state folder while the server is ready: where it is and its tokens.
pub(crate) const READY: &str = "ready.json";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_refused_with_the_fix() {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = listener.local_addr().unwrap().port();
        let error = check_port(port, "--port").unwrap_err().to_string();
        assert!(
            error.contains(&port.to_string()) && error.contains("--port"),
            "{error}"
        );
    }

    #[test]
    fn descendants_of_all_generations_are_found() {
        let listed = "    1     0\n   10     1\n   11    10\n   12    11\n   13     1\n";
        assert_eq!(descendants(10, listed), [10, 11, 12]);
    }

    #[test]
    fn memory_is_summed_over_the_processes() {
        assert_eq!(kilobytes("  1024\n 51200\n"), 52_224);
        assert_eq!(kilobytes(""), 0);
    }

    #[test]
    fn cpu_time_is_that_of_the_user_and_of_the_system() {
        let stat = "7 (a (b) c) S 1 7 7 0 -1 4194560 1 2 3 4 250 50 9 9 20 0 4 0 100";
        assert_eq!(cpu_ticks(stat), Some(300));
        assert_eq!(cpu_ticks("7 (a) S 1"), None);
    }

    #[test]
    fn settings_are_the_deployed_ones_unless_told() {
        let tokens = Tokens {
            admin: "a".to_owned(),
            producer: "p".to_owned(),
        };
        let mut launch = Launch {
            platform: Platform::Spin,
            port: 1,
            state: Path::new(""),
            tokens: &tokens,
            allowed_streams: "*",
            sink: None,
            counts: false,
            variables: &[],
        };
        let sink = |launch: &Launch| {
            let mut settings = launch.settings().into_iter();
            settings.find(|(name, _)| *name == "SINK").map(|(_, value)| value)
        };
        assert_eq!(sink(&launch), None);
        launch.sink = Some("null");
        assert_eq!(sink(&launch), Some("null".to_owned()));
        let variables = [("STREAM_CONFIG_TTL_MS".to_owned(), "5".to_owned())];
        launch.variables = &variables;
        let last = launch.settings().pop();
        assert_eq!(
            last,
            Some(("STREAM_CONFIG_TTL_MS", "5".to_owned())),
            "the last one counts"
        );
    }

    #[test]
    fn the_manifest_names_components_in_the_real_target_folder() {
        let text = "[component.intake]\nsource = \"target/wasm32-wasip2/release/intake_spin.wasm\"\n";
        let moved = spin_manifest(text, Path::new("/cache/target"));
        assert!(
            moved.contains("source = \"/cache/target/wasm32-wasip2/release/intake_spin.wasm\""),
            "{moved}"
        );
    }
}
