//! Titles and domains as they are compared. Source: MediaWiki, `MediaWikiTitleCodec::splitTitleString`.

use eventstar_http_api::decode_segment;
use unicode_normalization::UnicodeNormalization;

/// Most segments of a URL's path that are looked at: runs of them are titles, and there are as many as half their square.
const MAX_SEGMENTS: usize = 32;

/// A title as titles are compared, empty where there is none; `None` where it cannot be told which title it is.
///
/// Runs of white space and underscores are one underscore, and none at the ends; direction marks, a colon ahead and a fragment are
/// left out; letters are compared without case and by canonical equivalence, which takes in what a wiki does to the first letter,
/// whatever its settings. A namespace's name has no white space about its colon.
pub(super) fn normalized(title: &str) -> Option<String> {
    // No title has a character reference or a percent-encoded byte in it: these are made of text that MediaWiki would decode.
    if has_reference(title) {
        return None;
    }
    let decoded = decode_segment(title)?;
    let plain = decoded.split('#').next().unwrap_or_default();
    let letters: String = plain
        .chars()
        .filter(|letter| !is_direction_mark(*letter))
        .map(|letter| if is_space(letter) { '_' } else { letter })
        .nfd()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
        .nfd()
        .collect();
    let parts = letters.split(':').map(words);
    let title = parts.collect::<Vec<_>>().join(":");
    Some(title.trim_start_matches(':').to_owned())
}

/// The words between spaces, with one underscore between them.
fn words(text: &str) -> String {
    let words = text.split('_').filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("_")
}

/// The spaces of `$rxTc` (`[ _\xA0\x{1680}\x{180E}\x{2000}-\x{200A}\x{2028}\x{2029}\x{202F}\x{205F}\x{3000}]+`), and those that no
/// title may have.
fn is_space(letter: char) -> bool {
    letter == '_' || letter == '\u{180e}' || letter.is_whitespace()
}

fn is_direction_mark(letter: char) -> bool {
    matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}')
}

/// True if there is an HTML character reference, such as `&amp;` or `&#32;`.
fn has_reference(text: &str) -> bool {
    let mut after = text.split('&');
    after.next();
    after.any(|rest| {
        rest.split_once(';').is_some_and(|(name, _)| {
            !name.is_empty() && name.chars().all(|c| c == '#' || c.is_alphanumeric())
        })
    })
}

/// A domain as domains are compared: without case, a dot at the end, a port, and the labels that lead to another form of the
/// same wiki (`www`, and `m` of MobileFrontend).
pub(super) fn domain(text: &str) -> String {
    let host = text.trim().to_lowercase();
    let host = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => &host,
    };
    let labels = host.trim_end_matches('.').split('.');
    let labels = labels.filter(|label| !matches!(*label, "www" | "m"));
    labels.collect::<Vec<_>>().join(".")
}

/// The domain of a URL, as domains are compared.
pub(super) fn url_domain(url: &str) -> Option<String> {
    let host = split(url).0?;
    host.rsplit('@').next().map(domain)
}

/// Host, and what comes after it, without the fragment.
fn split(url: &str) -> (Option<&str>, &str) {
    let url = url.split('#').next().unwrap_or_default();
    let Some((_, rest)) = url.split_once("//") else {
        return (None, url);
    };
    let host = rest.split(['/', '?']).next().unwrap_or_default();
    (Some(host), rest.get(host.len()..).unwrap_or_default())
}

/// The titles that a URL may be of, at any wiki; `None` for one that cannot be told. They are those of `/wiki/Title` and
/// `?title=Title`, else any run of segments of the path may be one.
pub(super) fn titles_of_url(url: &str) -> Vec<Option<String>> {
    let (_, tail) = split(url);
    let (path, query) = tail.split_once('?').unwrap_or((tail, ""));
    let mut titles: Vec<Option<String>> = form_urlencoded::parse(query.as_bytes())
        .map(|(_, value)| normalized(&value))
        .collect();
    if let Some((_, title)) = path.split_once("/wiki/") {
        titles.push(normalized(title));
        return titles;
    }
    let segments: Vec<&str> = path.split('/').filter(|part| !part.is_empty()).collect();
    if segments.len() > MAX_SEGMENTS {
        titles.push(None);
        return titles;
    }
    for start in 0..segments.len() {
        let rest = segments.get(start..).unwrap_or_default();
        for length in 1..=rest.len() {
            let run = rest.get(..length).unwrap_or_default();
            titles.push(normalized(&run.join("/")));
        }
    }
    titles
}
