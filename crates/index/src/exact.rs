use std::ops::Range;
use std::sync::OnceLock;

use ndarray::{Array2, ArrayView2};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::checks::checked_norms;
use crate::exact_codes::Codes;
use crate::exact_prefilter::{Counts, Prefilter};
use crate::exact_scan::{Batch, Rows, Scan, slice_of};
use crate::exact_space::Space;
use crate::kernel::{CODE_ROWS, Kernel};
use crate::metric::Scorer;
use crate::shortlist::Shortlist;
use crate::{IndexError, Metric, NeighbourIndex, Neighbours, Result, Role, RowFilter};

/// Queries of one task at most: enough that laying rows out for them costs little beside the products.
const MOST_QUERIES: usize = 1024;
/// Queries and rows of one task at least, where there are many threads.
const FEWEST_QUERIES: usize = 192;
const FEWEST_ROWS: usize = 4096;
/// Dimensions above which sums of codes could overflow 32 bits.
const MOST_CODED_DIMS: usize = 1 << 16;

/// Whether a search asks 8-bit codes of the rows before it computes products.
///
/// Codes give an upper bound on how close a row can be, at a third of the cost of the product, and only rows whose bound is high
/// enough are looked at. No answer depends on them.
///
/// ```
/// use labelloop_index::{ExactIndex, Metric, UseCodes};
/// use ndarray::Array2;
///
/// let pool = Array2::from_shape_fn((600, 20), |(i, j)| ((i * 7 + j * j * 3) % 101) as f32 - 50.0);
/// let plain = ExactIndex::new(pool.view(), Metric::L2)?.with_codes(UseCodes::Never);
/// let coded = ExactIndex::new(pool.view(), Metric::L2)?.with_codes(UseCodes::Always);
/// assert_eq!(plain.search(pool.view(), 5, None)?, coded.search(pool.view(), 5, None)?);
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UseCodes {
    /// Where they are expected to save more than it costs to make them: from [`ExactIndex::CODES_FROM_QUERIES`] queries at
    /// once, or after [`ExactIndex::prepare`]; with rows, columns and allowed rows enough, and k not too many of them.
    #[default]
    Auto,
    /// Wherever they can be had.
    Always,
    /// Not at all: least memory.
    Never,
}

/// Exact nearest neighbours by scanning every allowed row.
///
/// A blocked f32 matrix product finds the rows that may be among the k closest; its rounding error is bounded, and all
/// rows within that bound are scored again in f64 with a fixed order of additions. So the answer is that of the plain
/// definition in f64, equal rows get equal scores, and neither blocks, threads, machines nor filters can change it.
///
/// Before that, large batches ask 8-bit codes of the rows which ones the product is worth computing of ([`UseCodes`]); the codes
/// bound a row's score from above, so this loses nothing either.
///
/// Search takes O(queries x rows x dimensions) time and O(queries x k + threads x blocks) memory beside the pool; codes take a
/// quarter of the pool's memory.
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
    space: Box<Space>,
    kernel: Kernel,
    codes: OnceLock<Box<Codes>>,
    use_codes: UseCodes,
}

impl ExactIndex {
    /// Queries of one search from which [`UseCodes::Auto`] makes codes.
    pub const CODES_FROM_QUERIES: usize = 512;

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
        let space = Box::new(Space::new(pool.view(), &norms, metric));
        Ok(Self {
            pool,
            norms,
            metric,
            space,
            kernel: Kernel::detect(),
            codes: OnceLock::new(),
            use_codes: UseCodes::default(),
        })
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
        let (queries, norms) = self.checked_queries(queries)?;
        let k = k.min(rows.len());
        let shape = (queries.nrows(), k);
        let search = Search { queries, norms, k, allowed, rows };
        let found = if k == 0 { Vec::new() } else { self.found(&search) };
        let (mut ids, mut scores) = (Array2::zeros(shape), Array2::zeros(shape));
        for ((id, score), found) in ids.iter_mut().zip(&mut scores).zip(found.into_iter().flatten()) {
            (*id, *score) = (found.1, found.0 as f32);
        }
        Ok(Neighbours { ids, scores })
    }

    /// Says whether searches ask codes. [`UseCodes::Auto`] unless told.
    #[must_use]
    pub fn with_codes(mut self, use_codes: UseCodes) -> Self {
        self.use_codes = use_codes;
        self
    }

    /// Makes the codes now, so that searches of few queries use them too. O(rows x dimensions).
    ///
    /// Does nothing under [`UseCodes::Never`], and where rows are too long for codes.
    pub fn prepare(&self) {
        if self.use_codes != UseCodes::Never && self.pool.ncols() <= MOST_CODED_DIMS {
            self.coded();
        }
    }

    /// The rows held, in standard layout.
    pub(crate) fn pool(&self) -> ArrayView2<'_, f32> {
        self.pool.view()
    }

    /// Euclidean lengths of the rows held.
    pub(crate) fn norms(&self) -> &[f64] {
        &self.norms
    }

    fn allowed_rows(&self, allowed: Option<&RowFilter>) -> Result<Rows> {
        let Some(filter) = allowed else { return Ok(Rows::All(self.pool.nrows())) };
        filter.check_len(self.pool.nrows())?;
        Ok(Rows::Some(filter.rows().map(|row| row as u32).collect()))
    }

    /// Queries in standard layout, with their lengths.
    fn checked_queries(&self, queries: ArrayView2<'_, f32>) -> Result<(Array2<f32>, Vec<f64>)> {
        if queries.ncols() != self.pool.ncols() {
            return Err(IndexError::DimensionMismatch {
                found: queries.ncols(),
                expected: self.pool.ncols(),
            });
        }
        let queries = queries.as_standard_layout().into_owned();
        let norms = checked_norms(queries.view(), self.metric, Role::Query)?;
        Ok((queries, norms))
    }

    /// Exactly k neighbours of each query.
    fn found(&self, search: &Search<'_>) -> Vec<Vec<(f64, u32)>> {
        let keyed = self.space.keyed(search.queries.view(), &search.norms);
        let scan = Scan { kernel: self.kernel, space: &self.space, vectors: self.space.rows(&self.pool) };
        let codes = self.codes_for(search);
        let prefilter = codes.map(|codes| Prefilter { scan, codes, allowed: search.allowed });
        let n_rows = if prefilter.is_some() { self.pool.nrows() } else { search.rows.len() };
        let (queries_of, positions_of) = tasks(keyed.rows.nrows(), n_rows);
        let parts: Vec<(Vec<Shortlist>, Counts)> = queries_of
            .par_iter()
            .flat_map(|range| positions_of.par_iter().map(move |positions| (range, positions)))
            .map(|(range, positions)| {
                let mut batch = Batch::new(&keyed, range.clone(), search.k);
                let counts = match &prefilter {
                    Some(prefilter) => prefilter.run(&mut batch, positions.clone()),
                    None => {
                        scan.run(&mut batch, &search.rows, positions.clone());
                        Counts::default()
                    }
                };
                (batch.lists, counts)
            })
            .collect();
        let lists: Vec<Shortlist> = parts.chunks(positions_of.len().max(1)).flat_map(merged).collect();
        let queries = (0..search.queries.nrows()).map(|i| (slice_of(&search.queries, i), search.norms[i]));
        let all: Vec<_> = lists.into_iter().zip(queries).collect();
        all.into_par_iter().map(|(list, (query, norm))| self.exact(list, query, norm, search.k)).collect()
    }

    /// The codes, if this search is to ask them.
    fn codes_for(&self, search: &Search<'_>) -> Option<&Codes> {
        let (n_rows, n_dims) = self.pool.dim();
        let asked = match self.use_codes {
            UseCodes::Never => false,
            UseCodes::Always => true,
            UseCodes::Auto => {
                let made = self.codes.get().is_some() || Self::CODES_FROM_QUERIES <= search.queries.nrows();
                // Short rows cost hardly more than their codes; few rows or many neighbours make a low floor.
                let large = 32_768 <= n_rows && 64 <= n_dims && search.k <= n_rows / 256;
                // Codes are read of all rows, products computed of the allowed ones only.
                made && large && 2 * n_rows <= 5 * search.rows.len()
            }
        };
        (asked && n_dims <= MOST_CODED_DIMS).then(|| self.coded())
    }

    fn coded(&self) -> &Codes {
        self.codes.get_or_init(|| Box::new(Codes::new(&self.space, self.space.rows(&self.pool))))
    }

    /// Scores the shortlist by the definition, in f64, and keeps the k closest.
    fn exact(&self, list: Shortlist, query: &[f32], query_norm: f64, k: usize) -> Vec<(f64, u32)> {
        let sign = if self.metric.higher_is_closer() { -1.0 } else { 1.0 };
        let scorer = Scorer::new(self.metric, query, query_norm);
        let mut found: Vec<(f64, u32)> = list
            .finish()
            .map(|row| {
                let at = row as usize;
                (scorer.score(slice_of(&self.pool, at), self.norms[at]), row)
            })
            .collect();
        found.sort_unstable_by(|a, b| (sign * a.0).total_cmp(&(sign * b.0)).then(a.1.cmp(&b.1)));
        found.truncate(k);
        found
    }
}

/// A search that fits its index.
struct Search<'a> {
    queries: Array2<f32>,
    norms: Vec<f64>,
    k: usize,
    allowed: Option<&'a RowFilter>,
    /// The rows allowed.
    rows: Rows,
}

/// What several parts of the rows had to offer to the same queries, taken together.
fn merged(parts: &[(Vec<Shortlist>, Counts)]) -> Vec<Shortlist> {
    let Some((first, rest)) = parts.split_first() else { return Vec::new() };
    let mut all = first.0.clone();
    for (part, _) in rest {
        all.iter_mut().zip(part).for_each(|(list, other)| list.merge(other.clone()));
    }
    all
}

/// Ranges of queries and of rows, each pair of which is a task of its own.
///
/// Which they are depends on the number of threads, but no answer depends on them.
fn tasks(n_queries: usize, n_rows: usize) -> (Vec<Range<usize>>, Vec<Range<usize>>) {
    let n_threads = rayon::current_num_threads();
    let n_batches =
        n_queries.div_ceil(MOST_QUERIES).max(n_threads.min(n_queries.div_ceil(FEWEST_QUERIES))).max(1);
    let n_parts = n_threads.div_ceil(n_batches).min(n_rows.div_ceil(FEWEST_ROWS)).max(1);
    (split(n_queries, n_batches), split(n_rows, n_parts))
}

fn split(n: usize, parts: usize) -> Vec<Range<usize>> {
    // Ranges begin where a group of codes does.
    let size = n.div_ceil(parts).next_multiple_of(CODE_ROWS);
    (0..n.div_ceil(size.max(1))).map(|i| i * size..n.min((i + 1) * size)).collect()
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
