//! What clients of a deployment share: base URLs, tokens, what answers say, and trying again.

use std::io::Write;
use std::net::IpAddr;
use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use serde_json::Value;
use ureq::http::uri::Scheme;
use ureq::http::{HeaderMap, Uri};

/// How often in a row something is tried again.
const MAX_TRIES: u32 = 8;

/// The first wait, which doubles with each try. Tests of what is tried again need not wait.
const FIRST_WAIT: Duration = if cfg!(test) {
    Duration::from_millis(1)
} else {
    Duration::from_secs(1)
};

/// The longest wait that is not asked for.
const LONGEST_WAIT: Duration = Duration::from_secs(30);

/// The longest wait that a server may ask for.
const LONGEST_ASKED: Duration = Duration::from_secs(300);

/// The base URL of a deployment, without a slash at its end.
pub(crate) fn base_url(text: &str) -> Result<String> {
    if !text.starts_with("http://") && !text.starts_with("https://") {
        bail!("{text}: not a URL: write it with http:// or https://");
    }
    Ok(text.trim_end_matches('/').to_owned())
}

/// The base URL of a deployment that a secret is sent to: over plain http it goes to this machine only.
pub(crate) fn secret_base_url(text: &str) -> Result<String> {
    let base = base_url(text)?;
    if !is_https_or_loopback(&base) {
        bail!("{text}: the admin token would cross the network unencrypted: write the URL with https://");
    }
    Ok(base)
}

/// True if what is sent to a URL is encrypted, or stays on this machine.
pub(crate) fn is_https_or_loopback(url: &str) -> bool {
    let Ok(url) = url.parse::<Uri>() else {
        return false;
    };
    let host = url.host().unwrap_or_default();
    let address = host
        .trim_start_matches('[')
        .trim_end_matches(']')
        .parse::<IpAddr>();
    let is_loopback = host == "localhost" || address.is_ok_and(|address| address.is_loopback());
    url.scheme() == Some(&Scheme::HTTPS) || url.scheme() == Some(&Scheme::HTTP) && is_loopback
}

/// A text of a server, without what a terminal acts on: control characters, and those that turn the direction of a text.
pub fn plain(text: &str) -> String {
    let odd = |letter: char| {
        let turns = matches!(letter, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        turns || letter.is_control() && letter != '\n'
    };
    text.replace(odd, "\u{fffd}")
}

/// A text of a server on one line.
pub(crate) fn one_line(text: &str) -> String {
    plain(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A token that a header can hold.
pub(crate) fn token(text: &str, variable: &str) -> Result<String> {
    if text.is_empty() || text.contains(|letter: char| !letter.is_ascii_graphic()) {
        bail!(
            "the token is empty or has characters a header cannot hold: check --token, {variable} or the profile"
        );
    }
    Ok(text.to_owned())
}

/// The human part of an error body, on one line.
pub(crate) fn detail(text: &str) -> String {
    let body: Value = serde_json::from_str(text).unwrap_or_default();
    let members = ["detail", "message", "error", "title"];
    let found = members
        .iter()
        .find_map(|member| body.get(member).and_then(Value::as_str));
    one_line(found.unwrap_or(text))
}

/// `Retry-After` in seconds; the form with a date is not used by any deployment.
pub(crate) fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(LONGEST_ASKED))
}

/// Counts the failures in a row, and waits longer after each.
#[derive(Debug)]
pub(crate) struct Retries {
    failures: u32,
    first_wait: Duration,
}

impl Default for Retries {
    fn default() -> Self {
        Self {
            failures: 0,
            first_wait: FIRST_WAIT,
        }
    }
}

impl Retries {
    /// Something worked: the next failure is the first again.
    pub(crate) fn succeeded(&mut self) {
        self.failures = 0;
    }

    /// The server asks for another first wait.
    pub(crate) fn set_first_wait(&mut self, wait: Duration) {
        self.first_wait = wait.min(LONGEST_ASKED);
    }

    /// Tells of a failure and waits: as long as the server asks for, else ever longer, and by chance up to half longer, so that
    /// many clients do not come back at once.
    ///
    /// # Errors
    /// The failure, when it is one too many.
    pub(crate) fn wait(&mut self, why: &str, asked: Option<Duration>, log: &mut dyn Write) -> Result<()> {
        self.failures += 1;
        if self.failures > MAX_TRIES {
            bail!("{why}: tried {MAX_TRIES} times again: try later");
        }
        let wait = self.next_wait(asked, fastrand::f64());
        writeln!(log, "{why}: trying again in {:.1} s", wait.as_secs_f64())?;
        thread::sleep(wait);
        Ok(())
    }

    fn next_wait(&self, asked: Option<Duration>, chance: f64) -> Duration {
        let doubled = self.first_wait * 2_u32.pow(self.failures.saturating_sub(1).min(MAX_TRIES));
        let wait = asked.unwrap_or(doubled.min(LONGEST_WAIT.max(self.first_wait)));
        wait.mul_f64(1.0 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_most_and_obey_the_server() {
        let mut retries = Retries {
            failures: 0,
            first_wait: Duration::from_secs(1),
        };
        let mut waits = Vec::new();
        for failures in 1..=8 {
            retries.failures = failures;
            waits.push(retries.next_wait(None, 0.0).as_secs());
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(retries.next_wait(None, 1.0).as_secs(), 45, "half longer at most");
        let asked = Some(Duration::from_secs(7));
        assert_eq!(retries.next_wait(asked, 0.0).as_secs(), 7);
        retries.set_first_wait(Duration::from_secs(100));
        assert_eq!(retries.next_wait(None, 0.0).as_secs(), 100);
    }

    #[test]
    fn one_failure_too_many_is_an_error_and_success_begins_anew() {
        let mut retries = Retries::default();
        let mut log = Vec::new();
        let none = Some(Duration::ZERO);
        for _ in 0..2 {
            for _ in 0..MAX_TRIES {
                retries.wait("it answers 503", none, &mut log).unwrap();
            }
            let error = retries.wait("it answers 503", none, &mut log).unwrap_err();
            assert_eq!(
                error.to_string(),
                "it answers 503: tried 8 times again: try later"
            );
            retries.succeeded();
        }
        assert!(
            String::from_utf8(log)
                .unwrap()
                .starts_with("it answers 503: trying again in 0.0 s\n")
        );
    }

    #[test]
    fn what_a_server_says_cannot_act_on_a_terminal() {
        for (body, expected) in [
            (r#"{"detail":"a\u001b[2Jb\u009b1mc"}"#, "a\u{fffd}[2Jb\u{fffd}1mc"),
            (
                r#"{"message":"no\nerror: \r\u0007all is well"}"#,
                "no error: \u{fffd}all is well",
            ),
            ("\u{1b}]0;title\u{7}", "\u{fffd}]0;title\u{fffd}"),
            (
                r#"{"title":"a\u202eb\u2066c\u007f"}"#,
                "a\u{fffd}b\u{fffd}c\u{fffd}",
            ),
            (r#"{"error":" für 例 "}"#, "für 例"),
        ] {
            assert_eq!(detail(body), expected);
        }
        assert_eq!(plain("{\n  \"a\": 1\t\n}"), "{\n  \"a\": 1\u{fffd}\n}");
    }

    #[test]
    fn a_secret_goes_over_https_or_stays_on_this_machine() {
        for (url, is_sent) in [
            ("https://events.example.org", true),
            ("https://10.0.0.1", true),
            ("http://127.0.0.1:8787", true),
            ("http://127.9.9.9/", true),
            ("http://[::1]:8787", true),
            ("http://localhost:8787/", true),
            ("http://events.example.org", false),
            ("http://10.0.0.1:8787", false),
            ("http://localhost.example.org", false),
            ("http://127.0.0.1@example.org", false),
            ("http://127.0.0.1.example.org", false),
            ("http://[::2]", false),
        ] {
            let answer = secret_base_url(url);
            assert_eq!(answer.is_ok(), is_sent, "{url}");
            if let Err(error) = answer {
                assert!(
                    error.to_string().contains("write the URL with https://"),
                    "{error}"
                );
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_and_has_a_most() {
        for (value, expected) in [
            ("0", Some(0)),
            ("7", Some(7)),
            ("99999", Some(300)),
            ("soon", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", value.parse().unwrap());
            assert_eq!(
                retry_after(&headers).map(|wait| wait.as_secs()),
                expected,
                "{value}"
            );
        }
        assert_eq!(retry_after(&HeaderMap::new()), None);
    }
}
