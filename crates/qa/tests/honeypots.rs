//! Golden samples in batches: rotation, oversampling, mixing, and checks of rounds that show a part of the set.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap as tests do")]

use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::{BBox, ClassIdx, ClassSchema, ImageSize, LabelledBox, SampleId, Seed};
use labelloop_qa::{
    GoldenImage, GoldenParams, HoneypotCandidate, HoneypotObjects, HoneypotParams, Note, Round, Verdict,
    choose_honeypots, earlier_rounds, golden_check, mix,
};
use proptest::prelude::*;

/// A golden set of generated samples: about one in four has small objects, about one in six a rare class.
struct Set {
    ids: Vec<SampleId>,
    boxes: Vec<Vec<LabelledBox>>,
}

impl Set {
    fn new(n: usize, seed: u64) -> Self {
        let chance = Seed::new(seed).stream("set");
        let of_sample = |i: usize| -> Vec<LabelledBox> {
            let sample = chance.stream(&i.to_string());
            let n_objects = sample.below(0, 8) as u64;
            let (has_small, has_rare) = (sample.below(1, 4) == 0, sample.below(2, 6) == 0);
            (0..n_objects)
                .map(|k| {
                    let side = if has_small && sample.below(10 + k, 2) == 0 { 12.0 } else { 60.0 };
                    let class = if has_rare && sample.below(20 + k, 3) == 0 { 2 } else { (k % 2) as u32 };
                    LabelledBox::new(ClassIdx(class), BBox::new(10.0 * k as f64, 5.0, side, side).unwrap())
                })
                .collect()
        };
        let ids = (0..n).map(|i| SampleId::new(format!("g{i:03}")).unwrap()).collect();
        Self { ids, boxes: (0..n).map(of_sample).collect() }
    }

    fn candidates(&self, shown: &Shown) -> Vec<HoneypotCandidate<'_>> {
        self.ids
            .iter()
            .zip(&self.boxes)
            .map(|(id, boxes)| {
                let (n_shown, last_shown) = shown.get(id).copied().unwrap_or((0, None));
                HoneypotCandidate { id, objects: HoneypotObjects::Boxes(boxes), n_shown, last_shown }
            })
            .collect()
    }

    fn n_small(&self, id: &SampleId) -> usize {
        let at = self.ids.binary_search(id).unwrap();
        self.boxes[at].iter().filter(|b| b.effective_area() < 1024.0).count()
    }

    fn n_rare(&self, id: &SampleId) -> usize {
        let at = self.ids.binary_search(id).unwrap();
        self.boxes[at].iter().filter(|b| b.class == ClassIdx(2)).count()
    }

    fn n(&self, id: &SampleId) -> usize {
        self.boxes[self.ids.binary_search(id).unwrap()].len()
    }
}

type Shown = BTreeMap<SampleId, (u32, Option<u32>)>;

fn schema() -> ClassSchema {
    ClassSchema::new(["car", "van", "bus"]).unwrap()
}

/// The batches that follow from each other.
fn batches(set: &Set, n: usize, n_batches: u32, seed: u64) -> Vec<Vec<SampleId>> {
    let mut shown = Shown::new();
    let mut batches = Vec::new();
    for iteration in 0..n_batches {
        let seed = Seed::new(seed).stream(&iteration.to_string());
        let params = HoneypotParams { n, seed, ..HoneypotParams::default() };
        let picks = choose_honeypots(&set.candidates(&shown), &schema(), &params).unwrap();
        for pick in &picks {
            let entry = shown.entry(pick.id.clone()).or_default();
            *entry = (entry.0 + 1, Some(iteration));
        }
        batches.push(picks.into_iter().map(|p| p.id).collect());
    }
    batches
}

proptest! {
    #[test]
    fn everybody_is_shown_once_before_anybody_is_shown_twice(
        n in 1..40usize, per_batch in 1..12usize, seed in 0..1000u64,
    ) {
        let set = Set::new(n, seed);
        let mut counts: BTreeMap<SampleId, usize> = BTreeMap::new();
        for batch in batches(&set, per_batch, 12, seed) {
            prop_assert_eq!(batch.len(), per_batch.min(n));
            prop_assert_eq!(batch.iter().collect::<BTreeSet<_>>().len(), batch.len());
            for id in &batch {
                *counts.entry(id.clone()).or_default() += 1;
            }
            // Within a batch there is no order, so the last batch of a cycle may hold both.
            let n_new = n - counts.len();
            prop_assert!(n_new == 0 || counts.values().all(|c| *c == 1), "{:?}", counts);
        }
    }

    #[test]
    fn nobody_waits_for_ever(n in 2..30usize, per_batch in 1..6usize, seed in 0..500u64) {
        let set = Set::new(n, seed);
        // The heaviest weight is 5: each of the others is shown at least once while one is shown five times.
        let n_batches = (5 * n / per_batch + 6) as u32;
        let seen: Vec<SampleId> = batches(&set, per_batch, n_batches, seed).into_iter().flatten().collect();
        let counts = set.ids.iter().map(|id| seen.iter().filter(|s| *s == id).count());
        let counts: Vec<usize> = counts.collect();
        let (least, most) = (counts.iter().min().unwrap(), counts.iter().max().unwrap());
        prop_assert!(0 < *least && *most <= 5 * (least + 2), "{} {}", least, most);
    }

    #[test]
    fn the_order_of_candidates_does_not_matter(n in 1..40usize, per_batch in 1..12usize, seed in 0..1000u64) {
        let set = Set::new(n, seed);
        let shown: Shown = set.ids.iter().enumerate()
            .map(|(i, id)| (id.clone(), ((i % 3) as u32, (0 < i % 3).then_some((i % 5) as u32))))
            .collect();
        let candidates = set.candidates(&shown);
        let shuffled: Vec<_> =
            Seed::new(seed).permutation(n).into_iter().map(|i| candidates[i]).collect();
        let params = HoneypotParams { n: per_batch, seed: Seed::new(seed), ..HoneypotParams::default() };
        let picks = choose_honeypots(&candidates, &schema(), &params).unwrap();
        prop_assert_eq!(&picks, &choose_honeypots(&shuffled, &schema(), &params).unwrap());
        prop_assert_eq!(&picks, &choose_honeypots(&candidates, &schema(), &params).unwrap());
        prop_assert!(picks.iter().all(|p| 1.0 <= p.weight && p.weight <= 5.0));
    }

    #[test]
    fn mixing_keeps_everybody_and_does_not_know_who_is_golden(
        n in 0..30usize, n_golden in 0..30usize, seed in 0..1000u64,
    ) {
        let all = Set::new(n + n_golden, 1).ids;
        let (batch, golden) = all.split_at(n);
        let mixed = mix(batch, golden, Seed::new(seed));
        let mut sorted = mixed.clone();
        sorted.sort_unstable();
        prop_assert_eq!(&sorted, &all);
        let (others, batch) = all.split_at(n_golden);
        prop_assert_eq!(&mixed, &mix(batch, others, Seed::new(seed)));
        let backwards: Vec<SampleId> = all.iter().rev().cloned().collect();
        prop_assert_eq!(&mixed, &mix(&backwards, &[], Seed::new(seed)));
    }
}

/// The definition of a weighted draw without replacement, slow and obvious: one after the other, each with probability
/// proportional to its weight. Efraimidis and Spirakis give the same inclusion probabilities.
#[test]
fn draws_are_those_of_the_definition() {
    let ids: Vec<SampleId> = (0..4).map(|i| SampleId::new(format!("g{i}")).unwrap()).collect();
    let small = |n: usize| -> Vec<LabelledBox> {
        let side = |i: usize| if i < n { 10.0 } else { 60.0 };
        let marked = |i| LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, side(i), side(i)).unwrap());
        (0..4).map(marked).collect()
    };
    let boxes: Vec<Vec<LabelledBox>> = [0, 1, 2, 4].map(small).to_vec();
    let weights = [1.0, 1.5, 2.0, 3.0];
    let candidates: Vec<_> = ids
        .iter()
        .zip(&boxes)
        .map(|(id, b)| HoneypotCandidate {
            id,
            objects: HoneypotObjects::Boxes(b),
            n_shown: 0,
            last_shown: None,
        })
        .collect();
    let n_draws = 20_000;
    let mut counts = [0usize; 4];
    for draw in 0..n_draws {
        let params = HoneypotParams { n: 2, seed: Seed::new(draw), ..HoneypotParams::default() };
        for pick in choose_honeypots(&candidates, &schema(), &params).unwrap() {
            counts[ids.binary_search(&pick.id).unwrap()] += 1;
        }
    }
    let total: f64 = weights.iter().sum();
    for i in 0..4 {
        let first = weights[i] / total;
        let second: f64 =
            (0..4).filter(|j| *j != i).map(|j| weights[j] / total * weights[i] / (total - weights[j])).sum();
        let found = counts[i] as f64 / n_draws as f64;
        assert!((found - first - second).abs() < 0.012, "{i}: {found} against {}", first + second);
    }
}

#[test]
fn small_objects_and_rare_classes_are_shown_more_often_than_by_uniform_draws() {
    let set = Set::new(60, 3);
    let share = |ids: &[SampleId], of: &dyn Fn(&SampleId) -> usize| {
        ids.iter().map(of).sum::<usize>() as f64 / ids.iter().map(|id| set.n(id)).sum::<usize>() as f64
    };
    // The share of uniform draws is that of the set.
    let (small, rare) = (|id: &SampleId| set.n_small(id), |id: &SampleId| set.n_rare(id));
    let (uniform_small, uniform_rare) = (share(&set.ids, &small), share(&set.ids, &rare));
    assert!(0.02 < uniform_small && 0.005 < uniform_rare, "{uniform_small} {uniform_rare}");
    for n_batches in [1, 40] {
        let seen: Vec<SampleId> =
            (0..30).flat_map(|seed| batches(&set, 10, n_batches, seed)).flatten().collect();
        let (s, r) = (share(&seen, &small) / uniform_small, share(&seen, &rare) / uniform_rare);
        assert!(1.15 < s && 1.15 < r, "{n_batches} batches: {s:.3} and {r:.3} times as many");
    }
}

#[test]
fn positions_of_honeypots_are_uniform() {
    let ids = Set::new(10, 1).ids;
    let (batch, golden) = ids.split_at(8);
    let mut at = [0usize; 10];
    for seed in 0..10_000 {
        let mixed = mix(batch, golden, Seed::new(seed));
        for id in golden {
            at[mixed.iter().position(|m| m == id).unwrap()] += 1;
        }
    }
    // 2,000 expected; 5.5 standard deviations.
    assert!(at.iter().all(|n| (n.abs_diff(2000) as f64) < 220.0), "{at:?}");
}

/// What people draw of 50 images with 6 objects each, in one round.
fn labelled(round: u64, swap: f64) -> Vec<Vec<LabelledBox>> {
    let hand = Seed::new(round).stream("hand");
    (0..50u64)
        .map(|i| {
            (0..6u64)
                .filter(|k| 0.02 < hand.stream("miss").unit(6 * i + k))
                .map(|k| {
                    let n = 6 * i + k;
                    let shake = |e: u64| 1.2 * hand.stream("shake").normal(4 * n + e);
                    let side = if k == 0 { 24.0 } else { 60.0 };
                    let place = BBox::new(
                        100.0 * k as f64 + shake(0),
                        50.0 + shake(1),
                        side + shake(2),
                        side + shake(3),
                    );
                    let is_swapped = hand.stream("swap").unit(n) < swap;
                    LabelledBox::new(ClassIdx(u32::from(is_swapped ^ (k % 2 == 1))), place.unwrap())
                })
                .collect()
        })
        .collect()
}

struct World {
    ids: Vec<SampleId>,
    reference: Vec<Vec<LabelledBox>>,
}

impl World {
    fn new() -> Self {
        let exact = |_| -> Vec<LabelledBox> {
            let side = |k: u64| if k == 0 { 24.0 } else { 60.0 };
            let place = |k: u64| BBox::new(100.0 * k as f64, 50.0, side(k), side(k)).unwrap();
            (0..6).map(|k| LabelledBox::new(ClassIdx((k % 2) as u32), place(k))).collect()
        };
        Self { ids: Set::new(50, 1).ids, reference: (0..50).map(exact).collect() }
    }

    fn round<'a>(&'a self, boxes: &'a [Vec<LabelledBox>], of: impl Fn(usize) -> bool) -> Round<'a> {
        let size = ImageSize::new(700, 200).unwrap();
        let all = self.ids.iter().zip(boxes).enumerate();
        all.filter(|(i, _)| of(*i)).map(|(_, (id, boxes))| GoldenImage { id, size, boxes }).collect()
    }
}

/// Rounds show a random half of the images each; the fifth is checked against what came before.
fn checked(world: &World, run: u64, swap: f64) -> labelloop_qa::GoldenReport {
    let schema = ClassSchema::new(["car", "van"]).unwrap();
    let is_in = |round: u64| move |i: usize| Seed::new(run).stream("parts").unit(64 * round + i as u64) < 0.6;
    let earlier: Vec<Vec<Vec<LabelledBox>>> = (0..4).map(|r| labelled(10 * run + r, 0.0)).collect();
    let earlier: Vec<Round<'_>> = (0u64..).zip(&earlier).map(|(r, b)| world.round(b, is_in(r))).collect();
    let now = labelled(10 * run + 9, swap);
    let now = world.round(&now, is_in(4));
    let calibration = earlier_rounds(&now, &earlier, 2);
    let now: Round<'_> = now.into_iter().filter(|i| !calibration.is_left_out(i.id)).collect();
    let compared: BTreeSet<&SampleId> = now.iter().map(|i| i.id).collect();
    let reference = world.round(&world.reference, |i| compared.contains(&world.ids[i]));
    let params = GoldenParams { n_permutations: 199, seed: Seed::new(run), ..GoldenParams::default() };
    let mut report = golden_check(&reference, &calibration.rounds, &now, &schema, &params).unwrap();
    report.note_left_out(&calibration.left_out);
    assert!(0 < report.n_calibration);
    report
}

#[test]
fn labellings_of_several_rounds_calibrate_as_well_as_whole_rounds() {
    let world = World::new();
    let n_runs = 400;
    let alarms = (0..n_runs).filter(|run| checked(&world, *run, 0.0).p_value.unwrap() <= 0.05).count();
    let rate = alarms as f64 / n_runs as f64;
    // 0.05 and three standard deviations of 400 runs.
    assert!(rate <= 0.083, "{rate}");
    let found = (0..40).filter(|run| checked(&world, 1000 + run, 0.12).verdict == Verdict::Fail).count();
    assert!(36 <= found, "{found} of 40 drifts were found in half of the set");
}

#[test]
fn who_was_left_out_and_who_did_not_answer_is_said() {
    let world = World::new();
    let mut report = checked(&world, 5, 0.0);
    let left_out = report.notes.iter().find_map(|n| match n {
        Note::LeftOut { samples } => Some(samples.clone()),
        _ => None,
    });
    let left_out = left_out.unwrap();
    assert!(report.to_string().contains(left_out[0].as_str()), "{report}");
    report.verdict = Verdict::Pass;
    report.note_unanswered(30, &[]);
    report.note_unanswered(30, &world.ids[..2]);
    assert_eq!(report.verdict, Verdict::Pass, "two of thirty are noted");
    assert!(
        report.to_string().contains("2 of 30 samples came back without an answer: g000, g001"),
        "{report}"
    );
    report.note_unanswered(30, &world.ids[..20]);
    assert_eq!(report.verdict, Verdict::Inconclusive, "ten of thirty say little of a round");
    report.verdict = Verdict::Fail;
    report.note_unanswered(30, &world.ids[..20]);
    assert_eq!(report.verdict, Verdict::Fail, "what was found stays found");
}

#[test]
fn a_quiet_round_against_one_calibration_round_is_the_second_one() {
    let mut report = checked(&World::new(), 5, 0.0);
    let quiet = |report: &mut labelloop_qa::GoldenReport, notes: &[Note]| {
        report.verdict =
            if notes.iter().any(Note::refuses_pass) { Verdict::Inconclusive } else { Verdict::Pass };
        report.notes = notes.to_vec();
        report.can_calibrate()
    };
    assert!(quiet(&mut report, &[]) && quiet(&mut report, &[Note::OneCalibrationRound, Note::OneClass]));
    assert!(!quiet(&mut report, &[Note::OneCalibrationRound, Note::CopyOfReference]));
    let samples = (0..9).map(|i| SampleId::new(format!("s{i}")).unwrap()).collect();
    assert!(!quiet(&mut report, &[Note::Unanswered { n_shown: 10, samples }]));
    for verdict in [Verdict::Warn, Verdict::Fail] {
        report.verdict = verdict;
        report.notes = vec![Note::OneCalibrationRound];
        assert!(!report.can_calibrate());
    }
}
