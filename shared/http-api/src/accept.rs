//! Content negotiation: which of its forms a client would rather have an answer in (RFC 9110, 12.5.1).

use headers_accept::Accept;
use http::HeaderMap;
use http::header::ACCEPT;
use mediatype::{MediaType, MediaTypeList, names};

/// The one of the media types that the client would rather have; the first where it names none, or any. `None` where it
/// takes none of them: an answer in the usual form serves it better than 406.
///
/// What a client likes equally well it gets in the order of its own. Elements that are no media range are passed over.
#[must_use]
pub fn preferred<'o>(headers: &HeaderMap, offered: &[&'o str]) -> Option<&'o str> {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges: Vec<String> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(MediaTypeList::new)
        .flatten()
        .map(|range| without_charset(range).to_string())
        .collect();
    let accept = ranges.join(",").parse::<Accept>();
    let Some(accept) = accept.ok().filter(|_| !ranges.is_empty()) else {
        return offered.first().copied();
    };
    let types: Vec<MediaType<'o>> = offered
        .iter()
        .filter_map(|offered| MediaType::parse(offered).ok())
        .collect();
    let found = accept.negotiate(&types)?;
    offered
        .iter()
        .find(|offered| MediaType::parse(offered).as_ref() == Ok(found))
        .copied()
}

/// A media range that names the charset of all answers, UTF-8, is one without.
fn without_charset(range: MediaType<'_>) -> MediaType<'_> {
    let params = range.params.iter().filter(|(name, value)| {
        *name != names::CHARSET || !value.unquoted_str().eq_ignore_ascii_case("utf-8")
    });
    MediaType {
        params: params.copied().collect(),
        ..range
    }
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    const OFFERED: [&str; 3] = ["text/event-stream", "application/json", "application/x-ndjson"];

    fn preferred_of(lines: &[&str]) -> Option<&'static str> {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(ACCEPT, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        preferred(&headers, &OFFERED)
    }

    #[test]
    fn a_client_gets_the_form_it_likes_best() {
        let [sse, json, ndjson] = OFFERED.map(Some);
        for (lines, expected) in [
            (&[][..], sse),
            (&[""], sse),
            (&["*/*"], sse),
            (&["text/event-stream"], sse),
            (&["application/json"], json),
            (&["Application/JSON"], json),
            (&["APPLICATION/X-NDJSON"], ndjson),
            (&["application/json; charset=utf-8"], json),
            (&["application/json;charset=\"UTF-8\";q=0.5"], json),
            (&["application/json;charset=latin1"], None),
            (&["application/json;version=1"], None),
            (&["application/json-seq"], None),
            (&["application/jsonx, application/vnd.api+json"], None),
            (&["text/html"], None),
            (&["application/json;q=0"], None),
            (&["application/json;q=0, text/event-stream"], sse),
            (&["application/json;q=0.000, */*"], sse),
            (&["text/event-stream;q=0, */*"], json),
            (
                &["text/event-stream;q=0, application/json;q=0, */*;q=0.1"],
                ndjson,
            ),
            (&["application/json;q=0.5, text/event-stream;q=0.9"], sse),
            (&["application/json;q=0.9, text/event-stream;q=0.5"], json),
            (&["application/json;Q=0.1, text/event-stream;q=0.2"], sse),
            (&["application/json ; q=0.9 , text/event-stream ; q=0.91"], sse),
            (&["text/event-stream, application/json"], sse),
            (&["application/json, text/event-stream"], json),
            (&["text/event-stream, application/json;charset=utf-8"], sse),
            (&["application/json, text/plain, */*"], json),
            (&["*/*, application/json"], json),
            (&["application/*"], json),
            (&["application/*;q=0.5, application/x-ndjson"], ndjson),
            (&["text/*, application/json;q=0.9"], sse),
            (
                &["text/html, application/xhtml+xml, application/xml;q=0.9, */*;q=0.8"],
                sse,
            ),
            (&["application/json;q=0.2", "text/event-stream"], sse),
            (&["text/html", "application/json"], json),
            (&["", "application/json"], json),
            (&["application/json,"], json),
            (&[", ,application/json"], json),
            (&["text/html, image/gif, image/jpeg, *; q=.2, */*; q=.2"], sse),
            (&["*, application/json"], json),
            (&["nonsense"], sse),
            (
                &["text/x;a=\"application/json, b\", application/x-ndjson"],
                ndjson,
            ),
            (&["é, application/json"], sse),
        ] {
            assert_eq!(preferred_of(lines), expected, "{lines:?}");
        }
    }
}
