use ndarray::{Array2, ArrayView2};

use crate::{Metric, Result, RowFilter};

/// The answer to a search: one row for each query, closest neighbour first.
#[derive(Debug, Clone, PartialEq)]
pub struct Neighbours {
    /// Row numbers in the pool, shape queries x k.
    pub ids: Array2<u32>,
    /// Scores in the sense of the index's [`Metric`], shape queries x k.
    pub scores: Array2<f32>,
}

impl Neighbours {
    /// Number of queries.
    pub fn n_queries(&self) -> usize {
        self.ids.nrows()
    }

    /// Neighbours of each query: the k asked for, or fewer where the pool has fewer rows that may be returned.
    pub fn k(&self) -> usize {
        self.ids.ncols()
    }

    /// Row numbers and scores of one query's neighbours, closest first; empty for a query that there is not.
    ///
    /// ```
    /// use labelloop_index::{ExactIndex, Metric};
    /// use ndarray::array;
    ///
    /// let index = ExactIndex::new(array![[0.0], [5.0]].view(), Metric::L2)?;
    /// let found = index.search(array![[4.0]].view(), 2, None)?;
    /// assert_eq!(found.of(0).collect::<Vec<_>>(), [(1, 1.0), (0, 4.0)]);
    /// assert_eq!(found.of(7).count(), 0);
    /// # Ok::<(), labelloop_index::IndexError>(())
    /// ```
    pub fn of(&self, query: usize) -> impl Iterator<Item = (u32, f32)> + '_ {
        let known = query < self.n_queries();
        let k = if known { self.k() } else { 0 };
        (0..k).map(move |j| (self.ids[[query, j]], self.scores[[query, j]]))
    }
}

/// Anything that finds nearest neighbours among rows it holds.
///
/// [`ExactIndex`](crate::ExactIndex) is one; an approximate index can stand in for it wherever a function takes
/// `&dyn NeighbourIndex`.
///
/// ```
/// use labelloop_index::{ExactIndex, Metric, NeighbourIndex};
/// use ndarray::array;
///
/// fn closest(index: &dyn NeighbourIndex) -> u32 {
///     index.search(array![[1.0, 0.2]].view(), 1, None).unwrap().ids[[0, 0]]
/// }
/// let index = ExactIndex::new(array![[0.0, 1.0], [1.0, 0.0]].view(), Metric::Cosine)?;
/// assert_eq!(closest(&index), 1);
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
pub trait NeighbourIndex: Sync {
    /// How closeness is measured.
    fn metric(&self) -> Metric;

    /// Rows held.
    fn n_rows(&self) -> usize;

    /// Length of each row.
    fn n_dims(&self) -> usize;

    /// The k closest allowed rows of each query, closest first, ties by lower row.
    ///
    /// `allowed` is for the rows held; `None` allows all. Fewer than k columns come back where fewer rows
    /// are allowed.
    ///
    /// # Errors
    /// [`IndexError`](crate::IndexError) for queries or filters that do not fit.
    fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        allowed: Option<&RowFilter>,
    ) -> Result<Neighbours>;
}
