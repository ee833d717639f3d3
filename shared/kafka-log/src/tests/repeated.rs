use eventstar_ports::{Metrics as _, Platform as _};

use super::*;

/// The records that were passed over, as an operator reads their number.
async fn counted(memory: &Memory) -> u64 {
    memory.run_background().await;
    let samples = memory.metrics().read().await.unwrap();
    let mut repeated = samples
        .iter()
        .filter(|sample| sample.name == "eventstar_relay_repeated_records_total");
    let count = repeated.next().map_or(0, |sample| {
        assert_eq!(sample.labels, "topic=\"x\"");
        sample.value
    });
    assert!(repeated.next().is_none());
    count
}

fn deliver(bridge: &Bridge, ids: &str) {
    ids.split(' ').for_each(|id| bridge.deliver(100, id));
}

#[test]
fn an_event_that_delivery_wrote_again_is_read_once_and_counted() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        deliver(&bridge, "a b a b c");
        let mut reader = Reader::new(&memory, Start::Offset(0));
        reader.opened().await;
        assert_eq!(reader.offsets_to(5).await, [0, 1, 4]);
        deliver(&bridge, "c d a");
        assert_eq!(reader.offsets_to(8).await, [6]);
        assert_eq!(reader.frame().await, Ok(Frame::Heartbeat));
        assert_eq!(counted(&memory).await, 4);
    });
}

#[test]
fn each_reader_of_an_instance_gets_each_event_once_wherever_it_stands() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        deliver(&bridge, "a b a c b d");
        let of_instance = KafkaReaders::default();
        for brings in [500, 4, 1, 3] {
            bridge.brings(brings);
            let mut reader = Reader::of(&of_instance, &memory, Start::Offset(0));
            reader.opened().await;
            assert_eq!(reader.offsets_to(6).await, [0, 1, 3, 5], "{brings}");
        }
        // One that resumes where another one was knows what that one read.
        let mut resumed = Reader::of(&of_instance, &memory, Start::Offset(4));
        resumed.opened().await;
        assert_eq!(resumed.offsets_to(6).await, [5]);
    });
}

#[test]
fn a_reader_that_begins_in_the_middle_does_not_know_of_what_lies_before() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        deliver(&bridge, "a b a b a");
        let mut reader = Reader::new(&memory, Start::Offset(2));
        reader.opened().await;
        assert_eq!(reader.offsets_to(5).await, [2, 3]);
    });
}

#[test]
fn records_without_an_id_are_all_read() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        (0..3).for_each(|_| bridge.write_event(100));
        let mut reader = Reader::new(&memory, Start::Offset(0));
        reader.opened().await;
        assert_eq!(reader.offsets_to(3).await, [0, 1, 2]);
        // Confluent's proxy does not tell headers.
        let (bridge, memory) = Bridge::new(Dialect::ConfluentV2);
        deliver(&bridge, "a a");
        let mut reader = Reader::new(&memory, Start::Offset(0));
        reader.opened().await;
        assert_eq!(reader.offsets_to(2).await, [0, 1]);
        assert_eq!(counted(&memory).await, 0);
    });
}

#[test]
fn what_is_written_again_while_the_proxy_is_away_is_read_once() {
    run(async {
        let (bridge, memory) = Bridge::new(Dialect::Strimzi);
        deliver(&bridge, "a b");
        let mut reader = Reader::new(&memory, Start::Offset(0));
        reader.opened().await;
        assert_eq!(reader.offsets_to(2).await, [0, 1]);
        for round in 0..4 {
            bridge.make(Trouble::Lost(3));
            deliver(&bridge, &format!("c{round} d{round} c{round} a"));
            let from = 2 + 4 * round;
            assert_eq!(reader.offsets_to(from + 4).await, [from, from + 1]);
        }
    });
}
