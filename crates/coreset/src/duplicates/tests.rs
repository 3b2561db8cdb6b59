use labelloop_core::Seed;
use ndarray::{Array2, array};
use proptest::prelude::*;

use super::*;

fn with(radius: f64, metric: Metric, plan: SearchPlan) -> DuplicateParams {
    DuplicateParams { radius, metric, plan, ..Default::default() }
}

/// Rows around few centers, with copies: what duplicates look like.
fn rows(seed: u64, n: usize, d: usize) -> Array2<f32> {
    let s = Seed::new(seed);
    Array2::from_shape_fn((n, d), |(i, j)| {
        let of = if i % 7 == 3 { i - 1 } else { i };
        let center = s.stream("center").normal((s.below(of as u64, 5) * d + j) as u64);
        let slip = if of == i { 0.0 } else { 0.01 * s.stream("slip").normal((i * d + j) as u64) };
        (center + 0.3 * s.normal((of * d + j) as u64) + slip) as f32
    })
}

fn distance(metric: Metric, rows: &Array2<f32>, i: usize, j: usize) -> f64 {
    let score = metric.score(rows.row(i), rows.row(j));
    if metric == Metric::L2 { score } else { 1.0 - score }
}

fn by_comparing_all(rows: &Array2<f32>, radius: f64, metric: Metric) -> Vec<(usize, usize)> {
    let n = rows.nrows();
    let all = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
    all.filter(|(i, j)| distance(metric, rows, *i, *j) <= radius).collect()
}

#[test]
fn defaults_are_as_documented() {
    let p = DuplicateParams::default();
    assert_eq!(
        (p.radius, p.metric, p.max_pairs, p.plan),
        (0.05, Metric::Cosine, 50_000_000, SearchPlan::Auto)
    );
    let read: DuplicateParams = serde_json::from_str(r#"{"metric": "l2", "plan": "blocked"}"#).unwrap();
    assert_eq!((read.metric, read.plan, read.radius), (Metric::L2, SearchPlan::Blocked, 0.05));
    assert!(serde_json::from_str::<DuplicateParams>(r#"{"radus": 1}"#).is_err());
}

#[test]
fn parameters_are_checked_one_by_one() {
    let rows = array![[1.0f32], [2.0]];
    assert!(matches!(
        near_duplicates(rows.view(), -1.0, Metric::L2),
        Err(CoresetError::Param(ParamError::Radius { .. }))
    ));
    assert!(near_duplicates(rows.view(), f64::NAN, Metric::L2).is_err());
    assert_eq!(
        near_duplicates(rows.view(), 1.0, Metric::Dot),
        Err(CoresetError::Param(ParamError::NotADistance))
    );
    assert!(near_duplicates(array![[0.0f32], [1.0]].view(), 0.1, Metric::Cosine).is_err());
    assert!(near_duplicates(array![[f32::NAN]].view(), 0.1, Metric::L2).is_err());
    let params = DuplicateParams::default();
    assert!(matches!(
        params.groups(rows.view(), Some(&[true])),
        Err(CoresetError::LengthMismatch { found: 1, expected: 2, .. })
    ));
}

#[test]
fn exact_copies_are_found_at_radius_zero_whatever_their_size() {
    for plan in [SearchPlan::Projected, SearchPlan::Blocked] {
        let rows = array![[1e4f32, 3.3], [7.0, 1.0], [1e4, 3.3]];
        let pairs = with(0.0, Metric::L2, plan).pairs(rows.view()).unwrap();
        assert_eq!(pairs, [DuplicatePair { first: 0, second: 2, distance: 0.0 }]);
        for size in [f32::MAX, 1e30, 1e-30, 1e-44] {
            let rows = array![[size, size], [size, size], [-size, size]];
            assert_eq!(with(0.0, Metric::L2, plan).pairs(rows.view()).unwrap().len(), 1, "{size} {plan:?}");
        }
    }
}

#[test]
fn no_rows_and_one_row_have_no_pairs() {
    for plan in [SearchPlan::Auto, SearchPlan::Projected, SearchPlan::Blocked] {
        let params = with(1.0, Metric::L2, plan);
        assert!(params.pairs(Array2::zeros((0, 4)).view()).unwrap().is_empty());
        assert!(params.pairs(Array2::ones((1, 4)).view()).unwrap().is_empty());
        assert!(params.groups(Array2::zeros((0, 4)).view(), None).unwrap().groups.is_empty());
        assert!(params.groups(Array2::ones((1, 4)).view(), None).unwrap().groups.is_empty());
    }
}

#[test]
fn more_pairs_than_allowed_are_an_error() {
    for plan in [SearchPlan::Projected, SearchPlan::Blocked] {
        let params = DuplicateParams { max_pairs: 44, ..with(0.0, Metric::L2, plan) };
        let e = params.pairs(Array2::ones((300, 3)).view()).unwrap_err();
        assert_eq!(e, CoresetError::TooManyPairs { expected: 44 });
        assert_eq!(params.pairs(Array2::ones((9, 3)).view()).unwrap().len(), 36);
    }
}

#[test]
fn a_great_many_copies_are_one_group() {
    let rows = Array2::<f32>::ones((30_000, 4));
    let groups = DuplicateParams::default().groups(rows.view(), None).unwrap();
    assert_eq!((groups.groups.len(), groups.groups[0].kept.clone()), (1, vec![0]));
    assert_eq!(groups.groups[0].redundant.len(), 29_999);
    assert!(groups.groups[0].redundant.iter().all(|r| r.of == 0));
}

#[test]
fn a_chain_keeps_more_than_one_row() {
    let rows = Array2::from_shape_fn((700, 1), |(i, _)| i as f32);
    for plan in [SearchPlan::Projected, SearchPlan::Blocked] {
        let groups = with(1.0, Metric::L2, plan).groups(rows.view(), None).unwrap();
        assert_eq!(groups.groups.len(), 1);
        assert_eq!(groups.groups[0].kept, (0..700).step_by(2).collect::<Vec<_>>());
    }
}

#[test]
fn constant_columns_and_equal_rows_are_fine() {
    let mut rows = Array2::<f32>::ones((600, 20));
    (0..600).for_each(|i| rows[[i, 7]] = (i / 2) as f32);
    for metric in [Metric::L2, Metric::Cosine] {
        let pairs = with(1e-9, metric, SearchPlan::Projected).pairs(rows.view()).unwrap();
        assert_eq!(pairs.len(), by_comparing_all(&rows, 1e-9, metric).len());
    }
}

#[test]
fn any_number_of_threads_gives_the_same() {
    let rows = rows(3, 3000, 24);
    let with_threads = |n: usize, plan| {
        let params = with(0.9, Metric::L2, plan);
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| (params.pairs(rows.view()).unwrap(), params.groups(rows.view(), None).unwrap()))
    };
    let one = with_threads(1, SearchPlan::Projected);
    assert!(one.0.len() > 100);
    assert!(with_threads(2, SearchPlan::Projected) == one);
    assert!(with_threads(16, SearchPlan::Projected) == one);
    assert!(with_threads(2, SearchPlan::Blocked) == one);
    assert!(with_threads(2, SearchPlan::Auto) == one);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn every_plan_agrees_with_comparing_every_pair(
        seed: u64, n in 2usize..300, d in 1usize..40, radius in 0.0f64..2.0,
    ) {
        let rows = rows(seed, n, d);
        for metric in [Metric::L2, Metric::Cosine] {
            let expected = by_comparing_all(&rows, radius, metric);
            for plan in [SearchPlan::Auto, SearchPlan::Projected, SearchPlan::Blocked] {
                let found = with(radius, metric, plan).pairs(rows.view()).unwrap();
                let pairs: Vec<_> = found.iter().map(|p| (p.first, p.second)).collect();
                prop_assert_eq!(&pairs, &expected);
                for pair in found {
                    prop_assert_eq!(pair.distance, distance(metric, &rows, pair.first, pair.second));
                }
            }
        }
    }

    #[test]
    fn groups_are_components_and_kept_rows_cover_them(
        seed: u64, n in 2usize..400, radius in 0.0f64..0.6, marks: u64,
    ) {
        let rows = rows(seed, n, 3);
        let labelled: Vec<bool> = (0..n).map(|i| Seed::new(marks).below(i as u64, 5) == 0).collect();
        let pairs = by_comparing_all(&rows, radius, Metric::L2);
        let near = |a: usize, b: usize| distance(Metric::L2, &rows, a.min(b), a.max(b)) <= radius;
        let mut set: Vec<usize> = (0..n).collect();
        for (i, j) in &pairs {
            let (from, to) = (set[*i].max(set[*j]), set[*i].min(set[*j]));
            set.iter_mut().filter(|s| **s == from).for_each(|s| *s = to);
        }
        let params = |plan| with(radius, Metric::L2, plan);
        let groups = params(SearchPlan::Projected).groups(rows.view(), Some(&labelled)).unwrap();
        prop_assert_eq!(&groups, &params(SearchPlan::Blocked).groups(rows.view(), Some(&labelled)).unwrap());
        for group in &groups.groups {
            let mut members = group.kept.clone();
            members.extend(group.redundant.iter().map(|r| r.row));
            members.sort_unstable();
            let root = members[0];
            prop_assert_eq!(members, (0..n).filter(|row| set[*row] == root).collect::<Vec<_>>());
            for r in &group.redundant {
                prop_assert!(!labelled[r.row] && near(r.row, r.of) && group.kept.contains(&r.of));
            }
            for (a, b) in group.kept.iter().flat_map(|a| group.kept.iter().map(move |b| (*a, *b))) {
                prop_assert!(a == b || !near(a, b) || (labelled[a] && labelled[b]));
            }
        }
        let n_grouped = groups.groups.iter().map(|g| g.kept.len() + g.redundant.len()).sum::<usize>();
        let touched: std::collections::BTreeSet<usize> = pairs.iter().flat_map(|(i, j)| [*i, *j]).collect();
        prop_assert_eq!(n_grouped, touched.len());
    }
}
