//! The envelope an event travels in, from intake to the log.
//!
//! One envelope is one line of JSON, so that many are one text: a queue message and a chunk of the stream log
//! hold the same lines and differ only in what stands before them. The event is the last member and its
//! text is copied, never re-serialized.
//!
//! ```text
//! {"id":"0190…","dt":1593561600000,"stream":"test.event","key":{"wiki":"enwiki"},"headers":{"traceparent":"…"},"event":{…}}
//! ```

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json::quote;
use crate::time::Millis;

/// The version of the line format: what chunks and queue messages name in their own header.
pub const FORMAT: u32 = 1;

/// Largest event, in bytes of its compact text: Kafka's default for `message.max.bytes`, and what a row of the stream log
/// holds.
pub const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// Why a stored line cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("not an envelope of format {FORMAT}: {0}")]
pub struct EnvelopeError(#[from] serde_json::Error);

/// An event and what the platform knows of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Envelope {
    /// The delivery id, given at intake; redelivery keeps it. A UUID of version 8 is made from what was received, so that
    /// a retry has the same; of version 7 it is new.
    pub id: String,
    /// The receive time.
    pub dt: Millis,
    /// The stream, as `meta.stream` names it.
    pub stream: String,
    /// The message key, JSON text.
    pub key: Option<String>,
    /// Trace context and the like; names are lower case.
    pub headers: BTreeMap<String, String>,
    /// The event's compact JSON text.
    pub event: String,
}

#[derive(Deserialize)]
struct Line<'a> {
    id: String,
    dt: Millis,
    stream: String,
    #[serde(borrow, default)]
    key: Option<&'a RawValue>,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(borrow)]
    event: &'a RawValue,
}

impl Envelope {
    /// Whether a retry of the event would have the same delivery id.
    #[must_use]
    pub fn may_be_retried(&self) -> bool {
        uuid::Uuid::try_parse(&self.id).is_ok_and(|id| id.get_version_num() == 8)
    }

    /// Appends the envelope to `out`, with a newline.
    pub fn write_line(&self, out: &mut Vec<u8>) {
        let mut line = String::with_capacity(self.event.len() + 160);
        line.push_str("{\"id\":");
        line.push_str(&quote(&self.id));
        line.push_str(",\"dt\":");
        line.push_str(&self.dt.to_string());
        line.push_str(",\"stream\":");
        line.push_str(&quote(&self.stream));
        if let Some(key) = &self.key {
            line.push_str(",\"key\":");
            line.push_str(key);
        }
        if !self.headers.is_empty() {
            line.push_str(",\"headers\":");
            line.push_str(&serde_json::json!(self.headers).to_string());
        }
        line.push_str(",\"event\":");
        line.push_str(&self.event);
        line.push_str("}\n");
        out.extend_from_slice(line.as_bytes());
    }

    /// Reads one line.
    ///
    /// # Errors
    /// [`EnvelopeError`] when the line has another form.
    pub fn read_line(line: &[u8]) -> Result<Self, EnvelopeError> {
        let line: Line<'_> = serde_json::from_slice(line)?;
        Ok(Self {
            id: line.id,
            dt: line.dt,
            stream: line.stream,
            key: line.key.map(|key| key.get().to_owned()),
            headers: line.headers,
            event: line.event.get().to_owned(),
        })
    }

    /// Reads all lines of a text.
    ///
    /// # Errors
    /// [`EnvelopeError`] for the first line that has another form.
    pub fn read_lines(lines: &[u8]) -> Result<Vec<Self>, EnvelopeError> {
        lines
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(Self::read_line)
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A line as format 1 stores it: must stay readable for as long as format 2 is current.
    const STORED: &str = concat!(
        r#"{"id":"0190163d-8694-739b-aea5-966c26f8ad91","dt":1593561600000,"stream":"test.event","#,
        r#""key":{"wiki":"enwiki"},"headers":{"traceparent":"00-x"},"event":{"n":1.0,"big":18446744073709551615}}"#,
        "\n"
    );

    #[test]
    fn a_stored_line_reads_and_writes_back_to_the_same_bytes() {
        let envelopes = Envelope::read_lines(STORED.as_bytes()).unwrap();
        assert_eq!(envelopes.len(), 1);
        assert_eq!(envelopes[0].key.as_deref(), Some(r#"{"wiki":"enwiki"}"#));
        assert_eq!(envelopes[0].event, r#"{"n":1.0,"big":18446744073709551615}"#);
        let mut out = Vec::new();
        envelopes[0].write_line(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), STORED);
    }

    #[test]
    fn optional_members_are_left_out() {
        let envelope = Envelope {
            id: "i".into(),
            dt: 1,
            stream: "s".into(),
            key: None,
            headers: BTreeMap::new(),
            event: "{}".into(),
        };
        let mut out = Vec::new();
        envelope.write_line(&mut out);
        assert_eq!(out, b"{\"id\":\"i\",\"dt\":1,\"stream\":\"s\",\"event\":{}}\n");
        assert_eq!(Envelope::read_line(&out).unwrap(), envelope);
        assert!(Envelope::read_line(b"{\"id\":1}").is_err());
    }
}
