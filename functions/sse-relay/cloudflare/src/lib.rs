//! `sse-relay` on Cloudflare Workers.

use std::rc::Rc;

use eventstar_platform_cloudflare::serve;
use function_sse_relay::{Isolate, MAX_BODY_BYTES, handle};
use worker::{Context, Env, Result, event, web_sys};

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
