//! Sleeping.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use eventstar_ports::Timer;
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Function, Promise};
use worker::wasm_bindgen::JsValue;

use crate::js;

/// Sleeps by `setTimeout`, in requests and in Durable Objects.
#[derive(Debug, Clone, Copy, Default)]
pub struct JsTimer;

impl Timer for JsTimer {
    fn sleep(&self, duration: Duration) -> impl Future<Output = ()> + 'static {
        // Longer than 24.8 days does not fit the timer and would end at once.
        let milliseconds = i32::try_from(duration.as_millis()).unwrap_or(i32::MAX);
        let mut timeout = None;
        let promise = Promise::new(&mut |resolve: Function, _reject: Function| {
            timeout = js::set_timeout(&resolve, milliseconds)
                .ok()
                .map(|handle| (handle, resolve));
        });
        Sleep {
            future: JsFuture::from(promise),
            timeout,
        }
    }
}

struct Sleep {
    future: JsFuture,
    timeout: Option<(JsValue, Function)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        // A timer only resolves; there is no other outcome to tell apart.
        let _ = ready!(Pin::new(&mut self.future).poll(cx));
        self.timeout = None;
        Poll::Ready(())
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some((handle, resolve)) = self.timeout.take() {
            js::clear_timeout(&handle);
            // A promise that never settles keeps its callbacks, its waker and the task behind it for good.
            let _ = resolve.call0(&JsValue::UNDEFINED);
        }
    }
}
