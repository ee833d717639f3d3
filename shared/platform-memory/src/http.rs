//! Other servers, as tests set them up.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use eventstar_ports::{HttpClient, HttpLimits, PortError, Timer, http_timeout, http_too_large};
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Request, Response, StatusCode};

use crate::Memory;

/// Another server.
type Server = Rc<dyn Fn(&Request<Bytes>) -> Response<Bytes>>;

/// What other servers answer, and what they were asked.
#[derive(Default)]
pub(crate) struct Servers {
    answers: RefCell<HashMap<String, Response<Bytes>>>,
    servers: RefCell<HashMap<String, Server>>,
    delay: Cell<Duration>,
    requests: RefCell<Vec<Request<Bytes>>>,
}

impl Memory {
    /// Has another server answer at `uri`; elsewhere servers answer 404 with a page.
    pub fn answer_at(&self, uri: &str, answer: Response<Bytes>) {
        self.servers().answers.borrow_mut().insert(uri.to_owned(), answer);
    }

    /// Has another server answer all requests to `authority`, a host with its port.
    pub fn serve(&self, authority: &str, server: impl Fn(&Request<Bytes>) -> Response<Bytes> + 'static) {
        self.servers()
            .servers
            .borrow_mut()
            .insert(authority.to_owned(), Rc::new(server));
    }

    /// Has other servers take `delay` for each answer.
    pub fn answer_after(&self, delay: Duration) {
        self.servers().delay.set(delay);
    }

    /// Takes the requests that were sent to other servers.
    #[must_use]
    pub fn take_requests(&self) -> Vec<Request<Bytes>> {
        self.servers().requests.take()
    }
}

impl HttpClient for Memory {
    async fn send(&self, request: Request<Bytes>, limits: HttpLimits) -> Result<Response<Bytes>, PortError> {
        self.called().await;
        let servers = self.servers();
        let answer = self.under("http", || {
            let known = servers.answers.borrow().get(&request.uri().to_string()).cloned();
            let answer = known.or_else(|| Some(servers.at(&request)?(&request)));
            servers.requests.borrow_mut().push(request);
            answer.unwrap_or_else(nothing_there)
        })?;
        let delay = servers.delay.get();
        self.sleep(delay.min(limits.timeout)).await;
        if delay > limits.timeout {
            return Err(http_timeout(limits));
        }
        if answer.body().len() > limits.max_bytes {
            return Err(http_too_large(limits));
        }
        Ok(answer)
    }
}

impl Servers {
    fn at(&self, request: &Request<Bytes>) -> Option<Server> {
        let authority = request.uri().authority()?.as_str();
        self.servers.borrow().get(authority).cloned()
    }
}

fn nothing_there() -> Response<Bytes> {
    let mut answer = Response::new(Bytes::from_static(b"<!DOCTYPE html><title>404 Not Found</title>"));
    *answer.status_mut() = StatusCode::NOT_FOUND;
    answer
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static("text/html"));
    answer
}
