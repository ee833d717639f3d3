//! PHP's `array_replace_recursive`, which EventStreamConfig merges defaults with.

use serde_json::{Map, Value};

/// The settings of a stream over the defaults. `producers.tokens` replaces the default's list: by index, a token that the
/// stream does not name could stay. It needs a token, too, unless the stream itself has an `auth`.
pub(crate) fn merge_settings(defaults: &Map<String, Value>, own: &Value) -> Value {
    let mut merged = Value::Object(defaults.clone());
    if own.pointer("/producers/tokens").is_some() {
        for (pointer, value) in [
            ("/producers/tokens", Value::Null),
            ("/producers/auth", "token".into()),
        ] {
            if let Some(default) = merged.pointer_mut(pointer) {
                *default = value;
            }
        }
    }
    merge(&mut merged, own);
    merged
}

/// Merges `over` into `base`: objects merge recursively and arrays **by index**; everything else, `null` too, replaces.
pub fn merge(base: &mut Value, over: &Value) {
    match (base, over) {
        (Value::Object(base), Value::Object(over)) => {
            for (key, value) in over {
                match base.get_mut(key) {
                    Some(slot) => merge(slot, value),
                    None => {
                        base.insert(key.clone(), value.clone());
                    }
                }
            }
        }
        (Value::Array(base), Value::Array(over)) => {
            for (index, value) in over.iter().enumerate() {
                match base.get_mut(index) {
                    Some(slot) => merge(slot, value),
                    None => base.push(value.clone()),
                }
            }
        }
        (base, over) => *base = over.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn merging_follows_array_replace_recursive() {
        for (base, over, expected) in [
            (json!({"a": 1}), json!({"b": 2}), json!({"a": 1, "b": 2})),
            (
                json!({"a": {"x": 1, "y": 2}}),
                json!({"a": {"y": 3}}),
                json!({"a": {"x": 1, "y": 3}}),
            ),
            (
                json!({"a": ["p", "q"]}),
                json!({"a": ["x"]}),
                json!({"a": ["x", "q"]}),
            ),
            (
                json!({"a": ["p", "q"]}),
                json!({"a": []}),
                json!({"a": ["p", "q"]}),
            ),
            (json!({"a": ["p"]}), json!({"a": null}), json!({"a": null})),
            (json!({"a": {"x": 1}}), json!({"a": 5}), json!({"a": 5})),
        ] {
            let mut merged = base.clone();
            merge(&mut merged, &over);
            assert_eq!(merged, expected, "{base} with {over}");
        }
    }
}
