//! `eventstar dead-letters …`: what could not be delivered, or failed validation.

mod client;
mod confirm;
mod replay;
mod show;

use std::collections::HashSet;
use std::io::Write;
use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};

use crate::dead_letters::client::{Client, Summary};
use crate::dead_letters::confirm::confirm;
use crate::progress::Progress;
use crate::target::Target;

/// Most letters that are marked with one request: the route's own limit.
const MAX_SETTLED: usize = 1000;

/// Dead letters, and events that failed validation: listing, replaying and dropping them.
#[derive(Debug, Subcommand)]
pub(crate) enum DeadLetters {
    List(List),
    Show(Show),
    Replay(Replay),
    Drop(DropLetters),
}

/// Lists what is neither replayed nor dropped, like failures together.
#[derive(Debug, Args)]
#[command(after_help = "\
Each line is a kind of failure: how many there are, its fingerprint, the first and the last time, stream, schema and reason.

Examples:
  eventstar dead-letters list --to https://events.example.org
  eventstar dead-letters list --profile production --topic intake.error.validation --since -2h
  eventstar dead-letters list --profile production --fingerprint 9f1c0a77d2e4 --each --json")]
pub(crate) struct List {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    filters: Filters,
    /// A line for each letter, with its offset.
    #[arg(long)]
    each: bool,
    /// As lines of JSON.
    #[arg(long)]
    json: bool,
}

/// Shows a letter: why it is one, and its event.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar dead-letters show --profile production 7
  eventstar dead-letters show --profile production --topic intake.error.validation --raw 7 > event.json")]
pub(crate) struct Show {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    topic: Topic,
    /// Only the event, as it was received.
    #[arg(long)]
    raw: bool,
    /// Its offset or its id.
    #[arg(value_name = "OFFSET|ID")]
    letter: String,
}

/// Delivers events once more: dead letters to the sinks that lack them, error events to intake.
#[derive(Debug, Args)]
#[command(after_help = "\
What is delivered is marked, so that the same command goes on after an interruption. The exit code is 1 when some remain.

Examples:
  eventstar dead-letters replay --profile production --dry-run --stream page.view
  eventstar dead-letters replay --profile production --fingerprint 9f1c0a77d2e4
  eventstar dead-letters replay --profile production --topic intake.error.validation --yes 7 8")]
pub(crate) struct Replay {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    chosen: Chosen,
}

/// Marks letters as dropped: nobody lists or replays them again.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar dead-letters drop --profile production --fingerprint 9f1c0a77d2e4
  eventstar dead-letters drop --profile production --until -7d --yes")]
pub(crate) struct DropLetters {
    #[command(flatten)]
    target: Target,
    #[command(flatten)]
    chosen: Chosen,
}

/// Which letters, and whether to ask first.
#[derive(Debug, Args)]
struct Chosen {
    #[command(flatten)]
    filters: Filters,
    /// Only tell what would be done.
    #[arg(long)]
    dry_run: bool,
    /// Do not ask first.
    #[arg(long)]
    yes: bool,
    /// Only these; without any, all that the options choose.
    #[arg(value_name = "OFFSET|ID")]
    letters: Vec<String>,
}

/// Whose letters.
#[derive(Debug, Default, Args)]
struct Topic {
    /// Topic of an error stream, for its error events in place of dead letters.
    #[arg(long, value_name = "TOPIC")]
    topic: Option<String>,
    /// Partition of the topic, where it has several.
    #[arg(long, value_name = "N", requires = "topic")]
    partition: Option<u32>,
}

/// Which letters.
#[derive(Debug, Default, Args)]
struct Filters {
    /// Only events of this stream.
    #[arg(long, value_name = "NAME")]
    stream: Option<String>,
    /// Only events of this schema.
    #[arg(long, value_name = "URI|TITLE")]
    schema: Option<String>,
    /// Only like failures, as `list` tells them apart.
    #[arg(long, value_name = "FINGERPRINT")]
    fingerprint: Option<String>,
    /// Received at or after: milliseconds, 2026-01-01T00:00:00Z, or a time ago such as -2h.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Received before.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    #[command(flatten)]
    topic: Topic,
}

impl DeadLetters {
    pub(crate) fn run(self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        match self {
            Self::List(command) => command.run(out, log)?,
            Self::Show(command) => command.run(out)?,
            Self::Replay(command) => return command.run(out, log),
            Self::Drop(command) => return command.run(out, log),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl List {
    fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<()> {
        let admin = self.target.admin()?;
        let client = Client::new(&admin, &self.filters.topic);
        let open = client.open(&self.filters)?;
        if open.is_empty() {
            writeln!(log, "nothing to list: all is delivered, replayed or dropped")?;
        }
        match (self.each, self.json) {
            (true, true) => client.letters(&self.filters, &open, &mut |letter| {
                writeln!(out, "{}", letter.line)?;
                Ok(true)
            }),
            (true, false) => show::each(out, &open),
            (false, is_json) => show::groups(out, &open, is_json),
        }
    }
}

impl Show {
    fn run(&self, out: &mut dyn Write) -> Result<()> {
        let admin = self.target.admin()?;
        let letter = Client::new(&admin, &self.topic).letter(&self.letter)?;
        show::letter(out, &letter, self.raw)
    }
}

impl DropLetters {
    fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let admin = self.target.admin()?;
        let client = Client::new(&admin, &self.chosen.filters.topic);
        let open = self.chosen.open(&client)?;
        if !self.chosen.is_confirmed("drop", &open, out, log)? {
            return Ok(self.chosen.undone(&open));
        }
        let mut progress = Progress::new(log, "dropping");
        let mut done = 0;
        for some in open.chunks(MAX_SETTLED) {
            client.settle(
                some.iter().map(|letter| (letter.offset, letter.id.as_str())),
                "dropped",
            )?;
            done += some.len();
            progress.show(done, open.len());
        }
        writeln!(out, "{done} dropped")?;
        Ok(ExitCode::SUCCESS)
    }
}

impl Chosen {
    /// The letters that are to be dealt with.
    fn open(&self, client: &Client<'_>) -> Result<Vec<Summary>> {
        let mut open = client.open(&self.filters)?;
        if self.letters.is_empty() {
            return Ok(open);
        }
        let mut unknown: HashSet<&str> = self.letters.iter().map(String::as_str).collect();
        open.retain(|letter| {
            let offset = letter.offset.to_string();
            self.letters
                .iter()
                .filter(|named| **named == offset || **named == letter.id)
                .fold(false, |_, named| {
                    unknown.remove(named.as_str());
                    true
                })
        });
        match self.letters.iter().find(|named| unknown.contains(named.as_str())) {
            None => Ok(open),
            Some(named) => bail!(
                "{named}: no letter with this offset or id, or it is replayed, dropped or not chosen by the options: dead-letters list --each lists them"
            ),
        }
    }

    /// Shows what is about to be done, and asks.
    fn is_confirmed(
        &self,
        what: &str,
        open: &[Summary],
        out: &mut dyn Write,
        log: &mut dyn Write,
    ) -> Result<bool> {
        if open.is_empty() {
            writeln!(out, "nothing to {what}")?;
            return Ok(false);
        }
        if self.dry_run {
            show::groups(out, open, false)?;
            writeln!(out, "nothing was done: {} to {what}", open.len())?;
            return Ok(false);
        }
        if self.yes {
            return Ok(true);
        }
        show::groups(log, open, false)?;
        confirm(&format!("{what} {}?", open.len()), log)
    }

    /// How a command ends that did nothing: well where nothing was to be done.
    fn undone(&self, open: &[Summary]) -> ExitCode {
        if open.is_empty() || self.dry_run {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
