//! Origins of one's own, for tests that kill them or publish something else than the examples.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde_json::Value;

use crate::admin::comes_into_force;
use crate::http::Origin;
use crate::instance::{Instance, setting};
use crate::random::{fresh_uuid, random_bytes};

/// Longer than a start may ever take, the publishing of a large schema repository included.
const START: Duration = Duration::from_secs(300);

/// How long the processes may take to be gone after SIGKILL.
const GONE: Duration = Duration::from_secs(30);

/// A folder that is removed when the test passes, and kept for a look when it fails.
#[derive(Debug)]
pub struct StateDir(PathBuf);

impl StateDir {
    /// A new, empty folder.
    #[must_use]
    pub fn new(label: &str) -> Self {
        let path = std::env::temp_dir().join(format!("eventstar-{label}-{}", fresh_uuid()));
        fs::create_dir_all(&path).expect("a folder for the state");
        Self(path)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for StateDir {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the state is kept at {}", self.0.display());
        } else {
            let _ = fs::remove_dir_all(&self.0);
        }
    }
}

/// A development server with a port, a state folder and a process group of its own.
#[derive(Debug)]
pub struct Dev {
    /// The origin and its tokens.
    pub instance: Instance,
    child: Child,
    output: Arc<Mutex<String>>,
}

impl Dev {
    /// Starts one on `state` and waits until it says that it is ready.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    #[track_caller]
    pub fn start(state: &StateDir, arguments: &[&str]) -> Self {
        /// Another program may take the port that was free a moment ago.
        const TRIES: usize = 3;
        let mut output = String::new();
        for _ in 0..TRIES {
            match Self::try_start(state, arguments) {
                Ok(dev) => return dev,
                Err(printed) => output = printed,
            }
            if !output.contains(" is in use: ") {
                break;
            }
        }
        panic!("dev did not start:\n{output}");
    }

    /// What it printed, when it does not start.
    fn try_start(state: &StateDir, arguments: &[&str]) -> Result<Self, String> {
        let note = state.path().join("ready.json");
        // A killed server leaves its note behind.
        let _ = fs::remove_file(&note);
        let mut child = Command::new(setting("EVENTSTAR_XTASK"))
            .args(["dev", "--prebuilt", "--host", &setting("EVENTSTAR_HOST")])
            .args(["--port", &free_port().to_string(), "--state"])
            .arg(state.path())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("the program EVENTSTAR_XTASK names");
        let output = Arc::new(Mutex::new(String::new()));
        let readers = [
            keep(child.stdout.take().expect("stdout"), &output),
            keep(child.stderr.take().expect("stderr"), &output),
        ];
        let deadline = Instant::now() + START;
        let instance = loop {
            if let Some(instance) = read_note(&note) {
                break instance;
            }
            let ended = child.try_wait().expect("a child");
            if ended.is_some() || Instant::now() > deadline {
                kill_group(&mut child);
                for reader in readers {
                    reader.join().expect("a reader");
                }
                let output = output.lock().expect("the output").clone();
                return Err(format!("{ended:?}\n{output}"));
            }
            thread::sleep(Duration::from_millis(50));
        };
        Ok(Self {
            instance,
            child,
            output,
        })
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output(&self) -> String {
        self.output.lock().expect("the output").clone()
    }

    /// Waits until `said` stands in what dev printed: a server's log may come after its answer.
    ///
    /// # Panics
    /// When it does not come.
    #[track_caller]
    pub fn tells(&self, said: &str) {
        comes_into_force(said, || self.output().contains(said));
    }

    /// Memory of all its processes that is resident, in bytes.
    ///
    /// # Panics
    /// When `ps` cannot be asked.
    #[must_use]
    pub fn memory(&self) -> u64 {
        let listed = Command::new("ps").args(["-A", "-o", "pgid=,rss="]).output();
        let listed = String::from_utf8(listed.expect("ps").stdout).expect("text");
        let group = self.child.id();
        let kilobytes = listed.lines().filter_map(|line| {
            let mut numbers = line.split_whitespace().map(str::parse::<u64>);
            let (of, kilobytes) = (numbers.next()?.ok()?, numbers.next()?.ok()?);
            (of == u64::from(group)).then_some(kilobytes)
        });
        kilobytes.sum::<u64>() * 1024
    }

    /// Kills the whole process group at once, as a crash of the machine would, and waits until nothing of it
    /// answers any more.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        kill_group(&mut self.child);
        let deadline = Instant::now() + GONE;
        while self.instance.origin.is_up() {
            if Instant::now() > deadline {
                let problem = format!(
                    "{} still answers: dev left a process behind",
                    self.instance.origin.base_url()
                );
                assert!(thread::panicking(), "{problem}");
                eprintln!("{problem}");
                return;
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        if thread::panicking() {
            let output = self.output();
            let lines: Vec<&str> = output.lines().collect();
            eprintln!(
                "the end of what dev printed:\n{}",
                lines[lines.len().saturating_sub(40)..].join("\n")
            );
        }
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.end();
        }
    }
}

fn kill_group(child: &mut Child) {
    let group = Pid::from_raw(i32::try_from(child.id()).expect("a process id"));
    // The group is gone already where everything in it has ended.
    let _ = killpg(group, Signal::SIGKILL);
    let _ = child.wait();
}

/// A port nobody listens on, below those the system gives to outgoing connections: one of these could take it before
/// the server does.
pub(crate) fn free_port() -> u16 {
    loop {
        let [high, low] = random_bytes();
        let port = 10_000 + u16::from_be_bytes([high, low]) % 20_000;
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
}

/// What a server that is ready has written down; `None` before that, and for half a note.
fn read_note(note: &Path) -> Option<Instance> {
    let note: Value = serde_json::from_str(&fs::read_to_string(note).ok()?).ok()?;
    let member = |name: &str| {
        note[name]
            .as_str()
            .unwrap_or_else(|| panic!("no {name} in {note}"))
            .to_owned()
    };
    Some(Instance {
        origin: Origin::parse(&member("base_url")),
        admin_token: member("admin_token"),
        producer_token: member("producer_token"),
    })
}

/// Keeps what a server writes, for the case that something goes wrong.
fn keep(source: impl Read + Send + 'static, output: &Arc<Mutex<String>>) -> JoinHandle<()> {
    let output = Arc::clone(output);
    thread::spawn(move || {
        for line in BufReader::new(source).lines().map_while(Result::ok) {
            let mut output = output.lock().expect("the output");
            output.push_str(&line);
            output.push('\n');
        }
    })
}
