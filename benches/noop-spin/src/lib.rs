//! A component that does nothing: what is left is the cost of the runtime.

use spin_sdk::http::body::IncomingBodyExt as _;
use spin_sdk::http::{EmptyBody, Request, Response};
use spin_sdk::http_service;

/// Takes the whole body, as every function has to, and answers 201. The length is given, as functions do: without it Spin
/// writes the end of an empty body by itself, for which a client with a kept connection may wait 40 ms.
#[http_service]
async fn answer(request: Request) -> spin_sdk::http::Result<Response<EmptyBody>> {
    request.into_body().bytes().await?;
    Ok(Response::builder()
        .status(201)
        .header("content-length", "0")
        .body(EmptyBody::new())?)
}
