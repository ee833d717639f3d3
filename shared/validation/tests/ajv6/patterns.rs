//! Patterns put together at random, most of them on the edge of JavaScript's syntax, and texts for them.

use serde_json::json;

use crate::Case;
use crate::generator::Random;

const PARTS: &[&str] = &[
    "a", "b", "1", "_", "-", "(", ")", "(?:", "(?=", "(?!", "[", "[^", "]", "{", "}", "{1,2}", "{2}", "{,",
    "*", "+", "?", "|", "^", "$", ".", r"\d", r"\W", r"\s", r"\S", r"\b", r"\k", r"\0", r"\12", r"\x4",
    r"\x41", r"\u0041", r"\u{2}", r"\cA", r"\c", r"\", r"\-", r"\]", r"\/", r"\p{L}", "&&", "--", "~~",
    "a-c", r"\d-z", "-z", "<", "#", " ", "\n",
];

const TEXTS: &[&str] = &[
    "a", "b", "ab", "aa", "", "1", "_", "-", "]", "[", "{", "}", "{2}", "a{,", "k", "A", "x4", "\u{1}", "\n",
    " ", "#", "uu", "p{L}", "&", "~", "c", r"\", r"\c", "-z", "\u{0}", "(",
];

/// A pattern of at most six parts, for a value and for a name.
pub(crate) fn case(random: &mut Random) -> Case {
    let parts = 1 + random.below(6);
    let pattern: String = (0..parts).map(|_| *random.pick(PARTS)).collect();
    let events = TEXTS
        .iter()
        .map(|text| json!({"a": text, "o": {*text: 1}}).to_string());
    Case {
        schema: json!({"properties": {"a": {"pattern": &pattern}, "o": {"patternProperties": {&pattern: false}}}}),
        events: events.collect(),
    }
}
