//! When a connection ends, and what it says last. A client goes on from the last id it got.

use std::time::Duration;

use eventstar_event::time::Millis;
use eventstar_ports::{Clock, Config, Ids};
use eventstar_stores::bad_number;
use serde_json::json;

/// Longest life of a connection, in seconds, where the setting `CONNECTION_SECONDS` does not say otherwise: Wikimedia's edge
/// cuts connections to EventStreams after 15 minutes (T242767).
const MAX_SECONDS: u64 = 900;

/// Longest life that can be set, in seconds: a day.
const MOST_SECONDS: u64 = 86_400;

/// Subrequests after which a connection ends: Workers allow an invocation 10,000 in all.
const MAX_FOLLOWED: u32 = 9_000;

/// How long a client may take for one piece before it counts as too slow.
const PATIENCE: Millis = 30_000;

/// What a piece takes of a CPU, and what each of its bytes takes, in nanoseconds: from the figures on workerd in
/// docs/performance.md, at 25 events/s, where each is a piece, and at 800. Those count intake and the log, too.
const NANOS_PER_PIECE: u64 = 60_000;
const NANOS_PER_BYTE: u64 = 10;

/// What a byte takes besides to be compressed: measured 1.5 to 10 natively, in pieces of 64 kB to 300 bytes; WebAssembly takes
/// some times as long.
const NANOS_PER_BYTE_COMPRESSED: u64 = 20;

/// Most CPU time that Workers grant a request, in milliseconds.
const MOST_CPU_MS: u64 = 300_000;

/// Why a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// All events before the time asked for are sent.
    Until,
    /// As many events as were asked for are sent.
    Limit,
    /// It is as old as one gets, or has used most of what the platform allows it.
    Planned,
    /// The client reads too slowly.
    Slow,
    /// A log cannot be followed.
    Unavailable,
    /// The client has other connections in all of its slots.
    TooMany,
    /// The client went.
    Gone,
}

impl End {
    /// For metrics, and for clients that asked for it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Until => "until",
            Self::Limit => "limit",
            Self::Planned => "planned",
            Self::Slow => "slow",
            Self::Unavailable => "unavailable",
            Self::TooMany => "too_many",
            Self::Gone => "gone",
        }
    }

    /// The event that is sent last, its type and its data; `None` for an end that none tells of. An `EventSource` would come
    /// back, and has a listener for `end` close it; errors are in the form of KafkaSSE's.
    pub(crate) fn event(self) -> Option<(&'static str, String)> {
        let (name, status, message) = match self {
            Self::Until | Self::Limit => return Some(("end", json!({"reason": self.name()}).to_string())),
            Self::Planned | Self::Gone => return None,
            Self::Slow => (
                "SlowClientError",
                408,
                "you read more slowly than events come: go on from the last id, with a filter or fewer streams",
            ),
            Self::TooMany => (
                "TooManyConnectionsError",
                429,
                "you have too many connections: go on from the last id when you have closed one",
            ),
            Self::Unavailable => (
                "LogUnavailableError",
                503,
                "a stream cannot be read now: go on from the last id in a moment",
            ),
        };
        let error = json!({"message": message, "origin": "eventstar", "name": name, "statusCode": status});
        Some(("error", error.to_string()))
    }
}

/// How long a client waits before it comes back, in milliseconds: 1 to 5 seconds, so that those that came together do not come
/// back together.
pub(crate) fn retry_millis(random: u8) -> u64 {
    1000 + u64::from(random) * 4000 / 255
}

/// What a connection may use.
#[derive(Debug)]
pub(crate) struct Limits {
    /// When it ends.
    until: Millis,
    /// How often it may follow a log.
    follows: u32,
    /// What is left of the CPU time; `None` where that is not limited.
    cpu: Option<Duration>,
    /// What each byte takes of it, in nanoseconds.
    nanos_per_byte: u64,
    /// When the last piece was handed to the client.
    sent: Option<Millis>,
}

impl Limits {
    /// Those of a connection that opens now. Its life is up to a tenth shorter than what is set, by chance.
    pub(crate) fn of(platform: &(impl Clock + Config + Ids), is_compressed: bool) -> Self {
        let [random, ..] = platform.random();
        let life = seconds(platform) * 1000;
        let life = life - life * u64::from(random) / 2550;
        Self {
            until: platform.now() + life,
            follows: MAX_FOLLOWED,
            cpu: cpu(platform),
            nanos_per_byte: NANOS_PER_BYTE + u64::from(is_compressed) * NANOS_PER_BYTE_COMPRESSED,
            sent: None,
        }
    }

    /// A log was followed.
    pub(crate) fn followed(&mut self) {
        self.follows = self.follows.saturating_sub(1);
    }

    /// A piece of so many bytes was handed to the client at `now`.
    pub(crate) fn sent(&mut self, now: Millis, bytes: usize) {
        self.sent = Some(now);
        if let Some(left) = &mut self.cpu {
            let nanos = NANOS_PER_PIECE + self.nanos_per_byte * bytes as u64;
            *left = left.saturating_sub(Duration::from_nanos(nanos));
        }
    }

    /// Whether the connection must end. To be asked when the client has taken the last piece.
    pub(crate) fn reached(&mut self, now: Millis) -> Option<End> {
        if self.sent.take().is_some_and(|sent| now > sent + PATIENCE) {
            return Some(End::Slow);
        }
        let used_up = self.follows == 0 || self.cpu.is_some_and(|left| left.is_zero());
        (used_up || now >= self.until).then_some(End::Planned)
    }
}

fn number(config: &impl Config, name: &str) -> Option<u64> {
    config.get(name)?.parse().ok()
}

fn seconds(config: &impl Config) -> u64 {
    number(config, "CONNECTION_SECONDS")
        .filter(|seconds| (1..=MOST_SECONDS).contains(seconds))
        .unwrap_or(MAX_SECONDS)
}

/// 80 % of the CPU time that the platform allows one request: the setting `CPU_MS`, the `limits.cpu_ms` of a Worker.
fn cpu(config: &impl Config) -> Option<Duration> {
    let millis = number(config, "CPU_MS").filter(|millis| (1..=MOST_CPU_MS).contains(millis))?;
    Some(Duration::from_millis(millis / 5 * 4))
}

/// What is wrong with the settings that are read here.
pub(crate) fn bad_settings(config: &impl Config) -> Vec<String> {
    let seconds = bad_number(config, "CONNECTION_SECONDS", 1..=MOST_SECONDS, seconds(config));
    let cpu = bad_number(config, "CPU_MS", 1..=MOST_CPU_MS, 0);
    [seconds, cpu].into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use eventstar_platform_memory::Memory;

    use super::*;

    #[test]
    fn a_connection_ends_when_it_is_as_old_as_one_gets() {
        let memory = Memory::new().with("CONNECTION_SECONDS", "100");
        let start = memory.now();
        let mut limits = Limits::of(&memory, false);
        assert_eq!(limits.reached(start + 89_000), None);
        assert_eq!(limits.reached(start + 100_000), Some(End::Planned));
        assert!(Limits::of(&Memory::new(), false).until <= start + 900_000);
    }

    #[test]
    fn a_connection_ends_before_its_subrequests_and_its_cpu_time_are_used_up() {
        let memory = Memory::new().with("CPU_MS", "1000");
        let mut limits = Limits::of(&memory, false);
        (1..MAX_FOLLOWED).for_each(|_| limits.followed());
        assert_eq!(limits.reached(memory.now()), None);
        limits.followed();
        assert_eq!(limits.reached(memory.now()), Some(End::Planned));

        // 800 ms are 80 % of what is granted: 10,000 pieces and 20 MB.
        let mut limits = Limits::of(&memory, false);
        let now = memory.now();
        (0..10_000).for_each(|_| limits.sent(now, 0));
        assert_eq!(limits.reached(now), None);
        limits.sent(now, 20_000_000);
        assert_eq!(limits.reached(now), Some(End::Planned));
        // Compressed, a byte takes three times as much.
        let mut limits = Limits::of(&memory, true);
        limits.sent(now, 13_000_000);
        assert_eq!(limits.reached(now), None);
        limits.sent(now, 14_000_000);
        assert_eq!(limits.reached(now), Some(End::Planned));
        for unlimited in [Memory::new(), Memory::new().with("CPU_MS", "300001")] {
            let mut limits = Limits::of(&unlimited, false);
            limits.sent(now, usize::MAX / 1000);
            assert_eq!(limits.reached(now), None);
        }
    }

    #[test]
    fn a_client_that_takes_too_long_for_a_piece_is_too_slow() {
        let memory = Memory::new();
        let mut limits = Limits::of(&memory, false);
        let now = memory.now();
        limits.sent(now, 1);
        assert_eq!(limits.reached(now + PATIENCE), None);
        // What is waited for without anything to send is no fault of the client's.
        assert_eq!(limits.reached(now + 2 * PATIENCE), None);
        limits.sent(now, 1);
        assert_eq!(limits.reached(now + PATIENCE + 1), Some(End::Slow));
        let (kind, error) = End::Slow.event().unwrap();
        let error: serde_json::Value = serde_json::from_str(&error).unwrap();
        assert_eq!((kind, &error["name"]), ("error", &"SlowClientError".into()));
    }

    #[test]
    fn clients_come_back_after_one_to_five_seconds() {
        assert_eq!((retry_millis(0), retry_millis(255)), (1000, 5000));
    }

    #[test]
    fn settings_that_are_no_numbers_are_told() {
        let bad = Memory::new()
            .with("CONNECTION_SECONDS", "0")
            .with("CPU_MS", "fast");
        let told = bad_settings(&bad);
        assert!(
            told[0].contains("CONNECTION_SECONDS") && told[0].contains("900 is used"),
            "{told:?}"
        );
        assert!(told[1].contains("CPU_MS"), "{told:?}");
        assert!(bad_settings(&Memory::new()).is_empty());
    }
}
