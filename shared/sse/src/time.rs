//! Times as readers write them in a URL.

use eventstar_event::time::{Millis, instant, instant_from_iso};

/// Longest part of a text that is repeated, in characters.
const MAX_SHOWN: usize = 100;

/// A text that is no time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimeError {
    text: String,
    hint: Option<String>,
}

impl TimeError {
    /// The texts that are times.
    pub const EXPECTED: &str =
        "milliseconds since the epoch, a time like 2026-01-01T00:00:00Z or a time ago like -5m";

    fn new(text: &str, hint: Option<String>) -> Self {
        Self {
            text: text.chars().take(MAX_SHOWN).collect(),
            hint,
        }
    }

    /// The text, cut where it is long, and what is wrong with it, where that is known.
    #[must_use]
    pub fn found(&self) -> String {
        match &self.hint {
            Some(hint) => format!("'{}': {hint}", self.text),
            None => format!("'{}'", self.text),
        }
    }
}

impl std::fmt::Display for TimeError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "expected {}, found {}", Self::EXPECTED, self.found())
    }
}

impl std::error::Error for TimeError {}

/// Reads milliseconds since the epoch, a date ([`instant`]), or a time ago: `-30s`, `-5m`, `-2h`, `-7d`, counted from `now`.
///
/// Eight digits that are a day (`20261101`) and fourteen that are a time (MediaWiki's `20261101000000`) are dates. A date
/// before 1970 is the epoch: nothing is older.
///
/// # Errors
/// The text, with a hint where it looks like a time in another unit, or like one that was not percent-encoded.
pub fn read_time(text: &str, now: Millis) -> Result<Millis, TimeError> {
    let text = text.trim();
    let found = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        return of_digits(text);
    } else if let Some(ago) = text.strip_prefix('-') {
        millis_of(ago).map(|ago| now.saturating_sub(ago))
    } else {
        instant(text).map(|instant| Millis::try_from(instant).unwrap_or(0))
    };
    found.ok_or_else(|| TimeError::new(text, lost_plus(text)))
}

/// A number: milliseconds, or a date without its punctuation.
fn of_digits(text: &str) -> Result<Millis, TimeError> {
    if let Some(date) = compact_date(text) {
        return Ok(date);
    }
    if text.len() == "1704067200".len() {
        let hint = format!("ten digits are seconds, write milliseconds, {text}000");
        return Err(TimeError::new(text, Some(hint)));
    }
    text.parse().map_err(|_| TimeError::new(text, None))
}

/// The time of `yyyymmdd` or `yyyymmddhhmmss`, from 1970 on.
fn compact_date(text: &str) -> Option<Millis> {
    let (day, time) = text.split_at_checked("yyyymmdd".len())?;
    let time = match time.len() {
        0 => "000000",
        6 => time,
        _ => return None,
    };
    instant_from_iso(&format!("{day}T{time}Z")).and_then(|instant| Millis::try_from(instant).ok())
}

/// A hint for a date of which the `+` was not percent-encoded, and so came as a space.
fn lost_plus(text: &str) -> Option<String> {
    let (before, after) = text.rsplit_once(' ')?;
    instant(&format!("{before}+{after}"))?;
    Some("a + in a URL is a space, write %2B for it".to_owned())
}

/// The milliseconds of a whole number with a unit.
fn millis_of(text: &str) -> Option<Millis> {
    let unit = match text.bytes().last()? {
        b's' => 1_000,
        b'm' => 60_000,
        b'h' => 3_600_000,
        b'd' => 86_400_000,
        _ => return None,
    };
    let number = text.get(..text.len() - 1)?;
    if !number.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    number.parse::<Millis>().ok()?.checked_mul(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Millis = 1_704_067_200_000;

    #[test]
    fn times_are_milliseconds_dates_or_ago() {
        for (text, expected) in [
            ("0", 0),
            ("5000", 5000),
            ("20250000", 20_250_000),
            ("1593561600000", 1_593_561_600_000),
            ("18446744073709551615", Millis::MAX),
            ("2020-07-01T00:00:00Z", 1_593_561_600_000),
            ("2020-07-01T00:00:00", 1_593_561_600_000),
            ("2020-07-01T02:00+0200", 1_593_561_600_000),
            ("2020-07-01", 1_593_561_600_000),
            ("2020-07", 1_593_561_600_000),
            ("20200701T000000Z", 1_593_561_600_000),
            ("20200701", 1_593_561_600_000),
            ("20200701000000", 1_593_561_600_000),
            ("Wed, 01 Jul 2020 00:00:00 GMT", 1_593_561_600_000),
            ("Wed, 01 Jul 2020 02:00:00 +0200", 1_593_561_600_000),
            ("Wednesday, 01-Jul-20 00:00:00 GMT", 1_593_561_600_000),
            ("Wed Jul  1 00:00:00 2020", 1_593_561_600_000),
            ("1969-12-31T23:59:59Z", 0),
            ("-30s", NOW - 30_000),
            ("-5m", NOW - 300_000),
            ("-2h", NOW - 7_200_000),
            ("-7d", NOW - 604_800_000),
            ("-0s", NOW),
            ("-99999999d", 0),
        ] {
            assert_eq!(read_time(text, NOW), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "-",
            "-5",
            "-s",
            "-+5m",
            "--5m",
            "-5w",
            "-5M",
            "-5.5h",
            "-5 m",
            "5m",
            "+5m",
            "-5é",
            "now",
            "2026-02-30",
            "99999999999999999999",
            "-999999999999999999d",
            "-99999999999999999999s",
        ] {
            assert_eq!(read_time(text, NOW), Err(TimeError::new(text, None)), "{text}");
        }
    }

    #[test]
    fn a_refusal_says_what_a_time_looks_like_that_is_nearly_one() {
        for (text, hint) in [
            (
                "1704067200",
                "ten digits are seconds, write milliseconds, 1704067200000",
            ),
            (
                "0000000001",
                "ten digits are seconds, write milliseconds, 0000000001000",
            ),
            (
                "2020-07-01T02:00:00 02:00",
                "a + in a URL is a space, write %2B for it",
            ),
            (
                "2020-07-01 02:00 0200",
                "a + in a URL is a space, write %2B for it",
            ),
            ("20200701T020000 02", "a + in a URL is a space, write %2B for it"),
            (
                "Wed, 01 Jul 2020 02:00:00  0200",
                "a + in a URL is a space, write %2B for it",
            ),
        ] {
            let error = read_time(text, NOW).unwrap_err();
            assert_eq!(error.found(), format!("'{text}': {hint}"));
            assert!(
                error
                    .to_string()
                    .starts_with("expected milliseconds since the epoch, ")
            );
        }
    }
}
