//! What every adapter of the stream log must do, as tests that run against each of them.
//!
//! An adapter is made a [`Subject`], and [`contract!`] makes the tests. What the hosts do is tested over HTTP by the suites in
//! `tests/`.

#![expect(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "these are tests"
)]

mod appends;
mod faults;
mod reads;

use std::collections::BTreeMap;

use eventstar_event::time::Millis;
use eventstar_event::{Envelope, Topic};
use eventstar_log::{Chunk, Frame, LogEvent, LogName, Start};
use eventstar_ports::StreamLog;
use futures_util::StreamExt;

pub use appends::*;
pub use faults::*;
pub use reads::*;

/// An adapter under test, with an empty database.
pub trait Subject {
    /// The adapter.
    type Log: StreamLog;

    /// The adapter.
    fn log(&self) -> &Self::Log;

    /// Makes the next write to the database behind `log` fail, before or after it took effect.
    fn fail_next_write(&self, log: &LogName, took_effect: bool);

    /// Makes the next read of the database behind `log` fail.
    fn fail_next_read(&self, log: &LogName);

    /// Drops what has expired from `log` at `now`.
    fn sweep(&self, log: &LogName, now: Millis);
}

/// Makes the contract's tests for what `$subject` evaluates to, a new one each time.
#[macro_export]
macro_rules! contract {
    ($subject:expr) => {
        $crate::contract!(
            $subject =>
            offsets_are_dense_and_timestamps_never_run_backwards
            keys_headers_and_texts_come_out_as_they_went_in
            a_large_batch_becomes_chunks_of_at_most_a_megabyte
            an_event_is_stored_once_however_often_it_comes
            logs_do_not_mix
            what_expired_is_gone_and_the_log_goes_on
            readers_start_at_an_offset_a_time_or_the_latest
            a_position_is_taken_if_it_is_the_logs_own
            a_position_that_expired_or_is_foreign_is_told
            followers_get_what_is_appended_after_what_was_there
            a_follower_behind_what_was_dropped_goes_on_with_the_first_there_is
            a_failed_append_can_be_made_again
            a_failed_read_loses_nothing
        );
    };
    ($subject:expr => $($test:ident)+) => {
        $(
            #[test]
            fn $test() {
                $crate::run($crate::$test(&$subject));
            }
        )+
    };
}

/// Runs a test.
pub fn run(test: impl Future<Output = ()>) {
    pollster::block_on(test);
}

const HOUR: Millis = 3_600_000;

/// Frames in a row that bring no events before a test fails: adapters under test beat instead of waiting.
const MAX_BEATS: usize = 1000;

fn name(topic: &str) -> LogName {
    LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    }
}

fn event(id: u64, dt: Millis) -> Envelope {
    Envelope {
        // A new id each, as UUIDs of version 7 are.
        id: format!("00000000-0000-7000-8000-{id:012x}"),
        dt,
        stream: "x".into(),
        key: None,
        headers: BTreeMap::new(),
        event: format!("{{\"n\":{id}}}"),
    }
}

fn events(ids: std::ops::Range<u64>, dt: Millis) -> Vec<Envelope> {
    ids.map(|id| event(id, dt)).collect()
}

/// A follower of a log.
struct Follower<F> {
    frames: std::pin::Pin<Box<F>>,
}

impl<F: futures_util::Stream<Item = Result<Frame, eventstar_ports::PortError>>> Follower<F> {
    /// Opens a follower; returns also what it was told first.
    async fn open<L: StreamLog<Follow = F>>(log: &L, name: &LogName, start: Start) -> (Self, Frame) {
        let mut frames = Box::pin(log.follow(name, start));
        let opened = frames.next().await.expect("a first frame").unwrap();
        assert!(matches!(opened, Frame::Opened { .. }), "{opened:?}");
        (Self { frames }, opened)
    }

    /// The next chunk; `None` when the follower ended, with or without an error.
    async fn next_chunk(&mut self) -> Option<Chunk> {
        for _ in 0..MAX_BEATS {
            match self.frames.next().await {
                Some(Ok(Frame::Chunk(chunk))) => return Some(chunk),
                Some(Ok(Frame::Heartbeat)) => {}
                Some(Ok(frame)) => panic!("opened again: {frame:?}"),
                Some(Err(_)) | None => return None,
            }
        }
        panic!("nothing comes");
    }

    /// The events of the next chunks, up to the event `offset`.
    async fn up_to(&mut self, offset: u64) -> Vec<LogEvent> {
        let mut read = Vec::new();
        while read.last().is_none_or(|event: &LogEvent| event.offset < offset) {
            let chunk = self.next_chunk().await.expect("a chunk");
            read.extend(chunk.events().unwrap());
        }
        read
    }
}

/// All events of a log up to `offset`.
async fn read(subject: &impl Subject, name: &LogName, offset: u64) -> Vec<LogEvent> {
    let (mut follower, _) = Follower::open(subject.log(), name, Start::Offset(0)).await;
    follower.up_to(offset).await
}

fn numbers(events: &[LogEvent]) -> Vec<(u64, Millis)> {
    events
        .iter()
        .map(|event| (event.offset, event.timestamp))
        .collect()
}
