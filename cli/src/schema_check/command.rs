//! The command line of `eventstar schema check`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{Compatibility, Format, Status, check_schemas};
use crate::remote::{RemoteOptions, RemoteSchemas};
use crate::schema::NEEDS_MATERIALIZING;

/// Checks the schema repository in DIR: its files, its schemas, whether versions are compatible, and whether the current
/// ones are materialized.
///
/// Exits with 0 where all is well, 4 where materializing mends all that is wrong, 1 otherwise.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  eventstar schema check schemas-event-primary
  eventstar schema check --policy full --format github schemas-event-primary")]
pub(crate) struct SchemaCheck {
    /// Which events must stay good within a major version.
    #[arg(long, value_enum, default_value = "backward")]
    policy: Compatibility,
    /// How to write the report.
    #[arg(long, value_enum, default_value = "human")]
    format: Format,
    #[command(flatten)]
    remote: RemoteOptions,
    /// The folder of `.jsonschema-tools.yaml`, or the base folder of the schemas.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl SchemaCheck {
    /// Writes the report to `out`, warnings to `log`.
    pub(crate) fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let remote = RemoteSchemas::new(&self.remote);
        let report = check_schemas(&self.dir, self.policy, &remote);
        remote.show_warnings(log)?;
        let report = report?;
        report.write(self.format, out)?;
        Ok(match report.status {
            Status::Ok => ExitCode::SUCCESS,
            Status::NeedsMaterializing => ExitCode::from(NEEDS_MATERIALIZING),
            Status::Failed => ExitCode::FAILURE,
        })
    }
}
