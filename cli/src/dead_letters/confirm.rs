//! Asking before something is done.

use std::io::{self, BufRead, IsTerminal as _, Write};

use anyhow::{Result, bail};

/// Asks on the terminal; anything but yes means no.
///
/// # Errors
/// Where there is no terminal to ask on.
pub(super) fn confirm(question: &str, log: &mut dyn Write) -> Result<bool> {
    let input = io::stdin();
    let is_terminal = input.is_terminal();
    ask(question, &mut input.lock(), is_terminal, log)
}

fn ask(question: &str, input: &mut dyn BufRead, is_terminal: bool, log: &mut dyn Write) -> Result<bool> {
    if !is_terminal {
        bail!("{question} There is no terminal to ask on: add --yes");
    }
    write!(log, "{question} [y/N] ")?;
    log.flush()?;
    let mut answer = String::new();
    input.read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_lowercase().as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_yes_is_yes_and_nobody_is_asked_without_a_terminal() {
        for (answer, expected) in [
            ("y\n", true),
            ("YES\n", true),
            ("\n", false),
            ("", false),
            ("no\n", false),
            ("yet\n", false),
        ] {
            let mut log = Vec::new();
            let said = ask("drop 2?", &mut answer.as_bytes(), true, &mut log).unwrap();
            assert_eq!(said, expected, "{answer:?}");
            assert_eq!(log, b"drop 2? [y/N] ");
        }
        let error = ask("drop 2?", &mut "y\n".as_bytes(), false, &mut Vec::new()).unwrap_err();
        assert!(error.to_string().contains("add --yes"), "{error}");
    }
}
