//! The one random kernel: every image picks one of its rows, and the largest standardised sum is compared.

use labelloop_core::Seed;
use rayon::prelude::*;

/// What each image could have contributed: `n_choices` rows per image, centred, the first being what was observed.
///
/// With calibration rounds the rows are the rounds ("which of them is the current one?"); without, they are the
/// observed values and their mirror image.
pub(crate) struct Choices<const N: usize> {
    pub(crate) rows: Vec<[f64; N]>,
    pub(crate) n_choices: usize,
    /// Which statistics drift both ways.
    pub(crate) signed: [bool; N],
}

/// Observed statistics against their joint null distribution.
pub(crate) struct MaxT<const N: usize> {
    /// Standardised, signed.
    pub(crate) z: [f64; N],
    /// Family-wise adjusted p-values.
    pub(crate) p: [f64; N],
    /// The value that the largest statistic exceeds with probability `level` where nothing changed.
    pub(crate) critical: f64,
}

impl<const N: usize> Choices<N> {
    /// Standard deviation of each sum when every image picks each of its rows with the same probability. Exact, as the
    /// rows of an image add up to zero.
    pub(crate) fn standard_deviations(&self) -> [f64; N] {
        let mut variances = [0.0; N];
        for row in &self.rows {
            for (v, x) in variances.iter_mut().zip(row) {
                *v += x * x / self.n_choices as f64;
            }
        }
        variances.map(f64::sqrt)
    }

    /// Step-down max-T of Westfall and Young (1993, algorithm 2.8; Ge, Dudoit and Speed 2003, box 2).
    ///
    /// `shrink` (at most 1) divides variance between rounds into the observed statistics only.
    pub(crate) fn max_t(&self, shrink: &[f64; N], level: f64, n: usize, seed: Seed) -> MaxT<N> {
        let scale = self.standard_deviations().map(|sd| if 0.0 < sd { 1.0 / sd } else { 0.0 });
        let scaled: Vec<[f64; N]> =
            self.rows.iter().map(|row| std::array::from_fn(|s| row[s] * scale[s])).collect();
        let mut z = [0.0; N];
        for image in scaled.chunks_exact(self.n_choices) {
            for s in 0..N {
                z[s] += image[0][s];
            }
        }
        let z: [f64; N] = std::array::from_fn(|s| z[s] * shrink[s]);
        let null: Vec<[f64; N]> = (0..n)
            .into_par_iter()
            .with_min_len(64)
            .map(|draw| one_sided(&rearranged(&scaled, self.n_choices, seed, draw as u64), &self.signed))
            .collect();
        let p = step_down(&one_sided(&z, &self.signed), &null);
        MaxT { z, p, critical: critical_value(&null, level) }
    }
}

/// Sums after every image picked a row at random. Two picks per 64 bits; the bias of a pick is below `n / 2^32`.
fn rearranged<const N: usize>(scaled: &[[f64; N]], n_choices: usize, seed: Seed, draw: u64) -> [f64; N] {
    let n_words = (scaled.len() / n_choices).div_ceil(2) as u64;
    let mut sums = [0.0; N];
    for (word, pair) in scaled.chunks(2 * n_choices).enumerate() {
        let bits = seed.bits(draw * n_words + word as u64);
        for (image, half) in pair.chunks_exact(n_choices).zip([bits >> 32, bits & 0xFFFF_FFFF]) {
            let row = &image[((half * n_choices as u64) >> 32) as usize];
            for (sum, x) in sums.iter_mut().zip(row) {
                *sum += x;
            }
        }
    }
    sums
}

/// How far in the direction of drift: both ways for signed statistics, upwards for the others.
fn one_sided<const N: usize>(z: &[f64; N], signed: &[bool; N]) -> [f64; N] {
    std::array::from_fn(|s| if signed[s] { z[s].abs() } else { z[s] })
}

fn step_down<const N: usize>(observed: &[f64; N], null: &[[f64; N]]) -> [f64; N] {
    let mut order: [usize; N] = std::array::from_fn(|s| s);
    order.sort_by(|a, b| observed[*b].total_cmp(&observed[*a]).then(a.cmp(b)));
    let mut counts = [0usize; N];
    for draw in null {
        let mut largest = f64::NEG_INFINITY;
        for s in order.into_iter().rev() {
            largest = largest.max(draw[s]);
            // Sums of the same terms count as equal whatever rounding did to them.
            counts[s] += usize::from(observed[s] - 1e-9 <= largest);
        }
    }
    let mut p = [1.0; N];
    let mut least = 0.0f64;
    for s in order {
        least = least.max((1 + counts[s]) as f64 / (1 + null.len()) as f64);
        p[s] = least;
    }
    p
}

fn critical_value<const N: usize>(null: &[[f64; N]], level: f64) -> f64 {
    let mut largest: Vec<f64> =
        null.iter().map(|draw| draw.iter().copied().fold(f64::NEG_INFINITY, f64::max)).collect();
    largest.sort_by(f64::total_cmp);
    let rank = ((1.0 - level) * (null.len() + 1) as f64).ceil() as usize;
    largest.get(rank.clamp(1, null.len().max(1)) - 1).copied().unwrap_or(0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const N: usize = 5;
    const EVEN: [f64; N] = [1.0; N];
    const SIGNED: [bool; N] = [false, true, false, true, false];

    fn one_statistic<const R: usize>(rows: &[[f64; R]]) -> Choices<N> {
        let wide = |x: f64| std::array::from_fn(|s| if s == 0 { x } else { 0.0 });
        Choices {
            rows: rows.iter().flat_map(|r| r.iter().map(|x| wide(*x))).collect(),
            n_choices: R,
            signed: SIGNED,
        }
    }

    #[test]
    fn the_p_value_is_the_share_of_all_rearrangements() {
        // Four images, two rounds: 16 equally likely sums; only the observed one reaches 4.
        let choices = one_statistic(&[[1.0, -1.0]; 4]);
        let t = choices.max_t(&EVEN, 0.05, 40_000, Seed::new(1));
        assert!((t.p[0] - 1.0 / 16.0).abs() < 0.004, "{}", t.p[0]);
        assert!((t.z[0] - 2.0).abs() < 1e-12, "4 over the root of 4");
    }

    #[test]
    fn a_statistic_that_never_varies_is_never_significant() {
        let t = one_statistic(&[[0.0, 0.0]; 4]).max_t(&EVEN, 0.05, 99, Seed::new(1));
        assert!(t.p.iter().all(|p| *p == 1.0), "{:?}", t.p);
    }

    #[test]
    fn falling_counts_are_no_drift_and_falling_sizes_are() {
        let rows: Vec<[f64; N]> = (0..40)
            .map(|i| {
                let x = if i % 2 == 0 { -1.0 } else { 1.0 };
                std::array::from_fn(|s| if s < 2 { x } else { 0.0 })
            })
            .collect();
        let t = Choices { rows, n_choices: 2, signed: SIGNED }.max_t(&EVEN, 0.05, 999, Seed::new(1));
        assert!(t.p[1] <= 0.01);
        assert_eq!(t.p[0], 1.0);
    }

    #[test]
    fn the_critical_value_is_the_quantile_of_the_maximum() {
        let null: Vec<[f64; N]> = (1..=99).map(|i| [f64::from(i); N]).collect();
        assert_eq!(critical_value(&null, 0.05), 95.0);
    }

    #[test]
    fn step_down_agrees_with_its_definition() {
        // Slow oracle: for the k-th largest, the share of draws whose maximum over ranks k.. reaches it, made monotone.
        let s = Seed::new(5);
        let draw = |k: u64| -> [f64; N] { std::array::from_fn(|i| s.normal(k * 64 + i as u64)) };
        let observed = draw(10_000).map(|x| x + 1.0);
        let null: Vec<_> = (0..200).map(draw).collect();
        let p = step_down(&observed, &null);
        let mut ranks: Vec<usize> = (0..N).collect();
        ranks.sort_by(|a, b| observed[*b].total_cmp(&observed[*a]));
        let mut least = 0.0f64;
        for k in 0..N {
            let reached = null
                .iter()
                .filter(|d| ranks[k..].iter().map(|i| d[*i]).fold(f64::MIN, f64::max) >= observed[ranks[k]])
                .count();
            least = least.max((reached + 1) as f64 / 201.0);
            assert!((p[ranks[k]] - least).abs() < 1e-12);
        }
    }

    #[test]
    fn threads_do_not_change_the_result() {
        let choices = one_statistic(&[[1.0, -0.5, -0.5]; 30]);
        let alone = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
        let two = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let run = || choices.max_t(&EVEN, 0.05, 500, Seed::new(3)).p;
        assert_eq!(alone.install(run), two.install(run));
    }
}
