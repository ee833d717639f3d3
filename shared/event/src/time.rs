//! Times: milliseconds since the Unix epoch, and their ISO-8601 texts.

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Milliseconds since the Unix epoch, UTC.
pub type Millis = u64;

/// The text of `meta.dt`: ISO-8601, UTC, milliseconds (`2020-07-01T00:00:00.000Z`), as EventGate writes it.
///
/// Times past the year 9999 are clamped to its last millisecond.
#[must_use]
pub fn to_iso(millis: Millis) -> String {
    const LAST: Millis = 253_402_300_799_999;
    let millis = millis.min(LAST);
    let seconds = i64::try_from(millis / 1000).unwrap_or_default();
    let at = OffsetDateTime::from_unix_timestamp(seconds).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut text = String::with_capacity("2020-07-01T00:00:00.000Z".len());
    let year = at.year().unsigned_abs();
    // Written for every event stored: formatting costs ten times as much.
    for (number, digits, after) in [
        (year, 4, '-'),
        (u8::from(at.month()).into(), 2, '-'),
        (at.day().into(), 2, 'T'),
        (at.hour().into(), 2, ':'),
        (at.minute().into(), 2, ':'),
        (at.second().into(), 2, '.'),
        (u32::try_from(millis % 1000).unwrap_or_default(), 3, 'Z'),
    ] {
        for place in (0..digits).rev() {
            let digit = number / 10_u32.pow(place) % 10;
            text.push(char::from_digit(digit, 10).unwrap_or('0'));
        }
        text.push(after);
    }
    text
}

/// Reads an ISO-8601 date-time (RFC 3339; the offset may be missing and then means UTC) or a date.
///
/// Returns `None` for anything else and for times before 1970.
#[must_use]
pub fn from_iso(text: &str) -> Option<Millis> {
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc3339).ok();
    let at = parse(text)
        .or_else(|| parse(&format!("{text}Z")))
        .or_else(|| parse(&format!("{text}T00:00:00Z")))?;
    Millis::try_from(at.unix_timestamp_nanos() / 1_000_000).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn iso_texts_round_trip() {
        for (millis, text) in [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_593_561_600_000, "2020-07-01T00:00:00.000Z"),
            (1_709_164_799_999, "2024-02-28T23:59:59.999Z"),
        ] {
            assert_eq!(to_iso(millis), text);
            assert_eq!(from_iso(text), Some(millis));
        }
    }

    #[test]
    fn times_past_the_year_9999_are_clamped() {
        assert_eq!(to_iso(u64::MAX), "9999-12-31T23:59:59.999Z");
    }

    #[test]
    fn offsets_dates_and_missing_zones_are_read() {
        assert_eq!(from_iso("2020-07-01T02:00:00+02:00"), Some(1_593_561_600_000));
        assert_eq!(from_iso("2020-07-01"), Some(1_593_561_600_000));
        assert_eq!(from_iso("2020-07-01T00:00:00"), Some(1_593_561_600_000));
        assert_eq!(from_iso("yesterday"), None);
        assert_eq!(from_iso("1969-12-31T00:00:00Z"), None);
    }
}
