use ndarray::{ArrayView2, Axis, Slice};
use rayon::prelude::*;

use super::exact::Exact;
use super::{DuplicatePair, Quota};
use crate::Result;
use labelloop_index::Metric;

/// Rows compared at once.
const BLOCK: usize = 512;

/// All pairs by products of blocks of rows in f32, those that may be near checked in f64.
///
/// O(rows^2 x columns), whatever the rows are.
pub(super) struct Blocked<'a, 'rows> {
    pub(super) rows: ArrayView2<'a, f32>,
    pub(super) exact: &'a Exact<'rows>,
}

impl Blocked<'_, '_> {
    pub(super) fn pairs(&self, quota: &Quota) -> Result<Vec<DuplicatePair>> {
        let n_blocks = self.rows.nrows().div_ceil(BLOCK);
        let found: Result<Vec<Vec<DuplicatePair>>> = (0..n_blocks)
            .into_par_iter()
            .map(|block| {
                let mut pairs = Vec::new();
                self.each_candidate(block, &mut |first, second| {
                    let before = pairs.len();
                    pairs.extend(self.exact.pair(first, second));
                    quota.take(pairs.len() - before)
                })?;
                Ok(pairs)
            })
            .collect();
        Ok(found?.concat())
    }

    /// Number of blocks of first rows.
    pub(super) fn n_blocks(&self) -> usize {
        self.rows.nrows().div_ceil(BLOCK)
    }

    /// Offers each pair whose first row is in the block and which f32 cannot rule out.
    pub(super) fn each_candidate(
        &self,
        block: usize,
        offer: &mut impl FnMut(usize, usize) -> Result<()>,
    ) -> Result<()> {
        let n = self.rows.nrows();
        let firsts = block * BLOCK..n.min((block + 1) * BLOCK);
        for start in (firsts.start..n).step_by(BLOCK) {
            let seconds = start..n.min(start + BLOCK);
            let products = self
                .rows
                .slice_axis(Axis(0), Slice::from(firsts.clone()))
                .dot(&self.rows.slice_axis(Axis(0), Slice::from(seconds.clone())).t());
            for ((i, j), product) in products.indexed_iter() {
                let (first, second) = (firsts.start + i, seconds.start + j);
                if first < second && self.may_be_near(first, second, f64::from(*product)) {
                    offer(first, second)?;
                }
            }
        }
        Ok(())
    }

    /// Whether a product known in f32 only leaves room for the pair to be near.
    ///
    /// The rounding error of a product of length d is at most `d u |a| |b|` with `u = 2^-24` (Higham, section 3.1).
    fn may_be_near(&self, first: usize, second: usize, product: f64) -> bool {
        let (a, b) = (self.exact.norms[first], self.exact.norms[second]);
        let error = (self.rows.ncols() + 8) as f64 * f64::from(f32::EPSILON) * a * b + 1e-30;
        let radius = self.exact.radius;
        let too_far = match self.exact.metric {
            Metric::L2 => a * a + b * b - 2.0 * (product + error) > radius * radius,
            _ => 1.0 - (product + error) / (a * b) > radius,
        };
        !(too_far && product.is_finite())
    }
}
