//! `eval coco`, `eval compare`, `eval kitti` and `eval nuscenes`.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{DetectionRow, LabelRow, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::ImageCase;
use labelloop_eval::coco::{CocoParams, CocoResult, ImageOrder, Rows, evaluate_rows};
use labelloop_formats::Strictness;
use labelloop_formats::coco::{CocoId, CocoRows, read_detection_rows, read_rows};

use crate::output::Output;

mod coco;
mod compare;
mod details;
mod kitti;
mod nuscenes;

pub(super) use coco::coco;
pub(super) use compare::compare;
pub(super) use kitti::kitti;
pub(super) use nuscenes::nuscenes;

/// The labels of a file; pictures are in pycocotools' order and named by their ids.
struct Input {
    rows: CocoRows,
    names: Vec<SampleId>,
    boxes: Vec<Vec<LabelledBox>>,
    params: CocoParams,
}

/// The detections of a file.
struct Found {
    rows: Vec<DetectionRow>,
    /// Those whose score is a confidence, by picture.
    boxes: Vec<Vec<ScoredBox>>,
}

impl Input {
    fn read(path: &Path, output: &Output) -> anyhow::Result<Self> {
        let rows = read_rows(path, Strictness::Lenient)?;
        rows.warnings.iter().for_each(|warning| output.say(&format!("warning: {warning}")));
        let names: Vec<SampleId> = rows.image_ids.iter().map(name_of).collect::<Result<_, _>>()?;
        let mut boxes = vec![Vec::new(); names.len()];
        for row in &rows.labels {
            boxes[row.image as usize].push(labelled_box(row));
        }
        let order = ImageOrder::Ranked(names.iter().cloned().zip(0..).collect());
        Ok(Self { rows, names, boxes, params: CocoParams { image_order: order, ..CocoParams::default() } })
    }

    fn read_detections(&self, path: &Path, output: &Output) -> anyhow::Result<Found> {
        let (rows, warnings) = read_detection_rows(path, &self.rows, Strictness::Lenient)?;
        warnings.iter().for_each(|warning| output.say(&format!("warning: {warning}")));
        let mut boxes = vec![Vec::new(); self.names.len()];
        for row in &rows {
            boxes[row.image as usize].extend(row.scored_box());
        }
        let n_other = rows.len() - boxes.iter().map(Vec::len).sum::<usize>();
        if 0 < n_other {
            output.say(&format!(
                "warning: {}: {n_other} scores are not from 0 to 1; AP and AR rank them, all else leaves them out",
                path.display()
            ));
        }
        Ok(Found { rows, boxes })
    }

    fn n_classes(&self) -> usize {
        self.rows.schema.n_classes()
    }

    fn evaluate(&self, found: &Found) -> anyhow::Result<CocoResult> {
        let rows = Rows {
            n_images: self.names.len(),
            n_classes: self.n_classes(),
            labels: &self.rows.labels,
            detections: &found.rows,
        };
        Ok(evaluate_rows(&rows, &CocoParams::default())?)
    }

    fn cases<'a>(&'a self, found: &'a Found) -> Vec<ImageCase<'a>> {
        let boxes = self.boxes.iter().zip(&found.boxes);
        let pictures = self.names.iter().zip(&self.rows.sizes).zip(boxes);
        pictures
            .map(|((id, size), (labels, detections))| ImageCase { id, size: *size, labels, detections })
            .collect()
    }

    fn ids(&self) -> BTreeMap<&SampleId, &CocoId> {
        self.names.iter().zip(&self.rows.image_ids).collect()
    }
}

/// A picture's id as text. A text that a number or nothing would be written as too keeps its quotes.
fn name_of(id: &CocoId) -> Result<SampleId, labelloop_core::CoreError> {
    let plain = match id {
        CocoId::Text(text) if text.parse::<i64>().is_err() => SampleId::new(text.as_str()).ok(),
        _ => None,
    };
    plain.map_or_else(|| SampleId::new(id.to_string()), Ok)
}

fn labelled_box(row: &LabelRow) -> LabelledBox {
    let mut label = LabelledBox::new(row.class, row.bbox);
    label.is_crowd = row.is_crowd;
    // The area of a box may overflow; one that is stated may not.
    label.area = Some(row.area()).filter(|area| *area != row.bbox.area() && area.is_finite());
    label
}
