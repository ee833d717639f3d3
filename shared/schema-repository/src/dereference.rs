//! `$ref`, resolved as json-schema-ref-parser 7 does: anywhere, examples included; members beside it win.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::{Fault, Problem};
use crate::files::{Files, file_version, in_folder, read, split};
use crate::node::{Node, Object, join};

/// A document: which of the bases, and the path in it.
type Place = (usize, String);

/// Materializes the current schema of a folder, where it has the version that is asked for.
pub(crate) type Materialize<'a> = dyn Fn(&str, &str) -> Option<Result<Node, Fault>> + 'a;

/// Documents of one or more bases, with what has been resolved of them.
pub(crate) struct Resolver<'a> {
    bases: &'a [Files],
    documents: RefCell<HashMap<Place, Node>>,
    resolved: RefCell<HashMap<(Place, String), Node>>,
    active: RefCell<Vec<(Place, String)>>,
    materialize: &'a Materialize<'a>,
}

impl<'a> Resolver<'a> {
    pub(crate) fn new(bases: &'a [Files], materialize: &'a Materialize<'a>) -> Self {
        Self {
            bases,
            documents: RefCell::default(),
            resolved: RefCell::default(),
            active: RefCell::default(),
            materialize,
        }
    }

    /// The document at a path of the first base, without any `$ref`.
    pub(crate) fn document(&self, path: &str) -> Result<Node, Fault> {
        let place = (0, path.to_owned());
        let root = self.read(&place)?;
        self.target(&place, "", &root, path, "")
    }

    fn read(&self, place: &Place) -> Result<Node, Fault> {
        if let Some(document) = self.documents.borrow().get(place) {
            return Ok(document.clone());
        }
        let files = self
            .bases
            .get(place.0)
            .ok_or_else(|| Fault::new(&place.1, "", Problem::Missing))?;
        let document = read(files, &place.1)?;
        self.documents
            .borrow_mut()
            .insert(place.clone(), document.clone());
        Ok(document)
    }

    /// Resolves what stands at `pointer` of a document.
    fn target(&self, place: &Place, pointer: &str, node: &Node, file: &str, at: &str) -> Result<Node, Fault> {
        let key = (place.clone(), pointer.to_owned());
        let cycle = {
            let active = self.active.borrow();
            active.iter().position(|other| *other == key).map(|start| {
                let steps = active.iter().skip(start).chain([&key]);
                let steps: Vec<_> = steps
                    .map(|((_, path), pointer)| format!("{path}#{pointer}"))
                    .collect();
                steps.join(" → ")
            })
        };
        if let Some(cycle) = cycle {
            return Err(Fault::new(file, at, Problem::CyclicRef(cycle)));
        }
        self.active.borrow_mut().push(key);
        let result = self.walk(place, pointer, node);
        self.active.borrow_mut().pop();
        result
    }

    /// Resolves a node once, so that whoever refers to it gets the very same.
    fn walk(&self, place: &Place, pointer: &str, node: &Node) -> Result<Node, Fault> {
        if node.identity().is_none() {
            return Ok(node.clone());
        }
        let key = (place.clone(), pointer.to_owned());
        if let Some(node) = self.resolved.borrow().get(&key) {
            return Ok(node.clone());
        }
        let node = self.resolve(place, pointer, node)?;
        self.resolved.borrow_mut().insert(key, node.clone());
        Ok(node)
    }

    fn resolve(&self, place: &Place, pointer: &str, node: &Node) -> Result<Node, Fault> {
        match node {
            Node::Object(members) => {
                let reference = members
                    .get("$ref")
                    .and_then(Node::as_str)
                    .filter(|uri| !uri.is_empty());
                let target = match reference {
                    Some(uri) => Some(self.reference(place, pointer, uri)?),
                    None => None,
                };
                if let Some(target) = &target
                    && (members.len() == 1 || target.as_object().is_none())
                {
                    return Ok(target.clone());
                }
                let mut resolved = Object::new();
                for (name, member) in members
                    .iter()
                    .filter(|(name, _)| target.is_none() || &***name != "$ref")
                {
                    resolved.insert(name.clone(), self.walk(place, &join(pointer, name), member)?);
                }
                for (name, member) in target.iter().filter_map(Node::as_object).flatten() {
                    resolved.entry(name.clone()).or_insert_with(|| member.clone());
                }
                Ok(Node::object(resolved))
            }
            Node::Array(items) => {
                let each = items.iter().enumerate();
                let items = each.map(|(index, item)| self.walk(place, &join(pointer, index), item));
                items.collect::<Result<_, _>>().map(Node::array)
            }
            _ => Ok(node.clone()),
        }
    }

    fn reference(&self, place: &Place, at: &str, uri: &str) -> Result<Node, Fault> {
        let fault = |problem| Fault::new(place.1.as_str(), join(at, "$ref"), problem);
        let unknown = |why: &str| fault(Problem::UnknownRef(uri.to_owned(), why.to_owned()));
        if uri.contains("://") {
            return Err(fault(Problem::RemoteRef(uri.to_owned())));
        }
        let (path, fragment) = uri.split_once('#').unwrap_or((uri, ""));
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return Err(unknown(
                ": a fragment is a JSON pointer, such as `#/properties/x`",
            ));
        }
        let (target, root) = if path.is_empty() || path == "./" {
            (place.clone(), self.read(place)?)
        } else {
            let folder = if path.starts_with('/') {
                ""
            } else {
                split(&place.1).0
            };
            let path = normalize(folder, path).ok_or_else(|| fault(Problem::OutsideRef(uri.to_owned())))?;
            match self.find(place.0, &path)? {
                Some(found) => found,
                None => return Err(unknown(&format!(": there is no {path} in the repository"))),
            }
        };
        let steps: Option<Vec<String>> = fragment.split('/').skip(1).map(unescape).collect();
        let steps = steps.ok_or_else(|| unknown(": the fragment is not percent-encoded UTF-8"))?;
        let mut node = root;
        let mut pointer = String::new();
        for (index, step) in steps.iter().enumerate() {
            let next = match &node {
                Node::Array(items) => step.parse().ok().and_then(|index: usize| items.get(index)),
                _ => node.get(step),
            };
            if let Some(next) = next {
                node = next.clone();
                pointer = join(&pointer, step);
            } else if node.get("$ref").and_then(Node::as_str).is_some() {
                // The pointer goes on through another reference.
                let mut node = self.target(&target, &pointer, &node, &place.1, at)?;
                for step in steps.iter().skip(index) {
                    node = node
                        .get(step)
                        .cloned()
                        .ok_or_else(|| unknown(&format!(": {step} is missing there")))?;
                }
                return Ok(node);
            } else {
                return Err(unknown(&format!(": {step} is missing there")));
            }
        }
        self.target(&target, &pointer, &node, &place.1, &join(at, "$ref"))
    }

    /// The document that a path names, in the first base that has it; the own base comes first.
    fn find(&self, own: usize, path: &str) -> Result<Option<(Place, Node)>, Fault> {
        let others = (0..self.bases.len()).filter(|base| *base != own);
        for base in std::iter::once(own).chain(others) {
            for extension in ["", ".yaml", ".json", ".yml"] {
                let place = (base, format!("{path}{extension}"));
                if self
                    .bases
                    .get(base)
                    .is_some_and(|files| files.contains_key(&place.1))
                {
                    let document = self.read(&place)?;
                    return Ok(Some((place, document)));
                }
            }
        }
        let (folder, name) = split(path);
        let version = file_version(name).map(crate::files::show_version);
        match version.and_then(|version| (self.materialize)(folder, &version)) {
            Some(document) => {
                let place = (0, in_folder(folder, name));
                let document = document?;
                self.documents
                    .borrow_mut()
                    .insert(place.clone(), document.clone());
                Ok(Some((place, document)))
            }
            None => Ok(None),
        }
    }
}

/// Joins a relative path to a folder; `None` when it leaves the base.
fn normalize(folder: &str, path: &str) -> Option<String> {
    let mut steps: Vec<&str> = Vec::new();
    for step in folder.split('/').chain(path.split('/')) {
        match step {
            "" | "." => {}
            ".." => {
                steps.pop()?;
            }
            _ => steps.push(step),
        }
    }
    Some(steps.join("/"))
}

fn unescape(step: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(step.len());
    let mut rest = step.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        if byte == b'%' {
            let (digits, after) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(str::from_utf8(digits).ok()?, 16).ok()?);
            rest = after;
        } else {
            bytes.push(byte);
        }
    }
    let step = String::from_utf8(bytes).ok()?;
    Some(step.replace("~1", "/").replace("~0", "~"))
}
