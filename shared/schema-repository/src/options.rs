//! `.jsonschema-tools.yaml`.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::error::{Fault, Problem};
use eventstar_yaml::yaml_to_json;

/// 2^53 − 1, the largest integer JavaScript holds exactly.
const MAX_SAFE_INTEGER: f64 = 9_007_199_254_740_991.0;

/// Options that only the original's logging and git diff read.
const NOT_READ_HERE: [&str; 6] = [
    "logLevel",
    "dryRun",
    "gitStaged",
    "gitDiffCommit",
    "diffCommand",
    "configPaths",
];

/// How a repository wants to be materialized; names and defaults are those of `jsonschema-tools`.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Options {
    /// Whether `x.y.z` becomes a link to the first content type.
    pub should_symlink_extensionless: bool,
    /// Whether `latest` links are kept.
    pub should_symlink_latest: bool,
    /// The forms that are written, `yaml` or `json`.
    pub content_types: Vec<String>,
    /// Name of the file that is edited by hand.
    pub current_name: String,
    /// Member that holds the version.
    pub schema_version_field: String,
    /// Member that holds the title.
    pub schema_title_field: String,
    /// Whether `$ref` and `allOf` are resolved.
    pub should_dereference: bool,
    /// Base folder, relative to the configuration.
    pub schema_base_path: String,
    /// Further places to look for what a `$ref` names: folders, relative to the configuration, and URLs.
    pub schema_base_uris: Option<Vec<String>>,
    /// Whether `materialize-modified` stages what it wrote.
    pub should_git_add: bool,
    /// Patterns of `$id`s that are left alone.
    pub ignore_schemas: Vec<String>,
    /// Rules that schemas are known to break, by a pattern of their `$id`s.
    pub skip_schema_test_cases: BTreeMap<String, Vec<String>>,
    /// Smallest and largest number where the schema sets none; `false` for no bounds.
    pub enforced_numeric_bounds: Bounds,
    /// Whether schemas without examples get one.
    pub should_generate_example: bool,
}

/// Bounds of numbers.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(untagged)]
pub enum Bounds {
    /// `false`: none are added. `true` is taken for the default.
    Switch(bool),
    /// Smallest and largest.
    Range(f64, f64),
}

impl Bounds {
    /// Smallest and largest, where there are bounds.
    pub fn range(self) -> Option<(f64, f64)> {
        match self {
            Self::Switch(false) => None,
            Self::Switch(true) => Some((-MAX_SAFE_INTEGER, MAX_SAFE_INTEGER)),
            Self::Range(smallest, largest) => Some((smallest, largest)),
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self {
            should_symlink_extensionless: true,
            should_symlink_latest: true,
            content_types: vec!["yaml".to_owned(), "json".to_owned()],
            current_name: "current".to_owned(),
            schema_version_field: "$id".to_owned(),
            schema_title_field: "title".to_owned(),
            should_dereference: true,
            schema_base_path: ".".to_owned(),
            schema_base_uris: None,
            should_git_add: true,
            ignore_schemas: Vec::new(),
            skip_schema_test_cases: BTreeMap::new(),
            enforced_numeric_bounds: Bounds::Switch(true),
            should_generate_example: false,
        }
    }
}

impl Options {
    /// Reads the text of a configuration. A misspelt option is a fault, not silence.
    pub fn parse(file: &str, text: &str) -> Result<Self, Fault> {
        let fault = |problem: String| Fault::new(file, "", Problem::Config(problem));
        let json = yaml_to_json(text).map_err(|error| fault(error.to_string()))?;
        if json == "null" {
            return Ok(Self::default());
        }
        let members: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(&json).map_err(|error| fault(format!("not a map of options: {error}")))?;
        let known = [
            "shouldSymlinkExtensionless",
            "shouldSymlinkLatest",
            "contentTypes",
            "currentName",
            "schemaVersionField",
            "schemaTitleField",
            "shouldDereference",
            "schemaBasePath",
            "schemaBaseUris",
            "shouldGitAdd",
            "ignoreSchemas",
            "skipSchemaTestCases",
            "enforcedNumericBounds",
            "shouldGenerateExample",
        ];
        if let Some(name) = members
            .keys()
            .find(|name| !known.contains(&name.as_str()) && !NOT_READ_HERE.contains(&name.as_str()))
        {
            return Err(fault(format!(
                "unknown option {name}: the options are {}",
                known.join(", ")
            )));
        }
        let options: Self = serde_yaml_ng::from_str(text).map_err(|error| fault(error.to_string()))?;
        match options
            .content_types
            .iter()
            .find(|form| !matches!(form.as_str(), "yaml" | "json"))
        {
            Some(form) => Err(fault(format!(
                "contentTypes: {form} is unknown: use yaml or json"
            ))),
            None if options.content_types.is_empty() => Err(fault("contentTypes is empty".to_owned())),
            None => Ok(options),
        }
    }

    /// Name of the file that is edited by hand, with its extension.
    pub fn current_file(&self) -> String {
        match self.content_types.first() {
            Some(form) if !self.current_name.contains('.') => format!("{}.{form}", self.current_name),
            _ => self.current_name.clone(),
        }
    }
}
