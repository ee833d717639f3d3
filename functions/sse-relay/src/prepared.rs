//! The events of a chunk as readers get them: made once in an isolate, for all connections that read it.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;

use eventstar_event::json::quote;
use eventstar_event::time::Millis;
use eventstar_event::{Document, EnvelopeError};
use eventstar_log::{Chunk, LogEvent, LogName};

use crate::redact::{RedactedPages, Redaction};

/// Most bytes of chunks that an isolate keeps for the connections that have yet to send them.
const MAX_KEPT_BYTES: usize = 4 * 1024 * 1024;

/// An event, ready to be sent.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Prepared {
    pub(crate) offset: u64,
    pub(crate) timestamp: Millis,
    /// Its JSON text on one line, with where it was read from; `None` when no reader gets it.
    pub(crate) data: Option<String>,
}

/// The events of a chunk.
type Events = Rc<[Prepared]>;

struct Kept {
    log: LogName,
    base: u64,
    bytes: usize,
    events: Events,
}

/// The chunks an isolate has sent of late.
#[derive(Default)]
pub(crate) struct PreparedChunks {
    kept: RefCell<VecDeque<Kept>>,
    bytes: Cell<usize>,
}

impl PreparedChunks {
    /// The events of `chunk`, which is of `log`.
    ///
    /// # Errors
    /// When the chunk cannot be read.
    pub(crate) fn events(
        &self,
        log: &LogName,
        chunk: &Chunk,
        pages: &RedactedPages,
    ) -> Result<Events, EnvelopeError> {
        let kept = self.kept.borrow();
        // The newest are the last: a chunk is read by all connections at about the same time.
        let found = kept
            .iter()
            .rev()
            .find(|kept| kept.base == chunk.base && kept.log == *log);
        if let Some(found) = found.filter(|kept| kept.events.len() as u64 == chunk.count) {
            return Ok(Rc::clone(&found.events));
        }
        drop(kept);
        let events: Events = chunk
            .events()?
            .into_iter()
            .map(|event| prepare(log, event, pages))
            .collect();
        self.keep(log, chunk, &events);
        Ok(events)
    }

    fn keep(&self, log: &LogName, chunk: &Chunk, events: &Events) {
        let bytes = chunk.lines.len();
        let mut kept = self.kept.borrow_mut();
        while self.bytes.get() + bytes > MAX_KEPT_BYTES {
            let Some(oldest) = kept.pop_front() else { break };
            self.bytes.set(self.bytes.get() - oldest.bytes);
        }
        self.bytes.set(self.bytes.get() + bytes);
        kept.push_back(Kept {
            log: log.clone(),
            base: chunk.base,
            bytes,
            events: Rc::clone(events),
        });
    }
}

fn prepare(log: &LogName, event: LogEvent, pages: &RedactedPages) -> Prepared {
    Prepared {
        offset: event.offset,
        timestamp: event.timestamp,
        data: data(
            log,
            event.offset,
            &event.envelope.event,
            event.envelope.key.as_deref(),
            pages,
        ),
    }
}

/// Adds `meta.topic`, `meta.partition`, `meta.offset` and, where there is one, `meta.key` to an event's text, after the
/// members that `meta` has (`lib/eventstreams-util.js:17-31`). `None` for what is no event, and for one that cannot be
/// redacted.
fn data(log: &LogName, offset: u64, event: &str, key: Option<&str>, pages: &RedactedPages) -> Option<String> {
    let mut document = Document::parse(event).ok()?;
    let key = match pages.redact(&mut document) {
        Redaction::Impossible => return None,
        Redaction::Unneeded => key,
        // It may name who acted.
        Redaction::Done => None,
    };
    let members = [
        ("topic", Some(quote(log.topic.as_str()))),
        ("partition", Some(log.partition.to_string())),
        ("offset", Some(offset.to_string())),
        ("key", key.map(str::to_owned)),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            document.set(&["meta", name], &value);
        }
    }
    Some(document.into_string())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use eventstar_event::{Envelope, Topic};

    use super::*;

    fn log() -> LogName {
        LogName {
            topic: Topic::parse("eqiad.a").unwrap(),
            partition: 2,
            epoch: 0,
        }
    }

    #[test]
    fn the_position_is_added_to_meta_as_the_original_does() {
        for (event, key, expected) in [
            (
                r#"{"meta":{"stream":"a"},"n":1.0}"#,
                None,
                Some(r#"{"meta":{"stream":"a","topic":"eqiad.a","partition":2,"offset":7},"n":1.0}"#),
            ),
            (
                r#"{"n":1}"#,
                Some(r#"{"w":"en"}"#),
                Some(r#"{"n":1,"meta":{"topic":"eqiad.a","partition":2,"offset":7,"key":{"w":"en"}}}"#),
            ),
            (
                r#"{"meta":{"offset":"mine","stream":"a"}}"#,
                None,
                Some(r#"{"meta":{"offset":7,"stream":"a","topic":"eqiad.a","partition":2}}"#),
            ),
            (r#""no event""#, None, None),
        ] {
            let data = data(&log(), 7, event, key, &RedactedPages::default());
            assert_eq!(data.as_deref(), expected);
        }
    }

    /// A message key may be made of the members that are taken out.
    #[test]
    fn an_event_without_who_acted_has_no_message_key() {
        let setting = eventstar_platform_memory::Memory::new().with("REDACTED_PAGES", r#"{"w": ["P"]}"#);
        let pages = RedactedPages::of(&setting).unwrap();
        let data = |title: &str| {
            let event = format!(r#"{{"meta":{{"domain":"w"}},"title":"{title}","user":"A"}}"#);
            data(&log(), 7, &event, Some(r#"{"user":"A"}"#), &pages).unwrap()
        };
        let at = r#""topic":"eqiad.a","partition":2,"offset":7"#;
        assert_eq!(
            data("P"),
            format!(r#"{{"meta":{{"domain":"w",{at}}},"title":"P"}}"#)
        );
        assert_eq!(
            data("Q"),
            format!(r#"{{"meta":{{"domain":"w",{at},"key":{{"user":"A"}}}},"title":"Q","user":"A"}}"#)
        );
    }

    fn chunk(base: u64, size: usize) -> Chunk {
        let envelope = Envelope {
            id: "i".into(),
            dt: 5,
            stream: "a".into(),
            key: None,
            headers: BTreeMap::new(),
            event: format!("{{\"n\":{base},\"text\":\"{}\"}}", "x".repeat(size)),
        };
        let mut lines = Vec::new();
        envelope.write_line(&mut lines);
        Chunk {
            base,
            count: 1,
            first: 5,
            last: 5,
            lines: Bytes::from(lines),
        }
    }

    #[test]
    fn a_chunk_is_prepared_once_for_all_connections_of_an_isolate() {
        let chunks = PreparedChunks::default();
        let pages = RedactedPages::default();
        let first = chunks.events(&log(), &chunk(3, 1), &pages).unwrap();
        assert!(Rc::ptr_eq(
            &first,
            &chunks.events(&log(), &chunk(3, 1), &pages).unwrap()
        ));
        let other = LogName { epoch: 1, ..log() };
        assert!(!Rc::ptr_eq(
            &first,
            &chunks.events(&other, &chunk(3, 1), &pages).unwrap()
        ));
    }

    #[test]
    fn what_an_isolate_keeps_is_bounded() {
        let chunks = PreparedChunks::default();
        for base in 0..100 {
            chunks
                .events(&log(), &chunk(base, 100_000), &RedactedPages::default())
                .unwrap();
            assert!(chunks.bytes.get() <= MAX_KEPT_BYTES);
        }
        assert_eq!(
            chunks.bytes.get(),
            chunks.kept.borrow().iter().map(|kept| kept.bytes).sum::<usize>()
        );
        assert!(chunks.kept.borrow().len() > 30);
    }
}
