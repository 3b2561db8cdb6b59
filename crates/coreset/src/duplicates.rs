use labelloop_index::{ExactIndex, Metric};
use ndarray::{ArrayView2, Axis, Slice};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::columns::check_rows;
use crate::{ParamError, Result};

/// Rows compared at once.
const BLOCK: usize = 512;

/// Two rows that are close to each other.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DuplicatePair {
    /// The lower row.
    pub first: usize,
    /// The higher row.
    pub second: usize,
    /// How far apart they are.
    pub distance: f64,
}

/// All pairs of rows at most `radius` apart, ordered by first and second row.
///
/// The distance is Euclidean under [`Metric::L2`] and `1 - cosine` under [`Metric::Cosine`], in f64. O(rows^2 x
/// dimensions) time, memory for the pairs found.
///
/// ```
/// use labelloop_coreset::near_duplicates;
/// use labelloop_index::Metric;
/// use ndarray::array;
///
/// let pairs = near_duplicates(array![[0.0], [5.0], [0.1]].view(), 0.5, Metric::L2)?;
/// assert_eq!((pairs.len(), pairs[0].first, pairs[0].second), (1, 0, 2));
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
///
/// # Errors
/// [`ParamError::Radius`], [`ParamError::NotADistance`] for [`Metric::Dot`],
/// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite),
/// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns), and zero vectors under cosine.
pub fn near_duplicates(rows: ArrayView2<'_, f32>, radius: f64, metric: Metric) -> Result<Vec<DuplicatePair>> {
    if !(0.0 <= radius && radius.is_finite()) {
        return Err(ParamError::Radius { found: radius }.into());
    }
    if metric == Metric::Dot {
        return Err(ParamError::NotADistance.into());
    }
    check_rows(rows, "embeddings")?;
    if rows.nrows() < 2 {
        return Ok(Vec::new());
    }
    // The index refuses zero vectors under cosine and names the row.
    ExactIndex::new(rows, metric)?;
    let rows = rows.as_standard_layout();
    let norms: Vec<f64> = rows.rows().into_iter().map(|r| Metric::Dot.score(r, r)).collect();
    let n_blocks = rows.nrows().div_ceil(BLOCK);
    let search = Search { rows: rows.view(), squared_norms: &norms, radius, metric };
    let found: Vec<Vec<DuplicatePair>> =
        (0..n_blocks).into_par_iter().map(|block| search.block(block)).collect();
    Ok(found.into_iter().flatten().collect())
}

struct Search<'a> {
    rows: ArrayView2<'a, f32>,
    squared_norms: &'a [f64],
    radius: f64,
    metric: Metric,
}

impl Search<'_> {
    /// Pairs whose first row is in the block.
    fn block(&self, block: usize) -> Vec<DuplicatePair> {
        let n = self.rows.nrows();
        let firsts = block * BLOCK..n.min((block + 1) * BLOCK);
        let mut pairs = Vec::new();
        for start in (firsts.start..n).step_by(BLOCK) {
            let seconds = start..n.min(start + BLOCK);
            let products = self
                .rows
                .slice_axis(Axis(0), Slice::from(firsts.clone()))
                .dot(&self.rows.slice_axis(Axis(0), Slice::from(seconds.clone())).t());
            for ((i, j), product) in products.indexed_iter() {
                let (first, second) = (firsts.start + i, seconds.start + j);
                if first < second && self.may_be_close(first, second, f64::from(*product)) {
                    pairs.extend(self.pair(first, second));
                }
            }
        }
        pairs.sort_unstable_by_key(|pair| (pair.first, pair.second));
        pairs
    }

    /// Whether a product known in f32 only leaves room for the pair to be close.
    ///
    /// The rounding error of a product of length d is at most `d u |a| |b|` with `u = 2^-24` (Higham, section 3.1).
    fn may_be_close(&self, first: usize, second: usize, product: f64) -> bool {
        let (a, b) = (self.squared_norms[first], self.squared_norms[second]);
        let error = (self.rows.ncols() + 8) as f64 * f64::from(f32::EPSILON) * (a * b).sqrt() + 1e-30;
        let too_far = match self.metric {
            Metric::L2 => a + b - 2.0 * (product + error) > self.radius * self.radius,
            _ => 1.0 - (product + error) / (a * b).sqrt() > self.radius,
        };
        !(too_far && product.is_finite())
    }

    fn pair(&self, first: usize, second: usize) -> Option<DuplicatePair> {
        let score = self.metric.score(self.rows.row(first), self.rows.row(second));
        let distance = if self.metric == Metric::L2 { score } else { 1.0 - score };
        (distance <= self.radius).then_some(DuplicatePair { first, second, distance })
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::CoresetError;

    #[test]
    fn parameters_are_checked_one_by_one() {
        let rows = array![[1.0f32], [2.0]];
        assert!(matches!(
            near_duplicates(rows.view(), -1.0, Metric::L2),
            Err(CoresetError::Param(ParamError::Radius { .. }))
        ));
        assert!(near_duplicates(rows.view(), f64::NAN, Metric::L2).is_err());
        assert_eq!(
            near_duplicates(rows.view(), 1.0, Metric::Dot),
            Err(CoresetError::Param(ParamError::NotADistance))
        );
        assert!(near_duplicates(array![[0.0f32], [1.0]].view(), 0.1, Metric::Cosine).is_err());
        assert!(near_duplicates(array![[f32::NAN]].view(), 0.1, Metric::L2).is_err());
    }

    #[test]
    fn exact_copies_are_found_at_radius_zero_whatever_their_size() {
        let rows = array![[1e4f32, 3.3], [7.0, 1.0], [1e4, 3.3]];
        let pairs = near_duplicates(rows.view(), 0.0, Metric::L2).unwrap();
        assert_eq!(pairs, [DuplicatePair { first: 0, second: 2, distance: 0.0 }]);
        let huge = array![[1e30f32, 1e30], [1e30, 1e30]];
        assert_eq!(near_duplicates(huge.view(), 0.0, Metric::L2).unwrap().len(), 1);
    }

    #[test]
    fn no_rows_and_one_row_have_no_pairs() {
        assert!(near_duplicates(Array2::zeros((0, 4)).view(), 1.0, Metric::L2).unwrap().is_empty());
        assert!(near_duplicates(Array2::ones((1, 4)).view(), 1.0, Metric::L2).unwrap().is_empty());
    }

    proptest! {
        #[test]
        fn agrees_with_comparing_every_pair(seed: u64, n in 2usize..40, radius in 0.0f64..2.0) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32);
            for metric in [Metric::L2, Metric::Cosine] {
                let distance = |i, j| match metric {
                    Metric::L2 => metric.score(rows.row(i), rows.row(j)),
                    _ => 1.0 - metric.score(rows.row(i), rows.row(j)),
                };
                let expected: Vec<(usize, usize)> = (0..n)
                    .flat_map(|i| (i + 1..n).map(move |j| (i, j)))
                    .filter(|(i, j)| distance(*i, *j) <= radius)
                    .collect();
                let found = near_duplicates(rows.view(), radius, metric).unwrap();
                prop_assert_eq!(found.iter().map(|p| (p.first, p.second)).collect::<Vec<_>>(), expected);
            }
        }
    }
}
