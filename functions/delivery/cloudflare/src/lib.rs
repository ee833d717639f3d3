//! `delivery` on Cloudflare Workers: its routes, its queues and the Durable Objects it owns.

mod lease_object;
mod log_object;
mod objects;

use std::rc::Rc;

use eventstar_platform_cloudflare::{MessageBatch, Server, consume};
use function_delivery::{Isolate, MAX_BODY_BYTES, handle};
use worker::js_sys::Promise;
use worker::wasm_bindgen::prelude::wasm_bindgen;
use worker::{Env, web_sys, worker_sys};

thread_local! {
    static SERVER: Server = {
        let isolate = Rc::<Isolate>::default();
        Server::new(MAX_BODY_BYTES, async move |platform, request| handle(&isolate, platform, request).await)
    };
}

/// Answers a request.
#[wasm_bindgen(wasm_bindgen = ::worker::wasm_bindgen, js_sys = ::worker::js_sys)]
pub fn fetch(request: &web_sys::Request, env: &Env, context: &worker_sys::Context) -> Promise {
    SERVER.with(|server| server.serve(request, env, context))
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
