//! The admin routes: publishing schemas and stream config, reading the config and its history, dead letters.

use eventstar_delivery::kafka_proxy;
use eventstar_http_api::{
    Request, Response, admin_only, empty, error, json, not_found, not_modified, query_value, unavailable,
    with_etag,
};
use eventstar_log::Sink;
use eventstar_ports::{
    Drained, Platform, Published, Queue, Registry, RegistryError, RegistryRequest, SchemaFile,
    SchemaRevision, StoredConfig,
};
use eventstar_stream_config::StreamConfigs;
use http::header::{HeaderValue, IF_MATCH, IF_NONE_MATCH};
use http::{Method, StatusCode};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::append::append;
use crate::{Isolate, MAX_BODY_BYTES, dead_letters};

pub(crate) async fn handle<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    path: &str,
) -> Response {
    if let Err(refusal) = admin_only(platform, request) {
        return refusal;
    }
    if request.body().len() > MAX_BODY_BYTES {
        let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes: publish in smaller batches");
        return error(
            request,
            StatusCode::PAYLOAD_TOO_LARGE,
            "payload_too_large",
            "Payload Too Large",
            &detail,
        );
    }
    let schemas = path
        .strip_prefix("repositories/")
        .and_then(|path| path.strip_suffix("/schemas"));
    let stream = path
        .strip_prefix("streams/")
        .and_then(|path| path.strip_suffix("/events"));
    if let Some(stream) = stream {
        return match *request.method() {
            Method::POST => append(isolate, platform, request, stream).await,
            _ => eventstar_http_api::method_not_allowed(request, "POST"),
        };
    }
    if let Some(route) = path.strip_prefix("dead-letters") {
        return dead_letters::handle(isolate, platform, request, route).await;
    }
    match (request.method(), path, schemas) {
        (&Method::PUT, _, Some(repository)) => publish_schemas(platform, request, repository).await,
        (&Method::PUT, "eventlogging/schemas", _) => publish_revisions(platform, request).await,
        (&Method::PUT, "stream-configs", _) => publish_config(platform, request).await,
        (&Method::GET, "stream-configs", _) => get_config(platform, request).await,
        (&Method::GET, "stream-configs/history", _) => history(platform, request).await,
        (&Method::POST, "stream-configs/rollback", _) => rollback(platform, request).await,
        (&Method::POST, "drain", _) => drain(platform, request).await,
        (_, "stream-configs", _) => eventstar_http_api::method_not_allowed(request, "GET,PUT"),
        (_, "stream-configs/history", _) => eventstar_http_api::method_not_allowed(request, "GET"),
        (_, "stream-configs/rollback" | "drain", _) => {
            eventstar_http_api::method_not_allowed(request, "POST")
        }
        (_, "eventlogging/schemas", _) | (_, _, Some(_)) => {
            eventstar_http_api::method_not_allowed(request, "PUT")
        }
        _ => not_found(request),
    }
}

pub(crate) fn bad_request(request: &Request, detail: &str) -> Response {
    error(
        request,
        StatusCode::BAD_REQUEST,
        "bad_request",
        "Bad Request",
        detail,
    )
}

#[derive(Deserialize)]
struct Schemas {
    schemas: Vec<SchemaFile>,
}

async fn publish_schemas<P: Platform>(platform: &P, request: &Request, repository: &str) -> Response {
    let schemas = match serde_json::from_slice::<Schemas>(request.body()) {
        Ok(body) => body.schemas,
        Err(why) => {
            let detail = format!("expected {{\"schemas\": [{{\"title\", \"version\", \"json\"}}]}}: {why}");
            return bad_request(request, &detail);
        }
    };
    let repository = repository.to_owned();
    let question = match query_value(request.uri(), "dry_run").as_deref() {
        None | Some("false") => RegistryRequest::PublishSchemas { repository, schemas },
        Some("true") => RegistryRequest::PlanSchemas { repository, schemas },
        Some(_) => return bad_request(request, "dry_run is neither true nor false"),
    };
    publish(platform, request, question).await
}

async fn publish<P: Platform>(platform: &P, request: &Request, question: RegistryRequest) -> Response {
    match platform.registry().ask(question).await {
        Ok(Published::Schemas {
            published,
            unchanged,
            in_kv,
        }) => {
            let answer = serde_json::json!({"published": published, "unchanged": unchanged, "in_kv": in_kv});
            json(StatusCode::OK, &answer)
        }
        Ok(Published::Plan {
            new,
            unchanged,
            conflicting,
        }) => {
            let answer = serde_json::json!({"new": new, "unchanged": unchanged, "conflicting": conflicting});
            json(StatusCode::OK, &answer)
        }
        other => refused(platform, request, other),
    }
}

#[derive(Deserialize)]
struct Revisions {
    schemas: Vec<Revision>,
}

#[derive(Deserialize)]
struct Revision {
    title: String,
    revision: u64,
    schema: serde_json::Value,
}

/// Revisions of EventLogging's schema pages, which are JSON only, so that they are sent as what they are.
async fn publish_revisions<P: Platform>(platform: &P, request: &Request) -> Response {
    let revisions = match serde_json::from_slice::<Revisions>(request.body()) {
        Ok(body) => body.schemas,
        Err(why) => {
            let detail =
                format!("expected {{\"schemas\": [{{\"title\", \"revision\", \"schema\"}}]}}: {why}");
            return bad_request(request, &detail);
        }
    };
    let schemas = revisions
        .into_iter()
        .map(
            |Revision {
                 title,
                 revision,
                 schema,
             }| SchemaRevision {
                title,
                revision,
                json: schema.to_string(),
            },
        )
        .collect();
    publish(platform, request, RegistryRequest::PublishRevisions { schemas }).await
}

/// Reads `If-Match`: `None` for `*`, the version for a tag; `If-None-Match: *` means that nothing is published yet.
fn precondition(request: &Request) -> Result<Option<u64>, Response> {
    let header = |name| {
        request
            .headers()
            .get(name)
            .and_then(|value: &HeaderValue| value.to_str().ok())
    };
    match (header(IF_MATCH), header(IF_NONE_MATCH)) {
        (Some("*"), _) => Ok(None),
        (Some(tag), _) => tag
            .trim_start_matches("W/")
            .trim_matches('"')
            .parse()
            .map(Some)
            .map_err(|_| {
                let detail = format!(
                    "If-Match: {tag} is no version: send the ETag of GET /admin/v1/stream-configs, or *"
                );
                bad_request(request, &detail)
            }),
        (None, Some("*")) => Ok(Some(0)),
        (None, _) => {
            let detail = "send If-Match with the ETag of GET /admin/v1/stream-configs, If-None-Match: * for the first, or If-Match: * to overwrite";
            Err(error(
                request,
                StatusCode::PRECONDITION_REQUIRED,
                "precondition_required",
                "Precondition Required",
                detail,
            ))
        }
    }
}

async fn publish_config<P: Platform>(platform: &P, request: &Request) -> Response {
    let if_match = match precondition(request) {
        Ok(if_match) => if_match,
        Err(refusal) => return refusal,
    };
    let config = match serde_json::from_slice::<Box<RawValue>>(request.body()) {
        Ok(config) => config,
        Err(why) => return bad_request(request, &format!("the stream config is not valid JSON: {why}")),
    };
    if let Some(detail) = lacks_kafka(platform, &config) {
        return bad_request(request, &detail);
    }
    next_version(
        platform,
        request,
        RegistryRequest::PublishStreamConfig { if_match, config },
    )
    .await
}

/// Why the streams of `config` whose events are to go to Kafka cannot be delivered. A config that is none is refused where it is
/// published.
fn lacks_kafka<P: Platform>(platform: &P, config: &RawValue) -> Option<String> {
    let reason = match kafka_proxy(platform) {
        Ok(Some(_)) => return None,
        Ok(None) => "the setting KAFKA_REST_URL is not set".to_owned(),
        Err(reason) => reason,
    };
    let streams = StreamConfigs::parse(&serde_json::from_str(config.get()).ok()?).ok()?;
    let (stream, _) = streams
        .entries()
        .find(|(_, stream)| stream.sinks.has(Sink::Kafka))?;
    Some(format!(
        "stream {stream} has the sink kafka, but {reason}: correct it and deploy, or leave kafka out of the stream's sinks"
    ))
}

/// `POST /admin/v1/drain`: delivers some of what waits in the queue, on a platform that does not do it by itself.
async fn drain<P: Platform>(platform: &P, request: &Request) -> Response {
    match platform.queue().drain().await {
        Ok(Some(Drained { delivered, waiting })) => json(
            StatusCode::OK,
            &serde_json::json!({"delivered": delivered, "waiting": waiting}),
        ),
        Ok(None) => json(
            StatusCode::OK,
            &serde_json::json!({"delivered": 0, "waiting": null}),
        ),
        Err(failure) => {
            let detail = "the queue cannot be read now: what waits is tried again";
            unavailable(platform, request, &failure.to_string(), detail)
        }
    }
}

/// `POST /admin/v1/stream-configs/rollback?version=N`: version N once more, as the next one, so that history only grows.
async fn rollback<P: Platform>(platform: &P, request: &Request) -> Response {
    let if_match = match precondition(request) {
        Ok(if_match) => if_match,
        Err(refusal) => return refusal,
    };
    match version(request) {
        Ok(Some(version)) => {
            let question = RegistryRequest::RollbackStreamConfig { if_match, version };
            next_version(platform, request, question).await
        }
        Ok(None) => bad_request(request, "name the version to go back to: ?version=N"),
        Err(refusal) => refusal,
    }
}

async fn next_version<P: Platform>(platform: &P, request: &Request, question: RegistryRequest) -> Response {
    match platform.registry().ask(question).await {
        Ok(Published::StreamConfig { version, in_kv }) => {
            let answer = serde_json::json!({"version": version, "in_kv": in_kv});
            with_etag(json(StatusCode::OK, &answer), &version.to_string())
        }
        other => refused(platform, request, other),
    }
}

/// The version that the query names.
fn version(request: &Request) -> Result<Option<u64>, Response> {
    match query_value(request.uri(), "version").map(|version| version.parse()) {
        None => Ok(None),
        Some(Ok(version)) => Ok(Some(version)),
        Some(Err(_)) => Err(bad_request(
            request,
            "version is no number: GET /admin/v1/stream-configs/history lists them",
        )),
    }
}

async fn get_config<P: Platform>(platform: &P, request: &Request) -> Response {
    let version = match version(request) {
        Ok(version) => version,
        Err(refusal) => return refusal,
    };
    match platform
        .registry()
        .ask(RegistryRequest::StreamConfig { version })
        .await
    {
        Ok(Published::Config(Some(StoredConfig {
            version,
            config: Some(config),
            ..
        }))) => {
            let etag = version.to_string();
            if not_modified(request.headers(), &etag) {
                return with_etag(empty(StatusCode::NOT_MODIFIED), &etag);
            }
            with_etag(json(StatusCode::OK, &config), &etag)
        }
        Ok(Published::Config(_)) => {
            let detail = "no stream config is published under this version: PUT /admin/v1/stream-configs publishes one";
            error(
                request,
                StatusCode::NOT_FOUND,
                "not_found",
                "Stream Config Not Found",
                detail,
            )
        }
        other => refused(platform, request, other),
    }
}

async fn history<P: Platform>(platform: &P, request: &Request) -> Response {
    match platform
        .registry()
        .ask(RegistryRequest::StreamConfigHistory)
        .await
    {
        Ok(Published::History(versions)) => json(StatusCode::OK, &serde_json::json!({"versions": versions})),
        other => refused(platform, request, other),
    }
}

fn refused<P: Platform>(
    platform: &P,
    request: &Request,
    answer: Result<Published, RegistryError>,
) -> Response {
    let refusal = match answer {
        Err(refusal) => refusal,
        Ok(other) => RegistryError::Unavailable {
            detail: format!("{other:?} answers another question"),
        },
    };
    let detail = refusal.to_string();
    match refusal {
        RegistryError::Immutable { .. } => error(
            request,
            StatusCode::CONFLICT,
            "immutable",
            "Published Version",
            &detail,
        ),
        RegistryError::VersionMismatch { current, .. } => {
            let response = error(
                request,
                StatusCode::PRECONDITION_FAILED,
                "version_mismatch",
                "Precondition Failed",
                &detail,
            );
            with_etag(response, &current.to_string())
        }
        RegistryError::UnknownVersion { .. } => error(
            request,
            StatusCode::NOT_FOUND,
            "not_found",
            "Stream Config Not Found",
            &detail,
        ),
        RegistryError::Invalid { .. } => error(
            request,
            StatusCode::BAD_REQUEST,
            "invalid",
            "Not Publishable",
            &detail,
        ),
        RegistryError::Unavailable { detail: log } => {
            unavailable(platform, request, &format!("registry: {log}"), &detail)
        }
    }
}
