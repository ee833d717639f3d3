//! The life of a consumer instance: created, assigned one partition, placed, polled, deleted.
//!
//! An instance belongs to one process of the proxy, which keeps it in memory. Its `base_uri` is not followed: behind a
//! gateway it names a host that cannot be reached, or lacks the gateway's path, and credentials belong to the configured
//! origin alone. So every request goes to the configured URL, and a proxy of several processes needs a gateway that sends
//! `/consumers/{group}` to the same one each time; without, instances are forgotten again and again.

use std::time::Duration;

use bytes::Bytes;
use eventstar_event::time::{Millis, to_iso};
use http::header::{ACCEPT, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::answer::{describe, json};
use crate::proxy::{BINARY, PLAIN};
use crate::{Consumed, Dialect, Proxy, consumed};

/// A consumer instance at a proxy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Consumer {
    group: String,
    instance: String,
}

/// A partition of a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Partition<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The partition, from 0.
    pub partition: u32,
}

/// Where an instance reads on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seek {
    /// At this offset.
    Offset(u64),
    /// At the earliest record.
    Beginning,
    /// After the last record.
    End,
}

/// The offsets of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
pub struct Offsets {
    /// Of the earliest record that is still there.
    #[serde(rename = "beginning_offset")]
    pub beginning: u64,
    /// Of the next record that will be written.
    #[serde(rename = "end_offset")]
    pub end: u64,
}

/// Why a proxy does not do what it was asked for. What instances were told is not lost: a new one can be placed where the
/// old one was.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConsumerError {
    /// The proxy has no such instance, or no longer: create one.
    #[error("{0}")]
    Forgotten(String),
    /// Another instance has the name, or this one cannot do that now: create one with another name.
    #[error("{0}")]
    Conflict(String),
    /// There are no such topic and partition.
    #[error("{0}")]
    Missing(String),
    /// The records that were polled make more bytes than were asked for. Strimzi's bridge has passed them by: place the
    /// instance anew.
    #[error("{0}")]
    TooLarge(String),
    /// The proxy, or Kafka behind it, cannot do it now.
    #[error("{0}")]
    Unavailable(String),
    /// The proxy does not take the request: its URL, dialect, credentials or version are not what they must be.
    #[error("{0}")]
    Refused(String),
    /// The answer is none of a proxy.
    #[error("{0}")]
    Malformed(String),
}

use ConsumerError::{Conflict, Forgotten, Malformed, Missing, Refused, TooLarge, Unavailable};

#[derive(Deserialize)]
struct Created {
    instance_id: String,
}

impl Proxy {
    /// Creates the instance `name` of the consumer group `group`, that commits nothing. A poll takes at most `longest_poll`.
    ///
    /// Records are returned as soon as there is one. Where retention has dropped what comes next, reading goes on with the
    /// earliest record. Strimzi's bridge leaves out records of transactions that were not committed.
    #[must_use]
    pub fn create_consumer(&self, group: &str, name: &str, longest_poll: Duration) -> Request<Bytes> {
        let body = match self.dialect() {
            // The other dialect's `consumer.request.timeout.ms` would be Kafka's `request.timeout.ms` here.
            Dialect::Strimzi => json!({
                "name": name,
                "format": "binary",
                "auto.offset.reset": "earliest",
                "enable.auto.commit": false,
                "fetch.min.bytes": 1,
                "isolation.level": "read_committed",
            }),
            // Without `fetch.min.bytes` every poll lasts as long as it may.
            Dialect::ConfluentV2 => json!({
                "name": name,
                "format": "binary",
                "auto.offset.reset": "earliest",
                "auto.commit.enable": "false",
                "fetch.min.bytes": 1,
                "consumer.request.timeout.ms": longest_poll.as_millis(),
            }),
        };
        self.post(&["consumers", group], PLAIN, Bytes::from(body.to_string()))
    }

    /// The instance that was created in `group`.
    ///
    /// # Errors
    /// [`ConsumerError`].
    pub fn consumer_created(&self, group: &str, answer: &Response<Bytes>) -> Result<Consumer, ConsumerError> {
        if answer.status() == StatusCode::NOT_FOUND {
            return Err(Refused(format!(
                "{}; check the URL of the proxy",
                describe(answer)
            )));
        }
        succeeded(answer)?;
        let Created { instance_id } = json(answer).ok_or_else(|| malformed(answer, "consumer instance"))?;
        Ok(Consumer {
            group: group.to_owned(),
            instance: instance_id,
        })
    }

    /// Has the instance read this partition alone. Answered as [`done`] reads.
    #[must_use]
    pub fn assign(&self, consumer: &Consumer, partition: Partition<'_>) -> Request<Bytes> {
        self.tell(consumer, &["assignments"], &json!({ "partitions": [partition] }))
    }

    /// Has the instance read on at `seek`. Answered as [`done`] reads.
    ///
    /// Confluent's proxy first hands out what it has polled from Kafka before: there, place new instances only.
    #[must_use]
    pub fn seek(&self, consumer: &Consumer, partition: Partition<'_>, seek: Seek) -> Request<Bytes> {
        let Partition {
            topic,
            partition: number,
        } = partition;
        match seek {
            Seek::Beginning => self.tell(
                consumer,
                &["positions", "beginning"],
                &json!({ "partitions": [partition] }),
            ),
            Seek::End => self.tell(
                consumer,
                &["positions", "end"],
                &json!({ "partitions": [partition] }),
            ),
            Seek::Offset(offset) => self.tell(
                consumer,
                &["positions"],
                &json!({ "offsets": [{ "topic": topic, "partition": number, "offset": offset }] }),
            ),
        }
    }

    /// Has the instance read on at the first record of `millis` (since 1970) or later; `None` in a dialect that cannot.
    /// Answered as [`done`] reads; with 500 where there is no such record.
    #[must_use]
    pub fn seek_time(
        &self,
        consumer: &Consumer,
        partition: Partition<'_>,
        millis: Millis,
    ) -> Option<Request<Bytes>> {
        let Partition { topic, partition } = partition;
        let body = json!({ "timestamps": [{ "topic": topic, "partition": partition, "timestamp": to_iso(millis) }] });
        match self.dialect() {
            Dialect::Strimzi => None,
            Dialect::ConfluentV2 => Some(self.tell(consumer, &["positions"], &body)),
        }
    }

    /// Polls for records: as many as are there, of at most `max_bytes` together; waits `wait` for the first.
    #[must_use]
    pub fn poll(&self, consumer: &Consumer, wait: Duration, max_bytes: usize) -> Request<Bytes> {
        let query = format!("?timeout={}&max_bytes={max_bytes}", wait.as_millis());
        let mut request = self.request(Method::GET, &consumer.path(&["records"]), &query);
        request
            .headers_mut()
            .insert(ACCEPT, HeaderValue::from_static(BINARY));
        request
    }

    /// Deletes the instance. One that is not deleted goes by itself: after five minutes that nobody polled it
    /// (`consumer.instance.timeout.ms`), or, at Strimzi's bridge, after its `http.timeoutSeconds`, which is to be set.
    /// Answered as [`done`] reads.
    #[must_use]
    pub fn delete_consumer(&self, consumer: &Consumer) -> Request<Bytes> {
        self.request(Method::DELETE, &consumer.path(&[]), "")
    }

    /// Asks for the offsets of a partition; no instance is needed.
    #[must_use]
    pub fn offsets(&self, partition: Partition<'_>) -> Request<Bytes> {
        let Partition { topic, partition } = partition;
        let partition = partition.to_string();
        self.request(
            Method::GET,
            &["topics", topic, "partitions", &partition, "offsets"],
            "",
        )
    }

    fn tell(&self, consumer: &Consumer, what: &[&str], body: &serde_json::Value) -> Request<Bytes> {
        self.post(&consumer.path(what), PLAIN, Bytes::from(body.to_string()))
    }
}

impl Consumer {
    fn path<'a>(&'a self, what: &[&'a str]) -> Vec<&'a str> {
        let mut path = vec!["consumers", &self.group, "instances", &self.instance];
        path.extend(what);
        path
    }
}

/// Whether an instance did what it was told.
///
/// # Errors
/// [`ConsumerError`].
pub fn done(answer: &Response<Bytes>) -> Result<(), ConsumerError> {
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(Forgotten(describe(answer)));
    }
    succeeded(answer)
}

/// The records that were polled, in their order; none when none came in time.
///
/// # Errors
/// [`ConsumerError`].
pub fn polled(answer: &Response<Bytes>) -> Result<Vec<Consumed>, ConsumerError> {
    if answer.status() == StatusCode::UNPROCESSABLE_ENTITY {
        return Err(TooLarge(describe(answer)));
    }
    done(answer)?;
    consumed::read(answer).ok_or_else(|| malformed(answer, "list of records in the binary format"))
}

/// The offsets of a partition.
///
/// # Errors
/// [`ConsumerError`].
pub fn offsets_read(answer: &Response<Bytes>) -> Result<Offsets, ConsumerError> {
    if answer.status() == StatusCode::NOT_FOUND {
        return Err(Missing(describe(answer)));
    }
    succeeded(answer)?;
    json(answer).ok_or_else(|| malformed(answer, "offsets of a partition"))
}

fn succeeded(answer: &Response<Bytes>) -> Result<(), ConsumerError> {
    let status = answer.status();
    if status.is_success() {
        return Ok(());
    }
    let reason = describe(answer);
    Err(match status {
        StatusCode::CONFLICT => Conflict(reason),
        StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS => Unavailable(reason),
        _ if status.is_server_error() => Unavailable(reason),
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
            Refused(format!("{reason}; check KAFKA_REST_AUTHORIZATION"))
        }
        _ => Refused(format!(
            "{reason}; check the URL, the dialect and the version of the proxy"
        )),
    })
}

fn malformed(answer: &Response<Bytes>, wanted: &str) -> ConsumerError {
    Malformed(format!(
        "{}, but with no {wanted}; check the URL and the dialect of the proxy",
        describe(answer)
    ))
}

#[cfg(test)]
mod tests;
