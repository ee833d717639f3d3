//! The JavaScript that `worker` does not bind, or binds without catching what it throws.

use worker::Env;
use worker::js_sys::{Array, Function, Object, Promise, Uint8Array};
use worker::wasm_bindgen::prelude::*;
use worker::web_sys::{Headers, Request, Response, TransformStream};
use worker::worker_sys::Context;

/// Answers a request: its head, its body if that was read already, and the request itself with what came along.
pub(crate) type Answer = dyn Fn(String, Option<Vec<u8>>, Request, Env, Context) -> Result<JsValue, JsValue>;

#[wasm_bindgen(wasm_bindgen = ::worker::wasm_bindgen, js_sys = ::worker::js_sys, module = "/src/glue.js")]
extern "C" {
    /// Serves a request with `answer`.
    pub(crate) fn serve(
        request: &Request,
        env: &Env,
        context: &Context,
        limit: usize,
        answer: &Closure<Answer>,
    ) -> Promise;

    /// An answer; `body` is `null`, bytes or a stream, `encoded` whether it is as its `content-encoding` says.
    #[wasm_bindgen(catch)]
    pub(crate) fn respond(
        status: u16,
        headers: &Headers,
        body: &JsValue,
        encoded: bool,
    ) -> Result<Response, JsValue>;

    /// A client of the Durable Object `name`; `None` when nothing is bound as `namespace`.
    #[wasm_bindgen(catch)]
    pub(crate) fn stub(env: &Env, namespace: &str, name: &str) -> Result<Option<Stub>, JsValue>;

    /// Sends a request to a Durable Object; `body` is `null` or bytes.
    #[wasm_bindgen(catch)]
    pub(crate) fn send(stub: &Stub, method: &str, url: &str, body: &JsValue) -> Result<Promise, JsValue>;

    /// The same; resolves to the status and the bytes of the answer.
    pub(crate) fn ask(stub: &Stub, method: &str, url: &str, body: &JsValue) -> Promise;

    /// Asks another server; `body` is `null` or bytes. Resolves to the status, the headers, a line each, and the bytes of the
    /// answer, or to `undefined` when those are more than `limit`.
    pub(crate) fn exchange(
        url: &str,
        method: &str,
        headers: &Headers,
        body: &JsValue,
        milliseconds: i32,
        limit: usize,
    ) -> Promise;
}

#[wasm_bindgen(wasm_bindgen = ::worker::wasm_bindgen, js_sys = ::worker::js_sys)]
extern "C" {
    /// A stream of bytes whose writes end once they were read: the only one that tells of a client that went.
    #[wasm_bindgen(extends = TransformStream)]
    pub(crate) type IdentityTransformStream;

    #[wasm_bindgen(constructor, catch)]
    pub(crate) fn new() -> Result<IdentityTransformStream, JsValue>;

    /// What `reader.read()` resolves to.
    pub(crate) type ReadResult;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn done(this: &ReadResult) -> bool;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn value(this: &ReadResult) -> Uint8Array;

    #[wasm_bindgen(catch, js_name = setTimeout)]
    pub(crate) fn set_timeout(callback: &Function, milliseconds: i32) -> Result<JsValue, JsValue>;

    #[wasm_bindgen(js_name = clearTimeout)]
    pub(crate) fn clear_timeout(handle: &JsValue);

    #[wasm_bindgen(js_namespace = crypto, js_name = getRandomValues)]
    pub(crate) fn get_random_values(into: &mut [u8]);

    /// A client of a Durable Object.
    pub(crate) type Stub;

    /// A Durable Object's storage.
    #[derive(Clone)]
    pub(crate) type Storage;

    #[wasm_bindgen(method, catch, js_name = transactionSync)]
    pub(crate) fn transaction_sync(
        this: &Storage,
        work: &mut dyn FnMut() -> Result<(), JsValue>,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = deleteAll)]
    pub(crate) fn delete_all(this: &Storage) -> Result<Promise, JsValue>;

    /// A queue to send to.
    pub(crate) type QueueBinding;

    #[wasm_bindgen(method, catch, js_name = sendBatch)]
    pub(crate) fn send_batch(this: &QueueBinding, messages: &Array) -> Result<Promise, JsValue>;

    /// Queue messages that were delivered to this worker.
    pub type MessageBatch;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn queue(this: &MessageBatch) -> String;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn messages(this: &MessageBatch) -> Array;

    /// One of them.
    pub(crate) type Message;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn body(this: &Message) -> JsValue;

    #[wasm_bindgen(method, getter)]
    pub(crate) fn attempts(this: &Message) -> u32;

    #[wasm_bindgen(method, catch)]
    pub(crate) fn ack(this: &Message) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch)]
    pub(crate) fn retry(this: &Message, options: &Object) -> Result<(), JsValue>;
}
