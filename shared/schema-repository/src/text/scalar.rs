//! Scalars as js-yaml 3 writes them: plain, quoted, literal (`|`) or folded (`>`).

use std::fmt::Write as _;
use std::sync::LazyLock;

use regex::RegexSet;

const INDENT: usize = 2;
const LINE_WIDTH: usize = 80;
/// Deeper lines get narrower, down to this.
const MIN_WIDTH: usize = 40;

/// Booleans of YAML 1.1, which other readers would not take for text.
const OLD_BOOLEANS: [&str; 16] = [
    "y", "Y", "yes", "Yes", "YES", "on", "On", "ON", "n", "N", "no", "No", "NO", "off", "Off", "OFF",
];

/// Texts that js-yaml would read as something else: null, booleans, integers, floats, timestamps, merge keys.
static AMBIGUOUS: LazyLock<Option<RegexSet>> = LazyLock::new(|| {
    RegexSet::new([
        r"^(?:~|null|Null|NULL|true|True|TRUE|false|False|FALSE|<<)$",
        r"^[-+]?(?:0|0b[01_]*[01]|0x[0-9a-fA-F_]*[0-9a-fA-F]|0[0-7_]*[0-7]|[1-9](?:[0-9_]*[0-9])?|[1-9][0-9_]*(?::[0-5]?[0-9])+)$",
        r"^(?:[-+]?(?:0|[1-9][0-9_]*)(?:\.(?:[0-9_]*[0-9])?)?(?:[eE][-+]?[0-9]+)?|\.[0-9_]*[0-9](?:[eE][-+]?[0-9]+)?)$",
        r"^(?:\.[0-9_]+[eE][-+]?[0-9]+|[-+]?(?:0|[1-9][0-9_]*)\.[0-9_]*[eE][-+]?[0-9]+)$",
        r"^(?:[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.(?:[0-9_]*[0-9])?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$",
        r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$",
        r"^[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt]|[ \t]+)[0-9]{1,2}:[0-9]{2}:[0-9]{2}(?:\.[0-9]*)?(?:[ \t]*(?:Z|[-+][0-9]{1,2}(?::[0-9]{2})?))?$",
    ])
    .ok()
});

fn is_ambiguous(text: &str) -> bool {
    AMBIGUOUS.as_ref().is_none_or(|set| set.is_match(text))
}

pub(super) fn number(value: f64) -> String {
    if value == 0.0 {
        return if value.is_sign_negative() { "-0.0" } else { "0" }.to_owned();
    }
    let text = super::number(value);
    // YAML wants a dot in a float: `5e-100` becomes `5.e-100`.
    if value % 1.0 != 0.0 && !text.contains('.') {
        return text.replacen('e', ".e", 1);
    }
    text
}

pub(super) fn string(text: &str, level: usize, is_name: bool) -> String {
    if text.is_empty() {
        return "''".to_owned();
    }
    if OLD_BOOLEANS.contains(&text) {
        return format!("'{text}'");
    }
    let indent = INDENT * level.max(1);
    let width = LINE_WIDTH.saturating_sub(indent).max(MIN_WIDTH);
    match style(text, is_name, width) {
        Style::Plain => text.to_owned(),
        Style::Single => format!("'{}'", text.replace('\'', "''")),
        Style::Double => double_quoted(text),
        Style::Literal => format!("|{}{}", header(text), block(text, indent)),
        Style::Folded => format!(">{}{}", header(text), block(&fold(text, width), indent)),
    }
}

enum Style {
    Plain,
    Single,
    Literal,
    Folded,
    Double,
}

/// Every character counts as one column: those outside the basic plane, which are two for JavaScript, are always
/// double-quoted.
fn style(text: &str, is_name: bool, width: usize) -> Style {
    let mut is_plain = text.chars().next().is_some_and(may_begin_plain)
        && !text
            .chars()
            .next_back()
            .is_some_and(|last| last == ' ' || last == '\t');
    let mut before = None;
    for character in text.chars() {
        if !is_printable(character) && (is_name || character != '\n') {
            return Style::Double;
        }
        is_plain &= may_continue_plain(character, before);
        before = Some(character);
    }
    let may_fold = !is_name
        && text
            .split('\n')
            .any(|line| !line.starts_with(' ') && line.chars().count() > width);
    if may_fold {
        Style::Folded
    } else if !is_name && text.contains('\n') {
        Style::Literal
    } else if is_plain && !is_ambiguous(text) {
        Style::Plain
    } else {
        Style::Single
    }
}

fn is_printable(character: char) -> bool {
    matches!(character,
        '\u{20}'..='\u{7e}'
        | '\u{a1}'..='\u{d7ff}'
        | '\u{e000}'..='\u{fffd}')
        && !matches!(character, '\u{2028}' | '\u{2029}' | '\u{feff}')
}

fn may_begin_plain(character: char) -> bool {
    is_printable(character) && !" -?:,[]{}#&*!|=>'\"%@`".contains(character)
}

fn may_continue_plain(character: char, before: Option<char>) -> bool {
    let follows_text = before.is_some_and(|before| is_printable(before) && before != ' ');
    is_printable(character) && !",[]{}:".contains(character) && (character != '#' || follows_text)
}

fn double_quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        let escape = match character {
            '\0' => "\\0",
            '\u{7}' => "\\a",
            '\u{8}' => "\\b",
            '\t' => "\\t",
            '\n' => "\\n",
            '\u{b}' => "\\v",
            '\u{c}' => "\\f",
            '\r' => "\\r",
            '\u{1b}' => "\\e",
            '"' => "\\\"",
            '\\' => "\\\\",
            '\u{85}' => "\\N",
            '\u{a0}' => "\\_",
            '\u{2028}' => "\\L",
            '\u{2029}' => "\\P",
            _ if is_printable(character) => {
                quoted.push(character);
                continue;
            }
            _ => {
                // Writing to a `String` cannot fail.
                let _ = match u32::from(character) {
                    code @ ..=0xff => write!(quoted, "\\x{code:02X}"),
                    code @ ..=0xffff => write!(quoted, "\\u{code:04X}"),
                    code => write!(quoted, "\\U{code:08X}"),
                };
                continue;
            }
        };
        quoted.push_str(escape);
    }
    quoted.push('"');
    quoted
}

/// How a block is indented when it begins with a space, and what becomes of its last line ends.
fn header(text: &str) -> String {
    let indent = if text.trim_start_matches('\n').starts_with(' ') {
        INDENT.to_string()
    } else {
        String::new()
    };
    let chomp = match text.strip_suffix('\n') {
        Some(rest) if rest.is_empty() || rest.ends_with('\n') => "+",
        Some(_) => "",
        None => "-",
    };
    format!("{indent}{chomp}\n")
}

fn block(text: &str, indent: usize) -> String {
    let mut block = String::new();
    for line in text.split_inclusive('\n') {
        if line != "\n" {
            block.extend(std::iter::repeat_n(' ', indent));
        }
        block.push_str(line);
    }
    // The writer ends every line itself.
    if block.ends_with('\n') {
        block.pop();
    }
    block
}

fn fold(text: &str, width: usize) -> String {
    let end = text.find('\n').unwrap_or(text.len());
    let (first, mut rest) = text.split_at(end);
    let mut folded = fold_line(first, width);
    let mut was_indented = text.starts_with(['\n', ' ']);
    while !rest.is_empty() {
        let breaks = rest.len() - rest.trim_start_matches('\n').len();
        let (breaks, line) = rest.split_at(breaks);
        let (line, next) = line.split_at(line.find('\n').unwrap_or(line.len()));
        let is_indented = line.starts_with(' ');
        folded.push_str(breaks);
        if !was_indented && !is_indented && !line.is_empty() {
            folded.push('\n');
        }
        folded.push_str(&fold_line(line, width));
        was_indented = is_indented;
        rest = next;
    }
    folded
}

/// Breaks a line at spaces, as late as the width allows. A space that another follows is no place for a break.
fn fold_line(line: &str, width: usize) -> String {
    if line.is_empty() || line.starts_with(' ') {
        return line.to_owned();
    }
    let columns: Vec<(usize, char)> = line.char_indices().collect();
    let mut breaks = Vec::new();
    let mut column = 0;
    while let Some((at, ' ')) = columns
        .iter()
        .skip(column)
        .position(|(_, character)| *character == ' ')
        .and_then(|offset| {
            column += offset;
            columns.get(column).copied()
        })
    {
        match columns.get(column + 1) {
            Some((_, ' ')) => column += 1,
            Some(_) => {
                breaks.push((column, at));
                // A match covers the space and the character behind it.
                column += 2;
            }
            None => break,
        }
    }
    let length = columns.len();
    let mut folded = String::new();
    let mut start = (0, 0);
    let mut current = (0, 0);
    for &next in &breaks {
        if next.0 - start.0 > width {
            let end = if current.0 > start.0 { current } else { next };
            folded.push_str(line.get(start.1..end.1).unwrap_or_default());
            folded.push('\n');
            start = (end.0 + 1, end.1 + 1);
        }
        current = next;
    }
    if length - start.0 > width && current.0 > start.0 {
        folded.push_str(line.get(start.1..current.1).unwrap_or_default());
        folded.push('\n');
        folded.push_str(line.get(current.1 + 1..).unwrap_or_default());
    } else {
        folded.push_str(line.get(start.1..).unwrap_or_default());
    }
    folded
}
