use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{ClassIdx, LabelRow};
use labelloop_formats::coco::{self, CocoDataset, CocoId, CocoRows, ReadOptions};
use labelloop_formats::{Strictness, Warning, WarningKind};

use crate::files::Folder;

/// The labels of a COCO file, read as rows and as whole records.
pub fn coco_labels(data: &[u8]) {
    let path = Path::new("instances.json");
    let strict = coco::rows_from_slice(path, data, Strictness::Strict);
    let lenient = coco::rows_from_slice(path, data, Strictness::Lenient);
    if let Ok(rows) = &strict {
        assert!(rows.warnings.is_empty(), "strict reading warned: {:?}", rows.warnings);
        assert_eq!(Some(rows), lenient.as_ref().ok(), "lenient reading differs from strict");
        assert_json(data);
    }
    if let Ok(rows) = &lenient {
        assert!(rows.image_ids.is_sorted() && rows.category_ids.is_sorted(), "ids out of order");
        assert!(
            rows.labels.iter().all(|label| (label.image as usize) < rows.image_ids.len()),
            "no such image"
        );
    }
    let folder = Folder::new();
    let file = folder.with("instances.json", data);
    if let Ok(records) = coco::read(&file, &ReadOptions::default())
        && is_quiet(&records.warnings)
    {
        let rows =
            strict.expect("what the reader of records takes without a complaint the other one takes too");
        assert_eq!(labels_by_image(&rows), labels_of_records(&records), "two readers, two answers");
    }
}

/// Detections of a COCO results file for a fixed set of pictures and classes.
pub fn coco_detections(data: &[u8]) {
    let path = Path::new("detections.json");
    let of = coco::rows_from_slice(Path::new("instances.json"), SMALL.as_bytes(), Strictness::Strict)
        .expect("a plain file is read");
    let strict = coco::detection_rows_from_slice(path, data, &of, Strictness::Strict);
    let lenient = coco::detection_rows_from_slice(path, data, &of, Strictness::Lenient);
    if let Ok((rows, warnings)) = &strict {
        assert!(warnings.is_empty(), "strict reading warned: {warnings:?}");
        assert_eq!(
            Some(rows),
            lenient.as_ref().ok().map(|(rows, _)| rows),
            "lenient reading differs from strict"
        );
        assert_json(data);
    }
    let folder = Folder::new();
    let instances = folder.with("instances.json", SMALL.as_bytes());
    let dataset = coco::read(&instances, &ReadOptions::default()).expect("a plain file is read");
    let records = coco::read_detections(&folder.with("detections.json", data), &dataset);
    assert_eq!(records.is_ok(), lenient.is_ok(), "one reader refuses: {records:?} and {lenient:?}");
    let (Ok((found, warnings)), Ok((rows, of_rows))) = (records, lenient) else { return };
    // Any finite score is a row; records take confidences alone and warn of the others.
    let n_other_scores = rows.iter().filter(|row| row.scored_box().is_err()).count();
    assert_eq!(warnings.len(), of_rows.len() + n_other_scores, "{warnings:?} and {of_rows:?}");
    let mut by_image: BTreeMap<&CocoId, Vec<_>> = BTreeMap::new();
    for row in &rows {
        by_image.entry(&of.image_ids[row.image as usize]).or_default().extend(row.scored_box());
    }
    by_image.retain(|_, found| !found.is_empty());
    let of_records = found.iter().map(|(sample, scored)| (&dataset.image_ids[sample], scored.clone()));
    assert_eq!(by_image, of_records.collect(), "two readers, two answers");
}

/// Three pictures and two classes, one id a text, none in order.
pub(crate) const SMALL: &str = r#"{"images": [
    {"id": 7, "file_name": "7.jpg", "width": 640, "height": 480},
    {"id": 3, "file_name": "3.jpg", "width": 640, "height": 480},
    {"id": "b", "file_name": "b.jpg", "width": 640, "height": 480}],
  "annotations": [{"id": 1, "image_id": 7, "category_id": 2, "bbox": [10, 10, 30, 30], "area": 900, "iscrowd": 0}],
  "categories": [{"id": 2, "name": "car"}, {"id": 1, "name": "van"}]}"#;

/// Without complaints, but for those that only the reader of whole records has.
fn is_quiet(warnings: &[Warning]) -> bool {
    warnings.iter().all(|w| matches!(w.kind, WarningKind::OutsideImage { .. }))
}

/// By the grammar alone: half of a surrogate pair in a text that nobody asks for is JSON.
fn assert_json(data: &[u8]) {
    let data = data.strip_prefix(b"\xef\xbb\xbf").unwrap_or(data);
    let parsed = serde_json::from_slice::<serde::de::IgnoredAny>(data);
    assert!(parsed.is_ok(), "what is no JSON was taken: {parsed:?}");
}

type Seen = (ClassIdx, bool, [u64; 4], u64);

fn labels_by_image(rows: &CocoRows) -> BTreeMap<&CocoId, Vec<Seen>> {
    let mut by_image: BTreeMap<&CocoId, Vec<Seen>> =
        rows.image_ids.iter().map(|id| (id, Vec::new())).collect();
    for row in &rows.labels {
        let LabelRow { image, class, is_crowd, bbox, .. } = row;
        let seen = (*class, *is_crowd, bbox.to_xywh().map(f64::to_bits), row.area().to_bits());
        by_image.entry(&rows.image_ids[*image as usize]).or_default().push(seen);
    }
    by_image
}

fn labels_of_records(records: &CocoDataset) -> BTreeMap<&CocoId, Vec<Seen>> {
    let samples = records.set.samples.iter();
    samples
        .map(|sample| {
            let labels = sample.boxes.iter().flatten().map(|label| {
                let area = label.effective_area().to_bits();
                (label.class, label.is_crowd, label.bbox.to_xywh().map(f64::to_bits), area)
            });
            (&records.image_ids[&sample.id], labels.collect())
        })
        .collect()
}
