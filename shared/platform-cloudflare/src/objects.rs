//! The stream log, the registry and the metrics: clients of Durable Objects, and the serving of those objects.

use std::rc::Rc;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Appended, Frame, FrameDecoder, LogName, Start};
use eventstar_ports::{
    Body, Metrics, PortError, PortErrorKind, Published, Registry, RegistryError, RegistryRequest, Sample,
    StreamLog,
};
use eventstar_stores::object_api;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::{Request, Response, StatusCode};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Date, Uint8Array};
use worker::wasm_bindgen::JsCast;
use worker::{State, web_sys};

use crate::body::{self, BodyReader};
use crate::js::Stub;
use crate::scope::Scope;
use crate::{Host, error};

/// The one object of the registry's namespace.
const REGISTRY: &str = "registry";
/// The one object of the metrics' namespace.
const METRICS: &str = "metrics";

/// The logs, each a Durable Object of the namespace `STREAM_LOG`.
#[derive(Debug, Clone)]
pub struct LogObjects(pub(crate) Scope);

/// The registry: a Durable Object of the namespace `REGISTRY`.
#[derive(Debug, Clone)]
pub struct RegistryClient(pub(crate) Scope);

/// The metrics: a Durable Object of the namespace `METRICS`.
#[derive(Debug, Clone)]
pub struct MetricsClient(pub(crate) Scope);

impl StreamLog for LogObjects {
    type Follow = LocalBoxStream<'static, Result<Frame, PortError>>;

    async fn append(&self, log: &LogName, batch: &[Envelope]) -> Result<Appended, PortError> {
        let request = object_api::append_request(log, batch);
        let (status, answer) = ask(&self.0, "STREAM_LOG", &log.to_string(), "log", request).await?;
        object_api::append_result(status, &answer)
    }

    fn follow(&self, log: &LogName, start: Start) -> Self::Follow {
        let follower = Follower {
            scope: self.0.clone(),
            log: log.clone(),
            start,
            state: Following::Unopened,
        };
        stream::unfold(follower, async |mut follower| {
            let frame = follower.next().await;
            if !matches!(frame, Ok(Some(_))) {
                follower.state = Following::Over;
            }
            Some((frame.transpose()?, follower))
        })
        .boxed_local()
    }
}

struct Follower {
    scope: Scope,
    log: LogName,
    start: Start,
    state: Following,
}

enum Following {
    /// Nothing was asked yet: a stream that is never polled costs nothing.
    Unopened,
    Open(BodyReader, FrameDecoder),
    Over,
}

impl Follower {
    async fn next(&mut self) -> Result<Option<Frame>, PortError> {
        if matches!(self.state, Following::Unopened) {
            self.state = self.open().await?;
        }
        let Following::Open(reader, decoder) = &mut self.state else {
            return Ok(None);
        };
        loop {
            let frame = decoder.next_frame();
            if let Some(frame) = frame.map_err(|error| PortError::corrupt("log", error.to_string()))? {
                return Ok(Some(frame));
            }
            match reader
                .next()
                .await
                .map_err(|thrown| error::object("log", thrown))?
            {
                Some(piece) => decoder.push(&piece),
                None => return Ok(None),
            }
        }
    }

    async fn open(&self) -> Result<Following, PortError> {
        let request = object_api::follow_request(&self.log, self.start);
        let response = fetch(&self.scope, "STREAM_LOG", &self.log.to_string(), "log", request).await?;
        match response.body() {
            Some(stream) if response.ok() => {
                let reader = BodyReader::new(&stream).map_err(|thrown| error::object("log", thrown))?;
                Ok(Following::Open(reader, FrameDecoder::default()))
            }
            _ => Err(PortError::unavailable(
                "log",
                format!("the log object answered {}", response.status()),
            )),
        }
    }
}

impl Registry for RegistryClient {
    async fn ask(&self, request: RegistryRequest) -> Result<Published, RegistryError> {
        let request = object_api::registry_request(&request);
        let (status, answer) = ask(&self.0, "REGISTRY", REGISTRY, "registry", request).await?;
        object_api::registry_result(status, &answer)
    }
}

impl Metrics for MetricsClient {
    async fn add(&self, samples: Vec<Sample>) -> Result<(), PortError> {
        let request = object_api::add_metrics_request(&samples);
        let (status, answer) = ask(&self.0, "METRICS", METRICS, "metrics", request).await?;
        object_api::metrics_result(status, &answer).map(|_| ())
    }

    async fn read(&self) -> Result<Vec<Sample>, PortError> {
        let request = object_api::read_metrics_request();
        let (status, answer) = ask(&self.0, "METRICS", METRICS, "metrics", request).await?;
        object_api::metrics_result(status, &answer)
    }
}

async fn ask(
    scope: &Scope,
    namespace: &str,
    name: &str,
    port: &'static str,
    request: Request<Bytes>,
) -> Result<(StatusCode, Vec<u8>), PortError> {
    let response = fetch(scope, namespace, name, port, request).await?;
    let status = StatusCode::from_u16(response.status())
        .map_err(|error| PortError::new(PortErrorKind::Corrupt, port, error.to_string()))?;
    let buffer = response
        .array_buffer()
        .map_err(|thrown| error::object(port, thrown))?;
    let buffer = JsFuture::from(buffer)
        .await
        .map_err(|thrown| error::object(port, thrown))?;
    Ok((status, Uint8Array::new(&buffer).to_vec()))
}

async fn fetch(
    scope: &Scope,
    namespace: &str,
    name: &str,
    port: &'static str,
    request: Request<Bytes>,
) -> Result<web_sys::Response, PortError> {
    let namespace = scope
        .env()
        .durable_object(namespace)
        .map_err(|error| error::binding(port, &error))?;
    // A stub does not survive an error of its object, so each request gets its own.
    let stub: Stub = namespace
        .get_by_name(name)
        .map_err(|error| error::object(port, error.into()))?
        .into_rpc();
    scope.count_subrequest();
    let answer = body::send(&stub, request).map_err(|thrown| error::object(port, thrown))?;
    let answer = JsFuture::from(answer)
        .await
        .map_err(|thrown| error::object(port, thrown))?;
    Ok(answer.unchecked_into())
}

/// Serves one request of a Durable Object.
///
/// # Errors
/// When the answer cannot be handed to the runtime.
pub async fn serve_object(
    request: worker::Request,
    state: &Rc<State>,
    handler: impl AsyncFnOnce(Request<Bytes>, Millis) -> Response<Body>,
) -> worker::Result<worker::Response> {
    let answer = match body::request_to_object(request.inner()).await {
        Ok(request) => handler(request, Date::now() as Millis).await,
        Err(status) => body::refusal(status),
    };
    Ok(body::response(answer, &Host::object(state))?.into())
}
