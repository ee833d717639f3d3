//! Kafka and its REST proxy for the time of a bench.

use std::path::Path;

use anyhow::{Context as _, Result};

use super::clear;
use super::forwarder::Forwarder;
use crate::bench::create;
use crate::kafka::{self, Kafka, Part, Running, WantedPorts};
use crate::project::Project;
use crate::server;
use crate::tools;

/// A cluster on ports of its own, with nothing in it; it ends when this is dropped, or a signal comes.
#[derive(Debug)]
pub(super) struct Cluster {
    running: Running,
    forwarder: Forwarder,
}

impl Cluster {
    /// Starts one in a folder that is cleared for it, or tells what is missing for that.
    pub(super) fn start(project: &Project, folder: &Path) -> Result<Result<Self, String>> {
        let state = folder.join("kafka");
        // A run that was killed has left its own.
        Kafka::at(project, Some(&state))?.stop(&Part::ALL)?;
        clear(folder)?;
        create(folder)?;
        if let Err(missing) = kafka::require(project) {
            return Ok(Err(format!("{missing:#}")));
        }
        // A client of Kafka is among them.
        tools::npm_packages(project)?;
        let kafka = Kafka::at(project, Some(&state))?;
        let at_signal = Kafka::at(project, Some(&state))?;
        ctrlc::set_handler(move || {
            if let Err(error) = at_signal.stop(&Part::ALL) {
                eprintln!("warning: {error:#}");
            }
            // As a shell tells of Ctrl-C.
            std::process::exit(130);
        })
        .context("signals cannot be handled")?;
        let bridge = server::free_port()?;
        let ports = WantedPorts {
            broker_port: Some(server::free_port()?),
            controller_port: Some(server::free_port()?),
            bridge_port: Some(bridge),
            management_port: Some(server::free_port()?),
        };
        Ok(Ok(Self {
            running: Running::start(project, kafka, &ports)?,
            forwarder: Forwarder::start(bridge)?,
        }))
    }

    /// Where Kafka's clients connect to.
    pub(super) fn broker(&self) -> String {
        self.running.kafka.broker()
    }

    /// Produce requests so far.
    pub(super) fn requests(&self) -> u64 {
        self.forwarder.requests()
    }

    /// The settings of functions whose requests are to be counted.
    pub(super) fn settings(&self) -> [(String, String); 3] {
        kafka::settings(&format!("http://127.0.0.1:{}", self.forwarder.port))
    }
}
