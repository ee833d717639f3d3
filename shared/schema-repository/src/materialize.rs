//! `current.yaml` → `x.y.z.yaml`, `x.y.z`, `latest.yaml` and `latest`.

use std::cell::RefCell;
use std::collections::BTreeMap;

use regex::Regex;

use crate::dereference::{Documents, Resolver, Sources};
use crate::error::{Fault, Problem};
use crate::example::add_example;
use crate::files::{File, Files, Version, file_version, follow, in_folder, link_target, show_version, split};
use crate::merge::merge_all_of;
use crate::node::{Node, Object};
use crate::options::Options;
use crate::remote::{Remote, base};
use crate::text::{write_json, write_yaml};

/// A file that should be there as it is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Path below the base.
    pub path: String,
    /// What it should be.
    pub file: File,
}

/// One version of a schema in the repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The folder below the base.
    pub title: String,
    /// The version the current file will become; `None` without one.
    pub current: Option<String>,
    /// The materialized versions, oldest first.
    pub versions: Vec<String>,
}

/// Where else than in a repository's own files to look for what a `$ref` names.
#[derive(Debug, Clone, Default)]
pub struct Others {
    /// The files of other repositories.
    pub files: Vec<Files>,
    /// Base URLs of repositories on other servers.
    pub urls: Vec<String>,
}

/// A repository: its own files and those of the bases it refers to.
pub struct Repository<'a, R> {
    documents: Documents,
    urls: Vec<String>,
    remote: &'a R,
    options: Options,
    ignored: Vec<Regex>,
    pending: RefCell<Vec<String>>,
}

impl<'a, R: Remote> Repository<'a, R> {
    /// A repository of `own` files; `others` are searched for what a `$ref` names and `own` does not have.
    pub fn new(own: Files, others: Others, options: Options, remote: &'a R) -> Result<Self, Fault> {
        let ignored = options.ignore_schemas.iter().map(|pattern| {
            let problem = |error| Problem::Config(format!("ignoreSchemas: {error}"));
            Regex::new(pattern).map_err(|error| Fault::new(".jsonschema-tools.yaml", "", problem(error)))
        });
        let ignored = ignored.collect::<Result<_, _>>()?;
        let urls = others.urls.iter().map(|url| base(url));
        Ok(Self {
            documents: Documents::new(own, others.files),
            urls: urls.collect(),
            remote,
            options,
            ignored,
            pending: RefCell::default(),
        })
    }

    fn read(&self, path: &str) -> Result<Node, Fault> {
        self.documents.read(0, path)
    }

    fn own(&self) -> Option<&Files> {
        self.documents.own()
    }

    /// Paths of the files that are edited by hand, in order.
    pub fn current_paths(&self) -> Vec<String> {
        let name = self.options.current_file();
        let paths = self.own().into_iter().flat_map(Files::keys);
        paths.filter(|path| split(path).1 == name).cloned().collect()
    }

    /// The titles and their versions.
    pub fn list(&self) -> Result<Vec<Listed>, Fault> {
        let mut titles: BTreeMap<&str, BTreeMap<Version, Vec<&str>>> = BTreeMap::new();
        for path in self.own().into_iter().flat_map(Files::keys) {
            let (folder, name) = split(path);
            if let Some(version) = file_version(name) {
                titles
                    .entry(folder)
                    .or_default()
                    .entry(version)
                    .or_default()
                    .push(path);
            } else if name == self.options.current_file() {
                titles.entry(folder).or_default();
            }
        }
        let mut list = Vec::new();
        for (title, versions) in titles {
            for paths in versions.values() {
                self.check_forms(paths)?;
            }
            let current = in_folder(title, &self.options.current_file());
            let current = match self.own() {
                Some(files) if files.contains_key(&current) => {
                    Some(show_version(self.version(&current, &self.read(&current)?)?))
                }
                _ => None,
            };
            list.push(Listed {
                title: title.to_owned(),
                current,
                versions: versions.into_keys().map(show_version).collect(),
            });
        }
        Ok(list)
    }

    /// All files of one version must say the same.
    fn check_forms(&self, paths: &[&str]) -> Result<(), Fault> {
        let Some(files) = self.own() else { return Ok(()) };
        let mut first: Option<(&str, Node)> = None;
        for path in paths {
            let node = match follow(files, path) {
                Ok(target) if target == **path => self.read(path)?,
                Ok(_) => continue,
                Err(fault) => return Err(fault),
            };
            match &first {
                Some((other, said)) if *said != node => {
                    let problem = Problem::DuplicateVersion((*other).to_owned());
                    return Err(Fault::new(*path, "", problem));
                }
                Some(_) => {}
                None => first = Some((path, node)),
            }
        }
        Ok(())
    }

    fn version(&self, path: &str, schema: &Node) -> Result<Version, Fault> {
        let id = field(schema, &self.options.schema_version_field).and_then(Node::as_str);
        id.and_then(|id| coerce(split(id).1))
            .ok_or_else(|| Fault::new(path, "", Problem::NoVersion))
    }

    /// The schema at a path without `$ref` and `allOf`, as its author wrote it otherwise.
    pub fn dereference(&self, path: &str) -> Result<Node, Fault> {
        let materialize = |folder: &str, version: &str| self.pending_version(folder, version);
        let resolver = Resolver::new(Sources {
            documents: &self.documents,
            urls: &self.urls,
            remote: self.remote,
            materialize: &materialize,
        });
        let schema = resolver.document(path)?;
        let has_examples = schema.get("examples").is_some();
        let merged = merge_all_of(&schema)
            .map_err(|(pointer, problem)| Fault::new(path, pointer, Problem::Unmergeable(problem)))?;
        match merged.as_object() {
            // Examples of a fragment are no examples of what is built of it.
            Some(members) if !has_examples && members.contains_key("examples") => {
                let kept = members.iter().filter(|(name, _)| &***name != "examples");
                Ok(Node::object(
                    kept.map(|(name, member)| (name.clone(), member.clone()))
                        .collect(),
                ))
            }
            _ => Ok(merged),
        }
    }

    /// The current schema of a folder, when it is the version that is asked for.
    fn pending_version(&self, folder: &str, version: &str) -> Option<Result<Node, Fault>> {
        let path = in_folder(folder, &self.options.current_file());
        self.own().filter(|files| files.contains_key(&path))?;
        let current = self.read(&path).and_then(|schema| self.version(&path, &schema));
        match current {
            Ok(current) if show_version(current) != version => return None,
            Ok(_) => {}
            Err(fault) => return Some(Err(fault)),
        }
        if self.pending.borrow().contains(&path) {
            let cycle = format!("{} → {path}", self.pending.borrow().join(" → "));
            return Some(Err(Fault::new(path, "", Problem::CyclicRef(cycle))));
        }
        Some(self.schema(&path))
    }

    /// The materialized form of the current schema at a path.
    pub fn schema(&self, path: &str) -> Result<Node, Fault> {
        self.pending.borrow_mut().push(path.to_owned());
        let schema = if self.options.should_dereference {
            self.dereference(path)
        } else {
            self.read(path)
        };
        self.pending.borrow_mut().pop();
        let mut schema = schema?;
        if let Some(range) = self.options.enforced_numeric_bounds.range() {
            schema = bounded(&schema, range);
        }
        if self.options.should_generate_example {
            schema = add_example(&schema, &self.options.schema_version_field)
                .map_err(|(pointer, why)| Fault::new(path, pointer, Problem::NoExample(why)))?;
        }
        Ok(schema)
    }

    /// What has to be written to materialize the current schema at a path; nothing when all of it is there. Without
    /// `force` a version that exists with other content is a fault.
    pub fn plan(&self, path: &str, force: bool) -> Result<Vec<Change>, Fault> {
        let Some(files) = self.own() else {
            return Ok(Vec::new());
        };
        let (folder, _) = split(path);
        let raw = self.read(path)?;
        let id = field(&raw, &self.options.schema_version_field).and_then(Node::as_str);
        if id.is_some_and(|id| self.ignored.iter().any(|pattern| pattern.is_match(id))) {
            return Ok(Vec::new());
        }
        let version = self.version(path, &raw)?;
        self.check_place(folder, path, &raw)?;
        let number = show_version(version);
        let forms: Vec<&str> = files
            .keys()
            .filter(|path| split(path).0 == folder && file_version(split(path).1) == Some(version))
            .map(String::as_str)
            .collect();
        self.check_forms(&forms)?;
        let schema = self.schema(path)?;
        let mut wanted = Vec::new();
        for (index, form) in self.options.content_types.iter().enumerate() {
            let name = format!("{number}.{form}");
            let text = if form == "json" {
                write_json(&schema)
            } else {
                write_yaml(&schema)
            };
            wanted.push((in_folder(folder, &name), File::Bytes(text.into_bytes())));
            let is_first = index == 0;
            if is_first && self.options.should_symlink_extensionless {
                wanted.push((in_folder(folder, &number), File::Link(name.clone())));
            }
            for latest in
                std::iter::once(format!("latest.{form}")).chain(is_first.then(|| "latest".to_owned()))
            {
                if self.options.should_symlink_latest && is_latest(files, folder, &latest, version) {
                    wanted.push((in_folder(folder, &latest), File::Link(name.clone())));
                }
            }
        }
        let mut changes = Vec::new();
        for (path, file) in wanted {
            let there = files.get(&path);
            let is_there = match (&file, there) {
                (File::Link(target), Some(there)) => {
                    link_target(split(&path).1, there).as_ref() == Some(target)
                }
                (_, there) => there == Some(&file),
            };
            if is_there {
                continue;
            }
            if !force
                && matches!(file, File::Bytes(_))
                && matches!(there, Some(File::Bytes(_)))
                && link_target(split(&path).1, there.unwrap_or(&file)).is_none()
                && self.read(&path)? != schema
            {
                return Err(Fault::new(path, "", Problem::VersionExists(number)));
            }
            changes.push(Change { path, file });
        }
        Ok(changes)
    }

    /// `$id` must end as the folder does; a folder above it, such as `development/`, may be left out.
    fn check_place(&self, folder: &str, path: &str, schema: &Node) -> Result<(), Fault> {
        let Some(id) = schema.get("$id").and_then(Node::as_str) else {
            return Ok(());
        };
        let title = split(id).0;
        let title = if title.starts_with('/') {
            title.to_owned()
        } else {
            format!("/{title}")
        };
        if format!("/{folder}").ends_with(&title) {
            return Ok(());
        }
        Err(Fault::new(
            path,
            "/$id",
            Problem::IdMismatch(id.to_owned(), format!("/{folder}")),
        ))
    }
}

/// A link moves only to a version that is not older. One that leads nowhere is mended.
fn is_latest(files: &Files, folder: &str, name: &str, version: Version) -> bool {
    let there = follow(files, &in_folder(folder, name)).ok();
    let there = there.and_then(|path| file_version(split(&path).1));
    there.is_none_or(|there| version >= there)
}

/// A member by its name or its dotted path.
fn field<'a>(schema: &'a Node, path: &str) -> Option<&'a Node> {
    schema
        .get(path)
        .or_else(|| path.split('.').try_fold(schema, |node, step| node.get(step)))
}

/// The first `x`, `x.y` or `x.y.z` in a text, as semver's `coerce` finds it.
fn coerce(text: &str) -> Option<Version> {
    let start = text.find(|character: char| character.is_ascii_digit())?;
    let mut version = [0; 3];
    let parts = text.get(start..)?.split('.');
    for (number, part) in version.iter_mut().zip(parts) {
        let digits = part
            .find(|character: char| !character.is_ascii_digit())
            .unwrap_or(part.len());
        let Some(value) = part.get(..digits).and_then(|digits| digits.parse().ok()) else {
            break;
        };
        *number = value;
        if digits < part.len() {
            break;
        }
    }
    Some(version)
}

/// The schema with bounds for every number that has none.
fn bounded(schema: &Node, range: (f64, f64)) -> Node {
    let Some(members) = schema.as_object() else {
        return schema.clone();
    };
    let by_name = |node: &Node| match node {
        Node::Object(members) => {
            let each = members
                .iter()
                .map(|(name, schema)| (name.clone(), bounded(schema, range)));
            Node::object(each.collect())
        }
        _ => node.clone(),
    };
    let each = |node: &Node| match node {
        Node::Array(items) => Node::array(items.iter().map(|schema| bounded(schema, range)).collect()),
        _ => bounded(node, range),
    };
    let mut result: Object = members
        .iter()
        .map(|(key, value)| {
            let value = match key.as_ref() {
                "properties" | "patternProperties" | "definitions" | "dependencies" => by_name(value),
                "items" | "allOf" | "anyOf" | "oneOf" => each(value),
                "additionalItems" | "contains" | "additionalProperties" | "propertyNames" | "not" => {
                    bounded(value, range)
                }
                _ => value.clone(),
            };
            (key.clone(), value)
        })
        .collect();
    if matches!(
        result.get("type").and_then(Node::as_str),
        Some("number" | "integer")
    ) {
        result.entry("minimum".into()).or_insert(Node::Number(range.0));
        result.entry("maximum".into()).or_insert(Node::Number(range.1));
    }
    Node::object(result)
}
