mod bridge;
mod faults;
mod starts;

use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use eventstar_event::Topic;
use eventstar_kafka_rest::Dialect;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_platform_memory::Memory;
use eventstar_ports::PortError;
use eventstar_stores::{Tails, follow_by_polling};
use futures_util::{Stream, StreamExt};

use self::bridge::{Bridge, Trouble};
use crate::KafkaLog;

const DIALECTS: [Dialect; 2] = [Dialect::Strimzi, Dialect::ConfluentV2];

fn name() -> LogName {
    LogName {
        topic: Topic::parse("x").unwrap(),
        partition: 0,
        epoch: 0,
    }
}

struct Reader {
    frames: Pin<Box<dyn Stream<Item = Result<Frame, PortError>>>>,
}

impl Reader {
    /// A follower that has not asked for anything yet.
    fn new(bridge: &Bridge, memory: &Memory, start: Start) -> Self {
        let log = KafkaLog::new(bridge.proxy(), memory.clone(), memory.clone());
        Self {
            frames: Box::pin(log.follow(&name(), start)),
        }
    }

    async fn frame(&mut self) -> Result<Frame, PortError> {
        self.frames.next().await.expect("goes on")
    }

    async fn chunk(&mut self) -> Chunk {
        loop {
            match self.frame().await.unwrap() {
                Frame::Chunk(chunk) => return chunk,
                Frame::Heartbeat => {}
                opened => panic!("{opened:?}"),
            }
        }
    }

    /// The error it ends with.
    async fn error(&mut self) -> PortError {
        loop {
            match self.frame().await {
                Ok(Frame::Heartbeat | Frame::Opened { .. }) => {}
                Ok(chunk) => panic!("{chunk:?}"),
                Err(error) => {
                    assert!(self.frames.next().await.is_none());
                    return error;
                }
            }
        }
    }

    /// Opens, and returns where it starts.
    async fn opened(&mut self) -> u64 {
        match self.frame().await {
            Ok(Frame::Opened { start, .. }) => start,
            other => panic!("{other:?}"),
        }
    }

    /// The offsets that events have, up to `end`. Chunks come without gaps.
    async fn offsets_to(&mut self, end: u64) -> Vec<u64> {
        let mut offsets = Vec::new();
        let mut next = None;
        while next.is_none_or(|next| next < end) {
            let chunk = self.chunk().await;
            assert_eq!(next.unwrap_or(chunk.base), chunk.base, "{chunk:?}");
            next = Some(chunk.next());
            for event in chunk.events().unwrap() {
                assert!(event.envelope.event.contains(&format!("\"n\":{}", event.offset)));
                offsets.push(event.offset);
            }
        }
        offsets
    }
}

fn run(test: impl Future<Output = ()>) {
    pollster::block_on(test);
}

#[test]
fn a_follower_gets_what_is_there_and_what_comes() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            (0..3).for_each(|n| bridge.write_event(100 + n));
            let mut from_start = Reader::new(&bridge, &memory, Start::Offset(0));
            let mut latest = Reader::new(&bridge, &memory, Start::Latest);
            let opened = Frame::Opened {
                start: 3,
                earliest: 0,
                head: 3,
                last: 102,
                gap: None,
            };
            assert_eq!(latest.frame().await, Ok(opened));
            assert_eq!(from_start.opened().await, 0);
            assert_eq!(from_start.offsets_to(3).await, [0, 1, 2]);
            for round in 0..3 {
                let end = 3 + 2 * (round + 1);
                (0..2).for_each(|_| bridge.write_event(200 + round));
                for reader in [&mut from_start, &mut latest] {
                    assert_eq!(reader.offsets_to(end).await, [end - 2, end - 1]);
                }
            }
            // While nothing fails, what was begun with is kept.
            bridge.take_requests();
            (0..5).for_each(|_| bridge.write_event(300));
            latest.offsets_to(14).await;
            assert_eq!(bridge.take_requests().len(), 1);
        });
    }
}

#[test]
fn events_keep_what_their_records_tell() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.write(5, "{ \"n\": 1.0 }");
        let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
        reader.opened().await;
        let chunk = reader.chunk().await;
        assert_eq!((chunk.first, chunk.last), (5, 5));
        let envelope = &chunk.events().unwrap()[0].envelope;
        assert_eq!(
            (envelope.event.as_str(), envelope.stream.as_str()),
            ("{\"n\":1.0}", "x")
        );
    });
}

#[test]
fn what_is_no_event_is_passed_over_and_told() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.write_event(100);
        bridge.write(100, "hello");
        bridge.write(100, "[]");
        bridge.write_event(100);
        let mut reader = Reader::new(&bridge, &memory, Start::Offset(0));
        reader.opened().await;
        assert_eq!(reader.offsets_to(4).await, [0, 3]);
        let lines = memory.lines();
        let told = "2 records of v1/x/0/0 in Kafka from 0 on are no JSON objects";
        assert!(lines.len() == 1 && lines[0].contains(told), "{lines:?}");
        assert!(!lines[0].contains("hello"));
    });
}

#[test]
fn marks_of_transactions_have_offsets_and_no_event() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            for _ in 0..3 {
                bridge.write_event(100);
                bridge.write_mark();
            }
            let mut reader = Reader::new(&bridge, &memory, Start::Latest);
            // A bounded read is done with the last event.
            assert_eq!(reader.opened().await, 5);
            bridge.write_event(100);
            bridge.write_mark();
            assert_eq!(reader.offsets_to(7).await, [6]);
            bridge.write_event(100);
            assert_eq!(reader.offsets_to(9).await, [8]);
        });
    }
}

#[test]
fn a_quiet_log_beats() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        bridge.write_event(100);
        let mut reader = Reader::new(&bridge, &memory, Start::Latest);
        reader.opened().await;
        let began = eventstar_ports::Clock::now(&memory);
        for beat in 1..=3 {
            assert_eq!(reader.frame().await, Ok(Frame::Heartbeat));
            let passed = eventstar_ports::Clock::now(&memory) - began;
            assert!((beat * 15_000..beat * 20_000).contains(&passed), "{passed}");
        }
    });
}

#[test]
fn a_log_that_is_not_there_yet_is_empty() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        for start in [Start::Latest, Start::Offset(7), Start::Timestamp(7)] {
            let mut reader = Reader::new(&bridge, &memory, start);
            assert_eq!(reader.opened().await, 0, "{start:?}");
        }
        let mut reader = Reader::new(&bridge, &memory, Start::Latest);
        reader.opened().await;
        assert_eq!(reader.frame().await, Ok(Frame::Heartbeat));
        // A consumer of a missing topic might make it.
        assert_eq!(bridge.instances(), 0);
        bridge.write_event(100);
        assert_eq!(reader.offsets_to(1).await, [0]);
    });
}

#[test]
fn an_instance_is_deleted_with_the_stream() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            (0..3000).for_each(|n| bridge.write_event(100 + n));
            let mut reader = Reader::new(&bridge, &memory, Start::Timestamp(1500));
            assert_eq!(reader.opened().await, 1400);
            assert_eq!(reader.offsets_to(3000).await.len(), 1600);
            memory.run_background().await;
            assert_eq!(bridge.instances(), 1);
            drop(reader);
            memory.run_background().await;
            assert_eq!(bridge.instances(), 0);
        });
    }
}

#[test]
fn a_proxy_that_does_not_wait_is_not_asked_all_the_time() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::ConfluentV2);
        bridge.write_event(100);
        bridge.is_impatient();
        let mut reader = Reader::new(&bridge, &memory, Start::Latest);
        reader.opened().await;
        bridge.take_requests();
        assert_eq!(reader.frame().await, Ok(Frame::Heartbeat));
        assert!(bridge.take_requests().len() <= 16);
    });
}

#[test]
fn readers_that_go_side_by_side_share_an_instance() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        (0..3).for_each(|n| bridge.write_event(100 + n));
        let log = KafkaLog::new(bridge.proxy(), memory.clone(), memory.clone());
        let wait = Duration::from_millis(250);
        for next in [0, 3, 3, 3] {
            log.clone().read(&name(), next, wait).await.unwrap();
        }
        assert_eq!(bridge.instances(), 1);
        // One that is behind has its own, at its place.
        assert_eq!(log.read(&name(), 1, wait).await.unwrap()[0].base, 1);
        assert_eq!(bridge.instances(), 2);
        // Nobody has polled the first one for a while.
        memory.advance(61_000);
        log.read(&name(), 3, wait).await.unwrap();
        memory.run_background().await;
        assert_eq!(bridge.instances(), 1);
    });
}

#[test]
fn followers_of_one_instance_read_as_one() {
    for dialect in DIALECTS {
        run(async {
            let (bridge, memory) = Bridge::new(dialect);
            (0..3).for_each(|n| bridge.write_event(100 + n));
            let log = KafkaLog::new(bridge.proxy(), memory.clone(), memory.clone());
            let tails: Rc<Tails> = Rc::default();
            let mut readers: Vec<Reader> = (0..20)
                .map(|_| Reader {
                    frames: Box::pin(follow_by_polling(
                        log.clone(),
                        name(),
                        Start::Latest,
                        Rc::clone(&tails),
                        memory.clone(),
                        Duration::from_millis(250),
                    )),
                })
                .collect();
            for reader in &mut readers {
                assert_eq!(reader.opened().await, 3);
            }
            for end in 4..10 {
                bridge.write_event(200);
                bridge.take_requests();
                for reader in &mut readers {
                    assert_eq!(reader.offsets_to(end).await, [end - 1]);
                }
                let polls = bridge.take_requests().len();
                assert!(polls <= 3, "{polls}");
            }
            // What the others needed to find the end is gone.
            memory.run_background().await;
            assert_eq!(bridge.instances(), 1);
        });
    }
}
