//! Counts, best threshold, VOC and TIDE's kinds against values of other tools.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

mod common;

use std::collections::BTreeMap;

use common::{Picture, cases};
use labelloop_eval::failures::{FailureKind, KindName};
use labelloop_eval::voc::VocMethod;
use labelloop_eval::{evaluate_at, failures, threshold, voc};

#[derive(serde::Deserialize)]
struct Golden {
    n_images: usize,
    n_classes: usize,
    labels: Vec<(usize, u32, [f64; 4])>,
    detections: Vec<(usize, u32, [f64; 4], f64)>,
    counts: Vec<[usize; 3]>,
    best: (f64, f64, usize, usize, usize),
    voc: Option<[Vec<Option<f64>>; 2]>,
    tide: BTreeMap<String, usize>,
}

fn golden() -> Vec<(Golden, Vec<Picture>)> {
    let problems: Vec<Golden> = serde_json::from_str(include_str!("golden/counts_random.json")).unwrap();
    assert!(100 <= problems.len(), "the number of golden cases only rises");
    problems
        .into_iter()
        .map(|problem| {
            let mut pictures: Vec<Picture> =
                (0..problem.n_images).map(|i| Picture::new(&i.to_string())).collect();
            for (image, class, bbox) in &problem.labels {
                pictures[*image] = pictures[*image].clone().label(*class, *bbox);
            }
            for (image, class, bbox, score) in &problem.detections {
                pictures[*image] = pictures[*image].clone().detection(*class, *bbox, *score);
            }
            (problem, pictures)
        })
        .collect()
}

#[test]
fn counts_by_picture_are_those_of_pycocotools() {
    for (i, (problem, pictures)) in golden().iter().enumerate() {
        let report = evaluate_at(&cases(pictures), problem.n_classes, 0.5, 0.5).unwrap();
        let found: Vec<[usize; 3]> = report.images.iter().map(|c| [c.tp, c.fp, c.fn_]).collect();
        assert_eq!(found, problem.counts, "case {i}");
    }
}

#[test]
fn best_f1_is_that_of_pycocotools_matches() {
    for (i, (problem, pictures)) in golden().iter().enumerate() {
        let best = threshold::best_f1(&cases(pictures), problem.n_classes, 0.5).unwrap().unwrap();
        assert_eq!((best.score, best.f1, best.tp, best.fp, best.fn_), problem.best, "case {i}");
    }
}

#[test]
fn voc_agrees_with_podm_where_the_matching_cannot_differ() {
    let mut n_compared = 0;
    for (i, (problem, pictures)) in golden().iter().enumerate() {
        let Some(expected) = &problem.voc else { continue };
        for (method, expected) in [VocMethod::AllPoint, VocMethod::ElevenPoint].into_iter().zip(expected) {
            let found = voc::evaluate(&cases(pictures), problem.n_classes, 0.5, method).unwrap();
            for (found, expected) in found.ap.iter().zip(expected) {
                let distance = found.zip(*expected).map_or(0.0, |(f, e)| (f - e).abs());
                assert!(found.is_some() == expected.is_some() && distance < 1e-12, "case {i} {method:?}");
                n_compared += 1;
            }
        }
    }
    assert!(150 < n_compared, "{n_compared}");
}

#[test]
fn kinds_are_those_of_tide() {
    for (i, (problem, pictures)) in golden().iter().enumerate() {
        let mut found: BTreeMap<&str, usize> = problem.tide.keys().map(|k| (k.as_str(), 0)).collect();
        for failure in failures::find(&cases(pictures), 0.5, 0.0).unwrap() {
            let name = match failure.kind.name() {
                KindName::Missed => "MissedError",
                KindName::Background => "BackgroundError",
                KindName::Localisation => "BoxError",
                KindName::Confusion => "ClassError",
                KindName::Duplicate => "DuplicateError",
                _ => "OtherError",
            };
            // TIDE counts no label as missed that a localisation or class error is about.
            if !matches!(failure.kind, FailureKind::Missed { explained_by: Some(_), .. }) {
                *found.entry(name).or_default() += 1;
            }
        }
        let expected: BTreeMap<&str, usize> = problem.tide.iter().map(|(k, n)| (k.as_str(), *n)).collect();
        assert_eq!(found, expected, "case {i}");
    }
}
