use std::cell::Cell;
use std::collections::BTreeMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;

use bytes::Bytes;
use eventstar_event::{Envelope, Topic};
use eventstar_log::{Frame, Start};
use eventstar_platform_memory::MemorySql;
use eventstar_ports::{Clock, Diagnostics, Ids, Level, PortError, Row, Sql, Statement, Timer};
use futures_util::{FutureExt, Stream, StreamExt};

use super::*;
use crate::{HEARTBEAT, SqlLog, follow_by_polling};

const INTERVAL: Duration = Duration::from_millis(250);

/// Time that only the test moves.
#[derive(Clone, Default)]
struct Time(Rc<Cell<Millis>>);

impl Clock for Time {
    fn now(&self) -> Millis {
        self.0.get()
    }
}

impl Timer for Time {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        let time = self.clone();
        let until = time.now() + duration.as_millis() as u64;
        std::future::poll_fn(move |_| {
            if time.now() >= until {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
    }
}

impl Ids for Time {
    fn random(&self) -> [u8; 16] {
        [0; 16]
    }
}

impl Diagnostics for Time {
    fn write_line(&self, _level: Level, _line: &str) {}
}

/// A database that counts queries; each takes a moment, in which others run.
#[derive(Clone, Default)]
struct Counting {
    sql: MemorySql,
    time: Time,
    queries: Rc<Cell<u64>>,
}

impl Sql for Counting {
    async fn query(&self, statement: Statement) -> Result<Vec<Row>, PortError> {
        self.queries.set(self.queries.get() + 1);
        self.time.sleep(Duration::from_millis(2)).await;
        self.sql.query(statement).await
    }

    async fn write(&self, statements: Vec<Statement>) -> Result<(), PortError> {
        self.sql.write(statements).await
    }
}

fn name(topic: &str) -> LogName {
    LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    }
}

fn append(sql: &Counting, topic: &str, id: u64) {
    append_text(sql, topic, id, "{}");
}

fn append_text(sql: &Counting, topic: &str, id: u64, text: &str) {
    let event = Envelope {
        id: id.to_string(),
        dt: id,
        stream: "x".into(),
        key: None,
        headers: BTreeMap::new(),
        event: text.into(),
    };
    let log = SqlLog::new(sql.sql.clone());
    pollster::block_on(log.append(&name(topic), &[event])).unwrap();
}

type Follow = Pin<Box<dyn Stream<Item = Result<Frame, PortError>>>>;

fn follow(sql: &Counting, tails: &Rc<Tails>, start: Start) -> Follow {
    let log = SqlLog::new(sql.clone());
    let time = sql.time.clone();
    Box::pin(follow_by_polling(
        log,
        name("x"),
        start,
        Rc::clone(tails),
        time,
        INTERVAL,
    ))
}

/// Runs the followers for `millis`; what each was sent meanwhile.
fn run(sql: &Counting, followers: &mut [Follow], millis: u64) -> Vec<Vec<Frame>> {
    let mut sent = vec![Vec::new(); followers.len()];
    for _ in 0..millis {
        sql.time.0.set(sql.time.now() + 1);
        for (follower, sent) in followers.iter_mut().zip(&mut sent) {
            while let Some(frame) = follower.next().now_or_never() {
                sent.push(frame.unwrap().unwrap());
            }
        }
    }
    sent
}

fn offsets(frames: &[Frame]) -> Vec<u64> {
    let mut offsets = Vec::new();
    for frame in frames {
        if let Frame::Chunk(chunk) = frame {
            offsets.extend(chunk.base..chunk.next());
        }
    }
    offsets
}

/// The queries of `count` followers in ten seconds, in which an event comes each second.
fn queries(count: usize) -> u64 {
    let sql = Counting::default();
    append(&sql, "x", 0);
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..count).map(|_| follow(&sql, &tails, Start::Latest)).collect();
    run(&sql, &mut followers, 10);
    let before = sql.queries.get();
    for id in 1..=10 {
        append(&sql, "x", id);
        for frames in run(&sql, &mut followers, 1000) {
            assert_eq!(offsets(&frames), [id]);
        }
    }
    sql.queries.get() - before
}

#[test]
fn a_hundred_followers_of_a_log_query_it_as_often_as_one() {
    let one = queries(1);
    assert!((30..60).contains(&one), "{one}");
    let hundred = queries(100);
    assert!(
        hundred <= one + one / 10,
        "{hundred} queries, {one} for one follower"
    );
}

#[test]
fn every_follower_hears_of_an_event_within_the_interval() {
    let sql = Counting::default();
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..100).map(|_| follow(&sql, &tails, Start::Latest)).collect();
    run(&sql, &mut followers, 1000);
    append(&sql, "x", 1);
    let longest = (INTERVAL + 2 * WHILE_LOOKING).as_millis() as u64;
    for frames in run(&sql, &mut followers, longest) {
        assert_eq!(offsets(&frames), [0]);
    }
}

#[test]
fn a_follower_that_is_behind_reads_the_log_itself_and_misses_nothing() {
    let sql = Counting::default();
    for id in 0..50 {
        append(&sql, "x", id);
    }
    let tails = Rc::default();
    let mut followers = vec![follow(&sql, &tails, Start::Latest)];
    run(&sql, &mut followers, 300);
    append(&sql, "x", 50);
    run(&sql, &mut followers, 300);
    followers.push(follow(&sql, &tails, Start::Offset(0)));
    followers.push(follow(&sql, &tails, Start::Offset(50)));
    let sent = run(&sql, &mut followers, 300);
    assert_eq!(offsets(&sent[0]), [0_u64; 0]);
    assert_eq!(offsets(&sent[1]), (0..=50).collect::<Vec<_>>());
    assert_eq!(offsets(&sent[2]), [50]);
    append(&sql, "x", 51);
    for frames in run(&sql, &mut followers, 300) {
        assert_eq!(offsets(&frames), [51]);
    }
}

#[test]
fn what_a_look_has_no_room_for_is_not_waited_for() {
    let sql = Counting::default();
    let text = format!("\"{}\"", "x".repeat(100_000));
    for id in 0..50 {
        append_text(&sql, "x", id, &text);
    }
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..2).map(|_| follow(&sql, &tails, Start::Offset(0))).collect();
    // Twenty looks, in less time than passes between two that find all.
    for frames in run(&sql, &mut followers, 240) {
        assert_eq!(offsets(&frames), (0..50).collect::<Vec<_>>());
    }
    let looks = sql.queries.get();
    run(&sql, &mut followers, 1000);
    let later = sql.queries.get() - looks;
    assert!(later < 20, "{later} queries while nothing comes");
}

#[test]
fn a_follower_whose_next_events_were_dropped_goes_on_with_the_first_there_is() {
    const WEEKS: u64 = 2 * 604_800_000;
    let sql = Counting::default();
    // The first at another hour than 0, so that the log knows its retention.
    for id in 0..3 {
        append(&sql, "x", 3_600_000 + id);
    }
    let tails = Rc::default();
    let mut followers = vec![
        follow(&sql, &tails, Start::Offset(0)),
        follow(&sql, &tails, Start::Latest),
    ];
    // Both are opened; neither has read.
    run(&sql, &mut followers, 5);
    let mut behind = vec![followers.remove(0)];
    run(&sql, &mut followers, 300);
    pollster::block_on(SqlLog::new(sql.sql.clone()).sweep(WEEKS)).unwrap();
    append(&sql, "x", WEEKS);
    assert_eq!(offsets(&run(&sql, &mut followers, 300)[0]), [3]);
    let sent = run(&sql, &mut behind, 300);
    assert_eq!(offsets(&sent[0]).last(), Some(&3));
    append(&sql, "x", WEEKS + 1);
    assert_eq!(offsets(&run(&sql, &mut behind, 300)[0]), [4]);
}

#[test]
fn a_follower_that_goes_while_it_looks_holds_nobody_up() {
    let sql = Counting::default();
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..2).map(|_| follow(&sql, &tails, Start::Latest)).collect();
    run(&sql, &mut followers, 240);
    while !tails.ends.borrow().values().any(|tail: &Tail| tail.looking) {
        run(&sql, &mut followers, 1);
    }
    // Either may be the one that looks.
    for gone in [0, 1] {
        let mut rest = vec![follow(&sql, &tails, Start::Latest)];
        rest.extend(
            followers
                .drain(..)
                .enumerate()
                .filter(|(index, _)| *index != gone)
                .map(|(_, f)| f),
        );
        run(&sql, &mut rest, 10);
        followers = rest;
    }
    append(&sql, "x", 1);
    for frames in run(&sql, &mut followers, 300) {
        assert_eq!(offsets(&frames), [0]);
    }
}

#[test]
fn a_look_that_fails_is_taken_again_and_ends_nobody() {
    let sql = Counting::default();
    append(&sql, "x", 0);
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..2).map(|_| follow(&sql, &tails, Start::Latest)).collect();
    run(&sql, &mut followers, 100);
    append(&sql, "x", 1);
    sql.sql.fail_reads(1);
    for frames in run(&sql, &mut followers, 1100) {
        assert_eq!(offsets(&frames), [1]);
    }
}

#[test]
fn a_database_that_stays_away_is_asked_now_and_then_for_all_its_followers() {
    let sql = Counting::default();
    append(&sql, "x", 0);
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..100).map(|_| follow(&sql, &tails, Start::Latest)).collect();
    run(&sql, &mut followers, 300);
    sql.sql.fail_reads(u32::MAX);
    let before = sql.queries.get();
    for frames in run(&sql, &mut followers, 70_000) {
        assert!(frames.len() >= 4, "{frames:?}");
        assert!(frames.iter().all(|frame| *frame == Frame::Heartbeat));
    }
    let tries = sql.queries.get() - before;
    assert!((6..=12).contains(&tries), "{tries}");
    sql.sql.fail_reads(0);
    append(&sql, "x", 1);
    for frames in run(&sql, &mut followers, 17_000) {
        assert_eq!(offsets(&frames), [1]);
    }
}

#[test]
fn idle_followers_get_heartbeats() {
    let sql = Counting::default();
    let tails = Rc::default();
    let mut followers: Vec<Follow> = (0..3).map(|_| follow(&sql, &tails, Start::Latest)).collect();
    run(&sql, &mut followers, 10);
    let beats = HEARTBEAT.as_millis() as u64 + 1000;
    for frames in run(&sql, &mut followers, beats) {
        assert_eq!(frames, [Frame::Heartbeat]);
    }
}

#[test]
fn what_is_kept_is_bounded_by_bytes_and_by_logs() {
    let tails = Tails::default();
    let chunk = |base| Chunk {
        base,
        count: 1,
        first: 0,
        last: 0,
        lines: Bytes::from(vec![b'x'; 100_000]),
    };
    let x = name("x");
    for base in 0..100 {
        let _looking = tails.look(&x, base, base);
        tails.add(&x, &[chunk(base)]);
    }
    let kept = |next| match tails.see(&x, next, 0, INTERVAL) {
        Seen::Chunks(chunks) => chunks.len(),
        _ => 0,
    };
    assert_eq!(
        (kept(89), kept(90), kept(99)),
        (0, 3, 1),
        "ten of them, 256 KiB at a time"
    );
    for log in 0..3 * MAX_TAILS {
        let name = name(&format!("log{log}"));
        tails.look(&name, 0, log as u64);
    }
    assert_eq!(tails.ends.borrow().len(), MAX_TAILS);
}

/// In Kafka, offsets may hold no events.
#[test]
fn chunks_without_lines_are_not_kept_without_end() {
    let tails = Tails::default();
    let log = name("x");
    drop(tails.look(&log, 0, 0));
    for base in 0..100_000 {
        let chunk = Chunk {
            base,
            count: 1,
            first: 0,
            last: 0,
            lines: Bytes::new(),
        };
        tails.add(&log, &[chunk]);
    }
    let kept = tails.ends.borrow()[&log].chunks.len();
    assert!((1000..50_000).contains(&kept), "{kept}");
}
