//! Partials of random shards, merged in random trees, are the bits of the whole.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]
#![allow(
    clippy::needless_pass_by_value,
    reason = "array views are handed over by value, which is their idiom"
)]

use labelloop_core::{Seed, Silent};
use labelloop_coreset::partial::{
    ColumnCounts, ColumnTable, NeighbourLists, Partial, PartialError, Shard, TopRows, ZCoreNeighbours,
    ZCoreWinners, over,
};
use labelloop_coreset::{CoresetError, DrawPlan, Initial, Metric, ZCoreParams, ZCoreScores};
use labelloop_index::ExactIndex;
use ndarray::{Array2, ArrayView2, Axis, array};
use proptest::prelude::*;

/// Rows with many equal values and now and then equal rows.
fn rows(seed: u64, n: usize, d: usize, coarse: bool) -> Array2<f32> {
    let s = Seed::new(seed).stream("rows");
    Array2::from_shape_fn((n, d), |(i, j)| {
        let v = s.normal((i * d + j) as u64);
        if coarse { (v * 2.0).round() as f32 / 2.0 } else { v as f32 }
    })
}

/// Rows dealt to shards at random, in random order within each; some shards may be empty.
fn deal(seed: u64, n: usize, n_shards: usize) -> Vec<Vec<u32>> {
    let s = Seed::new(seed).stream("deal");
    let mut shards = vec![Vec::new(); n_shards];
    for row in s.stream("order").permutation(n) {
        shards[s.below(row as u64, n_shards)].push(row as u32);
    }
    shards
}

/// Observes each shard by itself and merges the partials two by two in random order until one is left.
fn spread<P>(round: &P, all: ArrayView2<'_, f32>, dealt: &[Vec<u32>], seed: u64) -> P
where
    P: for<'a> Partial<Input<'a> = Shard<'a>> + Clone,
{
    let mut heap: Vec<P> = dealt
        .iter()
        .map(|ids| {
            let part = all.select(Axis(0), &ids.iter().map(|i| *i as usize).collect::<Vec<_>>());
            let mut partial = round.clone();
            // Half of the shards come in two pieces to one partial.
            let cut = if ids.len() % 2 == 0 { ids.len() / 2 } else { 0 };
            let (head, tail) = part.view().split_at(Axis(0), cut);
            for (rows, ids) in [(head, &ids[..cut]), (tail, &ids[cut..])] {
                partial.observe(Shard::with_ids(rows, ids).unwrap()).unwrap();
            }
            partial
        })
        .collect();
    let s = Seed::new(seed).stream("merge");
    for i in 0.. {
        if heap.len() == 1 {
            break;
        }
        let other = heap.swap_remove(s.below(2 * i, heap.len()));
        let into = s.below(2 * i + 1, heap.len());
        heap[into].merge(other).unwrap();
    }
    heap.pop().unwrap()
}

fn table(all: ArrayView2<'_, f32>, dealt: &[Vec<u32>], seed: u64) -> ColumnTable {
    let mut counts = ColumnCounts::new(all.ncols());
    loop {
        counts = spread(&counts, all, dealt, seed);
        match counts.next_round().unwrap() {
            Some(next) => counts = next,
            None => return counts.finish().unwrap(),
        }
    }
}

fn zcore(
    params: &ZCoreParams,
    all: ArrayView2<'_, f32>,
    n_labelled: u32,
    dealt: &[Vec<u32>],
    seed: u64,
) -> ZCoreScores {
    let table = table(all, dealt, seed);
    let round = ZCoreWinners::new(&params.check().unwrap(), &table, n_labelled).unwrap();
    let round = spread(&round, all, dealt, seed).finish().unwrap();
    spread(&round, all, dealt, seed ^ 1).finish().unwrap()
}

fn bits(scores: &ZCoreScores) -> (Vec<u64>, Vec<u32>) {
    let raw = scores.raw.iter().map(|v| v.to_bits()).collect();
    (raw, scores.normalised.iter().map(|v| v.to_bits()).collect())
}

fn sorted_median(column: &[f32]) -> f64 {
    let mut values: Vec<f64> = column.iter().map(|v| f64::from(*v)).collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 { 0.0 } else { (values[(n - 1) / 2] + values[n / 2]) / 2.0 }
}

fn shard(rows: &Array2<f32>, first: u32) -> Shard<'_> {
    Shard::new(rows.view(), first).unwrap()
}

proptest! {
    #[test]
    fn columns_are_described_as_by_sorting(
        seed: u64, n in 1usize..120, d in 1usize..40, n_shards in 1usize..8, coarse: bool,
    ) {
        let all = rows(seed, n, d, coarse);
        let table = table(all.view(), &deal(seed, n, n_shards), seed);
        for (j, column) in all.columns().into_iter().enumerate() {
            let column = column.to_vec();
            let extreme = |start: f32, pick: fn(f32, f32) -> f32| f64::from(column.iter().copied().fold(start, pick));
            prop_assert_eq!(table.median[j], sorted_median(&column));
            prop_assert_eq!(table.min[j], extreme(f32::INFINITY, f32::min));
            prop_assert_eq!(table.max[j], extreme(f32::NEG_INFINITY, f32::max));
            prop_assert_eq!(table.median_error[j], 0.0);
        }
    }

    #[test]
    fn any_finite_bits_have_an_exact_median(values in prop::collection::vec(any::<u32>(), 1..60), cut in 0usize..60) {
        let values: Vec<f32> = values.into_iter().map(f32::from_bits).filter(|v| v.is_finite()).collect();
        let all = Array2::from_shape_vec((values.len(), 1), values.clone()).unwrap();
        let cut = cut.min(values.len());
        let dealt = vec![(0..cut as u32).collect(), (cut as u32..values.len() as u32).collect()];
        let table = table(all.view(), &dealt, 1);
        prop_assert_eq!(table.median[0], sorted_median(&values));
    }

    #[test]
    fn early_medians_keep_their_bound(seed: u64, n in 1usize..200) {
        let all = rows(seed, n, 3, false);
        let truth: Vec<f64> = all.columns().into_iter().map(|c| sorted_median(&c.to_vec())).collect();
        let mut counts = ColumnCounts::new(3);
        let mut errors = Vec::new();
        for round in 1..=3 {
            counts = over(&counts, &[shard(&all, 0)]).unwrap();
            let table = counts.clone().finish().unwrap();
            for (j, truth) in truth.iter().enumerate() {
                prop_assert!((table.median[j] - truth).abs() <= table.median_error[j]);
                let (low, high) = (table.min[j], table.max[j]);
                prop_assert!((low..=high).contains(&table.median[j]));
            }
            errors.push(table.median_error.iter().copied().fold(0.0, f64::max));
            prop_assert_eq!(counts.round(), round);
            if let Some(next) = counts.next_round().unwrap() {
                counts = next;
            }
        }
        prop_assert!(errors[0] >= errors[1] && errors[2] == 0.0, "{:?}", errors);
    }

    #[test]
    fn scores_of_shards_are_the_bits_of_the_whole(
        seed: u64, n in 1usize..80, d in 1usize..6, n_shards in 1usize..8,
        coarse: bool, k in 1usize..30, n_dims in 1usize..4, uniform: bool,
    ) {
        let all = rows(seed, n, d, coarse);
        let initial = if uniform { Initial::Uniform } else { Initial::Zero };
        let params = ZCoreParams { n_draws: 60, n_dims, n_neighbours: k, seed, initial, ..Default::default() };
        let whole = params.score(all.view()).unwrap();
        let merged = zcore(&params, all.view(), 0, &deal(seed, n, n_shards), seed);
        prop_assert_eq!(bits(&merged), bits(&whole));
    }

    #[test]
    fn scores_given_what_is_labelled_are_the_bits_of_the_whole(
        seed: u64, n in 2usize..60, n_labelled in 0usize..20, n_shards in 1usize..6, coarse: bool,
    ) {
        let n_labelled = n_labelled.min(n);
        let all = rows(seed, n, 3, coarse);
        let params = ZCoreParams { n_draws: 60, n_neighbours: 7, seed, ..Default::default() };
        let (candidates, labelled) = all.view().split_at(Axis(0), n - n_labelled);
        let whole = params.check().unwrap().score_given(candidates, labelled, &Silent).unwrap();
        let merged = zcore(&params, all.view(), n_labelled as u32, &deal(seed, n, n_shards), seed);
        prop_assert_eq!(bits(&merged), bits(&whole));
    }

    #[test]
    fn batches_of_draws_add_up_to_the_bits_of_the_whole(seed: u64, n in 1usize..50, batch in 1usize..40) {
        let all = rows(seed, n, 3, true);
        let params = ZCoreParams { n_draws: 70, n_neighbours: 5, seed, ..Default::default() };
        let table = table(all.view(), &deal(seed, n, 2), seed);
        let round = ZCoreWinners::new(&params.check().unwrap(), &table, 0).unwrap();
        let mut raw: Option<Vec<f64>> = None;
        for piece in round.batches(batch) {
            prop_assert!(piece.n_draws() <= batch);
            let second = spread(&piece, all.view(), &deal(seed, n, 3), seed).finish().unwrap();
            let second = spread(&second, all.view(), &deal(seed, n, 4), seed);
            let raw = raw.get_or_insert_with(|| second.start().unwrap());
            second.add_to(raw).unwrap();
        }
        let merged = ZCoreScores::from_raw(raw.unwrap());
        prop_assert_eq!(bits(&merged), bits(&params.score(all.view()).unwrap()));
    }

    #[test]
    fn neighbours_of_shards_are_those_of_the_whole(
        seed: u64, n in 1usize..60, n_queries in 0usize..5, k in 0usize..12, n_shards in 1usize..6, coarse: bool,
    ) {
        let all = rows(seed, n, 4, coarse).mapv(|v| v + 0.25); // no zero vectors
        let queries = rows(seed ^ 9, n_queries, 4, coarse).mapv(|v| v - 0.25);
        for metric in [Metric::Cosine, Metric::Dot, Metric::L2] {
            let whole = ExactIndex::new(all.view(), metric).unwrap().search(queries.view(), k, None).unwrap();
            let lists = NeighbourLists::new(queries.view(), k, metric).unwrap();
            let merged = spread(&lists, all.view(), &deal(seed, n, n_shards), seed).finish().unwrap();
            prop_assert_eq!(merged.len(), n_queries);
            for (query, list) in merged.iter().enumerate() {
                let list: Vec<(u32, f32)> = list.iter().map(|(row, score)| (*row, *score as f32)).collect();
                prop_assert_eq!(list, whole.of(query).collect::<Vec<_>>());
            }
        }
    }

    #[test]
    fn the_top_of_shards_is_the_top_of_the_whole(scores in prop::collection::vec(-3i8..3, 0..50), k in 0usize..20) {
        let scores: Vec<f64> = scores.into_iter().map(f64::from).collect();
        let rows: Vec<u32> = (0..scores.len() as u32).collect();
        let ranked = labelloop_coreset::rank_by_score(&scores, &rows).unwrap();
        let mut merged = TopRows::new(k);
        for (rows, scores) in rows.chunks(7).zip(scores.chunks(7)).rev() {
            let mut one = TopRows::new(k);
            one.observe((rows, scores)).unwrap();
            one.merge(merged).unwrap();
            merged = one;
        }
        let found: Vec<usize> = merged.finish().unwrap().iter().map(|(row, _)| *row as usize).collect();
        let expected: Vec<usize> = ranked.iter().take(k).map(|s| s.row).collect();
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn an_explicit_plan_scores_as_it_does_in_one_process() {
    let all = rows(3, 40, 4, true);
    let plan = DrawPlan {
        dims: array![[0, 3], [2, 1], [1, 1]],
        points: array![[0.1, 0.0], [-1.0, 9.0], [0.0, 0.5]],
    };
    let params = ZCoreParams { n_neighbours: 6, ..Default::default() };
    let table = table(all.view(), &deal(1, 40, 3), 1);
    let round = ZCoreWinners::with_plan(&params.check().unwrap(), &table, &plan).unwrap();
    assert_eq!(round.plan(), plan);
    let round = spread(&round, all.view(), &deal(2, 40, 5), 2).finish().unwrap();
    let merged = spread(&round, all.view(), &deal(3, 40, 2), 3).finish().unwrap();
    assert_eq!(bits(&merged), bits(&params.score_plan(all.view(), &plan).unwrap()));
}

#[test]
fn few_rows_and_none_are_defined() {
    for n in 0..3 {
        let all = rows(5, n, 2, false);
        let params = ZCoreParams { n_draws: 9, ..Default::default() };
        let merged = zcore(&params, all.view(), 0, &deal(5, n, 3), 5);
        assert_eq!(bits(&merged), bits(&params.score(all.view()).unwrap()), "{n} rows");
        let all_labelled = zcore(&params, all.view(), n as u32, &deal(5, n, 2), 5);
        assert!(all_labelled.raw.is_empty());
    }
}

#[test]
fn rows_that_were_lost_or_came_twice_are_noticed_in_every_round() {
    let (head, tail) = (rows(1, 10, 2, false), rows(2, 10, 2, false));
    let both = [shard(&head, 0), shard(&tail, 10)];
    let is_about_rows = |e: CoresetError| matches!(e, CoresetError::Partial(PartialError::Rows { .. }));

    let first = over(&ColumnCounts::new(2), &both).unwrap();
    let second = first.next_round().unwrap().unwrap();
    let lossy = over(&second, &both[..1]).unwrap();
    assert!(is_about_rows(lossy.next_round().unwrap_err()));
    assert!(is_about_rows(lossy.finish().unwrap_err()));

    let table = first.finish().unwrap();
    let params = ZCoreParams { n_draws: 4, ..Default::default() }.check().unwrap();
    let winners = ZCoreWinners::new(&params, &table, 0).unwrap();
    assert!(is_about_rows(over(&winners, &[both[0], both[0]]).unwrap().finish().unwrap_err()));
    // The shards of the second round were numbered anew.
    let anew = [shard(&tail, 0), shard(&head, 10)];
    assert!(is_about_rows(over(&winners, &anew).unwrap().finish().unwrap_err()));
    let neighbours: ZCoreNeighbours = over(&winners, &both).unwrap().finish().unwrap();
    assert!(is_about_rows(neighbours.finish().unwrap_err()));
}

#[test]
fn partials_of_other_runs_do_not_merge() {
    let all = rows(1, 20, 2, false);
    let differs = |e: CoresetError| match e {
        CoresetError::Partial(PartialError::Incompatible { what }) => what,
        other => panic!("{other}"),
    };
    let first = over(&ColumnCounts::new(2), &[shard(&all, 0)]).unwrap();
    let mut second = first.next_round().unwrap().unwrap();
    assert_eq!(differs(second.merge(first.clone()).unwrap_err()), "round");
    assert_eq!(differs(ColumnCounts::new(3).merge(first.clone()).unwrap_err()), "number of columns");

    let table = first.finish().unwrap();
    let winners = |seed| {
        let params = ZCoreParams { n_draws: 4, seed, ..Default::default() };
        ZCoreWinners::new(&params.check().unwrap(), &table, 0).unwrap()
    };
    assert_eq!(differs(winners(1).merge(winners(2)).unwrap_err()), "parameters, rows or draws");
    let done = |round: &ZCoreWinners| over(round, &[shard(&all, 0)]).unwrap().finish().unwrap();
    assert_eq!(differs(done(&winners(1)).merge(done(&winners(2))).unwrap_err()), "parameters, rows or draws");
    assert_eq!(differs(TopRows::new(1).merge(TopRows::new(2)).unwrap_err()), "k");
    let lists = |k| NeighbourLists::new(all.view(), k, Metric::L2).unwrap();
    assert_eq!(differs(lists(1).merge(lists(2)).unwrap_err()), "queries, k or metric");
}

#[test]
fn rows_that_do_not_fit_are_refused_and_change_nothing() {
    let (two, three) = (rows(1, 5, 2, false), rows(1, 5, 3, false));
    let mut counts = ColumnCounts::new(2);
    assert!(matches!(
        counts.observe(shard(&three, 0)).unwrap_err(),
        CoresetError::DimensionMismatch { found: 3, expected: 2, .. }
    ));
    assert_eq!(counts, ColumnCounts::new(2));
    let table = over(&counts, &[shard(&two, 0)]).unwrap().finish().unwrap();
    let params = ZCoreParams { n_draws: 3, ..Default::default() }.check().unwrap();
    let mut winners = ZCoreWinners::new(&params, &table, 0).unwrap();
    let before = winners.clone();
    assert!(matches!(
        winners.observe(shard(&two, 1)).unwrap_err(),
        CoresetError::Partial(PartialError::RowNumber { found: 5, expected: 4 })
    ));
    assert_eq!(winners, before);
    assert!(matches!(
        ZCoreWinners::new(&params, &table, 6).unwrap_err(),
        CoresetError::Partial(PartialError::RowNumber { found: 6, expected: 5 })
    ));
    let mut short = table.clone();
    short.max.pop();
    assert!(matches!(
        ZCoreWinners::new(&params, &short, 0).unwrap_err(),
        CoresetError::LengthMismatch { what: "maxima of columns", found: 1, expected: 2 }
    ));
}
