//! Reading Server-Sent Events. Source: the HTML standard, "parsing an event stream" and "interpreting an event stream".

/// Longest block that is read, in bytes: a relay's event has at most 1 MiB, and its id 64 KiB.
const MAX_BLOCK_BYTES: usize = 16 * 1024 * 1024;

/// What a block says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Incoming {
    /// An event. `id` is the last event id after it.
    Event {
        /// Its type, `message` when the block names none.
        event: String,
        /// The last event id.
        id: String,
        /// Its data; several `data` lines are joined by line feeds.
        data: String,
    },
    /// A block without data sets the last event id.
    Id(String),
    /// How long to wait before connecting again, in milliseconds.
    Retry(u64),
}

/// A block is larger than any event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a block of more than {MAX_BLOCK_BYTES} bytes: this is no stream of events")]
pub struct BlockTooLarge;

/// Reads the bytes of one connection, in whatever pieces they come. A block that has not ended when the connection does is
/// no event.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    after_cr: bool,
    after_bom: bool,
    event: String,
    data: String,
    has_data: bool,
    id: Option<String>,
    last_id: String,
    bytes: usize,
}

impl Parser {
    /// A reader for a connection that goes on after `last_id`.
    #[must_use]
    pub fn after(last_id: &str) -> Self {
        Self {
            last_id: last_id.to_owned(),
            ..Self::default()
        }
    }

    /// Takes the next bytes; returns what is complete with them.
    ///
    /// # Errors
    /// [`BlockTooLarge`], after which nothing more can be read.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Incoming>, BlockTooLarge> {
        let mut out = Vec::new();
        for piece in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let (text, end) = match piece.split_last() {
                Some((end @ (b'\n' | b'\r'), text)) => (text, Some(*end)),
                _ => (piece, None),
            };
            let continues_cr = std::mem::take(&mut self.after_cr) && text.is_empty() && end == Some(b'\n');
            if continues_cr {
                continue;
            }
            self.bytes += piece.len();
            if self.bytes > MAX_BLOCK_BYTES {
                return Err(BlockTooLarge);
            }
            self.line.extend_from_slice(text);
            if let Some(end) = end {
                self.after_cr = end == b'\r';
                let line = std::mem::take(&mut self.line);
                let line = String::from_utf8_lossy(&line);
                let line = match std::mem::replace(&mut self.after_bom, true) {
                    false => line.strip_prefix('\u{feff}').unwrap_or(&line),
                    true => &line,
                };
                self.take_line(line, &mut out);
            }
        }
        Ok(out)
    }

    fn take_line(&mut self, line: &str, out: &mut Vec<Incoming>) {
        if line.is_empty() {
            return self.end_block(out);
        }
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            "id" if !value.contains('\0') => self.id = Some(value.to_owned()),
            "retry" if value.bytes().all(|byte| byte.is_ascii_digit()) => {
                out.extend(value.parse().ok().map(Incoming::Retry));
            }
            // A comment, or a field that the standard does not know.
            _ => {}
        }
    }

    fn end_block(&mut self, out: &mut Vec<Incoming>) {
        self.bytes = 0;
        let has_id = self.id.is_some();
        if let Some(id) = self.id.take() {
            self.last_id = id;
        }
        let event = std::mem::take(&mut self.event);
        let data = std::mem::take(&mut self.data);
        if std::mem::take(&mut self.has_data) && !data.is_empty() {
            out.push(Incoming::Event {
                event: if event.is_empty() {
                    "message".to_owned()
                } else {
                    event
                },
                id: self.last_id.clone(),
                data,
            });
        } else if has_id {
            out.push(Incoming::Id(self.last_id.clone()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{COMMENT, OPENED, id_frame, write_event};

    fn event(event: &str, id: &str, data: &str) -> Incoming {
        Incoming::Event {
            event: event.to_owned(),
            id: id.to_owned(),
            data: data.to_owned(),
        }
    }

    #[test]
    fn blocks_are_read_as_the_standard_says() {
        for (text, expected) in [
            ("data: a\n\n", vec![event("message", "", "a")]),
            ("data:a\r\n\r\n", vec![event("message", "", "a")]),
            ("data: a\r\r", vec![event("message", "", "a")]),
            ("\u{feff}data: a\n\n", vec![event("message", "", "a")]),
            (
                "data: a\ndata\ndata:  b\n\n",
                vec![event("message", "", "a\n\n b")],
            ),
            ("event: gap\nid: 1\ndata: a\n\n", vec![event("gap", "1", "a")]),
            // The id stays, the type does not.
            (
                "event: x\nid: 1\ndata: a\n\ndata: b\n\n",
                vec![event("x", "1", "a"), event("message", "1", "b")],
            ),
            // An id with NUL is none, and an empty one takes the last one back.
            (
                "id: 1\n\nid: a\0\ndata: b\n\nid\n\n",
                vec![
                    Incoming::Id("1".into()),
                    event("message", "1", "b"),
                    Incoming::Id(String::new()),
                ],
            ),
            ("retry: 1500\n\n", vec![Incoming::Retry(1500)]),
            ("retry: 1.5\nretry: -1\nretry\n\n", vec![]),
            (":ok\n\n: data: a\n\nother: a\n\nevent: a\n\ndata\n\n", vec![]),
            // What has not ended is no event.
            ("id: 1\ndata: a\n", vec![]),
            ("id: 1\ndata: a", vec![]),
        ] {
            assert_eq!(
                Parser::default().push(text.as_bytes()).unwrap(),
                expected,
                "{text:?}"
            );
        }
    }

    #[test]
    fn pieces_may_end_anywhere() {
        let frame = |event, id, data| {
            let mut frame = String::new();
            write_event(&mut frame, event, |out| out.push_str(id), data);
            frame
        };
        let frames = [
            OPENED.to_owned(),
            frame("message", "[1]", "{\"a\":\"é\"}"),
            COMMENT.to_owned(),
            id_frame("[2]"),
            frame("error", "[3]", "a\nb").replace('\n', "\r\n"),
        ];
        let text = frames.concat();
        let expected = vec![
            event("message", "[1]", "{\"a\":\"é\"}"),
            Incoming::Id("[2]".into()),
            event("error", "[3]", "a\nb"),
        ];
        for size in 1..text.len() {
            let mut parser = Parser::after("[0]");
            let pieces = text.as_bytes().chunks(size);
            let read: Vec<Incoming> = pieces.flat_map(|piece| parser.push(piece).unwrap()).collect();
            assert_eq!(read, expected, "pieces of {size}");
        }
    }

    #[test]
    fn a_block_has_a_most() {
        let mut parser = Parser::default();
        assert_eq!(parser.push(&vec![b'a'; MAX_BLOCK_BYTES]), Ok(vec![]));
        assert_eq!(parser.push(b"a"), Err(BlockTooLarge));
        let mut parser = Parser::default();
        for _ in 0..3 {
            assert!(parser.push(&vec![b'a'; MAX_BLOCK_BYTES - 2]).is_ok());
            assert!(parser.push(b"\n\n").is_ok(), "each block anew");
        }
    }
}
