//! Calibration against scikit-learn and numpy, against the definition read slowly, and by properties.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use common::{Picture, cases};
use labelloop_core::{BBox, ClassIdx, ImageSize, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::ImageCase;
use labelloop_eval::calibration::{CalibrationParams, CalibrationReport, evaluate};
use proptest::prelude::*;

#[derive(serde::Deserialize)]
struct Golden {
    detections: Vec<[f64; 6]>,
    ece: f64,
    mce: f64,
    d_ece_position: Option<f64>,
    d_ece_size: Option<f64>,
    d_ece_all: Option<f64>,
}

/// Each detection in a picture of its own, with a label in its place where it is right.
struct Alone(Vec<(SampleId, Vec<LabelledBox>, Vec<ScoredBox>)>);

impl Alone {
    fn new(detections: &[[f64; 6]]) -> Self {
        let pictures = detections.iter().enumerate().map(|(i, [score, right, cx, cy, w, h])| {
            let bbox = BBox::from_yolo([*cx, *cy, *w, *h], size()).unwrap();
            let label = LabelledBox::new(ClassIdx(0), bbox);
            let detection = ScoredBox::new(ClassIdx(0), bbox, *score).unwrap();
            let labels = if *right == 1.0 { vec![label] } else { Vec::new() };
            (SampleId::new(format!("{i:04}")).unwrap(), labels, vec![detection])
        });
        Self(pictures.collect())
    }

    fn cases(&self) -> Vec<ImageCase<'_>> {
        let case = |(id, labels, detections)| ImageCase { id, size: Some(size()), labels, detections };
        self.0.iter().map(|(id, labels, detections)| case((id, labels, detections))).collect()
    }

    fn report(&self, params: &CalibrationParams) -> CalibrationReport {
        evaluate(&self.cases(), 1, params).unwrap()
    }
}

fn size() -> ImageSize {
    ImageSize::new(1000, 1000).unwrap()
}

#[test]
fn errors_are_those_of_scikit_learn_and_numpy() {
    let problems: Vec<Golden> = serde_json::from_str(include_str!("golden/calibration.json")).unwrap();
    assert!(12 <= problems.len(), "the number of golden cases only rises");
    for (i, problem) in problems.iter().enumerate() {
        let report = Alone::new(&problem.detections).report(&CalibrationParams::default());
        let pairs = [
            (report.ece, Some(problem.ece)),
            (report.mce, Some(problem.mce)),
            (report.d_ece_position, problem.d_ece_position),
            (report.d_ece_size, problem.d_ece_size),
            (report.d_ece_all, problem.d_ece_all),
        ];
        for (j, (found, expected)) in pairs.into_iter().enumerate() {
            assert_eq!(found.is_some(), expected.is_some(), "case {i}, number {j}");
            // Sums are formed in another order.
            let distance = found.zip(expected).map_or(0.0, |(f, e)| (f - e).abs());
            assert!(distance < 1e-12, "case {i}, number {j}: {found:?} {expected:?}");
        }
    }
}

/// Bin by bin, detection by detection.
fn slow_ece(detections: &[[f64; 6]], n: usize) -> f64 {
    let mut sum = 0.0;
    for bin in 0..n {
        let is_inside = |score: f64| {
            let is_last = bin == n - 1 && score == 1.0;
            is_last || (score * n as f64).floor() == bin as f64
        };
        let inside: Vec<_> = detections.iter().filter(|d| is_inside(d[0])).collect();
        if !inside.is_empty() {
            let count = inside.len() as f64;
            let precision = inside.iter().map(|d| d[1]).sum::<f64>() / count;
            let score = inside.iter().map(|d| d[0]).sum::<f64>() / count;
            sum += count * (precision - score).abs();
        }
    }
    sum / detections.len() as f64
}

fn detections() -> impl Strategy<Value = Vec<[f64; 6]>> {
    // Scores tie and lie on the edges of bins.
    let detection = (0u8..=40, any::<bool>(), 0u8..=20, 0u8..=20, 1u8..=20, 1u8..=20);
    let of = |v: u8| f64::from(v) / 20.0;
    prop::collection::vec(detection, 1..60).prop_map(move |all| {
        let row = |(s, r, x, y, w, h): (u8, bool, u8, u8, u8, u8)| {
            [f64::from(s) / 40.0, f64::from(u8::from(r)), of(x), of(y), of(w), of(h)]
        };
        all.into_iter().map(row).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn errors_follow_their_definition(detections in detections(), n_bins in 1usize..30) {
        let params = CalibrationParams { n_bins, min_per_bin: 1, ..CalibrationParams::default() };
        let alone = Alone::new(&detections);
        let report = alone.report(&params);
        prop_assert!((report.ece.unwrap() - slow_ece(&detections, n_bins)).abs() < 1e-12);
        prop_assert_eq!(report.ece_by_class[0], report.ece);
        // Finer bins never hide more, and the bias is hidden by none.
        let all = [report.ece, report.ece_equal_mass, report.d_ece_position, report.d_ece_size, report.d_ece_all];
        for error in all {
            prop_assert!((report.bias.unwrap().abs() - 1e-12..=1.0).contains(&error.unwrap()), "{report:?}");
        }
        prop_assert!(report.ece.unwrap() <= report.mce.unwrap() + 1e-12);
        for bins in [&report.bins, &report.bins_equal_mass] {
            prop_assert_eq!(bins.iter().map(|b| b.count).sum::<usize>(), report.n_detections);
            prop_assert!(bins.windows(2).all(|p| p[0].high <= p[1].low));
            prop_assert!(bins.iter().all(|b| b.low <= b.score + 1e-12 && b.score <= b.high + 1e-12));
        }
        let mut turned = alone.cases();
        turned.reverse();
        prop_assert_eq!(evaluate(&turned, 1, &params).unwrap(), report);
    }
}

#[test]
fn perfect_scores_have_no_error() {
    // Of each ten detections of score .3, three are right, and so on.
    let ten =
        |k: usize| (0..10).map(move |i| [k as f64 / 10.0, f64::from(u8::from(i < k)), 0.5, 0.5, 0.1, 0.1]);
    let report =
        Alone::new(&(0..=10).flat_map(ten).collect::<Vec<_>>()).report(&CalibrationParams::default());
    assert_eq!(report.n_detections, 110);
    for error in [report.ece, report.mce, report.ece_equal_mass, report.d_ece_position, report.d_ece_all] {
        assert!(error.unwrap() < 1e-12, "{report:?}");
    }
}

#[test]
fn crowds_low_scores_and_unknown_sizes_are_left_out() {
    let pictures = [Picture::new("a")
        .crowd(0, [0.0, 0.0, 100.0, 100.0])
        .detection(0, [10.0, 10.0, 20.0, 20.0], 0.9)
        .detection(1, [10.0, 10.0, 20.0, 20.0], 0.4)
        .detection(1, [10.0, 10.0, 20.0, 20.0], 0.1)];
    let params = CalibrationParams { min_score: 0.3, min_per_bin: 1, ..CalibrationParams::default() };
    let mut all = cases(&pictures);
    let report = evaluate(&all, 2, &params).unwrap();
    assert_eq!((report.n_detections, report.n_sized, report.ece), (1, 1, Some(0.4)));
    assert_eq!(report.ece_by_class, [None, Some(0.4)]);
    assert_eq!((report.bins[0].low, report.bins[0].high), (0.4, 0.45));
    all[0].size = None;
    let report = evaluate(&all, 2, &params).unwrap();
    assert_eq!((report.n_sized, report.d_ece_all, report.ece), (0, None, Some(0.4)));
    let none = evaluate(&[], 1, &params).unwrap();
    assert_eq!((none.ece, none.mce, none.bias, none.ece_equal_mass), (None, None, None, None));
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<CalibrationReport>(&json).unwrap(), report);
}

#[test]
fn parameters_are_checked_and_their_defaults_documented() {
    let p = CalibrationParams::default();
    assert_eq!((p.iou, p.min_score, p.min_per_bin), (0.5, 0.0, 8));
    assert_eq!((p.n_bins, p.n_bins_pair, p.n_bins_all), (20, 8, 5));
    let refused = |change: fn(&mut CalibrationParams)| {
        let mut params = CalibrationParams::default();
        change(&mut params);
        assert!(evaluate(&[], 0, &params).is_err(), "the verb checks too");
        params.check().is_err()
    };
    assert!(refused(|p| p.iou = f64::NAN) && refused(|p| p.iou = 0.0));
    assert!(refused(|p| p.min_score = f64::NAN) && refused(|p| p.min_score = 1.5));
    assert!(refused(|p| p.n_bins = 0) && refused(|p| p.n_bins = usize::MAX));
    assert!(refused(|p| p.n_bins_pair = 0) && refused(|p| p.n_bins_all = 0));
    assert!(refused(|p| p.min_per_bin = 0));
    assert_eq!(p.clone().check().unwrap().get(), &p);
}
