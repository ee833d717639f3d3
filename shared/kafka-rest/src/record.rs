//! Records and their text in a request.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde_json::Value;

use crate::Dialect;

/// What surrounds the records of a request.
const OPEN: &str = "{\"records\":[";
const CLOSE: &str = "]}";

/// A record to produce.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The key.
    pub key: Option<Bytes>,
    /// The value.
    pub value: Bytes,
    /// Milliseconds since 1970; Confluent's proxy is not told.
    pub timestamp: Option<u64>,
    /// The headers, in order; Confluent's proxy is not told.
    pub headers: Vec<(String, Bytes)>,
    /// The partition; without, Kafka's producer chooses one by the key.
    pub partition: Option<u32>,
}

/// Cuts `records`, in order, into batches for one request each: of at most `most` records and bodies of at most `most_bytes`. A
/// record that is larger alone stands alone.
#[must_use]
pub fn batches(records: &[Record], most_bytes: usize, most: usize) -> Vec<Range<usize>> {
    let mut batches = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, record) in records.iter().enumerate() {
        // The comma, too; what surrounds all is as long as two more.
        let more = record.encoded_bytes() + 1;
        let is_full = place - start >= most || OPEN.len() + CLOSE.len() + bytes + more > most_bytes + 1;
        if place > start && is_full {
            batches.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += more;
    }
    if start < records.len() {
        batches.push(start..records.len());
    }
    batches
}

/// The body of a request that produces `records`.
pub(crate) fn body(dialect: Dialect, records: &[Record]) -> Bytes {
    let bytes: usize = records.iter().map(|record| record.encoded_bytes() + 1).sum();
    let mut text = String::with_capacity(OPEN.len() + bytes + CLOSE.len());
    text.push_str(OPEN);
    for (place, record) in records.iter().enumerate() {
        if place > 0 {
            text.push(',');
        }
        record.encode(dialect, &mut text);
    }
    text.push_str(CLOSE);
    Bytes::from(text)
}

impl Record {
    fn encode(&self, dialect: Dialect, text: &mut String) {
        text.push('{');
        if let Some(key) = &self.key {
            text.push_str("\"key\":\"");
            STANDARD.encode_string(key, text);
            text.push_str("\",");
        }
        text.push_str("\"value\":\"");
        STANDARD.encode_string(&self.value, text);
        text.push('"');
        if let Some(partition) = self.partition {
            text.push_str(",\"partition\":");
            text.push_str(&partition.to_string());
        }
        if dialect == Dialect::Strimzi {
            self.encode_headers(text);
        }
        text.push('}');
    }

    fn encode_headers(&self, text: &mut String) {
        if let Some(timestamp) = self.timestamp {
            text.push_str(",\"timestamp\":");
            text.push_str(&timestamp.to_string());
        }
        for (place, (name, value)) in self.headers.iter().enumerate() {
            text.push_str(if place == 0 { ",\"headers\":[" } else { "," });
            text.push_str("{\"key\":");
            text.push_str(&Value::from(name.as_str()).to_string());
            text.push_str(",\"value\":\"");
            STANDARD.encode_string(value, text);
            text.push_str("\"}");
        }
        if !self.headers.is_empty() {
            text.push(']');
        }
    }

    /// How long its text is at most, in any dialect: exactly, for Strimzi's, if names of headers need no escapes.
    fn encoded_bytes(&self) -> usize {
        let base64 = |bytes: &Bytes| bytes.len().div_ceil(3) * 4;
        let number = |number: u64| number.checked_ilog10().unwrap_or(0) as usize + 1;
        let key = self
            .key
            .as_ref()
            .map_or(0, |key| r#""key":"","#.len() + base64(key));
        let value = r#"{"value":""}"#.len() + base64(&self.value);
        let partition = self.partition.map_or(0, |partition| {
            r#","partition":"#.len() + number(u64::from(partition))
        });
        let timestamp = self
            .timestamp
            .map_or(0, |timestamp| r#","timestamp":"#.len() + number(timestamp));
        let headers: usize = self
            .headers
            .iter()
            .map(|(name, value)| {
                // The longest escape has six characters.
                let plain = name
                    .bytes()
                    .all(|byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\'));
                let name = if plain { name.len() } else { name.len() * 6 };
                r#"{"key":"","value":""},"#.len() + name + base64(value)
            })
            .sum();
        let headers = if headers == 0 {
            0
        } else {
            r#","headers":[]"#.len() - 1 + headers
        };
        key + value + partition + timestamp + headers
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(value: &'static str) -> Record {
        Record {
            key: None,
            value: Bytes::from_static(value.as_bytes()),
            timestamp: None,
            headers: vec![],
            partition: None,
        }
    }

    fn full() -> Record {
        Record {
            key: Some(Bytes::from_static(b"k")),
            timestamp: Some(1_593_561_600_000),
            headers: vec![
                ("id".into(), Bytes::from_static(b"\xff\x00")),
                ("stream".into(), Bytes::from_static(b"test.event")),
            ],
            partition: Some(12),
            ..record("{\"a\":1}")
        }
    }

    #[test]
    fn records_are_written_as_each_dialect_reads_them() {
        let records = [full(), record("")];
        for (dialect, expected) in [
            (
                Dialect::Strimzi,
                concat!(
                    r#"{"records":[{"key":"aw==","value":"eyJhIjoxfQ==","partition":12,"timestamp":1593561600000,"#,
                    r#""headers":[{"key":"id","value":"/wA="},{"key":"stream","value":"dGVzdC5ldmVudA=="}]},{"value":""}]}"#
                ),
            ),
            // A field that is not known there is refused.
            (
                Dialect::ConfluentV2,
                r#"{"records":[{"key":"aw==","value":"eyJhIjoxfQ==","partition":12},{"value":""}]}"#,
            ),
        ] {
            assert_eq!(body(dialect, &records), expected);
            serde_json::from_slice::<Value>(&body(dialect, &records)).unwrap();
        }
    }

    #[test]
    fn lengths_are_those_of_the_text() {
        let zero = Record {
            timestamp: Some(0),
            partition: Some(0),
            ..record("ab")
        };
        for record in [full(), record(""), record("abc"), record("abcd"), zero] {
            let text = body(Dialect::Strimzi, std::slice::from_ref(&record));
            assert_eq!(
                OPEN.len() + record.encoded_bytes() + CLOSE.len(),
                text.len(),
                "{text:?}"
            );
        }
        let escaped = Record {
            headers: vec![("\u{1}é\"".into(), Bytes::new())],
            ..record("")
        };
        let text = body(Dialect::Strimzi, std::slice::from_ref(&escaped));
        serde_json::from_slice::<Value>(&text).unwrap();
        assert!(OPEN.len() + escaped.encoded_bytes() + CLOSE.len() >= text.len());
    }

    #[test]
    fn batches_are_full_and_in_order() {
        let records = vec![record("abc"); 5];
        let cuts = |records: &[Record], most_bytes, most| -> Vec<(usize, usize)> {
            let batches = batches(records, most_bytes, most).into_iter();
            batches.map(|batch| (batch.start, batch.end)).collect()
        };
        let bytes = |count: usize| body(Dialect::Strimzi, &records[..count]).len();
        for (most_bytes, most, expected) in [
            (usize::MAX / 2, 100, vec![(0, 5)]),
            (usize::MAX / 2, 5, vec![(0, 5)]),
            (usize::MAX / 2, 2, vec![(0, 2), (2, 4), (4, 5)]),
            (bytes(5), 100, vec![(0, 5)]),
            (bytes(5) - 1, 100, vec![(0, 4), (4, 5)]),
            (bytes(2), 100, vec![(0, 2), (2, 4), (4, 5)]),
            (bytes(1) - 1, 100, vec![(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
            (0, 0, vec![(0, 1), (1, 2), (2, 3), (3, 4), (4, 5)]),
        ] {
            assert_eq!(cuts(&records, most_bytes, most), expected, "{most_bytes} {most}");
        }
        assert_eq!(cuts(&[], 100, 100), []);
        let large = [record("a"), record("a value that is much too large"), record("a")];
        assert_eq!(cuts(&large, bytes(2), 100), vec![(0, 1), (1, 2), (2, 3)]);
    }
}
