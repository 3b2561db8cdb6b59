//! From the sums of images to effects, their spread, and the rows that the permutation test rearranges.

use statrs::distribution::{ChiSquared, ContinuousCDF, Normal};

use super::Statistic;
use super::permute::Choices;
use super::protocol::Protocol;
use super::records::Cell;

/// Cells by round (the current one first), image and statistic.
pub(crate) struct Sums<const N: usize> {
    pub(crate) rounds: Vec<Vec<[Cell; N]>>,
}

/// How far one statistic moved and how well that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Effect {
    pub(crate) current: Option<f64>,
    pub(crate) baseline: Option<f64>,
    pub(crate) effect: Option<f64>,
    /// Standard error of the effect, for its interval.
    pub(crate) se: f64,
    /// Standard error where nothing changed, without the variance between rounds.
    pub(crate) se_null: f64,
    /// Variance of the effect that comes from rounds as a whole.
    pub(crate) round_variance: f64,
    /// What is subtracted before testing: the margin, for one-sided statistics without calibration.
    pub(crate) offset: f64,
    /// Standard deviation of one round's rate where nothing changed, with the variance between rounds.
    pub(crate) sd_round: f64,
}

impl<const N: usize> Sums<N> {
    pub(crate) fn n_images(&self) -> usize {
        self.rounds.first().map_or(0, Vec::len)
    }

    pub(crate) fn n_calibration(&self) -> usize {
        self.rounds.len().saturating_sub(1)
    }

    fn is_calibrated(&self) -> bool {
        1 < self.rounds.len()
    }

    fn total(&self, round: usize, s: usize) -> Cell {
        let mut total = Cell::default();
        for image in &self.rounds[round] {
            total.add(image[s]);
        }
        total
    }

    /// All rounds together: under exchange within images this number is the same for every rearrangement.
    fn pooled_rate(&self, s: usize) -> f64 {
        let mut total = Cell::default();
        for round in 0..self.rounds.len() {
            total.add(self.total(round, s));
        }
        total.rate().unwrap_or(0.0)
    }

    /// What is subtracted from a rate before it is tested.
    fn offset(&self, s: usize, protocol: &Protocol<N>) -> f64 {
        if self.is_calibrated() || protocol.list[s].is_signed() { 0.0 } else { protocol.margins[s] }
    }

    /// Rows of the permutation test.
    ///
    /// Calibrated, with K earlier rounds: `(K + 1) / K (u_r - mean of u)` for each round r, where `u` is the value of
    /// the image less the pooled rate times its exposure; summed over images this is current minus mean of the others.
    /// Uncalibrated: plus and minus the value less the offset times its exposure.
    pub(crate) fn choices(&self, protocol: &Protocol<N>) -> Choices<N> {
        let offsets: [f64; N] = std::array::from_fn(|s| {
            if self.is_calibrated() { self.pooled_rate(s) } else { self.offset(s, protocol) }
        });
        let residual = |round: usize, i: usize| -> [f64; N] {
            let cells = &self.rounds[round][i];
            std::array::from_fn(|s| cells[s].value - offsets[s] * cells[s].exposure)
        };
        let n_choices = self.rounds.len().max(2);
        let mut rows = Vec::with_capacity(n_choices * self.n_images());
        for i in 0..self.n_images() {
            if !self.is_calibrated() {
                let observed = residual(0, i);
                rows.extend([observed, observed.map(|x| -x)]);
                continue;
            }
            let of_rounds: Vec<[f64; N]> = (0..n_choices).map(|r| residual(r, i)).collect();
            let factor = n_choices as f64 / (n_choices - 1) as f64;
            let mean: [f64; N] =
                std::array::from_fn(|s| of_rounds.iter().map(|u| u[s]).sum::<f64>() / n_choices as f64);
            rows.extend(of_rounds.iter().map(|u| std::array::from_fn(|s| factor * (u[s] - mean[s]))));
        }
        Choices { rows, n_choices, signed: protocol.list.map(Statistic::is_signed) }
    }

    /// The effect of the statistic at place `s`; `sd` is the standard deviation of its sum over rearrangements.
    pub(crate) fn effect(&self, s: usize, sd: f64, protocol: &Protocol<N>) -> Effect {
        let n_rounds = self.rounds.len() as f64;
        let exposure = (0..self.rounds.len()).map(|r| self.total(r, s).exposure).sum::<f64>() / n_rounds;
        let current = self.total(0, s).rate();
        let baseline = if self.is_calibrated() { self.baseline(s) } else { Some(0.0) };
        let per_exposure = |x: f64| if 0.0 < exposure { x / exposure } else { 0.0 };
        let least = if protocol.list[s].is_count() { per_exposure(self.spread_of_one_event()) } else { 0.0 };
        let round_variance = self.round_variance(s);
        let se_null = per_exposure(sd).max(least);
        Effect {
            current,
            baseline,
            effect: current.zip(baseline).map(|(c, b)| c - b),
            se: (self.paired_variance(s).max(least * least) + round_variance).sqrt(),
            se_null,
            round_variance,
            offset: self.offset(s, protocol),
            sd_round: self.sd_round(s, se_null, round_variance, least),
        }
    }

    /// Standard deviation of one round's rate: an effect is one round against the mean of K others, so its variance is
    /// `1 + 1 / K` times that of a round. Without calibration what samples differ by in the one round stands for it (too
    /// much rather than too little, as what is hard stays hard); mirror images would count its mean as spread.
    fn sd_round(&self, s: usize, se_null: f64, round_variance: f64, least: f64) -> f64 {
        if self.is_calibrated() {
            let per_effect = (1.0 + 1.0 / self.n_calibration() as f64).sqrt();
            se_null.hypot(round_variance.sqrt()) / per_effect
        } else {
            self.paired_variance(s).sqrt().max(least)
        }
    }

    /// Mean rate of the calibration rounds.
    fn baseline(&self, s: usize) -> Option<f64> {
        let mut total = Cell::default();
        for round in 1..self.rounds.len() {
            total.add(self.total(round, s));
        }
        total.rate()
    }

    /// Where no event was seen one may still have been about to happen: counts are never known better than one event
    /// per round (Poisson variance 1).
    fn spread_of_one_event(&self) -> f64 {
        if self.is_calibrated() { (1.0 + 1.0 / self.n_calibration() as f64).sqrt() } else { 1.0 }
    }

    /// Variance of the effect over images drawn anew (linearised ratios, paired by image).
    fn paired_variance(&self, s: usize) -> f64 {
        let n = self.n_images();
        if n < 2 {
            return 0.0;
        }
        let linear = |round: usize, weight: f64| -> Vec<f64> {
            let total = self.total(round, s);
            let (rate, exposure) = (total.rate().unwrap_or(0.0), total.exposure.max(f64::MIN_POSITIVE));
            let scale = if 0.0 < total.exposure { weight / exposure } else { 0.0 };
            self.rounds[round].iter().map(|c| scale * (c[s].value - rate * c[s].exposure)).collect()
        };
        let mut difference = linear(0, 1.0);
        for round in 1..self.rounds.len() {
            let other = linear(round, 1.0 / self.n_calibration() as f64);
            difference.iter_mut().zip(other).for_each(|(d, o)| *d -= o);
        }
        let n = n as f64;
        difference.iter().map(|d| d * d).sum::<f64>() * n / (n - 1.0)
    }

    /// Variance that rounds as a whole add to the effect: what the calibration rounds' rates differ by beyond what
    /// their images explain, as a lower bound at 95%, so that rounds that differ by chance alone cost no power.
    fn round_variance(&self, s: usize) -> f64 {
        let k = self.n_calibration();
        if k < 2 {
            return 0.0;
        }
        let rates: Option<Vec<f64>> = (1..=k).map(|r| self.total(r, s).rate()).collect();
        let Some(rates) = rates else { return 0.0 };
        let mean = rates.iter().sum::<f64>() / k as f64;
        let squares = rates.iter().map(|r| (r - mean).powi(2)).sum::<f64>();
        let within = self.within_image_variance(s);
        let quantile = ChiSquared::new((k - 1) as f64).map_or(f64::INFINITY, |d| d.inverse_cdf(0.95));
        (squares / quantile - within).max(0.0) * (1.0 + 1.0 / k as f64)
    }

    /// Variance of one round's rate that comes from labelling its images independently, from the calibration rounds.
    fn within_image_variance(&self, s: usize) -> f64 {
        let k = self.n_calibration() as f64;
        let rate = self.baseline(s).unwrap_or(0.0);
        let exposure = (1..self.rounds.len()).map(|r| self.total(r, s).exposure).sum::<f64>() / k;
        let mut sum = 0.0;
        for i in 0..self.n_images() {
            let u = self.rounds[1..].iter().map(|r| r[i][s].value - rate * r[i][s].exposure);
            let mean = u.clone().sum::<f64>() / k;
            sum += u.map(|x| (x - mean).powi(2)).sum::<f64>() / (k - 1.0);
        }
        if 0.0 < exposure { sum / (exposure * exposure) } else { 0.0 }
    }
}

impl Effect {
    /// Factor at most 1 by which variance between rounds shrinks the standardised statistic.
    pub(crate) fn shrink(&self) -> f64 {
        if 0.0 < self.se_null { self.se_null / self.se_null.hypot(self.round_variance.sqrt()) } else { 1.0 }
    }

    /// Normal interval with coverage `1 - level`.
    pub(crate) fn interval(&self, level: f64) -> Option<[f64; 2]> {
        let half = normal_quantile(1.0 - level / 2.0) * self.se;
        self.effect.map(|e| [e - half, e + half])
    }

    /// The smallest true effect found with probability `power` when values above `critical` are significant.
    pub(crate) fn min_detectable(&self, critical: f64, power: f64) -> f64 {
        let se = self.se_null.hypot(self.round_variance.sqrt());
        self.offset + (critical + normal_quantile(power)) * se
    }

    /// How many images like these would bring the minimum detectable effect down to `wanted`; none when variance
    /// between rounds alone is too much for any number.
    pub(crate) fn images_needed(
        &self,
        wanted: f64,
        critical: f64,
        power: f64,
        n_images: usize,
    ) -> Option<usize> {
        let se = (wanted - self.offset) / (critical + normal_quantile(power));
        let room = se * se - self.round_variance;
        let images = n_images as f64 * self.se_null * self.se_null / room;
        (0.0 < se && 0.0 < room && images < 1e12).then(|| images.ceil() as usize)
    }
}

/// Quantile of the standard normal distribution.
pub(crate) fn normal_quantile(p: f64) -> f64 {
    Normal::standard().inverse_cdf(p)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::GoldenParams;
    use crate::golden::statistic::N_OF_BOXES;

    const N: usize = N_OF_BOXES;

    fn sums(rounds: &[&[(f64, f64)]]) -> Sums<N> {
        let wide = |&(value, exposure): &(f64, f64)| [Cell { value, exposure }; N];
        Sums { rounds: rounds.iter().map(|r| r.iter().map(wide).collect()).collect() }
    }

    #[test]
    fn normal_quantiles_are_the_published_ones() {
        assert!((normal_quantile(0.975) - 1.959_963_984_540_054).abs() < 1e-9);
        assert!((normal_quantile(0.8) - 0.841_621_233_572_914_3).abs() < 1e-9);
    }

    #[test]
    fn rows_of_an_image_add_up_to_zero_and_the_first_is_the_observed_difference() {
        let protocol = GoldenParams::default().check().unwrap().protocol(true);
        let s = sums(&[&[(3.0, 5.0), (1.0, 5.0)], &[(1.0, 5.0), (0.0, 5.0)], &[(0.0, 5.0), (1.0, 5.0)]]);
        let c = s.choices(&protocol);
        for image in c.rows.chunks_exact(3) {
            assert!(image.iter().map(|r| r[0]).sum::<f64>().abs() < 1e-12);
        }
        let observed: f64 = c.rows.chunks_exact(3).map(|i| i[0][0]).sum();
        assert!((observed - (4.0 - 1.0)).abs() < 1e-12, "current 4, others 1 on average: {observed}");
        let e = s.effect(0, 1.0, &protocol);
        assert!((e.effect.unwrap() - 0.3).abs() < 1e-12);
    }

    #[test]
    fn rounds_that_differ_by_chance_add_no_variance_and_shifted_ones_do() {
        let noise = |k: u64, shift: f64| -> Vec<(f64, f64)> {
            let seed = labelloop_core::Seed::new(k);
            (0..100).map(|i| (7.0 * shift + seed.normal(i), 7.0)).collect()
        };
        let rounds = [noise(1, 0.0), noise(2, 0.0), noise(3, 0.0), noise(4, 0.0)];
        let even = sums(&rounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert_eq!(even.round_variance(0), 0.0);
        let rounds = [noise(1, 0.0), noise(2, -0.5), noise(3, 0.0), noise(4, 0.5)];
        let shifted = sums(&rounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
        assert!(shifted.round_variance(0) > 0.05, "{}", shifted.round_variance(0));
    }

    #[test]
    fn the_spread_of_one_round_is_that_of_the_effect_without_the_others() {
        let protocol = GoldenParams::default().check().unwrap().protocol(true);
        let noise = |k: u64| -> Vec<(f64, f64)> {
            let seed = labelloop_core::Seed::new(k);
            (0..2000).map(|i| (seed.normal(i), 7.0)).collect()
        };
        let length = protocol.list.iter().position(|x| !x.is_count()).unwrap();
        for n_calibration in 0..5u64 {
            let rounds: Vec<_> = (0..=n_calibration).map(noise).collect();
            let s = sums(&rounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
            let e = s.effect(length, s.choices(&protocol).standard_deviations()[length], &protocol);
            let truth = 1.0 / (7.0 * 2000f64.sqrt());
            assert!((e.sd_round / truth - 1.0).abs() < 0.05, "{n_calibration}: {} {truth}", e.sd_round);
        }
    }

    #[test]
    fn counts_are_never_known_better_than_one_event() {
        let quiet: &[(f64, f64)] = &[(0.0, 7.0); 100];
        let protocol = GoldenParams::default().check().unwrap().protocol(true);
        for rounds in [&[quiet][..], &[quiet, quiet], &[quiet, quiet, quiet]] {
            let s = sums(rounds);
            let e = s.effect(0, s.choices(&protocol).standard_deviations()[0], &protocol);
            assert!((e.sd_round - 1.0 / 700.0).abs() < 1e-15, "{}", e.sd_round);
        }
    }

    #[test]
    fn rounds_that_wobble_widen_the_spread_of_one() {
        let noise = |k: u64, shift: f64| -> Vec<(f64, f64)> {
            let seed = labelloop_core::Seed::new(k);
            (0..100).map(|i| (7.0 * shift + seed.normal(i), 7.0)).collect()
        };
        let protocol = GoldenParams::default().check().unwrap().protocol(true);
        let rounds = [noise(1, 0.0), noise(2, -0.5), noise(3, 0.0), noise(4, 0.5)];
        let s = sums(&rounds.iter().map(Vec::as_slice).collect::<Vec<_>>());
        let length = protocol.list.iter().position(|x| !x.is_count()).unwrap();
        let e = s.effect(length, s.choices(&protocol).standard_deviations()[length], &protocol);
        let expected = (e.se_null * e.se_null + e.round_variance).sqrt() / (4.0f64 / 3.0).sqrt();
        assert!(0.0 < e.round_variance && (e.sd_round - expected).abs() < 1e-15);
    }

    #[test]
    fn more_images_needed_bring_the_detectable_effect_to_the_wanted_one() {
        let e = Effect {
            current: Some(0.0),
            baseline: Some(0.0),
            effect: Some(0.0),
            se: 0.01,
            se_null: 0.01,
            round_variance: 0.0,
            offset: 0.0,
            sd_round: 0.01,
        };
        let mde = e.min_detectable(2.0, 0.8);
        assert_eq!(e.images_needed(mde / 2.0, 2.0, 0.8, 100), Some(400));
        let wobbly = Effect { round_variance: 1.0, ..e };
        assert_eq!(wobbly.images_needed(mde, 2.0, 0.8, 100), None);
    }
}
