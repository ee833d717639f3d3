//! The message key of an event, and the partition that follows from it.

use eventstar_event::Document;
use eventstar_event::json::quote;
use eventstar_event::partition::partition_of;

use crate::Stream;

/// The event does not have a member that the message key is made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("Failed extracting {0} from event, field is not defined.")]
pub struct MissingKeyField(String);

impl Stream {
    /// The message key: a JSON object of the fields the stream names (`message_key_fields`); `None` where it names none. The same
    /// values have the same key, however the event writes them.
    ///
    /// # Errors
    /// [`MissingKeyField`] for the first that the event does not have; the text is EventGate's.
    pub fn message_key(&self, event: &Document<'_>) -> Result<Option<String>, MissingKeyField> {
        if self.message_key_fields.is_empty() {
            return Ok(None);
        }
        let mut members = Vec::with_capacity(self.message_key_fields.len());
        for (name, path) in &self.message_key_fields {
            let value = event.get(path).ok_or_else(|| MissingKeyField(path.join(".")))?;
            members.push(format!("{}:{}", quote(name), value.canonical()));
        }
        Ok(Some(format!("{{{}}}", members.join(","))))
    }

    /// The partition, by the message key, else by `meta.id`, else by the event.
    #[must_use]
    pub fn partition(&self, key: Option<&str>, event: &Document<'_>) -> u32 {
        if self.partitions < 2 {
            return 0;
        }
        let hash = |text: &str| partition_of(text.as_bytes(), self.partitions);
        match (key, event.get(&["meta", "id"])) {
            (Some(key), _) => hash(key),
            (None, Some(id)) => hash(&id.canonical()),
            (None, None) => hash(&event.text()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(partitions: u32, fields: &[(&str, &[&str])]) -> Stream {
        let owned = |path: &[&str]| path.iter().map(|name| (*name).to_owned()).collect();
        Stream {
            partitions,
            message_key_fields: fields
                .iter()
                .map(|(name, path)| ((*name).to_owned(), owned(path)))
                .collect(),
            ..Stream::default()
        }
    }

    #[test]
    fn a_key_is_made_of_the_values_of_the_fields() {
        let event = Document::parse(r#"{"a":{"b":1.0},"c":"é"}"#).unwrap();
        let stream = |fields| stream(1, fields);
        assert_eq!(stream(&[]).message_key(&event), Ok(None));
        let key = stream(&[("x", &["a", "b"]), ("y", &["c"])]).message_key(&event);
        assert_eq!(key, Ok(Some(r#"{"x":1,"y":"é"}"#.to_owned())));
        let missing = stream(&[("x", &["a", "d"])]).message_key(&event).unwrap_err();
        assert_eq!(
            missing.to_string(),
            "Failed extracting a.d from event, field is not defined."
        );
    }

    #[test]
    fn all_spellings_of_a_value_have_one_key_and_one_partition() {
        let stream = stream(64, &[("k", &["k"])]);
        let by_id = Stream {
            message_key_fields: vec![],
            ..stream.clone()
        };
        for (spellings, expected) in [
            (&[r#""A/1""#, r#""A\/1""#, r#""\u0041\u002f1""#][..], r#""A/1""#),
            (&["1", "1.0", "1e0", "10e-1"], "1"),
            (
                &[r#"{"n":"An","m":[2]}"#, r#"{ "\u006e" : "\u0041n", "m":[2.0] }"#],
                r#"{"n":"An","m":[2]}"#,
            ),
        ] {
            for value in spellings {
                let text = format!(r#"{{"k":{value},"meta":{{"id":{value}}}}}"#);
                let event = Document::parse(text.as_str()).unwrap();
                let key = stream.message_key(&event).unwrap();
                let expected_key = format!(r#"{{"k":{expected}}}"#);
                assert_eq!(key.as_deref(), Some(expected_key.as_str()), "{value}");
                assert_eq!(
                    stream.partition(key.as_deref(), &event),
                    partition_of(expected_key.as_bytes(), 64)
                );
                assert_eq!(
                    by_id.partition(None, &event),
                    partition_of(expected.as_bytes(), 64),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn the_partition_follows_from_the_key_else_the_id_else_the_event() {
        let of =
            |partitions, key, event| stream(partitions, &[]).partition(key, &Document::parse(event).unwrap());
        assert_eq!(of(1, Some("k"), "{}"), 0);
        let by_key = of(64, Some("\"1\""), r#"{"meta":{"id":"2"}}"#);
        assert_eq!(by_key, partition_of(b"\"1\"", 64));
        assert_eq!(of(64, None, r#"{"meta":{"id":"1"}}"#), by_key);
        assert_eq!(of(64, None, r#"{"n":1}"#), partition_of(br#"{"n":1}"#, 64));
    }
}
