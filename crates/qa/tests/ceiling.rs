//! The ceiling of mAP is what COCO's evaluation says of a detector that answers with the truth.
#![expect(clippy::unwrap_used, reason = "helpers of tests may unwrap")]

use labelloop_core::{LabelledBox, ScoredBox, Seed};
use labelloop_eval::{ImageCase, coco};
use labelloop_qa::{AgreementParams, AnnotatorModel, noise_ceiling};

#[path = "../examples/drift_power/simulate.rs"]
#[allow(dead_code, reason = "shared with the example, which uses more of it")]
mod simulate;

use simulate::{Golden, Labels};

/// COCO's mAP at .50:.95 and .50 of the truth, each box scored by how well the labels fit it.
fn evaluated(golden: &Golden, labels: &Labels, score: impl Fn(f64) -> f64) -> [f64; 2] {
    let detections: Vec<Vec<ScoredBox>> = golden
        .truth
        .iter()
        .zip(labels)
        .map(|(truth, labels)| {
            truth
                .iter()
                .map(|t| {
                    let same = labels.iter().filter(|l| l.class == t.class);
                    let fit = same.map(|l| l.bbox.iou(t.bbox)).fold(0.0, f64::max);
                    ScoredBox::new(t.class, t.bbox, score(fit)).unwrap()
                })
                .collect()
        })
        .collect();
    let case = |((id, labels), detections)| ImageCase { id, size: None, labels, detections };
    let labels = labels.iter().map(|l| l as &[LabelledBox]);
    let detections = detections.iter().map(|d| d as &[ScoredBox]);
    let cases: Vec<ImageCase<'_>> = golden.ids.iter().zip(labels).zip(detections).map(case).collect();
    let result = coco::evaluate(&cases, golden.schema.n_classes(), &coco::CocoParams::default()).unwrap();
    [result.stats[0], result.stats[1]]
}

#[test]
fn the_evaluator_gives_the_ceiling_for_the_best_and_the_worst_ranking() {
    for seed in 0..6 {
        let golden = Golden::generate(60, Seed::new(seed));
        let errors = AnnotatorModel {
            miss: 0.1,
            swap: 0.05,
            spurious: 0.1,
            jitter: 0.06,
            empty: 0.03,
            ..AnnotatorModel::default()
        };
        let labels = golden.annotate(&errors, Seed::new(100 + seed));
        let params = AgreementParams { n_bootstrap: 50, ..AgreementParams::default() };
        let ceiling =
            noise_ceiling(&golden.round(&golden.truth), &golden.round(&labels), &golden.schema, &params)
                .unwrap();
        let [best, best50] = evaluated(&golden, &labels, |fit| fit);
        let [worst, worst50] = evaluated(&golden, &labels, |fit| 1.0 - fit);
        for (found, [low, high]) in
            [(ceiling.map.unwrap(), [worst, best]), (ceiling.map50.unwrap(), [worst50, best50])]
        {
            assert!((found.ranked - high).abs() < 1e-9, "{found:?} {high}");
            assert!((found.unranked - low).abs() < 1e-9, "{found:?} {low}");
            let [a, b] = found.interval.unwrap();
            assert!(a <= found.unranked && found.ranked <= b && low < high);
        }
        // A ranking by chance lies between.
        let [any, any50] = evaluated(&golden, &labels, |fit| (fit * 1e6).fract());
        assert!(worst <= any && any <= best && worst50 <= any50 && any50 <= best50);
    }
}
