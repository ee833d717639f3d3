//! From a JSON text to the index of its values.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use super::{Kind, NONE, Slot, Span, unquoted};
use crate::envelope::MAX_EVENT_BYTES;
use crate::json::{JsonError, MAX_DEPTH};

/// Objects with more members than this look for a repeated name in a set.
const FEW_MEMBERS: u32 = 24;

/// An object or array that is being read.
struct Open {
    at: u32,
    first: u32,
    last: u32,
    length: u32,
    is_object: bool,
}

/// Reads JSON text that a parser has accepted.
pub(super) struct Reader<'t, 's> {
    text: &'t str,
    slots: &'s mut Vec<Slot>,
    /// Where the text stands in its document.
    base: u32,
    /// What is added to a place in the text for the place in its document; wraps where whitespace was left out.
    shift: u32,
    at: usize,
    /// The text without its whitespace, up to `copied`, once there was some.
    compact: Option<String>,
    copied: usize,
    open: Vec<Open>,
    pub(super) name_next: bool,
    name: Span,
    name_escaped: bool,
}

impl<'t, 's> Reader<'t, 's> {
    pub(super) fn new(text: &'t str, base: u32, slots: &'s mut Vec<Slot>) -> Self {
        Self {
            text,
            slots,
            base,
            shift: base,
            at: 0,
            compact: None,
            copied: 0,
            open: Vec::new(),
            name_next: false,
            name: Span::EMPTY,
            name_escaped: false,
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    /// Reads one value; the text without whitespace, if there was any.
    pub(super) fn read(mut self) -> Result<Option<String>, JsonError> {
        while let Some(byte) = self.byte() {
            match byte {
                b' ' | b'\t' | b'\r' | b'\n' => {
                    self.skip_whitespace();
                    continue;
                }
                b'"' if self.name_next => {
                    self.name_next = false;
                    (self.name, self.name_escaped) = self.string()?;
                    continue;
                }
                b'"' => {
                    let (value, escaped) = self.string()?;
                    self.push(Kind::String, value, escaped);
                }
                b'{' | b'[' => {
                    self.begin(byte == b'{')?;
                    continue;
                }
                b'}' | b']' => self.end()?,
                b',' => {
                    self.name_next = self.open.last().is_some_and(|open| open.is_object);
                    self.at += 1;
                    continue;
                }
                b':' => {
                    self.at += 1;
                    continue;
                }
                _ => self.word()?,
            }
            if self.open.is_empty() {
                break;
            }
        }
        if let Some(mut compact) = self.compact {
            compact.push_str(self.text.get(self.copied..self.at).unwrap_or_default());
            return Ok(Some(compact));
        }
        Ok(None)
    }

    fn skip_whitespace(&mut self) {
        let from = self.at;
        while let Some(b' ' | b'\t' | b'\r' | b'\n') = self.byte() {
            self.at += 1;
        }
        let kept = self.text.get(self.copied..from).unwrap_or_default();
        // A text may be white space for the most part.
        let length = self.text.len().min(MAX_EVENT_BYTES);
        self.compact
            .get_or_insert_with(|| String::with_capacity(length))
            .push_str(kept);
        self.copied = self.at;
        let kept = self.compact.as_ref().map_or(0, String::len);
        self.shift = self
            .base
            .wrapping_add(short(kept))
            .wrapping_sub(short(self.copied));
    }

    /// Where `at` is in the document's text.
    fn place(&self, at: usize) -> u32 {
        short(at).wrapping_add(self.shift)
    }

    fn span(&self, from: usize) -> Span {
        Span {
            start: self.place(from),
            end: self.place(self.at),
        }
    }

    fn malformed(&self) -> JsonError {
        let error = serde_json::from_str::<Value>(self.text).err();
        JsonError::Malformed(error.map_or_else(String::new, |error| error.to_string()))
    }

    /// Reads a string: where it is, and whether it has an escape.
    fn string(&mut self) -> Result<(Span, bool), JsonError> {
        let from = self.at;
        let mut escaped = false;
        let bytes = self.text.as_bytes();
        let mut at = from + 1;
        loop {
            match bytes.get(at) {
                Some(b'"') => break,
                Some(b'\\') => {
                    escaped = true;
                    at += 2;
                }
                Some(_) => at += 1,
                None => return Err(self.malformed()),
            }
        }
        self.at = at + 1;
        if !escaped {
            return Ok((self.span(from), false));
        }
        let token = self.text.get(from..self.at).unwrap_or_default();
        if token.contains("\\u") && serde_json::from_str::<Cow<'_, str>>(token).is_err() {
            return Err(self.malformed());
        }
        Ok((self.span(from), true))
    }

    /// Reads a number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<(), JsonError> {
        /// Shorter whole numbers are in the range of `f64`.
        const IN_RANGE: usize = 300;
        let from = self.at;
        while let Some(byte) = self.byte() {
            if matches!(byte, b',' | b'}' | b']' | b' ' | b'\t' | b'\r' | b'\n') {
                break;
            }
            self.at += 1;
        }
        let token = self.text.get(from..self.at).unwrap_or_default();
        let kind = match token {
            "null" => Kind::Null,
            "true" | "false" => Kind::Boolean,
            _ => Kind::Number,
        };
        if kind == Kind::Number
            && (token.len() > IN_RANGE || token.contains(['e', 'E']))
            && !token.parse::<f64>().is_ok_and(f64::is_finite)
        {
            return Err(self.malformed());
        }
        let value = self.span(from);
        self.push(kind, value, false);
        Ok(())
    }

    fn begin(&mut self, is_object: bool) -> Result<(), JsonError> {
        if self.open.len() >= MAX_DEPTH {
            return Err(JsonError::TooDeep);
        }
        let from = self.at;
        self.at += 1;
        let kind = if is_object { Kind::Object } else { Kind::Array };
        let value = self.span(from);
        let at = self.push(kind, value, false);
        self.open.push(Open {
            at,
            first: NONE,
            last: NONE,
            length: 0,
            is_object,
        });
        self.name_next = is_object;
        Ok(())
    }

    fn end(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.name_next = false;
        let end = self.place(self.at);
        let Some(open) = self.open.pop() else {
            return Err(self.malformed());
        };
        if let Some(slot) = self.slots.get_mut(open.at as usize) {
            slot.value.end = end;
            slot.first = open.first;
            slot.last = open.last;
            slot.length = open.length;
        }
        if open.is_object {
            self.refuse_repeated_names(&open)?;
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, value: Span, escaped: bool) -> u32 {
        let at = short(self.slots.len());
        self.slots.push(Slot {
            value,
            name: self.name,
            kind,
            escaped,
            name_escaped: self.name_escaped,
            ..Slot::NULL
        });
        self.name = Span::EMPTY;
        self.name_escaped = false;
        if let Some(open) = self.open.last_mut() {
            match self.slots.get_mut(open.last as usize) {
                Some(before) => before.next = at,
                None => open.first = at,
            }
            open.last = at;
            open.length += 1;
        }
        at
    }

    /// The text at a span of what was read here.
    fn read_text(&self, span: Span) -> &str {
        let Range { start, end } = span.range();
        let (start, end) = (start - self.base as usize, end - self.base as usize);
        let Some(compact) = &self.compact else {
            return self.text.get(start..end).unwrap_or_default();
        };
        // What was not copied yet lies behind what was; no token lies in both.
        match start.checked_sub(compact.len()) {
            None => compact.get(start..end),
            Some(behind) => self
                .text
                .get(self.copied + behind..self.copied + behind + (end - start)),
        }
        .unwrap_or_default()
    }

    fn members(&self, first: u32) -> impl Iterator<Item = &Slot> + Clone {
        std::iter::successors(self.slots.get(first as usize), |slot| {
            self.slots.get(slot.next as usize)
        })
    }

    fn name(&self, member: &Slot) -> Cow<'_, str> {
        unquoted(self.read_text(member.name), member.name_escaped)
    }

    fn refuse_repeated_names(&self, object: &Open) -> Result<(), JsonError> {
        let mut members = self.members(object.first);
        let repeated = if object.length > FEW_MEMBERS || members.clone().any(|member| member.name_escaped) {
            let mut seen = HashSet::new();
            members.find(|member| !seen.insert(self.name(member)))
        } else {
            let is_same = |one: &Slot, other: &Slot| {
                one.name.len() == other.name.len() && self.read_text(one.name) == self.read_text(other.name)
            };
            let mut repeated = None;
            while let (Some(one), None) = (members.next(), repeated) {
                repeated = members.clone().find(|other| is_same(one, other));
            }
            repeated
        };
        match repeated {
            Some(member) => Err(JsonError::DuplicateKey(format!(
                "{}/{}",
                self.pointer(object.at),
                escape_pointer(&self.name(member))
            ))),
            None => Ok(()),
        }
    }

    /// The JSON pointer to an object that was just read, through those that are open.
    fn pointer(&self, object: u32) -> String {
        let below = self.open.iter().skip(1).map(|open| open.at).chain([object]);
        self.open
            .iter()
            .zip(below)
            .map(|(open, child)| match self.slots.get(child as usize) {
                Some(slot) if open.is_object => format!("/{}", escape_pointer(&self.name(slot))),
                _ => format!("/{}", open.length.saturating_sub(1)),
            })
            .collect()
    }
}

/// A length or place as 32 bits: bodies are far shorter than 4 GB.
fn short(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NONE)
}

fn escape_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
