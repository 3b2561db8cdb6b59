//! Searches against the definition, against hand-made cases and against themselves.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_core::Seed;
use labelloop_index::{ExactIndex, IndexError, Metric, NeighbourIndex, Neighbours, Role, RowFilter};
use ndarray::{Array2, array};
use proptest::prelude::*;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn noise(seed: u64, n_rows: usize, n_dims: usize) -> Array2<f32> {
    let seed = Seed::new(seed);
    Array2::from_shape_fn((n_rows, n_dims), |(i, j)| seed.normal((i * n_dims + j) as u64) as f32)
}

/// Scores every pair in f64 and sorts them all.
fn by_definition(
    pool: &Array2<f32>,
    queries: &Array2<f32>,
    k: usize,
    metric: Metric,
    allowed: impl Fn(usize) -> bool,
) -> Vec<Vec<u32>> {
    let sign = if metric.higher_is_closer() { -1.0 } else { 1.0 };
    let neighbours = |query| {
        let mut all: Vec<(f64, usize)> = (0..pool.nrows())
            .filter(|row| allowed(*row))
            .map(|row| (sign * metric.score(query, pool.row(row)), row))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        all.into_iter().take(k).map(|(_, row)| row as u32).collect()
    };
    queries.rows().into_iter().map(neighbours).collect()
}

fn ids(found: &Neighbours) -> Vec<Vec<u32>> {
    found.ids.rows().into_iter().map(|r| r.to_vec()).collect()
}

#[test]
fn answers_are_those_of_the_definition_across_blocks() {
    let (pool, queries) = (noise(1, 3000, 17), noise(2, 150, 17));
    for metric in METRICS {
        let index = ExactIndex::new(pool.view(), metric).unwrap();
        let found = index.search(queries.view(), 13, None).unwrap();
        assert_eq!(ids(&found), by_definition(&pool, &queries, 13, metric, |_| true), "{metric:?}");
        assert_eq!((found.n_queries(), found.k()), (150, 13));
    }
}

#[test]
fn scores_are_in_the_sense_of_the_metric() {
    let index = ExactIndex::new(array![[3.0, 4.0], [0.0, 1.0]].view(), Metric::L2).unwrap();
    let found = index.search(array![[0.0, 0.0]].view(), 2, None).unwrap();
    assert_eq!((found.ids, found.scores), (array![[1, 0]], array![[1.0, 5.0]]));
    let index = ExactIndex::new(array![[3.0, 4.0], [0.0, 1.0]].view(), Metric::Dot).unwrap();
    let found = index.search(array![[1.0, 1.0]].view(), 2, None).unwrap();
    assert_eq!((found.ids, found.scores), (array![[0, 1]], array![[7.0, 1.0]]));
}

#[test]
fn a_filter_is_applied_before_the_search() {
    let (pool, queries) = (noise(3, 2500, 8), noise(4, 5, 8));
    let allowed: Vec<bool> = (0..2500).map(|row| row % 50 == 7).collect();
    let index = ExactIndex::new(pool.view(), Metric::Cosine).unwrap();
    let found = index.search(queries.view(), 20, Some(&RowFilter::from(&allowed))).unwrap();
    let expected = by_definition(&pool, &queries, 20, Metric::Cosine, |row| allowed[row]);
    assert_eq!(ids(&found), expected);
}

#[test]
fn ties_go_to_the_lower_row_also_where_thousands_are_equal() {
    let pool = Array2::from_elem((5000, 3), 0.1f32);
    for metric in METRICS {
        let index = ExactIndex::new(pool.view(), metric).unwrap();
        let found = index.search(array![[0.3, 0.2, 0.1]].view(), 4, None).unwrap();
        assert_eq!(found.ids, array![[0, 1, 2, 3]], "{metric:?}");
    }
}

#[test]
fn threads_do_not_change_a_bit() {
    let (pool, queries) = (noise(5, 2000, 31), noise(6, 300, 31));
    let index = ExactIndex::new(pool.view(), Metric::L2).unwrap();
    let with = |n| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        threads.install(|| index.search(queries.view(), 10, None).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(7));
}

#[test]
fn k_beyond_the_pool_gives_the_whole_pool() {
    let index = ExactIndex::new(array![[1.0], [2.0]].view(), Metric::L2).unwrap();
    assert_eq!(index.search(array![[2.0]].view(), 100, None).unwrap().ids, array![[1, 0]]);
    assert_eq!(index.search(array![[2.0]].view(), 100, Some(&RowFilter::none(2))).unwrap().ids.dim(), (1, 0));
    assert_eq!(index.search(array![[2.0]].view(), 0, None).unwrap().ids.dim(), (1, 0));
}

#[test]
fn empty_pools_and_no_queries_are_fine() {
    let index = ExactIndex::new(Array2::zeros((0, 3)).view(), Metric::Cosine).unwrap();
    assert_eq!(index.search(Array2::ones((2, 3)).view(), 5, None).unwrap().ids.dim(), (2, 0));
    assert_eq!((index.n_rows(), index.n_dims(), index.metric()), (0, 3, Metric::Cosine));
    let index = ExactIndex::new(array![[1.0]].view(), Metric::Dot).unwrap();
    assert_eq!(index.search(Array2::zeros((0, 1)).view(), 5, None).unwrap().ids.dim(), (0, 1));
}

#[test]
fn zero_vectors_have_no_cosine() {
    let pool = array![[1.0, 0.0], [0.0, 0.0]];
    assert_eq!(
        ExactIndex::new(pool.view(), Metric::Cosine).unwrap_err(),
        IndexError::ZeroVector { role: Role::Pool, row: 1 }
    );
    assert!(ExactIndex::new(pool.view(), Metric::L2).is_ok());
    let index = ExactIndex::new(array![[1.0, 0.0]].view(), Metric::Cosine).unwrap();
    let error = index.search(array![[0.0, 0.0]].view(), 1, None).unwrap_err();
    assert_eq!(error, IndexError::ZeroVector { role: Role::Query, row: 0 });
}

#[test]
fn bad_numbers_and_shapes_are_named() {
    let nan = array![[1.0, 2.0], [1.0, f32::NAN]];
    assert!(matches!(
        ExactIndex::new(nan.view(), Metric::Dot),
        Err(IndexError::NotFinite { role: Role::Pool, row: 1, column: 1, .. })
    ));
    assert!(matches!(
        ExactIndex::new(Array2::zeros((3, 0)).view(), Metric::Dot),
        Err(IndexError::NoColumns { role: Role::Pool })
    ));
    let index = ExactIndex::new(array![[1.0, 2.0]].view(), Metric::Dot).unwrap();
    assert!(matches!(
        index.search(array![[1.0]].view(), 1, None),
        Err(IndexError::DimensionMismatch { found: 1, expected: 2 })
    ));
    assert!(matches!(
        index.search(nan.view(), 1, None),
        Err(IndexError::NotFinite { role: Role::Query, row: 1, column: 1, .. })
    ));
    assert!(matches!(
        index.search(array![[1.0, 1.0]].view(), 1, Some(&RowFilter::none(0))),
        Err(IndexError::FilterLength { found: 0, expected: 1 })
    ));
}

#[test]
fn sizes_beyond_f32_products_are_still_exact() {
    let pool = array![[1e30f32, 0.0], [2e30, 1e30], [1e-30, 1e-30], [1e30, 1e29]];
    let queries = array![[1e30f32, 1e28], [1e-30, 0.0]];
    for metric in METRICS {
        let index = ExactIndex::new(pool.view(), metric).unwrap();
        let found = index.search(queries.view(), 4, None).unwrap();
        assert_eq!(ids(&found), by_definition(&pool, &queries, 4, metric, |_| true), "{metric:?}");
    }
}

#[test]
fn a_large_offset_does_not_hide_small_distances() {
    // In f32 the expansion |x|^2 - 2 q.x + |q|^2 has no digit left for these distances.
    let pool = array![[10000.0f32, 0.003], [10000.0, 0.001], [10000.0, 0.002]];
    let index = ExactIndex::new(pool.view(), Metric::L2).unwrap();
    assert_eq!(index.search(array![[10000.0, 0.0]].view(), 3, None).unwrap().ids, array![[1, 2, 0]]);
}

#[test]
fn a_transposed_view_is_read_by_its_meaning() {
    let columns = noise(9, 6, 40);
    let index = ExactIndex::new(columns.t(), Metric::L2).unwrap();
    let found = index.search(columns.t(), 1, None).unwrap();
    assert_eq!(found.ids.column(0).to_vec(), (0..40).collect::<Vec<u32>>());
}

proptest! {
    #[test]
    fn any_small_search_agrees_with_the_definition(
        seed in any::<u64>(), n_rows in 1usize..60, n_dims in 1usize..6, k in 0usize..70, grain in 1u32..4,
    ) {
        // A coarse grid makes ties and duplicates common; adding 50 keeps vectors away from zero.
        let coarse = |a: Array2<f32>| a.mapv(|v| (v * grain as f32).round() + 50.0);
        let (pool, queries) = (coarse(noise(seed, n_rows, n_dims)), coarse(noise(seed ^ 1, 3, n_dims)));
        for metric in METRICS {
            let found = ExactIndex::new(pool.view(), metric).unwrap().search(queries.view(), k, None).unwrap();
            prop_assert_eq!(ids(&found), by_definition(&pool, &queries, k, metric, |_| true));
        }
    }
}
