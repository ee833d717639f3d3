//! What a check found, and how it is written.

use std::io::{self, Write};
use std::path::Path;

use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;

use super::lines::line_of;
use crate::http::plain;

/// How a report is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people.
    Human,
    /// One JSON object.
    Json,
    /// Annotations of a GitHub workflow.
    Github,
}

/// How bad a problem is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Severity {
    /// Someone must decide.
    Error,
    /// Materializing mends it.
    Materialize,
}

/// What a check comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// Nothing is wrong.
    Ok,
    /// Materializing mends all that is wrong.
    NeedsMaterializing,
    /// Something else is wrong.
    Failed,
}

/// An event that one version accepts and the other refuses.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct CounterExample {
    /// The version that accepts it.
    pub(crate) accepted_by: String,
    /// The version that refuses it.
    pub(crate) refused_by: String,
    /// The event; `None` where none was found.
    pub(crate) event: Option<Value>,
    /// Why it is refused.
    pub(crate) refusal: Option<String>,
}

/// One problem.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Problem {
    /// How bad it is.
    pub(crate) severity: Severity,
    /// The rule that is broken; those with a `schema-` name may be skipped in `.jsonschema-tools.yaml`.
    pub(crate) rule: &'static str,
    /// The kind of incompatibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) change: Option<&'static str>,
    /// The file.
    pub(crate) file: String,
    /// The line, from 1.
    pub(crate) line: usize,
    /// JSON pointer into the file, or into the version before for what is gone.
    pub(crate) pointer: String,
    /// What is wrong.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) fix: String,
    /// The version an incompatible change calls for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) calls_for: Option<String>,
    /// What shows an incompatibility.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) counter_example: Option<CounterExample>,
}

impl Problem {
    pub(super) fn new(
        severity: Severity,
        rule: &'static str,
        path: &Path,
        message: String,
        fix: impl Into<String>,
    ) -> Self {
        Self {
            severity,
            rule,
            change: None,
            file: path.strip_prefix(".").unwrap_or(path).display().to_string(),
            line: 1,
            pointer: String::new(),
            message,
            fix: fix.into(),
            calls_for: None,
            counter_example: None,
        }
    }

    /// The problem at a place of its file.
    pub(super) fn at(self, text: &str, pointer: &str) -> Self {
        Self {
            line: line_of(text, pointer),
            pointer: pointer.to_owned(),
            ..self
        }
    }

    fn name(&self) -> String {
        match self.change {
            Some(change) => format!("{}/{change}", self.rule),
            None => self.rule.to_owned(),
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Report {
    /// What it comes to.
    pub(crate) status: Status,
    /// The compatibility policy.
    pub(crate) policy: &'static str,
    /// How many schemas there are.
    pub(crate) schemas: usize,
    /// How many versions.
    pub(crate) versions: usize,
    /// How many pairs of versions were compared.
    pub(crate) compared: usize,
    /// How many problems are in the skip list.
    pub(crate) skipped: usize,
    /// The problems, by file.
    pub(crate) problems: Vec<Problem>,
}

impl Report {
    /// Writes the report.
    ///
    /// # Errors
    /// What writing gives.
    pub(crate) fn write(&self, format: Format, out: &mut dyn Write) -> io::Result<()> {
        match format {
            Format::Human => self.human(out),
            Format::Json => {
                serde_json::to_writer_pretty(&mut *out, self)?;
                writeln!(out)
            }
            Format::Github => self.github(out),
        }
    }

    fn human(&self, out: &mut dyn Write) -> io::Result<()> {
        for problem in &self.problems {
            let severity = match problem.severity {
                Severity::Error => "error",
                Severity::Materialize => "needs materializing",
            };
            writeln!(out, "{severity}: {}", plain(&problem.message))?;
            let pointer = match problem.pointer.as_str() {
                "" => String::new(),
                pointer => format!(" {}", plain(pointer)),
            };
            writeln!(out, "  at {}:{}{pointer}", problem.file, problem.line)?;
            writeln!(out, "  rule {}", problem.name())?;
            for line in shown(problem) {
                writeln!(out, "  {}", plain(&line))?;
            }
            writeln!(out, "  fix: {}\n", problem.fix)?;
        }
        writeln!(out, "{}", self.summary())
    }

    fn github(&self, out: &mut dyn Write) -> io::Result<()> {
        for problem in &self.problems {
            let mut text = vec![problem.message.clone()];
            if !problem.pointer.is_empty() {
                text.push(format!("at {}", problem.pointer));
            }
            text.extend(shown(problem));
            text.push(format!("fix: {}", problem.fix));
            writeln!(
                out,
                "::error file={},line={},title={}::{}",
                property(&problem.file),
                problem.line,
                property(&problem.name()),
                data(&text.join("\n"))
            )?;
        }
        writeln!(out, "::notice::{}", data(&self.summary()))
    }

    fn summary(&self) -> String {
        let count = |severity| {
            self.problems
                .iter()
                .filter(|problem| problem.severity == severity)
                .count()
        };
        format!(
            "{} schemas, {} versions, {} compared ({}): {} errors, {} to materialize, {} skipped",
            self.schemas,
            self.versions,
            self.compared,
            self.policy,
            count(Severity::Error),
            count(Severity::Materialize),
            self.skipped
        )
    }
}

/// The counter-example of a problem, in lines.
fn shown(problem: &Problem) -> Vec<String> {
    let Some(example) = &problem.counter_example else {
        return Vec::new();
    };
    let (accepted, refused) = (&example.accepted_by, &example.refused_by);
    match &example.event {
        Some(event) => {
            let refusal = example.refusal.as_deref().unwrap_or_default();
            vec![
                format!("{accepted} accepts, and {refused} refuses ({refusal}):"),
                format!("  {event}"),
            ]
        }
        None => vec![format!(
            "no event was found that {accepted} accepts and {refused} refuses"
        )],
    }
}

/// Source: GitHub's `@actions/core`, `src/command.ts`.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
