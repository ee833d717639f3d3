//! Redaction: who acted on pages that are nobody's business. Source: EventStreams, `lib/eventstreams-util.js:49-138`.

use std::collections::{HashMap, HashSet};

use eventstar_event::json::quote;
use eventstar_event::{Document, Kind, Node};
use eventstar_ports::Config;

/// The setting: `{"en.wikipedia.org": ["Page title", …]}`, the original's `mediawiki_redacted_pages`.
const SETTING: &str = "REDACTED_PAGES";

/// The pages whose actors readers must not see, by domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RedactedPages(HashMap<String, HashSet<String>>);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redaction {
    /// Readers may have it.
    Done,
    /// It cannot be told whether it is about a page on the list: nobody gets it.
    Impossible,
}

impl RedactedPages {
    /// Reads the setting `REDACTED_PAGES`.
    ///
    /// # Errors
    /// What is wrong with it. Nothing may then be read at all: what should be redacted is not known.
    pub(crate) fn of(config: &impl Config) -> Result<Self, String> {
        let Some(text) = config.get(SETTING) else {
            return Ok(Self::default());
        };
        let pages: HashMap<String, Vec<String>> = serde_json::from_str(&text).map_err(|error| {
            format!("{SETTING} is no map from domain to page titles, {{\"en.wikipedia.org\": [\"A title\"]}}: {error}")
        })?;
        let normal = |titles: Vec<String>| titles.iter().map(|title| normalized(title)).collect();
        Ok(Self(
            pages
                .into_iter()
                .map(|(domain, titles)| (domain, normal(titles)))
                .collect(),
        ))
    }

    /// Takes out of `event` who acted, if it is about one of the pages.
    pub(crate) fn redact(&self, event: &mut Document<'_>) -> Redaction {
        if self.0.is_empty() {
            return Redaction::Done;
        }
        let titles = event
            .get_str(&["meta", "domain"])
            .and_then(|domain| self.0.get(domain.as_ref()));
        let Some(titles) = titles else {
            return Redaction::Done;
        };
        let stream = event
            .get_str(&["meta", "stream"])
            .unwrap_or_default()
            .into_owned();
        let places: &[&[&str]] = match stream.as_str() {
            "mediawiki.page_change.v1" => &[&["page", "page_title"]],
            "mediawiki.recentchange" => &[&["title"]],
            _ => &[&["page_title"], &["page", "page_title"]],
        };
        let Some(title) = places.iter().find_map(|place| event.get(place)) else {
            return Redaction::Done;
        };
        match title_of(title) {
            None => return Redaction::Impossible,
            Some(title) if !titles.contains(&normalized(&title)) => return Redaction::Done,
            Some(_) => {}
        }
        match stream.as_str() {
            "mediawiki.page_change.v1" => {
                event.set(&["performer"], "{}");
                remove(event, &["revision"], "editor");
                remove(event, &["prior_state", "revision"], "editor");
            }
            "mediawiki.recentchange" => remove(event, &[], "user"),
            _ => remove(event, &[], "performer"),
        }
        Redaction::Done
    }
}

/// A title as text, whatever JSON made of it: there are pages called `404` and `false`.
fn title_of(title: Node<'_>) -> Option<String> {
    match title.kind() {
        Kind::Object | Kind::Array => None,
        Kind::String => title.as_str().map(|title| title.into_owned()),
        _ => Some(title.text().into_owned()),
    }
}

fn normalized(title: &str) -> String {
    title.trim().replace(' ', "_").to_lowercase()
}

/// Removes `member` from the object at `path`, if it is there.
fn remove(event: &mut Document<'_>, path: &[&str], member: &str) {
    let Some(object) = event
        .get(path)
        .filter(|object| object.kind() == Kind::Object && object.member(member).is_some())
    else {
        return;
    };
    let rest: Vec<String> = object
        .children()
        .filter(|child| child.name() != member)
        .map(|child| format!("{}:{}", quote(&child.name()), child.text()))
        .collect();
    let rest = format!("{{{}}}", rest.join(","));
    if !path.is_empty() {
        event.set(path, &rest);
    } else if let Ok(rest) = Document::parse(rest) {
        *event = rest;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    struct Setting(&'static str);

    impl Config for Setting {
        fn get(&self, name: &str) -> Option<String> {
            (name == SETTING && !self.0.is_empty()).then(|| self.0.to_owned())
        }
    }

    const PAGES: &str = r#"{"en.test": ["Secret Page", " trimmed ", "404", "false"]}"#;

    fn redacted(event: &Value) -> (Redaction, Value) {
        let pages = RedactedPages::of(&Setting(PAGES)).unwrap();
        let text = event.to_string();
        let mut document = Document::parse(&text).unwrap();
        let redaction = pages.redact(&mut document);
        (redaction, serde_json::from_str(&document.into_string()).unwrap())
    }

    /// test/lib/eventstreams-util.js:68-213.
    #[test]
    fn who_acted_on_a_page_of_the_list_is_taken_out() {
        let meta = |stream: &str, domain: &str| json!({"stream": stream, "domain": domain});
        let change = |domain: &str, title: &str| {
            json!({
                "meta": meta("mediawiki.page_change.v1", domain), "page": {"page_title": title},
                "performer": {"user_text": "A"}, "revision": {"editor": {"user_text": "A"}, "rev_id": 1},
                "prior_state": {"revision": {"rev_id": 0, "editor": {"user_text": "B"}}},
            })
        };
        for (event, expected) in [
            (
                change("en.test", "Secret_Page"),
                json!({
                    "meta": meta("mediawiki.page_change.v1", "en.test"), "page": {"page_title": "Secret_Page"},
                    "performer": {}, "revision": {"rev_id": 1}, "prior_state": {"revision": {"rev_id": 0}},
                }),
            ),
            (change("de.test", "Secret_Page"), change("de.test", "Secret_Page")),
            (change("en.test", "Other"), change("en.test", "Other")),
            (
                json!({"meta": meta("mediawiki.page_change.v1", "en.test"), "page": {"page_title": "trimmed"}, "n": 1.5}),
                json!({"meta": meta("mediawiki.page_change.v1", "en.test"), "page": {"page_title": "trimmed"}, "n": 1.5, "performer": {}}),
            ),
            (
                json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "secret page", "user": "A", "id": 1}),
                json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "secret page", "id": 1}),
            ),
            (
                json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "x", "user": "A"}),
                json!({"meta": meta("mediawiki.recentchange", "en.test"), "title": "x", "user": "A"}),
            ),
            (
                json!({"meta": meta("other", "en.test"), "page_title": "Secret Page", "performer": {"a": 1}}),
                json!({"meta": meta("other", "en.test"), "page_title": "Secret Page"}),
            ),
            (
                json!({"meta": meta("other", "en.test"), "page": {"page_title": 404}, "performer": {"a": 1}}),
                json!({"meta": meta("other", "en.test"), "page": {"page_title": 404}}),
            ),
            (
                json!({"meta": meta("other", "en.test"), "page_title": false, "performer": {"a": 1}}),
                json!({"meta": meta("other", "en.test"), "page_title": false}),
            ),
            (
                json!({"meta": meta("other", "en.test"), "performer": {"a": 1}}),
                json!({"meta": meta("other", "en.test"), "performer": {"a": 1}}),
            ),
            (json!({}), json!({})),
        ] {
            assert_eq!(redacted(&event), (Redaction::Done, expected), "{event}");
        }
    }

    #[test]
    fn an_event_whose_page_cannot_be_told_is_withheld() {
        let event = json!({"meta": {"stream": "x", "domain": "en.test"}, "page_title": ["Secret Page"], "performer": 1});
        assert_eq!(redacted(&event).0, Redaction::Impossible);
    }

    #[test]
    fn a_setting_that_is_no_map_of_titles_is_an_error() {
        assert_eq!(RedactedPages::of(&Setting("")), Ok(RedactedPages::default()));
        for bad in ["[]", "{\"a\": \"b\"}", "nope", "{\"a\": [1]}"] {
            assert!(
                RedactedPages::of(&Setting(bad))
                    .unwrap_err()
                    .contains("REDACTED_PAGES"),
                "{bad}"
            );
        }
    }
}
