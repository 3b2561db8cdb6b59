//! The answers against brute force in f64, over random and spiteful cases, with and without codes.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_core::Seed;
use labelloop_index::{ExactIndex, Metric, Neighbours, RowFilter, UseCodes};
use ndarray::{Array2, Axis, Slice, concatenate};
use proptest::prelude::*;

const METRICS: [Metric; 3] = [Metric::Cosine, Metric::Dot, Metric::L2];

fn noise(seed: u64, n_rows: usize, n_dims: usize) -> Array2<f32> {
    let seed = Seed::new(seed);
    Array2::from_shape_fn((n_rows, n_dims), |(i, j)| seed.normal((i * n_dims + j) as u64) as f32)
}

/// Rows about a few centres, cut off below zero as networks that end in a rectifier do.
fn clustered(seed: u64, n_rows: usize, n_dims: usize) -> Array2<f32> {
    let (centres, spread) = (noise(seed, 7, n_dims), noise(seed ^ 1, n_rows, n_dims));
    Array2::from_shape_fn((n_rows, n_dims), |(i, j)| {
        (centres[[i % 7, j]] + 0.2 * spread[[i, j]]).max(0.0) + 1e-3
    })
}

/// Ids and scores of every query by the plain definition: all pairs in f64, sorted by score, then row.
fn by_definition(
    pool: &Array2<f32>,
    queries: &Array2<f32>,
    k: usize,
    metric: Metric,
    allowed: impl Fn(usize) -> bool,
) -> Neighbours {
    let sign = if metric.higher_is_closer() { -1.0 } else { 1.0 };
    let n = (0..pool.nrows()).filter(|row| allowed(*row)).count().min(k);
    let (mut ids, mut scores) = (Array2::zeros((queries.nrows(), n)), Array2::zeros((queries.nrows(), n)));
    for (i, query) in queries.rows().into_iter().enumerate() {
        let mut all: Vec<(f64, usize)> = (0..pool.nrows())
            .filter(|row| allowed(*row))
            .map(|row| (sign * metric.score(query, pool.row(row)), row))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        for (j, (score, row)) in all.into_iter().take(n).enumerate() {
            (ids[[i, j]], scores[[i, j]]) = (row as u32, (sign * score) as f32);
        }
    }
    Neighbours { ids, scores }
}

fn indices(pool: &Array2<f32>, metric: Metric) -> [ExactIndex; 2] {
    [UseCodes::Never, UseCodes::Always]
        .map(|codes| ExactIndex::new(pool.view(), metric).unwrap().with_codes(codes))
}

fn check(pool: &Array2<f32>, queries: &Array2<f32>, k: usize) {
    for metric in METRICS {
        let expected = by_definition(pool, queries, k, metric, |_| true);
        for index in indices(pool, metric) {
            assert_eq!(index.search(queries.view(), k, None).unwrap(), expected, "{metric:?} {index:?}");
        }
    }
}

#[test]
fn noise_and_clusters_give_the_answers_of_the_definition() {
    check(&noise(1, 3001, 40), &noise(2, 30, 40), 10);
    check(&clustered(3, 3001, 33), &clustered(4, 9, 33), 100);
    check(&clustered(5, 1500, 130), &noise(6, 3, 130), 1);
}

#[test]
fn rows_near_a_subspace_are_found_by_codes_of_it_alone() {
    let (shape, spread) = (noise(20, 6, 96), noise(21, 2400, 6));
    for (size, offset) in [(0.01f32, 0.0f32), (1e-6, 3.0), (0.0, 0.5)] {
        let pool = spread.dot(&shape) + noise(22, 2400, 96) * size + offset;
        let queries = noise(23, 8, 6).dot(&shape) + noise(24, 8, 96) * size + offset;
        check(&pool, &queries, 10);
        // Queries that have nothing to do with the subspace.
        check(&pool, &noise(25, 5, 96), 3);
    }
}

#[test]
fn duplicates_and_equal_rows_are_told_apart_by_row_alone() {
    let few = clustered(7, 40, 20);
    let many = concatenate(Axis(0), &vec![few.view(); 60]).unwrap();
    check(&many, &few.slice_axis(Axis(0), Slice::from(..9)).to_owned(), 130);
    check(&Array2::from_elem((2500, 17), 0.25), &noise(8, 7, 17), 9);
}

#[test]
fn neighbours_that_differ_by_one_bit_are_told_apart() {
    let mut pool = Array2::from_elem((2000, 24), 1.0f32);
    for row in 0..2000 {
        pool[[row, row % 24]] = 1.0 + f32::EPSILON * ((row * 37 % 101) as f32);
    }
    check(&pool, &(noise(9, 6, 24) * 0.01 + 1.0), 25);
}

#[test]
fn sizes_from_the_smallest_to_the_largest_float_change_nothing() {
    let shape = |size: f32| clustered(10, 900, 18).mapv(|x| x * size);
    for (pool, queries) in [(1e-30f32, 1e30f32), (1e30, 1e-30), (1e-40, 1e-40), (1e37, 1e37), (1e-44, 1.0)] {
        let (pool, mut queries) = (shape(pool), shape(queries));
        queries = queries.slice_axis(Axis(0), Slice::from(..6)).to_owned();
        // The smallest numbers of all are rounded to nothing; the cosine needs something.
        let pool = pool.mapv(|x| x.max(1e-44));
        check(&pool, &queries, 12);
    }
}

#[test]
fn rows_of_all_sizes_at_once_are_still_exact() {
    let mut pool = noise(11, 1200, 20);
    for (row, mut x) in pool.rows_mut().into_iter().enumerate() {
        x.mapv_inplace(|x| x * 10f32.powi((row % 61) as i32 - 30));
    }
    let queries = pool.slice_axis(Axis(0), Slice::from(..20)).to_owned();
    check(&pool, &queries, 15);
}

#[test]
fn zero_rows_and_zero_queries_are_like_others_to_dot_and_l2() {
    let mut pool = noise(12, 1100, 16);
    pool.rows_mut().into_iter().step_by(5).for_each(|mut row| row.fill(0.0));
    let mut queries = noise(13, 7, 16);
    queries.row_mut(3).fill(0.0);
    for metric in [Metric::Dot, Metric::L2] {
        for pool in [&pool, &Array2::zeros((700, 16))] {
            let expected = by_definition(pool, &queries, 300, metric, |_| true);
            for index in indices(pool, metric) {
                assert_eq!(index.search(queries.view(), 300, None).unwrap(), expected, "{metric:?}");
            }
        }
    }
}

#[test]
fn a_large_common_offset_costs_time_but_no_digit() {
    check(&(noise(14, 1500, 12) * 0.01 + 100.0), &(noise(15, 5, 12) * 0.01 + 100.0), 10);
}

#[test]
fn filters_of_any_density_answer_as_if_the_other_rows_were_not() {
    let (pool, queries) = (clustered(16, 2600, 24), clustered(17, 12, 24));
    for (step, n) in [(1, 2600), (2, 1300), (7, 372), (1300, 2), (9999, 1)] {
        let filter = RowFilter::from_mask(&(0..2600).map(|row| row % step == 0).collect::<Vec<_>>());
        assert_eq!(filter.count(), n);
        for metric in METRICS {
            let expected = by_definition(&pool, &queries, 11, metric, |row| row % step == 0);
            for index in indices(&pool, metric) {
                assert_eq!(index.search(queries.view(), 11, Some(&filter)).unwrap(), expected, "{step}");
            }
        }
    }
}

#[test]
fn threads_batches_and_preparation_do_not_change_a_bit() {
    let (pool, queries) = (clustered(18, 9000, 64), clustered(19, 700, 64));
    for metric in METRICS {
        let index = ExactIndex::new(pool.view(), metric).unwrap();
        let few = queries.slice_axis(Axis(0), Slice::from(..3));
        let expected = index.search(few.view(), 20, None).unwrap();
        let with = |n: usize| {
            let threads = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
            threads.install(|| index.clone().search(queries.view(), 20, None).unwrap())
        };
        let all = with(1);
        assert_eq!(all, with(2), "{metric:?}");
        assert_eq!(all, with(16), "{metric:?}");
        index.prepare();
        assert_eq!(index.search(few.view(), 20, None).unwrap(), expected);
        assert_eq!(all.ids.slice_axis(Axis(0), Slice::from(..3)), expected.ids);
        assert_eq!(all.scores.slice_axis(Axis(0), Slice::from(..3)), expected.scores);
    }
}

proptest! {
    #[test]
    fn any_search_agrees_with_the_definition(
        seed in any::<u64>(), n_rows in 1usize..900, n_dims in 1usize..50, n_queries in 1usize..12,
        k in 0usize..40, grain in 1u32..5, exponent in -20i32..20, every in 1usize..5,
    ) {
        // A coarse grid makes ties and duplicates common; adding 9 keeps most vectors away from zero.
        let size = 10f32.powi(exponent);
        let coarse = |a: Array2<f32>| a.mapv(|v| ((v * grain as f32).round() + 9.0) * size);
        let (pool, queries) = (coarse(noise(seed, n_rows, n_dims)), coarse(noise(seed ^ 1, n_queries, n_dims)));
        let filter = RowFilter::from_mask(&(0..n_rows).map(|row| row % every == 0).collect::<Vec<_>>());
        for metric in METRICS {
            if metric == Metric::Cosine && n_dims < 3 {
                continue;
            }
            let expected = by_definition(&pool, &queries, k, metric, |row| row % every == 0);
            for index in indices(&pool, metric) {
                prop_assert_eq!(&index.search(queries.view(), k, Some(&filter)).unwrap(), &expected);
            }
        }
    }
}
