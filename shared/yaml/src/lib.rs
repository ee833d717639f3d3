//! YAML and JSON texts read strictly and written as one line of JSON.
//!
//! The texts are written while they are read, because a detour through `serde_json::Value` would round integers
//! beyond 64 bits and keep only the last of two members of the same name.

use std::collections::HashSet;
use std::fmt::{self, Write as _};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// A text that is not what it claims to be, with the place where the parser knows it.
#[derive(Debug)]
pub struct Malformed(String);

impl fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// How many times larger than its text a document may become. Quotes and escapes make it six times as large at most;
/// the rest is for honest aliases. A bomb of aliases becomes millions of times as large.
const MAX_GROWTH: usize = 20;

/// What any document may become, so that short texts may use aliases freely.
const MIN_LIMIT: usize = 64 * 1024;

/// The JSON form of a YAML text: member order kept, duplicate members refused.
pub fn yaml_to_json(text: &str) -> Result<String, Malformed> {
    let mut json = String::with_capacity(text.len());
    Writer {
        json: &mut json,
        pointer: &Pointer::Root,
        limit: text.len().saturating_mul(MAX_GROWTH).max(MIN_LIMIT),
    }
    .deserialize(serde_yaml_ng::Deserializer::from_str(text))
    .map_err(|error| Malformed(format!("not valid YAML: {error}")))?;
    Ok(json)
}

/// Whether a text is JSON without duplicate members.
pub fn check_json(text: &str) -> Result<(), Malformed> {
    let mut json = String::with_capacity(text.len());
    let mut deserializer = serde_json::Deserializer::from_str(text);
    Writer {
        json: &mut json,
        pointer: &Pointer::Root,
        limit: text.len().saturating_mul(MAX_GROWTH).max(MIN_LIMIT),
    }
    .deserialize(&mut deserializer)
    .and_then(|()| deserializer.end())
    .map_err(|error| Malformed(format!("not valid JSON: {error}")))
}

/// A member name as a token of a JSON pointer.
pub fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// Where in the document a value stands; shown in errors as a JSON pointer.
enum Pointer<'a> {
    Root,
    Member(&'a Pointer<'a>, &'a str),
    Item(&'a Pointer<'a>, usize),
}

impl fmt::Display for Pointer<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root => Ok(()),
            Self::Member(parent, name) => {
                write!(formatter, "{parent}/{}", token(name))
            }
            Self::Item(parent, index) => write!(formatter, "{parent}/{index}"),
        }
    }
}

struct Writer<'a> {
    json: &'a mut String,
    pointer: &'a Pointer<'a>,
    limit: usize,
}

impl Writer<'_> {
    fn check_size<E: Error>(&self) -> Result<(), E> {
        if self.json.len() > self.limit {
            return Err(E::custom(format!(
                "{}: aliases make the document more than {MAX_GROWTH} times as large as its text: write it out",
                self.pointer
            )));
        }
        Ok(())
    }

    fn push(self, value: impl fmt::Display) {
        // Writing to a `String` cannot fail.
        let _ = write!(self.json, "{value}");
    }
}

impl<'de> DeserializeSeed<'de> for Writer<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Writer<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.push("null");
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.push(value);
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.push(value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.push(value);
        Ok(())
    }

    fn visit_u128<E: Error>(self, value: u128) -> Result<(), E> {
        self.push(value);
        Ok(())
    }

    fn visit_i128<E: Error>(self, value: i128) -> Result<(), E> {
        self.push(value);
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        if !value.is_finite() {
            return Err(E::custom(format!(
                "{}: {value} has no JSON form: write a finite number",
                self.pointer
            )));
        }
        self.push(serde_json::Value::from(value));
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        self.push(serde_json::Value::from(value));
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        self.check_size()?;
        self.json.push('[');
        let mut index = 0;
        loop {
            let pointer = Pointer::Item(self.pointer, index);
            let end = self.json.len();
            if index > 0 {
                self.json.push(',');
            }
            if items
                .next_element_seed(Writer {
                    json: &mut *self.json,
                    pointer: &pointer,
                    limit: self.limit,
                })?
                .is_none()
            {
                self.json.truncate(end);
                break;
            }
            index += 1;
        }
        self.json.push(']');
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        self.check_size()?;
        let mut names = HashSet::new();
        self.json.push('{');
        while let Some(Name(name)) = members.next_key_seed(NameSeed(self.pointer))? {
            let pointer = Pointer::Member(self.pointer, &name);
            if !names.is_empty() {
                self.json.push(',');
            }
            let _ = write!(self.json, "{}:", serde_json::Value::from(name.as_str()));
            if names.contains(&name) {
                return Err(A::Error::custom(format!(
                    "{pointer}: the member appears twice: remove one"
                )));
            }
            members.next_value_seed(Writer {
                json: &mut *self.json,
                pointer: &pointer,
                limit: self.limit,
            })?;
            names.insert(name);
        }
        self.json.push('}');
        Ok(())
    }
}

struct Name(String);

struct NameSeed<'a>(&'a Pointer<'a>);

impl<'de> DeserializeSeed<'de> for NameSeed<'_> {
    type Value = Name;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Name, D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// YAML allows scalars of any type as names; `200:` means the member `"200"`.
impl<'de> Visitor<'de> for NameSeed<'_> {
    type Value = Name;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a member name")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<Name, E> {
        if value == "<<" {
            return Err(E::custom(format!(
                "{}: merge keys (`<<`) are not supported: write the members out",
                self.0
            )));
        }
        Ok(Name(value.to_owned()))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Name, E> {
        Ok(Name(value.to_string()))
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Name, E> {
        Ok(Name(value.to_string()))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Name, E> {
        Ok(Name(value.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_becomes_json_in_member_order() {
        let json = yaml_to_json("b: 1\na:\n  - x\n  - {y: null}\n200: true\n").unwrap();
        assert_eq!(json, r#"{"b":1,"a":["x",{"y":null}],"200":true}"#);
        assert_eq!(yaml_to_json("a: []\nb: {}\n").unwrap(), r#"{"a":[],"b":{}}"#);
    }

    #[test]
    fn large_integers_survive() {
        let json = yaml_to_json(
            "max: 18446744073709551615\nmore: 18446744073709551616\nmin: -9223372036854775808\n",
        );
        assert_eq!(
            json.unwrap(),
            r#"{"max":18446744073709551615,"more":18446744073709551616,"min":-9223372036854775808}"#
        );
    }

    #[test]
    fn duplicate_members_are_refused_with_their_pointer() {
        let error = yaml_to_json("a:\n  b/c: 1\n  b/c: 2\n").unwrap_err().to_string();
        assert!(error.contains("/a/b~1c: the member appears twice"), "{error}");
        let error = check_json(r#"{"a":{"b":1,"b":2}}"#).unwrap_err().to_string();
        assert!(error.contains("/a/b: the member appears twice"), "{error}");
    }

    #[test]
    fn what_has_no_json_form_is_refused() {
        assert!(
            yaml_to_json("a: .nan\n")
                .unwrap_err()
                .to_string()
                .contains("/a: NaN")
        );
        assert!(
            yaml_to_json("a: &x {b: 1}\nc:\n  <<: *x\n")
                .unwrap_err()
                .to_string()
                .contains("merge keys")
        );
        assert!(yaml_to_json("a: [1\n").unwrap_err().to_string().contains("line"));
        assert!(check_json("{} x").unwrap_err().to_string().contains("trailing"));
    }
}
