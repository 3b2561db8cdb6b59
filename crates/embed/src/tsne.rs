//! Exact t-SNE (van der Maaten and Hinton 2008) whose sums have a fixed order: the same bytes at any number of threads.
//!
//! Attraction is along the nearest neighbours only, 3 x perplexity of them, as in van der Maaten (2014, section 3);
//! repulsion is summed over all pairs. The schedule is scikit-learn's: start from principal components scaled to a
//! deviation of 1e-4, exaggeration 12 and momentum 0.5 for the first quarter (250 steps at most), then momentum 0.8, a
//! learning rate of n / 48 but at least 50, and a gain for each coordinate.
//!
//! linfa-tsne 0.8 was tried first: its tree picks pivots by the thread's own random numbers, so that two runs differ, its
//! exact mode allocates three n x n matrices in every step, and neither takes a start.

use labelloop_core::{Cancelled, Progress};
use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;

/// How much attraction is exaggerated at first.
const EXAGGERATION: f64 = 12.0;
/// Lanes of sums, which a compiler turns into vector instructions without changing their order.
const LANES: usize = 8;
/// Deviation of the first coordinate at the start.
const START: f64 = 1e-4;
const TOLERANCE: f64 = 1e-6;

/// What came out.
pub(crate) struct Fitted {
    pub(crate) plane: Array2<f64>,
    /// Kullback-Leibler divergence of the plane from the rows.
    pub(crate) divergence: f64,
}

/// Brings `rows` into the plane from a `start` of one point for each.
pub(crate) fn fit(
    rows: &ArrayView2<'_, f32>,
    start: &Array2<f64>,
    perplexity: f64,
    n_iterations: u32,
    progress: &dyn Progress,
) -> Result<Fitted, Cancelled> {
    let n = rows.nrows();
    let links = links(rows, perplexity);
    let mut state = State::new(start);
    let n_exaggerated = (n_iterations / 4).min(250);
    let rate = (n as f64 / EXAGGERATION / 4.0).max(50.0);
    for step in 0..n_iterations {
        if step % 10 == 0 {
            progress.step("t-SNE", u64::from(step), u64::from(n_iterations))?;
        }
        let early = step < n_exaggerated;
        let slopes = slopes(&state, &links, if early { EXAGGERATION } else { 1.0 });
        state.advance(&slopes, rate, if early { 0.5 } else { 0.8 });
    }
    progress.step("t-SNE", u64::from(n_iterations), u64::from(n_iterations))?;
    let divergence = divergence(&state, &links);
    let plane = Array2::from_shape_fn((n, 2), |(i, axis)| state.at[axis][i]);
    Ok(Fitted { plane, divergence })
}

/// Squared distance, in lanes.
pub(crate) fn squared_distance(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let (chunks_a, chunks_b) = (a.chunks_exact(LANES), b.chunks_exact(LANES));
    let rest = chunks_a.remainder().iter().zip(chunks_b.remainder());
    let rest: f32 = rest.map(|(a, b)| (a - b) * (a - b)).sum();
    for (a, b) in chunks_a.zip(chunks_b) {
        for lane in 0..LANES {
            let d = a[lane] - b[lane];
            lanes[lane] += d * d;
        }
    }
    lanes.iter().sum::<f32>() + rest
}

/// The nearest of many rows: squared distance and row, nearest first, ties by row.
pub(crate) fn nearest(
    query: &[f32],
    rows: impl Iterator<Item = (usize, impl AsRef<[f32]>)>,
    k: usize,
) -> Vec<(f32, usize)> {
    let mut best: Vec<(f32, usize)> = Vec::with_capacity(k + 1);
    for (row, numbers) in rows {
        let found = (squared_distance(query, numbers.as_ref()), row);
        if best.len() < k || best.last().is_some_and(|last| found < *last) {
            let at = best.partition_point(|b| *b < found);
            best.insert(at, found);
            best.truncate(k);
        }
    }
    best
}

/// For each row its neighbours with their joint probability, by neighbour. All of them add up to 1.
type Links = Vec<Vec<(usize, f64)>>;

fn links(rows: &ArrayView2<'_, f32>, perplexity: f64) -> Links {
    let n = rows.nrows();
    let numbers: Vec<Vec<f32>> = rows.rows().into_iter().map(|row| row.to_vec()).collect();
    let k = ((3.0 * perplexity) as usize).clamp(1, n - 1);
    let one_way: Vec<Vec<(usize, f64)>> = (0..n)
        .into_par_iter()
        .map(|i| {
            let others = numbers.iter().enumerate().filter(|(j, _)| *j != i);
            let near = nearest(&numbers[i], others, k);
            let shares = shares(&near.iter().map(|(d, _)| f64::from(*d)).collect::<Vec<_>>(), perplexity);
            near.into_iter().zip(shares).map(|((_, j), share)| (j, share)).collect()
        })
        .collect();
    let mut both: Vec<std::collections::BTreeMap<usize, f64>> = vec![Default::default(); n];
    for (i, near) in one_way.iter().enumerate() {
        for (j, share) in near {
            *both[i].entry(*j).or_default() += share;
            *both[*j].entry(i).or_default() += share;
        }
    }
    let by = 2.0 * n as f64;
    both.into_iter().map(|near| near.into_iter().map(|(j, p)| (j, p / by)).collect()).collect()
}

/// Gaussian weights of squared distances, their width such that the entropy is the logarithm of the perplexity.
fn shares(squared: &[f64], perplexity: f64) -> Vec<f64> {
    let nearest = squared.first().copied().unwrap_or(0.0);
    let spread = squared.iter().map(|d| d - nearest).sum::<f64>() / squared.len() as f64;
    let weights = |beta: f64| -> (Vec<f64>, f64) {
        let weights: Vec<f64> = squared.iter().map(|d| (-beta * (d - nearest)).exp()).collect();
        let total: f64 = weights.iter().sum();
        let mean: f64 = squared.iter().zip(&weights).map(|(d, w)| (d - nearest) * w).sum::<f64>() / total;
        let entropy = total.ln() + beta * mean;
        (weights.into_iter().map(|w| w / total).collect(), entropy)
    };
    if !(0.0 < spread) {
        return weights(0.0).0;
    }
    let (mut low, mut high, mut beta) = (0.0, f64::INFINITY, 1.0 / spread);
    for _ in 0..200 {
        let off = weights(beta).1 - perplexity.ln();
        if off.abs() < TOLERANCE {
            break;
        }
        // Too even: narrower; the other way round: wider.
        if 0.0 < off {
            low = beta;
            beta = if high.is_finite() { f64::midpoint(low, high) } else { beta * 2.0 };
        } else {
            high = beta;
            beta = f64::midpoint(low, high);
        }
        if !beta.is_finite() || beta == 0.0 {
            break;
        }
    }
    weights(if beta.is_finite() { beta } else { low }).0
}

/// Where the points are and how they move, an array for each axis.
struct State {
    at: [Vec<f64>; 2],
    step: [Vec<f64>; 2],
    gain: [Vec<f64>; 2],
}

impl State {
    fn new(start: &Array2<f64>) -> Self {
        let n = start.nrows();
        let first = start.column(0);
        let mean = first.sum() / n as f64;
        let deviation = (first.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n as f64).sqrt();
        let by = if deviation.is_normal() { START / deviation } else { 0.0 };
        let at = [0, 1].map(|axis| start.column(axis).iter().map(|v| v * by).collect());
        Self { at, step: [vec![0.0; n], vec![0.0; n]], gain: [vec![1.0; n], vec![1.0; n]] }
    }

    fn advance(&mut self, slopes: &[[f64; 2]], rate: f64, momentum: f64) {
        for axis in 0..2 {
            for (i, slope) in slopes.iter().enumerate() {
                let (step, gain) = (&mut self.step[axis][i], &mut self.gain[axis][i]);
                let goes_on = *step * slope[axis] < 0.0;
                *gain = (if goes_on { *gain + 0.2 } else { *gain * 0.8 }).max(0.01);
                *step = momentum * *step - rate * *gain * slope[axis];
                self.at[axis][i] += *step;
            }
            let mean = self.at[axis].iter().sum::<f64>() / slopes.len() as f64;
            self.at[axis].iter_mut().for_each(|v| *v -= mean);
        }
    }
}

/// Closeness of a point to all points: the sum of `1 / (1 + d²)`, and of its square times the way there.
fn repulsion(xs: &[f32], ys: &[f32], x: f32, y: f32) -> [f64; 3] {
    let mut lanes = [[0.0f32; LANES]; 3];
    let (chunks_x, chunks_y) = (xs.chunks_exact(LANES), ys.chunks_exact(LANES));
    let rest = chunks_x.remainder().iter().zip(chunks_y.remainder());
    let mut sums = [0.0f64; 3];
    for (other_x, other_y) in rest {
        let (dx, dy) = (x - other_x, y - other_y);
        let q = 1.0 / (1.0 + dx * dx + dy * dy);
        sums = [sums[0] + f64::from(q), sums[1] + f64::from(q * q * dx), sums[2] + f64::from(q * q * dy)];
    }
    for (other_x, other_y) in chunks_x.zip(chunks_y) {
        for lane in 0..LANES {
            let (dx, dy) = (x - other_x[lane], y - other_y[lane]);
            let q = 1.0 / (1.0 + dx * dx + dy * dy);
            lanes[0][lane] += q;
            lanes[1][lane] += q * q * dx;
            lanes[2][lane] += q * q * dy;
        }
    }
    for (sum, lane) in sums.iter_mut().zip(lanes) {
        *sum += lane.iter().map(|v| f64::from(*v)).sum::<f64>();
    }
    // The point itself is at distance 0.
    sums[0] -= 1.0;
    sums
}

fn all_repulsions(state: &State) -> Vec<[f64; 3]> {
    let [xs, ys] = [0, 1].map(|axis| state.at[axis].iter().map(|v| *v as f32).collect::<Vec<f32>>());
    (0..xs.len()).into_par_iter().map(|i| repulsion(&xs, &ys, xs[i], ys[i])).collect()
}

/// The gradient of the divergence (van der Maaten and Hinton 2008, eq. 5).
fn slopes(state: &State, links: &Links, exaggeration: f64) -> Vec<[f64; 2]> {
    let repulsions = all_repulsions(state);
    let total = repulsions.iter().map(|r| r[0]).sum::<f64>().max(f64::MIN_POSITIVE);
    let slope = |i: usize| {
        let (x, y) = (state.at[0][i], state.at[1][i]);
        let mut pull = [0.0, 0.0];
        for (j, p) in &links[i] {
            let (dx, dy) = (x - state.at[0][*j], y - state.at[1][*j]);
            let weight = p / (1.0 + dx * dx + dy * dy);
            pull = [pull[0] + weight * dx, pull[1] + weight * dy];
        }
        [0, 1].map(|axis| 4.0 * (exaggeration * pull[axis] - repulsions[i][axis + 1] / total))
    };
    (0..links.len()).into_par_iter().map(slope).collect()
}

fn divergence(state: &State, links: &Links) -> f64 {
    let total = all_repulsions(state).iter().map(|r| r[0]).sum::<f64>().max(f64::MIN_POSITIVE);
    let of = |(i, near): (usize, &Vec<(usize, f64)>)| {
        let term = |(j, p): &(usize, f64)| {
            let (dx, dy) = (state.at[0][i] - state.at[0][*j], state.at[1][i] - state.at[1][*j]);
            let q = 1.0 / (1.0 + dx * dx + dy * dy) / total;
            if *p <= 0.0 { 0.0 } else { p * (p / q.max(f64::MIN_POSITIVE)).ln() }
        };
        near.iter().map(term).sum::<f64>()
    };
    links.iter().enumerate().map(of).sum()
}

#[cfg(test)]
mod tests {
    use labelloop_core::{Seed, Silent};
    use proptest::prelude::*;

    use super::*;

    fn cloud(seed: u64, n: usize, d: usize) -> Array2<f32> {
        let noise = Seed::new(seed);
        Array2::from_shape_fn((n, d), |(i, j)| noise.normal((i * d + j) as u64) as f32)
    }

    fn entropy(shares: &[f64]) -> f64 {
        -shares.iter().filter(|p| 0.0 < **p).map(|p| p * p.ln()).sum::<f64>()
    }

    #[test]
    fn links_add_up_to_one_and_are_the_same_both_ways() {
        let links = links(&cloud(1, 60, 5).view(), 8.0);
        let total: f64 = links.iter().flatten().map(|(_, p)| p).sum();
        assert!((total - 1.0).abs() < 1e-9, "{total}");
        for (i, near) in links.iter().enumerate() {
            for (j, p) in near {
                let back = links[*j].iter().find(|(k, _)| *k == i).unwrap().1;
                assert!((back - p).abs() < 1e-15);
            }
        }
    }

    #[test]
    fn slopes_are_those_of_the_divergence() {
        // All pairs are linked, so that the divergence is the whole one; differences of it in f32 sums are coarse.
        let rows = cloud(2, 12, 4);
        let links = links(&rows.view(), 11.0 / 3.0);
        let start = Array2::from_shape_fn((12, 2), |(i, j)| Seed::new(5).normal((2 * i + j) as u64));
        let at = |moved: Option<(usize, usize, f64)>| {
            let mut state = State::new(&start);
            state.at = [0, 1].map(|axis| start.column(axis).to_vec());
            if let Some((axis, i, by)) = moved {
                state.at[axis][i] += by;
            }
            state
        };
        let found = slopes(&at(None), &links, 1.0);
        for (i, slope) in found.iter().enumerate() {
            for (axis, slope) in slope.iter().enumerate() {
                let by = 1e-2;
                let up = divergence(&at(Some((axis, i, by))), &links);
                let down = divergence(&at(Some((axis, i, -by))), &links);
                let expected = (up - down) / (2.0 * by);
                assert!((slope - expected).abs() < 2e-4, "{i} {axis}: {slope} {expected}");
            }
        }
    }

    #[test]
    fn more_steps_lower_the_divergence() {
        let rows = cloud(3, 80, 6);
        let start = rows.mapv(f64::from).select(ndarray::Axis(1), &[0, 1]);
        let after = [0, 300, 1000].map(|n| fit(&rows.view(), &start, 10.0, n, &Silent).unwrap().divergence);
        assert!(after[1] < after[0] && after[2] < after[1], "{after:?}");
        assert!(0.0 < after[2]);
    }

    #[test]
    fn repulsion_is_what_the_definition_says() {
        let points = cloud(4, 21, 2);
        let [xs, ys] = [0, 1].map(|axis| points.column(axis).to_vec());
        for i in 0..21 {
            let mut expected = [0.0; 3];
            for j in (0..21).filter(|j| *j != i) {
                let (dx, dy) = (f64::from(xs[i] - xs[j]), f64::from(ys[i] - ys[j]));
                let q = 1.0 / (1.0 + dx * dx + dy * dy);
                expected = [expected[0] + q, expected[1] + q * q * dx, expected[2] + q * q * dy];
            }
            for (found, expected) in repulsion(&xs, &ys, xs[i], ys[i]).iter().zip(expected) {
                assert!((found - expected).abs() < 1e-5, "{found} {expected}");
            }
        }
    }

    #[test]
    fn equal_distances_share_evenly() {
        assert!(shares(&[4.0; 5], 2.0).iter().all(|p| (p - 0.2).abs() < 1e-12));
        assert!(shares(&[0.0; 3], 2.0).iter().all(|p| (p - 1.0 / 3.0).abs() < 1e-12));
    }

    proptest! {
        #[test]
        fn the_width_gives_the_perplexity(mut squared in proptest::collection::vec(0.0..1e6f64, 10..40), p in 2.0..9.0f64) {
            squared.sort_by(f64::total_cmp);
            let found = entropy(&shares(&squared, p)).exp();
            prop_assert!((found / p - 1.0).abs() < 1e-3, "{} {}", found, p);
        }

        #[test]
        fn distances_are_what_the_definition_says(pairs in proptest::collection::vec((-9.0..9.0f32, -9.0..9.0f32), 0..40)) {
            let (a, b): (Vec<f32>, Vec<f32>) = pairs.into_iter().unzip();
            let expected: f64 = a.iter().zip(&b).map(|(a, b)| f64::from(a - b).powi(2)).sum();
            prop_assert!((f64::from(squared_distance(&a, &b)) - expected).abs() < 1e-3 * (1.0 + expected));
        }
    }
}
