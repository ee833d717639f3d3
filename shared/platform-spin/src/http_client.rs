//! Requests to other servers, as far as the manifest lets them out.

use std::pin::{Pin, pin};

use bytes::{Bytes, BytesMut};
use eventstar_ports::{HttpClient, HttpLimits, PortError, PortErrorKind, http_timeout, http_too_large};
use futures_util::future::{Either, select};
use http::{Request, Response};
use http_body::Body;
use spin_sdk::http::FullBody;
use spin_sdk::wasip3::http::types::ErrorCode;

/// Other servers, by `wasi:http`, which follows no redirect.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpinHttp;

impl HttpClient for SpinHttp {
    async fn send(&self, request: Request<Bytes>, limits: HttpLimits) -> Result<Response<Bytes>, PortError> {
        let origin = origin(request.uri());
        let answer = pin!(exchange(request, limits));
        match select(answer, pin!(spin_sdk::time::sleep(limits.timeout))).await {
            Either::Left((Ok(answer), _)) => Ok(answer),
            Either::Left((Err(Failure::TooLarge), _)) => Err(http_too_large(limits)),
            Either::Left((Err(Failure::Code(code)), _)) => Err(failure(&code, &origin)),
            Either::Right(_) => Err(http_timeout(limits)),
        }
    }
}

enum Failure {
    Code(ErrorCode),
    TooLarge,
}

async fn exchange(request: Request<Bytes>, limits: HttpLimits) -> Result<Response<Bytes>, Failure> {
    let answer = spin_sdk::http::send(request.map(FullBody::new)).await;
    let (parts, body) = answer.map_err(Failure::Code)?.into_parts();
    let mut body = pin!(body);
    let mut whole = BytesMut::new();
    while let Some(frame) = std::future::poll_fn(|cx| Pin::new(&mut body).as_mut().poll_frame(cx)).await {
        let Ok(piece) = frame.map_err(Failure::Code)?.into_data() else {
            continue;
        };
        if whole.len() + piece.len() > limits.max_bytes {
            return Err(Failure::TooLarge);
        }
        whole.extend_from_slice(&piece);
    }
    Ok(Response::from_parts(parts, whole.freeze()))
}

/// The scheme, host and port, as `allowed_outbound_hosts` names them.
fn origin(uri: &http::Uri) -> String {
    let scheme = uri.scheme_str().unwrap_or("https");
    let authority = uri.authority().map_or("", |authority| authority.as_str());
    format!("{scheme}://{authority}")
}

fn failure(code: &ErrorCode, origin: &str) -> PortError {
    let (kind, detail) = match code {
        ErrorCode::HttpRequestDenied => (
            PortErrorKind::Rejected,
            format!(
                "{origin} may not be asked: add it to this component's `allowed_outbound_hosts` in spin.toml"
            ),
        ),
        ErrorCode::DestinationIpProhibited => (
            PortErrorKind::Rejected,
            format!(
                "the network of {origin} is blocked: see `[outbound_networking]` of Spin's runtime configuration"
            ),
        ),
        ErrorCode::DnsTimeout
        | ErrorCode::ConnectionTimeout
        | ErrorCode::ConnectionReadTimeout
        | ErrorCode::ConnectionWriteTimeout
        | ErrorCode::HttpResponseTimeout => (PortErrorKind::Timeout, format!("{origin}: {code}")),
        _ => (PortErrorKind::Unavailable, format!("{origin}: {code}")),
    };
    PortError::new(kind, "http", detail)
}
