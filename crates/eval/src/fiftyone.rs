//! FiftyOne's matching at a single threshold, by name, for people who compare numbers with it.
//!
//! Written from FiftyOne's documentation of its COCO-style evaluation (`evaluate_detections`, `COCOEvaluationConfig`) and
//! the maintainers' answers on its issue tracker:
//!
//! * predictions are matched in descending order of confidence, each to the ground truth object of the largest IoU among
//!   those that are free, from a least IoU on;
//! * `classwise`, the default, matches objects of the same class only;
//! * a crowd (`iscrowd`) can have several true positives matched to it, and its IoU is taken over the prediction's area.
//!
//! # Its quirks
//!
//! | quirk | COCO, and the rest of this crate |
//! |---|---|
//! | a prediction in a crowd is a **true positive** | counts neither as right nor as wrong |
//! | a crowd that no prediction lies in is a **false negative** | never missed |
//! | so true positives and false negatives together can exceed the labels, and differ between two detectors | they are the labels |
//! | without `classwise`, a pair of different classes is **one match but two errors**: a false positive and a false negative, and the label is taken | there is no such mode |
//!
//! That a crowd without a prediction is a false negative stands in no text that we found; it follows from reading the rules
//! as they are, and was not checked against a running FiftyOne, which needs a database server.
//!
//! Where the documentation says nothing, the choice made here is: among equal confidences the earlier prediction goes
//! first and among equal IoUs the later label is taken, as in COCO; a free label that is no crowd goes before a crowd;
//! without `classwise`, crowds are matched by predictions of their own class only.

use labelloop_core::{LabelledBox, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case::{checked_by_id, classes_in_use};
use crate::coco::detections_by_score;
use crate::error::check_iou;
use crate::overlap::{coco_overlap, effective_threshold};
use crate::{ImageCase, Result};

/// FiftyOne's options of the same names.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FiftyoneParams {
    /// Least IoU of a match. Default: .5.
    pub iou: f64,
    /// Whether only objects of the same class are matched. Default: true.
    pub classwise: bool,
}

impl Default for FiftyoneParams {
    fn default() -> Self {
        Self { iou: 0.5, classwise: true }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct FiftyoneValidParams(FiftyoneParams);

impl FiftyoneParams {
    /// # Errors
    /// [`crate::EvalError::InvalidParam`] unless `iou` is in `(0, 1]`.
    pub fn check(self) -> Result<FiftyoneValidParams> {
        check_iou(self.iou)?;
        Ok(FiftyoneValidParams(self))
    }
}

impl FiftyoneValidParams {
    /// The parameters.
    pub fn get(&self) -> &FiftyoneParams {
        &self.0
    }
}

/// FiftyOne's value of the field that is named by `eval_key`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FiftyoneVerdict {
    /// `"tp"`.
    Tp,
    /// `"fp"`, of predictions.
    Fp,
    /// `"fn"`, of labels.
    Fn,
}

/// One object after matching: FiftyOne's fields `<eval_key>`, `<eval_key>_id` and `<eval_key>_iou`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct FiftyoneObject {
    /// `<eval_key>`.
    pub verdict: FiftyoneVerdict,
    /// `<eval_key>_id`: place of the matched object in the picture; of a crowd the first prediction matched to it.
    pub matched: Option<usize>,
    /// `<eval_key>_iou`: the overlap with it, for a crowd over the prediction's area.
    pub iou: Option<f64>,
}

/// One picture after matching: FiftyOne's fields `<eval_key>_tp`, `<eval_key>_fp`, `<eval_key>_fn` and its objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FiftyoneImage {
    /// The picture.
    pub id: SampleId,
    /// Predictions that are true positives.
    pub tp: usize,
    /// Predictions that are false positives.
    pub fp: usize,
    /// Labels that are false negatives.
    pub fn_: usize,
    /// One entry for each label, in their order.
    pub labels: Vec<FiftyoneObject>,
    /// One entry for each detection, in their order.
    pub detections: Vec<FiftyoneObject>,
}

/// Matches as FiftyOne's `evaluate_detections(method="coco")` does, picture by picture, by id. O(detections x labels) per
/// picture.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::fiftyone::{FiftyoneParams, evaluate};
/// use labelloop_eval::{ImageCase, evaluate_at};
///
/// let id = SampleId::new("1")?;
/// let bbox = BBox::new(0.0, 0.0, 100.0, 100.0)?;
/// let crowd = [LabelledBox { is_crowd: true, ..LabelledBox::new(ClassIdx(0), bbox) }];
/// let inside = BBox::new(10.0, 10.0, 20.0, 20.0)?;
/// let detections = [ScoredBox::new(ClassIdx(0), inside, 0.9)?, ScoredBox::new(ClassIdx(0), inside, 0.8)?];
/// let case = ImageCase { id: &id, size: None, labels: &crowd, detections: &detections };
///
/// // Two true positives for one label, where COCO counts none.
/// assert_eq!(evaluate(&[case], &FiftyoneParams::default())?[0].tp, 2);
/// assert_eq!(evaluate_at(&[case], 1, 0.5, 0.0)?.tp, 0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`FiftyoneParams::check`]; and for the input as [`crate::coco::evaluate`], but any class number will do.
pub fn evaluate(cases: &[ImageCase<'_>], params: &FiftyoneParams) -> Result<Vec<FiftyoneImage>> {
    let FiftyoneValidParams(params) = params.clone().check()?;
    let cases = checked_by_id(cases, classes_in_use(cases))?;
    Ok(cases.par_iter().map(|case| matched(case, &params)).collect())
}

fn matched(case: &ImageCase<'_>, params: &FiftyoneParams) -> FiftyoneImage {
    let unmatched = |verdict| FiftyoneObject { verdict, matched: None, iou: None };
    let mut labels = vec![unmatched(FiftyoneVerdict::Fn); case.labels.len()];
    let mut detections = vec![unmatched(FiftyoneVerdict::Fp); case.detections.len()];
    for dt_idx in detections_by_score(case, None) {
        let is_taken = |gt_idx: usize| labels[gt_idx].matched.is_some();
        let best = best_label(case, dt_idx, params, |i, label| !label.is_crowd && !is_taken(i))
            .or_else(|| best_label(case, dt_idx, params, |_, label| label.is_crowd));
        let Some((gt_idx, iou)) = best else { continue };
        let is_right = case.labels[gt_idx].class == case.detections[dt_idx].class();
        let of = |right, wrong| if is_right { right } else { wrong };
        detections[dt_idx] = FiftyoneObject {
            verdict: of(FiftyoneVerdict::Tp, FiftyoneVerdict::Fp),
            matched: Some(gt_idx),
            iou: Some(iou),
        };
        if !is_taken(gt_idx) {
            labels[gt_idx] = FiftyoneObject {
                verdict: of(FiftyoneVerdict::Tp, FiftyoneVerdict::Fn),
                matched: Some(dt_idx),
                iou: Some(iou),
            };
        }
    }
    let count = |objects: &[FiftyoneObject], verdict| objects.iter().filter(|o| o.verdict == verdict).count();
    FiftyoneImage {
        id: case.id.clone(),
        tp: count(&detections, FiftyoneVerdict::Tp),
        fp: count(&detections, FiftyoneVerdict::Fp),
        fn_: count(&labels, FiftyoneVerdict::Fn),
        labels,
        detections,
    }
}

/// The label of the largest overlap among those that are asked for, of equal ones the last.
fn best_label(
    case: &ImageCase<'_>,
    dt_idx: usize,
    params: &FiftyoneParams,
    is_asked: impl Fn(usize, &LabelledBox) -> bool,
) -> Option<(usize, f64)> {
    let detection = &case.detections[dt_idx];
    let mut least = effective_threshold(params.iou);
    let mut best = None;
    for (i, label) in case.labels.iter().enumerate() {
        let is_of_class = label.class == detection.class() || !params.classwise && !label.is_crowd;
        if !is_of_class || !is_asked(i, label) {
            continue;
        }
        let overlap = coco_overlap(detection.bbox(), label.bbox, label.is_crowd);
        if least <= overlap {
            least = overlap;
            best = Some((i, overlap));
        }
    }
    best
}
