//! Counters and histograms, kept in the isolate and added up over all isolates by the platform's metrics store.
//!
//! An isolate hands on what it counted within [`FLUSH_AFTER`] and starts again from nothing, so that what the store holds
//! only grows, whichever isolate answers a scrape. Text format: Prometheus 0.0.4.

mod families;
mod page;

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::fmt::Write as _;
use std::rc::Rc;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_ports::{Level, Metrics as _, Platform, Sample};

pub use families::{BOUNDS_MS, FAMILIES, Family, Kind};
pub use page::{page, render};

/// How long an isolate keeps what it counted.
pub const FLUSH_AFTER: Duration = Duration::from_secs(2);

/// A flush that has not come back after this was lost with its request.
const LOST_AFTER: Millis = 30_000;

/// What one isolate has counted and not yet handed on.
#[derive(Debug, Default)]
pub struct Counters {
    values: RefCell<HashMap<(&'static str, String), u64>>,
    /// When the flush under way was begun; 0 for none.
    flushing: Cell<Millis>,
}

impl Counters {
    /// Adds `value` to a counter. `labels` are pairs of name and value.
    pub fn add(&self, name: &'static str, labels: &[(&str, &str)], value: u64) {
        if value > 0 {
            *self
                .values
                .borrow_mut()
                .entry((name, label_text(labels)))
                .or_default() += value;
        }
    }

    /// Adds an observation of `millis` to a histogram.
    pub fn observe(&self, name: &'static str, labels: &[(&str, &str)], millis: Millis) {
        let labels = label_text(labels);
        let mut values = self.values.borrow_mut();
        let mut add = |suffix: &str, value: u64| {
            let labels = if labels.is_empty() {
                suffix.to_owned()
            } else {
                format!("{labels},{suffix}")
            };
            *values.entry((name, labels)).or_default() += value;
        };
        for bound in BOUNDS_MS.into_iter().filter(|bound| millis <= *bound) {
            add(&format!("le=\"{}\"", seconds(bound)), 1);
        }
        add("le=\"+Inf\"", 1);
        add("sum", millis);
    }

    /// Hands on what was counted, a little later, unless that is on its way already.
    pub fn flush_soon<P: Platform>(self: &Rc<Self>, platform: &P) {
        let now = platform.now();
        if self.values.borrow().is_empty() || now < self.flushing.get() + LOST_AFTER {
            return;
        }
        self.flushing.set(now);
        let (counters, later) = (Rc::clone(self), platform.clone());
        platform.spawn(async move {
            later.sleep(FLUSH_AFTER).await;
            counters.flush(&later).await;
        });
    }

    /// Hands on what was counted; keeps it when the store fails.
    pub async fn flush<P: Platform>(&self, platform: &P) {
        self.flushing.set(0);
        let values = self.values.take();
        let samples: Vec<Sample> = values
            .iter()
            .map(|((name, labels), value)| Sample {
                name: (*name).to_owned(),
                labels: labels.clone(),
                value: *value,
            })
            .collect();
        if samples.is_empty() {
            return;
        }
        if let Err(error) = platform.metrics().add(samples).await {
            platform.log(
                Level::Warn,
                &format!("metrics are kept for the next flush: {error}"),
            );
            let mut kept = self.values.borrow_mut();
            for (key, value) in values {
                *kept.entry(key).or_default() += value;
            }
        }
    }
}

/// Label values are the stream config's and our own, and need no bound here.
fn label_text(labels: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (nth, (name, value)) in labels.iter().enumerate() {
        let comma = if nth > 0 { "," } else { "" };
        let value = value
            .replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n");
        // Writing to a text cannot fail.
        let _ = write!(text, "{comma}{name}=\"{value}\"");
    }
    text
}

/// Milliseconds as seconds: `0.005`.
fn seconds(millis: u64) -> String {
    let text = format!("{}.{:03}", millis / 1000, millis % 1000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests;
