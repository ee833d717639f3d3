//! The values that fields are compared with.

use std::borrow::Cow;
use std::cell::OnceCell;
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

/// A value of an event, read once for all values of a filter that it is compared with.
pub(super) struct Field<'d> {
    kind: Kind,
    text: Cow<'d, str>,
    number: Option<Number>,
    time: OnceCell<Option<i64>>,
}

impl<'d> Field<'d> {
    pub(super) fn new(node: Node<'d>) -> Self {
        let kind = node.kind();
        let text = node.as_str().unwrap_or_else(|| Cow::Borrowed(node.scalar()));
        let number = match kind {
            Kind::Number => Number::parse(&text),
            _ => None,
        };
        Self {
            kind,
            text,
            number,
            time: OnceCell::new(),
        }
    }

    fn time(&self) -> Option<i64> {
        *self.time.get_or_init(|| instant_from_iso(&self.text))
    }
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
    pub(super) fn equals(&self, field: &Field<'_>) -> bool {
        match self.is_pattern() {
            true => field.kind == Kind::String && self.fits(&field.text),
            false => self.order_of(field) == Some(Ordering::Equal),
        }
    }

    /// How the event's value stands to it: numbers by value, times by instant, other texts by code point. `None` where the
    /// two cannot be compared.
    pub(super) fn order_of(&self, field: &Field<'_>) -> Option<Ordering> {
        let text = self.parts.first()?;
        match field.kind {
            Kind::String => Some(self.order_of_text(field, text)),
            Kind::Number => field.number?.order(self.number?),
            Kind::Boolean | Kind::Null => (!self.quoted && field.text == *text).then_some(Ordering::Equal),
            Kind::Array | Kind::Object => None,
        }
    }

    fn order_of_text(&self, field: &Field<'_>, text: &str) -> Ordering {
        // Days and months alone are in order as texts, and a title such as 2026-11 is not the one of 2026-11-01.
        let has_time_of_day = field.text.len().max(text.len()) > "2026-11-01".len();
        let time = self.time.filter(|_| has_time_of_day);
        match time.and_then(|time| Some((field.time()?, time))) {
            Some((value, time)) => value.cmp(&time),
            None => (*field.text).cmp(text),
        }
    }

    /// Whether a text is its parts with any texts in between.
    pub(super) fn fits(&self, text: &str) -> bool {
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

#[cfg(test)]
thread_local! {
    /// Counts the numbers that were read.
    pub(super) static PARSED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}

impl Number {
    /// Reads a JSON number, and what people write like one.
    fn parse(text: &str) -> Option<Self> {
        #[cfg(test)]
        PARSED.set(PARSED.get() + 1);
        let plain = |byte: u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'+' | b'.' | b'e' | b'E');
        if !text.bytes().all(plain) {
            return None;
        }
        let whole: Option<i128> = text.parse().ok();
        let near = match whole {
            // As near as reading the text comes, and in less time.
            Some(whole) => whole as f64,
            None => text.parse().ok()?,
        };
        Some(Self { whole, near })
    }

    fn order(self, other: Self) -> Option<Ordering> {
        match (self.whole, other.whole) {
            (Some(one), Some(two)) => Some(one.cmp(&two)),
            _ => self.near.partial_cmp(&other.near),
        }
    }
}
