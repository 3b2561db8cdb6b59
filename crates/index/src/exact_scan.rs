use std::ops::Range;

use ndarray::Array2;

use crate::exact_space::{Keyed, Space};
use crate::kernel::{Hit, Kernel, ProductSweep, TILE_QUERIES, TILE_ROWS};
use crate::shortlist::Shortlist;

/// Rows that are laid out in panels at once; with 1,000 dimensions half a megabyte.
const BLOCK: usize = 8 * TILE_ROWS;
/// So few queries are compared with each row where it lies, as laying rows out costs more than it saves.
const FEW: usize = 4;

/// The rows of a scan, in ascending order.
#[derive(Debug, Clone)]
pub(crate) enum Rows {
    /// All of so many.
    All(usize),
    /// These.
    Some(Vec<u32>),
}

impl Rows {
    pub(crate) fn len(&self) -> usize {
        match self {
            Rows::All(n) => *n,
            Rows::Some(rows) => rows.len(),
        }
    }

    pub(crate) fn row(&self, position: usize) -> usize {
        match self {
            Rows::All(_) => position,
            Rows::Some(rows) => rows[position] as usize,
        }
    }
}

/// Some queries of a search, with the rows that may be closest to each.
pub(crate) struct Batch<'a> {
    pub(crate) keyed: &'a Keyed,
    pub(crate) range: Range<usize>,
    pub(crate) lists: Vec<Shortlist>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(keyed: &'a Keyed, range: Range<usize>, k: usize) -> Self {
        let lists = keyed.slack[range.clone()].iter().map(|slack| Shortlist::new(k, *slack)).collect();
        Self { keyed, range, lists }
    }

    /// A query of the batch, brought to size.
    pub(crate) fn query(&self, i: usize) -> &'a [f32] {
        slice_of(&self.keyed.rows, self.range.start + i)
    }

    pub(crate) fn weight(&self, i: usize) -> f32 {
        self.keyed.weight[self.range.start + i]
    }
}

/// Compares f32 products of queries and rows.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Scan<'a> {
    pub(crate) kernel: Kernel,
    pub(crate) space: &'a Space,
    /// The rows that keys are computed of; see [`Space::rows`].
    pub(crate) vectors: &'a Array2<f32>,
}

impl Scan<'_> {
    /// Offers the rows at these positions to every query of the batch.
    pub(crate) fn run(&self, batch: &mut Batch<'_>, rows: &Rows, positions: Range<usize>) {
        if batch.lists.len() <= FEW {
            self.one_by_one(batch, rows, positions);
        } else {
            self.by_tiles(batch, rows, positions);
        }
    }

    /// The key of a row for a query of the batch.
    #[inline]
    pub(crate) fn key(&self, batch: &Batch<'_>, query: usize, row: usize) -> f32 {
        let product = self.kernel.dot(batch.query(query), slice_of(self.vectors, row));
        self.space.scale[row] * product + batch.weight(query) * self.space.bias[row]
    }

    fn one_by_one(&self, batch: &mut Batch<'_>, rows: &Rows, positions: Range<usize>) {
        for row in positions.map(|position| rows.row(position)) {
            for query in 0..batch.lists.len() {
                let key = self.key(batch, query, row);
                batch.lists[query].offer(key, row as u32);
            }
        }
    }

    fn by_tiles(&self, batch: &mut Batch<'_>, rows: &Rows, positions: Range<usize>) {
        let n_dims = self.vectors.ncols();
        let queries = query_panels(batch, n_dims);
        let mut block = Block::new(n_dims);
        let mut hits = Vec::new();
        for start in positions.clone().step_by(BLOCK) {
            block.fill(self, rows, start..positions.end.min(start + BLOCK));
            for (panel, queries) in queries.chunks_exact(TILE_QUERIES * n_dims).enumerate() {
                self.sweep(batch, panel * TILE_QUERIES, queries, &block, &mut hits);
            }
        }
    }

    /// Offers the rows of a block to the queries of one panel.
    fn sweep(
        &self,
        batch: &mut Batch<'_>,
        first: usize,
        queries: &[f32],
        block: &Block,
        hits: &mut Vec<Hit>,
    ) {
        let n_panels = block.rows.len().div_ceil(TILE_ROWS);
        // Lanes beyond the last query want nothing.
        let (mut weight, mut floor) = ([0.0; TILE_QUERIES], [f32::INFINITY; TILE_QUERIES]);
        for (lane, query) in (first..batch.lists.len().min(first + TILE_QUERIES)).enumerate() {
            (weight[lane], floor[lane]) = (batch.weight(query), batch.lists[query].floor());
        }
        hits.clear();
        let panels = &block.panels[..n_panels * TILE_ROWS * block.n_dims];
        let (scale, bias) = (&block.scale, &block.bias);
        let sweep = ProductSweep { queries, panels, n_dims: block.n_dims, scale, bias, weight, floor };
        self.kernel.products(sweep, hits);
        for hit in hits.iter() {
            // Rows beyond the last one, and lanes beyond the last query, are there to fill the tile only.
            if let (Some(row), Some(list)) =
                (block.rows.get(hit.row as usize), batch.lists.get_mut(first + hit.lane as usize))
            {
                list.offer(hit.key, *row);
            }
        }
    }
}

/// Rows laid out for the product: the entries of one dimension of [`TILE_ROWS`] rows next to each other.
struct Block {
    n_dims: usize,
    rows: Vec<u32>,
    panels: Vec<f32>,
    scale: [f32; BLOCK],
    bias: [f32; BLOCK],
}

impl Block {
    fn new(n_dims: usize) -> Self {
        let panels = vec![0.0; BLOCK * n_dims];
        Self { n_dims, rows: Vec::new(), panels, scale: [0.0; BLOCK], bias: [0.0; BLOCK] }
    }

    fn fill(&mut self, scan: &Scan<'_>, rows: &Rows, positions: Range<usize>) {
        self.rows.clear();
        self.rows.extend(positions.map(|position| rows.row(position) as u32));
        for (i, row) in self.rows.iter().map(|row| *row as usize).enumerate() {
            (self.scale[i], self.bias[i]) = (scan.space.scale[row], scan.space.bias[row]);
        }
        let panels = self.panels.chunks_exact_mut(TILE_ROWS * self.n_dims);
        for (rows, panel) in self.rows.chunks(TILE_ROWS).zip(panels) {
            // A last panel that is not full repeats a row; nobody asks for what becomes of it.
            let source: [&[f32]; TILE_ROWS] =
                std::array::from_fn(|i| slice_of(scan.vectors, rows[i.min(rows.len() - 1)] as usize));
            lay_out(source, panel);
        }
    }
}

/// Writes entry k of all rows next to each other, for each k.
fn lay_out<const N: usize>(rows: [&[f32]; N], panel: &mut [f32]) {
    /// So many entries of a row fill a line of the cache.
    const RUN: usize = 16;
    for (start, panel) in panel.chunks_mut(RUN * N).enumerate() {
        for (i, row) in rows.iter().enumerate() {
            let row = &row[start * RUN..];
            for (entry, x) in panel.chunks_exact_mut(N).zip(row) {
                entry[i] = *x;
            }
        }
    }
}

/// The queries of a batch in panels of [`TILE_QUERIES`]; lanes beyond the last query are zeros.
fn query_panels(batch: &Batch<'_>, n_dims: usize) -> Vec<f32> {
    let n_queries = batch.lists.len();
    let zeros = vec![0.0; n_dims];
    let mut panels = vec![0.0; n_queries.div_ceil(TILE_QUERIES) * TILE_QUERIES * n_dims];
    for (panel, first) in panels.chunks_exact_mut(TILE_QUERIES * n_dims).zip((0..).step_by(TILE_QUERIES)) {
        let rows: [&[f32]; TILE_QUERIES] =
            std::array::from_fn(|i| if first + i < n_queries { batch.query(first + i) } else { &zeros });
        lay_out(rows, panel);
    }
    panels
}

/// A row of an array in standard layout, which all arrays of a search are.
pub(crate) fn slice_of(rows: &Array2<f32>, row: usize) -> &[f32] {
    let n_dims = rows.ncols();
    rows.as_slice().map_or(&[], |all| &all[row * n_dims..(row + 1) * n_dims])
}
