//! The command line of `eventstar schema check`.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;

use super::{Compatibility, Format, Status, check_schemas};

/// The exit code of a check whose problems materializing mends.
const NEEDS_MATERIALIZING: u8 = 4;

/// Checks the schema repository in DIR: its files, its schemas, and whether versions are compatible.
///
/// Exits with 0 where all is well, 4 where materializing mends what is wrong, 1 otherwise.
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
    /// The folder of `.jsonschema-tools.yaml`, or the base folder of the schemas.
    #[arg(default_value = ".")]
    dir: PathBuf,
}

impl SchemaCheck {
    /// Writes the report to `out`.
    pub(crate) fn run(&self, out: &mut dyn Write) -> Result<ExitCode> {
        let report = check_schemas(&self.dir, self.policy)?;
        report.write(self.format, out)?;
        Ok(match report.status {
            Status::Ok => ExitCode::SUCCESS,
            Status::NeedsMaterializing => ExitCode::from(NEEDS_MATERIALIZING),
            Status::Failed => ExitCode::FAILURE,
        })
    }
}
