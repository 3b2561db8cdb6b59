//! KITTI evaluation of real labels and a real detector, where that data is at hand: `kitti_tracking` with `label_2` and
//! `pred` in the folder that `LABELLOOP_SHARED` names.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test that says what it left out and where it failed"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use labelloop_core::{GroupKey, SampleId};
use labelloop_eval::bootstrap::BootstrapParams;
use labelloop_eval::kitti::{
    Detection, Difficulty, Frame, KittiParams, KittiResult, Label, Metric, Recall, ci, evaluate, observe_all,
};
use labelloop_formats::kitti_rows::{KittiRow, read_folder};

fn data() -> Option<PathBuf> {
    let root = std::env::var_os("LABELLOOP_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../shared")), PathBuf::from);
    let path = root.join("data/kitti_tracking");
    if path.exists() {
        return Some(path);
    }
    eprintln!("left out: {} is not there", path.display());
    None
}

struct Owned {
    id: SampleId,
    labels: Vec<Label>,
    detections: Vec<Detection>,
}

fn label(row: &KittiRow) -> Label {
    Label {
        truncation: row.truncation,
        occlusion: row.occlusion,
        alpha: row.alpha,
        ..Label::new(row.class.as_str(), row.bbox, row.cuboid)
    }
}

fn detection(row: &KittiRow) -> Detection {
    let score = row.score.unwrap_or(1.0);
    Detection { alpha: row.alpha, ..Detection::new(row.class.as_str(), row.bbox, row.cuboid, score) }
}

fn read(labels: &Path, found: &Path) -> Vec<Owned> {
    let found = read_folder(found).unwrap();
    let none = Vec::new();
    let frame = |(id, rows): (SampleId, Vec<KittiRow>)| Owned {
        detections: found.get(&id).unwrap_or(&none).iter().map(detection).collect(),
        labels: rows.iter().map(label).collect(),
        id,
    };
    read_folder(labels).unwrap().into_iter().map(frame).collect()
}

fn frames(owned: &[Owned]) -> Vec<Frame<'_>> {
    owned.iter().map(|f| Frame { id: &f.id, labels: &f.labels, detections: &f.detections }).collect()
}

fn every(result: &KittiResult) -> impl Iterator<Item = (String, Option<f64>)> {
    result.classes.iter().flat_map(move |class| {
        Metric::ALL.into_iter().flat_map(move |metric| {
            Recall::ALL.into_iter().flat_map(move |recall| {
                Difficulty::ALL.map(|difficulty| {
                    let place =
                        [class.name.as_str(), metric.name(), recall.name(), difficulty.name()].join(" ");
                    (place, result.ap(&class.name, metric, recall, difficulty))
                })
            })
        })
    })
}

#[test]
fn labels_against_themselves_are_perfect() {
    let Some(data) = data() else { return };
    let folder = data.join("label_2");
    let owned = read(&folder, &folder);
    for params in [KittiParams::default(), KittiParams::loose()] {
        let result = evaluate(&frames(&owned), &params).unwrap();
        for (place, ap) in every(&result) {
            assert_eq!(ap, Some(100.0), "{place}");
        }
        assert!(result.warnings.is_empty(), "{:?}", result.warnings);
    }
}

#[test]
fn a_real_detector_has_the_numbers_of_the_docs() {
    let Some(data) = data() else { return };
    let owned = read(&data.join("label_2"), &data.join("pred"));
    let result = evaluate(&frames(&owned), &KittiParams::default()).unwrap();
    let loose = evaluate(&frames(&owned), &KittiParams::loose()).unwrap();
    for (found, class, metric, recall, expected) in [
        (&result, "Car", Metric::Bbox, Recall::R40, [99.2915, 95.2462, 92.4537]),
        (&result, "Car", Metric::Cuboid, Recall::R40, [95.6775, 85.8830, 83.0182]),
        (&result, "Car", Metric::Cuboid, Recall::R11, [90.3176, 84.7970, 79.2306]),
        (&result, "Pedestrian", Metric::Bev, Recall::R40, [76.6612, 74.1665, 71.8216]),
        (&result, "Cyclist", Metric::Aos, Recall::R40, [97.9093, 98.0975, 95.5715]),
        (&loose, "Pedestrian", Metric::Cuboid, Recall::R40, [83.2327, 80.8755, 78.9836]),
    ] {
        for (difficulty, expected) in Difficulty::ALL.into_iter().zip(expected) {
            let ap = found.ap(class, metric, recall, difficulty).unwrap();
            assert!((ap - expected).abs() < 5e-5, "{class} {} {}: {ap}", metric.name(), difficulty.name());
        }
    }
    assert!(result.warnings.is_empty(), "{:?}", result.warnings);
    let records = observe_all(&frames(&owned), &KittiParams::default()).unwrap();
    let recording = |f: &Owned| (f.id.clone(), GroupKey::new(&f.id.as_str()[..2]).unwrap());
    let groups: BTreeMap<SampleId, GroupKey> = owned.iter().map(recording).collect();
    let which = ("Car", Metric::Cuboid, Recall::R40, Difficulty::Moderate);
    let interval = ci(&records, Some(&groups), which, &BootstrapParams::default()).unwrap();
    assert!(interval.low < interval.value && interval.value < interval.high && interval.n_groups == 4);
}
