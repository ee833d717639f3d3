//! Producing records, and what became of each.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;
use serde_json::Value;

use crate::answer::{describe, json, shorten};
use crate::proxy::BINARY;
use crate::{Proxy, Record, record};

/// What became of a record. Reasons fit a log and a dead letter: what and why, short, without values of events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordOutcome {
    /// Kafka has it.
    Written {
        /// The partition it is in.
        partition: u32,
        /// Its offset there.
        offset: u64,
    },
    /// Kafka does not have it and may take it later.
    Retry(String),
    /// Kafka may have it or not. Sent again it may be there twice.
    Unknown(String),
    /// Kafka will never take it.
    Rejected(String),
    /// The request was refused as it was, because of its size or of one of its records, and nothing of it was written: send
    /// its records again in requests of half as many. Only an answer to several records says so, and then of all of them; a
    /// record that is alone is written or rejected.
    Split(String),
}

use RecordOutcome::{Rejected, Retry, Split, Unknown, Written};

#[derive(Deserialize)]
struct Produced {
    /// Each is read for itself, so that one that is odd says nothing of the others.
    offsets: Vec<Value>,
}

/// What Kafka says of a record that it takes on no day. A proxy hands on the text alone, or with a code that says little.
///
/// Sources: `KafkaProducer.ensureValidRecordSize`, `Errors` (`MESSAGE_TOO_LARGE`, `INVALID_TIMESTAMP`, `INVALID_RECORD`) and
/// `LogValidator` of Apache Kafka.
const NEVER: [&str; 7] = [
    "RecordTooLarge",
    "bytes when serialized which is larger than",
    "larger than the max message size",
    "timestamp of the message is out of acceptable range",
    "is out of range. The timestamp should be within",
    "failed the validation on broker",
    "cannot accept message without key",
];

/// A broker's words for a batch that it cannot read, and for a record without a key in a compacted topic, where it or the proxy is
/// older than Kafka 2.4. Only the second is for good.
const CORRUPT: &str = "has a null key for a compacted topic";

/// The words of Kafka's producer for a record of which it does not know whether a broker has it. Source: `Errors` (`REQUEST_TIMED_OUT`,
/// `NETWORK_EXCEPTION`, `NOT_ENOUGH_REPLICAS_AFTER_APPEND`) and `ProducerBatch` of Apache Kafka.
const PERHAPS: [&str; 4] = [
    "Expiring ",
    "disconnected before a response was received",
    "The request timed out",
    "written to the log, but to fewer in-sync replicas",
];

impl Proxy {
    /// Produces `records` to `topic`, a Kafka topic name.
    #[must_use]
    pub fn produce(&self, topic: &str, records: &[Record]) -> Request<Bytes> {
        let body = record::body(self.dialect(), records);
        self.post(&["topics", topic], BINARY, body)
    }

    /// Asks for `topic`, a Kafka topic name: it is answered 404 where the topic is missing.
    #[must_use]
    pub fn topic(&self, topic: &str) -> Request<Bytes> {
        self.request(Method::GET, &["topics", topic], "")
    }

    /// The outcome of each of the `records` that were sent to `topic`, in their order: always as many outcomes.
    ///
    /// Missing topics, partitions and rights are mended by an operator: records that meet them are retried.
    ///
    /// Brokers judge batches that Kafka's producer makes of what comes together: a record they refuse can keep others from being
    /// written. Most often those are retried without it, as it is rejected; where several tries fail, smaller requests help.
    #[must_use]
    pub fn produced(&self, topic: &str, records: &[Record], answer: &Response<Bytes>) -> Vec<RecordOutcome> {
        let count = records.len();
        // Confluent's proxy answers 401 and 403 when one of several records was not allowed.
        let may_be_placed = matches!(
            answer.status(),
            StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if may_be_placed && let Some(Produced { offsets }) = json(answer) {
            if offsets.len() == count {
                let placed = offsets.iter().zip(records);
                return placed
                    .map(|(placed, record)| outcome(topic, placed, record, answer))
                    .collect();
            }
            let reason = format!(
                "the Kafka REST proxy tells of {} records of {count}",
                offsets.len()
            );
            return vec![Unknown(reason); count];
        }
        vec![whole_request(topic, count, answer); count]
    }
}

/// What an answer that tells nothing of each record means for all of them.
fn whole_request(topic: &str, count: usize, answer: &Response<Bytes>) -> RecordOutcome {
    let reason = describe(answer);
    match answer.status() {
        StatusCode::NO_CONTENT => Unknown(format!("{reason}, which tells nothing of the records")),
        status if status.is_success() => Unknown(format!("{reason} without a result for each record")),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Retry(format!(
            "{reason}; check KAFKA_REST_AUTHORIZATION and the rights to {topic}"
        )),
        StatusCode::NOT_FOUND => Retry(format!(
            "{reason}; check that the topic {topic} exists, and the URL of the proxy"
        )),
        // The form of the request is the same for every record. Confluent's proxy has a word for what Strimzi's adds.
        StatusCode::BAD_REQUEST => Retry(format!(
            "{reason}; check the dialect and the version of the proxy"
        )),
        StatusCode::UNPROCESSABLE_ENTITY if reason.contains("Unrecognized field") => Retry(format!(
            "{reason}; check the dialect and the version of the proxy"
        )),
        StatusCode::PAYLOAD_TOO_LARGE | StatusCode::UNPROCESSABLE_ENTITY => {
            if count > 1 {
                Split(reason)
            } else {
                Rejected(reason)
            }
        }
        StatusCode::SERVICE_UNAVAILABLE => Retry(reason),
        // Some records may be written: after that the proxy, or a server before it, failed or lost patience.
        status if status.is_server_error() => Unknown(reason),
        _ => Retry(reason),
    }
}

/// The outcome of a record, as its entry of an answer tells it.
fn outcome(topic: &str, placed: &Value, record: &Record, answer: &Response<Bytes>) -> RecordOutcome {
    let member = |name: &str| placed.get(name).filter(|value| !value.is_null());
    // Strimzi's bridge calls it `message`, Confluent's proxy `error`.
    let text = ["message", "error"]
        .into_iter()
        .find_map(|name| member(name)?.as_str());
    // Kafka's own code of success is 0.
    let code = member("error_code").filter(|code| number(code) != Some(0));
    let place = |name: &str| number(member(name)?);
    let partition = place("partition").and_then(|partition| u32::try_from(partition).ok());
    let offset = place("offset").and_then(|offset| u64::try_from(offset).ok());
    match (partition, offset) {
        _ if let Some(code) = code => failed(topic, number(code), text.unwrap_or_default(), record),
        (Some(partition), Some(offset)) => Written { partition, offset },
        _ if let Some(text) = text => failed(topic, None, text, record),
        _ if !placed.is_object() => Unknown(format!("{} without a result for each record", describe(answer))),
        // Kafka tells no offset when its producer does not wait for it.
        _ => Unknown(format!(
            "the Kafka REST proxy tells no offset of a record in {topic}; check that its producer has acks=all"
        )),
    }
}

/// An integer, which some write as a text.
fn number(value: &Value) -> Option<i64> {
    value.as_i64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Why a record failed. The code is a status, in Confluent's proxy with two more digits, or the 1 and 2 that its documentation
/// names. Codes say little: 1 and 50002 ("not retriable") come with records that are too large as with a broker that errs, 2 and
/// 50003 ("retriable") with a missing key, too. So the text decides where it can, and else the record is tried again.
fn failed(topic: &str, code: Option<i64>, text: &str, record: &Record) -> RecordOutcome {
    let shown = code.map_or_else(|| "no code".to_owned(), |code| code.to_string());
    let reason = format!("Kafka takes no record in {topic} ({shown}): {}", shorten(text));
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    if says(&NEVER) || (record.key.is_none() && text.contains(CORRUPT)) {
        return Rejected(reason);
    }
    let Some(code) = code else {
        return Unknown(reason);
    };
    match if code >= 1000 { code / 100 } else { code } {
        400 | 413 | 422 => Rejected(reason),
        _ if says(&PERHAPS) => Unknown(reason),
        401 | 403 => Retry(format!("{reason}; check the rights of the proxy to the topic")),
        404 => Retry(format!(
            "{reason}; check that the topic exists and has the partition"
        )),
        _ => Retry(reason),
    }
}

#[cfg(test)]
mod tests;
