use labelloop_core::{Progress, Seed, Silent};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checks::{check_given, check_rows, check_weights};
use crate::kmeans::nearest;
use crate::seeding::{Seeding, approach};
use crate::{CoresetError, ParamError, Result};

/// Clusters around rows: the rows for which the Euclidean distances of all rows to the nearest of them add up to little.
///
/// FasterPAM (Schubert and Rousseeuw 2021, algorithm 3): rows are tried in turn as medoids, and a swap that lowers the sum
/// is made at once; it ends where no swap of one medoid for one row helps. Above `max_rows` the medoids come from samples
/// of so many rows and the sample that serves all rows best wins (CLARA, Kaufman and Rousseeuw 1990). O(rows^2) time a
/// round and 4 bytes for each pair of `max_rows`.
///
/// ```
/// use labelloop_coreset::KMedoidsParams;
/// use ndarray::array;
///
/// let rows = array![[0.0], [1.0], [2.0], [10.0], [11.0], [15.0]];
/// let found = KMedoidsParams { k: 2, ..Default::default() }.fit(rows.view())?;
/// assert_eq!(found.medoids, [1, 4]);
/// assert_eq!(found.loss, 1.0 + 1.0 + 1.0 + 4.0);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMedoidsParams {
    /// Medoids. Default 8.
    pub k: usize,
    /// Rows up to which all distances are held. Default 8192, which takes 256 MB.
    pub max_rows: usize,
    /// Samples where there are more rows. Default 5.
    pub n_samples: usize,
    /// Most rounds through all rows. Default 100.
    pub max_rounds: usize,
    /// Where draws come from. Default 42.
    pub seed: u64,
}

impl Default for KMedoidsParams {
    fn default() -> Self {
        Self { k: 8, max_rows: 8192, n_samples: 5, max_rounds: 100, seed: 42 }
    }
}

/// [`KMedoidsParams`] that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct KMedoidsValidParams(KMedoidsParams);

/// Medoids and which row belongs to which.
#[derive(Debug, Clone, PartialEq)]
pub struct KMedoids {
    /// Row numbers, ascending; fewer than k where rows have fewer distinct values.
    pub medoids: Vec<usize>,
    /// The medoid of each row, by its place in `medoids`; numbers from `medoids.len()` on are fixed rows, in their order.
    pub assigned: Vec<u32>,
    /// Euclidean distance of each row to its medoid.
    pub distances: Vec<f64>,
    /// The sum of these, times the weights where there are weights.
    pub loss: f64,
}

impl KMedoidsParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`ParamError::AtLeastOne`].
    pub fn check(&self) -> Result<KMedoidsValidParams, ParamError> {
        let params = [
            ("k", self.k),
            ("max_rows", self.max_rows),
            ("n_samples", self.n_samples),
            ("max_rounds", self.max_rounds),
        ];
        match params.into_iter().find(|(_, value)| *value == 0) {
            Some((what, _)) => Err(ParamError::AtLeastOne { what }),
            None => Ok(KMedoidsValidParams(self.clone())),
        }
    }

    /// [`KMedoidsValidParams::fit_given`] after a check, with nothing fixed and no weights.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn fit(&self, rows: ArrayView2<'_, f32>) -> Result<KMedoids> {
        let none = Array2::zeros((0, rows.ncols()));
        self.check()?.fit_given(rows, none.view(), None, &Silent)
    }
}

impl KMedoidsValidParams {
    /// Medoids among rows (shape: rows x dimensions) beside fixed ones: labelled rows.
    ///
    /// `weights` has one entry for each row. No rows give no medoids.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`], [`CoresetError::NoColumns`], [`CoresetError::DimensionMismatch`],
    /// [`CoresetError::LengthMismatch`], [`CoresetError::Weight`] and [`CoresetError::Cancelled`].
    pub fn fit_given(
        &self,
        rows: ArrayView2<'_, f32>,
        fixed: ArrayView2<'_, f32>,
        weights: Option<&[f64]>,
        progress: &dyn Progress,
    ) -> Result<KMedoids> {
        check_rows(rows, "embeddings")?;
        check_given(rows, fixed, "fixed medoids")?;
        weights.map_or(Ok(()), |weights| check_weights(weights, rows.nrows()))?;
        let rows = rows.as_standard_layout();
        let to_fixed = nearest(rows.view(), fixed)?;
        let search = Search { params: &self.0, rows: rows.view(), weights, to_fixed: &to_fixed, progress };
        let seed = Seed::new(self.0.seed).stream("k-medoids");
        if rows.nrows() <= self.0.max_rows {
            let all: Vec<usize> = (0..rows.nrows()).collect();
            return search.served(search.among(&all, seed)?);
        }
        let mut best: Option<KMedoids> = None;
        for sample in 0..self.0.n_samples {
            let seed = seed.stream(&sample.to_string());
            let mut sampled = seed.stream("sample").permutation(rows.nrows());
            sampled.truncate(self.0.max_rows);
            sampled.sort_unstable();
            let found = search.served(search.among(&sampled, seed)?)?;
            if best.as_ref().is_none_or(|best| found.loss < best.loss) {
                best = Some(found);
            }
        }
        best.map_or_else(|| search.served(Vec::new()), Ok)
    }

    /// The local optimum that a walk from given medoids reaches; all distances are held, whatever `max_rows` is.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`], [`CoresetError::NoColumns`] and [`CoresetError::RowOutOfRange`].
    pub fn fit_from(&self, rows: ArrayView2<'_, f32>, medoids: &[usize]) -> Result<KMedoids> {
        check_rows(rows, "embeddings")?;
        if let Some(found) = medoids.iter().find(|row| **row >= rows.nrows()) {
            return Err(CoresetError::RowOutOfRange {
                what: "medoids",
                found: *found,
                expected: rows.nrows(),
            });
        }
        let rows = rows.as_standard_layout();
        let to_fixed = vec![(0, f64::INFINITY); rows.nrows()];
        let search = Search {
            params: &self.0,
            rows: rows.view(),
            weights: None,
            to_fixed: &to_fixed,
            progress: &Silent,
        };
        let mut pam = Pam::new(
            rows.view(),
            vec![1.0; rows.nrows()],
            vec![f32::INFINITY; rows.nrows()],
            medoids.to_vec(),
        );
        pam.run(self.0.max_rounds, &Silent)?;
        search.served(pam.medoids)
    }
}

struct Search<'a> {
    params: &'a KMedoidsParams,
    rows: ArrayView2<'a, f32>,
    weights: Option<&'a [f64]>,
    /// The nearest fixed row of each row and its squared distance.
    to_fixed: &'a [(u32, f64)],
    progress: &'a dyn Progress,
}

impl Search<'_> {
    fn weight(&self, row: usize) -> f64 {
        self.weights.map_or(1.0, |weights| weights[row])
    }

    /// Medoids of some rows, from a k-means++ seeding.
    fn among(&self, sampled: &[usize], seed: Seed) -> Result<Vec<usize>> {
        let rows = self.rows.select(Axis(0), sampled);
        let weights: Vec<f64> = sampled.iter().map(|row| self.weight(*row)).collect();
        let squared: Vec<f64> = sampled.iter().map(|row| self.to_fixed[*row].1).collect();
        let caps = squared.iter().map(|squared| squared.sqrt() as f32).collect();
        let start =
            Seeding::new(rows.view(), Some(&weights), squared, seed).draw(self.params.k, 1, self.progress)?;
        let mut pam = Pam::new(rows.view(), weights, caps, start);
        pam.run(self.params.max_rounds, self.progress)?;
        Ok(pam.medoids.into_iter().map(|place| sampled[place]).collect())
    }

    /// Every row with the nearest of the medoids and fixed rows, by distances in f64.
    fn served(&self, mut medoids: Vec<usize>) -> Result<KMedoids> {
        medoids.sort_unstable();
        let found = nearest(self.rows, self.rows.select(Axis(0), &medoids).view())?;
        let k = medoids.len() as u32;
        let nearer = |(moving, fixed): ((u32, f64), &(u32, f64))| {
            if moving.1 < fixed.1 { (moving.0, moving.1.sqrt()) } else { (k + fixed.0, fixed.1.sqrt()) }
        };
        let (assigned, distances): (Vec<u32>, Vec<f64>) =
            found.into_iter().zip(self.to_fixed).map(nearer).unzip();
        let loss = distances.iter().enumerate().map(|(row, d)| self.weight(row) * d).sum();
        Ok(KMedoids { medoids, assigned, distances, loss })
    }
}

/// No medoid: the fixed row is nearest.
const FIXED: usize = usize::MAX;

/// Swaps of medoids over a matrix of distances.
struct Pam {
    distances: Vec<Vec<f32>>,
    weights: Vec<f64>,
    caps: Vec<f32>,
    medoids: Vec<usize>,
    near: Vec<Near>,
    /// What the sum grows by when a medoid goes.
    losses: Vec<f64>,
}

/// The nearest medoid of a row, and the distances of the nearest and the second.
#[derive(Clone, Copy)]
struct Near {
    medoid: usize,
    first: f32,
    second: f32,
}

impl Pam {
    fn new(rows: ArrayView2<'_, f32>, weights: Vec<f64>, caps: Vec<f32>, medoids: Vec<usize>) -> Self {
        let unknown = vec![f64::INFINITY; rows.nrows()];
        let to_all = |row: usize| -> Vec<f32> {
            approach(rows, &unknown, row).into_iter().map(|squared| squared.sqrt() as f32).collect()
        };
        let distances = (0..rows.nrows()).into_par_iter().map(to_all).collect();
        let mut pam = Self { distances, weights, caps, medoids, near: Vec::new(), losses: Vec::new() };
        pam.look();
        pam
    }

    fn run(&mut self, max_rounds: usize, progress: &dyn Progress) -> Result<()> {
        let n = self.distances.len();
        let mut unhelpful = 0;
        for round in 0..max_rounds {
            progress.step("k-medoids", round as u64, max_rounds as u64)?;
            for candidate in 0..n {
                unhelpful += 1;
                if unhelpful > n || self.medoids.is_empty() {
                    return Ok(());
                }
                if let Some(slot) = self.helpful_swap(candidate) {
                    self.medoids[slot] = candidate;
                    self.look();
                    unhelpful = 0;
                }
            }
        }
        Ok(())
    }

    /// The medoid to give up for the candidate, where that lowers the sum.
    fn helpful_swap(&self, candidate: usize) -> Option<usize> {
        if self.medoids.contains(&candidate) {
            return None;
        }
        let mut changes = self.losses.clone();
        let mut shared = 0.0;
        for ((to, near), weight) in self.distances[candidate].iter().zip(&self.near).zip(&self.weights) {
            if *to < near.first {
                shared += weight * (f64::from(*to) - finite(near.first));
                if near.medoid != FIXED {
                    changes[near.medoid] += weight * (finite(near.first) - finite(near.second));
                }
            } else if *to < near.second && near.medoid != FIXED {
                changes[near.medoid] += weight * (f64::from(*to) - finite(near.second));
            }
        }
        let best = |best: (usize, f64), next: (usize, f64)| if next.1 < best.1 { next } else { best };
        let (slot, change) = changes.into_iter().enumerate().reduce(best)?;
        let total: f64 = self.near.iter().zip(&self.weights).map(|(near, w)| w * finite(near.first)).sum();
        // A change within the rounding of the sum is none, or swaps could go round in circles.
        (change + shared < -1e-12 * total).then_some(slot)
    }

    /// Finds the nearest and the second of each row anew. O(rows x k), for each swap made.
    fn look(&mut self) {
        let look = |row: usize| {
            let mut near = Near { medoid: FIXED, first: self.caps[row], second: f32::INFINITY };
            for (slot, medoid) in self.medoids.iter().enumerate() {
                let to = self.distances[*medoid][row];
                if to < near.first {
                    near = Near { medoid: slot, first: to, second: near.first };
                } else if to < near.second {
                    near.second = to;
                }
            }
            near
        };
        self.near = (0..self.distances.len()).map(look).collect();
        self.losses = vec![0.0; self.medoids.len()];
        for (near, weight) in self.near.iter().zip(&self.weights) {
            if near.medoid != FIXED {
                self.losses[near.medoid] += weight * (finite(near.second) - f64::from(near.first));
            }
        }
    }
}

/// With one medoid and nothing fixed there is no second: any number serves that is the same on both sides of a swap.
fn finite(distance: f32) -> f64 {
    if distance.is_finite() { f64::from(distance) } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::squared;

    fn rows(seed: u64, n: usize) -> Array2<f32> {
        let s = Seed::new(seed);
        Array2::from_shape_fn((n, 2), |(i, j)| s.normal((2 * i + j) as u64) as f32)
    }

    fn params(k: usize) -> KMedoidsParams {
        KMedoidsParams { k, ..Default::default() }
    }

    fn loss(rows: &Array2<f32>, caps: &[f64], medoids: &[usize]) -> f64 {
        let to = |a: usize, b: usize| {
            squared(rows.row(a).to_slice().unwrap(), rows.row(b).to_slice().unwrap()).sqrt()
        };
        (0..rows.nrows()).map(|row| medoids.iter().map(|m| to(row, *m)).fold(caps[row], f64::min)).sum()
    }

    #[test]
    fn defaults_are_as_documented_and_parameters_are_checked() {
        let p = KMedoidsParams::default();
        assert_eq!((p.k, p.max_rows, p.n_samples, p.max_rounds, p.seed), (8, 8192, 5, 100, 42));
        for (what, p) in [
            ("k", KMedoidsParams { k: 0, ..Default::default() }),
            ("max_rows", KMedoidsParams { max_rows: 0, ..Default::default() }),
            ("n_samples", KMedoidsParams { n_samples: 0, ..Default::default() }),
            ("max_rounds", KMedoidsParams { max_rounds: 0, ..Default::default() }),
        ] {
            assert_eq!(p.check().unwrap_err(), ParamError::AtLeastOne { what });
        }
    }

    #[test]
    fn few_rows_equal_rows_and_bad_rows_are_defined() {
        assert!(params(2).fit(Array2::zeros((0, 2)).view()).unwrap().medoids.is_empty());
        assert_eq!(params(9).fit(array![[1.0], [2.0]].view()).unwrap().medoids, [0, 1]);
        let equal = params(3).fit(Array2::ones((5, 2)).view()).unwrap();
        assert_eq!((equal.medoids.len(), equal.loss), (1, 0.0));
        assert!(params(1).fit(array![[0.0], [f32::NAN]].view()).unwrap_err().to_string().contains("row 1"));
        let outside = params(1).check().unwrap().fit_from(array![[0.0]].view(), &[3]).unwrap_err();
        assert!(matches!(outside, CoresetError::RowOutOfRange { found: 3, expected: 1, .. }));
    }

    #[test]
    fn fixed_rows_serve_their_neighbours() {
        let rows = array![[0.0f32], [0.1], [5.0], [5.1], [5.2]];
        let valid = params(1).check().unwrap();
        let found = valid.fit_given(rows.view(), array![[0.0f32]].view(), None, &Silent).unwrap();
        assert_eq!((found.medoids, found.assigned), (vec![3], vec![1, 1, 0, 0, 0]));
    }

    #[test]
    fn samples_serve_where_rows_are_many() {
        let rows = rows(3, 600);
        let exact = params(5).fit(rows.view()).unwrap();
        let sampled = KMedoidsParams { max_rows: 200, ..params(5) }.fit(rows.view()).unwrap();
        assert!(exact.loss <= sampled.loss * 1.02 && sampled.loss < 1.1 * exact.loss);
    }

    #[test]
    fn any_number_of_threads_gives_the_same() {
        let rows = rows(5, 400);
        let fit = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| params(7).fit(rows.view()).unwrap())
        };
        assert!(fit(1) == fit(2) && fit(1) == fit(16));
    }

    proptest! {
        #[test]
        fn no_single_swap_helps(seed: u64, n in 2usize..40, k in 1usize..5, far in 0.2f64..9.0) {
            let rows = rows(seed, n);
            let fixed = array![[far as f32, 0.0]];
            let valid = params(k).check().unwrap();
            let found = valid.fit_given(rows.view(), fixed.view(), None, &Silent).unwrap();
            let to_fixed = nearest(rows.view(), fixed.view()).unwrap();
            let caps: Vec<f64> = to_fixed.iter().map(|(_, squared)| squared.sqrt()).collect();
            prop_assert!((loss(&rows, &caps, &found.medoids) - found.loss).abs() < 1e-9);
            for slot in 0..found.medoids.len() {
                for row in 0..n {
                    let mut swapped = found.medoids.clone();
                    swapped[slot] = row;
                    prop_assert!(found.loss <= loss(&rows, &caps, &swapped) + 1e-5);
                }
            }
        }

        #[test]
        fn it_comes_close_to_the_best_of_all(seed: u64, n in 4usize..10) {
            let rows = rows(seed, n);
            let caps = vec![f64::INFINITY; n];
            let pairs = (0..n).flat_map(|a| (a + 1..n).map(move |b| [a, b]));
            let best = pairs.map(|pair| loss(&rows, &caps, &pair)).fold(f64::INFINITY, f64::min);
            // One walk may rest where no swap helps and two would: several starts make up for it.
            let walks = (0..12).map(|seed| KMedoidsParams { seed, ..params(2) }.fit(rows.view()).unwrap().loss);
            let found = walks.fold(f64::INFINITY, f64::min);
            prop_assert!(best - 1e-6 <= found && found <= 1.35 * best + 1e-6);
        }
    }
}
