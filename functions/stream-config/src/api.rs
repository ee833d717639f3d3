//! MediaWiki's action API, as far as EventStreamConfig answers it: `/w/api.php?action=streamconfigs`.
//!
//! Errors are answered 200 with the header `MediaWiki-API-Error`, as MediaWiki's are: its clients look there and into the
//! body. Source: `ApiStreamConfigs.php`, `ApiFormatJsonVersion2.php`, and MediaWiki's `ApiMain.php`.

use eventstar_http_api::{Request, Response, common_headers, error, json, query, text, unavailable};
use eventstar_ports::Platform;
use eventstar_stream_config::Constraints;
use http::StatusCode;
use http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_EXPOSE_HEADERS, CACHE_CONTROL, CONTENT_TYPE, EXPIRES,
    HeaderName, HeaderValue, ORIGIN,
};
use serde_json::{Map, Value, json};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc2822;

use crate::{Isolate, MAX_BODY_BYTES};

/// Where the API is.
pub(crate) const PATH: &str = "/w/api.php";

/// The methods it takes.
pub(crate) const METHODS: &str = "GET,HEAD,POST";

/// Most streams in one request: `PARAM_ISMULTI_LIMIT1` of `ApiStreamConfigs.php`.
const MAX_STREAMS: usize = 250;

/// Most constraints in one request: MediaWiki's `LIMIT_SML1`.
const MAX_CONSTRAINTS: usize = 50;

/// How much more users with the right `apihighlimits` might ask for, which errors tell: MediaWiki's `LIMIT_SML2`.
const HIGH_LIMIT: usize = 500;

/// How long an answer may be cached, in seconds: `CACHE_MAX_AGE`.
const MAX_AGE: u64 = 600;

/// Parameters that make no difference here or are acted on; all others are warned of.
const KNOWN: [&str; 14] = [
    "action",
    "all_settings",
    "constraints",
    "errorformat",
    "format",
    "formatversion",
    "maxage",
    "maxlag",
    "origin",
    "smaxage",
    "streams",
    "uselang",
    "utf8",
    "variant",
];

const ERROR_CODE: HeaderName = HeaderName::from_static("mediawiki-api-error");

/// An error of the API, before it has a form.
struct ApiError {
    code: &'static str,
    info: String,
    /// Members beside these.
    more: Map<String, Value>,
}

impl ApiError {
    fn new(code: &'static str, info: String) -> Self {
        Self {
            code,
            info,
            more: Map::new(),
        }
    }

    fn unrecognized(name: &str, value: &str) -> Self {
        Self::new(
            "badvalue",
            format!("Unrecognized value for parameter \"{name}\": {value}."),
        )
    }
}

/// The parameters of a request; of those given twice the last counts, as in PHP.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn of(request: &Request) -> Self {
        let mut all = query(request.uri());
        let form = request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|value| value.as_bytes().starts_with(b"application/x-www-form-urlencoded"));
        if form {
            all.extend(form_urlencoded::parse(request.body()).into_owned());
        }
        Self(all)
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().rev().find(|(known, _)| known == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The values of a parameter of several, with `|` between, or U+001F where it begins with that.
    fn list(&self, name: &str, most: usize) -> Result<Option<Vec<String>>, ApiError> {
        let Some(value) = self.get(name) else {
            return Ok(None);
        };
        let (value, separator) = match value.strip_prefix('\u{1f}') {
            Some(rest) => (rest, '\u{1f}'),
            None => (value, '|'),
        };
        if value.is_empty() {
            return Ok(Some(Vec::new()));
        }
        let values: Vec<String> = value.split(separator).map(str::to_owned).collect();
        if values.len() <= most {
            return Ok(Some(values));
        }
        let info = format!("Too many values supplied for parameter \"{name}\". The limit is {most}.");
        let mut error = ApiError::new("toomanyvalues", info);
        let members = json!({"parameter": name, "limit": most, "lowlimit": most, "highlimit": HIGH_LIMIT});
        error
            .more
            .extend(members.as_object().cloned().unwrap_or_default());
        Err(error)
    }

    fn unrecognized(&self) -> Vec<&str> {
        let mut names: Vec<&str> = Vec::new();
        for (name, _) in &self.0 {
            if !KNOWN.contains(&name.as_str()) && !names.contains(&name.as_str()) {
                names.push(name);
            }
        }
        names
    }
}

/// Answers `GET`, `HEAD` and `POST`.
pub(crate) async fn answer<P: Platform>(isolate: &Isolate, platform: &P, request: &Request) -> Response {
    if request.body().len() > MAX_BODY_BYTES {
        let detail = format!("the body is larger than {MAX_BODY_BYTES} bytes: ask for fewer streams");
        let (status, kind) = (StatusCode::PAYLOAD_TOO_LARGE, "payload_too_large");
        return error(request, status, kind, "Payload Too Large", &detail);
    }
    let parameters = Parameters::of(request);
    let origin = parameters.get("origin");
    if origin.is_some_and(|origin| origin != "*" && !is_origin_of(request, origin)) {
        let message = "'origin' parameter does not match Origin header\n";
        return text(StatusCode::FORBIDDEN, "text/plain; charset=utf-8", message);
    }
    match stream_configs(isolate, platform, request, &parameters).await {
        Ok(response) => response,
        Err(error) => failed(&error, &parameters),
    }
}

/// The common headers, and those for the pages of other sites.
pub(crate) fn with_headers(response: Response, request: &Request) -> Response {
    let any_origin = Parameters::of(request).get("origin") == Some("*");
    let mut response = common_headers(response, "get,head,post");
    let headers = response.headers_mut();
    headers.insert(
        ACCESS_CONTROL_EXPOSE_HEADERS,
        HeaderValue::from_static(
            "MediaWiki-API-Error, Retry-After, X-Database-Lag, MediaWiki-Login-Suppressed",
        ),
    );
    if any_origin {
        headers.insert(
            ACCESS_CONTROL_ALLOW_CREDENTIALS,
            HeaderValue::from_static("false"),
        );
    }
    response
}

fn is_origin_of(request: &Request, origin: &str) -> bool {
    let header = request
        .headers()
        .get(ORIGIN)
        .and_then(|value| value.to_str().ok());
    header.is_some_and(|origins| origins.split(' ').any(|named| named == origin))
}

async fn stream_configs<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    request: &Request,
    parameters: &Parameters,
) -> Result<Response, ApiError> {
    match parameters.get("action") {
        Some("streamconfigs") => {}
        Some(other) => return Err(ApiError::unrecognized("action", other)),
        None => {
            let info = "The \"action\" parameter must be set.".to_owned();
            return Err(ApiError::new("missingparam", info));
        }
    }
    let streams = parameters.list("streams", MAX_STREAMS)?;
    let constraints = parameters
        .list("constraints", MAX_CONSTRAINTS)?
        .unwrap_or_default();
    // The original answers in this form alone, whatever `format` says.
    if let Some(other) = parameters
        .get("formatversion")
        .filter(|version| !matches!(*version, "2" | "latest"))
    {
        return Err(ApiError::unrecognized("formatversion", other));
    }
    let configs = match isolate.configs.current(platform).await {
        Ok(configs) => configs,
        Err(port_error) => {
            let detail = "the stream config cannot be read now: try again";
            return Ok(unavailable(platform, request, &port_error.to_string(), detail));
        }
    };
    let constraints = Constraints::parse(constraints.iter().map(String::as_str));
    let mut answer = Map::new();
    if let Some(warnings) = warnings(parameters) {
        answer.insert("warnings".to_owned(), warnings);
    }
    let selected = configs.streams.select(streams.as_deref(), &constraints);
    answer.insert("streams".to_owned(), Value::Object(selected));
    let mut response = json(StatusCode::OK, &answer);
    let headers = response.headers_mut();
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("max-age=600, s-maxage=600, public"),
    );
    if let Some(expires) = http_date(platform.now() / 1000 + MAX_AGE) {
        headers.insert(EXPIRES, expires);
    }
    Ok(response)
}

/// The newest first, as MediaWiki adds them.
fn warnings(parameters: &Parameters) -> Option<Value> {
    let mut warnings = Map::new();
    let unrecognized = parameters.unrecognized();
    if let [first, more @ ..] = unrecognized.as_slice() {
        let plural = if more.is_empty() { "" } else { "s" };
        let names = more
            .iter()
            .fold((*first).to_owned(), |all, name| format!("{all}, {name}"));
        let text = format!("Unrecognized parameter{plural}: {names}.");
        warnings.insert("main".to_owned(), json!({"warnings": text}));
    }
    if parameters.get("all_settings").is_some() {
        let text = "The parameter \"all_settings\" has been deprecated.";
        warnings.insert("streamconfigs".to_owned(), json!({"warnings": text}));
    }
    (!warnings.is_empty()).then_some(Value::Object(warnings))
}

fn failed(error: &ApiError, parameters: &Parameters) -> Response {
    let mut body = Map::new();
    body.insert("code".to_owned(), error.code.into());
    body.insert("info".to_owned(), error.info.as_str().into());
    body.extend(error.more.clone());
    let help = format!("See {} for API usage.", env!("CARGO_PKG_REPOSITORY"));
    // An error is answered in the form asked for, which is the first where none is.
    let second = matches!(parameters.get("formatversion"), Some("2" | "latest"));
    body.insert(if second { "docref" } else { "*" }.to_owned(), help.into());
    let mut response = json(StatusCode::OK, &json!({"error": body}));
    let headers = response.headers_mut();
    headers.insert(ERROR_CODE, HeaderValue::from_static(error.code));
    headers.insert(
        CACHE_CONTROL,
        HeaderValue::from_static("private, must-revalidate, max-age=0"),
    );
    response
}

/// `Wed, 25 Nov 2026 00:00:00 GMT`.
fn http_date(seconds: u64) -> Option<HeaderValue> {
    let date = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).ok()?).ok()?;
    let text = date.format(&Rfc2822).ok()?.replace("+0000", "GMT");
    HeaderValue::from_str(&text).ok()
}
