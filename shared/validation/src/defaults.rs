//! Schema defaults, added as AJV's `useDefaults` does: to missing members, after the sent ones, before validation.

use eventstar_event::EventText;
use serde_json::{Map, Value};

/// Where a schema has defaults: only the branches that hold one.
#[derive(Debug, Default)]
pub(crate) struct Defaults {
    members: Vec<(String, Option<Value>, Defaults)>,
    items: Option<Box<Defaults>>,
}

impl Defaults {
    /// Collects the defaults of a schema: `properties` and `items`, not the branches of `anyOf` and the like (as AJV).
    pub(crate) fn of(schema: &Value) -> Self {
        let properties = schema.get("properties").and_then(Value::as_object);
        let members = properties
            .into_iter()
            .flatten()
            .map(|(name, schema)| (name.clone(), schema.get("default").cloned(), Self::of(schema)))
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

    /// Adds what is missing to the parsed event and to its text alike.
    pub(crate) fn fill(&self, value: &mut Value, text: &mut EventText) {
        if !self.is_empty() {
            self.fill_at(value, text, &mut Vec::new());
        }
    }

    fn fill_at(&self, value: &mut Value, text: &mut EventText, path: &mut Vec<String>) {
        match value {
            Value::Object(object) => {
                for (name, default, below) in &self.members {
                    path.push(name.clone());
                    fill_member(object, name, default.as_ref(), text, path);
                    if let Some(member) = object.get_mut(name) {
                        below.fill_at(member, text, path);
                    }
                    path.pop();
                }
            }
            Value::Array(items) => {
                let Some(below) = &self.items else { return };
                for (index, item) in items.iter_mut().enumerate() {
                    path.push(index.to_string());
                    below.fill_at(item, text, path);
                    path.pop();
                }
            }
            _ => {}
        }
    }
}

fn fill_member(
    object: &mut Map<String, Value>,
    name: &str,
    default: Option<&Value>,
    text: &mut EventText,
    path: &[String],
) {
    if let Some(default) = default.filter(|_| !object.contains_key(name)) {
        object.insert(name.to_owned(), default.clone());
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        text.set(&path, &default.to_string());
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
            let mut text = EventText::compact(sent).unwrap();
            let mut value = text.to_value().unwrap();
            defaults.fill(&mut value, &mut text);
            assert_eq!(text.as_str(), expected);
            assert_eq!(text.to_value().unwrap(), value);
        }
    }
}
