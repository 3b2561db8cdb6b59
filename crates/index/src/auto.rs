use labelloop_core::{Progress, Silent};
use ndarray::ArrayView2;

use crate::{
    ExactIndex, HnswIndex, HnswParams, Method, Metric, NeighbourIndex, Neighbours, Plan, Result, RowFilter,
    Workload,
};

/// An index by the method that was asked for, or by the one that a [`plan`](crate::plan) prefers.
///
/// ```
/// use labelloop_index::{AutoIndex, Method, Metric, NeighbourIndex};
/// use ndarray::array;
///
/// let pool = array![[1.0, 0.0], [0.9, 0.1], [0.0, 1.0]];
/// let index = AutoIndex::new(pool.view(), Metric::Cosine, Method::Auto, 1, 2)?;
/// assert_eq!(index.plan().method, Method::Exact);
/// assert_eq!(index.search(array![[0.0, 2.0]].view(), 2, None)?.ids, array![[2, 1]]);
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
#[derive(Debug, Clone)]
pub struct AutoIndex {
    plan: Plan,
    inner: Inner,
}

#[derive(Debug, Clone)]
enum Inner {
    Exact(Box<ExactIndex>),
    Hnsw(Box<HnswIndex>),
}

impl AutoIndex {
    /// Holds a copy of the rows of `pool` for about `n_queries` queries of `k` neighbours each.
    ///
    /// # Errors
    /// Those of [`ExactIndex::new`].
    pub fn new(
        pool: ArrayView2<'_, f32>,
        metric: Metric,
        method: Method,
        n_queries: usize,
        k: usize,
    ) -> Result<Self> {
        Self::with_params(pool, metric, method, (n_queries, k), &HnswParams::default(), &Silent)
    }

    /// [`AutoIndex::new`] with the parameters of the graph, should there be one; `work` is queries and neighbours of each.
    ///
    /// # Errors
    /// Those of [`ExactIndex::new`], of the parameters, and [`IndexError::Cancelled`](crate::IndexError::Cancelled).
    pub fn with_params(
        pool: ArrayView2<'_, f32>,
        metric: Metric,
        method: Method,
        work: (usize, usize),
        params: &HnswParams,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let params = params.check()?;
        let (n_queries, k) = work;
        let work = Workload { n_rows: pool.nrows(), n_dims: pool.ncols(), n_queries, k, is_built: false };
        let mut plan = work.plan(params.params());
        if method != Method::Auto {
            plan.method = method;
            "it was asked for".clone_into(&mut plan.reason);
        }
        let inner = match plan.method {
            Method::Hnsw => Inner::Hnsw(Box::new(params.build(pool, metric, progress)?)),
            _ => Inner::Exact(Box::new(ExactIndex::new(pool, metric)?)),
        };
        Ok(Self { plan, inner })
    }

    /// Which method it is, and why.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The graph, where there is one.
    pub fn hnsw(&self) -> Option<&HnswIndex> {
        match &self.inner {
            Inner::Hnsw(index) => Some(index),
            Inner::Exact(_) => None,
        }
    }

    fn index(&self) -> &dyn NeighbourIndex {
        match &self.inner {
            Inner::Exact(index) => index.as_ref(),
            Inner::Hnsw(index) => index.as_ref(),
        }
    }
}

impl NeighbourIndex for AutoIndex {
    fn metric(&self) -> Metric {
        self.index().metric()
    }

    fn n_rows(&self) -> usize {
        self.index().n_rows()
    }

    fn n_dims(&self) -> usize {
        self.index().n_dims()
    }

    fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        allowed: Option<&RowFilter>,
    ) -> Result<Neighbours> {
        self.index().search(queries, k, allowed)
    }
}
