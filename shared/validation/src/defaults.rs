//! Schema defaults, added as AJV's `useDefaults` does: to missing members, after the sent ones, before validation.

use eventstar_event::Document;
use eventstar_event::document::{Kind, Position};
use serde_json::Value;

/// Where a schema has defaults: only the branches that hold one.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    /// Name, JSON text of the default, and the defaults within.
    members: Vec<(String, Option<String>, Defaults)>,
    items: Option<Box<Defaults>>,
}

impl Defaults {
    /// Collects the defaults of a schema: `properties` and `items`, not the branches of `anyOf` and the like (as AJV).
    pub(crate) fn of(schema: &Value) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let members = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| {
                (
                    name.clone(),
                    schema.get("default").map(Value::to_string),
                    Self::of(schema),
                )
            })
            .filter(|(_, default, below)| default.is_some() || !below.is_empty())
            .collect();
        let items = schema
            .get("items")
            .filter(|items| items.is_object())
            .map(Self::of);
        Self {
            members,
            items: items.filter(|items| !items.is_empty()).map(Box::new),
        }
    }

    fn is_empty(&self) -> bool {
        self.members.is_empty() && self.items.is_none()
    }

    /// Adds what is missing.
    pub(crate) fn fill(&self, event: &mut Document<'_>) {
        if !self.is_empty() {
            let root = event.root().position();
            self.fill_at(event, root);
        }
    }

    fn fill_at(&self, event: &mut Document<'_>, at: Position) {
        for (name, default, below) in &self.members {
            let member = match default {
                Some(default) => event.add_to(at, name, default),
                None => event.at(at).member(name).map(|member| member.position()),
            };
            if let Some(member) = member.filter(|_| !below.is_empty()) {
                below.fill_at(event, member);
            }
        }
        if let Some(below) = self.items.as_ref().filter(|_| event.at(at).kind() == Kind::Array) {
            let items: Vec<Position> = event.at(at).children().map(|item| item.position()).collect();
            for item in items {
                below.fill_at(event, item);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn defaults_fill_what_is_missing_at_any_depth() {
        let defaults = Defaults::of(&json!({
            "properties": {
                "a": {"default": "x"},
                "o": {"properties": {"p": {"default": 1}, "q": {}}},
                "new": {"default": {"z": {}}, "properties": {"z": {"properties": {"deep": {"default": true}}}}},
                "list": {"items": {"properties": {"n": {"default": null}}}},
            }
        }));
        for (sent, expected) in [
            (
                r#"{"o":{}}"#,
                r#"{"o":{"p":1},"a":"x","new":{"z":{"deep":true}}}"#,
            ),
            (r#"{"a":0,"o":{"p":2},"new":1}"#, r#"{"a":0,"o":{"p":2},"new":1}"#),
            (
                r#"{"a":0,"new":1,"list":[{},{"n":1},{"m":2}]}"#,
                r#"{"a":0,"new":1,"list":[{"n":null},{"n":1},{"m":2,"n":null}]}"#,
            ),
        ] {
            let mut event = Document::parse(sent).unwrap();
            defaults.fill(&mut event);
            assert_eq!(event.text(), expected);
            assert_eq!(event.root().to_value().to_string(), expected);
        }
    }
}
