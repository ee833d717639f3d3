//! Kafka as a sink, through a REST proxy.

use std::ops::Range;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_kafka_rest::{Dialect, Proxy, Record, RecordOutcome, batches};
use eventstar_ports::{Config, HttpClient, HttpLimits, Platform, PortError, PortErrorKind};
use http::StatusCode;

use crate::{Batch, EventSink, Written, is_final};

/// Most bytes of a produce request: well below the 10 MB that Strimzi's bridge reads of a body (Vert.x's `BodyHandler`).
const MAX_REQUEST_BYTES: usize = 4 * 1024 * 1024;
/// Most records of a produce request.
const MAX_REQUEST_RECORDS: usize = 1000;

/// How long a produce request may take; what takes longer is unknown, and tried again. Answers tell a few words of each record.
const LIMITS: HttpLimits = HttpLimits {
    timeout: Duration::from_secs(20),
    max_bytes: 1024 * 1024,
};

/// The same for a question that is answered at once.
const TOPIC_LIMITS: HttpLimits = HttpLimits {
    timeout: Duration::from_secs(5),
    ..LIMITS
};

/// When no further request is begun: a batch of the queue, or a request to intake, must come to its end whatever Kafka does.
const MAX_TIME: Millis = 20_000;

const PORT: &str = "kafka";

/// The settings of Kafka: `KAFKA_REST_URL`, `KAFKA_REST_DIALECT` (`strimzi`), `KAFKA_REST_AUTHORIZATION` (none).
///
/// # Errors
/// What is wrong with them, and how to correct it; the text has no secret in it.
pub fn kafka_proxy(config: &impl Config) -> Result<Option<Proxy>, String> {
    let Some(url) = config.get("KAFKA_REST_URL") else {
        return Ok(None);
    };
    let dialect = match config.get("KAFKA_REST_DIALECT") {
        None => Dialect::Strimzi,
        Some(name) => name
            .parse()
            .map_err(|error| format!("the setting KAFKA_REST_DIALECT: {error}"))?,
    };
    let authorization = config.get("KAFKA_REST_AUTHORIZATION");
    Proxy::new(&url, dialect, authorization.as_deref())
        .map(Some)
        .map_err(|error| format!("the settings KAFKA_REST_URL and KAFKA_REST_AUTHORIZATION: {error}"))
}

/// The proxy of a stream that is in Kafka.
///
/// # Errors
/// What is to be set or corrected.
pub fn required_kafka_proxy(config: &impl Config) -> Result<Proxy, PortError> {
    let reason = match kafka_proxy(config) {
        Ok(Some(proxy)) => return Ok(proxy),
        Ok(None) => "the stream is in Kafka, but KAFKA_REST_URL is not set".to_owned(),
        Err(reason) => reason,
    };
    Err(PortError::unavailable(PORT, reason))
}

/// Kafka as a sink: each event a record of its own; the broker chooses the partition by the key.
#[derive(Debug)]
pub struct KafkaSink<'p, P>(pub &'p P);

impl<P: Platform> EventSink for KafkaSink<'_, P> {
    async fn write(&self, batches: &[Batch<'_>]) -> Vec<Vec<Written>> {
        let proxy = match required_kafka_proxy(self.0) {
            Ok(proxy) => proxy,
            Err(error) => {
                return batches
                    .iter()
                    .map(|batch| vec![Err(error.clone()); batch.events.len()])
                    .collect();
            }
        };
        let mut producer = Producer {
            platform: self.0,
            proxy,
            began: self.0.now(),
            outage: None,
        };
        let mut written: Vec<Vec<Written>> = batches.iter().map(|_| Vec::new()).collect();
        let mut topics: Vec<&str> = Vec::new();
        for batch in batches {
            let topic = batch.log.topic.as_str();
            if topics.contains(&topic) {
                continue;
            }
            topics.push(topic);
            let is_of_topic = |batch: &&Batch<'_>| batch.log.topic.as_str() == topic;
            let events = batches.iter().filter(is_of_topic).flat_map(|batch| batch.events);
            let records: Vec<Record> = events.map(|event| Record::of(event, None)).collect();
            let mut outcomes = producer.produce(topic, &records).await.into_iter();
            for (batch, written) in batches
                .iter()
                .zip(&mut written)
                .filter(|(batch, _)| is_of_topic(batch))
            {
                written.extend(outcomes.by_ref().take(batch.events.len()));
            }
        }
        written
    }
}

/// Produces to a proxy.
struct Producer<'p, P> {
    platform: &'p P,
    proxy: Proxy,
    began: Millis,
    /// Why the proxy cannot be reached: it is not asked again, so that an outage costs one timeout and not one for each topic.
    outage: Option<PortError>,
}

impl<P: Platform> Producer<'_, P> {
    /// What became of each record, in order.
    async fn produce(&mut self, topic: &str, records: &[Record]) -> Vec<Written> {
        let mut written = Vec::with_capacity(records.len());
        // What is to be sent, the next one last.
        let mut open: Vec<Range<usize>> = batches(records, MAX_REQUEST_BYTES, MAX_REQUEST_RECORDS);
        open.reverse();
        while let Some(range) = open.pop() {
            let some = records.get(range.clone()).unwrap_or_default();
            let outcomes = match self.request(topic, some).await {
                Ok(outcomes) => outcomes,
                Err(error) => {
                    written.extend(some.iter().map(|_| Err(error.clone())));
                    continue;
                }
            };
            if matches!(outcomes.first(), Some(RecordOutcome::Split(_))) && range.len() > 1 {
                let middle = range.start + range.len() / 2;
                open.push(middle..range.end);
                open.push(range.start..middle);
                continue;
            }
            let mut some_written: Vec<Written> = outcomes.into_iter().map(outcome).collect();
            self.without_refused(topic, some, &mut some_written).await;
            written.extend(some_written);
        }
        written
    }

    /// Sends records once more that failed beside one that Kafka refuses: Kafka's producer packs records together, and a
    /// broker refuses such a batch whole.
    async fn without_refused(&mut self, topic: &str, records: &[Record], written: &mut [Written]) {
        let is_refused = |written: &Written| written.as_ref().err().is_some_and(is_final);
        if !written.iter().any(is_refused) {
            return;
        }
        let failed = |written: &Written| written.as_ref().err().is_some_and(|error| !is_final(error));
        let again: Vec<Record> = records
            .iter()
            .zip(written.iter())
            .filter(|(_, written)| failed(written))
            .map(|(record, _)| record.clone())
            .collect();
        if again.is_empty() {
            return;
        }
        if let Ok(outcomes) = self.request(topic, &again).await {
            let places = written.iter_mut().filter(|written| failed(written));
            for (place, outcome) in places.zip(outcomes.into_iter().map(outcome)) {
                *place = outcome;
            }
        }
    }

    async fn request(&mut self, topic: &str, records: &[Record]) -> Result<Vec<RecordOutcome>, PortError> {
        if let Some(outage) = &self.outage {
            return Err(outage.clone());
        }
        if self.platform.now().saturating_sub(self.began) > MAX_TIME {
            let reason = "the Kafka REST proxy is slow: what was not sent in time is sent later";
            return Err(PortError::unavailable(PORT, reason));
        }
        let (mut request, mut limits) = (self.proxy.produce(topic, records), LIMITS);
        let mut late = None;
        let error = loop {
            let answer = self.platform.http().send(request, limits).await;
            match (answer, late.take()) {
                (Ok(answer), Some(error)) if answer.status() != StatusCode::NOT_FOUND => break error,
                (Ok(answer), _) => return Ok(self.proxy.produced(topic, records, &answer)),
                // Kafka's producer waits for a missing topic with each record anew, and its proxy answers after the last.
                (Err(error), None) if error.kind == PortErrorKind::Timeout => late = Some(error),
                (Err(_), Some(error)) | (Err(error), None) => break error,
            }
            (request, limits) = (self.proxy.topic(topic), TOPIC_LIMITS);
        };
        // That the platform lets no request out, or the answer is too large, is not the events' fault.
        let kind = match error.kind {
            PortErrorKind::Timeout => PortErrorKind::Timeout,
            _ => PortErrorKind::Unavailable,
        };
        let error = PortError::new(kind, PORT, format!("the Kafka REST proxy: {}", error.detail));
        self.outage = Some(PortError::unavailable(PORT, error.detail.clone()));
        Err(error)
    }
}

fn outcome(outcome: RecordOutcome) -> Written {
    let (kind, reason) = match outcome {
        RecordOutcome::Written { .. } => return Ok(()),
        RecordOutcome::Retry(reason) => (PortErrorKind::Unavailable, reason),
        RecordOutcome::Unknown(reason) => (PortErrorKind::Timeout, reason),
        // Of one record that is alone there is nothing to split.
        RecordOutcome::Rejected(reason) | RecordOutcome::Split(reason) => (PortErrorKind::Rejected, reason),
    };
    Err(PortError::new(kind, PORT, reason))
}

#[cfg(test)]
mod tests;
