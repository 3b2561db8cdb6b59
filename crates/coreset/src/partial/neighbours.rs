use labelloop_index::{ExactIndex, Metric, NeighbourIndex};
use ndarray::{Array2, ArrayView2, Axis};

use super::{Partial, PartialError, Shard};
use crate::Result;

/// The k nearest rows of each query, the rows being spread over shards.
///
/// The lists are those of [`ExactIndex::search`] over the whole: closest first by the score in `f64`, ties by lower row.
///
/// ```
/// use labelloop_coreset::Metric;
/// use labelloop_coreset::partial::{NeighbourLists, Partial, Shard, over};
/// use ndarray::array;
///
/// let lists = NeighbourLists::new(array![[1.0, 0.1]].view(), 2, Metric::Cosine)?;
/// let (head, tail) = (array![[0.0, 1.0], [1.0, 0.0]], array![[2.0, 0.0]]);
/// let shards = [Shard::new(tail.view(), 2)?, Shard::new(head.view(), 0)?];
/// let found = over(&lists, &shards)?.finish()?;
/// assert_eq!(found[0].iter().map(|(row, _)| *row).collect::<Vec<_>>(), [1, 2]);
/// # Ok::<(), labelloop_coreset::CoresetError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct NeighbourLists {
    pub(super) queries: Array2<f32>,
    pub(super) metric: Metric,
    pub(super) k: usize,
    /// By query: row and score, closest first.
    pub(super) lists: Vec<Vec<(u32, f64)>>,
}

impl NeighbourLists {
    /// Asks for the `k` nearest rows of each query (shape: queries x dimensions).
    ///
    /// # Errors
    /// [`CoresetError::Index`](crate::CoresetError::Index) for queries that an index refuses.
    pub fn new(queries: ArrayView2<'_, f32>, k: usize, metric: Metric) -> Result<Self> {
        // An empty index checks queries as any other does.
        ExactIndex::new(Array2::zeros((0, queries.ncols())).view(), metric)?.search(queries, k, None)?;
        let queries = queries.as_standard_layout().into_owned();
        let lists = vec![Vec::new(); queries.nrows()];
        Ok(Self { queries, metric, k, lists })
    }

    fn keep(&mut self, query: usize, found: impl IntoIterator<Item = (u32, f64)>) {
        let (k, metric) = (self.k, self.metric);
        let list = &mut self.lists[query];
        list.extend(found);
        list.sort_unstable_by(|a, b| by_closeness(metric, a, b));
        list.truncate(k);
    }
}

/// Closest first, ties by lower row.
pub(super) fn by_closeness(metric: Metric, a: &(u32, f64), b: &(u32, f64)) -> std::cmp::Ordering {
    let sign = if metric.higher_is_closer() { -1.0 } else { 1.0 };
    (sign * a.1).total_cmp(&(sign * b.1)).then(a.0.cmp(&b.0))
}

impl Partial for NeighbourLists {
    type Input<'a> = Shard<'a>;
    /// By query: row and score, closest first; fewer than k where there are fewer rows.
    type Output = Vec<Vec<(u32, f64)>>;

    fn observe(&mut self, shard: Shard<'_>) -> Result<()> {
        shard.expect_columns(self.queries.ncols())?;
        if shard.n_rows() == 0 {
            return Ok(());
        }
        let order = shard.ascending();
        let sorted = order.as_ref().map(|order| shard.rows().select(Axis(0), order));
        let rows = sorted.as_ref().map_or(shard.rows(), |sorted| sorted.view());
        let at = |i: usize| order.as_ref().map_or(i, |order| order[i]);
        let found =
            NeighbourIndex::search(&ExactIndex::new(rows, self.metric)?, self.queries.view(), self.k, None)?;
        for query in 0..found.n_queries() {
            // The index rounds scores to f32; merging needs the numbers it ordered them by.
            let asked = self.queries.row(query).to_owned();
            let list: Vec<(u32, f64)> = found
                .of(query)
                .map(|(i, _)| {
                    (shard.id(at(i as usize)), self.metric.score(asked.view(), rows.row(i as usize)))
                })
                .collect();
            self.keep(query, list);
        }
        Ok(())
    }

    fn merge(&mut self, other: Self) -> Result<()> {
        let is_like = self.k == other.k && self.metric == other.metric && self.queries == other.queries;
        if !is_like {
            return Err(PartialError::Incompatible { what: "queries, k or metric" }.into());
        }
        other.lists.into_iter().enumerate().for_each(|(query, list)| self.keep(query, list));
        Ok(())
    }

    fn finish(self) -> Result<Self::Output> {
        Ok(self.lists)
    }
}
