//! Events as records: the value is the event's text, the key its message key, and headers have the rest of its envelope.

use std::collections::BTreeMap;

use bytes::Bytes;
use eventstar_event::json::quote;
use eventstar_event::time::{Millis, from_iso};
use eventstar_event::{Document, Envelope, Kind, id_of};
use serde_json::value::RawValue;

use crate::{Consumed, Partition, Record};

/// The header with the delivery id.
pub const ID_HEADER: &str = "eventstar-id";

/// The header with the stream.
pub const STREAM_HEADER: &str = "eventstar-stream";

/// Headers of other producers that are kept at most, and the longest value of one, in bytes.
const MAX_HEADERS: usize = 32;
const MAX_HEADER_BYTES: usize = 1024;

impl Record {
    /// The event as a record for `partition`: its timestamp is the receive time.
    #[must_use]
    pub fn of(envelope: &Envelope, partition: Option<u32>) -> Self {
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let own = [(ID_HEADER, &envelope.id), (STREAM_HEADER, &envelope.stream)];
        let others = envelope
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), value));
        Self {
            key: envelope.key.as_deref().map(bytes),
            value: bytes(&envelope.event),
            timestamp: Some(envelope.dt),
            headers: own
                .into_iter()
                .chain(others)
                .map(|(name, value)| (name.to_owned(), bytes(value)))
                .collect(),
            partition,
        }
    }
}

impl Consumed {
    /// The id that delivery gave the event; records of other producers have none.
    #[must_use]
    pub fn delivery_id(&self) -> Option<&str> {
        let mut own = self.headers.iter().rev();
        let (_, id) = own.find(|(name, _)| name.eq_ignore_ascii_case(ID_HEADER))?;
        std::str::from_utf8(id)
            .ok()
            .filter(|id| (1..=MAX_HEADER_BYTES).contains(&id.len()))
    }

    /// The event in the record; `None` if its value is no JSON object.
    ///
    /// What another producer, or another dialect, has not told is made up for: the id is made of topic, partition and offset,
    /// the stream is `meta.stream`, else the topic, and the time `meta.dt`, else `dt`, else `now`.
    #[must_use]
    pub fn envelope(&self, partition: Partition<'_>, now: Millis) -> Option<Envelope> {
        let text: &RawValue = serde_json::from_slice(self.value.as_deref()?).ok()?;
        // Lines are what separates envelopes: the text is made compact.
        let event = Document::parse(text.get()).ok()?;
        if event.root().kind() != Kind::Object {
            return None;
        }
        let mut headers = self.text_headers();
        let time = |path: &[&str]| from_iso(&event.get_str(path)?);
        let told = self
            .timestamp
            .or_else(|| time(&["meta", "dt"]))
            .or_else(|| time(&["dt"]));
        let made = || {
            let scope = format!("{}/{}", partition.topic, partition.partition);
            id_of(&scope, &self.offset.to_string())
        };
        let stream = || {
            event
                .get_str(&["meta", "stream"])
                .map(|stream| stream.into_owned())
        };
        headers.remove(ID_HEADER);
        Some(Envelope {
            id: self.delivery_id().map_or_else(made, str::to_owned),
            dt: told.unwrap_or(now),
            stream: headers
                .remove(STREAM_HEADER)
                .or_else(stream)
                .unwrap_or_else(|| partition.topic.to_owned()),
            key: self.key.as_deref().and_then(json_text),
            headers,
            event: event.into_string(),
        })
    }

    /// The headers that are text, with names in lower case.
    fn text_headers(&self) -> BTreeMap<String, String> {
        let text = |value: &Bytes| {
            let short = value.len() <= MAX_HEADER_BYTES;
            let text = std::str::from_utf8(value).ok()?;
            short.then(|| text.to_owned())
        };
        let headers = self.headers.iter();
        headers
            .filter_map(|(name, value)| Some((name.to_ascii_lowercase(), text(value)?)))
            .take(MAX_HEADERS)
            .collect()
    }
}

/// A key as JSON text: as it is if it is that, else a string.
fn json_text(key: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(key).ok()?;
    let is_json = !text.contains('\n') && serde_json::from_str::<&RawValue>(text).is_ok();
    Some(if is_json { text.to_owned() } else { quote(text) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PARTITION: Partition<'_> = Partition {
        topic: "eqiad.test.event",
        partition: 2,
    };

    fn consumed(record: Record) -> Consumed {
        Consumed {
            offset: 7,
            key: record.key,
            value: Some(record.value),
            timestamp: record.timestamp,
            headers: record.headers,
        }
    }

    fn foreign(value: &'static str) -> Consumed {
        Consumed {
            offset: 7,
            key: None,
            value: Some(Bytes::from_static(value.as_bytes())),
            timestamp: None,
            headers: vec![],
        }
    }

    #[test]
    fn an_event_comes_back_as_it_was_sent() {
        let envelope = Envelope {
            id: "953003fa-5cbe-8b84-8ff7-9eff37a5c6f3".into(),
            dt: 1_593_561_600_000,
            stream: "test.event".into(),
            key: Some("{\"wiki\":\"enwiki\"}".into()),
            headers: BTreeMap::from([("traceparent".into(), "00-x".into())]),
            event: "{\"n\":1.0,\"big\":18446744073709551615}".into(),
        };
        let record = Record::of(&envelope, Some(2));
        assert_eq!(record.partition, Some(2));
        assert_eq!(consumed(record).envelope(PARTITION, 0), Some(envelope));
    }

    #[test]
    fn what_others_leave_out_is_made_up_for() {
        let event =
            foreign("{ \"meta\": {\"stream\":\"a.b\",\"dt\":\"2020-07-01T00:00:00Z\"},\n \"n\": 1.0 }");
        let envelope = event.envelope(PARTITION, 5).unwrap();
        assert_eq!(
            (envelope.stream.as_str(), envelope.dt),
            ("a.b", 1_593_561_600_000)
        );
        assert_eq!(
            envelope.event,
            "{\"meta\":{\"stream\":\"a.b\",\"dt\":\"2020-07-01T00:00:00Z\"},\"n\":1.0}"
        );
        // Every reader gives an event the same id, and no other one.
        assert_eq!(envelope.id, event.envelope(PARTITION, 6).unwrap().id);
        let next = Consumed {
            offset: 8,
            ..event.clone()
        };
        let other = Partition {
            partition: 3,
            ..PARTITION
        };
        assert_ne!(envelope.id, next.envelope(PARTITION, 5).unwrap().id);
        assert_ne!(envelope.id, event.envelope(other, 5).unwrap().id);

        let bare = foreign("{}").envelope(PARTITION, 5).unwrap();
        assert_eq!((bare.stream.as_str(), bare.dt), ("eqiad.test.event", 5));
        let with_dt = foreign("{\"dt\":\"1970-01-01T00:00:00.009Z\"}");
        assert_eq!(with_dt.envelope(PARTITION, 5).unwrap().dt, 9);
        let with_time = Consumed {
            timestamp: Some(11),
            ..with_dt
        };
        assert_eq!(with_time.envelope(PARTITION, 5).unwrap().dt, 11);
    }

    #[test]
    fn the_delivery_id_is_the_last_text_of_its_header() {
        let with = |headers: &[(&str, &'static [u8])]| Consumed {
            headers: headers
                .iter()
                .map(|(name, value)| ((*name).to_owned(), Bytes::from_static(value)))
                .collect(),
            ..foreign("{}")
        };
        for (headers, expected) in [
            (&[][..], None),
            (&[("id", &b"a"[..])][..], None),
            (&[("eventstar-id", b"a")], Some("a")),
            (&[("Eventstar-ID", b"a"), ("x", b"y")], Some("a")),
            (&[("eventstar-id", b"a"), ("eventstar-id", b"b")], Some("b")),
            (&[("eventstar-id", b"")], None),
            (&[("eventstar-id", b"\xff")], None),
            (&[("eventstar-id", &[b'a'; MAX_HEADER_BYTES + 1])], None),
        ] {
            let record = with(headers);
            assert_eq!(record.delivery_id(), expected, "{headers:?}");
            let envelope = record.envelope(PARTITION, 0).unwrap();
            assert_eq!(envelope.id == expected.unwrap_or_default(), expected.is_some());
            assert!(!envelope.headers.contains_key(ID_HEADER));
        }
    }

    #[test]
    fn keys_and_headers_of_others_are_kept_where_they_are_text() {
        let key = |key: &'static [u8]| {
            let record = Consumed {
                key: Some(Bytes::from_static(key)),
                ..foreign("{}")
            };
            record.envelope(PARTITION, 0).unwrap().key
        };
        assert_eq!(key(b"{\"a\":1}").as_deref(), Some("{\"a\":1}"));
        assert_eq!(key(b"enwiki").as_deref(), Some("\"enwiki\""));
        assert_eq!(key(b"{\"a\":\n1}").as_deref(), Some("\"{\\\"a\\\":\\n1}\""));
        assert_eq!(key(b"\xff"), None);

        let header = |name: &str, value: Vec<u8>| (name.to_owned(), Bytes::from(value));
        let mut headers = vec![
            header("TraceParent", b"00-x".to_vec()),
            header("binary", vec![0xff]),
            header("longest", vec![b'a'; MAX_HEADER_BYTES]),
            header("too-long", vec![b'a'; MAX_HEADER_BYTES + 1]),
        ];
        headers.extend((0..100).map(|n| header(&format!("more-{n:03}"), vec![])));
        let record = Consumed {
            headers,
            ..foreign("{}")
        };
        let read = record.envelope(PARTITION, 0).unwrap().headers;
        assert_eq!(read.len(), MAX_HEADERS);
        assert_eq!(read["traceparent"], "00-x");
        assert!(
            read.contains_key("longest") && !read.contains_key("binary") && !read.contains_key("too-long")
        );
    }

    #[test]
    fn what_is_no_event_is_none() {
        for value in ["", "1", "[{}]", "{", "\"{}\"", "{\"a\":1,\"a\":2}"] {
            assert_eq!(foreign(value).envelope(PARTITION, 0), None, "{value}");
        }
        for value in [None, Some(Bytes::from_static(b"{\"a\":\"\xff\"}"))] {
            let record = Consumed { value, ..foreign("") };
            assert_eq!(record.envelope(PARTITION, 0), None);
        }
    }
}
