//! An event of the relay as it stands in its log, and as it goes elsewhere.

use anyhow::{Context as _, Result};
use eventstar_event::json::quote;
use eventstar_event::time::Millis;
use eventstar_event::{Document, id_of};
use eventstar_sse::{LastEventId, parse_last_event_id};

/// An event that was read.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Copied {
    /// Where it stands.
    pub(super) topic: String,
    pub(super) partition: u32,
    pub(super) offset: u64,
    /// Its timestamp in the log.
    pub(super) dt: Millis,
    /// Its text without what the relay added.
    pub(super) text: String,
}

impl Copied {
    /// Reads the data and the id of an event.
    ///
    /// # Errors
    /// When they do not say where it stands: what answers is no relay.
    pub(super) fn read(data: &str, id: &str) -> Result<Self> {
        let mut event = Document::parse(data).context("the relay sent what is no event")?;
        let number = |name| event.get(&["meta", name])?.text().parse::<u64>().ok();
        let place = (|| {
            let topic = event.get_str(&["meta", "topic"])?.into_owned();
            let partition = u32::try_from(number("partition")?).ok()?;
            Some((topic, partition, number("offset")?))
        })();
        let (topic, partition, offset) =
            place.context("the relay sent an event without meta.topic, meta.partition and meta.offset")?;
        let entries = parse_last_event_id(id).context("the relay sent an id that cannot be read")?;
        let dt = entries.into_iter().find_map(|entry| match entry {
            LastEventId::Position(at) if at.topic == topic && at.partition == partition => at.timestamp,
            _ => None,
        });
        let dt = dt.context("the relay sent an id without the event's time")?;
        let meta = event.get(&["meta"]).map(|meta| meta.text().into_owned());
        let key = event.get(&["meta", "key"]).map(|key| key.text().into_owned());
        let added = format!(
            ",\"topic\":{},\"partition\":{partition},\"offset\":{offset}",
            quote(&topic)
        );
        let with_key = key.map(|key| format!("{added},\"key\":{key}}}"));
        let ends = with_key.into_iter().chain([format!("{added}}}")]);
        let before = meta.and_then(|meta| {
            ends.into_iter()
                .find_map(|end| meta.strip_suffix(&end).map(str::to_owned))
        });
        if let Some(before) = before {
            event.set(&["meta"], &format!("{before}}}"));
        }
        Ok(Self {
            topic,
            partition,
            offset,
            dt: dt.saturating_sub(1),
            text: event.into_string(),
        })
    }

    /// Its place, for people.
    pub(super) fn place(&self) -> String {
        format!("{}/{}/{}", self.topic, self.partition, self.offset)
    }

    /// The delivery id of its copy in another topic: the same each time it is replayed there.
    pub(super) fn delivery_id(&self, target: &str) -> String {
        id_of(&format!("replay into {target}"), &self.place())
    }

    /// Its text as an event of another stream.
    pub(super) fn of_stream(&self, stream: &str) -> Result<String> {
        self.with(|event| event.set(&["meta", "stream"], &quote(stream)))
    }

    /// Its text with a `meta.id`, made from its place where it has none.
    pub(super) fn with_id(&self) -> Result<String> {
        self.with(|event| event.add(&["meta", "id"], || quote(&self.delivery_id(""))))
    }

    fn with(&self, change: impl FnOnce(&mut Document<'_>)) -> Result<String> {
        let mut event = Document::parse(self.text.as_str())?;
        change(&mut event);
        Ok(event.into_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = r#"[{"topic":"b.a","partition":0,"offset":1,"timestamp":5},{"topic":"a.a","partition":2,"offset":8,"timestamp":1000}]"#;

    fn text(data: &str) -> String {
        Copied::read(data, ID).unwrap().text
    }

    #[test]
    fn what_the_relay_added_is_taken_out_and_all_else_stays() {
        let data = r#"{"b":1.0,"meta":{"stream":"a","topic":"a.a","partition":2,"offset":7},"a":12345678901234567890}"#;
        let copied = Copied::read(data, ID).unwrap();
        assert_eq!(
            copied,
            Copied {
                topic: "a.a".into(),
                partition: 2,
                offset: 7,
                dt: 999,
                text: r#"{"b":1.0,"meta":{"stream":"a"},"a":12345678901234567890}"#.into(),
            }
        );
        for (meta, expected) in [
            (
                r#""stream":"a","topic":"a.a","partition":2,"offset":7,"key":{"w":"x"}"#,
                r#""stream":"a""#,
            ),
            // A key of its own stays, and so does a topic.
            (
                r#""key":1,"stream":"a","topic":"a.a","partition":2,"offset":7"#,
                r#""key":1,"stream":"a""#,
            ),
            (
                r#""topic":"a.a","stream":"a","partition":2,"offset":7"#,
                r#""topic":"a.a","stream":"a","partition":2,"offset":7"#,
            ),
        ] {
            assert_eq!(
                text(&format!("{{\"meta\":{{{meta}}}}}")),
                format!("{{\"meta\":{{{expected}}}}}")
            );
        }
    }

    #[test]
    fn the_stream_is_spliced_and_an_id_added_where_there_is_none() {
        let data =
            r#"{"b":1.0,"meta":{"stream":"a","n":1e2,"topic":"a.a","partition":2,"offset":7},"a":"é\u00e9"}"#;
        let copied = Copied::read(data, ID).unwrap();
        assert_eq!(
            copied.of_stream("c.d").unwrap(),
            r#"{"b":1.0,"meta":{"stream":"c.d","n":1e2},"a":"é\u00e9"}"#
        );
        let with_id = copied.with_id().unwrap();
        assert!(
            with_id.starts_with(r#"{"b":1.0,"meta":{"stream":"a","n":1e2,"id":""#),
            "{with_id}"
        );
        assert_eq!(with_id, copied.with_id().unwrap());
        let data = data.replace("\"n\":1e2", "\"id\":\"mine\"");
        let copied = Copied::read(&data, ID).unwrap();
        assert_eq!(copied.with_id().unwrap(), copied.text);
    }

    #[test]
    fn a_delivery_id_is_that_of_place_and_target() {
        let data = |offset| format!(r#"{{"meta":{{"topic":"a.a","partition":2,"offset":{offset}}}}}"#);
        let id = |offset, target| Copied::read(&data(offset), ID).unwrap().delivery_id(target);
        assert_eq!(id(7, "t"), id(7, "t"));
        assert_ne!(id(7, "t"), id(8, "t"));
        assert_ne!(id(7, "t"), id(7, "u"));
    }

    #[test]
    fn what_has_no_place_is_no_event_of_a_relay() {
        for (data, id) in [
            ("1", ID),
            (r#"{"meta":{"topic":"a.a","partition":2}}"#, ID),
            (r#"{"meta":{"topic":"x","partition":2,"offset":7}}"#, ID),
            (r#"{"meta":{"topic":"a.a","partition":2,"offset":7}}"#, "[1]"),
        ] {
            let error = Copied::read(data, id).unwrap_err();
            assert!(error.to_string().starts_with("the relay sent"), "{error}");
        }
    }
}
