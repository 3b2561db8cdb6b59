//! What searches cost: seconds of one core, fitted to the runs in `docs/benchmarks.md`.
//!
//! They decide between two right ways, so being off by half costs time and nothing else.

use crate::HnswParams;

/// One of many queries against all rows: 100,000 x 128 take 180 microseconds.
pub(crate) fn exact_query(n_rows: usize, n_dims: usize) -> f64 {
    n_rows as f64 * (0.4e-9 + 0.0108e-9 * n_dims as f64)
}

/// One query along a graph of so many rows: over 100,000 x 128 with 16 links, a beam of 64 takes 80 microseconds.
///
/// A walk looks at so many nodes for each place of its beam and of the way there, more in a larger graph.
pub(crate) fn hnsw_query(width: usize, n_links: usize, n_dims: usize, n_rows: usize) -> f64 {
    let depth = (n_rows.max(2) as f64).log2();
    (width as f64 + 10.0) * n_links as f64 * depth * (2.8e-9 + 0.011e-9 * n_dims as f64)
}

/// Building a graph: 26 seconds for 100,000 x 128 with 16 links and a beam of 200.
pub(crate) fn hnsw_build(n_rows: usize, params: &HnswParams, n_dims: usize) -> f64 {
    n_rows as f64 * 1.1 * hnsw_query(params.build_beam, params.n_links, n_dims, n_rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_near_those_measured() {
        let near = |cost: f64, measured: f64| (cost / measured - 1.0).abs() < 0.35;
        assert!(near(exact_query(100_000, 128), 178e-6));
        assert!(near(hnsw_query(16, 16, 128, 100_000), 36e-6));
        assert!(near(hnsw_query(64, 16, 128, 100_000), 78e-6));
        assert!(near(hnsw_query(128, 16, 128, 100_000), 135e-6));
        assert!(near(hnsw_query(64, 16, 384, 50_000), 97e-6));
        assert!(near(hnsw_build(100_000, &HnswParams::default(), 128), 25.3));
    }

    #[test]
    fn few_rows_and_wide_beams_are_cheaper_to_scan() {
        assert!(exact_query(5_000, 128) < hnsw_query(64, 16, 128, 100_000));
        assert!(exact_query(100_000, 128) < hnsw_query(256, 16, 128, 100_000));
        assert!(hnsw_query(64, 16, 768, 1_000_000) < exact_query(1_000_000, 768));
    }
}
