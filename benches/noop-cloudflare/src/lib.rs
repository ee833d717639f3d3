//! A worker that does nothing: what is left is the cost of the runtime and of the bindings.

use worker::{Context, Env, Request, Response, Result, event, web_sys};

/// Takes the whole body, as every function has to, and answers 201.
#[event(fetch)]
async fn fetch(request: web_sys::Request, _env: Env, _context: Context) -> Result<web_sys::Response> {
    Request::from(request).bytes().await?;
    Ok(Response::empty()?.with_status(201).into())
}
