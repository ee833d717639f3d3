//! The line a JSON pointer leads to in YAML written in block style, as schema repositories hold it.

use eventstar_schema_repository::token;

/// The line, counted from 1, of the member or item a pointer names, or else of the closest around it.
pub(super) fn line_of(text: &str, pointer: &str) -> usize {
    let mut best = (0, 1);
    let mut path = Path::default();
    // Lines of a block scalar are text, whatever they look like.
    let mut scalar: Option<usize> = None;
    for (index, line) in text.lines().enumerate() {
        let mut rest = line.trim_start();
        let mut indent = line.len() - rest.len();
        if rest.is_empty() || rest.starts_with('#') || scalar.is_some_and(|of| indent > of) {
            continue;
        }
        scalar = None;
        while let Some(item) = rest.strip_prefix("- ") {
            path.item(indent);
            best = better(best, &path, pointer, index + 1);
            let inner = item.trim_start();
            indent += rest.len() - inner.len();
            rest = inner;
        }
        if rest == "-" {
            path.item(indent);
        } else if let Some((name, value)) = member(rest) {
            path.member(indent, name);
            if value.starts_with(['|', '>']) {
                scalar = Some(indent);
            }
        }
        best = better(best, &path, pointer, index + 1);
    }
    best.1
}

/// The deeper of two places around the one that is looked for; of one place, its first line.
fn better((depth, line): (usize, usize), path: &Path, pointer: &str, here: usize) -> (usize, usize) {
    let text = path.pointer();
    let is_around = pointer
        .strip_prefix(text.as_str())
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
    if is_around && text.len() > depth {
        (text.len(), here)
    } else {
        (depth, line)
    }
}

/// `name: value`, the name perhaps quoted.
fn member(text: &str) -> Option<(&str, &str)> {
    for quote in ['\'', '"'] {
        if let Some(inner) = text.strip_prefix(quote) {
            let (name, rest) = inner.split_once(quote)?;
            return Some((name, rest.strip_prefix(':')?.trim_start()));
        }
    }
    match text.split_once(": ") {
        Some((name, value)) => Some((name, value.trim_start())),
        None => Some((text.trim_end().strip_suffix(':')?, "")),
    }
}

/// The members and items a line lies in, with their indents.
#[derive(Default)]
struct Path(Vec<(usize, Part)>);

enum Part {
    Member(String),
    Item(usize),
}

impl Path {
    fn member(&mut self, indent: usize, name: &str) {
        while self.0.last().is_some_and(|(above, _)| *above >= indent) {
            self.0.pop();
        }
        self.0.push((indent, Part::Member(token(name))));
    }

    fn item(&mut self, indent: usize) {
        let mut index = 0;
        while let Some((above, part)) = self.0.last() {
            match part {
                // The items of a member may stand at its own indent.
                Part::Member(_) if *above <= indent => break,
                Part::Item(before) if *above == indent => index = before + 1,
                Part::Item(_) if *above < indent => break,
                _ => {}
            }
            self.0.pop();
        }
        self.0.push((indent, Part::Item(index)));
    }

    fn pointer(&self) -> String {
        self.0
            .iter()
            .map(|(_, part)| match part {
                Part::Member(name) => format!("/{name}"),
                Part::Item(index) => format!("/{index}"),
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_and_items_have_their_line() {
        let text = "title: a\ndescription: >-\n  properties:\n    b: not here\n# properties:\nproperties:\n  'a/b':\n    type: string\n  b:\n    enum:\n      - x\n      - y: 1\n        z: 2\n    list:\n    - 1\n    - - 2\n      - 3\nrequired: [a]\n";
        for (pointer, line) in [
            ("", 1),
            ("/title", 1),
            ("/properties", 6),
            ("/properties/a~1b/type", 8),
            ("/properties/b", 9),
            ("/properties/b/enum/0", 11),
            ("/properties/b/enum/1/z", 13),
            ("/properties/b/list/0", 15),
            ("/properties/b/list/1/1", 17),
            ("/required/0", 18),
            ("/properties/gone/type", 6),
            ("/propertiesX", 1),
        ] {
            assert_eq!(line_of(text, pointer), line, "{pointer}");
        }
    }
}
