//! `/w/api.php?action=streamconfigs`, as EventStreamConfig answers it. Source: `ApiStreamConfigs.php`,
//! `ApiFormatJsonVersion2.php`.

use eventstar_http_api::{Request, Response, json, unavailable};
use eventstar_mediawiki_api::{ApiError, Parameters, cacheable};
use eventstar_ports::Platform;
use eventstar_stream_config::Constraints;
use http::StatusCode;
use serde_json::{Map, Value, json};

use crate::Isolate;

/// Most streams in one request: `PARAM_ISMULTI_LIMIT1` of `ApiStreamConfigs.php`.
const MAX_STREAMS: usize = 250;

/// Most constraints in one request: MediaWiki's `LIMIT_SML1`.
const MAX_CONSTRAINTS: usize = 50;

/// How long an answer may be cached, in seconds: `CACHE_MAX_AGE`.
const MAX_AGE: u64 = 600;

/// The parameters of the action.
const OWN: [&str; 3] = ["all_settings", "constraints", "streams"];

/// Answers the action.
pub(crate) async fn stream_configs<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    let streams = parameters.list("streams", MAX_STREAMS)?;
    let constraints = parameters
        .list("constraints", MAX_CONSTRAINTS)?
        .unwrap_or_default();
    let constraints = Constraints::parse(constraints.iter().map(String::as_str))
        .map_err(|error| ApiError::new("toomanyvalues", error.to_string()))?;
    // The original answers in this form alone, whatever `format` says.
    if let Some(other) = parameters
        .get("formatversion")
        .filter(|version| !matches!(*version, "2" | "latest"))
    {
        return Err(ApiError::unrecognized("formatversion", other));
    }
    let names = streams.iter().flatten().map(String::as_str);
    let version = isolate.version.from_now();
    let configs = match isolate.configs.with_streams(platform, &version, names).await {
        Ok(configs) => configs,
        Err(port_error) => {
            let detail = "the stream config cannot be read now: try again";
            return Ok(unavailable(platform, request, &port_error.to_string(), detail));
        }
    };
    let mut answer = Map::new();
    if let Some(warnings) = warnings(parameters) {
        answer.insert("warnings".to_owned(), warnings);
    }
    let selected = configs.streams.select(streams.as_deref(), &constraints);
    answer.insert("streams".to_owned(), Value::Object(selected));
    let response = json(StatusCode::OK, &answer);
    Ok(cacheable(response, MAX_AGE, platform.now()))
}

/// The newest first, as MediaWiki adds them.
fn warnings(parameters: &Parameters) -> Option<Value> {
    let mut warnings = Map::new();
    if let Some(main) = parameters.warning(&OWN) {
        warnings.insert("main".to_owned(), main);
    }
    if parameters.get("all_settings").is_some() {
        let text = "The parameter \"all_settings\" has been deprecated.";
        warnings.insert("streamconfigs".to_owned(), json!({"warnings": text}));
    }
    (!warnings.is_empty()).then_some(Value::Object(warnings))
}
