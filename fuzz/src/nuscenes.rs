use std::path::Path;

use labelloop_core::SampleId;
use labelloop_eval::nuscenes::{
    DetectionBox, LabelBox, NuscenesParams, NuscenesResult, SampleCase, evaluate,
};
use labelloop_formats::Strictness;
use labelloop_formats::nuscenes::{NuscenesRows, ReadOptions, detections_from_slice, labels_from_slice};

use crate::files::halves;

/// Labels, a line `---`, and detections: two files that are read and evaluated. Without the line both are one file.
pub fn nuscenes(data: &[u8]) {
    let (labels, found) = halves(data);
    let labels = labels.unwrap_or(found);
    let with = |strictness| {
        let options = ReadOptions { strictness, ..ReadOptions::default() };
        let labels = labels_from_slice(Path::new("gt.json"), labels, &options)?;
        let found = detections_from_slice(Path::new("found.json"), found, &labels, &options)?;
        Ok::<_, labelloop_formats::FormatError>((labels, found))
    };
    let lenient = with(Strictness::Lenient);
    if let Ok(strict) = with(Strictness::Strict) {
        assert!(strict.0.warnings.is_empty() && strict.1.warnings.is_empty(), "strict reading warned");
        assert_eq!(Some(&strict), lenient.as_ref().ok(), "lenient reading differs from strict");
    }
    if let Ok((labels, found)) = lenient {
        check(&labels, &found);
    }
}

/// Whatever was read can be evaluated or is refused, in any order, and shares are shares.
fn check(labels: &NuscenesRows, found: &NuscenesRows) {
    let params =
        NuscenesParams { range_filter: labels.rows.len().is_multiple_of(2), ..NuscenesParams::default() };
    let samples = samples(labels, found);
    let mut cases: Vec<SampleCase<'_>> = samples
        .iter()
        .map(|(id, labels, detections)| SampleCase { id, labels, detections, racks: &[] })
        .collect();
    let first = evaluate(&cases, &params);
    cases.reverse();
    assert_eq!(first, evaluate(&cases, &params), "the order of samples counts");
    if let Ok(NuscenesResult { mean_ap, nds, .. }) = first {
        for share in [mean_ap, nds].into_iter().flatten() {
            assert!((0.0..=1.0 + 1e-12).contains(&share), "{share} is no share");
        }
    }
}

type Sample = (SampleId, Vec<LabelBox>, Vec<DetectionBox>);

fn samples(labels: &NuscenesRows, found: &NuscenesRows) -> Vec<Sample> {
    let label = |row: &labelloop_formats::nuscenes::NuscenesRow| LabelBox {
        velocity: row.velocity,
        attribute: row.attribute,
        ego: row.ego,
        n_points: row.n_points,
        ..LabelBox::new(row.class, row.cuboid)
    };
    let detection = |row: &labelloop_formats::nuscenes::NuscenesRow| DetectionBox {
        velocity: row.velocity,
        attribute: row.attribute,
        ego: row.ego,
        ..DetectionBox::new(row.class, row.cuboid, row.score.unwrap_or(-1.0))
    };
    let detections_of = |id: &SampleId| {
        let own = found.by_sample().find(|(other, _)| *other == id);
        own.map(|(_, rows)| rows.iter().map(detection).collect()).unwrap_or_default()
    };
    let sample = |(id, rows): (&SampleId, &[labelloop_formats::nuscenes::NuscenesRow])| {
        (id.clone(), rows.iter().map(label).collect(), detections_of(id))
    };
    labels.by_sample().map(sample).collect()
}
