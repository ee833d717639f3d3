//! JavaScript's regular expressions, without flags, as AJV 6 runs them (`new RegExp(pattern)`), in a syntax that means the same to
//! the `regex` and `fancy-regex` crates, and that `jsonschema` takes for JavaScript's with the flag `u`.
//!
//! Source: ECMA-262, 22.2.1 and annex B.1.2: without the flag `u` a brace or bracket may stand for itself, and so may most
//! letters after a backslash.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::iter::Peekable;
use std::str::Chars;

/// Ranges of characters.
type Ranges = Vec<(u32, u32)>;

const DIGITS: &[(u32, u32)] = &[(0x30, 0x39)];
const WORD: &[(u32, u32)] = &[(0x30, 0x39), (0x41, 0x5a), (0x5f, 0x5f), (0x61, 0x7a)];
const SPACES: &[(u32, u32)] = &[
    (0x09, 0x0d),
    (0x20, 0x20),
    (0xa0, 0xa0),
    (0x1680, 0x1680),
    (0x2000, 0x200a),
    (0x2028, 0x2029),
    (0x202f, 0x202f),
    (0x205f, 0x205f),
    (0x3000, 0x3000),
    (0xfeff, 0xfeff),
];
const LINE_ENDS: &[(u32, u32)] = &[(0x0a, 0x0a), (0x0d, 0x0d), (0x2028, 0x2029)];
const LAST: u32 = 0x10_ffff;

/// An edge of a word, where the engine has look-around.
const EDGE: &str = r"(?:(?<=[0-9A-Z_a-z])(?![0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?=[0-9A-Z_a-z]))";
const NO_EDGE: &str = r"(?:(?<=[0-9A-Z_a-z])(?=[0-9A-Z_a-z])|(?<![0-9A-Z_a-z])(?![0-9A-Z_a-z]))";

/// Begins each pattern with look-around, so that `jsonschema` hands it to `fancy-regex` as it is.
const FANCY: &str = "(?=)";

/// The pattern in Rust's syntax: unchanged where `jsonschema` reads it as JavaScript does.
///
/// # Errors
/// The reason, where JavaScript does not take it for a pattern.
pub(crate) fn translate(pattern: &str) -> Result<Cow<'_, str>, &'static str> {
    let mut plain = Translator::new(pattern, false);
    plain.read()?;
    if plain.needs_fancy {
        let mut fancy = Translator::new(pattern, true);
        fancy.read()?;
        return Ok(Cow::Owned(fancy.out));
    }
    Ok(if plain.changed {
        Cow::Owned(plain.out)
    } else {
        Cow::Borrowed(pattern)
    })
}

struct Translator<'p> {
    rest: Peekable<Chars<'p>>,
    out: String,
    fancy: bool,
    needs_fancy: bool,
    changed: bool,
    groups: u32,
    has_names: bool,
}

impl<'p> Translator<'p> {
    fn new(pattern: &'p str, fancy: bool) -> Self {
        let (groups, has_names) = groups(pattern);
        Self {
            rest: pattern.chars().peekable(),
            out: if fancy { FANCY.to_owned() } else { String::new() },
            fancy,
            needs_fancy: fancy,
            changed: false,
            groups,
            has_names,
        }
    }

    fn read(&mut self) -> Result<(), &'static str> {
        let mut open = Vec::new();
        // Whether a quantifier may follow.
        let mut repeatable = false;
        while let Some(c) = self.rest.next() {
            let mut now = true;
            match c {
                '(' => {
                    open.push(self.group()?);
                    now = false;
                }
                ')' => {
                    now = open.pop().ok_or("a ) without its (")?;
                    self.out.push(')');
                }
                '|' | '^' | '$' => {
                    self.out.push(c);
                    now = false;
                }
                '*' | '+' | '?' => {
                    self.quantifier(repeatable, &c.to_string())?;
                    now = false;
                }
                '{' => match self.braces()? {
                    Some(times) => {
                        self.quantifier(repeatable, &times)?;
                        now = false;
                    }
                    None => self.change(r"\{"),
                },
                '}' | ']' => {
                    self.changed = true;
                    self.literal(u32::from(c));
                }
                '.' => self.class(true, LINE_ENDS.to_vec()),
                '[' => {
                    let (negated, ranges) = self.set()?;
                    self.class(negated, ranges);
                }
                '\\' => now = self.escape()?,
                c => self.literal(u32::from(c)),
            }
            repeatable = now;
        }
        if open.is_empty() {
            Ok(())
        } else {
            Err("a ( without its )")
        }
    }

    fn change(&mut self, text: &str) {
        self.changed = true;
        self.out.push_str(text);
    }

    /// Reads what follows a `(`: whether the group may be repeated.
    fn group(&mut self) -> Result<bool, &'static str> {
        self.out.push('(');
        if self.rest.next_if_eq(&'?').is_none() {
            return Ok(true);
        }
        self.out.push('?');
        let mut ahead = self.rest.clone();
        let kind = match (ahead.next(), ahead.next()) {
            (Some(c @ (':' | '=' | '!')), _) => c.to_string(),
            (Some('<'), Some(c @ ('=' | '!'))) => format!("<{c}"),
            (Some('<'), _) => self.rest.clone().take_while(|c| *c != '>').chain(['>']).collect(),
            _ => return Err("an unknown kind of group"),
        };
        for _ in kind.chars() {
            self.rest.next();
        }
        self.needs_fancy |= kind.ends_with(['=', '!']);
        self.out.push_str(&kind);
        Ok(!kind.starts_with('<') || kind.ends_with('>'))
    }

    fn quantifier(&mut self, repeatable: bool, text: &str) -> Result<(), &'static str> {
        if !repeatable {
            return Err("nothing to repeat");
        }
        self.out.push_str(text);
        if self.rest.next_if_eq(&'?').is_some() {
            self.out.push('?');
        }
        Ok(())
    }

    /// The quantifier that follows a `{`; none where the brace stands for itself.
    fn braces(&mut self) -> Result<Option<String>, &'static str> {
        let mut ahead = self.rest.clone();
        let text: String = ahead.by_ref().take_while(|c| *c != '}').collect();
        let closed = self.rest.clone().nth(text.chars().count()) == Some('}');
        let (from, to) = match text.split_once(',') {
            Some((from, to)) => (from, Some(to)),
            None => (text.as_str(), None),
        };
        let digits = |text: &str| text.bytes().all(|b| b.is_ascii_digit());
        if !closed || from.is_empty() || !digits(from) || !to.is_none_or(digits) {
            return Ok(None);
        }
        if let Some(to) = to.filter(|to| !to.is_empty()) {
            let number = |text: &str| text.parse::<u64>().unwrap_or(u64::MAX);
            if number(from) > number(to) {
                return Err("the numbers of a {m,n} are out of order");
            }
        }
        self.rest = ahead;
        Ok(Some(format!("{{{text}}}")))
    }

    fn literal(&mut self, code: u32) {
        match char::from_u32(code) {
            Some(c) if c.is_ascii_alphanumeric() || !c.is_ascii() || " _/-,:;=<>@!%'\"&~`#".contains(c) => {
                self.out.push(c);
            }
            Some(c) if c.is_ascii_graphic() => {
                self.out.push('\\');
                self.out.push(c);
            }
            Some(_) => self.ranges(&[(code, code)]),
            // Half of a pair: no text of JSON has it.
            None => self.class(false, Ranges::new()),
        }
    }

    /// Writes a class; one of no character matches nothing.
    fn class(&mut self, negated: bool, ranges: Ranges) {
        let ranges = if negated { complement(&ranges) } else { ranges };
        let valid: Ranges = ranges
            .into_iter()
            .flat_map(|(from, to)| [(from, to.min(0xd7ff)), (from.max(0xe000), to)])
            .filter(|(from, to)| from <= to)
            .collect();
        if valid.is_empty() {
            self.change(r"[^\u{0}-\u{10ffff}]");
        } else {
            self.ranges(&valid);
        }
    }

    fn ranges(&mut self, ranges: &[(u32, u32)]) {
        self.out.push('[');
        for (from, to) in ranges {
            let _ = write!(self.out, r"\u{{{from:x}}}");
            if from != to {
                let _ = write!(self.out, r"-\u{{{to:x}}}");
            }
        }
        self.out.push(']');
    }

    /// Reads what follows a backslash outside of a class: whether it may be repeated.
    fn escape(&mut self) -> Result<bool, &'static str> {
        let c = self.rest.next().ok_or(r"a \ at the end")?;
        match c {
            'b' | 'B' => {
                self.out.push_str(match (c, self.fancy) {
                    ('b', true) => EDGE,
                    (_, true) => NO_EDGE,
                    ('b', _) => r"\b",
                    _ => r"\B",
                });
                return Ok(false);
            }
            'k' if self.has_names => {
                let name: String = self.rest.by_ref().take_while(|c| *c != '>').collect();
                if !name.starts_with('<') {
                    return Err(r"\k without a name");
                }
                self.needs_fancy = true;
                let _ = write!(self.out, r"\k{name}>");
            }
            '1'..='9' if self.backreference(c) => {}
            'd' | 'D' | 'w' | 'W' | 's' | 'S' => self.class(false, perl(c)),
            'c' => {
                self.changed = true;
                match self.rest.next_if(char::is_ascii_alphabetic) {
                    Some(letter) => self.literal(u32::from(letter) % 32),
                    // The backslash stands for itself.
                    None => self.out.push_str(r"\\c"),
                }
            }
            c => {
                self.changed |= !r"tnrfv./-$^*+?()[]{}|\".contains(c);
                let code = self.character(c)?;
                self.literal(code);
            }
        }
        Ok(true)
    }

    /// Reads a reference to a group, if there are so many.
    fn backreference(&mut self, first: char) -> bool {
        let mut ahead = self.rest.clone();
        let mut number = first.to_digit(10).unwrap_or_default();
        while let Some(digit) = ahead.peek().and_then(|c| c.to_digit(10)) {
            ahead.next();
            number = number.saturating_mul(10).saturating_add(digit);
        }
        if number > self.groups {
            return false;
        }
        self.rest = ahead;
        self.needs_fancy = true;
        let _ = write!(self.out, r"(?:\{number})");
        true
    }

    /// The character that an escape stands for.
    fn character(&mut self, c: char) -> Result<u32, &'static str> {
        Ok(match c {
            't' => 0x09,
            'n' => 0x0a,
            'v' => 0x0b,
            'f' => 0x0c,
            'r' => 0x0d,
            '0'..='7' => {
                let mut code = c.to_digit(8).unwrap_or_default();
                // At most three digits, and at most 0o377.
                for _ in 0..2 {
                    let next = self.rest.peek().and_then(|c| c.to_digit(8));
                    match next.map(|digit| code * 8 + digit) {
                        Some(more) if more <= 0o377 => code = more,
                        _ => break,
                    }
                    self.rest.next();
                }
                code
            }
            'x' => self.hexadecimal(2).unwrap_or(u32::from('x')),
            'u' => {
                let unit = self.hexadecimal(4).unwrap_or(u32::from('u'));
                self.pair(unit).unwrap_or(unit)
            }
            'k' if self.has_names => return Err(r"\k in a class"),
            c => u32::from(c),
        })
    }

    fn hexadecimal(&mut self, digits: usize) -> Option<u32> {
        let text: String = self.rest.clone().take(digits).collect();
        if text.len() < digits || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return None;
        }
        self.rest.nth(digits - 1);
        u32::from_str_radix(&text, 16).ok()
    }

    /// The character of a pair of surrogates, of which `high` is the first.
    fn pair(&mut self, high: u32) -> Option<u32> {
        let before = self.rest.clone();
        let low = (0xd800..0xdc00)
            .contains(&high)
            .then(|| (self.rest.next(), self.rest.next()))
            .filter(|next| *next == (Some('\\'), Some('u')))
            .and_then(|_| self.hexadecimal(4))
            .filter(|low| (0xdc00..0xe000).contains(low));
        if low.is_none() {
            self.rest = before;
        }
        let low = low?;
        Some(0x1_0000 + ((high - 0xd800) << 10) + (low - 0xdc00))
    }

    /// Reads what follows a `[`: whether it is negated, and its characters.
    fn set(&mut self) -> Result<(bool, Ranges), &'static str> {
        let negated = self.rest.next_if_eq(&'^').is_some();
        let mut ranges = Ranges::new();
        let mut first = true;
        loop {
            let from = match self.atom()? {
                None => break,
                Some(atom) => atom,
            };
            let mut ahead = self.rest.clone();
            let is_range = ahead.next() == Some('-') && ahead.peek().is_some_and(|c| *c != ']');
            first = false;
            if !is_range {
                ranges.extend(from);
                continue;
            }
            self.rest.next();
            let Some(to) = self.atom()? else { break };
            match (from.as_slice(), to.as_slice()) {
                (&[(from, one)], &[(two, to)]) if from == one && two == to => {
                    if from > to {
                        return Err("a range of a class is out of order");
                    }
                    ranges.push((from, to));
                }
                // A class of its own is no end of a range: the hyphen stands for itself.
                _ => {
                    self.changed = true;
                    ranges.extend(from);
                    ranges.push((u32::from('-'), u32::from('-')));
                    ranges.extend(to);
                }
            }
        }
        self.changed |= first;
        Ok((negated, ranges))
    }

    /// The next member of a class; none at its end.
    fn atom(&mut self) -> Result<Option<Ranges>, &'static str> {
        let c = self.rest.next().ok_or("a [ without its ]")?;
        let code = match c {
            ']' => return Ok(None),
            '\\' => {
                let c = self.rest.next().ok_or(r"a \ at the end")?;
                if "dDwWsS".contains(c) {
                    return Ok(Some(perl(c)));
                }
                self.changed |= !r"tnrfv./-$^*+?()[]{}|\".contains(c);
                match c {
                    'b' => 0x08,
                    // In a class, not only letters name control characters.
                    'c' => match self.rest.next_if(|c| c.is_ascii_alphanumeric() || *c == '_') {
                        Some(c) => u32::from(c) % 32,
                        None => return Ok(Some(vec![(0x5c, 0x5c), (0x63, 0x63)])),
                    },
                    c => self.character(c)?,
                }
            }
            c => {
                self.changed |= "[&~".contains(c) || c == '-' && self.rest.peek() != Some(&']');
                u32::from(c)
            }
        };
        Ok(Some(vec![(code, code)]))
    }
}

/// The number of groups that capture, and whether one has a name.
fn groups(pattern: &str) -> (u32, bool) {
    let (mut groups, mut has_names, mut in_class) = (0, false, false);
    let mut rest = pattern.chars();
    while let Some(c) = rest.next() {
        match c {
            '\\' => {
                rest.next();
            }
            '[' => in_class = true,
            ']' => in_class = false,
            '(' if !in_class => {
                let after = rest.as_str();
                let is_named =
                    after.starts_with("?<") && !after.starts_with("?<=") && !after.starts_with("?<!");
                has_names |= is_named;
                groups += u32::from(is_named || !after.starts_with('?'));
            }
            _ => {}
        }
    }
    (groups, has_names)
}

fn perl(class: char) -> Ranges {
    let ranges = match class.to_ascii_lowercase() {
        'd' => DIGITS,
        'w' => WORD,
        _ => SPACES,
    };
    if class.is_ascii_uppercase() {
        complement(ranges)
    } else {
        ranges.to_vec()
    }
}

fn complement(ranges: &[(u32, u32)]) -> Ranges {
    let mut sorted = ranges.to_vec();
    sorted.sort_unstable();
    let mut others = Ranges::new();
    let mut next = 0;
    for (from, to) in sorted {
        if from > next {
            others.push((next, from - 1));
        }
        next = next.max(to + 1);
    }
    if next <= LAST {
        others.push((next, LAST));
    }
    others
}

#[cfg(test)]
mod tests;
