//! The ports on Spin: variables, the key-value store, and one SQLite file for the log, the registry and the outbox.
//!
//! Instances come and go and share nothing but the store and the database, so the log is followed by polling: once an
//! instance, however many follow.

mod http;
mod http_client;
mod kv;
mod outbox;
mod settings;
mod sql;

use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_kafka_log::KafkaReaders;
use eventstar_log::{Appended, Frame, LogName, Retention, Start};
use eventstar_ports::{
    Background, Clock, Config, Diagnostics, Ids, Leases, Level, Metrics, Platform, PortError, Published,
    Registry, RegistryError, RegistryRequest, Sample, Slot, StreamLog, Timer,
};
use eventstar_stores::{
    SqlLeases, SqlLog, SqlMetrics, SqlRegistry, Tails, UpstreamMemory, UpstreamRegistry, follow_by_polling,
    retry_window,
};
use futures_util::Stream;
use spin_sdk::wasip3;

pub use self::http::serve;
pub use http_client::SpinHttp;
pub use kv::SpinKv;
pub use outbox::{SpinQueue, drain, drain_soon};
use settings::Settings;
pub use sql::SpinSql;

/// How often a follower looks for new events. Polling at 100 ms would cost a quarter of a core for 100 idle readers.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// The platform.
#[derive(Debug, Clone)]
pub struct Spin {
    kv: SpinKv,
    registry: SpinRegistry,
    queue: SpinQueue,
    log: SpinLog,
    metrics: SpinMetrics,
    leases: SpinLeases,
}

impl Spin {
    /// The platform, with the settings of this component.
    pub async fn load() -> Self {
        Self::with(Settings::load().await)
    }

    fn with(settings: Rc<Settings>) -> Self {
        Self {
            kv: SpinKv,
            registry: SpinRegistry {
                settings: Rc::clone(&settings),
            },
            log: SpinLog {
                settings: Rc::clone(&settings),
            },
            queue: SpinQueue { settings },
            metrics: SpinMetrics,
            leases: SpinLeases,
        }
    }
}

impl Platform for Spin {
    type Kv = SpinKv;
    type Registry = SpinRegistry;
    type Queue = SpinQueue;
    type Log = SpinLog;
    type Metrics = SpinMetrics;
    type Http = SpinHttp;
    type Leases = SpinLeases;

    fn kv(&self) -> &SpinKv {
        &self.kv
    }

    fn registry(&self) -> &SpinRegistry {
        &self.registry
    }

    fn queue(&self) -> &SpinQueue {
        &self.queue
    }

    fn stream_log(&self) -> &SpinLog {
        &self.log
    }

    fn metrics(&self) -> &SpinMetrics {
        &self.metrics
    }

    fn http(&self) -> &SpinHttp {
        &SpinHttp
    }

    fn leases(&self) -> &SpinLeases {
        &self.leases
    }
}

impl Clock for Spin {
    fn now(&self) -> Millis {
        now()
    }
}

impl Ids for Spin {
    fn random(&self) -> [u8; 16] {
        (u128::from(random()) << 64 | u128::from(random())).to_be_bytes()
    }
}

impl Timer for Spin {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        spin_sdk::time::sleep(duration)
    }
}

impl Background for Spin {
    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        wasip3::spawn(work);
    }
}

impl Config for Spin {
    fn get(&self, name: &str) -> Option<String> {
        self.queue.settings.get(name)
    }
}

impl Diagnostics for Spin {
    fn write_line(&self, _level: Level, line: &str) {
        eprintln!("{line}");
    }
}

/// The registry, in SQLite: its transactions serialise publishing.
#[derive(Debug, Clone)]
pub struct SpinRegistry {
    settings: Rc<Settings>,
}

thread_local! {
    /// What this instance remembers of schema upstreams.
    static UPSTREAMS: Rc<UpstreamMemory> = Rc::default();
}

impl Registry for SpinRegistry {
    async fn ask(&self, request: RegistryRequest) -> Result<Published, RegistryError> {
        let memory = UPSTREAMS.with(Rc::clone);
        let platform = Spin::with(Rc::clone(&self.settings));
        UpstreamRegistry::new(SqlRegistry::new(SpinSql, SpinKv), platform, &memory)
            .ask(request)
            .await
    }
}

/// The stream log, in SQLite.
#[derive(Debug, Clone)]
pub struct SpinLog {
    settings: Rc<Settings>,
}

impl StreamLog for SpinLog {
    type Follow = Pin<Box<dyn Stream<Item = Result<Frame, PortError>>>>;

    async fn append_with(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<Appended, PortError> {
        SqlLog::new(SpinSql)
            .with_retry_window(retry_window(self.settings.as_ref()))
            .append_with(log, batch, retention)
            .await
    }

    fn follow(&self, log: &LogName, start: Start) -> Self::Follow {
        let platform = Spin::with(Rc::clone(&self.settings));
        if log.is_in_kafka() {
            return KAFKA.with(|kafka| kafka.follow(&platform, log, start));
        }
        Box::pin(follow_by_polling(
            SqlLog::new(SpinSql),
            log.clone(),
            start,
            TAILS.with(Rc::clone),
            platform,
            POLL_INTERVAL,
        ))
    }
}

/// The metrics, in SQLite.
#[derive(Debug, Clone, Copy)]
pub struct SpinMetrics;

impl Metrics for SpinMetrics {
    async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError> {
        SqlMetrics::new(SpinSql).add(samples).await
    }

    async fn report(&self, holder: &str, gauges: Vec<Sample>) -> Result<(), PortError> {
        SqlMetrics::new(SpinSql).report(holder, &gauges, now()).await
    }

    async fn read(&self) -> Result<Vec<Sample>, PortError> {
        SqlMetrics::new(SpinSql).read(now()).await
    }
}

/// The slots of clients, in SQLite.
#[derive(Debug, Clone, Copy)]
pub struct SpinLeases;

impl Leases for SpinLeases {
    async fn take(&self, slot: &Slot, limit: u32) -> Result<bool, PortError> {
        SqlLeases::new(SpinSql).take(slot, limit, now()).await
    }

    async fn release(&self, slot: &Slot) -> Result<(), PortError> {
        SqlLeases::new(SpinSql).release(slot).await
    }
}

thread_local! {
    /// What the followers of this instance have read.
    static TAILS: Rc<Tails> = Rc::default();
    /// The same, of Kafka.
    static KAFKA: KafkaReaders<Spin> = KafkaReaders::default();
}

fn now() -> Millis {
    let now = wasip3::clocks::system_clock::now();
    u64::try_from(now.seconds).unwrap_or(0) * 1000 + u64::from(now.nanoseconds / 1_000_000)
}

fn random() -> u64 {
    wasip3::random::random::get_random_u64()
}
