//! The secrets of a stage: made where there are none, changed only when asked to, kept nowhere.

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::fs::OpenOptions;
use std::io::{self, IsTerminal as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

use crate::tokens;

/// A secret, and the functions that read it: no other has it.
struct Secret {
    name: &'static str,
    /// `delivery` last: secrets are set in this order, and that the last one has it says that all have.
    readers: &'static [&'static str],
    make: Option<fn() -> Result<String>>,
}

const SECRETS: [Secret; 3] = [
    Secret {
        name: "ADMIN_TOKEN",
        readers: &["intake", "delivery"],
        make: Some(tokens::random),
    },
    Secret {
        name: "PRODUCER_TOKENS",
        readers: &["intake"],
        make: Some(producer),
    },
    Secret {
        name: "KAFKA_REST_AUTHORIZATION",
        readers: &["sse-relay", "intake", "delivery"],
        make: None,
    },
];

fn producer() -> Result<String> {
    Ok(format!("producer={}", tokens::random()?))
}

pub(super) fn is_secret(name: &str) -> bool {
    SECRETS.iter().any(|secret| secret.name == name)
}

/// One of the secrets, as an argument.
pub(super) fn parse(name: &str) -> Result<String, String> {
    if is_secret(name) {
        return Ok(name.to_owned());
    }
    let names = SECRETS.iter().map(|secret| secret.name).collect::<Vec<_>>();
    Err(format!("the secrets are {}", names.join(", ")))
}

/// One of the secrets that can be made, as an argument.
pub(super) fn parse_made(name: &str) -> Result<String, String> {
    let made = SECRETS.iter().filter(|secret| secret.make.is_some());
    let names: Vec<_> = made.map(|secret| secret.name).collect();
    if names.contains(&name) {
        return Ok(name.to_owned());
    }
    Err(format!("only {} can be made", names.join(" and ")))
}

/// The environment's secrets by their names: those that are given.
pub(super) fn given(names: &[String]) -> Result<BTreeMap<String, String>> {
    let read = |name: &String| {
        let value = env::var(name).ok().filter(|value| !value.is_empty());
        let value = value
            .with_context(|| format!("--secret {name} takes its value from the environment: set {name}"))?;
        Ok((name.clone(), value))
    };
    names.iter().map(read).collect()
}

/// Wishes about the secrets.
#[derive(Debug, Default)]
pub(super) struct Wishes {
    /// Values by name.
    pub(super) given: BTreeMap<String, String>,
    /// Names of those to make, whatever is there.
    pub(super) rotated: Vec<String>,
}

/// Steps to the secrets that a stage should have.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SecretPlan {
    /// Values by function and name; none where one goes that the function does not read.
    pub(super) changes: BTreeMap<&'static str, BTreeMap<String, Option<String>>>,
    /// Names and values of those that are made: nobody knows them yet.
    pub(super) made: BTreeMap<String, String>,
    /// A line for each function and secret.
    pub(super) lines: BTreeMap<&'static str, Vec<String>>,
}

impl SecretPlan {
    /// `has` are the names of the secrets each function has; one that is not deployed has none.
    pub(super) fn new(
        functions: &[&'static str],
        has: &BTreeMap<&'static str, BTreeSet<String>>,
        wishes: &Wishes,
    ) -> Result<Self> {
        let mut plan = Self::default();
        for secret in &SECRETS {
            let name = secret.name;
            let there = |function: &str| has.get(function).is_some_and(|names| names.contains(name));
            let readers = || {
                secret
                    .readers
                    .iter()
                    .copied()
                    .filter(|reader| functions.contains(reader))
            };
            let is_whole = readers().next_back().is_none_or(there);
            let is_rotated = wishes.rotated.iter().any(|rotated| rotated == name);
            let new = match (wishes.given.get(name), secret.make) {
                (Some(given), _) => Some(given.clone()),
                (None, Some(make)) if is_rotated || !is_whole => {
                    let made = make()?;
                    plan.made.insert(name.to_owned(), made.clone());
                    Some(made)
                }
                _ => None,
            };
            let is_somewhere = readers().any(there);
            for function in functions.iter().copied() {
                let reads = secret.readers.contains(&function);
                let (line, change) = match (&new, reads, there(function)) {
                    (Some(value), true, false) => ("+", Some(Some(value.clone()))),
                    (Some(value), true, true) => ("~", Some(Some(value.clone()))),
                    (None, true, false) if is_somewhere => ("!", None),
                    (_, false, true) => ("-", Some(None)),
                    _ => continue,
                };
                let note = match line {
                    "+" if plan.made.contains_key(name) => "made",
                    "~" if plan.made.contains_key(name) => "made, in place of the one in use",
                    "+" | "~" => "given",
                    "!" => {
                        "missing here, though others have it: give it with --secret, or make a new one for all with --rotate-secrets"
                    }
                    _ => "removed: this function does not read it",
                };
                plan.lines
                    .entry(function)
                    .or_default()
                    .push(format!("{line} secret {name}: {note}"));
                if let Some(change) = change {
                    plan.changes
                        .entry(function)
                        .or_default()
                        .insert(name.to_owned(), change);
                }
            }
        }
        Ok(plan)
    }

    /// The functions whose secrets change, in the order to change them.
    pub(super) fn order(&self) -> Vec<&'static str> {
        let mut functions: Vec<_> = self.changes.keys().copied().collect();
        functions.sort_by_key(|function| *function == "delivery");
        functions
    }
}

/// Where made secrets go, so that somebody has them: nothing can read them from a deployment.
#[derive(Debug)]
pub(super) enum Outlet {
    Terminal,
    File(PathBuf),
}

impl Outlet {
    /// Refuses what would lose the secrets, or put them in a log.
    pub(super) fn new(file: Option<&Path>) -> Result<Self> {
        match file {
            Some(file) if file.exists() => {
                bail!(
                    "{} exists, and may hold secrets in use: name a new file with --secrets-to",
                    file.display()
                )
            }
            Some(file) => Ok(Self::File(file.to_owned())),
            None if io::stdout().is_terminal() => Ok(Self::Terminal),
            None => bail!(
                "secrets have to be made, and this output is no terminal but may be a log: name a new file for them with \
                 --secrets-to FILE, or give the secrets with --secret NAME"
            ),
        }
    }

    /// Hands the secrets over, before they are in use.
    pub(super) fn write(&self, stage: &str, made: &BTreeMap<String, String>) -> Result<()> {
        let lines: String = made
            .iter()
            .map(|(name, value)| format!("{name}={value}\n"))
            .collect();
        match self {
            Self::Terminal => {
                println!(
                    "\nThe new secrets of the stage {stage}. Keep them now: they are shown this once.\n\n{lines}"
                );
                Ok(())
            }
            Self::File(path) => {
                let mut options = OpenOptions::new();
                let file = options.write(true).create_new(true).mode(0o600).open(path);
                file.and_then(|mut file| file.write_all(lines.as_bytes()))
                    .with_context(|| format!("{} cannot be written", path.display()))?;
                println!("the new secrets of the stage {stage} are in {}", path.display());
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use toml::Table;

    use super::*;
    use crate::project::FUNCTIONS;

    fn names(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn plan(has: &[(&'static str, &[&str])], wishes: &Wishes) -> SecretPlan {
        let has = has
            .iter()
            .map(|(function, secrets)| (*function, names(secrets)))
            .collect();
        SecretPlan::new(&FUNCTIONS, &has, wishes).unwrap()
    }

    const WHOLE: [(&str, &[&str]); 2] = [
        ("intake", &["ADMIN_TOKEN", "PRODUCER_TOKENS"]),
        ("delivery", &["ADMIN_TOKEN"]),
    ];

    #[test]
    fn a_first_deployment_makes_each_secret_once_and_only_for_its_readers() {
        let plan = plan(&[], &Wishes::default());
        assert_eq!(plan.order(), ["intake", "delivery"]);
        let admin = Some(plan.made["ADMIN_TOKEN"].clone());
        assert_eq!(plan.changes["intake"]["ADMIN_TOKEN"], admin);
        assert_eq!(plan.changes["delivery"]["ADMIN_TOKEN"], admin);
        let producers = plan.changes["intake"]["PRODUCER_TOKENS"].clone().unwrap();
        assert_eq!(producers.strip_prefix("producer=").map(str::len), Some(32));
        assert!(!plan.changes["delivery"].contains_key("PRODUCER_TOKENS"));
        assert_eq!(plan.made.len(), 2);
    }

    #[test]
    fn secrets_in_use_are_left_alone() {
        assert_eq!(plan(&WHOLE, &Wishes::default()), SecretPlan::default());
    }

    #[test]
    fn a_run_that_broke_off_between_two_functions_is_made_whole_by_the_next() {
        let plan = plan(
            &[("intake", &["ADMIN_TOKEN", "PRODUCER_TOKENS"])],
            &Wishes::default(),
        );
        assert_eq!(plan.made.keys().collect::<Vec<_>>(), ["ADMIN_TOKEN"]);
        assert_eq!(
            plan.changes["intake"]["ADMIN_TOKEN"],
            plan.changes["delivery"]["ADMIN_TOKEN"]
        );
        assert_eq!(
            plan.lines["intake"],
            ["~ secret ADMIN_TOKEN: made, in place of the one in use"]
        );
    }

    #[test]
    fn one_that_only_others_have_is_missing_and_not_made() {
        let plan = plan(
            &[("intake", &["PRODUCER_TOKENS"]), ("delivery", &["ADMIN_TOKEN"])],
            &Wishes::default(),
        );
        assert!(plan.changes.is_empty() && plan.made.is_empty());
        assert!(
            plan.lines["intake"][0].starts_with("! secret ADMIN_TOKEN: missing here"),
            "{plan:?}"
        );
    }

    #[test]
    fn rotating_makes_only_the_secrets_named() {
        let wishes = Wishes {
            rotated: vec!["PRODUCER_TOKENS".to_owned()],
            ..Wishes::default()
        };
        let plan = plan(&WHOLE, &wishes);
        assert_eq!(plan.order(), ["intake"]);
        assert_eq!(
            plan.changes["intake"].keys().collect::<Vec<_>>(),
            ["PRODUCER_TOKENS"]
        );
    }

    #[test]
    fn a_given_secret_goes_to_all_that_read_it_and_is_not_shown_again() {
        let wishes = Wishes {
            given: BTreeMap::from([("KAFKA_REST_AUTHORIZATION".to_owned(), "Basic a".to_owned())]),
            ..Wishes::default()
        };
        let plan = plan(&WHOLE, &wishes);
        assert_eq!(plan.order(), ["intake", "sse-relay", "delivery"]);
        for function in plan.order() {
            assert_eq!(
                plan.changes[function]["KAFKA_REST_AUTHORIZATION"].as_deref(),
                Some("Basic a")
            );
        }
        assert!(plan.made.is_empty());
        assert_eq!(
            plan.lines["delivery"],
            ["+ secret KAFKA_REST_AUTHORIZATION: given"]
        );
    }

    #[test]
    fn a_function_that_does_not_read_a_secret_loses_it() {
        let mut has = WHOLE.to_vec();
        has.push(("schema", &["ADMIN_TOKEN", "OF_SOMEBODY_ELSE"]));
        let plan = plan(&has, &Wishes::default());
        assert_eq!(
            plan.changes["schema"],
            BTreeMap::from([("ADMIN_TOKEN".to_owned(), None)])
        );
        assert_eq!(plan.order(), ["schema"]);
    }

    #[test]
    fn spin_gives_each_secret_to_the_same_functions() {
        let manifest: Table = include_str!("../../../spin.toml").parse().unwrap();
        let variables = manifest["variables"].as_table().unwrap();
        let is_secret = |variable: &toml::Value| variable.get("secret") == Some(&true.into());
        let declared = variables.iter().filter(|(_, variable)| is_secret(variable));
        let mut declared: Vec<_> = declared.map(|(name, _)| name.to_uppercase()).collect();
        declared.sort();
        let mut ours: Vec<_> = SECRETS.iter().map(|secret| secret.name).collect();
        ours.sort_unstable();
        assert_eq!(declared, ours);
        for secret in &SECRETS {
            for function in FUNCTIONS {
                let has = manifest["component"][function]["variables"]
                    .get(secret.name.to_lowercase())
                    .is_some();
                assert_eq!(
                    has,
                    secret.readers.contains(&function),
                    "{function} and {}",
                    secret.name
                );
            }
        }
    }

    #[test]
    fn made_secrets_go_to_a_new_file_that_only_its_owner_reads() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secrets");
        let made = BTreeMap::from([("ADMIN_TOKEN".to_owned(), "x".to_owned())]);
        Outlet::new(Some(&path)).unwrap().write("a", &made).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "ADMIN_TOKEN=x\n");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = Outlet::new(Some(&path)).unwrap_err().to_string();
        assert!(error.contains("name a new file"), "{error}");
    }

    #[test]
    fn only_secrets_are_named_as_secrets() {
        assert!(parse("KAFKA_REST_AUTHORIZATION").is_ok());
        assert!(parse("ALLOWED_STREAMS").unwrap_err().contains("PRODUCER_TOKENS"));
        assert_eq!(
            parse_made("KAFKA_REST_AUTHORIZATION").unwrap_err(),
            "only ADMIN_TOKEN and PRODUCER_TOKENS can be made"
        );
    }
}
