//! `eventstar schema check`: what is wrong with a schema repository, before anything of it is published.

mod command;
mod config;
mod folder;
mod lines;
mod materialized;
mod report;
mod structure;

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::ValueEnum;
use eventstar_schema_compatibility::{
    Case, Direction, Fault, Incompatibility, Policy, Versions, compare, counter_example, robustness,
    unknown_keywords,
};
use eventstar_validation::{Schema, SchemaError, errors_text};

pub(crate) use command::SchemaCheck;
pub(crate) use report::{CounterExample, Format, Problem, Report, Severity, Status};

use config::Config;
use folder::{Folder, Listing, Read, folders, text_of};
use materialized::materialized;
use structure::structure;

use crate::remote::RemoteSchemas;
use crate::schema_repository::Number;
use crate::workspace::Workspace;

/// Which events must stay good within a major version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compatibility {
    /// Events of the old version are events of the new one, and keep the members consumers read.
    Backward,
    /// Events of the new version are events of the old one.
    Forward,
    /// Both.
    Full,
}

impl Compatibility {
    fn policy(self) -> Policy {
        match self {
            Self::Backward => Policy::Backward,
            Self::Forward => Policy::Forward,
            Self::Full => Policy::Full,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Backward => "backward",
            Self::Forward => "forward",
            Self::Full => "full",
        }
    }
}

/// Checks the schema repository in `dir`: its root, with `.jsonschema-tools.yaml`, or its base folder.
///
/// # Errors
/// Where there is no repository, or its configuration cannot be read. What is wrong with schemas is in the report.
pub(crate) fn check_schemas(
    dir: &Path,
    compatibility: Compatibility,
    remote: &RemoteSchemas,
) -> Result<Report> {
    let workspace = Workspace::open(dir, remote)?;
    let config = Config::of(&workspace)?;
    let (folders, mut problems) = folders(&config.base, &config);
    if folders.is_empty() && problems.is_empty() {
        bail!(
            "{}: no schemas (`{}` or `x.y.z` files)",
            config.base.display(),
            config.current_file
        );
    }
    let policy = compatibility.policy();
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let per_thread = folders.len().div_ceil(threads).max(1);
    let check_part = |part: &[Listing]| -> Result<Vec<Checked>> {
        let repository = workspace.repository()?;
        let folders = part.iter().map(|listing| {
            let mut checked = Checked::default();
            let folder = Folder::read(listing, &config, &mut checked.problems);
            if folder.entries.is_empty() {
                return checked;
            }
            checked.problems.extend(structure(&folder, &config));
            let found = materialized(&folder, &config, &repository);
            checked.problems.extend(found);
            checked.versions(&folder, &config, policy);
            checked
        });
        Ok(folders.collect())
    };
    let done: Vec<Result<Vec<Checked>>> = std::thread::scope(|scope| {
        let parts = folders.chunks(per_thread);
        let workers: Vec<_> = parts.map(|part| scope.spawn(|| check_part(part))).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker
                .join()
                .unwrap_or_else(|_| Err(anyhow!("a part of the check ended early")))
        };
        workers.into_iter().map(join).collect()
    });
    let checked: Vec<Vec<Checked>> = done.into_iter().collect::<Result<_>>()?;
    let mut report = Report {
        status: Status::Ok,
        policy: compatibility.name(),
        schemas: folders.len(),
        versions: 0,
        compared: 0,
        skipped: 0,
        problems: Vec::new(),
    };
    for folder in checked.into_iter().flatten() {
        report.versions += folder.versions;
        report.compared += folder.compared;
        report.skipped += folder.skipped;
        problems.extend(folder.problems);
    }
    report.status = if problems.iter().any(|problem| problem.severity == Severity::Error) {
        Status::Failed
    } else if problems.is_empty() {
        Status::Ok
    } else {
        Status::NeedsMaterializing
    };
    report.problems = problems;
    Ok(report)
}

/// What was found in one folder.
#[derive(Default)]
struct Checked {
    problems: Vec<Problem>,
    versions: usize,
    compared: usize,
    skipped: usize,
}

/// A version, compiled where it can be.
struct Version<'a> {
    number: Number,
    path: PathBuf,
    read: &'a Read,
    compiled: Result<Schema, SchemaError>,
}

impl Version<'_> {
    fn id(&self) -> &str {
        id(self.read)
    }
}

impl Checked {
    /// Reports the faults of a file that are not in the skip list.
    fn faults(&mut self, faults: Vec<Fault>, path: &Path, read: &Read, config: &Config) {
        for fault in faults {
            if config.skips(id(read), fault.case) {
                self.skipped += 1;
                continue;
            }
            let problem = Problem::new(
                Severity::Error,
                fault.case.as_str(),
                path,
                fault.message,
                fault.fix,
            );
            self.problems.push(problem.at(&read.text, &fault.pointer));
        }
    }

    /// Judges the versions of a folder, each by itself and against the one before.
    fn versions(&mut self, folder: &Folder, config: &Config, policy: Policy) {
        let versions: Vec<Version<'_>> = folder
            .versions()
            .into_iter()
            .filter_map(|number| {
                let (name, read) = folder.version(&text_of(number), config)?;
                Some(Version {
                    number,
                    path: folder.path.join(name),
                    read,
                    compiled: Schema::compile(&read.json),
                })
            })
            .collect();
        self.versions = versions.len();
        for version in &versions {
            let faults = robustness(&version.read.schema, version.compiled.as_ref(), config.bounds);
            self.faults(faults, &version.path, version.read, config);
        }
        // What is materialized of it is judged already; a misspelt word is best found before.
        if let Some(read) = folder.file(&config.current_file)
            && !versions.iter().any(|version| version.id() == id(read))
        {
            let path = folder.path.join(&config.current_file);
            self.faults(unknown_keywords(&read.schema), &path, read, config);
        }
        let next_major = versions.last().map_or(1, |last| major(last) + 1);
        for (old, new) in versions.iter().zip(versions.iter().skip(1)) {
            if major(old) != major(new) {
                continue;
            }
            self.compared += 1;
            for found in compare(&old.read.schema, &new.read.schema) {
                if !found.breaks(policy) {
                    continue;
                }
                if config.skips(new.id(), Case::Compatibility) {
                    self.skipped += 1;
                    continue;
                }
                self.problems.push(incompatibility(&found, old, new, next_major));
            }
        }
    }
}

fn id(read: &Read) -> &str {
    read.id().unwrap_or_default()
}

fn major(version: &Version<'_>) -> u64 {
    let [major, ..] = version.number;
    major
}

fn incompatibility(
    found: &Incompatibility,
    old: &Version<'_>,
    new: &Version<'_>,
    next_major: u64,
) -> Problem {
    let (was, is) = (text_of(old.number), text_of(new.number));
    let (accepted_by, refused_by, refusing) = match found.direction {
        Direction::OldOnly => (was.clone(), is.clone(), &new.compiled),
        Direction::NewOnly => (is.clone(), was.clone(), &old.compiled),
    };
    let event = match (&old.compiled, &new.compiled) {
        (Ok(old_compiled), Ok(new_compiled)) => {
            let versions = Versions {
                old: &old.read.schema,
                new: &new.read.schema,
                old_compiled,
                new_compiled,
            };
            counter_example(found, &versions)
        }
        _ => None,
    };
    let refusal = event
        .as_ref()
        .zip(refusing.as_ref().ok())
        .and_then(|(event, refusing)| refusing.validate(event).err().map(|errors| errors_text(&errors)));
    let calls_for = format!("{next_major}.0.0");
    let message = format!("{is} is incompatible with {was}: {}", found.message);
    let fix = format!(
        "undo it, or release it as {calls_for}; where it is meant, skip {} for {} in .jsonschema-tools.yaml",
        Case::Compatibility.as_str(),
        new.id()
    );
    let problem = Problem::new(
        Severity::Error,
        Case::Compatibility.as_str(),
        &new.path,
        message,
        fix,
    );
    Problem {
        change: Some(found.rule.as_str()),
        calls_for: Some(calls_for),
        counter_example: Some(CounterExample {
            accepted_by,
            refused_by,
            event,
            refusal,
        }),
        ..problem.at(&new.read.text, &found.pointer)
    }
}

#[cfg(test)]
mod tests;
