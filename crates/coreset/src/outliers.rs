use ndarray::ArrayView2;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checks::check_rows;
use crate::knn::OtherRows;
use crate::{ParamError, Result};

/// What makes a row an outlier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutlierScore {
    /// Local outlier factor (Breunig, Kriegel, Ng and Sander 2000): how much less dense it is around a row than around its
    /// neighbours. About 1 inside of clusters of whatever density, more for outliers.
    #[default]
    Lof,
    /// Distance to the k-th nearest other row (Ramaswamy, Rastogi and Shim 2000).
    Kth,
    /// Mean distance to the k nearest other rows (Angiulli and Pizzuti 2002).
    Mean,
}

/// How outliers are scored: higher is farther out.
///
/// ```
/// use labelloop_coreset::OutlierParams;
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [0.2], [0.3], [7.0]];
/// let scores = OutlierParams { n_neighbours: 2, ..Default::default() }.score(rows.view())?;
/// assert!(scores[4] > 20.0 && scores[..4].iter().all(|s| *s < 1.5));
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct OutlierParams {
    /// Neighbours; all other rows where there are fewer. Default 20.
    pub n_neighbours: usize,
    /// The score. Default [`OutlierScore::Lof`].
    pub score: OutlierScore,
}

impl Default for OutlierParams {
    fn default() -> Self {
        Self { n_neighbours: 20, score: OutlierScore::Lof }
    }
}

/// [`OutlierParams`] that were checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutlierValidParams(OutlierParams);

impl OutlierParams {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ParamError::NoNeighbours`].
    pub fn check(&self) -> Result<OutlierValidParams, ParamError> {
        if self.n_neighbours == 0 {
            Err(ParamError::NoNeighbours)
        } else {
            Ok(OutlierValidParams(self.clone()))
        }
    }

    /// [`OutlierValidParams::score`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn score(&self, rows: ArrayView2<'_, f32>) -> Result<Vec<f64>> {
        self.check()?.score(rows)
    }
}

impl OutlierValidParams {
    /// The score of every row (shape: rows x dimensions), by Euclidean distances.
    ///
    /// A single row has the factor 1 and the distance 0. O(rows^2 x dimensions).
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite) and
    /// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns).
    pub fn score(&self, rows: ArrayView2<'_, f32>) -> Result<Vec<f64>> {
        check_rows(rows, "embeddings")?;
        let others = OtherRows::new(rows, self.0.n_neighbours)?;
        let n = rows.nrows();
        Ok(match self.0.score {
            _ if others.k == 0 => vec![f64::from(u8::from(self.0.score == OutlierScore::Lof)); n],
            OutlierScore::Lof => local_outlier_factors(&others, n),
            OutlierScore::Kth => (0..n).map(|row| others.distances(row)[others.k - 1]).collect(),
            OutlierScore::Mean => (0..n).map(|row| mean(others.distances(row).iter().copied())).collect(),
        })
    }
}

/// Added to mean reachability distances, so that copies have a density; scikit-learn's value.
const LEAST: f64 = 1e-10;

/// Definitions 5 to 7 of the paper, with exactly k neighbours where several are as far as the k-th.
fn local_outlier_factors(others: &OtherRows, n: usize) -> Vec<f64> {
    let k_distance = |row: usize| others.distances(row)[others.k - 1];
    let density = |row: usize| {
        let reach =
            others.ids(row).iter().zip(others.distances(row)).map(|(id, d)| d.max(k_distance(*id as usize)));
        1.0 / (mean(reach) + LEAST)
    };
    let densities: Vec<f64> = (0..n).into_par_iter().map(density).collect();
    let factor = |row: usize| mean(others.ids(row).iter().map(|id| densities[*id as usize])) / densities[row];
    (0..n).into_par_iter().map(factor).collect()
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> f64 {
    let n = values.len() as f64;
    values.sum::<f64>() / n
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::Metric;

    #[test]
    fn defaults_are_as_documented_and_parameters_are_checked() {
        let p = OutlierParams::default();
        assert_eq!((p.n_neighbours, p.score), (20, OutlierScore::Lof));
        let none = OutlierParams { n_neighbours: 0, ..Default::default() };
        assert_eq!(none.check().unwrap_err(), ParamError::NoNeighbours);
    }

    #[test]
    fn few_rows_equal_rows_and_bad_rows_are_defined() {
        let p = OutlierParams::default();
        assert!(p.score(Array2::zeros((0, 2)).view()).unwrap().is_empty());
        assert_eq!(p.score(array![[5.0]].view()).unwrap(), [1.0]);
        assert_eq!(p.score(array![[5.0], [6.0]].view()).unwrap(), [1.0, 1.0]);
        assert!(p.score(Array2::ones((30, 2)).view()).unwrap().iter().all(|s| (s - 1.0).abs() < 1e-12));
        let kth = OutlierParams { score: OutlierScore::Kth, ..Default::default() };
        assert_eq!(kth.score(array![[5.0]].view()).unwrap(), [0.0]);
        assert!(p.score(array![[0.0], [f32::NAN]].view()).unwrap_err().to_string().contains("row 1"));
    }

    proptest! {
        #[test]
        fn agrees_with_the_definitions(seed: u64, n in 2usize..30, k in 1usize..8) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32);
            let k = k.min(n - 1);
            let distance = |a: usize, b: usize| Metric::L2.score(rows.row(a), rows.row(b));
            let near = |row: usize| {
                let mut others: Vec<usize> = (0..n).filter(|o| *o != row).collect();
                others.sort_by(|a, b| distance(row, *a).total_cmp(&distance(row, *b)).then(a.cmp(b)));
                others.truncate(k);
                others
            };
            let k_distance = |row: usize| distance(row, near(row)[k - 1]);
            let density = |row: usize| {
                let sum: f64 = near(row).iter().map(|o| distance(row, *o).max(k_distance(*o))).sum();
                1.0 / (sum / k as f64 + 1e-10)
            };
            let score = |score| OutlierParams { n_neighbours: k, score }.score(rows.view()).unwrap();
            let (lof, kth, means) = (score(OutlierScore::Lof), score(OutlierScore::Kth), score(OutlierScore::Mean));
            for row in 0..n {
                let expected = near(row).iter().map(|o| density(*o)).sum::<f64>() / k as f64 / density(row);
                prop_assert!((lof[row] - expected).abs() <= 1e-9 * expected);
                prop_assert!((kth[row] - k_distance(row)).abs() < 1e-12);
                let mean = near(row).iter().map(|o| distance(row, *o)).sum::<f64>() / k as f64;
                prop_assert!((means[row] - mean).abs() < 1e-12);
            }
        }
    }
}
