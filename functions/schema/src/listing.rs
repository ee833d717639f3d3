//! Folders, as nginx's `autoindex_format json` lists them, and as pages for browsers.

use std::collections::BTreeMap;

use eventstar_event::time::Millis;
use eventstar_http_api::{Request, Response, error, http_date, text};
use eventstar_pages::Html;
use eventstar_ports::{Platform, PortError};
use eventstar_stores::{FileNote, IndexDocument, decode, keys, read_many_through, read_through};
use http::StatusCode;

use crate::crumbs;
use crate::place::Place;
use crate::{SHORT, for_browser, negotiated, page, repositories, to_folder, with_cache};

/// Most keys read at once.
const MAX_KEYS: usize = 100;

/// One entry of a listing.
#[derive(Debug, PartialEq, Eq)]
struct Entry {
    name: String,
    is_folder: bool,
    /// When it was last published, where that is known.
    modified: Option<Millis>,
    /// Bytes of a file, where that is known.
    size: Option<usize>,
}

impl Entry {
    fn folder(name: &str, modified: Option<Millis>) -> Self {
        Self {
            name: name.to_owned(),
            is_folder: true,
            modified,
            size: None,
        }
    }
}

/// Answers `/repositories/` and the folder of one repository.
pub(crate) async fn of_repositories<P: Platform>(
    platform: &P,
    request: &Request,
    place: &Place<'_>,
) -> Result<Response, PortError> {
    let names = repositories(platform).await?;
    let mut entries = Vec::with_capacity(names.len());
    for names in names.chunks(MAX_KEYS) {
        let keys: Vec<String> = names.iter().map(|name| keys::index(name)).collect();
        let values = read_many_through(platform, &keys).await;
        for ((name, key), value) in names.iter().zip(&keys).zip(values) {
            let index = value?
                .map(|value| decode::<IndexDocument>(key, &value))
                .transpose()?;
            let modified = index.and_then(|index| newest(index.files.values()));
            entries.push(Entry::folder(name, modified));
        }
    }
    if let Some(repository) = place.segments.first() {
        let Some(entry) = entries.iter().find(|entry| entry.name == *repository) else {
            return Ok(no_repository(request, repository));
        };
        entries = vec![Entry::folder("jsonschema", entry.modified)];
    }
    if !place.is_folder {
        return Ok(to_folder(request));
    }
    Ok(folder(request, place, &entries))
}

/// Answers a folder within a repository: `below` are its segments after `jsonschema`.
pub(crate) async fn of_repository<P: Platform>(
    platform: &P,
    request: &Request,
    place: &Place<'_>,
    repository: &str,
    below: &[&str],
) -> Result<Response, PortError> {
    let key = keys::index(repository);
    let index = match read_through(platform, &key).await? {
        Some(value) => decode::<IndexDocument>(&key, &value)?,
        None => IndexDocument::default(),
    };
    let entries = entries(&index, below);
    if entries.is_empty() {
        return Ok(match below {
            [] => no_repository(request, repository),
            [.., "current" | "current.yaml"] => {
                let detail = "current.yaml is the source that versions are made of, which is not published: latest.yaml is the newest version";
                missing(request, "Schema Not Found", detail)
            }
            _ => {
                let path = below.join("/");
                let detail = format!(
                    "repository {repository} has no schema /{path}: GET /repositories lists the repositories"
                );
                missing(request, "Schema Not Found", &detail)
            }
        });
    }
    if !place.is_folder {
        return Ok(to_folder(request));
    }
    Ok(folder(request, place, &entries))
}

fn no_repository(request: &Request, repository: &str) -> Response {
    let detail = format!("there is no repository {repository}: GET /repositories lists the repositories");
    missing(request, "Repository Not Found", &detail)
}

fn missing(request: &Request, title: &str, detail: &str) -> Response {
    error(request, StatusCode::NOT_FOUND, "not_found", title, detail)
}

fn newest<'a>(notes: impl Iterator<Item = &'a BTreeMap<String, FileNote>>) -> Option<Millis> {
    notes.flat_map(BTreeMap::values).map(|note| note.published).max()
}

/// Folders first, as nginx has it; then the versions, ascending by semver, each in all its forms, and `latest`.
fn entries(index: &IndexDocument, below: &[&str]) -> Vec<Entry> {
    let prefix: String = below.iter().map(|segment| format!("{segment}/")).collect();
    let mut folders: BTreeMap<&str, Option<Millis>> = BTreeMap::new();
    for title in index.titles.keys() {
        if let Some(rest) = title.strip_prefix(&prefix) {
            let name = rest.split('/').next().unwrap_or(rest);
            let modified = folders.entry(name).or_default();
            *modified = newest(index.files.get(title).into_iter()).max(*modified);
        }
    }
    let mut entries: Vec<Entry> = folders
        .into_iter()
        .map(|(name, modified)| Entry::folder(name, modified))
        .collect();
    let title = below.join("/");
    let versions = index.titles.get(&title).map(Vec::as_slice).unwrap_or_default();
    let notes = index.files.get(&title);
    let latest = versions.last().map(|version| ("latest", version.as_str()));
    let named = versions
        .iter()
        .map(|version| (version.as_str(), version.as_str()));
    for (name, version) in named.chain(latest) {
        let note = notes.and_then(|notes| notes.get(version));
        let json = note.map(|note| note.json);
        let yaml = note.and_then(|note| note.yaml).or(json);
        for (extension, size) in [("", yaml), (".json", json), (".yaml", yaml)] {
            entries.push(Entry {
                name: format!("{name}{extension}"),
                is_folder: false,
                modified: note.map(|note| note.published),
                size,
            });
        }
    }
    entries
}

fn folder(request: &Request, place: &Place<'_>, entries: &[Entry]) -> Response {
    if for_browser(request) {
        return page(to_page(place, entries));
    }
    let response = text(
        StatusCode::OK,
        "application/json; charset=utf-8",
        to_json(entries),
    );
    with_cache(negotiated(response), SHORT)
}

/// The text that nginx writes (`ngx_http_autoindex_module.c`), without what is not known. Names need no escapes.
fn to_json(entries: &[Entry]) -> String {
    let lines: Vec<String> = entries
        .iter()
        .map(|entry| {
            let kind = if entry.is_folder { "directory" } else { "file" };
            let mut line = format!("\r\n{{ \"name\":\"{}\", \"type\":\"{kind}\"", entry.name);
            if let Some(modified) = entry.modified {
                line.push_str(&format!(", \"mtime\":\"{}\"", http_date(modified)));
            }
            if let Some(size) = entry.size {
                line.push_str(&format!(", \"size\":{size}"));
            }
            line + " }"
        })
        .collect();
    format!("[{}\r\n]", lines.join(","))
}

fn to_page(place: &Place<'_>, entries: &[Entry]) -> String {
    let title = match place.segments.as_slice() {
        [] => "Schema repositories".to_owned(),
        segments => segments.join("/"),
    };
    let mut html = Html::begin(&title);
    let (current, folders) = match place.segments.split_last() {
        Some((current, folders)) => (*current, folders),
        None => ("repositories", Default::default()),
    };
    crumbs::write(&mut html, folders, current, place.segments.len());
    html.raw("<h1>");
    html.name(&title, '/');
    html.raw("</h1>\n");
    html.raw("<table><thead><tr><th>Name<th>Published<th class=n>Bytes</thead><tbody>\n");
    // A version's row links its other forms.
    let is_form = |entry: &Entry| !entry.is_folder && has_extension(&entry.name);
    for entry in entries.iter().filter(|entry| !is_form(entry)) {
        let name = &entry.name;
        html.raw("<tr><td>");
        if entry.is_folder {
            html.link(&format!("{name}/"), &format!("{name}/"));
        } else {
            html.link(name, name);
            html.raw(" <small>");
            for extension in ["yaml", "json"] {
                html.link(&format!("{name}.{extension}"), extension);
                html.raw(" ");
            }
            html.raw("</small>");
        }
        html.element("td", &entry.modified.map(http_date).unwrap_or_default());
        let size = entry.size.map(|size| size.to_string());
        html.raw("<td class=n>");
        html.text(&size.unwrap_or_default());
        html.raw("\n");
    }
    html.raw("</tbody></table>\n");
    html.end()
}

/// Whether a file's name ends with the extension of a form.
fn has_extension(name: &str) -> bool {
    name.ends_with(".json") || name.ends_with(".yaml")
}

#[cfg(test)]
#[path = "listing_tests.rs"]
mod tests;
