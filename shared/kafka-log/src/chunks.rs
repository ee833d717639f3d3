//! Records as chunks.

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_kafka_rest::{Consumed, Partition};
use eventstar_log::{Chunk, LogName};

/// Largest chunk, in bytes of its lines; that of a larger event alone is larger. What the stream log's chunks have.
const MAX_CHUNK_BYTES: usize = 1_000_000;

/// The partition that a log is.
pub(crate) fn partition(log: &LogName) -> Partition<'_> {
    Partition {
        topic: log.topic.as_str(),
        partition: log.partition,
    }
}

/// Records as chunks.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Chunks {
    /// From the first offset that was asked for to the one after the last record, without a gap.
    pub(crate) chunks: Vec<Chunk>,
    /// How many records hold no event.
    pub(crate) passed_over: usize,
}

/// The events of `records`, which are in order, from the offset `next` on. Offsets without an event are a chunk without lines:
/// in Kafka, the marks of transactions and what compaction removed have offsets, too. Those in `repeated`, which is in order,
/// are left out likewise.
pub(crate) fn chunks(
    log: &LogName,
    next: u64,
    records: &[Consumed],
    repeated: &[u64],
    now: Millis,
) -> Chunks {
    let mut read = Chunks::default();
    let mut run = Run::at(next);
    for record in records {
        if record.offset < next || repeated.binary_search(&record.offset).is_ok() {
            continue;
        }
        let Some(envelope) = record.envelope(partition(log), now) else {
            read.passed_over += 1;
            continue;
        };
        if record.offset > run.next() {
            read.chunks.extend(run.take());
            if run.base == next {
                run.last = envelope.dt;
            }
            read.chunks.extend(run.pass_to(record.offset));
        }
        let before = run.lines.len();
        envelope.write_line(&mut run.lines);
        if before > 0 && run.lines.len() > MAX_CHUNK_BYTES {
            let line = run.lines.split_off(before);
            read.chunks.extend(run.take());
            run.lines = line;
        }
        run.add(envelope.dt);
    }
    read.chunks.extend(run.take());
    if let Some(last) = records.last() {
        read.chunks.extend(run.pass_to(last.offset + 1));
    }
    read
}

/// Events with offsets in a row.
struct Run {
    base: u64,
    count: u64,
    first: Millis,
    last: Millis,
    lines: Vec<u8>,
}

impl Run {
    fn at(base: u64) -> Self {
        Self {
            base,
            count: 0,
            first: 0,
            last: 0,
            lines: Vec::new(),
        }
    }

    fn next(&self) -> u64 {
        self.base + self.count
    }

    /// Counts an event whose line was written.
    fn add(&mut self, dt: Millis) {
        if self.count == 0 {
            self.first = dt;
            self.last = dt;
        }
        self.count += 1;
        self.last = self.last.max(dt);
    }

    /// The chunk so far, if there is any; what comes is the next one.
    fn take(&mut self) -> Option<Chunk> {
        let chunk = Chunk {
            base: self.base,
            count: self.count,
            first: self.first,
            last: self.last,
            lines: Bytes::from(std::mem::take(&mut self.lines)),
        };
        (self.base, self.count) = (self.next(), 0);
        (chunk.count > 0).then_some(chunk)
    }

    /// A chunk without events that ends before `offset`, if there is anything before it; its timestamp is that of the event
    /// ahead, or, of the first, of the event that comes.
    fn pass_to(&mut self, offset: u64) -> Option<Chunk> {
        let count = offset.checked_sub(self.base).filter(|count| *count > 0)?;
        self.count = count;
        self.first = self.last;
        self.take()
    }
}

#[cfg(test)]
mod tests {
    use eventstar_event::Topic;

    use super::*;

    fn log() -> LogName {
        LogName {
            topic: Topic::parse("t").unwrap(),
            partition: 0,
            epoch: 0,
        }
    }

    fn record(offset: u64, timestamp: u64, value: &str) -> Consumed {
        Consumed {
            offset,
            key: None,
            value: Some(Bytes::copy_from_slice(value.as_bytes())),
            timestamp: Some(timestamp),
            headers: vec![],
        }
    }

    /// Base, count, first, last and events of each chunk.
    fn shape(read: &Chunks) -> Vec<(u64, u64, u64, u64, usize)> {
        let chunks = read.chunks.iter();
        chunks
            .map(|c| (c.base, c.count, c.first, c.last, c.events().unwrap().len()))
            .collect()
    }

    #[test]
    fn records_in_a_row_are_one_chunk_from_where_was_asked() {
        let records = [
            record(3, 5, "{}"),
            record(4, 9, "{\"n\":4}"),
            record(5, 7, "{\"n\":5}"),
        ];
        let read = chunks(&log(), 4, &records, &[], 0);
        assert_eq!(shape(&read), [(4, 2, 9, 9, 2)]);
        let events = read.chunks[0].events().unwrap();
        let events: Vec<_> = events
            .iter()
            .map(|e| (e.offset, e.timestamp, e.envelope.event.as_str()))
            .collect();
        assert_eq!(events, [(4, 9, "{\"n\":4}"), (5, 9, "{\"n\":5}")]);
    }

    #[test]
    fn offsets_without_an_event_are_passed_in_a_chunk_without_lines() {
        let records = [
            record(6, 5, "{}"),
            record(7, 5, "no event"),
            record(8, 6, "{}"),
            record(20, 9, "{}"),
            record(22, 9, "[]"),
        ];
        let read = chunks(&log(), 4, &records, &[], 0);
        assert_eq!(
            shape(&read),
            [
                (4, 2, 5, 5, 0),
                (6, 1, 5, 5, 1),
                (7, 1, 5, 5, 0),
                (8, 1, 6, 6, 1),
                (9, 11, 6, 6, 0),
                (20, 1, 9, 9, 1),
                (21, 2, 9, 9, 0)
            ]
        );
        assert_eq!(read.passed_over, 2);
        for pair in read.chunks.windows(2) {
            assert_eq!(pair[0].next(), pair[1].base);
        }
        assert_eq!(chunks(&log(), 4, &[], &[], 0), Chunks::default());
    }

    #[test]
    fn repeated_records_leave_their_offsets_and_nothing_else() {
        let records = [record(0, 1, "{}"), record(1, 2, "{}"), record(2, 3, "no event")];
        let read = chunks(&log(), 0, &records, &[1, 2], 0);
        assert_eq!(shape(&read), [(0, 1, 1, 1, 1), (1, 2, 1, 1, 0)]);
        assert_eq!(read.passed_over, 0);
        let all = chunks(&log(), 0, &records, &[0, 1, 2], 0);
        assert_eq!(shape(&all), [(0, 3, 0, 0, 0)]);
    }

    #[test]
    fn large_events_are_a_chunk_each() {
        let large = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_CHUNK_BYTES / 2));
        let huge = format!("{{\"a\":\"{}\"}}", "x".repeat(MAX_CHUNK_BYTES));
        let records = [
            record(0, 1, "{}"),
            record(1, 2, &large),
            record(2, 3, &large),
            record(3, 4, &huge),
            record(4, 5, "{}"),
        ];
        let read = chunks(&log(), 0, &records, &[], 0);
        assert_eq!(
            shape(&read),
            [(0, 2, 1, 2, 2), (2, 1, 3, 3, 1), (3, 1, 4, 4, 1), (4, 1, 5, 5, 1)]
        );
    }
}
