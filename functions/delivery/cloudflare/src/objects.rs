//! The Durable Objects that there is one of: the registry and the metrics.

use std::rc::Rc;

use eventstar_platform_cloudflare::{Cloudflare, DoSql, EdgeKv, now, serve_object};
use eventstar_stores::{SqlRegistry, UpstreamMemory, UpstreamRegistry, metrics_object, registry_object};
// `durable_object` expands to paths that start at `wasm_bindgen`.
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object, wasm_bindgen};

/// The registry.
#[durable_object(fetch)]
pub struct RegistryObject {
    state: Rc<State>,
    env: Env,
    upstreams: UpstreamMemory,
}

impl DurableObject for RegistryObject {
    fn new(state: State, env: Env) -> Self {
        Self {
            state: Rc::new(state),
            env,
            upstreams: UpstreamMemory::default(),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let registry = SqlRegistry::new(DoSql::new(&self.state), EdgeKv::new(self.env.clone()));
        let platform = Cloudflare::in_object(self.env.clone(), &self.state);
        let registry = UpstreamRegistry::new(registry, platform, &self.upstreams);
        serve_object(request, &self.state, |request| registry_object(registry, request)).await
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
        serve_object(request, &self.state, |request| {
            metrics_object(sql, request, now())
        })
        .await
    }
}
