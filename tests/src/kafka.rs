//! Topics as an ordinary Kafka client reads them.

use std::env;
use std::process::Command;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use crate::instance::repository;
use crate::ledger::Found;

/// What a topic has at one offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The partition it is in.
    pub partition: u64,
    /// Its place there.
    pub offset: u64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    /// Its key, if any.
    pub key: Option<Vec<u8>>,
    /// Its value, if any.
    pub value: Option<Vec<u8>>,
    /// Names and values, sorted by name.
    pub headers: Vec<(String, Vec<u8>)>,
}

/// All records that `topic` has now, each partition in its order. `broker` is `host:port`.
///
/// # Panics
/// When the topic does not exist, or cannot be read.
#[must_use]
pub fn read_topic(broker: &str, topic: &str) -> Vec<Record> {
    let output = Command::new(env::var("EVENTSTAR_NODE").expect("EVENTSTAR_NODE"))
        .arg(repository().join("tests/kafka/read.js"))
        .args([broker, topic])
        .output()
        .expect("the program EVENTSTAR_NODE names");
    assert!(
        output.status.success(),
        "{topic} cannot be read: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    let lines = String::from_utf8(output.stdout).expect("UTF-8");
    let mut records: Vec<Record> = lines.lines().map(record).collect();
    records.sort_by_key(|record| (record.partition, record.offset));
    records
}

/// Creates topics of one partition that take records of at most `bytes` bytes.
///
/// # Panics
/// When they cannot be created.
pub fn create_topics(broker: &str, topics: &[&str], bytes: usize) {
    let output = Command::new(env::var("EVENTSTAR_NODE").expect("EVENTSTAR_NODE"))
        .arg(repository().join("tests/kafka/create.js"))
        .args([broker, &bytes.to_string()])
        .args(topics)
        .output()
        .expect("the program EVENTSTAR_NODE names");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{topics:?} cannot be created: {errors}");
}

fn record(line: &str) -> Record {
    let record: Value = serde_json::from_str(line).expect("JSON");
    let headers = record["headers"].as_object().expect("headers").iter();
    let mut headers: Vec<(String, Vec<u8>)> = headers
        .flat_map(|(name, values)| {
            // One that occurs several times is an array.
            let values = values
                .as_array()
                .map_or(std::slice::from_ref(values), Vec::as_slice);
            values
                .iter()
                .map(|value| (name.clone(), bytes(value).unwrap_or_default()))
        })
        .collect();
    headers.sort_by(|one, other| one.0.cmp(&other.0));
    Record {
        partition: record["partition"].as_u64().expect("partition"),
        offset: record["offset"].as_u64().expect("offset"),
        timestamp: record["timestamp"].as_i64().expect("timestamp"),
        key: bytes(&record["key"]),
        value: bytes(&record["value"]),
        headers,
    }
}

fn bytes(value: &Value) -> Option<Vec<u8>> {
    Some(STANDARD.decode(value.as_str()?).expect("base64"))
}

impl Record {
    /// `meta.id` of the event that it is.
    ///
    /// # Panics
    /// When it is no event.
    #[must_use]
    pub fn meta_id(&self) -> String {
        let value: Value = serde_json::from_slice(self.value.as_deref().expect("a value")).expect("JSON");
        value["meta"]["id"].as_str().expect("meta.id").to_owned()
    }
}

/// How often each event is in a topic.
///
/// # Panics
/// As [`read_topic`].
#[must_use]
pub fn found_in_topic(broker: &str, topic: &str) -> Found {
    let mut found = Found::new();
    for record in read_topic(broker, topic) {
        *found.entry(record.meta_id()).or_default() += 1;
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_is_read_from_its_line() {
        let line = r#"{"partition":1,"offset":7,"timestamp":5,"key":null,"value":"e30=","headers":{"b":["AQ==","Ag=="],"a":"eA=="}}"#;
        let header = |name: &str, value: &[u8]| (name.to_owned(), value.to_vec());
        assert_eq!(
            record(line),
            Record {
                partition: 1,
                offset: 7,
                timestamp: 5,
                key: None,
                value: Some(b"{}".to_vec()),
                headers: vec![header("a", b"x"), header("b", &[1]), header("b", &[2])],
            }
        );
    }
}
