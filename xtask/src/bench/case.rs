//! What is measured: each kind of event in each kind of load, on both contestants.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::Options;
use super::events::{BATCH, Content, Events};
use super::figures::Figures;
use super::http::post;
use super::load::{Load, Pace};

/// The rate at which latencies are compared.
pub(super) const RATE: u32 = 1000;

/// The path of both contestants; the no-op one does not look at it.
const PATH: &str = "/v1/events";

/// Who is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Contestant {
    NoOp,
    Intake,
}

impl Contestant {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::NoOp => "no-op",
            Self::Intake => "intake",
        }
    }
}

/// How requests come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Single,
    Batch,
    /// Single events at a fixed rate.
    Rate,
    /// Single events on one connection.
    Alone,
}

impl Kind {
    const ALL: [Self; 4] = [Self::Single, Self::Batch, Self::Rate, Self::Alone];

    pub(super) fn name(self) -> String {
        match self {
            Self::Single => "single".to_owned(),
            Self::Batch => format!("batches of {BATCH}"),
            Self::Rate => format!("single, {RATE}/s"),
            Self::Alone => "single, 1 connection".to_owned(),
        }
    }

    pub(super) fn events_a_request(self) -> usize {
        match self {
            Self::Batch => BATCH,
            Self::Single | Self::Rate | Self::Alone => 1,
        }
    }

    fn bodies(self, events: &Events) -> Vec<String> {
        match self {
            Self::Batch => events.batches(),
            Self::Single | Self::Rate | Self::Alone => events.singles(),
        }
    }
}

/// One contestant with one load.
#[derive(Debug)]
pub(super) struct Case {
    pub(super) events: &'static str,
    pub(super) kind: Kind,
    pub(super) contestant: Contestant,
    port: u16,
    connections: usize,
    requests: Vec<Vec<u8>>,
    rounds: Vec<Figures>,
}

impl Case {
    /// All cases of a host, the contestants next to each other.
    pub(super) fn all(content: &Content, ports: [(Contestant, u16); 2], options: &Options) -> Vec<Self> {
        let mut cases = Vec::new();
        for events in &content.events {
            for kind in Kind::ALL {
                let bodies = kind.bodies(events);
                for (contestant, port) in ports {
                    cases.push(Self {
                        events: events.name,
                        kind,
                        contestant,
                        port,
                        connections: if kind == Kind::Alone {
                            1
                        } else {
                            options.connections
                        },
                        requests: bodies.iter().map(|body| post(port, PATH, body)).collect(),
                        rounds: Vec::new(),
                    });
                }
            }
        }
        cases
    }

    fn run(&self, duration: Duration) -> Result<Figures> {
        let load = Load {
            port: self.port,
            requests: &self.requests,
            connections: self.connections,
            pace: match self.kind {
                Kind::Rate => Pace::EverySecond(RATE),
                Kind::Single | Kind::Batch | Kind::Alone => Pace::AnswerByAnswer,
            },
        };
        load.run(duration).with_context(|| {
            format!(
                "{} events, {}, {}",
                self.events,
                self.kind.name(),
                self.contestant.name()
            )
        })
    }

    pub(super) fn warm_up(&self, duration: Duration) -> Result<()> {
        self.run(duration).map(drop)
    }

    pub(super) fn measure(&mut self, duration: Duration) -> Result<()> {
        self.rounds.push(self.run(duration)?);
        Ok(())
    }

    pub(super) fn rounds(&self) -> &[Figures] {
        &self.rounds
    }
}
