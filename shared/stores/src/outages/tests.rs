use eventstar_event::Topic;

use super::*;

fn log(topic: &str) -> LogName {
    LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    }
}

fn down() -> PortError {
    PortError::unavailable("log", "down")
}

/// Fails at offset 5 of a log, at once, where a wait is as long as it gets.
fn fail(outages: &Outages, log: &LogName, now: Millis) -> Failed {
    outages.failed((log, Some(5)), down().into(), now, now, [0; 16])
}

fn turn(outages: &Outages, log: &LogName, now: Millis) -> Turn {
    outages.turn((log, Some(5)), 0, now)
}

fn wait(millis: Millis) -> Turn {
    Turn::Wait(Duration::from_millis(millis))
}

#[test]
fn a_place_is_tried_again_after_ever_longer_waits() {
    let (outages, x) = (Outages::default(), log("x"));
    assert_eq!(turn(&outages, &x, 0), Turn::Read);
    let mut now = 1000;
    for pause in [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000] {
        assert_eq!(fail(&outages, &x, now), Failed::Again);
        assert_eq!(turn(&outages, &x, now), wait(pause));
        assert_eq!(turn(&outages, &x, now + pause - 1), wait(1));
        now += pause;
        assert_eq!(turn(&outages, &x, now), Turn::Read);
    }
    outages.over((&x, Some(5)));
    assert_eq!(fail(&outages, &x, now), Failed::Again);
    assert_eq!(turn(&outages, &x, now), wait(250));
}

#[test]
fn one_follower_tries_for_all_at_its_place() {
    let (outages, x) = (Outages::default(), log("x"));
    fail(&outages, &x, 0);
    assert_eq!(turn(&outages, &x, 250), Turn::Read);
    for _ in 0..100 {
        assert_eq!(turn(&outages, &x, 250), wait(1000));
    }
    // Those who stand elsewhere, or read another log, are not held up.
    assert_eq!(outages.turn((&x, Some(6)), 0, 250), Turn::Read);
    assert_eq!(outages.turn((&x, None), 0, 250), Turn::Read);
    assert_eq!(turn(&outages, &log("y"), 250), Turn::Read);
    // The one that tried has gone without a word.
    assert_eq!(turn(&outages, &x, 250 + LOST_AFTER - 1), wait(1000));
    assert_eq!(turn(&outages, &x, 250 + LOST_AFTER), Turn::Read);
}

#[test]
fn tries_that_were_under_way_together_count_once() {
    let (outages, x) = (Outages::default(), log("x"));
    let place = (&x, Some(5));
    assert_eq!(
        outages.failed(place, down().into(), 0, 90, [0; 16]),
        Failed::Again
    );
    for now in [91, 92, 93] {
        assert_eq!(
            outages.failed(place, down().into(), 1, now, [0; 16]),
            Failed::Known
        );
    }
    assert_eq!(turn(&outages, &x, 90), wait(250));
}

#[test]
fn what_the_server_asks_for_is_waited_for_up_to_a_minute() {
    let (outages, x) = (Outages::default(), log("x"));
    for (asked, expected) in [(0, 250), (7, 7000), (60, 60_000), (86_400, 60_000)] {
        let failure = ReadFailure {
            error: down(),
            retry_after: Some(Duration::from_secs(asked)),
        };
        outages.over((&x, Some(5)));
        outages.failed((&x, Some(5)), failure, 0, 0, [0; 16]);
        assert_eq!(turn(&outages, &x, 0), wait(expected), "{asked}");
    }
}

#[test]
fn the_first_try_that_fails_after_more_than_a_minute_ends_the_followers() {
    let (outages, x) = (Outages::default(), log("x"));
    for now in [1000, 30_000, 1000 + PATIENCE - 1] {
        fail(&outages, &x, now);
        assert!(!matches!(turn(&outages, &x, now), Turn::End(_)), "{now}");
    }
    // None is ended by waiting: the log may be back.
    assert_eq!(turn(&outages, &x, 1000 + 2 * PATIENCE), Turn::Read);
    fail(&outages, &x, 1000 + 2 * PATIENCE);
    let now = 1001 + 2 * PATIENCE;
    assert_eq!(turn(&outages, &x, now), Turn::End(down()));
    // One that came later bears it as long as the others did.
    let began = 1000 + PATIENCE + 1;
    assert!(matches!(outages.turn((&x, Some(5)), began, now), Turn::Wait(_)));
}

#[test]
fn what_another_try_cannot_help_ends_a_follower_at_once() {
    let (outages, x) = (Outages::default(), log("x"));
    for (kind, is_final) in [
        (PortErrorKind::Unavailable, false),
        (PortErrorKind::Timeout, false),
        (PortErrorKind::Rejected, true),
        (PortErrorKind::Corrupt, true),
        (PortErrorKind::Conflict, true),
    ] {
        let error = PortError::new(kind, "log", "no");
        let failed = outages.failed((&x, None), error.clone().into(), 0, 0, [0; 16]);
        assert_eq!(failed == Failed::Final(error), is_final, "{kind:?}");
        outages.over((&x, None));
    }
}

#[test]
fn a_clock_that_is_set_back_stops_nobody() {
    let (outages, x) = (Outages::default(), log("x"));
    fail(&outages, &x, 9_000_000);
    assert_eq!(turn(&outages, &x, 1000), Turn::Read);
}

#[test]
fn outages_are_remembered_up_to_a_bound_and_the_last_ones_stay() {
    let outages = Outages::default();
    let logs: Vec<LogName> = (0..3 * MAX_OUTAGES).map(|n| log(&format!("log{n}"))).collect();
    for (now, log) in (0..).zip(&logs) {
        fail(&outages, log, now);
    }
    assert_eq!(outages.0.borrow().len(), MAX_OUTAGES);
    let held_up = logs
        .iter()
        .filter(|log| turn(&outages, log, 200) != Turn::Read)
        .count();
    assert_eq!(held_up, MAX_OUTAGES);
    assert_eq!(turn(&outages, &logs[2 * MAX_OUTAGES - 1], 200), Turn::Read);
}
