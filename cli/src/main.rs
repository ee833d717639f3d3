//! The `eventstar` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match eventstar_cli::Arguments::parse().run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
