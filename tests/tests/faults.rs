//! What fails between the functions and Kafka, and on the functions themselves: what was answered 201 is in its topic at least once
//! and in its log exactly once, what was refused is nowhere, and what was answered 503 can be sent again.
//!
//! Miniflare's queue is in memory, that of Cloudflare is not: where workerd is killed, only what the answer waited for is looked at.

use std::thread;
use std::time::Duration;

use eventstar_tests::Dev;
use eventstar_tests::cluster::Cluster;
use eventstar_tests::dev::StateDir;
use eventstar_tests::instance::setting;
use eventstar_tests::kafka::create_topics;
use eventstar_tests::ledger::Ledger;
use eventstar_tests::load::{Load, publish, send_open, send_until_accepted};
use eventstar_tests::proxy::{Proxy, Trouble};
use eventstar_tests::random::Seeded;
use serde_json::{Value, json};

const EVENTS: usize = 20;

/// Larger than any event here.
const RECORD: usize = 1_000_000;

const ACCEPTS: [&str; 3] = ["log", "queue", "kafka"];

const UNAUTHORIZED: &str = "HTTP/1.1 401 Unauthorized\r\ncontent-type: text/html\r\ncontent-length: 21\r\nconnection: close\r\n\r\n<h1>Unauthorized</h1>";

/// What lasts longer than the functions.
struct World {
    door: Proxy,
    state: StateDir,
}

impl World {
    fn start(&self) -> Dev {
        let url = format!("KAFKA_REST_URL=http://{}", self.door.address());
        let host = format!("KAFKA_REST_HOST=http://{}", self.door.address());
        Dev::start(&self.state, &["--var", &url, "--var", &host])
    }
}

fn create_topics_of(cluster: &Cluster, loads: &[Load]) {
    let topics: Vec<&str> = loads.iter().map(|load| load.stream.as_str()).collect();
    create_topics(&cluster.broker(), &topics, RECORD);
}

/// Loads of three streams with both sinks, whose events are accepted in the three ways.
fn loads_of(dev: &Dev, label: &str) -> Vec<Load> {
    let loads: Vec<Load> = ACCEPTS
        .iter()
        .map(|accept| Load::new(&format!("{label}, accept: {accept}")))
        .collect();
    publish(&dev.instance, with_settings(&loads));
    loads
}

fn with_settings(loads: &[Load]) -> impl Iterator<Item = (&Load, Value)> {
    let settings = |accept| json!({"sinks": ["log", "kafka"], "accept": accept});
    loads.iter().zip(ACCEPTS.map(settings))
}

/// Posts into an outage: what Kafka's acknowledgement is awaited for is answered 503, the rest is accepted.
#[track_caller]
fn post_into_an_outage(dev: &Dev, loads: &mut [Load]) {
    for (load, accept) in loads.iter_mut().zip(ACCEPTS) {
        let expected = if accept == "kafka" { 503 } else { 201 };
        assert_eq!(load.post(&dev.instance, EVENTS), expected, "{}", load.label);
        load.post_invalid(&dev.instance);
    }
}

/// One cluster for all that follows: it takes its time to start. What is delivered late is looked at in the end.
#[test]
fn over_kafka_what_was_accepted_arrives_whatever_fails() {
    let world = World {
        door: Proxy::start(),
        state: StateDir::new("faults"),
    };
    let mut random = Seeded::new(1);
    let dev = world.start();

    let mut at_start = loads_of(&dev, "Kafka down at the start");
    post_into_an_outage(&dev, &mut at_start);
    dev.tells("to kafka: is tried again");
    let cluster = Cluster::start_with(true);
    create_topics_of(&cluster, &at_start);
    world.door.lead_to(&cluster.bridge());
    send_until_accepted(&dev.instance.origin, &mut at_start, &mut random);
    let broker = cluster.broker();
    for load in &at_start {
        let _ = load.check(&dev.instance, Some(&broker), true);
    }

    let (dev, killed) = killed_at_random_points(dev, &world, &cluster, &mut random);
    let refused = credentials_that_are_wrong_are_told(&dev, &world, &cluster, &mut random);
    let restarted = the_proxy_is_killed_and_comes_back(&dev, &cluster, &mut random);
    let missing = a_missing_topic_is_told_and_waited_for(&dev, &cluster, &mut random);

    for load in refused.iter().chain(&restarted).chain(&missing) {
        let _ = load.check(&dev.instance, Some(&broker), true);
    }
    let is_queue_lost = setting("EVENTSTAR_HOST") == "workerd";
    for (load, accept) in killed.iter().zip(ACCEPTS) {
        match accept {
            "log" if is_queue_lost => load.check(&dev.instance, None, true),
            "kafka" if is_queue_lost => load.check(&dev.instance, Some(&broker), false),
            _ if is_queue_lost => continue,
            _ => load.check(&dev.instance, Some(&broker), true),
        };
    }
}

/// While Kafka is away, events wait where they are stored: what is sent is twice as much as memory may grow by.
///
/// Miniflare's queue is in memory: on workerd only events are sent that are not queued, and all of them stay with the client.
#[test]
fn memory_stays_bounded_while_kafka_is_down() {
    const EVENT_BYTES: usize = 20_000;
    /// Memory that is kept for the next request is taken by then.
    const WARM_UP: usize = 10_000;
    const LOAD: usize = 20_000;
    /// What is sent together.
    const STEP: usize = 1000;
    let world = World {
        door: Proxy::start(),
        state: StateDir::new("memory"),
    };
    let dev = world.start();
    let (accept, left) = match setting("EVENTSTAR_HOST").as_str() {
        "workerd" => ("kafka", STEP),
        _ => ("queue", 0),
    };
    let mut loads = [Load::new("memory")];
    let settings = json!({"sinks": ["log", "kafka"], "accept": accept});
    publish(&dev.instance, [(&loads[0], settings)]);
    let members = format!(r#","filler":"{}""#, "x".repeat(EVENT_BYTES));
    let mut peak_of = |events: usize| {
        let mut peak = 0;
        for _ in 0..events / STEP {
            loads[0].ledger = Ledger::default();
            loads[0].plan(STEP, &members);
            send_open(
                &dev.instance.origin,
                &mut loads,
                &mut Seeded::new(1),
                |_, is_more| {
                    while is_more() {
                        peak = peak.max(dev.memory());
                        thread::sleep(Duration::from_millis(100));
                    }
                },
            );
            assert_eq!(loads[0].ledger.open().len(), left);
        }
        peak
    };
    let before = peak_of(WARM_UP);
    let growth = peak_of(LOAD).saturating_sub(before);
    let sent = LOAD * EVENT_BYTES;
    println!("memory {before} bytes, grown by {growth} while {sent} bytes were sent");
    assert!(growth < sent as u64 / 2, "{growth} bytes");
}

fn kills() -> usize {
    let kills = std::env::var("EVENTSTAR_KAFKA_KILLS").unwrap_or_else(|_| "2".to_owned());
    kills
        .parse()
        .unwrap_or_else(|_| panic!("EVENTSTAR_KAFKA_KILLS must be a number: {kills}"))
}

/// A load of 10,000 events goes through kills of all processes; clients send again what was not answered.
fn killed_at_random_points(
    mut dev: Dev,
    world: &World,
    cluster: &Cluster,
    random: &mut Seeded,
) -> (Dev, Vec<Load>) {
    const LOAD: usize = 10_000;
    let mut loads = loads_of(&dev, "killed at random points");
    create_topics_of(cluster, &loads);
    for (load, count) in loads.iter_mut().zip([LOAD / 2, LOAD / 4, LOAD / 4]) {
        load.plan(count, "");
    }
    let kills = kills();
    for kill in 0..kills {
        let before: usize = loads.iter().map(Load::left).sum();
        let after =
            usize::try_from(random.between(1, (before / (kills - kill + 1)) as u64)).expect("a number");
        let origin = dev.instance.origin.clone();
        send_open(&origin, &mut loads, random, |accepted, is_more| {
            while accepted() < after && is_more() {
                thread::sleep(Duration::from_millis(1));
            }
            dev.kill();
        });
        let left: usize = loads.iter().map(Load::left).sum();
        println!("kill {kill}: after {} events of {before}", before - left);
        assert!(left > 0 && before - left >= after, "the kill came in the middle");
        dev = world.start();
        // A start publishes the examples, and nothing else.
        publish(&dev.instance, with_settings(&loads));
    }
    send_until_accepted(&dev.instance.origin, &mut loads, random);
    (dev, loads)
}

fn credentials_that_are_wrong_are_told(
    dev: &Dev,
    world: &World,
    cluster: &Cluster,
    random: &mut Seeded,
) -> Vec<Load> {
    let mut loads = loads_of(dev, "wrong credentials");
    create_topics_of(cluster, &loads);
    world.door.make(Some(Trouble::Answered(UNAUTHORIZED)));
    post_into_an_outage(dev, &mut loads);
    for load in &loads {
        let said = format!(
            "answers 401; check KAFKA_REST_AUTHORIZATION and the rights to {}",
            load.stream
        );
        dev.tells(&said);
    }
    world.door.make(None);
    send_until_accepted(&dev.instance.origin, &mut loads, random);
    loads
}

fn the_proxy_is_killed_and_comes_back(dev: &Dev, cluster: &Cluster, random: &mut Seeded) -> Vec<Load> {
    let mut loads = loads_of(dev, "the proxy is killed in a load");
    create_topics_of(cluster, &loads);
    loads.iter_mut().for_each(|load| load.plan(600, ""));
    send_open(&dev.instance.origin, &mut loads, random, |accepted, is_more| {
        while accepted() < 300 && is_more() {
            thread::sleep(Duration::from_millis(1));
        }
        cluster.kill_bridge();
        cluster.up();
    });
    send_until_accepted(&dev.instance.origin, &mut loads, random);
    loads
}

fn a_missing_topic_is_told_and_waited_for(dev: &Dev, cluster: &Cluster, random: &mut Seeded) -> Vec<Load> {
    let mut loads = loads_of(dev, "topic missing");
    post_into_an_outage(dev, &mut loads);
    for load in &loads {
        dev.tells(&format!("check that the topic {} exists", load.stream));
    }
    create_topics_of(cluster, &loads);
    send_until_accepted(&dev.instance.origin, &mut loads, random);
    loads
}
