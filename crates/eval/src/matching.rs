//! Which detection found which label at one IoU threshold, and what went wrong with the rest.

use std::collections::BTreeMap;

use labelloop_core::{BBox, ClassIdx};
use serde::{Deserialize, Serialize};

use crate::coco::detections_by_score;
use crate::error::{check_iou, check_share};
use crate::overlap::{Candidates, coco_overlap, effective_threshold};
use crate::{ImageCase, Result};

/// Overlap below which a detection has nothing to do with a label (TIDE, Bolya et al. 2020, section 2.2).
pub const BACKGROUND_IOU: f64 = 0.1;

/// What became of a label.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum LabelOutcome {
    /// A detection of its class found it.
    Matched {
        /// Place of the detection in the picture.
        dt_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// No detection found it.
    Missed {
        /// The best-scored detection whose localisation or class error is about this label: TIDE does not count such
        /// a label as missed, a count of false negatives does.
        explained_by: Option<usize>,
    },
    /// A crowd, which counts neither as found nor as missed.
    Crowd,
}

/// What became of a detection. Errors are those of TIDE, tested in its order: localisation, class, duplicate,
/// background, class and localisation.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DetectionOutcome {
    /// Scored below the limit; takes no part.
    BelowScore,
    /// Found a label.
    Matched {
        /// Place of the label in the picture.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// Lies in a crowd of its class; counts neither as right nor as wrong.
    Absorbed {
        /// Place of the crowd among the labels.
        gt_idx: usize,
    },
    /// Right class, but it overlaps the label by less than the threshold.
    Localisation {
        /// The label it overlaps most.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// Right place, wrong class.
    Confusion {
        /// The label it overlaps most.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
        /// Class of the label.
        actual: ClassIdx,
    },
    /// Right class and place, but a better-scored detection has the label.
    Duplicate {
        /// The label it overlaps most.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// There is nothing.
    Background,
    /// Wrong class and off its place.
    ConfusionAndLocalisation {
        /// The label it overlaps most.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
        /// Class of the label.
        actual: ClassIdx,
    },
}

impl DetectionOutcome {
    /// Whether it counts as a false positive.
    pub fn is_false_positive(self) -> bool {
        !matches!(self, Self::BelowScore | Self::Matched { .. } | Self::Absorbed { .. })
    }
}

/// Labels and detections of one picture after matching.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageMatch {
    /// Detections that found a label.
    pub tp: usize,
    /// Detections that found none.
    pub fp: usize,
    /// Labels that no detection found.
    pub fn_: usize,
    /// One outcome for each label, in their order.
    pub labels: Vec<LabelOutcome>,
    /// One outcome for each detection, in their order.
    pub detections: Vec<DetectionOutcome>,
}

/// Matches the detections of one picture with a score of at least `min_score` to its labels, class by class, greedily
/// by score: COCO's rule at the single threshold `iou`, without areas and without a limit on detections. Crowds take
/// in any number of detections.
///
/// O(detections x labels).
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, LabelledBox, SampleId, ScoredBox};
/// use labelloop_eval::matching::{DetectionOutcome, match_image};
/// use labelloop_eval::ImageCase;
///
/// let id = SampleId::new("1")?;
/// let bbox = BBox::new(0.0, 0.0, 10.0, 10.0)?;
/// let labels = [LabelledBox::new(ClassIdx(0), bbox)];
/// let detections = [ScoredBox::new(ClassIdx(1), bbox, 0.8)?];
/// let case = ImageCase { id: &id, size: None, labels: &labels, detections: &detections };
///
/// let found = match_image(&case, 0.5, 0.0)?;
/// assert_eq!((found.tp, found.fp, found.fn_), (0, 1, 1));
/// assert!(matches!(found.detections[0], DetectionOutcome::Confusion { actual: ClassIdx(0), .. }));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`crate::EvalError::InvalidParam`] unless `iou` is in `(0, 1]` and `min_score` in `[0, 1]`.
pub fn match_image(case: &ImageCase<'_>, iou: f64, min_score: f64) -> Result<ImageMatch> {
    check_iou(iou)?;
    check_share("min_score", min_score)?;
    Ok(matched(case, iou, min_score))
}

/// [`match_image`] after its checks.
pub(crate) fn matched(case: &ImageCase<'_>, iou: f64, min_score: f64) -> ImageMatch {
    matched_above(case, iou, BACKGROUND_IOU, min_score)
}

/// [`matched`] with another overlap below which there is nothing but background.
pub(crate) fn matched_above(
    case: &ImageCase<'_>,
    iou: f64,
    background_iou: f64,
    min_score: f64,
) -> ImageMatch {
    let pairs = assign(case, iou, min_score);
    let mut labels: Vec<LabelOutcome> = case.labels.iter().map(unfound).collect();
    let mut detections = vec![DetectionOutcome::BelowScore; case.detections.len()];
    for (dt_idx, gt_idx) in &pairs {
        detections[*dt_idx] = match gt_idx {
            Some(gt_idx) if case.labels[*gt_idx].is_crowd => DetectionOutcome::Absorbed { gt_idx: *gt_idx },
            Some(gt_idx) => {
                let iou = coco_overlap(case.detections[*dt_idx].bbox(), case.labels[*gt_idx].bbox, false);
                labels[*gt_idx] = LabelOutcome::Matched { dt_idx: *dt_idx, iou };
                DetectionOutcome::Matched { gt_idx: *gt_idx, iou }
            }
            None => error_kind(case, *dt_idx, iou, background_iou),
        };
    }
    explain_missed(&pairs, &detections, &mut labels);
    ImageMatch {
        tp: labels.iter().filter(|l| matches!(l, LabelOutcome::Matched { .. })).count(),
        fp: detections.iter().filter(|d| d.is_false_positive()).count(),
        fn_: labels.iter().filter(|l| matches!(l, LabelOutcome::Missed { .. })).count(),
        labels,
        detections,
    }
}

/// Detections that reach the score, best first over all classes, with the label each was matched to.
pub(crate) fn assign(case: &ImageCase<'_>, iou: f64, min_score: f64) -> Vec<(usize, Option<usize>)> {
    let mut by_class: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
    for (i, label) in case.labels.iter().enumerate() {
        by_class.entry(label.class.0).or_default().push(i);
    }
    let mut pairs = Vec::with_capacity(case.detections.len());
    let mut matches = Vec::new();
    let mut order = detections_by_score(case, None);
    order.retain(|i| min_score <= case.detections[*i].score());
    // Stable, so detections of a class stay in the order of their scores.
    order.sort_by_key(|i| case.detections[*i].class());
    for span in order.chunk_by(|a, b| case.detections[*a].class() == case.detections[*b].class()) {
        let labels = by_class.get(&case.detections[span[0]].class().0).map_or(&[][..], Vec::as_slice);
        let boxes: Vec<BBox> = span.iter().map(|i| case.detections[*i].bbox()).collect();
        let label_boxes: Vec<BBox> = labels.iter().map(|i| case.labels[*i].bbox).collect();
        let crowd: Vec<bool> = labels.iter().map(|i| case.labels[*i].is_crowd).collect();
        Candidates::new(&boxes, &label_boxes, &crowd, effective_threshold(iou)).assign(
            iou,
            &crowd,
            &crowd,
            &mut matches,
        );
        let found = matches.iter().map(|m| m.map(|i| labels[i as usize]));
        pairs.extend(span.iter().copied().zip(found));
    }
    pairs.sort_by(|a, b| by_score_then_place(case, a.0, b.0));
    pairs
}

fn by_score_then_place(case: &ImageCase<'_>, a: usize, b: usize) -> std::cmp::Ordering {
    crate::coco::by_score(case.detections[a].score(), case.detections[b].score()).then(a.cmp(&b))
}

fn unfound(label: &labelloop_core::LabelledBox) -> LabelOutcome {
    if label.is_crowd { LabelOutcome::Crowd } else { LabelOutcome::Missed { explained_by: None } }
}

/// Which of TIDE's errors an unmatched detection makes; crowds explain nothing.
fn error_kind(case: &ImageCase<'_>, dt_idx: usize, iou: f64, background_iou: f64) -> DetectionOutcome {
    let detection = &case.detections[dt_idx];
    let closest = |same_class: bool| {
        let mut best = (0usize, 0.0f64);
        for (i, label) in case.labels.iter().enumerate() {
            let is_asked = !label.is_crowd && (label.class == detection.class()) == same_class;
            let overlap = coco_overlap(detection.bbox(), label.bbox, false);
            if is_asked && best.1 < overlap {
                best = (i, overlap);
            }
        }
        best
    };
    let threshold = effective_threshold(iou);
    let (same, same_iou) = closest(true);
    let (other, other_iou) = closest(false);
    let actual = |i: usize| case.labels[i].class;
    if background_iou <= same_iou && same_iou < threshold {
        DetectionOutcome::Localisation { gt_idx: same, iou: same_iou }
    } else if threshold <= other_iou {
        DetectionOutcome::Confusion { gt_idx: other, iou: other_iou, actual: actual(other) }
    } else if threshold <= same_iou {
        DetectionOutcome::Duplicate { gt_idx: same, iou: same_iou }
    } else if other_iou < background_iou {
        DetectionOutcome::Background
    } else {
        DetectionOutcome::ConfusionAndLocalisation { gt_idx: other, iou: other_iou, actual: actual(other) }
    }
}

/// Hands each missed label the best-scored detection whose localisation or class error is about it.
fn explain_missed(
    pairs: &[(usize, Option<usize>)],
    detections: &[DetectionOutcome],
    labels: &mut [LabelOutcome],
) {
    for (dt_idx, _) in pairs {
        let (DetectionOutcome::Localisation { gt_idx, .. } | DetectionOutcome::Confusion { gt_idx, .. }) =
            detections[*dt_idx]
        else {
            continue;
        };
        if let LabelOutcome::Missed { explained_by: explained_by @ None } = &mut labels[gt_idx] {
            *explained_by = Some(*dt_idx);
        }
    }
}

#[cfg(test)]
mod tests {
    use labelloop_core::{LabelledBox, SampleId, ScoredBox};

    use super::*;

    fn boxed(x: f64, width: f64) -> BBox {
        BBox::new(x, 0.0, width, 10.0).unwrap()
    }

    fn outcomes(labels: &[LabelledBox], detections: &[(u32, BBox, f64)]) -> ImageMatch {
        let id = SampleId::new("1").unwrap();
        let detections: Vec<ScoredBox> =
            detections.iter().map(|(k, b, s)| ScoredBox::new(ClassIdx(*k), *b, *s).unwrap()).collect();
        let case = ImageCase { id: &id, size: None, labels, detections: &detections };
        match_image(&case, 0.5, 0.1).unwrap()
    }

    fn car(bbox: BBox) -> LabelledBox {
        LabelledBox::new(ClassIdx(0), bbox)
    }

    #[test]
    fn the_better_score_takes_the_label_and_the_other_is_a_duplicate() {
        let found =
            outcomes(&[car(boxed(0.0, 10.0))], &[(0, boxed(0.0, 10.0), 0.5), (0, boxed(1.0, 10.0), 0.9)]);
        assert_eq!(found.detections[0], DetectionOutcome::Duplicate { gt_idx: 0, iou: 1.0 });
        assert!(matches!(found.detections[1], DetectionOutcome::Matched { gt_idx: 0, .. }));
        assert!(matches!(found.labels[0], LabelOutcome::Matched { dt_idx: 1, .. }));
    }

    #[test]
    fn a_shifted_box_is_a_localisation_error_and_explains_the_miss() {
        let found = outcomes(&[car(boxed(0.0, 10.0))], &[(0, boxed(6.0, 10.0), 0.5)]);
        assert_eq!(found.detections[0], DetectionOutcome::Localisation { gt_idx: 0, iou: 0.25 });
        assert_eq!(found.labels[0], LabelOutcome::Missed { explained_by: Some(0) });
    }

    #[test]
    fn a_shifted_box_of_another_class_is_both_and_explains_nothing() {
        let found = outcomes(&[car(boxed(0.0, 10.0))], &[(1, boxed(6.0, 10.0), 0.5)]);
        assert_eq!(
            found.detections[0],
            DetectionOutcome::ConfusionAndLocalisation { gt_idx: 0, iou: 0.25, actual: ClassIdx(0) }
        );
        assert_eq!(found.labels[0], LabelOutcome::Missed { explained_by: None });
    }

    #[test]
    fn a_crowd_takes_in_any_number_and_explains_nothing() {
        let mut crowd = car(boxed(0.0, 100.0));
        crowd.is_crowd = true;
        let inside = [(0, boxed(0.0, 10.0), 0.5), (0, boxed(50.0, 10.0), 0.6), (1, boxed(0.0, 100.0), 0.7)];
        let found = outcomes(&[crowd], &inside);
        assert_eq!((found.tp, found.fp, found.fn_), (0, 1, 0));
        assert_eq!(found.detections[..2], [DetectionOutcome::Absorbed { gt_idx: 0 }; 2]);
        assert_eq!(found.detections[2], DetectionOutcome::Background);
        assert_eq!(found.labels[0], LabelOutcome::Crowd);
    }

    #[test]
    fn detections_below_the_score_take_no_part() {
        let found = outcomes(&[car(boxed(0.0, 10.0))], &[(0, boxed(0.0, 10.0), 0.05)]);
        assert_eq!(found.detections[0], DetectionOutcome::BelowScore);
        assert_eq!((found.tp, found.fp, found.fn_), (0, 0, 1));
    }

    #[test]
    fn of_two_misses_the_best_scored_detection_explains() {
        let shifted = [(0, boxed(6.0, 10.0), 0.5), (0, boxed(-6.0, 10.0), 0.8)];
        let found = outcomes(&[car(boxed(0.0, 10.0))], &shifted);
        assert_eq!(found.labels[0], LabelOutcome::Missed { explained_by: Some(1) });
    }

    #[test]
    fn parameters_out_of_range_are_refused() {
        let id = SampleId::new("1").unwrap();
        let case = ImageCase { id: &id, size: None, labels: &[], detections: &[] };
        for iou in [f64::NAN, 0.0, 1.1, -0.5] {
            assert!(match_image(&case, iou, 0.0).is_err(), "{iou}");
        }
        for score in [f64::NAN, -0.1, 1.1] {
            assert!(match_image(&case, 0.5, score).is_err(), "{score}");
        }
        assert_eq!(match_image(&case, 1.0, 1.0).unwrap().labels, []);
    }
}
