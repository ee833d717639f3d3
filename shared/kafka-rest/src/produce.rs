//! Producing records, and what became of each.

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode};
use serde::Deserialize;

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
    offsets: Vec<Placed>,
}

#[derive(Deserialize)]
struct Placed {
    partition: Option<u32>,
    offset: Option<i64>,
    error_code: Option<i64>,
    /// Confluent's proxy calls it `error`.
    #[serde(alias = "error")]
    message: Option<String>,
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

/// What Kafka's producer says of a record when it does not know whether a broker has it.
const PERHAPS: [&str; 2] = ["Expiring ", "disconnected before a response was received"];

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

    /// What became of each of the `count` records that were sent to `topic`, in their order: always `count` outcomes.
    ///
    /// Missing topics, partitions and rights are mended by an operator: records that meet them are retried.
    ///
    /// Brokers judge batches that Kafka's producer makes of what comes together: a record they refuse can keep others from being
    /// written. Most often those are retried without it, as it is rejected; where several tries fail, smaller requests help.
    #[must_use]
    pub fn produced(&self, topic: &str, count: usize, answer: &Response<Bytes>) -> Vec<RecordOutcome> {
        // Confluent's proxy answers 401 and 403 when one of several records was not allowed.
        let may_be_placed = matches!(
            answer.status(),
            StatusCode::OK | StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN
        );
        if may_be_placed && let Some(Produced { offsets }) = json(answer) {
            if offsets.len() == count {
                return offsets.into_iter().map(|placed| placed.outcome(topic)).collect();
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

impl Placed {
    fn outcome(self, topic: &str) -> RecordOutcome {
        let text = self.message.as_deref().unwrap_or_default();
        match (self.error_code, self.partition, self.offset) {
            (Some(code), ..) => failed(topic, code, text),
            (None, Some(partition), Some(offset)) if let Ok(offset) = u64::try_from(offset) => {
                Written { partition, offset }
            }
            // Kafka tells no offset when its producer does not wait for it.
            _ => Unknown(format!(
                "the Kafka REST proxy tells no offset of a record in {topic}; check that its producer has acks=all"
            )),
        }
    }
}

/// A code that the proxy has for one record: a status, in Confluent's proxy with two more digits.
fn failed(topic: &str, code: i64, text: &str) -> RecordOutcome {
    let status = if code >= 1000 { code / 100 } else { code };
    let reason = format!("Kafka takes no record in {topic} ({code}): {}", shorten(text));
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| text.contains(phrase));
    match status {
        _ if says(&NEVER) => Rejected(reason),
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
