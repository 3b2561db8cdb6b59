//! From which score on a detection should be believed.

use labelloop_core::ClassIdx;
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case::checked_by_id;
use crate::coco::by_score;
use crate::counts::ratios;
use crate::error::check_iou;
use crate::matching::assign;
use crate::{ImageCase, Result};

/// Right and wrong when detections count from `score` on.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BestThreshold {
    /// Detections with at least this score count.
    pub score: f64,
    /// `2 tp / (2 tp + fp + fn)`.
    pub f1: f64,
    /// `tp / (tp + fp)`.
    pub precision: f64,
    /// `tp / (tp + fn)`.
    pub recall: f64,
    /// Detections that found a label.
    pub tp: usize,
    /// Detections that found none.
    pub fp: usize,
    /// Labels that no detection found.
    pub fn_: usize,
}

/// The score of the best F1 over all classes together, at one IoU; of equal ones the higher score. Nothing where
/// there is no label or no detection outside crowds, so that no score is better than another.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::{ImageCase, threshold};
///
/// let id = SampleId::new("1")?;
/// let bbox = BBox::new(0.0, 0.0, 10.0, 10.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// let elsewhere = BBox::new(50.0, 50.0, 10.0, 10.0)?;
/// let detections =
///     [ScoredBox::new(ClassIdx(0), bbox, 0.8)?, ScoredBox::new(ClassIdx(0), elsewhere, 0.3)?];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
///
/// let best = threshold::best_f1(&[case], 1, 0.5)?.expect("there is a label and a detection");
/// assert_eq!((best.score, best.f1), (0.8, 1.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`crate::EvalError::InvalidParam`] unless `iou` is in `(0, 1]`; and for the input as [`crate::coco::evaluate`].
pub fn best_f1(cases: &[ImageCase<'_>], n_classes: usize, iou: f64) -> Result<Option<BestThreshold>> {
    Ok(best_of(&curve(cases, n_classes, iou)?))
}

/// [`best_f1`] for each class by itself, in the order of classes.
///
/// # Errors
/// As [`best_f1`].
pub fn best_f1_per_class(
    cases: &[ImageCase<'_>],
    n_classes: usize,
    iou: f64,
) -> Result<Vec<Option<BestThreshold>>> {
    Ok(best_thresholds(cases, n_classes, iou)?.per_class)
}

/// The best scores over all classes together and for each class.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct BestThresholds {
    /// As [`best_f1`].
    pub overall: Option<BestThreshold>,
    /// As [`best_f1_per_class`].
    pub per_class: Vec<Option<BestThreshold>>,
}

/// [`best_f1`] and [`best_f1_per_class`] from one matching, which is most of their work.
///
/// # Errors
/// As [`best_f1`].
pub fn best_thresholds(cases: &[ImageCase<'_>], n_classes: usize, iou: f64) -> Result<BestThresholds> {
    let verdicts = Verdicts::new(cases, n_classes, iou)?;
    let mut of_class = vec![Vec::new(); n_classes];
    for (score, class, is_right) in &verdicts.detections {
        of_class[class.as_usize()].push((*score, *is_right));
    }
    let best = |n_labels: usize, detections: &[(f64, bool)]| best_of(&curve_of(detections, n_labels));
    let per_class = verdicts.n_labels.iter().zip(&of_class).map(|(n, found)| best(*n, found)).collect();
    Ok(BestThresholds { overall: best_of(&verdicts.curve(None)), per_class })
}

/// Precision, recall and F1 at every score that occurs, from the highest down, over all classes together. Empty where
/// there is no label or no detection outside crowds.
///
/// # Errors
/// As [`best_f1`].
pub fn curve(cases: &[ImageCase<'_>], n_classes: usize, iou: f64) -> Result<Vec<BestThreshold>> {
    Ok(Verdicts::new(cases, n_classes, iou)?.curve(None))
}

/// [`curve`] of one class.
///
/// # Errors
/// As [`best_f1`].
pub fn class_curve(
    cases: &[ImageCase<'_>],
    n_classes: usize,
    iou: f64,
    class: ClassIdx,
) -> Result<Vec<BestThreshold>> {
    Ok(Verdicts::new(cases, n_classes, iou)?.curve(Some(class)))
}

/// Every detection outside crowds with its verdict, best score first. One matching serves all scores: greedy matching
/// by score gives the detections above a score the same labels whether or not there are others below.
pub(crate) struct Verdicts {
    /// Score, class, and whether it found a label.
    pub(crate) detections: Vec<(f64, ClassIdx, bool)>,
    /// Labels to find, for each class.
    pub(crate) n_labels: Vec<usize>,
}

impl Verdicts {
    pub(crate) fn new(cases: &[ImageCase<'_>], n_classes: usize, iou: f64) -> Result<Self> {
        check_iou(iou)?;
        let cases = checked_by_id(cases, n_classes)?;
        let mut n_labels = vec![0; n_classes];
        for label in cases.iter().flat_map(|c| c.labels).filter(|l| !l.is_crowd) {
            n_labels[label.class.as_usize()] += 1;
        }
        let mut detections: Vec<_> = cases.par_iter().flat_map_iter(|case| verdicts(case, iou)).collect();
        detections.sort_by(|a, b| by_score(a.0, b.0));
        Ok(Self { detections, n_labels })
    }

    fn curve(&self, class: Option<ClassIdx>) -> Vec<BestThreshold> {
        let is_asked = |c: usize| class.is_none_or(|class| class.as_usize() == c);
        let n_labels = self.n_labels.iter().enumerate().filter(|(c, _)| is_asked(*c)).map(|(_, n)| n).sum();
        let found = self.detections.iter().filter(|d| is_asked(d.1.as_usize())).map(|d| (d.0, d.2));
        curve_of(&found.collect::<Vec<_>>(), n_labels)
    }
}

/// From the highest score down; nothing without a label.
fn curve_of(detections: &[(f64, bool)], n_labels: usize) -> Vec<BestThreshold> {
    let mut curve = Vec::new();
    if n_labels == 0 {
        return curve;
    }
    let (mut tp, mut fp) = (0, 0);
    // Detections of equal score come in together.
    for equals in detections.chunk_by(|a, b| a.0 == b.0) {
        let n_right = equals.iter().filter(|(_, is_right)| *is_right).count();
        tp += n_right;
        fp += equals.len() - n_right;
        curve.push(point(equals[0].0, tp, fp, n_labels - tp));
    }
    curve
}

fn verdicts(case: &ImageCase<'_>, iou: f64) -> Vec<(f64, ClassIdx, bool)> {
    assign(case, iou, 0.0)
        .into_iter()
        .filter(|(_, gt_idx)| gt_idx.is_none_or(|i| !case.labels[i].is_crowd))
        .map(|(dt_idx, gt_idx)| {
            let detection = &case.detections[dt_idx];
            (detection.score(), detection.class(), gt_idx.is_some())
        })
        .collect()
}

fn point(score: f64, tp: usize, fp: usize, fn_: usize) -> BestThreshold {
    let (precision, recall, f1) = ratios(tp, fp, fn_);
    // A detection and a label are there, so no ratio divides by zero.
    let (precision, recall, f1) = (precision.unwrap_or(0.0), recall.unwrap_or(0.0), f1.unwrap_or(0.0));
    BestThreshold { score, f1, precision, recall, tp, fp, fn_ }
}

fn best_of(curve: &[BestThreshold]) -> Option<BestThreshold> {
    curve.iter().copied().reduce(|best, point| if best.f1 < point.f1 { point } else { best })
}
