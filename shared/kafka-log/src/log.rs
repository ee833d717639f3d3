//! Reading.

use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use eventstar_kafka_rest::Proxy;
use eventstar_log::{Chunk, Frame, LogName, Start};
use eventstar_metrics::Counters;
use eventstar_ports::{HttpClient, Level, PortError};
use eventstar_stores::{PolledLog, ReadFailure};

use crate::chunks::chunks;
use crate::consumers::Consumers;
use crate::instance::Instance;
use crate::seen::Seen;
use crate::{Host, Link, open};

/// The wait of a poll. Who looks waits for a moment, so that the others do not wait long.
const WAIT: Duration = Duration::from_millis(100);

/// A proxy that answers polls at once, with nothing, is left alone for so long.
const LEAST_PAUSE: Duration = Duration::from_secs(1);

/// The topic-partitions behind a proxy. Clones share their consumer instances, one for each place that is read at, and know which
/// events they have read: with [`follow_by_polling`](eventstar_stores::follow_by_polling), followers of one instance of a
/// function read as one.
pub(crate) struct KafkaLog<H: HttpClient + Clone + 'static, T: Host> {
    link: Link<H, T>,
    consumers: Rc<Consumers<H, T>>,
    seen: Rc<RefCell<Seen>>,
    counters: Rc<Counters>,
}

impl<H: HttpClient + Clone + 'static, T: Host> Clone for KafkaLog<H, T> {
    fn clone(&self) -> Self {
        Self {
            link: self.link.clone(),
            consumers: Rc::clone(&self.consumers),
            seen: Rc::clone(&self.seen),
            counters: Rc::clone(&self.counters),
        }
    }
}

impl<H: HttpClient + Clone + 'static, T: Host> PolledLog for KafkaLog<H, T> {
    async fn open(&self, log: &LogName, start: Start) -> Result<Frame, ReadFailure> {
        let (frame, instance) = open::open(&self.link, log, start).await?;
        if let Some(instance) = instance {
            self.consumers.put(instance, &self.link.host);
        }
        Ok(frame)
    }

    /// Where the first chunk does not begin at `next`, retention has dropped what came before.
    async fn read(&self, log: &LogName, next: u64) -> Result<Vec<Chunk>, ReadFailure> {
        let instance = match self.consumers.take(log, next) {
            Some(instance) => instance,
            None => match self.place(log, next).await? {
                Some(instance) => instance,
                // The topic comes with its first event.
                None => {
                    self.link.host.sleep(WAIT).await;
                    return Ok(Vec::new());
                }
            },
        };
        let began = self.link.host.now();
        let (instance, records) = instance.read(WAIT).await?;
        let earliest = match records.first() {
            Some(first) if first.offset > next => {
                self.link.offsets(log).await?.map(|offsets| offsets.beginning)
            }
            _ => None,
        };
        let from = next.max(earliest.unwrap_or_default());
        let now = self.link.host.now();
        let repeated = self.seen.borrow_mut().repeated(log, from, &records, now);
        let read = chunks(log, from, &records, &repeated, now);
        self.consumers.put(instance, &self.link.host);
        if records.is_empty() && Duration::from_millis(now.saturating_sub(began)) < WAIT {
            self.link.host.sleep(LEAST_PAUSE).await;
        }
        self.tell(log, next, read.passed_over, repeated.len());
        Ok(read.chunks)
    }
}

impl<H: HttpClient + Clone + 'static, T: Host> KafkaLog<H, T> {
    /// The logs behind `proxy`.
    pub(crate) fn new(proxy: Rc<Proxy>, http: H, host: T, counters: Rc<Counters>) -> Self {
        Self {
            link: Link { proxy, http, host },
            consumers: Rc::default(),
            seen: Rc::default(),
            counters,
        }
    }

    fn tell(&self, log: &LogName, next: u64, passed_over: usize, repeated: usize) {
        if passed_over > 0 {
            let message = format!(
                "{passed_over} records of {log} in Kafka from {next} on are no JSON objects and are passed over"
            );
            self.link.host.log(Level::Warn, &message);
        }
        let topic = [("topic", log.topic.as_str())];
        let count = u64::try_from(repeated).unwrap_or(u64::MAX);
        self.counters
            .add("eventstar_relay_repeated_records_total", &topic, count);
    }

    /// A new instance at `next`, or where the log begins, if that is later; `None` where there is no such log.
    async fn place(&self, log: &LogName, next: u64) -> Result<Option<Instance<H, T>>, ReadFailure> {
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
