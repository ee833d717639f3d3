//! Running the load generator.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Options;
use crate::project::Project;
use crate::{process, tools};

/// Requests to send.
pub(super) struct Load<'a> {
    pub(super) url: String,
    pub(super) body: &'a Path,
    pub(super) options: &'a Options,
}

/// What was measured: requests a second, and latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Load<'_> {
    /// Posts for some seconds; an answer other than 201 is an error.
    pub(super) fn run(&self, project: &Project, seconds: u64) -> Result<Figures> {
        let mut command = Command::new(tools::node(project));
        command
            .current_dir(&project.root)
            .arg(project.root.join("xtask/assets/load.mjs"))
            .arg(&self.url);
        command
            .arg(self.body)
            .args([seconds.to_string(), self.options.connections.to_string()]);
        figures(&process::output(&mut command)?).with_context(|| format!("the load on {} failed", self.url))
    }
}

fn figures(report: &str) -> Result<Figures> {
    let report: Value =
        serde_json::from_str(report).context("the load generator wrote something that is not JSON")?;
    let statuses = report
        .get("statuses")
        .and_then(Value::as_object)
        .context("no statuses")?;
    let errors = report
        .get("errors")
        .and_then(Value::as_u64)
        .context("no count of errors")?;
    if statuses.is_empty() || statuses.keys().any(|status| status != "201") || errors > 0 {
        bail!("not every answer was 201: {statuses:?}, connection errors: {errors}");
    }
    let number = |member: &str| {
        report
            .get(member)
            .and_then(Value::as_f64)
            .with_context(|| format!("the report has no {member}"))
    };
    Ok(Figures {
        per_second: number("per_second")?,
        p50: number("p50_ms")?,
        p99: number("p99_ms")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: &str, errors: u32) -> String {
        format!(
            r#"{{"per_second":10.5,"p50_ms":1,"p99_ms":2.5,"statuses":{{"{status}":3}},"errors":{errors}}}"#
        )
    }

    #[test]
    fn figures_are_read_from_the_report() {
        assert_eq!(
            figures(&report("201", 0)).unwrap(),
            Figures {
                per_second: 10.5,
                p50: 1.0,
                p99: 2.5
            }
        );
    }

    #[test]
    fn answers_other_than_201_are_no_measurement() {
        assert!(
            figures(&report("400", 0))
                .unwrap_err()
                .to_string()
                .contains("400")
        );
        assert!(
            figures(&report("201", 1))
                .unwrap_err()
                .to_string()
                .contains("errors: 1")
        );
        assert!(figures("{}").is_err());
    }
}
