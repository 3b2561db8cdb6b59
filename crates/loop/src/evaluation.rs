//! What an evaluation on val leaves on disk.

use std::collections::BTreeMap;

use labelloop_core::{GroupKey, ImageSize, LabelledBox, SampleId, ScoredBox};
use labelloop_eval::ImageCase;
use labelloop_eval::failures::Failure;
use serde::{Deserialize, Serialize};

/// Scores and failures of one model on val.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Evaluation {
    /// Iteration of the model.
    pub iteration: u32,
    /// Pictures scored.
    pub n_images: usize,
    /// Labelled boxes in them.
    pub n_boxes: usize,
    /// The 12 COCO statistics in pycocotools' order, -1 where it says -1.
    pub stats: Vec<f64>,
    /// AP at IoU .50:.95 by class.
    pub ap_by_class: BTreeMap<String, Option<f64>>,
    /// AP at IoU .50 by class.
    pub ap50_by_class: BTreeMap<String, Option<f64>>,
    /// Confidence above which a detection counts: the best for F1 on val, so F1 is optimistic by that choice.
    pub score_threshold: Option<f64>,
    /// Precision at the threshold.
    pub precision: Option<f64>,
    /// Recall at the threshold.
    pub recall: Option<f64>,
    /// F1 at the threshold.
    pub f1: Option<f64>,
    /// 95% interval of F1 from resampling groups.
    pub f1_interval: Option<[f64; 2]>,
    /// 95% interval of mAP50 from resampling groups.
    pub map50_interval: Option<[f64; 2]>,
    /// F1 on training pictures at the same threshold.
    pub train_f1: Option<f64>,
    /// Labels found.
    pub tp: usize,
    /// False alarms.
    pub fp: usize,
    /// Labels missed.
    #[serde(rename = "fn")]
    pub fn_: usize,
    /// Counts by picture.
    pub images: Vec<PictureCounts>,
    /// Every object that is wrong, with its reason.
    pub failures: Vec<Failure>,
    /// Pictures with the most missed objects, at least one each.
    pub high_fn: Vec<RankedPicture>,
    /// Pictures with the most false alarms, at least one each.
    pub high_fp: Vec<RankedPicture>,
    /// Confused classes by picture.
    pub confusions: Vec<Confusion>,
}

/// Counts of one picture at the score threshold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PictureCounts {
    /// The picture.
    pub id: SampleId,
    /// Labels found.
    pub tp: usize,
    /// False alarms.
    pub fp: usize,
    /// Labels missed.
    #[serde(rename = "fn")]
    pub fn_: usize,
}

/// A picture and how often something went wrong in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RankedPicture {
    /// The picture.
    pub id: SampleId,
    /// How often.
    pub count: usize,
}

/// A class taken for another in one picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Confusion {
    /// The picture.
    pub id: SampleId,
    /// What the label says.
    pub actual: String,
    /// What the model said.
    pub predicted: String,
    /// How often.
    pub count: usize,
}

/// A picture with its labels and what a model found in it.
pub(crate) struct ScoredPicture {
    pub(crate) id: SampleId,
    pub(crate) group: GroupKey,
    pub(crate) size: Option<ImageSize>,
    pub(crate) labels: Vec<LabelledBox>,
    pub(crate) detections: Vec<ScoredBox>,
}

impl ScoredPicture {
    pub(crate) fn case(&self) -> ImageCase<'_> {
        ImageCase { id: &self.id, size: self.size, labels: &self.labels, detections: &self.detections }
    }
}
