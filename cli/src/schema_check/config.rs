//! What a check heeds of a repository's configuration.

use std::path::PathBuf;

use anyhow::{Context as _, Result};
use eventstar_schema_compatibility::{Bounds, Case};
use regex::Regex;

use super::folder::split;
use crate::workspace::Workspace;

/// The configuration of a check.
#[derive(Debug)]
pub(super) struct Config {
    /// Base folder of the schemas.
    pub(super) base: PathBuf,
    /// Name of the edited file.
    pub(super) current_file: String,
    /// The same without extension.
    pub(super) current_name: String,
    /// Extensions each version must have, the main one first.
    pub(super) content_types: Vec<String>,
    /// Whether versions have a name without extension.
    pub(super) has_extensionless: bool,
    /// Whether there is a `latest`.
    pub(super) has_latest: bool,
    /// Bounds that numbers must stay within.
    pub(super) bounds: Option<Bounds>,
    ignored: Vec<Regex>,
    skips: Vec<(Regex, Vec<String>)>,
}

impl Config {
    /// The configuration of a repository.
    pub(super) fn of(workspace: &Workspace<'_>) -> Result<Self> {
        let options = workspace.options();
        let skips = options.skip_schema_test_cases.iter();
        let skips = skips.map(|(pattern, cases)| Ok((regex("skipSchemaTestCases", pattern)?, cases.clone())));
        let ignored = options.ignore_schemas.iter();
        let ignored = ignored.map(|pattern| regex("ignoreSchemas", pattern));
        let shown = || workspace.config().display().to_string();
        Ok(Self {
            base: workspace.shown().to_owned(),
            current_file: options.current_file(),
            current_name: split(&options.current_file()).0.to_owned(),
            content_types: options.content_types.clone(),
            has_extensionless: options.should_symlink_extensionless,
            has_latest: options.should_symlink_latest,
            bounds: options.enforced_numeric_bounds.range(),
            skips: skips.collect::<Result<_>>().with_context(shown)?,
            ignored: ignored.collect::<Result<_>>().with_context(shown)?,
        })
    }

    /// Whether the schema of this `$id` is to be left alone.
    pub(super) fn is_ignored(&self, id: &str) -> bool {
        self.ignored.iter().any(|pattern| pattern.is_match(id))
    }

    /// Whether the schema of this `$id` is known to break a rule.
    pub(super) fn skips(&self, id: &str, case: Case) -> bool {
        self.skips
            .iter()
            .any(|(pattern, cases)| cases.iter().any(|name| name == case.as_str()) && pattern.is_match(id))
    }
}

fn regex(setting: &str, pattern: &str) -> Result<Regex> {
    Regex::new(pattern)
        .with_context(|| format!("/{setting}: not a regular expression without look-around: {pattern}"))
}
