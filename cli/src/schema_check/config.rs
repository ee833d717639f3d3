//! `.jsonschema-tools.yaml`: where the schemas are, and what is known to break a rule.

use std::fs;
use std::path::{Component, Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use eventstar_schema_compatibility::{Bounds, Case};
use eventstar_schema_repository::yaml_to_json;
use regex::Regex;
use serde_json::Value;

/// The file's name.
const NAME: &str = ".jsonschema-tools.yaml";

/// The greatest integer that every consumer holds: 2^53 - 1.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// The settings that a check heeds; the rest of the file is for materializing.
#[derive(Debug)]
pub(super) struct Config {
    /// Base folder of the schemas.
    pub(super) base: PathBuf,
    /// Name of the edited file, without extension.
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
    /// Reads the file in `dir`, or in the folder above where `dir` is the base folder itself.
    pub(super) fn read(dir: &Path) -> Result<Self> {
        if !dir.is_dir() {
            bail!(
                "{}: not a folder: name the root of a schema repository",
                dir.display()
            );
        }
        let here = dir.join(NAME);
        if here.is_file() {
            let config = Self::parse(&here)?;
            // Reports name files as their authors do: without `/./`.
            let below = config.base.components().filter(|part| *part != Component::CurDir);
            let base = dir.join(below.collect::<PathBuf>());
            if !base.is_dir() {
                bail!(
                    "{}: /schemaBasePath is no folder: {}",
                    here.display(),
                    base.display()
                );
            }
            return Ok(Self { base, ..config });
        }
        let above = dir
            .canonicalize()
            .ok()
            .and_then(|dir| Some(dir.parent()?.join(NAME)));
        let config = match above {
            Some(above) if above.is_file() => Self::parse(&above)?,
            _ => Self::of(&Value::Null)?,
        };
        Ok(Self {
            base: dir.to_owned(),
            ..config
        })
    }

    /// Name of the edited file.
    pub(super) fn file(&self) -> String {
        let extension = self.content_types.first().map_or("yaml", String::as_str);
        format!("{}.{extension}", self.current_name)
    }

    /// Whether a file is to be left alone.
    pub(super) fn is_ignored(&self, path: &str) -> bool {
        self.ignored.iter().any(|pattern| pattern.is_match(path))
    }

    /// Whether the schema of this `$id` is known to break a rule.
    pub(super) fn skips(&self, id: &str, case: Case) -> bool {
        self.skips
            .iter()
            .any(|(pattern, cases)| cases.iter().any(|name| name == case.as_str()) && pattern.is_match(id))
    }

    fn parse(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = fs::read_to_string(path).with_context(|| format!("{shown}: cannot be read"))?;
        let json = yaml_to_json(&text).map_err(|error| anyhow::anyhow!("{shown}: {error}"))?;
        let value = serde_json::from_str(&json).with_context(|| format!("{shown}: not valid"))?;
        Self::of(&value).with_context(|| shown.to_string())
    }

    fn of(value: &Value) -> Result<Self> {
        let strings = |name: &str| -> Vec<String> { texts(value.get(name)) };
        let is_on = |name: &str| value.get(name) != Some(&Value::Bool(false));
        let mut content_types = strings("contentTypes");
        if content_types.is_empty() {
            content_types = vec!["yaml".to_owned(), "json".to_owned()];
        }
        let bounds = match value.get("enforcedNumericBounds") {
            None => Some((-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)),
            Some(Value::Array(bounds)) => match bounds.as_slice() {
                [least, greatest] => least.as_f64().zip(greatest.as_f64()),
                _ => None,
            },
            Some(_) => None,
        };
        let mut skips = Vec::new();
        if let Some(Value::Object(entries)) = value.get("skipSchemaTestCases") {
            for (pattern, cases) in entries {
                skips.push((regex("skipSchemaTestCases", pattern)?, texts(Some(cases))));
            }
        }
        let mut ignored = Vec::new();
        for pattern in strings("ignoreSchemas") {
            ignored.push(regex("ignoreSchemas", &pattern)?);
        }
        let text = |name: &str| value.get(name).and_then(Value::as_str);
        Ok(Self {
            base: PathBuf::from(text("schemaBasePath").unwrap_or(".")),
            current_name: text("currentName").unwrap_or("current").to_owned(),
            content_types,
            has_extensionless: is_on("shouldSymlinkExtensionless"),
            has_latest: is_on("shouldSymlinkLatest"),
            bounds,
            ignored,
            skips,
        })
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    value
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
        .filter_map(Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn regex(setting: &str, pattern: &str) -> Result<Regex> {
    Regex::new(pattern)
        .with_context(|| format!("/{setting}: not a regular expression without look-around: {pattern}"))
}
