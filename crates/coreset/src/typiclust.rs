use labelloop_core::Progress;
use ndarray::{ArrayView2, Axis};
use serde::{Deserialize, Serialize};

use crate::knn::OtherRows;
use crate::{KMeansParams, ParamError, Result};

/// Typical clustering (TypiClust; Hacohen, Dekel and Weinshall 2022): the most typical row of the largest cluster that has
/// nothing labelled.
///
/// Rows and labelled rows are clustered by k-means into `min(labelled + k, max_clusters)` clusters. A row is the more typical
/// the smaller its mean distance to its nearest neighbours within the cluster is: typicality is 1 over it, times the row's
/// weight. Each pick is the most typical row of a cluster with the fewest known rows, of these the largest; clusters below
/// `min_cluster_size` wait until all others have as many known rows as there are rows.
///
/// ```
/// use labelloop_coreset::TypiClustParams;
/// use labelloop_coreset::select::{Candidates, Method, SelectParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.1], [0.2], [0.3], [0.4], [9.0], [9.1], [9.2]];
/// let typical = TypiClustParams { min_cluster_size: 2, ..Default::default() };
/// let params = SelectParams::by(Method::Typiclust(typical));
/// let found = params.select(&Candidates::new(rows.view())?, 2)?;
/// assert_eq!(found.rows(), [2, 6]); // the middle of the larger cluster, then that of the other
/// assert!(found.picks[0].reason.to_string().contains("5 rows are in it"));
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TypiClustParams {
    /// Neighbours that typicality looks at; all others of the cluster where there are fewer. Default 20, as in the paper.
    pub n_neighbours: usize,
    /// Most clusters. Default 500, as in the paper.
    pub max_clusters: usize,
    /// Rows of the smallest cluster that is looked at before the others are used up. Default 5, as in the paper.
    pub min_cluster_size: usize,
    /// Most iterations of k-means. Default 100.
    pub max_iterations: usize,
}

impl Default for TypiClustParams {
    fn default() -> Self {
        Self { n_neighbours: 20, max_clusters: 500, min_cluster_size: 5, max_iterations: 100 }
    }
}

/// Rows in clusters, and how typical each is of its own.
pub(crate) struct Typical {
    pub(crate) assigned: Vec<u32>,
    pub(crate) n_clusters: usize,
    /// One over the mean distance to the nearest neighbours within the cluster.
    pub(crate) typicality: Vec<f64>,
}

impl TypiClustParams {
    /// Checks the parameters.
    ///
    /// # Errors
    /// [`ParamError::NoNeighbours`] and [`ParamError::AtLeastOne`].
    pub fn check(&self) -> Result<(), ParamError> {
        if self.n_neighbours == 0 {
            return Err(ParamError::NoNeighbours);
        }
        match [("max_clusters", self.max_clusters), ("max_iterations", self.max_iterations)]
            .into_iter()
            .find(|(_, value)| *value == 0)
        {
            Some((what, _)) => Err(ParamError::AtLeastOne { what }),
            None => Ok(()),
        }
    }

    /// Clusters all rows, labelled ones among them.
    pub(crate) fn typical(
        &self,
        rows: ArrayView2<'_, f32>,
        n_clusters: usize,
        seed: u64,
        progress: &dyn Progress,
    ) -> Result<Typical> {
        let k = n_clusters.min(self.max_clusters).max(1);
        let k_means = KMeansParams { k, seed, max_iterations: self.max_iterations, ..Default::default() };
        let clusters = k_means.check()?.fit(rows, progress)?;
        let n_clusters = clusters.centers.nrows();
        let mut members = vec![Vec::new(); n_clusters];
        for (row, cluster) in clusters.assigned.iter().enumerate() {
            if let Some(members) = members.get_mut(*cluster as usize) {
                members.push(row);
            }
        }
        let mut typicality = vec![f64::MAX; rows.nrows()];
        for (i, members) in members.iter().enumerate() {
            progress.step("typicality", i as u64, n_clusters as u64)?;
            let others = OtherRows::new(rows.select(Axis(0), members).view(), self.n_neighbours)?;
            for (place, row) in members.iter().enumerate().filter(|_| others.k > 0) {
                let mean = others.distances(place).iter().sum::<f64>() / others.k as f64;
                // Among copies a mean is 0: as typical as can be said in a number.
                typicality[*row] = (1.0 / mean).min(f64::MAX);
            }
        }
        Ok(Typical { assigned: clusters.assigned, n_clusters, typicality })
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{Seed, Silent};
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    use super::*;
    use crate::Metric;
    use crate::select::{Candidates, Method, SelectParams};

    fn params() -> TypiClustParams {
        TypiClustParams::default()
    }

    fn select(rows: &Array2<f32>, labelled: &Array2<f32>, k: usize) -> Vec<usize> {
        let candidates = Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap();
        SelectParams::by(Method::Typiclust(params())).select(&candidates, k).unwrap().rows()
    }

    /// Five blobs of 12, 10, 9, 8 and 3 rows, far from each other.
    fn blobs() -> (Array2<f32>, Vec<usize>) {
        let of: Vec<usize> = [12, 10, 9, 8, 3].iter().enumerate().flat_map(|(b, n)| vec![b; *n]).collect();
        let s = Seed::new(6);
        let rows = Array2::from_shape_fn((of.len(), 2), |(i, j)| {
            (100.0 * (of[i] * (1 + j)) as f64 + s.normal((2 * i + j) as u64)) as f32
        });
        (rows, of)
    }

    #[test]
    fn defaults_are_as_documented_and_parameters_are_checked() {
        let p = params();
        assert_eq!((p.n_neighbours, p.max_clusters, p.min_cluster_size, p.max_iterations), (20, 500, 5, 100));
        assert_eq!(TypiClustParams { n_neighbours: 0, ..params() }.check(), Err(ParamError::NoNeighbours));
        let none = TypiClustParams { max_clusters: 0, ..params() };
        assert_eq!(none.check(), Err(ParamError::AtLeastOne { what: "max_clusters" }));
        let none = TypiClustParams { max_iterations: 0, ..params() };
        assert_eq!(none.check(), Err(ParamError::AtLeastOne { what: "max_iterations" }));
    }

    #[test]
    fn large_clusters_come_first_and_small_ones_wait() {
        let (rows, of) = blobs();
        let none = Array2::zeros((0, 2));
        let picked: Vec<usize> = select(&rows, &none, 5).into_iter().map(|row| of[row]).collect();
        assert_eq!(picked, [0, 1, 2, 3, 0]);
    }

    #[test]
    fn clusters_with_labelled_rows_wait() {
        let (rows, of) = blobs();
        let labelled = array![[0.0f32, 0.0], [200.0, 400.0]];
        let picked: Vec<usize> = select(&rows, &labelled, 3).into_iter().map(|row| of[row]).collect();
        assert_eq!(&picked[..2], [1, 3]);
    }

    #[test]
    fn few_rows_and_equal_rows_are_defined() {
        let none = Array2::zeros((0, 2));
        assert!(select(&Array2::zeros((0, 2)), &none, 3).is_empty());
        assert_eq!(select(&array![[1.0, 2.0]], &none, 3), [0]);
        assert_eq!(select(&Array2::ones((4, 2)), &none, 2), [0, 1]);
    }

    proptest! {
        #[test]
        fn typicality_is_the_inverse_mean_distance_within_the_cluster(seed: u64, n in 1usize..50, k in 1usize..6) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32);
            let p = TypiClustParams { n_neighbours: 4, ..params() };
            let found = p.typical(rows.view(), k, 1, &Silent).unwrap();
            prop_assert!(found.assigned.iter().all(|c| (*c as usize) < found.n_clusters));
            for row in 0..n {
                let mut to: Vec<f64> = (0..n).filter(|o| *o != row && found.assigned[*o] == found.assigned[row])
                    .map(|o| Metric::L2.score(rows.row(row), rows.row(o))).collect();
                to.sort_by(f64::total_cmp);
                to.truncate(4);
                let expected = if to.is_empty() { f64::MAX } else { to.len() as f64 / to.iter().sum::<f64>() };
                prop_assert!((found.typicality[row] / expected - 1.0).abs() < 1e-9);
            }
        }
    }
}
