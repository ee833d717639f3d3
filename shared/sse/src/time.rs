//! Times as readers write them in a URL.

use eventstar_event::time::{Millis, from_iso};

/// Reads milliseconds since the epoch, ISO-8601, or a time ago: `-30s`, `-5m`, `-2h`, `-7d`, counted from `now`.
#[must_use]
pub fn read_time(text: &str, now: Millis) -> Option<Millis> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse().ok();
    }
    match text.strip_prefix('-') {
        Some(ago) => Some(now.saturating_sub(millis_of(ago)?)),
        None => from_iso(text),
    }
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

    #[test]
    fn times_are_milliseconds_dates_or_ago() {
        const NOW: Millis = 1_704_067_200_000;
        for (text, expected) in [
            ("0", 0),
            ("1593561600000", 1_593_561_600_000),
            ("2020-07-01T00:00:00Z", 1_593_561_600_000),
            ("2020-07-01", 1_593_561_600_000),
            ("-30s", NOW - 30_000),
            ("-5m", NOW - 300_000),
            ("-2h", NOW - 7_200_000),
            ("-7d", NOW - 604_800_000),
            ("-0s", NOW),
            ("-99999999d", 0),
        ] {
            assert_eq!(read_time(text, NOW), Some(expected), "{text}");
        }
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
            "99999999999999999999",
            "-999999999999999999d",
            "-99999999999999999999s",
        ] {
            assert_eq!(read_time(text, NOW), None, "{text}");
        }
    }
}
