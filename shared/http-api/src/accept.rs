//! Content negotiation: which of its forms a client would rather have an answer in (RFC 9110, 12.5.1).

use http::HeaderMap;
use http::header::ACCEPT;
use mediatype::{MediaType, MediaTypeList, Name, ReadParams as _, Value, names};

/// The one of the media types that the client would rather have; the first where it names none, or any. `None` where it
/// takes none of them: an answer in the usual form serves it better than 406.
///
/// A type has the weight of the most specific range that it is in. Of two with the same weight it is the one whose range the
/// client names first. Elements that are no media range are passed over.
#[must_use]
pub fn preferred<'o>(headers: &HeaderMap, offered: &[&'o str]) -> Option<&'o str> {
    let lines = headers.get_all(ACCEPT).iter();
    let ranges: Vec<MediaType<'_>> = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(MediaTypeList::new)
        .flatten()
        .collect();
    if ranges.is_empty() {
        return offered.first().copied();
    }
    let mut best: Option<(u16, usize, &str)> = None;
    for offered in offered {
        let Some((weight, place)) = weight_of(offered, &ranges) else {
            continue;
        };
        let is_better = |(most, first, _)| weight > most || (weight == most && place < first);
        if weight > 0 && best.is_none_or(is_better) {
            best = Some((weight, place, offered));
        }
    }
    best.map(|(_, _, offered)| offered)
}

/// The weight of a type, and the place of the range that it has it from; `None` where it is in no range.
fn weight_of(offered: &str, ranges: &[MediaType<'_>]) -> Option<(u16, usize)> {
    let offered = MediaType::parse(offered).ok()?;
    let mut found = None;
    let mut most = 0;
    for (place, range) in ranges.iter().enumerate() {
        let specificity = specificity(range, &offered);
        if specificity > most {
            most = specificity;
            found = Some((weight(range), place));
        }
    }
    found
}

/// The closeness of a range to a type: 3 by its name, 2 as `type/*`, 1 as `*/*`, and 0 not at all. A parameter is one of
/// another type, save the charset that all answers have.
fn specificity(range: &MediaType<'_>, offered: &MediaType<'_>) -> u8 {
    if range.params().any(is_of_another) {
        return 0;
    }
    let is_type = range.ty == offered.ty;
    if is_type && range.subty == offered.subty && range.suffix == offered.suffix {
        3
    } else if is_type && range.subty == names::_STAR {
        2
    } else {
        u8::from(range.ty == names::_STAR && range.subty == names::_STAR)
    }
}

fn is_of_another((name, value): (Name<'_>, Value<'_>)) -> bool {
    let is_charset = name == names::CHARSET && value.as_str().trim_matches('"').eq_ignore_ascii_case("utf-8");
    name != names::Q && !is_charset
}

/// The weight of a range, in thousandths. One that is no weight is none: the range is as good as others.
fn weight(range: &MediaType<'_>) -> u16 {
    const WHOLE: u16 = 1000;
    let weight = range.get_param(names::Q);
    weight
        .and_then(|weight| below_one(weight.as_str()))
        .unwrap_or(WHOLE)
}

/// The thousandths of `0`, or of `0.` and up to three digits.
fn below_one(weight: &str) -> Option<u16> {
    let fraction = match weight.strip_prefix('0')? {
        "" => "",
        rest => rest.strip_prefix('.')?,
    };
    let mut thousandths = 0;
    let mut place = 100;
    for digit in fraction.chars() {
        let digit = digit.to_digit(10).filter(|_| place > 0)?;
        thousandths += u16::try_from(digit).ok()? * place;
        place /= 10;
    }
    Some(thousandths)
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
            (&["*/*, application/json"], sse),
            (&["*/*;q=0.9, application/json"], json),
            (&["application/json;q=0.001, text/event-stream;q=0"], json),
            (&["application/json;q=1.000, text/event-stream;q=0.999"], json),
            (&["application/json;q=0.2, text/event-stream;q=0.10"], json),
            (&["application/json;q=0.2, text/event-stream;q=0.1000"], sse),
            (&["application/json;q=0.2, text/event-stream;q=x"], sse),
            (&["application/json;q=0.2, text/event-stream;q=-1"], sse),
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
