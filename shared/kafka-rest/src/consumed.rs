//! Records as they are polled.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use http::Response;
use serde::Deserialize;

use crate::answer::json;

/// A record that was polled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumed {
    /// Its offset.
    pub offset: u64,
    /// The key.
    pub key: Option<Bytes>,
    /// The value; `None` for a tombstone of a compacted topic.
    pub value: Option<Bytes>,
    /// Milliseconds since 1970, as Kafka has them; Confluent's proxy does not tell.
    pub timestamp: Option<u64>,
    /// The headers, in order; Confluent's proxy does not tell. One without a value is empty.
    pub headers: Vec<(String, Bytes)>,
}

#[derive(Deserialize)]
struct Record {
    offset: u64,
    key: Option<String>,
    value: Option<String>,
    timestamp: Option<i64>,
    #[serde(default)]
    headers: Vec<Header>,
}

#[derive(Deserialize)]
struct Header {
    key: String,
    value: Option<String>,
}

/// The records of an answer; `None` if it holds anything else.
pub(crate) fn read(answer: &Response<Bytes>) -> Option<Vec<Consumed>> {
    let records: Vec<Record> = json(answer)?;
    records.into_iter().map(Record::decode).collect()
}

impl Record {
    fn decode(self) -> Option<Consumed> {
        let headers = self.headers.into_iter().map(|header| {
            let value = header.value.unwrap_or_default();
            Some((header.key, decode(&value)?))
        });
        Some(Consumed {
            offset: self.offset,
            key: optional(self.key)?,
            value: optional(self.value)?,
            // Kafka has -1 where a record has none.
            timestamp: self.timestamp.and_then(|timestamp| u64::try_from(timestamp).ok()),
            headers: headers.collect::<Option<_>>()?,
        })
    }
}

/// No text is no bytes; a text that is no base64 is nothing at all.
fn optional(text: Option<String>) -> Option<Option<Bytes>> {
    match text {
        Some(text) => decode(&text).map(Some),
        None => Some(None),
    }
}

fn decode(text: &str) -> Option<Bytes> {
    STANDARD.decode(text).ok().map(Bytes::from)
}
