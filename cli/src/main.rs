//! The `eventstar` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match eventstar_cli::Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
