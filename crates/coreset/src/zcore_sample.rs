//! A guess, before all rows are looked at, of the distance beyond which rows do not matter to a draw.

use fearless_simd::{Level, Simd, dispatch, prelude::*};
use rayon::prelude::*;

use crate::draws::Draw;
use crate::stacked::Stacked;

/// How many times fewer rows the sample has, unless there are very many.
const FEWER: usize = 24;
/// Rows of the sample, where there are very many.
const SAMPLE: usize = 8192;
/// A sample of less would say nothing.
const LEAST: usize = 128;
/// Every width of vectors divides this.
const RUN: usize = 64;

/// Columns filled together.
const TOGETHER: usize = 16;

/// Rows at even steps through all of them, column by column.
pub(crate) struct Sample {
    n_rows: usize,
    /// Rows of the sample, a multiple of [`RUN`]; none where rows are few.
    len: usize,
    columns: Vec<f32>,
}

impl Sample {
    pub(crate) fn new(rows: &Stacked<'_>) -> Self {
        let n_rows = rows.n_rows();
        let len = (n_rows / FEWER).min(SAMPLE) / RUN * RUN;
        let len = if len < LEAST { 0 } else { len };
        let picked: Vec<&[f32]> = (0..len).map(|i| rows.row(i * n_rows / len)).collect();
        let mut columns = vec![0.0; len * rows.n_columns()];
        if len > 0 {
            // Columns are filled some at a time, so that a line of the rows is read once for all of them.
            let fill = |(chunk, out): (usize, &mut [f32])| {
                for (i, row) in picked.iter().enumerate() {
                    for (column, out) in row[chunk * TOGETHER..].iter().zip(out.chunks_mut(len)) {
                        out[i] = *column;
                    }
                }
            };
            columns.par_chunks_mut(len * TOGETHER).enumerate().for_each(fill);
        }
        Self { n_rows, len, columns }
    }

    /// A distance that most likely holds at least `k` rows and not many more; nothing where that is not worth guessing.
    pub(crate) fn reach(&self, level: Level, draw: &Draw, k: usize) -> Option<f64> {
        // As many rows of the sample as will rarely lie closer than the k-th of all rows.
        let expected = k as f64 * self.len as f64 / self.n_rows as f64;
        let rank = (expected + 3.0 * expected.sqrt() + 1.5) as usize;
        if self.len == 0 || rank * 4 > self.len {
            return None;
        }
        let mut closest = vec![f32::INFINITY; rank];
        dispatch!(level, simd => self.closest(simd, draw, &mut closest));
        // Numbers of 32 bits round; a little more room makes up for it.
        closest.last().map(|distance| f64::from(*distance) * (1.0 + 1e-5))
    }

    /// The smallest distances of the sample, ascending.
    #[inline(always)]
    fn closest<S: Simd>(&self, simd: S, draw: &Draw, closest: &mut [f32]) {
        let (lanes, last) = (S::f32s::LEN, closest.len() - 1);
        let mut ceiling = S::f32s::splat(simd, f32::INFINITY);
        for start in (0..self.len).step_by(lanes) {
            let mut distances = S::f32s::splat(simd, 0.0);
            for (column, at) in draw {
                let from = column * self.len + start;
                let numbers = S::f32s::from_slice(simd, &self.columns[from..from + lanes]);
                distances += (numbers - S::f32s::splat(simd, *at as f32)).abs();
            }
            let closer = distances.simd_lt(ceiling);
            if closer.any_true() {
                let mut rows = closer.to_bitmask();
                let distances = distances.as_slice();
                while rows != 0 {
                    let distance = distances[rows.trailing_zeros() as usize];
                    if distance < closest[last] {
                        insert(closest, distance);
                    }
                    rows &= rows - 1;
                }
                ceiling = S::f32s::splat(simd, closest[last]);
            }
        }
    }
}

/// Puts a number in its place in an ascending list; the last one falls out.
fn insert(sorted: &mut [f32], number: f32) {
    let at = sorted.partition_point(|s| *s <= number);
    let end = sorted.len() - 1;
    sorted.copy_within(at..end, at + 1);
    sorted[at] = number;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_stay_ascending() {
        let mut sorted = [f32::INFINITY; 3];
        [5.0, 1.0, 7.0, 3.0].into_iter().filter(|n| *n < 7.0).for_each(|n| insert(&mut sorted, n));
        assert_eq!(sorted, [1.0, 3.0, 5.0]);
    }
}
