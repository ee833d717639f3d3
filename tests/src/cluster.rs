//! Kafka and its REST bridge, for tests that stop and start them.

use std::fs;
use std::net::TcpStream;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::admin::comes_into_force;
use crate::dev::{StateDir, free_port};
use crate::instance::setting;

/// A cluster of one broker, with a bridge, on ports of its own; it ends when this is dropped.
#[derive(Debug)]
pub struct Cluster {
    state: StateDir,
    broker: u16,
    controller: u16,
    bridge: u16,
    management: u16,
    topics_must_exist: bool,
}

impl Cluster {
    /// Starts one that makes topics when records come, and waits until it can be used.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        Self::start_with(false)
    }

    /// The same, and `topics_must_exist` says whether it makes topics.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start_with(topics_must_exist: bool) -> Self {
        let cluster = Self {
            topics_must_exist,
            state: StateDir::new("kafka"),
            broker: free_port(),
            controller: free_port(),
            bridge: free_port(),
            management: free_port(),
        };
        cluster.up();
        cluster
    }

    /// Starts what does not run of it.
    ///
    /// # Panics
    /// When it does not start.
    pub fn up(&self) {
        let ports = [
            ("--broker-port", self.broker),
            ("--controller-port", self.controller),
            ("--bridge-port", self.bridge),
            ("--management-port", self.management),
        ];
        let ports = ports.map(|(option, port)| [option.to_owned(), port.to_string()]);
        let mut arguments = ports.concat();
        if self.topics_must_exist {
            arguments.push("--topics-must-exist".to_owned());
        }
        self.xtask("up", &arguments);
    }

    /// Stops `broker` or `bridge`.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn down(&self, part: &str) {
        self.xtask("down", &["--only".to_owned(), part.to_owned()]);
    }

    /// Kills `bridge` at once, as a crash would, and waits until nothing listens there.
    ///
    /// # Panics
    /// When it does not run, or does not end.
    pub fn kill_bridge(&self) {
        let note = self.state.path().join("bridge.json");
        let note: Value =
            serde_json::from_slice(&fs::read(note).expect("the note of its process")).expect("JSON");
        let id = note["id"].as_i64().and_then(|id| i32::try_from(id).ok());
        kill(Pid::from_raw(id.expect("a process id")), Signal::SIGKILL).expect("it runs");
        comes_into_force("the bridge is gone", || {
            TcpStream::connect(self.bridge()).is_err()
        });
    }

    fn xtask(&self, action: &str, arguments: &[String]) {
        let output = Command::new(setting("EVENTSTAR_XTASK"))
            .args(["kafka", action, "--state"])
            .arg(self.state.path())
            .args(arguments)
            .output()
            .expect("the program EVENTSTAR_XTASK names");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kafka {action}: {errors}");
    }

    /// Where Kafka's clients connect to, `host:port`.
    #[must_use]
    pub fn broker(&self) -> String {
        format!("127.0.0.1:{}", self.broker)
    }

    /// Where the bridge answers, `host:port`.
    #[must_use]
    pub fn bridge(&self) -> String {
        format!("127.0.0.1:{}", self.bridge)
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        let stopped = Command::new(setting("EVENTSTAR_XTASK"))
            .args(["kafka", "down", "--state"])
            .arg(self.state.path())
            .output();
        if !stopped.is_ok_and(|output| output.status.success()) {
            eprintln!("the cluster in {} may still run", self.state.path().display());
        }
    }
}
