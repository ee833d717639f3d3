//! A `$ref` to a name within the schema, written as a JSON pointer into it.
//!
//! As AJV 6 resolves them (ajv 6.12.6, `lib/compile/resolve.js`): `$id`s are names, those that begin with `#` too, and each is
//! relative to the one around it, as is a `$ref`.

use std::collections::HashMap;

use jsonschema::{Uri, uri};
use serde_json::{Map, Value};

use crate::keywords::below;
use crate::path::fragment;

/// Keywords that name a schema; an `$anchor` does so without its `#`.
const NAMES: &[&str] = &["$id", "id", "$anchor"];

/// The base of a relative `$id` of a root.
const BASE: &str = "json-schema:///";

/// Rewrites each `$ref` that names a schema of this document by an `$id`. Others stay as they are.
pub(crate) fn resolve(schema: &mut Value) {
    let Ok(base) = uri::from_str(BASE) else { return };
    let mut names = HashMap::new();
    if let Value::Object(root) = schema {
        let mut is_named = false;
        each(root, "", &base, &mut |schema, pointer, base| {
            is_named |= schema.get("$ref").is_some_and(Value::is_string);
            names
                .entry(base.as_str().to_owned())
                .or_insert_with(|| pointer.to_owned());
        });
        if is_named {
            each(root, "", &base, &mut |schema, _, base| {
                if let Some(Value::String(target)) = schema.get_mut("$ref")
                    && let Some(pointer) = pointer(&names, base, target)
                {
                    *target = pointer;
                }
            });
        }
    }
}

/// Shows each schema with its pointer, and the name that it has or is below of.
fn each(
    schema: &mut Map<String, Value>,
    pointer: &str,
    base: &Uri<String>,
    show: &mut impl FnMut(&mut Map<String, Value>, &str, &Uri<String>),
) {
    let name = NAMES
        .iter()
        .find_map(|keyword| match (*keyword, schema.get(*keyword)?.as_str()?) {
            ("$anchor", name) => Some(format!("#{name}")),
            (_, name) => Some(name.to_owned()),
        });
    let own = name.and_then(|name| uri::resolve_against(&base.borrow(), &name).ok());
    let base = own.as_ref().unwrap_or(base);
    show(schema, pointer, base);
    for (below, schema) in below(schema) {
        if let Value::Object(schema) = schema {
            each(schema, &format!("{pointer}{below}"), base, show);
        }
    }
}

fn pointer(names: &HashMap<String, String>, base: &Uri<String>, target: &str) -> Option<String> {
    // The root, wherever it stands.
    if target == "#" || target == "#/" {
        return Some("#".to_owned());
    }
    let named = uri::resolve_against(&base.borrow(), target).ok()?;
    let named = named.as_str().trim_end_matches('#');
    if let Some(pointer) = names.get(named) {
        return Some(format!("#{}", fragment(pointer)));
    }
    let (document, within) = named.split_once('#')?;
    let pointer = names.get(document)?;
    within
        .starts_with('/')
        .then(|| format!("#{}{within}", fragment(pointer)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_ref_by_name_becomes_a_pointer() {
        for (target, pointer) in [
            ("#", "#"),
            ("#/definitions/d", "#/definitions/d"),
            ("/t/x/1.0.0#/definitions/d", "#/definitions/d"),
            ("/t/x/1.0.0", "#"),
            ("/t/x/1.0.0#", "#"),
            ("1.0.0#/definitions/d", "#/definitions/d"),
            ("../x/1.0.0#/definitions/d", "#/definitions/d"),
            ("#a", "#/definitions/a%20b~1c"),
            ("/t/x/1.0.0#a", "#/definitions/a%20b~1c"),
            ("other", "#/definitions/o"),
            ("/t/x/other#/items/0", "#/definitions/o/items/0"),
            ("/t/y/1.0.0", "/t/y/1.0.0"),
            ("#nothing", "#nothing"),
            ("http://example.org/x#/y", "http://example.org/x#/y"),
        ] {
            let mut schema = json!({
                "$id": "/t/x/1.0.0",
                "definitions": {"a b/c": {"$id": "#a"}, "o": {"id": "other", "items": [{}]}},
                "properties": {"p": {"$ref": target}, "$ref": {"type": "string"}},
            });
            resolve(&mut schema);
            assert_eq!(schema["properties"]["p"]["$ref"], json!(pointer), "{target}");
        }
    }

    #[test]
    fn a_ref_is_relative_to_the_name_around_it() {
        let mut schema = json!({
            "$id": "https://example.org/root",
            "definitions": {"d": {}},
            "properties": {"p": {
                "$id": "https://example.org/inner",
                "definitions": {"d": {}},
                "items": [{"$ref": "#/definitions/d"}, {"$ref": "root#/definitions/d"}, {"$ref": "#"}],
            }},
        });
        resolve(&mut schema);
        assert_eq!(
            schema["properties"]["p"]["items"],
            json!([{"$ref": "#/properties/p/definitions/d"}, {"$ref": "#/definitions/d"}, {"$ref": "#"}])
        );
    }
}
