//! A consumer instance at the proxy: created at an offset, polled, deleted.

use std::time::Duration;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_kafka_rest::{
    Consumed, Consumer, ConsumerError, Dialect, Offsets, Seek, done, offsets_read, polled, retry_after,
};
use eventstar_log::LogName;
use eventstar_ports::{HttpClient, HttpLimits, PortError, PortErrorKind};
use eventstar_stores::ReadFailure;
use http::{Request, Response, StatusCode};

use crate::chunks::partition;
use crate::{Host, Link};

/// How long a proxy may take for what is no poll: creating an instance makes a connection to Kafka.
const PATIENCE: Duration = Duration::from_secs(15);

/// Largest answer that is no poll's.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Longest wait of a poll: Confluent's proxy is told when the instance is created.
pub(crate) const LONGEST_POLL: Duration = Duration::from_secs(10);

/// Bytes of a poll's answer, at first: what Kafka's consumer fetches of a partition at once (`max.partition.fetch.bytes`,
/// 1 MB), four times as much for compressed batches and base64.
const POLL_BYTES: usize = 4 * 1024 * 1024;

/// Most bytes of a poll's answer: it is in memory some four times, and a Worker has 128 MB.
const MAX_POLL_BYTES: usize = 16 * 1024 * 1024;

/// Answers that may disagree about what comes next.
const MAX_DISAGREEMENTS: u32 = 5;

/// An instance that reads one partition. It is deleted when it is dropped, in the background.
pub(crate) struct Instance<H: HttpClient + Clone + 'static, T: Host> {
    link: Link<H, T>,
    pub(crate) log: LogName,
    consumer: Consumer,
    /// The offset of the record that comes next, as far as is known here.
    pub(crate) next: u64,
    max_bytes: usize,
    is_forgotten: bool,
}

impl<H: HttpClient + Clone + 'static, T: Host> Instance<H, T> {
    /// A new instance that reads `log` from `next` on.
    pub(crate) async fn create(link: &Link<H, T>, log: &LogName, next: u64) -> Result<Self, ReadFailure> {
        let group = format!("eventstar-relay-{:032x}", u128::from_be_bytes(link.host.random()));
        let request = link.proxy.create_consumer(&group, &group, LONGEST_POLL);
        let answer = link.ask(log, request).await?;
        let consumer = link.proxy.consumer_created(&group, &answer);
        let mut instance = Self {
            consumer: consumer.map_err(|error| failed(log, error, &answer))?,
            link: link.clone(),
            log: log.clone(),
            next,
            max_bytes: match link.proxy.dialect() {
                Dialect::Strimzi => POLL_BYTES,
                // It sends fewer records where all are too many.
                Dialect::ConfluentV2 => MAX_POLL_BYTES,
            },
            is_forgotten: false,
        };
        let request = link.proxy.assign(&instance.consumer, partition(log));
        instance.tell(request).await?;
        instance.seek(next).await?;
        Ok(instance)
    }

    /// Has the instance read on at `next`: where the dialect lets it, the same, else a new one.
    pub(crate) async fn place(mut self, next: u64) -> Result<Self, ReadFailure> {
        match self.link.proxy.dialect() {
            Dialect::Strimzi => match self.seek(next).await {
                Ok(()) => Ok(self),
                Err(_) if self.is_forgotten => Self::create(&self.link, &self.log, next).await,
                Err(failure) => Err(failure),
            },
            Dialect::ConfluentV2 => Self::create(&self.link, &self.log, next).await,
        }
    }

    /// What comes next; nothing when nothing came within `wait`. After a failure nobody knows what the instance reads next: it
    /// is gone.
    ///
    /// A server in between may ask the proxy twice, and what the first answer had is lost. So records that do not begin with
    /// the one that was to come are asked for again, until two answers in a row agree.
    pub(crate) async fn read(mut self, wait: Duration) -> Result<(Self, Vec<Consumed>), ReadFailure> {
        let mut agreed = self.next;
        for _ in 0..MAX_DISAGREEMENTS {
            let records = self.poll(wait).await?;
            let first = records.first().map(|record| record.offset);
            match first {
                Some(first) if first != self.next && first != agreed => {
                    agreed = first;
                    let next = self.next;
                    self = self.place(next).await?;
                }
                _ => {
                    self.next = records.last().map_or(self.next, |last| last.offset + 1);
                    return Ok((self, records));
                }
            }
        }
        let why = format!(
            "{} in Kafka gives other records each time after {}",
            self.log, self.next
        );
        Err(PortError::unavailable("log", why).into())
    }

    /// Polls, wherever it is.
    pub(crate) async fn poll(&mut self, wait: Duration) -> Result<Vec<Consumed>, ReadFailure> {
        loop {
            let wait = wait.min(LONGEST_POLL);
            let request = self.link.proxy.poll(&self.consumer, wait, self.max_bytes);
            // Confluent's proxy counts bytes before base64, and without what surrounds them.
            let limits = HttpLimits {
                timeout: wait + PATIENCE,
                max_bytes: self.max_bytes * 2,
            };
            let answer = self.link.http.send(request, limits).await;
            let answer = answer.map_err(|error| in_log(&self.log, error))?;
            match polled(&answer) {
                Ok(records) => return Ok(records),
                Err(ConsumerError::TooLarge(_)) if self.max_bytes < MAX_POLL_BYTES => {
                    self.max_bytes = MAX_POLL_BYTES.min(self.max_bytes * 2);
                    self.seek(self.next).await?;
                }
                Err(error) => return Err(self.fail(error, &answer)),
            }
        }
    }

    async fn seek(&mut self, next: u64) -> Result<(), ReadFailure> {
        let seek = Seek::Offset(next);
        let request = self.link.proxy.seek(&self.consumer, partition(&self.log), seek);
        self.tell(request).await?;
        self.next = next;
        Ok(())
    }

    /// Has a new instance read on at the first record of `time` or later; false where the dialect cannot do that, or there is
    /// no such record.
    pub(crate) async fn seek_time(&mut self, time: Millis) -> Result<bool, ReadFailure> {
        let link = &self.link;
        let Some(request) = link.proxy.seek_time(&self.consumer, partition(&self.log), time) else {
            return Ok(false);
        };
        let answer = link.ask(&self.log, request).await?;
        if answer.status() == StatusCode::INTERNAL_SERVER_ERROR {
            return Ok(false);
        }
        done(&answer).map_err(|error| self.fail(error, &answer))?;
        Ok(true)
    }

    async fn tell(&mut self, request: Request<Bytes>) -> Result<(), ReadFailure> {
        let answer = self.link.ask(&self.log, request).await?;
        done(&answer).map_err(|error| self.fail(error, &answer))
    }

    fn fail(&mut self, error: ConsumerError, answer: &Response<Bytes>) -> ReadFailure {
        self.is_forgotten = matches!(error, ConsumerError::Forgotten(_));
        failed(&self.log, error, answer)
    }
}

impl<H: HttpClient + Clone + 'static, T: Host> Drop for Instance<H, T> {
    fn drop(&mut self) {
        if self.is_forgotten {
            return;
        }
        let request = self.link.proxy.delete_consumer(&self.consumer);
        let http = self.link.http.clone();
        self.link.host.spawn(async move {
            // The proxy forgets it by itself, later.
            let _ = http.send(request, LIMITS).await;
        });
    }
}

impl<H: HttpClient + Clone + 'static, T: Host> Link<H, T> {
    /// The offsets of a log; `None` where there is no such topic or partition yet.
    pub(crate) async fn offsets(&self, log: &LogName) -> Result<Option<Offsets>, ReadFailure> {
        let answer = self.ask(log, self.proxy.offsets(partition(log))).await?;
        match offsets_read(&answer) {
            Ok(offsets) => Ok(Some(offsets)),
            Err(ConsumerError::Missing(_)) => Ok(None),
            Err(error) => Err(failed(log, error, &answer)),
        }
    }

    async fn ask(&self, log: &LogName, request: Request<Bytes>) -> Result<Response<Bytes>, ReadFailure> {
        let answer = self.http.send(request, LIMITS).await;
        answer.map_err(|error| in_log(log, error).into())
    }
}

const LIMITS: HttpLimits = HttpLimits {
    timeout: PATIENCE,
    max_bytes: MAX_ANSWER_BYTES,
};

fn in_log(log: &LogName, error: PortError) -> PortError {
    PortError::new(error.kind, "log", format!("{log} in Kafka: {}", error.detail))
}

fn failed(log: &LogName, error: ConsumerError, answer: &Response<Bytes>) -> ReadFailure {
    use ConsumerError::{Conflict, Forgotten, Malformed, Missing, Refused, TooLarge, Unavailable};
    let (kind, detail) = match error {
        Forgotten(why) | Conflict(why) | Unavailable(why) => (PortErrorKind::Unavailable, why),
        TooLarge(why) => (
            PortErrorKind::Rejected,
            format!(
                "{why}: more than {MAX_POLL_BYTES}; lower consumer.max.poll.records or \
                 consumer.max.partition.fetch.bytes of the proxy"
            ),
        ),
        Missing(why) | Refused(why) | Malformed(why) => (PortErrorKind::Rejected, why),
    };
    ReadFailure {
        error: in_log(log, PortError::new(kind, "log", detail)),
        retry_after: retry_after(answer),
    }
}
