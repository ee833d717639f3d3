//! The folder of one schema: its edited file, its versions, and what points at them.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use eventstar_schema_repository::{check_json, yaml_to_json};
use serde_json::Value;

use super::config::Config;
use super::report::{Problem, Severity};
use crate::schema_repository::{Number, version_file};
use crate::worktree::WorkTree;

/// Titles are not this deep: the deepest known has 5 folders.
const MAX_DEPTH: usize = 32;

/// A name in a folder.
#[derive(Debug)]
pub(super) enum Entry {
    /// It leads to another name, as a symlink or, in a checkout without those, as a file that holds the name.
    Link(String),
    /// It is read.
    Read(Read),
    /// It cannot be read.
    Broken,
}

/// A schema file.
#[derive(Debug)]
pub(super) struct Read {
    pub(super) text: String,
    pub(super) json: String,
    pub(super) schema: Value,
}

impl Read {
    /// What the schema calls itself by.
    pub(super) fn id(&self) -> Option<&str> {
        self.schema.get("$id").and_then(Value::as_str)
    }

    /// The version in that.
    pub(super) fn version(&self) -> Option<Number> {
        let (version, _) = version_file(self.id()?.rsplit('/').next()?)?;
        Some(version)
    }
}

/// The names of one folder that matter.
#[derive(Debug)]
pub(super) struct Folder {
    /// The folder below the base, which is the title of its schema.
    pub(super) title: String,
    pub(super) path: PathBuf,
    pub(super) entries: BTreeMap<String, Entry>,
}

/// The folder of a schema, listed but not read.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listing {
    title: String,
    path: PathBuf,
    names: Vec<String>,
}

/// The folders below `base` that hold files of a schema, by title.
pub(super) fn folders(base: &Path, config: &Config) -> (Vec<Listing>, Vec<Problem>) {
    let mut found = Vec::new();
    let mut problems = Vec::new();
    let tree = match WorkTree::around(base) {
        Ok(tree) => tree,
        Err(error) => return (found, vec![unreadable(base, error.to_string())]),
    };
    let mut pending = vec![(String::new(), base.to_owned(), 0)];
    while let Some((title, path, depth)) = pending.pop() {
        let mut names: Vec<String> = match fs::read_dir(&path) {
            Ok(entries) => entries
                .flatten()
                .filter_map(|entry| entry.file_name().into_string().ok())
                .collect(),
            Err(error) => {
                problems.push(unreadable(&path, format!("cannot be listed: {error}")));
                continue;
            }
        };
        names.sort_unstable();
        let mut files = Vec::new();
        for name in names
            .into_iter()
            .filter(|name| !name.starts_with('.') && name != "node_modules")
        {
            let inner = path.join(&name);
            if !inner.is_dir() {
                if matters(&name, config) {
                    files.push(name);
                }
            } else if depth == MAX_DEPTH {
                problems.push(unreadable(&inner, format!("more than {MAX_DEPTH} folders deep")));
            } else if let Err(error) = tree.check_link(&inner) {
                problems.push(unreadable(&inner, format!("{error:#}")));
            } else if is_loop(&inner) {
                problems.push(unreadable(&inner, "a link to a folder it lies in".to_owned()));
            } else {
                let title = if title.is_empty() {
                    name
                } else {
                    format!("{title}/{name}")
                };
                pending.push((title, inner, depth + 1));
            }
        }
        if !files.is_empty() {
            found.push(Listing {
                title,
                path,
                names: files,
            });
        }
    }
    found.sort_unstable();
    (found, problems)
}

/// Whether a folder is a link to one above it.
fn is_loop(path: &Path) -> bool {
    path.is_symlink()
        && match (path.canonicalize(), path.parent().map(Path::canonicalize)) {
            (Ok(target), Some(Ok(parent))) => parent.starts_with(target),
            _ => true,
        }
}

fn matters(name: &str, config: &Config) -> bool {
    let (stem, extension) = split(name);
    version_file(name).is_some()
        || (stem == config.current_name || stem == "latest")
            && matches!(extension, "" | "yaml" | "yml" | "json")
}

/// A name without its extension, and that.
pub(super) fn split(name: &str) -> (&str, &str) {
    match name.rsplit_once('.') {
        Some((stem, extension @ ("json" | "yaml" | "yml"))) => (stem, extension),
        _ => (name, ""),
    }
}

impl Folder {
    /// Reads the files of a folder, save for those to be left alone.
    pub(super) fn read(listing: &Listing, config: &Config, problems: &mut Vec<Problem>) -> Self {
        let Listing { title, path, names } = listing;
        let mut folder = Self {
            title: title.clone(),
            path: path.clone(),
            entries: BTreeMap::new(),
        };
        folder.entries = names
            .iter()
            .map(|name| {
                let file = path.join(name);
                let entry = read_entry(&file, name).unwrap_or_else(|message| {
                    problems.push(unreadable(&file, message));
                    Entry::Broken
                });
                (name.clone(), entry)
            })
            .collect();
        let is_ignored = |name: &&String| {
            let read = folder.target(name).and_then(|name| folder.file(name));
            read.is_some_and(|read| config.is_ignored(read.id().unwrap_or_default()))
        };
        let ignored: Vec<String> = folder.entries.keys().filter(is_ignored).cloned().collect();
        folder.entries.retain(|name, _| !ignored.contains(name));
        folder
    }

    /// The versions, least first.
    pub(super) fn versions(&self) -> BTreeSet<Number> {
        self.entries
            .keys()
            .filter_map(|name| version_file(name))
            .map(|(version, _)| version)
            .collect()
    }

    /// A name that holds a schema of its own.
    pub(super) fn file(&self, name: &str) -> Option<&Read> {
        match self.entries.get(name)? {
            Entry::Read(read) => Some(read),
            _ => None,
        }
    }

    /// The name of the file that a name leads to; `None` where it leads nowhere.
    pub(super) fn target<'a>(&'a self, mut name: &'a str) -> Option<&'a str> {
        // `latest` may lead to `latest.yaml`, that to `1.0.0`, and that to `1.0.0.yaml`.
        for _ in 0..4 {
            match self.entries.get(name)? {
                Entry::Link(target) => name = target,
                _ => return Some(name),
            }
        }
        None
    }

    /// The file of a version to judge: of the main content type, or else any.
    pub(super) fn version(&self, version: &str, config: &Config) -> Option<(String, &Read)> {
        let extensions = config.content_types.iter().map(String::as_str);
        extensions
            .chain(["yaml", "json", "yml", ""])
            .map(|extension| match extension {
                "" => version.to_owned(),
                extension => format!("{version}.{extension}"),
            })
            .find_map(|name| self.file(&name).map(|read| (name.clone(), read)))
    }
}

/// `x.y.z`.
pub(super) fn text_of(version: Number) -> String {
    version.map(|part| part.to_string()).join(".")
}

fn read_entry(path: &Path, name: &str) -> Result<Entry, String> {
    if path.is_symlink() {
        let target = fs::read_link(path).map_err(|error| format!("cannot be read: {error}"))?;
        if !path.exists() {
            return Err(format!("leads to {}, which is missing", target.display()));
        }
        return match target.to_str() {
            Some(target) if !target.contains('/') => Ok(Entry::Link(target.to_owned())),
            _ => Err(format!("leads out of its folder, to {}", target.display())),
        };
    }
    let bytes = fs::read(path).map_err(|error| format!("cannot be read: {error}"))?;
    let text = String::from_utf8(bytes).map_err(|error| format!("not UTF-8: {error}"))?;
    let trimmed = text.trim();
    let is_name = version_file(trimmed).is_some() || split(trimmed).0 == "latest";
    if is_name && trimmed != name {
        return Ok(Entry::Link(trimmed.to_owned()));
    }
    let is_json = match split(name).1 {
        "json" => true,
        "" => text.trim_start().starts_with('{'),
        _ => false,
    };
    let json = if is_json {
        check_json(&text).map(|()| text.clone())
    } else {
        yaml_to_json(&text)
    };
    let json = json.map_err(|error| error.to_string())?;
    let schema: Value = serde_json::from_str(&json).map_err(|error| format!("not valid: {error}"))?;
    if !schema.is_object() {
        return Err("the root of a schema must be an object".to_owned());
    }
    Ok(Entry::Read(Read { text, json, schema }))
}

fn unreadable(path: &Path, message: String) -> Problem {
    Problem::new(
        Severity::Error,
        "structure-readable",
        path,
        message,
        "correct the file, or remove it",
    )
}
