//! The ports on Cloudflare Workers, and what the shims need to serve requests, queues and Durable Objects with them.
//!
//! Nothing here crosses requests: a [`Cloudflare`] belongs to the request, batch or object it was made for.

mod body;
mod error;
mod js;
mod objects;
mod queue;
mod sql;
mod timer;

use std::fmt;
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_ports::{
    Background, Body, Clock, Config, Diagnostics, Ids, KeyValue, KeyValueWrite, Level, Platform, PortError,
    Timer,
};
use http::{Request, Response};
use worker::js_sys::{Date, Reflect};
use worker::{Context, Env, State, console_error, console_log, console_warn, web_sys};

pub use js::MessageBatch;
pub use objects::{LogObjects, MetricsClient, RegistryClient, serve_object};
pub use queue::{EventQueue, consume};
pub use sql::DoSql;
pub use timer::JsTimer;

/// The platform of one request.
#[derive(Debug, Clone)]
pub struct Cloudflare {
    host: Host,
    env: Env,
    kv: EdgeKv,
    registry: RegistryClient,
    queue: EventQueue,
    log: LogObjects,
    metrics: MetricsClient,
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
    pub(crate) fn new(env: Env, host: Host) -> Self {
        Self {
            host,
            kv: EdgeKv(env.clone()),
            registry: RegistryClient(env.clone()),
            queue: EventQueue(env.clone()),
            log: LogObjects(env.clone()),
            metrics: MetricsClient(env.clone()),
            env,
        }
    }
}

/// Serves one request: at most `limit + 1` bytes of its body reach `handler`.
///
/// # Errors
/// When the answer cannot be handed to the runtime.
pub async fn serve(
    request: web_sys::Request,
    env: Env,
    context: Context,
    limit: usize,
    handler: impl AsyncFnOnce(Cloudflare, Request<Bytes>) -> Response<Body>,
) -> worker::Result<web_sys::Response> {
    let platform = Cloudflare::new(env, Host::request(context));
    let host = platform.host.clone();
    let answer = match body::request(&request, limit).await {
        Ok(request) => handler(platform, request).await,
        Err(status) => body::refusal(status),
    };
    Ok(body::response(answer, &host)?)
}

impl Platform for Cloudflare {
    type Kv = EdgeKv;
    type Registry = RegistryClient;
    type Queue = EventQueue;
    type Log = LogObjects;
    type Metrics = MetricsClient;

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
}

impl Clock for Cloudflare {
    fn now(&self) -> Millis {
        Date::now() as Millis
    }
}

impl Ids for Cloudflare {
    fn random(&self) -> [u8; 16] {
        let mut bytes = [0; 16];
        js::get_random_values(&mut bytes);
        bytes
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
        settings(&self.env).get(name)
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
        match level {
            Level::Error => console_error!("{line}"),
            Level::Warn => console_warn!("{line}"),
            Level::Info => console_log!("{line}"),
        }
    }
}

/// The edge KV store bound as `KV`.
#[derive(Debug, Clone)]
pub struct EdgeKv(Env);

impl EdgeKv {
    /// The store of this environment.
    #[must_use]
    pub fn new(env: Env) -> Self {
        Self(env)
    }
}

impl KeyValue for EdgeKv {
    async fn get(&self, key: &str) -> Result<Option<Vec<u8>>, PortError> {
        let kv = self.0.kv("KV").map_err(|error| error::binding("kv", &error))?;
        kv.get(key)
            .bytes()
            .await
            .map_err(|error| PortError::unavailable("kv", error.to_string()))
    }

    async fn get_many(&self, keys: &[String]) -> Result<Vec<Option<Vec<u8>>>, PortError> {
        if let [key] = keys {
            return Ok(vec![self.get(key).await?]);
        }
        let kv = self.0.kv("KV").map_err(|error| error::binding("kv", &error))?;
        let values = kv.get_bulk(keys).text().await;
        let mut values = values.map_err(|error| PortError::unavailable("kv", error.to_string()))?;
        let value = |key| values.remove(key).flatten().map(String::into_bytes);
        Ok(keys.iter().map(value).collect())
    }
}

impl KeyValueWrite for EdgeKv {
    async fn put(&self, key: &str, value: &[u8]) -> Result<(), PortError> {
        let kv = self.0.kv("KV").map_err(|error| error::binding("kv", &error))?;
        let put = kv
            .put_bytes(key, value)
            .map_err(|error| PortError::unavailable("kv", error.to_string()))?;
        put.execute()
            .await
            .map_err(|error| PortError::unavailable("kv", error.to_string()))
    }
}
