//! The `eventstar` command.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    match eventstar_cli::Arguments::parse().run() {
        Ok(code) => code,
        Err(error) => {
            // A part of it may be a server's.
            eprintln!("error: {}", eventstar_cli::plain(&format!("{error:#}")));
            ExitCode::FAILURE
        }
    }
}
