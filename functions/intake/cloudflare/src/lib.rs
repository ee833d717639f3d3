//! `intake` on Cloudflare Workers.

use std::rc::Rc;

use eventstar_platform_cloudflare::Server;
use function_intake::{Isolate, MAX_BODY_BYTES, handle};
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
