//! The recursion of one statistic, for real and for simulated histories alike.

use super::Direction;

/// The good rounds so far.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Baseline {
    pub(crate) sum: f64,
    pub(crate) n: f64,
}

impl Baseline {
    pub(crate) fn mean(self) -> f64 {
        self.sum / self.n
    }

    fn with(self, x: f64) -> Self {
        Self { sum: self.sum + x, n: self.n + 1.0 }
    }
}

/// A CUSUM in one direction: `S = max(0, S + w - k)` (Page 1954; Montgomery, Introduction to Statistical Quality Control,
/// 7th ed. 2013, equations 9.2 and 9.3).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Side {
    pub(crate) cusum: f64,
    /// Since when it is above zero.
    pub(crate) since: Option<Since>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Since {
    pub(crate) round: usize,
    /// The good rounds before it.
    pub(crate) before: Baseline,
    sum: f64,
    n: f64,
}

impl Since {
    /// Mean of the rounds since then less the mean of the good rounds before.
    pub(crate) fn mean_effect(&self) -> f64 {
        self.sum / self.n - self.before.mean()
    }
}

impl Side {
    fn add(&mut self, round: usize, x: f64, drive: f64, before: Baseline) {
        self.cusum = (self.cusum + drive).max(0.0);
        if self.cusum == 0.0 {
            self.since = None;
            return;
        }
        let since = self.since.get_or_insert(Since { round, before, sum: 0.0, n: 0.0 });
        since.sum += x;
        since.n += 1.0;
    }
}

/// What one round adds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Step {
    pub(crate) before: Baseline,
    pub(crate) w: f64,
    pub(crate) k: f64,
}

/// One statistic over rounds.
///
/// Increments are self-starting (Hawkins 1987): a round is compared with the mean of all good rounds before it, whose
/// number is known, and then joins them. Increments of rounds of which none changed are independent of each other; the
/// z-scores of reports are not, as they share their calibration rounds, and their sum would run away by chance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Track {
    pub(crate) baseline: Baseline,
    /// Mean variance of one round: of the good rounds so far and of the one at hand.
    variances: Baseline,
    pub(crate) up: Side,
    pub(crate) down: Side,
}

impl Track {
    pub(crate) fn new(baseline: Baseline) -> Self {
        Self {
            baseline,
            variances: Baseline { sum: 0.0, n: 0.0 },
            up: Side::default(),
            down: Side::default(),
        }
    }

    /// Takes a round in. `k_least` is in standard deviations; `enters` says whether the round is one of the good.
    pub(crate) fn step(
        &mut self,
        round: usize,
        x: f64,
        sd: f64,
        margin: f64,
        k_least: f64,
        enters: bool,
    ) -> Step {
        let before = self.baseline;
        let variances = self.variances.with(sd * sd);
        let spread = (variances.mean() * (1.0 + 1.0 / before.n)).sqrt();
        let w = (x - before.mean()) / spread;
        // Half of the smallest shift that matters (Montgomery, section 9.1.3), never below `k_least`.
        let k = k_least.max(margin / (2.0 * spread));
        self.up.add(round, x, w - k, before);
        self.down.add(round, x, -w - k, before);
        if enters {
            self.baseline = before.with(x);
            self.variances = variances;
        }
        Step { before, w, k }
    }

    pub(crate) fn side(&self, direction: Direction) -> &Side {
        match direction {
            Direction::Up => &self.up,
            Direction::Down => &self.down,
        }
    }

    /// Starts a CUSUM again.
    pub(crate) fn restart(&mut self, direction: Direction) {
        match direction {
            Direction::Up => self.up = Side::default(),
            Direction::Down => self.down = Side::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A baseline that is known.
    fn known(mean: f64) -> Baseline {
        Baseline { sum: mean * 1e15, n: 1e15 }
    }

    #[test]
    fn montgomerys_table_9_2() {
        // Introduction to Statistical Quality Control, 7th ed., tables 9.1 and 9.2: mean 10, sigma 1, K = 0.5, H = 5.
        // "The CUSUM calculations show that the upper-side CUSUM at period 29 is C29+ = 5.28", counter N+ = 7.
        let x = [
            9.45, 7.99, 9.29, 11.66, 12.16, 10.18, 8.04, 11.46, 9.20, 10.34, 9.03, 11.47, 10.51, 9.40, 10.08,
            9.37, 10.62, 10.31, 8.52, 10.84, 10.90, 9.33, 12.29, 11.50, 10.60, 11.08, 10.38, 11.62, 11.31,
            10.52,
        ];
        let mut track = Track::new(known(10.0));
        let mut rows = Vec::new();
        for (round, x) in x.into_iter().enumerate() {
            track.step(round, x, 1.0, 1.0, 0.5, false);
            rows.push((track.up, track.down));
        }
        let close = |a: f64, b: f64| (a - b).abs() < 1e-6;
        for (period, up, down) in
            [(1, 0.0, 0.05), (2, 0.0, 1.56), (3, 0.0, 1.77), (4, 1.16, 0.0), (5, 2.82, 0.0), (28, 4.47, 0.0)]
        {
            let (u, d) = rows[period - 1];
            assert!(close(u.cusum, up) && close(d.cusum, down), "{period}: {u:?} {d:?}");
        }
        let (first, (up, _)) = rows.iter().enumerate().find(|(_, (u, _))| 5.0 < u.cusum).unwrap();
        let since = up.since.unwrap();
        assert!(close(up.cusum, 5.28) && first + 1 == 29 && since.n == 7.0, "{up:?}");
        assert_eq!(since.round + 1, 23, "the shift came between periods 22 and 23");
        // The book's estimate of the new mean: 10 + 0.5 + 5.28 / 7 = 11.25.
        assert!(close(10.0 + since.mean_effect(), 10.5 + 5.28 / 7.0), "{}", since.mean_effect());
    }

    #[test]
    fn rounds_that_failed_do_not_become_the_new_normal() {
        let mut track = Track::new(Baseline { sum: 3.0, n: 3.0 });
        track.step(0, 9.0, 1.0, 0.1, 0.5, false);
        assert_eq!(track.baseline, Baseline { sum: 3.0, n: 3.0 });
        let step = track.step(1, 1.0, 1.0, 0.1, 0.5, true);
        assert_eq!((step.w, track.baseline), (0.0, Baseline { sum: 4.0, n: 4.0 }));
    }

    #[test]
    fn k_is_half_the_margin_where_that_is_more_than_the_least() {
        let mut track = Track::new(known(0.0));
        assert!((track.step(0, 0.0, 1.0, 6.0, 0.5, true).k - 3.0).abs() < 1e-9);
        assert_eq!(track.step(1, 0.0, 1.0, 0.1, 0.5, true).k, 0.5);
    }

    /// The definition, from lists.
    fn oracle(calibration: &[f64], rounds: &[(f64, f64, bool)], margin: f64, k: f64) -> Vec<[f64; 3]> {
        let (mut good, mut variances) = (calibration.to_vec(), Vec::new());
        let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
        let mut increments: Vec<(f64, f64)> = Vec::new();
        for (x, sd, enters) in rounds {
            variances.push(sd * sd);
            let spread = mean(&variances).sqrt() * (1.0 + 1.0 / good.len() as f64).sqrt();
            increments.push(((x - mean(&good)) / spread, k.max(margin / 2.0 / spread)));
            if *enters {
                good.push(*x);
            } else {
                variances.pop();
            }
        }
        // The CUSUM is the largest sum over the rounds up to now, or 0 (Page 1954).
        let sum = |to: usize, sign: f64| -> f64 {
            (0..=to)
                .map(|from| increments[from..=to].iter().map(|(w, k)| sign * w - k).sum::<f64>())
                .fold(0.0, f64::max)
        };
        (0..rounds.len()).map(|t| [increments[t].0, sum(t, 1.0), sum(t, -1.0)]).collect()
    }

    fn history() -> impl Strategy<Value = Vec<(f64, f64, bool)>> {
        prop::collection::vec((-5.0f64..5.0, 0.1f64..2.0, prop::bool::weighted(0.8)), 1..15)
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(
            calibration in prop::collection::vec(-3.0f64..3.0, 1..5),
            rounds in history(), margin in 0.0f64..4.0, k in 0.1f64..2.0,
        ) {
            let n = calibration.len() as f64;
            let mut track = Track::new(Baseline { sum: calibration.iter().sum(), n });
            let expected = oracle(&calibration, &rounds, margin, k);
            for (t, (x, sd, enters)) in rounds.into_iter().enumerate() {
                let step = track.step(t, x, sd, margin, k, enters);
                for (found, expected) in [step.w, track.up.cusum, track.down.cusum].iter().zip(expected[t]) {
                    prop_assert!((found - expected).abs() < 1e-9 * (1.0 + expected.abs()), "{found} {expected}");
                }
            }
        }

        #[test]
        fn the_unit_does_not_matter_and_mirrors_swap_sides(
            rounds in history(), margin in 0.0f64..4.0, unit in 0.01f64..100.0,
        ) {
            let run = |factor: f64, sign: f64| {
                let mut track = Track::new(Baseline { sum: sign * factor, n: 2.0 });
                for (t, (x, sd, enters)) in rounds.iter().enumerate() {
                    track.step(t, sign * factor * x, factor * sd, factor * margin, 0.5, *enters);
                }
                [track.up.cusum, track.down.cusum]
            };
            let [up, down] = run(1.0, 1.0);
            for (found, expected) in run(unit, 1.0).into_iter().chain(run(1.0, -1.0)).zip([up, down, down, up]) {
                prop_assert!((found - expected).abs() < 1e-9 * (1.0 + expected.abs()));
            }
        }
    }
}
