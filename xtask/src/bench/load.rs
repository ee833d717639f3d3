//! Running the load generator.

use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

use super::Options;
use crate::process;

/// Requests to send.
pub(super) struct Load<'a> {
    pub(super) url: String,
    pub(super) body: &'a Path,
    pub(super) options: &'a Options,
}

/// What was measured: requests a second, and latencies in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Load<'_> {
    /// Posts for some seconds; an answer other than 201 is an error.
    pub(super) fn run(&self, oha: &Path, seconds: u64) -> Result<Figures> {
        let mut command = Command::new(oha);
        command.args(["--no-tui", "--output-format", "json", "--method", "POST"]);
        command.args(["-T", "application/json", "-D"]).arg(self.body);
        command
            .arg("-z")
            .arg(format!("{seconds}s"))
            .arg("-c")
            .arg(self.options.connections.to_string());
        figures(&process::output(command.arg(&self.url))?)
            .with_context(|| format!("the load on {} failed", self.url))
    }
}

fn figures(report: &str) -> Result<Figures> {
    let report: Value = serde_json::from_str(report).context("oha wrote something that is not JSON")?;
    let statuses = report
        .get("statusCodeDistribution")
        .and_then(Value::as_object)
        .context("no statuses")?;
    if statuses.is_empty() || statuses.keys().any(|status| status != "201") {
        bail!("not every answer was 201: {statuses:?}");
    }
    let number = |pointer: &str| {
        report
            .pointer(pointer)
            .and_then(Value::as_f64)
            .with_context(|| format!("the report has no {pointer}"))
    };
    Ok(Figures {
        per_second: number("/summary/requestsPerSec")?,
        p50: number("/latencyPercentiles/p50")?,
        p99: number("/latencyPercentiles/p99")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(status: &str) -> String {
        format!(
            r#"{{"summary":{{"requestsPerSec":10.5}},"latencyPercentiles":{{"p50":0.001,"p99":0.002}},
               "statusCodeDistribution":{{"{status}":3}}}}"#
        )
    }

    #[test]
    fn figures_are_read_from_the_report() {
        assert_eq!(
            figures(&report("201")).unwrap(),
            Figures {
                per_second: 10.5,
                p50: 0.001,
                p99: 0.002
            }
        );
    }

    #[test]
    fn answers_other_than_201_are_no_measurement() {
        assert!(figures(&report("400")).unwrap_err().to_string().contains("400"));
        assert!(figures("{}").is_err());
    }
}
