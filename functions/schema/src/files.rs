//! Schema versions, in each form.

use eventstar_event::SchemaUri;
use eventstar_http_api::{Request, Response, empty, text, unchanged, with_etag, with_last_modified};
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{SchemaDocument, VersionsDocument, decode, keys, read_many_through, read_through};
use http::StatusCode;

use crate::{for_browser, negotiated, page, with_cache};

/// The form a version is asked for in.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// As the repository holds it: YAML where there is YAML.
    Stored,
    Yaml,
    Json,
}

/// Answers a version; `None` when the repository does not have it. `file` is the path it is asked for by.
pub(crate) async fn answer<P: Platform>(
    platform: &P,
    request: &Request,
    repository: &str,
    uri: &SchemaUri,
    file: &[&str],
) -> Result<Option<Response>, PortError> {
    let form = match file.last().and_then(|name| name.rsplit_once('.')) {
        Some((_, "yaml")) => Form::Yaml,
        Some((_, "json")) => Form::Json,
        _ => Form::Stored,
    };
    if form == Form::Stored && for_browser(request) {
        return Ok(read_page(platform, repository, uri).await?.map(page));
    }
    let key = keys::schema(repository, uri);
    let Some(value) = read_through(platform, &key).await? else {
        return Ok(None);
    };
    let response = document(request, uri, form, decode(&key, &value)?);
    Ok(Some(if form == Form::Stored {
        negotiated(response)
    } else {
        response
    }))
}

fn document(request: &Request, uri: &SchemaUri, form: Form, document: SchemaDocument) -> Response {
    let (content_type, kind, body) = match (form, document.yaml) {
        (Form::Json, _) | (Form::Stored, None) => ("application/json; charset=utf-8", "json", document.json),
        // The original's type for everything that is not `.json`. JSON is YAML, where no YAML was published.
        (Form::Yaml | Form::Stored, Some(yaml)) => ("text/plain; charset=utf-8", "yaml", yaml),
        (Form::Yaml, None) => ("text/plain; charset=utf-8", "json", document.json),
    };
    let etag = format!("{}-{}-{kind}", document.version, document.published);
    let caching = if uri.is_latest() {
        "public, max-age=60"
    } else {
        "public, max-age=31536000, immutable"
    };
    let response = if unchanged(request.headers(), &etag, document.published) {
        empty(StatusCode::NOT_MODIFIED)
    } else {
        text(StatusCode::OK, content_type, body)
    };
    with_cache(
        with_last_modified(with_etag(response, &etag), document.published),
        caching,
    )
}

async fn read_page<P: Platform>(
    platform: &P,
    repository: &str,
    uri: &SchemaUri,
) -> Result<Option<String>, PortError> {
    let keys = [
        keys::schema(repository, uri),
        keys::versions(repository, uri.title()),
    ];
    let mut values = read_many_through(platform, &keys).await.into_iter();
    let mut next = || values.next().unwrap_or(Ok(None));
    let (Some(schema), Some(versions)) = (next()?, next()?) else {
        return Ok(None);
    };
    let [schema_key, versions_key] = &keys;
    let schema: SchemaDocument = decode(schema_key, &schema)?;
    let versions: VersionsDocument = decode(versions_key, &versions)?;
    Ok(Some(crate::page::of(&schema, &versions.versions)))
}
