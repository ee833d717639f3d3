//! A topic whose broker notes when each record was appended, and an ordinary Kafka client that reads it.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

use crate::bench::flow::{Arrival, PATIENCE, Schedule};
use crate::project::Project;
use crate::tools;

/// Longer than the client needs to create a topic and to wait for it.
const START: Duration = Duration::from_secs(60);

/// How far the client may be behind the broker.
const BEHIND: Duration = Duration::from_secs(3);

/// A topic that is read, until this is dropped.
pub(super) struct Topic {
    client: Child,
    /// What the client has read.
    arrivals: Receiver<Arrival>,
}

impl Topic {
    /// Creates it, and waits until it is read.
    pub(super) fn create(project: &Project, broker: &str, name: &str) -> Result<Self> {
        let mut client = Command::new(tools::node(project))
            // kafkajs waits for times that are past, which Node warns of.
            .arg("--disable-warning=TimeoutNegativeWarning")
            .arg(project.root.join("xtask/assets/append-times.mjs"))
            .args([broker, name])
            // Its end tells the client that we are gone.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .context("Node cannot be started")?;
        let output = client.stdout.take().context("the Kafka client has no output")?;
        let (sender, arrivals) = mpsc::channel();
        let (ready, is_ready) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                // Nobody waits any more when the topic was dropped.
                let _ = match arrival(&line) {
                    Some(arrival) => sender.send(arrival).is_ok(),
                    None => ready.send(()).is_ok(),
                };
            }
        });
        let topic = Self { client, arrivals };
        let outcome = is_ready.recv_timeout(START);
        outcome.with_context(|| format!("the Kafka client does not read {name}: see what it wrote above"))?;
        Ok(topic)
    }

    /// The records with events of `schedule` that were appended within its time and [`PATIENCE`].
    pub(super) fn receive(&self, schedule: &Schedule) -> Result<Vec<Arrival>> {
        let until = schedule.end() + PATIENCE + BEHIND;
        let last = schedule.start_micros + (schedule.duration + PATIENCE).as_micros() as u64;
        let mut arrivals = Vec::with_capacity(schedule.events());
        while arrivals.len() < schedule.events() {
            match self
                .arrivals
                .recv_timeout(until.saturating_duration_since(Instant::now()))
            {
                // Those of before are late ones of the rate before.
                Ok(arrival) if arrival.due >= schedule.start_micros && arrival.at <= last => {
                    arrivals.push(arrival);
                }
                Ok(_) => {}
                Err(RecvTimeoutError::Timeout) => break,
                Err(RecvTimeoutError::Disconnected) => {
                    bail!("the Kafka client ended: see what it wrote above")
                }
            }
        }
        Ok(arrivals)
    }
}

impl Drop for Topic {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.client.kill();
        let _ = self.client.wait();
    }
}

/// A line of the client's: when the event was due, in microseconds, and when it was appended, in milliseconds since 1970.
fn arrival(line: &str) -> Option<Arrival> {
    let (due, appended) = line.split_once(' ')?;
    Some(Arrival {
        due: due.parse().ok()?,
        at: appended.parse::<u64>().ok()? * 1000,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_tells_of_one_event() {
        let expected = Arrival {
            due: 1_764_040_000_000_001,
            at: 1_764_040_000_007_000,
        };
        assert_eq!(arrival("1764040000000001 1764040000007"), Some(expected));
        assert_eq!(expected.latency(), Duration::from_micros(6999));
        assert_eq!(arrival("ready"), None);
    }
}
