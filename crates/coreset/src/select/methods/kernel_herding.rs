use ndarray::Array2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::select::similarity::{Kernel, Space};
use crate::select::{Gains, Objective, Reason, Setting};
use crate::{ParamError, Result};

/// Rows of one matrix product.
const ROWS: usize = 64;
/// Columns of one matrix product.
const COLUMNS: usize = 2048;

/// Kernel herding (Chen, Welling and Smola 2010): picks whose mean follows that of all rows, in the space of a Gaussian
/// kernel.
///
/// The gain of a row is its mean similarity to all rows, the weighted mean with weights, less the sum of its similarities
/// to the `t` known rows over `t + 1` (their equation 8). Picks follow density: where half of all rows are, half of the
/// picks go. Labelled rows count as picks made before. `O(rows^2 x dimensions)` once, then `O(rows x dimensions)` a pick;
/// `O(rows)` memory.
///
/// ```
/// use labelloop_coreset::select::{Candidates, KernelHerdingParams, Method, SelectParams};
/// use ndarray::array;
///
/// // Two thirds of the rows are on one side, and so are two thirds of the picks.
/// let rows = array![[0.0], [0.1], [0.2], [0.3], [9.0], [9.1]];
/// let params = KernelHerdingParams { bandwidth: Some(1.0) };
/// let found = SelectParams::by(Method::KernelHerding(params)).select(&Candidates::new(rows.view())?, 3)?;
/// assert_eq!(found.rows().iter().filter(|row| **row < 4).count(), 2);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KernelHerdingParams {
    /// The distance at which similarity has fallen to `exp(-1/2)`; by default the median distance of rows.
    pub bandwidth: Option<f64>,
}

impl KernelHerdingParams {
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        Kernel::Rbf { bandwidth: self.bandwidth }.check()
    }

    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let space = Space::new(setting, Kernel::Rbf { bandwidth: self.bandwidth })?;
        let n = space.rows.len();
        let (shares, _) = setting.shares();
        let weight = |row: usize| shares.as_ref().map_or(1.0, |shares| shares[row]);
        let mass: f64 = (0..n).map(weight).sum();
        let mut typical = sums(&space, n, false, weight, setting)?;
        let share = if 0.0 < mass { 1.0 / mass } else { 0.0 };
        typical.iter_mut().for_each(|sum| *sum *= share);
        let n_known = space.labelled.len();
        let known = sums(&space, n_known, true, |_| 1.0, setting)?;
        Ok(Box::new(KernelHerding { space, typical, known, n_known }))
    }
}

struct KernelHerding {
    space: Space,
    /// Mean similarity of each row to all rows.
    typical: Vec<f64>,
    /// Sum of its similarities to known rows.
    known: Vec<f64>,
    n_known: usize,
}

impl Objective for KernelHerding {
    fn kind(&self) -> Gains {
        Gains::Any
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        let t = (self.n_known + 1) as f64;
        rows.iter().zip(gains).for_each(|(row, gain)| *gain = self.typical[*row] - self.known[*row] / t);
    }

    fn pick(&mut self, row: usize) {
        let Self { space, known, .. } = self;
        known.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, sums)| {
            let columns = space.rows.part(block * COLUMNS..block * COLUMNS + sums.len());
            let found = space.similarities_of_few(space.rows.part(row..row + 1), columns);
            sums.iter_mut().zip(&found).for_each(|(sum, found)| *sum += f64::from(*found));
        });
        self.n_known += 1;
    }

    fn reason(&self, row: usize) -> Reason {
        let known = if self.n_known == 0 { 0.0 } else { self.known[row] / self.n_known as f64 };
        Reason::Herds { typical: self.typical[row], known }
    }
}

/// For each row the weighted sum of its similarities to all rows, or to all labelled ones, in the order of those.
fn sums(
    space: &Space,
    n: usize,
    labelled: bool,
    weight: impl Fn(usize) -> f64 + Sync,
    setting: &Setting<'_>,
) -> Result<Vec<f64>> {
    let mut sums = vec![0.0; space.rows.len()];
    let points = if labelled { &space.labelled } else { &space.rows };
    for start in (0..n).step_by(ROWS) {
        setting.progress.step("similarities", start as u64, n as u64)?;
        let left = points.part(start..n.min(start + ROWS));
        sums.par_chunks_mut(COLUMNS).enumerate().for_each(|(block, sums)| {
            let columns = space.rows.part(block * COLUMNS..block * COLUMNS + sums.len());
            let mut found = Array2::zeros((left.len(), sums.len()));
            space.similarities(left, columns, found.view_mut());
            for (i, found) in found.rows().into_iter().enumerate() {
                let weight = weight(start + i);
                sums.iter_mut().zip(found).for_each(|(sum, found)| *sum += weight * f64::from(*found));
            }
        });
    }
    Ok(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_checked() {
        assert_eq!(KernelHerdingParams::default().bandwidth, None);
        let flat = KernelHerdingParams { bandwidth: Some(-1.0) };
        assert_eq!(flat.check(), Err(ParamError::Bandwidth { found: -1.0 }));
    }
}
