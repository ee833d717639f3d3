//! Requests and answers between JavaScript and `http`.

use bytes::{Bytes, BytesMut};
use eventstar_ports::{Body, ByteStream, ClientAddress};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use worker::js_sys::futures::{JsFuture, spawn_local};
use worker::js_sys::{Array, Object, Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{
    self, Headers, ReadableStream, ReadableStreamDefaultReader, RequestInit, ResponseInit, WritableStream,
};

use crate::Host;
use crate::js::{IdentityTransformStream, ReadResult};

/// Statuses that JavaScript allows no body for, not even an empty one.
const WITHOUT_BODY: [StatusCode; 4] = [
    StatusCode::SWITCHING_PROTOCOLS,
    StatusCode::NO_CONTENT,
    StatusCode::RESET_CONTENT,
    StatusCode::NOT_MODIFIED,
];

/// Reads a stream of bytes piece by piece; dropping it cancels the stream, so that its writer notices.
pub(crate) struct BodyReader {
    reader: ReadableStreamDefaultReader,
    open: bool,
}

impl BodyReader {
    pub(crate) fn new(stream: &ReadableStream) -> Result<Self, JsValue> {
        Ok(Self {
            reader: ReadableStreamDefaultReader::new(stream)?,
            open: true,
        })
    }

    /// The next piece; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<Vec<u8>>, JsValue> {
        let read = JsFuture::from(self.reader.read()).await;
        self.open = read.is_ok();
        let read: ReadResult = read?.unchecked_into();
        self.open = !read.done();
        Ok(self.open.then(|| read.value().to_vec()))
    }
}

impl Drop for BodyReader {
    fn drop(&mut self) {
        if self.open {
            let cancelled = JsFuture::from(self.reader.cancel());
            // Awaited only so that a rejection is not reported as unhandled.
            spawn_local(async move {
                let _ = cancelled.await;
            });
        }
    }
}

/// The request with at most `limit + 1` bytes of its body; the status to refuse it with when it cannot be read.
pub(crate) async fn request(request: &web_sys::Request, limit: usize) -> Result<Request<Bytes>, StatusCode> {
    let method = Method::from_bytes(request.method().as_bytes()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let uri = Uri::try_from(request.url()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let headers = read_headers(&request.headers());
    let body = match request.body() {
        // An unreadable body is a client that went or lied about its length.
        Some(stream) => read_body(request, &stream, &headers, limit)
            .await
            .map_err(|_| StatusCode::BAD_REQUEST)?,
        None => Bytes::new(),
    };
    let mut read = Request::new(body);
    *read.method_mut() = method;
    *read.uri_mut() = uri;
    // Cloudflare sets it, whatever the client sent.
    if let Some(address) = headers
        .get("cf-connecting-ip")
        .and_then(|address| address.to_str().ok()?.parse().ok())
    {
        read.extensions_mut().insert(ClientAddress(address));
    }
    *read.headers_mut() = headers;
    Ok(read)
}

async fn read_body(
    request: &web_sys::Request,
    stream: &ReadableStream,
    headers: &HeaderMap,
    limit: usize,
) -> Result<Bytes, JsValue> {
    let announced = headers
        .get(http::header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse().ok());
    // The runtime holds the client to the length it announced: one call reads the whole.
    if announced.is_some_and(|length: usize| length <= limit) {
        let buffer = JsFuture::from(request.array_buffer()?).await?;
        return Ok(Uint8Array::new(&buffer).to_vec().into());
    }
    let mut reader = BodyReader::new(stream)?;
    let mut body = BytesMut::new();
    while let Some(piece) = reader.next().await? {
        body.extend_from_slice(&piece);
        if body.len() > limit {
            body.truncate(limit.saturating_add(1));
            break;
        }
    }
    Ok(body.freeze())
}

/// The request to send to a Durable Object.
pub(crate) fn object_request(request: Request<Bytes>) -> Result<web_sys::Request, JsValue> {
    let (parts, body) = request.into_parts();
    let init = RequestInit::new();
    init.set_method(parts.method.as_str());
    init.set_headers_headers(&write_headers(&parts.headers)?);
    if !body.is_empty() {
        init.set_body_opt_u8_array(Some(&Uint8Array::from(&*body)));
    }
    // The host is never resolved: the stub decides which object gets it.
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    web_sys::Request::new_with_str_and_init(&format!("https://object{path}"), &init)
}

/// The answer for the client. A stream is pumped within `host`'s lifetime.
pub(crate) fn response(response: Response<Body>, host: &Host) -> Result<web_sys::Response, JsValue> {
    let (parts, body) = response.into_parts();
    let init = ResponseInit::new();
    init.set_status(parts.status.as_u16());
    init.set_headers_headers(&write_headers(&parts.headers)?);
    if parts.headers.contains_key(http::header::CONTENT_ENCODING) {
        // The body is encoded already; without this the runtime would encode it once more.
        Reflect::set(&init, &"encodeBody".into(), &"manual".into())?;
    }
    match body {
        Body::Full(_) if WITHOUT_BODY.contains(&parts.status) => {
            web_sys::Response::new_with_opt_str_and_init(None, &init)
        }
        Body::Full(bytes) => {
            let bytes = Uint8Array::from(&*bytes);
            web_sys::Response::new_with_opt_js_u8_array_and_init(Some(&bytes), &init)
        }
        Body::Stream(stream) => {
            let pipe = IdentityTransformStream::new()?;
            let response =
                web_sys::Response::new_with_opt_readable_stream_and_init(Some(&pipe.readable()), &init)?;
            host.wait_until(pump(stream, pipe.writable()));
            Ok(response)
        }
    }
}

/// An answer made here, without a handler.
pub(crate) fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}

/// Writes the stream out, as fast as the client reads and no longer than it does: the stream is dropped when a write fails.
async fn pump(mut stream: ByteStream, writable: WritableStream) {
    let Ok(writer) = writable.get_writer() else { return };
    while let Some(piece) = stream.next().await {
        // The runtime takes the piece away from its owner, so it gets a copy outside of the module's memory.
        let piece = Uint8Array::from(&*piece);
        if JsFuture::from(writer.write_with_chunk(&piece)).await.is_err() {
            return;
        }
    }
    // The client may be gone by now; then there is nobody to tell.
    let _ = JsFuture::from(writer.close()).await;
}

fn read_headers(headers: &Headers) -> HeaderMap {
    let mut read = HeaderMap::new();
    for entry in headers.entries().into_iter().flatten() {
        let entry = Array::from(entry.as_ref());
        let (name, value) = (entry.get(0).as_string(), entry.get(1).as_string());
        // Values beyond ASCII are legal on the wire; `HeaderValue::from_str` would refuse the whole request.
        if let (Some(Ok(name)), Some(Ok(value))) = (
            name.map(|name| HeaderName::from_bytes(name.as_bytes())),
            value.map(|value| HeaderValue::from_bytes(value.as_bytes())),
        ) {
            read.append(name, value);
        }
    }
    read
}

fn write_headers(headers: &HeaderMap) -> Result<Headers, JsValue> {
    let written = Headers::new()?;
    for (name, value) in headers {
        written.append(name.as_str(), &String::from_utf8_lossy(value.as_bytes()))?;
    }
    Ok(written)
}

/// A property of a plain object.
pub(crate) fn object_with(members: &[(&str, JsValue)]) -> Object {
    let object = Object::new();
    for (name, value) in members {
        // Setting a member of a new plain object cannot fail.
        let _ = Reflect::set(&object, &(*name).into(), value);
    }
    object
}
