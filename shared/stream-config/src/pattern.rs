//! Stream names that are regexes: `/^job\.run\..+/`, in PHP's notation.

use regex::{Regex, RegexBuilder};

/// Largest compiled size of a pattern, in bytes; matching is linear in the name's length.
const SIZE_LIMIT: usize = 1 << 20;

/// A stream name that is a regex.
#[derive(Debug, Clone)]
pub struct StreamPattern {
    regex: Regex,
    body: String,
    modifiers: String,
}

impl StreamPattern {
    /// Whether a config's key is meant as a pattern.
    #[must_use]
    pub fn is_pattern(key: &str) -> bool {
        key.starts_with('/')
    }

    /// Reads `/body/modifiers`; the modifiers `i`, `m`, `s`, `u` and `x` are known.
    ///
    /// # Errors
    /// A text that says what is wrong. Look-around and back-references are not supported.
    pub fn parse(key: &str) -> Result<Self, String> {
        let (body, modifiers) = key
            .strip_prefix('/')
            .and_then(|rest| rest.rsplit_once('/'))
            .ok_or_else(|| format!("'{key}' starts with '/' but has no closing '/'"))?;
        let mut builder = RegexBuilder::new(body);
        builder.size_limit(SIZE_LIMIT);
        for modifier in modifiers.chars() {
            match modifier {
                'i' => builder.case_insensitive(true),
                'm' => builder.multi_line(true),
                's' => builder.dot_matches_new_line(true),
                'x' => builder.ignore_whitespace(true),
                'u' => &mut builder,
                other => return Err(format!("'{key}' has the unknown modifier '{other}'")),
            };
        }
        let regex = builder
            .build()
            .map_err(|error| format!("'{key}' is not a regex: {error}"))?;
        Ok(Self {
            regex,
            body: body.to_owned(),
            modifiers: modifiers.to_owned(),
        })
    }

    /// Whether `stream` matches anywhere, as `preg_match` does: anchors are the pattern's own affair.
    #[must_use]
    pub fn matches(&self, stream: &str) -> bool {
        self.regex.is_match(stream)
    }

    /// The pattern of the topics that `prefixes` make: `/^(eqiad\.|codfw\.)job\..+/`.
    #[must_use]
    pub fn prefixed(&self, prefixes: &[&str]) -> String {
        let alternatives: Vec<String> = prefixes.iter().map(|prefix| preg_quote(prefix)).collect();
        let (anchor, rest) = match self.body.strip_prefix('^') {
            Some(rest) => ("^", rest),
            None => ("", self.body.as_str()),
        };
        format!("/{anchor}({}){rest}/{}", alternatives.join("|"), self.modifiers)
    }
}

/// PHP's `preg_quote` without a delimiter.
fn preg_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() * 2);
    for c in text.chars() {
        if c == '\0' {
            quoted.push_str("\\000");
            continue;
        }
        if ".\\+*?[^]$(){}=!<>|:-#".contains(c) {
            quoted.push('\\');
        }
        quoted.push(c);
    }
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_match_like_preg_match() {
        let jobs = StreamPattern::parse(r"/^mediawiki\.job\..+/").unwrap();
        assert!(jobs.matches("mediawiki.job.x"));
        assert!(!jobs.matches("mediawiki.job."));
        assert!(!jobs.matches("x.mediawiki.job.x"));
        assert!(StreamPattern::parse("/JOB/i").unwrap().matches("a.job.b"));
    }

    #[test]
    fn topics_of_a_pattern_keep_its_anchor_and_modifiers() {
        for (key, expected) in [
            ("/^a/", r"/^(x\.|y)a/"),
            ("/a$/", r"/(x\.|y)a$/"),
            ("/^a/i", r"/^(x\.|y)a/i"),
        ] {
            assert_eq!(
                StreamPattern::parse(key).unwrap().prefixed(&["x.", "y"]),
                expected
            );
        }
    }

    #[test]
    fn broken_patterns_say_what_is_wrong() {
        for (key, part) in [
            ("/x", "closing"),
            ("/(/", "not a regex"),
            ("/x/q", "modifier"),
            ("/(?=x)/", "not a regex"),
        ] {
            let error = StreamPattern::parse(key).unwrap_err();
            assert!(error.contains(part), "{key}: {error}");
        }
    }
}
