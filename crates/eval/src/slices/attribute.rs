use std::collections::BTreeMap;

use labelloop_core::{BBox, SampleId};
use serde::{Deserialize, Serialize};

use crate::error::{check_iou, check_share};
use crate::failures::{Position, SizeBand};
use crate::matching::DetectionOutcome;
use crate::overlap::coco_overlap;
use crate::{EvalError, ImageCase, Result};

/// What data is cut into slices by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SliceBy {
    /// Area: tiny, small, medium, large as [`SizeBand`] has them; the stated area of a label, that of the box of a
    /// detection.
    Size,
    /// Place in the picture: corner, edge, centre as [`Position`] has them. Pictures of unknown size are left out.
    Position,
    /// Other labels that overlap, however little and of whatever class: alone (none), few, crowded. Crowds are no
    /// neighbours.
    Crowding,
    /// The largest IoU with another label: free (none), slight, heavy.
    Overlap,
    /// Longer side by shorter side: usual, unusual.
    Aspect,
    /// Contrast of each label, by picture, in the order of its labels: low, usual. Pictures and labels without one are
    /// left out.
    Contrast(BTreeMap<SampleId, Vec<Option<f64>>>),
    /// One value for each picture; pictures without one are left out.
    Image {
        /// Name of the attribute, for instance `weather`.
        name: String,
        /// Value by picture.
        values: BTreeMap<SampleId, String>,
    },
    /// One value for each label, by picture, in the order of its labels; labels without one are left out.
    Label {
        /// Name of the attribute, for instance `occluded`.
        name: String,
        /// Values by picture.
        values: BTreeMap<SampleId, Vec<Option<String>>>,
    },
}

/// Where slices begin and end.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SliceParams {
    /// IoU from which a detection finds a label, for average precision and counts. Default: .5.
    pub iou: f64,
    /// Score from which a detection counts as right or wrong; average precision takes all. Default: 0.
    pub min_score: f64,
    /// From how many neighbours on a label is crowded. Default: 3.
    pub crowded_from: usize,
    /// From which IoU with another label on the overlap is heavy. Default: .2.
    pub heavy_overlap: f64,
    /// A box is of unusual aspect when its longer side is more than this many times its shorter one. Default: 3.
    pub max_aspect: f64,
    /// A contrast below this, in the unit the caller gives it in, is low. Default: 0.1.
    pub low_contrast: f64,
}

impl Default for SliceParams {
    fn default() -> Self {
        Self {
            iou: 0.5,
            min_score: 0.0,
            crowded_from: 3,
            heavy_overlap: 0.2,
            max_aspect: 3.0,
            low_contrast: 0.1,
        }
    }
}

/// Parameters that were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct SliceValidParams(SliceParams);

impl SliceParams {
    /// # Errors
    /// [`EvalError::InvalidParam`] unless `iou` is in `(0, 1]`, `min_score` in `[0, 1]`, `crowded_from` at least 1,
    /// `heavy_overlap` in `[0, 1]`, `max_aspect` finite and at least 1 and `low_contrast` finite and at least 0.
    pub fn check(self) -> Result<SliceValidParams> {
        check_iou(self.iou)?;
        check_share("min_score", self.min_score)?;
        check_share("heavy_overlap", self.heavy_overlap)?;
        if self.crowded_from == 0 {
            return Err(EvalError::InvalidParam { name: "crowded_from", found: 0.0, expected: "at least 1" });
        }
        if !(1.0 <= self.max_aspect && self.max_aspect.is_finite()) {
            let expected = "a finite number of at least 1";
            return Err(EvalError::InvalidParam { name: "max_aspect", found: self.max_aspect, expected });
        }
        if !(0.0 <= self.low_contrast && self.low_contrast.is_finite()) {
            let expected = "a finite number of at least 0";
            return Err(EvalError::InvalidParam { name: "low_contrast", found: self.low_contrast, expected });
        }
        Ok(SliceValidParams(self))
    }
}

impl SliceValidParams {
    /// The parameters.
    pub fn get(&self) -> &SliceParams {
        &self.0
    }
}

/// A value of an attribute: its place among the others, then its text.
pub(super) type Value = (u8, String);

/// Which slices of an attribute something lies in.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Place {
    None,
    One(Value),
    Every,
}

impl From<Option<Value>> for Place {
    fn from(value: Option<Value>) -> Self {
        value.map_or(Self::None, Self::One)
    }
}

impl SliceBy {
    /// Everything that needs boxes alone: size, position, crowding, overlap, aspect.
    pub fn built_in() -> Vec<Self> {
        vec![Self::Size, Self::Position, Self::Crowding, Self::Overlap, Self::Aspect]
    }

    /// Name of the attribute.
    pub fn name(&self) -> &str {
        match self {
            Self::Size => "size",
            Self::Position => "position",
            Self::Crowding => "crowding",
            Self::Overlap => "overlap",
            Self::Aspect => "aspect",
            Self::Contrast(_) => "contrast",
            Self::Image { name, .. } | Self::Label { name, .. } => name,
        }
    }

    /// Refuses lists that do not fit the labels of a picture.
    pub(super) fn check(&self, case: &ImageCase<'_>) -> Result<()> {
        let found = match self {
            Self::Contrast(values) => values.get(case.id).map(Vec::len),
            Self::Label { values, .. } => values.get(case.id).map(Vec::len),
            _ => None,
        };
        match found {
            Some(found) if found != case.labels.len() => Err(EvalError::LabelValues {
                name: self.name().to_owned(),
                image: case.id.to_string(),
                found,
                expected: case.labels.len(),
            }),
            _ => Ok(()),
        }
    }

    /// Where a label that is no crowd lies.
    pub(super) fn of_label(
        &self,
        case: &ImageCase<'_>,
        gt_idx: usize,
        params: &SliceParams,
    ) -> Option<Value> {
        let label = &case.labels[gt_idx];
        match self {
            Self::Size => Some(size(label.effective_area())),
            Self::Crowding | Self::Overlap => Some(self.surroundings(case, label.bbox, Some(gt_idx), params)),
            Self::Contrast(values) => {
                let contrast = (*values.get(case.id)?.get(gt_idx)?)?;
                let of = |is_low| if is_low { (0, "low") } else { (1, "usual") };
                (!contrast.is_nan()).then(|| named(of(contrast < params.low_contrast)))
            }
            Self::Label { values, .. } => Some((0, values.get(case.id)?.get(gt_idx)?.clone()?)),
            _ => self.of_box(case, label.bbox, params),
        }
    }

    /// Where a wrong detection lies.
    pub(super) fn of_wrong(
        &self,
        case: &ImageCase<'_>,
        dt_idx: usize,
        outcome: DetectionOutcome,
        params: &SliceParams,
    ) -> Place {
        let bbox = case.detections[dt_idx].bbox();
        let about = match outcome {
            DetectionOutcome::Localisation { gt_idx, .. }
            | DetectionOutcome::Confusion { gt_idx, .. }
            | DetectionOutcome::Duplicate { gt_idx, .. }
            | DetectionOutcome::ConfusionAndLocalisation { gt_idx, .. } => Some(gt_idx),
            _ => None,
        };
        match (self, about) {
            (Self::Size, _) => Place::One(size(bbox.area())),
            (Self::Position | Self::Aspect | Self::Image { .. }, _) => self.of_box(case, bbox, params).into(),
            (_, Some(gt_idx)) => self.of_label(case, gt_idx, params).into(),
            (Self::Crowding | Self::Overlap, None) => Place::One(self.surroundings(case, bbox, None, params)),
            (Self::Contrast(_) | Self::Label { .. }, None) => Place::Every,
        }
    }

    /// Attributes that a label and a detection have in the same way.
    fn of_box(&self, case: &ImageCase<'_>, bbox: BBox, params: &SliceParams) -> Option<Value> {
        match self {
            Self::Position => Some(named(match Position::of(bbox, case.size?) {
                Position::Corner => (0, "corner"),
                Position::Edge => (1, "edge"),
                Position::Centre => (2, "centre"),
            })),
            Self::Aspect => {
                let (w, h) = (bbox.width(), bbox.height());
                let is_unusual = bbox.is_degenerate() || params.max_aspect * w.min(h) < w.max(h);
                Some(named(if is_unusual { (1, "unusual") } else { (0, "usual") }))
            }
            Self::Image { values, .. } => Some((0, values.get(case.id)?.clone())),
            _ => None,
        }
    }

    fn surroundings(
        &self,
        case: &ImageCase<'_>,
        bbox: BBox,
        own: Option<usize>,
        params: &SliceParams,
    ) -> Value {
        let others = case.labels.iter().enumerate().filter(|(i, l)| Some(*i) != own && !l.is_crowd);
        let overlaps: Vec<f64> =
            others.map(|(_, l)| coco_overlap(bbox, l.bbox, false)).filter(|o| 0.0 < *o).collect();
        let most = overlaps.iter().copied().fold(0.0, f64::max);
        named(match (matches!(self, Self::Crowding), overlaps.len()) {
            (true, 0) => (0, "alone"),
            (true, n) if n < params.crowded_from => (1, "few"),
            (true, _) => (2, "crowded"),
            (false, 0) => (0, "free"),
            (false, _) if most < params.heavy_overlap => (1, "slight"),
            (false, _) => (2, "heavy"),
        })
    }
}

fn named((place, name): (u8, &str)) -> Value {
    (place, name.to_owned())
}

fn size(area: f64) -> Value {
    named(match SizeBand::of(area) {
        SizeBand::Tiny => (0, "tiny"),
        SizeBand::Small => (1, "small"),
        SizeBand::Medium => (2, "medium"),
        SizeBand::Large => (3, "large"),
    })
}
