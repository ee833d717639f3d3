//! The entry point of `sse-relay` on Spin.

use std::rc::Rc;

use eventstar_platform_spin::{drain_soon, serve};
use eventstar_ports::Body;
use function_sse_relay::{Isolate, MAX_BODY_BYTES, handle};
use spin_sdk::http::{Request, Response};
use spin_sdk::http_service;

thread_local! {
    static ISOLATE: Rc<Isolate> = Rc::default();
}

#[http_service]
async fn answer(request: Request) -> Response<Body> {
    let isolate = ISOLATE.with(Rc::clone);
    serve(request, MAX_BODY_BYTES, async |platform, request| {
        let answer = handle(&isolate, platform.clone(), request).await;
        drain_soon(&platform);
        answer
    })
    .await
}
