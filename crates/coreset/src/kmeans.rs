use labelloop_core::{Progress, Seed, Silent};
use labelloop_index::{ExactIndex, Metric};
use ndarray::{Array2, ArrayView1, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checks::{check_given, check_rows, check_weights};
use crate::geometry::squared;
use crate::seeding::Seeding;
use crate::{ParamError, Result};

/// Clusters around means: k-means++ seeding (Arthur and Vassilvitskii 2007), then Lloyd's iterations.
///
/// Each iteration gives every row to its nearest center by a blocked matrix product whose close calls are decided in f64,
/// so that any number of threads gives the same bits. Centers are means in f64, kept as f32. O(rows x k x dimensions) an
/// iteration.
///
/// ```
/// use labelloop_coreset::KMeansParams;
/// use ndarray::array;
///
/// let rows = array![[0.0], [0.2], [9.0], [9.2], [9.4]];
/// let found = KMeansParams { k: 2, ..Default::default() }.fit(rows.view())?;
/// assert_eq!(found.assigned[0], found.assigned[1]);
/// assert_ne!(found.assigned[0], found.assigned[4]);
/// assert!((found.inertia - 0.1).abs() < 1e-6);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KMeansParams {
    /// Centers. Default 8.
    pub k: usize,
    /// Most iterations. Default 100.
    pub max_iterations: usize,
    /// Iterations end when the centers' squared shifts add up to at most this share of the mean variance of the columns.
    /// Default 1e-4.
    pub tolerance: f64,
    /// Draws for each new center, of which the best is taken (greedy k-means++); 0, the default, stands for `2 + ln k`.
    pub n_trials: usize,
    /// Seedings, of which the one that ends best is taken. Default 1.
    pub n_starts: usize,
    /// Where draws come from. Default 42.
    pub seed: u64,
}

impl Default for KMeansParams {
    fn default() -> Self {
        Self { k: 8, max_iterations: 100, tolerance: 1e-4, n_trials: 0, n_starts: 1, seed: 42 }
    }
}

/// [`KMeansParams`] that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeansValidParams(KMeansParams);

/// Centers and which row belongs to which.
#[derive(Debug, Clone, PartialEq)]
pub struct KMeans {
    /// The centers that were looked for (shape: k x dimensions); fewer where rows have fewer distinct values.
    pub centers: Array2<f32>,
    /// The center of each row; numbers from `centers.nrows()` on are fixed centers, in their order.
    pub assigned: Vec<u32>,
    /// Squared Euclidean distance of each row to its center.
    pub squared: Vec<f64>,
    /// The sum of these, times the weights where there are weights.
    pub inertia: f64,
    /// Iterations made.
    pub n_iterations: usize,
    /// Whether the centers came to rest.
    pub converged: bool,
}

impl KMeansParams {
    /// Checks every parameter.
    ///
    /// # Errors
    /// [`ParamError::AtLeastOne`] and [`ParamError::Tolerance`].
    pub fn check(&self) -> Result<KMeansValidParams, ParamError> {
        for (what, value) in
            [("k", self.k), ("max_iterations", self.max_iterations), ("n_starts", self.n_starts)]
        {
            if value == 0 {
                return Err(ParamError::AtLeastOne { what });
            }
        }
        if !(0.0 <= self.tolerance && self.tolerance.is_finite()) {
            return Err(ParamError::Tolerance { found: self.tolerance });
        }
        Ok(KMeansValidParams(self.clone()))
    }

    /// [`KMeansValidParams::fit`] after a check.
    ///
    /// # Errors
    /// Those of the check and of the verb.
    pub fn fit(&self, rows: ArrayView2<'_, f32>) -> Result<KMeans> {
        self.check()?.fit(rows, &Silent)
    }
}

impl KMeansValidParams {
    /// The parameters.
    pub fn params(&self) -> &KMeansParams {
        &self.0
    }

    /// Clusters rows (shape: rows x dimensions). No rows give no centers.
    ///
    /// # Errors
    /// [`CoresetError::NotFinite`](crate::CoresetError::NotFinite),
    /// [`CoresetError::NoColumns`](crate::CoresetError::NoColumns) and
    /// [`CoresetError::Cancelled`](crate::CoresetError::Cancelled).
    pub fn fit(&self, rows: ArrayView2<'_, f32>, progress: &dyn Progress) -> Result<KMeans> {
        let none = Array2::zeros((0, rows.ncols()));
        self.fit_given(rows, none.view(), None, progress)
    }

    /// Clusters rows around k centers beside fixed ones: labelled rows, each the middle of what it says already.
    ///
    /// A row of weight 0 moves no center. `weights` has one entry for each row.
    ///
    /// # Errors
    /// As [`fit`](Self::fit), and [`CoresetError::DimensionMismatch`](crate::CoresetError::DimensionMismatch),
    /// [`CoresetError::LengthMismatch`](crate::CoresetError::LengthMismatch),
    /// [`CoresetError::Weight`](crate::CoresetError::Weight).
    pub fn fit_given(
        &self,
        rows: ArrayView2<'_, f32>,
        fixed: ArrayView2<'_, f32>,
        weights: Option<&[f64]>,
        progress: &dyn Progress,
    ) -> Result<KMeans> {
        check_rows(rows, "embeddings")?;
        check_given(rows, fixed, "fixed centers")?;
        weights.map_or(Ok(()), |weights| check_weights(weights, rows.nrows()))?;
        let rows = rows.as_standard_layout();
        let nearest_fixed = nearest(rows.view(), fixed)?;
        let lloyd = Lloyd { params: &self.0, rows: rows.view(), weights, nearest_fixed, progress };
        let mut best: Option<KMeans> = None;
        for start in 0..self.0.n_starts {
            let found = lloyd.run(Seed::new(self.0.seed).stream("k-means").stream(&start.to_string()))?;
            if best.as_ref().is_none_or(|best| found.inertia < best.inertia) {
                best = Some(found);
            }
        }
        Ok(best.unwrap_or_else(|| lloyd.nothing()))
    }
}

/// The nearest center of each row and its squared distance; ties go to the lower center.
pub(crate) fn nearest(rows: ArrayView2<'_, f32>, centers: ArrayView2<'_, f32>) -> Result<Vec<(u32, f64)>> {
    if centers.nrows() == 0 || rows.nrows() == 0 {
        return Ok(vec![(0, f64::INFINITY); rows.nrows()]);
    }
    let (rows, centers) = (rows.as_standard_layout(), centers.as_standard_layout());
    let found = ExactIndex::new(centers.view(), Metric::L2)?.search(rows.view(), 1, None)?;
    let with_distance = |row: usize| {
        let center = found.ids[[row, 0]];
        let to = centers.row(center as usize);
        (center, squared(slice(rows.row(row)), slice(to)))
    };
    Ok((0..rows.nrows()).into_par_iter().with_min_len(256).map(with_distance).collect())
}

/// Rows of arrays in standard layout are slices; the callers make them so.
fn slice(row: ArrayView1<'_, f32>) -> &[f32] {
    row.to_slice().unwrap_or_default()
}

struct Lloyd<'a> {
    params: &'a KMeansParams,
    rows: ArrayView2<'a, f32>,
    weights: Option<&'a [f64]>,
    nearest_fixed: Vec<(u32, f64)>,
    progress: &'a dyn Progress,
}

impl Lloyd<'_> {
    fn run(&self, seed: Seed) -> Result<KMeans> {
        let to_fixed = self.nearest_fixed.iter().map(|(_, squared)| *squared).collect();
        let seeds = Seeding::new(self.rows, self.weights, to_fixed, seed).draw(
            self.params.k,
            self.params.n_trials,
            self.progress,
        )?;
        let mut centers = self.rows.select(Axis(0), &seeds);
        if seeds.is_empty() {
            return Ok(self.nothing());
        }
        let at_rest = self.params.tolerance * mean_variance(self.rows);
        let most = self.params.max_iterations;
        let (mut assigned, mut n_iterations, mut converged) = (self.assign(&centers)?, 0, false);
        while n_iterations < most && !converged {
            self.progress.step("k-means", n_iterations as u64, most as u64)?;
            let moved = self.means(&assigned, &centers);
            let shift: f64 = moved.rows().into_iter().zip(centers.rows()).map(|(m, c)| distance(m, c)).sum();
            centers = moved;
            let again = self.assign(&centers)?;
            converged = shift <= at_rest || again.iter().zip(&assigned).all(|(a, b)| a.0 == b.0);
            assigned = again;
            n_iterations += 1;
        }
        Ok(self.result(centers, assigned, n_iterations, converged))
    }

    /// The nearest of all centers, fixed ones counted after the others and preferred in a tie, since nothing is gained.
    fn assign(&self, centers: &Array2<f32>) -> Result<Vec<(u32, f64)>> {
        let moving = nearest(self.rows, centers.view())?;
        let k = centers.nrows() as u32;
        let nearer = |(moving, fixed): ((u32, f64), &(u32, f64))| {
            if moving.1 < fixed.1 { moving } else { (k + fixed.0, fixed.1) }
        };
        Ok(moving.into_iter().zip(&self.nearest_fixed).map(nearer).collect())
    }

    /// The mean of each center's rows, summed in the order of rows. A center without weight goes to the row that is
    /// farthest from its own.
    fn means(&self, assigned: &[(u32, f64)], centers: &Array2<f32>) -> Array2<f32> {
        let mut members = vec![Vec::new(); centers.nrows()];
        for (row, (center, _)) in assigned.iter().enumerate() {
            if let Some(members) = members.get_mut(*center as usize) {
                members.push(row);
            }
        }
        let weight = |row: usize| self.weights.map_or(1.0, |weights| weights[row]);
        let mean = |members: &Vec<usize>| -> Option<Vec<f32>> {
            let total: f64 = members.iter().map(|row| weight(*row)).sum();
            let mut sums = vec![0.0f64; self.rows.ncols()];
            for row in members {
                let weight = weight(*row);
                sums.iter_mut().zip(self.rows.row(*row)).for_each(|(s, v)| *s += weight * f64::from(*v));
            }
            (0.0 < total).then(|| sums.into_iter().map(|s| (s / total) as f32).collect())
        };
        let means: Vec<Option<Vec<f32>>> = members.par_iter().map(mean).collect();
        let mut farthest = Farthest::new(assigned, means.iter().filter(|m| m.is_none()).count());
        let mut moved = centers.clone();
        for (mut center, mean) in moved.rows_mut().into_iter().zip(means) {
            match (mean, farthest.rows.pop()) {
                (Some(mean), unused) => {
                    farthest.rows.extend(unused);
                    center.iter_mut().zip(mean).for_each(|(c, m)| *c = m);
                }
                (None, Some(row)) => center.assign(&self.rows.row(row)),
                (None, None) => {}
            }
        }
        moved
    }

    fn result(
        &self,
        centers: Array2<f32>,
        assigned: Vec<(u32, f64)>,
        n_iterations: usize,
        converged: bool,
    ) -> KMeans {
        let weight = |row: usize| self.weights.map_or(1.0, |weights| weights[row]);
        let inertia = assigned.iter().enumerate().map(|(row, (_, d))| weight(row) * d).sum();
        let (assigned, squared) = assigned.into_iter().unzip();
        KMeans { centers, assigned, squared, inertia, n_iterations, converged }
    }

    /// Where every row is a fixed center, or there are no rows: nothing to move.
    fn nothing(&self) -> KMeans {
        self.result(Array2::zeros((0, self.rows.ncols())), self.nearest_fixed.clone(), 0, true)
    }
}

/// Rows far from their centers, the farthest last; a row that lies on its center is none.
struct Farthest {
    rows: Vec<usize>,
}

impl Farthest {
    fn new(assigned: &[(u32, f64)], n: usize) -> Self {
        if n == 0 {
            return Self { rows: Vec::new() };
        }
        let mut rows: Vec<usize> = (0..assigned.len()).filter(|row| 0.0 < assigned[*row].1).collect();
        rows.sort_unstable_by(|a, b| assigned[*b].1.total_cmp(&assigned[*a].1).then(a.cmp(b)));
        rows.truncate(n);
        rows.reverse();
        Self { rows }
    }
}

fn distance(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>) -> f64 {
    a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum()
}

/// The variance of the columns, on average.
fn mean_variance(rows: ArrayView2<'_, f32>) -> f64 {
    let n = rows.nrows() as f64;
    let columns: Vec<ArrayView1<'_, f32>> = rows.columns().into_iter().collect();
    let variance = |column: &ArrayView1<'_, f32>| {
        let mean = column.iter().map(|v| f64::from(*v)).sum::<f64>() / n;
        column.iter().map(|v| (f64::from(*v) - mean).powi(2)).sum::<f64>() / n
    };
    let variances: Vec<f64> = columns.par_iter().map(variance).collect();
    variances.iter().sum::<f64>() / variances.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::CoresetError;

    fn rows(seed: u64, n: usize, d: usize, clusters: usize) -> Array2<f32> {
        let s = Seed::new(seed);
        Array2::from_shape_fn((n, d), |(i, j)| {
            let center = 5.0 * s.stream("center").normal((s.below(i as u64, clusters) * d + j) as u64);
            (center + s.stream("row").normal((i * d + j) as u64)) as f32
        })
    }

    fn params(k: usize) -> KMeansParams {
        KMeansParams { k, tolerance: 0.0, ..Default::default() }
    }

    #[test]
    fn defaults_are_as_documented() {
        let p = KMeansParams::default();
        assert_eq!((p.k, p.max_iterations, p.tolerance), (8, 100, 1e-4));
        assert_eq!((p.n_trials, p.n_starts, p.seed), (0, 1, 42));
    }

    #[test]
    fn parameters_are_checked_one_by_one() {
        let bad = |p: KMeansParams| p.check().unwrap_err();
        assert_eq!(bad(KMeansParams { k: 0, ..Default::default() }), ParamError::AtLeastOne { what: "k" });
        let none = KMeansParams { max_iterations: 0, ..Default::default() };
        assert_eq!(bad(none), ParamError::AtLeastOne { what: "max_iterations" });
        let none = KMeansParams { n_starts: 0, ..Default::default() };
        assert_eq!(bad(none), ParamError::AtLeastOne { what: "n_starts" });
        for tolerance in [-1.0, f64::NAN, f64::INFINITY] {
            let e = bad(KMeansParams { tolerance, ..Default::default() });
            assert!(matches!(e, ParamError::Tolerance { .. }));
        }
    }

    #[test]
    fn few_rows_equal_rows_and_bad_rows_are_defined() {
        assert_eq!(params(3).fit(Array2::zeros((0, 2)).view()).unwrap().centers.nrows(), 0);
        let one = params(3).fit(array![[1.0, 2.0]].view()).unwrap();
        assert_eq!((one.centers, one.inertia), (array![[1.0, 2.0]], 0.0));
        let equal = params(3).fit(Array2::ones((9, 2)).view()).unwrap();
        assert_eq!((equal.centers.nrows(), equal.inertia, equal.converged), (1, 0.0, true));
        let two = params(5).fit(array![[0.0], [1.0], [1.0]].view()).unwrap();
        assert_eq!((two.centers.nrows(), two.inertia), (2, 0.0));
        let e = params(1).fit(array![[0.0], [f32::NAN]].view()).unwrap_err();
        assert!(e.to_string().contains("row 1"), "{e}");
        assert_eq!(params(1).fit(Array2::zeros((1, 0)).view()).unwrap_err(), CoresetError::NoColumns);
    }

    #[test]
    fn fixed_centers_keep_their_rows() {
        let rows = array![[0.0f32], [0.1], [5.0], [5.2], [9.0]];
        let fixed = array![[0.0f32], [9.0]];
        let found = params(1).check().unwrap().fit_given(rows.view(), fixed.view(), None, &Silent).unwrap();
        assert_eq!(found.assigned, [1, 1, 0, 0, 2]);
        assert!((found.centers[[0, 0]] - 5.1).abs() < 1e-6);
        let all = params(2).check().unwrap().fit_given(fixed.view(), fixed.view(), None, &Silent).unwrap();
        assert_eq!((all.centers.nrows(), all.assigned), (0, vec![0, 1]));
    }

    #[test]
    fn weights_draw_the_centers() {
        let rows = array![[0.0f32], [1.0]];
        let valid = params(1).check().unwrap();
        let none = Array2::zeros((0, 1));
        let found = valid.fit_given(rows.view(), none.view(), Some(&[3.0, 1.0]), &Silent).unwrap();
        assert_eq!((found.centers, found.inertia), (array![[0.25]], 0.75));
        let weightless = valid.fit_given(rows.view(), none.view(), Some(&[0.0, 0.0]), &Silent).unwrap();
        assert_eq!(weightless.inertia, 0.0);
        assert!(valid.fit_given(rows.view(), none.view(), Some(&[1.0]), &Silent).is_err());
        assert!(valid.fit_given(rows.view(), none.view(), Some(&[1.0, -1.0]), &Silent).is_err());
        assert!(valid.fit_given(rows.view(), array![[1.0f32, 2.0]].view(), None, &Silent).is_err());
    }

    #[test]
    fn any_number_of_threads_gives_the_same() {
        let rows = rows(4, 3000, 16, 12);
        let fit = |n: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| KMeansParams { k: 20, ..Default::default() }.fit(rows.view()).unwrap())
        };
        let one = fit(1);
        assert!(fit(2) == one && fit(16) == one);
    }

    #[test]
    fn huge_and_tiny_rows_stay_numbers() {
        for size in [f32::MAX, 1e30, 1e-30] {
            let found = params(2).fit(array![[size], [-size], [0.0]].view()).unwrap();
            assert!(found.inertia.is_finite() && found.centers.iter().all(|v| v.is_finite()), "{size}");
        }
    }

    proptest! {
        #[test]
        fn it_ends_where_lloyd_rests(seed: u64, n in 1usize..60, k in 1usize..7) {
            let rows = rows(seed, n, 3, 4);
            let found = params(k).fit(rows.view()).unwrap();
            prop_assert!(found.converged);
            let centers = &found.centers;
            for (row, assigned) in found.assigned.iter().enumerate() {
                let own = distance(rows.row(row), centers.row(*assigned as usize));
                prop_assert!(centers.rows().into_iter().all(|c| own <= distance(rows.row(row), c) + 1e-9));
                prop_assert!((found.squared[row] - own).abs() <= 1e-9 * own.max(1.0));
            }
            for (c, center) in centers.rows().into_iter().enumerate() {
                let members: Vec<usize> = (0..n).filter(|row| found.assigned[*row] as usize == c).collect();
                if members.is_empty() {
                    continue;
                }
                let mean = rows.select(Axis(0), &members).mapv(f64::from).mean_axis(Axis(0)).unwrap();
                prop_assert!(center.iter().zip(&mean).all(|(c, m)| (f64::from(*c) - m).abs() < 1e-5));
            }
        }

        #[test]
        fn many_starts_come_close_to_the_best_partition(seed: u64, n in 3usize..8) {
            let rows = rows(seed, n, 2, 3);
            let best = (1u32..(1 << n) - 1).map(|mask| {
                let part = |bit: u32| {
                    let members: Vec<usize> = (0..n).filter(|i| mask >> i & 1 == bit).collect();
                    let part = rows.select(Axis(0), &members).mapv(f64::from);
                    let mean = part.mean_axis(Axis(0)).unwrap();
                    (&part - &mean).mapv(|v| v * v).sum()
                };
                part(0) + part(1)
            }).fold(f64::INFINITY, f64::min);
            let found = KMeansParams { n_starts: 20, ..params(2) }.fit(rows.view()).unwrap();
            prop_assert!(best - 1e-4 <= found.inertia && found.inertia <= 1.5 * best + 1e-4);
        }
    }
}
