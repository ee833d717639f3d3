//! The git repository around a schema repository.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, bail};

/// What tells our hook from another.
const MARK: &str = "eventstar schema materialize-modified";

/// A git working tree.
pub(super) struct Git {
    top: PathBuf,
}

impl Git {
    /// The working tree around a folder.
    pub(super) fn of(folder: &Path) -> Result<Self> {
        let top = run(folder, &["rev-parse", "--show-toplevel"])?;
        Ok(Self {
            top: PathBuf::from(top.trim_end_matches('\n')),
        })
    }

    /// Files that were added, copied or modified since the last commit; only staged ones if wanted.
    pub(super) fn modified(&self, staged: bool) -> Result<Vec<PathBuf>> {
        let since = if staged { "--cached" } else { "HEAD" };
        let names = run(
            &self.top,
            &["diff", "--name-only", "--diff-filter=ACM", "-z", since],
        )?;
        Ok(names
            .split_terminator('\0')
            .map(|name| self.top.join(name))
            .collect())
    }

    /// Stages files.
    pub(super) fn add<'a>(&self, paths: impl Iterator<Item = &'a Path>) -> Result<()> {
        let mut arguments = vec!["add", "--"];
        for path in paths {
            arguments.push(
                path.to_str()
                    .with_context(|| format!("{}: its name is not UTF-8", path.display()))?,
            );
        }
        if arguments.len() > 2 {
            run(&self.top, &arguments)?;
        }
        Ok(())
    }

    /// Writes the pre-commit hook; another one is only replaced by `force`.
    pub(super) fn install_hook(&self, root: &Path, force: bool) -> Result<PathBuf> {
        let hooks = run(&self.top, &["rev-parse", "--git-path", "hooks"])?;
        let hooks = self.top.join(hooks.trim_end_matches('\n'));
        fs::create_dir_all(&hooks).with_context(|| format!("{}: cannot be made", hooks.display()))?;
        let hook = hooks.join("pre-commit");
        let there = fs::read_to_string(&hook).unwrap_or_default();
        if hook.exists() && !there.contains(MARK) && !force {
            bail!(
                "{}: there is another hook: add `{MARK} --staged` to it, or replace it with --force",
                hook.display()
            );
        }
        let dir = root
            .strip_prefix(&self.top)
            .ok()
            .and_then(Path::to_str)
            .unwrap_or_default();
        let dir = if dir.is_empty() {
            ".".to_owned()
        } else {
            dir.replace('\'', r"'\''")
        };
        let text =
            format!("#!/bin/sh\n# Materializes the schemas of this commit.\nexec {MARK} --staged '{dir}'\n");
        fs::write(&hook, text).with_context(|| format!("{}: cannot be written", hook.display()))?;
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            fs::set_permissions(&hook, fs::Permissions::from_mode(0o755))?;
        }
        Ok(hook)
    }
}

/// Runs git from a folder, even in a hook, where git's variables name the repository from elsewhere.
fn run(folder: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .args(arguments)
        .current_dir(folder)
        .env_remove("GIT_DIR")
        .output();
    let output = output.context("git cannot be run: is it installed?")?;
    if !output.status.success() {
        let reason = String::from_utf8_lossy(&output.stderr);
        bail!("git {}: {}", arguments.join(" "), reason.trim());
    }
    String::from_utf8(output.stdout).context("git named a file whose name is not UTF-8")
}
