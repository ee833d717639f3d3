//! Reads filters, by recursive descent.

use super::{Filter, Literal, MAX_CHARACTERS, MAX_DEPTH, MAX_NAMES, MAX_TERMS, Test};

/// What every error shows.
pub(super) const EXAMPLE: &str = r#"wiki = enwiki AND namespace = (0 OR 1) AND NOT title = "Talk:*""#;

/// Why a text is no filter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FilterError {
    /// The character where it is seen, from 1.
    pub(super) column: usize,
    pub(super) problem: String,
}

impl std::fmt::Display for FilterError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "column {}: {}; an example: {EXAMPLE}",
            self.column, self.problem
        )
    }
}

/// A text, and how far it is read.
pub(super) struct Parser<'t> {
    text: &'t str,
    /// The byte to read next.
    at: usize,
    depth: usize,
    terms: usize,
}

/// A part of a field, or a value.
enum Word<'t> {
    Bare(&'t str),
    /// A text in quotes, cut at each `*` that has no backslash.
    Quoted(Vec<String>),
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Connective {
    And,
    Or,
}

type Parsed<T> = Result<T, FilterError>;

impl<'t> Parser<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            at: 0,
            depth: 0,
            terms: 0,
        }
    }

    /// The whole text.
    pub(super) fn filter(mut self) -> Parsed<Filter> {
        let characters = self.text.chars().count();
        if characters > MAX_CHARACTERS {
            return Err(FilterError {
                column: MAX_CHARACTERS + 1,
                problem: format!("{characters} characters are too many: at most {MAX_CHARACTERS} are read"),
            });
        }
        let filter = self.expression()?;
        if self.rest().is_empty() {
            Ok(filter)
        } else {
            Err(self.expected("AND, OR or the end"))
        }
    }

    /// `factor { AND factor }` or `factor { OR factor }`.
    fn expression(&mut self) -> Parsed<Filter> {
        let mut filters = vec![self.factor()?];
        let Some(connective) = self.connective() else {
            return Ok(filters.remove(0));
        };
        loop {
            filters.push(self.factor()?);
            self.space();
            let at = self.at;
            match self.connective() {
                None => break,
                Some(next) if next == connective => {}
                Some(_) => {
                    self.at = at;
                    return Err(
                        self.problem("AND and OR side by side: put parentheses around what belongs together")
                    );
                }
            }
        }
        Ok(match connective {
            Connective::And => Filter::All(filters),
            Connective::Or => Filter::Any(filters),
        })
    }

    /// `[ NOT | - ] ( "(" expression ")" | restriction )`.
    fn factor(&mut self) -> Parsed<Filter> {
        let negated = self.keyword("NOT") || self.token("-");
        let filter = if self.token("(") {
            self.in_parentheses()?
        } else {
            self.restriction()?
        };
        Ok(if negated {
            Filter::Not(Box::new(filter))
        } else {
            filter
        })
    }

    fn in_parentheses(&mut self) -> Parsed<Filter> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(self.problem(&format!("more than {MAX_DEPTH} parentheses in one another")));
        }
        let filter = self.expression()?;
        self.depth -= 1;
        if self.token(")") {
            Ok(filter)
        } else {
            Err(self.expected("AND, OR or )"))
        }
    }

    /// A field and what is asked of it.
    fn restriction(&mut self) -> Parsed<Filter> {
        let path = self.field()?;
        let comparator = ["!=", "<=", ">=", "=", "<", ">", ":"]
            .into_iter()
            .find(|comparator| self.token(comparator));
        let test = match comparator {
            Some(":") if self.star() => {
                self.count_term()?;
                Test::Present
            }
            Some(":") => Test::Has(self.values()?),
            Some("=") => Test::Equals(self.values()?),
            Some("!=") => Test::Differs(self.single()?),
            Some("<") => Test::Less(self.ordered()?),
            Some("<=") => Test::AtMost(self.ordered()?),
            Some(">") => Test::Greater(self.ordered()?),
            Some(">=") => Test::AtLeast(self.ordered()?),
            _ => return Err(self.expected("one of = != < <= > >= : after a field")),
        };
        Ok(Filter::Field { path, test })
    }

    /// `name { "." name }`.
    fn field(&mut self) -> Parsed<Vec<String>> {
        let mut path = Vec::new();
        loop {
            let at = self.at;
            path.push(match self.word(is_of_name)? {
                Some(Word::Bare(name)) if !is_keyword(name) && !name.starts_with('-') => name.to_owned(),
                Some(Word::Quoted(parts)) => parts.join("*"),
                _ => {
                    self.at = at;
                    return Err(self.expected("the name of a field"));
                }
            });
            if path.len() > MAX_NAMES {
                return Err(self.problem(&format!("more than {MAX_NAMES} names in one field")));
            }
            if !self.rest().starts_with('.') {
                return Ok(path);
            }
            self.at += 1;
        }
    }

    /// `value` or `"(" value { OR value } ")"`.
    fn values(&mut self) -> Parsed<Vec<Literal>> {
        if !self.token("(") {
            return Ok(vec![self.value()?]);
        }
        let mut values = vec![self.value()?];
        while self.keyword("OR") {
            values.push(self.value()?);
        }
        if self.token(")") {
            Ok(values)
        } else {
            Err(self.expected("OR or )"))
        }
    }

    /// The value of a comparison that takes no list.
    fn single(&mut self) -> Parsed<Literal> {
        self.space();
        if self.rest().starts_with('(') {
            return Err(self.problem(
                "a list of values stands after = or : only; for none of them write NOT field = (…)",
            ));
        }
        self.value()
    }

    /// The value of a comparison by order.
    fn ordered(&mut self) -> Parsed<Literal> {
        self.space();
        let at = self.at;
        let value = self.single()?;
        if value.is_pattern() {
            self.at = at;
            return Err(self.problem(
                r"a * stands for any text after =, != or : only; as a character it is \* in quotes",
            ));
        }
        Ok(value)
    }

    fn value(&mut self) -> Parsed<Literal> {
        self.count_term()?;
        self.space();
        let at = self.at;
        match self.word(is_of_value)? {
            Some(Word::Bare(text)) if !is_keyword(text) => Ok(Literal::bare(text)),
            Some(Word::Quoted(parts)) => Ok(Literal::quoted(parts)),
            _ => {
                self.at = at;
                Err(self.expected("a value"))
            }
        }
    }

    fn count_term(&mut self) -> Parsed<()> {
        self.terms += 1;
        if self.terms > MAX_TERMS {
            return Err(self.problem(&format!("more than {MAX_TERMS} values")));
        }
        Ok(())
    }

    /// A text in quotes, or all characters from here on that `belongs` takes; `None` where there is neither.
    fn word(&mut self, belongs: fn(char) -> bool) -> Parsed<Option<Word<'t>>> {
        self.space();
        let rest = self.rest();
        if let Some(quote) = rest.chars().next().filter(|c| matches!(c, '"' | '\'')) {
            return self.quoted(quote).map(|parts| Some(Word::Quoted(parts)));
        }
        let length = rest.find(|c| !belongs(c)).unwrap_or(rest.len());
        self.at += length;
        Ok(rest.get(..length).filter(|word| !word.is_empty()).map(Word::Bare))
    }

    fn quoted(&mut self, quote: char) -> Parsed<Vec<String>> {
        let start = self.at;
        let mut characters = self.rest().char_indices().skip(1);
        let mut parts = Vec::new();
        let mut part = String::new();
        while let Some((nth, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, escaped @ ('"' | '\'' | '\\' | '*'))) => part.push(escaped),
                    _ => {
                        self.at = start + nth;
                        return Err(self.problem(r#"a backslash stands before ", ', * or another one only"#));
                    }
                },
                '*' => parts.push(std::mem::take(&mut part)),
                _ if character == quote => {
                    parts.push(part);
                    self.at = start + nth + 1;
                    return Ok(parts);
                }
                _ => part.push(character),
            }
        }
        Err(self.problem(&format!("the quote {quote} is not closed")))
    }

    fn connective(&mut self) -> Option<Connective> {
        if self.keyword("AND") {
            Some(Connective::And)
        } else if self.keyword("OR") {
            Some(Connective::Or)
        } else {
            None
        }
    }

    /// Reads the keyword, where it stands here and is not the beginning of a longer word.
    fn keyword(&mut self, keyword: &str) -> bool {
        self.space();
        let after = self.rest().strip_prefix(keyword);
        let found = after.is_some_and(|after| !after.starts_with(|c| is_of_name(c) || c == '.'));
        if found {
            self.at += keyword.len();
        }
        found
    }

    /// Reads the token, where it stands here.
    fn token(&mut self, token: &str) -> bool {
        self.space();
        let found = self.rest().starts_with(token);
        if found {
            self.at += token.len();
        }
        found
    }

    /// Reads a `*` that stands alone.
    fn star(&mut self) -> bool {
        self.space();
        let after = self.rest().strip_prefix('*');
        let found = after.is_some_and(|after| !after.starts_with(is_of_value));
        if found {
            self.at += 1;
        }
        found
    }

    fn space(&mut self) {
        self.at = self.text.len() - self.rest().trim_start().len();
    }

    fn rest(&self) -> &'t str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn problem(&self, problem: &str) -> FilterError {
        let before = self.text.get(..self.at).unwrap_or_default();
        FilterError {
            column: before.chars().count() + 1,
            problem: problem.to_owned(),
        }
    }

    /// The error where something else stands.
    fn expected(&mut self, expected: &str) -> FilterError {
        self.space();
        let rest = self.rest();
        let word: String = rest.chars().take_while(|c| !c.is_whitespace()).take(20).collect();
        let found = match (rest.is_empty(), &*word) {
            (true, _) => "the end".to_owned(),
            (_, "and" | "or" | "not") => format!("{word}, which is written in capitals"),
            _ => word,
        };
        self.problem(&format!("expected {expected}, found {found}"))
    }
}

fn is_keyword(word: &str) -> bool {
    matches!(word, "AND" | "OR" | "NOT")
}

/// Whether a name without quotes may have the character.
fn is_of_name(character: char) -> bool {
    is_of_value(character) && !matches!(character, '.' | ':' | '*')
}

/// Whether a value without quotes may have the character.
fn is_of_value(character: char) -> bool {
    !character.is_whitespace()
        && !matches!(
            character,
            '"' | '\'' | '(' | ')' | ',' | '=' | '<' | '>' | '!' | '\\'
        )
}
