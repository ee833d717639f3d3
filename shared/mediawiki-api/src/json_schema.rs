//! `action=jsonschema`: the revisions of EventLogging's schema pages, as meta.wiki answers them. Source:
//! `ApiJsonSchema.php`.

use eventstar_http_api::{Request, Response, json, unavailable, with_last_modified};
use eventstar_ports::Platform;
use eventstar_stores::{RevisionDocument, decode, keys, page_title, read_through};
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::{ApiError, Parameters, cacheable};

/// How long an answer may be cached, in seconds: `markCacheable`.
const MAX_AGE: u64 = 300;

/// The parameters of the action.
const OWN: [&str; 2] = ["revid", "title"];

/// Answers one revision, or the newest of a title, in the form of `formatversion=2`.
///
/// # Errors
/// As MediaWiki's, with status 400 when there is no such revision.
pub async fn json_schema<P: Platform>(
    platform: &P,
    request: &Request,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let document = match (parameters.get("revid"), parameters.get("title")) {
        (Some(revision), title) => {
            let Ok(id) = revision.parse::<i64>() else {
                let info = format!("Invalid value \"{revision}\" for integer parameter \"revid\".");
                return Err(ApiError::new("badinteger", info));
            };
            let document = match u64::try_from(id) {
                Ok(id) => read(platform, &keys::revision(id)).await,
                Err(_) => Ok(None),
            };
            let title = title.filter(|title| !title.is_empty());
            document.map(|document| match (document, title) {
                (None, _) => Err(refused(
                    "nosuchrevid",
                    format!("There is no revision with ID {id}."),
                )),
                (Some(document), Some(title)) if page_title(title).as_ref() != Some(&document.title) => {
                    let info = format!("r{id} is not a revision of {title}.");
                    Err(refused("revwrongpage", info))
                }
                (Some(document), _) => Ok(document),
            })
        }
        (None, Some(title)) => {
            let document = match page_title(title) {
                Some(name) => read(platform, &keys::newest_revision(&name)).await,
                None => Ok(None),
            };
            let missing = || refused("invalidtitle", format!("Bad title \"{title}\"."));
            document.map(|document| document.ok_or_else(missing))
        }
        (None, None) => {
            let info = "At least one of the parameters \"revid\" and \"title\" is required.";
            return Err(refused("missingparam", info.to_owned()));
        }
    };
    match document {
        Ok(document) => Ok(answer(parameters, &document?, platform.now())),
        Err(log) => {
            let detail = "schemas cannot be read now: try again";
            Ok(unavailable(platform, request, &log, detail))
        }
    }
}

/// A document, or what to log when there is no reading it.
async fn read<P: Platform>(platform: &P, key: &str) -> Result<Option<RevisionDocument>, String> {
    let value = read_through(platform, key).await;
    let document = value.and_then(|value| value.map(|value| decode(key, &value)).transpose());
    document.map_err(|error| error.to_string())
}

fn refused(code: &'static str, info: String) -> ApiError {
    ApiError::new(code, info).with_status(StatusCode::BAD_REQUEST)
}

/// The members of the schema stand beside the page's title, which goes before one of the schema's own.
fn answer(parameters: &Parameters, document: &RevisionDocument, now: u64) -> Response {
    let mut body = Map::new();
    if let Some(main) = parameters.warning(&OWN) {
        body.insert("warnings".to_owned(), json!({"main": main}));
    }
    body.insert("title".to_owned(), document.title.replace('_', " ").into());
    if let Ok(Value::Object(schema)) = serde_json::from_str(&document.json) {
        for (name, value) in schema {
            body.entry(name).or_insert(value);
        }
    }
    let response = with_last_modified(json(StatusCode::OK, &body), document.published);
    cacheable(response, MAX_AGE, now)
}
