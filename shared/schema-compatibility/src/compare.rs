//! Finds what a new version of a schema accepts less, or more, than the old one.
//!
//! A member that the new version declares in an object that was open is no incompatibility: members that no schema
//! declares are not expected in events.

mod objects;
mod values;

use serde_json::{Map, Value};

use crate::edit::{Action, Edit, Step};
use crate::incompatibility::{Direction, Incompatibility, Rule};
use crate::instance::samples;
use crate::schema::{ARRAY, NUMBER, OBJECT, STRING, Types, effective_types, resolve, token, type_names};

/// Keywords that say nothing about which events are accepted by themselves.
const ANNOTATIONS: [&str; 10] = [
    "$id",
    "$schema",
    "$comment",
    "title",
    "description",
    "default",
    "examples",
    "readOnly",
    "writeOnly",
    "deprecated",
];

/// Keywords whose effect is not judged, only that they differ.
const OPAQUE: [&str; 15] = [
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minContains",
    "maxContains",
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "additionalItems",
    "prefixItems",
    "unevaluatedItems",
    "unevaluatedProperties",
    "allOf",
];

/// Places compared at most: `$ref`s that branch at each level reach more of them than anyone has written. The greatest known
/// schema has some 100 members.
const MAX_PLACES: usize = 20_000;

/// What an absent subschema stands for. One value, so that a pair with it is known again.
static ANYTHING: Value = Value::Bool(true);

/// The incompatibilities of two versions of a schema, in the order of the schema.
#[must_use]
pub fn compare(old: &Value, new: &Value) -> Vec<Incompatibility> {
    let mut comparison = Comparison {
        old_root: old,
        new_root: new,
        following: Vec::new(),
        places: 0,
        found: Vec::new(),
    };
    comparison.schemas(old, new, &Place::default());
    comparison.found
}

/// A place in both schemas, and in the events they are about.
#[derive(Debug, Clone, Default)]
struct Place {
    pointer: String,
    steps: Vec<Step>,
}

impl Place {
    /// The subschema under a keyword, about the value one step further.
    fn child(&self, keyword: &str, step: Step) -> Self {
        let mut steps = self.steps.clone();
        steps.push(step);
        Self {
            pointer: format!("{}/{keyword}", self.pointer),
            steps,
        }
    }

    fn property(&self, name: &str) -> Self {
        self.child(
            &format!("properties/{}", token(name)),
            Step::Member(name.to_owned()),
        )
    }

    /// The subschema under a keyword, about the same value.
    fn within(&self, keyword: &str) -> Self {
        Self {
            pointer: format!("{}/{keyword}", self.pointer),
            steps: self.steps.clone(),
        }
    }
}

struct Comparison<'a> {
    old_root: &'a Value,
    new_root: &'a Value,
    /// The pairs being compared: a cycle of `$ref`s comes back to one of them.
    following: Vec<(*const Value, *const Value)>,
    /// How many places were compared.
    places: usize,
    found: Vec<Incompatibility>,
}

type Object = Map<String, Value>;

impl Comparison<'_> {
    fn schemas(&mut self, old: &Value, new: &Value, place: &Place) {
        let old = resolve(old, self.old_root);
        let new = resolve(new, self.new_root);
        let pair = (std::ptr::from_ref(old), std::ptr::from_ref(new));
        if self.following.contains(&pair) {
            return;
        }
        if std::ptr::eq(old, new) {
            return;
        }
        self.places += 1;
        if self.places > MAX_PLACES {
            if self.places == MAX_PLACES + 1 {
                let message = format!("more than {MAX_PLACES} places: the rest is not compared");
                let by = None;
                self.push(
                    Rule::KeywordChanged,
                    Direction::OldOnly,
                    place,
                    "",
                    message,
                    Action::Search,
                    by,
                );
            }
            return;
        }
        self.following.push(pair);
        let everything = Object::new();
        match (old, new) {
            (Value::Bool(false), Value::Bool(false)) => {}
            (Value::Bool(false), _) => self.refused_altogether(Direction::NewOnly, new, place),
            (_, Value::Bool(false)) => self.refused_altogether(Direction::OldOnly, old, place),
            (old, new) => {
                let old = old.as_object().unwrap_or(&everything);
                let new = new.as_object().unwrap_or(&everything);
                self.objects_of_keywords(old, new, place);
            }
        }
        self.following.pop();
    }

    fn refused_altogether(&mut self, direction: Direction, accepting: &Value, place: &Place) {
        let (rule, what) = match direction {
            Direction::OldOnly => (Rule::TypeNarrowed, "nothing is accepted here any longer"),
            Direction::NewOnly => (
                Rule::TypeWidened,
                "values are accepted here that were all refused",
            ),
        };
        let root = self.accepting_root(direction);
        let put = Action::Put(samples(accepting, root));
        self.push(rule, direction, place, "", what.to_owned(), put, None);
    }

    fn objects_of_keywords(&mut self, old: &Object, new: &Object, place: &Place) {
        let shared = self.types(old, new, place);
        if shared == 0 {
            return;
        }
        self.enumerations(old, new, shared, place);
        self.bounds(old, new, shared, place);
        self.scalars(old, new, shared, place);
        if shared & OBJECT != 0 {
            self.required(old, new, place);
            self.members(old, new, place);
        }
        if shared & ARRAY != 0 {
            self.items(old, new, place);
        }
        for keyword in ["anyOf", "oneOf"] {
            self.alternatives(keyword, old, new, place);
        }
        for keyword in OPAQUE {
            self.opaque(keyword, old.get(keyword), new.get(keyword), place);
        }
    }

    /// Items of arrays. Tuples are not judged.
    fn items(&mut self, old: &Object, new: &Object, place: &Place) {
        let (old, new) = (old.get("items"), new.get("items"));
        if old.is_some_and(Value::is_array) || new.is_some_and(Value::is_array) {
            return self.opaque("items", old, new, place);
        }
        self.schemas(
            old.unwrap_or(&ANYTHING),
            new.unwrap_or(&ANYTHING),
            &place.child("items", Step::Item),
        );
    }

    /// `anyOf` and `oneOf`: alternatives that both have say nothing; the rest is compared in order.
    fn alternatives(&mut self, keyword: &'static str, old: &Object, new: &Object, place: &Place) {
        let list = |schema: &Object| -> Option<Vec<(usize, Value)>> {
            let alternatives = schema.get(keyword)?.as_array()?;
            Some(alternatives.iter().map(accepted).enumerate().collect())
        };
        let (Some(olds), Some(news)) = (list(old), list(new)) else {
            return self.opaque(keyword, old.get(keyword), new.get(keyword), place);
        };
        let only_in = |these: &[(usize, Value)], those: &[(usize, Value)]| -> Vec<(usize, Value)> {
            let is_new = |(_, one): &&(usize, Value)| !those.iter().any(|(_, other)| other == one);
            these.iter().filter(is_new).cloned().collect()
        };
        let (gone, come) = (only_in(&olds, &news), only_in(&news, &olds));
        if gone.len() == come.len() {
            for ((_, gone), (index, come)) in gone.iter().zip(&come) {
                self.schemas(gone, come, &place.within(&format!("{keyword}/{index}")));
            }
            return;
        }
        for (direction, rule, alternatives, what) in [
            (Direction::OldOnly, Rule::AlternativeRemoved, &gone, "gone"),
            (Direction::NewOnly, Rule::AlternativeAdded, &come, "new"),
        ] {
            let root = self.accepting_root(direction);
            let values: Vec<Value> = alternatives
                .iter()
                .flat_map(|(_, one)| samples(one, root))
                .collect();
            if !alternatives.is_empty() {
                let message = format!("{} alternative(s) of `{keyword}` are {what}", alternatives.len());
                self.push(
                    rule,
                    direction,
                    place,
                    keyword,
                    message,
                    Action::Put(values),
                    Some(keyword),
                );
            }
        }
    }

    fn opaque(&mut self, keyword: &str, old: Option<&Value>, new: Option<&Value>, place: &Place) {
        if old.map(accepted) == new.map(accepted) {
            return;
        }
        let (what, directions): (_, &[Direction]) = match (old, new) {
            (None, _) => ("is new", &[Direction::OldOnly]),
            (_, None) => ("is gone", &[Direction::NewOnly]),
            _ => ("says something else", &[Direction::OldOnly, Direction::NewOnly]),
        };
        for direction in directions {
            let message = format!("`{keyword}` {what}: whether that matters to events is not judged");
            self.push(
                Rule::KeywordChanged,
                *direction,
                place,
                keyword,
                message,
                Action::Search,
                None,
            );
        }
    }

    /// The root of the schema that accepts.
    fn accepting_root(&self, direction: Direction) -> &Value {
        match direction {
            Direction::OldOnly => self.old_root,
            Direction::NewOnly => self.new_root,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "one row of a table")]
    fn push(
        &mut self,
        rule: Rule,
        direction: Direction,
        place: &Place,
        keyword: &str,
        message: String,
        action: Action,
        refused_by: Option<&'static str>,
    ) {
        let pointer = match keyword {
            "" => place.pointer.clone(),
            keyword => format!("{}/{keyword}", place.pointer),
        };
        self.found.push(Incompatibility {
            rule,
            direction,
            pointer,
            message,
            edit: Edit {
                steps: place.steps.clone(),
                action,
                keyword: refused_by,
            },
        });
    }

    /// Runs a comparison of which only one direction counts.
    fn only(&mut self, direction: Direction, compare: impl FnOnce(&mut Self)) {
        let before = self.found.len();
        compare(self);
        let mut index = 0;
        self.found.retain(|found| {
            index += 1;
            index <= before || found.direction == direction
        });
    }

    /// Compares `type`; the types both versions can accept.
    fn types(&mut self, old: &Object, new: &Object, place: &Place) -> Types {
        let (old_types, new_types) = (effective_types(old), effective_types(new));
        for (direction, rule, accepting, accepted, refused) in [
            (
                Direction::OldOnly,
                Rule::TypeNarrowed,
                old,
                old_types,
                crate::schema::declared_types(new),
            ),
            (
                Direction::NewOnly,
                Rule::TypeWidened,
                new,
                new_types,
                crate::schema::declared_types(old),
            ),
        ] {
            let missing = accepted & !refused;
            if missing == 0 {
                continue;
            }
            let root = self.accepting_root(direction);
            let all = samples(&Value::Object(accepting.clone()), root);
            let values = all
                .into_iter()
                .filter(|value| crate::schema::type_of(value) & missing != 0)
                .collect();
            let message = match direction {
                Direction::OldOnly => format!("the type {} is refused now", type_names(missing)),
                Direction::NewOnly => format!("the type {} is accepted now", type_names(missing)),
            };
            self.push(
                rule,
                direction,
                place,
                "type",
                message,
                Action::Put(values),
                Some("type"),
            );
        }
        old_types & new_types
    }
}

/// A schema without what does not change the set of accepted events.
fn accepted(schema: &Value) -> Value {
    match schema {
        Value::Object(members) => Value::Object(
            members
                .iter()
                .filter(|(name, value)| !ANNOTATIONS.contains(&name.as_str()) || value.is_object())
                .map(|(name, value)| (name.clone(), accepted(value)))
                .collect(),
        ),
        Value::Array(items) => Value::Array(items.iter().map(accepted).collect()),
        other => other.clone(),
    }
}

/// The types a keyword is about.
fn concerns(keyword: &str) -> Types {
    match keyword {
        "minLength" | "maxLength" | "pattern" | "format" => STRING,
        "minItems" | "maxItems" | "uniqueItems" => ARRAY,
        "minProperties" | "maxProperties" => OBJECT,
        _ => NUMBER,
    }
}

#[cfg(test)]
mod tests;
