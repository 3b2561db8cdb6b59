//! A batch as people get it: pictures listed, labels to be filled in, the model's guesses to start from.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{AnnotationSet, CaptureId, Extra, LabelledBox, SliceKind};
use labelloop_dataset::Dataset;
use labelloop_formats::{coco, cvat, label_studio};

use crate::project::Project;
use crate::{LoopError, Result, files};

/// Writes `batch.json` (COCO, no labels yet), `captures.json` (every slice of the picked captures, point clouds among them,
/// by capture), the class lists for CVAT and Label Studio and, where a model has looked at
/// the samples, `pre_annotations.json`. Returns the number of pictures.
///
/// # Errors
/// I/O, or a sample that the format cannot hold.
pub fn export_batch(project: &Project, dataset: &Dataset, iteration: u32, folder: &Path) -> Result<usize> {
    let samples: Vec<_> = dataset
        .samples()
        .values()
        .filter(|s| s.batch == Some(iteration) && s.kind == SliceKind::Image)
        .map(labelloop_dataset::Sample::to_record)
        .collect();
    let n_pictures = samples.len();
    let set = AnnotationSet { schema: dataset.schema().clone(), samples, extra: Extra::new() };
    std::fs::create_dir_all(folder).map_err(LoopError::io(folder))?;
    coco::write(&folder.join("batch.json"), &set, &coco::WriteOptions::default())?;
    files::write_atomically(
        &folder.join("cvat_labels.json"),
        cvat::labels_config(dataset.schema()).as_bytes(),
    )?;
    files::write_atomically(
        &folder.join("label_studio_config.xml"),
        label_studio::labelling_config(dataset.schema()).as_bytes(),
    )?;
    if let Some(guesses) = pre_annotations(dataset, iteration, &set) {
        coco::write(&folder.join("pre_annotations.json"), &guesses, &coco::WriteOptions::default())?;
    }
    files::write_json(&folder.join("captures.json"), &captures(dataset, iteration))?;
    let places = serde_json::json!({ "media_root": project.config.project.media, "n_pictures": n_pictures });
    files::write_json(&folder.join("README.json"), &places)?;
    Ok(n_pictures)
}

/// The slices of each picked capture: what belongs together on a labeller's screen.
fn captures(dataset: &Dataset, iteration: u32) -> BTreeMap<&CaptureId, Vec<serde_json::Value>> {
    let mut captures: BTreeMap<&CaptureId, Vec<serde_json::Value>> = BTreeMap::new();
    for sample in dataset.samples().values().filter(|s| s.batch == Some(iteration)) {
        let slice = serde_json::json!({
            "id": sample.id,
            "slice": sample.slice,
            "kind": sample.kind,
            "file_name": sample.file_name,
        });
        captures.entry(&sample.capture).or_default().push(slice);
    }
    captures
}

/// The newest model's detections on the batch as labels to start from.
fn pre_annotations(dataset: &Dataset, iteration: u32, set: &AnnotationSet) -> Option<AnnotationSet> {
    let field = format!("predictions@{}", iteration.checked_sub(1)?);
    let mut guesses = set.clone();
    let mut n_found = 0;
    for record in &mut guesses.samples {
        let found = dataset.predictions(&field, &record.id).ok().flatten()?;
        n_found += found.len();
        record.boxes = Some(found.iter().map(|d| LabelledBox::new(d.class(), d.bbox())).collect());
    }
    (0 < n_found).then_some(guesses)
}
