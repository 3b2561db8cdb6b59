use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checks::check_rows;
use crate::knn::OtherRows;
use crate::seeding::approach;
use crate::{ParamError, Result};

/// Modes of the density of rows: mean shift with a flat kernel (Comaniciu and Meer 2002).
///
/// From every row (or every so many, see `max_seeds`) a point moves to the mean of the rows within the bandwidth until it
/// rests; of the points that come to rest within the bandwidth of each other the one with the most rows around it remains.
/// The rules, the estimate of the bandwidth included, are those of scikit-learn's `MeanShift`. O(seeds x rows x dimensions)
/// an iteration: for thousands of rows, not for millions.
///
/// ```
/// use labelloop_coreset::MeanShiftParams;
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.2], [0.1], [5.0], [5.2]];
/// let centers = MeanShiftParams { bandwidth: Some(1.0), ..Default::default() }.centers(rows.view())?;
/// assert_eq!(centers, array![[0.1], [5.1]]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MeanShiftParams {
    /// Distance within which rows belong to a point; by default the mean, over the rows, of the distance to the farthest of
    /// the nearest three tenths of all rows (the row itself among them).
    pub bandwidth: Option<f64>,
    /// Most points that start; above so many rows, rows at even steps. Default 2000.
    pub max_seeds: usize,
    /// Most moves of a point. Default 300.
    pub max_iterations: usize,
}

impl Default for MeanShiftParams {
    fn default() -> Self {
        Self { bandwidth: None, max_seeds: 2000, max_iterations: 300 }
    }
}

/// Share of the rows that the estimate of the bandwidth reaches to.
const QUANTILE: f64 = 0.3;
/// A point rests when it moves by less than this share of the bandwidth.
const AT_REST: f64 = 1e-3;

impl MeanShiftParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`ParamError::Radius`] for a bandwidth that is not above 0, and [`ParamError::AtLeastOne`].
    pub fn check(&self) -> Result<(), ParamError> {
        if let Some(found) = self.bandwidth.filter(|b| !(0.0 < *b && b.is_finite())) {
            return Err(ParamError::Radius { found });
        }
        match [("max_seeds", self.max_seeds), ("max_iterations", self.max_iterations)]
            .into_iter()
            .find(|(_, value)| *value == 0)
        {
            Some((what, _)) => Err(ParamError::AtLeastOne { what }),
            None => Ok(()),
        }
    }

    /// The centers, those with the most rows first; at least one where there are rows.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), [`CoresetError::NotFinite`](crate::CoresetError::NotFinite) and
    /// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns).
    pub fn centers(&self, rows: ArrayView2<'_, f32>) -> Result<Array2<f32>> {
        self.check()?;
        check_rows(rows, "embeddings")?;
        let rows = rows.as_standard_layout();
        let n = rows.nrows();
        let bandwidth = match self.bandwidth {
            Some(bandwidth) => bandwidth,
            None => estimate(rows.view())?,
        };
        let n_seeds = n.min(self.max_seeds);
        let mut rested: Vec<(usize, Vec<f64>)> = (0..n_seeds)
            .into_par_iter()
            .map(|i| self.climb(rows.view(), i * n / n_seeds, bandwidth))
            .collect();
        // The most rows first, then, as scikit-learn has it, the larger coordinates.
        rested.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| compare(&b.1, &a.1)));
        let mut kept: Vec<Vec<f64>> = Vec::new();
        for (_, point) in rested {
            if kept.iter().all(|other| distance(other, &point) > bandwidth) {
                kept.push(point);
            }
        }
        let mut centers = Array2::zeros((kept.len(), rows.ncols()));
        for (mut to, from) in centers.rows_mut().into_iter().zip(kept) {
            to.iter_mut().zip(from).for_each(|(to, from)| *to = from as f32);
        }
        Ok(centers)
    }

    /// Where a point that starts at a row comes to rest, and how many rows are around it.
    fn climb(&self, rows: ArrayView2<'_, f32>, start: usize, bandwidth: f64) -> (usize, Vec<f64>) {
        let mut point: Vec<f64> = rows.row(start).iter().map(|v| f64::from(*v)).collect();
        let mut n_within = 0;
        for _ in 0..self.max_iterations {
            let mut sums = vec![0.0f64; point.len()];
            n_within = 0;
            for row in rows.rows() {
                let squared: f64 = row.iter().zip(&point).map(|(v, p)| (f64::from(*v) - p).powi(2)).sum();
                if squared.sqrt() <= bandwidth {
                    n_within += 1;
                    sums.iter_mut().zip(row).for_each(|(sum, v)| *sum += f64::from(*v));
                }
            }
            if n_within == 0 {
                break;
            }
            let moved: Vec<f64> = sums.into_iter().map(|sum| sum / n_within as f64).collect();
            let shift = distance(&moved, &point);
            point = moved;
            if shift <= AT_REST * bandwidth {
                break;
            }
        }
        (n_within, point)
    }
}

/// The mean distance to the farthest of the nearest rows; the smallest positive number where all rows are equal.
fn estimate(rows: ArrayView2<'_, f32>) -> Result<f64> {
    let n = rows.nrows();
    // The row itself is the first of them.
    let k = ((n as f64 * QUANTILE) as usize).max(1) - 1;
    if n == 0 || k == 0 {
        return Ok(f64::MIN_POSITIVE);
    }
    let n_sampled = n.min(1000);
    let sum: f64 = if n <= 1000 {
        let others = OtherRows::new(rows, k)?;
        (0..n).map(|row| others.distances(row)[k - 1]).sum()
    } else {
        let unknown = vec![f64::INFINITY; n];
        let farthest = |i: usize| {
            let mut all = approach(rows, &unknown, i * n / n_sampled);
            *all.select_nth_unstable_by(k, f64::total_cmp).1
        };
        let all: Vec<f64> = (0..n_sampled).into_par_iter().map(|i| farthest(i).sqrt()).collect();
        all.iter().sum()
    };
    Ok((sum / n_sampled as f64).max(f64::MIN_POSITIVE))
}

fn compare(a: &[f64], b: &[f64]) -> std::cmp::Ordering {
    a.iter().zip(b).map(|(a, b)| a.total_cmp(b)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn defaults_are_as_documented_and_parameters_are_checked() {
        let p = MeanShiftParams::default();
        assert_eq!((p.bandwidth, p.max_seeds, p.max_iterations), (None, 2000, 300));
        for found in [0.0, -1.0, f64::NAN] {
            let p = MeanShiftParams { bandwidth: Some(found), ..Default::default() };
            assert!(matches!(p.check(), Err(ParamError::Radius { .. })));
        }
        let none = MeanShiftParams { max_seeds: 0, ..Default::default() };
        assert_eq!(none.check(), Err(ParamError::AtLeastOne { what: "max_seeds" }));
        let none = MeanShiftParams { max_iterations: 0, ..Default::default() };
        assert_eq!(none.check(), Err(ParamError::AtLeastOne { what: "max_iterations" }));
    }

    #[test]
    fn few_and_equal_rows_are_defined() {
        let p = MeanShiftParams::default();
        assert_eq!(p.centers(Array2::zeros((0, 2)).view()).unwrap().nrows(), 0);
        assert_eq!(p.centers(array![[3.0f32]].view()).unwrap(), array![[3.0]]);
        assert_eq!(p.centers(Array2::ones((20, 2)).view()).unwrap(), array![[1.0, 1.0]]);
        assert!(p.centers(array![[f32::NAN]].view()).is_err());
    }

    #[test]
    fn many_rows_are_sampled() {
        let s = Seed::new(2);
        let rows = Array2::from_shape_fn(
            (1500, 2),
            |(i, _)| if i < 700 { 0.0 } else { 20.0 } + s.normal(i as u64) as f32,
        );
        let p = MeanShiftParams { max_seeds: 50, ..Default::default() };
        assert_eq!(p.centers(rows.view()).unwrap().nrows(), 2);
    }

    proptest! {
        #[test]
        fn centers_are_apart_and_within_the_rows(seed: u64, n in 1usize..40) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32);
            let centers = MeanShiftParams { bandwidth: Some(1.0), ..Default::default() }.centers(rows.view()).unwrap();
            prop_assert!(centers.nrows() > 0);
            for (i, a) in centers.rows().into_iter().enumerate() {
                for b in centers.rows().into_iter().skip(i + 1) {
                    let apart: f32 = a.iter().zip(b).map(|(a, b)| (a - b).powi(2)).sum();
                    prop_assert!(apart.sqrt() > 0.999);
                }
            }
        }
    }
}
