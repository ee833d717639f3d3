//! The line on which a value of a YAML or JSON text stands.
//!
//! Neither parser tells places of values, but both tell the place of an error: the text is read up to the value that is looked
//! for, and refused there.

use std::path::Path;
use std::{fmt, fs};

use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// The line, from 1, of the value at a JSON pointer, or of the nearest one above it that is there; `None` where nothing is.
pub(crate) fn line_of(text: &str, is_json: bool, pointer: &str) -> Option<usize> {
    let segments: Vec<String> = pointer
        .split('/')
        .skip(1)
        .map(|segment| segment.replace("~1", "/").replace("~0", "~"))
        .collect();
    (1..=segments.len()).rev().find_map(|length| {
        let stop = Stop(segments.get(..length)?);
        if is_json {
            let error = stop
                .deserialize(&mut serde_json::Deserializer::from_str(text))
                .err()?;
            error.to_string().starts_with(HERE).then(|| error.line())
        } else {
            let error = stop
                .deserialize(serde_yaml_ng::Deserializer::from_str(text))
                .err()?;
            let is_here = error.to_string().contains(HERE);
            error
                .location()
                .filter(|_| is_here)
                .map(|location| location.line())
        }
    })
}

/// `FILE:LINE` of the value at a JSON pointer in a file; the file alone where the line is not known.
pub(crate) fn place_in(path: &Path, pointer: &str) -> String {
    let line = fs::read_to_string(path).ok().and_then(|text| {
        let named_json = path.extension().is_some_and(|extension| extension == "json");
        line_of(&text, named_json || text.trim_start().starts_with('{'), pointer)
    });
    match line {
        Some(line) => format!("{}:{line}", path.display()),
        None => path.display().to_string(),
    }
}

/// What the error at the value says: no text has it in it by chance.
const HERE: &str = "\u{1}here\u{1}";

/// Stops at the name of the value at a path.
struct Stop<'p>(&'p [String]);

impl<'de> DeserializeSeed<'de> for Stop<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Stop<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a map or a list")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let Some((name, below)) = self.0.split_first() else {
            return Ok(());
        };
        while let Some(found) = members.next_key_seed(Name(name, below.is_empty()))? {
            if found {
                return members.next_value_seed(Stop(below));
            }
            members.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        let Some((index, below)) = self.0.split_first() else {
            return Ok(());
        };
        for _ in 0..index.parse().unwrap_or(0_usize) {
            items.next_element::<IgnoredAny>()?;
        }
        items.next_element_seed(Stop(below)).map(|_| ())
    }
}

/// Whether a name is the one looked for; an error when it is the last one.
struct Name<'p>(&'p str, bool);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name<'_> {
    type Value = bool;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a name")
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<bool, E> {
        match (value == self.0, self.1) {
            (true, true) => Err(E::custom(HERE)),
            (found, _) => Ok(found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_found_in_both_languages() {
        let yaml = "# a comment\na: {}\nb/c:\n  d:\n    - x\n    - y: 1\n  e: 5\n";
        let json = "{\n\"a\": {},\n\"b/c\": {\n\"d\": [\n\"x\",\n{\"y\": 1}],\n\"e\": 5}}\n";
        for (pointer, in_yaml, in_json) in [
            ("/a", Some(2), Some(2)),
            ("/a/nothing/here", Some(2), Some(2)),
            ("/b~1c", Some(3), Some(3)),
            ("/b~1c/d", Some(4), Some(4)),
            ("/b~1c/d/1/y", Some(6), Some(6)),
            ("/b~1c/e", Some(7), Some(7)),
            ("/nothing", None, None),
            ("", None, None),
        ] {
            assert_eq!(line_of(yaml, false, pointer), in_yaml, "YAML {pointer}");
            assert_eq!(line_of(json, true, pointer), in_json, "JSON {pointer}");
        }
    }
}
