//! The beacon of EventLogging: `GET|POST /beacon/event?<percent-encoded JSON>;`.
//!
//! Always answered 204 at once. The capsule in the query becomes an event of the stream `eventlogging_<schema>`, as
//! MediaWiki's `EventLoggingLegacyConverter` makes it; what cannot become one goes to the error stream as received.

use std::rc::Rc;

use eventstar_event::json::{mend_surrogates, quote, split_body};
use eventstar_event::time::to_iso;
use eventstar_event::{Document, JsonError, SchemaUri};
use eventstar_http_api::{Principal, Request, Response, empty};
use eventstar_ports::Platform;
use eventstar_stream_config::Stream;
use http::StatusCode;
use http::header::{CACHE_CONTROL, HeaderValue};
use percent_encoding::percent_decode_str;
use uuid::Uuid;

use crate::answer::{Failure, Outcome, log_failures};
use crate::decide::Sender;
use crate::errors::{self, Refused};
use crate::said::Said;
use crate::{Isolate, process};

/// Answers a beacon; its event is stored afterwards.
pub(crate) fn beacon<P: Platform>(isolate: &Rc<Isolate>, platform: &P, request: &Request) -> Response {
    let query = request.uri().query().unwrap_or_default().to_owned();
    let sender = Sender {
        principal: Principal::of(request.headers(), platform),
        said: Said::by_headers(request, platform),
    }
    .into_owned();
    let (isolate, later) = (Rc::clone(isolate), platform.clone());
    platform.spawn(async move { store(&isolate, &later, &sender, &query).await });
    let mut response = empty(StatusCode::NO_CONTENT);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

async fn store<P: Platform>(isolate: &Rc<Isolate>, platform: &P, sender: &Sender<'_>, query: &str) {
    let converted = convert(isolate, platform, &sender.said, query).await;
    let outcomes = match &converted {
        Ok(event) => process(isolate, platform, sender, &[event], false).await,
        Err(_) => Vec::new(),
    };
    let refused = converted.as_ref().err();
    let outcomes = match refused {
        Some(outcome) => std::slice::from_ref(outcome.as_ref()),
        None => outcomes.as_slice(),
    };
    log_failures(platform, outcomes);
    let refused = outcomes.iter().map(|outcome| Refused { raw: query, outcome });
    errors::report(isolate, platform, &sender.said, refused, false);
}

/// The event of a query. Source: `EventLoggingLegacyConverter.php:81-143`.
async fn convert<P: Platform>(
    isolate: &Isolate,
    platform: &P,
    said: &Said<'_>,
    query: &str,
) -> Result<String, Box<Outcome<'static>>> {
    let refuse = |event: &str, code, message: String| {
        Box::new(Outcome::failed(event.to_owned(), Failure::client(code, message)))
    };
    let (capsule, mended) = decode_qson(query).map_err(|message| refuse("", "malformed_beacon", message))?;
    isolate.metrics.surrogates_mended(mended);
    let not_json = |error: JsonError| Box::new(Outcome::failed(String::new(), Failure::json(&error)));
    split_body(capsule.as_bytes()).map_err(not_json)?;
    let mut event = Document::parse(capsule.trim()).map_err(not_json)?;
    let Some(schema) = event.get_str(&["schema"]).map(std::borrow::Cow::into_owned) else {
        let message = "the capsule has no schema: send {\"schema\": \"<name>\", \"event\": {…}}".to_owned();
        return Err(refuse(&event.text(), "missing_schema", message));
    };
    let stream = format!("eventlogging_{schema}");
    event.set(&["meta"], &format!("{{\"stream\":{}}}", quote(&stream)));
    let configs = isolate
        .configs
        .with_streams(
            platform,
            &isolate.version.from_now(),
            std::iter::once(stream.as_str()),
        )
        .await;
    let configs = configs
        .map_err(|error| Box::new(Outcome::failed(event.text().into_owned(), Failure::ours(&error))))?;
    let uri = configs
        .streams
        .stream(&stream)
        .and_then(|stream| schema_uri(&stream, &event));
    let Some(uri) = uri else {
        let message = format!(
            "{schema} is not in the list of allowed legacy schemas. Add the stream {stream} with producers.eventlogging.schema_uri to the stream config"
        );
        return Err(refuse(&event.text(), "unknown_stream", message));
    };
    let now = quote(&to_iso(platform.now()));
    let id = quote(&capsule_id(&event).unwrap_or_else(|| {
        uuid::Builder::from_random_bytes(platform.random())
            .into_uuid()
            .to_string()
    }));
    event.set(&["$schema"], &quote(&uri));
    if event.get(&["uuid"]).is_none_or(|uuid| uuid.text() == "null") {
        event.set(&["uuid"], &id);
    }
    event.set(&["dt"], &now);
    event.set(&["client_dt"], &now);
    if let Some(address) = said.client_ip() {
        event.set(&["recvFrom"], &quote(&address.to_string()));
    }
    if let Some(agent) = said.header("user-agent") {
        event.set(
            &["http"],
            &format!("{{\"request_headers\":{{\"user-agent\":{}}}}}", quote(&agent)),
        );
    }
    Ok(event.into_string())
}

/// The JSON text of a query: without `?`, `&` and `;` around it, percent-decoded; a `+` is a plus. Beside it, how many halves of
/// surrogate pairs were replaced.
fn decode_qson(query: &str) -> Result<(String, u64), String> {
    let text = query.trim_matches(['?', '&', ';']);
    if text.is_empty() {
        return Err("the query is empty: send /beacon/event?<percent-encoded JSON>;".to_owned());
    }
    let mut decoded: Vec<u8> = percent_decode_str(text).collect();
    let mended = mend_surrogates(&mut decoded);
    let decoded = String::from_utf8(decoded);
    decoded.map(|decoded| (decoded, mended)).map_err(|error| {
        format!("the query is not percent-encoded UTF-8 ({error}): encode the capsule's JSON with encodeURIComponent")
    })
}

/// The schema of a capsule: the one it names itself, the one of its revision, or the stream's.
fn schema_uri(stream: &Stream, event: &Document<'_>) -> Option<String> {
    let revision = event.get(&["revision"]).map(|revision| revision.text());
    // A revision that is a text is a schema URI already (`core.js:31-33`).
    let named = event
        .get_str(&["revision"])
        .filter(|uri| SchemaUri::parse(uri).is_ok());
    let of_revision = stream
        .legacy_revisions
        .iter()
        .find(|(known, _)| Some(known.as_str()) == revision.as_deref());
    named
        .map(std::borrow::Cow::into_owned)
        .or_else(|| of_revision.map(|(_, uri)| uri.clone()))
        .or_else(|| stream.legacy_schema_uri.clone())
}

/// The id of a capsule that an edge cache has stamped with its own name, a sequence number and a time: the same for
/// each copy of it. Source: `capsule_uuid`, EventLogging `parse.py:66-93`.
fn capsule_id(event: &Document<'_>) -> Option<String> {
    // EventLogging reads a number without sign or fraction there (`%d`).
    let sequence = event.get(&["seqId"])?.text();
    if !sequence.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let (host, time) = (event.get_str(&["recvFrom"])?, event.get_str(&["dt"])?);
    let name = format!("event://{host}/?seqId={sequence}&dt={time}");
    Some(
        Uuid::new_v5(&Uuid::NAMESPACE_URL, name.as_bytes())
            .simple()
            .to_string(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// EventLogging `tests/test_parser.py:33-77`, `tests/test_schema.py:183`.
    #[test]
    fn a_stamped_capsule_has_the_id_of_eventlogging() {
        for (capsule, expected) in [
            (
                r#"{"recvFrom":"srv0.example.org","seqId":132073,"dt":"2013-01-19T23:16:38Z"}"#,
                Some("749684341abf513186c71f74c6a09502"),
            ),
            (
                r#"{"recvFrom":"fenari","seqId":12345,"dt":"2013-01-21T18:10:34.912000"}"#,
                Some("93e0f58d0c605e90a3c4861b1f00c407"),
            ),
            (r#"{"recvFrom":"a","dt":"2013-01-19T23:16:38Z"}"#, None),
            (
                r#"{"recvFrom":"a","seqId":"1","dt":"2013-01-19T23:16:38Z"}"#,
                None,
            ),
        ] {
            let event = Document::parse(capsule).unwrap();
            assert_eq!(capsule_id(&event).as_deref(), expected, "{capsule}");
        }
    }

    #[test]
    fn a_query_is_trimmed_and_percent_decoded_and_keeps_its_plus() {
        for (query, expected) in [
            ("%7B%22a%22%3A1%7D;", Some(r#"{"a":1}"#)),
            ("?{\"a\":\"%C3%A9\"};&", Some(r#"{"a":"é"}"#)),
            ("%7B%22a%22%3A%221+1%22%7D", Some(r#"{"a":"1+1"}"#)),
            ("%%22", Some("%\"")),
            ("", None),
            (";;", None),
            ("%FF", None),
        ] {
            let decoded = decode_qson(query).ok().map(|(decoded, _)| decoded);
            assert_eq!(decoded.as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn the_revision_chooses_the_schema() {
        let stream = Stream {
            legacy_revisions: vec![("12".into(), "/a/1.0.0".into())],
            legacy_schema_uri: Some("/a/2.0.0".into()),
            ..Stream::default()
        };
        for (capsule, expected) in [
            (r#"{"revision":12}"#, "/a/1.0.0"),
            (r#"{"revision":13}"#, "/a/2.0.0"),
            (r#"{"revision":-1}"#, "/a/2.0.0"),
            (r#"{"revision":"/b/1.0.0"}"#, "/b/1.0.0"),
            (r#"{"revision":"12"}"#, "/a/2.0.0"),
            ("{}", "/a/2.0.0"),
        ] {
            let event = Document::parse(capsule).unwrap();
            assert_eq!(
                schema_uri(&stream, &event).as_deref(),
                Some(expected),
                "{capsule}"
            );
        }
        let event = Document::parse("{}").unwrap();
        assert_eq!(schema_uri(&Stream::default(), &event), None);
    }
}
