use fearless_simd::{Level, dispatch};
use labelloop_core::{Progress, Seed};
use ndarray::ArrayView2;
use rayon::prelude::*;

use crate::Result;

/// Rows that one thread goes through at once.
const BLOCK: usize = 512;

/// Draws rows with a probability proportional to their squared distance to what is drawn already (k-means++).
pub(crate) struct Seeding<'a> {
    rows: ArrayView2<'a, f32>,
    weights: Option<&'a [f64]>,
    /// Squared distance to the nearest row drawn or known; infinite while there is none.
    nearest: Vec<f64>,
    seed: Seed,
    n_drawn: u64,
}

impl<'a> Seeding<'a> {
    /// `nearest` is the squared distance of each row to what is known already; rows are in standard layout.
    pub(crate) fn new(
        rows: ArrayView2<'a, f32>,
        weights: Option<&'a [f64]>,
        nearest: Vec<f64>,
        seed: Seed,
    ) -> Self {
        Self { rows, weights, nearest, seed, n_drawn: 0 }
    }

    /// Draws `k` rows, for each the best of some trials (0: `2 + ln k`); fewer where all others lie on one of them.
    pub(crate) fn draw(mut self, k: usize, n_trials: usize, progress: &dyn Progress) -> Result<Vec<usize>> {
        let greedy = 2 + (k.max(1) as f64).ln() as usize;
        let n_trials = if n_trials == 0 { greedy } else { n_trials };
        let mut drawn = Vec::new();
        while drawn.len() < k.min(self.rows.nrows()) {
            progress.step("k-means++", drawn.len() as u64, k as u64)?;
            let Some((row, nearest)) = self.next(n_trials) else { break };
            self.nearest = nearest;
            drawn.push(row);
        }
        Ok(drawn)
    }

    /// The trial that leaves the least, and the distances that it leaves.
    fn next(&mut self, n_trials: usize) -> Option<(usize, Vec<f64>)> {
        let mass = |(row, d): (usize, &f64)| {
            // While nothing is known all rows are as far.
            let d = if d.is_finite() { *d } else { 1.0 };
            d * self.weights.map_or(1.0, |weights| weights[row])
        };
        let mut total = 0.0;
        let sums: Vec<f64> = self
            .nearest
            .iter()
            .enumerate()
            .map(|d| {
                total += mass(d);
                total
            })
            .collect();
        if !(0.0 < total) {
            // Without any weight and with nothing known, one row is as good as another.
            let unknown = self.nearest.first().is_some_and(|d| d.is_infinite());
            return unknown.then(|| (0, approach(self.rows, &self.nearest, 0)));
        }
        let mut best: Option<(f64, usize, Vec<f64>)> = None;
        for _ in 0..n_trials {
            let at = self.seed.unit(self.n_drawn) * total;
            self.n_drawn += 1;
            let row = sums.partition_point(|sum| *sum <= at).min(sums.len() - 1);
            let nearest = approach(self.rows, &self.nearest, row);
            let left: f64 = nearest.iter().enumerate().map(mass).sum();
            if best.as_ref().is_none_or(|best| left < best.0) {
                best = Some((left, row, nearest));
            }
        }
        best.map(|(_, row, nearest)| (row, nearest))
    }
}

/// Squared distances to the nearest known row once `row` is known as well.
pub(crate) fn approach(rows: ArrayView2<'_, f32>, nearest: &[f64], row: usize) -> Vec<f64> {
    let level = Level::new();
    let mut lowered = nearest.to_vec();
    let center = rows.row(row);
    let (center, all) = (center.to_slice().unwrap_or_default(), rows.to_slice().unwrap_or_default());
    let width = rows.ncols().max(1);
    lowered.par_chunks_mut(BLOCK).zip(all.par_chunks(BLOCK * width)).for_each(|(nearest, rows)| {
        let task = Approach { nearest, rows, center };
        dispatch!(level, _simd => task.run());
    });
    lowered
}

struct Approach<'a> {
    nearest: &'a mut [f64],
    rows: &'a [f32],
    center: &'a [f32],
}

impl Approach<'_> {
    #[inline(always)]
    fn run(self) {
        for (nearest, row) in self.nearest.iter_mut().zip(self.rows.chunks_exact(self.center.len().max(1))) {
            let mut lanes = [0.0f64; 8];
            let (row_chunks, center_chunks) = (row.chunks_exact(8), self.center.chunks_exact(8));
            let rest: f64 = row_chunks
                .remainder()
                .iter()
                .zip(center_chunks.remainder())
                .map(|(a, b)| (f64::from(*a) - f64::from(*b)) * (f64::from(*a) - f64::from(*b)))
                .sum();
            for (a, b) in row_chunks.zip(center_chunks) {
                for (lane, (a, b)) in lanes.iter_mut().zip(a.iter().zip(b)) {
                    let apart = f64::from(*a) - f64::from(*b);
                    *lane += apart * apart;
                }
            }
            let squared = lanes.iter().fold(rest, |sum, lane| sum + lane);
            if squared < *nearest {
                *nearest = squared;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::Silent;
    use ndarray::{Array2, array};

    use super::*;
    use crate::geometry::squared;

    #[test]
    fn distances_are_those_of_the_definition() {
        let rows = Array2::from_shape_fn((1200, 13), |(i, j)| ((i * 31 + j * 7) % 97) as f32 / 7.0);
        let lowered = approach(rows.view(), &vec![f64::INFINITY; 1200], 5);
        let center = rows.row(5).to_slice().unwrap();
        for (i, row) in rows.rows().into_iter().enumerate() {
            assert_eq!(lowered[i], squared(row.to_slice().unwrap(), center));
        }
    }

    #[test]
    fn far_rows_are_drawn_as_often_as_their_squared_distance_says() {
        // From 0, the others have squared distances of 1 and 9.
        let rows = array![[0.0f32], [1.0], [3.0]];
        let known = vec![0.0, 1.0, 9.0];
        let draws = (0..4000).map(|seed| {
            let seeding = Seeding::new(rows.view(), None, known.clone(), Seed::new(seed));
            seeding.draw(1, 1, &Silent).unwrap()[0]
        });
        let n_far = draws.filter(|row| *row == 2).count();
        assert!((3500..3700).contains(&n_far), "{n_far}");
    }

    #[test]
    fn no_row_is_drawn_twice_and_copies_are_not_drawn() {
        let rows = array![[0.0f32], [0.0], [2.0], [2.0]];
        let seeding = Seeding::new(rows.view(), None, vec![f64::INFINITY; 4], Seed::new(1));
        assert_eq!(seeding.draw(4, 0, &Silent).unwrap().len(), 2);
    }
}
