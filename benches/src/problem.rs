//! From two COCO files to the arrays: the one place that says how the library is called.

use std::path::Path;

use labelloop_core::{DetectionRow, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::ImageCase;
use labelloop_eval::coco::{self as protocol, CocoParams, CocoResult, ImageOrder, Rows};
use labelloop_formats::coco::{self as files, CocoDataset, CocoId, CocoRows, ReadOptions};
use labelloop_formats::{Strictness, Warning, WarningKind};

/// Evaluates a file of detections against a file of labels by long tables, pictures in the order of their COCO ids.
///
/// # Errors
/// Those of the readers and of the evaluation, and the first warning that says something was left out: a measurement
/// over fewer objects than the other evaluators see would be none.
pub fn evaluate_files(labels: &Path, detections: &Path) -> anyhow::Result<CocoResult> {
    let labels = files::read_rows(labels, Strictness::Lenient)?;
    let (detections, warnings) = files::read_detection_rows(detections, &labels, Strictness::Lenient)?;
    complete(&labels.warnings)?;
    complete(&warnings)?;
    evaluate_rows(&labels, &detections)
}

/// The same from texts, with what the readers said; what they leave out does not end it.
///
/// # Errors
/// Those of the readers and of the evaluation.
pub fn evaluate_texts(
    labels: &[u8],
    detections: &[u8],
    strictness: Strictness,
) -> anyhow::Result<(CocoResult, Vec<Warning>)> {
    let labels = files::rows_from_slice(Path::new("instances.json"), labels, strictness)?;
    let (detections, warnings) =
        files::detection_rows_from_slice(Path::new("detections.json"), detections, &labels, strictness)?;
    let result = evaluate_rows(&labels, &detections)?;
    Ok((result, labels.warnings.into_iter().chain(warnings).collect()))
}

fn evaluate_rows(labels: &CocoRows, detections: &[DetectionRow]) -> anyhow::Result<CocoResult> {
    let rows = Rows {
        n_images: labels.image_ids.len(),
        n_classes: labels.category_ids.len(),
        labels: &labels.labels,
        detections,
    };
    Ok(protocol::evaluate_rows(&rows, &CocoParams::default())?)
}

/// The same by whole records, which keep what no metric asks for, and by one case for each picture.
///
/// # Errors
/// As [`evaluate_files`].
pub fn evaluate_records(labels: &Path, detections: &Path) -> anyhow::Result<CocoResult> {
    let dataset = files::read(labels, &ReadOptions::default())?;
    let (found, warnings) = files::read_detections(detections, &dataset)?;
    complete(&dataset.warnings)?;
    complete(&warnings)?;
    let none: &[ScoredBox] = &[];
    let no_labels: &[LabelledBox] = &[];
    let cases: Vec<ImageCase<'_>> = dataset
        .set
        .samples
        .iter()
        .map(|sample| ImageCase {
            id: &sample.id,
            size: sample.size,
            labels: sample.boxes.as_deref().unwrap_or(no_labels),
            detections: found.get(&sample.id).map_or(none, Vec::as_slice),
        })
        .collect();
    let params = CocoParams { image_order: by_coco_id(&dataset), ..CocoParams::default() };
    Ok(protocol::evaluate(&cases, dataset.category_ids.len(), &params)?)
}

fn complete(warnings: &[Warning]) -> anyhow::Result<()> {
    // A box beyond its picture is kept, so nothing is lost.
    match warnings.iter().find(|w| !matches!(w.kind, WarningKind::OutsideImage { .. })) {
        None => Ok(()),
        Some(warning) => anyhow::bail!("{warning}"),
    }
}

fn by_coco_id(dataset: &CocoDataset) -> ImageOrder {
    let number = |id: &CocoId| match id {
        CocoId::Int(n) => Some(*n),
        CocoId::Text(_) => None,
    };
    let ranks = dataset.image_ids.iter().filter_map(|(sample, id)| Some((sample.clone(), number(id)?)));
    ImageOrder::Ranked(ranks.collect::<std::collections::BTreeMap<SampleId, i64>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::inputs::{InputParams, make};

    fn files(detections: &str) -> (tempfile::TempDir, std::path::PathBuf, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let params = InputParams { n_images: 40, n_labels: 400, n_detections: 800, n_classes: 5, seed: 1 };
        let made = make(&params);
        let (labels, found) = (folder.path().join("instances.json"), folder.path().join("detections.json"));
        std::fs::write(&labels, made.instances).unwrap();
        std::fs::write(&found, if detections.is_empty() { &made.detections } else { detections }).unwrap();
        (folder, labels, found)
    }

    #[test]
    fn the_generated_detector_is_a_middling_one() {
        let (_folder, labels, found) = files("");
        let ap = evaluate_files(&labels, &found).unwrap().map().unwrap();
        assert!((0.2..0.6).contains(&ap), "{ap}");
    }

    #[test]
    fn both_roads_lead_to_the_same_bits() {
        let (_folder, labels, found) = files("");
        let bits = |result: CocoResult| {
            let mut bytes = Vec::new();
            crate::arrays::write(&mut bytes, &result).unwrap();
            bytes
        };
        let (rows, records) = (evaluate_files(&labels, &found), evaluate_records(&labels, &found));
        assert!(bits(rows.unwrap()) == bits(records.unwrap()), "other numbers");
    }

    #[test]
    fn what_a_reader_leaves_out_ends_the_measurement() {
        let (_folder, labels, found) =
            files(r#"[{"image_id": -5, "category_id": 1, "bbox": [0, 0, 1, 1], "score": 0.5}]"#);
        let said = evaluate_files(&labels, &found).unwrap_err().to_string();
        assert!(said.contains("image_id"), "{said}");
    }
}
