//! `intake`: events in. Replaces EventGate, the EventLogging beacon and eventlogging-service-eventbus.
//!
//! `POST /v1/events` (and `/v2/events`) takes one event or an array, validates each against its schema and its stream's
//! config, and answers as EventGate does once the events are durable: 201 all, 207 some, 400 none (the client's fault),
//! 503 none (ours; retry), 202 with `?hasty=true` before any of it.
//!
//! A request goes through four steps: read (limits first), gather (schemas and config, each once), decide (pure), act
//! (append or send). Source: EventGate 1.8.4, `routes/events.js`, `lib/eventgate.js`.

mod act;
mod admit;
mod answer;
mod beacon;
mod body;
mod decide;
mod enrollments;
mod errors;
mod eventbus;
mod gather;
mod ids;
mod limits;
mod metrics;
mod plan;
mod results;
mod routes;
mod said;
mod settings;

use std::future::Future;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_delivery::kafka_proxy;
use eventstar_event::json::split_body;
use eventstar_http_api::{
    Principal, Request, Response, common_headers, empty, error, info, json, method_not_allowed, not_found,
    query_value, readiness, route, with_credentials,
};
use eventstar_ports::{Config, Platform};
use eventstar_stores::{ConfigCache, Readiness, SchemaCache, StreamNeeds, VersionReader};
use http::header::{ACCESS_CONTROL_ALLOW_HEADERS, ALLOW, HeaderValue};
use http::{Method, StatusCode};

use answer::Outcome;
use decide::Sender;
use errors::Refused;
use routes::Endpoint;
use said::Said;

pub use limits::{MAX_BATCH, MAX_BODY_BYTES};

/// The headers that a page of another origin may send.
const HEADERS: &str = "accept, x-requested-with, content-type, content-encoding, authorization, prefer, x-request-id, traceparent, tracestate";

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    schemas: SchemaCache,
    configs: ConfigCache,
    version: VersionReader,
    plans: plan::PlanCache,
    error_budget: errors::Budget,
    metrics: metrics::Metrics,
    settings: settings::Told,
    readiness: Readiness,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, mut request: Request) -> Response {
    // Who reads the body owns it, so that what was compressed is gone once it is inflated.
    let body = std::mem::take(request.body_mut());
    isolate.settings.tell_once(&platform);
    let path = within(&platform, route("intake", request.uri()).path);
    let response = match routes::find(path) {
        None => not_found(&request),
        Some(found) if *request.method() == Method::OPTIONS => preflight(found.allow),
        Some(found) if !allows(found.allow, request.method()) => method_not_allowed(&request, found.allow),
        Some(found) => answer(isolate, &platform, &request, body, found.endpoint, path).await,
    };
    isolate.metrics.flush_soon(&platform);
    let mut response = common_headers(response, "post");
    response
        .headers_mut()
        .insert(ACCESS_CONTROL_ALLOW_HEADERS, HeaderValue::from_static(HEADERS));
    with_credentials(response, &request, &platform)
}

async fn answer<P: Platform>(
    isolate: &Rc<Isolate>,
    platform: &P,
    request: &Request,
    body: Bytes,
    endpoint: Endpoint,
    path: &str,
) -> Response {
    match endpoint {
        Endpoint::Events => counted(isolate, platform, post(isolate, platform, request, body)).await,
        Endpoint::EventBusEvents => {
            counted(
                isolate,
                platform,
                eventbus::produce(isolate, platform, request, body),
            )
            .await
        }
        Endpoint::TestEvents => test_events(isolate, platform, request).await,
        Endpoint::Beacon => beacon::beacon(isolate, platform, request),
        Endpoint::EventBusTopics => eventbus::topics(isolate, platform, request).await,
        Endpoint::EventBusSchemas => eventbus::schemas(platform, request, path).await,
        Endpoint::Metrics => eventstar_metrics::page(platform, request).await,
        Endpoint::Spec if query_value(request.uri(), "spec").is_some() => {
            json(StatusCode::OK, &routes::spec())
        }
        Endpoint::Spec => not_found(request),
        Endpoint::Ready => {
            let needs = StreamNeeds {
                configs: &isolate.configs,
                is_published: true,
                has_kafka_proxy: matches!(kafka_proxy(platform), Ok(Some(_))),
            };
            let missing = isolate
                .readiness
                .missing(platform, &isolate.version, &needs)
                .await;
            readiness(request, platform, &missing)
        }
        Endpoint::Info => info(
            "intake",
            "Event intake: validates events and makes them durable.",
            path,
            request,
        ),
    }
}

/// The path below one of the `PATH_PREFIXES`: names of a site's own, that no list of trackers knows.
fn within<'p>(config: &impl Config, path: &'p str) -> &'p str {
    let prefixes = config.get("PATH_PREFIXES").unwrap_or_default();
    let rest = prefixes
        .split([',', ' '])
        .filter(|prefix| prefix.len() > 1)
        .find_map(|prefix| path.strip_prefix(prefix.trim_end_matches('/')));
    rest.filter(|rest| rest.starts_with('/')).unwrap_or(path)
}

fn allows(allow: &str, method: &Method) -> bool {
    allow.split(',').any(|allowed| allowed == method.as_str())
}

/// The whole pre-flight, as Express answers it.
fn preflight(allow: &'static str) -> Response {
    let mut response = eventstar_http_api::text(StatusCode::OK, "text/html; charset=utf-8", allow);
    response
        .headers_mut()
        .insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// Counts a request that produces events, and how long its answer took.
async fn counted<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    answer: impl Future<Output = Response>,
) -> Response {
    let begun = platform.now();
    let response = answer.await;
    isolate
        .metrics
        .request(response.status(), platform.now().saturating_sub(begun));
    response
}

/// Posts the events of the setting `TEST_EVENTS`, as EventGate's `test_events` are.
async fn test_events<P: Platform>(isolate: &Rc<Isolate>, platform: &P, request: &Request) -> Response {
    let Some(events) = platform.get("TEST_EVENTS") else {
        return not_found(request);
    };
    let mut test = Request::new(Bytes::new());
    *test.method_mut() = Method::POST;
    test.uri_mut().clone_from(request.uri());
    post(isolate, platform, &test, events.into()).await
}

async fn post<P: Platform>(isolate: &Rc<Isolate>, platform: &P, request: &Request, body: Bytes) -> Response {
    let body = match body::decode(request, body, &isolate.metrics) {
        Ok(body) => body,
        Err(refusal) => return refusal,
    };
    let events = match body::split(request, &body) {
        Ok(events) => events,
        Err(refusal) => return refusal,
    };
    if events.is_empty() {
        let detail = "Request body was empty. Must provide JSON encoded events.";
        platform.log(eventstar_ports::Level::Info, detail);
        return empty(StatusCode::BAD_REQUEST);
    }
    let sender = Sender {
        principal: Principal::of(request.headers(), platform),
        said: Said::by(request, platform),
    };
    let dry_run = match query_value(request.uri(), "dry_run").as_deref() {
        Some("true") => true,
        None | Some("false") => false,
        // Nobody who wanted a dry run may find the events stored.
        Some(other) => {
            let detail = format!("dry_run is '{other}': use true or false");
            return error(
                request,
                StatusCode::BAD_REQUEST,
                "invalid_dry_run",
                "Invalid dry_run",
                &detail,
            );
        }
    };
    if dry_run {
        let outcomes = process(isolate, platform, &sender, &events, dry_run).await;
        return results::results(StatusCode::OK, &outcomes);
    }
    // Any value counts, as in EventGate: `hasty=false` is hasty, `hasty=` is not.
    if query_value(request.uri(), "hasty").is_some_and(|hasty| !hasty.is_empty()) {
        let isolate = Rc::clone(isolate);
        let body = body.clone();
        let later = platform.clone();
        let sender = sender.into_owned();
        platform.spawn(async move {
            let Ok(events) = split_body(&body) else { return };
            let outcomes = process(&isolate, &later, &sender, &events, false).await;
            answer::log_failures(&later, &outcomes);
            report(&isolate, &later, &sender, &events, &outcomes, false);
            isolate.metrics.flush_soon(&later);
        });
        return empty(StatusCode::ACCEPTED);
    }
    let outcomes = process(isolate, platform, &sender, &events, false).await;
    report(isolate, platform, &sender, &events, &outcomes, true);
    answer::answer(platform, &outcomes, results::wanted(request))
}

/// Sends what was refused to the error stream; `told` is whether the client learns of it.
fn report<P: Platform>(
    isolate: &Rc<Isolate>,
    platform: &P,
    sender: &Sender<'_>,
    events: &[&str],
    outcomes: &[Outcome<'_>],
    told: bool,
) {
    let refused = events
        .iter()
        .zip(outcomes)
        .map(|(raw, outcome)| Refused { raw, outcome });
    errors::report(isolate, platform, &sender.said, refused, told);
}

async fn process<'a, P: Platform>(
    isolate: &Isolate,
    platform: &P,
    sender: &Sender<'_>,
    events: &[&'a str],
    dry_run: bool,
) -> Vec<Outcome<'a>> {
    let (received, targets) = decide::receive(events, &sender.said, limits::max_event_bytes(platform));
    let gathered = gather::gather(isolate, platform, &targets).await;
    let decided = decide::decide(platform, &isolate.plans, sender, &gathered, &targets, received);
    let outcomes = act::act(platform, decided, dry_run).await;
    if !dry_run {
        isolate.metrics.events(&outcomes, isolate.schemas.take_counts());
    }
    outcomes
}

#[cfg(test)]
mod tests;
