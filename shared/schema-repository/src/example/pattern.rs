//! A text that matches a pattern: what randexp makes with `random: () => 0.15`.

use regex::Regex;
use regex_syntax::ast::{
    Ast, ClassPerlKind, ClassSet, ClassSetItem, RepetitionKind, RepetitionRange, parse::Parser,
};

use super::{MAX_LENGTH, RANDOM};

/// Characters that are made up: the printable ones of ASCII.
const PRINTABLE: std::ops::RangeInclusive<char> = ' '..='~';

/// How often what may be repeated without end is repeated more than it must be.
const MORE: u32 = 10;

/// A text that matches a pattern; `None` where none is found.
pub(super) fn matching(pattern: &str) -> Option<String> {
    let mut text = String::new();
    write(&Parser::new().parse(pattern).ok()?, &mut text)?;
    Regex::new(pattern).ok()?.is_match(&text).then_some(text)
}

fn write(ast: &Ast, text: &mut String) -> Option<()> {
    match ast {
        Ast::Empty(_) | Ast::Assertion(_) => {}
        Ast::Literal(literal) => text.push(literal.c),
        Ast::Dot(_) => text.push(one_of(PRINTABLE.collect())?),
        Ast::ClassPerl(class) => text.push(one_of(listed(perl(&class.kind), class.negated))?),
        Ast::ClassBracketed(class) => {
            let ClassSet::Item(item) = &class.kind else {
                return None;
            };
            let mut characters = Vec::new();
            add(item, &mut characters)?;
            text.push(one_of(listed(characters, class.negated))?);
        }
        Ast::Repetition(repetition) => {
            let (least, most) = match &repetition.op.kind {
                RepetitionKind::ZeroOrOne => (0, Some(1)),
                RepetitionKind::ZeroOrMore => (0, None),
                RepetitionKind::OneOrMore => (1, None),
                RepetitionKind::Range(RepetitionRange::Exactly(count)) => (*count, Some(*count)),
                RepetitionKind::Range(RepetitionRange::AtLeast(least)) => (*least, None),
                RepetitionKind::Range(RepetitionRange::Bounded(least, most)) => (*least, Some(*most)),
            };
            let most = most.unwrap_or(least.saturating_add(MORE));
            let more = RANDOM * (f64::from(most.saturating_sub(least)) + 1.0);
            for _ in 0..least.saturating_add(more as u32) {
                write(&repetition.ast, text)?;
                if text.len() as f64 > MAX_LENGTH {
                    return None;
                }
            }
        }
        Ast::Group(group) => write(&group.ast, text)?,
        Ast::Concat(concat) => concat.asts.iter().try_for_each(|part| write(part, text))?,
        Ast::Alternation(either) => {
            let index = RANDOM * either.asts.len() as f64;
            write(either.asts.get(index as usize)?, text)?;
        }
        Ast::Flags(_) | Ast::ClassUnicode(_) => return None,
    }
    Some(())
}

/// The characters of a class, in the order they are written.
fn add(item: &ClassSetItem, characters: &mut Vec<char>) -> Option<()> {
    match item {
        ClassSetItem::Empty(_) => {}
        ClassSetItem::Literal(literal) => characters.push(literal.c),
        ClassSetItem::Range(range) => {
            let printable = PRINTABLE.filter(|one| (range.start.c..=range.end.c).contains(one));
            characters.extend(printable);
        }
        ClassSetItem::Perl(class) => characters.extend(listed(perl(&class.kind), class.negated)),
        ClassSetItem::Union(union) => union.items.iter().try_for_each(|item| add(item, characters))?,
        ClassSetItem::Ascii(_) | ClassSetItem::Unicode(_) | ClassSetItem::Bracketed(_) => return None,
    }
    Some(())
}

/// `\d`, `\w` and `\s`, in randexp's order.
fn perl(kind: &ClassPerlKind) -> Vec<char> {
    match kind {
        ClassPerlKind::Digit => ('0'..='9').collect(),
        ClassPerlKind::Word => std::iter::once('_')
            .chain('a'..='z')
            .chain('A'..='Z')
            .chain('0'..='9')
            .collect(),
        ClassPerlKind::Space => vec![' '],
    }
}

/// Each character once; all others where the class is negated.
fn listed(characters: Vec<char>, is_negated: bool) -> Vec<char> {
    if is_negated {
        return PRINTABLE.filter(|one| !characters.contains(one)).collect();
    }
    let mut once = Vec::new();
    for one in characters {
        if !once.contains(&one) {
            once.push(one);
        }
    }
    once
}

fn one_of(characters: Vec<char>) -> Option<char> {
    characters
        .get((RANDOM * characters.len() as f64) as usize)
        .copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Source: json-schema-faker 0.5.0-rcv.34.
    #[test]
    fn texts_are_those_of_the_original() {
        for (pattern, expected) in [
            ("^[0-9a-z]{20}$", Some("55555555555555555555")),
            (r"^\d{1,2}\/\d{1,7}\/\d{1,7}$", Some("1/11/11")),
            (
                "^[a-fA-F0-9]{8}(-[a-fA-F0-9]{4}){3}-[a-fA-F0-9]{12}$",
                Some("dddddddd-dddd-dddd-dddd-dddddddddddd"),
            ),
            (r"^[\d\w-]+$", Some("99")),
            ("^[^/]+$", Some("..")),
            ("x", Some("x")),
            ("ab|c|d|ef|gg|hh|ii", Some("c")),
            ("a*b?c+", Some("acc")),
            ("a{2000}", None),
            ("[^ -~]", None),
            ("(?=a)", None),
        ] {
            assert_eq!(matching(pattern).as_deref(), expected, "{pattern}");
        }
    }
}
