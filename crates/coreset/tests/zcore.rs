//! ZCore: its parameters, its edges, and the plain definition as an oracle.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use labelloop_core::{Progress, Seed};
use labelloop_coreset::{CoresetError, DrawPlan, Initial, ParamError, ZCoreParams};
use ndarray::{Array2, array};
use proptest::prelude::*;

fn params() -> ZCoreParams {
    ZCoreParams { n_draws: 300, n_neighbours: 5, ..Default::default() }
}

fn coarse(seed: u64, n: usize, n_dims: usize) -> Array2<f32> {
    let seed = Seed::new(seed);
    Array2::from_shape_fn((n, n_dims), |(i, j)| seed.below((i * n_dims + j) as u64, 9) as f32)
}

/// The definition, word by word: sort all rows for every draw.
fn by_definition(rows: &Array2<f32>, plan: &DrawPlan, params: &ZCoreParams) -> Vec<f64> {
    let mut scores = vec![0.0; rows.nrows()];
    for (dims, points) in plan.dims.rows().into_iter().zip(plan.points.rows()) {
        let distance = |row: usize, at: &[f64]| -> f64 {
            dims.iter().zip(at).map(|(d, a)| (f64::from(rows[[row, *d as usize]]) - a).abs()).sum()
        };
        let ordered = |at: &[f64]| {
            let mut all: Vec<(f64, usize)> = (0..rows.nrows()).map(|row| (distance(row, at), row)).collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            all
        };
        let winner = ordered(&points.to_vec())[0].1;
        scores[winner] += 1.0;
        let at: Vec<f64> = dims.iter().map(|d| f64::from(rows[[winner, *d as usize]])).collect();
        let mut others = ordered(&at);
        others.retain(|(_, row)| *row != winner);
        others.truncate(params.n_neighbours);
        match others.first() {
            None => {}
            Some((0.0, copy)) => scores[*copy] -= 1.0,
            Some(_) => {
                let weight = |d: f64| 1.0 / (d.powf(params.exponent) + params.eps);
                let sum: f64 = others.iter().map(|(d, _)| weight(*d)).sum();
                others.iter().for_each(|(d, row)| scores[*row] -= weight(*d) / sum);
            }
        }
    }
    scores
}

#[test]
fn defaults_are_as_documented() {
    let p = ZCoreParams::default();
    assert_eq!((p.n_draws, p.n_dims, p.n_neighbours), (10_000, 2, 100));
    assert_eq!((p.exponent, p.eps, p.initial, p.seed), (4.0, 1e-8, Initial::Zero, 42));
    assert!(p.check().is_ok());
    assert_eq!(p.check().unwrap().params(), &p);
}

#[test]
fn each_wrong_parameter_is_refused() {
    let p = ZCoreParams::default;
    assert_eq!(ZCoreParams { n_draws: 0, ..p() }.check(), Err(ParamError::NoDraws));
    assert_eq!(ZCoreParams { n_dims: 0, ..p() }.check(), Err(ParamError::NoDims));
    assert_eq!(ZCoreParams { n_neighbours: 0, ..p() }.check(), Err(ParamError::NoNeighbours));
    for found in [f64::NAN, -1.0, 65.0] {
        assert!(matches!(ZCoreParams { exponent: found, ..p() }.check(), Err(ParamError::Exponent { .. })));
    }
    for found in [f64::NAN, -1e-9, f64::INFINITY] {
        assert!(matches!(ZCoreParams { eps: found, ..p() }.check(), Err(ParamError::Eps { .. })));
    }
    let unchecked = ZCoreParams { n_draws: 0, ..p() }.score(array![[1.0f32]].view());
    assert_eq!(unchecked, Err(CoresetError::Param(ParamError::NoDraws)));
}

#[test]
fn a_config_cannot_hold_unknown_keys() {
    assert!(serde_json::from_str::<ZCoreParams>(r#"{"n_samples": 3}"#).is_err());
    assert_eq!(
        serde_json::from_str::<ZCoreParams>(r#"{"initial": "uniform"}"#).unwrap().initial,
        Initial::Uniform
    );
}

#[test]
fn few_rows_are_defined() {
    assert!(params().score(Array2::zeros((0, 3)).view()).unwrap().raw.is_empty());
    assert!(params().score(Array2::zeros((0, 0)).view()).unwrap().raw.is_empty());
    assert_eq!(params().score(array![[1.0, 2.0]].view()).unwrap().raw, [300.0]);
    let two = params().score(array![[0.0], [1.0]].view()).unwrap();
    assert_eq!(two.raw[0] + two.raw[1], 0.0);
}

#[test]
fn constant_columns_and_equal_rows_are_defined() {
    let mut rows = coarse(1, 30, 4);
    rows.column_mut(2).fill(7.0);
    assert!(params().score(rows.view()).unwrap().raw.iter().all(|s| s.is_finite()));
    let equal = params().score(Array2::ones((4, 3)).view()).unwrap();
    assert_eq!(equal.raw, [300.0, -300.0, 0.0, 0.0]);
}

#[test]
fn bad_rows_are_named() {
    let nan = array![[0.0f32, 1.0], [f32::NAN, 0.0]];
    assert!(matches!(params().score(nan.view()), Err(CoresetError::NotFinite { row: 1, column: 0, .. })));
    let labelled = params().score_given(array![[0.0f32, 1.0]].view(), nan.view()).unwrap_err();
    assert!(labelled.to_string().starts_with("labelled row 1"));
    assert_eq!(params().score(Array2::zeros((2, 0)).view()), Err(CoresetError::NoColumns));
    assert!(matches!(
        params().score_given(array![[0.0f32]].view(), nan.mapv(|_| 0.0).view()),
        Err(CoresetError::DimensionMismatch { found: 2, expected: 1, .. })
    ));
}

#[test]
fn threads_do_not_change_a_bit() {
    let rows = coarse(2, 1500, 12);
    let with = |n| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        threads.install(|| params().score(rows.view()).unwrap())
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(7));
}

#[test]
fn noise_is_added_only_when_asked_for() {
    let rows = coarse(3, 50, 4);
    let plain = params().score(rows.view()).unwrap();
    let noisy = ZCoreParams { initial: Initial::Uniform, ..params() }.score(rows.view()).unwrap();
    for (a, b) in plain.raw.iter().zip(&noisy.raw) {
        assert!((-1e-9..1.0).contains(&(b - a)));
    }
    assert_ne!(plain.raw, noisy.raw);
}

#[test]
fn candidates_near_labelled_rows_lose() {
    let seed = Seed::new(4);
    let rows = Array2::from_shape_fn((200, 6), |(i, j)| seed.normal((6 * i + j) as u64) as f32);
    let labelled = rows.select(ndarray::Axis(0), &(0..20).collect::<Vec<_>>());
    let params = ZCoreParams { n_draws: 2000, ..params() };
    let alone = params.score(rows.view()).unwrap();
    let given = params.score_given(rows.view(), labelled.view()).unwrap();
    assert_eq!(given.raw.len(), 200);
    // Copies of labelled rows can win nothing any more.
    assert!(given.raw[..20].iter().all(|s| *s <= 0.0));
    assert!(given.raw[..20].iter().sum::<f64>() < alone.raw[..20].iter().sum::<f64>());
}

#[test]
fn the_work_can_be_ended() {
    struct Stop;
    impl Progress for Stop {
        fn advance(&self, _: &str, _: u64, _: u64) {}
        fn is_cancelled(&self) -> bool {
            true
        }
    }
    let none = Array2::zeros((0, 2));
    let ended = params().check().unwrap().score_given(coarse(5, 9, 2).view(), none.view(), &Stop);
    assert!(matches!(ended, Err(CoresetError::Cancelled(_))));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn agrees_with_the_definition(seed: u64, n in 1usize..60, n_draws in 1usize..40, k in 1usize..70) {
        let rows = coarse(seed, n, 5);
        let s = Seed::new(seed ^ 1);
        let plan = DrawPlan {
            dims: Array2::from_shape_fn((n_draws, 2), |(i, j)| (s.below(i as u64, 2) + 2 * j) as u32),
            points: Array2::from_shape_fn((n_draws, 2), |(i, j)| 9.0 * s.unit(1000 + (2 * i + j) as u64)),
        };
        let params = ZCoreParams { n_neighbours: k, ..Default::default() };
        let ours = params.score_plan(rows.view(), &plan).unwrap();
        for (a, b) in ours.raw.iter().zip(by_definition(&rows, &plan, &params)) {
            prop_assert!((a - b).abs() < 1e-9);
        }
    }

    #[test]
    fn each_draw_gives_as_much_as_it_takes(seed: u64, n in 2usize..50) {
        let raw = params().score(coarse(seed, n, 3).view()).unwrap().raw;
        prop_assert!(raw.iter().sum::<f64>().abs() < 1e-9);
    }

    #[test]
    fn normalised_scores_keep_the_order(seed: u64, n in 1usize..50) {
        let scores = params().score(coarse(seed, n, 3).view()).unwrap();
        prop_assert!(scores.normalised.iter().all(|s| (0.0..=1.0).contains(s)));
        let top = scores.top(n).unwrap();
        prop_assert!(top.windows(2).all(|w| scores.normalised[w[0].row] >= scores.normalised[w[1].row]));
    }
}
