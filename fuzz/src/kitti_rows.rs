use std::path::Path;

use labelloop_core::SampleId;
use labelloop_eval::kitti::{BoxFilter, Detection, Frame, KittiParams, KittiResult, Label, evaluate};
use labelloop_formats::kitti_rows::{KittiRow, rows_from_text};

use crate::files::halves;

/// Labels, a line `---`, and predictions of one frame: what is read can be evaluated, with and without KITTI's filter.
/// Without the line both are one file.
pub fn kitti_rows(data: &[u8]) {
    let (labels, found) = halves(data);
    let read =
        |data: &[u8]| rows_from_text(Path::new("000000.txt"), std::str::from_utf8(data).unwrap_or_default());
    let (Ok(labels), Ok(found)) = (read(labels.unwrap_or(found)), read(found)) else { return };
    let labels: Vec<Label> = labels.iter().map(label).collect();
    let found: Vec<Detection> = found.iter().map(detection).collect();
    let ids = ["000000", "000001"].map(|id| SampleId::new(id).expect("a plain name"));
    for filter in [BoxFilter::Official, BoxFilter::None] {
        let params = KittiParams { filter, ..KittiParams::loose() };
        let mut frames = ids.each_ref().map(|id| Frame { id, labels: &labels, detections: &found });
        let first = evaluate(&frames, &params);
        frames.reverse();
        assert_eq!(first, evaluate(&frames, &params), "the order of frames counts");
        first.iter().for_each(check);
    }
}

fn check(result: &KittiResult) {
    for curve in result.classes.iter().flat_map(|class| class.curves.iter().flatten().flatten()) {
        assert!(curve.thresholds.len() <= curve.values.len(), "more thresholds than slots");
        for percent in [curve.r11, curve.r40] {
            assert!((0.0..=100.0 + 1e-9).contains(&percent), "{percent} is no percentage");
        }
    }
}

fn label(row: &KittiRow) -> Label {
    let (truncation, occlusion, alpha) = (row.truncation, row.occlusion, row.alpha);
    Label { truncation, occlusion, alpha, ..Label::new(row.class.as_str(), row.bbox, row.cuboid) }
}

fn detection(row: &KittiRow) -> Detection {
    let score = row.score.unwrap_or(1.0);
    Detection { alpha: row.alpha, ..Detection::new(row.class.as_str(), row.bbox, row.cuboid, score) }
}
