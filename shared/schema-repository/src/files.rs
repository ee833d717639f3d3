//! A schema repository in memory.

use std::collections::BTreeMap;

use crate::error::{Fault, Problem};
use crate::node::Node;
use eventstar_yaml::{check_json, yaml_to_json};

/// A link to a link to a link: more is a loop.
const MAX_LINKS: usize = 8;

/// One file of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum File {
    /// Its bytes.
    Bytes(Vec<u8>),
    /// A symbolic link to a file in the same folder.
    Link(String),
}

/// The files below a base folder, by path: `mediawiki/page/change/current.yaml`.
pub type Files = BTreeMap<String, File>;

/// Version numbers, in their order.
pub type Version = [u64; 3];

/// `1.2.3` and nothing else.
pub(crate) fn parse_version(text: &str) -> Option<Version> {
    let mut parts = text.split('.').map(|part| {
        let is_plain =
            part.bytes().all(|byte| byte.is_ascii_digit()) && (part == "0" || !part.starts_with('0'));
        is_plain.then(|| part.parse().ok()).flatten()
    });
    let version = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(version)
}

pub(crate) fn show_version(version: Version) -> String {
    version.map(|part| part.to_string()).join(".")
}

/// The folder and the name of a path.
pub(crate) fn split(path: &str) -> (&str, &str) {
    path.rsplit_once('/').unwrap_or(("", path))
}

pub(crate) fn in_folder(folder: &str, name: &str) -> String {
    if folder.is_empty() {
        name.to_owned()
    } else {
        format!("{folder}/{name}")
    }
}

/// `1.2.3.yaml` → its version.
pub(crate) fn file_version(name: &str) -> Option<Version> {
    let stem = [".yaml", ".yml", ".json"]
        .iter()
        .find_map(|extension| name.strip_suffix(extension));
    parse_version(stem.unwrap_or(name))
}

/// What a link names; a checkout without links holds them as files whose text is the name.
pub(crate) fn link_target(name: &str, file: &File) -> Option<String> {
    match file {
        File::Link(target) => Some(target.clone()),
        File::Bytes(bytes) => {
            let text = str::from_utf8(bytes).ok()?.trim();
            (file_version(text).is_some() && text != name).then(|| text.to_owned())
        }
    }
}

/// The path of the file that a path leads to.
pub(crate) fn follow(files: &Files, path: &str) -> Result<String, Fault> {
    let mut path = path.to_owned();
    for _ in 0..MAX_LINKS {
        let (folder, name) = split(&path);
        let Some(file) = files.get(&path) else {
            return Err(Fault::new(path, "", Problem::Missing));
        };
        let Some(target) = link_target(name, file) else {
            return Ok(path);
        };
        let next = in_folder(folder, &target);
        if !files.contains_key(&next) {
            return Err(Fault::new(path, "", Problem::DanglingLink(target)));
        }
        path = next;
    }
    Err(Fault::new(path, "", Problem::DanglingLink("itself".to_owned())))
}

/// Reads the document at a path, through links.
pub fn read(files: &Files, path: &str) -> Result<Node, Fault> {
    let path = follow(files, path)?;
    let bytes = match files.get(&path) {
        Some(File::Bytes(bytes)) => bytes.as_slice(),
        _ => &[],
    };
    let fault = |problem| Fault::new(path.as_str(), "", problem);
    let text = str::from_utf8(bytes).map_err(|error| fault(Problem::NotUtf8(error.valid_up_to())))?;
    parse(&path, text).map_err(|error| fault(Problem::Malformed(error)))
}

/// Reads a text: JSON where its name says so, else YAML.
pub(crate) fn parse(name: &str, text: &str) -> Result<Node, String> {
    let json = if name.ends_with(".json") {
        check_json(text).map(|()| text.to_owned())
    } else {
        yaml_to_json(text)
    };
    let json = json.map_err(|error| error.to_string())?;
    serde_json::from_str(&json).map_err(|error| error.to_string())
}

/// Whether the text of a document of another server is a schema; else what is wrong with it.
pub fn check_remote(url: &str, text: &str) -> Result<(), String> {
    remote(url, text).map(|_| ())
}

/// A document of another server.
pub(crate) fn remote(url: &str, text: &str) -> Result<Node, String> {
    let node = parse(url, text)?;
    match node {
        Node::Object(_) => Ok(node),
        _ => Err("no schema is there: the root must be an object".to_owned()),
    }
}
