//! A reader of server-sent events that fails instead of hanging.

use std::io::Read;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Answer, BodyReader, Origin, Request};

/// How long one event may be waited for.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// One event of the stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SseEvent {
    /// The `event` field.
    pub event: String,
    /// The `id` field.
    pub id: String,
    /// The `data` field; several lines are joined by a newline.
    pub data: String,
    /// The whole block as it came, with the empty line that ends it.
    pub raw: String,
}

impl SseEvent {
    /// The `data` as JSON.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.data)
            .unwrap_or_else(|error| panic!("data must be JSON ({error}): {}", self.raw))
    }

    /// `meta.id`, or an empty text.
    #[must_use]
    pub fn meta_id(&self) -> String {
        self.json()["meta"]["id"].as_str().unwrap_or_default().to_owned()
    }

    /// `meta.offset`.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.json()["meta"]["offset"]
            .as_u64()
            .unwrap_or_else(|| panic!("meta.offset is missing: {}", self.raw))
    }

    /// The entry of the `id` for a topic-partition.
    #[must_use]
    pub fn position(&self, topic: &str, partition: u64) -> Value {
        let id: Value = serde_json::from_str(&self.id)
            .unwrap_or_else(|error| panic!("the id must be JSON ({error}): {}", self.raw));
        let entries = id
            .as_array()
            .unwrap_or_else(|| panic!("the id must be an array: {}", self.raw));
        let found = entries
            .iter()
            .find(|entry| entry["topic"] == topic && entry["partition"] == partition);
        found
            .unwrap_or_else(|| panic!("the id must name {topic}/{partition}: {}", self.raw))
            .clone()
    }

    /// The timestamp the log gave the event: one less than what the id resumes at.
    #[must_use]
    pub fn timestamp(&self) -> u64 {
        let meta = self.json()["meta"].clone();
        let topic = meta["topic"].as_str().expect("meta.topic");
        let position = self.position(topic, meta["partition"].as_u64().expect("meta.partition"));
        position["timestamp"].as_u64().expect("a timestamp in the id") - 1
    }
}

/// An open stream.
#[derive(Debug)]
pub struct Events {
    /// Status and headers of the answer.
    pub answer: Answer,
    body: BodyReader,
    path: String,
    pending: Vec<u8>,
    last_id: Option<String>,
    gaps: Vec<SseEvent>,
}

impl Events {
    /// Opens `path` and waits for `:ok`: from then on nothing posted may be missed.
    #[must_use]
    #[track_caller]
    pub fn open(origin: &Origin, path: &str) -> Self {
        Self::open_with(origin, &Request::get(path), path)
    }

    /// Opens `path` where another connection stopped.
    #[must_use]
    #[track_caller]
    pub fn resume(origin: &Origin, path: &str, last_event_id: &str) -> Self {
        Self::open_with(
            origin,
            &Request::get(path).header("last-event-id", last_event_id),
            path,
        )
    }

    #[track_caller]
    fn open_with(origin: &Origin, request: &Request, path: &str) -> Self {
        let (answer, mut body) = match origin.open(request) {
            Ok(opened) => opened,
            Err(error) => panic!("no stream at {path}: {error}"),
        };
        if answer.status != 200 {
            let mut text = String::new();
            let _ = body.read_to_string(&mut text);
            panic!("no stream at {path}: status {} and body {text}", answer.status);
        }
        let mut events = Self {
            answer,
            body,
            path: path.to_owned(),
            pending: Vec::new(),
            last_id: None,
            gaps: Vec::new(),
        };
        let first = events.block(Instant::now() + PATIENCE);
        assert_eq!(first, ":ok\n\n", "the first bytes of {path}");
        events
    }

    /// The next event.
    #[track_caller]
    pub fn next_event(&mut self) -> SseEvent {
        self.next_within(PATIENCE)
    }

    /// The gaps that the reader was told of. They are no events of the stream.
    #[must_use]
    pub fn gaps(&self) -> &[SseEvent] {
        &self.gaps
    }

    /// The next event, which must come within `patience`. Heartbeats and gaps do not count.
    #[track_caller]
    pub fn next_within(&mut self, patience: Duration) -> SseEvent {
        let deadline = Instant::now() + patience;
        loop {
            let block = self.block(deadline);
            self.keep_id(&block);
            match parse(&block) {
                Some(gap) if gap.event == "gap" => self.gaps.push(gap),
                Some(event) => return event,
                None => {}
            }
        }
    }

    /// The next `count` events.
    #[track_caller]
    pub fn take(&mut self, count: usize) -> Vec<SseEvent> {
        (0..count).map(|_| self.next_event()).collect()
    }

    /// Reads on until an event has this `meta.id`; other events are passed over.
    #[track_caller]
    pub fn find(&mut self, meta_id: &str) -> SseEvent {
        self.up_to(meta_id).pop().expect("the event itself")
    }

    /// All events up to and including the one with this `meta.id`.
    #[track_caller]
    pub fn up_to(&mut self, meta_id: &str) -> Vec<SseEvent> {
        let mut seen = Vec::new();
        loop {
            seen.push(self.next_event());
            if seen.last().is_some_and(|event| event.meta_id() == meta_id) {
                return seen;
            }
        }
    }

    /// The next heartbeat, a comment or an id alone; events that come before it are passed over.
    #[track_caller]
    pub fn heartbeat(&mut self) -> String {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let block = self.block(deadline);
            self.keep_id(&block);
            if parse(&block).is_none() {
                return block;
            }
        }
    }

    fn keep_id(&mut self, block: &str) {
        let id = block.lines().find_map(|line| line.strip_prefix("id: "));
        if let Some(id) = id {
            self.last_id = Some(id.to_owned());
        }
    }

    /// The last `id`, of an event or alone: what a client resumes with.
    #[must_use]
    pub fn last_id(&self) -> Option<&str> {
        self.last_id.as_deref()
    }

    /// Reads up to the empty line that ends a block.
    #[track_caller]
    fn block(&mut self, deadline: Instant) -> String {
        loop {
            if let Some(end) = self.pending.windows(2).position(|pair| pair == b"\n\n") {
                let block = self.pending.drain(..end + 2).collect();
                return String::from_utf8(block).expect("a stream of UTF-8");
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let seen = String::from_utf8_lossy(&self.pending).into_owned();
            assert!(
                !left.is_zero(),
                "nothing came in time from {}; pending: {seen:?}",
                self.path
            );
            self.body.set_timeout(left).expect("a socket");
            let mut buffer = [0; 16 * 1024];
            match self.body.read(&mut buffer) {
                Ok(0) => panic!("the stream {} ended; pending: {seen:?}", self.path),
                Ok(count) => self.pending.extend_from_slice(&buffer[..count]),
                Err(error) => panic!("the stream {} broke ({error}); pending: {seen:?}", self.path),
            }
        }
    }
}

/// The events of an answer that has ended.
#[must_use]
pub fn events_of(text: &str) -> Vec<SseEvent> {
    text.split_inclusive("\n\n").filter_map(parse).collect()
}

/// Reads one block; `None` for a comment, and for an id alone.
fn parse(block: &str) -> Option<SseEvent> {
    let mut event = None;
    let mut id = None;
    let mut data: Vec<&str> = Vec::new();
    for line in block.trim_end_matches('\n').split('\n') {
        match line.split_once(": ") {
            Some(("event", value)) => event = Some(value),
            Some(("id", value)) => id = Some(value),
            Some(("data", value)) => data.push(value),
            // How long to wait before coming back.
            Some(("retry", _)) => {}
            _ => assert!(
                line.starts_with(':'),
                "a line that is neither field nor comment: {block:?}"
            ),
        }
    }
    if event.is_none() && data.is_empty() {
        return None;
    }
    Some(SseEvent {
        event: event
            .unwrap_or_else(|| panic!("no event field: {block:?}"))
            .to_owned(),
        id: id.unwrap_or_else(|| panic!("no id field: {block:?}")).to_owned(),
        data: data.join("\n"),
        raw: block.to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_block_has_its_three_fields() {
        let raw = "event: message\nid: [{\"topic\":\"a\",\"partition\":0,\"offset\":4,\"timestamp\":8}]\ndata: {\"a\":1}\n\n";
        let event = parse(raw).unwrap();
        assert_eq!(
            (event.event.as_str(), event.data.as_str()),
            ("message", "{\"a\":1}")
        );
        assert_eq!(event.position("a", 0)["offset"], 4);
        assert_eq!(event.raw, raw);
    }

    #[test]
    fn comments_are_no_events() {
        assert_eq!(parse(":\n\n"), None);
        assert_eq!(parse(":ok\n\n"), None);
        assert_eq!(parse("id: [1]\n\n"), None, "an id alone dispatches nothing");
        assert_eq!(parse("id: [1]\nretry: 1500\n\n"), None);
    }
}
