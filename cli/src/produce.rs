//! `eventstar produce`: a file of events, posted to intake.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use eventstar_event::json::{mend_surrogates, quote, split_body};
use eventstar_event::{Document, MAX_EVENT_BYTES, id_of};

use crate::intake::{Intake, MAX_BATCH, MAX_BATCH_BYTES, Mode};
use crate::interrupt;
use crate::progress::Progress;
use crate::target::{Deployment, PRODUCER_TOKEN};
use crate::validate::unreadable;

/// Longest line that is read: an event of the largest size, generously indented.
const MAX_LINE_BYTES: usize = 8 * 1024 * 1024;

/// Posts events to intake, one JSON object a line, in their order.
#[derive(Debug, Args)]
#[command(after_help = "\
Each refused event is one line: FILE:LINE: code: /pointer: message. The exit code is 1 when there is one. What could not be stored now is
sent again. An event without `meta.id` is given one, made from --run and the number of its line, so that sending it again does not store
it twice. An interruption says with which --from-line and --run to go on.

Examples:
  eventstar produce --to https://events.example.org events.ndjson
  eventstar produce --profile production --rejected rejected.ndjson events.ndjson
  eventstar produce --to http://127.0.0.1:8787 --dry-run events.ndjson
  eventstar produce --to http://127.0.0.1:8787 --from-line 4001 --run 0b8f7c1e events.ndjson")]
pub(crate) struct Produce {
    #[command(flatten)]
    deployment: Deployment,
    /// Producer token; without it that of the profile, else that of the environment (EVENTSTAR_PRODUCER_TOKEN).
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Intake answers before it checks anything; what it refuses is seen in its error stream only.
    #[arg(long, conflicts_with_all = ["dry_run", "rejected"])]
    hasty: bool,
    /// Asks intake what would become of the events; nothing is stored.
    #[arg(long)]
    dry_run: bool,
    /// Appends the lines of refused events to a file, as they are.
    #[arg(long, value_name = "FILE")]
    rejected: Option<PathBuf>,
    /// Begins with this line.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    from_line: u64,
    /// Name of the run that is gone on with; a new one without it.
    #[arg(long, value_name = "ID")]
    run: Option<String>,
    /// File of events; `-` is standard input.
    file: PathBuf,
}

/// A line that can be sent.
struct Pending {
    number: u64,
    /// The event as it is sent.
    event: String,
    /// The line as it was read.
    line: Vec<u8>,
}

#[derive(Default)]
struct Counts {
    events: usize,
    refused: usize,
}

impl Produce {
    /// Writes a line for each refused event to `out`, progress and the sum to `log`.
    pub(crate) fn run(&self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let mode = match (self.hasty, self.dry_run) {
            (true, _) => Mode::Hasty,
            (_, true) => Mode::DryRun,
            _ => Mode::Guaranteed,
        };
        let profile = self.deployment.profile()?;
        let token = producer_token(self.token.as_deref(), profile.producer_token);
        let intake = Intake::new(&profile.to, token.as_deref(), mode)?;
        let input = Lines::open(&self.file, self.from_line)?;
        let rejected = match &self.rejected {
            None => None,
            Some(file) => {
                let opened = OpenOptions::new().create(true).append(true).open(file);
                Some(opened.with_context(|| format!("{}: cannot be written", file.display()))?)
            }
        };
        let mut run = Run {
            name: input.name.clone(),
            id: match &self.run {
                Some(run) => run.clone(),
                None => uuid::Uuid::new_v4().simple().to_string(),
            },
            intake,
            rejected,
            batch: Vec::new(),
            batch_bytes: 0,
            next: self.from_line,
            counts: Counts::default(),
            progress: Progress::new(log, if self.dry_run { "checking" } else { "producing" }),
        };
        let done = run.all(input, out);
        run.progress.end();
        let Counts { events, refused } = run.counts;
        let go_on = run.go_on();
        done.with_context(|| go_on)?;
        let accepted = events - refused;
        match mode {
            Mode::Guaranteed => writeln!(log, "{events} events: {accepted} accepted, {refused} refused")?,
            Mode::Hasty => writeln!(log, "{events} events: {accepted} sent, {refused} refused")?,
            Mode::DryRun => writeln!(
                log,
                "{events} events: {accepted} would be accepted, {refused} refused; nothing was stored"
            )?,
        }
        Ok(if refused == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

/// The token to produce with: what the command line names, else the profile's, else that of the environment.
pub(crate) fn producer_token(named: Option<&str>, of_profile: Option<String>) -> Option<String> {
    let named = named.map(str::to_owned).or(of_profile);
    named.or_else(|| {
        std::env::var(PRODUCER_TOKEN)
            .ok()
            .filter(|token| !token.is_empty())
    })
}

/// One run through a file.
struct Run<'l> {
    name: String,
    id: String,
    intake: Intake,
    rejected: Option<File>,
    batch: Vec<Pending>,
    batch_bytes: usize,
    /// The line to go on from.
    next: u64,
    counts: Counts,
    progress: Progress<'l>,
}

impl Run<'_> {
    fn go_on(&self) -> String {
        let Self { name, next, id, .. } = self;
        format!("{name}: not done from line {next} on: go on with --from-line {next} --run {id}")
    }

    fn all(&mut self, mut input: Lines, out: &mut dyn Write) -> Result<()> {
        interrupt::says(self.go_on());
        while let Some((number, line)) = input.next()? {
            let read = match &line {
                Line::TooLong => Err(format!(
                    "the line has more than {MAX_LINE_BYTES} bytes: put one event on a line, of at most {MAX_EVENT_BYTES} bytes"
                )),
                Line::Text(text) if text.trim_ascii().is_empty() => continue,
                Line::Text(text) => event(text, &self.id, number),
            };
            let line = match line {
                Line::Text(text) => text,
                Line::TooLong => Vec::new(),
            };
            match read {
                Ok(event) => {
                    if self.batch.len() >= MAX_BATCH || self.batch_bytes + event.len() > MAX_BATCH_BYTES {
                        self.send(number, out)?;
                    }
                    self.batch_bytes += event.len() + 1;
                    self.batch.push(Pending { number, event, line });
                }
                Err(why) => {
                    // What comes before it is told first, and done when an interruption says that this line is.
                    self.send(number, out)?;
                    self.counts.events += 1;
                    self.refuse(number, &line, &why, out)?;
                    self.next = number + 1;
                }
            }
            if input.may_block() {
                self.send(number + 1, out)?;
            }
        }
        self.send(input.number + 1, out)
    }

    /// Sends the batch; `next` is the line after it.
    fn send(&mut self, next: u64, out: &mut dyn Write) -> Result<()> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let events: Vec<&str> = self.batch.iter().map(|pending| pending.event.as_str()).collect();
        let refusals = self.intake.post(&events, &mut self.progress)?;
        self.counts.events += self.batch.len();
        self.batch_bytes = 0;
        for (pending, refusal) in std::mem::take(&mut self.batch).iter().zip(refusals) {
            if let Some(refusal) = refusal {
                self.refuse(pending.number, &pending.line, &refusal.0, out)?;
            }
        }
        self.next = next;
        interrupt::says(self.go_on());
        self.progress.count(self.counts.events);
        Ok(())
    }

    fn refuse(&mut self, number: u64, line: &[u8], why: &str, out: &mut dyn Write) -> Result<()> {
        self.counts.refused += 1;
        writeln!(out, "{}:{number}: {why}", self.name)?;
        if let Some(file) = &mut self.rejected {
            let line = line.trim_ascii_end();
            if !line.is_empty() {
                file.write_all(&[line, b"\n"].concat())
                    .context("the refused event cannot be written")?;
            }
        }
        Ok(())
    }
}

/// The event of a line as it is sent: compact, and with a `meta.id` that the same line of the same run has again.
fn event(line: &[u8], run: &str, number: u64) -> Result<String, String> {
    let mut mended = line.to_vec();
    mend_surrogates(&mut mended);
    let raw = match split_body(&mended)
        .map_err(|error| unreadable(&error))?
        .as_slice()
    {
        [raw] if line.trim_ascii_start().starts_with(b"{") => *raw,
        [] => return Err("an object without members is no event: set $schema".to_owned()),
        _ => return Err("expected one JSON object a line, not an array".to_owned()),
    };
    let mut event = Document::parse(raw).map_err(|error| unreadable(&error))?;
    event.add(&["meta", "id"], || quote(&id_of(run, &number.to_string())));
    let event = event.into_string();
    if event.len() > MAX_EVENT_BYTES {
        return Err(format!(
            "the event has {} bytes, more than the {MAX_EVENT_BYTES} that are accepted: make it smaller",
            event.len()
        ));
    }
    Ok(event)
}

enum Line {
    Text(Vec<u8>),
    /// Longer than [`MAX_LINE_BYTES`]; it was passed over.
    TooLong,
}

/// The lines of a file, one after another.
struct Lines {
    name: String,
    input: BufReader<Box<dyn Read>>,
    is_live: bool,
    /// The number of the line that was read last.
    number: u64,
    from: u64,
}

impl Lines {
    fn open(file: &Path, from: u64) -> Result<Self> {
        let is_live = file == Path::new("-");
        let name = file.display().to_string();
        let input: Box<dyn Read> = if is_live {
            Box::new(io::stdin())
        } else {
            Box::new(File::open(file).with_context(|| format!("{name}: cannot be read"))?)
        };
        Ok(Self {
            name,
            input: BufReader::with_capacity(MAX_LINE_BYTES / 8, input),
            is_live,
            number: 0,
            from,
        })
    }

    /// Whether the next line may be long in coming: until then, what is there should not wait.
    fn may_block(&self) -> bool {
        self.is_live && self.input.buffer().is_empty()
    }

    fn next(&mut self) -> Result<Option<(u64, Line)>> {
        let name = &self.name;
        loop {
            let number = self.number + 1;
            let failed = || format!("{name}:{number}: cannot be read");
            let mut line = Vec::new();
            let most = MAX_LINE_BYTES as u64 + 1;
            let mut limited = self.input.by_ref().take(most);
            if limited.read_until(b'\n', &mut line).with_context(failed)? == 0 {
                return Ok(None);
            }
            let too_long = line.len() > MAX_LINE_BYTES && !line.ends_with(b"\n");
            if too_long {
                self.input.skip_until(b'\n').with_context(failed)?;
            }
            self.number = number;
            if number >= self.from {
                let line = if too_long { Line::TooLong } else { Line::Text(line) };
                return Ok(Some((number, line)));
            }
        }
    }
}

#[cfg(test)]
mod tests;
