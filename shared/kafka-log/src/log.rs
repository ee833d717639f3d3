//! Reading.

use std::rc::Rc;
use std::time::Duration;

use eventstar_kafka_rest::Proxy;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_ports::{HttpClient, Level, PortError};
use eventstar_stores::PolledLog;
use futures_util::Stream;

use crate::chunks::chunks;
use crate::consumers::Consumers;
use crate::instance::{Failure, Instance};
use crate::{Host, Link, follow, open};

/// How long a proxy is left alone that has nothing.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// How long a follower looks for all.
const SHORT_WAIT: Duration = Duration::from_millis(100);

/// The topic-partitions behind a proxy. Clones share their consumer instances, one for each place that is read at: with
/// [`follow_by_polling`](eventstar_stores::follow_by_polling), followers of one instance of a function read as one.
pub struct KafkaLog<H: HttpClient + Clone + 'static, T: Host> {
    pub(crate) link: Link<H, T>,
    consumers: Rc<Consumers<H, T>>,
}

impl<H: HttpClient + Clone + 'static, T: Host> Clone for KafkaLog<H, T> {
    fn clone(&self) -> Self {
        Self {
            link: self.link.clone(),
            consumers: Rc::clone(&self.consumers),
        }
    }
}

/// For followers that share what they have read: who looks waits for a moment, so that the others do not wait long.
impl<H: HttpClient + Clone + 'static, T: Host> PolledLog for KafkaLog<H, T> {
    async fn open(&self, log: &LogName, start: Start) -> Result<Frame, PortError> {
        self.open(log, start).await
    }

    async fn read(&self, log: &LogName, next: u64) -> Result<Vec<Chunk>, PortError> {
        self.read(log, next, SHORT_WAIT).await
    }
}

impl<H: HttpClient + Clone + 'static, T: Host> KafkaLog<H, T> {
    /// The logs behind `proxy`.
    pub fn new(proxy: Rc<Proxy>, http: H, host: T) -> Self {
        Self {
            link: Link { proxy, http, host },
            consumers: Rc::default(),
        }
    }

    /// The frames of one follower of `log` (whose epoch says nothing here) from `start` on. It polls with a consumer instance
    /// of its own, which is deleted when the stream is dropped, if the host still does what is left for the background;
    /// else the proxy forgets it by itself. What fails is tried again for about a minute, then the stream ends with the
    /// error.
    pub fn follow(
        &self,
        log: &LogName,
        start: Start,
    ) -> impl Stream<Item = Result<Frame, PortError>> + 'static + use<H, T> {
        let own = Self {
            link: self.link.clone(),
            consumers: Rc::default(),
        };
        follow::frames(own, log.clone(), start)
    }

    /// Resolves where a reader starts: a [`Frame::Opened`], as the stream log has it.
    ///
    /// # Errors
    /// What the proxy or the way to it say.
    pub async fn open(&self, log: &LogName, start: Start) -> Result<Frame, PortError> {
        self.try_open(log, start).await.map_err(|failure| failure.error)
    }

    /// What comes from the offset `next` on; nothing when nothing came within `wait`, which is at most ten seconds. Where
    /// the first chunk does not begin at `next`, retention has dropped what came before.
    ///
    /// # Errors
    /// What the proxy or the way to it say.
    pub async fn read(&self, log: &LogName, next: u64, wait: Duration) -> Result<Vec<Chunk>, PortError> {
        self.try_read(log, next, wait)
            .await
            .map_err(|failure| failure.error)
    }

    pub(crate) async fn try_open(&self, log: &LogName, start: Start) -> Result<Frame, Failure> {
        let (frame, instance) = open::open(&self.link, log, start).await?;
        if let Some(instance) = instance {
            self.consumers.put(instance, &self.link.host);
        }
        Ok(frame)
    }

    pub(crate) async fn try_read(
        &self,
        log: &LogName,
        next: u64,
        wait: Duration,
    ) -> Result<Vec<Chunk>, Failure> {
        let instance = match self.consumers.take(log, next) {
            Some(instance) => instance,
            None => match self.place(log, next).await? {
                Some(instance) => instance,
                // The topic comes with its first event.
                None => {
                    self.link.host.sleep(wait).await;
                    return Ok(Vec::new());
                }
            },
        };
        let began = self.link.host.now();
        let (instance, records) = instance.read(wait).await?;
        let earliest = match records.first() {
            Some(first) if first.offset > next => {
                self.link.offsets(log).await?.map(|offsets| offsets.beginning)
            }
            _ => None,
        };
        let from = next.max(earliest.unwrap_or_default());
        let read = chunks(log, from, &records, self.link.host.now());
        self.consumers.put(instance, &self.link.host);
        if records.is_empty() {
            // A proxy that does not wait must not be asked all the time.
            let waited = Duration::from_millis(self.link.host.now().saturating_sub(began));
            let rest = wait.saturating_sub(waited).min(LEAST_PAUSE);
            self.link.host.sleep(rest).await;
        }
        if read.passed_over > 0 {
            let message = format!(
                "{} records of {log} in Kafka from {next} on are no JSON objects and are passed over",
                read.passed_over
            );
            self.link.host.log(Level::Warn, &message);
        }
        Ok(read.chunks)
    }

    /// A new instance at `next`, or where the log begins, if that is later; `None` where there is no such log.
    async fn place(&self, log: &LogName, next: u64) -> Result<Option<Instance<H, T>>, Failure> {
        let Some(offsets) = self.link.offsets(log).await? else {
            return Ok(None);
        };
        if offsets.end < next {
            // For a moment, after another broker has taken the partition over; for good, where the topic was made anew.
            let why = format!("{log} in Kafka ends at {}, before {next}", offsets.end);
            return Err(PortError::unavailable("log", why).into());
        }
        let at = next.max(offsets.beginning);
        Ok(Some(Instance::create(&self.link, log, at).await?))
    }
}
