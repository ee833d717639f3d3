//! `eventstar schema publish`: a repository, checked whole, compared with what is published, and sent in batches.

use std::collections::HashSet;
use std::io::Write;
use std::path::PathBuf;

use anyhow::{Result, bail};
use clap::Args;
use eventstar_validation::Schema;

use crate::admin::stored_bytes;
use crate::http::one_line;
use crate::place::place_in;
use crate::progress::Progress;
use crate::target::Target;
use crate::{SchemaRepository, SchemaVersion};

/// Most bytes a schema may take in all its forms: the registry's limit, less what it stores beside them.
const MAX_SCHEMA_BYTES: usize = 1_899_000;

/// How many lines of a list are shown before the rest is only counted.
const MAX_LISTED: usize = 20;

/// Publishes every materialized version below DIR. Published versions never change.
#[derive(Debug, Args)]
#[command(after_help = "\
Everything is checked before anything is sent: that each file can be read, compiled and stored, and that no published version
would change. Then the versions that are new are published, in batches. After an interruption the same command goes on where it stopped.

Examples:
  eventstar schema publish --to https://events.example.org --repository primary schemas/jsonschema
  eventstar schema publish --profile production --repository primary --dry-run schemas/jsonschema")]
pub(crate) struct SchemaPublish {
    #[command(flatten)]
    target: Target,
    /// Name of the repository on the server.
    #[arg(long, value_name = "NAME")]
    repository: String,
    /// Only show what would be published.
    #[arg(long)]
    dry_run: bool,
    /// Base folder of the schema repository, such as `jsonschema`.
    dir: PathBuf,
}

impl SchemaPublish {
    /// Writes what changes to `out`, warnings and progress to `log`.
    pub(crate) fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<()> {
        let schemas = SchemaRepository::read(&self.dir)?;
        for warning in schemas.warnings() {
            writeln!(log, "warning: {warning}")?;
        }
        let schemas = schemas.schemas();
        check(schemas)?;
        let admin = self.target.admin()?;
        let name = &self.repository;
        let total = schemas.len();
        let mut progress = Progress::new(log, "comparing");
        let plan = admin.plan_schemas(name, schemas, &mut |done| progress.show(done, total))?;
        if !plan.conflicting.is_empty() {
            let files = schemas
                .iter()
                .filter(|schema| plan.conflicting.contains(&schema.uri()));
            let files = files.map(|schema| format!("{}: {}", schema.path.display(), schema.uri()));
            bail!(
                "published versions never change, but these are published with other content: publish the changes under new versions\n{}",
                list(files, "  ")
            );
        }
        if !plan.new.is_empty() {
            writeln!(out, "{}", list(plan.new.iter().map(|uri| one_line(uri)), "+ "))?;
        }
        if self.dry_run {
            writeln!(
                out,
                "{name}: {} new, {} unchanged; nothing was published",
                plan.new.len(),
                plan.unchanged
            )?;
            return Ok(());
        }
        let new: HashSet<&str> = plan.new.iter().map(String::as_str).collect();
        let new: Vec<SchemaVersion> = schemas
            .iter()
            .filter(|schema| new.contains(schema.uri().as_str()))
            .cloned()
            .collect();
        let mut sent = 0;
        let mut progress = Progress::new(log, "publishing");
        let published = admin.publish_schemas(name, &new, &mut |done| {
            sent = done;
            progress.show(done, new.len());
        });
        match published {
            Ok(sum) => {
                let unchanged = plan.unchanged as u64 + sum.unchanged;
                writeln!(out, "{name}: {} published, {unchanged} unchanged", sum.published)?;
                if sum.is_kv_behind {
                    writeln!(
                        log,
                        "warning: the edge's key-value store does not have all of them yet; run the command again in a moment"
                    )?;
                }
                Ok(())
            }
            Err(error) => Err(error.context(format!(
                "{sent} of {} schemas are published: run the command again for the rest",
                new.len()
            ))),
        }
    }
}

/// Measures and compiles all schemas as the registry does; all that it would refuse are named at once.
fn check(schemas: &[SchemaVersion]) -> Result<()> {
    let refused: Vec<String> = schemas
        .iter()
        .filter_map(|schema| {
            let bytes = stored_bytes(schema);
            if bytes > MAX_SCHEMA_BYTES {
                let shown = schema.path.display();
                return Some(format!(
                    "{shown}: takes {bytes} bytes, more than the {MAX_SCHEMA_BYTES} that can be stored: split it"
                ));
            }
            let error = Schema::compile(&schema.json).err()?;
            let place = place_in(&schema.path, &error.pointer);
            Some(format!("{place}: {error}"))
        })
        .collect();
    if !refused.is_empty() {
        bail!(
            "schemas that cannot be used:\n{}",
            list(refused.into_iter(), "  ")
        );
    }
    Ok(())
}

fn list(items: impl Iterator<Item = String>, before: &str) -> String {
    let mut lines: Vec<String> = items.map(|item| format!("{before}{item}")).collect();
    let more = lines.len().saturating_sub(MAX_LISTED);
    lines.truncate(MAX_LISTED);
    if more > 0 {
        lines.push(format!("{before}… and {more} more"));
    }
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;
    use crate::fake;

    fn repository(dir: &Path, versions: usize) {
        fs::create_dir_all(dir.join("a")).unwrap();
        for minor in 0..versions {
            let text = format!("title: a\n$id: /a/1.{minor}.0\n");
            fs::write(dir.join(format!("a/1.{minor}.0.yaml")), text).unwrap();
        }
    }

    fn run(target: &Target, dir: &Path, dry_run: bool) -> (Result<String>, String) {
        let command = SchemaPublish {
            target: Target::at(target.url(), "root"),
            repository: "one".to_owned(),
            dry_run,
            dir: dir.to_owned(),
        };
        let (mut out, mut log) = (Vec::new(), Vec::new());
        let done = command.run(&mut out, &mut log);
        let out = String::from_utf8(out).unwrap();
        (done.map(|()| out), String::from_utf8(log).unwrap())
    }

    #[test]
    fn what_changes_is_shown_and_only_what_is_new_is_sent() {
        let dir = tempfile::tempdir().unwrap();
        let (target, state) = fake::start();
        repository(dir.path(), 1);
        let (dry, _) = run(&target, dir.path(), true);
        assert_eq!(
            dry.unwrap(),
            "+ /a/1.0.0\none: 1 new, 0 unchanged; nothing was published\n"
        );
        assert!(state.lock().unwrap().schemas.is_empty());
        let (first, _) = run(&target, dir.path(), false);
        assert_eq!(first.unwrap(), "+ /a/1.0.0\none: 1 published, 0 unchanged\n");
        let (again, _) = run(&target, dir.path(), false);
        assert_eq!(again.unwrap(), "one: 0 published, 1 unchanged\n");
        assert_eq!(
            state.lock().unwrap().requests.len(),
            4,
            "nothing new, nothing sent"
        );
    }

    #[test]
    fn a_publish_that_has_not_reached_the_edge_says_so() {
        let dir = tempfile::tempdir().unwrap();
        let (target, state) = fake::start();
        repository(dir.path(), 1);
        state.lock().unwrap().is_kv_behind = true;
        let (done, log) = run(&target, dir.path(), false);
        assert!(done.unwrap().contains("1 published"));
        assert!(log.contains("warning: the edge's key-value store"), "{log}");
    }

    #[test]
    fn an_interrupted_publish_goes_on_where_it_stopped() {
        let dir = tempfile::tempdir().unwrap();
        let (target, state) = fake::start();
        repository(dir.path(), 230);
        // Three comparisons and one batch.
        state.lock().unwrap().answers_left = Some(4);
        let (interrupted, _) = run(&target, dir.path(), false);
        let error = format!("{:#}", interrupted.unwrap_err());
        assert!(
            error.starts_with("100 of 230 schemas are published: run the command again"),
            "{error}"
        );
        state.lock().unwrap().answers_left = None;
        let (done, log) = run(&target, dir.path(), false);
        assert!(
            done.unwrap()
                .ends_with("… and 110 more\none: 130 published, 100 unchanged\n")
        );
        assert!(
            ["publishing: 130 of 130", "130/130"]
                .iter()
                .any(|end| log.contains(end)),
            "{log}"
        );
    }

    #[test]
    fn nothing_is_sent_when_a_version_would_change_or_cannot_be_used() {
        let dir = tempfile::tempdir().unwrap();
        let (target, state) = fake::start();
        repository(dir.path(), 1);
        run(&target, dir.path(), false).0.unwrap();
        fs::write(
            dir.path().join("a/1.0.0.yaml"),
            "title: a\n$id: /a/1.0.0\ntype: object\n",
        )
        .unwrap();
        fs::write(dir.path().join("a/1.1.0.yaml"), "title: a\n$id: /a/1.1.0\n").unwrap();
        let error = run(&target, dir.path(), false).0.unwrap_err().to_string();
        assert!(
            error.contains("a/1.0.0.yaml: /a/1.0.0") && !error.contains("1.1.0"),
            "{error}"
        );
        fs::write(
            dir.path().join("a/1.1.0.yaml"),
            "title: a\nproperties:\n  b:\n    type: strnig\n",
        )
        .unwrap();
        let error = run(&target, dir.path(), false).0.unwrap_err().to_string();
        assert!(error.contains("a/1.1.0.yaml:4: at /properties/b/type"), "{error}");
        let state = state.lock().unwrap();
        assert_eq!((state.schemas.len(), state.requests.len()), (1, 3));
    }
}
