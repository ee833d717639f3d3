//! A JSON document as JavaScript would hold it: numbers are doubles, and objects and lists have an identity.
//!
//! Identity matters because the original writes what is referenced twice as a YAML anchor and an alias.

use std::collections::HashMap;
use std::fmt;
use std::rc::Rc;

use indexmap::IndexMap;
use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// Members in the order they were written.
pub type Object = IndexMap<Rc<str>, Node>;

/// One JSON value. Two nodes are equal when they say the same; the order of members does not count.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// Any number.
    Number(f64),
    /// A text.
    String(Rc<str>),
    /// A list.
    Array(Rc<Vec<Node>>),
    /// An object.
    Object(Rc<Object>),
}

impl Node {
    /// An object of these members.
    pub(crate) fn object(members: Object) -> Self {
        Self::Object(Rc::new(members))
    }

    /// A list of these items.
    pub(crate) fn array(items: Vec<Self>) -> Self {
        Self::Array(Rc::new(items))
    }

    /// A text.
    pub(crate) fn string(text: &str) -> Self {
        Self::String(text.into())
    }

    /// The members, when it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Self::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The items, when it is a list.
    pub fn as_array(&self) -> Option<&[Self]> {
        match self {
            Self::Array(items) => Some(items),
            _ => None,
        }
    }

    /// The text, when it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, when it is one.
    pub(crate) fn as_number(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            _ => None,
        }
    }

    /// The member of this name, when it is an object that has it.
    pub fn get(&self, name: &str) -> Option<&Self> {
        self.as_object()?.get(name)
    }

    /// The address of an object or a list: two nodes that share it are one thing.
    pub(crate) fn identity(&self) -> Option<usize> {
        match self {
            Self::Array(items) => Some(Rc::as_ptr(items).addr()),
            Self::Object(members) => Some(Rc::as_ptr(members).addr()),
            _ => None,
        }
    }

    /// How many values it has when everything shared is written out. `known` are the sizes of what was counted before.
    pub(crate) fn size(&self, known: &mut HashMap<usize, u64>) -> u64 {
        let Some(identity) = self.identity() else {
            return 1;
        };
        if let Some(size) = known.get(&identity) {
            return *size;
        }
        let mut size = 1_u64;
        let items = self.as_array().into_iter().flatten();
        let members = self.as_object().into_iter().flat_map(Object::values);
        for inner in items.chain(members) {
            size = size.saturating_add(inner.size(known));
        }
        known.insert(identity, size);
        size
    }

    /// A copy that shares nothing with the original, and within itself what the original shared.
    pub(crate) fn detached(&self, copies: &mut HashMap<usize, Self>) -> Self {
        let Some(identity) = self.identity() else {
            return self.clone();
        };
        if let Some(copy) = copies.get(&identity) {
            return copy.clone();
        }
        let copy = match self {
            Self::Array(items) => Self::array(items.iter().map(|item| item.detached(copies)).collect()),
            Self::Object(members) => Self::object(
                members
                    .iter()
                    .map(|(name, member)| (name.clone(), member.detached(copies)))
                    .collect(),
            ),
            _ => self.clone(),
        };
        copies.insert(identity, copy.clone());
        copy
    }
}

/// Adds a step to a JSON pointer.
pub(crate) fn join(pointer: &str, step: impl fmt::Display) -> String {
    let step = step.to_string().replace('~', "~0").replace('/', "~1");
    format!("{pointer}/{step}")
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Reader)
    }
}

struct Reader;

impl<'de> Visitor<'de> for Reader {
    type Value = Node;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        Ok(Node::Number(value as f64))
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Number(value))
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Node, E> {
        Ok(Node::string(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element()? {
            list.push(item);
        }
        Ok(Node::array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut object = Object::new();
        while let Some((name, member)) = members.next_entry::<String, Node>()? {
            object.insert(name.into(), member);
        }
        Ok(Node::object(object))
    }
}
