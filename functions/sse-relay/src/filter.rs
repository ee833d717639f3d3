//! Filters: which events a reader wants, as an expression over their fields.
//!
//! The syntax is a subset of AIP-160 (<https://google.aip.dev/160>); `docs/relay.md` has the grammar. What AIP-160 reads
//! in an unusual way is left out: there `OR` binds tighter than `AND`, so the two only stand together with parentheses, and
//! every expression taken here is grouped as it is there.
//!
//! A test looks at each value of an event at most once, and a filter has at most [`MAX_TERMS`] of them.

mod literal;
mod parser;

use std::cmp::Ordering;

use eventstar_event::document::{Document, Kind, Node};

use literal::{Field, Literal};
pub(crate) use parser::FilterError;
use parser::Parser;

/// Longest filter, in characters. Percent-encoded, ASCII takes up to three times as much; Cloudflare takes URLs of 16 KB.
pub(crate) const MAX_CHARACTERS: usize = 2000;

/// Deepest nesting of parentheses.
const MAX_DEPTH: usize = 16;

/// Most values that a filter compares fields with.
pub(crate) const MAX_TERMS: usize = 64;

/// Most names in the path of a field.
pub(crate) const MAX_NAMES: usize = 16;

/// An expression over the fields of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Filter {
    /// All of them hold.
    All(Vec<Filter>),
    /// At least one of them holds.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// What is said of the field at `path`.
    Field { path: Vec<String>, test: Test },
}

/// What is asked of a field. None of them holds where the field is missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Test {
    /// It is there, and not null.
    Present,
    /// It equals one of them.
    Equals(Vec<Literal>),
    /// It equals one of them, or is an object that has a member of that name.
    Has(Vec<Literal>),
    /// It does not equal it.
    Differs(Literal),
    Less(Literal),
    AtMost(Literal),
    Greater(Literal),
    AtLeast(Literal),
}

impl Filter {
    /// Reads an expression.
    ///
    /// # Errors
    /// [`FilterError`] with the column, what is expected there and what stands there.
    pub(crate) fn parse(text: &str) -> Result<Self, FilterError> {
        Parser::new(text).filter()
    }

    /// Whether the field at `path` equals one of `names`, where `*` stands for any text.
    pub(crate) fn one_of(path: &[&str], names: &[&str]) -> Self {
        Self::Field {
            path: path.iter().map(|&name| name.to_owned()).collect(),
            test: Test::Equals(names.iter().map(|name| Literal::bare(name)).collect()),
        }
    }

    /// Whether an event is wanted.
    pub(crate) fn matches(&self, event: &Document<'_>) -> bool {
        match self {
            Self::All(filters) => filters.iter().all(|filter| filter.matches(event)),
            Self::Any(filters) => filters.iter().any(|filter| filter.matches(event)),
            Self::Not(filter) => !filter.matches(event),
            Self::Field { path, test } => test.holds(event, path),
        }
    }
}

impl Test {
    fn holds(&self, event: &Document<'_>, path: &[String]) -> bool {
        let root = event.root();
        let any = |test: &dyn Fn(Node<'_>) -> bool| reaches(root, path, &|node| any_value(node, test));
        let compared =
            |test: &dyn Fn(&Field<'_>) -> bool| any(&|node| !is_object(node) && test(&Field::new(node)));
        let ordered = |literal: &Literal, test: fn(Ordering) -> bool| {
            compared(&|field| literal.order_of(field).is_some_and(test))
        };
        match self {
            Self::Present => reaches(root, path, &|node| node.kind() != Kind::Null),
            Self::Equals(literals) => compared(&|field| literals.iter().any(|literal| literal.equals(field))),
            Self::Has(literals) => any(&|node| match is_object(node) {
                true => node.children().any(|member| {
                    let name = member.name();
                    literals.iter().any(|literal| literal.fits(&name))
                }),
                false => {
                    let field = Field::new(node);
                    literals.iter().any(|literal| literal.equals(&field))
                }
            }),
            Self::Differs(literal) => {
                reaches(root, path, &|_| true) && !compared(&|field| literal.equals(field))
            }
            Self::Less(literal) => ordered(literal, Ordering::is_lt),
            Self::AtMost(literal) => ordered(literal, Ordering::is_le),
            Self::Greater(literal) => ordered(literal, Ordering::is_gt),
            Self::AtLeast(literal) => ordered(literal, Ordering::is_ge),
        }
    }
}

fn is_object(node: Node<'_>) -> bool {
    node.kind() == Kind::Object
}

/// Whether a value at `path` passes `test`. A path goes on in every element of an array.
fn reaches(node: Node<'_>, path: &[String], test: &dyn Fn(Node<'_>) -> bool) -> bool {
    let Some((name, rest)) = path.split_first() else {
        return test(node);
    };
    match node.kind() {
        Kind::Array => node.children().any(|element| reaches(element, path, test)),
        _ => node
            .member(name)
            .is_some_and(|member| reaches(member, rest, test)),
    }
}

/// Whether the value, or an element of the array that it is, passes `test`.
fn any_value(node: Node<'_>, test: &dyn Fn(Node<'_>) -> bool) -> bool {
    match node.kind() {
        Kind::Array => node.children().any(|element| any_value(element, test)),
        _ => test(node),
    }
}

#[cfg(test)]
mod tests;
