//! The budget for the sizes of artefacts.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context as _, Result, bail};

use crate::artifacts::{self, kilobytes};
use crate::project::Project;

const BUDGET: &str = "xtask/size-budget.json";

/// An artefact may outgrow its budget by a twentieth before somebody has to agree to it.
const ALLOWANCE: u64 = 20;

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Take the present sizes as the new budget.
    #[arg(long)]
    update: bool,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let mut found = BTreeMap::new();
    for artifact in artifacts::build(project, None)? {
        found.insert(artifact.name.clone(), artifact.size()?.gzip);
    }
    let path = project.root.join(BUDGET);
    if options.update {
        let text = serde_json::to_string_pretty(&found)?;
        fs::write(&path, format!("{text}\n"))
            .with_context(|| format!("{} cannot be written", path.display()))?;
        println!("{BUDGET} has the present gzip sizes");
        return Ok(());
    }
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let budget: BTreeMap<String, u64> =
        serde_json::from_str(&text).with_context(|| format!("{BUDGET} is not valid"))?;
    for (name, gzip) in &found {
        let planned = budget
            .get(name)
            .map_or_else(|| "none".to_owned(), |planned| kilobytes(*planned));
        println!("{name:<28} gzip {:>12}   budget {planned:>12}", kilobytes(*gzip));
    }
    let problems = compare(&found, &budget);
    if !problems.is_empty() {
        bail!(
            "{}\nIf that is intended: cargo xtask size --update",
            problems.join("\n")
        );
    }
    println!("size: passed");
    Ok(())
}

fn compare(found: &BTreeMap<String, u64>, budget: &BTreeMap<String, u64>) -> Vec<String> {
    let mut problems = Vec::new();
    for (name, gzip) in found {
        match budget.get(name) {
            None => problems.push(format!("{name} has no budget")),
            Some(planned) if *gzip > planned + planned / ALLOWANCE => {
                problems.push(format!(
                    "{name} is {gzip} bytes, more than 5 % over its budget of {planned}"
                ));
            }
            Some(_) => {}
        }
    }
    let gone = budget.keys().filter(|name| !found.contains_key(*name));
    problems.extend(gone.map(|name| format!("{name} has a budget, but is not built")));
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(sizes: &[(&str, u64)]) -> BTreeMap<String, u64> {
        sizes
            .iter()
            .map(|(name, size)| ((*name).to_owned(), *size))
            .collect()
    }

    #[test]
    fn five_percent_over_the_budget_passes_and_one_byte_more_does_not() {
        let budget = sizes(&[("a", 1000)]);
        assert!(compare(&sizes(&[("a", 1050)]), &budget).is_empty());
        assert_eq!(compare(&sizes(&[("a", 1051)]), &budget).len(), 1);
        assert!(compare(&sizes(&[("a", 1)]), &budget).is_empty());
    }

    #[test]
    fn budget_and_artefacts_name_the_same() {
        assert_eq!(
            compare(&sizes(&[("a", 1)]), &sizes(&[("b", 1)])),
            ["a has no budget", "b has a budget, but is not built"]
        );
    }
}
