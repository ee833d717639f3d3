//! The difference between a stage's file and its deployment, in words.

use std::collections::BTreeMap;
use std::io::{self, BufRead, IsTerminal as _, Write as _};

use anyhow::{Result, bail};

/// All that a worker is given, but its code and its secrets: a name and a value for each.
pub(super) type Description = BTreeMap<String, String>;

pub(super) fn binding(name: &str) -> String {
    format!("binding {name}")
}

pub(super) fn kv(title: &str) -> String {
    format!("KV namespace {title}")
}

pub(super) fn queue(name: &str) -> String {
    format!("queue {name}")
}

pub(super) fn durable_object(class: &str, script: &str) -> String {
    format!("{class} of {script}")
}

pub(super) fn consumer(
    batch_size: Option<i64>,
    wait_ms: Option<i64>,
    retries: Option<i64>,
    dead_letters: Option<&str>,
) -> String {
    let shown = |number: Option<i64>| number.map_or("default".to_owned(), |number| number.to_string());
    let mut line = format!(
        "{} messages or {} ms, {} retries",
        shown(batch_size),
        shown(wait_ms),
        shown(retries)
    );
    if let Some(queue) = dead_letters {
        line.push_str(&format!(", then {queue}"));
    }
    line
}

/// A line for each difference: `+` is new, `~` another value, `-` goes.
pub(super) fn changes(before: &Description, after: &Description) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, value) in after {
        match before.get(name) {
            None => lines.push(format!("+ {name}: {value}")),
            Some(old) if old != value => lines.push(format!("~ {name}: {old} -> {value}")),
            Some(_) => {}
        }
    }
    let gone = before.iter().filter(|(name, _)| !after.contains_key(*name));
    lines.extend(gone.map(|(name, value)| format!("- {name}: {value}")));
    lines
}

/// Asks on the terminal for exactly this answer.
pub(super) fn ask(question: &str, answer: &str, otherwise: &str) -> Result<()> {
    if !io::stdin().is_terminal() {
        bail!(
            "nothing was changed: there is no terminal to ask on. Read the lines above, and run the command again with {otherwise}"
        );
    }
    answered(question, answer, &mut io::stdin().lock())
}

fn answered(question: &str, answer: &str, input: &mut impl BufRead) -> Result<()> {
    print!("\n{question} ");
    io::stdout().flush()?;
    let mut line = String::new();
    input.read_line(&mut line)?;
    if line.trim() != answer {
        bail!("nothing was changed");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn description(members: &[(&str, &str)]) -> Description {
        members
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn each_difference_is_a_line() {
        let before = description(&[("a", "1"), ("b", "2"), ("c", "3")]);
        let after = description(&[("a", "1"), ("b", "x"), ("d", "4")]);
        assert_eq!(changes(&before, &after), ["~ b: 2 -> x", "+ d: 4", "- c: 3"]);
        assert!(changes(&after, &after).is_empty());
    }

    #[test]
    fn only_the_whole_answer_counts() {
        assert!(answered("?", "yes", &mut &b"yes\n"[..]).is_ok());
        for other in ["\n", "", "y\n", "no\n", "YES\n"] {
            let error = answered("?", "yes", &mut other.as_bytes())
                .unwrap_err()
                .to_string();
            assert_eq!(error, "nothing was changed", "{other:?}");
        }
    }
}
