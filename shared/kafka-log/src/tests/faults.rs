use super::*;

/// Events come while something goes wrong again and again; each is read once and in order.
async fn reads_all_despite(dialect: Dialect, trouble: impl Fn(&Bridge, u64)) {
    let (bridge, memory) = Bridge::new(dialect);
    bridge.brings(7);
    (0..20).for_each(|n| bridge.write_event(100 + n));
    let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
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
    use eventstar_platform_memory::Fault;
    for fault in [Fault::Before, Fault::After] {
        run(async {
            let (bridge, memory) = Bridge::new(Dialect::Strimzi);
            (0..3).for_each(|n| bridge.write_event(100 + n));
            let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
            reader.opened().await;
            memory.fail("http", fault);
            let error = reader.error().await;
            assert!(error.detail.contains("v1/x/0/0 in Kafka: injected"), "{error}");
            memory.heal();
            let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
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
            let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
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
        let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
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
        let mut reader = Reader::new(&bridge, &memory, Start::Latest);
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
        let began = eventstar_ports::Clock::now(&memory);
        let mut reader = Reader::new(&bridge, &memory, Start::Latest);
        let error = reader.error().await;
        assert!(error.detail.contains("overloaded"), "{error}");
        let passed = eventstar_ports::Clock::now(&memory) - began;
        assert!((20_000..90_000).contains(&passed), "{passed}");
        assert_eq!(bridge.take_requests().len(), 8);
        assert_eq!(memory.lines().len(), 7);
    });
}

#[test]
fn a_follower_behind_what_was_dropped_goes_on_with_the_first_there_is() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            bridge.brings(3);
            (0..3).for_each(|n| bridge.write_event(100 + n));
            let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
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
        let mut reader = Reader::new(&bridge, &memory, Start::Latest);
        reader.opened().await;
        let (anew, _) = Bridge::new(Dialect::Strimzi);
        anew.write_event(100);
        memory.serve("bridge:8080", move |request| anew.answer(request));
        let error = reader.error().await;
        assert!(error.detail.contains("ends at 1, before 9"), "{error}");
    });
}
