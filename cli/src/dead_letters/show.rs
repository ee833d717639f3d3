//! Letters as text.

use std::collections::{BTreeSet, HashMap};
use std::io::Write;

use anyhow::Result;
use serde_json::{Value, json};

use super::client::{Letter, Summary};
use crate::http::{one_line, plain};

/// Like failures.
struct Group<'l> {
    count: usize,
    first: &'l str,
    last: &'l Summary,
    schemas: BTreeSet<&'l str>,
}

/// Writes a line for each kind of failure, the most frequent first.
pub(super) fn groups(out: &mut dyn Write, letters: &[Summary], is_json: bool) -> Result<()> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut places = HashMap::new();
    for letter in letters {
        let place = *places.entry(letter.fingerprint.as_str()).or_insert(groups.len());
        if place == groups.len() {
            groups.push(Group {
                count: 0,
                first: &letter.dt,
                last: letter,
                schemas: BTreeSet::new(),
            });
        }
        let Some(group) = groups.get_mut(place) else {
            continue;
        };
        group.count += 1;
        group.first = group.first.min(&letter.dt);
        group.schemas.extend(letter.schema_uri.as_deref());
        if letter.dt >= group.last.dt {
            group.last = letter;
        }
    }
    groups.sort_by_key(|group| std::cmp::Reverse(group.count));
    for Group {
        count,
        first,
        last,
        schemas,
    } in groups
    {
        if is_json {
            let line = json!({
                "fingerprint": last.fingerprint, "count": count, "first": first, "last": last.dt, "stream": last.stream,
                "schemas": schemas, "reason": last.reason,
            });
            writeln!(out, "{line}")?;
            continue;
        }
        let others = match schemas.len() {
            0 | 1 => String::new(),
            more => format!(" and {} more", more - 1),
        };
        writeln!(
            out,
            "{count:>6}  {}  {}  {}  {}  {}{others}  {}",
            one_line(&last.fingerprint),
            one_line(first),
            one_line(&last.dt),
            or_none(&last.stream),
            or_none(&last.schema_uri),
            one_line(&last.reason)
        )?;
    }
    Ok(())
}

/// Writes a line for each letter.
pub(super) fn each(out: &mut dyn Write, letters: &[Summary]) -> Result<()> {
    for letter in letters {
        writeln!(
            out,
            "{:>8}  {}  {}  {}  {}  {}",
            letter.offset,
            one_line(&letter.dt),
            one_line(&letter.fingerprint),
            or_none(&letter.stream),
            or_none(&letter.schema_uri),
            one_line(&letter.reason)
        )?;
    }
    Ok(())
}

/// Writes a letter with its event, or only the event as it is.
pub(super) fn letter(out: &mut dyn Write, letter: &Letter, is_raw: bool) -> Result<()> {
    let raw = letter.raw_event.as_deref().or(letter.raw_message.as_deref());
    let raw = raw.unwrap_or_default();
    if is_raw {
        writeln!(out, "{raw}")?;
        return Ok(());
    }
    let summary = &letter.summary;
    let sinks = (!letter.sinks.is_empty()).then(|| letter.sinks.join(", "));
    for (name, value) in [
        ("offset", Some(&summary.offset.to_string())),
        ("id", Some(&summary.id)),
        ("received", Some(&summary.dt)),
        ("fingerprint", Some(&summary.fingerprint)),
        ("stream", summary.stream.as_ref()),
        ("schema", summary.schema_uri.as_ref()),
        ("key", letter.key.as_ref()),
        ("log", letter.log.as_ref()),
        ("lacking", sinks.as_ref()),
        ("reason", Some(&summary.reason)),
    ] {
        if let Some(value) = value {
            writeln!(out, "{name:<12} {}", one_line(value))?;
        }
    }
    match serde_json::from_str::<Value>(raw) {
        Ok(event) => writeln!(out, "\n{}", plain(&serde_json::to_string_pretty(&event)?))?,
        Err(_) => writeln!(out, "\n{}", plain(raw))?,
    }
    Ok(())
}

fn or_none(text: &Option<String>) -> String {
    text.as_deref().map_or_else(|| "-".to_owned(), one_line)
}
