//! Requests to other servers.

use bytes::Bytes;
use eventstar_ports::{HttpClient, HttpLimits, PortError, http_timeout, http_too_large};
use http::{Request, Response, StatusCode};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Reflect, Uint8Array};
use worker::wasm_bindgen::JsCast;

use crate::body::{bytes, read_headers, write_headers};
use crate::scope::Scope;
use crate::{error, js};

/// Other servers, by `fetch`. Each request is a subrequest.
#[derive(Debug, Clone)]
pub struct FetchClient(pub(crate) Scope);

impl HttpClient for FetchClient {
    async fn send(&self, request: Request<Bytes>, limits: HttpLimits) -> Result<Response<Bytes>, PortError> {
        let headers =
            write_headers(request.headers()).map_err(|thrown| unavailable(&request, error::text(thrown)))?;
        self.0.count_subrequest();
        let answer = js::exchange(
            &request.uri().to_string(),
            request.method().as_str(),
            &headers,
            &bytes(request.body()),
            i32::try_from(limits.timeout.as_millis()).unwrap_or(i32::MAX),
            limits.max_bytes,
        );
        let answer = JsFuture::from(answer).await.map_err(|thrown| {
            let name = Reflect::get(&thrown, &"name".into()).ok();
            match name.and_then(|name| name.as_string()).as_deref() {
                Some("TimeoutError") => http_timeout(limits),
                _ => unavailable(&request, error::text(thrown)),
            }
        })?;
        if answer.is_undefined() {
            return Err(http_too_large(limits));
        }
        let answer: Array = answer.unchecked_into();
        let mut response = Response::new(Uint8Array::new(&answer.get(2)).to_vec().into());
        *response.status_mut() = answer
            .get(0)
            .as_f64()
            .and_then(|status| StatusCode::from_u16(status as u16).ok())
            .ok_or_else(|| PortError::corrupt("http", "an answer without a status"))?;
        *response.headers_mut() = read_headers(answer.get(1).as_string().unwrap_or_default());
        Ok(response)
    }
}

fn unavailable(request: &Request<Bytes>, detail: String) -> PortError {
    let host = request.uri().host().unwrap_or_default();
    PortError::unavailable("http", format!("{host}: {detail}"))
}
