//! `eval coco` and `eval compare`.

use std::collections::BTreeMap;
use std::path::Path;

use labelloop_core::{AnnotationSet, Extra, GroupKey, SampleId, ScoredBox};
use labelloop_eval::ImageCase;
use labelloop_eval::coco::{CocoParams, ImageOrder};
use labelloop_eval::slices::SliceBy;
use labelloop_formats::coco::{self as format, CocoDataset, CocoId, ReadOptions};

use crate::args::EvalDataArgs;
use crate::output::{Output, UsageError};

mod coco;
mod compare;

pub(super) use coco::coco;
pub(super) use compare::compare;

/// Labels and detections of two files, with pycocotools' order of images.
struct Input {
    gt: CocoDataset,
    detections: BTreeMap<SampleId, Vec<ScoredBox>>,
    params: CocoParams,
}

impl Input {
    fn read(gt: &Path, dt: &Path, data: &EvalDataArgs, output: &Output) -> anyhow::Result<Self> {
        let options = ReadOptions { group_key: Some(data.group.clone()), ..ReadOptions::default() };
        let gt = format::read(gt, &options)?;
        let (detections, warnings) = format::read_detections(dt, &gt)?;
        for warning in gt.warnings.iter().chain(&warnings) {
            output.say(&format!("warning: {warning}"));
        }
        let params = CocoParams { image_order: order(&gt), ..CocoParams::default() };
        Ok(Self { gt, detections, params })
    }

    fn n_classes(&self) -> usize {
        self.gt.set.schema.n_classes()
    }

    fn cases(&self) -> Vec<ImageCase<'_>> {
        cases(&self.gt.set, &self.detections)
    }

    /// What resampling keeps together.
    fn groups(&self) -> BTreeMap<SampleId, GroupKey> {
        self.gt.set.samples.iter().map(|s| (s.id.clone(), s.group.clone())).collect()
    }
}

fn cases<'a>(
    set: &'a AnnotationSet,
    detections: &'a BTreeMap<SampleId, Vec<ScoredBox>>,
) -> Vec<ImageCase<'a>> {
    let case = |s: &'a labelloop_core::SampleRecord| ImageCase {
        id: &s.id,
        size: s.size,
        labels: s.boxes.as_deref().unwrap_or_default(),
        detections: detections.get(&s.id).map(Vec::as_slice).unwrap_or_default(),
    };
    set.samples.iter().map(case).collect()
}

/// pycocotools walks images by their number, which decides ties among equal scores.
fn order(gt: &CocoDataset) -> ImageOrder {
    let mut ids: Vec<(&CocoId, &SampleId)> = gt.image_ids.iter().map(|(sample, id)| (id, sample)).collect();
    ids.sort();
    ImageOrder::Ranked((0i64..).zip(ids).map(|(rank, (_, sample))| (sample.clone(), rank)).collect())
}

/// The attributes that were asked for: those of boxes, and fields of images or annotations by name.
fn attributes(set: &AnnotationSet, data: &EvalDataArgs) -> anyhow::Result<Vec<SliceBy>> {
    let mut by = if data.slices { SliceBy::built_in() } else { Vec::new() };
    for name in &data.slice_by {
        by.push(attribute(set, name)?);
    }
    Ok(by)
}

fn attribute(set: &AnnotationSet, name: &str) -> anyhow::Result<SliceBy> {
    let of_images: BTreeMap<SampleId, String> =
        set.samples.iter().filter_map(|s| Some((s.id.clone(), text(&s.extra, name)?))).collect();
    if !of_images.is_empty() {
        return Ok(SliceBy::Image { name: name.to_owned(), values: of_images });
    }
    let values: BTreeMap<SampleId, Vec<Option<String>>> = set
        .samples
        .iter()
        .filter_map(|s| Some((s.id.clone(), s.boxes.as_ref()?)))
        .map(|(id, boxes)| (id, boxes.iter().map(|b| text(&b.extra, name)).collect()))
        .collect();
    if values.values().flatten().all(Option::is_none) {
        let said = format!("--slice-by {name}: no image and no annotation has this field");
        return Err(UsageError(said).into());
    }
    Ok(SliceBy::Label { name: name.to_owned(), values })
}

/// A field's value as people write it: texts without their quotes.
fn text(extra: &Extra, name: &str) -> Option<String> {
    let json = extra.get(name)?;
    Some(serde_json::from_str::<String>(json).unwrap_or_else(|_| json.clone()))
}
