//! Plans on generated embeddings: their shape, their reasons and what must never change them.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

use std::collections::{BTreeMap, BTreeSet};

use labelloop_acquire::{
    AcquireError, BatchPlan, Bucket, Budget, Candidates, CarryOver, FailureKind, FailureQuery, Failures,
    FallbackReason, Notice, PolicyParams, first_batch, plan_batch, random_batch,
};
use labelloop_core::{GroupKey, Members, Pool, SampleId, Seed, Split};
use labelloop_coreset::ZCoreParams;
use ndarray::{Array2, Axis};
use proptest::prelude::*;

/// Everything that a plan is made from.
#[derive(Clone)]
struct World {
    members: Members<Pool>,
    groups: Vec<GroupKey>,
    pool: Array2<f32>,
    cost: Vec<f64>,
    labelled: Array2<f32>,
    queries: Vec<FailureQuery>,
    failing: Array2<f32>,
}

fn noise(seed: u64, name: &str, n: usize) -> Array2<f32> {
    let seed = Seed::new(seed).stream(name);
    Array2::from_shape_fn((n, 5), |(i, j)| seed.normal((5 * i + j) as u64) as f32)
}

fn id(text: String) -> SampleId {
    SampleId::new(text).unwrap()
}

fn confusion() -> FailureKind {
    FailureKind::Confusion { actual: "car".into(), predicted: "van".into() }
}

fn world(seed: u64, n: usize, n_queries: usize) -> World {
    let ids: Vec<SampleId> = (0..n).map(|i| id(format!("img-{i:05}"))).collect();
    let kinds = [FailureKind::MissedObjects, FailureKind::FalseAlarms, confusion()];
    let queries = (0..n_queries).map(|i| FailureQuery {
        image: id(format!("val-{:03}", i / 3)),
        kind: kinds[i % 3].clone(),
        weight: 1.0 + (i % 4) as f64,
        row: i / 3,
    });
    World {
        members: Members::of(ids.iter().map(|id| (id, Split::Pool))),
        groups: (0..n).map(|i| GroupKey::new(format!("drive-{}", i / 6)).unwrap()).collect(),
        pool: noise(seed, "pool", n),
        cost: (0..n).map(|i| 1.0 + (i % 7) as f64).collect(),
        labelled: noise(seed, "labelled", 7),
        queries: queries.collect(),
        failing: noise(seed, "failing", n_queries.div_ceil(3)),
    }
}

fn fast() -> PolicyParams {
    PolicyParams {
        zcore: ZCoreParams { n_draws: 200, n_neighbours: 10, ..Default::default() },
        ..Default::default()
    }
}

impl World {
    fn candidates(&self) -> Candidates<'_> {
        Candidates {
            members: &self.members,
            groups: Some(&self.groups),
            embeddings: self.pool.view(),
            cost: Some(&self.cost),
        }
    }

    fn failures(&self) -> Failures<'_> {
        Failures { queries: &self.queries, embeddings: self.failing.view() }
    }

    fn plan(&self, params: &PolicyParams, budget: Budget) -> Result<BatchPlan, AcquireError> {
        params.plan(&self.candidates(), self.labelled.view(), &self.failures(), budget)
    }
}

fn counts(plan: &BatchPlan) -> [usize; 4] {
    Bucket::POLICY.map(|bucket| plan.of(bucket).count())
}

#[test]
fn a_hundred_are_dealt_out_by_the_default_shares() {
    let plan = world(1, 400, 12).plan(&fast(), Budget::Units(100)).unwrap();
    assert_eq!(counts(&plan), [30, 35, 21, 14]);
    assert!(plan.notices.is_empty(), "{:?}", plan.notices);
    assert!(plan.fills.iter().all(|f| f.asked == f.reached && f.granted == f.reached));
    assert!(plan.picks.iter().map(|p| p.rank).eq(1..=100));
}

#[test]
fn every_pick_says_why() {
    let w = world(2, 300, 9);
    let plan = w.plan(&fast(), Budget::Units(40)).unwrap();
    for pick in &plan.picks {
        match pick.bucket {
            Bucket::Coverage => {
                assert_eq!((pick.scorer.as_str(), &pick.query), ("zcore_given_labelled", &None));
            }
            _ => {
                let query = pick.query.as_ref().unwrap();
                assert!(w.queries.iter().any(|q| q.image == *query && q.kind.bucket() == pick.bucket));
                assert!((pick.score + pick.distance.unwrap() - 1.0).abs() < 1e-12);
            }
        }
        assert_eq!(pick.seed, 42);
    }
}

#[test]
fn coverage_is_the_top_of_zcore_where_groups_do_not_count() {
    let w = world(3, 200, 6);
    let params = PolicyParams { group_penalty: 0.0, ..fast() };
    let plan = w.plan(&params, Budget::Units(20)).unwrap();
    let zcore = ZCoreParams { seed: params.seed, ..params.zcore.clone() };
    let top = zcore.score_given(w.pool.view(), w.labelled.view()).unwrap().top(6).unwrap();
    let ids: Vec<&SampleId> = top.iter().map(|s| &w.members.ids()[s.row]).collect();
    assert_eq!(plan.of(Bucket::Coverage).map(|p| &p.id).collect::<Vec<_>>(), ids);
}

#[test]
fn a_bucket_without_failures_hands_over_and_says_so() {
    let mut w = world(4, 300, 12);
    w.queries.retain(|q| q.kind.bucket() != Bucket::FalseAlarm);
    let plan = w.plan(&fast(), Budget::Units(100)).unwrap();
    // 21 by 35 : 14 is 15 : 6.
    assert_eq!(counts(&plan), [30, 50, 0, 20]);
    assert_eq!(plan.notices.len(), 2);
    assert!(plan.notices.contains(&Notice::Fallback {
        bucket: Bucket::FalseAlarm,
        to: Bucket::Missed,
        amount: 15.0,
        reason: FallbackReason::NoQueries,
    }));
    let plan =
        w.plan(&PolicyParams { carry_over: CarryOver::Coverage, ..fast() }, Budget::Units(100)).unwrap();
    assert_eq!(counts(&plan), [51, 35, 0, 14]);
}

#[test]
fn without_failures_all_of_it_is_coverage() {
    let mut w = world(5, 300, 3);
    w.queries.clear();
    let plan = w.plan(&fast(), Budget::Units(50)).unwrap();
    assert_eq!(counts(&plan), [50, 0, 0, 0]);
    assert_eq!(plan.notices.len(), 3);
}

#[test]
fn a_pool_smaller_than_the_budget_is_taken_whole() {
    let plan = world(6, 9, 6).plan(&fast(), Budget::Units(50)).unwrap();
    assert_eq!(plan.len(), 9);
    assert_eq!(plan.notices, [Notice::BudgetClamped { asked: 50.0, reached: 9.0 }]);
}

#[test]
fn an_empty_pool_is_exhausted() {
    let w = world(7, 0, 3);
    assert_eq!(w.plan(&fast(), Budget::Units(5)), Err(AcquireError::Exhausted));
    assert_eq!(random_batch(&w.candidates(), Budget::Units(5), 1), Err(AcquireError::Exhausted));
}

#[test]
fn near_identical_frames_do_not_fill_the_targeted_bucket() {
    // 30 scenes of 20 all but equal frames; every failure resembles scene 0 most.
    let mut w = world(8, 600, 3);
    let scenes = noise(8, "scenes", 30);
    let frames = noise(8, "frames", 600);
    w.pool = Array2::from_shape_fn((600, 5), |(i, j)| scenes[[i / 20, j]] + 0.01 * frames[[i, j]]);
    w.groups = (0..600).map(|i| GroupKey::new(format!("scene-{:02}", i / 20)).unwrap()).collect();
    w.failing = scenes.select(Axis(0), &[0]);
    let scenes_of = |params: &PolicyParams| {
        let plan = w.plan(params, Budget::Units(40)).unwrap();
        let group = |id: &SampleId| w.groups[w.members.ids().binary_search(id).unwrap()].clone();
        plan.of(Bucket::Missed).map(|p| group(&p.id)).collect::<BTreeSet<_>>().len()
    };
    let nearest = PolicyParams { mmr_lambda: 1.0, group_penalty: 0.0, ..fast() };
    assert_eq!(scenes_of(&nearest), 1);
    assert!(scenes_of(&fast()) >= 10);
    // Without groups, lambda 0.5 alone does not spread where the pool holds copies of the failing image: being like it
    // and being like the copy taken before weigh the same. A smaller lambda does.
    assert_eq!(scenes_of(&PolicyParams { group_penalty: 0.0, ..fast() }), 1);
    assert!(scenes_of(&PolicyParams { group_penalty: 0.0, mmr_lambda: 0.4, ..fast() }) > 3);
}

#[test]
fn every_failing_image_gets_its_part() {
    let mut w = world(9, 500, 0);
    // Two failures point at opposite ends; the first is five times as heavy.
    w.failing = ndarray::array![[1.0, 0.0, 0.0, 0.0, 0.0], [-1.0, 0.0, 0.0, 0.0, 0.0]];
    w.queries = [("val-a", 5.0, 0), ("val-b", 1.0, 1)]
        .map(|(image, weight, row)| FailureQuery {
            image: id(image.into()),
            kind: FailureKind::MissedObjects,
            weight,
            row,
        })
        .to_vec();
    let plan = w.plan(&fast(), Budget::Units(40)).unwrap();
    let mut served: BTreeMap<&str, usize> = BTreeMap::new();
    for pick in plan.of(Bucket::Missed) {
        *served.entry(pick.query.as_ref().unwrap().as_str()).or_default() += 1;
    }
    assert!(served["val-a"] > served["val-b"] && served["val-b"] >= 3, "{served:?}");
}

#[test]
fn a_cap_per_group_holds_and_what_it_costs_is_said() {
    let w = world(10, 60, 6); // 10 drives
    let params = PolicyParams { max_per_group: Some(2), ..fast() };
    let plan = w.plan(&params, Budget::Units(30)).unwrap();
    assert_eq!(plan.len(), 20);
    let lacking: f64 = plan
        .notices
        .iter()
        .map(|n| if let Notice::Underfilled { missing, .. } = n { *missing } else { 0.0 })
        .sum();
    assert_eq!(lacking, 10.0);
    let strict = w.plan(&PolicyParams { strict: true, ..params }, Budget::Units(30));
    assert!(matches!(strict, Err(AcquireError::Underfilled { .. })), "{strict:?}");
}

#[test]
fn a_budget_in_cost_is_kept_and_all_but_used_up() {
    let w = world(11, 200, 6);
    let plan = w.plan(&fast(), Budget::Cost(100.0)).unwrap();
    let spent: f64 = plan.picks.iter().map(|p| p.cost).sum();
    assert!((93.0..=100.0 + 1e-6).contains(&spent), "{spent}");
    assert!(plan.fills.iter().all(|f| f.n_picks > 0));
    let random = random_batch(&w.candidates(), Budget::Cost(100.0), 1).unwrap();
    assert_eq!(random.picks.iter().map(|p| p.cost).sum::<f64>(), 100.0);
    let free = Candidates { cost: None, ..w.candidates() };
    assert_eq!(random_batch(&free, Budget::Cost(1.0), 1), Err(AcquireError::NoCosts));
}

#[test]
fn the_first_batch_is_coverage_alone() {
    let w = world(12, 100, 3);
    let plan = first_batch(&w.candidates(), Budget::Units(25), &fast().check().unwrap()).unwrap();
    assert_eq!(counts(&plan), [25, 0, 0, 0]);
    assert!(plan.notices.is_empty());
    assert!(plan.picks.iter().all(|p| p.scorer == "zcore"));
}

#[test]
fn a_low_coverage_on_record_is_repeated_in_the_plan() {
    let params =
        PolicyParams { coverage: 0.0, missed: 0.65, coverage_floor_override: Some("audit".into()), ..fast() };
    let plan = world(13, 100, 6).plan(&params, Budget::Units(20)).unwrap();
    assert_eq!(counts(&plan), [0, 13, 4, 3]);
    assert!(
        plan.notices.contains(&Notice::CoverageFloorOverridden { coverage: 0.0, reason: "audit".into() })
    );
}

#[test]
fn random_turns_do_not_depend_on_who_else_is_there() {
    let (few, many) = (world(14, 50, 0), world(14, 80, 0));
    let order = |w: &World| -> Vec<SampleId> {
        let plan = random_batch(&w.candidates(), Budget::Units(1000), 3).unwrap();
        plan.ids().filter(|id| few.members.contains(id)).cloned().collect()
    };
    assert_eq!(order(&few), order(&many));
    let other = random_batch(&few.candidates(), Budget::Units(50), 4).unwrap();
    assert_ne!(order(&few), other.ids().cloned().collect::<Vec<_>>());
}

#[test]
fn inputs_that_do_not_fit_are_named() {
    let good = world(15, 20, 3);
    let refused = |change: &dyn Fn(&mut World)| {
        let mut w = good.clone();
        change(&mut w);
        w.plan(&fast(), Budget::Units(5)).unwrap_err().to_string()
    };
    assert_eq!(
        refused(&|w| w.pool[[3, 1]] = f32::NAN),
        "embedding of sample img-00003, column 1 is NaN: expected a finite number"
    );
    assert!(refused(&|w| w.labelled[[1, 0]] = f32::INFINITY).contains("labelled row 1"));
    assert!(refused(&|w| w.failing[[0, 0]] = f32::NAN).contains("failure row 0"));
    assert!(refused(&|w| w.pool = noise(1, "pool", 19)).contains("embeddings has 19 entries: expected 20"));
    assert!(refused(&|w| w.groups.truncate(3)).contains("groups has 3 entries"));
    assert!(refused(&|w| w.cost.truncate(3)).contains("cost has 3 entries"));
    assert!(refused(&|w| w.cost[2] = 0.0).contains("cost of sample img-00002 is 0"));
    assert!(refused(&|w| w.labelled = Array2::ones((2, 3))).contains("labelled has 3 columns: expected 5"));
    assert!(refused(&|w| w.failing = Array2::ones((2, 3))).contains("failures has 3 columns"));
    assert!(refused(&|w| w.queries[0].weight = f64::NAN).contains("weight of the failure in image val-000"));
    assert!(refused(&|w| w.queries[0].row = 9).contains("embedding row 9"));
    assert!(refused(&|w| w.queries[0].image = id("img-00004".into())).contains("img-00004"));
    assert_eq!(good.plan(&fast(), Budget::Units(0)), Err(AcquireError::Budget { found: 0.0 }));
    assert!(good.plan(&fast(), Budget::Cost(f64::NAN)).is_err());
}

#[test]
fn zero_vectors_and_equal_rows_are_planned_all_the_same() {
    let mut w = world(16, 30, 6);
    w.pool.fill(0.0);
    assert_eq!(w.plan(&fast(), Budget::Units(30)).unwrap().len(), 30);
    w.failing.fill(0.0);
    w.labelled = Array2::zeros((0, 5));
    assert_eq!(w.plan(&fast(), Budget::Units(12)).unwrap().len(), 12);
}

#[test]
fn threads_do_not_change_a_byte() {
    let w = world(17, 700, 30);
    let with = |n| {
        let threads = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        let plan = threads.install(|| w.plan(&fast(), Budget::Units(60)).unwrap());
        serde_json::to_string(&plan).unwrap()
    };
    let one = with(1);
    assert_eq!(one, with(2));
    assert_eq!(one, with(5));
}

#[test]
fn a_plan_survives_a_round_trip_and_can_be_planned_again_from_it() {
    let w = world(18, 100, 6);
    let plan = w.plan(&PolicyParams { seed: 9, ..fast() }, Budget::Units(20)).unwrap();
    let read: BatchPlan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
    assert_eq!(read, plan);
    assert_eq!(w.plan(&read.policy.unwrap(), read.budget).unwrap(), plan);
}

#[test]
fn notices_read_like_sentences() {
    let notice = Notice::Fallback {
        bucket: Bucket::Missed,
        to: Bucket::Coverage,
        amount: 3.0,
        reason: FallbackReason::NoQueries,
    };
    assert_eq!(notice.to_string(), "3 of bucket missed went to coverage: there are no failures of its kind");
}

/// The same targeted picks from the definition: every open row valued anew for every pick.
#[test]
fn lazy_greedy_is_greedy() {
    let mut w = world(19, 90, 9);
    w.queries.retain(|q| q.kind == FailureKind::MissedObjects);
    let params = fast();
    let plan = w.plan(&params, Budget::Units(40)).unwrap();
    let cosine = |a: ndarray::ArrayView1<'_, f32>, b: ndarray::ArrayView1<'_, f32>| {
        labelloop_index::Metric::Cosine.score(a, b)
    };
    let row_of = |id: &SampleId| w.members.ids().binary_search(id).unwrap();
    let mut taken: Vec<usize> = plan.of(Bucket::Coverage).map(|p| row_of(&p.id)).collect();
    let (total, n) = (w.queries.iter().map(|q| q.weight).sum::<f64>(), plan.of(Bucket::Missed).count());
    let heaviest = w.queries.iter().map(|q| q.weight).fold(0.0, f64::max);
    let mut served = vec![0.0; w.queries.len()];
    for pick in plan.of(Bucket::Missed) {
        let worth = |row: usize, q: usize| {
            let query = &w.queries[q];
            let quota = (n as f64 * query.weight / total).ceil();
            0.5 * (cosine(w.pool.row(row), w.failing.row(query.row)) - 0.1 * (1.0 - query.weight / heaviest))
                - 0.1 * f64::max(0.0, served[q] + 1.0 - quota)
        };
        let value = |row: usize| {
            let best = (0..w.queries.len()).map(|q| worth(row, q)).fold(f64::NEG_INFINITY, f64::max);
            let known = w.labelled.rows().into_iter().chain(taken.iter().map(|t| w.pool.row(*t)));
            let familiar = known.map(|k| cosine(w.pool.row(row), k)).fold(-1.0, f64::max);
            let crowd = taken.iter().filter(|t| w.groups[**t] == w.groups[row]).count() as f64;
            best - 0.5 * familiar - 0.25 * crowd
        };
        let row = row_of(&pick.id);
        let highest = (0..90).filter(|r| !taken.contains(r)).map(value).fold(f64::NEG_INFINITY, f64::max);
        assert!((value(row) - highest).abs() < 1e-5 && (pick.gain - highest).abs() < 1e-5);
        let q = w.queries.iter().position(|q| Some(&q.image) == pick.query.as_ref()).unwrap();
        assert!((0..w.queries.len()).all(|other| worth(row, other) <= worth(row, q) + 1e-5));
        served[q] += 1.0;
        taken.push(row);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn buckets_are_disjoint_and_the_budget_is_met(
        seed: u64, n in 1usize..80, n_queries in 0usize..12, budget in 1usize..100,
    ) {
        let w = world(seed, n, n_queries);
        let plan = w.plan(&fast(), Budget::Units(budget)).unwrap();
        let ids: BTreeSet<&SampleId> = plan.ids().collect();
        prop_assert_eq!(ids.len(), plan.len());
        prop_assert_eq!(plan.len(), budget.min(n));
        prop_assert!(ids.iter().all(|id| w.members.contains(id)));
    }

    #[test]
    fn the_order_of_inputs_does_not_matter(seed: u64, n in 5usize..60, budget in 1usize..30) {
        let w = world(seed, n, 12);
        let mut turned = w.clone();
        let ids: Vec<SampleId> = w.members.ids().iter().rev().cloned().collect();
        turned.members = Members::of(ids.iter().map(|id| (id, Split::Pool)));
        turned.queries.reverse();
        let order = Seed::new(seed).permutation(w.labelled.nrows());
        turned.labelled = w.labelled.select(Axis(0), &order);
        let budget = Budget::Units(budget);
        prop_assert_eq!(w.plan(&fast(), budget).unwrap(), turned.plan(&fast(), budget).unwrap());
    }

    #[test]
    fn the_same_inputs_give_the_same_bytes(seed: u64, budget in 1.0f64..200.0) {
        let w = world(seed, 40, 6);
        let valid = fast().check().unwrap();
        let again = || {
            let plan = plan_batch(&w.candidates(), w.labelled.view(), &w.failures(), Budget::Cost(budget), &valid);
            serde_json::to_string(&plan.unwrap()).unwrap()
        };
        prop_assert_eq!(again(), again());
    }
}
