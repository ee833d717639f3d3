//! How much there is of something now.

use std::cell::{Cell, OnceCell, RefCell};
use std::collections::BTreeMap;
use std::fmt::Write as _;

use eventstar_ports::{Level, Metrics as _, Platform, Sample};

use crate::write_labels;

/// What one isolate has now; the store adds up what all isolates have said of late.
#[derive(Debug, Default)]
pub(crate) struct Gauges {
    /// By name and labels; none is 0.
    values: RefCell<BTreeMap<(&'static str, String), u64>>,
    /// The isolate's id in the store.
    holder: OnceCell<String>,
    /// Whether the store was told of something, which is then to be told or taken back again.
    told: Cell<bool>,
}

impl Gauges {
    pub(crate) fn up(&self, name: &'static str, labels: &[(&str, &str)]) {
        *self.values.borrow_mut().entry(key(name, labels)).or_default() += 1;
    }

    pub(crate) fn down(&self, name: &'static str, labels: &[(&str, &str)]) {
        let mut values = self.values.borrow_mut();
        let key = key(name, labels);
        match values.get_mut(&key) {
            Some(value) if *value > 1 => *value -= 1,
            _ => {
                values.remove(&key);
            }
        }
    }

    /// Whether there is anything to tell the store.
    pub(crate) fn is_due(&self) -> bool {
        self.told.get() || !self.values.borrow().is_empty()
    }

    /// Tells the store, if there is anything to tell.
    pub(crate) async fn report<P: Platform>(&self, platform: &P) {
        if !self.is_due() {
            return;
        }
        let samples = self.samples();
        // An answer lost may have told it.
        self.told.set(true);
        let any = !samples.is_empty();
        let holder = self.holder.get_or_init(|| hex(platform.random()));
        match platform.metrics().report(holder, samples).await {
            Ok(()) => self.told.set(any),
            Err(error) => platform.log(Level::Warn, &format!("gauges are told again: {error}")),
        }
    }

    fn samples(&self) -> Vec<Sample> {
        let values = self.values.borrow();
        let samples = values.iter().map(|((name, labels), value)| Sample {
            name: (*name).to_owned(),
            labels: labels.clone(),
            value: *value,
        });
        samples.collect()
    }
}

fn key(name: &'static str, labels: &[(&str, &str)]) -> (&'static str, String) {
    let mut text = String::new();
    write_labels(&mut text, labels);
    (name, text)
}

fn hex(bytes: [u8; 16]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a text cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
