//! The names of a large object, once it is asked for several members.

use std::cell::RefCell;
use std::collections::HashMap;

use super::{Document, Node};

/// Objects with fewer members than this are searched from the first to the last.
const MANY_MEMBERS: usize = 64;

/// The number of searches of an object before its names are put in order.
const SEARCHES: usize = 4;

/// The object that was asked last, how often in a row, and where its members are.
#[derive(Debug, Clone, Default)]
pub(super) struct Names(RefCell<Asked>);

#[derive(Debug, Clone, Default)]
struct Asked {
    object: u32,
    times: usize,
    members: HashMap<String, u32>,
}

impl Names {
    /// Forgets what is known of an object.
    pub(super) fn forget(&mut self, object: u32) {
        let asked = self.0.get_mut();
        if asked.object == object {
            *asked = Asked::default();
        }
    }

    /// Notes a new member of an object.
    pub(super) fn add(&mut self, object: u32, name: &str, member: u32) {
        let asked = self.0.get_mut();
        if asked.object == object && !asked.members.is_empty() {
            asked.members.insert(name.to_owned(), member);
        }
    }
}

impl Document<'_> {
    /// The member of that name, if the object is large and its names are in order.
    pub(super) fn look_up(&self, object: Node<'_>, name: &str) -> Option<Option<u32>> {
        if object.len() < MANY_MEMBERS {
            return None;
        }
        let mut asked = self.names.0.borrow_mut();
        if asked.object != object.at {
            *asked = Asked {
                object: object.at,
                ..Asked::default()
            };
        }
        asked.times += 1;
        if asked.times <= SEARCHES {
            return None;
        }
        if asked.members.is_empty() {
            asked.members = object
                .children()
                .map(|member| (member.name().into_owned(), member.at))
                .collect();
        }
        Some(asked.members.get(name).copied())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_object_is_searched_a_few_times_only() {
        let members: Vec<String> = (0..MANY_MEMBERS).map(|n| format!("\"k{n}\":{n}")).collect();
        let event = Document::parse(format!("{{{}}}", members.join(","))).unwrap();
        let in_order = || event.names.0.borrow().members.len();
        for _ in 0..SEARCHES {
            assert!(event.root().member("k7").is_some());
            assert_eq!(in_order(), 0);
        }
        assert!(event.root().member("k7").is_some());
        assert_eq!(in_order(), MANY_MEMBERS);
        let few = Document::parse(format!("{{{}}}", members[1..].join(","))).unwrap();
        for _ in 0..=SEARCHES {
            assert!(few.root().member("k7").is_some());
        }
        assert_eq!(few.names.0.borrow().members.len(), 0);
    }
}
