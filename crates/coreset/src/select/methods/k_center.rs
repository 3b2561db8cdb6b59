use ndarray::{ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::Result;
use crate::geometry::squared;
use crate::select::{Gains, Known, Objective, Reason, Setting};

/// Greedy k-center, farthest first (Gonzalez 1985): each pick is the row farthest from all picked and labelled ones.
///
/// The gain is the distance to the nearest known row, times the row's weight. Where nothing is known the first pick is the
/// row closest to the mean of all, and its gain is minus that distance (divided by the weight, so that weights draw the
/// first pick too). Without weights and constraints the largest distance of any row to its nearest pick is at most twice
/// the best possible. O(k x rows x dimensions).
///
/// ```
/// use labelloop_coreset::select::{Candidates, KCenterParams, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [5.0], [9.0]];
/// let params = SelectParams::by(Method::KCenter(KCenterParams {}));
/// let found = params.select(&Candidates::new(rows.view())?, 3)?;
/// assert_eq!(found.rows(), [2, 0, 3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KCenterParams {}

impl KCenterParams {
    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let mut center = KCenter {
            setting: setting.clone(),
            nearest: vec![(f64::INFINITY, Known::Labelled(0)); setting.rows.nrows()],
            to_mean: Vec::new(),
        };
        let n_labelled = setting.labelled.nrows();
        for (i, row) in setting.labelled.rows().into_iter().enumerate() {
            setting.progress.step("k-center", i as u64, n_labelled as u64)?;
            center.approach(row.to_slice().unwrap_or_default(), Known::Labelled(i));
        }
        if n_labelled == 0 {
            center.to_mean = distances_to_mean(setting.rows.view());
        }
        Ok(Box::new(center))
    }
}

struct KCenter<'a> {
    setting: Setting<'a>,
    /// Squared distance to the nearest known row, and that row.
    nearest: Vec<(f64, Known)>,
    /// Squared distances to the mean, until something is known.
    to_mean: Vec<f64>,
}

impl KCenter<'_> {
    /// Lowers each row's distance by a row that became known.
    fn approach(&mut self, center: &[f32], known: Known) {
        let rows = self.setting.rows.view();
        self.nearest.par_iter_mut().enumerate().with_min_len(512).for_each(|(row, nearest)| {
            let distance = squared(rows.row(row).to_slice().unwrap_or_default(), center);
            if distance < nearest.0 {
                *nearest = (distance, known);
            }
        });
    }
}

impl Objective for KCenter<'_> {
    fn kind(&self) -> Gains {
        Gains::Any
    }

    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        let setting = &self.setting;
        for (row, gain) in rows.iter().zip(gains) {
            *gain = match self.to_mean.get(*row) {
                Some(squared) => -setting.distance(*squared) / setting.weight(*row),
                None => setting.distance(self.nearest[*row].0) * setting.weight(*row),
            };
        }
    }

    fn pick(&mut self, row: usize) {
        self.to_mean.clear();
        let rows = self.setting.rows;
        self.approach(rows.row(row).to_slice().unwrap_or_default(), Known::Pick(row));
    }

    fn reason(&self, row: usize) -> Reason {
        match self.to_mean.get(row) {
            Some(squared) => Reason::Central { distance: self.setting.distance(*squared) },
            None => {
                let (squared, nearest) = self.nearest[row];
                Reason::Farthest { distance: self.setting.distance(squared), nearest }
            }
        }
    }
}

fn distances_to_mean(rows: ArrayView2<'_, f32>) -> Vec<f64> {
    let mut mean = vec![0.0; rows.ncols()];
    for row in rows.axis_iter(Axis(0)) {
        mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += f64::from(*value));
    }
    mean.iter_mut().for_each(|sum| *sum /= rows.nrows() as f64);
    let to_mean = |row: usize| -> f64 {
        rows.row(row).iter().zip(&mean).map(|(value, mean)| (f64::from(*value) - mean).powi(2)).sum()
    };
    (0..rows.nrows()).into_par_iter().with_min_len(512).map(to_mean).collect()
}
