//! Counts, thresholds, VOC and failures on problems small enough to check by hand.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use common::{Picture, cases};
use labelloop_core::ClassIdx;
use labelloop_eval::failures::{
    self, FailureKind, KindName, Position, ProfileParams, SizeBand, Tally, profile, rank_images,
};
use labelloop_eval::{EvalError, evaluate_at, threshold, voc};

const BOX: [f64; 4] = [0.0, 0.0, 20.0, 20.0];
const FAR: [f64; 4] = [300.0, 200.0, 100.0, 20.0];

/// A car found, a car taken for a van, a van where there is nothing, a car missed.
fn mixed() -> Vec<Picture> {
    vec![
        Picture::new("b").label(0, BOX).detection(1, BOX, 0.8).detection(1, FAR, 0.6),
        Picture::new("a").label(0, BOX).detection(0, BOX, 0.7).label(0, FAR),
    ]
}

#[test]
fn counts_and_confusions_of_a_mixed_problem() {
    let report = evaluate_at(&cases(&mixed()), 2, 0.5, 0.25).unwrap();
    assert_eq!((report.tp, report.fp, report.fn_), (1, 2, 2));
    assert_eq!(
        (report.precision, report.recall, report.f1),
        (Some(1.0 / 3.0), Some(1.0 / 3.0), Some(1.0 / 3.0))
    );
    let ids: Vec<&str> = report.images.iter().map(|i| i.id.as_str()).collect();
    assert_eq!(ids, ["a", "b"]);
    // Rows: car, van, background. Columns: the same.
    assert_eq!(report.confusion.counts, [1, 1, 1, 0, 0, 0, 0, 1, 0]);
    assert_eq!(report.confusion.get(Some(ClassIdx(0)), Some(ClassIdx(1))), 1);
    assert_eq!(report.confusion.get(Some(ClassIdx(9)), None), 0);
    let van = &report.per_class[1];
    assert_eq!((van.tp, van.fp, van.fn_, van.recall), (0, 2, 0, None));
}

#[test]
fn nothing_gives_no_ratio_rather_than_nan() {
    let report = evaluate_at(&[], 2, 0.5, 0.25).unwrap();
    assert_eq!((report.precision, report.recall, report.f1), (None, None, None));
    assert_eq!(threshold::best_f1(&[], 2, 0.5).unwrap(), None);
    assert!(threshold::curve(&[], 2, 0.5).unwrap().is_empty());
    assert_eq!(voc::evaluate(&[], 2, 0.5, voc::VocMethod::AllPoint).unwrap().map, None);
    assert!(failures::find(&[], 0.5, 0.25).unwrap().is_empty());
}

#[test]
fn invalid_parameters_are_refused_by_every_verb() {
    let pictures = mixed();
    let all = cases(&pictures);
    for iou in [f64::NAN, 0.0, 1.5] {
        assert!(evaluate_at(&all, 2, iou, 0.5).is_err());
        assert!(threshold::best_f1(&all, 2, iou).is_err());
        assert!(threshold::best_f1_per_class(&all, 2, iou).is_err());
        assert!(voc::evaluate(&all, 2, iou, voc::VocMethod::AllPoint).is_err());
        assert!(failures::find(&all, iou, 0.5).is_err());
    }
    for score in [f64::NAN, -0.1, 1.5] {
        assert!(evaluate_at(&all, 2, 0.5, score).is_err());
        assert!(failures::find(&all, 0.5, score).is_err());
    }
    assert!(matches!(evaluate_at(&all, 1, 0.5, 0.5), Err(EvalError::ClassOutOfRange { .. })));
}

#[test]
fn diagonals_of_the_matrix_are_recall_and_precision() {
    let report = evaluate_at(&cases(&mixed()), 2, 0.5, 0.25).unwrap();
    let (rows, columns) = (report.confusion.by_label(), report.confusion.by_detection());
    for (k, class) in report.per_class.iter().enumerate() {
        assert_eq!(rows[k * 4], class.recall, "class {k}");
        assert_eq!(columns[k * 4], class.precision, "class {k}");
    }
    let sum = |shares: &[Option<f64>]| shares.iter().flatten().sum::<f64>();
    assert!(rows.chunks(3).all(|row| row[0].is_none() || (sum(row) - 1.0).abs() < 1e-12));
}

#[test]
fn curve_goes_from_the_highest_score_down_and_ties_come_in_together() {
    let pictures = [Picture::new("a")
        .label(0, BOX)
        .detection(0, BOX, 0.5)
        .detection(0, FAR, 0.5)
        .detection(0, FAR, 0.9)];
    let curve = threshold::curve(&cases(&pictures), 1, 0.5).unwrap();
    let points: Vec<_> = curve.iter().map(|p| (p.score, p.tp, p.fp, p.fn_)).collect();
    assert_eq!(points, [(0.9, 0, 1, 1), (0.5, 1, 2, 0)]);
    assert_eq!(threshold::class_curve(&cases(&pictures), 1, 0.5, ClassIdx(0)).unwrap(), curve);
    assert!(threshold::class_curve(&cases(&pictures), 1, 0.5, ClassIdx(4)).unwrap().is_empty());
}

#[test]
fn of_equal_f1_the_higher_score_is_best() {
    // At .9: 1 right, 1 missed, F1 2/3. At .3: 2 right, 2 wrong, F1 2/3.
    let pictures = [Picture::new("a")
        .label(0, BOX)
        .label(0, FAR)
        .detection(0, BOX, 0.9)
        .detection(0, FAR, 0.3)
        .detection(0, BOX, 0.3)
        .detection(0, BOX, 0.3)];
    let best = threshold::best_f1(&cases(&pictures), 1, 0.5).unwrap().unwrap();
    assert_eq!((best.score, best.f1), (0.9, 2.0 / 3.0));
}

#[test]
fn best_scores_by_class_leave_out_classes_without_labels() {
    let best = threshold::best_f1_per_class(&cases(&mixed()), 2, 0.5).unwrap();
    assert_eq!(best[0].map(|b| (b.score, b.tp, b.fp, b.fn_)), Some((0.7, 1, 0, 2)));
    assert_eq!(best[1], None);
}

#[test]
fn failures_of_a_mixed_problem_with_their_traits() {
    let found = failures::find(&cases(&mixed()), 0.5, 0.25).unwrap();
    let kinds: Vec<FailureKind> = found.iter().map(|f| f.kind).collect();
    let confusion = FailureKind::Confusion {
        dt_idx: 0,
        gt_idx: 0,
        actual: ClassIdx(0),
        predicted: ClassIdx(1),
        iou: 1.0,
    };
    assert_eq!(
        kinds,
        [
            FailureKind::Missed { gt_idx: 1, explained_by: None },
            FailureKind::Missed { gt_idx: 0, explained_by: Some(0) },
            confusion,
            FailureKind::Background { dt_idx: 1 },
        ]
    );
    assert_eq!((found[0].size_band, found[0].position), (SizeBand::Medium, Some(Position::Centre)));
    assert_eq!((found[1].size_band, found[1].position), (SizeBand::Tiny, Some(Position::Corner)));
    assert_eq!((found[2].score, found[2].class, found[2].area), (Some(0.8), ClassIdx(1), 400.0));
    let json = serde_json::to_string(&found).unwrap();
    assert_eq!(serde_json::from_str::<Vec<failures::Failure>>(&json).unwrap(), found);
}

#[test]
fn profile_of_a_mixed_problem() {
    let found = failures::find(&cases(&mixed()), 0.5, 0.25).unwrap();
    let contrasts = [Some(0.05), Some(0.5), Some(f64::NAN), None];
    let profile = profile(&found, Some(&contrasts), &ProfileParams::default()).unwrap();
    assert_eq!((profile.false_negatives.count, profile.false_positives.count), (2, 2));
    assert_eq!(profile.false_negatives.size[&SizeBand::Tiny], Tally { count: 1, share: 0.5 });
    assert_eq!(profile.false_negatives.position[&Position::Corner], Tally { count: 1, share: 0.5 });
    assert_eq!(profile.false_negatives.unusual_aspect, Tally { count: 1, share: 0.5 });
    assert_eq!(profile.false_negatives.low_contrast, Some(Tally { count: 1, share: 0.5 }));
    assert_eq!(profile.false_positives.low_contrast, None);
    assert_eq!(profile.kinds[&KindName::Missed], Tally { count: 2, share: 0.5 });
    let pair = profile.confusions[0];
    assert_eq!((pair.actual, pair.predicted, pair.count), (ClassIdx(0), ClassIdx(1), 1));
    let json = serde_json::to_string(&profile).unwrap();
    assert_eq!(serde_json::from_str::<failures::ErrorProfile>(&json).unwrap(), profile);
}

#[test]
fn profile_parameters_are_checked_and_their_defaults_documented() {
    let params = ProfileParams::default();
    assert_eq!((params.max_aspect, params.low_contrast), (3.0, 0.1));
    for bad in [f64::NAN, 0.5, f64::INFINITY] {
        assert!(ProfileParams { max_aspect: bad, ..Default::default() }.check().is_err());
    }
    for bad in [f64::NAN, -0.5, f64::INFINITY] {
        assert!(ProfileParams { low_contrast: bad, ..Default::default() }.check().is_err());
    }
    let short = profile(&[], Some(&[None]), &ProfileParams::default());
    assert_eq!(short, Err(EvalError::Length { name: "contrasts", found: 1, expected: 0 }));
}

#[test]
fn worst_pictures_have_at_least_one_failure_and_ties_go_by_id() {
    let report = evaluate_at(&cases(&mixed()), 2, 0.5, 0.25).unwrap();
    let ranked = rank_images(&report.images, 10);
    let names = |ids: &[labelloop_core::SampleId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(names(&ranked.high_fn), ["a", "b"]);
    assert_eq!(names(&ranked.high_fp), ["b"]);
    assert_eq!(names(&rank_images(&report.images, 1).high_fn), ["a"]);
    assert_eq!(rank_images(&[], 3), failures::RankedImages::default());
}

/// Run with `--release -- --ignored --nocapture`: 5,000 pictures, 36,800 labels, 73,600 detections, 80 classes.
#[test]
#[ignore = "a measurement, not a check"]
fn five_thousand_pictures_take_seconds() {
    use labelloop_core::Seed;
    use labelloop_eval::bootstrap::{BootstrapParams, Metric, ci};
    use labelloop_eval::coco;

    let pictures: Vec<Picture> = (0..5000)
        .map(|i| {
            let draw = Seed::new(i);
            let mut picture = Picture::new(&format!("{i:05}"));
            for j in 0..7 + u64::from(i % 25 < 9) {
                let at = |k: u64, size: f64| draw.unit(j * 16 + k) * size;
                let class = draw.below(j * 16 + 9, 80) as u32;
                let (x, y, w, h) = (at(0, 500.0), at(1, 400.0), 5.0 + at(2, 150.0), 5.0 + at(3, 150.0));
                picture = picture
                    .label(class, [x, y, w, h])
                    .detection(class, [x + at(4, 20.0), y, w, h], at(5, 1.0))
                    .detection(class, [at(6, 500.0), at(7, 400.0), w, h], at(8, 0.5));
            }
            picture
        })
        .collect();
    let all = cases(&pictures);
    let start = std::time::Instant::now();
    let records = coco::observe_all(&all, 80, &coco::CocoParams::default()).unwrap();
    let result = records.finish().unwrap();
    let evaluated = start.elapsed();
    ci(&records, None, Metric::Map, &BootstrapParams::default()).unwrap();
    println!("evaluate {evaluated:?}, 200 draws {:?}\n{result}", start.elapsed() - evaluated);
}
