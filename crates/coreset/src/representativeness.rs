use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checks::check_rows;
use crate::geometry::squared;
use crate::kmeans::nearest;
use crate::{CoresetError, DuplicateParams, KMeansParams, MeanShiftParams, Metric, ParamError, Result};

/// How the clusters are found that a row may be representative of.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "by", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Clusters {
    /// Mean shift, as FiftyOne Brain does.
    MeanShift(MeanShiftParams),
    /// k-means: for more rows than mean shift can take.
    KMeans(KMeansParams),
}

/// How closeness to a center becomes a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Closeness {
    /// `1 / (1 + distance)` divided by the largest of the cluster: each cluster's most central row has 1. What FiftyOne
    /// Brain describes as `cluster-center`.
    #[default]
    Local,
    /// `1 / (1 + distance)` divided by the largest of all.
    Global,
    /// The distance itself divided by the cluster's largest: rows far from their center score high. This is what FiftyOne
    /// Brain returned for `cluster-center` up to the issue voxel51/fiftyone#8351 of August 2026, which calls it inverted;
    /// here to reproduce stored values.
    Shipped,
}

/// How near each row is to the middle of its cluster.
///
/// The clusters, `1 / (1 + distance)` and both ways of scaling are those that FiftyOne Brain documents for
/// `compute_representativeness` with `cluster-center`. Its `cluster-center-downweight`, which lowers rows that resemble higher
/// ranked ones, has no published formula; `downweight` is ours: rows are taken from the highest score down, and each row
/// within that Euclidean distance of one taken before has its score halved.
///
/// ```
/// use labelloop_coreset::{Clusters, KMeansParams, RepresentativenessParams};
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0], [50.0], [51.0], [55.0]];
/// let clusters = Clusters::KMeans(KMeansParams { k: 2, ..Default::default() });
/// let scores = RepresentativenessParams { clusters, ..Default::default() }.score(rows.view())?;
/// assert_eq!((scores[1], scores[4]), (1.0, 1.0)); // the row nearest to the center of each
/// assert!(scores[0] < 1.0 && scores[5] < scores[3]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RepresentativenessParams {
    /// The clusters. Default mean shift with its defaults.
    pub clusters: Clusters,
    /// The score. Default [`Closeness::Local`].
    pub closeness: Closeness,
    /// Distance within which a row is halved by a higher one. Default none.
    pub downweight: Option<f64>,
}

impl Default for RepresentativenessParams {
    fn default() -> Self {
        Self {
            clusters: Clusters::MeanShift(MeanShiftParams::default()),
            closeness: Closeness::Local,
            downweight: None,
        }
    }
}

impl RepresentativenessParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// Those of the clusters, and [`ParamError::Radius`].
    pub fn check(&self) -> Result<(), ParamError> {
        match &self.clusters {
            Clusters::MeanShift(params) => params.check()?,
            Clusters::KMeans(params) => params.check().map(|_| ())?,
        }
        match self.downweight {
            Some(found) if !(0.0 <= found && found.is_finite()) => Err(ParamError::Radius { found }),
            _ => Ok(()),
        }
    }

    /// A score of each row, at most 1; no rows give none.
    ///
    /// # Errors
    /// Those of [`check`](Self::check), [`CoresetError::NotFinite`], [`CoresetError::NoColumns`], and
    /// [`CoresetError::TooManyPairs`] where `downweight` makes most pairs near.
    pub fn score(&self, rows: ArrayView2<'_, f32>) -> Result<Vec<f64>> {
        self.check()?;
        check_rows(rows, "embeddings")?;
        let rows = rows.as_standard_layout();
        let (centers, assigned) = self.clustered(rows.view())?;
        let slice = |row: usize| rows.row(row).to_slice().unwrap_or_default();
        let distances: Vec<f64> = assigned
            .par_iter()
            .enumerate()
            .map(|(row, c)| {
                squared(slice(row), centers.row(*c as usize).to_slice().unwrap_or_default()).sqrt()
            })
            .collect();
        let mut scores = match self.closeness {
            Closeness::Shipped => scaled(&distances, &assigned, centers.nrows()),
            Closeness::Local => scaled(&central(&distances), &assigned, centers.nrows()),
            Closeness::Global => scaled(&central(&distances), &vec![0; rows.nrows()], 1),
        };
        if let Some(radius) = self.downweight {
            downweight(&mut scores, rows.view(), radius)?;
        }
        Ok(scores)
    }

    fn clustered(&self, rows: ArrayView2<'_, f32>) -> Result<(Array2<f32>, Vec<u32>)> {
        match &self.clusters {
            Clusters::KMeans(params) => {
                let found = params.fit(rows)?;
                Ok((found.centers, found.assigned))
            }
            Clusters::MeanShift(params) => {
                let centers = params.centers(rows)?;
                let assigned = nearest(rows, centers.view())?.into_iter().map(|(center, _)| center).collect();
                Ok((centers, assigned))
            }
        }
    }
}

fn central(distances: &[f64]) -> Vec<f64> {
    distances.iter().map(|d| 1.0 / (1.0 + d)).collect()
}

/// Each value divided by the largest of its cluster; 0 where that is 0.
fn scaled(values: &[f64], assigned: &[u32], n_clusters: usize) -> Vec<f64> {
    let mut largest = vec![0.0f64; n_clusters];
    for (value, cluster) in values.iter().zip(assigned) {
        largest[*cluster as usize] = largest[*cluster as usize].max(*value);
    }
    let scale = |(value, cluster): (&f64, &u32)| {
        let largest = largest[*cluster as usize];
        if 0.0 < largest { value / largest } else { 0.0 }
    };
    values.iter().zip(assigned).map(scale).collect()
}

fn downweight(scores: &mut [f64], rows: ArrayView2<'_, f32>, radius: f64) -> Result<(), CoresetError> {
    let pairs = DuplicateParams { radius, metric: Metric::L2, ..Default::default() }.pairs(rows)?;
    let mut near = vec![Vec::new(); rows.nrows()];
    for pair in &pairs {
        near[pair.first].push(pair.second);
        near[pair.second].push(pair.first);
    }
    let mut order: Vec<usize> = (0..rows.nrows()).collect();
    order.sort_unstable_by(|a, b| scores[*b].total_cmp(&scores[*a]).then(a.cmp(b)));
    let mut taken = vec![false; rows.nrows()];
    for row in order {
        if near[row].iter().any(|other| taken[*other]) {
            scores[row] /= 2.0;
        }
        taken[row] = true;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use labelloop_core::Seed;
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;

    fn by_means(k: usize) -> RepresentativenessParams {
        let clusters = Clusters::KMeans(KMeansParams { k, ..Default::default() });
        RepresentativenessParams { clusters, ..Default::default() }
    }

    #[test]
    fn defaults_are_as_documented_and_parameters_are_checked() {
        let p = RepresentativenessParams::default();
        assert_eq!((p.closeness, p.downweight), (Closeness::Local, None));
        assert_eq!(p.clusters, Clusters::MeanShift(MeanShiftParams::default()));
        assert!(matches!(by_means(0).check(), Err(ParamError::AtLeastOne { what: "k" })));
        for radius in [-1.0, f64::NAN] {
            let p = RepresentativenessParams { downweight: Some(radius), ..p.clone() };
            assert!(matches!(p.check(), Err(ParamError::Radius { .. })));
        }
    }

    #[test]
    fn few_rows_equal_rows_and_bad_rows_are_defined() {
        for p in [by_means(3), RepresentativenessParams::default()] {
            assert!(p.score(Array2::zeros((0, 2)).view()).unwrap().is_empty());
            assert_eq!(p.score(array![[4.0]].view()).unwrap(), [1.0]);
            assert_eq!(p.score(Array2::ones((5, 2)).view()).unwrap(), [1.0; 5]);
            assert!(p.score(array![[0.0], [f32::NAN]].view()).unwrap_err().to_string().contains("row 1"));
        }
    }

    #[test]
    fn what_was_shipped_is_the_other_way_round() {
        let rows = array![[0.0], [1.0], [2.0], [50.0], [51.0], [55.0]];
        let shipped = RepresentativenessParams { closeness: Closeness::Shipped, ..by_means(2) };
        let found = shipped.score(rows.view()).unwrap();
        assert_eq!(found, [1.0, 0.0, 1.0, 2.0 / 3.0, 1.0 / 3.0, 1.0]);
        let local = by_means(2).score(rows.view()).unwrap();
        assert_eq!(local[..3], [0.5, 1.0, 0.5]);
        let global = RepresentativenessParams { closeness: Closeness::Global, ..by_means(2) };
        assert_eq!(global.score(rows.view()).unwrap(), [0.5, 1.0, 0.5, 1.0 / 3.0, 0.5, 0.25]);
    }

    #[test]
    fn rows_near_higher_ones_are_halved() {
        let rows = array![[0.0], [1.0], [2.0], [50.0], [51.0], [55.0]];
        let p = RepresentativenessParams { downweight: Some(1.5), ..by_means(2) };
        let plain = by_means(2).score(rows.view()).unwrap();
        let found = p.score(rows.view()).unwrap();
        for (row, share) in [0.5, 1.0, 0.5, 0.5, 1.0, 1.0].into_iter().enumerate() {
            assert_eq!(found[row], plain[row] * share);
        }
    }

    proptest! {
        #[test]
        fn each_cluster_has_a_best_row(seed: u64, n in 1usize..60, k in 1usize..6) {
            let s = Seed::new(seed);
            let rows = Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32);
            let scores = by_means(k).score(rows.view()).unwrap();
            prop_assert!(scores.iter().all(|v| 0.0 < *v && *v <= 1.0));
            let clusters = KMeansParams { k, ..Default::default() }.fit(rows.view()).unwrap();
            for cluster in &clusters.assigned {
                let best = (0..n).filter(|row| clusters.assigned[*row] == *cluster).map(|row| scores[row]).fold(0.0, f64::max);
                prop_assert_eq!(best, 1.0);
            }
        }
    }
}
