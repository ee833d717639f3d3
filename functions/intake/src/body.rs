//! From the bytes of a body to the texts of events.

use std::io::Read;

use bytes::Bytes;
use eventstar_event::JsonError;
use eventstar_event::json::{Size, mend_surrogates, split_body_of};
use eventstar_http_api::{Request, Response, error};
use flate2::read::{MultiGzDecoder, ZlibDecoder};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderName};
use http::{HeaderMap, StatusCode};

use crate::limits::{MAX_BATCH, MAX_BODY_BYTES, MAX_REQUEST_VALUES};
use crate::metrics::Metrics;

/// The body without its `Content-Encoding`, as all readers of JSON read it; an answer that says why not, when it cannot be read.
pub(crate) fn decode(request: &Request, body: Bytes, metrics: &Metrics) -> Result<Bytes, Response> {
    let mut body: Vec<u8> = match header(request.headers(), &CONTENT_ENCODING).as_deref() {
        None | Some("" | "identity") => body.into(),
        Some("gzip" | "x-gzip") => inflate(request, MultiGzDecoder::new(body.as_ref()))?,
        Some("deflate") => inflate(request, ZlibDecoder::new(body.as_ref()))?,
        Some(other) => {
            let detail = format!(
                "unsupported content encoding \"{other}\": use gzip or deflate, or send the body as it is"
            );
            return Err(unsupported(request, &detail));
        }
    };
    if body.len() > MAX_BODY_BYTES {
        return Err(too_large(request));
    }
    metrics.surrogates_mended(mend_surrogates(&mut body));
    Ok(body.into())
}

/// Reads no more than one byte over the limit, however much there would be, into no more room than that.
fn inflate(request: &Request, source: impl Read) -> Result<Vec<u8>, Response> {
    /// Room for most bodies.
    const FIRST: usize = 64 * 1024;
    let mut source = source.take(MAX_BODY_BYTES as u64 + 1);
    let mut body = Vec::new();
    loop {
        let room = body.capacity().max(FIRST).min(MAX_BODY_BYTES + 1 - body.len());
        if room == 0 {
            return Ok(body);
        }
        body.reserve_exact(room);
        match source.by_ref().take(room as u64).read_to_end(&mut body) {
            Ok(read) if read < room => return Ok(body),
            Ok(_) => {}
            Err(problem) => {
                return Err(error(
                    request,
                    StatusCode::BAD_REQUEST,
                    "malformed_encoding",
                    "Malformed Content Encoding",
                    &format!("the body is not what content-encoding says: {problem}"),
                ));
            }
        }
    }
}

fn too_large(request: &Request) -> Response {
    let detail =
        format!("the body is larger than {MAX_BODY_BYTES} bytes: send the events in smaller batches");
    error(
        request,
        StatusCode::PAYLOAD_TOO_LARGE,
        "payload_too_large",
        "Payload Too Large",
        &detail,
    )
}

fn unsupported(request: &Request, detail: &str) -> Response {
    error(
        request,
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "unsupported_media_type",
        "Unsupported Media Type",
        detail,
    )
}

/// The texts of the events in a body, none for an empty one; an answer that says why not, when it has none.
pub(crate) fn split<'b>(request: &Request, body: &'b [u8]) -> Result<Vec<&'b str>, Response> {
    if let Some(refusal) = unsupported_type(request.headers()) {
        return Err(unsupported(request, &refusal));
    }
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Vec::new());
    }
    let refuse = |status, kind, title, detail: &str| Err(error(request, status, kind, title, detail));
    // A value has at least two bytes.
    if body.len() > 2 * MAX_REQUEST_VALUES {
        let values = Size::of_text(body).values;
        if values > MAX_REQUEST_VALUES {
            let detail = format!(
                "{values} values in one request, objects and arrays included: send at most {MAX_REQUEST_VALUES} and split the rest"
            );
            return refuse(
                StatusCode::PAYLOAD_TOO_LARGE,
                "too_many_values",
                "Too Many Values",
                &detail,
            );
        }
    }
    match split_body_of(body, MAX_BATCH) {
        Err(error @ JsonError::TooMany { .. }) => refuse(
            StatusCode::PAYLOAD_TOO_LARGE,
            error.code(),
            "Batch Too Large",
            &error.to_string(),
        ),
        Ok(events) => Ok(events),
        Err(error @ JsonError::Malformed(_)) => refuse(
            StatusCode::BAD_REQUEST,
            "malformed_json",
            "Malformed JSON",
            &error.to_string(),
        ),
        Err(error) => refuse(
            StatusCode::BAD_REQUEST,
            error.code(),
            "Not Events",
            &error.to_string(),
        ),
    }
}

fn header(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    let value = headers.get(name)?;
    Some(value.to_str().unwrap_or("?").trim().to_ascii_lowercase())
}

/// The media type without its parameters.
pub(crate) fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// Why a body of this type is not read; `None` when it is.
fn unsupported_type(headers: &HeaderMap) -> Option<String> {
    // Without a type: what `curl --data-binary` or a bare socket sends is taken for JSON.
    let content_type = header(headers, &CONTENT_TYPE)?;
    let media_type = media_type(&content_type);
    if !["application/json", "text/plain", "application/reports+json"].contains(&media_type) {
        return Some(format!(
            "unsupported media type \"{media_type}\": use application/json or text/plain"
        ));
    }
    let charset = content_type
        .split(';')
        .skip(1)
        .map(str::trim)
        .find_map(|part| part.strip_prefix("charset="))
        .unwrap_or("utf-8")
        .trim_matches('"');
    if !["utf-8", "utf8", "us-ascii"].contains(&charset) {
        return Some(format!(
            "unsupported charset \"{}\": use UTF-8",
            charset.to_ascii_uppercase()
        ));
    }
    None
}
