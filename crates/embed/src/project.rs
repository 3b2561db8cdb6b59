use labelloop_core::{Progress, Seed};
use ndarray::{Array2, ArrayView2, Axis};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::projection::project_2d;
use crate::{EmbedError, ParamError, Result, tsne};

/// Rows that t-SNE needs.
const MIN_ROWS: usize = 4;

/// How vectors are laid out in the plane.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "method")]
#[non_exhaustive]
pub enum ProjectionMethod {
    /// The two principal components: distances along them are true, everything else is lost.
    #[default]
    Pca,
    /// t-SNE: who is near whom is kept; how far heaps are from each other and how large they are says nothing.
    TSne(TSneParams),
}

/// Parameters of t-SNE.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TSneParams {
    /// About how many neighbours count for each row. With fewer rows than three times as many (and one), a third of the
    /// rows that there are besides it. Default: 30.
    pub perplexity: f64,
    /// Steps. Default: 1000.
    pub n_iterations: u32,
    /// Rows fitted on at most; of more, as many are drawn by the seed and the others are placed. Time grows with its
    /// square. Default: 3000.
    pub max_rows: usize,
    /// Fitted rows that a row which is not fitted on is placed by. Default: 5.
    pub n_anchors: usize,
}

impl Default for TSneParams {
    fn default() -> Self {
        Self { perplexity: 30.0, n_iterations: 1000, max_rows: 3000, n_anchors: 5 }
    }
}

/// What to project by, before it is checked.
///
/// ```
/// use labelloop_embed::{ProjectionMethod, ProjectionParams, TSneParams};
///
/// let tsne = TSneParams { perplexity: 0.5, ..Default::default() };
/// let params = ProjectionParams { method: ProjectionMethod::TSne(tsne), ..Default::default() };
/// assert_eq!(params.check().unwrap_err().to_string(), "perplexity 0.5: expected 1 to 1000");
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProjectionParams {
    /// PCA or t-SNE. Default: PCA.
    pub method: ProjectionMethod,
    /// Where the draw of rows comes from, when there are too many. Default: 0.
    pub seed: Seed,
}

impl Default for ProjectionParams {
    fn default() -> Self {
        Self { method: ProjectionMethod::Pca, seed: Seed::new(0) }
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ProjectionValidParams(ProjectionParams);

impl ProjectionParams {
    /// # Errors
    /// [`ParamError::Projection`] naming the first parameter out of range.
    pub fn check(self) -> Result<ProjectionValidParams, ParamError> {
        if let ProjectionMethod::TSne(tsne) = self.method {
            let limits = [
                ("perplexity", tsne.perplexity, 1.0, 1000.0),
                ("n_iterations", f64::from(tsne.n_iterations), 1.0, 100_000.0),
                ("max_rows", tsne.max_rows as f64, MIN_ROWS as f64, 20_000.0),
                ("n_anchors", tsne.n_anchors as f64, 1.0, 1000.0),
            ];
            for (name, found, least, most) in limits {
                if !(least <= found && found <= most) {
                    return Err(ParamError::Projection { name, found, least, most });
                }
            }
        }
        Ok(ProjectionValidParams(self))
    }

    /// [`check`](Self::check) and [`ProjectionValidParams::project`].
    ///
    /// # Errors
    /// As both.
    #[expect(clippy::needless_pass_by_value, reason = "views are passed by value at crate boundaries")]
    pub fn project(
        self,
        rows: ArrayView2<'_, f32>,
        fit_on: &[usize],
        progress: &dyn Progress,
    ) -> Result<Projection> {
        self.check()?.project(rows, fit_on, progress)
    }
}

/// Rows in the plane.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct Projection {
    /// Two coordinates for each row.
    pub plane: Array2<f64>,
    /// Whether the row took part in the fit; the others were placed by those that did.
    pub is_fitted: Vec<bool>,
    /// Perplexity as it was used, for t-SNE.
    pub perplexity: Option<f64>,
    /// Kullback-Leibler divergence at the end, for t-SNE; lower is better among runs on the same rows.
    pub divergence: Option<f64>,
}

impl ProjectionValidParams {
    /// Lays rows out in the plane, looking only at those of `fit_on` (row numbers, in any order): give the rows that may be
    /// looked at and never test samples, or the picture has seen them.
    ///
    /// Shapes: `n x n_dims` to `n x 2`. PCA is [`project_2d`]: all rows are projected on directions of the fitted ones.
    /// t-SNE has no directions: rows that are not fitted on are placed at the mean of their `n_anchors` nearest fitted rows
    /// (Euclidean, in the input), weighted by one over the distance, or on top of those that they equal. Nothing about
    /// such a row moves a fitted one.
    ///
    /// The same rows give the same bytes at any number of threads. t-SNE starts from PCA, and scale and heaps' distances
    /// are its own. Equal rows come to lie near each other; rows that are all equal give zeros.
    ///
    /// Cost of t-SNE: `O(n_fit² (n_dims + n_iterations))` for the fit, `O(n_rest n_fit n_dims)` for the rest; memory
    /// `O(n_fit perplexity)` and a copy of the rows fitted on.
    ///
    /// ```
    /// use labelloop_core::Silent;
    /// use labelloop_embed::{ProjectionMethod, ProjectionParams, TSneParams};
    /// use ndarray::Array2;
    ///
    /// // Two heaps; the last row is not looked at and placed in its heap.
    /// let rows = Array2::from_shape_fn((21, 3), |(i, j)| ((i % 2) * 50 + (i * (j + 3)) % 7) as f32);
    /// let fit_on: Vec<usize> = (0..20).collect();
    /// let tsne = ProjectionMethod::TSne(TSneParams { perplexity: 3.0, ..Default::default() });
    /// let map = ProjectionParams { method: tsne, ..Default::default() }.project(rows.view(), &fit_on, &Silent)?;
    /// let apart = |a: usize, b: usize| (&map.plane.row(a) - &map.plane.row(b)).mapv(|d| d * d).sum();
    /// assert!(apart(20, 0) < apart(20, 1));
    /// assert!(!map.is_fitted[20]);
    /// # Ok::<(), labelloop_embed::EmbedError>(())
    /// ```
    ///
    /// # Errors
    /// Those of [`project_2d`], [`EmbedError::RowOutOfRange`] for a row that there is not or that comes twice, fewer than 4
    /// rows for t-SNE, [`EmbedError::Cancelled`].
    #[expect(clippy::needless_pass_by_value, reason = "views are passed by value at crate boundaries")]
    pub fn project(
        &self,
        rows: ArrayView2<'_, f32>,
        fit_on: &[usize],
        progress: &dyn Progress,
    ) -> Result<Projection> {
        let mut fit_on = fit_on.to_vec();
        fit_on.sort_unstable();
        let twice = fit_on.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]);
        let beyond = fit_on.last().copied().filter(|row| rows.nrows() <= *row);
        if let Some(row) = twice.or(beyond) {
            return Err(EmbedError::RowOutOfRange { row, n_rows: rows.nrows() });
        }
        let mut is_fitted = vec![false; rows.nrows()];
        match self.0.method {
            ProjectionMethod::Pca => {
                let plane = project_2d(rows.select(Axis(0), &fit_on).view(), rows)?;
                fit_on.iter().for_each(|row| is_fitted[*row] = true);
                Ok(Projection { plane, is_fitted, perplexity: None, divergence: None })
            }
            ProjectionMethod::TSne(params) => {
                if fit_on.len() < MIN_ROWS {
                    return Err(EmbedError::TooFewRows { found: fit_on.len(), expected: MIN_ROWS });
                }
                let drawn = drawn(fit_on, params.max_rows, self.0.seed);
                drawn.iter().for_each(|row| is_fitted[*row] = true);
                let fit = rows.select(Axis(0), &drawn);
                // Checks all rows, of which those that are not fitted on are not used yet.
                let start = project_2d(fit.view(), rows)?.select(Axis(0), &drawn);
                let perplexity = params.perplexity.min((drawn.len() - 1) as f64 / 3.0);
                let fitted = tsne::fit(&fit.view(), &start, perplexity, params.n_iterations, progress)?;
                let plane = placed(&rows, &drawn, &fitted.plane, params.n_anchors);
                let divergence = Some(fitted.divergence);
                Ok(Projection { plane, is_fitted, perplexity: Some(perplexity), divergence })
            }
        }
    }
}

/// Rows to fit on, in order: all, or as many as may be, drawn by the seed.
fn drawn(fit_on: Vec<usize>, max_rows: usize, seed: Seed) -> Vec<usize> {
    if fit_on.len() <= max_rows {
        return fit_on;
    }
    let chance = seed.stream("rows of a projection");
    let mut order = fit_on;
    order.sort_by_key(|row| (chance.bits(*row as u64), *row));
    order.truncate(max_rows);
    order.sort_unstable();
    order
}

/// Fitted rows where they are, the others by their nearest fitted ones.
fn placed(
    rows: &ArrayView2<'_, f32>,
    fitted: &[usize],
    fitted_plane: &Array2<f64>,
    n_anchors: usize,
) -> Array2<f64> {
    let numbers: Vec<Vec<f32>> = fitted.iter().map(|row| rows.row(*row).to_vec()).collect();
    let place = |row: usize| -> [f64; 2] {
        if let Ok(at) = fitted.binary_search(&row) {
            return [fitted_plane[[at, 0]], fitted_plane[[at, 1]]];
        }
        let near = tsne::nearest(&rows.row(row).to_vec(), numbers.iter().enumerate(), n_anchors);
        let is_copy = near.first().is_some_and(|(squared, _)| *squared == 0.0);
        let (mut total, mut sum) = (0.0, [0.0, 0.0]);
        for (squared, at) in near {
            let weight = match (is_copy, squared == 0.0) {
                (true, equal) => f64::from(u8::from(equal)),
                (false, _) => 1.0 / f64::from(squared).sqrt(),
            };
            total += weight;
            sum = [0, 1].map(|axis| sum[axis] + weight * fitted_plane[[at, axis]]);
        }
        sum.map(|v| v / total)
    };
    let places: Vec<[f64; 2]> = (0..rows.nrows()).into_par_iter().map(place).collect();
    Array2::from_shape_fn((rows.nrows(), 2), |(row, axis)| places[row][axis])
}

#[cfg(test)]
mod tests {
    use labelloop_core::Silent;
    use proptest::prelude::*;

    use super::*;

    /// Heaps in `d` dimensions, row `i` in heap `i % n_heaps`.
    fn heaps(seed: u64, n: usize, d: usize, n_heaps: usize) -> Array2<f32> {
        let (noise, middle) = (Seed::new(seed), Seed::new(seed).stream("middles"));
        Array2::from_shape_fn((n, d), |(i, j)| {
            (10.0 * middle.normal(((i % n_heaps) * d + j) as u64) + noise.normal((i * d + j) as u64)) as f32
        })
    }

    fn tsne(params: TSneParams) -> ProjectionParams {
        ProjectionParams { method: ProjectionMethod::TSne(params), ..Default::default() }
    }

    fn quick() -> TSneParams {
        TSneParams { perplexity: 10.0, n_iterations: 300, ..Default::default() }
    }

    fn project(params: ProjectionParams, rows: &Array2<f32>, n_fit: usize) -> Result<Projection> {
        params.project(rows.view(), &(0..n_fit).collect::<Vec<_>>(), &Silent)
    }

    /// Share of rows whose nearest row in the plane is of the same heap.
    fn kept(plane: &Array2<f64>, n_heaps: usize) -> f64 {
        let n = plane.nrows();
        let nearest = |i: usize| {
            let far = |j: usize| (&plane.row(i) - &plane.row(j)).mapv(|d| d * d).sum();
            (0..n).filter(|j| *j != i).min_by(|a, b| far(*a).total_cmp(&far(*b))).unwrap()
        };
        (0..n).filter(|i| nearest(*i) % n_heaps == i % n_heaps).count() as f64 / n as f64
    }

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        let TSneParams { perplexity, n_iterations, max_rows, n_anchors } = TSneParams::default();
        assert_eq!((perplexity, n_iterations, max_rows, n_anchors), (30.0, 1000, 3000, 5));
        assert_eq!(ProjectionParams::default().method, ProjectionMethod::Pca);
        assert!(tsne(TSneParams::default()).check().is_ok());
    }

    fn refuses(name: &str, params: TSneParams) {
        let refused = tsne(params).check().unwrap_err();
        assert!(matches!(refused, ParamError::Projection { name: n, .. } if n == name), "{refused}");
    }

    #[test]
    fn perplexities_out_of_range_are_refused() {
        for perplexity in [0.9, 1001.0, f64::NAN] {
            refuses("perplexity", TSneParams { perplexity, ..quick() });
        }
    }

    #[test]
    fn numbers_of_steps_out_of_range_are_refused() {
        for n_iterations in [0, 100_001] {
            refuses("n_iterations", TSneParams { n_iterations, ..quick() });
        }
    }

    #[test]
    fn numbers_of_rows_out_of_range_are_refused() {
        for max_rows in [3, 20_001] {
            refuses("max_rows", TSneParams { max_rows, ..quick() });
        }
    }

    #[test]
    fn numbers_of_anchors_out_of_range_are_refused() {
        for n_anchors in [0, 1001] {
            refuses("n_anchors", TSneParams { n_anchors, ..quick() });
        }
    }

    #[test]
    fn parameters_read_from_a_file_are_checked_too() {
        let text = r#"{"method": {"method": "t_sne", "perplexity": 0.1}, "seed": 3}"#;
        let params: ProjectionParams = serde_json::from_str(text).unwrap();
        assert!(params.check().is_err());
        let back = serde_json::to_string(&tsne(quick())).unwrap();
        assert_eq!(serde_json::from_str::<ProjectionParams>(&back).unwrap(), tsne(quick()));
    }

    #[test]
    fn pca_is_that_of_the_rows_fitted_on() {
        let rows = heaps(1, 30, 6, 3);
        let found = project(ProjectionParams::default(), &rows, 20).unwrap();
        let fit = rows.select(Axis(0), &(0..20).collect::<Vec<_>>());
        assert_eq!(found.plane, project_2d(fit.view(), rows.view()).unwrap());
        assert_eq!(found.is_fitted.iter().filter(|f| **f).count(), 20);
    }

    #[test]
    fn heaps_stay_heaps() {
        let rows = heaps(2, 150, 20, 5);
        let found = project(tsne(quick()), &rows, 150).unwrap();
        assert!(0.99 <= kept(&found.plane, 5), "{}", kept(&found.plane, 5));
    }

    #[test]
    fn rows_that_are_not_fitted_on_change_nothing_and_land_in_their_heap() {
        let rows = heaps(3, 120, 10, 4);
        let alone =
            project(tsne(quick()), &rows.select(Axis(0), &(0..100).collect::<Vec<_>>()), 100).unwrap();
        let among = project(tsne(quick()), &rows, 100).unwrap();
        assert_eq!(among.plane.select(Axis(0), &(0..100).collect::<Vec<_>>()), alone.plane);
        assert!(among.is_fitted[..100].iter().all(|f| *f) && among.is_fitted[100..].iter().all(|f| !f));
        assert!(0.99 <= kept(&among.plane, 4));
    }

    #[test]
    fn copies_of_fitted_rows_lie_on_them() {
        let rows = heaps(4, 40, 6, 2);
        let more = ndarray::concatenate![Axis(0), rows, rows.select(Axis(0), &[7])];
        let found = project(tsne(quick()), &more, 40).unwrap();
        assert_eq!(found.plane.row(40), found.plane.row(7));
    }

    #[test]
    fn one_thread_and_four_give_the_same_bytes() {
        let rows = heaps(5, 90, 12, 3);
        let found = [1, 4].map(|n| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            pool.install(|| project(tsne(quick()), &rows, 80).unwrap())
        });
        assert_eq!(found[0], found[1]);
    }

    #[test]
    fn too_many_rows_are_drawn_by_the_seed_and_the_rest_is_placed() {
        let rows = heaps(6, 200, 8, 4);
        let params = TSneParams { max_rows: 80, ..quick() };
        let found = [1, 1, 2].map(|seed| {
            project(ProjectionParams { seed: Seed::new(seed), ..tsne(params) }, &rows, 200).unwrap()
        });
        assert_eq!(found[0].is_fitted.iter().filter(|f| **f).count(), 80);
        assert_eq!(found[0], found[1]);
        assert_ne!(found[0].is_fitted, found[2].is_fitted);
        assert!(0.98 <= kept(&found[0].plane, 4));
    }

    #[test]
    fn few_rows_lower_the_perplexity() {
        let found = project(tsne(TSneParams::default()), &heaps(7, 31, 5, 2), 31).unwrap();
        assert_eq!(found.perplexity, Some(10.0));
        let found = project(tsne(TSneParams::default()), &heaps(7, 4, 5, 2), 4).unwrap();
        assert_eq!(found.perplexity, Some(1.0));
        assert!(found.plane.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn fewer_than_four_rows_are_refused() {
        let refused = project(tsne(quick()), &heaps(1, 9, 5, 2), 3).unwrap_err();
        assert!(matches!(refused, EmbedError::TooFewRows { found: 3, expected: 4 }), "{refused}");
    }

    #[test]
    fn rows_that_there_are_not_or_that_come_twice_are_refused() {
        let rows = heaps(1, 9, 5, 2);
        for fit_on in [[0, 1, 2, 9], [0, 1, 1, 2]] {
            let refused = tsne(quick()).project(rows.view(), &fit_on, &Silent).unwrap_err();
            assert!(matches!(refused, EmbedError::RowOutOfRange { n_rows: 9, .. }), "{refused}");
        }
    }

    #[test]
    fn constant_rows_are_zeros_and_copies_do_no_harm() {
        let constant = Array2::from_elem((20, 3), 7.5);
        assert_eq!(project(tsne(quick()), &constant, 15).unwrap().plane, Array2::<f64>::zeros((20, 2)));
        let mut rows = heaps(8, 60, 4, 2);
        for i in 0..30 {
            let first = rows.row(0).to_owned();
            rows.row_mut(i).assign(&first);
        }
        let found = project(tsne(quick()), &rows, 60).unwrap();
        assert!(found.plane.iter().all(|v| v.is_finite()));
    }

    #[test]
    fn a_wish_to_end_is_heard() {
        struct Stop;
        impl Progress for Stop {
            fn advance(&self, _: &str, _: u64, _: u64) {}
            fn is_cancelled(&self) -> bool {
                true
            }
        }
        let rows = heaps(9, 20, 4, 2);
        let refused = tsne(quick()).project(rows.view(), &(0..20).collect::<Vec<_>>(), &Stop).unwrap_err();
        assert!(matches!(refused, EmbedError::Cancelled(_)));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn any_rows_give_finite_points(
            numbers in proptest::collection::vec(prop_oneof![Just(0.0f32), -1e18..1e18f32, -1.0..1.0f32], 3 * 12), n_fit in 4..12usize,
        ) {
            let rows = Array2::from_shape_vec((12, 3), numbers).unwrap();
            let params = TSneParams { n_iterations: 60, ..quick() };
            let found = project(tsne(params), &rows, n_fit).unwrap();
            prop_assert!(found.plane.iter().all(|v| v.is_finite()), "{:?}", found.plane);
        }
    }
}
