//! How an event that shows an incompatibility differs from one both versions accept.

use serde_json::Value;

/// One step from an event to the value a subschema is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Step {
    /// The member of this name.
    Member(String),
    /// Any member the schema does not declare.
    AnyMember,
    /// Any item of an array.
    Item,
}

/// What to do to an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Edit {
    /// Where.
    pub(crate) steps: Vec<Step>,
    /// What.
    pub(crate) action: Action,
    /// The keyword that must refuse the event; `None` where any may.
    pub(crate) keyword: Option<&'static str>,
}

/// What to do at a place of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Action {
    /// Put one of these values there, the first that shows it, or leave what is there.
    Put(Vec<Value>),
    /// Take a member away.
    Remove(String),
    /// Nothing, or any value: one may show it.
    Search,
}
