//! The licences and sources of all dependencies, against `deny.toml`'s allow-list; advisories by cargo-deny.
//!
//! cargo-deny checks the same and more, but takes many minutes to compile: it is used where it is installed.

use std::collections::BTreeSet;
use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;
use toml::Table;

use crate::process;
use crate::project::Project;

const REGISTRY: &str = "registry+https://github.com/rust-lang/crates.io-index";

pub(crate) fn run(project: &Project) -> Result<()> {
    let text = fs::read_to_string(project.root.join("deny.toml")).context("deny.toml cannot be read")?;
    let allowed = allowed(&text.parse().context("deny.toml is not valid TOML")?);
    let metadata = project.metadata(&["--locked"])?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo metadata lists no packages")?;
    let problems: Vec<String> = packages
        .iter()
        .filter_map(|package| problem(package, &allowed))
        .collect();
    if !problems.is_empty() {
        bail!("{}", problems.join("\n"));
    }
    println!("licences and sources of {} packages: passed", packages.len());
    advisories(project)
}

/// Known vulnerabilities need a database from the network, and so a program that keeps one.
fn advisories(project: &Project) -> Result<()> {
    if process::find("cargo-deny").is_none() {
        println!("advisories: SKIPPED (no `cargo-deny` on PATH; cargo install --locked cargo-deny)");
        return Ok(());
    }
    let fetched = process::capture(
        Command::new("cargo-deny")
            .current_dir(&project.root)
            .args(["fetch", "db"]),
    )?;
    if !fetched.status.success() {
        println!("advisories: SKIPPED (the advisory database cannot be fetched)");
        return Ok(());
    }
    process::run(project.cargo().args([
        "deny",
        "--offline",
        "check",
        "advisories",
        "licenses",
        "bans",
        "sources",
    ]))?;
    println!("advisories: passed");
    Ok(())
}

fn allowed(deny: &Table) -> BTreeSet<String> {
    let list = deny
        .get("licenses")
        .and_then(|licenses| licenses.get("allow"))
        .and_then(toml::Value::as_array);
    list.into_iter()
        .flatten()
        .filter_map(toml::Value::as_str)
        .map(str::to_owned)
        .collect()
}

fn problem(package: &Value, allowed: &BTreeSet<String>) -> Option<String> {
    let name = format!(
        "{} {}",
        package.get("name").and_then(Value::as_str)?,
        package.get("version").and_then(Value::as_str)?
    );
    match package.get("source").and_then(Value::as_str) {
        None | Some(REGISTRY) => {}
        Some(source) => return Some(format!("{name} comes from {source}: take it from crates.io")),
    }
    match package.get("license").and_then(Value::as_str) {
        None => Some(format!(
            "{name} names no licence: replace it, or read its licence file and list it in deny.toml"
        )),
        Some(licence) if !Expression::new(licence).satisfied_by(allowed) => Some(format!(
            "{name} is under {licence}: allow that in deny.toml, or replace it"
        )),
        Some(_) => None,
    }
}

/// An SPDX expression, read from left to right: AND binds closer than OR.
struct Expression<'a> {
    words: Vec<&'a str>,
    at: usize,
}

impl<'a> Expression<'a> {
    fn new(text: &'a str) -> Self {
        // `MIT/Apache-2.0` is what OR was before SPDX expressions.
        let mut words = Vec::new();
        for word in text.split_whitespace() {
            for part in word.split_inclusive(['(', ')', '/']) {
                let bare = part.trim_end_matches(['(', ')', '/']);
                words.extend(
                    [bare, part.get(bare.len()..).unwrap_or_default()]
                        .into_iter()
                        .filter(|word| !word.is_empty()),
                );
            }
        }
        Self { words, at: 0 }
    }

    fn satisfied_by(mut self, allowed: &BTreeSet<String>) -> bool {
        self.any(allowed) && self.at == self.words.len()
    }

    fn next_is(&mut self, wanted: &[&str]) -> bool {
        let found = self.words.get(self.at).is_some_and(|word| wanted.contains(word));
        self.at += usize::from(found);
        found
    }

    fn any(&mut self, allowed: &BTreeSet<String>) -> bool {
        let mut value = self.all(allowed);
        while self.next_is(&["OR", "/"]) {
            value |= self.all(allowed);
        }
        value
    }

    fn all(&mut self, allowed: &BTreeSet<String>) -> bool {
        let mut value = self.one(allowed);
        while self.next_is(&["AND"]) {
            value &= self.one(allowed);
        }
        value
    }

    fn one(&mut self, allowed: &BTreeSet<String>) -> bool {
        if self.next_is(&["("]) {
            let value = self.any(allowed);
            return self.next_is(&[")"]) && value;
        }
        let Some(licence) = self.words.get(self.at).copied() else {
            return false;
        };
        self.at += 1;
        if self.next_is(&["WITH"]) {
            let exception = self.words.get(self.at).copied().unwrap_or_default();
            self.at += 1;
            return allowed.contains(licence) || allowed.contains(&format!("{licence} WITH {exception}"));
        }
        allowed.contains(licence)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn satisfied(expression: &str) -> bool {
        let allowed = ["MIT", "Apache-2.0", "Unicode-3.0"]
            .map(str::to_owned)
            .into_iter()
            .collect();
        Expression::new(expression).satisfied_by(&allowed)
    }

    #[test]
    fn licence_expressions_are_understood() {
        for expression in [
            "MIT",
            "MIT OR GPL-3.0",
            "GPL-3.0 OR MIT",
            "MIT/Apache-2.0",
            "GPL-3.0 / MIT",
            "(MIT OR GPL-3.0) AND Unicode-3.0",
            "Apache-2.0 WITH LLVM-exception OR GPL-3.0",
            "MIT AND (Apache-2.0 OR GPL-3.0)",
        ] {
            assert!(satisfied(expression), "{expression}");
        }
        for expression in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "(MIT OR GPL-3.0) AND GPL-3.0",
            "",
            "MIT MIT",
            "(MIT",
        ] {
            assert!(!satisfied(expression), "{expression}");
        }
    }

    #[test]
    fn a_package_is_refused_for_its_licence_or_its_source() {
        let allowed = BTreeSet::from(["MIT".to_owned()]);
        let package = |license: Value, source: Value| json!({"name": "a", "version": "1.0.0", "license": license, "source": source});
        assert_eq!(problem(&package(json!("MIT"), json!(REGISTRY)), &allowed), None);
        assert_eq!(problem(&package(json!("MIT"), Value::Null), &allowed), None);
        assert!(
            problem(&package(json!("GPL-3.0"), json!(REGISTRY)), &allowed)
                .unwrap()
                .contains("GPL-3.0")
        );
        assert!(
            problem(&package(Value::Null, json!(REGISTRY)), &allowed)
                .unwrap()
                .contains("no licence")
        );
        assert!(
            problem(&package(json!("MIT"), json!("git+https://example.org")), &allowed)
                .unwrap()
                .contains("crates.io")
        );
    }
}
