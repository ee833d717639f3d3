//! `eventstar tail`: events of streams as they come.

use std::io::{self, Write};

use anyhow::Result;
use clap::Args;
use eventstar_event::time::{Millis, from_iso};
use eventstar_event::{Document, StreamName};

use crate::http::plain;
use crate::interrupt;
use crate::relay::{Next, Relay, Select, Wanted, go_on, last_id, stream, time};
use crate::target::Deployment;

/// Shows events of streams as they come, from the next one on or from a time.
#[derive(Debug, Args)]
#[command(after_help = "\
Each event is a line: its time, its stream and its JSON; with --ndjson it is the JSON alone, exactly as it was sent. A connection that
ends is opened again where it ended. Gaps, failures and, at the end, the id to go on from are told on standard error.

Examples:
  eventstar tail --to https://events.example.org test.event shop.order
  eventstar tail --to http://127.0.0.1:8787 --since=-1h --until=-0s --ndjson test.event > events.ndjson
  eventstar tail --profile production --wiki enwiki,dewiki --canary false --fields meta.dt,title mediawiki.page-change")]
pub(crate) struct Tail {
    #[command(flatten)]
    deployment: Deployment,
    #[command(flatten)]
    select: Select,
    /// Begins with events of this time: milliseconds, ISO-8601, or a time ago such as -5m.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    since: Option<Millis>,
    /// Ends before events of this time.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    until: Option<Millis>,
    /// Ends after so many events.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000_000))]
    limit: Option<u64>,
    /// Only these fields of each event, a comma list.
    #[arg(long, value_name = "FIELDS")]
    fields: Option<String>,
    /// Goes on after an id, which an earlier run said at its end.
    #[arg(long, value_name = "ID", value_parser = last_id, conflicts_with = "since")]
    from_id: Option<String>,
    /// Writes each event as it was sent, one a line, and nothing else.
    #[arg(long)]
    ndjson: bool,
    /// Names of streams.
    #[arg(required = true, value_name = "STREAM", value_parser = stream, value_delimiter = ',')]
    streams: Vec<String>,
}

impl Tail {
    /// Writes events to `out`, all else to `log`. A reader of `out` that goes away is an end like any other.
    pub(crate) fn run(self, out: &mut dyn Write, log: &mut dyn Write) -> Result<()> {
        let wanted = Wanted {
            streams: self.streams,
            select: self.select,
            since: self.since,
            until: self.until,
            limit: self.limit,
            fields: self.fields,
            from_id: self.from_id,
        };
        let mut relay = Relay::new(&self.deployment.profile()?.to, wanted)?;
        let mut done = None;
        let ended = show(&mut relay, self.ndjson, &mut done, out, log);
        if let Some(id) = done {
            writeln!(log, "{}", go_on(&id))?;
        }
        ended
    }
}

/// Shows all events; `done` is the id after those that were written.
fn show(
    relay: &mut Relay,
    ndjson: bool,
    done: &mut Option<String>,
    out: &mut dyn Write,
    log: &mut dyn Write,
) -> Result<()> {
    while let Some(next) = relay.next(log)? {
        let id = match next {
            Next::Position(id) => id,
            Next::Event { data, id } => {
                let line = if ndjson { data } else { pretty(&data) };
                match writeln!(out, "{line}").and_then(|()| out.flush()) {
                    Err(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
                    written => written?,
                }
                id
            }
        };
        interrupt::says(go_on(&id));
        *done = Some(id);
    }
    Ok(())
}

/// Time, stream and text of an event; `-` for what it does not have. Both are repeated only where they are what they should
/// be, since a terminal obeys some texts.
fn pretty(data: &str) -> String {
    let Ok(event) = Document::parse(data) else {
        return plain(data);
    };
    let time = event
        .get_str(&["meta", "dt"])
        .filter(|time| from_iso(time).is_some() && !time.contains(char::is_control));
    let stream = event
        .get_str(&["meta", "stream"])
        .filter(|stream| StreamName::parse(stream).is_ok());
    format!(
        "{} {} {}",
        time.as_deref().unwrap_or("-"),
        stream.as_deref().unwrap_or("-"),
        plain(&event.text())
    )
}

#[cfg(test)]
mod tests;
