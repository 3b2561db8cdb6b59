//! What is promised of the graph, with walks forced where a search would scan.

use labelloop_core::{Cancelled, Progress, Seed};
use ndarray::{Array2, ArrayView2, Axis, Slice, array, concatenate};
use proptest::prelude::*;

use super::{HnswIndex, HnswParams, audit};
use crate::{ExactIndex, IndexError, Metric, NeighbourIndex, Neighbours, Role, RowFilter};

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn noise(seed: u64, n_rows: usize, n_dims: usize) -> Array2<f32> {
    let seed = Seed::new(seed);
    Array2::from_shape_fn((n_rows, n_dims), |(i, j)| seed.normal((i * n_dims + j) as u64) as f32)
}

/// Fifty crowds.
fn crowds(seed: u64, n_rows: usize, n_dims: usize) -> Array2<f32> {
    let (centres, spread) = (noise(1, 50, n_dims), noise(seed, n_rows, n_dims));
    Array2::from_shape_fn((n_rows, n_dims), |(i, j)| centres[[i % 50, j]] + 0.4 * spread[[i, j]])
}

fn build(pool: &Array2<f32>, metric: Metric) -> HnswIndex {
    HnswParams::default().build(pool.view(), metric).unwrap()
}

fn recall(found: &Neighbours, truth: &Neighbours) -> f64 {
    let pairs = found.ids.rows().into_iter().zip(truth.ids.rows());
    let hits: usize = pairs.map(|(f, t)| f.iter().filter(|id| t.iter().any(|x| x == *id)).count()).sum();
    hits as f64 / truth.ids.len() as f64
}

#[test]
fn recall_stays_above_its_floor() {
    let (pool, queries) = (crowds(2, 6000, 24), crowds(3, 200, 24));
    for metric in METRICS {
        let truth = ExactIndex::new(pool.view(), metric).unwrap().search(queries.view(), 10, None).unwrap();
        let found = build(&pool, metric).walk(queries.view(), 10, 64, None).unwrap();
        let recall = recall(&found, &truth);
        assert!(0.99 <= recall, "{metric:?}: {recall}");
    }
}

#[test]
fn a_wider_beam_finds_more() {
    let (pool, queries) = (noise(2, 4000, 48), noise(3, 100, 48));
    let index = build(&pool, Metric::L2);
    let truth = index.exact.search(queries.view(), 10, None).unwrap();
    let of = |width| recall(&index.walk(queries.view(), 10, width, None).unwrap(), &truth);
    let (narrow, wide) = (of(10), of(400));
    assert!(narrow < wide && wide > 0.98, "{narrow} {wide}");
}

#[test]
fn graph_and_answers_are_the_same_on_any_number_of_threads() {
    let (pool, queries) = (crowds(4, 2000, 16), crowds(5, 64, 16));
    let on = |n_threads| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(n_threads).build().unwrap();
        threads.install(|| {
            let index = build(&pool, Metric::Cosine);
            (index.to_bytes(), index.walk(queries.view(), 5, 20, None).unwrap())
        })
    };
    let alone = on(1);
    assert_eq!(alone, on(1));
    assert_eq!(alone, on(2));
    assert_eq!(alone, on(16));
}

#[test]
fn the_bytes_of_a_graph_do_not_change_unnoticed() {
    // Files must stay readable, and equal on every machine; whoever changes the graph raises the version.
    let pool = Array2::from_shape_fn((700, 6), |(i, j)| Seed::new(1).below((6 * i + j) as u64, 1000) as f32);
    let bytes = build(&pool, Metric::L2).to_bytes();
    assert_eq!(blake3::hash(&bytes).to_hex().as_str(), include_str!("golden_graph.txt").trim());
}

#[test]
fn another_seed_is_another_graph() {
    let pool = crowds(4, 900, 8);
    let other = HnswParams { seed: 7, ..HnswParams::default() }.build(pool.view(), Metric::L2).unwrap();
    assert_ne!(other.links, build(&pool, Metric::L2).links);
}

#[test]
fn every_row_is_found_by_itself() {
    let pool = crowds(6, 3000, 12);
    for metric in [Metric::Cosine, Metric::L2] {
        let index = build(&pool, metric);
        assert_eq!(index.audit().n_orphans, 0);
        let found = index.walk(pool.view(), 1, 16, None).unwrap();
        let missed = (0..3000).filter(|row| found.ids[[*row, 0]] != *row as u32).count();
        assert!(missed <= 3, "{missed}");
    }
}

#[test]
fn orphans_are_found_with_every_query() {
    let pool = crowds(6, 1500, 8);
    let mut index = build(&pool, Metric::L2);
    let lost = [40u32, 777, 1499];
    for node in 0..1500 {
        for level in 0..=index.links.level(node) {
            let kept: Vec<u32> =
                index.links.of(level, node).iter().filter(|n| !lost.contains(n)).copied().collect();
            index.links.set(level, node, &kept);
        }
    }
    index.orphans = audit::orphans(&index.links);
    assert!(lost.iter().all(|node| index.orphans.contains(node)));
    assert_eq!(index.audit().n_orphans, index.orphans.len());
    let asked = pool.select(Axis(0), &lost.map(|row| row as usize));
    let found = index.walk(asked.view(), 1, 10, None).unwrap();
    assert_eq!(found.ids.column(0).to_vec(), lost);
    let again = HnswIndex::from_bytes(&index.to_bytes(), pool.view()).unwrap();
    assert_eq!(again.orphans, index.orphans);
}

#[test]
fn deleted_rows_never_come_back() {
    let (pool, queries) = (crowds(7, 2000, 8), crowds(8, 100, 8));
    let mut index = build(&pool, Metric::Cosine);
    let gone: Vec<u32> = (0..2000).filter(|row| row % 2 == 0).collect();
    assert!(!index.wants_rebuild());
    index.delete(&gone).unwrap();
    index.delete(&gone[..3]).unwrap();
    assert!(index.wants_rebuild());
    assert_eq!(index.audit().n_deleted, 1000);
    let alive = RowFilter::from_rows(2000, &gone).unwrap().not();
    let truth = index.exact.search(queries.view(), 10, Some(&alive)).unwrap();
    assert_eq!(index.search(queries.view(), 10, None).unwrap(), truth);
    let found = index.walk(queries.view(), 10, 128, Some(&alive)).unwrap();
    assert!(found.ids.iter().all(|row| row % 2 == 1));
    assert!(recall(&found, &truth) > 0.97);
    assert_eq!(index.delete(&[2000]).unwrap_err(), IndexError::RowOutOfRange { found: 2000, n_rows: 2000 });
    let again = HnswIndex::from_bytes(&index.to_bytes(), pool.view()).unwrap();
    assert_eq!(again.search(queries.view(), 10, None).unwrap(), truth);
    assert_eq!(index.search(queries.view(), 3000, None).unwrap().k(), 1000);
}

#[test]
fn filters_are_kept_and_short_answers_are_filled_by_a_scan() {
    let (pool, queries) = (crowds(9, 3000, 8), crowds(10, 50, 8));
    let index = build(&pool, Metric::L2);
    for every in [2, 30, 1500] {
        let mask: Vec<bool> = (0..3000).map(|row| row % every == 1).collect();
        let filter = RowFilter::from(&mask);
        let truth = index.exact.search(queries.view(), 10, Some(&filter)).unwrap();
        let found = index.walk(queries.view(), truth.k(), 64, Some(&filter)).unwrap();
        assert!(found.ids.iter().all(|row| mask[*row as usize]));
        if every == 1500 {
            assert_eq!(found, truth);
        }
        assert_eq!(index.search(queries.view(), 10, Some(&filter)).unwrap(), truth);
    }
    let none = index.search(queries.view(), 10, Some(&RowFilter::none(3000))).unwrap();
    assert_eq!(none.ids.dim(), (50, 0));
    let wrong = index.search(queries.view(), 10, Some(&RowFilter::all(2999)));
    assert_eq!(wrong.unwrap_err(), IndexError::FilterLength { found: 2999, expected: 3000 });
}

#[test]
fn a_search_of_a_small_pool_is_the_exact_one() {
    let (pool, queries) = (noise(1, 300, 8), noise(2, 20, 8));
    for metric in METRICS {
        let truth = ExactIndex::new(pool.view(), metric).unwrap().search(queries.view(), 7, None).unwrap();
        assert_eq!(build(&pool, metric).search(queries.view(), 7, None).unwrap(), truth);
    }
}

#[test]
fn ten_thousand_equal_rows_do_not_tear_the_graph() {
    let (others, queries) = (crowds(11, 2000, 8), crowds(12, 50, 8));
    let equal = Array2::from_elem((10_000, 8), 0.25f32);
    let pool = concatenate![Axis(0), rows(&others, ..1000), equal, rows(&others, 1000..)];
    let index = build(&pool, Metric::L2);
    let audit = index.audit();
    assert_eq!((audit.n_rows, audit.n_orphans), (12_000, 0));
    assert!((1990..=2001).contains(&audit.n_nodes), "{audit:?}");
    let found = index.walk(equal_query().view(), 4, 32, None).unwrap();
    assert_eq!(found.ids, array![[1000, 1001, 1002, 1003]]);
    let truth = index.exact.search(queries.view(), 10, None).unwrap();
    assert!(recall(&index.walk(queries.view(), 10, 64, None).unwrap(), &truth) > 0.97);
}

fn rows<R>(of: &Array2<f32>, range: R) -> ArrayView2<'_, f32>
where
    Slice: From<R>,
{
    of.slice_axis(Axis(0), Slice::from(range))
}

fn equal_query() -> Array2<f32> {
    Array2::from_elem((1, 8), 0.25)
}

#[test]
fn one_row_far_away_does_not_coarsen_the_grid() {
    let mut pool = crowds(13, 2000, 8);
    pool.row_mut(7).fill(1e30);
    pool.row_mut(8).fill(-f32::MAX);
    let index = build(&pool, Metric::L2);
    assert_eq!((index.audit().n_strays, index.strays.clone()), (2, vec![7, 8]));
    let queries = rows(&pool, ..40);
    let truth = index.exact.search(queries, 5, None).unwrap();
    assert!(recall(&index.walk(queries, 5, 64, None).unwrap(), &truth) > 0.95);
    let far = array![[1e20, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]];
    assert_eq!(index.walk(far.view(), 5, 8, None).unwrap(), index.exact.search(far.view(), 5, None).unwrap());
    // The longest rows have the largest inner products; the graph need not know them.
    let dot = build(&pool.mapv(|x| x.clamp(-1e6, 1e6)), Metric::Dot);
    assert_eq!(dot.audit().n_strays, 2);
    let all = dot.walk(queries, 5, 64, None).unwrap();
    assert!(recall(&all, &dot.exact.search(queries, 5, None).unwrap()) > 0.95);
}

#[test]
fn no_one_and_two_rows() {
    for metric in METRICS {
        let none = build(&Array2::zeros((0, 3)), metric);
        assert_eq!(none.search(array![[1.0, 0.0, 0.0]].view(), 5, None).unwrap().ids.dim(), (1, 0));
        assert!(!none.wants_rebuild());
        assert_eq!(
            HnswIndex::from_bytes(&none.to_bytes(), Array2::zeros((0, 3)).view()).unwrap().n_rows(),
            0
        );
        let one = build(&array![[1.0, 2.0, 3.0]], metric);
        assert_eq!(one.walk(array![[1.0, 0.0, 0.0]].view(), 1, 64, None).unwrap().ids, array![[0]]);
        let two = build(&array![[1.0, 2.0, 3.0], [3.0, 2.0, 1.0]], metric);
        assert_eq!(two.walk(array![[9.0, 1.0, 0.0]].view(), 2, 64, None).unwrap().ids, array![[1, 0]]);
        assert_eq!(two.search(array![[9.0, 1.0, 0.0]].view(), 100, None).unwrap().k(), 2);
    }
}

#[test]
fn bad_numbers_and_shapes_are_named() {
    let pool = array![[1.0, 2.0], [0.0, 0.0]];
    let refused = |pool: &Array2<f32>, metric| HnswParams::default().build(pool.view(), metric).unwrap_err();
    assert_eq!(refused(&pool, Metric::Cosine), IndexError::ZeroVector { role: Role::Pool, row: 1 });
    assert_eq!(refused(&Array2::zeros((2, 0)), Metric::L2), IndexError::NoColumns { role: Role::Pool });
    assert!(matches!(refused(&array![[f32::NAN]], Metric::L2), IndexError::NotFinite { row: 0, .. }));
    let index = build(&pool, Metric::L2);
    for found in [index.walk(array![[1.0]].view(), 1, 8, None), index.search(array![[1.0]].view(), 1, None)] {
        assert_eq!(found.unwrap_err(), IndexError::DimensionMismatch { found: 1, expected: 2 });
    }
    let unknown = index.walk(array![[1.0, f32::INFINITY]].view(), 1, 8, None).unwrap_err();
    assert!(matches!(unknown, IndexError::NotFinite { role: Role::Query, row: 0, column: 1, .. }));
    let bad = HnswParams { n_links: 1, ..HnswParams::default() };
    assert!(matches!(bad.build(pool.view(), Metric::L2).unwrap_err(), IndexError::HnswParam(_)));
    let mut index = index;
    assert!(index.set_search_beam(0).is_err() && index.set_search_beam(9).is_ok());
    assert_eq!(index.params().search_beam, 9);
}

#[test]
fn zeros_are_rows_like_others_but_under_cosine() {
    let pool = concatenate![Axis(0), Array2::zeros((3, 4)), noise(3, 500, 4)];
    for metric in [Metric::Dot, Metric::L2] {
        let index = build(&pool, metric);
        let queries = concatenate![Axis(0), Array2::zeros((1, 4)), noise(4, 9, 4)];
        let truth = index.exact.search(queries.view(), 3, None).unwrap();
        let found = index.walk(queries.view(), 3, 500, None).unwrap();
        assert_eq!(found.scores, truth.scores, "{metric:?}");
    }
    assert_eq!(build(&Array2::zeros((9, 4)), Metric::Dot).audit().n_nodes, 1);
}

#[test]
fn a_cancelled_build_ends() {
    struct After(u64);
    impl Progress for After {
        fn advance(&self, _: &str, done: u64, _: u64) {
            assert!(done <= self.0);
        }
        fn step(&self, what: &str, done: u64, total: u64) -> Result<(), Cancelled> {
            self.advance(what, done, total);
            if done == self.0 { Err(Cancelled { done, total }) } else { Ok(()) }
        }
    }
    let valid = HnswParams::default().check().unwrap();
    let ended = valid.build(noise(1, 600, 4).view(), Metric::L2, &After(256)).unwrap_err();
    assert_eq!(ended, IndexError::Cancelled(Cancelled { done: 256, total: 600 }));
}

/// Closeness of what came back, by the definition.
fn is_right(
    found: &Neighbours,
    queries: ArrayView2<'_, f32>,
    pool: ArrayView2<'_, f32>,
    metric: Metric,
) -> bool {
    (0..found.n_queries()).all(|query| {
        let answer: Vec<(u32, f32)> = found.of(query).collect();
        let score = |row: u32| metric.score(queries.row(query), pool.row(row as usize));
        let sign = if metric.higher_is_closer() { -1.0 } else { 1.0 };
        let ordered = answer.windows(2).all(|w| {
            (sign * score(w[0].0)).total_cmp(&(sign * score(w[1].0))).then(w[0].0.cmp(&w[1].0)).is_lt()
        });
        ordered && answer.iter().all(|(row, s)| score(*row) as f32 == *s)
    })
}

proptest! {
    #[test]
    fn answers_are_full_ordered_and_scored_by_the_definition(
        seed in 0u64..1000, n_rows in 1usize..400, n_dims in 1usize..20, k in 1usize..30, width in 1usize..60, coarse in any::<bool>(),
    ) {
        // Few different values make equal rows and ties.
        let round = |x: f32| if coarse { x.round() + 0.5 } else { x };
        let (pool, queries) = (noise(seed, n_rows, n_dims).mapv(round), noise(seed + 1, 3, n_dims).mapv(round));
        for metric in METRICS {
            let params = HnswParams { n_links: 3, build_beam: 8, ..HnswParams::default() };
            let index = params.build(pool.view(), metric).unwrap();
            let found = index.walk(queries.view(), k.min(n_rows), width, None).unwrap();
            prop_assert_eq!(found.k(), k.min(n_rows));
            prop_assert!(is_right(&found, queries.view(), pool.view(), metric));
            let again = HnswIndex::from_bytes(&index.to_bytes(), pool.view()).unwrap();
            prop_assert_eq!(again.to_bytes(), index.to_bytes());
            prop_assert_eq!(again.walk(queries.view(), k.min(n_rows), width, None).unwrap(), found);
        }
    }
}
