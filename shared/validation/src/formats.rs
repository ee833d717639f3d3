//! The formats of AJV 6 in its `fast` mode: looser than the RFCs, and what production accepts.
//!
//! Source: ajv 6.12.6, `lib/compile/formats.js`, `formats.fast`.

use std::sync::LazyLock;

use regex::Regex;

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

pattern!(date, r"^[0-9]{4}-[0-1][0-9]-[0-3][0-9]$");
pattern!(
    time,
    r"(?i)^(?:[0-2][0-9]:[0-5][0-9]:[0-5][0-9]|23:59:60)(?:\.[0-9]+)?(?:z|[+-][0-9]{2}(?::?[0-9]{2})?)?$"
);
pattern!(
    date_time,
    r"(?i)^[0-9]{4}-[0-1][0-9]-[0-3][0-9][t\s](?:[0-2][0-9]:[0-5][0-9]:[0-5][0-9]|23:59:60)(?:\.[0-9]+)?(?:z|[+-][0-9]{2}(?::?[0-9]{2})?)$"
);
pattern!(uri, r"(?i)^(?:[a-z][a-z0-9+\-.]*:)(?:/?/)?[^\s]*$");
pattern!(
    uri_reference,
    r"(?i)^(?:(?:[a-z][a-z0-9+\-.]*:)?/?/)?(?:[^\\\s#][^\s#]*)?(?:#[^\\\s]*)?$"
);
pattern!(
    uri_template,
    r##"(?i)^(?:(?:[^\x00-\x20"'<>%\\^`{|}]|%[0-9a-f]{2})|\{[+#./;?&=,!@|]?(?:[a-z0-9_]|%[0-9a-f]{2})+(?::[1-9][0-9]{0,3}|\*)?(?:,(?:[a-z0-9_]|%[0-9a-f]{2})+(?::[1-9][0-9]{0,3}|\*)?)*\})*$"##
);
pattern!(url, r"(?i)^(?:https?|ftp)://[^\s/?#][^\s]*$");
pattern!(
    email,
    r"(?i)^[a-z0-9.!#$%&'*+/=?^_`{|}~-]+@[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?)*$"
);
pattern!(
    host_labels,
    r"(?i)^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?(?:\.[a-z0-9](?:[-0-9a-z]{0,61}[0-9a-z])?)*\.?$"
);
pattern!(
    ipv4,
    r"^(?:(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)\.){3}(?:25[0-5]|2[0-4][0-9]|[01]?[0-9][0-9]?)$"
);
pattern!(
    uuid,
    r"(?i)^(?:urn:uuid:)?[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}$"
);
pattern!(json_pointer, r"^(?:/(?:[^~/]|~0|~1)*)*$");
pattern!(
    json_pointer_uri_fragment,
    r"(?i)^#(?:/(?:[a-z0-9_\-.!$&'()*+,;:=@]|%[0-9a-f]{2}|~0|~1)*)*$"
);
pattern!(
    relative_json_pointer,
    r"^(?:0|[1-9][0-9]*)(?:#|(?:/(?:[^~/]|~0|~1)*)*)$"
);

fn hostname(text: &str) -> bool {
    text.trim_end_matches('.').len() <= 253 && host_labels(text)
}

fn ipv6(text: &str) -> bool {
    let address = text.trim().split('%').next().unwrap_or_default();
    address.parse::<std::net::Ipv6Addr>().is_ok()
}

fn regex(text: &str) -> bool {
    !text.contains("\\Z") && Regex::new(text).is_ok()
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
            ("uri", &["http://x", "a:"], &["/x", "http://a b"]),
            ("uri-reference", &["/x?y#z", "", "#a"], &["\\x", "a b"]),
            ("uri-template", &["/a/{b}"], &["{a", "<"]),
            ("url", &["https://example.org/x"], &["mailto:x@y"]),
            ("email", &["a@b"], &["a@", "@b"]),
            ("hostname", &["a.b-c."], &["-a", "a..b"]),
            ("ipv4", &["1.2.3.4", "01.2.3.4"], &["1.2.3", "256.1.1.1"]),
            ("ipv6", &["::1", "fe80::1%eth0"], &[":::", "1.2.3.4"]),
            ("regex", &["^a+$"], &["(", "a\\Z"]),
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
