use serde::{Deserialize, Serialize};

use super::clusters::{ClusterChoice, counted};
use crate::select::{Objective, Setting};
use crate::{KMedoidsParams, ParamError, Result};

/// The medoids of [`KMedoidsParams`], the largest cluster first, beside labelled rows as fixed medoids.
///
/// Weights count in the sum that the medoids make small. Where constraints leave a medoid out, the row nearest to it takes its
/// place.
///
/// ```
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0], [10.0], [11.0], [50.0]];
/// let labelled = array![[50.0]];
/// let params = SelectParams::by(Method::from_name("k-medoids")?);
/// let found = params.select(&Candidates::new(rows.view())?.given(labelled.view())?, 2)?;
/// assert_eq!(found.rows()[0], 1);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMedoidsSelectParams {
    /// As [`KMedoidsParams::max_rows`]. Default 8192.
    pub max_rows: usize,
    /// As [`KMedoidsParams::n_samples`]. Default 5.
    pub n_samples: usize,
    /// As [`KMedoidsParams::max_rounds`]. Default 100.
    pub max_rounds: usize,
}

impl Default for KMedoidsSelectParams {
    fn default() -> Self {
        let KMedoidsParams { max_rows, n_samples, max_rounds, .. } = KMedoidsParams::default();
        Self { max_rows, n_samples, max_rounds }
    }
}

impl KMedoidsSelectParams {
    pub(crate) fn check(&self) -> Result<(), ParamError> {
        self.for_picks(1, 0).check().map(|_| ())
    }

    fn for_picks(&self, k: usize, seed: u64) -> KMedoidsParams {
        let Self { max_rows, n_samples, max_rounds } = *self;
        KMedoidsParams { k, max_rows, n_samples, max_rounds, seed }
    }

    pub(crate) fn start<'a>(&self, setting: &Setting<'a>) -> Result<Box<dyn Objective + 'a>> {
        let params = self.for_picks(setting.k.max(1), setting.seed.value()).check()?;
        let found = params.fit_given(setting.rows, setting.labelled, setting.weights, setting.progress)?;
        let k = found.medoids.len();
        let n_clusters = k + setting.labelled.nrows();
        let sizes = counted(&found.assigned, n_clusters);
        let known = (0..n_clusters).map(|cluster| usize::from(cluster >= k)).collect();
        let closeness = found.distances.iter().map(|d| -setting.distance(d * d)).collect();
        Ok(Box::new(ClusterChoice::unweighted(setting, found.assigned, closeness, sizes, known)))
    }
}
