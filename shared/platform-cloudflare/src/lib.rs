//! The ports on Cloudflare Workers, and what the shims need to serve requests, queues and Durable Objects with them.
//!
//! Nothing here crosses requests: a [`Cloudflare`] belongs to the request, batch or object it was made for.

mod body;
mod error;
mod http_client;
mod js;
mod objects;
mod patience;
mod queue;
mod scope;
mod server;
mod sql;
mod timer;

use std::cell::RefCell;
use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_ports::{
    Background, Clock, Config, Diagnostics, Ids, KeyValue, KeyValueWrite, Level, Platform, PortError, Timer,
};
use worker::js_sys::{Date, Reflect};
use worker::{Context, Env, KvStore, State, console_error, console_log, console_warn};

pub use http_client::FetchClient;
pub use js::MessageBatch;
pub use objects::{LeaseObjects, LogObjects, MetricsClient, RegistryClient, now, serve_object, set_alarm};
pub use queue::{EventQueue, consume};
pub use server::Server;
pub use sql::DoSql;
pub use timer::JsTimer;

use scope::Scope;

/// The platform of one request.
#[derive(Debug, Clone)]
pub struct Cloudflare {
    host: Host,
    scope: Scope,
    kv: EdgeKv,
    registry: RegistryClient,
    queue: EventQueue,
    log: LogObjects,
    metrics: MetricsClient,
    http: FetchClient,
    leases: LeaseObjects,
}

/// What keeps work alive after its answer.
#[derive(Clone)]
pub(crate) enum Host {
    Request(Rc<Context>),
    Object(Rc<State>),
}

impl Host {
    pub(crate) fn request(context: Context) -> Self {
        Self::Request(Rc::new(context))
    }

    pub(crate) fn object(state: &Rc<State>) -> Self {
        Self::Object(Rc::clone(state))
    }

    pub(crate) fn wait_until(&self, work: impl Future<Output = ()> + 'static) {
        match self {
            Self::Request(context) => context.wait_until(work),
            Self::Object(state) => state.wait_until(work),
        }
    }
}

impl fmt::Debug for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Request(_) => "Request",
            Self::Object(_) => "Object",
        })
    }
}

impl Cloudflare {
    /// The platform of one request to a Durable Object.
    #[must_use]
    pub fn in_object(env: Env, state: &Rc<State>) -> Self {
        Self::new(env, Host::object(state))
    }

    /// The platform of a Durable Object, for what it does for all requests together.
    #[must_use]
    pub fn of_object(env: Env, state: &Rc<State>) -> Self {
        Self::with(Scope::of_many(env), Host::object(state))
    }

    pub(crate) fn new(env: Env, host: Host) -> Self {
        Self::with(Scope::new(env), host)
    }

    fn with(scope: Scope, host: Host) -> Self {
        Self {
            host,
            kv: EdgeKv(scope.clone()),
            registry: RegistryClient(scope.clone()),
            queue: EventQueue(scope.clone()),
            log: LogObjects(scope.clone()),
            metrics: MetricsClient(scope.clone()),
            http: FetchClient(scope.clone()),
            leases: LeaseObjects(scope.clone()),
            scope,
        }
    }
}

/// Random values drawn at once: a call to the runtime costs more than the bytes.
const DRAWN_AT_ONCE: usize = 64;

/// Settings an isolate keeps: more than any function asks for.
const KEPT_SETTINGS: usize = 64;

thread_local! {
    /// Random values that were drawn and not yet given out.
    static RANDOM: RefCell<Vec<[u8; 16]>> = const { RefCell::new(Vec::new()) };
    /// The settings that were asked for. An isolate runs one version of one worker, its objects and consumers included,
    /// and a changed variable or secret makes a new version: <https://developers.cloudflare.com/workers/configuration/secrets/>.
    static SETTINGS: RefCell<Vec<(String, Option<String>)>> = const { RefCell::new(Vec::new()) };
}

impl Platform for Cloudflare {
    type Kv = EdgeKv;
    type Registry = RegistryClient;
    type Queue = EventQueue;
    type Log = LogObjects;
    type Metrics = MetricsClient;
    type Http = FetchClient;
    type Leases = LeaseObjects;

    fn kv(&self) -> &EdgeKv {
        &self.kv
    }

    fn registry(&self) -> &RegistryClient {
        &self.registry
    }

    fn queue(&self) -> &EventQueue {
        &self.queue
    }

    fn stream_log(&self) -> &LogObjects {
        &self.log
    }

    fn metrics(&self) -> &MetricsClient {
        &self.metrics
    }

    fn http(&self) -> &FetchClient {
        &self.http
    }

    fn leases(&self) -> &LeaseObjects {
        &self.leases
    }
}

impl Clock for Cloudflare {
    fn now(&self) -> Millis {
        Console.now()
    }
}

impl Ids for Cloudflare {
    fn random(&self) -> [u8; 16] {
        RANDOM.with_borrow_mut(|left| {
            left.pop().unwrap_or_else(|| {
                let mut drawn = [[0; 16]; DRAWN_AT_ONCE];
                js::get_random_values(drawn.as_flattened_mut());
                let [first, rest @ ..] = drawn;
                left.extend_from_slice(&rest);
                first
            })
        })
    }
}

impl Timer for Cloudflare {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        JsTimer.sleep(duration)
    }
}

impl Background for Cloudflare {
    fn spawn(&self, work: impl Future<Output = ()> + 'static) {
        self.host.wait_until(work);
    }
}

impl Config for Cloudflare {
    fn get(&self, name: &str) -> Option<String> {
        settings(self.scope.env()).get(name)
    }
}

/// Variables and secrets of a Worker.
#[derive(Debug)]
pub struct Settings<'a>(&'a Env);

/// The settings in `env`, for what is no request.
#[must_use]
pub fn settings(env: &Env) -> Settings<'_> {
    Settings(env)
}

impl Config for Settings<'_> {
    fn get(&self, name: &str) -> Option<String> {
        SETTINGS.with_borrow_mut(|kept| {
            if let Some((_, value)) = kept.iter().find(|(of, _)| of == name) {
                return value.clone();
            }
            let value = self.read(name);
            if kept.len() < KEPT_SETTINGS {
                kept.push((name.to_owned(), value.clone()));
            }
            value
        })
    }
}

impl Settings<'_> {
    fn read(&self, name: &str) -> Option<String> {
        let value = Reflect::get(self.0, &name.into()).ok()?;
        // Variables and secrets look the same from here; a variable may be written as a number or a boolean.
        let text = value
            .as_string()
            .or_else(|| value.as_f64().map(|number| number.to_string()));
        text.or_else(|| value.as_bool().map(|flag| flag.to_string()))
            .filter(|text| !text.is_empty())
    }
}

impl Diagnostics for Cloudflare {
    fn write_line(&self, level: Level, line: &str) {
        Console.write_line(level, line);
    }
}

/// The log of the worker; every request has the same.
pub(crate) struct Console;

impl Clock for Console {
    fn now(&self) -> Millis {
        server::moment().unwrap_or_else(|| Date::now() as Millis)
    }
}

impl Diagnostics for Console {
    fn write_line(&self, level: Level, line: &str) {
        match level {
            Level::Error => console_error!("{line}"),
            Level::Warn => console_warn!("{line}"),
            Level::Info => console_log!("{line}"),
        }
    }
}

/// The edge KV store bound as `KV`.
#[derive(Debug, Clone)]
pub struct EdgeKv(Scope);

impl EdgeKv {
    /// The store of this environment.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self(Scope::new(env))
    }

    fn store(&self) -> Result<KvStore, PortError> {
        self.0
            .env()
            .kv("KV")
            .map_err(|error| error::binding("kv", &error))
    }
}

impl KeyValue for EdgeKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let kv = self.store()?;
        self.0.count_subrequest();
        kv.get(key)
            .bytes()
            .await
            .map_err(|error| PortError::unavailable("kv", error.to_string()))
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, PortError> {
        if let [key] = keys {
            return Ok(vec![self.get(key).await?]);
        }
        let kv = self.store()?;
        self.0.count_subrequest();
        let values = kv.get_bulk(keys).text().await;
        let mut values = values.map_err(|error| PortError::unavailable("kv", error.to_string()))?;
        let value = |key| values.remove(key).flatten().map(String::into_bytes);
        Ok(keys.iter().map(value).collect())
    }
}

impl KeyValueWrite for EdgeKv {
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), PortError> {
        let kv = self.store()?;
        self.0.count_subrequest();
        let put = kv
            .put_bytes(key, value)
            .map_err(|error| PortError::unavailable("kv", error.to_string()))?;
        put.execute()
            .await
            .map_err(|error| PortError::unavailable("kv", error.to_string()))
    }
}
