use std::time::Duration;

use eventstar_platform_memory::Fault;

use super::*;

/// Keeps all answers away.
type Outage = fn(&Bridge, &Memory);

const OUTAGES: [(&str, Outage); 5] = [
    ("hangs", |_, memory| {
        memory.answer_after(Duration::from_secs(3600))
    }),
    ("refuses", |bridge, _| bridge.make(Trouble::Overloaded(u32::MAX))),
    ("is busy", |bridge, _| bridge.make(Trouble::Busy(20))),
    ("is not there", |_, memory| memory.fail("http", Fault::Before)),
    ("answers into the void", |_, memory| {
        memory.fail("http", Fault::After)
    }),
];

fn end_outage(bridge: &Bridge, memory: &Memory) {
    bridge.heal();
    memory.heal();
    memory.answer_after(Duration::ZERO);
}

/// The first minute of an outage, in which readers hear heartbeats and nothing else.
async fn bear_a_minute(memory: &Memory, readers: &mut [Reader]) {
    let began = memory.now();
    while memory.now() < began + 60_000 {
        for reader in &mut *readers {
            assert_eq!(reader.frame().await, Ok(Frame::Heartbeat));
        }
    }
}

#[test]
fn a_proxy_that_is_away_for_a_minute_ends_no_reader_and_loses_nothing() {
    for (what, outage) in OUTAGES {
        for dialect in DIALECTS {
            run(async {
                let (bridge, memory) = Bridge::new(dialect);
                bridge.write_event(100);
                let of_instance = KafkaReaders::default();
                let mut readers: Vec<Reader> = (0..3)
                    .map(|_| Reader::of(&of_instance, &memory, Start::Offset(0)))
                    .collect();
                for reader in &mut readers {
                    assert_eq!(reader.opened().await, 0);
                    assert_eq!(reader.offsets_to(1).await, [0]);
                }
                outage(&bridge, &memory);
                (1..4).for_each(|_| bridge.write_event(200));
                bear_a_minute(&memory, &mut readers).await;
                (4..6).for_each(|_| bridge.write_event(300));
                end_outage(&bridge, &memory);
                for reader in &mut readers {
                    assert_eq!(reader.offsets_to(6).await, [1, 2, 3, 4, 5], "{what}");
                }
                memory.run_background().await;
                assert!(bridge.instances() <= 2, "{what}");
            });
        }
    }
}

#[test]
fn a_reader_that_comes_while_the_proxy_is_away_is_opened_when_it_is_back() {
    for (what, outage) in OUTAGES {
        run(async {
            let (bridge, memory) = Bridge::new(Dialect::Strimzi);
            bridge.write_event(100);
            outage(&bridge, &memory);
            let mut readers = [Start::Latest, Start::Offset(0)].map(|start| Reader::new(&memory, start));
            bear_a_minute(&memory, &mut readers).await;
            end_outage(&bridge, &memory);
            let [latest, first] = &mut readers;
            for (reader, expected) in [(latest, 1), (first, 0)] {
                loop {
                    match reader.frame().await {
                        Ok(Frame::Heartbeat) => {}
                        Ok(Frame::Opened { start, .. }) => break assert_eq!(start, expected, "{what}"),
                        other => panic!("{what}: {other:?}"),
                    }
                }
            }
        });
    }
}

/// The requests of so many readers in a minute without the proxy.
fn requests_in_an_outage(outage: Outage, count: usize) -> u64 {
    pollster::block_on(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.write_event(100);
        let of_instance = KafkaReaders::default();
        let mut readers: Vec<Reader> = (0..count)
            .map(|_| Reader::of(&of_instance, &memory, Start::Latest))
            .collect();
        for reader in &mut readers {
            reader.opened().await;
        }
        memory.run_background().await;
        outage(&bridge, &memory);
        let before = memory.calls();
        bear_a_minute(&memory, &mut readers).await;
        memory.run_background().await;
        memory.calls() - before
    })
}

#[test]
fn a_hundred_readers_ask_a_proxy_that_is_away_as_often_as_one() {
    for (what, outage) in OUTAGES {
        let (one, hundred) = (
            requests_in_an_outage(outage, 1),
            requests_in_an_outage(outage, 100),
        );
        assert!((3..=13).contains(&one), "{what}: {one}");
        assert!(hundred <= one + 2, "{what}: {hundred}, {one} of one reader");
    }
}

#[test]
fn a_proxy_that_asks_to_be_left_alone_is_left_alone() {
    for (seconds, expected) in [
        (0, 10..=13),
        (7, 7..=9),
        (20, 3..=4),
        (60, 1..=2),
        (86_400, 1..=2),
    ] {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.make(Trouble::Busy(seconds));
        run(async {
            bear_a_minute(&memory, &mut [Reader::new(&memory, Start::Latest)]).await;
        });
        let asked = bridge.take_requests().len();
        assert!(expected.contains(&asked), "{seconds}: {asked}");
    }
}

/// Events come while something goes wrong again and again; each is read once and in order.
async fn reads_all_despite(dialect: Dialect, trouble: impl Fn(&Bridge, u64)) {
    let (bridge, memory) = Bridge::new(dialect);
    bridge.brings(7);
    (0..20).for_each(|n| bridge.write_event(100 + n));
    let mut reader = Reader::new(&memory, Start::Offset(0));
    assert_eq!(reader.opened().await, 0);
    let mut read = reader.offsets_to(5).await;
    for round in 0..6 {
        trouble(&bridge, round);
        (0..10).for_each(|_| bridge.write_event(200 + round));
        let next = read.last().unwrap() + 1;
        read.extend(reader.offsets_to(next + 10).await);
    }
    let expected: Vec<u64> = (0..=*read.last().unwrap()).collect();
    assert_eq!(read, expected);
    drop(reader);
    bridge.heal();
    memory.run_background().await;
    assert_eq!(bridge.instances(), 0);
}

#[test]
fn an_instance_that_is_forgotten_is_made_again() {
    for dialect in DIALECTS {
        run(reads_all_despite(dialect, |bridge, _| bridge.forget_instances()));
    }
}

#[test]
fn answers_that_are_lost_are_asked_for_again() {
    for dialect in DIALECTS {
        run(reads_all_despite(dialect, |bridge, round| {
            bridge.make(Trouble::Lost(1 + round as u32 % 3));
        }));
    }
}

#[test]
fn an_overloaded_proxy_is_asked_again() {
    for dialect in DIALECTS {
        run(reads_all_despite(dialect, |bridge, round| {
            bridge.make(Trouble::Overloaded(1 + round as u32));
        }));
    }
}

#[test]
fn what_a_server_in_between_asked_twice_is_not_lost() {
    for dialect in DIALECTS {
        run(reads_all_despite(dialect, |bridge, _| {
            bridge.make(Trouble::AskedTwice(1));
        }));
    }
}

#[test]
fn faults_before_and_after_the_proxy_took_a_request_lose_nothing() {
    for fault in [Fault::Before, Fault::After] {
        run(async {
            let (bridge, memory) = Bridge::new(Dialect::Strimzi);
            (0..3).for_each(|n| bridge.write_event(100 + n));
            let mut reader = Reader::new(&memory, Start::Offset(0));
            reader.opened().await;
            memory.fail("http", fault);
            let error = reader.error().await;
            assert!(error.detail.contains("v1/x/0/0 in Kafka: injected"), "{error}");
            memory.heal();
            let mut reader = Reader::new(&memory, Start::Offset(0));
            reader.opened().await;
            assert_eq!(reader.offsets_to(3).await, [0, 1, 2]);
        });
    }
}

#[test]
fn a_poll_that_is_too_large_is_made_larger() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            for n in 0..4 {
                let text = "x".repeat(1_000_000);
                bridge.write(100, &format!("{{\"n\":{n},\"text\":\"{text}\"}}"));
            }
            let mut reader = Reader::new(&memory, Start::Offset(0));
            reader.opened().await;
            assert_eq!(reader.offsets_to(4).await, [0, 1, 2, 3]);
        });
    }
}

#[test]
fn records_that_never_fit_end_the_follower_with_what_to_do() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        (0..13).for_each(|_| bridge.write(100, &format!("{{\"text\":\"{}\"}}", "x".repeat(1_000_000))));
        let mut reader = Reader::new(&memory, Start::Offset(0));
        let error = reader.error().await;
        assert!(
            error.detail.contains("lower consumer.max.poll.records"),
            "{error}"
        );
    });
}

#[test]
fn a_proxy_that_refuses_ends_the_follower_at_once() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.write_event(100);
        bridge.make(Trouble::Unauthorized);
        let mut reader = Reader::new(&memory, Start::Latest);
        let error = reader.error().await;
        assert!(error.detail.contains("check KAFKA_REST_AUTHORIZATION"), "{error}");
        assert_eq!(bridge.take_requests().len(), 1);
    });
}

#[test]
fn a_proxy_that_stays_away_is_given_up_after_a_while() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.make(Trouble::Overloaded(1000));
        let began = memory.now();
        let mut reader = Reader::new(&memory, Start::Latest);
        let error = reader.error().await;
        assert!(error.detail.contains("overloaded"), "{error}");
        let passed = memory.now() - began;
        assert!((75_000..90_000).contains(&passed), "{passed}");
        assert_eq!(bridge.take_requests().len(), 14);
        assert_eq!(memory.lines().len(), 14);
    });
}

#[test]
fn a_follower_behind_what_was_dropped_goes_on_with_the_first_there_is() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            bridge.brings(3);
            (0..3).for_each(|n| bridge.write_event(100 + n));
            let mut reader = Reader::new(&memory, Start::Offset(0));
            reader.opened().await;
            assert_eq!(reader.chunk().await.next(), 3);
            (3..20).for_each(|n| bridge.write_event(100 + n));
            bridge.expire(10);
            // The gap is told by the offset alone.
            let chunk = reader.chunk().await;
            assert_eq!((chunk.base, chunk.count), (10, 3));
            assert_eq!(reader.offsets_to(20).await, (13..20).collect::<Vec<_>>());
        });
    }
}

#[test]
fn a_topic_that_was_made_anew_ends_its_followers() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        (0..9).for_each(|n| bridge.write_event(100 + n));
        let mut reader = Reader::new(&memory, Start::Latest);
        reader.opened().await;
        let (anew, _) = Bridge::new(Dialect::Strimzi);
        anew.write_event(100);
        memory.serve("bridge:8080", move |request| anew.answer(request));
        let error = reader.error().await;
        assert!(error.detail.contains("ends at 1, before 9"), "{error}");
    });
}
