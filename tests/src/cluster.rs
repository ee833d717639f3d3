//! Kafka and its REST bridge, for tests that stop and start them.

use std::process::Command;

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
}

impl Cluster {
    /// Starts one, and waits until it can be used.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start() -> Self {
        let cluster = Self {
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
        self.xtask("up", &ports.concat());
    }

    /// Stops `broker` or `bridge`.
    ///
    /// # Panics
    /// When it does not stop.
    pub fn down(&self, part: &str) {
        self.xtask("down", &["--only".to_owned(), part.to_owned()]);
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
