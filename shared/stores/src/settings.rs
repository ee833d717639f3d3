//! Settings that are not what they must be. Such a value counts as not set, so the operator has to hear of it.

use std::net::IpAddr;
use std::ops::RangeInclusive;

use eventstar_ports::Config;
use http::HeaderName;
use ipnet::IpNet;

use crate::configs::{MAX_TTL, ttl};
use crate::log::{MAX_RETRY_WINDOW, retry_window};
use crate::upstream::bad_upstreams;

/// Longest part of a setting that is repeated, in characters.
const MAX_SHOWN: usize = 100;

/// What is wrong with the settings that the stores read, one text each.
pub fn bad_settings(config: &impl Config) -> Vec<String> {
    let flag = config
        .get("ALLOW_INSECURE_SCHEMAS")
        .filter(|value| !matches!(value.as_str(), "true" | "false"))
        .map(|value| bad_setting("ALLOW_INSECURE_SCHEMAS", &value, "true or false", "false is used"));
    let numbers = [
        bad_number(
            config,
            "RETRY_WINDOW_MS",
            0..=MAX_RETRY_WINDOW,
            retry_window(config),
        ),
        bad_number(config, "STREAM_CONFIG_TTL_MS", 0..=MAX_TTL, ttl(config)),
    ];
    let mut found: Vec<String> = numbers.into_iter().chain([flag]).flatten().collect();
    found.extend(bad_upstreams(config));
    found
}

/// What is wrong with a setting that must be a whole number in `range`, where it is set and is not; `used` is the number
/// that counts instead.
pub fn bad_number(config: &impl Config, name: &str, range: RangeInclusive<u64>, used: u64) -> Option<String> {
    let value = config.get(name)?;
    let fits = value.parse().is_ok_and(|number: u64| range.contains(&number));
    let expected = format!("a whole number from {} to {}", range.start(), range.end());
    (!fits).then(|| bad_setting(name, &value, &expected, &format!("{used} is used")))
}

/// The faults of the settings `TRUSTED_PROXIES` and `CLIENT_ADDRESS_HEADER`.
pub fn bad_proxies(config: &impl Config) -> Vec<String> {
    let header = config
        .get("CLIENT_ADDRESS_HEADER")
        .filter(|name| name.parse::<HeaderName>().is_err())
        .map(|name| {
            let expected = "the name of one header, such as X-Client-IP or Forwarded";
            bad_setting("CLIENT_ADDRESS_HEADER", &name, expected, "no header is believed")
        });
    let mut found = bad_entries(
        config,
        "TRUSTED_PROXIES",
        |entry| entry.parse::<IpAddr>().is_ok() || entry.parse::<IpNet>().is_ok(),
        "addresses and networks such as 10.0.0.1 and 10.0.0.0/8",
        "nobody is trusted for it",
    );
    found.extend(header);
    found
}

/// The faults of the setting `CORS_ORIGINS`.
pub fn bad_origins(config: &impl Config) -> Vec<String> {
    bad_entries(
        config,
        "CORS_ORIGINS",
        is_origin,
        "origins as browsers send them, such as https://a.org and https://*.a.org",
        "no page may send credentials for it",
    )
}

/// True if a browser could send `entry` as its origin, or a subdomain of it for `https://*.a.org`: in lower case, without
/// a path, not even `/`.
fn is_origin(entry: &str) -> bool {
    let of = |text: &str, others: &[u8]| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || others.contains(&b))
    };
    entry == "null"
        || entry.split_once("://").is_some_and(|(scheme, host)| {
            of(scheme, b"+.-") && of(host.strip_prefix("*.").unwrap_or(host), b".-:[]")
        })
}

/// What is wrong with a setting that is a list, separated by commas or white space: one text for each entry that does not
/// fit.
pub fn bad_entries(
    config: &impl Config,
    name: &str,
    fits: impl Fn(&str) -> bool,
    expected: &str,
    instead: &str,
) -> Vec<String> {
    let list = config.get(name).unwrap_or_default();
    let entries = list.split([',', ' ']).filter(|entry| !entry.is_empty());
    entries
        .filter(|entry| !fits(entry))
        .map(|entry| bad_setting(name, entry, &format!("a list of {expected}"), instead))
        .collect()
}

/// The text about a setting: what is wrong, what it must be, and what counts until it is.
#[must_use]
pub fn bad_setting(name: &str, value: &str, expected: &str, instead: &str) -> String {
    let shown: String = value.chars().take(MAX_SHOWN).collect();
    format!("the setting {name} is '{shown}' but must be {expected}: {instead} until it is corrected")
}

#[cfg(test)]
mod tests {
    use eventstar_platform_memory::Memory;

    use super::*;

    #[test]
    fn a_setting_that_is_not_what_it_must_be_is_told_with_what_counts_instead() {
        for (name, value, expected) in [
            ("RETRY_WINDOW_MS", "0", None),
            ("RETRY_WINDOW_MS", "86400000", None),
            (
                "RETRY_WINDOW_MS",
                "-1",
                Some("must be a whole number from 0 to 86400000: 300000 is used until"),
            ),
            ("RETRY_WINDOW_MS", "5m", Some("is '5m' but must be")),
            ("RETRY_WINDOW_MS", "86400001", Some(": 86400000 is used until")),
            ("STREAM_CONFIG_TTL_MS", "0", None),
            ("STREAM_CONFIG_TTL_MS", "30 s", Some(": 30000 is used until")),
            (
                "STREAM_CONFIG_TTL_MS",
                "9999999999999",
                Some(": 86400000 is used until"),
            ),
            ("ALLOW_INSECURE_SCHEMAS", "false", None),
            (
                "SCHEMA_UPSTREAM",
                "primary=http://a.org",
                Some("no schema is fetched for it until"),
            ),
            (
                "ALLOW_INSECURE_SCHEMAS",
                "yes",
                Some("must be true or false: false is used"),
            ),
        ] {
            let found = bad_settings(&Memory::new().with(name, value));
            assert_eq!(
                found.len(),
                usize::from(expected.is_some()),
                "{name} {value}: {found:?}"
            );
            for (text, part) in found.iter().zip(expected) {
                assert!(text.contains(name) && text.contains(part), "{text}");
            }
        }
        assert!(bad_settings(&Memory::new()).is_empty());
    }
}
