use labelloop_core::{ClassIdx, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case::checked_by_id;
use crate::error::{check_iou, check_share};
use crate::matching::{DetectionOutcome, ImageMatch, LabelOutcome, matched};
use crate::{ImageCase, Result};

/// Right and wrong in one picture.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ImageCounts {
    /// The picture.
    pub id: SampleId,
    /// Detections that found a label.
    pub tp: usize,
    /// Detections that found none.
    pub fp: usize,
    /// Labels that no detection found.
    pub fn_: usize,
}

/// Right and wrong for one class. Ratios are nothing where they would divide by zero.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ClassCounts {
    /// The class.
    pub class: ClassIdx,
    /// Detections that found a label.
    pub tp: usize,
    /// Detections that found none.
    pub fp: usize,
    /// Labels that no detection found.
    pub fn_: usize,
    /// `tp / (tp + fp)`.
    pub precision: Option<f64>,
    /// `tp / (tp + fn)`.
    pub recall: Option<f64>,
    /// `2 tp / (2 tp + fp + fn)`.
    pub f1: Option<f64>,
}

/// How often a class was taken for another, `[K + 1, K + 1]`; row and column K stand for the background.
///
/// Row: class of the label. Column: class of the detection. Each label that is no crowd is in one cell of its row:
/// with the detection that found it, with the best-scored detection of another class in its place, or with the
/// background. Each detection that reached the score and lies in no crowd is in one cell of its column. So row sums
/// are labels and column sums detections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfusionMatrix {
    /// Number of classes, K.
    pub n_classes: usize,
    /// Counts, row by row.
    pub counts: Vec<u64>,
}

impl ConfusionMatrix {
    fn new(n_classes: usize) -> Self {
        Self { n_classes, counts: vec![0; (n_classes + 1) * (n_classes + 1)] }
    }

    /// How often `actual` was taken for `predicted`; nothing (`None`) stands for the background on either side.
    pub fn get(&self, actual: Option<ClassIdx>, predicted: Option<ClassIdx>) -> u64 {
        let place = |class: Option<ClassIdx>| class.map_or(self.n_classes, ClassIdx::as_usize);
        let (row, column) = (place(actual), place(predicted));
        if self.n_classes < row.max(column) {
            return 0;
        }
        self.counts[row * (self.n_classes + 1) + column]
    }

    /// Each count as a share of its row: of the labels of a class, which share was taken for what. The diagonal is then
    /// the recall of each class; the last row shares the wrong detections out over what they were taken for. Nothing in
    /// rows without a count. Same order as `counts`.
    ///
    /// ```
    /// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId};
    /// use labelloop_eval::{ImageCase, evaluate_at};
    ///
    /// let id = SampleId::new("1")?;
    /// let labels = [LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 10.0, 10.0)?)];
    /// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &[] };
    /// let shares = evaluate_at(&[case], 1, 0.5, 0.25)?.confusion.by_label();
    /// assert_eq!(shares, [Some(0.0), Some(1.0), None, None]); // all of the class is missed
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    pub fn by_label(&self) -> Vec<Option<f64>> {
        let rows = self.counts.chunks(self.n_classes + 1);
        let shares = rows.flat_map(|row| {
            let sum: u64 = row.iter().sum();
            row.iter().map(move |n| (sum != 0).then(|| *n as f64 / sum as f64))
        });
        shares.collect()
    }

    /// Each count as a share of its column: of the detections of a class, which share was what. The diagonal is then the
    /// precision of each class. Nothing in columns without a count. Same order as `counts`.
    pub fn by_detection(&self) -> Vec<Option<f64>> {
        let width = self.n_classes + 1;
        let sum = |column: usize| self.counts.iter().skip(column).step_by(width).sum::<u64>();
        let sums: Vec<u64> = (0..width).map(sum).collect();
        let share = |(i, n): (usize, &u64)| {
            let sum = sums[i % width];
            (sum != 0).then(|| *n as f64 / sum as f64)
        };
        self.counts.iter().enumerate().map(share).collect()
    }

    fn add(&mut self, actual: Option<ClassIdx>, predicted: Option<ClassIdx>) {
        let place = |class: Option<ClassIdx>| class.map_or(self.n_classes, ClassIdx::as_usize);
        let at = place(actual) * (self.n_classes + 1) + place(predicted);
        self.counts[at] += 1;
    }
}

/// Right and wrong at one IoU threshold and one score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CountsReport {
    /// IoU from which a detection finds a label.
    pub iou: f64,
    /// Score from which a detection takes part.
    pub min_score: f64,
    /// Picture by picture, by id.
    pub images: Vec<ImageCounts>,
    /// Detections that found a label.
    pub tp: usize,
    /// Detections that found none.
    pub fp: usize,
    /// Labels that no detection found.
    pub fn_: usize,
    /// `tp / (tp + fp)`; nothing where no detection counts.
    pub precision: Option<f64>,
    /// `tp / (tp + fn)`; nothing where there is no label.
    pub recall: Option<f64>,
    /// `2 tp / (2 tp + fp + fn)`; nothing where there is neither.
    pub f1: Option<f64>,
    /// Class by class, in the order of classes.
    pub per_class: Vec<ClassCounts>,
    /// Which class was taken for which.
    pub confusion: ConfusionMatrix,
}

/// Counts right and wrong at one IoU threshold among detections with a score of at least `min_score`.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId};
/// use labelloop_eval::{ImageCase, evaluate_at};
///
/// let id = SampleId::new("1")?;
/// let labels = [LabelledBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 10.0, 10.0)?)];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &[] };
/// let report = evaluate_at(&[case], 1, 0.5, 0.25)?;
/// assert_eq!((report.precision, report.recall, report.f1), (None, Some(0.0), Some(0.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`crate::EvalError::InvalidParam`] unless `iou` is in `(0, 1]` and `min_score` in `[0, 1]`; and for the input as
/// [`crate::coco::evaluate`].
pub fn evaluate_at(
    cases: &[ImageCase<'_>],
    n_classes: usize,
    iou: f64,
    min_score: f64,
) -> Result<CountsReport> {
    check_iou(iou)?;
    check_share("min_score", min_score)?;
    let cases = checked_by_id(cases, n_classes)?;
    let matches: Vec<ImageMatch> = cases.par_iter().map(|case| matched(case, iou, min_score)).collect();

    let mut confusion = ConfusionMatrix::new(n_classes);
    let mut tallies = vec![[0usize; 3]; n_classes];
    for (case, found) in cases.iter().zip(&matches) {
        tally(case, found, &mut tallies, &mut confusion);
    }
    let image = |(case, m): (&&ImageCase<'_>, &ImageMatch)| ImageCounts {
        id: case.id.clone(),
        tp: m.tp,
        fp: m.fp,
        fn_: m.fn_,
    };
    let sum = |i: usize| tallies.iter().map(|t| t[i]).sum::<usize>();
    let (tp, fp, fn_) = (sum(0), sum(1), sum(2));
    let (precision, recall, f1) = ratios(tp, fp, fn_);
    Ok(CountsReport {
        iou,
        min_score,
        images: cases.iter().zip(&matches).map(image).collect(),
        tp,
        fp,
        fn_,
        precision,
        recall,
        f1,
        per_class: (0u32..).zip(&tallies).map(|(class, t)| class_counts(ClassIdx(class), *t)).collect(),
        confusion,
    })
}

/// Precision, recall and F1, each nothing where it would divide by zero.
pub(crate) fn ratios(tp: usize, fp: usize, fn_: usize) -> (Option<f64>, Option<f64>, Option<f64>) {
    let ratio = |part: usize, whole: usize| (whole != 0).then(|| part as f64 / whole as f64);
    (ratio(tp, tp + fp), ratio(tp, tp + fn_), ratio(2 * tp, 2 * tp + fp + fn_))
}

fn class_counts(class: ClassIdx, [tp, fp, fn_]: [usize; 3]) -> ClassCounts {
    let (precision, recall, f1) = ratios(tp, fp, fn_);
    ClassCounts { class, tp, fp, fn_, precision, recall, f1 }
}

fn tally(
    case: &ImageCase<'_>,
    found: &ImageMatch,
    tallies: &mut [[usize; 3]],
    confusion: &mut ConfusionMatrix,
) {
    let confused = confused_with(case, found);
    for ((label, outcome), other) in case.labels.iter().zip(&found.labels).zip(&confused) {
        match outcome {
            LabelOutcome::Matched { .. } => {
                tallies[label.class.as_usize()][0] += 1;
                confusion.add(Some(label.class), Some(label.class));
            }
            LabelOutcome::Missed { .. } => {
                tallies[label.class.as_usize()][2] += 1;
                confusion.add(Some(label.class), other.map(|d| case.detections[d].class()));
            }
            LabelOutcome::Crowd => {}
        }
    }
    for (i, (detection, outcome)) in case.detections.iter().zip(&found.detections).enumerate() {
        if !outcome.is_false_positive() {
            continue;
        }
        tallies[detection.class().as_usize()][1] += 1;
        // A detection that stands in the row of a missed label must not count against the background as well.
        let is_placed =
            matches!(outcome, DetectionOutcome::Confusion { gt_idx, .. } if confused[*gt_idx] == Some(i));
        if !is_placed {
            confusion.add(None, Some(detection.class()));
        }
    }
}

/// For each missed label the best-scored detection of another class in its place, the earlier one among equals.
fn confused_with(case: &ImageCase<'_>, found: &ImageMatch) -> Vec<Option<usize>> {
    let mut confused: Vec<Option<usize>> = vec![None; case.labels.len()];
    for (i, outcome) in found.detections.iter().enumerate() {
        if let DetectionOutcome::Confusion { gt_idx, .. } = outcome
            && matches!(found.labels[*gt_idx], LabelOutcome::Missed { .. })
            && confused[*gt_idx].is_none_or(|d| case.detections[d].score() < case.detections[i].score())
        {
            confused[*gt_idx] = Some(i);
        }
    }
    confused
}
