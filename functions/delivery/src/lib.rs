//! `delivery`: from the queue to the sinks, and the admin routes of the deployment.
//!
//! Replaces the Kafka producer in EventGate. On Workers it also owns the objects behind the stream log and the registry; the
//! shim wires them to `eventstar-stores`.

mod admin;
mod append;
mod dead_letters;

use std::cell::Cell;
use std::rc::Rc;

use bytes::Bytes;
use eventstar_delivery::kafka_proxy;
use eventstar_http_api::{Request, Response, common_headers, info, method_not_allowed, readiness, route};
use eventstar_ports::{Level, Platform};
use eventstar_stores::{ConfigCache, Readiness, StreamNeeds, VersionReader, bad_settings};
use http::Method;

pub use eventstar_delivery::{Attempt, Delivered, deliver as consume};

/// Largest request body, in bytes: a hundred schemas, or a stream config.
pub const MAX_BODY_BYTES: usize = 10 * 1024 * 1024;

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    configs: ConfigCache,
    version: VersionReader,
    readiness: Readiness,
    /// Whether the operator has heard of settings that are not what they must be.
    told: Cell<bool>,
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    if !isolate.told.replace(true) {
        for problem in bad_settings(&platform)
            .into_iter()
            .chain(kafka_proxy(&platform).err())
        {
            platform.log(Level::Error, &problem);
        }
    }
    let path = route("delivery", request.uri()).path;
    let response = match path.strip_prefix("/admin/v1/") {
        Some(rest) => admin::handle(isolate, &platform, &request, rest).await,
        None if path.trim_end_matches('/') == "/metrics" => metrics(&platform, &request).await,
        None if path.trim_end_matches('/') == "/readyz" => ready(isolate, &platform, &request).await,
        None => info("delivery", "Delivery and administration.", path, &request),
    };
    common_headers(response, "get,put")
}

async fn ready<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    let needs = StreamNeeds {
        configs: &isolate.configs,
        // Publishing begins here.
        is_published: false,
        has_kafka_proxy: matches!(kafka_proxy(platform), Ok(Some(_))),
    };
    let missing = isolate
        .readiness
        .missing(platform, &isolate.version, &needs)
        .await;
    readiness(request, platform, &missing)
}

async fn metrics<P: Platform>(platform: &P, request: &Request) -> Response {
    match *request.method() {
        Method::GET | Method::HEAD => eventstar_metrics::page(platform, request).await,
        _ => method_not_allowed(request, "GET,HEAD"),
    }
}

/// Consumes the dead-letter queue: what the queue gave up on is kept in the log topic of dead letters.
pub async fn consume_dead<P: Platform>(platform: &P, attempts: Vec<Attempt>) -> Vec<Delivered> {
    let messages: Vec<Bytes> = attempts.into_iter().map(|attempt| attempt.message).collect();
    let reason = "the queue gave up after its last retry";
    match eventstar_delivery::dead_letters(platform, &messages, reason).await {
        Ok(()) => messages.iter().map(|_| Delivered::Done).collect(),
        Err(error) => {
            platform.log(
                Level::Error,
                &format!("dead letters could not be kept, tried again: {error}"),
            );
            messages.iter().map(|_| Delivered::Retry).collect()
        }
    }
}

#[cfg(test)]
mod tests;
