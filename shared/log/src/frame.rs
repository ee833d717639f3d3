//! What a follower of a log is sent, and its text on the wire between the log's owner and a relay.
//!
//! A frame is one line of JSON; a chunk's line is followed by as many bytes as its `bytes` member says. An empty line
//! is a heartbeat. Pieces of the wire are not frame borders, so [`FrameDecoder`] reassembles.

use bytes::{Bytes, BytesMut};
use eventstar_event::time::Millis;
use serde::{Deserialize, Serialize};

use crate::Chunk;

/// Where a reader starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    /// At an offset.
    Offset(u64),
    /// At an offset, if it is this log's: the event ahead of it is older than `timestamp`, and it is itself not younger than
    /// that. Else at the first event of `timestamp` or later.
    Position {
        /// The offset.
        offset: u64,
        /// The timestamp of the event ahead of it, plus one millisecond.
        timestamp: Millis,
    },
    /// At the first event of this timestamp or later.
    Timestamp(Millis),
    /// After the last event.
    Latest,
}

/// Why a reader does not start at the offset it asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum GapReason {
    /// Retention has dropped the event.
    Expired,
    /// The offset is another log's: its epoch is over, or it was copied from elsewhere.
    Foreign,
    /// The topic-partition is none of the streams' any more. No log says so of itself.
    Gone,
}

/// Events between what a reader asked for and where it starts may be missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Why.
    pub reason: GapReason,
    /// The timestamp of the event the reader starts at; `None` when there is none yet.
    pub timestamp: Option<Millis>,
}

/// What a follower is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// First, once: where reading starts.
    Opened {
        /// The offset the first event will have, if nothing was dropped by retention.
        start: u64,
        /// The earliest offset that is still there.
        earliest: u64,
        /// The offset the next appended event will get.
        head: u64,
        /// The timestamp of the last event; 0 in an empty log.
        last: Millis,
        /// What may be missing before `start`.
        gap: Option<Gap>,
    },
    /// Events. A chunk is sent whole: it may begin before `start`.
    Chunk(Chunk),
    /// Nothing new, still there.
    Heartbeat,
}

/// A frame that cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum FrameError {
    /// The line is no frame.
    #[error("not a frame: {0}")]
    Malformed(#[from] serde_json::Error),
    /// A line longer than any frame's.
    #[error("a frame's line is longer than {MAX_LINE} bytes")]
    TooLong,
}

/// Longest line of a frame, in bytes; the events of a chunk come after its line.
const MAX_LINE: usize = 4096;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Line {
    Opened {
        start: u64,
        earliest: u64,
        head: u64,
        last: Millis,
        #[serde(default, skip_serializing_if = "Option::is_none")]
        gap: Option<Gap>,
    },
    Chunk {
        base: u64,
        count: u64,
        first: Millis,
        last: Millis,
        bytes: usize,
    },
}

impl Frame {
    /// The frame's text.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let (line, lines) = match self {
            Self::Heartbeat => return Bytes::from_static(b"\n"),
            Self::Opened {
                start,
                earliest,
                head,
                last,
                gap,
            } => (
                Line::Opened {
                    start: *start,
                    earliest: *earliest,
                    head: *head,
                    last: *last,
                    gap: *gap,
                },
                &[][..],
            ),
            Self::Chunk(Chunk {
                base,
                count,
                first,
                last,
                lines,
            }) => (
                Line::Chunk {
                    base: *base,
                    count: *count,
                    first: *first,
                    last: *last,
                    bytes: lines.len(),
                },
                lines.as_ref(),
            ),
        };
        // Numbers and fixed names only: there is nothing in the line that could fail to serialize.
        let mut text = serde_json::to_vec(&line).unwrap_or_default();
        text.push(b'\n');
        text.extend_from_slice(lines);
        Bytes::from(text)
    }
}

/// Turns the pieces of a follow stream into frames.
#[derive(Debug, Default)]
pub struct FrameDecoder {
    buffer: BytesMut,
    pending: Option<Chunk>,
    missing: usize,
}

impl FrameDecoder {
    /// Adds a piece.
    pub fn push(&mut self, piece: &[u8]) {
        self.buffer.extend_from_slice(piece);
    }

    /// The next whole frame, if there is one.
    ///
    /// # Errors
    /// [`FrameError`] when the stream is no follow stream; nothing after it can be trusted.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if self.pending.is_none() {
            let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') else {
                return if self.buffer.len() > MAX_LINE {
                    Err(FrameError::TooLong)
                } else {
                    Ok(None)
                };
            };
            let line = self.buffer.split_to(end + 1);
            if line.len() == 1 {
                return Ok(Some(Frame::Heartbeat));
            }
            match serde_json::from_slice(&line)? {
                Line::Opened {
                    start,
                    earliest,
                    head,
                    last,
                    gap,
                } => {
                    return Ok(Some(Frame::Opened {
                        start,
                        earliest,
                        head,
                        last,
                        gap,
                    }));
                }
                Line::Chunk {
                    base,
                    count,
                    first,
                    last,
                    bytes,
                } => {
                    self.missing = bytes;
                    self.pending = Some(Chunk {
                        base,
                        count,
                        first,
                        last,
                        lines: Bytes::new(),
                    });
                }
            }
        }
        if self.buffer.len() < self.missing {
            return Ok(None);
        }
        let lines = self.buffer.split_to(self.missing).freeze();
        Ok(self
            .pending
            .take()
            .map(|chunk| Frame::Chunk(Chunk { lines, ..chunk })))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frames() -> Vec<Frame> {
        let lines = Bytes::from_static(b"{\"id\":\"i\",\"dt\":1,\"stream\":\"s\",\"event\":{}}\n");
        vec![
            Frame::Opened {
                start: 3,
                earliest: 1,
                head: 9,
                last: 77,
                gap: None,
            },
            Frame::Opened {
                start: 3,
                earliest: 3,
                head: 9,
                last: 77,
                gap: Some(Gap {
                    reason: GapReason::Expired,
                    timestamp: Some(5),
                }),
            },
            Frame::Heartbeat,
            Frame::Chunk(Chunk {
                base: 3,
                count: 1,
                first: 1,
                last: 1,
                lines: lines.clone(),
            }),
            Frame::Chunk(Chunk {
                base: 4,
                count: 1,
                first: 2,
                last: 2,
                lines,
            }),
            Frame::Heartbeat,
        ]
    }

    #[test]
    fn frames_survive_any_cut_of_the_wire() {
        let wire: Vec<u8> = frames()
            .iter()
            .flat_map(|frame| frame.encode().to_vec())
            .collect();
        for size in 1..=wire.len() {
            let mut decoder = FrameDecoder::default();
            let mut read = Vec::new();
            for piece in wire.chunks(size) {
                decoder.push(piece);
                while let Some(frame) = decoder.next_frame().unwrap() {
                    read.push(frame);
                }
            }
            assert_eq!(read, frames(), "pieces of {size} bytes");
        }
    }

    /// A log's owner may be deployed before the relay or after it.
    #[test]
    fn an_opened_line_from_before_there_were_gaps_is_read() {
        let mut decoder = FrameDecoder::default();
        decoder.push(b"{\"opened\":{\"start\":3,\"earliest\":1,\"head\":9,\"last\":77}}\n");
        let expected = Frame::Opened {
            start: 3,
            earliest: 1,
            head: 9,
            last: 77,
            gap: None,
        };
        assert_eq!(decoder.next_frame().unwrap(), Some(expected));
    }

    #[test]
    fn what_is_no_frame_is_refused() {
        let mut decoder = FrameDecoder::default();
        decoder.push(b"<html>oops</html>\n");
        assert!(matches!(decoder.next_frame(), Err(FrameError::Malformed(_))));
        let mut decoder = FrameDecoder::default();
        decoder.push(&[b'x'; MAX_LINE + 1]);
        assert!(matches!(decoder.next_frame(), Err(FrameError::TooLong)));
    }
}
