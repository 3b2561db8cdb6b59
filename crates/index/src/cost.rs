//! What searches cost: seconds of one core, by constants measured as `docs/benchmarks.md` says.
//!
//! They decide between two right ways, so being off by half costs time and nothing else.

use crate::HnswParams;

/// One of many queries against all rows.
pub(crate) fn exact_query(n_rows: usize, n_dims: usize) -> f64 {
    n_rows as f64 * (2e-9 + 0.02e-9 * n_dims as f64)
}

/// One query along a graph of so many rows.
pub(crate) fn hnsw_query(width: usize, n_links: usize, n_dims: usize, n_rows: usize) -> f64 {
    let depth = (n_rows.max(2) as f64).log2();
    width as f64 * n_links as f64 * depth * (3e-9 + 0.02e-9 * n_dims as f64)
}

/// Building a graph.
pub(crate) fn hnsw_build(n_rows: usize, params: &HnswParams, n_dims: usize) -> f64 {
    n_rows as f64 * 1.3 * hnsw_query(params.build_beam, params.n_links, n_dims, n_rows)
}
