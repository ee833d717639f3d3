//! `eventstar replay`: events of a stream, put into another stream or posted to another deployment.

use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use clap::Args;
use eventstar_event::time::{Millis, to_iso};

use crate::http::base_url;
use crate::intake::{Intake, MAX_BATCH, MAX_BATCH_BYTES, Mode};
use crate::interrupt;
use crate::produce::producer_token;
use crate::progress::Progress;
use crate::relay::{Next, Relay, Select, Wanted, go_on, last_id, now, stream, time};
use crate::replay::copied::Copied;
use crate::replay::sink::{Counts, Sink, StreamLogs};
use crate::target::{Deployment, admin};

mod copied;
mod sink;

/// Puts events of a stream into another stream of the same deployment, or posts them to another deployment.
#[derive(Debug, Args)]
#[command(after_help = "\
Into another stream, events are appended to its log as they are, but for `meta.stream`: they are not validated, and keep their time. Each has a
delivery id made from where it stood, so that replaying it again leaves it once. To a URL they are posted as the command `produce` does. The exit
code is 1 when an event was refused.

Examples:
  eventstar replay --at https://events.example.org --from test.event --since=-1d --to test.restored
  eventstar replay --profile production --from test.event --since=-1h --filter test=a* --to test.restored --dry-run
  eventstar replay --profile production --from test.event --since 2026-11-25 --to http://127.0.0.1:8787 --rate 100")]
pub(crate) struct Replay {
    /// Base URL of the deployment that is read.
    #[arg(long, value_name = "URL", required_unless_present = "profile")]
    at: Option<String>,
    /// Profile that names URL and token, in the profile file.
    #[arg(long, value_name = "NAME", conflicts_with = "at")]
    profile: Option<String>,
    /// Profile file. Default: ~/.config/eventstar/profiles.yaml.
    #[arg(long, env = "EVENTSTAR_PROFILES", value_name = "FILE")]
    profiles: Option<PathBuf>,
    /// The stream that is read.
    #[arg(long, value_name = "STREAM", value_parser = stream)]
    from: String,
    /// Another stream of the same deployment, or the base URL of another one.
    #[arg(long, value_name = "STREAM|URL")]
    to: String,
    /// Topic of the other stream; needed where it has several, none of them of the same datacenter.
    #[arg(long, value_name = "TOPIC", value_parser = stream)]
    topic: Option<String>,
    /// Admin token for another stream, producer token for another deployment; without it that of the profile or the environment.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// Begins with events of this time: milliseconds, ISO-8601, or a time ago such as -5m.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true, required_unless_present = "from_id")]
    since: Option<Millis>,
    /// Ends before events of this time; now without it.
    #[arg(long, value_name = "TIME", value_parser = time, allow_hyphen_values = true)]
    until: Option<Millis>,
    /// Goes on after an id, which an earlier run said.
    #[arg(long, value_name = "ID", value_parser = last_id, conflicts_with = "since")]
    from_id: Option<String>,
    #[command(flatten)]
    select: Select,
    /// At most so many events a second.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Only counts, and shows the first and the last.
    #[arg(long)]
    dry_run: bool,
}

impl Replay {
    /// Writes refused events and the sum to `out`, progress and what is to be known besides to `log`.
    pub(crate) fn run(self, out: &mut dyn Write, log: &mut dyn Write) -> Result<ExitCode> {
        let deployment = Deployment {
            to: self.at.clone(),
            profile: self.profile.clone(),
            profiles: self.profiles.clone(),
        };
        let profile = deployment.profile()?;
        let is_url = self.to.contains("://");
        if is_url {
            base_url(&self.to)?;
        } else if let Err(error) = stream(&self.to) {
            bail!("--to {}: {error}; a URL begins with http:// or https://", self.to);
        }
        let sink = match (self.dry_run, is_url) {
            (true, _) => Sink::Nothing,
            (false, true) => {
                let token = producer_token(self.token.as_deref(), None);
                Sink::Intake(Intake::new(&self.to, token.as_deref(), Mode::Guaranteed)?)
            }
            (false, false) => {
                let admin = admin(&profile, self.token.as_deref())?;
                Sink::Stream(StreamLogs::new(
                    admin,
                    &self.to,
                    self.topic.as_deref(),
                    &self.from,
                )?)
            }
        };
        let until = self.until.unwrap_or_else(now);
        let wanted = Wanted {
            streams: vec![self.from],
            select: self.select,
            since: self.since,
            until: Some(until),
            from_id: self.from_id.clone(),
            ..Wanted::default()
        };
        let mut run = Run {
            sink,
            until,
            rate: self.rate,
            batch: Vec::new(),
            batch_bytes: 0,
            done: self.from_id,
            counts: Counts::default(),
            first: None,
            last: None,
            progress: Progress::new(log, if self.dry_run { "reading" } else { "replaying" }),
        };
        let ended = run.all(&mut Relay::new(&profile.to, wanted)?, out);
        run.progress.end();
        let go_on = run.go_on();
        ended.with_context(|| go_on.unwrap_or_else(|| "nothing was replayed".to_owned()))?;
        let Counts {
            events,
            refused,
            duplicates,
        } = run.counts;
        if self.dry_run {
            writeln!(out, "{events} events; nothing was replayed")?;
            for (name, event) in [("first", run.first), ("last", run.last)] {
                if let Some(event) = event {
                    writeln!(out, "{name}: {event}")?;
                }
            }
        } else if is_url {
            writeln!(
                out,
                "{events} events: {} accepted, {refused} refused",
                events - refused
            )?;
        } else {
            let appended = events - refused - duplicates;
            writeln!(
                out,
                "{events} events: {appended} appended, {duplicates} there already, {refused} refused"
            )?;
        }
        Ok(if refused == 0 {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

struct Run<'l> {
    sink: Sink,
    until: Millis,
    rate: Option<u32>,
    batch: Vec<Copied>,
    batch_bytes: usize,
    /// The id up to which all is done.
    done: Option<String>,
    counts: Counts,
    first: Option<String>,
    last: Option<String>,
    progress: Progress<'l>,
}

impl Run<'_> {
    fn go_on(&self) -> Option<String> {
        let done = self.done.as_ref()?;
        Some(format!("{} --until {}", go_on(done), self.until))
    }

    fn all(&mut self, relay: &mut Relay, out: &mut dyn Write) -> Result<()> {
        let most = self.rate.map_or(MAX_BATCH, |rate| {
            MAX_BATCH.min(usize::try_from(rate).unwrap_or(MAX_BATCH))
        });
        let mut read = self.done.clone();
        while let Some(next) = relay.next(&mut self.progress)? {
            let (data, id) = match next {
                Next::Event { data, id } => (data, id),
                Next::Position(id) => {
                    read = Some(id);
                    continue;
                }
            };
            let event = Copied::read(&data, &id)?;
            let shown = format!("{} {}", to_iso(event.dt), event.place());
            self.first.get_or_insert_with(|| shown.clone());
            self.last = Some(shown);
            if self.batch_bytes + event.text.len() > MAX_BATCH_BYTES {
                self.put(read.clone(), out)?;
            }
            read = Some(id);
            self.batch_bytes += event.text.len();
            self.batch.push(event);
            if self.batch.len() >= most {
                self.put(read.clone(), out)?;
            }
        }
        self.put(read, out)
    }

    /// Puts the batch where it goes; then all up to `id` is done.
    fn put(&mut self, id: Option<String>, out: &mut dyn Write) -> Result<()> {
        let count = self.batch.len();
        if count > 0 {
            self.sink
                .put(&self.batch, &mut self.counts, out, &mut self.progress)?;
            self.batch.clear();
            self.batch_bytes = 0;
            self.progress
                .count(usize::try_from(self.counts.events).unwrap_or(usize::MAX));
            if let Some(rate) = self.rate {
                thread::sleep(Duration::from_secs(1) * u32::try_from(count).unwrap_or(u32::MAX) / rate);
            }
        }
        self.done = id;
        self.go_on().into_iter().for_each(interrupt::says);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
