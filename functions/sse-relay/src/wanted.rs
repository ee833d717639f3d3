//! What a reader wants of its streams: which events, which of their members, and where to end. No I/O.

use std::borrow::Cow;

use eventstar_event::Document;
use eventstar_event::time::Millis;
use eventstar_http_api::query;
use eventstar_sse::read_time;
use http::Uri;

use crate::bounds::{Bounds, MAX_LIMIT};
use crate::fields::Fields;
use crate::filter::{Filter, MAX_CHARACTERS, MAX_TERMS};

/// Where events name their wiki: `wiki` in recentchange and EventLogging's capsules, `wiki_id` in page changes, `database`
/// in revision events, `mediawiki.database` in those of Metrics Platform clients.
const WIKI_FIELDS: [&[&str]; 4] = [&["wiki"], &["wiki_id"], &["database"], &["mediawiki", "database"]];

/// The `meta.domain` of canary events.
const CANARY: &str = "canary";

/// What a reader wants. By default everything, for good.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Wanted {
    filter: Option<Filter>,
    fields: Option<Fields>,
    pub(crate) bounds: Bounds,
}

/// A parameter that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct BadParameter {
    pub(crate) name: &'static str,
    problem: String,
}

impl std::fmt::Display for BadParameter {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.name, self.problem)
    }
}

impl Wanted {
    /// Reads `filter`, `canary`, `domain`, `wiki`, `fields`, `until` and `limit`. One that is empty is none.
    ///
    /// # Errors
    /// The first that cannot be obeyed.
    pub(crate) fn of(uri: &Uri, now: Millis) -> Result<Self, BadParameter> {
        Ok(Self {
            filter: filter(uri)?,
            fields: read(uri, "fields", Fields::parse)?,
            bounds: Bounds {
                until: read(uri, "until", |text| {
                    read_time(text, now).map_err(|error| error.to_string())
                })?,
                limit: read(uri, "limit", limit)?,
            },
        })
    }

    /// What is sent of an event, of which `text` is the JSON text; `None` for one that is not wanted.
    pub(crate) fn of_event<'e>(&self, text: &'e str) -> Option<Cow<'e, str>> {
        if self.filter.is_none() && self.fields.is_none() {
            return Some(Cow::Borrowed(text));
        }
        let event = Document::parse(text).ok()?;
        if self.filter.as_ref().is_some_and(|filter| !filter.matches(&event)) {
            return None;
        }
        Some(match &self.fields {
            Some(fields) => fields.of(&event).into(),
            None => Cow::Borrowed(text),
        })
    }
}

/// All that an event must be, as one filter.
fn filter(uri: &Uri) -> Result<Option<Filter>, BadParameter> {
    let domain = |names: &[&str]| Filter::one_of(&["meta", "domain"], names);
    let mut filters = Vec::new();
    if read(uri, "canary", canary)? == Some(false) {
        filters.push(Filter::Not(Box::new(domain(&[CANARY]))));
    }
    filters.extend(read(uri, "domain", |text| {
        names(text).map(|names| domain(&names))
    })?);
    filters.extend(read(uri, "wiki", |text| {
        names(text).map(|names| of_wiki(&names))
    })?);
    filters.extend(read(uri, "filter", |text| {
        Filter::parse(text).map_err(|error| error.to_string())
    })?);
    Ok((!filters.is_empty()).then_some(Filter::All(filters)))
}

fn of_wiki(names: &[&str]) -> Filter {
    Filter::Any(WIKI_FIELDS.map(|path| Filter::one_of(path, names)).into())
}

/// The value of a parameter, read. Given twice it is refused: one of the two would be lost.
fn read<T>(
    uri: &Uri,
    name: &'static str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, BadParameter> {
    let mut values = query(uri).into_iter().filter(|(key, _)| key == name);
    let value = values.next().map(|(_, value)| value);
    let parsed = match value.filter(|value| !value.is_empty()) {
        _ if values.next().is_some() => Err("is given more than once: give it once".to_owned()),
        Some(value) => parse(&value).map(Some),
        None => Ok(None),
    };
    parsed.map_err(|problem| BadParameter { name, problem })
}

fn canary(text: &str) -> Result<bool, String> {
    match text {
        "true" => Ok(true),
        "false" => Ok(false),
        _ => Err(format!(
            "expected true, for canary events as well, or false, for none, found '{}'",
            shown(text)
        )),
    }
}

/// The names of a comma list.
fn names(text: &str) -> Result<Vec<&str>, String> {
    let names: Vec<&str> = text.split(',').map(str::trim).collect();
    if text.chars().count() > MAX_CHARACTERS || names.len() > MAX_TERMS {
        return Err(format!(
            "too long: at most {MAX_TERMS} names and {MAX_CHARACTERS} characters are read"
        ));
    }
    if names.iter().any(|name| name.is_empty()) {
        return Err(format!(
            "expected names with commas between them, found '{}'",
            shown(text)
        ));
    }
    Ok(names)
}

fn limit(text: &str) -> Result<u32, String> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse()
        .ok()
        .filter(|limit| digits && (1..=MAX_LIMIT).contains(limit))
        .ok_or_else(|| {
            format!(
                "expected a number of events from 1 to {MAX_LIMIT}, found '{}'",
                shown(text)
            )
        })
}

fn shown(text: &str) -> String {
    text.chars().take(100).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_704_067_200_000;

    fn of(query: &str) -> Result<Wanted, BadParameter> {
        Wanted::of(&format!("/v2/stream/a?{query}").parse().unwrap(), NOW)
    }

    fn data(query: &str, event: &str) -> Option<String> {
        of(query).unwrap().of_event(event).map(Cow::into_owned)
    }

    #[test]
    fn without_parameters_everything_is_wanted_for_good() {
        for query in [
            "",
            "since=0",
            "filter=&fields=&canary=&domain=&wiki=&until=&limit=",
            "filters=a&Limit=x",
        ] {
            assert_eq!(of(query), Ok(Wanted::default()), "{query}");
        }
        let event = r#"{"meta":{"domain":"canary"},"n":1.0}"#;
        assert_eq!(data("canary=true", event).as_deref(), Some(event));
    }

    #[test]
    fn an_event_must_be_all_that_is_asked() {
        let event = r#"{"meta":{"domain":"en.wikipedia.org"},"wiki":"enwiki","n":1}"#;
        for (query, wanted) in [
            ("canary=false", true),
            ("domain=en.wikipedia.org", true),
            ("domain=de.wikipedia.org,%20en.wikipedia.org", true),
            ("domain=*.wikipedia.org", true),
            ("domain=de.wikipedia.org", false),
            ("domain=en", false),
            ("wiki=dewiki,enwiki", true),
            ("wiki=*wiki", true),
            ("wiki=dewiki", false),
            ("wiki=enwiki&filter=n=1", true),
            ("wiki=enwiki&filter=n=2", false),
            ("wiki=dewiki&filter=n=1", false),
            ("domain=de.wikipedia.org&wiki=enwiki", false),
        ] {
            assert_eq!(data(query, event).is_some(), wanted, "{query}");
        }
        assert_eq!(data("wiki=enwiki&fields=n", event).as_deref(), Some(r#"{"n":1}"#));
    }

    #[test]
    fn canary_events_are_those_of_that_domain() {
        for (event, wanted) in [
            (r#"{"meta":{"domain":"canary"}}"#, false),
            (r#"{"meta":{"domain":"canary.example.org"}}"#, true),
            (r#"{"meta":{}}"#, true),
            (r#"{"domain":"canary"}"#, true),
        ] {
            assert_eq!(data("canary=false", event).is_some(), wanted, "{event}");
        }
    }

    #[test]
    fn a_wiki_is_found_wherever_events_name_it() {
        for (event, wanted) in [
            (r#"{"wiki":"enwiki"}"#, true),
            (r#"{"wiki_id":"enwiki"}"#, true),
            (r#"{"database":"enwiki"}"#, true),
            (r#"{"mediawiki":{"database":"enwiki"}}"#, true),
            (r#"{"database":"dewiki"}"#, false),
            (r#"{"page":{"wiki":"enwiki"}}"#, false),
            (r#"{"n":1}"#, false),
        ] {
            assert_eq!(data("wiki=enwiki", event).is_some(), wanted, "{event}");
        }
    }

    #[test]
    fn a_read_is_bounded_by_a_time_and_a_number() {
        let bounds = |query| of(query).unwrap().bounds;
        assert_eq!(bounds("until=-5m").until, Some(NOW - 300_000));
        assert_eq!(bounds("until=2020-07-01").until, Some(1_593_561_600_000));
        assert_eq!(bounds("limit=1").limit, Some(1));
        assert_eq!(bounds("limit=1000000").limit, Some(MAX_LIMIT));
    }

    #[test]
    fn what_cannot_be_obeyed_is_refused() {
        let many = vec!["a"; MAX_TERMS + 1].join(",");
        for (query, problem) in [
            (
                "canary=1",
                "canary: expected true, for canary events as well, or false, for none, found '1'",
            ),
            (
                "domain=a,,b",
                "domain: expected names with commas between them, found 'a,,b'",
            ),
            (
                &format!("wiki={many}"),
                "wiki: too long: at most 64 names and 2000 characters",
            ),
            (
                "filter=a",
                "filter: column 2: expected one of = != < <= > >= : after a field, found the end",
            ),
            (
                "fields=a..b",
                "fields: expected names of fields with commas between them",
            ),
            (
                "until=soon",
                "until: expected milliseconds since the epoch, a time like",
            ),
            (
                "limit=0",
                "limit: expected a number of events from 1 to 1000000, found '0'",
            ),
            ("limit=1000001", "limit: expected"),
            ("limit=%2B1", "limit: expected"),
            ("limit=ten", "limit: expected"),
            ("limit=1&limit=2", "limit: is given more than once"),
            ("filter=a=1&filter=", "filter: is given more than once"),
        ] {
            let said = of(query).unwrap_err().to_string();
            assert!(said.starts_with(problem), "{query}: {said}");
        }
    }
}
