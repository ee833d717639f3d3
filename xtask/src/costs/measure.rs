//! Posts events to the built workers in workerd, and reads them back, while what they use is counted.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use eventstar_cli::{Admin, SchemaRepository, StreamConfigFile};
use serde_json::{Map, Value, json};

use super::count::Counts;
use crate::artifacts::Platform;
use crate::process::step;
use crate::project::Project;
use crate::queue::Queue;
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;
use crate::wrangler;

/// How many events are counted in each case.
pub(crate) const EVENTS: usize = 1000;

/// Bytes of an event as sent: real ones have so many on average.
pub(crate) const EVENT_BYTES: usize = 540;

/// How many events a request has.
pub(crate) const BATCHES: [usize; 3] = [1, 10, 100];

/// How long a reader's connection is watched on which nothing comes.
const IDLE: Duration = Duration::from_secs(60);

/// What the queue has taken is delivered within this.
const PATIENCE: Duration = Duration::from_secs(120);

const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Counters are handed on after this at the latest.
const FLUSH: Duration = Duration::from_secs(20);

/// One way that events go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) accept: &'static str,
    /// Whether Kafka is a sink beside the log.
    pub(crate) kafka: bool,
    /// Events a request.
    pub(crate) batch: usize,
}

impl Way {
    /// All ways.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let kinds = [("log", false), ("queue", false), ("log", true), ("queue", true)];
        kinds
            .into_iter()
            .flat_map(|(accept, kafka)| BATCHES.map(move |batch| Self { accept, kafka, batch }))
    }

    fn stream(self) -> String {
        let kafka = if self.kafka { ".kafka" } else { "" };
        format!("costs.{}{kafka}.{}", self.accept, self.batch)
    }

    pub(crate) fn sinks(self) -> &'static [&'static str] {
        if self.kafka { &["log", "kafka"] } else { &["log"] }
    }
}

/// What was counted.
#[derive(Debug)]
pub(crate) struct Measured {
    /// What the workers' queue is set to.
    pub(crate) queue: Queue,
    /// What an isolate's first event reads.
    pub(crate) cold: Counts,
    /// What [`EVENTS`] events use.
    pub(crate) ways: Vec<(Way, Counts)>,
    /// What [`EXPIRING`] single events use in a log from which as many expire.
    pub(crate) expiring: Counts,
    /// One handing on of intake's counters.
    pub(crate) flush: Counts,
    /// What a reader uses who gets [`EVENTS`] single events as they come, besides what these events use.
    pub(crate) reader: Counts,
    /// What a reader uses in a minute in which nothing comes, with `MAX_CONNECTIONS_PER_CLIENT`.
    pub(crate) idle: Counts,
}

/// The stream of a reader, and one that is like it without a reader.
const READ: &str = "costs.read";
const UNREAD: &str = "costs.unread";

/// A stream that keeps its last event only, and how many events come between two looks for what has expired
/// (`shared/stores/src/log/retention.rs`).
const KEPT_SHORTLY: &str = "costs.expiring";
pub(crate) const EXPIRING: usize = 1024;

pub(super) fn measure(project: &Project) -> Result<Measured> {
    let state = project.root.join(".eventstar/costs");
    if state.exists() {
        fs::remove_dir_all(&state).with_context(|| format!("{} cannot be removed", state.display()))?;
    }
    fs::create_dir_all(&state).with_context(|| format!("{} cannot be created", state.display()))?;
    let tokens = Tokens::of(&state)?;
    // Config is read once, so that what is counted does not depend on how long it takes.
    let variables = [
        ("STREAM_CONFIG_TTL_MS", "86400000"),
        ("KAFKA_REST_URL", "http://bridge.example"),
        ("MAX_CONNECTIONS_PER_CLIENT", "100"),
    ];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    let launch = Launch {
        platform: Platform::Workerd,
        port: server::free_port()?,
        state: &state,
        tokens: &tokens,
        allowed_streams: "*",
        sink: None,
        counts: true,
        variables: &variables,
    };
    step("starting workerd");
    let mut server = Server::start(project, &launch)?;
    server.wait_until_healthy(&launch.base_url())?;
    let admin = Admin::new(&launch.base_url(), &tokens.admin)?;
    let schemas = SchemaRepository::read(&project.root.join("examples/schemas/jsonschema"))?;
    admin.publish_schemas("examples", schemas.schemas(), &mut |_| {})?;
    admin.publish_streams(&streams(&state)?)?;
    let agent = ureq::Agent::new_with_defaults();
    Counted {
        agent,
        base_url: launch.base_url(),
        queue: Queue::read(&wrangler::config(project)?)?,
    }
    .all()
}

/// The streams that events are posted to.
fn streams(folder: &Path) -> Result<StreamConfigFile> {
    let mut streams: Map<String, Value> = Way::all()
        .map(|way| {
            let settings =
                json!({ "schema_title": "test/event", "accept": way.accept, "sinks": way.sinks() });
            (way.stream(), settings)
        })
        .collect();
    for stream in [READ, UNREAD] {
        streams.insert(stream.to_owned(), json!({ "schema_title": "test/event" }));
    }
    let settings = json!({ "schema_title": "test/event", "retention": { "bytes": 1 } });
    streams.insert(KEPT_SHORTLY.to_owned(), settings);
    let path = folder.join("streams.json");
    fs::write(&path, Value::from(streams).to_string())
        .with_context(|| format!("{} cannot be written", path.display()))?;
    StreamConfigFile::read(&path)
}

/// An event of [`EVENT_BYTES`].
fn event(stream: &str) -> String {
    let with = |text: &str| {
        json!({"$schema": "/test/event/1.1.0", "meta": {"stream": stream}, "test": text}).to_string()
    };
    let bare = with("").len();
    with(&"x".repeat(EVENT_BYTES.saturating_sub(bare)))
}

/// A server that counts.
struct Counted {
    agent: ureq::Agent,
    base_url: String,
    queue: Queue,
}

impl Counted {
    fn all(&self) -> Result<Measured> {
        step("an isolate's first event");
        let before = self.counts()?;
        self.post(&event(READ))?;
        let cold = self.counts()?.since(&before);
        let flush = self.flushed(&before)?;
        let mut ways = Vec::new();
        for way in Way::all() {
            step(&format!("{EVENTS} events to {}", way.stream()));
            let post = || self.post_all(&way.stream(), EVENTS, way.batch);
            ways.push((way, self.used(post)?));
        }
        step("events that expire");
        self.post_all(KEPT_SHORTLY, EXPIRING, 1)?;
        let expiring = self.used(|| self.post_all(KEPT_SHORTLY, EXPIRING, 1))?;
        step(&format!("a reader of {EVENTS} events"));
        self.post(&event(UNREAD))?;
        let unread = self.used(|| self.post_all(UNREAD, EVENTS, 1))?;
        let reader = self.used(|| self.read_all())?;
        let reader = reader.without_metrics().since(&unread.without_metrics());
        step(&format!("a reader of nothing, for {} s", IDLE.as_secs()));
        let idle = self.idle()?;
        Ok(Measured {
            queue: self.queue,
            cold,
            ways,
            expiring,
            flush,
            reader,
            idle,
        })
    }

    fn counts(&self) -> Result<Counts> {
        Counts::read(&self.agent, &self.base_url)
    }

    /// What `work` uses until all of it is delivered.
    fn used(&self, work: impl FnOnce() -> Result<()>) -> Result<Counts> {
        let before = self.counts()?;
        work()?;
        let deadline = Instant::now() + PATIENCE;
        loop {
            let now = self.counts()?;
            if now.is_delivered() {
                return Ok(now.since(&before));
            }
            ensure!(Instant::now() < deadline, "the queue was not delivered: {now:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    /// What handing on counters uses that were counted after `before`.
    fn flushed(&self, before: &Counts) -> Result<Counts> {
        let deadline = Instant::now() + FLUSH;
        loop {
            let used = self.counts()?.since(before);
            if used.metrics.requests > 0 && used.metrics.rows_written > 0 {
                return Ok(used);
            }
            ensure!(Instant::now() < deadline, "no counters were handed on: {used:?}");
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn post(&self, body: &str) -> Result<()> {
        let url = format!("{}/v1/events", self.base_url);
        let answer = self
            .agent
            .post(&url)
            .header("content-type", "application/json")
            .send(body);
        let status = answer
            .with_context(|| format!("{url} did not take events"))?
            .status();
        ensure!(status == 201, "{url} answered {status}");
        Ok(())
    }

    fn post_all(&self, stream: &str, events: usize, batch: usize) -> Result<()> {
        let body = format!("[{}]", vec![event(stream); batch].join(","));
        (0..events / batch).try_for_each(|_| self.post(&body))
    }

    /// Posts events while one reader follows, and waits until he has all.
    fn read_all(&self) -> Result<()> {
        let reader = self.connect(&format!("?limit={EVENTS}"))?;
        let reader = thread::spawn(move || reader.into_body().read_to_string());
        self.post_all(READ, EVENTS, 1)?;
        let text = reader
            .join()
            .map_err(|_| anyhow::anyhow!("the reader broke off"))??;
        let events = text
            .lines()
            .filter(|line| line.starts_with("event: message"))
            .count();
        ensure!(events == EVENTS, "{events} of {EVENTS} events were read");
        Ok(())
    }

    fn idle(&self) -> Result<Counts> {
        let reader = self.connect("")?;
        // What comes with the connection, and counters of what was before.
        thread::sleep(FLUSH);
        let before = self.counts()?;
        thread::sleep(IDLE);
        let used = self.counts()?.since(&before);
        drop(reader);
        Ok(used)
    }

    fn connect(&self, query: &str) -> Result<ureq::http::Response<ureq::Body>> {
        let url = format!("{}/v2/stream/{READ}{query}", self.base_url);
        let answer = self
            .agent
            .get(&url)
            .call()
            .with_context(|| format!("{url} cannot be read"))?;
        if answer.status() != 200 {
            bail!("{url} answered {}", answer.status());
        }
        Ok(answer)
    }
}
