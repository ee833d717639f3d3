//! All ports in memory.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, HashMap};
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use eventstar_delivery::{Attempt, Delivered, deliver};
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_kafka_log::KafkaReaders;
use eventstar_log::{Appended, Frame, LogName, Retention, Start};
use eventstar_ports::{
    Background, Clock, Config, Diagnostics, Drained, Ids, KeyValue, KeyValueWrite, Leases, Level, Metrics,
    Platform, PortError, PortErrorKind, Published, Queue, Registry, RegistryError, RegistryRequest, Sample,
    Slot, StreamLog, Timer,
};
use eventstar_stores::{
    SqlLeases, SqlLog, SqlMetrics, SqlRegistry, Tails, UpstreamMemory, UpstreamRegistry, follow_by_polling,
    retry_window,
};
use futures_util::Stream;

use crate::MemorySql;
use crate::http::Servers;

/// When an injected fault strikes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// Before the write: nothing happened.
    Before,
    /// After the write: it took effect and the answer was lost.
    After,
}

impl Fault {
    fn error(self, port: &'static str) -> PortError {
        match self {
            Self::Before => PortError::unavailable(port, "injected before"),
            Self::After => PortError::new(PortErrorKind::Timeout, port, "injected after"),
        }
    }
}

#[derive(Default)]
struct Inner {
    now: Cell<Millis>,
    ids: Cell<u64>,
    kv: RefCell<BTreeMap<String, Vec<u8>>>,
    reads: Cell<u64>,
    calls: Cell<u64>,
    sql: MemorySql,
    tails: Rc<Tails>,
    kafka: KafkaReaders<Memory>,
    queue: RefCell<Vec<Bytes>>,
    settings: RefCell<HashMap<String, String>>,
    lines: RefCell<Vec<String>>,
    background: RefCell<Vec<Pin<Box<dyn Future<Output = ()>>>>>,
    faults: RefCell<HashMap<&'static str, Fault>>,
    servers: Servers,
    upstreams: RefCell<Rc<UpstreamMemory>>,
}

/// The platform in memory; clones share everything. Time stands still unless a test or a sleep moves it.
#[derive(Clone, Default)]
pub struct Memory(Rc<Inner>);

impl Memory {
    /// A platform at 2024-01-01T00:00:00Z.
    #[must_use]
    pub fn new() -> Self {
        let memory = Self::default();
        memory.0.now.set(1_704_067_200_000);
        memory
    }

    /// Sets a setting or secret.
    #[must_use]
    pub fn with(self, name: &str, value: &str) -> Self {
        self.0
            .settings
            .borrow_mut()
            .insert(name.to_owned(), value.to_owned());
        self
    }

    /// Moves the clock.
    pub fn advance(&self, millis: Millis) {
        self.0.now.set(self.0.now.get() + millis);
    }

    /// Makes every use of `port` (`kv`, `queue`, `log`, `registry`, `metrics`, `http`, `leases`) fail until [`Memory::heal`].
    pub fn fail(&self, port: &'static str, fault: Fault) {
        self.0.faults.borrow_mut().insert(port, fault);
    }

    /// Ends all faults.
    pub fn heal(&self) {
        self.0.faults.borrow_mut().clear();
    }

    /// The database behind log and registry.
    #[must_use]
    pub fn sql(&self) -> MemorySql {
        self.0.sql.clone()
    }

    /// Takes what the queue holds.
    #[must_use]
    pub fn take_queue(&self) -> Vec<Bytes> {
        self.0.queue.take()
    }

    /// How often a port was used: on Workers, each is a subrequest.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.0.calls.get()
    }

    /// Counts a use of a port, and lets others run, as a platform does.
    pub(crate) async fn called(&self) {
        self.0.calls.set(self.0.calls.get() + 1);
        let mut yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    /// Other servers.
    pub(crate) fn servers(&self) -> &Servers {
        &self.0.servers
    }

    /// Forgets what the registry remembers of its upstreams, as a new instance of it.
    pub fn forget_upstreams(&self) {
        self.0.upstreams.take();
    }

    /// How often KV was read.
    #[must_use]
    pub fn kv_reads(&self) -> u64 {
        self.0.reads.get()
    }

    /// Empties KV, as one that has not heard of a write yet.
    pub fn forget_kv(&self) {
        self.0.kv.borrow_mut().clear();
    }

    /// The diagnostic lines so far.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lines.borrow().clone()
    }

    /// Runs the work that handlers left for after their answer.
    pub async fn run_background(&self) {
        loop {
            let Some(work) = self.0.background.borrow_mut().pop() else {
                return;
            };
            work.await;
        }
    }

    /// Runs `effect`, which takes its time, under the port's fault.
    async fn under_async<T>(
        &self,
        port: &'static str,
        effect: impl Future<Output = Result<T, PortError>>,
    ) -> Result<T, PortError> {
        let fault = self.0.faults.borrow().get(port).copied();
        if fault == Some(Fault::Before) {
            return Err(Fault::Before.error(port));
        }
        let answer = effect.await;
        fault.map_or(answer, |fault| Err(fault.error(port)))
    }

    /// Runs `effect` under the port's fault.
    pub(crate) fn under<T>(&self, port: &'static str, effect: impl FnOnce() -> T) -> Result<T, PortError> {
        let fault = self.0.faults.borrow().get(port).copied();
        match fault {
            Some(Fault::Before) => Err(Fault::Before.error(port)),
            Some(Fault::After) => {
                effect();
                Err(Fault::After.error(port))
            }
            None => Ok(effect()),
        }
    }
}

impl Clock for Memory {
    fn now(&self) -> Millis {
        self.0.now.get()
    }
}

impl Ids for Memory {
    fn random(&self) -> [u8; 16] {
        let next = self.0.ids.get() + 1;
        self.0.ids.set(next);
        // SplitMix64: the same ids in every run, and every part of them differs.
        let mix = |seed: u64| {
            let z = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^ (z >> 31)
        };
        let wide = (u128::from(mix(next * 2)) << 64) | u128::from(mix(next * 2 + 1));
        wide.to_be_bytes()
    }
}

impl Timer for Memory {
    /// Sleeping moves the clock and yields once.
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        let memory = self.clone();
        async move {
            memory.advance(u64::try_from(duration.as_millis()).unwrap_or(0));
            let mut yielded = false;
            std::future::poll_fn(|cx| {
                if yielded {
                    return std::task::Poll::Ready(());
                }
                yielded = true;
                cx.waker().wake_by_ref();
                std::task::Poll::Pending
            })
            .await;
        }
    }
}

impl Background for Memory {
    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.0.background.borrow_mut().push(Box::pin(work));
    }
}

impl Config for Memory {
    fn get(&self, name: &str) -> Option<String> {
        self.0
            .settings
            .borrow()
            .get(name)
            .filter(|value| !value.is_empty())
            .cloned()
    }
}

impl Diagnostics for Memory {
    fn write_line(&self, _level: Level, line: &str) {
        self.0.lines.borrow_mut().push(line.to_owned());
    }
}

impl KeyValue for Memory {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        self.called().await;
        self.0.reads.set(self.0.reads.get() + 1);
        self.under("kv", || self.0.kv.borrow().get(key).cloned())
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, PortError> {
        self.called().await;
        self.0.reads.set(self.0.reads.get() + 1);
        let kv = self.0.kv.borrow();
        self.under("kv", || keys.iter().map(|key| kv.get(key).cloned()).collect())
    }
}

impl KeyValueWrite for Memory {
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), PortError> {
        self.under("kv", || {
            self.0.kv.borrow_mut().insert(key.to_owned(), value.to_vec());
        })
    }
}

impl Queue for Memory {
    async fn send(&self, messages: Vec<Bytes>) -> Result<(), PortError> {
        self.called().await;
        self.under("queue", || self.0.queue.borrow_mut().extend(messages))
    }

    async fn drain(&self) -> Result<Option<Drained>, PortError> {
        let taken = self.under("queue", || self.0.queue.take())?;
        let first = |message: &Bytes| Attempt {
            message: message.clone(),
            number: 1,
        };
        let outcomes = deliver(self, taken.iter().map(first).collect()).await;
        let again = taken
            .into_iter()
            .zip(&outcomes)
            .filter(|(_, outcome)| **outcome == Delivered::Retry);
        let again: Vec<Bytes> = again.map(|(message, _)| message).collect();
        let delivered = outcomes.len() - again.len();
        self.0.queue.borrow_mut().extend(again);
        let waiting = self.0.queue.borrow().len() as u64;
        Ok(Some(Drained { delivered, waiting }))
    }
}

impl Registry for Memory {
    async fn ask(&self, request: RegistryRequest) -> Result<Published, RegistryError> {
        self.called().await;
        let fault = self.0.faults.borrow().get("registry").copied();
        if fault == Some(Fault::Before) {
            return Err(Fault::Before.error("registry").into());
        }
        let memory = Rc::clone(&self.0.upstreams.borrow());
        let registry = SqlRegistry::new(self.sql(), self.clone());
        let answer = UpstreamRegistry::new(registry, self.clone(), &memory)
            .ask(request)
            .await;
        match fault {
            Some(fault) => Err(fault.error("registry").into()),
            None => answer,
        }
    }
}

impl StreamLog for Memory {
    type Follow = Pin<Box<dyn Stream<Item = Result<Frame, PortError>>>>;

    async fn append_with(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<Appended, PortError> {
        self.called().await;
        let fault = self.0.faults.borrow().get("log").copied();
        if fault == Some(Fault::Before) {
            return Err(Fault::Before.error("log"));
        }
        let answer = SqlLog::new(self.sql())
            .with_retry_window(retry_window(self))
            .append_with(log, batch, retention)
            .await;
        match fault {
            Some(fault) => Err(fault.error("log")),
            None => answer,
        }
    }

    fn follow(&self, log: &LogName, start: Start) -> Self::Follow {
        if log.is_in_kafka() {
            return self.0.kafka.follow(self, log, start);
        }
        let stream = SqlLog::new(self.sql());
        Box::pin(follow_by_polling(
            stream,
            log.clone(),
            start,
            Rc::clone(&self.0.tails),
            self.clone(),
            Duration::from_millis(250),
        ))
    }
}

impl Metrics for Memory {
    async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError> {
        self.called().await;
        self.under("metrics", || ())?;
        SqlMetrics::new(self.sql()).add(samples).await
    }

    async fn report(&self, holder: &str, gauges: Vec<Sample>) -> Result<(), PortError> {
        self.called().await;
        let metrics = SqlMetrics::new(self.sql());
        self.under_async("metrics", metrics.report(holder, &gauges, self.now()))
            .await
    }

    async fn read(&self) -> Result<Vec<Sample>, PortError> {
        self.under("metrics", || ())?;
        SqlMetrics::new(self.sql()).read(self.now()).await
    }
}

impl Leases for Memory {
    async fn take(&self, slot: &Slot, limit: u32) -> Result<bool, PortError> {
        self.called().await;
        let leases = SqlLeases::new(self.sql());
        self.under_async("leases", leases.take(slot, limit, self.now()))
            .await
    }

    async fn release(&self, slot: &Slot) -> Result<(), PortError> {
        self.called().await;
        let leases = SqlLeases::new(self.sql());
        self.under_async("leases", leases.release(slot)).await
    }
}

impl Platform for Memory {
    type Kv = Self;
    type Registry = Self;
    type Queue = Self;
    type Log = Self;
    type Metrics = Self;
    type Http = Self;
    type Leases = Self;

    fn kv(&self) -> &Self {
        self
    }

    fn registry(&self) -> &Self {
        self
    }

    fn queue(&self) -> &Self {
        self
    }

    fn stream_log(&self) -> &Self {
        self
    }

    fn metrics(&self) -> &Self {
        self
    }

    fn http(&self) -> &Self {
        self
    }

    fn leases(&self) -> &Self {
        self
    }
}
