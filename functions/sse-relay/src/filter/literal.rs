//! The values that fields are compared with.

use std::cmp::Ordering;

use eventstar_event::document::{Kind, Node};
use eventstar_event::time::{instant, instant_from_iso};

/// A value of a filter. What it is compared as follows from the event's value: a text, a number, a boolean or null.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Literal {
    /// The texts between its `*`, each of which stands for any text; a single one where it has no `*`.
    parts: Vec<String>,
    /// Whether it stood in quotes: then it is a text and nothing else.
    quoted: bool,
    number: Option<Number>,
    /// Milliseconds since the epoch, where it is a date.
    time: Option<i64>,
}

/// A number: exact where it is whole.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Number {
    whole: Option<i128>,
    near: f64,
}

impl Literal {
    /// A value without quotes.
    pub(super) fn bare(text: &str) -> Self {
        Self::new(text.split('*').map(str::to_owned).collect(), false)
    }

    /// A value in quotes, cut at each `*`.
    pub(super) fn quoted(parts: Vec<String>) -> Self {
        Self::new(parts, true)
    }

    fn new(parts: Vec<String>, quoted: bool) -> Self {
        let text = match &*parts {
            [text] => Some(text),
            _ => None,
        };
        let number = text.filter(|_| !quoted).and_then(|text| Number::parse(text));
        let time = text.and_then(|text| instant(text));
        Self {
            parts,
            quoted,
            number,
            time,
        }
    }

    /// Whether it has a `*`.
    pub(super) fn is_pattern(&self) -> bool {
        self.parts.len() > 1
    }

    /// Whether the event's value equals it.
    pub(super) fn equals(&self, node: Node<'_>) -> bool {
        if !self.is_pattern() {
            return self.order_of(node) == Some(Ordering::Equal);
        }
        node.as_str().is_some_and(|text| self.fits(&text))
    }

    /// Whether the event's value equals it, or has a member of that name.
    pub(super) fn is_in(&self, node: Node<'_>) -> bool {
        match node.kind() {
            Kind::Object => node.children().any(|member| self.fits(&member.name())),
            _ => self.equals(node),
        }
    }

    /// How the event's value stands to it: numbers by value, times by instant, other texts by code point. `None` where the
    /// two cannot be compared.
    pub(super) fn order_of(&self, node: Node<'_>) -> Option<Ordering> {
        let text = self.parts.first()?;
        match node.kind() {
            Kind::String => Some(self.order_of_text(&node.as_str()?, text)),
            Kind::Number => Number::parse(node.scalar())?.order(self.number?),
            Kind::Boolean | Kind::Null => (!self.quoted && node.scalar() == text).then_some(Ordering::Equal),
            Kind::Array | Kind::Object => None,
        }
    }

    fn order_of_text(&self, value: &str, text: &str) -> Ordering {
        // Days and months alone are in order as texts, and a title such as 2026-11 is not the one of 2026-11-01.
        let has_time_of_day = value.len().max(text.len()) > "2026-11-01".len();
        let time = self.time.filter(|_| has_time_of_day);
        match time.and_then(|time| Some((instant_from_iso(value)?, time))) {
            Some((value, time)) => value.cmp(&time),
            None => value.cmp(text),
        }
    }

    /// Whether a text is its parts with any texts in between.
    fn fits(&self, text: &str) -> bool {
        let Some((first, others)) = self.parts.split_first() else {
            return false;
        };
        let Some((last, middle)) = others.split_last() else {
            return text == first;
        };
        let Some(mut rest) = text
            .strip_prefix(first.as_str())
            .and_then(|rest| rest.strip_suffix(last.as_str()))
        else {
            return false;
        };
        // The first place of each part leaves the most for those after it.
        for part in middle {
            match rest.split_once(part.as_str()) {
                Some((_, after)) => rest = after,
                None => return false,
            }
        }
        true
    }
}

impl Number {
    /// Reads a JSON number, and what people write like one.
    fn parse(text: &str) -> Option<Self> {
        let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        if !text.bytes().all(plain) {
            return None;
        }
        Some(Self {
            whole: text.parse().ok(),
            near: text.parse().ok()?,
        })
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self.whole, other.whole) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => self.near.partial_cmp(&other.near),
        }
    }
}
