//! Events of streams of their own, sent while things fail, and what became of them.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::admin::{add_known_streams, comes_true_within};
use crate::events::{array, job_event};
use crate::http::{Answer, Connection, Origin, Request};
use crate::instance::Instance;
use crate::kafka::found_in_topic;
use crate::ledger::{Found, Ledger, Tally};
use crate::random::{Seeded, fresh_uuid};

/// Longer than a delivery waits between the attempts of a test, the lease of what was taken by one that was killed included.
pub const PATIENCE: Duration = Duration::from_secs(240);

const CLIENTS: usize = 8;

/// What one request has at most.
const BATCH: u64 = 20;

/// Events of one stream.
#[derive(Debug)]
pub struct Load {
    /// What it is sent into, for the line that is printed.
    pub label: String,
    /// Its stream.
    pub stream: String,
    /// What was told of them.
    pub ledger: Ledger,
}

impl Load {
    /// None yet, of a stream that nobody else writes to.
    #[must_use]
    pub fn new(label: &str) -> Self {
        Self {
            label: label.to_owned(),
            stream: format!("faults.{}", fresh_uuid()),
            ledger: Ledger::default(),
        }
    }

    /// Adds `count` new events that are to be sent.
    pub fn plan(&mut self, count: usize, members: &str) {
        for _ in 0..count {
            let id = fresh_uuid();
            self.ledger.plan(&id, &job_event(&self.stream, &id, members));
        }
    }

    /// How many of them are still to be sent, or sent again.
    #[must_use]
    pub fn left(&self) -> usize {
        self.ledger.planned().len() + self.ledger.open().len()
    }

    /// Posts `count` new events as one array; returns the status.
    #[track_caller]
    pub fn post(&mut self, instance: &Instance, count: usize) -> u16 {
        let ids: Vec<String> = (0..count).map(|_| fresh_uuid()).collect();
        let texts: Vec<String> = ids.iter().map(|id| job_event(&self.stream, id, "")).collect();
        for (id, text) in ids.iter().zip(&texts) {
            self.ledger.plan(id, text);
        }
        let status = instance.post(array(&texts)).status;
        ids.iter().for_each(|id| self.ledger.told(id, Some(status)));
        status
    }

    /// Posts an event that is no valid one.
    ///
    /// # Panics
    /// When it is not refused.
    #[track_caller]
    pub fn post_invalid(&mut self, instance: &Instance) {
        let id = fresh_uuid();
        let text = job_event(&self.stream, &id, "").replace("\"attempt\":1", "\"attempt\":\"first\"");
        self.ledger.plan(&id, &text);
        self.ledger
            .told(&id, Some(instance.post(text).expect(400).status));
    }

    /// Waits until all that was accepted is in the topic, and checks that it holds what it must; so does the log, where the events are
    /// to be there. Prints the numbers.
    ///
    /// # Panics
    /// When it does not hold.
    #[track_caller]
    pub fn check(&self, instance: &Instance, broker: Option<&str>, in_log: bool) -> Tally {
        let (mut topic, mut log) = (None, None);
        comes_true_within(PATIENCE, &self.label, || {
            topic = broker.map(|broker| found_in_topic(broker, &self.stream));
            log = in_log.then(|| found_in_log(instance, &self.stream));
            let mut places = topic.iter().chain(&log);
            places.all(|found| self.ledger.is_in(found))
        });
        let tally = self.ledger.compare(topic.as_ref(), log.as_ref());
        let tally = tally.unwrap_or_else(|problem| panic!("{}: {problem}", self.label));
        println!("{}: {tally}", self.label);
        tally
    }
}

/// Publishes the streams of loads, each with these settings.
///
/// # Panics
/// When they are refused.
pub fn publish<'l>(instance: &Instance, loads: impl IntoIterator<Item = (&'l Load, Value)>) {
    let mut streams = json!({});
    for (load, mut settings) in loads {
        settings["schema_title"] = json!("job/run");
        streams[&load.stream] = settings;
    }
    add_known_streams(instance, &streams);
}

/// How often each event is in the log of `stream`.
///
/// # Panics
/// When it cannot be read.
#[must_use]
#[track_caller]
pub fn found_in_log(instance: &Instance, stream: &str) -> Found {
    let path = format!("/v2/stream/{stream}?since=2020-01-01T00:00:00Z&until=-0s");
    let request = Request::get(&path).header("accept", "application/json");
    let page = instance.send(&request).expect(200).text();
    let mut found = Found::new();
    for line in page.lines().filter(|line| !line.is_empty()) {
        let event: Value = serde_json::from_str(line).expect("JSON");
        let id = event["meta"]["id"].as_str().expect("meta.id").to_owned();
        *found.entry(id).or_default() += 1;
    }
    found
}

/// The events of one request: the place of their load, ids and texts.
type Batch = (usize, Vec<(String, String)>);

/// Sends what `loads` have open or planned, each event once, with eight clients at a time; what is answered 503 or not at all is open
/// afterwards. Meanwhile `during` runs, which can ask how many have been accepted so far, and whether there is more to send.
///
/// # Panics
/// When something else is answered.
pub fn send_open(
    origin: &Origin,
    loads: &mut [Load],
    random: &mut Seeded,
    during: impl FnOnce(&dyn Fn() -> usize, &dyn Fn() -> bool),
) {
    let batches = Mutex::new(batches_of(loads, random));
    let sent: Mutex<Vec<(Batch, Option<Answer>)>> = Mutex::default();
    let accepted = AtomicUsize::new(0);
    thread::scope(|scope| {
        let client = || {
            let mut kept: Option<Connection> = None;
            loop {
                let Some(batch) = batches.lock().expect("the batches").pop() else {
                    return;
                };
                let texts: Vec<String> = batch.1.iter().map(|(_, text)| text.clone()).collect();
                let request = Request::post_json("/v1/events", array(&texts));
                let Ok(mut connection) = kept.take().map_or_else(|| origin.keep_alive(), Ok) else {
                    // It was not sent.
                    batches.lock().expect("the batches").push(batch);
                    return;
                };
                let answer = connection.send(&request).ok();
                kept = Some(connection).filter(Connection::is_open);
                if answer.as_ref().is_some_and(|answer| answer.status == 201) {
                    accepted.fetch_add(batch.1.len(), Ordering::SeqCst);
                }
                sent.lock().expect("what was sent").push((batch, answer));
            }
        };
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        during(&|| accepted.load(Ordering::SeqCst), &|| {
            clients.iter().any(|client| !client.is_finished())
        });
    });
    for ((load, events), answer) in sent.into_inner().expect("what was sent") {
        let status = answer.map(|answer| match answer.status {
            201 | 503 => answer.status,
            // Some of them are to come again: all do, which changes nothing for those that are there.
            207 => 503,
            other => panic!("{other}: {}", answer.text()),
        });
        let ledger = &mut loads[load].ledger;
        events.iter().for_each(|(id, _)| ledger.told(id, status));
    }
}

/// Sends what is open, over and over, until all of it is accepted.
///
/// # Panics
/// When that never comes.
#[track_caller]
pub fn send_until_accepted(origin: &Origin, loads: &mut [Load], random: &mut Seeded) {
    comes_true_within(PATIENCE, "all is accepted", || {
        send_open(origin, loads, random, |_, _| {});
        loads.iter().all(|load| load.left() == 0)
    });
}

/// The last one is sent first: what is sent again comes before what is new, as from clients that do not wait, for a log of Spin
/// knows its last thousand events.
fn batches_of(loads: &[Load], random: &mut Seeded) -> Vec<Batch> {
    let mut batches = Vec::new();
    for (place, load) in loads.iter().enumerate() {
        for (is_again, mut events) in [(false, load.ledger.planned()), (true, load.ledger.open())] {
            while !events.is_empty() {
                let size = usize::try_from(random.between(1, BATCH)).expect("a size");
                let rest = events.split_off(size.min(events.len()));
                let batch = (place, std::mem::replace(&mut events, rest));
                batches.push((is_again, random.draw(), batch));
            }
        }
    }
    batches.sort_by_key(|(is_again, order, _)| (*is_again, *order));
    batches.into_iter().map(|(.., batch)| batch).collect()
}
