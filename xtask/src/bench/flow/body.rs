//! The answer of one SSE connection, in whatever pieces it comes: head, chunks, and the events in them.

use anyhow::{Context as _, Result, bail, ensure};
use memchr::memmem;

/// Before the time at which an event was due, in the event's own text.
pub(super) const DUE: &str = "\"test\":\"due ";

/// Digits of that time: microseconds since 1970.
const DIGITS: usize = 16;

/// The longest line of the head or of a chunk that is taken.
const MAX_LINE: usize = 8192;

#[derive(Debug)]
enum Expected {
    /// A line of the head, and whether the status line was read.
    Head { status: bool },
    /// The line with the size of a chunk.
    Size,
    /// So many bytes of a chunk.
    Data(usize),
    /// The empty line after a chunk.
    DataEnd,
}

/// What was read of one answer.
#[derive(Debug)]
pub(super) struct Body {
    expected: Expected,
    /// The line that has not ended yet.
    line: Vec<u8>,
    /// The event that has not ended yet.
    text: Vec<u8>,
    /// Whether the stream says that it is open.
    pub(super) opened: bool,
}

impl Body {
    pub(super) fn new() -> Self {
        Self {
            expected: Expected::Head { status: false },
            line: Vec::new(),
            text: Vec::new(),
            opened: false,
        }
    }

    /// Takes what was read from the connection, and calls `event` with when each event was due, in microseconds since 1970.
    pub(super) fn push(&mut self, mut input: &[u8], event: &mut impl FnMut(u64)) -> Result<()> {
        while !input.is_empty() {
            if let Expected::Data(left) = self.expected {
                let (data, rest) = input.split_at(left.min(input.len()));
                self.text.extend_from_slice(data);
                input = rest;
                self.expected = match left - data.len() {
                    0 => Expected::DataEnd,
                    left => Expected::Data(left),
                };
                continue;
            }
            let end = memchr::memchr(b'\n', input);
            let (part, rest) = input.split_at(end.map_or(input.len(), |end| end + 1));
            self.line.extend_from_slice(part);
            input = rest;
            ensure!(self.line.len() <= MAX_LINE, "the answer is not chunked");
            if end.is_some() {
                self.line_ended()?;
                self.line.clear();
            }
        }
        self.events(event)
    }

    fn line_ended(&mut self) -> Result<()> {
        let line = std::str::from_utf8(&self.line)
            .context("a header that is no text")?
            .trim_end();
        self.expected = match self.expected {
            Expected::Head { status: false } => {
                let status = line.split(' ').nth(1);
                ensure!(status == Some("200"), "answered '{line}'");
                Expected::Head { status: true }
            }
            Expected::Head { status: true } if line.is_empty() => Expected::Size,
            Expected::Head { status: true } => Expected::Head { status: true },
            Expected::DataEnd => Expected::Size,
            Expected::Size | Expected::Data(_) => {
                let size = usize::from_str_radix(line, 16).context("the answer is not chunked")?;
                Expected::Data(size)
            }
        };
        // An empty line follows the last chunk, which is empty.
        if matches!(self.expected, Expected::Data(0)) {
            bail!("the server ended the stream");
        }
        Ok(())
    }

    fn events(&mut self, event: &mut impl FnMut(u64)) -> Result<()> {
        let mut start = 0;
        while let Some(text) = self.text.get(start..)
            && let Some(end) = memmem::find(text, b"\n\n")
        {
            let text = text.get(..end).unwrap_or_default();
            match memmem::find(text, DUE.as_bytes()) {
                Some(at) => event(due(text, at + DUE.len()).context("an event without the time it was due")?),
                // A comment, or what else is no event.
                None => self.opened = true,
            }
            start += end + 2;
        }
        self.text.drain(..start);
        Ok(())
    }
}

fn due(text: &[u8], at: usize) -> Option<u64> {
    std::str::from_utf8(text.get(at..at + DIGITS)?).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunked(chunks: &[&str]) -> String {
        let chunks = chunks
            .iter()
            .map(|chunk| format!("{:X}\r\n{chunk}\r\n", chunk.len()));
        format!(
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{}",
            chunks.collect::<String>()
        )
    }

    #[test]
    fn events_are_found_however_the_answer_is_cut() {
        let answer = chunked(&[
            ":ok\n\n",
            "event: message\nid: []\ndata: {\"test\":\"due 1764040000000",
            "001 xxx\"}\n\nevent: message\nda",
            "ta: {\"test\":\"due 1764040000000002\"}\n\n",
        ]);
        for size in [1, 2, 7, 30, 1000] {
            let mut body = Body::new();
            let mut seen = Vec::new();
            for piece in answer.as_bytes().chunks(size) {
                body.push(piece, &mut |due| seen.push(due)).unwrap();
            }
            assert!(body.opened);
            assert_eq!(seen, [1_764_040_000_000_001, 1_764_040_000_000_002], "{size}");
            assert!(body.text.is_empty() && body.line.is_empty());
        }
    }

    #[test]
    fn an_answer_that_is_no_stream_is_an_error() {
        for (answer, problem) in [
            ("HTTP/1.1 404 Not Found\r\n", "404"),
            ("HTTP/1.1 200 OK\r\n\r\n:ok\n\n", "not chunked"),
            ("HTTP/1.1 200 OK\r\n\r\n0\r\n\r\n", "ended"),
        ] {
            let error = Body::new().push(answer.as_bytes(), &mut |_| {}).unwrap_err();
            assert!(format!("{error:#}").contains(problem), "{error:#}");
        }
    }
}
