//! Shows an incompatibility: an event that one version accepts and the other refuses, for the reason told.

use eventstar_validation::{AjvError, Schema};
use serde_json::{Map, Value};

use crate::edit::{Action, Edit, Step};
use crate::incompatibility::{Direction, Incompatibility};
use crate::instance::{minimal, probes};
use crate::schema::{properties, property, resolve, token};

/// The name of a member that no schema is expected to declare.
const UNDECLARED: &str = "not_declared";

/// Two versions of a schema, compiled.
#[derive(Debug, Clone, Copy)]
pub struct Versions<'a> {
    /// The old version.
    pub old: &'a Value,
    /// The new version.
    pub new: &'a Value,
    /// The old version, compiled.
    pub old_compiled: &'a Schema,
    /// The new version, compiled.
    pub new_compiled: &'a Schema,
}

/// A small event that one version accepts and the other refuses; verified with both. It is made of an example of the
/// schemas, or else of a generated one. `None` where none was found: that does not mean there is none.
#[must_use]
pub fn counter_example(incompatibility: &Incompatibility, versions: &Versions<'_>) -> Option<Value> {
    let Versions {
        old,
        new,
        old_compiled,
        new_compiled,
    } = versions;
    let (accepting, refusing, accepts, refuses) = match incompatibility.direction {
        Direction::OldOnly => (old, new, old_compiled, new_compiled),
        Direction::NewOnly => (new, old, new_compiled, old_compiled),
    };
    let edit = &incompatibility.edit;
    let mut bases: Vec<Value> = [*accepting, *refusing]
        .iter()
        .filter_map(|schema| schema.get("examples")?.as_array())
        .flatten()
        .filter(|example| example.is_object())
        .cloned()
        .collect();
    bases.push(minimal(accepting, accepting));
    bases.push(minimal(refusing, refusing));
    // An event that both accept before the edit shows best what the edit does.
    let (mut both, others): (Vec<_>, Vec<_>) = bases
        .into_iter()
        .partition(|base| accepts.validate(base).is_ok() && refuses.validate(base).is_ok());
    both.extend(others);
    for base in &both {
        for (event, pointer) in edited(base, edit, accepting) {
            // How many errors the refusing version tells, where the one that is looked for is among them.
            let shows = |event: &Value| -> Option<usize> {
                if accepts.validate(event).is_err() {
                    return None;
                }
                let errors = refuses.validate(event).err()?;
                let is_it = |error: &AjvError| {
                    (lies_in(&pointer, &error.pointer) || lies_in(&error.pointer, &pointer))
                        && edit.keyword.is_none_or(|keyword| error.keyword == keyword)
                };
                errors.iter().any(is_it).then_some(errors.len())
            };
            if let Some(errors) = shows(&event) {
                return Some(shrunk(event, errors, &shows));
            }
        }
    }
    None
}

/// Whether a pointer lies at or below another.
fn lies_in(pointer: &str, above: &str) -> bool {
    pointer
        .strip_prefix(above)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The events an edit makes of one, with the pointer to what was edited.
fn edited(base: &Value, edit: &Edit, accepting: &Value) -> Vec<(Value, String)> {
    let at = |act: &dyn Fn(&mut Value)| {
        let mut event = base.clone();
        let mut pointer = String::new();
        let place = descend(&mut event, &edit.steps, accepting, &mut pointer)?;
        act(place);
        Some((event, pointer))
    };
    let put = |values: &[Value]| -> Vec<(Value, String)> {
        values
            .iter()
            .filter_map(|value| at(&|place| *place = value.clone()))
            .collect()
    };
    match &edit.action {
        Action::Search => {
            let mut events = vec![(base.clone(), String::new())];
            events.extend(put(&probes()));
            events
        }
        Action::Remove(name) => at(&|place| {
            if let Some(members) = place.as_object_mut() {
                members.shift_remove(name);
            }
        })
        .into_iter()
        .collect(),
        Action::Put(values) => {
            let mut events = put(values);
            events.extend(at(&|_| {}));
            // The text that is there may be of a pattern that those made up are not.
            for length in values
                .iter()
                .filter_map(Value::as_str)
                .map(|text| text.chars().count())
            {
                events.extend(at(&|place| {
                    if let Value::String(text) = place {
                        *text = resized(text, length);
                    }
                }));
            }
            events
        }
    }
}

/// A text cut, or its last character repeated, to a length.
fn resized(text: &str, length: usize) -> String {
    let last = text.chars().last().into_iter().cycle();
    text.chars().chain(last).take(length).collect()
}

/// The place some steps lead to; what is missing on the way is made as the accepting schema wants it.
fn descend<'event>(
    mut place: &'event mut Value,
    steps: &[Step],
    root: &Value,
    pointer: &mut String,
) -> Option<&'event mut Value> {
    let mut schema = root;
    for step in steps {
        let keywords = resolve(schema, root).as_object();
        let below = |keyword: &str| {
            keywords
                .and_then(|keywords| keywords.get(keyword))
                .unwrap_or(&Value::Null)
        };
        match step {
            Step::Member(name) => {
                schema = keywords
                    .and_then(|keywords| property(keywords, name))
                    .unwrap_or_else(|| below("additionalProperties"));
                pointer.push_str(&format!("/{}", token(name)));
                place = members(place)?
                    .entry(name.as_str())
                    .or_insert_with(|| minimal(schema, root));
            }
            Step::AnyMember => {
                schema = below("additionalProperties");
                let declared: Vec<&str> = keywords
                    .map(|keywords| properties(keywords).map(|(name, _)| name.as_str()).collect())
                    .unwrap_or_default();
                let members = members(place)?;
                let name = members
                    .keys()
                    .find(|name| !declared.contains(&name.as_str()))
                    .map_or(UNDECLARED, String::as_str)
                    .to_owned();
                pointer.push_str(&format!("/{}", token(&name)));
                place = members.entry(name).or_insert_with(|| minimal(schema, root));
            }
            Step::Item => {
                schema = below("items");
                if place.as_array().is_none_or(Vec::is_empty) {
                    *place = Value::Array(vec![minimal(schema, root)]);
                }
                pointer.push_str("/0");
                place = place.as_array_mut()?.first_mut()?;
            }
        }
    }
    Some(place)
}

fn members(place: &mut Value) -> Option<&mut Map<String, Value>> {
    if !place.is_object() {
        *place = Value::Object(Map::new());
    }
    place.as_object_mut()
}

/// Leaves out every member without which the event shows the same, and nothing else.
fn shrunk(mut event: Value, mut errors: usize, shows: &dyn Fn(&Value) -> Option<usize>) -> Value {
    let mut pending = vec![String::new()];
    while let Some(pointer) = pending.pop() {
        let names: Vec<String> = match event.pointer(&pointer) {
            Some(Value::Object(members)) => members.keys().cloned().collect(),
            _ => continue,
        };
        for name in names {
            let mut smaller = event.clone();
            if let Some(Value::Object(members)) = smaller.pointer_mut(&pointer) {
                members.shift_remove(&name);
            }
            match shows(&smaller) {
                Some(fewer) if fewer <= errors => {
                    event = smaller;
                    errors = fewer;
                }
                _ => pending.push(format!("{pointer}/{}", token(&name))),
            }
        }
    }
    event
}
