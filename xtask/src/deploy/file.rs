//! `stages/NAME.toml`: a stage, as people commit it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::str::FromStr;

use anyhow::{Context as _, Result, bail};
use serde::Deserialize;
use toml::Table;

use super::secrets;
use crate::project::{FUNCTIONS, Project};

/// Workers only: `wrangler.toml` sets it for `sse-relay`.
const ON_WORKERS_ONLY: [&str; 1] = ["CPU_MS"];

/// Lower-case letters, digits and hyphens: it becomes part of names on Cloudflare.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StageName(pub(super) String);

impl FromStr for StageName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fits = !text.is_empty() && text.len() <= 32 && !text.starts_with('-') && !text.ends_with('-');
        if fits
            && text
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-')
        {
            return Ok(Self(text.to_owned()));
        }
        Err("use at most 32 lower-case letters, digits and hyphens".to_owned())
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    account: Option<String>,
    hostname: Option<String>,
    zone: Option<String>,
    functions: Option<Vec<String>>,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
}

/// A variable of all functions, or the variables of one.
#[derive(Debug, Deserialize)]
#[serde(
    untagged,
    expecting = "a variable is a text in quotes, and the variables of one function are a table"
)]
enum Variable {
    OfAll(String),
    OfOne(BTreeMap<String, String>),
}

/// Where all functions answer together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) hostname: String,
    pub(super) zone: String,
}

/// A stage as its file says.
#[derive(Debug)]
pub(super) struct Stage {
    pub(super) name: String,
    pub(super) account: Option<String>,
    pub(super) origin: Option<Origin>,
    /// In the order of their deployment.
    pub(super) functions: Vec<&'static str>,
    /// Function, name and value.
    pub(super) variables: Vec<(&'static str, String, String)>,
}

impl Stage {
    /// The stage of a name.
    pub(super) fn read(project: &Project, name: &StageName) -> Result<Self> {
        let path = path(project, name);
        let Ok(text) = fs::read_to_string(&path) else {
            bail!(
                "{} does not exist: write it after stages/example.toml (docs/deployment.md), and commit it",
                path.display()
            );
        };
        let manifest =
            fs::read_to_string(project.root.join("spin.toml")).context("spin.toml cannot be read")?;
        Self::parse(&name.0, &text, &settings(&manifest)?)
            .with_context(|| format!("{} is not right", path.display()))
    }

    fn parse(name: &str, text: &str, settings: &BTreeSet<String>) -> Result<Self> {
        let written: Written = toml::from_str(text)?;
        let origin = match (written.hostname, written.zone) {
            (Some(hostname), Some(zone)) if hostname == zone || hostname.ends_with(&format!(".{zone}")) => {
                Some(Origin { hostname, zone })
            }
            (Some(hostname), Some(zone)) => bail!("the hostname {hostname} is not in the zone {zone}"),
            (None, None) => None,
            _ => bail!("`hostname` and `zone` go together: set both, or neither"),
        };
        let wanted = written
            .functions
            .unwrap_or_else(|| FUNCTIONS.map(str::to_owned).to_vec());
        if let Some(unknown) = wanted.iter().find(|function| known(function).is_err()) {
            known(unknown)?;
        }
        if !wanted.iter().any(|function| function == "delivery") {
            bail!("`functions` lacks delivery: it keeps the logs and the registry that the others use");
        }
        let functions = FUNCTIONS
            .into_iter()
            .filter(|function| wanted.iter().any(|wanted| wanted == function));
        let functions: Vec<_> = functions.collect();
        let mut variables = Vec::new();
        for (name, variable) in written.variables {
            match variable {
                Variable::OfAll(value) => {
                    check_setting(&name, settings)?;
                    variables.extend(
                        functions
                            .iter()
                            .map(|function| (*function, name.clone(), value.clone())),
                    );
                }
                Variable::OfOne(of_one) => {
                    let function = known(&name)?;
                    for (name, value) in of_one {
                        check_setting(&name, settings)?;
                        variables.push((function, name, value));
                    }
                }
            }
        }
        // What one function has for itself counts, wherever it stands.
        variables.sort_by_key(|(function, name, _)| (*function, name.clone()));
        Ok(Self {
            name: name.to_owned(),
            account: written.account,
            origin,
            functions,
            variables,
        })
    }
}

/// The file of a stage.
pub(super) fn path(project: &Project, name: &StageName) -> PathBuf {
    project.root.join("stages").join(format!("{}.toml", name.0))
}

fn known(function: &str) -> Result<&'static str> {
    let found = FUNCTIONS.into_iter().find(|known| *known == function);
    found.with_context(|| {
        format!(
            "{function} is no function: the functions are {}",
            FUNCTIONS.join(", ")
        )
    })
}

fn check_setting(name: &str, settings: &BTreeSet<String>) -> Result<()> {
    if secrets::is_secret(name) {
        bail!(
            "{name} is a secret, and a file is no place for it: give it once with {name}=… in the environment and `--secret {name}`"
        );
    }
    if !settings.contains(name) {
        bail!("{name} is no setting: README.md lists them");
    }
    Ok(())
}

/// The names of all settings: Spin's manifest declares them.
fn settings(manifest: &str) -> Result<BTreeSet<String>> {
    let manifest: Table = manifest.parse().context("spin.toml is not valid TOML")?;
    let variables = manifest.get("variables").and_then(toml::Value::as_table);
    let variables = variables.context("spin.toml has no [variables]")?;
    let names = variables.keys().map(|name| name.to_uppercase());
    Ok(names.chain(ON_WORKERS_ONLY.map(str::to_owned)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = include_str!("../../../spin.toml");

    fn parse(text: &str) -> Result<Stage> {
        Stage::parse("a", text, &settings(MANIFEST).unwrap())
    }

    #[test]
    fn stage_names_fit_into_worker_names() {
        assert!("staging-2".parse::<StageName>().is_ok());
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", &"a".repeat(33)] {
            assert!(bad.parse::<StageName>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_file_may_be_empty() {
        let stage = parse("").unwrap();
        assert_eq!(stage.functions, FUNCTIONS);
        assert_eq!((stage.account, stage.origin), (None, None));
        assert!(stage.variables.is_empty());
    }

    #[test]
    fn the_example_is_right() {
        let stage = parse(include_str!("../../../stages/example.toml")).unwrap();
        assert_eq!(stage.origin.unwrap().hostname, "events.example.org");
        assert!(!stage.variables.is_empty());
    }

    #[test]
    fn a_variable_is_for_all_functions_or_for_one_whose_own_counts() {
        let stage = parse(
            "functions = [\"intake\", \"delivery\"]\n[variables]\nTOPIC_PREFIX = \"a.\"\n\
             [variables.intake]\nTOPIC_PREFIX = \"b.\"\n",
        )
        .unwrap();
        assert_eq!(stage.functions, ["delivery", "intake"]);
        let owned = |function, value: &str| (function, "TOPIC_PREFIX".to_owned(), value.to_owned());
        assert_eq!(
            stage.variables,
            [
                owned("delivery", "a."),
                owned("intake", "a."),
                owned("intake", "b.")
            ]
        );
    }

    #[test]
    fn errors_say_what_to_write() {
        let table = [
            ("hostname = \"a.org\"", "`hostname` and `zone` go together"),
            (
                "hostname = \"a.org\"\nzone = \"b.org\"",
                "a.org is not in the zone b.org",
            ),
            (
                "hostname = \"ab.org\"\nzone = \"b.org\"",
                "ab.org is not in the zone b.org",
            ),
            ("functions = [\"intake\"]", "`functions` lacks delivery"),
            (
                "functions = [\"delivery\", \"relay\"]",
                "relay is no function: the functions are delivery, schema",
            ),
            ("[variables.relay]\nA = \"\"", "relay is no function"),
            ("[variables]\nADMIN_TOKEN = \"x\"", "ADMIN_TOKEN is a secret"),
            (
                "[variables.intake]\nKAFKA_REST_AUTHORIZATION = \"x\"",
                "--secret KAFKA_REST_AUTHORIZATION",
            ),
            (
                "[variables]\nALLOWED_STREAM = \"*\"",
                "ALLOWED_STREAM is no setting",
            ),
            (
                "[variables]\nMAX_EVENT_BYTES = 5",
                "a variable is a text in quotes",
            ),
            ("host = \"a.org\"", "unknown field `host`"),
        ];
        for (text, expected) in table {
            let error = format!("{:#}", parse(text).unwrap_err());
            assert!(error.contains(expected), "{text}: {error}");
        }
    }
}
