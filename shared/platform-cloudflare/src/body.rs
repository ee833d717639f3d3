//! Requests and answers between JavaScript and `http`.

use std::cell::RefCell;

use bytes::{Bytes, BytesMut};
use eventstar_ports::{Body, ByteStream, ClientAddress};
use futures_util::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri};
use worker::js_sys::futures::{JsFuture, spawn_local};
use worker::js_sys::{Object, Reflect, Uint8Array};
use worker::wasm_bindgen::{JsCast, JsValue};
use worker::web_sys::{self, Headers, ReadableStream, ReadableStreamDefaultReader, WritableStream};

use crate::js::{self, IdentityTransformStream, ReadResult};
use crate::patience::Patience;
use crate::{Host, JsTimer};

/// Statuses that JavaScript allows no body for, not even an empty one.
const WITHOUT_BODY: [StatusCode; 4] = [
    StatusCode::SWITCHING_PROTOCOLS,
    StatusCode::NO_CONTENT,
    StatusCode::RESET_CONTENT,
    StatusCode::NOT_MODIFIED,
];

/// Headers there is room for at first.
const USUAL_HEADERS: usize = 16;
/// Bytes there are for the headers of an answer at first.
const USUAL_HEADERS_BYTES: usize = 1024;
/// Header lists an isolate keeps: a function has few, besides those with a value of their own.
const KEPT_HEADERS: usize = 16;

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

/// A request of which the head and, if its length was known, the body were read; at most `limit + 1` bytes of another
/// are. The status to refuse it with when it cannot be read.
pub(crate) async fn request(
    head: String,
    body: Option<Vec<u8>>,
    request: &web_sys::Request,
    limit: usize,
) -> Result<Request<Bytes>, StatusCode> {
    let mut read = read_head(head)?;
    if let Some(body) = body {
        *read.body_mut() = body.into();
    } else if let Some(stream) = request.body() {
        // An unreadable body is a client that went.
        let body = read_body(&stream, limit).await;
        *read.body_mut() = body.map_err(|_| StatusCode::BAD_REQUEST)?;
    }
    Ok(read)
}

/// A request to a Durable Object. Our own functions send them, whole and without headers.
pub(crate) async fn request_to_object(request: &web_sys::Request) -> Result<Request<Bytes>, StatusCode> {
    let mut read = read_head(format!("{}\n{}", request.method(), request.url()))?;
    let body = async { JsFuture::from(request.array_buffer()?).await };
    let body = body.await.map_err(|_| StatusCode::BAD_REQUEST)?;
    *read.body_mut() = Uint8Array::new(&body).to_vec().into();
    Ok(read)
}

/// Reads the method, the URL, and the name and the value of each header, a line each.
fn read_head(text: String) -> Result<Request<Bytes>, StatusCode> {
    // The values share the text.
    let text = Bytes::from(text);
    let mut lines = text.split(|byte| *byte == b'\n').map(|line| text.slice_ref(line));
    let mut read = Request::new(Bytes::new());
    *read.method_mut() =
        Method::from_bytes(&lines.next().unwrap_or_default()).map_err(|_| StatusCode::BAD_REQUEST)?;
    *read.uri_mut() =
        Uri::from_maybe_shared(lines.next().unwrap_or_default()).map_err(|_| StatusCode::BAD_REQUEST)?;
    let headers = header_lines(lines);
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

/// Reads the name and the value of each header, a line each.
pub(crate) fn read_headers(text: String) -> HeaderMap {
    let text = Bytes::from(text);
    header_lines(text.split(|byte| *byte == b'\n').map(|line| text.slice_ref(line)))
}

fn header_lines(mut lines: impl Iterator<Item = Bytes>) -> HeaderMap {
    let mut headers = HeaderMap::with_capacity(USUAL_HEADERS);
    while let (Some(name), Some(value)) = (lines.next(), lines.next()) {
        // Values beyond ASCII are legal on the wire; `HeaderValue::from_str` would refuse the whole request.
        if let (Ok(name), Ok(value)) = (
            HeaderName::from_bytes(&name),
            HeaderValue::from_maybe_shared(value),
        ) {
            headers.append(name, value);
        }
    }
    headers
}

async fn read_body(stream: &ReadableStream, limit: usize) -> Result<Bytes, JsValue> {
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

/// The answer for the client. A stream is pumped within `host`'s lifetime.
pub(crate) fn response(response: Response<Body>, host: &Host) -> Result<web_sys::Response, JsValue> {
    let (parts, body) = response.into_parts();
    let headers = headers(&parts.headers)?;
    let encoded = parts.headers.contains_key(http::header::CONTENT_ENCODING);
    let respond = |body: &JsValue| js::respond(parts.status.as_u16(), &headers, body, encoded);
    match body {
        Body::Full(_) if WITHOUT_BODY.contains(&parts.status) => respond(&JsValue::NULL),
        Body::Full(body) => respond(&bytes(&body)),
        Body::Stream(stream) => {
            let pipe = IdentityTransformStream::new()?;
            let response = respond(&pipe.readable())?;
            host.wait_until(pump(stream, pipe.writable()));
            Ok(response)
        }
    }
}

/// A body as JavaScript takes it: a copy outside of the module's memory, which moves as it grows.
pub(crate) fn bytes(body: &[u8]) -> JsValue {
    if body.is_empty() {
        JsValue::NULL
    } else {
        Uint8Array::from(body).into()
    }
}

/// An answer made here, without a handler.
pub(crate) fn refusal(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::default());
    *response.status_mut() = status;
    response
}

/// Writes the stream out, as fast as the client reads and no longer than it does: the stream is dropped when a write fails.
/// A client that reads nothing any more would hold the stream for ever, so it ends as well when a write takes too long.
async fn pump(mut stream: ByteStream, writable: WritableStream) {
    let Ok(writer) = writable.get_writer() else { return };
    let mut patience = Patience::new(JsTimer);
    while let Some(piece) = stream.next().await {
        // The runtime takes the piece away from its owner, so it gets a copy outside of the module's memory.
        let piece = Uint8Array::from(&*piece);
        match patience
            .wait_for(JsFuture::from(writer.write_with_chunk(&piece)))
            .await
        {
            Some(Ok(_)) => {}
            Some(Err(_)) => return,
            None => {
                // First, as nobody knows when an end reaches a client that reads nothing.
                drop(stream);
                let _ = JsFuture::from(writer.abort()).await;
                return;
            }
        }
    }
    // The client may be gone by now; then there is nobody to tell.
    let _ = JsFuture::from(writer.close()).await;
}

thread_local! {
    /// Header lists of late, oldest first, each with its text: most answers of a function have the same.
    static HEADERS: RefCell<Vec<(Vec<u8>, Headers)>> = const { RefCell::new(Vec::new()) };
}

/// The headers for JavaScript. They are shared between requests: whoever gets them copies them.
fn headers(headers: &HeaderMap) -> Result<Headers, JsValue> {
    let mut text = Vec::with_capacity(USUAL_HEADERS_BYTES);
    for (name, value) in headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.push(b'\n');
        text.extend_from_slice(value.as_bytes());
        text.push(b'\n');
    }
    HEADERS.with_borrow_mut(|kept| {
        if let Some((_, written)) = kept.iter().find(|(of, _)| *of == text) {
            return Ok(written.clone());
        }
        let written = write_headers(headers)?;
        if kept.len() >= KEPT_HEADERS {
            kept.remove(0);
        }
        kept.push((text, written.clone()));
        Ok(written)
    })
}

pub(crate) fn write_headers(headers: &HeaderMap) -> Result<Headers, JsValue> {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_head_of_a_request_is_read() {
        let text = "POST\nhttp://a.test/v1/events?hasty=true\ncf-connecting-ip\n192.0.2.1\nempty\n\nuser-agent\nné \u{2603}\nset-cookie\na\nset-cookie\nb";
        let request = read_head(text.to_owned()).unwrap();
        assert_eq!(request.method(), Method::POST);
        assert_eq!(request.uri(), "http://a.test/v1/events?hasty=true");
        let headers = request.headers();
        assert_eq!(headers["empty"], "");
        assert_eq!(headers["user-agent"].as_bytes(), "né \u{2603}".as_bytes());
        assert_eq!(
            headers.get_all("set-cookie").iter().collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(headers.len(), 5);
        let address = request.extensions().get::<ClientAddress>().unwrap();
        assert_eq!(address.0.to_string(), "192.0.2.1");
    }

    #[test]
    fn a_request_without_headers_has_no_client_address() {
        let request = read_head("GET\nhttp://a.test/".to_owned()).unwrap();
        assert!(request.headers().is_empty());
        assert!(request.extensions().get::<ClientAddress>().is_none());
    }

    #[test]
    fn the_headers_of_an_answer_are_read() {
        let headers = read_headers("content-type\ntext/plain\nlocation\n/a".to_owned());
        assert_eq!(
            (headers.len(), &headers["content-type"], &headers["location"]),
            (
                2,
                &HeaderValue::from_static("text/plain"),
                &HeaderValue::from_static("/a")
            )
        );
        assert!(read_headers(String::new()).is_empty());
    }

    #[test]
    fn a_header_that_is_none_is_left_out() {
        let request = read_head("GET\nhttp://a.test/\nno name\n1\nx\na\u{7f}\ny\n2".to_owned()).unwrap();
        assert_eq!(request.headers().len(), 1);
        assert_eq!(request.headers()["y"], "2");
    }

    #[test]
    fn a_method_or_url_that_is_none_is_refused() {
        for text in ["", "GET", "G T\nhttp://a.test/", "GET\nhttp://a b/"] {
            assert_eq!(
                read_head(text.to_owned()).unwrap_err(),
                StatusCode::BAD_REQUEST,
                "{text:?}"
            );
        }
    }
}
