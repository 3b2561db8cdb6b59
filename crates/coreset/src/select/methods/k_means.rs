use serde::{Deserialize, Serialize};

use super::clusters::{ClusterChoice, counted};
use crate::select::{Objective, Setting};
use crate::{KMeansParams, ParamError, Result};

/// The row nearest to each of k means, the largest cluster first.
///
/// Rows are clustered by [`KMeansParams`] into as many clusters as picks are asked for, beside one fixed center for each
/// labelled row. Weights draw the means. Where constraints leave a cluster without picks, the next row of the cluster with
/// the fewest known rows is taken.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [0.2], [5.0], [5.2], [9.0]];
/// let labelled = array![[9.1]];
/// let params = SelectParams::by(Method::from_name("k-means")?);
/// let found = params.select(&Candidates::new(rows.view())?.given(labelled.view())?, 2)?;
/// assert_eq!(found.rows(), [1, 3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMeansSelectParams {
    /// Most iterations. Default 100.
    pub max_iterations: usize,
    /// As [`KMeansParams::tolerance`]. Default 1e-4.
    pub tolerance: f64,
    /// As [`KMeansParams::n_trials`]. Default 0.
    pub n_trials: usize,
    /// As [`KMeansParams::n_starts`]. Default 1.
    pub n_starts: usize,
}

impl Default for KMeansSelectParams {
    fn default() -> Self {
        let KMeansParams { max_iterations, tolerance, n_trials, n_starts, .. } = KMeansParams::default();
        Self { max_iterations, tolerance, n_trials, n_starts }
    }
}

impl KMeansSelectParams {
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        self.for_picks(1, 0).check().map(|_| ())
    }

    fn for_picks(&self, k: usize, seed: u64) -> KMeansParams {
        let Self { max_iterations, tolerance, n_trials, n_starts } = *self;
        KMeansParams { k, max_iterations, tolerance, n_trials, n_starts, seed }
    }

    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let params = self.for_picks(setting.k.max(1), setting.seed.value()).check()?;
        let found = params.fit_given(setting.rows, setting.labelled, setting.weights, setting.progress)?;
        let k = found.centers.nrows();
        let n_clusters = k + setting.labelled.nrows();
        let sizes = counted(&found.assigned, n_clusters);
        let known = (0..n_clusters).map(|cluster| usize::from(cluster >= k)).collect();
        let closeness = found.squared.iter().map(|squared| -setting.distance(*squared)).collect();
        Ok(Box::new(ClusterChoice::unweighted(setting, found.assigned, closeness, sizes, known)))
    }
}
