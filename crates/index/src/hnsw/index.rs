use labelloop_core::{Progress, Seed};
use ndarray::ArrayView2;

use super::audit;
use super::build;
use super::codes::{Codes, Grid, norms};
use super::links::Links;
use super::nodes::Nodes;
use super::params::check_search_beam;
use super::{HnswParamError, HnswParams};
use crate::{ExactIndex, IndexError, Metric, NeighbourIndex, Neighbours, Result, RowFilter};

/// Most rows of an index: one bit of a node's number says that a walk has been there.
const MAX_ROWS: usize = (1 << 31) - 1;
/// Share of deleted rows from which building anew pays: a search then keeps half as many candidates again.
const REBUILD_SHARE: f64 = 1.0 / 3.0;

/// Approximate nearest neighbours by a graph that searches walk along.
///
/// Which rows come back is approximate; their scores and order are not: whatever a walk finds is scored again in f64 by
/// the definition, ties by lower row. A search falls back to the exact scan wherever that is cheaper (small pools, few
/// allowed rows) and for every query whose walk finds fewer rows than were asked for, so an answer is always full.
///
/// Rows that are equal share a node. Rows that no path leads to, and those far from all others, are looked at with every
/// query; a query far from all rows is answered by the exact scan. Building and searching
/// compare whole numbers, so graph and answers are the same on any number of threads and on any machine.
///
/// ```
/// use labelloop_core::Seed;
/// use labelloop_index::{ExactIndex, HnswParams, Metric};
/// use ndarray::Array2;
///
/// let noise = Seed::new(1);
/// let pool = Array2::from_shape_fn((3000, 8), |(i, j)| noise.normal((8 * i + j) as u64) as f32);
/// let mut index = HnswParams::default().build(pool.view(), Metric::L2)?;
/// let queries = pool.slice_axis(ndarray::Axis(0), ndarray::Slice::from(..50));
/// let found = index.search(queries, 10, None)?;
/// assert!((0..50).all(|row| found.ids[[row, 0]] == row as u32));
///
/// index.delete(&[0, 1, 2])?;
/// assert!(index.search(queries, 10, None)?.ids.iter().all(|row| *row > 2));
/// # Ok::<(), labelloop_index::IndexError>(())
/// ```
#[derive(Debug, Clone)]
pub struct HnswIndex {
    pub(super) params: HnswParams,
    pub(super) exact: ExactIndex,
    pub(super) grid: Grid,
    pub(super) nodes: Nodes,
    pub(super) codes: Codes,
    pub(super) links: Links,
    /// Rows that lie off the grid, ascending.
    pub(super) strays: Vec<u32>,
    /// Nodes that no path leads to.
    pub(super) orphans: Vec<u32>,
    /// Rows that were not deleted.
    pub(super) alive: RowFilter,
}

/// What a look over the whole graph found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Audit {
    /// Rows held, deleted ones included.
    pub n_rows: usize,
    /// Nodes of the graph; rows of one code share one.
    pub n_nodes: usize,
    /// Layers of the graph.
    pub n_layers: usize,
    /// Links of the lowest layer.
    pub n_links: usize,
    /// Nodes that no path of the lowest layer leads to from the entry, and that are scanned with every query instead.
    pub n_orphans: usize,
    /// Rows so far from all others that they are compared with every query.
    pub n_strays: usize,
    /// Rows deleted.
    pub n_deleted: usize,
}

impl HnswIndex {
    pub(super) fn build(
        pool: ArrayView2<'_, f32>,
        metric: Metric,
        params: &HnswParams,
        progress: &dyn Progress,
    ) -> Result<Self> {
        let mut index = Self::unlinked(pool, metric, params)?;
        build::link(&index.codes, &mut index.links, params.build_beam, progress)?;
        index.orphans = audit::mend(&index.codes, &mut index.links);
        Ok(index)
    }

    /// All but the graph: the rows, their codes, and which rows share a node.
    pub(super) fn unlinked(pool: ArrayView2<'_, f32>, metric: Metric, params: &HnswParams) -> Result<Self> {
        if pool.nrows() > MAX_ROWS {
            return Err(IndexError::TooManyRows { found: pool.nrows(), expected: MAX_ROWS });
        }
        let exact = ExactIndex::new(pool, metric)?;
        let norms = norms(exact.pool());
        let grid = Grid::fit(exact.pool(), &norms, metric);
        let (codes, strays) = grid.encode(exact.pool(), &norms);
        let nodes = Nodes::group(&codes);
        let codes = if nodes.len() == codes.len() { codes } else { codes.pick(&nodes.first_rows()) };
        let links = Links::new(nodes.len(), params.n_links, Seed::new(params.seed));
        let alive = RowFilter::all(exact.n_rows());
        Ok(Self {
            params: params.clone(),
            exact,
            grid,
            nodes,
            codes,
            links,
            strays,
            orphans: Vec::new(),
            alive,
        })
    }

    /// How it was built, and how wide it searches.
    pub fn params(&self) -> &HnswParams {
        &self.params
    }

    /// Sets how many candidates a search keeps: more find more of the true neighbours and take longer.
    ///
    /// # Errors
    /// [`HnswParamError::SearchBeam`].
    pub fn set_search_beam(&mut self, search_beam: usize) -> Result<(), HnswParamError> {
        check_search_beam(search_beam)?;
        self.params.search_beam = search_beam;
        Ok(())
    }

    /// Takes rows out of all answers to come. They stay in the graph as places to walk through.
    ///
    /// # Errors
    /// [`IndexError::RowOutOfRange`]; nothing is deleted then. Deleting a row twice is fine.
    pub fn delete(&mut self, rows: &[u32]) -> Result<()> {
        let gone = RowFilter::from_rows(self.exact.n_rows(), rows)?;
        self.alive = self.alive.and(&gone.not())?;
        Ok(())
    }

    /// Whether so many rows are deleted that building anew without them pays.
    pub fn wants_rebuild(&self) -> bool {
        let n_rows = self.exact.n_rows();
        REBUILD_SHARE * n_rows as f64 <= (n_rows - self.alive.count()) as f64 && n_rows > 0
    }

    /// Looks the whole graph over. O(rows x links).
    pub fn audit(&self) -> Audit {
        let n_nodes = self.nodes.len();
        Audit {
            n_rows: self.exact.n_rows(),
            n_nodes,
            n_layers: self.links.levels().iter().max().map_or(0, |top| usize::from(*top) + 1),
            n_links: (0..n_nodes as u32).map(|node| self.links.of(0, node).len()).sum(),
            n_orphans: audit::orphans(&self.links).len(),
            n_strays: self.strays.len(),
            n_deleted: self.exact.n_rows() - self.alive.count(),
        }
    }
}

impl NeighbourIndex for HnswIndex {
    fn metric(&self) -> Metric {
        self.exact.metric()
    }

    fn n_rows(&self) -> usize {
        self.exact.n_rows()
    }

    fn n_dims(&self) -> usize {
        self.exact.n_dims()
    }

    fn search(
        &self,
        queries: ArrayView2<'_, f32>,
        k: usize,
        allowed: Option<&RowFilter>,
    ) -> Result<Neighbours> {
        HnswIndex::search(self, queries, k, allowed)
    }
}
