//! Redaction: who acted on pages that are nobody's business. Source: EventStreams, `lib/eventstreams-util.js:49-138`.
//!
//! An event is about a page if any member that holds a title, at any depth, has one of the page. Then every member that names who
//! acted is taken out. Where it cannot be told, nobody gets the event.

mod title;

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use eventstar_event::{Document, Kind, Node};
use eventstar_ports::Config;

/// The setting: `{"en.wikipedia.org": ["Page title", …]}`, the original's `mediawiki_redacted_pages`.
const SETTING: &str = "REDACTED_PAGES";

/// Members that name the wiki, besides URLs: of all events, of `mediawiki/recentchange` and of CirrusSearch's.
const DOMAINS: [&[&str]; 3] = [&["meta", "domain"], &["server_name"], &["domain"]];

/// Members that name who acted: those that the original takes out (`performer`, `user`, `editor` of a revision), and those of
/// `mediawiki/user/blocks-change`. What is true or false (`visibility.user`) is no name.
const ACTORS: [&str; 5] = ["performer", "user", "editor", "user_text", "user_id"];

/// The stream whose events keep an empty `performer`, as the original leaves it.
const PAGE_CHANGE: &str = "mediawiki.page_change.v1";

/// The pages whose actors readers must not see: titles by domain, as both are compared.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RedactedPages(HashMap<String, HashSet<String>>);

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Redaction {
    /// It is about no page of the list: readers may have it.
    Unneeded,
    /// Who acted is taken out: readers may have it.
    Done,
    /// It cannot be told whether it is about a page of the list: nobody gets it.
    Impossible,
}

/// The kind of value that a member holds, by its name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holds {
    Title,
    Titles,
    Url,
    Other,
}

/// Members that hold titles: `page_title`, `title`, `pageTitle` and all others with such an end, and `target` of the parameters
/// of a log entry, to where a page was moved. URLs of pages: `meta.uri`, `title_url`, `url`.
fn holds(name: &str, parent: &str) -> Holds {
    let name = name.to_lowercase();
    if name.ends_with("title") || name == "target" && parent == "log_params" {
        Holds::Title
    } else if name.ends_with("titles") {
        Holds::Titles
    } else if name.ends_with("url") || name.ends_with("uri") {
        Holds::Url
    } else {
        Holds::Other
    }
}

/// The members of an event that hold titles or URLs.
#[derive(Default)]
struct Found<'d> {
    titles: Vec<Node<'d>>,
    urls: Vec<Cow<'d, str>>,
}

impl<'d> Found<'d> {
    fn look(&mut self, node: Node<'d>, name: &str) {
        for child in node.children() {
            let of_child = child.name();
            match holds(&of_child, name) {
                Holds::Titles if child.kind() == Kind::Array => self.titles.extend(child.children()),
                Holds::Title | Holds::Titles => self.titles.push(child),
                Holds::Url => self.urls.extend(child.as_str()),
                Holds::Other => {}
            }
            self.look(child, &of_child);
        }
    }

    /// The titles as they are compared; `None` for one that cannot be told.
    fn titles(&self) -> Vec<Option<String>> {
        let of_urls = self.urls.iter().flat_map(|url| title::titles_of_url(url));
        self.titles
            .iter()
            .flat_map(|node| titles_of(*node))
            .chain(of_urls)
            .collect()
    }
}

/// A title as text, whatever JSON made of it: there are pages called `404` and `false`.
fn titles_of(node: Node<'_>) -> Vec<Option<String>> {
    let text = match node.kind() {
        Kind::Object | Kind::Array => None,
        Kind::String => node.as_str(),
        _ => Some(node.text()),
    };
    let mut titles = vec![text.and_then(|text| title::normalized(&text))];
    if node.kind() == Kind::Number {
        // `404.0` is the page `404` for a client that reads it as JavaScript does.
        titles.extend(
            node.scalar()
                .parse::<f64>()
                .ok()
                .map(|number| Some(number.to_string())),
        );
    }
    titles
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
        let setting: HashMap<String, Vec<String>> = serde_json::from_str(&text).map_err(|error| {
            format!("{SETTING} is no map from domain to page titles, {{\"en.wikipedia.org\": [\"A title\"]}}: {error}")
        })?;
        let mut pages: HashMap<String, HashSet<String>> = HashMap::new();
        for (domain, titles) in &setting {
            let key = title::domain(domain);
            if key.is_empty() {
                return Err(format!(
                    "{SETTING} has the domain '{domain}': write one like en.wikipedia.org"
                ));
            }
            let known = pages.entry(key).or_default();
            for title in titles {
                let normal = title::normalized(title).filter(|title| !title.is_empty());
                known.insert(normal.ok_or_else(|| {
                    format!("{SETTING} has '{title}' for {domain}, which no page is called: write the title as the wiki shows it")
                })?);
            }
        }
        Ok(Self(pages))
    }

    /// Takes out of `event` who acted, if it is about one of the pages.
    pub(crate) fn redact(&self, event: &mut Document<'_>) -> Redaction {
        if self.0.is_empty() {
            return Redaction::Unneeded;
        }
        let mut found = Found::default();
        found.look(event.root(), "");
        let named = DOMAINS.iter().filter_map(|place| event.get_str(place));
        let mut domains: HashSet<String> = named.map(|domain| title::domain(&domain)).collect();
        domains.extend(found.urls.iter().filter_map(|url| title::url_domain(url)));
        let lists: Vec<&HashSet<String>> = domains.iter().filter_map(|domain| self.0.get(domain)).collect();
        // An event without a domain, or with one that is no text, may be any wiki's.
        let has_domain = event
            .get_str(&["meta", "domain"])
            .is_some_and(|domain| !domain.is_empty());
        if lists.is_empty() && has_domain {
            return Redaction::Unneeded;
        }
        let titles = found.titles();
        let is_listed = |title: &String| lists.iter().any(|titles| titles.contains(title));
        let is_anywhere = |title: &String| self.0.values().any(|titles| titles.contains(title));
        let is_about_one = titles.iter().flatten().any(is_listed);
        let may_be = !has_domain && !is_about_one && titles.iter().flatten().any(is_anywhere);
        if may_be || titles.iter().any(Option::is_none) {
            Redaction::Impossible
        } else if is_about_one {
            without_actors(event)
        } else {
            Redaction::Unneeded
        }
    }
}

fn without_actors(event: &mut Document<'_>) -> Redaction {
    let is_page_change = event
        .get_str(&["meta", "stream"])
        .is_some_and(|stream| stream == PAGE_CHANGE);
    let mut text = String::with_capacity(event.sent_bytes());
    write(event.root(), &mut text);
    let Ok(mut rest) = Document::parse(text) else {
        return Redaction::Impossible;
    };
    if is_page_change {
        rest.set(&["performer"], "{}");
    }
    *event = rest;
    Redaction::Done
}

/// Writes a value without who acted.
fn write(node: Node<'_>, out: &mut String) {
    let (open, close) = match node.kind() {
        Kind::Object => ('{', '}'),
        Kind::Array => ('[', ']'),
        _ => {
            out.push_str(node.scalar());
            return;
        }
    };
    let is_kept = |child: &Node<'_>| {
        let name = child.name();
        child.kind() == Kind::Boolean || !ACTORS.contains(&name.as_ref())
    };
    out.push(open);
    for (nth, child) in node.children().filter(is_kept).enumerate() {
        if nth > 0 {
            out.push(',');
        }
        if node.kind() == Kind::Object {
            out.push_str(child.name_text());
            out.push(':');
        }
        write(child, out);
    }
    out.push(close);
}

#[cfg(test)]
mod tests;
