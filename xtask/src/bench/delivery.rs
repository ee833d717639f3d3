//! `cargo xtask bench delivery`: from POST to Kafka and to an SSE client, with all functions on one origin.

mod cluster;
mod forwarder;
mod origin;
mod report;
mod topic;

use std::fs;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result};

use super::create;
use super::figures::Figures;
use super::flow::{Arrival, Clients, MAX_POSTS, Schedule, flow};
use crate::artifacts::{self, Platform};
use crate::dev::host_name;
use crate::process::{self, step};
use crate::project::Project;
use crate::queue::Queue;
use crate::server;
use crate::wrangler;
use cluster::Cluster;
use origin::Origin;
use topic::Topic;

/// The rates that have goals, in events a second. The first one is the lowest, each further one twice the one before.
const GOAL_RATES: [u32; 2] = [500, 2000];

/// How many rates there are, where nothing saturates before.
const RATES: u32 = 8;

/// The rate and the time of the warm-up.
const WARM_UP: (u32, Duration) = (GOAL_RATES[0], Duration::from_secs(5));

/// A rate is not held where more than a hundredth of the events takes longer, in milliseconds.
const LONGEST: f64 = 2000.0;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// How long each rate is held.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u64).range(1..))]
    seconds: u64,
    /// Most requests a second that are posted: at higher rates each has several events.
    #[arg(long, default_value_t = MAX_POSTS, value_parser = clap::value_parser!(u32).range(1..))]
    posts: u32,
    /// Measure on this host only.
    #[arg(long)]
    host: Option<Platform>,
    /// Build nothing: use what the last run has left.
    #[arg(long)]
    prebuilt: bool,
}

/// What a stream's 201 waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Accept {
    Log,
    Queue,
}

impl Accept {
    fn name(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Queue => "queue",
        }
    }
}

/// What came to one end of the way.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Delivered {
    figures: Figures,
    /// The part of all events.
    share: f64,
}

impl Delivered {
    fn of(arrivals: &[Arrival], schedule: &Schedule) -> Self {
        let last = arrivals.iter().map(|arrival| arrival.at).max();
        let took = last.unwrap_or_default().saturating_sub(schedule.start_micros);
        let took = Duration::from_micros(took).max(schedule.duration);
        Self {
            figures: Figures::of(arrivals.iter().map(Arrival::latency).collect(), took),
            share: arrivals.len() as f64 / schedule.events() as f64,
        }
    }

    fn is_sustained(&self) -> bool {
        self.share >= 0.95 && self.figures.p99 <= LONGEST
    }
}

/// What came to Kafka.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Produced {
    delivered: Delivered,
    events: usize,
    /// Produce requests to the REST proxy.
    requests: u64,
}

/// What one rate brought.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Step {
    /// Events a second.
    rate: u32,
    /// Events of a request.
    batch: u32,
    /// The part of all events that was answered 201.
    taken: f64,
    client: Delivered,
    kafka: Option<Produced>,
}

impl Step {
    fn ends(&self) -> impl Iterator<Item = Delivered> {
        [self.client]
            .into_iter()
            .chain(self.kafka.map(|kafka| kafka.delivered))
    }

    fn is_sustained(&self) -> bool {
        self.ends().all(|end| end.is_sustained())
    }

    /// Events a second that came to every end.
    fn per_second(&self) -> f64 {
        self.ends()
            .map(|end| end.figures.per_second)
            .fold(f64::INFINITY, f64::min)
    }
}

/// What one stream on one host did.
#[derive(Debug)]
struct Measured {
    host: Platform,
    accept: Accept,
    steps: Vec<Step>,
}

pub(super) fn run(project: &Project, options: &Options) -> Result<()> {
    if options.host == Some(Platform::Spin) {
        server::require_spin()?;
    }
    let queue = Queue::read(&wrangler::config(project)?)?;
    let has_spin = process::find("spin").is_some();
    let hosts = [Platform::Workerd, Platform::Spin];
    let hosts = hosts.into_iter().filter(|host| match options.host {
        Some(only) => only == *host,
        None => *host == Platform::Workerd || has_spin,
    });
    let hosts: Vec<Platform> = hosts.collect();
    if !options.prebuilt {
        for host in &hosts {
            artifacts::build(project, Some(*host))?;
        }
    }
    let folder = project.root.join(".eventstar/bench-delivery");
    let (cluster, missing) = match Cluster::start(project, &folder)? {
        Ok(cluster) => (Some(cluster), None),
        Err(missing) => (None, Some(missing)),
    };
    let mut measured = Vec::new();
    for host in hosts {
        for accept in [Accept::Log, Accept::Queue] {
            let case = format!("{}, accept: {}", host_name(host), accept.name());
            let steps = measure(project, host, accept, cluster.as_ref(), options);
            measured.push(Measured {
                host,
                accept,
                steps: steps.with_context(|| case)?,
            });
        }
    }
    drop(cluster);
    let mut text = report::report(&measured, &queue, options);
    if let Some(missing) = missing {
        text.push_str(&format!("\nKafka: SKIPPED ({missing})\n"));
    }
    if options.host.is_none() && !has_spin {
        text.push_str("\nspin: SKIPPED (no `spin` on PATH)\n");
    }
    println!("\n{text}");
    Ok(())
}

fn measure(
    project: &Project,
    host: Platform,
    accept: Accept,
    cluster: Option<&Cluster>,
    options: &Options,
) -> Result<Vec<Step>> {
    // On each host a topic of its own.
    let stream = format!("bench.{}.{}", host_name(host), accept.name());
    let topic = cluster
        .map(|cluster| Topic::create(project, &cluster.broker(), &stream))
        .transpose()?;
    let folder = project.root.join(".eventstar/bench-delivery").join(&stream);
    create(&folder)?;
    // A server of its own for each case: none has to deal with what the one before has left waiting.
    let origin = Origin::start(project, host, accept, &stream, cluster, &folder)?;
    let mut way = Way {
        clients: Clients::connect(origin.port, &format!("/v2/stream/{stream}"), 1)?,
        origin,
        stream,
        max_posts: options.posts,
        kafka: topic.zip(cluster),
    };
    way.hold(WARM_UP.0, WARM_UP.1)?;
    let mut steps: Vec<Step> = Vec::new();
    for doubled in 0..RATES {
        let rate = GOAL_RATES[0] << doubled;
        step(&format!("{}: {rate} events/s", way.stream));
        let held = way.hold(rate, Duration::from_secs(options.seconds));
        let held = held.with_context(|| format!("{rate} events/s"))?;
        steps.push(held);
        if !held.is_sustained() {
            break;
        }
    }
    Ok(steps)
}

/// The way of a stream's events, from end to end.
struct Way<'a> {
    clients: Clients,
    origin: Origin,
    stream: String,
    max_posts: u32,
    kafka: Option<(Topic, &'a Cluster)>,
}

impl Way<'_> {
    /// Holds a rate.
    fn hold(&mut self, rate: u32, duration: Duration) -> Result<Step> {
        let before = self.kafka.as_ref().map_or(0, |(_, cluster)| cluster.requests());
        let schedule = Schedule::new(self.origin.port, &self.stream, rate, self.max_posts, duration);
        let (arrivals, taken) = flow(&schedule, &mut self.clients)?;
        let kafka = self.kafka.as_ref().map(|(topic, cluster)| {
            let produced = topic.receive(&schedule)?;
            anyhow::Ok(Produced {
                delivered: Delivered::of(&produced, &schedule),
                events: produced.len(),
                requests: cluster.requests() - before,
            })
        });
        Ok(Step {
            rate,
            batch: schedule.batch(),
            taken: taken as f64 / schedule.events() as f64,
            client: Delivered::of(&arrivals, &schedule),
            kafka: kafka.transpose()?,
        })
    }
}

/// Removes what a run before has left.
fn clear(folder: &Path) -> Result<()> {
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("{} cannot be removed", folder.display()))?;
    }
    Ok(())
}
