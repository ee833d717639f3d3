//! The formats of AJV 6 in its `fast` mode: looser than the RFCs, and what production accepts.
//!
//! Source: ajv 6.12.6, `lib/compile/formats.js`, `formats.fast`.

use std::sync::LazyLock;

use regex::Regex;

use crate::pattern::translate;

type Check = fn(&str) -> bool;

macro_rules! pattern {
    ($name:ident, $pattern:expr) => {
        fn $name(text: &str) -> bool {
            static PATTERN: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new($pattern).ok());
            PATTERN
                .as_ref()
                .is_some_and(|pattern| pattern.is_match(text))
        }
    };
}

/// JavaScript's white space, for a class.
macro_rules! space {
    () => {
        r"\t-\r \u{a0}\u{1680}\u{2000}-\u{200a}\u{2028}\u{2029}\u{202f}\u{205f}\u{3000}\u{feff}"
    };
}

// Without the flag `u`, the case of ASCII letters alone does not matter to JavaScript: `ſ` is no `s`.
pattern!(date, r"^[0-9]{4}-[0-1][0-9]-[0-3][0-9]$");
pattern!(
    time,
    r"^(?:[0-2][0-9]:[0-5][0-9]:[0-5][0-9]|23:59:60)(?:\.[0-9]+)?(?:[zZ]|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
);
pattern!(
    date_time,
    concat!(
        "^[0-9]{4}-[0-1][0-9]-[0-3][0-9][tT",
        space!(),
        r"](?:[0-2][0-9]:[0-5][0-9]:[0-5][0-9]|23:59:60)(?:\.[0-9]+)?(?:[zZ]|[+-][0-9]{2}(?::?[0-9]{2})?)$"
    )
);
pattern!(
    uri,
    concat!(r"^(?:[a-zA-Z][a-zA-Z0-9+\-.]*:)(?:/?/)?[^", space!(), "]*$")
);
pattern!(
    uri_reference,
    concat!(
        r"^(?:(?:[a-zA-Z][a-zA-Z0-9+\-.]*:)?/?/)?(?:[^\\#",
        space!(),
        "][^#",
        space!(),
        r"]*)?(?:#[^\\",
        space!(),
        "]*)?$"
    )
);
pattern!(
    uri_template,
    r##"^(?:(?:[^\x00-\x20"'<>%\\^`{|}]|%[0-9a-fA-F]{2})|\{[+#./;?&=,!@|]?(?:[a-zA-Z0-9_]|%[0-9a-fA-F]{2})+(?::[1-9][0-9]{0,3}|\*)?(?:,(?:[a-zA-Z0-9_]|%[0-9a-fA-F]{2})+(?::[1-9][0-9]{0,3}|\*)?)*\})*$"##
);
pattern!(
    url_with_any_host,
    concat!(
        r"^(?:(?i-u:http)[sS\u{17f}]?|(?i-u:ftp))://(?:[^",
        space!(),
        "]+@)?(?:",
        r"(?:[1-9][0-9]?|1[0-9][0-9]|2[01][0-9]|22[0-3])(?:\.(?:1?[0-9]{1,2}|2[0-4][0-9]|25[0-5])){2}\.(?:[1-9][0-9]?|1[0-9][0-9]|2[0-4][0-9]|25[0-4])",
        r"|(?:[0-9a-zA-Z\u{a1}-\u{ffff}]+-)*[0-9a-zA-Z\u{a1}-\u{ffff}]+(?:\.(?:[0-9a-zA-Z\u{a1}-\u{ffff}]+-)*[0-9a-zA-Z\u{a1}-\u{ffff}]+)*\.[a-zA-Z\u{a1}-\u{ffff}]{2,}",
        ")(?::[0-9]{2,5})?(?:/[^",
        space!(),
        "]*)?$"
    )
);
pattern!(
    url_of_private_host,
    concat!(
        "^[a-zA-Z\u{17f}]+://(?:[^",
        space!(),
        r"]+@)?(?:(?:10|127)(?:\.[0-9]{1,3}){3}|(?:169\.254|192\.168|172\.(?:1[6-9]|2[0-9]|3[01]))(?:\.[0-9]{1,3}){2})(?:[:/]|$)"
    )
);
pattern!(
    email,
    r"(?i-u)^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$"
);
pattern!(
    host_labels,
    r"(?i-u)^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-0-9a-z]{0,61}[0-9a-z])?)*\.?$"
);
pattern!(
    ipv4,
    r"^(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$"
);
pattern!(
    uuid,
    r"(?i-u)^(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$"
);
pattern!(json_pointer, r"^(?:/(?:[^~/]|~0|~1)*)*$");
pattern!(
    json_pointer_uri_fragment,
    r"(?i-u)^#(?:/(?:[a-z0-9_\-.!$&'()*+,;:=@]|%[0-9a-f]{2}|~0|~1)*)*$"
);
pattern!(
    relative_json_pointer,
    r"^(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~0|~1)*)*)$"
);

fn url(text: &str) -> bool {
    url_with_any_host(text) && !url_of_private_host(text)
}

fn hostname(text: &str) -> bool {
    text.trim_end_matches('.').len() <= 253 && host_labels(text)
}

fn ipv6(text: &str) -> bool {
    let (address, zone) = match text.trim_matches(is_space).split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (text.trim_matches(is_space), None),
    };
    address.parse::<std::net::Ipv6Addr>().is_ok() && zone.is_none_or(|zone| !zone.is_empty())
}

fn is_space(c: char) -> bool {
    c == '\u{feff}' || c.is_whitespace() && c != '\u{85}'
}

fn regex(text: &str) -> bool {
    // `\Z` is Perl's, and AJV looks for it behind another character.
    let perl = |(at, _)| {
        text.get(..at)
            .is_some_and(|before| !before.is_empty() && !before.ends_with('\\'))
    };
    !text.match_indices(r"\Z").any(perl) && translate(text).is_ok()
}

/// Every format AJV 6 knows, with its check. An unknown one makes a schema unusable, as in AJV.
pub(crate) const FORMATS: &[(&str, Check)] = &[
    ("date", date),
    ("time", time),
    ("date-time", date_time),
    ("uri", uri),
    ("uri-reference", uri_reference),
    ("uri-template", uri_template),
    ("url", url),
    ("email", email),
    ("hostname", hostname),
    ("ipv4", ipv4),
    ("ipv6", ipv6),
    ("regex", regex),
    ("uuid", uuid),
    ("json-pointer", json_pointer),
    ("json-pointer-uri-fragment", json_pointer_uri_fragment),
    ("relative-json-pointer", relative_json_pointer),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_accept_and_refuse_what_ajv_6_does() {
        for (format, good, bad) in [
            (
                "date",
                &["2020-19-39"][..],
                &["2020-1-1", "2020-20-01", "x2020-01-01"][..],
            ),
            (
                "time",
                &["23:59:60", "10:00:00", "10:00:00.1+0100"],
                &["10:00", "10:60:00"],
            ),
            (
                "date-time",
                &[
                    "2020-07-01T00:00:00Z",
                    "2020-07-01 00:00:00z",
                    "2020-19-39t29:59:59.5+01",
                ],
                &["2020-07-01T00:00:00", "2020-13-01", "2019-07-01T24:60:00Z"],
            ),
            (
                "uri",
                &["http://x", "A:\u{85}"],
                &["/x", "http://a b", "a:\u{feff}", "\u{212a}:"],
            ),
            ("uri-reference", &["/x?y#z", "", "#a"], &["\\x", "a b"]),
            ("uri-template", &["/a/{b}"], &["{a", "<"]),
            (
                "url",
                &[
                    "https://example.org/x",
                    "FTP://u:p@1.2.3.4:8080/",
                    "http\u{17f}://é.fr",
                ],
                &[
                    "mailto:x@y",
                    "http://localhost",
                    "http://10.0.0.1/",
                    "http://u@192.168.1.1:80",
                    "https://172.16.0.1",
                    "http://example.org/a b",
                ],
            ),
            ("email", &["a@B"], &["a@", "@b", "\u{212a}@b"]),
            ("hostname", &["a.b-C."], &["-a", "a..b", "ſ"]),
            ("ipv4", &["1.2.3.4", "01.2.3.4"], &["1.2.3", "256.1.1.1"]),
            (
                "ipv6",
                &["::1", "fe80::1%eth0", "\u{feff}::1 "],
                &[":::", "1.2.3.4", "::1%", "\u{85}::1"],
            ),
            (
                "regex",
                &["^a+$", "a{,3}", "(?=a)", "\\Z"],
                &["(", "a\\Z", "a**", "[b-a]"],
            ),
            (
                "uuid",
                &[
                    "urn:uuid:5e1dd101-641c-11e8-ab6c-b083fecf1280",
                    "5E1DD101-641C-11E8-AB6C-B083FECF1280",
                ],
                &["5e1dd101641c11e8ab6cb083fecf1280"],
            ),
            ("json-pointer", &["", "/a~1b"], &["a", "/~2"]),
            ("json-pointer-uri-fragment", &["#/a%20"], &["/a"]),
            ("relative-json-pointer", &["0#", "1/a"], &["01", "/a"]),
        ] {
            let check = FORMATS.iter().find(|(name, _)| *name == format).unwrap().1;
            good.iter()
                .for_each(|text| assert!(check(text), "{format} must accept {text:?}"));
            bad.iter()
                .for_each(|text| assert!(!check(text), "{format} must refuse {text:?}"));
        }
    }
}
