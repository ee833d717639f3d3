//! What is said of the members of an object.

use serde_json::Value;

use super::{ANYTHING, Comparison, Object, Place};
use crate::edit::{Action, Step};
use crate::incompatibility::{Direction, Rule};
use crate::instance::{probes, samples};
use crate::schema::{Rest, by_pattern, properties, property, rest, strings, token};

impl Comparison<'_> {
    /// `required`. A new name with a `default` breaks nothing: defaults are filled in before events are validated.
    pub(super) fn required(&mut self, old: &Object, new: &Object, place: &Place) {
        let (was, is) = (strings(old, "required"), strings(new, "required"));
        for name in is.iter().filter(|name| !was.contains(name)) {
            if property(new, name).is_some_and(|schema| schema.get("default").is_some()) {
                continue;
            }
            let message = format!("\"{name}\" is required now");
            let action = Action::Remove((*name).to_owned());
            let by = Some("required");
            self.push(
                Rule::RequiredAdded,
                Direction::OldOnly,
                place,
                "required",
                message,
                action,
                by,
            );
        }
        for name in was.iter().filter(|name| !is.contains(name)) {
            let message = format!("\"{name}\" is not required any longer: consumers may rely on it");
            let action = Action::Remove((*name).to_owned());
            let by = Some("required");
            self.push(
                Rule::RequiredRemoved,
                Direction::NewOnly,
                place,
                "required",
                message,
                action,
                by,
            );
        }
    }

    /// `properties`, `additionalProperties`, `patternProperties`, `propertyNames`.
    pub(super) fn members(&mut self, old: &Object, new: &Object, place: &Place) {
        for (name, schema) in properties(old) {
            match property(new, name) {
                Some(other) => self.schemas(schema, other, &place.property(name)),
                None => self.removed(name, schema, new, place),
            }
        }
        for (name, schema) in properties(new) {
            if property(old, name).is_none() {
                self.added(name, schema, old, place);
            }
        }
        self.rests(old, new, place);
        for keyword in ["patternProperties", "propertyNames"] {
            self.opaque(keyword, old.get(keyword), new.get(keyword), place);
        }
    }

    fn removed(&mut self, name: &str, schema: &Value, new: &Object, place: &Place) {
        let pattern = by_pattern(new, name);
        let there = place.property(name);
        let direction = match (pattern, rest(new)) {
            (None, Rest::Closed) => Direction::OldOnly,
            _ => Direction::NewOnly,
        };
        let (message, put, refused_by) = match direction {
            Direction::OldOnly => (
                format!("the member \"{name}\" is gone, and refused"),
                samples(schema, self.old_root),
                Some("additionalProperties"),
            ),
            Direction::NewOnly => (
                format!(
                    "the member \"{name}\" is gone: consumers may rely on it, and any value passes for it"
                ),
                probes(),
                None,
            ),
        };
        self.push(
            Rule::PropertyRemoved,
            direction,
            &there,
            "",
            message,
            Action::Put(put),
            refused_by,
        );
        let (other, keyword) = match (pattern, rest(new)) {
            (Some(other), _) => (other, "patternProperties"),
            (None, Rest::Map(other)) => (other, "additionalProperties"),
            _ => return,
        };
        let there = place.child(keyword, Step::Member(name.to_owned()));
        self.only(Direction::OldOnly, |this| this.schemas(schema, other, &there));
    }

    fn added(&mut self, name: &str, schema: &Value, old: &Object, place: &Place) {
        let there = place.property(name);
        match (by_pattern(old, name), rest(old)) {
            (Some(other), _) | (None, Rest::Map(other)) => {
                self.only(Direction::OldOnly, |this| this.schemas(other, schema, &there));
            }
            (None, Rest::Open) => {}
            (None, Rest::Closed) => {
                let message = format!(
                    "the member \"{}\" is new, and the old version takes no others",
                    token(name)
                );
                let put = Action::Put(samples(schema, self.new_root));
                let by = Some("additionalProperties");
                self.push(
                    Rule::PropertyAdded,
                    Direction::NewOnly,
                    &there,
                    "",
                    message,
                    put,
                    by,
                );
            }
        }
    }

    /// Members that are not declared.
    fn rests(&mut self, old: &Object, new: &Object, place: &Place) {
        let there = place.child("additionalProperties", Step::AnyMember);
        let schema = |rest| match rest {
            Rest::Open => Some(&ANYTHING),
            Rest::Map(schema) => Some(schema),
            Rest::Closed => None,
        };
        let by = Some("additionalProperties");
        match (schema(rest(old)), schema(rest(new))) {
            (Some(old), Some(new)) => self.schemas(old, new, &there),
            (None, None) => {}
            (Some(old), None) => {
                let put = Action::Put(samples(old, self.old_root));
                let message = "members that are not declared are refused now".to_owned();
                self.push(
                    Rule::ObjectClosed,
                    Direction::OldOnly,
                    &there,
                    "",
                    message,
                    put,
                    by,
                );
            }
            (None, Some(new)) => {
                let put = Action::Put(samples(new, self.new_root));
                let message = "members that are not declared are accepted now".to_owned();
                self.push(
                    Rule::ObjectOpened,
                    Direction::NewOnly,
                    &there,
                    "",
                    message,
                    put,
                    by,
                );
            }
        }
    }
}
