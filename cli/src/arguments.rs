//! The command line.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Parser, Subcommand};

use crate::validate::Validate;
use crate::{Admin, SchemaRepository, StreamConfigFile};

/// Publishes schemas and stream configuration to an Eventstar.
#[derive(Debug, Parser)]
#[command(name = "eventstar", version)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Schema repositories.
    #[command(subcommand)]
    Schema(SchemaCommand),
    /// Stream configuration.
    #[command(subcommand)]
    Stream(StreamCommand),
    Validate(Validate),
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    /// Publishes every materialized version below DIR. Published versions are immutable.
    Publish {
        #[command(flatten)]
        target: Target,
        /// Name of the repository on the server.
        #[arg(long, value_name = "NAME")]
        repository: String,
        /// Base folder of the schema repository, such as `jsonschema`.
        dir: PathBuf,
    },
}

#[derive(Debug, Subcommand)]
enum StreamCommand {
    /// Publishes FILE (JSON or YAML) as the next version of the stream configuration.
    Publish {
        #[command(flatten)]
        target: Target,
        /// Map of stream name to settings.
        file: PathBuf,
    },
}

#[derive(Debug, Args)]
struct Target {
    /// Base URL of the server, such as `http://127.0.0.1:8787`.
    #[arg(long, value_name = "URL")]
    to: String,
    /// Admin token.
    #[arg(long, env = "EVENTSTAR_ADMIN_TOKEN", hide_env_values = true)]
    token: String,
}

impl Arguments {
    /// Runs the command, reporting progress on standard error.
    pub fn run(self) -> Result<ExitCode> {
        let (out, log) = (&mut io::stdout().lock(), &mut io::stderr());
        let progress = &mut |line: &str| eprintln!("{line}");
        match self.command {
            Command::Schema(SchemaCommand::Publish {
                target,
                repository,
                dir,
            }) => {
                let schemas = SchemaRepository::read(&dir)?;
                for warning in schemas.warnings() {
                    progress(&format!("warning: {warning}"));
                }
                let published = Admin::new(&target.to, &target.token)?.publish_schemas(
                    &repository,
                    &schemas,
                    progress,
                )?;
                println!(
                    "{repository}: {} published, {} unchanged",
                    published.published, published.unchanged
                );
            }
            Command::Stream(StreamCommand::Publish { target, file }) => {
                let config = StreamConfigFile::read(&file)?;
                let published = Admin::new(&target.to, &target.token)?.publish_streams(&config)?;
                println!("stream configuration: {published}");
            }
            Command::Validate(command) => return command.run(out, log),
        }
        Ok(ExitCode::SUCCESS)
    }
}
