//! Reading a bounded page of a log of dead letters.

use std::pin::pin;

use eventstar_delivery::{DeadEvent, DeadLetter};
use eventstar_event::time::to_iso;
use eventstar_log::{Frame, LogEvent, LogName, Start};
use eventstar_ports::{Platform, PortError, StreamLog};
use futures_util::StreamExt as _;
use serde::Serialize;

use super::list::Wanted;
use super::{Line, MarkLine};

/// Bytes of a page after which it ends; the last line may go beyond.
const MAX_PAGE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of the log after which a page ends, however little of them is wanted: some hundred milliseconds of work.
pub(super) const MAX_READ_BYTES: usize = 16 * 1024 * 1024;

/// A page.
pub(super) struct Page {
    /// A line of JSON for each letter and each mark.
    pub(super) lines: Vec<u8>,
    /// The offset to go on from.
    pub(super) next: u64,
    /// The end of the log, as it was when reading began.
    pub(super) head: u64,
}

/// Reads a page from `start`, of dead letters or of error events.
///
/// # Errors
/// The log's.
pub(super) async fn read<P: Platform>(
    platform: &P,
    log: &LogName,
    start: Start,
    wanted: &Wanted,
    are_errors: bool,
) -> Result<Page, PortError> {
    let mut frames = pin!(platform.stream_log().follow(log, start));
    let mut page = Page {
        lines: Vec::new(),
        next: 0,
        head: 0,
    };
    let (mut listed, mut bytes) = (0, 0);
    loop {
        match frames.next().await {
            None => return Err(PortError::unavailable("log", format!("{log} ended early"))),
            Some(frame) => match frame? {
                Frame::Opened { start, head, .. } => (page.next, page.head) = (start, head),
                // What was left there has expired meanwhile.
                Frame::Heartbeat => {
                    if bytes == 0 {
                        page.next = page.head;
                    }
                    return Ok(page);
                }
                Frame::Chunk(chunk) => {
                    let events = chunk
                        .events()
                        .map_err(|error| PortError::corrupt("log", error.to_string()))?;
                    for event in events {
                        if event.offset < page.next {
                            continue;
                        }
                        if listed == wanted.limit()
                            || page.lines.len() >= MAX_PAGE_BYTES
                            || bytes >= MAX_READ_BYTES
                        {
                            return Ok(page);
                        }
                        bytes += event.envelope.event.len();
                        page.next = event.offset + 1;
                        listed += usize::from(page.add(event, wanted, are_errors)?);
                    }
                }
            },
        }
        if page.next >= page.head {
            return Ok(page);
        }
    }
}

impl Page {
    /// Adds a line for an event, if it is wanted.
    fn add(&mut self, event: LogEvent, wanted: &Wanted, are_errors: bool) -> Result<bool, PortError> {
        let LogEvent { offset, envelope, .. } = event;
        let letter = match are_errors {
            true => match DeadLetter::of_error(&envelope.event) {
                Some(letter) => letter,
                None => return Ok(false),
            },
            false => match DeadEvent::read(&envelope.event) {
                DeadEvent::Letter(letter) => letter,
                DeadEvent::Settled(mark) => {
                    self.write(&MarkLine { offset, mark })?;
                    return Ok(true);
                }
            },
        };
        let line = Line {
            offset,
            id: envelope.id,
            dt: to_iso(envelope.dt),
            headers: envelope.headers,
            letter,
        };
        if !wanted.takes(envelope.dt, &line) {
            return Ok(false);
        }
        self.write(&line)?;
        Ok(true)
    }

    fn write(&mut self, line: &impl Serialize) -> Result<(), PortError> {
        serde_json::to_writer(&mut self.lines, line)
            .map_err(|error| PortError::corrupt("log", error.to_string()))?;
        self.lines.push(b'\n');
        Ok(())
    }
}
