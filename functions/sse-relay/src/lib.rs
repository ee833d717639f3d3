//! `sse-relay`: events out. Replaces EventStreams (and KafkaSSE).
//!
//! `GET /v2/stream/{a,b}` streams the events of one or more streams as Server-Sent Events, or as NDJSON for
//! `Accept: application/json`. A client goes on with `Last-Event-ID`, or `last_event_id`, or starts with `since`, else with the latest. It may
//! ask for some events only (`filter`, `canary`, `domain`, `wiki`), for some of their fields (`fields`), and for an end
//! (`until`, `limit`).
//!
//! `/v2/ui/` is a page to watch streams on, `/?doc` describes them to people and `/?spec` to programs.
//!
//! On a shared origin this function also answers what no other one does.

mod bounds;
mod compress;
mod end;
mod fields;
mod filter;
mod metrics;
mod place;
mod prepared;
mod redact;
mod refusal;
mod relay;
mod resume;
mod select;
mod site;
mod slot;
mod wanted;

use std::cell::{Cell, OnceCell};
use std::rc::Rc;

use eventstar_http_api::{
    Request, Response, common_headers, method_not_allowed, preferred, route, text, unavailable,
    with_credentials,
};
use eventstar_ports::{Body, Config, Level, Platform, PortError};
use eventstar_stores::{ConfigCache, Readiness, VersionReader, bad_origins, bad_settings};
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE, HeaderName, HeaderValue, VARY,
};
use http::{HeaderMap, Method, StatusCode};

use crate::metrics::Metrics;
use crate::prepared::PreparedChunks;
use crate::redact::RedactedPages;
use crate::refusal::Refusal;
use crate::relay::{Form, Format};
use crate::select::Selection;
use crate::wanted::Wanted;

/// Largest request body that is read: none is used.
pub const MAX_BODY_BYTES: usize = 0;

/// What an isolate keeps between requests.
#[derive(Default)]
pub struct Isolate {
    configs: ConfigCache,
    version: VersionReader,
    readiness: Readiness,
    chunks: PreparedChunks,
    metrics: Metrics,
    /// The setting `REDACTED_PAGES`, which does not change while an isolate lives.
    pages: OnceCell<Result<Rc<RedactedPages>, String>>,
    catalog: site::CatalogCache,
    /// Whether the operator has heard of settings that are not what they must be.
    told: Cell<bool>,
    /// Whether the last connection could not be counted.
    uncounted: Cell<bool>,
}

impl Isolate {
    fn pages(&self, config: &impl Config) -> Result<Rc<RedactedPages>, String> {
        let pages = self.pages.get_or_init(|| RedactedPages::of(config).map(Rc::new));
        pages.clone()
    }

    fn tell_of_settings<P: Platform>(&self, platform: &P) {
        if !self.told.replace(true) {
            for problem in bad_settings(platform)
                .into_iter()
                .chain(end::bad_settings(platform))
                .chain(slot::bad_settings(platform))
                .chain(compress::bad_settings(platform))
                .chain(bad_origins(platform))
            {
                platform.log(Level::Error, &problem);
            }
        }
    }
}

/// Answers a request.
pub async fn handle<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: Request) -> Response {
    isolate.tell_of_settings(&platform);
    let response = answer(isolate, platform.clone(), &request).await;
    with_credentials(response, &request, &platform)
}

async fn answer<P: Platform>(isolate: &Rc<Isolate>, platform: P, request: &Request) -> Response {
    let routed = route("sse-relay", request.uri());
    let response = match routed.path.strip_prefix("/v2/stream/") {
        Some(streams) if !streams.trim_matches('/').is_empty() => match *request.method() {
            Method::GET | Method::HEAD => stream(isolate, platform, request, streams.trim_matches('/')).await,
            Method::OPTIONS => {
                let mut response = text(StatusCode::OK, "text/html; charset=utf-8", "GET,HEAD");
                response
                    .headers_mut()
                    .insert(ALLOW, HeaderValue::from_static("GET,HEAD"));
                response
            }
            _ => method_not_allowed(request, "GET,HEAD"),
        },
        _ => return site::answer(isolate, &platform, request, routed).await,
    };
    common_headers(response, "get,head")
}

async fn stream<P: Platform>(
    isolate: &Rc<Isolate>,
    platform: P,
    request: &Request,
    streams: &str,
) -> Response {
    let pages = match isolate.pages(&platform) {
        Ok(pages) => pages,
        Err(problem) => return unreadable(&platform, request, &problem),
    };
    let (selected, wanted) = match asked(isolate, &platform, request, streams).await {
        Ok(Ok(asked)) => asked,
        Ok(Err(refusal)) => return refused(isolate, &platform, request, &refusal),
        Err(port_error) => return unreadable(&platform, request, &port_error.to_string()),
    };
    let (format, content_type) = form_of(request.headers());
    let is_compressed = compress::is_wanted(&platform, request.headers());
    let mut response = match *request.method() {
        Method::HEAD => Response::default(),
        _ => match slot::take(&platform, isolate, request).await {
            Ok(slot) => {
                let form = Form {
                    format,
                    is_compressed,
                };
                Response::new(Body::Stream(relay::relay(
                    platform, isolate, pages, selected, wanted, slot, form,
                )))
            }
            Err(refusal) => return refused(isolate, &platform, request, &refusal),
        },
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers.append(VARY, HeaderValue::from_static("accept"));
    if is_compressed {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        headers.append(VARY, HeaderValue::from_static("accept-encoding"));
    }
    // Proxies that buffer would hold events back.
    headers.insert(
        HeaderName::from_static("x-accel-buffering"),
        HeaderValue::from_static("no"),
    );
    response
}

/// The form of a stream that the client likes best, and its type. Server-Sent Events are for all who take neither: what
/// EventStreams answers them.
fn form_of(headers: &HeaderMap) -> (Format, &'static str) {
    match preferred(
        headers,
        &["text/event-stream", "application/json", "application/x-ndjson"],
    ) {
        Some("application/json") => (Format::Ndjson, "application/json; charset=utf-8"),
        Some("application/x-ndjson") => (Format::Ndjson, "application/x-ndjson; charset=utf-8"),
        _ if headers.contains_key(ACCEPT) => (Format::Sse, "text/event-stream; charset=utf-8"),
        _ => (Format::Sse, "text/event-stream"),
    }
}

/// Reads a request: the logs to read, and what of them. A stream that is unknown may be new, and so may a topic of the
/// request's id: they are looked for once more.
async fn asked<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    streams: &str,
) -> Result<Result<(Selection, Wanted), Refusal>, PortError> {
    let version = isolate.version.from_now();
    let configs = isolate.configs.current(platform).await?;
    let mut selected = select::select(platform, &configs, request, streams);
    let may_be_old = match &selected {
        Ok(selection) => !selection.gone.is_empty(),
        Err(refusal) => matches!(
            refusal,
            Refusal::UnknownStreams(_) | Refusal::ForeignTopics { .. }
        ),
    };
    if may_be_old {
        let configs = isolate.configs.refreshed(platform, &version).await?;
        selected = select::select(platform, &configs, request, streams);
    }
    Ok(selected.and_then(|selected| {
        let wanted = Wanted::of(request.uri(), platform.now()).map_err(Refusal::Parameter)?;
        Ok((selected, wanted))
    }))
}

fn refused<P: Platform>(isolate: &Isolate, platform: &P, request: &Request, refusal: &Refusal) -> Response {
    isolate.metrics.refused(refusal.name());
    isolate.metrics.report(platform);
    refusal.answer(request)
}

fn unreadable<P: Platform>(platform: &P, request: &Request, problem: &str) -> Response {
    unavailable(
        platform,
        request,
        problem,
        "streams cannot be read now: try again",
    )
}

#[cfg(test)]
mod tests;
