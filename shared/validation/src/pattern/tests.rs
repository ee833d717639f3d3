use serde_json::json;

use super::*;
use crate::Schema;

/// Checked with `new RegExp(pattern).test(text)` of Node.js.
#[test]
fn patterns_match_what_javascript_matches() {
    for (pattern, matches, others) in [
        ("a{,3}", &["a{,3}"][..], &["a", "aaa"][..]),
        ("^a{1,2}$", &["a", "aa"], &["aaa", "a{1,2}"]),
        ("a{1", &["a{1"], &["a"]),
        ("{", &["{"], &["a"]),
        ("x}", &["x}"], &["x"]),
        ("]", &["]"], &["["]),
        ("^[^]$", &["a", "\n", "é"], &["", "ab"]),
        ("[]", &[], &["", "a", "[]"]),
        ("[]a]", &[], &["a", "]", "a]"]),
        (r"\k<y>", &["k<y>"], &["y"]),
        (r"(?<y>a)\k<y>", &["aa"], &["a", "k<y>"]),
        (r"\p{L}", &["p{L}"], &["é", "L"]),
        (r"\d", &["0", "9"], &["٣", "d"]),
        (r"^\w$", &["a", "_"], &["é", "-"]),
        (r"^\W$", &["é", "-"], &["a", "_"]),
        (
            r"^\s$",
            &[" ", "\u{feff}", "\u{a0}", "\u{2029}"],
            &["\u{85}", "a"],
        ),
        (r"^\S$", &["\u{85}", "a"], &["\u{feff}", " "]),
        (r"^[\s\d]$", &["\u{feff}", "1"], &["\u{85}", "٣"]),
        (r"^[^\W\d]$", &["a", "_"], &["1", "é"]),
        (r"^[\w-x]$", &["a", "-", "x"], &["+", "é"]),
        ("^.$", &["a", "é"], &["\n", "\r", "\u{2028}", "ab"]),
        ("^(?=.*b)a", &["ab"], &["a\nb", "ba"]),
        (r"(?<!\d)x", &["x", "٣x"], &["1x"]),
        (r"^(a|b)\1$", &["aa", "bb"], &["ab"]),
        (r"(?:a)\1", &["a\u{1}"], &["aa"]),
        (r"\8", &["8"], &["\u{8}"]),
        (r"^\0$", &["\u{0}"], &["0"]),
        (r"^\101$", &["A"], &["\u{1}01"]),
        (r"^\x41\u0042$", &["AB"], &["x41u0042"]),
        (r"^\x4$", &["x4"], &["\u{4}"]),
        (r"^\u{3}$", &["uuu"], &["\u{3}"]),
        (r"^\uD83D\uDE00$", &["😀"], &["\u{fffd}"]),
        (r"\uD83D", &[], &["😀", "x"]),
        (r"^[\uD800-\uDFFF]", &[], &["x"]),
        (r"^\cA$", &["\u{1}"], &["cA"]),
        (r"^\c$", &[r"\c"], &["c"]),
        (r"^[\c]$", &[r"\", "c"], &["\u{1}"]),
        (r"^[\cA\c1]$", &["\u{1}", "\u{11}"], &["A", "c"]),
        (r"^[\b]$", &["\u{8}"], &["b"]),
        (r"[&&]", &["&"], &["a"]),
        ("[a-z&&[^b]]", &["a]", "b]", "&]"], &["a", "b"]),
        ("^[&&~~]$", &["&", "~"], &["a"]),
        ("^[+--]$", &["+", ",", "-"], &["."]),
        (r"^\_\-\ \#\<\>\~\&$", &["_- #<>~&"], &["_- #"]),
        (r"^\a\e\z\A$", &["aezA"], &["\u{7}"]),
        ("^(?:a||b)$", &["a", "b", ""], &["ab"]),
        ("a#b c", &["a#b c"], &["abc"]),
        (r"\bfoo\b", &["foo", "a foo."], &["afoo", "foob"]),
        (r"(?=f)\bfoo\B", &["food", "éfoob"], &["foo", "afoob"]),
        ("(?=a{,2})a", &["a{,2}"], &["a"]),
        ("^a+?$", &["aa"], &["ab"]),
    ] {
        let schema =
            json!({"properties": {"a": {"pattern": pattern}, "o": {"patternProperties": {pattern: false}}}});
        let schema =
            Schema::compile(&schema.to_string()).unwrap_or_else(|error| panic!("{pattern}: {error}"));
        for (texts, expected) in [(matches, true), (others, false)] {
            for text in texts {
                let found = schema.validate(&json!({"a": text})).is_ok();
                assert_eq!(found, expected, "{pattern} and {text:?}");
                let found = schema.validate(&json!({"o": {*text: 1}})).is_err();
                assert_eq!(found, expected, "{pattern} and the name {text:?}");
            }
        }
    }
}

#[test]
fn what_javascript_refuses_is_refused_with_its_place_and_reason() {
    for (pattern, why) in [
        ("(", "a ( without its )"),
        ("a)", "a ) without its ("),
        ("[a", "a [ without its ]"),
        ("*a", "nothing to repeat"),
        ("a**", "nothing to repeat"),
        ("a|{2}", "nothing to repeat"),
        ("^*", "nothing to repeat"),
        ("(?<=a)*", "nothing to repeat"),
        ("a{2,1}", "the numbers of a {m,n} are out of order"),
        ("[b-a]", "a range of a class is out of order"),
        ("\\", r"a \ at the end"),
        ("(?i)a", "an unknown kind of group"),
        ("(?P<n>a)", "an unknown kind of group"),
        (r"(?<n>a)\k", r"\k without a name"),
        (r"(?<n>a)[\k]", r"\k in a class"),
    ] {
        assert_eq!(translate(pattern), Err(why), "{pattern}");
        let schema = json!({"properties": {"a": {"items": [{"pattern": pattern}]}}});
        let error = Schema::compile(&schema.to_string()).unwrap_err();
        assert_eq!(error.pointer, "/properties/a/items/0/pattern");
        assert!(error.message.contains(why), "{error}");
        let schema = json!({"additionalProperties": {"patternProperties": {pattern: {}}}});
        let error = Schema::compile(&schema.to_string()).unwrap_err();
        assert!(
            error
                .pointer
                .starts_with("/additionalProperties/patternProperties/"),
            "{error}"
        );
    }
}

#[test]
fn usual_patterns_stay_as_they_are() {
    for pattern in [
        "^(a|b|c)$",
        r"^\S*$",
        r"^\/[a-z]+\/\d+\.\d+\.\d+$",
        r"^[\w.-]+$",
        "^a{2,3}b{4}$",
        "(?<n>x)+",
        "^[^/]*$",
    ] {
        assert!(matches!(translate(pattern), Ok(Cow::Borrowed(_))), "{pattern}");
    }
}
