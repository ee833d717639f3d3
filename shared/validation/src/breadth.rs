//! Judges whether a schema says too much of one value: what is checked in the same place cannot be ended by the length of an event,
//! so a schema that goes beyond a bound is none.

use serde_json::{Map, Value};

use crate::SchemaError;
use crate::keywords::{MAPS, SCHEMAS, escaped};
use crate::metered::HASHED_BYTES_A_STEP;

/// Most subschemas that are checked against one value: through `allOf` and the like, and through `$ref`s, where a few lines of
/// schema can stand for billions.
const MAX_BREADTH: usize = 5_000;

/// Most of them in all places of a schema together, so that the count itself has an end.
const MAX_ALL: usize = 100_000;

/// Keywords whose schemas are checked against the same value.
const IN_PLACE: &[&str] = &[
    "allOf",
    "anyOf",
    "oneOf",
    "not",
    "if",
    "then",
    "else",
    "dependencies",
    "dependentSchemas",
];

/// Keywords that name a schema for the same value.
const REFERENCES: &[&str] = &["$ref", "$recursiveRef", "$dynamicRef"];

/// Deepest nesting of such schemas.
const MAX_DEPTH: usize = 100;

/// The number of rules that a schema has at one place.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Breadth {
    /// Most patterns that a member's name is matched with at once.
    pub(crate) patterns: usize,
    /// Most members of an object that it has names for.
    pub(crate) names: usize,
    /// Most values in the schema of a `not`, which each of its errors has a copy of.
    pub(crate) copied: usize,
    /// True if a pattern looks around or back, so that matching it goes back and forth.
    pub(crate) backtracks: bool,
}

impl Breadth {
    /// # Errors
    /// [`SchemaError`] at the first place with too many subschemas for one value.
    pub(crate) fn of(schema: &Value) -> Result<Self, SchemaError> {
        let mut count = Count {
            root: schema,
            all: 0,
            breadth: Self::default(),
        };
        count.every_place(schema, &mut String::new())?;
        Ok(count.breadth)
    }
}

/// The counts of a schema.
struct Count<'s> {
    root: &'s Value,
    all: usize,
    breadth: Breadth,
}

impl<'s> Count<'s> {
    /// Counts from each subschema on.
    fn every_place(&mut self, schema: &'s Value, pointer: &mut String) -> Result<(), SchemaError> {
        let Value::Object(keywords) = schema else {
            return Ok(());
        };
        let members = |keyword: &str| {
            keywords
                .get(keyword)
                .and_then(Value::as_object)
                .map_or(0, Map::len)
        };
        let matched = keywords.get("patternProperties").and_then(Value::as_object);
        let named = matched.into_iter().flat_map(Map::keys).map(String::as_str);
        let texts = keywords.get("pattern").and_then(Value::as_str);
        let backtracking = texts.into_iter().chain(named).any(backtracks);
        let Breadth {
            patterns,
            names,
            copied,
            backtracks,
        } = &mut self.breadth;
        *backtracks |= backtracking;
        *copied = keywords.get("not").map_or(0, values).max(*copied);
        *patterns = members("patternProperties").max(*patterns);
        *names = members("properties").max(*names);
        let mut here = 0;
        if !self.in_place(schema, &mut Vec::new(), &mut here) {
            return Err(SchemaError {
                pointer: pointer.clone(),
                message: format!(
                    "more than {MAX_BREADTH} subschemas are checked against one value, {MAX_DEPTH} deep, or {MAX_ALL} in all: use fewer branches and $refs"
                ),
            });
        }
        let length = pointer.len();
        for (keyword, value) in keywords {
            pointer.push('/');
            pointer.push_str(keyword);
            let of_keyword = pointer.len();
            for (name, below) in subschemas(keyword, value) {
                if !name.is_empty() {
                    pointer.push('/');
                    pointer.push_str(&escaped(&name));
                }
                self.every_place(below, pointer)?;
                pointer.truncate(of_keyword);
            }
            pointer.truncate(length);
        }
        Ok(())
    }

    /// Counts what is checked against the same value as `schema`; whether that is within bounds. As the validator does, it
    /// does not enter a schema that it is in.
    fn in_place(&mut self, schema: &'s Value, within: &mut Vec<*const Value>, here: &mut usize) -> bool {
        *here += 1;
        self.all += 1;
        if *here > MAX_BREADTH || self.all > MAX_ALL || within.len() > MAX_DEPTH {
            return false;
        }
        let (Value::Object(keywords), false) = (schema, within.contains(&(&raw const *schema))) else {
            return true;
        };
        within.push(schema);
        let fits = self.each_in_place(keywords, within, here);
        within.pop();
        fits
    }

    fn each_in_place(
        &mut self,
        keywords: &'s Map<String, Value>,
        within: &mut Vec<*const Value>,
        here: &mut usize,
    ) -> bool {
        let applied = IN_PLACE
            .iter()
            .filter_map(|keyword| Some((*keyword, keywords.get(*keyword)?)))
            .flat_map(|(keyword, value)| subschemas(keyword, value))
            .map(|(_, below)| below);
        let root = self.root;
        let named = REFERENCES
            .iter()
            .filter_map(|keyword| root.pointer(keywords.get(*keyword)?.as_str()?.strip_prefix('#')?));
        applied
            .chain(named)
            .all(|below| self.in_place(below, within, here))
    }
}

/// True if a pattern has look-around or a back-reference.
fn backtracks(pattern: &str) -> bool {
    let pairs = pattern.as_bytes().windows(2);
    ["(?=", "(?!", "(?<"].iter().any(|group| pattern.contains(group))
        || pairs
            .into_iter()
            .any(|pair| matches!(pair, [b'\\', b'1'..=b'9' | b'k']))
}

/// The number of values that a value is made of; long texts and names count for more than one.
pub(crate) fn values(value: &Value) -> usize {
    let within = match value {
        Value::Array(items) => items.iter().map(values).sum(),
        Value::Object(members) => members
            .iter()
            .map(|(name, member)| name.len() / HASHED_BYTES_A_STEP + values(member))
            .sum(),
        Value::String(text) => text.len() / HASHED_BYTES_A_STEP,
        _ => 0,
    };
    1 + within
}

/// The schemas that a keyword holds, with their names where they have one.
fn subschemas<'s>(keyword: &str, value: &'s Value) -> Vec<(String, &'s Value)> {
    match value {
        Value::Object(map) if MAPS.contains(&keyword) => {
            map.iter().map(|(name, below)| (name.clone(), below)).collect()
        }
        Value::Array(list) if SCHEMAS.contains(&keyword) => list
            .iter()
            .enumerate()
            .map(|(place, below)| (place.to_string(), below))
            .collect(),
        below if SCHEMAS.contains(&keyword) => vec![(String::new(), below)],
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// `a0` names `a1` twice, and so on.
    fn doubled(levels: usize, keyword: &str) -> Value {
        let definitions: Map<String, Value> = (0..levels)
            .map(|level| {
                let next = json!({"$ref": format!("#/definitions/a{}", level + 1)});
                (format!("a{level}"), json!({keyword: [next, next]}))
            })
            .chain([(format!("a{levels}"), json!({"type": "string"}))])
            .collect();
        json!({"definitions": definitions, "properties": {"x": {"items": {"$ref": "#/definitions/a0"}}}})
    }

    #[test]
    fn a_schema_that_says_too_much_of_one_value_is_none() {
        let branches =
            |count: usize| json!({"properties": {"a/b": {"oneOf": vec![json!({"type": "null"}); count]}}});
        let chain = |levels: usize| (0..levels).fold(json!({}), |below, _| json!({"not": below}));
        for (schema, pointer) in [
            (branches(300), None),
            (branches(MAX_BREADTH - 1), None),
            (branches(MAX_BREADTH), Some("/properties/a~1b")),
            (chain(MAX_DEPTH), None),
            (chain(MAX_DEPTH + 1), Some("")),
            (doubled(9, "allOf"), None),
            (doubled(30, "allOf"), Some("/definitions/a0")),
            (doubled(30, "anyOf"), Some("/definitions/a0")),
            // Many places, each within bounds.
            (
                json!({"properties": vec![branches(4000)["properties"]["a/b"].clone(); 30]
                    .into_iter().enumerate().map(|(n, branch)| (n.to_string(), branch)).collect::<Map<_, _>>()}),
                Some("/properties/12"),
            ),
            // One that is within itself is not entered again.
            (json!({"anyOf": [{"$ref": "#"}, {"items": {"$ref": "#"}}]}), None),
            (
                json!({"properties": {"a": {"$ref": "#/properties/b"}, "b": {"$ref": "#/properties/a"}}}),
                None,
            ),
            (json!({"$ref": "https://example.org/x"}), None),
        ] {
            let refused = Breadth::of(&schema).err().map(|error| error.pointer);
            assert_eq!(
                refused.as_deref(),
                pointer,
                "{}",
                schema.to_string().get(..200).unwrap_or_default()
            );
        }
    }

    #[test]
    fn what_an_error_and_a_name_cost_follows_from_the_schema() {
        let breadth = Breadth::of(&json!({
            "properties": {"a": {"patternProperties": {"x": {}, "y": {}}}, "b": {"not": {"enum": [1, 2]}}, "c": {}},
        }));
        let breadth = breadth.unwrap();
        assert_eq!(
            (
                breadth.patterns,
                breadth.names,
                breadth.copied,
                breadth.backtracks
            ),
            (2, 3, 4, false)
        );
        for (pattern, expected) in [
            ("^(?!x)", true),
            ("(?<=x)y", true),
            ("(a)\\1", true),
            ("^\\d(?:a|b)$", false),
            ("1", false),
        ] {
            for schema in [
                json!({"items": {"pattern": pattern}}),
                json!({"patternProperties": {pattern: {}}}),
            ] {
                assert_eq!(Breadth::of(&schema).unwrap().backtracks, expected, "{schema}");
            }
        }
    }
}
