//! `eventstar stream …`: the stream config and its versions.

use std::collections::HashSet;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use eventstar_event::time::to_iso;
use serde_json::{Map, Value};

use crate::admin::PublishedConfig;
use crate::diff::diff;
use crate::http::plain;
use crate::import::import;
use crate::lint::{Severity, lint};
use crate::target::Target;
use crate::{Admin, SchemaRepository, StreamConfigFile};

/// Stream config: checking, publishing, and its versions.
#[derive(Debug, Subcommand)]
pub(crate) enum StreamCommand {
    Publish(Publish),
    Lint(Lint),
    Get(Get),
    Diff(Diff),
    History(History),
    Rollback(Rollback),
    Import(Import),
}

/// Publishes FILE (JSON or YAML) as the next version of the stream config.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is checked as `stream lint` does, and what changes is shown. One bad stream, and nothing is published.

Examples:
  eventstar stream publish --to https://events.example.org streams.yaml
  eventstar stream publish --profile production --schemas schemas/jsonschema --dry-run streams.yaml")]
pub(crate) struct Publish {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    schemas: Schemas,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    /// Map of stream name, or /regex/, to settings.
    file: PathBuf,
}

/// Finds what is wrong or odd in a stream config.
#[derive(Debug, Args)]
#[command(after_help = "\
Each finding is one line: FILE:LINE: /pointer: error or warning: message. The exit code is 1 when there is an error.

Examples:
  eventstar stream lint streams.yaml
  eventstar stream lint --schemas primary/jsonschema --schemas secondary/jsonschema --strict streams.yaml")]
pub(crate) struct Lint {
    #[command(flatten)]
    schemas: Schemas,
    /// Count warnings as errors.
    #[arg(long)]
    strict: bool,
    /// Map of stream name, or /regex/, to settings.
    file: PathBuf,
}

/// Writes the published stream config.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar stream get --to https://events.example.org > streams.json
  eventstar stream get --profile production --version 7 --yaml")]
pub(crate) struct Get {
    #[command(flatten)]
    target: Target,
    /// A version other than the current one.
    #[arg(long = "version", value_name = "N")]
    number: Option<u64>,
    /// As YAML.
    #[arg(long)]
    yaml: bool,
}

/// Shows what publishing FILE would change.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar stream diff --to https://events.example.org streams.yaml
  eventstar stream diff --profile production --version 7 streams.yaml")]
pub(crate) struct Diff {
    #[command(flatten)]
    target: Target,
    /// Compare with a version other than the current one.
    #[arg(long = "version", value_name = "N")]
    number: Option<u64>,
    /// Map of stream name, or /regex/, to settings.
    file: PathBuf,
}

/// Lists the versions of the stream config, newest first.
#[derive(Debug, Args)]
#[command(after_help = "\
Example:
  eventstar stream history --to https://events.example.org")]
pub(crate) struct History {
    #[command(flatten)]
    target: Target,
}

/// Publishes an earlier version once more, as the next one.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar stream rollback --profile production --dry-run 7
  eventstar stream rollback --profile production 7")]
pub(crate) struct Rollback {
    #[command(flatten)]
    target: Target,
    /// Only show what would change.
    #[arg(long)]
    dry_run: bool,
    /// The version to go back to.
    #[arg(value_name = "N")]
    number: u64,
}

/// Writes a saved answer of MediaWiki's action=streamconfigs as a stream config file.
#[derive(Debug, Args)]
#[command(after_help = "\
The file is YAML, and answers what the saved answer says: that is checked.

Example:
  curl 'https://meta.wikimedia.org/w/api.php?action=streamconfigs&format=json' > answer.json
  eventstar stream import answer.json > streams.yaml")]
pub(crate) struct Import {
    /// The saved answer, JSON.
    file: PathBuf,
}

#[derive(Debug, Default, Args)]
struct Schemas {
    /// Base folder of a schema repository: schema titles must be in one of them.
    #[arg(long, value_name = "DIR")]
    schemas: Vec<PathBuf>,
}

impl Schemas {
    /// The titles of all schemas, and those that they call themselves by (`$id`): a stream may name either.
    fn titles(&self) -> Result<Option<HashSet<String>>> {
        let mut titles = HashSet::new();
        for dir in &self.schemas {
            for schema in SchemaRepository::read(dir)?.schemas() {
                titles.insert(schema.title.clone());
                titles.extend(schema.own_uri().map(|uri| uri.title().to_owned()));
            }
        }
        Ok((!self.schemas.is_empty()).then_some(titles))
    }
}

impl StreamCommand {
    /// Writes what was asked for to `out`, findings of a file that is published to `log`.
    pub(crate) fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        match self {
            Self::Publish(command) => command.run(out, log)?,
            Self::Lint(command) => return command.run(out),
            Self::Get(command) => {
                let published = published(&command.target.admin()?, command.number)?;
                out.write_all(text(&published.config, command.yaml)?.as_bytes())?;
            }
            Self::Diff(command) => {
                let file = StreamConfigFile::read(&command.file)?;
                let admin = command.target.admin()?;
                let old = match command.number {
                    None => admin
                        .stream_config(None)?
                        .map_or_else(Map::new, |current| current.config),
                    version => published(&admin, version)?.config,
                };
                show(out, &diff(&old, file.value()))?;
            }
            Self::History(command) => {
                for (at, entry) in command.target.admin()?.stream_history()?.iter().enumerate() {
                    let current = if at == 0 { "  current" } else { "" };
                    writeln!(out, "{:>6}  {}{current}", entry.version, to_iso(entry.published))?;
                }
            }
            Self::Rollback(command) => command.run(out)?,
            Self::Import(command) => out.write_all(text(&import(&command.file)?, true)?.as_bytes())?,
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Publish {
    fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<()> {
        let (file, errors, _) = check(&self.file, &self.schemas, log)?;
        if errors > 0 {
            bail!("{}: {errors} errors: nothing was published", self.file.display());
        }
        let admin = self.target.admin()?;
        let current = admin.stream_config(None)?;
        let version = current.as_ref().map_or(0, |current| current.version);
        let changes = diff(
            &current.map_or_else(Map::new, |current| current.config),
            file.value(),
        );
        if changes.is_empty() && version > 0 {
            writeln!(out, "stream config: unchanged, version {version}")?;
            return Ok(());
        }
        show(out, &changes)?;
        if self.dry_run {
            writeln!(
                out,
                "stream config: nothing was published, version {version} is current"
            )?;
            return Ok(());
        }
        let version = admin.replace_streams(&file, version)?;
        writeln!(out, "stream config: published as version {version}")?;
        Ok(())
    }
}

impl Lint {
    fn run(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let (_, errors, warnings) = check(&self.file, &self.schemas, out)?;
        let bad = errors > 0 || self.strict && warnings > 0;
        writeln!(
            out,
            "{}: {errors} errors, {warnings} warnings",
            self.file.display()
        )?;
        Ok(if bad { ExitCode::FAILURE } else { ExitCode::SUCCESS })
    }
}

impl Rollback {
    fn run(&self, out: &mut dyn Write) -> Result<()> {
        let admin = self.target.admin()?;
        let current = published(&admin, None)?;
        let earlier = published(&admin, Some(self.number))?;
        let changes = diff(&current.config, &earlier.config);
        if changes.is_empty() {
            writeln!(
                out,
                "stream config: unchanged, version {} says the same as version {}",
                current.version, earlier.version
            )?;
            return Ok(());
        }
        show(out, &changes)?;
        if self.dry_run {
            writeln!(
                out,
                "stream config: nothing was published, version {} is current",
                current.version
            )?;
            return Ok(());
        }
        let version = admin.rollback_streams(earlier.version, current.version)?;
        writeln!(
            out,
            "stream config: version {} published once more, as version {version}",
            earlier.version
        )?;
        Ok(())
    }
}

/// Reads a file and writes what is wrong or odd in it; returns how many errors and warnings there are.
fn check(path: &Path, schemas: &Schemas, out: &mut dyn Write) -> Result<(StreamConfigFile, usize, usize)> {
    let file = StreamConfigFile::read(path)?;
    let findings = lint(&file, schemas.titles()?.as_ref());
    for finding in &findings {
        let place = file.place(&finding.pointer);
        writeln!(
            out,
            "{place}: {}: {}: {}",
            finding.pointer, finding.severity, finding.message
        )?;
    }
    let errors = findings
        .iter()
        .filter(|finding| finding.severity == Severity::Error)
        .count();
    Ok((file, errors, findings.len() - errors))
}

fn published(admin: &Admin, version: Option<u64>) -> Result<PublishedConfig> {
    let found = admin.stream_config(version)?;
    found.with_context(|| match version {
        None => "no stream config is published: stream publish publishes one".to_owned(),
        Some(version) => format!("the stream config has no version {version}: stream history lists them"),
    })
}

fn show(out: &mut dyn Write, changes: &[String]) -> Result<()> {
    for line in changes {
        writeln!(out, "{}", plain(line))?;
    }
    Ok(())
}

fn text(config: &Map<String, Value>, yaml: bool) -> Result<String> {
    Ok(match yaml {
        true => serde_yaml_ng::to_string(config)?,
        false => format!("{}\n", serde_json::to_string_pretty(config)?),
    })
}

#[cfg(test)]
#[path = "stream_command_tests.rs"]
mod tests;
