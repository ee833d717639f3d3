//! Chunks: append batches as they are stored and sent to readers.

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_event::{Envelope, EnvelopeError};

/// One append batch in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// The offset of its first event.
    pub base: u64,
    /// How many events it holds.
    pub count: u64,
    /// The timestamp of its first event.
    pub first: Millis,
    /// The timestamp of its last event.
    pub last: Millis,
    /// The envelopes, one a line.
    pub lines: Bytes,
}

/// One event read from the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEvent {
    /// Its offset: dense, from 0.
    pub offset: u64,
    /// Its timestamp: the receive time, but never before that of the event ahead of it.
    pub timestamp: Millis,
    /// The envelope.
    pub envelope: Envelope,
}

/// What an append did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the first event written; the head of the log when nothing was.
    pub base: u64,
    /// How many events were written.
    pub written: u64,
    /// How many events were in the log already (same delivery id) and therefore not written again.
    pub duplicates: u64,
}

impl Chunk {
    /// The offset after its last event.
    #[must_use]
    pub fn next(&self) -> u64 {
        self.base + self.count
    }

    /// Its events, in order.
    ///
    /// # Errors
    /// [`EnvelopeError`] when a stored line cannot be read.
    pub fn events(&self) -> Result<Vec<LogEvent>, EnvelopeError> {
        let mut timestamp = self.first;
        Ok(Envelope::read_lines(&self.lines)?
            .into_iter()
            .zip(self.base..)
            .map(|(envelope, offset)| {
                timestamp = timestamp.max(envelope.dt);
                LogEvent {
                    offset,
                    timestamp,
                    envelope,
                }
            })
            .collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timestamps_never_run_backwards_within_a_chunk() {
        let line = |dt: u64| format!("{{\"id\":\"i\",\"dt\":{dt},\"stream\":\"s\",\"event\":{{}}}}\n");
        let lines = [line(5), line(9), line(7)].concat();
        let chunk = Chunk {
            base: 40,
            count: 3,
            first: 6,
            last: 9,
            lines: Bytes::from(lines),
        };
        let read: Vec<_> = chunk
            .events()
            .unwrap()
            .iter()
            .map(|e| (e.offset, e.timestamp))
            .collect();
        assert_eq!(read, [(40, 6), (41, 9), (42, 9)]);
        assert_eq!(chunk.next(), 43);
    }
}
