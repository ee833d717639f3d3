//! `eventstar schema …`: what keeps a schema repository materialized.

mod git;

#[cfg(test)]
mod tests;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result, bail};
use clap::{Args, Subcommand};
use eventstar_schema_repository::{diff, write_json, write_yaml};

use git::Git;

use crate::remote::{Bases, RemoteOptions, RemoteSchemas};
use crate::workspace::{Edit, Workspace};

/// The exit code where something has to be written.
pub(crate) const NEEDS_MATERIALIZING: u8 = 4;

/// The commands of a schema repository with `.jsonschema-tools.yaml`.
#[derive(Debug, Subcommand)]
pub(crate) enum RepositoryCommand {
    /// Materializes FILEs: `current.yaml` becomes `x.y.z.yaml`, and links show the way.
    #[command(after_help = "Example: eventstar schema materialize jsonschema/page/view/current.yaml")]
    Materialize {
        #[command(flatten)]
        how: How,
        /// The files that are edited by hand.
        #[arg(required = true)]
        files: Vec<PathBuf>,
    },
    /// Materializes the current files that git shows as modified, and stages what was written.
    #[command(after_help = "Example: eventstar schema materialize-modified --staged")]
    MaterializeModified {
        #[command(flatten)]
        how: How,
        /// Only files that are staged for the next commit.
        #[arg(long, short)]
        staged: bool,
        /// Leaves what was written unstaged.
        #[arg(long, short = 'G')]
        no_git_add: bool,
        /// The repository.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Materializes every current file.
    #[command(after_help = "Example: eventstar schema materialize-all --dry-run schemas")]
    MaterializeAll {
        #[command(flatten)]
        how: How,
        /// The repository.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Prints FILE without `$ref` and `allOf`.
    #[command(after_help = "Example: eventstar schema dereference --json jsonschema/page/view/current.yaml")]
    Dereference {
        /// As JSON, not YAML.
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        remote: RemoteOptions,
        /// The schema.
        file: PathBuf,
    },
    /// Shows what materializing FILE would change since VERSION.
    #[command(after_help = "Example: eventstar schema diff jsonschema/page/view/current.yaml 1.0.0")]
    Diff {
        #[command(flatten)]
        remote: RemoteOptions,
        /// The file that is edited by hand.
        file: PathBuf,
        /// A materialized version [default: the one before].
        version: Option<String>,
    },
    /// Lists the schemas and their versions.
    #[command(after_help = "Example: eventstar schema list schemas")]
    List {
        #[command(flatten)]
        bases: Bases,
        /// The repository.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
    /// Materializes before every commit, by a pre-commit hook.
    #[command(after_help = "Example: eventstar schema install-git-hook schemas")]
    InstallGitHook {
        /// Replaces a hook that is there.
        #[arg(long)]
        force: bool,
        /// The repository.
        #[arg(default_value = ".")]
        dir: PathBuf,
    },
}

#[derive(Debug, Args)]
pub(crate) struct How {
    /// Only says what would be written; exits with 4 where that is anything.
    #[arg(long, short = 'n')]
    dry_run: bool,
    /// Overwrites a version that exists with other content.
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    remote: RemoteOptions,
}

impl RepositoryCommand {
    /// Runs the command. What was asked for goes to `out`, warnings to `log`.
    pub(crate) fn run(self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let remote = RemoteSchemas::new(&self.remote());
        let done = self.run_with(&remote, out);
        remote.show_warnings(log)?;
        done
    }

    fn remote(&self) -> RemoteOptions {
        let offline = |bases: Bases| RemoteOptions {
            offline: true,
            cache: None,
            bases,
        };
        match self {
            Self::Materialize { how, .. }
            | Self::MaterializeModified { how, .. }
            | Self::MaterializeAll { how, .. } => how.remote.clone(),
            Self::Dereference { remote, .. } | Self::Diff { remote, .. } => remote.clone(),
            Self::List { bases, .. } => offline(bases.clone()),
            Self::InstallGitHook { .. } => offline(Bases::default()),
        }
    }

    fn run_with(self, remote: &RemoteSchemas, out: &mut dyn Write) -> Result<ExitCode> {
        match self {
            Self::Materialize { how, files } => {
                let mut edits = Vec::new();
                for file in &files {
                    let workspace = Workspace::of_file(file, remote)?;
                    let path = workspace.path_of(file)?;
                    for edit in workspace.plan(&[path], how.force)? {
                        if !edits.contains(&edit) {
                            edits.push(edit);
                        }
                    }
                }
                how.apply(&edits, out)
            }
            Self::MaterializeAll { how, dir } => {
                let workspace = Workspace::open(&dir, remote)?;
                let paths = workspace.repository()?.current_paths();
                if paths.is_empty() {
                    bail!("{}: no {}", workspace.base().display(), workspace.current_file());
                }
                how.apply(&workspace.plan(&paths, how.force)?, out)
            }
            Self::MaterializeModified {
                how,
                staged,
                no_git_add,
                dir,
            } => {
                let workspace = Workspace::open(&dir, remote)?;
                let git = Git::of(workspace.base())?;
                let mut paths = Vec::new();
                for file in git.modified(staged)? {
                    let is_current = file
                        .file_name()
                        .is_some_and(|name| *name == *workspace.current_file());
                    if is_current && file.starts_with(workspace.base()) {
                        paths.push(workspace.path_of(&file)?);
                    }
                }
                let edits = workspace.plan(&paths, how.force)?;
                let code = how.apply(&edits, out)?;
                if !how.dry_run && !no_git_add && workspace.options().should_git_add {
                    git.add(edits.iter().map(|edit| edit.path.as_path()))?;
                }
                Ok(code)
            }
            Self::Dereference { json, file, .. } => {
                let workspace = Workspace::of_file(&file, remote)?;
                let path = workspace.path_of(&file)?;
                let schema = workspace
                    .repository()?
                    .dereference(&path)
                    .map_err(|fault| workspace.error(&fault))?;
                if json {
                    writeln!(out, "{}", write_json(&schema))?;
                } else {
                    write!(out, "{}", write_yaml(&schema))?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::Diff { file, version, .. } => show_diff(&file, version, remote, out),
            Self::List { dir, .. } => {
                let workspace = Workspace::open(&dir, remote)?;
                for listed in workspace
                    .repository()?
                    .list()
                    .map_err(|fault| workspace.error(&fault))?
                {
                    let current = match &listed.current {
                        Some(current) if !listed.versions.contains(current) => {
                            format!(" (current: {current})")
                        }
                        Some(_) => String::new(),
                        None => " (no current file)".to_owned(),
                    };
                    let versions = match listed.versions.as_slice() {
                        [] => "not materialized".to_owned(),
                        versions => versions.join(" "),
                    };
                    writeln!(out, "{}: {versions}{current}", listed.title)?;
                }
                Ok(ExitCode::SUCCESS)
            }
            Self::InstallGitHook { force, dir } => {
                let workspace = Workspace::open(&dir, remote)?;
                let hook = Git::of(workspace.base())?.install_hook(workspace.root(), force)?;
                writeln!(out, "{}: materializes before every commit", hook.display())?;
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

impl How {
    /// Everything is planned before anything is written.
    fn apply(&self, edits: &[Edit], out: &mut dyn Write) -> Result<ExitCode> {
        let verb = if self.dry_run { "would write" } else { "wrote" };
        for edit in edits {
            if !self.dry_run {
                edit.apply()?;
            }
            writeln!(out, "{verb} {edit}")?;
        }
        if edits.is_empty() {
            writeln!(out, "nothing to materialize")?;
        }
        Ok(match edits {
            [_, ..] if self.dry_run => ExitCode::from(NEEDS_MATERIALIZING),
            _ => ExitCode::SUCCESS,
        })
    }
}

fn show_diff(
    file: &Path,
    version: Option<String>,
    remote: &RemoteSchemas,
    out: &mut dyn Write,
) -> Result<ExitCode> {
    let workspace = Workspace::of_file(file, remote)?;
    let path = workspace.path_of(file)?;
    let repository = workspace.repository()?;
    let folder = path.rsplit_once('/').map_or("", |(folder, _)| folder);
    let version = match version {
        Some(version) => version,
        None => {
            let list = repository.list().map_err(|fault| workspace.error(&fault))?;
            let listed = list.into_iter().find(|listed| listed.title == folder);
            let listed = listed.with_context(|| format!("{}: holds no versions", file.display()))?;
            let before = listed
                .versions
                .iter()
                .rev()
                .find(|version| Some(*version) != listed.current.as_ref());
            let before = before.with_context(|| format!("{folder}: there is no version before"))?;
            before.clone()
        }
    };
    let old = workspace.version(folder, &version)?;
    let new = repository
        .schema(&path)
        .map_err(|fault| workspace.error(&fault))?;
    let (old_name, new_name) = (format!("{folder}/{version}"), path.clone());
    write!(out, "{}", diff(&old_name, &old, &new_name, &new))?;
    Ok(ExitCode::SUCCESS)
}
