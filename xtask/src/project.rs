//! Where things are.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::process;

/// The functions in the order of their deployment: `delivery` owns the Durable Objects the others bind to.
pub(crate) const FUNCTIONS: [&str; 5] = ["delivery", "schema", "stream-config", "intake", "sse-relay"];

/// The checkout and the folders that belong to it.
#[derive(Debug)]
pub(crate) struct Project {
    /// The top of the checkout.
    pub(crate) root: PathBuf,
    /// What outlives the checkout: the tools that take minutes to compile.
    pub(crate) cache: PathBuf,
    /// This program. Asked for once, at the start: a rebuild replaces the file, and the system then gives a name
    /// that does not exist.
    pub(crate) executable: PathBuf,
    target: OnceLock<PathBuf>,
}

impl Project {
    /// The project around the current folder. Not the one this program was built from: checkouts may share a target
    /// folder, and cargo then takes the program of one for that of the other.
    pub(crate) fn find() -> Result<Self> {
        let here = env::current_dir().context("the current folder is unknown")?;
        let root = here
            .ancestors()
            .find(|folder| folder.join("xtask/Cargo.toml").is_file())
            .with_context(|| {
                format!(
                    "{} is not in a checkout of Eventstar: run this in one",
                    here.display()
                )
            })?;
        let cache = match env::var_os("XDG_CACHE_HOME") {
            Some(cache) if !cache.is_empty() => PathBuf::from(cache),
            _ => PathBuf::from(env::var_os("HOME").context("HOME is not set: set it to your home folder")?)
                .join(".cache"),
        };
        Ok(Self {
            root: root.to_owned(),
            cache: cache.join("eventstar"),
            executable: env::current_exe().context("the path of this program is unknown")?,
            target: OnceLock::new(),
        })
    }

    /// Cargo's target folder, wherever its configuration puts it.
    pub(crate) fn target(&self) -> Result<&Path> {
        if let Some(target) = self.target.get() {
            return Ok(target);
        }
        let metadata = self.metadata(&["--no-deps"])?;
        let target = metadata
            .get("target_directory")
            .and_then(Value::as_str)
            .context("cargo metadata names no target folder")?;
        Ok(self.target.get_or_init(|| PathBuf::from(target)))
    }

    /// `cargo metadata` as JSON.
    pub(crate) fn metadata(&self, arguments: &[&str]) -> Result<Value> {
        let text = process::output(
            self.cargo()
                .args(["metadata", "--format-version", "1"])
                .args(arguments),
        )?;
        serde_json::from_str(&text).context("cargo metadata wrote something that is not JSON")
    }

    /// A cargo command at the top of the checkout.
    pub(crate) fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.current_dir(&self.root);
        command
    }

    /// The version of a package in `Cargo.lock`.
    pub(crate) fn locked_version(&self, package: &str) -> Result<String> {
        let text = fs::read_to_string(self.root.join("Cargo.lock")).context("Cargo.lock cannot be read")?;
        locked_version(&text, package).with_context(|| format!("{package} is not in Cargo.lock"))
    }
}

fn locked_version(lock: &str, package: &str) -> Option<String> {
    let name = format!("name = \"{package}\"");
    let mut lines = lock.lines().skip_while(|line| *line != name);
    let version = lines.nth(1)?.strip_prefix("version = \"")?;
    Some(version.trim_end_matches('"').to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_from_the_lock() {
        let lock = "[[package]]\nname = \"worker-macros\"\nversion = \"0.1.0\"\n\n[[package]]\nname = \"worker\"\nversion = \"0.8.7\"\n";
        assert_eq!(locked_version(lock, "worker").as_deref(), Some("0.8.7"));
        assert_eq!(locked_version(lock, "other"), None);
    }
}
