mod bridge;
mod faults;
mod repeated;
mod starts;

use eventstar_event::Topic;
use eventstar_kafka_rest::Dialect;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_platform_memory::Memory;
use eventstar_ports::{Clock, PortError};
use futures_util::StreamExt;
use futures_util::stream::LocalBoxStream;

use self::bridge::{Bridge, Trouble};
use crate::KafkaReaders;

const DIALECTS: [Dialect; 2] = [Dialect::Strimzi, Dialect::ConfluentV2];

fn name() -> LogName {
    LogName {
        topic: Topic::parse("x").unwrap(),
        partition: 0,
        epoch: 0,
    }
}

struct Reader {
    frames: LocalBoxStream<'static, Result<Frame, PortError>>,
}

impl Reader {
    /// The only reader of its instance of a function.
    fn new(memory: &Memory, start: Start) -> Self {
        Self::of(&KafkaReaders::default(), memory, start)
    }

    /// One that has not asked for anything yet.
    fn of(readers: &KafkaReaders<Memory>, memory: &Memory, start: Start) -> Self {
        Self {
            frames: readers.follow(memory, &name(), start),
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
            let mut from_start = Reader::new(&memory, Start::Offset(0));
            let mut latest = Reader::new(&memory, Start::Latest);
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
        let mut reader = Reader::new(&memory, Start::Offset(0));
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
        let mut reader = Reader::new(&memory, Start::Offset(0));
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
            let mut reader = Reader::new(&memory, Start::Latest);
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
        let mut reader = Reader::new(&memory, Start::Latest);
        reader.opened().await;
        let began = memory.now();
        for beat in 1..=3 {
            assert_eq!(reader.frame().await, Ok(Frame::Heartbeat));
            let passed = memory.now() - began;
            assert!((beat * 15_000..beat * 20_000).contains(&passed), "{passed}");
        }
    });
}

#[test]
fn a_log_that_is_not_there_yet_is_empty() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        for start in [Start::Latest, Start::Offset(7), Start::Timestamp(7)] {
            let mut reader = Reader::new(&memory, start);
            assert_eq!(reader.opened().await, 0, "{start:?}");
        }
        let mut reader = Reader::new(&memory, Start::Latest);
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
            let mut reader = Reader::new(&memory, Start::Timestamp(1500));
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
        let mut reader = Reader::new(&memory, Start::Latest);
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
        let readers = KafkaReaders::default();
        let mut ahead = Vec::new();
        for _ in 0..3 {
            let mut reader = Reader::of(&readers, &memory, Start::Latest);
            reader.opened().await;
            ahead.push(reader);
        }
        bridge.write_event(103);
        for reader in &mut ahead {
            assert_eq!(reader.offsets_to(4).await, [3]);
        }
        memory.run_background().await;
        assert_eq!(bridge.instances(), 1);
        // One that is behind has its own, at its place.
        bridge.brings(1);
        let mut behind = Reader::of(&readers, &memory, Start::Offset(0));
        behind.opened().await;
        assert_eq!(behind.chunk().await.next(), 1);
        memory.run_background().await;
        assert_eq!(bridge.instances(), 2);
        // Nobody has polled the first one for a while.
        ahead.clear();
        memory.advance(61_000);
        assert_eq!(behind.chunk().await.next(), 2);
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
            let of_instance = KafkaReaders::default();
            let mut readers: Vec<Reader> = (0..20)
                .map(|_| Reader::of(&of_instance, &memory, Start::Latest))
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
