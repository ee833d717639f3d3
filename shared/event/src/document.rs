//! An event as a document: its compact JSON text, and an index of the values in it.
//!
//! The text is read once. What is added or replaced later is written down as an edit, and all edits are spliced into
//! the text at the end, in one pass; until then the index shows the event as it will be. Bytes are kept: key order,
//! number texts and string escapes stay what the producer sent.

mod names;
mod node;
mod reader;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use names::Names;
pub use node::{Children, Node, Position};
use reader::Reader;

use crate::MAX_EVENT_BYTES;
use crate::json::{JsonError, MAX_VALUES, quote};

/// What kind of value a JSON text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `null`.
    Null,
    /// `true` or `false`.
    Boolean,
    /// A number.
    Number,
    /// A string.
    String,
    /// An array.
    Array,
    /// An object.
    Object,
}

/// No value: the end of a list of siblings.
const NONE: u32 = u32::MAX;

/// Room made for what is added to an event: an id, some times, a default or two.
const ADDED_BYTES: usize = 256;

/// Most that is added to an event, in bytes: as much again as an event may have. The defaults of a schema could be added to each
/// of a hundred thousand items.
const MAX_ADDED_BYTES: usize = MAX_EVENT_BYTES;

/// How long the text of a value with its name is at least, mostly: the index is made for so many.
const BYTES_A_VALUE: usize = 16;

/// Where a text stands: in what was sent, and beyond its end, in what was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

impl Span {
    const EMPTY: Self = Self { start: 0, end: 0 };

    fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// One value of the index. The values of an object or array are a list: the first, and each one's next.
#[derive(Debug, Clone, Copy)]
struct Slot {
    value: Span,
    /// The member's name without its quotes; empty where it is no member.
    name: Span,
    next: u32,
    first: u32,
    last: u32,
    length: u32,
    kind: Kind,
    /// Whether the string, or the name, has an escape in it.
    escaped: bool,
    name_escaped: bool,
}

/// A change of the text: `added` takes the place of `replaced`, which is empty for an insertion.
#[derive(Debug, Clone, Copy)]
struct Edit {
    replaced: Span,
    added: Span,
}

impl Slot {
    const NULL: Self = Self {
        value: Span::EMPTY,
        name: Span::EMPTY,
        next: NONE,
        first: NONE,
        last: NONE,
        length: 0,
        kind: Kind::Null,
        escaped: false,
        name_escaped: false,
    };

    /// The slot of a scalar whose JSON text stands at `start`; `None` for other values.
    fn of_scalar(text: &str, start: u32) -> Option<Self> {
        let kind = match text.bytes().next()? {
            b'{' | b'[' => return None,
            b'"' => Kind::String,
            b't' | b'f' => Kind::Boolean,
            b'n' => Kind::Null,
            _ => Kind::Number,
        };
        Some(Self {
            value: Span {
                start,
                end: start + u32::try_from(text.len()).ok()?,
            },
            kind,
            escaped: kind == Kind::String && text.contains('\\'),
            ..Self::NULL
        })
    }
}

impl Edit {
    /// Whether it changes the value at `span`. Right behind a value stand insertions of what it is in.
    fn is_within(&self, span: Span) -> bool {
        span.start <= self.replaced.start && self.replaced.start < span.end && self.replaced.end <= span.end
    }
}

/// A JSON object: compact text and index.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    sent: Cow<'a, str>,
    added: String,
    slots: Vec<Slot>,
    /// By their places, and those of one place as they came.
    edits: BTreeMap<(u32, usize), Edit>,
    names: Names,
    overfull: bool,
}

impl<'a> Document<'a> {
    /// Reads the text of one JSON value that a JSON parser has accepted (an element of [`crate::json::split_body`]).
    ///
    /// # Errors
    /// [`JsonError::NotEvents`] when it is no object, [`JsonError::DuplicateKey`] with a JSON pointer,
    /// [`JsonError::TooDeep`], and [`JsonError::Malformed`] for what only a full parse sees: an unpaired surrogate, a
    /// number past `f64`.
    pub fn parse(raw: impl Into<Cow<'a, str>>) -> Result<Self, JsonError> {
        let raw = raw.into();
        if !raw.starts_with('{') {
            return Err(JsonError::NotEvents);
        }
        let mut slots = Vec::with_capacity((raw.len() / BYTES_A_VALUE + 4).min(MAX_VALUES));
        let compact = Reader::new(&raw, 0, &mut slots).read()?;
        Ok(Self {
            sent: compact.map_or(raw, Cow::Owned),
            added: String::new(),
            slots,
            edits: BTreeMap::new(),
            names: Names::default(),
            overfull: false,
        })
    }

    /// The root.
    #[must_use]
    pub fn root(&self) -> Node<'_> {
        Node {
            document: self,
            at: 0,
        }
    }

    /// The value at `path`, or `None` when it or a parent is missing. An array's elements are named by their index.
    #[must_use]
    pub fn get(&self, path: &[impl AsRef<str>]) -> Option<Node<'_>> {
        path.iter()
            .try_fold(self.root(), |at, name| at.child(name.as_ref()))
    }

    /// The string at `path`, unescaped; `None` when it is missing or no string.
    #[must_use]
    pub fn get_str(&self, path: &[impl AsRef<str>]) -> Option<Cow<'_, str>> {
        self.get(path)?.as_str()
    }

    /// The JSON text as it is now.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        self.root().text()
    }

    /// The JSON text as it is now.
    #[must_use]
    pub fn into_string(self) -> String {
        self.into_text().into_owned()
    }

    /// The JSON text as it is now: the one it was read from, where that is the same.
    #[must_use]
    pub fn into_text(self) -> Cow<'a, str> {
        if self.edits.is_empty() {
            return self.sent;
        }
        Cow::Owned(self.text().into_owned())
    }

    /// Length of the text as it was read, in bytes.
    #[must_use]
    pub fn sent_bytes(&self) -> usize {
        self.sent.len()
    }

    /// The memory that it takes besides the text it was read from, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        let copied = match &self.sent {
            Cow::Borrowed(_) => 0,
            Cow::Owned(text) => text.capacity(),
        };
        copied + self.slots.capacity() * size_of::<Slot>()
    }

    /// True if something was not added because the event would have become too large.
    #[must_use]
    pub fn is_overfull(&self) -> bool {
        self.overfull
    }

    /// Adds the member at `path` after the last one, with the JSON text that `value` gives, where the event has none.
    /// Missing parents are created. Nothing happens where the member is there or a parent is no object.
    pub fn add<T: AsRef<str>>(&mut self, path: &[impl AsRef<str>], value: impl FnOnce() -> T) {
        let Some((parent, missing)) = self.last_present(path) else {
            return;
        };
        if !missing.is_empty() && self.slot(parent).kind == Kind::Object {
            self.append(parent, missing, value().as_ref());
        }
    }

    /// Sets the member at `path` to the JSON text `value`: replaced where it stands, else added as by [`Document::add`].
    pub fn set(&mut self, path: &[impl AsRef<str>], value: &str) {
        let Some((at, missing)) = self.last_present(path) else {
            return;
        };
        if missing.is_empty() {
            self.replace(at, value);
        } else if self.slot(at).kind == Kind::Object {
            self.append(at, missing, value);
        }
    }

    /// Adds a member to an object of this document, unless it has one of that name. `node` is from
    /// [`Node::position`]; `value` is compact JSON text. `None` where `node` is no object, or the document is overfull.
    pub fn add_to(&mut self, node: Position, name: &str, value: &str) -> Option<Position> {
        if self.slot(node.0).kind != Kind::Object {
            return None;
        }
        if let Some(child) = (Node {
            document: self,
            at: node.0,
        })
        .member(name)
        {
            return Some(child.position());
        }
        self.append(node.0, &[name], value);
        if self.overfull {
            return None;
        }
        Some(Position(self.slot(node.0).last))
    }

    /// Adds an element to an array of this document, after the last one. `value` is compact JSON text. Nothing happens where
    /// the document is overfull.
    pub fn push_to(&mut self, node: Position, value: &str) {
        if self.slot(node.0).kind == Kind::Array {
            self.append(node.0, &[""; 0], value);
        }
    }

    /// The deepest value on `path` that is there, and the rest of the path.
    fn last_present<'p, T: AsRef<str>>(&self, path: &'p [T]) -> Option<(u32, &'p [T])> {
        let mut at = self.root();
        for (depth, name) in path.iter().enumerate() {
            match at.child(name.as_ref()) {
                Some(child) => at = child,
                None => return Some((at.at, path.get(depth..)?)),
            }
        }
        Some((at.at, &[]))
    }

    fn slot(&self, at: u32) -> &Slot {
        // Positions come from this document alone; an empty null stands for what cannot be.
        self.slots.get(at as usize).unwrap_or(&Slot::NULL)
    }

    /// The piece of what was sent, or of what was added.
    fn piece(&self, span: Span) -> &str {
        let (text, range) = self.within(span);
        text.get(range).unwrap_or_default()
    }

    fn bytes(&self, span: Span) -> &[u8] {
        let (text, range) = self.within(span);
        text.as_bytes().get(range).unwrap_or_default()
    }

    fn within(&self, span: Span) -> (&str, Range<usize>) {
        let sent = self.sent.len();
        let Range { start, end } = span.range();
        if start < sent {
            (&self.sent, start..end)
        } else {
            (&self.added, start - sent..end - sent)
        }
    }

    fn append(&mut self, parent: u32, names: &[impl AsRef<str>], value: &str) {
        if self.added.len() + value.len() > MAX_ADDED_BYTES {
            self.overfull = true;
            return;
        }
        let object = *self.slot(parent);
        if self.added.capacity() == 0 {
            self.added.reserve(ADDED_BYTES);
        }
        let start = self.end();
        if object.length > 0 {
            self.added.push(',');
        }
        let member = self.end();
        let mut name = Span::EMPTY;
        for (nth, text) in names.iter().enumerate() {
            if nth > 0 {
                self.added.push('{');
            }
            name.start = self.end();
            push_name(&mut self.added, text.as_ref());
            name.end = self.end() - 1;
        }
        let from = self.end();
        self.added.push_str(value);
        self.added
            .extend(std::iter::repeat_n('}', names.len().saturating_sub(1)));
        let child = match Slot::of_scalar(value, from).filter(|_| names.len() <= 1) {
            Some(slot) => self.push(Slot {
                name,
                name_escaped: self.piece(name).contains('\\'),
                ..slot
            }),
            None => self.read(member, !names.is_empty()),
        };
        let Some(child) = child else { return };
        self.link(parent, child);
        let before = object.value.end - 1;
        self.edit(Edit {
            replaced: Span {
                start: before,
                end: before,
            },
            added: Span {
                start,
                end: self.end(),
            },
        });
    }

    fn push(&mut self, slot: Slot) -> Option<u32> {
        let at = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(slot);
        Some(at)
    }

    /// Reads what was added from `from` on, a member or a value, into the index.
    fn read(&mut self, from: u32, member: bool) -> Option<u32> {
        let child = u32::try_from(self.slots.len()).ok()?;
        let text = self.added.get(from as usize - self.sent.len()..)?;
        let mut reader = Reader::new(text, from, &mut self.slots);
        reader.name_next = member;
        // Only compact JSON of our own making is added.
        reader.read().ok()?;
        Some(child)
    }

    /// Writes an edit down. What is added later is longer than what was before, so its length tells their order.
    fn edit(&mut self, edit: Edit) {
        self.edits.insert((edit.replaced.start, self.added.len()), edit);
    }

    fn link(&mut self, parent: u32, child: u32) {
        let last = self.slot(parent).last;
        if let Some(last) = self.slots.get_mut(last as usize) {
            last.next = child;
        }
        let member = Node {
            document: self,
            at: child,
        };
        let name = member.name().into_owned();
        self.names.add(parent, &name, child);
        if let Some(parent) = self.slots.get_mut(parent as usize) {
            parent.length += 1;
            parent.last = child;
            if parent.first == NONE {
                parent.first = child;
            }
        }
    }

    fn replace(&mut self, at: u32, value: &str) {
        let old = *self.slot(at);
        let from = self.end();
        self.added.push_str(value);
        let new = match Slot::of_scalar(value, from) {
            Some(slot) => slot,
            None => match self.read(from, false) {
                Some(read) => *self.slot(read),
                None => return,
            },
        };
        self.names.forget(at);
        // What was set before within the old value is gone with it.
        self.edits.retain(|_, edit| !edit.is_within(old.value));
        self.edit(Edit {
            replaced: old.value,
            added: new.value,
        });
        if let Some(slot) = self.slots.get_mut(at as usize) {
            *slot = Slot {
                name: old.name,
                name_escaped: old.name_escaped,
                next: old.next,
                ..new
            };
        }
    }

    /// The end of what was added, as a place.
    fn end(&self) -> u32 {
        u32::try_from(self.sent.len() + self.added.len()).unwrap_or(NONE)
    }

    fn edited(&self, span: Span) -> Cow<'_, str> {
        if self.edits_within(span).next().is_none() {
            return Cow::Borrowed(self.piece(span));
        }
        let mut text = String::with_capacity(span.len() + self.added.len());
        self.write(span, &mut text);
        Cow::Owned(text)
    }

    /// The edits of a value, in their order; found without a look at all the others.
    fn edits_within(&self, span: Span) -> impl Iterator<Item = &Edit> {
        self.edits
            .range((span.start, 0)..(span.end, 0))
            .map(|(_, edit)| edit)
            .filter(move |edit| edit.is_within(span))
    }

    fn write(&self, span: Span, out: &mut String) {
        let mut at = span.start;
        for edit in self.edits_within(span) {
            let until = edit.replaced.start;
            out.push_str(self.piece(Span {
                start: at,
                end: until,
            }));
            self.write(edit.added, out);
            at = edit.replaced.end;
        }
        out.push_str(self.piece(Span {
            start: at,
            end: span.end,
        }));
    }
}

/// The text of a JSON string.
fn unquoted(token: &str, escaped: bool) -> Cow<'_, str> {
    if escaped {
        // The reader has unescaped it once.
        Cow::Owned(serde_json::from_str(token).unwrap_or_default())
    } else {
        Cow::Borrowed(token.get(1..token.len().saturating_sub(1)).unwrap_or_default())
    }
}

/// Appends `"name":`.
fn push_name(text: &mut String, name: &str) {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-' | b'.');
    if name.bytes().all(plain) {
        text.push('"');
        text.push_str(name);
        text.push('"');
    } else {
        text.push_str(&quote(name));
    }
    text.push(':');
}

#[cfg(test)]
mod tests;
