//! `cargo xtask costs`: what 1,000 events use of Cloudflare's platform, counted on the built workers, and what that costs a month.

mod count;
mod measure;
mod model;
mod report;

use std::fs;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};

use crate::artifacts::{self, Platform};
use crate::project::Project;

/// The prices and the assumptions.
const PARAMETERS: &str = "docs/costs.toml";

/// Has the tables, between [`BEGIN`] and [`END`].
const PAGE: &str = "docs/costs.md";

const BEGIN: &str = "<!-- The output of `cargo xtask costs` begins. -->\n";
const END: &str = "<!-- The output of `cargo xtask costs` ends. -->\n";

#[derive(Debug, clap::Args)]
pub(crate) struct Options {
    /// Prices and assumptions [default: docs/costs.toml].
    #[arg(long, value_name = "FILE")]
    parameters: Option<PathBuf>,
    /// Put the tables into docs/costs.md as well.
    #[arg(long)]
    write: bool,
    /// Build nothing: use what `cargo xtask build` has left.
    #[arg(long)]
    prebuilt: bool,
}

pub(crate) fn run(project: &Project, options: &Options) -> Result<()> {
    let path = match &options.parameters {
        Some(path) => path.clone(),
        None => project.root.join(PARAMETERS),
    };
    let text = fs::read_to_string(&path).with_context(|| format!("{} cannot be read", path.display()))?;
    let parameters: model::Parameters =
        toml::from_str(&text).with_context(|| format!("{} is not as {PARAMETERS}", path.display()))?;
    if !options.prebuilt {
        artifacts::build(project, Some(Platform::Workerd))?;
    }
    let measured = measure::measure(project)?;
    let tables = report::report(&measured, &parameters);
    print!("{tables}");
    if options.write {
        let page = project.root.join(PAGE);
        let text = fs::read_to_string(&page).with_context(|| format!("{} cannot be read", page.display()))?;
        fs::write(&page, with_tables(&text, &tables)?)
            .with_context(|| format!("{} cannot be written", page.display()))?;
    }
    Ok(())
}

/// The page with other tables.
fn with_tables(page: &str, tables: &str) -> Result<String> {
    let parts = page
        .split_once(BEGIN)
        .and_then(|(before, rest)| Some((before, rest.split_once(END)?.1)));
    let Some((before, after)) = parts else {
        bail!("{PAGE} does not say where the tables go: it needs the lines {BEGIN}and {END}");
    };
    Ok(format!("{before}{BEGIN}{tables}{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_take_the_place_of_earlier_ones() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        assert_eq!(
            with_tables(&page, "new\n").unwrap(),
            format!("a\n{BEGIN}new\n{END}b\n")
        );
        assert!(with_tables("a", "new").is_err());
    }

    #[test]
    fn the_page_has_the_tables() {
        let root = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..");
        let page = fs::read_to_string(root.join(PAGE)).unwrap();
        assert!(with_tables(&page, "").is_ok());
    }
}
