//! `cargo xtask dev`: all functions on one origin, ready to use.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use eventstar_cli::{Admin, SchemaRepository, StreamConfigFile};
use serde_json::Value;

use crate::artifacts::{self, Platform};
use crate::fixture::Fixture;
use crate::kafka::{self, Kafka, WantedPorts};
use crate::process::step;
use crate::project::Project;
use crate::round_trip::{self, Sample};
use crate::server::{self, Launch, Server};
use crate::tokens::Tokens;

/// The repository the example schemas are published as.
const EXAMPLES: &str = "examples";

/// The example streams that are published only where there is Kafka.
const KAFKA_STREAMS: &str = "streams-kafka.yaml";

/// How often what waits in Spin's outbox is delivered, as a timer does it in a deployment.
const DRAIN_INTERVAL: Duration = Duration::from_secs(1);

/// How often to see whether the host is still there.
const WATCH_INTERVAL: Duration = Duration::from_millis(200);

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// The host to run on.
    #[arg(long, default_value = "workerd")]
    host: Platform,
    /// Port on the loopback interface.
    #[arg(long, default_value_t = 8787)]
    port: u16,
    /// Folder for everything that is stored; the next run with it finds earlier events again
    /// [default: .eventstar/state-HOST].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
    /// Publish this schema repository base instead of the examples (repeatable).
    #[arg(long = "schema-repo", value_name = "NAME=DIR", value_parser = parse_repository)]
    schema_repos: Vec<(String, PathBuf)>,
    /// Publish this stream configuration (JSON or YAML) instead of the example.
    #[arg(long, value_name = "FILE")]
    stream_config: Option<PathBuf>,
    /// Publish the streams of this file instead of the example, and put its events in their logs: the `fixture` of
    /// EventStreams' recorded answers.
    #[arg(long, value_name = "FILE", conflicts_with = "stream_config")]
    fixture: Option<PathBuf>,
    /// A setting of all functions, such as `ERROR_EVENTS_PER_MINUTE=10` (repeatable).
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = parse_variable)]
    variables: Vec<(String, String)>,
    /// Have Kafka and the Strimzi bridge for streams whose sink is `kafka`: those of `cargo xtask kafka`, which are
    /// started and ended with this unless they run already.
    #[arg(long)]
    kafka: bool,
    /// Install and build nothing: use what `cargo xtask build` has left.
    #[arg(long)]
    prebuilt: bool,
}

fn parse_variable(text: &str) -> Result<(String, String), String> {
    let parts = text.split_once('=').filter(|(name, _)| !name.is_empty());
    parts
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .ok_or_else(|| "write it as NAME=VALUE".to_owned())
}

fn parse_repository(text: &str) -> Result<(String, PathBuf), String> {
    match text.split_once('=') {
        Some((name, dir)) if !name.is_empty() && !dir.is_empty() => Ok((name.to_owned(), PathBuf::from(dir))),
        _ => Err("write it as NAME=DIR, such as primary=schemas/jsonschema".to_owned()),
    }
}

/// What is published at the start, read and checked before anything slow is done.
struct Content {
    repositories: Vec<(String, SchemaRepository)>,
    streams: StreamConfigFile,
    fixture: Option<Fixture>,
    samples: Vec<Sample>,
}

impl Content {
    fn read(project: &Project, options: &Options, state: &Path) -> Result<Self> {
        let examples = project.root.join("examples");
        let bases = if options.schema_repos.is_empty() {
            &[(EXAMPLES.to_owned(), examples.join("schemas/jsonschema"))]
        } else {
            options.schema_repos.as_slice()
        };
        let mut repositories = Vec::new();
        for (name, dir) in bases {
            repositories.push((name.clone(), SchemaRepository::read(dir)?));
        }
        let own = options.stream_config.as_deref();
        let fixture = options.fixture.as_deref().map(Fixture::read).transpose()?;
        let streams = match &fixture {
            Some(fixture) => fixture.stream_config(state)?,
            None if own.is_none() && options.kafka => with_kafka(&examples, state)?,
            None => StreamConfigFile::read(own.unwrap_or(&examples.join("streams.yaml")))?,
        };
        let samples = if own.is_none() && fixture.is_none() && options.schema_repos.is_empty() {
            let path = examples.join("events.ndjson");
            let text =
                fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
            round_trip::first_event(&text).into_iter().collect()
        } else {
            let schemas: Vec<_> = repositories.iter().map(|(_, schemas)| schemas).collect();
            round_trip::examples(&streams, &schemas)
        };
        Ok(Self {
            repositories,
            streams,
            fixture,
            samples,
        })
    }

    /// All streams are readable in development, error streams only when named; of a fixture those that it allows.
    fn allowed_streams(&self) -> String {
        if let Some(fixture) = &self.fixture {
            return fixture.allowed_streams.join(",");
        }
        let is_error = |settings: &Value| settings.get("schema_title").is_some_and(|title| title == "error");
        let errors = self
            .streams
            .streams()
            .filter(|(name, settings)| is_error(settings) && !name.starts_with('/'));
        ["*"]
            .into_iter()
            .chain(errors.map(|(name, _)| name))
            .collect::<Vec<_>>()
            .join(",")
    }

    fn publish(&self, launch: &Launch) -> Result<()> {
        let admin = Admin::new(&launch.base_url(), &launch.tokens.admin)?;
        for (name, schemas) in &self.repositories {
            for warning in schemas.warnings() {
                eprintln!("    warning: {warning}");
            }
            let total = schemas.schemas().len();
            let progress = &mut |done| eprintln!("    {name}: {done} of {total} schemas");
            admin.publish_schemas(name, schemas.schemas(), progress)?;
        }
        eprintln!(
            "    stream configuration: {}",
            admin.publish_streams(&self.streams)?
        );
        if let Some(fixture) = &self.fixture {
            fixture.append(&admin)?;
        }
        Ok(())
    }
}

pub(crate) fn run(project: &Project, options: Options) -> Result<()> {
    let started = Instant::now();
    server::check_port(options.port, "--port")?;
    if options.host == Platform::Spin {
        server::require_spin()?;
    }
    if options.kafka {
        kafka::require(project)?;
    }
    let name = host_name(options.host);
    let state = match &options.state {
        Some(state) => state.clone(),
        None => project.root.join(".eventstar").join(format!("state-{name}")),
    };
    fs::create_dir_all(&state).with_context(|| format!("{} cannot be created", state.display()))?;
    let state = state.canonicalize()?;
    let content = Content::read(project, &options, &state)?;
    if !options.prebuilt {
        artifacts::build(project, Some(options.host))?;
    }
    let note = ReadyNote(state.join(server::READY));
    note.remove();
    let tokens = Tokens::of(&state)?;
    let allowed_streams = content.allowed_streams();
    let (signals, signalled) = mpsc::channel();
    ctrlc::set_handler(move || {
        // The receiver is gone only when we are stopping already.
        let _ = signals.send(());
    })
    .context("signals cannot be handled")?;

    let cluster = options.kafka.then(|| {
        let kafka = Kafka::at(project, None)?;
        kafka::Running::start(project, kafka, &WantedPorts::default())
    });
    let cluster = cluster.transpose()?;
    let cluster = cluster.as_ref().map(|cluster| &cluster.kafka);
    let mut variables = cluster.map_or(Vec::new(), |kafka| kafka::settings(&kafka.bridge_url()).to_vec());
    variables.extend(options.variables.iter().cloned());
    let launch = Launch {
        platform: options.host,
        port: options.port,
        state: &state,
        tokens: &tokens,
        allowed_streams: &allowed_streams,
        sink: None,
        counts: false,
        variables: &variables,
    };

    step(&format!("starting {name} on {}", launch.base_url()));
    let mut server = Server::start(project, &launch)?;
    server.wait_until_healthy(&launch.base_url())?;
    step("publishing schemas and streams");
    content.publish(&launch)?;
    step("sending an example event on its way");
    let sample = match content.samples.as_slice() {
        [] => None,
        samples => match round_trip::travel(&launch.base_url(), &tokens.producer, samples) {
            Ok(sample) => Some(sample),
            // All else may work, and what does not can only be looked at while the server runs.
            Err(error) => {
                eprintln!("    warning: {error:#}\n    The server runs on.");
                None
            }
        },
    };
    server::announce(&launch, name)?;
    print_welcome(&launch, name, sample.as_ref(), cluster, started.elapsed());
    if options.host == Platform::Spin {
        drain_for_ever(Admin::new(&launch.base_url(), &tokens.admin)?);
    }

    while signalled.recv_timeout(WATCH_INTERVAL) == Err(RecvTimeoutError::Timeout) {
        if let Some(status) = server.exited()? {
            bail!("{name} stopped by itself ({status}): what it wrote above says why");
        }
    }
    step("stopping");
    Ok(())
}

/// Drains the outbox until this program ends. A drain that fails is made good by the next, and the server's log tells of it.
fn drain_for_ever(admin: Admin) {
    thread::spawn(move || {
        loop {
            thread::sleep(DRAIN_INTERVAL);
            let _ = admin.drain();
        }
    });
}

/// The example streams, and those for Kafka.
fn with_kafka(examples: &Path, state: &Path) -> Result<StreamConfigFile> {
    let mut all = String::new();
    for name in ["streams.yaml", KAFKA_STREAMS] {
        let path = examples.join(name);
        all.push_str(
            &fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?,
        );
        all.push('\n');
    }
    let path = state.join("streams.yaml");
    fs::write(&path, all).with_context(|| format!("{} cannot be written", path.display()))?;
    StreamConfigFile::read(&path)
}

/// Removes the note that the server is ready when the server is not.
struct ReadyNote(PathBuf);

impl ReadyNote {
    fn remove(&self) {
        // Usually there is none.
        let _ = fs::remove_file(&self.0);
    }
}

impl Drop for ReadyNote {
    fn drop(&mut self) {
        self.remove();
    }
}

pub(crate) fn host_name(platform: Platform) -> &'static str {
    match platform {
        Platform::Workerd => "workerd",
        Platform::Spin => "spin",
    }
}

fn print_welcome(
    launch: &Launch,
    name: &str,
    sample: Option<&Sample>,
    cluster: Option<&Kafka>,
    took: Duration,
) {
    let base = launch.base_url();
    println!(
        "\nEventstar is ready on {name} after {:.1} s.\n",
        took.as_secs_f32()
    );
    println!("  base URL        {base}");
    println!("  admin token     {}", launch.tokens.admin);
    println!("  producer token  {}", launch.tokens.producer);
    println!("  state           {}", launch.state.display());
    if let Some(kafka) = cluster {
        println!(
            "  Kafka           {}, bridge {}",
            kafka.broker(),
            kafka.bridge_url()
        );
    }
    println!("\nTry:\n");
    match sample {
        Some(sample) => {
            println!("  in a browser: {base}/v2/ui/#/?streams={}", sample.stream);
            println!("  curl -N '{base}/v2/stream/{}'", sample.stream);
            let event = Value::from(sample.event.clone())
                .to_string()
                .replace('\'', "'\\''");
            println!("  curl -i -H 'content-type: application/json' -d '{event}' {base}/v1/events");
        }
        None => {
            println!("  curl {base}/repositories");
            println!("  curl -i -d '[]' {base}/v1/events");
        }
    }
    println!(
        "  curl -H 'authorization: Bearer {}' {base}/admin/v1/stream-configs",
        launch.tokens.admin
    );
    if let Some(kafka) = cluster {
        println!("  {}", kafka.curl());
        println!(
            "  curl -N '{base}/v2/stream/kafka.event'    # read from Kafka; post to it as above, with this stream"
        );
    }
    println!("\nCtrl-C stops it.");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_repository_option_is_a_name_and_a_folder() {
        assert_eq!(
            parse_repository("a=b=c"),
            Ok(("a".to_owned(), PathBuf::from("b=c")))
        );
        assert!(parse_repository("a").is_err());
        assert!(parse_repository("=b").is_err());
    }

    #[test]
    fn streams_for_kafka_are_published_with_the_examples() {
        let dir = tempfile::tempdir().unwrap();
        let examples = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
        let streams = with_kafka(&examples, dir.path()).unwrap();
        let names: Vec<&str> = streams.streams().map(|(name, _)| name).collect();
        assert!(
            names.contains(&"test.event") && names.contains(&"kafka.event"),
            "{names:?}"
        );
    }

    #[test]
    fn error_streams_are_readable_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("streams.yaml");
        fs::write(
            &path,
            "a: {schema_title: a}\na.error: {schema_title: error}\n/^x/: {schema_title: error}\n",
        )
        .unwrap();
        let streams = StreamConfigFile::read(&path).unwrap();
        let content = Content {
            repositories: Vec::new(),
            streams,
            fixture: None,
            samples: Vec::new(),
        };
        assert_eq!(content.allowed_streams(), "*,a.error");
    }
}
