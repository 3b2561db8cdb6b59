use labelloop_core::{BBox, ClassIdx, ImageSize, SampleId};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};

use crate::case::{checked_by_id, classes_in_use};
use crate::error::{check_iou, check_share};
use crate::matching::{DetectionOutcome, ImageMatch, LabelOutcome, matched};
use crate::{ImageCase, Result};

/// What went wrong. Places count from 0 within the picture.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
#[non_exhaustive]
pub enum FailureKind {
    /// A label that no detection found: a false negative.
    Missed {
        /// The label.
        gt_idx: usize,
        /// The best-scored detection whose localisation or class error is about this label.
        explained_by: Option<usize>,
    },
    /// A detection where there is nothing.
    Background {
        /// The detection.
        dt_idx: usize,
    },
    /// Right class, but off the label's place.
    Localisation {
        /// The detection.
        dt_idx: usize,
        /// The label.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// Right place, wrong class.
    Confusion {
        /// The detection.
        dt_idx: usize,
        /// The label.
        gt_idx: usize,
        /// Class of the label.
        actual: ClassIdx,
        /// Class of the detection.
        predicted: ClassIdx,
        /// Their overlap.
        iou: f64,
    },
    /// A second detection of a label that was found already.
    Duplicate {
        /// The detection.
        dt_idx: usize,
        /// The label.
        gt_idx: usize,
        /// Their overlap.
        iou: f64,
    },
    /// Wrong class and off the label's place.
    ConfusionAndLocalisation {
        /// The detection.
        dt_idx: usize,
        /// The label.
        gt_idx: usize,
        /// Class of the label.
        actual: ClassIdx,
        /// Class of the detection.
        predicted: ClassIdx,
        /// Their overlap.
        iou: f64,
    },
}

/// The kind of a failure without its particulars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum KindName {
    /// [`FailureKind::Missed`].
    Missed,
    /// [`FailureKind::Background`].
    Background,
    /// [`FailureKind::Localisation`].
    Localisation,
    /// [`FailureKind::Confusion`].
    Confusion,
    /// [`FailureKind::Duplicate`].
    Duplicate,
    /// [`FailureKind::ConfusionAndLocalisation`].
    ConfusionAndLocalisation,
}

impl FailureKind {
    /// The kind without its particulars.
    pub fn name(self) -> KindName {
        match self {
            Self::Missed { .. } => KindName::Missed,
            Self::Background { .. } => KindName::Background,
            Self::Localisation { .. } => KindName::Localisation,
            Self::Confusion { .. } => KindName::Confusion,
            Self::Duplicate { .. } => KindName::Duplicate,
            Self::ConfusionAndLocalisation { .. } => KindName::ConfusionAndLocalisation,
        }
    }

    /// Whether it is a label that was not found rather than a detection that is wrong.
    pub fn is_false_negative(self) -> bool {
        matches!(self, Self::Missed { .. })
    }
}

/// How large an object is, by its area in square pixels.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeBand {
    /// Below 500.
    Tiny,
    /// From 500 to below 1024 (32²).
    Small,
    /// From 1024 to below 9216 (96²).
    Medium,
    /// From 9216.
    Large,
}

impl SizeBand {
    /// The band of an area in square pixels.
    ///
    /// ```
    /// use labelloop_eval::failures::SizeBand;
    ///
    /// assert_eq!([499.9, 500.0, 1024.0, 9216.0].map(SizeBand::of),
    ///            [SizeBand::Tiny, SizeBand::Small, SizeBand::Medium, SizeBand::Large]);
    /// ```
    pub fn of(area: f64) -> Self {
        match area {
            a if a < 500.0 => Self::Tiny,
            a if a < 1024.0 => Self::Small,
            a if a < 9216.0 => Self::Medium,
            _ => Self::Large,
        }
    }
}

/// Where in the picture the middle of an object lies. Cuts at one and four fifths of each side make nine fields: the
/// middle one is the centre, the four outermost are corners, the four between them edges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Position {
    /// In the outer fifth of both the width and the height.
    Corner,
    /// In the outer fifth of one of them.
    Edge,
    /// In neither.
    Centre,
}

impl Position {
    /// The field that the middle of a box lies in.
    ///
    /// ```
    /// use labelloop_core::{BBox, ImageSize};
    /// use labelloop_eval::failures::Position;
    ///
    /// let size = ImageSize::new(100, 100)?;
    /// assert_eq!(Position::of(BBox::new(0.0, 0.0, 10.0, 10.0)?, size), Position::Corner);
    /// assert_eq!(Position::of(BBox::new(0.0, 45.0, 10.0, 10.0)?, size), Position::Edge);
    /// assert_eq!(Position::of(BBox::new(45.0, 45.0, 10.0, 10.0)?, size), Position::Centre);
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    pub fn of(bbox: BBox, size: ImageSize) -> Self {
        let (x, y) = bbox.centre();
        let is_outer = |v: f64, side: u32| {
            let share = v / f64::from(side);
            !(0.2..=0.8).contains(&share)
        };
        match (is_outer(x, size.width()), is_outer(y, size.height())) {
            (true, true) => Self::Corner,
            (false, false) => Self::Centre,
            _ => Self::Edge,
        }
    }
}

/// One object that the detector got wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Failure {
    /// The picture.
    pub image: SampleId,
    /// What went wrong, with the places of label and detection.
    #[serde(flatten)]
    pub kind: FailureKind,
    /// Class of the missed label or of the wrong detection.
    pub class: ClassIdx,
    /// Box of the missed label or of the wrong detection.
    pub bbox: BBox,
    /// Score of the wrong detection; nothing for a missed label.
    pub score: Option<f64>,
    /// Area in square pixels: that stated for the label, that of the box for a detection.
    pub area: f64,
    /// Band of the area.
    pub size_band: SizeBand,
    /// Where in the picture, where its size is known.
    pub position: Option<Position>,
}

/// Every missed label and every wrong detection at one IoU and one score: by picture id, labels before detections, in
/// the order they have in the picture.
///
/// ```
/// use labelloop_core::{BBox, ClassIdx, SampleId, ScoredBox};
/// use labelloop_eval::{ImageCase, failures};
///
/// let id = SampleId::new("1")?;
/// let detections = [ScoredBox::new(ClassIdx(0), BBox::new(0.0, 0.0, 20.0, 20.0)?, 0.8)?];
/// let case = ImageCase { id: &id, size: None, labels: &[], detections: &detections };
/// let found = failures::find(&[case], 0.5, 0.25)?;
/// assert_eq!(found[0].kind, failures::FailureKind::Background { dt_idx: 0 });
/// assert_eq!(found[0].size_band, failures::SizeBand::Tiny);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`crate::EvalError::InvalidParam`] unless `iou` is in `(0, 1]` and `min_score` in `[0, 1]`; and for the input as
/// [`crate::coco::evaluate`], but any class number will do.
pub fn find(cases: &[ImageCase<'_>], iou: f64, min_score: f64) -> Result<Vec<Failure>> {
    check_iou(iou)?;
    check_share("min_score", min_score)?;
    let cases = checked_by_id(cases, classes_in_use(cases))?;
    let found: Vec<Vec<Failure>> =
        cases.par_iter().map(|case| of_image(case, &matched(case, iou, min_score))).collect();
    Ok(found.into_iter().flatten().collect())
}

fn of_image(case: &ImageCase<'_>, found: &ImageMatch) -> Vec<Failure> {
    let missed = found.labels.iter().enumerate().filter_map(|(gt_idx, outcome)| {
        let LabelOutcome::Missed { explained_by } = *outcome else { return None };
        let label = &case.labels[gt_idx];
        let kind = FailureKind::Missed { gt_idx, explained_by };
        Some(failure(case, kind, label.class, label.bbox, None, label.effective_area()))
    });
    let wrong = found.detections.iter().enumerate().filter_map(|(dt_idx, outcome)| {
        let detection = &case.detections[dt_idx];
        let (predicted, bbox) = (detection.class(), detection.bbox());
        let kind = kind_of(*outcome, dt_idx, predicted)?;
        Some(failure(case, kind, predicted, bbox, Some(detection.score()), bbox.area()))
    });
    missed.chain(wrong).collect()
}

fn kind_of(outcome: DetectionOutcome, dt_idx: usize, predicted: ClassIdx) -> Option<FailureKind> {
    Some(match outcome {
        DetectionOutcome::Background => FailureKind::Background { dt_idx },
        DetectionOutcome::Localisation { gt_idx, iou } => FailureKind::Localisation { dt_idx, gt_idx, iou },
        DetectionOutcome::Duplicate { gt_idx, iou } => FailureKind::Duplicate { dt_idx, gt_idx, iou },
        DetectionOutcome::Confusion { gt_idx, iou, actual } => {
            FailureKind::Confusion { dt_idx, gt_idx, actual, predicted, iou }
        }
        DetectionOutcome::ConfusionAndLocalisation { gt_idx, iou, actual } => {
            FailureKind::ConfusionAndLocalisation { dt_idx, gt_idx, actual, predicted, iou }
        }
        DetectionOutcome::BelowScore
        | DetectionOutcome::Matched { .. }
        | DetectionOutcome::Absorbed { .. } => {
            return None;
        }
    })
}

fn failure(
    case: &ImageCase<'_>,
    kind: FailureKind,
    class: ClassIdx,
    bbox: BBox,
    score: Option<f64>,
    area: f64,
) -> Failure {
    Failure {
        image: case.id.clone(),
        kind,
        class,
        bbox,
        score,
        area,
        size_band: SizeBand::of(area),
        position: case.size.map(|size| Position::of(bbox, size)),
    }
}
