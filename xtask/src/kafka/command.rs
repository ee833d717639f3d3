//! `cargo xtask kafka`: the cluster as processes in the background.

use std::fs;
use std::io::ErrorKind;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context as _, Result};

use super::{Kafka, Part, Process, WantedPorts, config};
use crate::process::step;
use crate::project::Project;

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Action {
    /// Start the broker and the bridge in the background, where they do not run already.
    Up(Up),
    /// End them; what they have stored stays.
    Down(Down),
    /// Tell what runs, in which version, where, and as which process.
    Status(Place),
}

#[derive(Debug, clap::Args)]
pub(crate) struct Place {
    /// Folder for everything that is stored, logs included [default: .eventstar/kafka].
    #[arg(long, value_name = "DIR")]
    state: Option<PathBuf>,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Up {
    #[command(flatten)]
    place: Place,
    /// Only this one.
    #[arg(long)]
    only: Option<Part>,
    /// A broker that is started makes no topic by itself, as many in production do.
    #[arg(long)]
    topics_must_exist: bool,
    #[command(flatten)]
    ports: WantedPorts,
}

#[derive(Debug, clap::Args)]
pub(crate) struct Down {
    #[command(flatten)]
    place: Place,
    /// Only this one.
    #[arg(long)]
    only: Option<Part>,
    /// Remove what they have stored.
    #[arg(long, conflicts_with = "only")]
    purge: bool,
}

pub(crate) fn run(project: &Project, action: &Action) -> Result<()> {
    match action {
        Action::Up(options) => up(project, options),
        Action::Down(options) => down(project, options),
        Action::Status(place) => {
            print_status(&Kafka::at(project, place.state.as_deref())?);
            Ok(())
        }
    }
}

fn parts(only: Option<Part>) -> Vec<Part> {
    only.map_or(Part::ALL.to_vec(), |part| vec![part])
}

fn up(project: &Project, options: &Up) -> Result<()> {
    let started = Instant::now();
    let mut kafka = Kafka::at(project, options.place.state.as_deref())?;
    kafka.topics_must_exist = options.topics_must_exist;
    if kafka
        .start(project, &parts(options.only), &options.ports)?
        .is_empty()
    {
        println!("It runs already.\n");
    } else {
        println!("\nReady after {:.1} s.\n", started.elapsed().as_secs_f32());
    }
    print_status(&kafka);
    println!("\nTry:\n");
    println!("  {}", kafka.curl());
    println!("  curl {}/topics", kafka.bridge_url());
    let state = options.place.state.as_ref();
    let state = state.map_or(String::new(), |state| format!(" --state {}", state.display()));
    println!("\n`cargo xtask kafka down{state}` stops it.");
    Ok(())
}

fn down(project: &Project, options: &Down) -> Result<()> {
    let kafka = Kafka::at(project, options.place.state.as_deref())?;
    kafka.stop(&parts(options.only))?;
    if options.purge {
        let data = kafka.state.join(config::DATA);
        step(&format!("removing {}", data.display()));
        match fs::remove_dir_all(&data) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("{} cannot be removed", data.display()));
            }
            _ => {}
        }
    }
    print_status(&kafka);
    Ok(())
}

fn print_status(kafka: &Kafka) {
    for part in Part::ALL {
        let place = match part {
            Part::Broker => format!("{} (controller: {})", kafka.broker(), kafka.ports.controller),
            Part::Bridge => kafka.bridge_url(),
        };
        let process = match kafka.process(part) {
            Some(Process { id, program }) => format!("{program}, process {id}"),
            None => "does not run".to_owned(),
        };
        println!("  {}  {place:<42} {process}", part.name());
    }
    println!("  state   {}", kafka.state.display());
}
