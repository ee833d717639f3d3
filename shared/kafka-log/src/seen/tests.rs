use eventstar_event::Topic;

use super::*;

const REACHED: u64 = REACH as u64;

fn log(topic: &str) -> LogName {
    LogName {
        topic: Topic::parse(topic).unwrap(),
        partition: 0,
        epoch: 0,
    }
}

fn record(offset: u64, id: &str) -> Consumed {
    Consumed {
        offset,
        key: None,
        value: None,
        timestamp: None,
        headers: vec![("eventstar-id".into(), id.to_owned().into())],
    }
}

/// Records with ids of their own, from one offset up to another.
fn others(from: u64, to: u64) -> Vec<Consumed> {
    (from..to)
        .map(|offset| record(offset, &format!("other {offset}")))
        .collect()
}

impl Seen {
    /// True where the one record at `offset` is repeated.
    fn is_repeated(&mut self, offset: u64, id: &str) -> bool {
        !self
            .repeated(&log("x"), offset, &[record(offset, id)], 0)
            .is_empty()
    }

    fn pass(&mut self, from: u64, to: u64) {
        assert_eq!(self.repeated(&log("x"), from, &others(from, to), 0), [0_u64; 0]);
    }

    fn tables(&self) -> Vec<usize> {
        self.windows.iter().map(|window| window.tables.len()).collect()
    }
}

#[test]
fn an_id_is_known_for_the_next_hundred_thousand_offsets() {
    // The lower halves of offsets begin again in between.
    for start in [0, u64::from(u32::MAX) - 50_000] {
        for (distance, expected) in [(1, true), (50_000, true), (REACHED, true), (REACHED + 1, false)] {
            let mut seen = Seen::default();
            assert!(!seen.is_repeated(start, "a"));
            seen.pass(start + 1, start + distance);
            assert_eq!(
                seen.is_repeated(start + distance, "a"),
                expected,
                "{start} {distance}"
            );
        }
    }
}

#[test]
fn an_id_that_comes_again_is_known_from_there() {
    let mut seen = Seen::default();
    assert!(!seen.is_repeated(0, "a"));
    let mut next = 1;
    for _ in 0..3 {
        seen.pass(next, next + 80_000);
        assert!(seen.is_repeated(next + 80_000, "a"));
        next += 80_001;
    }
    // Read once more, all but the first are passed over.
    let read_again = [record(next - 80_001, "a"), record(next - 1, "a")];
    assert_eq!(
        seen.repeated(&log("x"), next - 80_001, &read_again, 0),
        [next - 80_001, next - 1]
    );
}

#[test]
fn records_that_are_read_again_are_not_repeated() {
    let mut seen = Seen::default();
    let records = [record(7, "a"), record(8, "b"), record(9, "a")];
    for _ in 0..3 {
        assert_eq!(seen.repeated(&log("x"), 7, &records, 0), [9]);
    }
    assert_eq!(seen.repeated(&log("x"), 8, &records[1..], 0), [9]);
    assert_eq!(seen.windows.len(), 1);
    assert_eq!(seen.repeated(&log("y"), 7, &records[2..], 0), [0_u64; 0]);
}

#[test]
fn a_reader_that_is_far_behind_pushes_no_ids_of_others_out() {
    let mut seen = Seen::default();
    seen.pass(1_000_000, 1_000_100);
    assert!(!seen.is_repeated(1_000_100, "a"));
    for from in (0..300_000).step_by(500) {
        seen.pass(from, from + 500);
    }
    assert!(seen.is_repeated(1_000_101, "a"));
}

/// A table that grows beyond its size takes twice as much.
#[test]
fn tables_are_bounded_in_size_and_in_number() {
    let mut seen = Seen::default();
    for nth in 0..10 {
        let log = log(&format!("log{nth}"));
        for from in (0..116_000).step_by(4000) {
            seen.repeated(&log, from, &others(from, from + 4000), 0);
            assert!(seen.tables().iter().sum::<usize>() <= MAX_TABLES);
        }
    }
    let tables = seen.tables();
    assert_eq!(tables.len(), 10);
    assert_eq!(tables.iter().sum::<usize>(), MAX_TABLES);
    // All are about equal where there are too many.
    assert!(
        tables.iter().all(|count| (6..=TABLES).contains(count)),
        "{tables:?}"
    );
    for window in &seen.windows {
        for table in &window.tables {
            assert!(table.ids.len() <= TABLE && table.ids.capacity() <= TABLE);
        }
    }
    assert_eq!(size_of::<(Hash, Places)>(), 20);
}

#[test]
fn what_nobody_reads_makes_room_first() {
    let mut seen = Seen::default();
    for nth in 0..9 {
        let now = if nth == 3 { 0 } else { 100_000 };
        let log = log(&format!("log{nth}"));
        for from in (0..110_000).step_by(5000) {
            seen.repeated(&log, from, &others(from, from + 5000), now);
        }
    }
    let idle = seen.windows.iter().find(|window| window.used == 0).unwrap();
    assert!(idle.tables.is_empty());
    assert_eq!(seen.tables().iter().sum::<usize>(), MAX_TABLES);
}

#[test]
fn windows_without_ids_are_bounded_too() {
    let mut seen = Seen::default();
    for nth in 0..1000 {
        seen.repeated(&log(&format!("log{nth}")), 0, &[], nth);
    }
    assert_eq!(seen.windows.len(), MAX_WINDOWS);
    assert!(
        seen.windows
            .iter()
            .all(|window| window.used >= 1000 - MAX_WINDOWS as u64)
    );
}
