//! Neighbours as faiss and scikit-learn find them; see `golden/SOURCE.md`.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_index::{ExactIndex, Metric, UseCodes};
use ndarray::Array2;
use serde::Deserialize;

#[derive(Deserialize)]
struct Golden {
    rows: usize,
    queries: usize,
    dims: usize,
    k: usize,
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    metric: Metric,
    ids: Vec<Vec<u32>>,
    scores: Vec<Vec<f64>>,
    /// Whether two of the neighbours, or the last and the next, have equal scores.
    tied: Vec<bool>,
}

/// The formula of `conformance/neighbours_reference.py`.
fn vectors(n: usize, dims: usize, salt: u32) -> Array2<f32> {
    Array2::from_shape_fn((n, dims), |(i, j)| {
        let mut mixed = (i as u32).wrapping_mul(73_856_093) ^ (j as u32).wrapping_mul(19_349_663) ^ salt;
        mixed = (mixed ^ (mixed >> 16)).wrapping_mul(0x7FEB_352D);
        mixed = (mixed ^ (mixed >> 15)).wrapping_mul(0x846C_A68B);
        mixed ^= mixed >> 16;
        (mixed % 257) as f32 / 8.0 - 16.0
    })
}

#[test]
fn neighbours_are_those_of_faiss_and_scikit_learn() {
    let golden: Golden = serde_json::from_str(include_str!("golden/neighbours.json")).unwrap();
    let (pool, queries) =
        (vectors(golden.rows, golden.dims, 1), vectors(golden.queries, golden.dims, 900_001));
    let mut n_compared = 0;
    for case in &golden.cases {
        for codes in [UseCodes::Never, UseCodes::Always] {
            let index = ExactIndex::new(pool.view(), case.metric).unwrap().with_codes(codes);
            let found = index.search(queries.view(), golden.k, None).unwrap();
            for query in 0..golden.queries {
                if !case.tied[query] {
                    assert_eq!(found.ids.row(query).to_vec(), case.ids[query], "{:?} {query}", case.metric);
                    n_compared += 1;
                }
                for (found, expected) in found.scores.row(query).iter().zip(&case.scores[query]) {
                    let error = (f64::from(*found) - expected).abs();
                    assert!(error <= 2e-6 * expected.abs(), "{:?} {query} {found} {expected}", case.metric);
                }
            }
        }
    }
    // The number may only rise.
    assert!(n_compared >= 200, "{n_compared}");
}
