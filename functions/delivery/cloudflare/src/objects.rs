//! The Durable Objects: the stream log, the registry and the metrics.

use std::rc::Rc;

use eventstar_platform_cloudflare::{DoSql, EdgeKv, JsTimer, serve_object};
use eventstar_stores::{LogObject, metrics_object, registry_object};
// `durable_object` expands to paths that start at `wasm_bindgen`.
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object, wasm_bindgen};

/// One log, and the hub of its readers.
#[durable_object(fetch)]
pub struct StreamLogObject {
    state: Rc<State>,
    log: Rc<LogObject<DoSql, JsTimer>>,
}

impl DurableObject for StreamLogObject {
    fn new(state: State, _env: Env) -> Self {
        let log = LogObject::new(DoSql::new(&state), JsTimer);
        Self {
            state: Rc::new(state),
            log,
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        serve_object(request, &self.state, |request, _now| self.log.handle(request)).await
    }
}

/// The registry.
#[durable_object(fetch)]
pub struct RegistryObject {
    state: Rc<State>,
    env: Env,
}

impl DurableObject for RegistryObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            state: Rc::new(state),
            env,
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let (sql, kv) = (DoSql::new(&self.state), EdgeKv::new(self.env.clone()));
        serve_object(request, &self.state, |request, now| {
            registry_object(sql, kv, request, now)
        })
        .await
    }
}

/// The metrics of all isolates.
#[durable_object(fetch)]
pub struct MetricsObject {
    state: Rc<State>,
}

impl DurableObject for MetricsObject {
    fn new(state: State, _env: Env) -> Self {
        Self {
            state: Rc::new(state),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let sql = DoSql::new(&self.state);
        serve_object(request, &self.state, |request, _now| metrics_object(sql, request)).await
    }
}
