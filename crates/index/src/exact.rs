use ndarray::linalg::general_mat_mul;
use ndarray::{Array2, ArrayView1, ArrayView2, Axis, CowArray, Ix2, Slice};
use rayon::prelude::*;

use crate::checks::checked_norms;
use crate::shortlist::Shortlist;
use crate::{IndexError, Metric, NeighbourIndex, Neighbours, Result, Role, RowFilter};

/// Queries of one block; blocks are what threads share out, and a block never depends on their number.
const QUERY_BLOCK: usize = 64;
/// Pool rows of one matrix product; its result stays in the second-level cache.
const POOL_BLOCK: usize = 1024;

/// Exact nearest neighbours by scanning every allowed row.
///
/// A blocked f32 matrix product finds the rows that may be among the k closest; its rounding error is bounded, and all
/// rows within that bound are scored again in f64 with a fixed order of additions. So the answer is that of the plain
/// definition in f64, equal rows get equal scores, and neither blocks, threads nor filters can change it.
///
/// Search takes O(queries x rows x dimensions) time and O(queries x k + threads x blocks) memory beside the pool.
///
/// ```
/// use labelloop_index::{ExactIndex, Metric, RowFilter};
/// use ndarray::array;
///
/// let pool = array![[1.0, 0.0], [0.0, 1.0], [0.7, 0.7], [2.0, 0.0]];
/// let index = ExactIndex::new(pool.view(), Metric::Cosine)?;
/// let found = index.search(array![[1.0, 0.1]].view(), 2, None)?;
/// assert_eq!(found.ids, array![[0, 3]]); // equally close: the lower row first
///
/// let allowed = RowFilter::from_mask(&[false, true, true, false]);
/// let found = index.search(array![[1.0, 0.1]].view(), 9, Some(&allowed))?;
/// assert_eq!(found.ids, array![[2, 1]]);
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
#[derive(Debug, Clone)]
pub struct ExactIndex {
    pool: Array2<f32>,
    norms: Vec<f64>,
    metric: Metric,
}

impl ExactIndex {
    /// Holds a copy of the rows of `pool` (shape: rows x dimensions). A pool of no rows is fine.
    ///
    /// # Errors
    /// [`IndexError::NoColumns`], [`IndexError::NotFinite`], [`IndexError::TooManyRows`] above 2^32 - 1 rows, and
    /// [`IndexError::ZeroVector`] under [`Metric::Cosine`]; each names the first row at fault.
    pub fn new(pool: ArrayView2<'_, f32>, metric: Metric) -> Result<Self> {
        if u32::try_from(pool.nrows()).is_err() {
            return Err(IndexError::TooManyRows { found: pool.nrows(), expected: u32::MAX as usize });
        }
        let pool = pool.as_standard_layout().into_owned();
        let norms = checked_norms(pool.view(), metric, Role::Pool)?;
        Ok(Self { pool, norms, metric })
    }

    /// The k closest allowed rows of each query (shape: queries x dimensions), closest first, ties by lower row.
    ///
    /// Where fewer than k rows are allowed, all of them come back: the answer has `min(k, allowed rows)` columns. A k
    /// of 0 and a pool without rows give an answer without columns.
    ///
    /// # Errors
    /// [`IndexError::DimensionMismatch`], [`IndexError::NotFinite`], [`IndexError::ZeroVector`] under
    /// [`Metric::Cosine`], and [`IndexError::FilterLength`].
    pub fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        allowed: Option<&RowFilter>,
    ) -> Result<Neighbours> {
        let rows = self.allowed_rows(allowed)?;
        if queries.ncols() != self.pool.ncols() {
            return Err(IndexError::DimensionMismatch {
                found: queries.ncols(),
                expected: self.pool.ncols(),
            });
        }
        let queries = queries.as_standard_layout();
        let query_norms = checked_norms(queries.view(), self.metric, Role::Query)?;
        let scan = Scan::new(self, rows, k);
        let blocks: Vec<Vec<(f64, u32)>> = (0..queries.nrows().div_ceil(QUERY_BLOCK))
            .into_par_iter()
            .map(|b| {
                let range = b * QUERY_BLOCK..queries.nrows().min((b + 1) * QUERY_BLOCK);
                scan.block(queries.slice_axis(Axis(0), Slice::from(range.clone())), &query_norms[range])
            })
            .collect();
        let shape = (queries.nrows(), scan.k);
        let (mut ids, mut scores) = (Array2::zeros(shape), Array2::zeros(shape));
        for ((id, score), found) in ids.iter_mut().zip(&mut scores).zip(blocks.into_iter().flatten()) {
            (*id, *score) = (found.1, found.0 as f32);
        }
        Ok(Neighbours { ids, scores })
    }

    /// The rows held, in standard layout.
    pub(crate) fn pool(&self) -> ArrayView2<'_, f32> {
        self.pool.view()
    }

    /// Euclidean lengths of the rows held.
    pub(crate) fn norms(&self) -> &[f64] {
        &self.norms
    }

    fn allowed_rows(&self, allowed: Option<&RowFilter>) -> Result<Vec<usize>> {
        match allowed {
            None => Ok((0..self.pool.nrows()).collect()),
            Some(filter) => {
                filter.check_len(self.pool.nrows())?;
                Ok(filter.rows().collect())
            }
        }
    }
}

impl NeighbourIndex for ExactIndex {
    fn metric(&self) -> Metric {
        self.metric
    }

    fn n_rows(&self) -> usize {
        self.pool.nrows()
    }

    fn n_dims(&self) -> usize {
        self.pool.ncols()
    }

    fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        allowed: Option<&RowFilter>,
    ) -> Result<Neighbours> {
        ExactIndex::search(self, queries, k, allowed)
    }
}

/// One search over the allowed rows.
struct Scan<'a> {
    metric: Metric,
    k: usize,
    /// Row number in the pool of each row of `vectors`.
    rows: Vec<usize>,
    vectors: CowArray<'a, f32, Ix2>,
    norms: Vec<f64>,
    max_norm: f64,
    /// Whether no product of the pool's rows can overflow or underflow f32 with queries of like size.
    tame: bool,
}

impl<'a> Scan<'a> {
    fn new(index: &'a ExactIndex, rows: Vec<usize>, k: usize) -> Self {
        let all = rows.len() == index.pool.nrows();
        let vectors: CowArray<'a, f32, Ix2> =
            if all { index.pool.view().into() } else { index.pool.select(Axis(0), &rows).into() };
        let norms: Vec<f64> = rows.iter().map(|row| index.norms[*row]).collect();
        let max_norm = norms.iter().copied().fold(0.0, f64::max);
        let tame = norms.iter().all(|n| *n == 0.0 || is_tame(*n));
        Self { metric: index.metric, k: k.min(rows.len()), rows, vectors, norms, max_norm, tame }
    }

    /// Exactly `k` neighbours for each query of the block, one query after the other.
    fn block(&self, queries: ArrayView2<'_, f32>, query_norms: &[f64]) -> Vec<(f64, u32)> {
        let mut lists: Vec<Shortlist> =
            query_norms.iter().map(|n| Shortlist::new(self.k, self.slack(*n))).collect();
        let mut products = Array2::<f32>::zeros((queries.nrows(), POOL_BLOCK));
        for start in (0..self.rows.len()).step_by(POOL_BLOCK) {
            let end = self.rows.len().min(start + POOL_BLOCK);
            let vectors = self.vectors.slice_axis(Axis(0), Slice::from(start..end));
            let mut products = products.slice_axis_mut(Axis(1), Slice::from(..end - start));
            general_mat_mul(1.0, &queries, &vectors.t(), 0.0, &mut products);
            for (list, row) in lists.iter_mut().zip(products.rows()) {
                for (offset, product) in row.iter().enumerate() {
                    list.offer(self.key(*product, start + offset), (start + offset) as u32);
                }
            }
        }
        let queries = queries.rows().into_iter().zip(query_norms);
        lists
            .into_iter()
            .zip(queries)
            .flat_map(|(list, (query, norm))| self.exact(list, query, *norm))
            .collect()
    }

    /// The f32 number that ranks a row for a query: higher is closer.
    #[inline]
    fn key(&self, product: f32, position: usize) -> f32 {
        match self.metric {
            Metric::Cosine => product / self.norms[position] as f32,
            Metric::Dot => product,
            Metric::L2 => {
                let norm = self.norms[position] as f32;
                2.0 * product - norm * norm
            }
        }
    }

    /// How far apart two keys must be for their order to be certain.
    ///
    /// The error of a product of length d is at most `d u |q| |x|` with the unit roundoff `u = 2^-24` (Higham,
    /// Accuracy and Stability of Numerical Algorithms, section 3.1); twice that for two keys, and a few roundings more
    /// for the norms.
    fn slack(&self, query_norm: f64) -> f64 {
        if !(self.tame && (query_norm == 0.0 || is_tame(query_norm))) {
            return f64::INFINITY;
        }
        let size = match self.metric {
            Metric::Cosine => query_norm,
            Metric::Dot => query_norm * self.max_norm,
            Metric::L2 => 2.0 * query_norm * self.max_norm + self.max_norm * self.max_norm,
        };
        (self.vectors.ncols() + 12) as f64 * f64::from(f32::EPSILON) * size + 1e-30
    }

    /// Scores the shortlist by the definition, in f64, and keeps the k closest.
    fn exact(&self, list: Shortlist, query: ArrayView1<'_, f32>, query_norm: f64) -> Vec<(f64, u32)> {
        let sign = if self.metric.higher_is_closer() { -1.0 } else { 1.0 };
        let mut found: Vec<(f64, usize)> = list
            .finish()
            .map(|position| {
                let position = position as usize;
                let score = match (query.as_slice(), self.vectors.row(position).as_slice()) {
                    (Some(q), Some(x)) => self.metric.score_slices(q, x, query_norm, self.norms[position]),
                    // Both arrays are in standard layout, so their rows are slices.
                    _ => f64::NAN,
                };
                (score, self.rows[position])
            })
            .collect();
        found.sort_unstable_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
        found.truncate(self.k);
        found.into_iter().map(|(score, row)| (score, row as u32)).collect()
    }
}

/// Whether products with numbers of this size stay well inside the range of f32.
fn is_tame(norm: f64) -> bool {
    (1e-9..=1e9).contains(&norm)
}
