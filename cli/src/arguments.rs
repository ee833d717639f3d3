//! The command line.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, CommandFactory as _, Parser, Subcommand};
use clap_complete::Shell;

use crate::dead_letters::DeadLetters;
use crate::interrupt;
use crate::produce::Produce;
use crate::replay::Replay;
use crate::schema::RepositoryCommand;
use crate::schema_check::SchemaCheck;
use crate::schema_publish::SchemaPublish;
use crate::stream_command::StreamCommand;
use crate::tail::Tail;
use crate::validate::Validate;

/// Keeps schema repositories and stream config, checks them, and events, publishes them to an Eventstar, and posts and reads events.
#[derive(Debug, Parser)]
#[command(
    name = "eventstar",
    version,
    after_help = "\
Examples:
  eventstar schema materialize-all schemas
  eventstar schema check schemas-event-primary
  eventstar schema publish --to https://events.example.org --repository primary schemas/jsonschema
  eventstar stream lint --schemas schemas/jsonschema streams.yaml
  eventstar stream publish --profile production streams.yaml
  eventstar stream history --profile production
  eventstar stream rollback --profile production 7
  eventstar validate events.ndjson --schemas schemas/jsonschema --streams streams.yaml
  eventstar produce --to https://events.example.org events.ndjson
  eventstar tail --to https://events.example.org test.event
  eventstar replay --profile production --from test.event --since=-1d --to test.restored
  eventstar dead-letters list --profile production
  eventstar completions bash > ~/.local/share/bash-completion/completions/eventstar

`eventstar help COMMAND` tells more of each. The admin token comes from EVENTSTAR_ADMIN_TOKEN or a profile, a
producer token from EVENTSTAR_PRODUCER_TOKEN or a profile."
)]
pub struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Schema repositories: materializing, checking and publishing.
    #[command(subcommand)]
    Schema(SchemaCommand),
    #[command(subcommand)]
    Stream(StreamCommand),
    Validate(Validate),
    Produce(Produce),
    Tail(Tail),
    Replay(Replay),
    #[command(subcommand)]
    DeadLetters(DeadLetters),
    Completions(Completions),
}

#[derive(Debug, Subcommand)]
enum SchemaCommand {
    Check(SchemaCheck),
    Publish(SchemaPublish),
    #[command(flatten)]
    Repository(RepositoryCommand),
}

/// Writes the completions of a shell.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar completions bash > ~/.local/share/bash-completion/completions/eventstar
  eventstar completions zsh > ~/.zfunc/_eventstar
  eventstar completions fish > ~/.config/fish/completions/eventstar.fish")]
struct Completions {
    shell: Shell,
}

impl Completions {
    fn run(&self, out: &mut dyn Write) {
        clap_complete::generate(self.shell, &mut Arguments::command(), "eventstar", out);
    }
}

impl Arguments {
    /// Runs the command: what was asked for goes to standard output, all else to standard error.
    ///
    /// # Errors
    /// What kept it from being done; what a check found is no error, but the exit code.
    pub fn run(self) -> Result<ExitCode> {
        interrupt::install()?;
        self.run_on(&mut io::stdout(), &mut io::stderr())
    }

    pub(crate) fn run_on(self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        match self.command {
            Command::Schema(SchemaCommand::Check(command)) => return command.run(out, log),
            Command::Schema(SchemaCommand::Publish(command)) => command.run(out, log)?,
            Command::Schema(SchemaCommand::Repository(command)) => return command.run(out, log),
            Command::Stream(command) => return command.run(out, log),
            Command::Validate(command) => return command.run(out, log),
            Command::Produce(command) => return command.run(out, log),
            Command::Tail(command) => command.run(out, log)?,
            Command::Replay(command) => return command.run(out, log),
            Command::DeadLetters(command) => return command.run(out, log),
            Command::Completions(command) => command.run(out),
        }
        Ok(ExitCode::SUCCESS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent_and_every_command_has_an_example() {
        fn check(command: &clap::Command) {
            let leaf = command.get_subcommands().next().is_none();
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            assert!(
                !leaf || help.contains("Example"),
                "{} has no example",
                command.get_name()
            );
            command.get_subcommands().for_each(check);
        }
        Arguments::command().debug_assert();
        check(&Arguments::command());
    }

    #[test]
    fn examples_of_the_help_are_commands() {
        fn examples(command: &clap::Command, found: &mut Vec<String>) {
            let help = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let lines = help
                .lines()
                .filter_map(|line| line.find("eventstar ").and_then(|at| line.get(at..)));
            found.extend(
                lines
                    .filter(|line| !line.starts_with("eventstar help"))
                    .map(str::to_owned),
            );
            command
                .get_subcommands()
                .for_each(|command| examples(command, found));
        }
        let mut found = Vec::new();
        examples(&Arguments::command(), &mut found);
        assert!(found.len() > 15, "{found:?}");
        for example in found {
            let words = example.split(" > ").next().unwrap_or_default().split(' ');
            assert!(Arguments::try_parse_from(words).is_ok(), "{example}");
        }
    }

    #[test]
    fn completions_name_the_commands() {
        for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
            let mut out = Vec::new();
            Completions { shell }.run(&mut out);
            assert!(String::from_utf8(out).unwrap().contains("rollback"), "{shell}");
        }
    }
}
