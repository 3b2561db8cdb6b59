//! GreeDi does not depend on where parts lie, and keeps its promise for k-center.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may end at the first surprise")]

use std::collections::BTreeSet;

use labelloop_core::Seed;
use labelloop_coreset::partial::{Greedi, GreediParams, Partial, PartialError, Shard};
use labelloop_coreset::select::{Candidates, Method, SelectParams, Selection};
use labelloop_coreset::{CoresetError, Metric};
use ndarray::{Array2, Axis, array};
use proptest::prelude::*;

fn rows(seed: u64, n: usize, d: usize) -> Array2<f32> {
    let s = Seed::new(seed);
    Array2::from_shape_fn((n, d), |(i, j)| (s.normal((i * d + j) as u64) * 4.0).round() as f32 / 4.0 + 0.1)
}

/// Whole parts dealt to machines, each machine one partial, merged in order or against it.
fn on_machines(params: &GreediParams, all: &Array2<f32>, n_machines: u32, backwards: bool) -> Greedi {
    let order = params.start(all.ncols(), all.nrows() as u32).unwrap();
    let mut partials: Vec<Greedi> = (0..n_machines)
        .map(|machine| {
            let on = |row: &u32| params.part_of(*row) * 7 % n_machines == machine;
            let mut ids: Vec<u32> = (0..all.nrows() as u32).filter(on).collect();
            let turn = ids.len() / 3;
            ids.rotate_left(turn);
            let part = all.select(Axis(0), &ids.iter().map(|i| *i as usize).collect::<Vec<_>>());
            let mut one = order.clone();
            one.observe(Shard::with_ids(part.view(), &ids).unwrap()).unwrap();
            one
        })
        .collect();
    if backwards {
        partials.reverse();
    }
    partials
        .into_iter()
        .reduce(|mut merged, one| {
            merged.merge(one).unwrap();
            merged
        })
        .unwrap()
}

fn by(method: &str) -> SelectParams {
    SelectParams::by(Method::from_name(method).unwrap())
}

fn numbers(selection: &Selection) -> Vec<(usize, u64)> {
    selection.picks.iter().map(|p| (p.row, p.gain.to_bits())).collect()
}

proptest! {
    #[test]
    fn one_machine_two_and_seven_pick_the_same(seed: u64, n in 1usize..80, k in 0usize..9, n_parts in 1u32..9) {
        let all = rows(seed, n, 3);
        for method in ["k-center", "random", "uniqueness"] {
            let params = GreediParams { n_parts, seed, ..GreediParams::new(by(method), k) };
            let one = on_machines(&params, &all, 1, false);
            let first = one.clone().finish().unwrap();
            prop_assert_eq!(first.picks.len(), k.min(n));
            for n_machines in [2, 7] {
                for backwards in [false, true] {
                    let merged = on_machines(&params, &all, n_machines, backwards);
                    prop_assert_eq!(&merged, &one);
                    prop_assert_eq!(numbers(&merged.finish().unwrap()), numbers(&first));
                }
            }
        }
    }

    #[test]
    fn picks_are_distinct_rows_that_parts_chose(seed: u64, n in 1usize..60, k in 1usize..7) {
        let all = rows(seed, n, 2);
        let params = GreediParams { n_parts: 5, ..GreediParams::new(SelectParams::default(), k) };
        let merged = on_machines(&params, &all, 2, false);
        let chosen: BTreeSet<usize> = merged.chosen().flat_map(|(_, rows)| rows).map(|r| *r as usize).collect();
        let picks = merged.finish().unwrap().rows();
        prop_assert_eq!(picks.iter().collect::<BTreeSet<_>>().len(), picks.len());
        prop_assert!(picks.iter().all(|row| chosen.contains(row)));
    }

    #[test]
    fn the_radius_is_at_most_four_times_the_best(seed: u64, n in 4usize..10, k in 1usize..4) {
        let all = rows(seed, n, 2);
        let radius = |centers: &[usize]| {
            let to = |row: usize, center: usize| Metric::L2.score(all.row(row), all.row(center));
            (0..n).map(|r| centers.iter().map(|c| to(r, *c)).fold(f64::INFINITY, f64::min)).fold(0.0, f64::max)
        };
        let sets = (0u32..1 << n).filter(|set| set.count_ones() as usize == k);
        let best = sets
            .map(|set| radius(&(0..n).filter(|i| set >> i & 1 == 1).collect::<Vec<_>>()))
            .fold(f64::INFINITY, f64::min);
        let params = GreediParams { n_parts: 3, seed, ..GreediParams::new(SelectParams::default(), k) };
        let picks = on_machines(&params, &all, 1, false).finish().unwrap().rows();
        prop_assert!(radius(&picks) <= 4.0 * best + 1e-9, "{} of {best}", radius(&picks));
    }
}

#[test]
fn one_part_is_the_plain_method() {
    let all = rows(3, 50, 4);
    let params = GreediParams { n_parts: 1, ..GreediParams::new(SelectParams::default(), 50) };
    let plain = params.select.select(&Candidates::new(all.view()).unwrap(), 50).unwrap();
    assert_eq!(on_machines(&params, &all, 1, false).finish().unwrap().rows(), plain.rows());
}

#[test]
fn labelled_rows_count_in_both_stages() {
    let (all, labelled) = (array![[0.0f32], [0.2], [5.0], [9.0]], array![[9.1f32]]);
    let params = GreediParams { n_parts: 2, ..GreediParams::new(SelectParams::default(), 1) };
    let mut greedi = params.start_given(1, 4, labelled.view()).unwrap();
    greedi.observe(Shard::new(all.view(), 0).unwrap()).unwrap();
    assert_eq!(greedi.finish().unwrap().rows(), [0]);
}

#[test]
fn pieces_of_parts_are_refused() {
    let all = rows(1, 40, 2);
    let params = GreediParams { n_parts: 3, ..GreediParams::new(SelectParams::default(), 2) };
    let order = params.start(2, 40).unwrap();
    let reason = |e: CoresetError| match e {
        CoresetError::Partial(e) => e,
        other => panic!("{other}"),
    };
    let (head, tail) = all.view().split_at(Axis(0), 20);
    let mut pieces = order.clone();
    pieces.observe(Shard::new(head, 0).unwrap()).unwrap();
    let before = pieces.clone();
    assert!(matches!(
        reason(pieces.observe(Shard::new(tail, 20).unwrap()).unwrap_err()),
        PartialError::PartTwice { .. }
    ));
    assert_eq!(pieces, before);
    assert!(matches!(reason(pieces.clone().merge(before).unwrap_err()), PartialError::PartTwice { .. }));
    assert!(matches!(reason(pieces.finish().unwrap_err()), PartialError::PartRows { part: 0, .. }));
    let mut beyond = order.clone();
    assert!(matches!(
        reason(beyond.observe(Shard::new(tail, 30).unwrap()).unwrap_err()),
        PartialError::RowNumber { found: 40, expected: 39 }
    ));
    let others = GreediParams { seed: 1, ..params.clone() }.start(2, 40).unwrap();
    assert!(matches!(reason(beyond.merge(others).unwrap_err()), PartialError::Incompatible { .. }));
    let none = GreediParams { n_parts: 0, ..params };
    assert_eq!(reason(none.start(2, 40).unwrap_err()), PartialError::NoParts);
}

#[test]
fn defaults_are_those_of_the_docs() {
    let params = GreediParams::new(SelectParams::default(), 10);
    assert_eq!((params.n_parts, params.seed, params.k), (64, 42, 10));
    assert!((0..1000).all(|row| params.part_of(row) < 64));
    assert_eq!((0..1000).map(|row| params.part_of(row)).collect::<BTreeSet<_>>().len(), 64);
}
