//! nuScenes' protocol against the devkit's own numbers, which `golden/nuscenes/SOURCE.md` describes.

#![allow(clippy::unwrap_used, reason = "a test may end at the first surprise")]

use std::collections::BTreeMap;

use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
use labelloop_eval::nuscenes::{
    DetectionBox, LabelBox, NuscenesParams, NuscenesResult, SampleCase, SampleOrder, evaluate,
};
use serde::Deserialize;

const TOLERANCE: f64 = 1e-12;

#[derive(Deserialize)]
struct Golden {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    number: usize,
    style: String,
    samples: Vec<Sample>,
    expected: Expected,
}

#[derive(Deserialize)]
struct Sample {
    token: SampleId,
    labels: Vec<Vec<Option<f64>>>,
    detections: Vec<Vec<Option<f64>>>,
    racks: Vec<Vec<f64>>,
}

#[derive(Deserialize)]
struct Expected {
    n_labels: Vec<u64>,
    n_detections: Vec<u64>,
    mean_ap: f64,
    nds: f64,
    tp_errors: [Option<f64>; 5],
    ap: Vec<[f64; 4]>,
    class_errors: Vec<[Option<f64>; 5]>,
    /// Mean precision and confidence by class and distance; not there where both are 0.
    curves: BTreeMap<String, [f64; 2]>,
}

struct Scene {
    token: SampleId,
    labels: Vec<LabelBox>,
    detections: Vec<DetectionBox>,
    racks: Vec<Cuboid>,
}

impl Scene {
    fn of(sample: &Sample) -> Self {
        let label = |row: &Vec<Option<f64>>| {
            let found = detection(row);
            LabelBox {
                class: found.class,
                cuboid: found.cuboid,
                velocity: found.velocity,
                attribute: found.attribute,
                ego: found.ego,
                n_points: Some(found.score as u32),
            }
        };
        let rack = |r: &Vec<f64>| {
            let q = [r[6], r[7], r[8], r[9]];
            Cuboid::from_nuscenes([r[0], r[1], r[2]], [r[3], r[4], r[5]], q, CuboidFrame::Global).unwrap()
        };
        Self {
            token: sample.token.clone(),
            labels: sample.labels.iter().map(label).collect(),
            detections: sample.detections.iter().map(|row| detection(row)).collect(),
            racks: sample.racks.iter().map(rack).collect(),
        }
    }

    fn case(&self) -> SampleCase<'_> {
        SampleCase { id: &self.token, labels: &self.labels, detections: &self.detections, racks: &self.racks }
    }
}

fn detection(row: &[Option<f64>]) -> DetectionBox {
    let n = |i: usize| row[i].unwrap();
    let three = |i: usize| [n(i), n(i + 1), n(i + 2)];
    let rotation = [n(7), n(8), n(9), n(10)];
    let cuboid = Cuboid::from_nuscenes(three(1), three(4), rotation, CuboidFrame::Global).unwrap();
    DetectionBox {
        velocity: row[11].zip(row[12]).map(<[f64; 2]>::from),
        attribute: (0.0 <= n(13)).then(|| n(13) as u16),
        ego: Some([n(14), n(15), 0.0]),
        ..DetectionBox::new(ClassIdx(n(0) as u32), cuboid, n(16))
    }
}

fn golden() -> Golden {
    serde_json::from_str(include_str!("golden/nuscenes/random.json")).unwrap()
}

/// The devkit's order of samples is that of the file.
fn result(case: &Case) -> NuscenesResult {
    let scenes: Vec<Scene> = case.samples.iter().map(Scene::of).collect();
    let ranks = scenes.iter().zip(0..).map(|(scene, rank)| (scene.token.clone(), rank)).collect();
    let params = NuscenesParams { sample_order: SampleOrder::Ranked(ranks), ..NuscenesParams::default() };
    evaluate(&scenes.iter().map(Scene::case).collect::<Vec<_>>(), &params).unwrap()
}

fn agree(found: Option<f64>, expected: Option<f64>) -> bool {
    match (found, expected) {
        (Some(found), Some(expected)) => (found - expected).abs() <= TOLERANCE,
        (found, expected) => found.is_none() && expected.is_none(),
    }
}

#[test]
fn there_are_as_many_cases_as_there_were() {
    let golden = golden();
    assert!(50 <= golden.cases.len());
    let n_defined =
        golden.cases.iter().flat_map(|c| &c.expected.ap).flatten().filter(|ap| 0.0 < **ap).count();
    assert!(400 < n_defined, "only {n_defined} numbers are above 0");
}

#[test]
fn numbers_are_the_devkits() {
    for case in golden().cases {
        let (found, e) = (result(&case), &case.expected);
        let place = format!("case {} ({})", case.number, case.style);
        for (k, class) in found.classes.iter().enumerate() {
            let place = format!("{place}, {}", class.name);
            assert_eq!((class.n_labels, class.n_detections), (e.n_labels[k], e.n_detections[k]), "{place}");
            for (t, ap) in class.ap_by_distance.iter().enumerate() {
                assert!(agree(*ap, Some(e.ap[k][t])), "{place}, AP {t}: {ap:?} {}", e.ap[k][t]);
            }
            let errors = class.tp_errors.to_array();
            for (m, error) in errors.iter().enumerate() {
                let expected = e.class_errors[k][m];
                assert!(agree(*error, expected), "{place}, error {m}: {error:?} {expected:?}");
            }
            for curve in &class.curves {
                let mean = |values: &[f64]| values.iter().sum::<f64>() / 101.0;
                let key = format!("{}/{:?}", class.name, curve.distance);
                let expected = e.curves.get(&key).copied().unwrap_or_default();
                let found = [mean(&curve.precision), mean(&curve.confidence)];
                assert!(
                    (0..2).all(|i| (found[i] - expected[i]).abs() <= TOLERANCE),
                    "{place}: {found:?} {expected:?}"
                );
            }
        }
        assert!(agree(found.mean_ap, Some(e.mean_ap)), "{place}: {:?} {}", found.mean_ap, e.mean_ap);
        for (found, expected) in found.tp_errors.to_array().iter().zip(e.tp_errors) {
            assert!(agree(*found, expected), "{place}: {found:?} {expected:?}");
        }
        assert!(agree(found.nds, Some(e.nds)), "{place}: {:?} {}", found.nds, e.nds);
    }
}
