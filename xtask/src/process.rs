//! Running other programs.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::{env, io};

use anyhow::{Context as _, Result, bail};

/// Announces a step of a longer work.
pub(crate) fn step(text: &str) {
    eprintln!("==> {text}");
}

/// Runs a command with its output on ours; an exit code other than zero is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = show(command);
    let status = command.status().map_err(|error| not_started(command, error))?;
    if !status.success() {
        bail!("`{shown}` failed ({status})");
    }
    Ok(())
}

/// Runs a command and gives what it wrote to standard output; on failure the error has all it wrote.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = show(command);
    let output = capture(command)?;
    if !output.status.success() {
        bail!("`{shown}` failed ({}):\n{}", output.status, texts(&output));
    }
    String::from_utf8(output.stdout).with_context(|| format!("`{shown}` wrote something that is not UTF-8"))
}

/// Runs a command without input and gives all it did.
pub(crate) fn capture(command: &mut Command) -> Result<Output> {
    command
        .stdin(Stdio::null())
        .output()
        .map_err(|error| not_started(command, error))
}

/// Runs a command that reads a text, and gives all it did.
pub(crate) fn capture_with_input(command: &mut Command, input: &str) -> Result<Output> {
    let piped = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = piped.spawn().map_err(|error| not_started(command, error))?;
    let written = child
        .stdin
        .take()
        .map(|mut stdin| stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output()?;
    // A program that ended early says why by itself.
    if output.status.success() {
        written.transpose()?;
    }
    Ok(output)
}

/// Both output texts of a finished command.
pub(crate) fn texts(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
    text
}

/// Where a program is on PATH.
pub(crate) fn find(program: &str) -> Option<PathBuf> {
    let path = env::var_os("PATH")?;
    env::split_paths(&path)
        .map(|folder| folder.join(program))
        .find(|candidate| candidate.is_file())
}

fn show(command: &Command) -> String {
    let program = PathBuf::from(command.get_program());
    let mut shown = program
        .file_name()
        .unwrap_or(OsStr::new("?"))
        .to_string_lossy()
        .into_owned();
    for argument in command.get_args() {
        let _ = write!(shown, " {}", argument.to_string_lossy());
    }
    shown
}

fn not_started(command: &Command, error: io::Error) -> anyhow::Error {
    let program = command.get_program().to_string_lossy().into_owned();
    if error.kind() != ErrorKind::NotFound {
        return anyhow::Error::new(error).context(format!("`{program}` cannot be started"));
    }
    let fix = match program.as_str() {
        "npm" | "node" => "install Node.js 20 or later from https://nodejs.org and try again",
        "rustup" | "cargo" | "rustc" => "install Rust from https://rustup.rs and try again",
        _ => "install it and try again",
    };
    anyhow::anyhow!("`{program}` is not installed: {fix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_program_is_named_with_the_fix() {
        let error = run(&mut Command::new("no-such-program")).unwrap_err().to_string();
        assert_eq!(
            error,
            "`no-such-program` is not installed: install it and try again"
        );
        let error = not_started(&Command::new("npm"), ErrorKind::NotFound.into()).to_string();
        assert!(error.contains("https://nodejs.org"), "{error}");
    }

    #[test]
    fn a_failure_shows_the_command_and_what_it_wrote() {
        let error = output(Command::new("sh").args(["-c", "echo out; echo err >&2; exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("`sh -c echo out") && error.contains("out\nerr\n"),
            "{error}"
        );
    }
}
