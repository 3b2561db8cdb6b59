//! Greedy methods against their definitions: a slow oracle looks at every row in every step, in f64.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use labelloop_core::Seed;
use labelloop_coreset::Metric;
use labelloop_coreset::select::{
    Candidates, Ended, FacilityLocationParams, Kernel, KernelHerdingParams, MaxHerdingParams, Method, Pick,
    ProbCoverParams, Radius, Reason, Search, SelectParams, Selection,
};
use ndarray::Array2;
use proptest::prelude::*;

/// A small problem with everything that can be given.
struct Case {
    rows: Array2<f32>,
    labelled: Array2<f32>,
    weights: Vec<f64>,
    k: usize,
}

impl Case {
    fn new(seed: u64, n: usize, n_labelled: usize, k: usize, weighted: bool) -> Self {
        let s = Seed::new(seed);
        let cloud = |name: &str, n: usize| {
            let s = s.stream(name);
            Array2::from_shape_fn((n, 3), |(i, j)| (s.normal((3 * i + j) as u64) + (i % 3) as f64) as f32)
        };
        let weight = |i: usize| if weighted { s.stream("weight").unit(i as u64) * 3.0 } else { 1.0 };
        let weights = (0..n).map(weight).collect();
        Self { rows: cloud("rows", n), labelled: cloud("labelled", n_labelled), weights, k }
    }

    fn select(&self, method: Method) -> Selection {
        self.select_by(&SelectParams::by(method))
    }

    fn select_by(&self, params: &SelectParams) -> Selection {
        let candidates = Candidates::new(self.rows.view()).unwrap().given(self.labelled.view()).unwrap();
        params.select(&candidates.weighted(&self.weights).unwrap(), self.k).unwrap()
    }

    fn distance(&self, a: usize, b: usize) -> f64 {
        Metric::L2.score(self.rows.row(a), self.rows.row(b))
    }

    fn to_labelled(&self, a: usize, b: usize) -> f64 {
        Metric::L2.score(self.rows.row(a), self.labelled.row(b))
    }

    fn similarity(&self, kernel: Kernel, a: usize, b: usize) -> f64 {
        match kernel {
            Kernel::Cosine => Metric::Cosine.score(self.rows.row(a), self.rows.row(b)),
            Kernel::Rbf { bandwidth } => gaussian(self.distance(a, b), bandwidth.unwrap()),
        }
    }

    fn to_known(&self, kernel: Kernel, a: usize, b: usize) -> f64 {
        match kernel {
            Kernel::Cosine => Metric::Cosine.score(self.rows.row(a), self.labelled.row(b)),
            Kernel::Rbf { bandwidth } => gaussian(self.to_labelled(a, b), bandwidth.unwrap()),
        }
    }

    /// The value of facility location for some picks; `near` says which rows may represent which.
    fn value(&self, kernel: Kernel, picks: &[usize], near: impl Fn(usize, usize) -> bool) -> f64 {
        let of_row = |i: usize| {
            let picked = picks.iter().filter(|j| near(i, **j)).map(|j| self.similarity(kernel, i, *j));
            let labelled = (0..self.labelled.nrows()).map(|j| self.to_known(kernel, i, j));
            self.weights[i] * picked.chain(labelled).fold(0.0, f64::max)
        };
        (0..self.rows.nrows()).map(of_row).sum()
    }

    fn covered(&self, radius: f64, picks: &[usize]) -> f64 {
        let is_covered = |i: &usize| {
            picks.iter().any(|j| self.distance(*i, *j) <= radius)
                || (0..self.labelled.nrows()).any(|j| self.to_labelled(*i, j) <= radius)
        };
        (0..self.rows.nrows()).filter(is_covered).map(|i| self.weights[i]).sum()
    }
}

fn gaussian(distance: f64, bandwidth: f64) -> f64 {
    (-distance * distance / (2.0 * bandwidth * bandwidth)).exp()
}

/// Every pick gains what the oracle says and, but for rounding, no row left gains more.
fn check_greedy(picks: &[Pick], n: usize, tolerance: f64, gain: impl Fn(&[usize], usize) -> f64) {
    let mut known: Vec<usize> = Vec::new();
    for pick in picks {
        let own = gain(&known, pick.row);
        assert!((pick.gain - own).abs() <= tolerance, "{} {own} at {}", pick.gain, known.len());
        let left = (0..n).filter(|row| !known.contains(row));
        let best = left.map(|row| gain(&known, row)).fold(f64::NEG_INFINITY, f64::max);
        assert!(own >= best - tolerance, "{own} {best} at {}", known.len());
        known.push(pick.row);
    }
}

fn kernel(cosine: bool) -> Kernel {
    if cosine { Kernel::Cosine } else { Kernel::Rbf { bandwidth: Some(0.9) } }
}

/// All ways to pick k of n.
fn subsets(n: usize, k: usize) -> impl Iterator<Item = Vec<usize>> {
    let sized = (0u32..1 << n).filter(move |mask| mask.count_ones() as usize == k);
    sized.map(move |mask| (0..n).filter(|i| mask >> i & 1 == 1).collect())
}

proptest! {
    #[test]
    fn facility_location_is_greedy(
        seed: u64, n in 1usize..25, m in 0usize..4, k in 1usize..10, cosine: bool, weighted: bool,
    ) {
        let case = Case::new(seed, n, m, k, weighted);
        let params = FacilityLocationParams { kernel: kernel(cosine), ..Default::default() };
        let found = case.select(Method::FacilityLocation(params));
        let value = |picks: &[usize]| case.value(kernel(cosine), picks, |_, _| true);
        check_greedy(&found.picks, n, 1e-4, |known, row| value(&[known, &[row]].concat()) - value(known));
        prop_assert!(found.picks.windows(2).all(|pair| pair[1].gain <= pair[0].gain));
    }

    #[test]
    fn memory_has_no_influence(seed: u64, n in 1usize..150, m in 0usize..4, cosine: bool, weighted: bool) {
        let case = Case::new(seed, n, m, 20, weighted);
        let params = FacilityLocationParams { kernel: kernel(cosine), ..Default::default() };
        let little = FacilityLocationParams { memory: 0, ..params.clone() };
        prop_assert_eq!(
            case.select(Method::FacilityLocation(params)),
            case.select(Method::FacilityLocation(little))
        );
    }

    #[test]
    fn neighbours_alone_represent(
        seed: u64, n in 2usize..25, m in 0usize..4, near in 1usize..30, cosine: bool, weighted: bool,
    ) {
        let case = Case::new(seed, n, m, 6, weighted);
        let kernel = kernel(cosine);
        let params = FacilityLocationParams { kernel, neighbours: Some(near), ..Default::default() };
        let found = case.select(Method::FacilityLocation(params));
        let nearest: Vec<Vec<usize>> = (0..n).map(|i| {
            let mut order: Vec<usize> = (0..n).filter(|j| *j != i).collect();
            order.sort_by(|a, b| case.similarity(kernel, i, *b).total_cmp(&case.similarity(kernel, i, *a)));
            order.truncate(near - 1);
            order.push(i);
            order
        }).collect();
        let value = |picks: &[usize]| case.value(kernel, picks, |i, j| nearest[i].contains(&j));
        check_greedy(&found.picks, n, 1e-4, |known, row| value(&[known, &[row]].concat()) - value(known));
    }

    #[test]
    fn max_herding_is_greedy(seed: u64, n in 1usize..25, m in 0usize..4, k in 1usize..10, weighted: bool) {
        let case = Case::new(seed, n, m, k, weighted);
        let params = MaxHerdingParams { bandwidth: Some(0.9), ..Default::default() };
        let found = case.select(Method::MaxHerding(params));
        let mass: f64 = case.weights.iter().sum();
        let value = |picks: &[usize]| case.value(kernel(false), picks, |_, _| true) / mass;
        check_greedy(&found.picks, n, 1e-5, |known, row| value(&[known, &[row]].concat()) - value(known));
    }

    #[test]
    fn kernel_herding_is_greedy(seed: u64, n in 1usize..25, m in 0usize..4, k in 1usize..10, weighted: bool) {
        let case = Case::new(seed, n, m, k, weighted);
        let found = case.select(Method::KernelHerding(KernelHerdingParams { bandwidth: Some(0.9) }));
        let mass: f64 = case.weights.iter().sum();
        let gain = |known: &[usize], row: usize| {
            let typical = (0..n).map(|i| case.weights[i] * case.similarity(kernel(false), row, i)).sum::<f64>() / mass;
            let picked: f64 = known.iter().map(|j| case.similarity(kernel(false), row, *j)).sum();
            let labelled: f64 = (0..m).map(|j| case.to_known(kernel(false), row, j)).sum();
            typical - (picked + labelled) / (known.len() + m + 1) as f64
        };
        check_greedy(&found.picks, n, 1e-5, gain);
    }

    #[test]
    fn prob_cover_is_greedy_and_begins_anew_when_all_is_covered(
        seed: u64, n in 1usize..25, m in 0usize..4, k in 1usize..26, radius in 0.0f64..3.0, weighted: bool,
    ) {
        let case = Case::new(seed, n, m, k, weighted);
        let found = case.select(Method::ProbCover(ProbCoverParams { radius: Radius::Fixed(radius) }));
        let first = |pick: &&Pick| matches!(pick.reason, Reason::Reaches { layer: 0, .. });
        let picks: Vec<Pick> = found.picks.iter().take_while(first).cloned().collect();
        let value = |picks: &[usize]| case.covered(radius, picks);
        check_greedy(&picks, n, 1e-6, |known, row| value(&[known, &[row]].concat()) - value(known));
        let rows: Vec<usize> = picks.iter().map(|pick| pick.row).collect();
        let all: f64 = case.weights.iter().sum();
        prop_assert!(found.picks.len() == picks.len() || value(&rows) >= all - 1e-6);
        prop_assert_eq!(found.picks.len(), n.min(k));
        let sound = |pick: &Pick| match &pick.reason {
            Reason::Reaches { n_rows, .. } if !weighted => *n_rows as f64 == pick.gain && pick.gain >= 1.0,
            _ => weighted,
        };
        prop_assert!(found.picks.iter().all(sound));
    }

    #[test]
    fn greedy_is_within_the_bound_of_the_best(seed: u64, n in 2usize..10, k in 1usize..5, cosine: bool) {
        let case = Case::new(seed, n, 0, k, true);
        let params = FacilityLocationParams { kernel: kernel(cosine), ..Default::default() };
        let found = case.select(Method::FacilityLocation(params));
        let value = |picks: &[usize]| case.value(kernel(cosine), picks, |_, _| true);
        let best = subsets(n, k.min(n)).map(|picks| value(&picks)).fold(0.0, f64::max);
        prop_assert!(value(&found.rows()) >= (1.0 - (-1.0f64).exp()) * best - 1e-6);
        let radius = ProbCoverParams { radius: Radius::Fixed(1.2) };
        let cover = case.select(Method::ProbCover(radius));
        let best = subsets(n, k.min(n)).map(|picks| case.covered(1.2, &picks)).fold(0.0, f64::max);
        prop_assert!(case.covered(1.2, &cover.rows()) >= (1.0 - (-1.0f64).exp()) * best - 1e-6);
    }

    #[test]
    fn the_order_of_rows_does_not_matter(seed: u64, n in 2usize..25, which in 0usize..64) {
        // Chance and ZCore depend on row numbers; clusterings may.
        let names = ["facility-location", "k-center", "kernel-herding", "max-herding", "uniqueness"];
        let method = Method::from_name(names[which % names.len()]).unwrap();
        let mut case = Case::new(seed, n, 0, 6, false);
        let found = case.select(method.clone());
        let order = Seed::new(seed).stream("order").permutation(n);
        case.rows = case.rows.select(ndarray::Axis(0), &order);
        let turned = case.select(method);
        for (a, b) in found.picks.iter().zip(&turned.picks) {
            prop_assert!((a.gain - b.gain).abs() < 1e-4, "{a:?} {b:?}");
            if a.row != order[b.row] {
                break; // Two rows that gain the same but for rounding part the ways.
            }
        }
    }

    #[test]
    fn mixtures_of_coverage_are_searched_lazily_and_exactly(seed: u64, n in 1usize..40, k in 1usize..12) {
        use labelloop_coreset::select::{Balance, Weighted};
        let case = Case::new(seed, n, 1, k, true);
        let objective = |name: &str, strength| Weighted { method: Method::from_name(name).unwrap(), strength };
        let params = SelectParams {
            objectives: vec![objective("facility-location", 1.0), objective("max-herding", 2.0), objective("random", 0.5)],
            balance: Balance::FirstStep,
            ..SelectParams::default()
        };
        let found = case.select_by(&params);
        prop_assert_eq!(found.picks.len(), n.min(k));
        prop_assert!(found.picks.windows(2).all(|pair| pair[1].gain <= pair[0].gain));
    }
}

#[test]
fn stochastic_search_keeps_its_promise_on_average() {
    let case = Case::new(5, 18, 0, 3, false);
    let facility = FacilityLocationParams { kernel: kernel(false), ..Default::default() };
    let value = |picks: &[usize]| case.value(kernel(false), picks, |_, _| true);
    let best = subsets(18, 3).map(|picks| value(&picks)).fold(0.0, f64::max);
    let epsilon = 0.2;
    let one = |seed| {
        let search = Search::Stochastic { epsilon };
        let method = Method::FacilityLocation(facility.clone());
        value(&case.select_by(&SelectParams { search, seed, ..SelectParams::by(method) }).rows())
    };
    let mean = (0..40).map(one).sum::<f64>() / 40.0;
    assert!(mean >= (1.0 - (-1.0f64).exp() - epsilon) * best, "{mean} {best}");
    assert!(mean < best);
}

#[test]
fn copies_of_what_is_known_gain_nothing() {
    let rows = ndarray::array![[0.3f32, 0.1], [0.9, 2.0], [0.3, 0.1], [0.9, 2.0]];
    let labelled = ndarray::array![[0.3f32, 0.1]];
    let candidates = Candidates::new(rows.view()).unwrap().given(labelled.view()).unwrap();
    for name in ["facility-location", "k-center", "max-herding", "prob-cover"] {
        let found = SelectParams::by(Method::from_name(name).unwrap()).select(&candidates, 2).unwrap();
        assert_eq!(found.rows()[0], 1, "{name}");
        assert!(found.picks[1].gain < 1e-6 || name == "prob-cover", "{name}");
    }
}

#[test]
fn extreme_rows_give_picks() {
    let rows = ndarray::array![[f32::MAX, 0.0], [f32::MIN, 1.0], [1e-38, 1e-38], [0.0, 1.0], [1e30, 1e30]];
    let candidates = Candidates::new(rows.view()).unwrap();
    for name in Method::names() {
        let found = SelectParams::by(Method::from_name(name).unwrap()).select(&candidates, 5).unwrap();
        assert_eq!((found.picks.len(), found.ended), (5, Ended::Full), "{name}");
    }
}

#[test]
fn constant_columns_change_no_pick() {
    let plain = Case::new(3, 30, 0, 8, false).rows;
    let wide =
        ndarray::concatenate(ndarray::Axis(1), &[plain.view(), Array2::zeros((30, 2)).view()]).unwrap();
    for name in [
        "facility-location",
        "k-center",
        "kernel-herding",
        "max-herding",
        "prob-cover",
        "random",
        "uniqueness",
    ] {
        let params = SelectParams::by(Method::from_name(name).unwrap());
        let rows =
            |rows: &Array2<f32>| params.select(&Candidates::new(rows.view()).unwrap(), 8).unwrap().rows();
        assert_eq!(rows(&plain), rows(&wide), "{name}");
    }
}

#[test]
fn the_radius_by_the_budget_reaches_as_many_rows_as_a_pick_has_to() {
    let case = Case::new(8, 200, 0, 10, false);
    let found = case.select(Method::ProbCover(ProbCoverParams::default()));
    let Reason::Reaches { radius, .. } = found.picks[0].reason else { panic!("a reach was expected") };
    let reached = |i: usize| (0..200).filter(|j| case.distance(i, *j) <= radius).count();
    let mut counts: Vec<usize> = (0..200).map(reached).collect();
    counts.sort_unstable();
    assert!((19..=21).contains(&counts[100]), "{}", counts[100]);
}

#[derive(serde::Deserialize)]
struct Golden {
    rows: Vec<Vec<f32>>,
    cases: Vec<GoldenCase>,
}

#[derive(serde::Deserialize)]
struct GoldenCase {
    name: String,
    tool: String,
    method: Method,
    labelled: Vec<usize>,
    picks: Vec<usize>,
    gains: Vec<f64>,
}

#[test]
fn picks_and_gains_are_those_of_other_programs() {
    let golden: Golden = serde_json::from_str(include_str!("golden/select.json")).unwrap();
    assert_eq!(golden.cases.len(), 9);
    let (n, d) = (golden.rows.len(), golden.rows[0].len());
    let rows = Array2::from_shape_fn((n, d), |(i, j)| golden.rows[i][j]);
    for case in golden.cases {
        let free: Vec<usize> = (0..n).filter(|row| !case.labelled.contains(row)).collect();
        let pool = rows.select(ndarray::Axis(0), &free);
        let labelled = rows.select(ndarray::Axis(0), &case.labelled);
        let candidates = Candidates::new(pool.view()).unwrap().given(labelled.view()).unwrap();
        let is_mean = matches!(case.method, Method::MaxHerding(_));
        let found = SelectParams::by(case.method).select(&candidates, case.picks.len()).unwrap();
        let picks: Vec<usize> = found.rows().into_iter().map(|row| free[row]).collect();
        assert_eq!(picks, case.picks, "{} by {}", case.name, case.tool);
        for (pick, expected) in found.picks.iter().zip(&case.gains) {
            // The other program's mean is over the rows that are left, of which each pick takes one.
            let left = (free.len() - pick.rank) as f64 / free.len() as f64;
            let expected = if is_mean { left * expected } else { *expected };
            let error = (pick.gain - expected).abs();
            assert!(error <= 2e-5 * (1.0 + expected.abs()), "{} {expected} in {}", pick.gain, case.name);
        }
    }
}
