//! Serving requests.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_event::time::Millis;
use eventstar_ports::Body;
use futures_util::FutureExt;
use http::{Request, Response};
use worker::js_sys::futures::future_to_promise;
use worker::js_sys::{Date, Promise};
use worker::wasm_bindgen::JsValue;
use worker::wasm_bindgen::closure::Closure;
use worker::{Context, Env, web_sys, worker_sys};

use crate::js::{self, Answer};
use crate::{Cloudflare, Host, body};

thread_local! {
    /// The time, while a request is answered that has waited for nothing yet.
    static MOMENT: Cell<Option<Millis>> = const { Cell::new(None) };
}

/// Runs `work` with one look at the clock: the runtime's stands still too while code runs
/// (<https://developers.cloudflare.com/workers/runtime-apis/performance/>), but each look is a call of JavaScript.
fn in_one_moment<T>(work: impl FnOnce() -> T) -> T {
    MOMENT.set(Some(Date::now() as Millis));
    let done = work();
    MOMENT.set(None);
    done
}

/// The time within [`in_one_moment`].
pub(crate) fn moment() -> Option<Millis> {
    MOMENT.get()
}

/// What serves the requests of an isolate.
pub struct Server {
    limit: usize,
    answer: Closure<Answer>,
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Server")
    }
}

impl Server {
    /// Serves with `handler`, which at most `limit + 1` bytes of a request's body reach.
    pub fn new(
        limit: usize,
        handler: impl AsyncFn(Cloudflare, Request<Bytes>) -> Response<Body> + 'static,
    ) -> Self {
        let handler = Rc::new(handler);
        let answer: Box<Answer> = Box::new(move |head, body, request, env, context| {
            let handler = Rc::clone(&handler);
            let mut answer = Box::pin(async move {
                let host = Host::request(Context::new(context));
                let answer = match body::request(head, body, &request, limit).await {
                    Ok(request) => handler(Cloudflare::new(env, host.clone()), request).await,
                    Err(status) => body::refusal(status),
                };
                body::response(answer, &host).map(JsValue::from)
            });
            // Many an answer waits for nothing, and then needs no promise either. One that does is polled again before
            // anything it waits for can have come, so that this waker is never missed.
            match in_one_moment(|| answer.as_mut().now_or_never()) {
                Some(answer) => answer,
                None => Ok(future_to_promise(answer).into()),
            }
        });
        Self {
            limit,
            answer: Closure::wrap(answer),
        }
    }

    /// Serves one request; the promise is of its answer.
    ///
    /// For an exported function of its own, as `#[event(fetch)]` runs every request as a task, even if it waits for nothing.
    pub fn serve(&self, request: &web_sys::Request, env: &Env, context: &worker_sys::Context) -> Promise {
        js::serve(request, env, context, self.limit, &self.answer)
    }
}
