//! Reading and following.

use eventstar_log::{Frame, Gap, GapReason, LogName, Start};
use eventstar_ports::StreamLog;

use crate::{Follower, HOUR, Subject, event, events, name, numbers};

/// Where a reader starts, and what it is told to have missed.
async fn start(subject: &impl Subject, name: &LogName, asked: Start) -> (u64, Option<Gap>) {
    match Follower::open(subject.log(), name, asked).await {
        (_, Frame::Opened { start, gap, .. }) => (start, gap),
        (_, other) => panic!("{other:?}"),
    }
}

/// Three chunks: offsets 0 to 2 at 100, 100, 110; 3 and 4 at 200, 205; 5 at 205.
async fn three_chunks(subject: &impl Subject) {
    for batch in [
        &[(1, 100), (2, 100), (3, 110)][..],
        &[(4, 200), (5, 205)],
        &[(6, 205)],
    ] {
        let batch: Vec<_> = batch.iter().map(|(id, dt)| event(*id, *dt)).collect();
        subject.log().append(&name("x"), &batch).await.unwrap();
    }
}

/// In the middle of chunks, too, and in a log that is empty.
pub async fn readers_start_at_an_offset_a_time_or_the_latest(subject: &impl Subject) {
    for asked in [Start::Latest, Start::Offset(7), Start::Timestamp(7)] {
        assert_eq!(start(subject, &name("x"), asked).await, (0, None), "{asked:?}");
    }
    three_chunks(subject).await;
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
        assert_eq!(
            start(subject, &name("x"), asked).await,
            (expected, None),
            "{asked:?}"
        );
    }
    let (mut follower, _) = Follower::open(subject.log(), &name("x"), Start::Offset(4)).await;
    // Chunks are sent whole.
    assert_eq!(numbers(&follower.up_to(5).await), [(3, 200), (4, 205), (5, 205)]);
}

/// As ids have them, and as `since` has them.
pub async fn a_position_is_taken_if_it_is_the_logs_own(subject: &impl Subject) {
    three_chunks(subject).await;
    for (offset, timestamp) in [
        (0, 1),
        (1, 101),
        (2, 101),
        (3, 111),
        (3, 150),
        (4, 201),
        (6, 206),
        (6, 9999),
    ] {
        let asked = Start::Position { offset, timestamp };
        assert_eq!(
            start(subject, &name("x"), asked).await,
            (offset, None),
            "{asked:?}"
        );
    }
}

/// The reader goes on with what there is.
pub async fn a_position_that_expired_or_is_foreign_is_told(subject: &impl Subject) {
    three_chunks(subject).await;
    let gap = |reason, timestamp| Some(Gap { reason, timestamp });
    for (offset, timestamp, expected, at) in [
        (7, 206, 6, None),
        (77, 110, 2, Some(110)),
        (3, 50, 0, Some(100)),
        (1, 190, 3, Some(200)),
    ] {
        let asked = Start::Position { offset, timestamp };
        let expected = (expected, gap(GapReason::Foreign, at));
        assert_eq!(start(subject, &name("x"), asked).await, expected, "{asked:?}");
    }
    let y = name("y");
    for hour in [100, 1000] {
        subject
            .log()
            .append(&y, &events(hour..hour + 2, hour * HOUR))
            .await
            .unwrap();
    }
    let asked = Start::Position {
        offset: 1,
        timestamp: 100 * HOUR + 1,
    };
    let expected = (2, gap(GapReason::Expired, Some(1000 * HOUR)));
    assert_eq!(start(subject, &y, asked).await, expected);
}

/// Each of them, each event once and in order.
pub async fn followers_get_what_is_appended_after_what_was_there(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    log.append(&x, &events(0..3, 10)).await.unwrap();
    let (mut from_start, _) = Follower::open(log, &x, Start::Offset(0)).await;
    let (mut latest, _) = Follower::open(log, &x, Start::Latest).await;
    let offsets = |events: &[eventstar_log::LogEvent]| events.iter().map(|e| e.offset).collect::<Vec<_>>();
    assert_eq!(offsets(&from_start.up_to(2).await), [0, 1, 2]);
    for round in 0..5 {
        let id = 3 + round * 2;
        log.append(&x, &events(id..id + 2, 20)).await.unwrap();
        log.append(&name("y"), &events(id..id + 2, 20)).await.unwrap();
        for follower in [&mut from_start, &mut latest] {
            assert_eq!(offsets(&follower.up_to(id + 1).await), [id, id + 1]);
        }
    }
}

/// The offset of what it gets tells what it missed.
pub async fn a_follower_behind_what_was_dropped_goes_on_with_the_first_there_is(subject: &impl Subject) {
    let (log, x) = (subject.log(), name("x"));
    log.append(&x, &events(0..3, 100 * HOUR)).await.unwrap();
    let (mut behind, opened) = Follower::open(log, &x, Start::Offset(1)).await;
    assert!(matches!(opened, Frame::Opened { start: 1, .. }), "{opened:?}");
    subject.sweep(&x, 1000 * HOUR);
    log.append(&x, &events(10..12, 1000 * HOUR)).await.unwrap();
    assert_eq!(
        numbers(&behind.up_to(4).await),
        [(3, 1000 * HOUR), (4, 1000 * HOUR)]
    );
}
