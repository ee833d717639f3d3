//! The Durable Object of the stream log.

use std::rc::Rc;

use eventstar_platform_cloudflare::{DoSql, JsTimer, serve_object, settings};
use eventstar_stores::{LogObject, retry_window};
// `durable_object` expands to paths that start at `wasm_bindgen`.
use worker::{DurableObject, Env, Request, Response, Result, State, durable_object, wasm_bindgen};

/// One log, and the hub of its readers.
#[durable_object(fetch)]
pub struct StreamLogObject {
    state: Rc<State>,
    log: Rc<LogObject<DoSql, JsTimer>>,
}

impl DurableObject for StreamLogObject {
    fn new(state: State, env: Env) -> Self {
        let log = LogObject::new(DoSql::new(&state), JsTimer, retry_window(&settings(&env)));
        Self {
            state: Rc::new(state),
            log,
        }
    }

    async fn fetch(&self, request: Request) -> Result<Response> {
        serve_object(request, &self.state, |request| self.log.handle(request)).await
    }
}
