//! What was answered 201 survives a crash, once.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use eventstar_tests::dev::StateDir;
use eventstar_tests::events::{PrivateStream, array, page_view_event};
use eventstar_tests::http::{Connection, Origin};
use eventstar_tests::instance::setting;
use eventstar_tests::random::{Seeded, fresh_uuid};
use eventstar_tests::{Dev, Events, Request};

const CLIENTS: u64 = 8;
const EVENTS: usize = 5000;

/// Makes the event with this id.
type MakeEvent<'a> = dyn Fn(&str) -> String + Sync + 'a;

/// What the clients of one round saw.
#[derive(Default)]
struct Round {
    /// Ids of all events that were sent, whatever came back.
    sent: Mutex<Vec<String>>,
    /// Ids of the events that were answered 201.
    accepted: Mutex<Vec<String>>,
    /// How many of them there are.
    count: AtomicUsize,
    /// Answers other than 201 from before the kill.
    refused: Mutex<Vec<String>>,
    /// Set as soon as the kill is on its way: from then on failures are expected.
    killed: AtomicBool,
    /// What the server had printed by then.
    printed: Mutex<String>,
}

impl Round {
    /// A client gave up: expected once the kill is on its way, before it a failure.
    fn ended(&self, why: String) {
        if self.killed.load(Ordering::SeqCst) {
            eprintln!("while dying: {why}");
        } else {
            self.refused.lock().unwrap().push(why);
        }
    }
}

/// One client: posts batches until it has sent its share or the origin breaks. Nothing is sent twice.
///
/// A server may close a connection that it thinks idle just as the next request goes out (RFC 9112, 9.5); workerd does
/// so to every kept connection after its thread hung for five seconds, say on a slow disk. Such a request was not
/// accepted, and the client goes on over a fresh connection. That a fresh one is closed too is a failure.
fn client(origin: &Origin, event: &MakeEvent<'_>, round: &Round, mut random: Seeded) {
    let share = EVENTS / usize::try_from(CLIENTS).unwrap();
    let mut kept: Option<Connection> = None;
    let mut done = 0;
    while done < share {
        let size = usize::try_from(random.between(1, 20)).unwrap().min(share - done);
        let ids: Vec<String> = (0..size).map(|_| fresh_uuid()).collect();
        let events: Vec<String> = ids.iter().map(|id| event(id)).collect();
        round.sent.lock().unwrap().extend(ids.iter().cloned());
        done += size;
        let used = kept.take().filter(Connection::is_open);
        let fresh = used.is_none();
        let answer = used
            .map_or_else(|| origin.keep_alive(), Ok)
            .and_then(|mut connection| {
                let answer = connection.send(&Request::post_json("/v1/events", array(&events)))?;
                kept = Some(connection);
                Ok(answer)
            });
        match answer {
            Ok(answer) if answer.status == 201 => {
                round.accepted.lock().unwrap().extend(ids);
                round.count.fetch_add(size, Ordering::SeqCst);
            }
            Ok(answer) => {
                let body = String::from_utf8_lossy(&answer.body);
                return round.ended(format!("{} {body}", answer.status));
            }
            Err(error) if fresh => return round.ended(error.to_string()),
            Err(error) => eprintln!("a used connection: {error}"),
        }
    }
}

/// Loads the origin with eight clients and kills it once `threshold` events were accepted.
fn load_and_kill(dev: Dev, event: &MakeEvent<'_>, seed: u64, threshold: usize) -> Round {
    let round = Round::default();
    let origin = dev.instance.origin.clone();
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|nth| {
                let (origin, round) = (&origin, &round);
                scope.spawn(move || client(origin, event, round, Seeded::new(seed * 1000 + nth)))
            })
            .collect();
        while round.count.load(Ordering::SeqCst) < threshold
            && clients.iter().any(|client| !client.is_finished())
        {
            thread::sleep(Duration::from_micros(200));
        }
        round.killed.store(true, Ordering::SeqCst);
        *round.printed.lock().unwrap() = dev.output();
        dev.kill();
    });
    round
}

fn seeds() -> u64 {
    let seeds = std::env::var("EVENTSTAR_KILL_SEEDS").unwrap_or_else(|_| "10".to_owned());
    seeds
        .parse()
        .unwrap_or_else(|_| panic!("EVENTSTAR_KILL_SEEDS must be a number: {seeds}"))
}

#[test]
fn every_event_that_got_201_is_in_the_stream_exactly_once_after_a_kill() {
    let state = StateDir::new("kill");
    let stream = PrivateStream::new("kill");
    let mut dev = Dev::start(&state, &[]);
    let mut resume_at: Option<String> = None;
    let mut all_accepted: Vec<String> = Vec::new();
    for seed in 1..=seeds() {
        let threshold = usize::try_from(Seeded::new(seed).between(100, 4500)).unwrap();
        let round = load_and_kill(dev, &|id| stream.event(id), seed, threshold);
        let refused = round.refused.lock().unwrap().clone();
        assert!(
            refused.is_empty(),
            "seed {seed}: refused before the kill: {refused:?}\n{}",
            round.printed.lock().unwrap()
        );

        // Written after the restart, so that everything before it has been read once it comes.
        dev = Dev::start(&state, &[]);
        let last = fresh_uuid();
        dev.instance.produce(&[stream.event(&last)]);
        let mut events = match &resume_at {
            Some(id) => Events::resume(&dev.instance.origin, &stream.live(), id),
            None => Events::open(&dev.instance.origin, &stream.from_the_beginning()),
        };
        let seen = events.up_to(&last);
        resume_at = events.last_id().map(str::to_owned);

        let sent = round.sent.into_inner().unwrap();
        let accepted = round.accepted.into_inner().unwrap();
        let mut found: HashMap<String, usize> = HashMap::new();
        for event in &seen {
            *found.entry(event.meta_id()).or_default() += 1;
        }
        found.remove(&last);
        let lost = accepted.iter().filter(|id| !found.contains_key(*id)).count();
        let duplicates = found.values().filter(|times| **times > 1).count();
        let strangers = found.keys().filter(|id| !sent.contains(id)).count();
        println!(
            "seed {seed}: sent {}, accepted {}, found {}, lost={lost}, duplicates={duplicates}",
            sent.len(),
            accepted.len(),
            found.len()
        );
        assert!(
            accepted.len() >= threshold,
            "seed {seed}: the kill came late enough"
        );
        assert!(
            sent.len() > accepted.len() || accepted.len() == EVENTS,
            "seed {seed}: the kill came mid-load"
        );
        assert_eq!(
            (lost, duplicates, strangers),
            (0, 0, 0),
            "seed {seed}: lost, duplicates, strangers"
        );
        assert_dense(seed, seen.iter().map(eventstar_tests::SseEvent::offset));
        all_accepted.extend(accepted);
        all_accepted.push(last);
    }

    // What an earlier round left is still there after all the later kills.
    let end = all_accepted.last().expect("at least one round").clone();
    let seen = Events::open(&dev.instance.origin, &stream.from_the_beginning()).up_to(&end);
    let mut found: HashMap<String, usize> = HashMap::new();
    for event in &seen {
        *found.entry(event.meta_id()).or_default() += 1;
    }
    assert!(
        all_accepted.iter().all(|id| found.get(id) == Some(&1)),
        "an event of an earlier round is gone or doubled"
    );
    assert_eq!(seen.first().map(eventstar_tests::SseEvent::offset), Some(0));
    assert_dense(0, seen.iter().map(eventstar_tests::SseEvent::offset));
}

/// Offsets follow one another without a hole.
fn assert_dense(seed: u64, offsets: impl Iterator<Item = u64>) {
    let offsets: Vec<u64> = offsets.collect();
    let hole = offsets.windows(2).find(|pair| pair[0] + 1 != pair[1]);
    assert_eq!(hole, None, "seed {seed}: offsets without a hole");
}

/// How long the outbox may take after a crash: what was being delivered is delivered again once its lease of 30 s is
/// over, and the disk of a busy machine may stall.
const PATIENCE: Duration = Duration::from_secs(180);

/// How often each page view so far is in the stream, by its id.
fn web_page_views(dev: &Dev) -> HashMap<String, usize> {
    let last = fresh_uuid();
    dev.instance.produce(&[page_view_event(&last)]);
    let path = "/v2/stream/web.page_view?since=2020-01-01";
    let mut found: HashMap<String, usize> = HashMap::new();
    for event in Events::open(&dev.instance.origin, path).up_to(&last) {
        *found.entry(event.meta_id()).or_default() += 1;
    }
    found
}

#[test]
fn every_event_the_queue_took_arrives_exactly_once_after_a_kill() {
    if setting("EVENTSTAR_HOST") != "spin" {
        println!("skipped: the local queue of workerd lives in memory, so that a kill empties it");
        return;
    }
    let state = StateDir::new("queue");
    let mut dev = Dev::start(&state, &[]);
    let mut accepted: Vec<String> = Vec::new();
    for seed in 1..=3 {
        let threshold = usize::try_from(Seeded::new(seed).between(100, 4500)).unwrap();
        let round = load_and_kill(dev, &page_view_event, seed, threshold);
        let refused = round.refused.lock().unwrap().clone();
        assert!(
            refused.is_empty(),
            "seed {seed}: refused before the kill: {refused:?}\n{}",
            round.printed.lock().unwrap()
        );
        accepted.extend(round.accepted.into_inner().unwrap());
        dev = Dev::start(&state, &[]);
        println!("seed {seed}: accepted {} so far", accepted.len());
    }

    let mut found = web_page_views(&dev);
    let restarted = Instant::now();
    while restarted.elapsed() < PATIENCE && !accepted.iter().all(|id| found.contains_key(id)) {
        // The outbox is looked through when a request passes by.
        let _ = dev.instance.get("/healthz").expect(200);
        thread::sleep(Duration::from_millis(500));
        found = web_page_views(&dev);
    }
    let lost = accepted.iter().filter(|id| !found.contains_key(*id)).count();
    let duplicates = found.values().filter(|times| **times > 1).count();
    println!(
        "queue: accepted {}, found {}, lost={lost}, duplicates={duplicates}",
        accepted.len(),
        found.len()
    );
    assert_eq!((lost, duplicates), (0, 0), "lost, duplicates");
}

#[test]
fn a_second_start_on_the_same_state_knows_what_was_published_and_posted() {
    let state = StateDir::new("restart");
    let stream = PrivateStream::new("restart");
    let id = fresh_uuid();
    let dev = Dev::start(&state, &[]);
    dev.instance.produce(&[stream.event(&id)]);
    let tokens = (
        dev.instance.admin_token.clone(),
        dev.instance.producer_token.clone(),
    );
    let version = dev
        .instance
        .admin(Request::get("/admin/v1/stream-configs"))
        .expect(200);
    dev.kill();

    let dev = Dev::start(&state, &[]);
    assert_eq!(
        Events::open(&dev.instance.origin, &stream.from_the_beginning())
            .next_event()
            .meta_id(),
        id
    );
    assert_eq!(
        (
            dev.instance.admin_token.clone(),
            dev.instance.producer_token.clone()
        ),
        tokens
    );
    let again = dev
        .instance
        .admin(Request::get("/admin/v1/stream-configs"))
        .expect(200);
    assert_eq!(
        again.header("etag"),
        version.header("etag"),
        "an unchanged stream config is not published again"
    );
}
