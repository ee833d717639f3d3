//! Between Spin's HTTP and the handlers'.

use std::net::SocketAddr;
use std::pin::{Pin, pin};

use bytes::Bytes;
use eventstar_ports::{Body, ClientAddress};
use http::{HeaderName, HeaderValue, Request, Response, StatusCode, header};
use http_body::Body as _;
use spin_sdk::http::Request as SpinRequest;

use crate::Spin;

/// Headers of the connection. They are the host's, which fails an answer that has one.
const OF_THE_CONNECTION: [HeaderName; 3] = [header::CONNECTION, header::TRANSFER_ENCODING, header::UPGRADE];

/// Most bytes that are read of a body after its limit. A host that closes a connection with bytes unread resets it, and
/// the client may never see why its request was refused.
const MAX_DISCARDED: usize = 1024 * 1024;

/// Answers `request` with `handle`, which gets at most one byte of the body more than `limit`.
pub async fn serve(
    request: SpinRequest,
    limit: usize,
    handle: impl AsyncFnOnce(Spin, Request<Bytes>) -> Response<Body>,
) -> Response<Body> {
    let (mut parts, body) = request.into_parts();
    // Spin sets it, whatever the client sent.
    let address = parts
        .headers
        .get("spin-client-addr")
        .and_then(|address| address.to_str().ok()?.parse::<SocketAddr>().ok());
    if let Some(address) = address {
        parts.extensions.insert(ClientAddress(address.ip()));
    }
    let Some(body) = read(body, limit).await else {
        let mut answer = Response::new(Body::from("the request body broke off before its end"));
        *answer.status_mut() = StatusCode::BAD_REQUEST;
        return answer;
    };
    let mut answer = handle(Spin::load().await, Request::from_parts(parts, body)).await;
    for name in OF_THE_CONNECTION {
        answer.headers_mut().remove(name);
    }
    set_length(&mut answer);
    answer
}

/// Gives an answer with a whole body its length, which Spin cannot know before it has read the body. Without, the body is
/// sent in chunks, of which the last is a small write of its own. Spin leaves the kernel's coalescing of small writes on,
/// so that one waits until the client acknowledges what came before, which a client with a kept connection does only
/// after 40 ms. With a length of zero nothing follows the head (docs/performance.md has the measurements).
fn set_length(answer: &mut Response<Body>) {
    // These have no body, and the first none of a length either (RFC 9110, 8.6).
    if matches!(answer.status(), StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return;
    }
    if let Body::Full(body) = answer.body() {
        let length = HeaderValue::from(body.len());
        answer
            .headers_mut()
            .entry(header::CONTENT_LENGTH)
            .or_insert(length);
    }
}

/// The body, cut one byte after `limit`; `None` when it broke off.
async fn read(body: impl http_body::Body<Data = Bytes>, limit: usize) -> Option<Bytes> {
    let mut body = pin!(body);
    let mut pieces: Vec<Bytes> = Vec::new();
    let mut length = 0;
    let mut discarded = 0;
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).as_mut().poll_frame(cx)).await {
        let Ok(data) = frame.ok()?.into_data() else {
            continue;
        };
        if length > limit {
            discarded += data.len();
            if discarded > MAX_DISCARDED {
                break;
            }
            continue;
        }
        length += data.len();
        pieces.push(data);
    }
    // Most bodies come in one piece, which then needs no copy; others are put together in no more room than they need.
    let mut body = match pieces.pop() {
        Some(only) if pieces.is_empty() => only,
        Some(last) => {
            pieces.push(last);
            pieces.concat().into()
        }
        None => Bytes::new(),
    };
    body.truncate(limit.saturating_add(1));
    Some(body)
}
