//! Counters, gauges and histograms, kept in the isolate and added up over all isolates by the platform's metrics store.
//!
//! An isolate hands on what it counted within 15 s and starts again from nothing, so that what the store holds
//! only grows, whichever isolate answers a scrape. Gauges are what an isolate has now: it tells them anew at each flush, and
//! they are forgotten a minute after the last. Text format: Prometheus 0.0.4.

mod families;
mod gauges;
mod page;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_ports::{Level, Metrics as _, Platform, Sample};

pub use families::{BOUNDS_MS, FAMILIES, Family, Kind};
pub use page::{page, render};

use gauges::Gauges;

/// How long an isolate keeps what it counted at least: what comes at once is handed on at once.
const SOON: Millis = 2_000;

/// How often it hands on what it counted: each time is a subrequest, and on Workers some ten rows that are paid for.
const FLUSH_EVERY: Millis = 15_000;

/// A flush that has not come back after this was lost with its request.
const LOST_AFTER: Millis = 30_000;

/// What one isolate has counted and not yet handed on, and what it has now.
#[derive(Debug, Default)]
pub struct Counters {
    tallies: RefCell<Tallies>,
    gauges: Gauges,
    /// When the flush under way was begun; 0 for none.
    flushing: Cell<Millis>,
    /// When the next one is due.
    due: Cell<Millis>,
}

/// The tallies of each family by their labels. Counting happens for every request: what is known allocates nothing.
#[derive(Debug, Default)]
struct Tallies {
    families: BTreeMap<&'static str, BTreeMap<String, Tally>>,
    /// Where labels are written, to be looked up.
    labels: String,
}

/// What was counted under one name with one set of labels.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    /// How much, or of a histogram how often.
    count: u64,
    /// How often within each bound of [`BOUNDS_MS`].
    within: [u64; BOUNDS_MS.len()],
    /// The sum of what was observed; `None` for a counter.
    sum: Option<u64>,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        self.count += other.count;
        for (within, more) in self.within.iter_mut().zip(other.within) {
            *within += more;
        }
        if let Some(sum) = other.sum {
            self.sum = Some(self.sum.unwrap_or_default() + sum);
        }
    }
}

impl Tallies {
    fn add(&mut self, name: &'static str, labels: &[(&str, &str)], tally: &Tally) {
        self.labels.clear();
        write_labels(&mut self.labels, labels);
        let tallies = self.families.entry(name).or_default();
        match tallies.get_mut(&self.labels) {
            Some(known) => known.add(tally),
            None => {
                tallies.insert(self.labels.clone(), *tally);
            }
        }
    }

    fn add_all(&mut self, other: Self) {
        for (name, others) in other.families {
            let tallies = self.families.entry(name).or_default();
            for (labels, tally) in others {
                tallies.entry(labels).or_default().add(&tally);
            }
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let mut samples = Vec::new();
        for (name, tallies) in &self.families {
            for (labels, tally) in tallies {
                let mut push = |labels: String, value| {
                    samples.push(Sample {
                        name: (*name).to_owned(),
                        labels,
                        value,
                    });
                };
                let Some(sum) = tally.sum else {
                    push(labels.clone(), tally.count);
                    continue;
                };
                let comma = if labels.is_empty() { "" } else { "," };
                for (bound, within) in BOUNDS_MS.into_iter().zip(tally.within) {
                    if within > 0 {
                        push(format!("{labels}{comma}le=\"{}\"", seconds(bound)), within);
                    }
                }
                push(format!("{labels}{comma}le=\"+Inf\""), tally.count);
                push(format!("{labels}{comma}sum"), sum);
            }
        }
        samples
    }
}

impl Counters {
    /// Adds `value` to a counter. `labels` are pairs of name and value.
    pub fn add(&self, name: &'static str, labels: &[(&str, &str)], value: u64) {
        if value > 0 {
            let tally = Tally {
                count: value,
                ..Tally::default()
            };
            self.tallies.borrow_mut().add(name, labels, &tally);
        }
    }

    /// Adds an observation of `millis` to a histogram.
    pub fn observe(&self, name: &'static str, labels: &[(&str, &str)], millis: Millis) {
        let tally = Tally {
            count: 1,
            within: BOUNDS_MS.map(|bound| u64::from(millis <= bound)),
            sum: Some(millis),
        };
        self.tallies.borrow_mut().add(name, labels, &tally);
    }

    /// There is one more of what a gauge shows.
    pub fn up(&self, name: &'static str, labels: &[(&str, &str)]) {
        self.gauges.up(name, labels);
    }

    /// There is one less of what a gauge shows.
    pub fn down(&self, name: &'static str, labels: &[(&str, &str)]) {
        self.gauges.down(name, labels);
    }

    /// Hands on what was counted, soon, or a while after the last time. `false` when there is nothing, or it is on its way
    /// already.
    pub fn flush_soon<P: Platform>(self: &Rc<Self>, platform: &P) -> bool {
        let now = platform.now();
        let nothing = self.tallies.borrow().families.is_empty() && !self.gauges.is_due();
        if nothing || now < self.flushing.get() + LOST_AFTER {
            return false;
        }
        self.flushing.set(now);
        let due = self.due.get().clamp(now + SOON, now + FLUSH_EVERY);
        self.due.set(due + FLUSH_EVERY);
        let (counters, later) = (Rc::clone(self), platform.clone());
        platform.spawn(async move {
            later.sleep(Duration::from_millis(due - now)).await;
            counters.flush(&later).await;
        });
        true
    }

    /// Hands on what was counted, and keeps it when the store fails; tells what there is now.
    pub async fn flush<P: Platform>(&self, platform: &P) {
        self.flushing.set(0);
        self.hand_on(platform).await;
        self.gauges.report(platform).await;
    }

    async fn hand_on<P: Platform>(&self, platform: &P) {
        let tallies = self.tallies.take();
        let samples = tallies.samples();
        if samples.is_empty() {
            return;
        }
        if let Err(error) = platform.metrics().add(samples).await {
            platform.log(
                Level::Warn,
                &format!("metrics are kept for the next flush: {error}"),
            );
            self.tallies.borrow_mut().add_all(tallies);
        }
    }
}

/// Label values are the stream config's and our own, and need no bound here.
fn write_labels(text: &mut String, labels: &[(&str, &str)]) {
    for (nth, (name, value)) in labels.iter().enumerate() {
        if nth > 0 {
            text.push(',');
        }
        text.push_str(name);
        text.push_str("=\"");
        for piece in value.split_inclusive(['\\', '"', '\n']) {
            let special = piece.chars().next_back();
            text.push_str(piece.trim_end_matches(['\\', '"', '\n']));
            match special {
                Some('\\') => text.push_str("\\\\"),
                Some('"') => text.push_str("\\\""),
                Some('\n') => text.push_str("\\n"),
                _ => {}
            }
        }
        text.push('"');
    }
}

/// Milliseconds as seconds: `0.005`.
fn seconds(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
