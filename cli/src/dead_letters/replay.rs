//! Replaying letters.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Result;

use super::Replay;
use super::client::{Became, Client, Letter, Outcome};
use crate::http::one_line;
use crate::progress::Progress;

/// Most letters of a request: the route's own limit.
const MAX_BATCH: usize = 20;

/// Most bytes of letters in one request, well below the route's 10 MiB: one letter may go beyond.
const MAX_BATCH_BYTES: usize = 4 * 1024 * 1024;

/// What became of letters.
#[derive(Default)]
struct Tally {
    delivered: usize,
    refused: usize,
    later: usize,
}

impl Replay {
    pub(super) fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let chosen = &self.chosen;
        let admin = self.target.admin()?;
        let client = Client::new(&admin, &chosen.filters.topic);
        let open = chosen.open(&client)?;
        let is_trial = chosen.dry_run && client.are_errors() && !open.is_empty();
        if !is_trial && !chosen.is_confirmed("replay", &open, out, log)? {
            return Ok(chosen.undone(&open));
        }
        let (mut tally, mut batch, mut bytes, mut done) = (Tally::default(), Vec::new(), 0, 0);
        let mut progress = Progress::new(log, if is_trial { "trying" } else { "replaying" });
        let mut send = |batch: &mut Vec<Letter>| {
            done += batch.len();
            let goes_on = tally.replay(&client, batch, is_trial, out)?;
            batch.clear();
            progress.show(done, open.len());
            Ok::<_, anyhow::Error>(goes_on)
        };
        let mut goes_on = true;
        client.letters(&chosen.filters, &open, &mut |letter| {
            bytes += letter.line.len();
            batch.push(letter);
            if batch.len() == MAX_BATCH || bytes >= MAX_BATCH_BYTES {
                bytes = 0;
                goes_on = send(&mut batch)?;
            }
            Ok(goes_on)
        })?;
        if goes_on && !batch.is_empty() {
            send(&mut batch)?;
        }
        tally.end(open.len(), is_trial, out)
    }
}

impl Tally {
    /// Replays letters and marks those that are delivered; tells whether to go on, which makes no sense where a sink is down.
    fn replay(
        &mut self,
        client: &Client<'_>,
        letters: &[Letter],
        is_trial: bool,
        out: &mut dyn Write,
    ) -> Result<bool> {
        let outcomes = if client.are_errors() {
            let each = letters.iter().map(|letter| client.produce(letter, is_trial));
            each.collect::<Result<Vec<Outcome>>>()?
        } else {
            client.redeliver(letters)?
        };
        if !is_trial {
            let delivered = outcomes
                .iter()
                .filter(|outcome| outcome.outcome == Became::Delivered);
            client.settle(
                delivered.map(|outcome| (outcome.offset, outcome.id.as_str())),
                "replayed",
            )?;
        }
        for Outcome {
            offset,
            id,
            outcome,
            reason,
        } in &outcomes
        {
            let (count, word) = match outcome {
                Became::Delivered => (&mut self.delivered, None),
                Became::Refused => (&mut self.refused, Some("refused")),
                Became::Later => (&mut self.later, Some("later")),
            };
            *count += 1;
            if let Some(word) = word {
                writeln!(
                    out,
                    "{offset:>8}  {}  {word}: {}",
                    one_line(id),
                    one_line(reason.as_deref().unwrap_or("no reason told"))
                )?;
            }
        }
        Ok(outcomes.iter().any(|outcome| outcome.outcome != Became::Later))
    }

    fn end(&self, total: usize, is_trial: bool, out: &mut dyn Write) -> Result<ExitCode> {
        let Self {
            delivered,
            refused,
            later,
        } = self;
        let done = if is_trial { "would be accepted" } else { "replayed" };
        write!(
            out,
            "{delivered} of {total} {done}, {refused} refused, {later} to be tried again"
        )?;
        let untried = total - delivered - refused - later;
        match untried {
            0 => writeln!(out)?,
            _ => writeln!(out, ", {untried} not tried, as those before them have to wait")?,
        }
        Ok(if *delivered == total {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}
