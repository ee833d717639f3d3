//! From latencies to figures.

use std::time::Duration;

/// What was measured: requests a second, and latencies in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Figures {
    pub(super) per_second: f64,
    pub(super) p50: f64,
    pub(super) p99: f64,
}

impl Figures {
    /// Of all requests answered within `elapsed`.
    pub(super) fn of(mut latencies: Vec<Duration>, elapsed: Duration) -> Self {
        latencies.sort_unstable();
        let milliseconds = |percent| percentile(&latencies, percent).as_secs_f64() * 1000.0;
        Self {
            per_second: latencies.len() as f64 / elapsed.as_secs_f64(),
            p50: milliseconds(50),
            p99: milliseconds(99),
        }
    }

    /// The median of rounds, figure by figure.
    pub(super) fn median(rounds: &[Self]) -> Self {
        let median = |figure: fn(&Self) -> f64| median(rounds.iter().map(figure).collect());
        Self {
            per_second: median(|f| f.per_second),
            p50: median(|f| f.p50),
            p99: median(|f| f.p99),
        }
    }
}

/// The median over the rounds of one figure divided by another. What else the machine does changes over time, less so
/// within a round.
pub(super) fn median_ratio(of: &[Figures], with: &[Figures], figure: fn(&Figures) -> f64) -> f64 {
    let rounds = of.iter().zip(with);
    median(rounds.map(|(of, with)| figure(of) / figure(with)).collect())
}

/// The middle one of some values.
pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The smallest value that at least `percent` of all do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> Duration {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_nearest_ranks() {
        let latencies = (1..=200).rev().map(Duration::from_millis).collect();
        let figures = Figures::of(latencies, Duration::from_secs(2));
        let expected = Figures {
            per_second: 100.0,
            p50: 100.0,
            p99: 198.0,
        };
        assert_eq!(figures, expected);
        let one = Figures::of(vec![Duration::from_millis(3)], Duration::from_secs(1));
        assert_eq!((one.p50, one.p99), (3.0, 3.0));
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let round = |per_second| Figures {
            per_second,
            p50: 1.0,
            p99: 1.0,
        };
        let of = [round(50.0), round(5.0), round(40.0)];
        let with = [round(100.0), round(10.0), round(50.0)];
        assert_eq!(median_ratio(&of, &with, |figures| figures.per_second), 0.5);
        assert!(median_ratio(&[], &with, |figures| figures.per_second).is_nan());
    }

    #[test]
    fn the_median_is_taken_of_each_figure_by_itself() {
        let round = |per_second, p50, p99| Figures { per_second, p50, p99 };
        let rounds = [round(1.0, 9.0, 2.0), round(3.0, 7.0, 1.0), round(2.0, 8.0, 3.0)];
        assert_eq!(Figures::median(&rounds), round(2.0, 8.0, 2.0));
    }
}
