//! Suspicious labels: by hand, by a slow oracle, by properties, and with planted errors.

#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use std::collections::BTreeSet;

use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox, Seed};
use labelloop_qa::{QaError, ScoredImage, Suspect, SuspectKind, SuspicionParams, suspects};
use proptest::prelude::*;

#[path = "../examples/label_suspects/plant.rs"]
mod plant;

use plant::{Detector, Planted};

fn label(class: u32, x: f64, side: f64) -> LabelledBox {
    LabelledBox::new(ClassIdx(class), BBox::new(x, 0.0, side, side).unwrap())
}

fn found(class: u32, x: f64, side: f64, score: f64) -> ScoredBox {
    ScoredBox::new(ClassIdx(class), BBox::new(x, 0.0, side, side).unwrap(), score).unwrap()
}

fn everything() -> SuspicionParams {
    SuspicionParams { min_suspicion: 0.0, ..SuspicionParams::default() }
}

fn of_one(labels: &[LabelledBox], detections: &[ScoredBox]) -> Vec<Suspect> {
    let id = SampleId::new("a").unwrap();
    suspects(&[ScoredImage { id: &id, labels, detections }], &everything()).unwrap()
}

#[test]
fn each_kind_has_the_suspicion_of_the_definition() {
    let s = of_one(&[], &[found(1, 0.0, 10.0, 0.9), found(1, 1.0, 10.0, 0.8)]);
    assert_eq!((s.len(), s[0].kind, s[0].suspicion), (1, SuspectKind::Overlooked, 0.9));
    assert_eq!((s[0].detection_idx, s[0].label_idx, s[0].class), (Some(0), None, ClassIdx(1)));
    // Half of the width off: a third in common.
    let s = of_one(&[label(0, 0.0, 10.0)], &[found(0, 5.0, 10.0, 0.6)]);
    let located = s.iter().find(|s| s.kind == SuspectKind::BadlyLocated).unwrap();
    assert!((located.suspicion - 0.6 * 2.0 / 3.0).abs() < 1e-12);
    let s = of_one(&[label(0, 0.0, 10.0)], &[found(2, 0.0, 10.0, 0.8), found(0, 0.0, 10.0, 0.5)]);
    assert_eq!((s[0].kind, s[0].suggested), (SuspectKind::Swapped, Some(ClassIdx(2))));
    assert!((s[0].suspicion - 0.8 * 0.5).abs() < 1e-12);
    let labels = [label(0, 0.0, 10.0), label(0, 50.0, 10.0), label(0, 100.0, 10.0)];
    let s = of_one(&labels, &[found(0, 0.0, 10.0, 1.0), found(0, 50.0, 10.0, 1.0)]);
    assert_eq!((s.len(), s[0].kind, s[0].label_idx), (1, SuspectKind::Unfounded, Some(2)));
    assert!(
        (s[0].suspicion - 0.03 / (0.03 + 0.97 * 0.25)).abs() < 1e-12,
        "both peers are found: recall 3 / 4"
    );
}

#[test]
fn crowds_and_faint_detections_say_nothing() {
    let crowd = LabelledBox { is_crowd: true, ..label(0, 0.0, 100.0) };
    assert!(of_one(&[crowd], &[found(0, 10.0, 20.0, 0.9)]).is_empty());
    assert!(of_one(&[], &[found(0, 10.0, 20.0, 0.29)]).is_empty());
    assert!(of_one(&[], &[]).is_empty());
}

#[test]
fn boxes_without_area_do_no_harm() {
    let s = of_one(&[label(0, 0.0, 0.0)], &[found(0, 0.0, 0.0, 0.9)]);
    assert!(s.iter().all(|s| (0.0..=1.0).contains(&s.suspicion)));
}

#[test]
fn small_objects_that_are_never_found_cast_no_doubt() {
    let labels: Vec<LabelledBox> =
        (0..50).map(|i| label(0, 200.0 * f64::from(i), if i < 25 { 8.0 } else { 100.0 })).collect();
    let detections: Vec<ScoredBox> = (26..50).map(|i| found(0, 200.0 * f64::from(i), 100.0, 0.9)).collect();
    let s = of_one(&labels, &detections);
    assert_eq!(s[0].label_idx, Some(25), "the one large label that was not found");
    assert!(0.35 < s[0].suspicion && s[1].suspicion < 0.1, "{:?}", &s[..2]);
}

#[test]
fn a_picture_that_comes_twice_is_refused() {
    let id = SampleId::new("a").unwrap();
    let image = ScoredImage { id: &id, labels: &[], detections: &[] };
    let refused = suspects(&[image, image], &everything()).unwrap_err();
    assert!(matches!(refused, QaError::DuplicateImage { .. }));
}

#[test]
fn planted_errors_are_found() {
    let good = Detector { recall: 0.95, recall_small: 0.8, alarms: 0.1, confusion: 0.02, jitter: 0.04 };
    let planted = Planted::generate(300, 0.03, good, Seed::new(7));
    let all = suspects(&planted.images(), &everything()).unwrap();
    for (kind, least) in SuspectKind::ALL.into_iter().zip([0.85, 0.85, 0.85, 0.85]) {
        let auc = planted.auc(&all, kind);
        assert!(least <= auc, "{}: {auc}", kind.as_str());
    }
    let n_right = all.iter().take(50).filter(|s| planted.is_error(s)).count();
    assert!(35 <= n_right, "{n_right} of the first 50 are planted errors");
}

/// All but unfounded straight from the table, slowly.
fn oracle(labels: &[LabelledBox], detections: &[ScoredBox]) -> Vec<(SuspectKind, usize, f64)> {
    let trusted: Vec<(usize, &ScoredBox)> =
        detections.iter().enumerate().filter(|(_, d)| 0.3 <= d.score()).collect();
    let best_iou = |d: &ScoredBox| labels.iter().map(|l| l.bbox.iou(d.bbox())).fold(0.0, f64::max);
    let mut found = Vec::new();
    let mut spoken_for: Vec<&ScoredBox> = Vec::new();
    for (l, label) in labels.iter().enumerate() {
        let touching: Vec<&ScoredBox> =
            trusted.iter().map(|(_, d)| *d).filter(|d| 0.1 <= d.bbox().iou(label.bbox)).collect();
        let weight = |d: &&ScoredBox| d.score() * d.bbox().iou(label.bbox);
        let largest = |same: bool| {
            let weights = touching.iter().filter(|d| (d.class() == label.class) == same).map(&weight);
            weights.fold(0.0, f64::max)
        };
        let swapped = largest(false) * (1.0 - largest(true));
        let same: Vec<&&ScoredBox> = touching.iter().filter(|d| d.class() == label.class).collect();
        let first = same.iter().copied().copied().reduce(|a, b| if weight(&a) < weight(&b) { b } else { a });
        let located = first.map_or(0.0, |d| d.score() * (1.0 - d.bbox().iou(label.bbox)));
        if located < swapped {
            found.push((SuspectKind::Swapped, l, swapped));
        } else if 0.0 < located {
            found.push((SuspectKind::BadlyLocated, l, located));
            spoken_for.extend(first);
        }
    }
    let mut free: Vec<_> =
        trusted.iter().filter(|(_, d)| best_iou(d) < 0.5 && !spoken_for.contains(d)).collect();
    while let Some((i, best)) =
        free.iter().copied().copied().reduce(|a, b| if a.1.score() < b.1.score() { b } else { a })
    {
        found.push((SuspectKind::Overlooked, i, best.score() * (1.0 - best_iou(best))));
        free.retain(|(_, d)| d.bbox().iou(best.bbox()) < 0.5);
    }
    found
}

type Boxes = Vec<(u32, f64, f64, f64)>;

fn boxes() -> impl Strategy<Value = Boxes> {
    prop::collection::vec((0u32..3, 0.0..60.0f64, 5.0..25.0f64, 0.0..1.0f64), 0..8)
}

fn scene(labels: &Boxes, detections: &Boxes) -> (Vec<LabelledBox>, Vec<ScoredBox>) {
    (
        labels.iter().map(|(c, x, side, _)| label(*c, *x, *side)).collect(),
        detections.iter().map(|(c, x, side, score)| found(*c, *x, *side, *score)).collect(),
    )
}

proptest! {
    #[test]
    fn agrees_with_the_definition(l in boxes(), d in boxes()) {
        let (labels, detections) = scene(&l, &d);
        let mut expected = oracle(&labels, &detections);
        let mut got: Vec<(SuspectKind, usize, f64)> = of_one(&labels, &detections)
            .into_iter()
            .filter(|s| s.kind != SuspectKind::Unfounded)
            .map(|s| (s.kind, s.label_idx.or(s.detection_idx).unwrap(), s.suspicion))
            .collect();
        expected.retain(|e| 0.0 < e.2);
        for list in [&mut expected, &mut got] {
            list.sort_by_key(|e| (e.0, e.1));
        }
        prop_assert_eq!(got.len(), expected.len());
        for (g, e) in got.iter().zip(&expected) {
            prop_assert!((g.0, g.1) == (e.0, e.1) && (g.2 - e.2).abs() < 1e-12, "{:?} {:?}", g, e);
        }
    }

    #[test]
    fn ranks_are_in_order_bounded_and_name_no_object_twice(l in boxes(), d in boxes()) {
        let (labels, detections) = scene(&l, &d);
        let s = of_one(&labels, &detections);
        prop_assert!(s.is_sorted_by(|a, b| b.suspicion <= a.suspicion));
        prop_assert!(s.iter().all(|s| 0.0 < s.suspicion && s.suspicion <= 1.0));
        let objects: BTreeSet<_> = s.iter().map(|s| (s.label_idx, s.label_idx.is_none().then_some(s.detection_idx))).collect();
        prop_assert_eq!(objects.len(), s.len());
    }

    #[test]
    fn perfect_detections_suspect_nobody(l in boxes()) {
        let (labels, _) = scene(&l, &Vec::new());
        let detections: Vec<ScoredBox> =
            labels.iter().map(|l| ScoredBox::new(l.class, l.bbox, 1.0).unwrap()).collect();
        prop_assert!(of_one(&labels, &detections).iter().all(|s| s.suspicion < 1e-9));
    }

    #[test]
    fn the_order_of_pictures_does_not_matter(l in boxes(), d in boxes(), m in boxes(), e in boxes()) {
        let (first, second) = (scene(&l, &d), scene(&m, &e));
        let (a, b) = (SampleId::new("a").unwrap(), SampleId::new("b").unwrap());
        let one = ScoredImage { id: &a, labels: &first.0, detections: &first.1 };
        let two = ScoredImage { id: &b, labels: &second.0, detections: &second.1 };
        prop_assert_eq!(suspects(&[one, two], &everything()), suspects(&[two, one], &everything()));
    }
}
