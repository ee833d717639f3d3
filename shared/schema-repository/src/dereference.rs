//! `$ref`, resolved as json-schema-ref-parser 7 does: anywhere, examples included; members beside it win.

use std::cell::RefCell;
use std::collections::HashMap;

use crate::error::{Fault, Problem};
use crate::files::{Files, file_version, in_folder, read, remote, split};
use crate::node::{Node, Object, join};
use crate::remote::{Remote, base_of, is_url, resolve};

/// A reference that comes after this many others, each led to by the one before, is refused: a server can answer with
/// ever new ones.
const MAX_ACTIVE: usize = 64;

/// Most values of a schema. The largest known has some 600.
const MAX_SIZE: u64 = 1_000_000;

/// A document: a path in one of the bases, or the URL it was read from.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Place {
    File(usize, String),
    Url(String),
}

impl Place {
    fn name(&self) -> &str {
        match self {
            Self::File(_, name) | Self::Url(name) => name,
        }
    }
}

/// Documents, each read once.
pub(crate) struct Documents {
    /// The own files, then those of other repositories.
    bases: Vec<Files>,
    known: RefCell<HashMap<Place, Node>>,
}

impl Documents {
    pub(crate) fn new(own: Files, others: Vec<Files>) -> Self {
        Self {
            bases: std::iter::once(own).chain(others).collect(),
            known: RefCell::default(),
        }
    }

    /// The own files.
    pub(crate) fn own(&self) -> Option<&Files> {
        self.bases.first()
    }

    /// The document at a path of a base.
    pub(crate) fn read(&self, base: usize, path: &str) -> Result<Node, Fault> {
        let place = Place::File(base, path.to_owned());
        if let Some(document) = self.known(&place) {
            return Ok(document);
        }
        let files = self.bases.get(base);
        let document = read(files.ok_or_else(|| Fault::new(path, "", Problem::Missing))?, path)?;
        self.keep(place, &document);
        Ok(document)
    }

    fn known(&self, place: &Place) -> Option<Node> {
        self.known.borrow().get(place).cloned()
    }

    fn keep(&self, place: Place, document: &Node) {
        self.known.borrow_mut().insert(place, document.clone());
    }
}

/// Materializes the current schema of a folder, where it has the version that is asked for.
pub(crate) type Materialize<'a> = dyn Fn(&str, &str) -> Option<Result<Node, Fault>> + 'a;

/// Where documents are looked for.
pub(crate) struct Sources<'a, R> {
    pub(crate) documents: &'a Documents,
    /// URLs of repositories on other servers, without a slash at the end.
    pub(crate) urls: &'a [String],
    pub(crate) remote: &'a R,
    pub(crate) materialize: &'a Materialize<'a>,
}

/// Resolves documents, and keeps what has been resolved of them.
pub(crate) struct Resolver<'a, R> {
    sources: Sources<'a, R>,
    resolved: RefCell<HashMap<(Place, String), Node>>,
    active: RefCell<Vec<(Place, String)>>,
}

impl<'a, R: Remote> Resolver<'a, R> {
    pub(crate) fn new(sources: Sources<'a, R>) -> Self {
        Self {
            sources,
            resolved: RefCell::default(),
            active: RefCell::default(),
        }
    }

    /// The document at a path of the first base, without any `$ref`.
    pub(crate) fn document(&self, path: &str) -> Result<Node, Fault> {
        let place = Place::File(0, path.to_owned());
        let root = self.sources.documents.read(0, path)?;
        let document = self.target(&place, "", &root, path, "", "")?;
        if document.size(&mut HashMap::new()) > MAX_SIZE {
            return Err(Fault::new(path, "", Problem::TooLarge(MAX_SIZE)));
        }
        Ok(document)
    }

    /// Resolves what stands at `pointer` of a document. The reference that leads there stands at `at` of `file`.
    fn target(
        &self,
        place: &Place,
        pointer: &str,
        node: &Node,
        file: &str,
        at: &str,
        reference: &str,
    ) -> Result<Node, Fault> {
        let key = (place.clone(), pointer.to_owned());
        if self.active.borrow().len() > MAX_ACTIVE {
            let problem = Problem::TooManyRefs(reference.to_owned(), MAX_ACTIVE);
            return Err(Fault::new(file, at, problem));
        }
        let cycle = {
            let active = self.active.borrow();
            active.iter().position(|other| *other == key).map(|start| {
                let steps = active.iter().skip(start).chain([&key]);
                let steps: Vec<_> = steps
                    .map(|(place, pointer)| format!("{}#{pointer}", place.name()))
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
        let at = join(at, "$ref");
        let fault = |problem| Fault::new(place.name(), at.as_str(), problem);
        let unknown = |why: &str| fault(Problem::UnknownRef(uri.to_owned(), why.to_owned()));
        let (path, fragment) = uri.split_once('#').unwrap_or((uri, ""));
        if !fragment.is_empty() && !fragment.starts_with('/') {
            return Err(unknown(
                ": a fragment is a JSON pointer, such as `#/properties/x`",
            ));
        }
        let (target, root) = self.find(place, path).map_err(|missed| match missed {
            Missed::Fault(fault) => fault,
            Missed::Nothing(why) => unknown(&why),
            Missed::Outside => fault(Problem::OutsideRef(uri.to_owned())),
            Missed::UnknownScheme => fault(Problem::UnknownScheme(uri.to_owned())),
            Missed::Foreign(url) => fault(Problem::ForeignRef(uri.to_owned(), url)),
            Missed::Unavailable { url, why } => fault(Problem::Unavailable {
                reference: uri.to_owned(),
                url,
                why,
            }),
        })?;
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
                let mut node = self.target(&target, &pointer, &node, place.name(), &at, uri)?;
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
        self.target(&target, &pointer, &node, place.name(), &at, uri)
    }

    /// The document that a path or a URL in the document at `place` names.
    fn find(&self, place: &Place, path: &str) -> Result<(Place, Node), Missed> {
        match place {
            _ if is_url(path) => self.fetch(path),
            _ if path.contains("://") => Err(Missed::UnknownScheme),
            Place::File(base, own) if path.is_empty() || path == "./" => {
                Ok((place.clone(), self.sources.documents.read(*base, own)?))
            }
            Place::Url(url) if path.is_empty() || path == "./" => self.fetch(url),
            Place::Url(url) => {
                let url = resolve(self.sources.urls, url, path);
                self.fetch(&url.ok_or_else(|| Missed::Nothing(": it is no reference".to_owned()))?)
            }
            Place::File(base, own) => {
                let folder = if path.starts_with('/') { "" } else { split(own).0 };
                let path = normalize(folder, path).ok_or(Missed::Outside)?;
                self.find_path(*base, &path)
            }
        }
    }

    /// The document at a path of the first base that has it. The own base comes first, other servers last.
    fn find_path(&self, own: usize, path: &str) -> Result<(Place, Node), Missed> {
        let documents = self.sources.documents;
        let others = (0..documents.bases.len()).filter(|base| *base != own);
        for base in std::iter::once(own).chain(others) {
            for extension in EXTENSIONS {
                let path = format!("{path}{extension}");
                let has_it = |files: &Files| files.contains_key(&path);
                if documents.bases.get(base).is_some_and(has_it) {
                    let document = documents.read(base, &path)?;
                    return Ok((Place::File(base, path), document));
                }
            }
        }
        let (folder, name) = split(path);
        let version = file_version(name).map(crate::files::show_version);
        if let Some(document) = version.and_then(|version| (self.sources.materialize)(folder, &version)) {
            let place = Place::File(0, in_folder(folder, name));
            let document = document?;
            documents.keep(place.clone(), &document);
            return Ok((place, document));
        }
        for base in self.sources.urls {
            match self.fetch(&format!("{base}/{path}")) {
                Err(Missed::Nothing(_)) => {}
                found => return found,
            }
        }
        let servers: String = self
            .sources
            .urls
            .iter()
            .map(|url| format!(", nor at {url}"))
            .collect();
        Err(Missed::Nothing(format!(
            ": there is no {path} in the repository{servers}"
        )))
    }

    /// The document at a URL, or at that with an extension. Only configured servers are asked: the author of a schema may
    /// be a stranger, who must not choose what this machine connects to.
    fn fetch(&self, url: &str) -> Result<(Place, Node), Missed> {
        if base_of(self.sources.urls, url).is_none() {
            return Err(Missed::Foreign(url.to_owned()));
        }
        for extension in EXTENSIONS {
            let url = format!("{url}{extension}");
            let place = Place::Url(url.clone());
            if let Some(document) = self.sources.documents.known(&place) {
                return Ok((place, document));
            }
            let unavailable = |why| Missed::Unavailable {
                url: url.clone(),
                why,
            };
            if let Some(text) = self.sources.remote.read(&url).map_err(unavailable)? {
                let document = remote(&url, &text).map_err(unavailable)?;
                self.sources.documents.keep(place.clone(), &document);
                return Ok((place, document));
            }
        }
        Err(Missed::Nothing(format!(": there is no {url}")))
    }
}

/// Schemas are named without extension, and their files may have one.
const EXTENSIONS: [&str; 4] = ["", ".yaml", ".json", ".yml"];

/// Why a reference leads to no document.
enum Missed {
    Nothing(String),
    Outside,
    UnknownScheme,
    Foreign(String),
    Unavailable { url: String, why: String },
    Fault(Fault),
}

impl From<Fault> for Missed {
    fn from(fault: Fault) -> Self {
        Self::Fault(fault)
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
