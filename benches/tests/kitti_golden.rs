//! KITTI evaluation of generated frames against mmdetection3d's; see `golden/SOURCE.md`.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on should say where")]

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::SampleId;
use labelloop_eval::kitti::{Detection, Difficulty, Frame, KittiParams, Label, Metric, Recall, evaluate};
use labelloop_formats::kitti_rows::rows_from_text;
use serde_json::Value;

type Frames = BTreeMap<SampleId, (Vec<Label>, Vec<Detection>)>;

fn read(golden: &Value) -> Frames {
    let rows =
        |kind: &str, id: &String| rows_from_text(Path::new(id), golden[kind][id].as_str().unwrap()).unwrap();
    let frame = |id: &String| {
        let labels = rows("labels", id).into_iter().map(|row| Label {
            truncation: row.truncation,
            occlusion: row.occlusion,
            alpha: row.alpha,
            ..Label::new(row.class, row.bbox, row.cuboid)
        });
        let found = rows("detections", id).into_iter().map(|row| Detection {
            alpha: row.alpha,
            ..Detection::new(row.class, row.bbox, row.cuboid, row.score.unwrap())
        });
        (SampleId::new(id.as_str()).unwrap(), (labels.collect(), found.collect()))
    };
    golden["labels"].as_object().unwrap().keys().map(frame).collect()
}

#[test]
fn numbers_are_those_of_mmdetection3d() {
    let text = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/kitti.json")).unwrap();
    let golden: Value = serde_json::from_slice(&text).unwrap();
    let owned = read(&golden);
    let frames: Vec<Frame<'_>> =
        owned.iter().map(|(id, (labels, detections))| Frame { id, labels, detections }).collect();
    let mut n_compared = 0;
    for (set, params) in [("strict", KittiParams::default()), ("loose", KittiParams::loose())] {
        let result = evaluate(&frames, &params).unwrap();
        for (name, metric) in [("2D", Metric::Bbox), ("BEV", Metric::Bev), ("3D", Metric::Cuboid)] {
            for (points, recall) in [("AP11", Recall::R11), ("AP40", Recall::R40)] {
                for (class, difficulty) in
                    result.classes.iter().flat_map(|c| Difficulty::ALL.map(|d| (c.name.as_str(), d)))
                {
                    let key = format!("KITTI/{class}_{name}_{points}_{}_{set}", difficulty.name());
                    let expected = golden["expected"][&key].as_f64().unwrap();
                    let found = result.ap(class, metric, recall, difficulty).unwrap();
                    assert!((found - expected).abs() < 1e-9, "{key}: {found} {expected}");
                    n_compared += 1;
                }
            }
        }
    }
    assert_eq!(n_compared, 108);
}
