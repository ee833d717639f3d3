//! `delivery` on Cloudflare Workers: its routes, its queues and the Durable Objects it owns.

mod log_object;
mod objects;

use std::rc::Rc;

use eventstar_platform_cloudflare::{MessageBatch, consume, serve};
use function_delivery::{Isolate, MAX_BODY_BYTES, handle};
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{Context, Env, Result, event, web_sys, worker_sys};

thread_local! {
    static ISOLATE: Rc<Isolate> = Rc::default();
}

#[event(fetch)]
async fn fetch(request: web_sys::Request, env: Env, context: Context) -> Result<web_sys::Response> {
    let isolate = ISOLATE.with(Rc::clone);
    serve(request, env, context, MAX_BODY_BYTES, |platform, request| {
        handle(&isolate, platform, request)
    })
    .await
}

/// Consumes the queue of events and the queue of dead letters.
#[wasm_bindgen(
    wasm_bindgen = ::worker::wasm_bindgen,
    wasm_bindgen_futures = ::worker::wasm_bindgen_futures,
    js_sys = ::worker::js_sys
)]
pub async fn queue(batch: MessageBatch, env: Env, context: worker_sys::Context) {
    consume(batch, env, context, async |platform, messages, dead| {
        if dead {
            function_delivery::consume_dead(platform, messages).await
        } else {
            function_delivery::consume(platform, messages).await
        }
    })
    .await;
}
