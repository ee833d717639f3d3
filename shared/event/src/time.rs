//! Times: milliseconds since the Unix epoch, and their texts.

use std::time::UNIX_EPOCH;

use time::format_description::well_known::Rfc2822;
use time::{Date, Month, OffsetDateTime};

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

/// Reads an ISO-8601 text, as [`instant_from_iso`] does; `None` for times before 1970 too.
#[must_use]
pub fn from_iso(text: &str) -> Option<Millis> {
    instant_from_iso(text).and_then(|instant| Millis::try_from(instant).ok())
}

/// Reads a date in any form of [`instant_from_iso`] or [`instant_from_http`], in milliseconds since the Unix epoch.
#[must_use]
pub fn instant(text: &str) -> Option<i64> {
    instant_from_iso(text).or_else(|| instant_from_http(text))
}

/// Reads an ISO-8601 date or date-time: all that `format: date-time` of JSON Schema accepts (in AJV 6: `t` or white space
/// before the time, `z`, `+0100`, `+01`, a leap second), and what `Date.parse` takes besides: no seconds, no zone, which means
/// UTC, a month alone, 24:00, a comma before the fraction. The time may be without its colons, and then the date without its
/// hyphens.
///
/// `None` for anything else, a day that is in no calendar included. Fractions are cut to milliseconds.
#[must_use]
pub fn instant_from_iso(text: &str) -> Option<i64> {
    const UNIX_EPOCH_JULIAN_DAY: i64 = 2_440_588;
    const DAY: i64 = 86_400_000;
    let mut reader = Reader(text.trim());
    let year = reader.number(4)?;
    let is_extended = reader.take(&['-']).is_some();
    let month = reader.number(2)?;
    let day = if is_extended && reader.take(&['-']).is_none() {
        1
    } else {
        reader.number(2)?
    };
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    let date = Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()?;
    let day = (i64::from(date.to_julian_day()) - UNIX_EPOCH_JULIAN_DAY) * DAY;
    if reader.0.is_empty() {
        // Eight digits alone are a number.
        return is_extended.then_some(day);
    }
    Some(day + reader.time_of_day()?)
}

/// Reads a date of HTTP (RFC 9110, 5.6.7: RFC 1123's form, and the obsolete ones of RFC 850 and `asctime`), of mail (RFC
/// 2822) or of JavaScript (`Date`'s own text), in milliseconds since the Unix epoch.
#[must_use]
pub fn instant_from_http(text: &str) -> Option<i64> {
    let text = text.trim();
    if let Ok(time) = httpdate::parse_http_date(text) {
        return i64::try_from(time.duration_since(UNIX_EPOCH).ok()?.as_millis()).ok();
    }
    let parse = |text: &str| OffsetDateTime::parse(text, &Rfc2822).ok();
    let time = parse(text).or_else(|| parse(&mail_from_javascript(text)?))?;
    time.unix_timestamp().checked_mul(1000)
}

/// `01 Nov 2026 01:00:00 +0100` for `Sun Nov 01 2026 01:00:00 GMT+0100 (Central European Standard Time)`.
fn mail_from_javascript(text: &str) -> Option<String> {
    let date = text.split_once(" (").map_or(text, |(date, _zone)| date);
    let mut words = date.split_whitespace().skip(1);
    let (month, day, year) = (words.next()?, words.next()?, words.next()?);
    let (time, zone) = (words.next()?, words.next()?.strip_prefix("GMT")?);
    words
        .next()
        .is_none()
        .then(|| format!("{day} {month} {year} {time} {zone}"))
}

/// The rest of a text.
struct Reader<'t>(&'t str);

impl Reader<'_> {
    /// Reads so many digits.
    fn number(&mut self, digits: usize) -> Option<u32> {
        let (number, rest) = self.0.split_at_checked(digits)?;
        if !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.0 = rest;
        number.parse().ok()
    }

    /// Reads one of the characters, where one is next.
    fn take(&mut self, characters: &[char]) -> Option<char> {
        let next = self.0.chars().next().filter(|next| characters.contains(next))?;
        self.0 = self.0.get(next.len_utf8()..)?;
        Some(next)
    }

    /// The milliseconds from midnight UTC of a time of day with its zone.
    fn time_of_day(&mut self) -> Option<i64> {
        let separator = self.0.chars().next()?;
        if !matches!(separator, 'T' | 't') && !separator.is_whitespace() {
            return None;
        }
        self.0 = self.0.get(separator.len_utf8()..)?;
        let hour = self.number(2)?;
        self.take(&[':']);
        let minute = self.number(2)?;
        let has_seconds =
            self.take(&[':']).is_some() || self.0.starts_with(|next: char| next.is_ascii_digit());
        let second = if has_seconds { self.number(2)? } else { 0 };
        let millis = if has_seconds && self.take(&['.', ',']).is_some() {
            self.fraction()?
        } else {
            0
        };
        let is_time = match (hour, minute, second) {
            (24, 0, 0) => millis == 0,
            (23, 59, 60) => true,
            (hour, minute, second) => hour < 24 && minute < 60 && second < 60,
        };
        let of_day = ((i64::from(hour) * 60 + i64::from(minute)) * 60 + i64::from(second)) * 1000;
        let zone = self.zone()?;
        (is_time && self.0.is_empty()).then_some(of_day + i64::from(millis) - zone)
    }

    /// The milliseconds of the digits behind a point.
    fn fraction(&mut self) -> Option<u32> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        let (digits, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        format!("{:0<3}", digits.get(..3).unwrap_or(digits))
            .parse()
            .ok()
            .filter(|_| length > 0)
    }

    /// The milliseconds by which a zone is ahead of UTC.
    fn zone(&mut self) -> Option<i64> {
        self.0 = self.0.trim_start();
        for utc in ["Z", "z", "UTC", "GMT"] {
            if self.0 == utc {
                self.0 = "";
            }
        }
        let sign = match self.take(&['+', '-']) {
            Some('-') => -1,
            Some(_) => 1,
            None => return Some(0),
        };
        let hours = self.number(2)?;
        let has_minutes = self.take(&[':']).is_some() || !self.0.is_empty();
        let minutes = if has_minutes { self.number(2)? } else { 0 };
        (hours < 24 && minutes < 60).then_some(sign * i64::from(hours * 60 + minutes) * 60_000)
    }
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

    /// The values are those of `Date.parse` in V8 with the zone UTC, for all that it takes.
    #[test]
    fn dates_are_read_in_the_forms_that_people_and_programs_write() {
        const NOVEMBER: i64 = 1_793_491_200_000;
        const HOUR: i64 = 3_600_000;
        for (text, expected) in [
            ("2026-11-01T00:00:00.000Z", NOVEMBER),
            ("2026-11-01T00:00:00Z", NOVEMBER),
            ("2026-11-01T00:00Z", NOVEMBER),
            ("2026-11-01T01:30", NOVEMBER + HOUR + HOUR / 2),
            ("2026-11-01T01:00:00", NOVEMBER + HOUR),
            ("2026-11-01 01:00:00", NOVEMBER + HOUR),
            ("2026-11-01t01:00:00z", NOVEMBER + HOUR),
            ("2026-11-01\t01:00:00Z", NOVEMBER + HOUR),
            (" 2026-11-01T01:00:00Z ", NOVEMBER + HOUR),
            ("2026-11-01", NOVEMBER),
            ("2026-11", NOVEMBER),
            ("2026-11T01:00Z", NOVEMBER + HOUR),
            ("2026-11-01T01:00:00+01:00", NOVEMBER),
            ("2026-11-01T01:00:00+0100", NOVEMBER),
            ("2026-11-01T01:00:00+01", NOVEMBER),
            ("2026-11-01T00:00:00-01:30", NOVEMBER + HOUR + HOUR / 2),
            ("2026-11-01T00:00:00+0000", NOVEMBER),
            ("2026-11-01T00:00:00-00:00", NOVEMBER),
            ("2026-11-01T01:00+01:00", NOVEMBER),
            ("2026-11-01 01:00:00 +0100", NOVEMBER),
            ("2026-11-01 00:00 UTC", NOVEMBER),
            ("2026-11-01 00:00:00 GMT", NOVEMBER),
            ("20261101T000000Z", NOVEMBER),
            ("20261101T0100Z", NOVEMBER + HOUR),
            ("20261101T010000,25+0100", NOVEMBER + 250),
            ("2026-11-01T010000Z", NOVEMBER + HOUR),
            ("2026-11-01T00:00:00.5Z", NOVEMBER + 500),
            ("2026-11-01T00:00:00,5Z", NOVEMBER + 500),
            ("2026-11-01T00:00:00.123456789Z", NOVEMBER + 123),
            ("2026-11-01T24:00:00Z", NOVEMBER + 24 * HOUR),
            ("2016-12-31T23:59:60Z", 1_483_228_800_000),
            ("2024-02-29T00:00:00Z", 1_709_164_800_000),
            ("1969-12-31T23:00:00Z", -HOUR),
            ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("9999-12-31T23:59:59.999Z", 253_402_300_799_999),
            ("Sun, 06 Nov 1994 08:49:37 GMT", 784_111_777_000),
            ("Sunday, 06-Nov-94 08:49:37 GMT", 784_111_777_000),
            ("Sun Nov  6 08:49:37 1994", 784_111_777_000),
            ("Sun, 06 Nov 1994 08:49:37 +0000", 784_111_777_000),
            ("Sun, 06 Nov 1994 09:49:37 +0100", 784_111_777_000),
            ("6 Nov 1994 08:49 GMT", 784_111_740_000),
            (
                "Sun Nov 01 2026 01:00:00 GMT+0100 (Central European Standard Time)",
                NOVEMBER,
            ),
            ("Sun Nov 01 2026 00:00:00 GMT+0000", NOVEMBER),
        ] {
            assert_eq!(instant(text), Some(expected), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "-",
            "2026",
            "20261101",
            "2026-13-01T00:00:00Z",
            "2026-02-30T00:00:00Z",
            "2026-11-1",
            "2026-11-01T",
            "2026-11-01T00",
            "2026-11-01T00:0",
            "2026-11-01T00:00:0Z",
            "2026-11-01T00:00:00.Z",
            "2026-11-01T00:00.5Z",
            "2026-11-01T24:00:01Z",
            "2026-11-01T25:00:00Z",
            "2026-11-01T10:60:00Z",
            "2026-11-01T10:59:60Z",
            "2026-11-01T00:00:00+1",
            "2026-11-01T00:00:00+24:00",
            "2026-11-01T00:00:00+01:60",
            "2026-11-01T00:00:00 01:00",
            "2026-11-01T00:00:00ZZ",
            "2026-11-01T00:00:00Z+01:00",
            "2026-11-01x00:00:00Z",
            "2026-11-01é",
            "２026-11-01",
            "11/01/2026",
            "Sun, 06 Foo 1994 08:49:37 GMT",
            "Sun Nov 01 2026 01:00:00 GMT 0100 (CET)",
            "Sun Nov 01 2026 01:00:00 UTC+0100",
            "now",
        ] {
            assert_eq!(instant(text), None, "{text}");
        }
    }
}
