//! Which members of an event a reader wants.

use eventstar_event::document::{Document, Kind, Node};

use crate::filter::MAX_NAMES;

/// Longest list, in characters: as long as a filter.
const MAX_CHARACTERS: usize = crate::filter::MAX_CHARACTERS;

/// Most fields of a list.
const MAX_FIELDS: usize = 64;

/// Members that are asked for, as a tree: fields with a beginning in common share it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Fields(Vec<Member>);

#[derive(Debug, Clone, PartialEq, Eq)]
struct Member {
    name: String,
    /// What is wanted of it; all of it where that is empty.
    of_it: Fields,
}

impl Fields {
    /// Reads a comma list of fields: names with dots between them (`meta.dt`), or JSON pointers (RFC 6901, `/meta/dt`).
    ///
    /// # Errors
    /// What is wrong and what is taken instead.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let characters = text.chars().count();
        if characters > MAX_CHARACTERS {
            return Err(format!(
                "{characters} characters are too many: at most {MAX_CHARACTERS} are read"
            ));
        }
        let paths = text
            .split(',')
            .map(|field| path(field.trim()))
            .collect::<Result<Vec<_>, _>>()?;
        if paths.len() > MAX_FIELDS {
            return Err(format!(
                "{} fields are too many: ask for at most {MAX_FIELDS}, or for the object they are in",
                paths.len()
            ));
        }
        let mut fields = Self::default();
        for path in &paths {
            fields.add(path);
        }
        Ok(fields)
    }

    fn add(&mut self, path: &[String]) {
        let Some((name, rest)) = path.split_first() else {
            return;
        };
        if let Some(member) = self.0.iter_mut().find(|member| member.name == *name) {
            let whole = member.of_it.0.is_empty();
            if rest.is_empty() {
                member.of_it = Self::default();
            } else if !whole {
                member.of_it.add(rest);
            }
            return;
        }
        let mut of_it = Self::default();
        of_it.add(rest);
        self.0.push(Member {
            name: name.clone(),
            of_it,
        });
    }

    /// The event's text with these members alone, in the event's order.
    pub(crate) fn of(&self, event: &Document<'_>) -> String {
        let mut text = String::new();
        self.write_object(event.root(), &mut text);
        text
    }

    /// Writes the members of an object that are wanted; whether there are any.
    fn write_object(&self, object: Node<'_>, text: &mut String) -> bool {
        text.push('{');
        let empty = text.len();
        for child in object.children() {
            let Some(member) = self.0.iter().find(|member| member.name == child.name()) else {
                continue;
            };
            let before = text.len();
            if before > empty {
                text.push(',');
            }
            text.push_str(child.name_text());
            text.push(':');
            if member.of_it.0.is_empty() {
                text.push_str(&child.text());
            } else if !member.of_it.write_within(child, text) {
                text.truncate(before);
            }
        }
        let any = text.len() > empty;
        text.push('}');
        any
    }

    /// Writes what is wanted of a value; whether there is anything. In an array, that of each object.
    fn write_within(&self, node: Node<'_>, text: &mut String) -> bool {
        match node.kind() {
            Kind::Object => self.write_object(node, text),
            Kind::Array => {
                text.push('[');
                let empty = text.len();
                for element in node.children().filter(|element| element.kind() == Kind::Object) {
                    if text.len() > empty {
                        text.push(',');
                    }
                    self.write_object(element, text);
                }
                let any = text.len() > empty;
                text.push(']');
                any
            }
            _ => false,
        }
    }
}

/// The names on the way to a field.
fn path(field: &str) -> Result<Vec<String>, String> {
    let names: Vec<String> = match field.strip_prefix('/') {
        Some(pointer) => pointer.split('/').map(unescaped).collect::<Option<_>>(),
        None => Some(field.split('.').map(str::to_owned).collect()),
    }
    .ok_or_else(|| format!("{field} is no JSON pointer: ~ is written ~0, and / in a name ~1"))?;
    if names.iter().any(String::is_empty) {
        return Err(format!(
            "expected names of fields with commas between them, like meta.dt,title or /meta/dt,/title, found '{field}'"
        ));
    }
    if names.len() > MAX_NAMES {
        return Err(format!("more than {MAX_NAMES} names in one field"));
    }
    Ok(names)
}

/// A name of a JSON pointer; `None` where a `~` stands alone.
fn unescaped(name: &str) -> Option<String> {
    let mut pieces = name.split('~');
    let mut text = pieces.next()?.to_owned();
    for piece in pieces {
        let (escape, rest) = piece.split_at_checked(1)?;
        text.push(match escape {
            "0" => '~',
            "1" => '/',
            _ => return None,
        });
        text.push_str(rest);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const EVENT: &str = concat!(
        r#"{"$schema":"/a/1.0.0","meta":{"dt":"2026","id":"i","domain":null},"n":1.50,"t\u00e9":"\u00e9","a/b":{"~":1},"#,
        r#""list":[{"x":1,"y":2},{"y":3},4,[{"x":5}]],"plain":[1,2],"deep":{"a":{"b":{"c":1,"d":2}}}}"#
    );

    fn fields(text: &str) -> String {
        let document = Document::parse(EVENT).unwrap();
        Fields::parse(text).unwrap().of(&document)
    }

    #[test]
    fn an_event_keeps_the_members_asked_for_and_their_bytes() {
        for (text, expected) in [
            ("n", r#"{"n":1.50}"#),
            ("n,$schema", r#"{"$schema":"/a/1.0.0","n":1.50}"#),
            ("meta.id, n", r#"{"meta":{"id":"i"},"n":1.50}"#),
            ("meta.id,meta.dt", r#"{"meta":{"dt":"2026","id":"i"}}"#),
            ("/meta/id,n", r#"{"meta":{"id":"i"},"n":1.50}"#),
            ("meta.domain", r#"{"meta":{"domain":null}}"#),
            ("té", r#"{"t\u00e9":"\u00e9"}"#),
            ("/a~1b/~0", r#"{"a/b":{"~":1}}"#),
            ("a/b", r#"{"a/b":{"~":1}}"#),
            ("deep.a.b.d", r#"{"deep":{"a":{"b":{"d":2}}}}"#),
            ("deep.a.b.d,deep.a", r#"{"deep":{"a":{"b":{"c":1,"d":2}}}}"#),
            ("deep.a,deep.a.b.d", r#"{"deep":{"a":{"b":{"c":1,"d":2}}}}"#),
            ("list.x", r#"{"list":[{"x":1},{}]}"#),
            ("plain", r#"{"plain":[1,2]}"#),
        ] {
            assert_eq!(fields(text), expected, "{text}");
        }
    }

    #[test]
    fn what_an_event_does_not_have_is_left_out_with_its_parents() {
        for (text, expected) in [
            ("nope", "{}"),
            ("meta.nope,n", r#"{"n":1.50}"#),
            ("meta.nope,meta.id", r#"{"meta":{"id":"i"}}"#),
            ("n.x", "{}"),
            ("deep.a.x.y,deep.z", "{}"),
            ("plain.x,n", r#"{"n":1.50}"#),
            ("list.0", r#"{"list":[{},{}]}"#),
        ] {
            assert_eq!(fields(text), expected, "{text}");
        }
    }

    #[test]
    fn members_added_to_an_event_are_there() {
        let mut document = Document::parse(r#"{"n":1}"#).unwrap();
        document.set(&["meta", "offset"], "7");
        document.set(&["meta", "topic"], "\"a\"");
        let fields = Fields::parse("meta.offset,n").unwrap();
        assert_eq!(fields.of(&document), r#"{"n":1,"meta":{"offset":7}}"#);
    }

    #[test]
    fn other_lists_are_refused() {
        let many = |count: usize| vec!["a"; count].join(",");
        let deep = |count: usize| vec!["a"; count].join(".");
        for (text, problem) in [
            ("", "found ''"),
            ("a,", "found ''"),
            ("a..b", "found 'a..b'"),
            (".a", "found '.a'"),
            ("/", "found '/'"),
            ("/a//b", "found '/a//b'"),
            ("/a~2", "no JSON pointer"),
            ("/a~", "no JSON pointer"),
            ("/a~é", "no JSON pointer"),
            (&many(MAX_FIELDS + 1), "65 fields are too many"),
            (&deep(MAX_NAMES + 1), "more than 16 names"),
            (&"a".repeat(MAX_CHARACTERS + 1), "2001 characters are too many"),
        ] {
            let said = Fields::parse(text).unwrap_err();
            assert!(said.contains(problem), "{text}: {said}");
        }
        for text in [&many(MAX_FIELDS), &deep(MAX_NAMES), &"é".repeat(MAX_CHARACTERS)] {
            assert!(Fields::parse(text).is_ok(), "{text}");
        }
    }
}
