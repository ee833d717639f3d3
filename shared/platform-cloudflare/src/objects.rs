//! The stream log, the registry, the metrics and the slots of clients: clients of Durable Objects, and the serving of those objects.

use std::rc::Rc;

use bytes::Bytes;
use eventstar_event::Envelope;
use eventstar_event::time::Millis;
use eventstar_log::{Appended, Frame, FrameDecoder, LogName, Retention, Start};
use eventstar_ports::{
    Body, Diagnostics, Leases, Level, Metrics, PortError, Published, Registry, RegistryError,
    RegistryRequest, Sample, Slot, StreamLog,
};
use eventstar_stores::object_api;
use futures_util::stream::{self, LocalBoxStream, StreamExt};
use http::{Request, Response, StatusCode};
use worker::js_sys::futures::JsFuture;
use worker::js_sys::{Array, Date, Uint8Array};
use worker::wasm_bindgen::JsCast;
use worker::{ScheduledTime, State, web_sys};

use crate::body::{self, BodyReader, bytes};
use crate::js::{self, Stub};
use crate::scope::Scope;
use crate::{Console, Host, error};

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

/// The slots of clients, each client a Durable Object of the namespace `LEASES`.
#[derive(Debug, Clone)]
pub struct LeaseObjects(pub(crate) Scope);

impl StreamLog for LogObjects {
    type Follow = LocalBoxStream<'static, Result<Frame, PortError>>;

    async fn append_with(
        &self,
        log: &LogName,
        batch: &[Envelope],
        retention: Option<Retention>,
    ) -> Result<Appended, PortError> {
        let request = object_api::append_request(log, batch, retention);
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
        let failure = |thrown| error::object("log", thrown);
        let stub = stub(&self.scope, "STREAM_LOG", &self.log.to_string(), "log")?;
        let body = bytes(request.body());
        let answer = js::send(
            &stub,
            request.method().as_str(),
            &request.uri().to_string(),
            &body,
        )
        .map_err(failure)?;
        let response: web_sys::Response = JsFuture::from(answer).await.map_err(failure)?.unchecked_into();
        match response.body() {
            Some(stream) if response.ok() => {
                let reader = BodyReader::new(&stream).map_err(failure)?;
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

    async fn report(&self, holder: &str, gauges: Vec<Sample>) -> Result<(), PortError> {
        let request = object_api::report_gauges_request(holder, gauges);
        let (status, answer) = ask(&self.0, "METRICS", METRICS, "metrics", request).await?;
        object_api::metrics_result(status, &answer).map(|_| ())
    }

    async fn read(&self) -> Result<Vec<Sample>, PortError> {
        let request = object_api::read_metrics_request();
        let (status, answer) = ask(&self.0, "METRICS", METRICS, "metrics", request).await?;
        object_api::metrics_result(status, &answer)
    }
}

impl Leases for LeaseObjects {
    async fn take(&self, slot: &Slot, limit: u32) -> Result<bool, PortError> {
        let request = object_api::take_request(slot, limit);
        let (status, answer) = ask(&self.0, "LEASES", &slot.client, "leases", request).await?;
        object_api::lease_result(status, &answer)
    }

    async fn release(&self, slot: &Slot) -> Result<(), PortError> {
        let request = object_api::release_request(slot);
        let (status, answer) = ask(&self.0, "LEASES", &slot.client, "leases", request).await?;
        object_api::lease_result(status, &answer).map(|_| ())
    }
}

/// Asks an object; the status and the body of its answer.
async fn ask(
    scope: &Scope,
    namespace: &str,
    name: &str,
    port: &'static str,
    request: Request<Bytes>,
) -> Result<(StatusCode, Vec<u8>), PortError> {
    let stub = stub(scope, namespace, name, port)?;
    let answer = js::ask(
        &stub,
        request.method().as_str(),
        &request.uri().to_string(),
        &bytes(request.body()),
    );
    let answer = JsFuture::from(answer)
        .await
        .map_err(|thrown| error::object(port, thrown))?;
    let answer: Array = answer.unchecked_into();
    let status = answer
        .get(0)
        .as_f64()
        .and_then(|status| StatusCode::from_u16(status as u16).ok())
        .ok_or_else(|| PortError::corrupt(port, "the object answered without a status"))?;
    Ok((status, Uint8Array::new(&answer.get(1)).to_vec()))
}

/// A client of an object. It does not survive an error of the object, so each request gets its own.
fn stub(scope: &Scope, namespace: &str, name: &str, port: &'static str) -> Result<Stub, PortError> {
    let stub = js::stub(scope.env(), namespace, name).map_err(|thrown| error::object(port, thrown))?;
    let stub =
        stub.ok_or_else(|| error::binding(port, &worker::Error::BindingError(namespace.to_owned())))?;
    scope.count_subrequest();
    Ok(stub)
}

/// Serves one request of a Durable Object.
///
/// # Errors
/// When the answer cannot be handed to the runtime.
pub async fn serve_object(
    request: worker::Request,
    state: &Rc<State>,
    handler: impl AsyncFnOnce(Request<Bytes>) -> Response<Body>,
) -> worker::Result<worker::Response> {
    let answer = match body::request_to_object(request.inner()).await {
        Ok(request) => handler(request).await,
        Err(status) => body::refusal(status),
    };
    Ok(body::response(answer, &Host::object(state))?.into())
}

/// The time of day, in a Durable Object.
#[must_use]
pub fn now() -> Millis {
    Date::now() as Millis
}

/// Sets the alarm of a Durable Object, if there is a time for it.
pub async fn set_alarm(state: &State, at: Option<Millis>) {
    let Some(at) = at else { return };
    let time = ScheduledTime::new(Date::new(&(at as f64).into()));
    if let Err(error) = state.storage().set_alarm(time).await {
        Console.log(Level::Error, &format!("an alarm could not be set: {error}"));
    }
}
