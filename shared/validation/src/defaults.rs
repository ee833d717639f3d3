//! Schema defaults, added as AJV's `useDefaults` does: to missing members and elements, after the sent ones, before
//! validation.
//!
//! Source: ajv 6.12.6, `lib/dot/validate.jst`, `properties.jst`, `items.jst`, `if.jst`. Nothing is added where AJV only tries
//! a schema: in `anyOf`, `oneOf`, `not`, `if`, `contains` and `propertyNames`.

mod read;

use eventstar_event::Document;
use eventstar_event::document::{Kind, Position};
use jsonschema::Validator;
use serde_json::Value;

use crate::SchemaError;
use crate::breadth::values;
use crate::metered::{Allowance, Metered, is_spent, take};

/// One of the nodes: a schema that says where defaults go.
type At = usize;

/// Most defaults that one default may bring about within itself, and how deep they may lie in it: a schema whose default
/// has a place for that default again would go on for ever.
const MOST: Limit = Limit {
    added: 10_000,
    depth: 64,
};

/// Deepest way into an event and through schemas for the same value. An event nests 64 levels deep, and each of them costs stack.
const MAX_DEPTH: usize = 1_000;

/// Names of a schema that a name is compared with in a step.
const NAMES_A_STEP: usize = 16;

/// Where a schema has defaults: only the schemas that hold one, or lead to one.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    /// The first is the root's, if there is any.
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    pointer: String,
    /// Of `properties`.
    members: Vec<Member>,
    dependencies: Vec<(String, At)>,
    patterns: Vec<(Validator<Metered>, Option<At>)>,
    additional: Option<At>,
    /// Of a list of `items`, in their order.
    tuple: Vec<(Option<String>, Option<At>)>,
    /// Of the items after the tuple; of all, without one.
    items: Option<At>,
    /// The target of `$ref`, or the schemas of `allOf`.
    all: Vec<At>,
    branches: Option<Branches>,
}

#[derive(Debug)]
struct Member {
    name: String,
    /// JSON text.
    default: Option<String>,
    below: Option<At>,
}

#[derive(Debug)]
struct Branches {
    condition: Validator<Metered>,
    then: Option<At>,
    otherwise: Option<At>,
}

#[derive(Debug, Clone, Copy)]
struct Limit {
    added: usize,
    depth: usize,
}

impl Defaults {
    /// Adds what is missing, in the steps that are left. Whether it is all there.
    pub(crate) fn fill(&self, event: &mut Document<'_>) -> bool {
        let mut limit = Limit {
            added: usize::MAX,
            depth: MAX_DEPTH,
        };
        if !self.nodes.is_empty() {
            let root = event.root().position();
            self.fill_at(0, event, root, &mut limit);
        }
        limit.depth > 0 && !is_spent()
    }

    /// The first place whose default has defaults without end, or more than can be filled in with these steps.
    fn endless(&self, allowance: Allowance) -> Option<SchemaError> {
        allowance.begin();
        let endless = self.find_endless();
        Allowance::ENDLESS.begin();
        endless
    }

    fn find_endless(&self) -> Option<SchemaError> {
        let mut defaults = self.nodes.iter().flat_map(|node| {
            let members = node.members.iter().map(|member| (&member.default, member.below));
            let items = node.tuple.iter().map(|(default, below)| (default, *below));
            members
                .chain(items)
                .map(move |(default, below)| (node, default, below))
        });
        defaults.find_map(|(node, default, below)| {
            let text = format!("{{\"default\":{}}}", default.as_ref()?);
            let mut document = Document::parse(text).ok()?;
            let at = document.get(&["default"])?.position();
            let mut limit = MOST;
            let below = below?;
            self.fill_at(below, &mut document, at, &mut limit);
            let message = if limit.added == 0 || limit.depth == 0 {
                "a default has a place for itself, so that it would be filled in without end"
            } else if is_spent() {
                "defaults take too many steps to fill in: use fewer branches and $refs"
            } else {
                return None;
            };
            Some(SchemaError {
                pointer: node.pointer.clone(),
                message: message.to_owned(),
            })
        })
    }

    fn fill_at(&self, node: At, event: &mut Document<'_>, at: Position, limit: &mut Limit) {
        let Some(node) = self.nodes.get(node) else { return };
        if limit.added == 0 || limit.depth == 0 || event.is_overfull() || !take(1) {
            return;
        }
        limit.depth -= 1;
        match event.at(at).kind() {
            Kind::Object => self.fill_object(node, event, at, limit),
            Kind::Array => self.fill_array(node, event, at, limit),
            _ => {}
        }
        for all in &node.all {
            self.fill_at(*all, event, at, limit);
        }
        if let Some(Branches {
            condition,
            then,
            otherwise,
        }) = &node.branches
        {
            let value = event.at(at).to_value();
            let holds = take(values(&value)) && condition.is_valid(&value);
            if let Some(branch) = if holds { then } else { otherwise } {
                self.fill_at(*branch, event, at, limit);
            }
        }
        // Where it has run out, it stays so.
        limit.depth += usize::from(limit.depth > 0);
    }

    fn fill_object(&self, node: &Node, event: &mut Document<'_>, at: Position, limit: &mut Limit) {
        // The members are put into the order of their names at most, and looked up.
        if !take(event.at(at).len() + node.members.len() + node.dependencies.len()) {
            return;
        }
        for Member { name, default, .. } in &node.members {
            if let Some(default) = default
                && event.at(at).member(name).is_none()
            {
                event.add_to(at, name, default);
                limit.added = limit.added.saturating_sub(1);
            }
        }
        for (name, below) in &node.dependencies {
            if event.at(at).member(name).is_some() {
                self.fill_at(*below, event, at, limit);
            }
        }
        let members: Vec<Position> = if node.additional.is_some() || !node.patterns.is_empty() {
            event.at(at).children().map(|member| member.position()).collect()
        } else {
            Vec::new()
        };
        if let Some(below) = node.additional {
            for member in &members {
                if !take(1 + node.members.len() / NAMES_A_STEP) {
                    return;
                }
                let name = event.at(*member).name();
                let is_declared = node.members.iter().any(|declared| declared.name == name);
                let name = Value::String(name.into_owned());
                if !is_declared && !node.patterns.iter().any(|(pattern, _)| pattern.is_valid(&name)) {
                    self.fill_at(below, event, *member, limit);
                }
            }
        }
        // All are looked up before one of them is.
        let declared: Vec<(At, Position)> = node
            .members
            .iter()
            .filter_map(|Member { name, below, .. }| Some(((*below)?, event.at(at).member(name)?.position())))
            .collect();
        for (below, member) in declared {
            self.fill_at(below, event, member, limit);
        }
        for (pattern, below) in &node.patterns {
            let Some(below) = below else { continue };
            for member in &members {
                if !take(1) {
                    return;
                }
                if pattern.is_valid(&Value::String(event.at(*member).name().into_owned())) {
                    self.fill_at(*below, event, *member, limit);
                }
            }
        }
    }

    fn fill_array(&self, node: &Node, event: &mut Document<'_>, at: Position, limit: &mut Limit) {
        if !take(event.at(at).len() + node.tuple.len()) {
            return;
        }
        for (place, (default, _)) in node.tuple.iter().enumerate() {
            let Some(default) = default else { continue };
            for missing in event.at(at).len()..=place {
                // What JavaScript leaves out before it is null.
                event.push_to(at, if missing == place { default } else { "null" });
                limit.added = limit.added.saturating_sub(1);
            }
        }
        if node.items.is_none() && node.tuple.iter().all(|(_, below)| below.is_none()) {
            return;
        }
        let items: Vec<Position> = event.at(at).children().map(|item| item.position()).collect();
        for (place, item) in items.into_iter().enumerate() {
            let below = match node.tuple.get(place) {
                Some((_, below)) => *below,
                None => node.items,
            };
            if let Some(below) = below {
                self.fill_at(below, event, item, limit);
            }
        }
    }
}

#[cfg(test)]
mod tests;
