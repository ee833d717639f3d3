//! The values of a document.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::{Document, Kind, Slot, unquoted};
use crate::json::quote;

/// Which value of a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position(pub(super) u32);

impl Document<'_> {
    /// The value at a position that a node of this document gave.
    #[must_use]
    pub fn at(&self, position: Position) -> Node<'_> {
        Node {
            document: self,
            at: position.0,
        }
    }
}

/// A value of a document.
#[derive(Debug, Clone, Copy)]
pub struct Node<'d> {
    pub(super) document: &'d Document<'d>,
    pub(super) at: u32,
}

impl<'d> Node<'d> {
    fn slot(&self) -> &'d Slot {
        let document: &'d Document<'d> = self.document;
        document.slot(self.at)
    }

    /// Which value it is, for a document that is about to change.
    #[must_use]
    pub fn position(&self) -> Position {
        Position(self.at)
    }

    /// What kind of value it is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.slot().kind
    }

    /// Its JSON text as it is now.
    #[must_use]
    pub fn text(&self) -> Cow<'d, str> {
        let document: &'d Document<'d> = self.document;
        document.edited(self.slot().value)
    }

    /// Its JSON text, where nothing was added to it: that of a scalar always.
    #[must_use]
    pub fn scalar(&self) -> &'d str {
        let document: &'d Document<'d> = self.document;
        document.piece(self.slot().value)
    }

    /// The string, unescaped.
    #[must_use]
    pub fn as_str(&self) -> Option<Cow<'d, str>> {
        let slot = self.slot();
        (slot.kind == Kind::String).then(|| unquoted(self.scalar(), slot.escaped))
    }

    /// How many members or elements it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slot().length as usize
    }

    /// Whether it has no member and no element.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slot().length == 0
    }

    /// Its members or elements.
    #[must_use]
    pub fn children(&self) -> Children<'d> {
        Children {
            document: self.document,
            next: self.slot().first,
            left: self.len(),
        }
    }

    /// The name of a member, unescaped.
    #[must_use]
    pub fn name(&self) -> Cow<'d, str> {
        let slot = self.slot();
        let document: &'d Document<'d> = self.document;
        unquoted(document.piece(slot.name), slot.name_escaped)
    }

    /// The name of a member as its JSON text has it, in quotes.
    #[must_use]
    pub fn name_text(&self) -> &'d str {
        let document: &'d Document<'d> = self.document;
        document.piece(self.slot().name)
    }

    /// The member of that name.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<Node<'d>> {
        if self.slot().kind != Kind::Object {
            return None;
        }
        let document: &'d Document<'d> = self.document;
        if let Some(found) = document.look_up(*self, name) {
            return found.map(|at| Node { document, at });
        }
        self.children().find(|child| child.is_named(name))
    }

    fn is_named(&self, name: &str) -> bool {
        let slot = self.slot();
        if slot.name_escaped {
            return self.name() == name;
        }
        let quotes = 2;
        slot.name.len() == name.len() + quotes
            && self.document.bytes(slot.name).get(1..=name.len()) == Some(name.as_bytes())
    }

    /// The member of that name, or the element of that index.
    pub(super) fn child(&self, name: &str) -> Option<Node<'d>> {
        match self.slot().kind {
            Kind::Array => self.children().nth(name.parse().ok()?),
            _ => self.member(name),
        }
    }

    /// The text that `JSON.stringify` makes of the parsed value: one for all texts of the same value.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        self.write_canonical(&mut text);
        text
    }

    fn write_canonical(&self, out: &mut String) {
        let slot = self.slot();
        match slot.kind {
            Kind::Number => {
                let number: f64 = self.scalar().parse().unwrap_or_default();
                out.push_str(ryu_js::Buffer::new().format(number));
            }
            Kind::String if slot.escaped => out.push_str(&quote(&unquoted(self.scalar(), true))),
            Kind::Array => {
                out.push('[');
                for (nth, item) in self.children().enumerate() {
                    out.push_str(if nth > 0 { "," } else { "" });
                    item.write_canonical(out);
                }
                out.push(']');
            }
            Kind::Object => {
                let mut members: Vec<(Cow<'_, str>, Node<'_>)> =
                    self.children().map(|member| (member.name(), member)).collect();
                members.sort_by_key(|(name, _)| place(name));
                out.push('{');
                for (nth, (name, member)) in members.iter().enumerate() {
                    out.push_str(if nth > 0 { "," } else { "" });
                    out.push_str(&quote(name));
                    out.push(':');
                    member.write_canonical(out);
                }
                out.push('}');
            }
            _ => out.push_str(self.scalar()),
        }
    }

    /// The value, parsed.
    #[must_use]
    pub fn to_value(&self) -> Value {
        let mut value = Value::Null;
        self.write_to(&mut value);
        value
    }

    /// Makes `value` this value, parsed. What `value` has of the same shape is kept and written over: events of one
    /// schema are alike, and neither names nor maps are then made anew.
    pub fn write_to(&self, value: &mut Value) {
        let slot = self.slot();
        if let (Kind::Object, Value::Object(members)) = (slot.kind, &mut *value)
            && self.len() == members.len()
            && self.write_members(members)
        {
            return;
        }
        match (slot.kind, value) {
            (Kind::String, Value::String(text)) => {
                let new = unquoted(self.scalar(), slot.escaped);
                text.clear();
                text.push_str(&new);
            }
            (Kind::Array, Value::Array(items)) if items.len() == self.len() => {
                for (child, item) in self.children().zip(items) {
                    child.write_to(item);
                }
            }
            (kind, value) => {
                *value = match kind {
                    Kind::Null => Value::Null,
                    Kind::Boolean => Value::Bool(self.scalar() == "true"),
                    Kind::Number => number(self.scalar()),
                    Kind::String => Value::String(unquoted(self.scalar(), slot.escaped).into_owned()),
                    Kind::Array => self.children().map(|item| item.to_value()).collect(),
                    Kind::Object => self
                        .children()
                        .map(|member| (member.name().into_owned(), member.to_value()))
                        .collect(),
                };
            }
        }
    }

    /// Writes the members as long as they have these names, in their order; whether all have.
    fn write_members(&self, members: &mut Map<String, Value>) -> bool {
        for (child, (name, member)) in self.children().zip(members.iter_mut()) {
            if !child.is_named(name) {
                return false;
            }
            child.write_to(member);
        }
        true
    }
}

/// Where JavaScript puts a member: those named like an index of an array come first, in order of the index.
fn place(name: &str) -> u32 {
    let index = name.parse::<u32>().ok();
    index
        .filter(|index| index.to_string() == name)
        .unwrap_or(u32::MAX)
}

fn number(text: &str) -> Value {
    /// As many digits are always in the range of `u64`.
    const SHORT: usize = 18;
    if text.len() <= SHORT && text.bytes().all(|b| b.is_ascii_digit()) {
        return Value::from(
            text.bytes()
                .fold(0_u64, |n, digit| n * 10 + u64::from(digit - b'0')),
        );
    }
    // The reader has found that it is in range.
    serde_json::from_str(text).unwrap_or_default()
}

/// The members of an object or the elements of an array, in their order.
#[derive(Debug, Clone)]
pub struct Children<'d> {
    document: &'d Document<'d>,
    next: u32,
    left: usize,
}

impl<'d> Iterator for Children<'d> {
    type Item = Node<'d>;

    fn next(&mut self) -> Option<Node<'d>> {
        let at = self.next;
        let slot = self.document.slots.get(at as usize)?;
        self.next = slot.next;
        self.left = self.left.saturating_sub(1);
        Some(Node {
            document: self.document,
            at,
        })
    }

    /// Exact, so that what is collected takes no more room than it needs.
    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
