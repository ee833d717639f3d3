//! The wait before something is tried again.

use std::time::Duration;

/// The wait after the `failures`th failure in a row: `first`, then twice as long each time, at most `longest`, less a random
/// part of up to a half, so that what failed together does not come back together.
#[must_use]
pub fn backoff(first: Duration, longest: Duration, failures: u64, random: [u8; 16]) -> Duration {
    let doublings = u32::try_from(failures.saturating_sub(1))
        .unwrap_or(u32::MAX)
        .min(16);
    let most = first.saturating_mul(2_u32.pow(doublings)).min(longest);
    let [one, two, ..] = random;
    most - (most / 2) * u32::from(u16::from_be_bytes([one, two])) / u32::from(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wait_doubles_up_to_the_longest_less_a_random_part_of_up_to_a_half() {
        let (first, longest) = (Duration::from_millis(250), Duration::from_secs(15));
        for (random, expected) in [
            (0, [250, 500, 1000, 2000, 8000, 15_000, 15_000]),
            (255, [125, 250, 500, 1000, 4000, 7500, 7500]),
        ] {
            let waits = [1, 2, 3, 4, 6, 7, u64::MAX]
                .map(|failures| backoff(first, longest, failures, [random; 16]).as_millis());
            assert_eq!(waits, expected);
        }
        assert_eq!(backoff(first, longest, 0, [0; 16]), first);
    }
}
