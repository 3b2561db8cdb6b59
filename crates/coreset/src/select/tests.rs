use labelloop_core::{Cancelled, Progress, Seed, Silent};
use labelloop_index::Metric;
use ndarray::{Array2, ArrayView2, array};
use proptest::prelude::*;

use super::*;
use crate::{CoresetError, k_center};

fn cloud(seed: u64, n: usize, d: usize) -> Array2<f32> {
    let s = Seed::new(seed);
    Array2::from_shape_fn((n, d), |(i, j)| s.normal((d * i + j) as u64) as f32)
}

fn by(name: &str) -> SelectParams {
    SelectParams::by(Method::from_name(name).unwrap())
}

/// The definition: all open rows looked at in every step, by gains that an objective gives one at a time.
fn greedy(rows: ArrayView2<'_, f32>, k: usize, params: &SelectParams, groups: Option<&[u32]>) -> Vec<usize> {
    let mut picks: Vec<usize> = Vec::new();
    let distance = |a: usize, b: usize| match params.metric {
        Metric::L2 => Metric::L2.score(rows.row(a), rows.row(b)),
        _ => 1.0 - Metric::Cosine.score(rows.row(a), rows.row(b)),
    };
    for _ in 0..k {
        let open = (0..rows.nrows()).filter(|row| {
            let of_group = |g: &[u32]| picks.iter().filter(|p| g[**p] == g[*row]).count();
            !picks.contains(row)
                && groups.is_none_or(|g| params.per_group.is_none_or(|most| of_group(g) < most))
                && params.min_distance.is_none_or(|least| picks.iter().all(|p| distance(*p, *row) >= least))
        });
        let nearest = |row: usize| picks.iter().map(|p| distance(*p, row)).fold(f64::INFINITY, f64::min);
        let to_mean = |row: usize| {
            let mean = rows.mapv(f64::from).mean_axis(ndarray::Axis(0)).unwrap();
            rows.row(row).iter().zip(mean).map(|(v, m)| (f64::from(*v) - m).powi(2)).sum::<f64>()
        };
        let gain = |row: usize| if picks.is_empty() { -to_mean(row) } else { nearest(row) };
        let best = open.map(|row| (gain(row), row)).reduce(|a, b| if b.0 > a.0 { b } else { a });
        let Some((_, row)) = best else { break };
        picks.push(row);
    }
    picks
}

#[test]
fn every_method_stands_few_rows_and_equal_rows() {
    for name in Method::names() {
        for n in 0..3 {
            for k in [0, 1, 5] {
                let rows = Array2::ones((n, 2));
                let found = by(name).select(&Candidates::new(rows.view()).unwrap(), k).unwrap();
                assert_eq!(found.picks.len(), n.min(k), "{name} {n} {k}");
                let expected = if k <= n { Ended::Full } else { Ended::RowsExhausted };
                assert_eq!(found.ended, expected, "{name} {n} {k}");
            }
        }
    }
}

#[test]
fn every_method_counts_ranks_and_gives_reasons() {
    let rows = cloud(1, 30, 3);
    for name in Method::names() {
        let found = by(name).select(&Candidates::new(rows.view()).unwrap(), 7).unwrap();
        assert!(found.picks.iter().enumerate().all(|(i, pick)| pick.rank == i), "{name}");
        assert!(found.picks.iter().all(|pick| !pick.reason.to_string().is_empty()), "{name}");
    }
}

#[test]
fn every_method_keeps_to_the_constraints() {
    let (rows, labelled) = (cloud(2, 60, 2), cloud(3, 5, 2));
    let groups: Vec<u32> = (0..60).map(|i| i % 4).collect();
    let candidates =
        Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap().grouped(&groups).unwrap();
    for name in Method::names() {
        let params = SelectParams { per_group: Some(3), min_distance: Some(0.3), ..by(name) };
        let found = params.select(&candidates, 60).unwrap();
        let far = |a: ndarray::ArrayView1<'_, f32>, b| Metric::L2.score(a, b) >= 0.3 - 1e-12;
        for (i, pick) in found.picks.iter().enumerate() {
            let row = rows.row(pick.row);
            assert!(labelled.rows().into_iter().all(|known| far(row, known)), "{name}");
            assert!(found.picks[..i].iter().all(|before| far(row, rows.row(before.row))), "{name}");
        }
        for group in 0..4 {
            assert!(found.picks.iter().filter(|p| groups[p.row] == group).count() <= 3, "{name}");
        }
        assert_ne!(found.ended, Ended::Full);
    }
}

#[test]
fn quotas_without_groups_are_refused() {
    let rows = cloud(1, 3, 2);
    let params = SelectParams { per_group: Some(1), ..by("random") };
    let refused = params.select(&Candidates::new(rows.view()).unwrap(), 1);
    assert_eq!(refused.unwrap_err(), CoresetError::NoGroups);
}

#[test]
fn labelled_rows_count_towards_a_quota_where_their_groups_are_known() {
    let (rows, labelled) = (array![[0.0f32], [1.0], [2.0]], array![[9.0f32], [8.0]]);
    let candidates = || {
        let c = Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap();
        c.grouped(&[5, 5, 6]).unwrap()
    };
    let params = SelectParams { per_group: Some(1), ..by("k-center") };
    let found = params.select(&candidates(), 3).unwrap();
    assert_eq!((found.rows(), found.ended), (vec![0, 2], Ended::QuotaReached));
    let known = candidates().labelled_grouped(&[5, 77]).unwrap();
    assert_eq!(params.select(&known, 3).unwrap().rows(), [2]);
}

#[test]
fn cosine_needs_directions() {
    let rows = array![[1.0f32, 0.0], [0.0, 0.0]];
    let params = SelectParams { metric: Metric::Cosine, ..by("random") };
    let refused = params.select(&Candidates::new(rows.view()).unwrap(), 1).unwrap_err();
    assert!(matches!(refused, CoresetError::ZeroVector { what: "candidates", row: 1 }));
}

#[test]
fn the_caller_may_end_the_work() {
    struct Stop;
    impl Progress for Stop {
        fn advance(&self, _: &str, _: u64, _: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let rows = cloud(1, 9, 2);
    for name in Method::names() {
        let stopped = by(name).check().unwrap().select(&Candidates::new(rows.view()).unwrap(), 3, &Stop);
        assert!(matches!(stopped, Err(CoresetError::Cancelled(Cancelled { .. }))), "{name}");
    }
}

#[test]
fn one_objective_of_any_strength_is_the_plain_method() {
    let rows = cloud(4, 40, 3);
    let candidates = Candidates::new(rows.view()).unwrap();
    for name in Method::names() {
        let mut params = by(name);
        let plain = params.select(&candidates, 9).unwrap();
        params.objectives[0].strength = 3.5;
        assert_eq!(params.select(&candidates, 9).unwrap(), plain, "{name}");
    }
}

#[test]
fn a_negative_strength_avoids_what_is_sought() {
    let rows = array![[0.0f32], [1.0], [2.0], [30.0]];
    let candidates = Candidates::new(rows.view()).unwrap();
    let mut params = by("uniqueness");
    assert_eq!(params.select(&candidates, 1).unwrap().rows(), [3]);
    params.objectives[0].strength = -1.0;
    assert_eq!(params.select(&candidates, 4).unwrap().rows(), [1, 2, 0, 3]);
}

/// Scores that never change, and one whose gain falls by half with every pick.
struct Halving(Vec<f64>, i32);

impl Objective for Halving {
    fn kind(&self) -> Gains {
        Gains::Falling
    }
    fn gains(&self, rows: &[usize], gains: &mut [f64]) {
        rows.iter().zip(gains).for_each(|(row, gain)| *gain = self.0[*row] * 0.5f64.powi(self.1));
    }
    fn pick(&mut self, _: usize) {
        self.1 += 1;
    }
    fn reason(&self, _: usize) -> Reason {
        Reason::Chance { draw: 0.0 }
    }
}

fn two_terms() -> Vec<Term<'static>> {
    let fixed = FixedScore::new("fixed", vec![0.0, 6.0, 7.0, 8.0]).unwrap();
    let falling = Halving(vec![10.0, 4.0, 2.0, 0.0], 0);
    vec![
        Term::new("fixed", 1.0, Box::new(fixed)).unwrap(),
        Term::new("falling", 2.0, Box::new(falling)).unwrap(),
    ]
}

#[test]
fn strengths_weigh_gains_of_one_scale() {
    let rows = Array2::<f32>::zeros((4, 1));
    let candidates = Candidates::new(rows.view()).unwrap();
    let with = |balance| {
        let valid = SelectParams { balance, ..SelectParams::default() }.check().unwrap();
        valid.select_by(&candidates, 4, two_terms(), &Silent).unwrap()
    };
    // Each step: row 0 gains 0 + 2; then 1 has 0 + 2, 2 has .5 + 1, 3 has 1 + 0; then 2 has 0 + 2.
    let each = with(Balance::EachStep);
    assert_eq!(each.rows(), [0, 1, 2, 3]);
    assert_eq!(each.picks.iter().map(|p| p.gain).collect::<Vec<_>>(), [2.0, 2.0, 2.0, 0.0]);
    // First step: scales 8 and 10; then 1 has .75 + .4, 2 has .875 + .2, 3 has 1; halved twice, 3 leads with 1.
    let first = with(Balance::FirstStep);
    assert_eq!(first.rows(), [0, 1, 3, 2]);
    let Reason::Mixture { parts } = &first.picks[1].reason else { panic!("a mixture was expected") };
    assert_eq!((parts[1].objective.as_str(), parts[1].strength, parts[1].gain), ("falling", 2.0, 2.0));
}

#[test]
fn terms_are_asked_for() {
    let rows = Array2::<f32>::zeros((4, 1));
    let valid = SelectParams::default().check().unwrap();
    assert!(valid.select_by(&Candidates::new(rows.view()).unwrap(), 1, Vec::new(), &Silent).is_err());
}

#[test]
fn weights_turn_chance_and_distance() {
    let rows = array![[0.0f32], [1.0], [9.0]];
    let weights = [1.0, 100.0, 0.0];
    let candidates = Candidates::new(rows.view()).unwrap().weighted(&weights).unwrap();
    assert_eq!(by("random").select(&candidates, 3).unwrap().rows()[2], 2);
    assert_eq!(by("k-center").select(&candidates, 3).unwrap().rows(), [1, 0, 2]);
}

#[test]
fn chance_follows_the_weights() {
    let rows = Array2::<f32>::zeros((3, 1));
    let weights = [1.0, 2.0, 5.0];
    let candidates = Candidates::new(rows.view()).unwrap().weighted(&weights).unwrap();
    let mut counts = [0.0; 3];
    for seed in 0..4000 {
        counts[SelectParams { seed, ..by("random") }.select(&candidates, 1).unwrap().rows()[0]] +=
            1.0 / 4000.0;
    }
    assert!(counts.iter().zip(weights).all(|(found, w)| f64::abs(found - w / 8.0) < 0.025), "{counts:?}");
}

proptest! {
    #[test]
    fn constraints_are_those_of_the_definition(
        seed: u64, n in 1usize..30, k in 0usize..32, per_group in 1usize..6, least in 0.0f64..1.0,
    ) {
        let rows = cloud(seed, n, 2);
        let groups: Vec<u32> = (0..n).map(|i| Seed::new(seed).stream("g").below(i as u64, 4) as u32).collect();
        let params = SelectParams {
            per_group: Some(per_group), min_distance: Some(least), ..by("k-center")
        };
        let candidates = Candidates::new(rows.view()).unwrap().grouped(&groups).unwrap();
        let expected = greedy(rows.view(), k, &params, Some(&groups));
        prop_assert_eq!(params.select(&candidates, k).unwrap().rows(), expected);
        // Under cosine the first pick is that closest to the mean of directions.
        let unit = candidates::unit_rows(rows.view(), "rows").unwrap();
        let params = SelectParams { metric: Metric::Cosine, ..params };
        let expected = greedy(unit.view(), k, &params, Some(&groups));
        prop_assert_eq!(params.select(&candidates, k).unwrap().rows(), expected);
    }

    #[test]
    fn lazy_scanned_and_sorted_searches_agree(seed: u64, n in 1usize..40, k in 1usize..20, least in 0.0f64..1.0) {
        struct Told(Box<dyn Objective>, Gains);
        impl Objective for Told {
            fn kind(&self) -> Gains { self.1 }
            fn gains(&self, rows: &[usize], gains: &mut [f64]) { self.0.gains(rows, gains); }
            fn pick(&mut self, row: usize) { self.0.pick(row); }
            fn reason(&self, row: usize) -> Reason { self.0.reason(row) }
        }
        let rows = cloud(seed, n, 2);
        let groups: Vec<u32> = (0..n as u32).map(|i| i % 3).collect();
        let candidates = Candidates::new(rows.view()).unwrap().grouped(&groups).unwrap();
        let params = SelectParams { min_distance: Some(least), per_group: Some(4), ..SelectParams::default() };
        let scores: Vec<f64> = (0..n).map(|i| Seed::new(seed).below(i as u64, 9) as f64).collect();
        let with = |kind| {
            let told = Told(Box::new(FixedScore::new("x", scores.clone()).unwrap()), kind);
            let terms = vec![Term::new("x", 1.0, Box::new(told)).unwrap()];
            params.check().unwrap().select_by(&candidates, k, terms, &Silent).unwrap()
        };
        prop_assert_eq!(with(Gains::Fixed), with(Gains::Any));
        prop_assert_eq!(with(Gains::Fixed), with(Gains::Falling));
    }

    #[test]
    fn all_methods_give_the_same_bytes_on_any_number_of_threads(seed: u64, n in 1usize..60, which in 0usize..64) {
        let names = Method::names();
        let rows = cloud(seed, n, 3);
        let candidates = Candidates::new(rows.view()).unwrap();
        let params = by(names[which % names.len()]);
        let on = |threads| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            pool.install(|| params.select(&candidates, 10).unwrap())
        };
        prop_assert_eq!(on(1), on(3));
    }

    #[test]
    fn stochastic_search_keeps_to_constraints_and_sees_all_rows_when_its_sample_is_all(
        seed: u64, n in 1usize..40, k in 1usize..20,
    ) {
        let rows = cloud(seed, n, 2);
        let candidates = Candidates::new(rows.view()).unwrap();
        let exact = by("k-center").select(&candidates, k).unwrap();
        let search = Search::Stochastic { epsilon: 1e-300 };
        let all = SelectParams { search, ..by("k-center") }.select(&candidates, k).unwrap();
        prop_assert_eq!(all, exact);
        let search = Search::Stochastic { epsilon: 0.5 };
        let some = SelectParams { search, min_distance: Some(0.2), ..by("k-center") };
        let found = some.select(&candidates, k).unwrap();
        let mut rows = found.rows();
        rows.sort_unstable();
        rows.dedup();
        prop_assert_eq!(rows.len(), found.picks.len());
        prop_assert!(found.ended != Ended::Full || rows.len() == k);
    }

    #[test]
    fn k_center_is_the_function_of_that_name(seed: u64, n in 1usize..30, k in 0usize..9, m in 0usize..4) {
        let (rows, labelled) = (cloud(seed, n, 2), cloud(seed ^ 1, m, 2));
        let candidates = Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap();
        let picks = k_center(rows.view(), k, Some(labelled.view())).unwrap();
        let expected: Vec<usize> = picks.iter().map(|pick| pick.row).collect();
        prop_assert_eq!(by("k-center").select(&candidates, k).unwrap().rows(), expected);
    }
}
