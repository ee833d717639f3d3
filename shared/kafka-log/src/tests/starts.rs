use eventstar_log::{Gap, GapReason};

use super::*;

/// Where a reader starts, and what it is told to have missed.
async fn start(memory: &Memory, asked: Start) -> (u64, Option<Gap>) {
    match Reader::new(memory, asked).frame().await {
        Ok(Frame::Opened { start, gap, .. }) => (start, gap),
        other => panic!("{other:?}"),
    }
}

fn gap(reason: GapReason, timestamp: Option<u64>) -> Option<Gap> {
    Some(Gap { reason, timestamp })
}

#[test]
fn readers_start_at_an_offset_a_time_or_the_latest() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            for timestamp in [100, 100, 110, 200, 205, 205] {
                bridge.write_event(timestamp);
            }
            for (asked, expected) in [
                (Start::Offset(0), 0),
                (Start::Offset(4), 4),
                (Start::Offset(6), 6),
                (Start::Offset(60), 6),
                (Start::Timestamp(0), 0),
                (Start::Timestamp(101), 2),
                (Start::Timestamp(111), 3),
                (Start::Timestamp(205), 4),
                (Start::Timestamp(206), 6),
                (Start::Latest, 6),
            ] {
                assert_eq!(start(&memory, asked).await, (expected, None), "{asked:?}");
            }
        });
    }
}

#[test]
fn what_expired_is_told() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            (0..6).for_each(|n| bridge.write_event(100 + n));
            bridge.expire(3);
            let expired = (3, gap(GapReason::Expired, Some(103)));
            for (asked, expected) in [
                (Start::Offset(0), (3, None)),
                (Start::Offset(2), expired),
                (Start::Offset(3), (3, None)),
                (Start::Timestamp(0), (3, None)),
                (Start::Timestamp(102), expired),
                (Start::Timestamp(103), (3, None)),
                (
                    Start::Position {
                        offset: 2,
                        timestamp: 102,
                    },
                    expired,
                ),
            ] {
                assert_eq!(start(&memory, asked).await, expected, "{asked:?}");
            }
            bridge.expire(6);
            let expired = (6, gap(GapReason::Expired, None));
            for (asked, expected) in [
                (Start::Latest, (6, None)),
                (Start::Offset(2), expired),
                (Start::Offset(60), (6, None)),
                (Start::Timestamp(5), (6, None)),
                (
                    Start::Position {
                        offset: 2,
                        timestamp: 102,
                    },
                    expired,
                ),
                (
                    Start::Position {
                        offset: 6,
                        timestamp: 106,
                    },
                    (6, None),
                ),
                (
                    Start::Position {
                        offset: 7,
                        timestamp: 106,
                    },
                    (6, gap(GapReason::Foreign, None)),
                ),
            ] {
                assert_eq!(start(&memory, asked).await, expected, "{asked:?}");
            }
        });
    }
}

const DAY: u64 = 86_400_000;

#[test]
fn a_position_is_taken_if_it_is_the_logs_own() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            // Timestamps that producers set run backwards at times.
            for timestamp in [100, 100, 110, 10 * DAY, 10 * DAY - 5000, 10 * DAY + 5] {
                bridge.write_event(timestamp);
            }
            bridge.write_mark();
            for (offset, timestamp) in [
                (0, 1),
                (1, 101),
                (2, 101),
                (3, 111),
                (4, 10 * DAY + 1),
                (5, 10 * DAY + 1),
                (6, 10 * DAY + 6),
                (7, 10 * DAY + 6),
                (7, 99 * DAY),
            ] {
                let asked = Start::Position { offset, timestamp };
                assert_eq!(start(&memory, asked).await, (offset, None), "{asked:?}");
            }
            for (offset, timestamp, expected, at) in [
                (8, 10 * DAY + 6, 6, None),
                (77, 110, 2, Some(110)),
                (3, 50, 0, Some(100)),
                (1, 9 * DAY, 3, Some(10 * DAY)),
            ] {
                let asked = Start::Position { offset, timestamp };
                let expected = (expected, gap(GapReason::Foreign, at));
                assert_eq!(start(&memory, asked).await, expected, "{asked:?}");
            }
        });
    }
}

/// Even rates, bursts, silence, marks of transactions.
#[test]
fn a_time_is_found_among_many_events_with_few_looks() {
    type Rate = fn(u64) -> u64;
    let rates: [(&str, Rate); 4] = [
        ("even", |n| 1_000_000 + n * 100),
        ("a burst at the end", |n| {
            1_000_000 + if n < 1000 { n * 100_000 } else { 100_000_000 + n }
        }),
        ("a burst at first", |n| {
            1_000_000
                + if n < 9000 {
                    n
                } else {
                    9000 + (n - 9000) * 1_000_000
                }
        }),
        ("the same in thousands", |n| 1_000_000 + n / 1000),
    ];
    for (rate, time_of) in rates {
        run(async {
            let (bridge, memory) = Bridge::new(Dialect::Strimzi);
            bridge.brings(200);
            let times: Vec<u64> = (0..10_000).map(time_of).collect();
            for time in &times {
                bridge.write_event(*time);
            }
            let mut most = 0;
            for wanted in [1, 2, 999, 1000, 1001, 5000, 8999, 9000, 9001, 9998, 9999] {
                for time in [times[wanted] - 1, times[wanted]] {
                    let expected = times.partition_point(|other| *other < time) as u64;
                    bridge.take_requests();
                    let found = start(&memory, Start::Timestamp(time)).await;
                    assert_eq!(found, (expected, None), "{rate} {wanted} {time}");
                    let polls = bridge.take_requests();
                    most = most.max(polls.iter().filter(|line| line.ends_with("/records")).count());
                }
            }
            assert!(most <= 20, "{rate}: {most} polls");
        });
    }
}

#[test]
fn a_time_after_the_last_event_is_the_end_even_where_a_transaction_ended() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        for n in 0..20 {
            bridge.write_event(100 + n);
            bridge.write_mark();
        }
        for (time, expected) in [(101, 2), (119, 38), (120, 39), (999, 39)] {
            assert_eq!(
                start(&memory, Start::Timestamp(time)).await,
                (expected, None),
                "{time}"
            );
        }
    });
}

#[test]
fn kafka_that_gives_nothing_is_asked_again_before_anything_is_passed_over() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        (0..100).for_each(|n| bridge.write_event(100 + n));
        bridge.brings(0);
        let mut reader = Reader::new(&memory, Start::Timestamp(150));
        let error = reader.error().await;
        assert!(error.detail.contains("gives nothing from 0 on"), "{error}");
        bridge.brings(500);
        assert_eq!(start(&memory, Start::Timestamp(150)).await, (50, None));
    });
}
