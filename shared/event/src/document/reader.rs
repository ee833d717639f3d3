//! From a JSON text to the index of its values.

use std::borrow::Cow;
use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value;

use super::{Kind, NONE, Slot, Span, unquoted};
use crate::json::{JsonError, MAX_DEPTH};

/// Objects with more members than this look for a repeated name in a set.
const FEW_MEMBERS: u32 = 24;

/// An object or array that is being read.
struct Open {
    at: u32,
    last: u32,
    is_object: bool,
}

/// Reads JSON text that a parser has accepted.
pub(super) struct Reader<'t, 's> {
    text: &'t str,
    slots: &'s mut Vec<Slot>,
    /// Where the text stands in its document.
    base: usize,
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
            base: base as usize,
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
        let length = self.text.len();
        self.compact
            .get_or_insert_with(|| String::with_capacity(length))
            .push_str(kept);
        self.copied = self.at;
    }

    /// Where `at` is in the document's text.
    fn place(&self, at: usize) -> u32 {
        let at = match &self.compact {
            Some(compact) => compact.len() + (at - self.copied),
            None => at,
        };
        u32::try_from(self.base + at).unwrap_or(NONE)
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
            last: NONE,
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
            slot.last = open.last;
        }
        if open.is_object {
            self.refuse_repeated_names(open)?;
        }
        Ok(())
    }

    fn push(&mut self, kind: Kind, value: Span, escaped: bool) -> u32 {
        let at = u32::try_from(self.slots.len()).unwrap_or(NONE);
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
                None => {
                    if let Some(parent) = self.slots.get_mut(open.at as usize) {
                        parent.first = at;
                    }
                }
            }
            open.last = at;
            if let Some(parent) = self.slots.get_mut(open.at as usize) {
                parent.length += 1;
            }
        }
        at
    }

    /// The text at a span of what was read here.
    fn read_text(&self, span: Span) -> &str {
        let Range { start, end } = span.range();
        let (start, end) = (start - self.base, end - self.base);
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

    fn names(&self, object: u32) -> impl Iterator<Item = (&str, bool)> + Clone {
        let first = self.slots.get(object as usize).map_or(NONE, |slot| slot.first);
        std::iter::successors(self.slots.get(first as usize), |slot| {
            self.slots.get(slot.next as usize)
        })
        .map(|slot| (self.read_text(slot.name), slot.name_escaped))
    }

    fn refuse_repeated_names(&self, object: Open) -> Result<(), JsonError> {
        let members = self.slots.get(object.at as usize).map_or(0, |slot| slot.length);
        let mut names = self.names(object.at);
        let odd = members > FEW_MEMBERS || self.names(object.at).any(|(_, escaped)| escaped);
        let repeated = if odd {
            let mut seen = HashSet::new();
            names
                .map(|(token, escaped)| unquoted(token, escaped))
                .find(|name| !seen.insert(name.clone()))
        } else {
            let mut repeated = None;
            while let Some((token, _)) = names.next() {
                if names.clone().any(|(other, _)| other == token) {
                    repeated = Some(unquoted(token, false));
                    break;
                }
            }
            repeated
        };
        match repeated {
            Some(name) => Err(JsonError::DuplicateKey(format!(
                "{}/{}",
                self.pointer(object.at),
                escape_pointer(&name)
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
                Some(slot) if open.is_object => {
                    let name = unquoted(self.read_text(slot.name), slot.name_escaped);
                    format!("/{}", escape_pointer(&name))
                }
                _ => {
                    let length = self.slots.get(open.at as usize).map_or(0, |slot| slot.length);
                    format!("/{}", length.saturating_sub(1))
                }
            })
            .collect()
    }
}

fn escape_pointer(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
