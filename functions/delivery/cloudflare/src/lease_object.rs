//! The Durable Object that counts the slots of one client.

use std::rc::Rc;

use eventstar_platform_cloudflare::{DoSql, now, serve_object};
use eventstar_stores::lease_object;
// `durable_object` expands to paths that start at `wasm_bindgen`.
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object, wasm_bindgen};

/// The slots of one client.
#[durable_object(fetch)]
pub struct LeaseObject {
    state: Rc<State>,
}

impl DurableObject for LeaseObject {
    fn new(state: State, _env: Env) -> Self {
        Self {
            state: Rc::new(state),
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        let sql = DoSql::new(&self.state);
        let forget = sql.clone();
        serve_object(request, &self.state, |request| {
            lease_object(sql, async move || forget.delete_all().await, request, now())
        })
        .await
    }
}
