//! What must hold for KITTI's evaluation whatever the data.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeMap;

use kitti_support::{Owned, frames, problem};
use labelloop_core::{BBox, Cuboid, CuboidFrame, GroupKey, Seed};
use labelloop_eval::kitti::{
    Detection, DetectionOutcome, Difficulty, Frame, KittiParams, KittiResult, LabelOutcome, Metric, Partial,
    Recall, evaluate, observe_all, outcomes,
};
use labelloop_eval::slices3::{self, SliceBy};
use proptest::prelude::*;

mod kitti_support;

fn all(owned: &[Owned]) -> KittiResult {
    evaluate(&frames(owned), &KittiParams::default()).unwrap()
}

/// Every number of a result, in a fixed order.
fn numbers(result: &KittiResult) -> Vec<Option<f64>> {
    let mut numbers = Vec::new();
    for class in &result.classes {
        for metric in Metric::ALL {
            for recall in Recall::ALL {
                numbers.extend(Difficulty::ALL.map(|d| result.ap(&class.name, metric, recall, d)));
            }
        }
    }
    numbers
}

/// A detection far from everything.
fn false_alarm(class: &str, score: f64) -> Detection {
    let bbox = BBox::new(5000.0, 5000.0, 60.0, 60.0).unwrap();
    let cuboid = Cuboid::new([900.0, 0.0, 900.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::KittiCamera).unwrap();
    Detection { alpha: Some(0.0), ..Detection::new(class, Some(bbox), Some(cuboid), score) }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn only_the_order_of_scores_counts(seed in any::<u64>(), scale in 0.01..50.0f64, shift in -100.0..100.0f64) {
        let mut owned = problem(seed, 20);
        let before = all(&owned);
        for detection in owned.iter_mut().flat_map(|f| &mut f.detections) {
            // Scores are quarters from -2 to 2, far enough apart to stay distinct.
            detection.score = (detection.score + 3.0).ln() * scale + shift;
        }
        prop_assert_eq!(numbers(&all(&owned)), numbers(&before));
    }

    #[test]
    fn a_false_alarm_never_helps(seed in any::<u64>(), score in -10.0..10.0f64, place in 0usize..20, class in 0usize..3) {
        let mut owned = problem(seed, 20);
        let before = numbers(&all(&owned));
        let class = ["Car", "Pedestrian", "Cyclist"][class];
        owned[place].detections.push(false_alarm(class, score));
        for (after, before) in numbers(&all(&owned)).into_iter().zip(&before) {
            prop_assert!(after <= before.or(Some(0.0)), "{after:?} {before:?}");
        }
        owned[place].detections.pop();
        let first = owned[place].detections.iter().all(|d| !d.class.eq_ignore_ascii_case(class));
        owned[place].detections.push(false_alarm(class, -1e9));
        if !first {
            prop_assert_eq!(numbers(&all(&owned)), before, "below every threshold");
        }
    }

    #[test]
    fn shards_in_any_order_give_the_same_bits(seed in any::<u64>(), n_shards in 1usize..6) {
        let owned = problem(seed, 30);
        let frames = frames(&owned);
        let params = KittiParams::default();
        let whole = observe_all(&frames, &params).unwrap();
        let mut shards: Vec<Vec<Frame<'_>>> = vec![Vec::new(); n_shards];
        for i in Seed::new(seed).permutation(frames.len()) {
            shards[Seed::new(seed).stream("shard").below(i as u64, n_shards)].push(frames[i]);
        }
        let mut merged = observe_all(&[], &params).unwrap();
        for shard in shards.iter().rev() {
            let sent = serde_json::to_string(&observe_all(shard, &params).unwrap()).unwrap();
            merged.merge(serde_json::from_str::<Partial>(&sent).unwrap()).unwrap();
        }
        prop_assert_eq!(&merged, &whole);
        prop_assert_eq!(merged.finish().unwrap(), evaluate(&frames, &params).unwrap());
    }

    #[test]
    fn new_predictions_replace_old_ones(seed in any::<u64>()) {
        let (mut owned, other) = (problem(seed, 20), problem(seed ^ 1, 20));
        let params = KittiParams::default();
        let mut records = observe_all(&frames(&owned), &params).unwrap();
        for i in [3, 7, 11] {
            owned[i].detections.clone_from(&other[i].detections);
        }
        let changed: Vec<Frame<'_>> = [3, 7, 11].map(|i| frames(&owned)[i]).to_vec();
        records.replace(observe_all(&changed, &params).unwrap()).unwrap();
        prop_assert_eq!(records.finish().unwrap(), all(&owned));
    }

    #[test]
    fn outcomes_add_up_to_the_curve(seed in any::<u64>()) {
        let owned = problem(seed, 15);
        let params = KittiParams::default();
        let result = all(&owned);
        for (class, metric) in [("Car", Metric::Bbox), ("Pedestrian", Metric::Bev), ("Car", Metric::Cuboid)] {
            for difficulty in Difficulty::ALL {
                let Some(curve) = result.class(class).unwrap().curve(metric, difficulty) else { continue };
                let mut values = vec![0.0f64; 41];
                for (value, threshold) in values.iter_mut().zip(&curve.thresholds) {
                    let (mut right, mut found, mut wrong) = (0, 0, 0);
                    for frame in frames(&owned) {
                        let seen = outcomes(&frame, class, difficulty, metric, *threshold, &params).unwrap();
                        right += seen.labels.iter().filter(|o| matches!(o, LabelOutcome::Matched { .. })).count();
                        found += seen.detections.iter().filter(|o| matches!(o, DetectionOutcome::Matched { .. })).count();
                        wrong += seen.detections.iter().filter(|o| matches!(o, DetectionOutcome::False)).count();
                    }
                    prop_assert_eq!(right, found);
                    *value = if right == 0 { 0.0 } else { right as f64 / (right + wrong) as f64 };
                }
                for i in (0..40).rev() {
                    values[i] = values[i].max(values[i + 1]);
                }
                prop_assert_eq!(&values, &curve.values);
            }
        }
    }

    #[test]
    fn numbers_are_percentages_and_curves_descend(seed in any::<u64>()) {
        let result = all(&problem(seed, 30));
        for number in numbers(&result).into_iter().flatten() {
            prop_assert!((0.0..=100.0).contains(&number));
        }
        for curve in result.classes.iter().flat_map(|c| c.curves.iter().flatten().flatten()) {
            prop_assert!(curve.values.windows(2).all(|p| p[1] <= p[0]) && curve.values.len() == 41);
            prop_assert!(curve.thresholds.windows(2).all(|p| p[1] <= p[0]) && curve.thresholds.len() <= 41);
        }
    }

    #[test]
    fn slices_keep_every_label(seed in any::<u64>()) {
        let owned = problem(seed, 20);
        let frames = frames(&owned);
        let params = KittiParams::default();
        let whole = all(&owned);
        for by in [SliceBy::Range(vec![6.0, 9.0]), SliceBy::Occlusion] {
            let rows = slices3::evaluate(&frames, &[by], &params).unwrap();
            for class in ["Car", "Pedestrian", "Cyclist"] {
                let n = |result: &KittiResult| {
                    result.class(class).unwrap().curve(Metric::Cuboid, Difficulty::Hard).map_or(0, |c| c.n_valid)
                };
                prop_assert_eq!(rows.iter().map(|row| n(&row.result)).sum::<u64>(), n(&whole));
            }
        }
        let one = owned.iter().map(|f| (f.id.clone(), GroupKey::new("drive").unwrap())).collect::<BTreeMap<_, _>>();
        let rows = slices3::evaluate(&frames, &[SliceBy::Group(one)], &params).unwrap();
        prop_assert_eq!(&rows[0].result, &whole);
    }
}
