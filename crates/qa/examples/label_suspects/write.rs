//! The planted pictures as JSON, with our scores and the processor time they took.

use std::path::Path;
use std::time::Instant;

use labelloop_core::{BBox, SampleId};
use labelloop_qa::{ImageQuality, ObjectLabParams, Suspect, SuspicionParams, label_quality, suspects};
use serde_json::{Value, json};

use crate::plant::Planted;

/// Writes `<name>.json`; `found` are all suspects.
pub(crate) fn write(folder: &Path, name: &str, planted: &Planted, found: &[Suspect]) -> std::io::Result<()> {
    let images = planted.images();
    let seconds = |work: &dyn Fn()| {
        let start = Instant::now();
        (0..20).for_each(|_| work());
        start.elapsed().as_secs_f64() / 20.0
    };
    // Neither uses threads, so that time on the wall is time of the processor on a quiet machine.
    let all = SuspicionParams { min_suspicion: 0.0, ..SuspicionParams::default() };
    let of_suspects = seconds(&|| drop(std::hint::black_box(suspects(&images, &all))));
    let params = ObjectLabParams::default();
    let of_quality = seconds(&|| drop(std::hint::black_box(label_quality(&images, &params))));
    let quality = label_quality(&images, &params).expect("pictures come once");
    let pictures: Vec<Value> = (0..images.len()).map(|i| picture(planted, i, found, &quality)).collect();
    let document =
        json!({ "pictures": pictures, "seconds_suspects": of_suspects, "seconds_quality": of_quality });
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join(format!("{name}.json")), document.to_string())
}

fn picture(planted: &Planted, i: usize, found: &[Suspect], quality: &[ImageQuality]) -> Value {
    let id: &SampleId = &planted.ids[i];
    let mine: Vec<Value> = found
        .iter()
        .filter(|s| s.image == *id)
        .map(|s| json!([s.kind.as_str(), s.label_idx, s.detection_idx, s.suspicion]))
        .collect();
    let truth = &planted.truth[i];
    let wrong: Vec<Value> = truth.wrong.iter().map(|(l, kind)| json!([l, kind.as_str()])).collect();
    let row = |class: u32, b: BBox| {
        let [x1, y1, x2, y2] = b.to_corners();
        vec![f64::from(class), x1, y1, x2, y2]
    };
    let detections =
        planted.detections[i].iter().map(|d| [row(d.class().0, d.bbox()), vec![d.score()]].concat());
    let quality = quality.iter().find(|q| q.image == *id);
    json!({
        "labels": planted.labels[i].iter().map(|l| row(l.class.0, l.bbox)).collect::<Vec<_>>(),
        "detections": detections.collect::<Vec<_>>(),
        "wrong": wrong,
        "missing": truth.missing.iter().map(|b| b.to_corners()).collect::<Vec<_>>(),
        "suspects": mine,
        "quality": quality,
    })
}
