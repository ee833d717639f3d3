//! The order of members in materialized files.

use std::cmp::Ordering;

use icu_collator::{Collator, CollatorBorrowed};

use crate::node::{Node, Object};

/// What comes first, in this order, wherever it stands: the original orders members of examples and names of
/// properties by the same list.
const FIRST: [&str; 10] = [
    "title",
    "description",
    "$id",
    "$schema",
    "type",
    "additionalProperties",
    "required",
    "properties",
    "allOf",
    "examples",
];

/// Orders members as `jsonschema-tools` does: the known ones first, the others as `localeCompare` orders them.
pub(crate) struct KeyOrder(Option<CollatorBorrowed<'static>>);

impl KeyOrder {
    pub(crate) fn new() -> Self {
        Self(Collator::try_new(Default::default(), Default::default()).ok())
    }

    pub(crate) fn sorted<'a>(&self, members: &'a Object) -> Vec<(&'a str, &'a Node)> {
        let mut members: Vec<_> = members
            .iter()
            .map(|(name, member)| (name.as_ref(), member))
            .collect();
        members.sort_by(|(left, _), (right, _)| self.compare(left, right));
        members
    }

    fn compare(&self, left: &str, right: &str) -> Ordering {
        let rank = |name| {
            FIRST
                .iter()
                .position(|first| *first == name)
                .unwrap_or(FIRST.len())
        };
        rank(left).cmp(&rank(right)).then_with(|| match &self.0 {
            Some(collator) => collator.compare(left, right),
            None => left.cmp(right),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_members_come_first_and_the_others_as_a_reader_expects() {
        let order = KeyOrder::new();
        for (names, expected) in [
            (vec!["allOf", "properties"], vec!["properties", "allOf"]),
            (vec!["foo", "properties"], vec!["properties", "foo"]),
            (vec!["zebra", "ant"], vec!["ant", "zebra"]),
            (
                vec!["b", "B", "a_c", "ab", "$z", "1", "A", "a"],
                vec!["$z", "1", "a", "A", "a_c", "ab", "b", "B"],
            ),
        ] {
            let members: Object = names.into_iter().map(|name| (name.into(), Node::Null)).collect();
            let sorted: Vec<_> = order.sorted(&members).into_iter().map(|(name, _)| name).collect();
            assert_eq!(sorted, expected);
        }
    }
}
