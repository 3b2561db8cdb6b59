//! Limits of the charts for a stated rate of false alarms, by simulation.

use labelloop_core::Seed;
use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, Gamma};

use super::draw::Poisson;
use super::track::{Baseline, Track};
use super::{ChartLimit, ChartLimits, ChartParams};

/// Rates that stand for what may be behind the counts of a baseline.
const N_RATES: usize = 64;

/// What a round looks like in one statistic where nothing changed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Null {
    /// Mean of the rounds that the baseline starts from.
    pub(crate) mean: f64,
    /// Standard deviation of one round.
    pub(crate) sd: f64,
    pub(crate) margin: f64,
    pub(crate) is_signed: bool,
    pub(crate) is_count: bool,
    /// How many independent deviations the spread of a length was estimated from.
    pub(crate) n_deviations: f64,
}

/// How one statistic is drawn, in a unit of its own: standard deviations for lengths, events for counts.
struct Source {
    margin: f64,
    is_signed: bool,
    n_deviations: f64,
    counts: Option<Counts>,
}

/// Events of a round, by what the rounds of the baseline say of how often they happen.
struct Counts {
    /// Events in the baseline together.
    sum: f64,
    /// Rounds by the rates that may be behind it, each as probable as any other.
    rounds: Vec<Poisson>,
}

impl Counts {
    /// The rate behind `sum` events in `n` rounds has the posterior Gamma(sum + 1/2, n) under Jeffreys' prior: one that was
    /// never seen may still happen, and one that was seen once may have been luck. Its quantiles stand for it.
    fn of(sum: f64, n: f64) -> Self {
        let posterior = Gamma::new(sum + 0.5, n).expect("both are above 0");
        let rate = |i: usize| posterior.inverse_cdf((i as f64 + 0.5) / N_RATES as f64);
        Self { sum, rounds: (0..N_RATES).map(|i| Poisson::new(rate(i))).collect() }
    }
}

impl Source {
    /// Lengths are means over many objects and drawn as normal. Counts are quasi-Poisson: clusters of `sd^2 / mean` events
    /// each, whose number is Poisson; rare ones have the heavy tails that they have in life. Where the spread is the floor
    /// of one event, events are single.
    fn of(null: &Null, n_calibration: usize) -> Self {
        let is_rare = null.mean < null.sd;
        let unit = if !null.is_count || is_rare { null.sd } else { null.sd * null.sd / null.mean };
        let n_baseline = n_calibration.max(1) as f64;
        let counts = || Counts::of(n_baseline * null.mean.max(0.0) / unit, n_baseline);
        Self {
            margin: null.margin / unit,
            is_signed: null.is_signed,
            n_deviations: null.n_deviations,
            counts: null.is_count.then(counts),
        }
    }

    /// What a spread of 1 is taken for, given a standard normal number: the root of a chi-squared number over its degrees of
    /// freedom, after Wilson and Hilferty (1931). From two images hardly anything is known of it.
    fn estimated_spread(&self, z: f64) -> f64 {
        let part = 2.0 / (9.0 * self.n_deviations.max(1.0));
        (1.0 - part + z * part.sqrt()).max(0.05).powf(1.5)
    }

    /// The largest increment and the largest CUSUM of a history of `n_rounds` in which nothing changes.
    fn largest(&self, n_calibration: usize, params: &ChartParams, seed: Seed) -> [f64; 2] {
        let n_baseline = n_calibration.max(1) as f64;
        let estimated = self.estimated_spread(seed.normal(1 + params.n_rounds as u64));
        // Of counts the baseline is what was seen and the rate behind it unknown; of lengths, where only differences count,
        // the rate is 0 and the baseline unknown.
        let sum = self.counts.as_ref().map_or_else(|| n_baseline.sqrt() * seed.normal(0), |c| c.sum);
        let counts = self.counts.as_ref().map(|c| &c.rounds[seed.below(0, N_RATES)]);
        let mut track = Track::new(Baseline { sum, n: n_baseline });
        let mut largest = [f64::NEG_INFINITY, 0.0];
        for round in 0..params.n_rounds {
            let i = 1 + round as u64;
            let (x, sd) = match counts {
                // The spread is estimated as the check does it: from the calibration rounds and the one at hand.
                Some(counts) => {
                    let x = counts.draw(seed, i);
                    let n = n_calibration as f64;
                    let mean = if n_calibration == 0 { x } else { (sum + x) / (n + 1.0) };
                    (x, mean.max(1.0).sqrt())
                }
                None => (seed.normal(i), estimated),
            };
            let step = track.step(round, x, sd, self.margin, params.k, true);
            let out = if self.is_signed { step.w.abs() } else { step.w };
            let cusum = if self.is_signed { track.up.cusum.max(track.down.cusum) } else { track.up.cusum };
            largest = [largest[0].max(out), largest[1].max(cusum)];
        }
        largest
    }
}

/// The limits that T and the largest CUSUM each exceed with probability `false_alarm / 2` within `n_rounds` rounds where
/// nothing changed.
///
/// Statistics are drawn independently. Those of real rounds depend on each other (a lost object is a small lost object),
/// which makes the largest of them smaller: by Sidak (1967) for normal numbers compared both ways and by Slepian (1962) for
/// positively related ones compared one way, so that the stated rate is an upper bound.
pub(crate) fn limits(nulls: &[Null], n_calibration: usize, params: &ChartParams) -> Option<ChartLimits> {
    if nulls.is_empty() {
        return None;
    }
    let sources: Vec<Source> = nulls.iter().map(|null| Source::of(null, n_calibration)).collect();
    let root = params.seed.stream("chart");
    let seeds: Vec<Seed> = (0..sources.len()).map(|s| root.stream(&s.to_string())).collect();
    let largest: Vec<[f64; 2]> = (0..params.n_simulations)
        .into_par_iter()
        .with_min_len(64)
        .map(|run| {
            let of = |(source, seed): (&Source, &Seed)| {
                source.largest(n_calibration, params, Seed::new(seed.bits(run as u64)))
            };
            let larger = |a: [f64; 2], b: [f64; 2]| [a[0].max(b[0]), a[1].max(b[1])];
            sources.iter().zip(&seeds).map(of).fold([f64::NEG_INFINITY; 2], larger)
        })
        .collect();
    let limit = |i: usize| quantile(largest.iter().map(|l| l[i]).collect(), params.false_alarm / 2.0);
    Some(ChartLimits { shewhart: limit(0), cusum: limit(1) })
}

/// The value that the share `rate` lies above, and a 95% interval from the binomial number of values above it.
fn quantile(mut values: Vec<f64>, rate: f64) -> ChartLimit {
    values.sort_by(f64::total_cmp);
    let n = values.len() as f64;
    let at = |rank: f64| values[(rank.ceil().clamp(1.0, n) as usize) - 1];
    let (rank, half) = ((1.0 - rate) * (n + 1.0), 1.96 * (n * rate * (1.0 - rate)).sqrt());
    ChartLimit { value: at(rank), interval: [at(rank - half), at(rank + half)] }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn length(margin: f64, is_signed: bool) -> Null {
        Null { mean: 0.3, sd: 1.0, margin, is_signed, is_count: false, n_deviations: 1e6 }
    }

    fn count(mean: f64, sd: f64) -> Null {
        Null { mean, sd, margin: 1e-9, is_signed: false, is_count: true, n_deviations: 1e6 }
    }

    #[test]
    fn the_limit_of_t_is_the_quantile_of_the_largest_of_independent_normals() {
        // One signed statistic, 20 rounds, .025: 2 (1 - Phi(c)) = 1 - .975^(1/20), c = 3.2209.
        let found = limits(&[length(0.1, true)], 3, &ChartParams::default()).unwrap().shewhart;
        assert!((found.value - 3.2209).abs() < 0.06, "{found:?}");
        assert!(found.interval[0] <= 3.2209 && 3.2209 <= found.interval[1], "{found:?}");
    }

    #[test]
    fn the_limit_of_a_one_sided_cusum_is_that_of_a_slow_simulation_from_the_definition() {
        let params = ChartParams { n_rounds: 10, ..ChartParams::default() };
        let found = limits(&[length(0.1, false)], 4, &params).unwrap().cusum;
        let seed = Seed::new(77);
        let n_above = (0..4000u64)
            .filter(|run| {
                let x: Vec<f64> = (0..14).map(|i| seed.normal(14 * run + i)).collect();
                let w: Vec<f64> = (4..14)
                    .map(|t| {
                        let mean = x[..t].iter().sum::<f64>() / t as f64;
                        (x[t] - mean) / (1.0 + 1.0 / t as f64).sqrt()
                    })
                    .collect();
                let sums = (0..10).flat_map(|a| (a..10).map(move |b| (a, b)));
                let mut sums = sums.map(|(a, b)| w[a..=b].iter().map(|w| w - 0.5).sum::<f64>());
                sums.any(|s| found.value < s)
            })
            .count();
        // 100 expected, standard deviation 10, and the limit's own error of 6%.
        assert!((65..=138).contains(&n_above), "{n_above}");
    }

    #[test]
    fn more_rounds_more_statistics_and_rarer_alarms_raise_the_limits() {
        let few = limits(&[length(0.1, true)], 3, &ChartParams::default()).unwrap();
        let many = limits(&[length(0.1, true); 9], 3, &ChartParams::default()).unwrap();
        let long = limits(
            &[length(0.1, true)],
            3,
            &ChartParams { n_rounds: 100, n_simulations: 2000, ..ChartParams::default() },
        )
        .unwrap();
        let rare =
            limits(&[length(0.1, true)], 3, &ChartParams { false_alarm: 0.01, ..ChartParams::default() })
                .unwrap();
        for other in [many, long, rare] {
            assert!(few.shewhart.value < other.shewhart.value && few.cusum.value < other.cusum.value);
        }
        assert!(few.shewhart.interval[0] <= few.shewhart.value);
        assert!(few.shewhart.value <= few.shewhart.interval[1]);
    }

    #[test]
    fn rare_counts_need_wider_limits_than_lengths_and_the_unit_does_not_matter() {
        let of = |nulls: &[Null]| limits(nulls, 3, &ChartParams::default()).unwrap().shewhart.value;
        let rare = of(&[count(2.0, 2f64.sqrt())]);
        assert!(of(&[length(1e-9, false)]) + 0.2 < rare);
        let scaled = of(&[Null { mean: 0.02, sd: 0.01 * 2f64.sqrt(), ..count(0.0, 0.0) }]);
        assert!((rare - scaled).abs() < 1e-9);
        assert!(of(&[count(0.0, 0.01)]).is_finite(), "nothing seen so far");
    }

    #[test]
    fn spreads_known_from_few_images_widen_the_limits() {
        let of = |n| {
            let null = Null { n_deviations: n, ..length(0.1, true) };
            limits(&[null], 3, &ChartParams::default()).unwrap().shewhart.value
        };
        // With 9 degrees of freedom T is the largest of 20 numbers like Student's t with one and the same denominator.
        assert!(of(1.0) > 2.0 * of(9.0) && of(9.0) > 1.25 * of(1e6), "{} {} {}", of(1.0), of(9.0), of(1e6));
        assert!(of(300.0) < 1.05 * of(1e6));
    }

    #[test]
    fn generous_margins_lower_the_limit_of_the_cusum() {
        let of = |margin| limits(&[length(margin, true)], 3, &ChartParams::default()).unwrap().cusum.value;
        assert!(of(3.0) < of(0.1));
    }

    #[test]
    fn threads_do_not_change_the_limits_and_seeds_hardly() {
        let params = ChartParams::default();
        let nulls = [length(0.1, true), count(3.0, 2.0)];
        let run = |n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| limits(&nulls, 0, &params))
        };
        assert_eq!(run(1), run(3));
        let other = limits(&nulls, 0, &ChartParams { seed: Seed::new(9), ..params.clone() }).unwrap();
        assert!((other.shewhart.value - run(1).unwrap().shewhart.value).abs() < 0.4);
        assert_eq!(limits(&[], 3, &params), None);
    }

    #[test]
    fn a_history_from_its_definition_signals_as_often_as_stated() {
        // Slow oracle: a rate from Jeffreys' posterior of what was seen, then rounds of single events, each beside the mean of
        // those before it. The limit of T is to be passed with probability .025 in 10 rounds.
        let params = ChartParams { n_rounds: 10, ..ChartParams::default() };
        let found = limits(&[count(2.0, 2f64.sqrt())], 3, &params).unwrap().shewhart;
        let posterior = Gamma::new(6.5, 3.0).unwrap();
        let seed = Seed::new(5);
        let n_above = (0..4000u64)
            .filter(|run| {
                let s = seed.stream(&run.to_string());
                let one = Poisson::new(posterior.inverse_cdf(s.unit(0)));
                let (mut sum, mut n, mut variances) = (6.0, 3.0, Vec::new());
                (1..=10).any(|i| {
                    let x = one.draw(s, i);
                    variances.push(((6.0 + x) / 4.0).max(1.0));
                    let variance = variances.iter().sum::<f64>() / variances.len() as f64;
                    let w = (x - sum / n) / (variance * (1.0 + 1.0 / n)).sqrt();
                    (sum, n) = (sum + x, n + 1.0);
                    found.value < w
                })
            })
            .count();
        // At .025, 100 of 4,000 with a deviation of 10; the limit itself is known within its interval, and counts are steps.
        assert!((50..150).contains(&n_above), "{n_above} of 4000");
    }
}
