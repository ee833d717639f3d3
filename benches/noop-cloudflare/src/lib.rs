//! A worker that does nothing: what is left is the cost of the runtime and of the bindings.

use worker::{Context, Env, HttpRequest, Result, event};

/// Takes the whole body, as every function has to, and answers 201.
#[event(fetch)]
async fn fetch(request: HttpRequest, _env: Env, _context: Context) -> Result<worker::Response> {
    let mut request = worker::Request::try_from(request)?;
    request.bytes().await?;
    Ok(worker::Response::empty()?.with_status(201))
}
