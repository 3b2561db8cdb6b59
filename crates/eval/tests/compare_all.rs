//! Two detectors class by class and slice by slice: against the comparison of one number, and by properties.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use common::{Picture, cases};
use labelloop_core::{ClassIdx, Seed};
use labelloop_eval::bootstrap::{BootstrapParams, Metric};
use labelloop_eval::compare::{CompareParams, ComparisonReport, Subject, compare_all};
use labelloop_eval::multiplicity::{Correction, adjust};
use labelloop_eval::slices::SliceBy;
use labelloop_eval::{EvalError, coco, compare};
use proptest::prelude::*;

const BOX: [f64; 4] = [0.0, 0.0, 40.0, 40.0];
const LARGE: [f64; 4] = [200.0, 0.0, 200.0, 200.0];

/// Twenty pictures with a medium label of class 0 and a large one of class 1, found in the first so many pictures.
fn detector(n_medium: usize, n_large: usize) -> Vec<Picture> {
    (0..20)
        .map(|i| {
            let mut picture = Picture::new(&format!("{i:02}")).label(0, BOX).label(1, LARGE);
            if i < n_medium {
                picture = picture.detection(0, BOX, 0.9);
            }
            if i < n_large {
                picture = picture.detection(1, LARGE, 0.8);
            }
            picture
        })
        .collect()
}

fn params(n_draws: usize) -> CompareParams {
    CompareParams {
        bootstrap: BootstrapParams { n_draws, ..BootstrapParams::default() },
        ..CompareParams::default()
    }
}

fn compared(a: &[Picture], b: &[Picture], params: &CompareParams) -> ComparisonReport {
    compare_all(&cases(a), &cases(b), 3, &[SliceBy::Size], None, params).unwrap()
}

#[test]
fn what_changed_is_significant_and_what_did_not_is_not() {
    let report = compared(&detector(10, 2), &detector(10, 18), &params(2000));
    let subjects: Vec<_> = report.rows.iter().map(|r| r.subject.clone()).collect();
    let size = |value: &str| Subject::Slice { by: "size".to_owned(), value: value.to_owned() };
    // The third class has no label, so no row.
    assert_eq!(
        subjects,
        [Subject::Class(ClassIdx(0)), Subject::Class(ClassIdx(1)), size("medium"), size("large")]
    );
    let significant: Vec<_> = report.significant(0.05).map(|r| r.subject.clone()).collect();
    assert_eq!(significant, [Subject::Class(ClassIdx(1)), size("large")]);
    assert_eq!((report.rows[0].comparison.difference, report.rows[0].p_adjusted), (Some(0.0), Some(1.0)));
    assert!(report.overall.p_value < Some(0.01) && report.can_reach(0.05));
    // Twenty draws cannot show anything in four rows.
    assert!(!compared(&detector(10, 2), &detector(10, 18), &params(20)).can_reach(0.05));
}

#[test]
fn p_values_are_corrected_as_one_family() {
    for correction in [Correction::Holm, Correction::BenjaminiHochberg] {
        let params = CompareParams { correction, ..params(200) };
        let report = compared(&detector(8, 2), &detector(12, 18), &params);
        let raw: Vec<f64> = report.rows.iter().map(|r| r.comparison.p_value.unwrap()).collect();
        let found: Vec<f64> = report.rows.iter().map(|r| r.p_adjusted.unwrap()).collect();
        assert_eq!(found, adjust(&raw, correction).unwrap());
        assert_eq!(report.correction, correction);
        assert_eq!(report.least_p_value, 2.0 / 201.0);
    }
}

#[test]
fn a_class_by_itself_is_a_problem_of_that_class_alone() {
    let (a, b) = (detector(6, 3), detector(9, 15));
    let only = |pictures: &[Picture], class: u32| -> Vec<Picture> {
        let mut pictures = pictures.to_vec();
        for picture in &mut pictures {
            picture.labels.retain(|l| l.class.0 == class);
            picture.detections.retain(|d| d.class().0 == class);
        }
        pictures
    };
    for metric in [Metric::Map, Metric::Map50, Metric::F1 { iou: 0.5, min_score: 0.1 }] {
        let params = CompareParams { metric, ..params(100) };
        let report = compared(&a, &b, &params);
        for class in 0..2 {
            let observe = |p: &[Picture]| coco::observe_all(&cases(p), 3, &params.coco).unwrap();
            let (a, b) = (observe(&only(&a, class)), observe(&only(&b, class)));
            let alone = compare(&a, &b, None, metric, &params.bootstrap).unwrap();
            assert_eq!(report.rows[class as usize].comparison, alone, "{metric:?} {class}");
        }
        let observe = |p: &[Picture]| coco::observe_all(&cases(p), 3, &params.coco).unwrap();
        let overall = compare(&observe(&a), &observe(&b), None, metric, &params.bootstrap).unwrap();
        assert_eq!(report.overall, overall);
    }
}

#[test]
fn other_pictures_labels_and_parameters_are_refused() {
    let (a, mut b) = (detector(1, 1), detector(2, 2));
    b[3] = b[3].clone().label(0, LARGE);
    let found = compare_all(&cases(&a), &cases(&b), 3, &[], None, &params(10));
    assert_eq!(found.unwrap_err(), EvalError::DifferentImages { image: "03".into() });
    assert!(compare_all(&cases(&a), &cases(&a), 1, &[], None, &params(10)).is_err());
    let mut bad = vec![params(0), params(10), params(10), params(10)];
    bad[1].coco.max_dets.clear();
    bad[2].slices.iou = f64::NAN;
    bad[3].metric = Metric::F1 { iou: 0.42, min_score: 0.0 };
    for params in &bad {
        assert!(compare_all(&cases(&a), &cases(&a), 3, &[], None, params).is_err());
    }
    assert!(bad.remove(0).check().is_err());
}

#[test]
fn defaults_are_those_documented() {
    let params = CompareParams::default();
    assert_eq!((params.metric, params.correction), (Metric::Map, Correction::Holm));
    assert_eq!((params.bootstrap.n_draws, params.bootstrap.seed), (2000, Seed::new(0)));
    assert_eq!(params.clone().check().unwrap().get(), &params);
}

#[test]
fn the_table_prints_with_names_of_ones_choice() {
    let report = compared(&detector(10, 2), &detector(10, 18), &params(100));
    let text = report.to_string();
    assert!(text.lines().nth(1).unwrap().starts_with("overall"), "{text}");
    assert!(text.contains("class 1") && text.contains("size large"), "{text}");
    let named = report.table(|subject| match subject {
        Subject::Class(class) => format!("thing {}", class.0),
        _ => "slice".to_owned(),
    });
    assert!(named.contains("thing 1") && !named.contains("class"), "{named}");
    let json = serde_json::to_string(&report).unwrap();
    assert_eq!(serde_json::from_str::<ComparisonReport>(&json).unwrap(), report);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn turning_the_detectors_round_turns_every_row(a in (0usize..=20, 0usize..=20), b in (0usize..=20, 0usize..=20)) {
        let (a, b) = (detector(a.0, a.1), detector(b.0, b.1));
        let (forth, back) = (compared(&a, &b, &params(40)), compared(&b, &a, &params(40)));
        for (forth, back) in forth.rows.iter().zip(&back.rows) {
            prop_assert_eq!(forth.comparison.difference.map(|d| -d), back.comparison.difference.map(|d| d + 0.0));
            prop_assert_eq!(forth.p_adjusted, back.p_adjusted);
        }
        let mut turned = cases(&a);
        turned.reverse();
        let again = compare_all(&turned, &cases(&b), 3, &[SliceBy::Size], None, &params(40)).unwrap();
        prop_assert_eq!(again, forth);
    }
}
