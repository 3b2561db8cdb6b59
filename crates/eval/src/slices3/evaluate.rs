use std::collections::{BTreeMap, BTreeSet};

use labelloop_core::GroupKey;
use serde::{Deserialize, Serialize};

use super::SliceBy;
use super::attribute::Value;
use crate::kitti::{Frame, KittiParams, KittiResult, Outside, Partial, observe_all, observe_outside};
use crate::{EvalError, Result};

/// The records of one slice, for intervals and for merging.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SlicePartial {
    /// The attribute.
    pub by: String,
    /// Its value in the slice.
    pub value: String,
    /// What was found. Partials of different slices do not merge.
    pub partial: Partial,
}

/// The numbers of one slice.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SliceRow {
    /// The attribute.
    pub by: String,
    /// Its value in the slice.
    pub value: String,
    /// The numbers. Labels outside the slice are counted there as ignored, with
    /// [`OutsideSlice`](crate::kitti::FilterReason::OutsideSlice).
    pub result: KittiResult,
}

/// Evaluates every slice that a label lies in: by attribute, and within one from near to far, from visible to occluded,
/// from few to many points, and recordings by name.
///
/// O(slices) evaluations.
///
/// ```
/// use labelloop_core::{BBox, Cuboid, CuboidFrame, SampleId};
/// use labelloop_eval::kitti::{Detection, Difficulty, Frame, KittiParams, Label, Metric, Recall};
/// use labelloop_eval::slices3::{SliceBy, evaluate};
///
/// let bbox = Some(BBox::new(0.0, 0.0, 60.0, 60.0)?);
/// let at = |x| Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).map(Some);
/// let labels = [Label::new("Car", bbox, at(10.0)?), Label::new("Car", bbox, at(50.0)?)];
/// let found = [Detection::new("Car", bbox, at(10.0)?, 0.5)];
/// let id = SampleId::new("a")?;
/// let frames = [Frame { id: &id, labels: &labels, detections: &found }];
///
/// let rows = evaluate(&frames, &[SliceBy::range()], &KittiParams::default())?;
/// let ap = |i: usize| rows[i].result.ap("Car", Metric::Cuboid, Recall::R11, Difficulty::Easy);
/// assert_eq!((rows[0].value.as_str(), ap(0)), ("0 to 20 m", Some(100.0 / 11.0)), "one label fills one slot");
/// assert_eq!((rows[1].value.as_str(), ap(1)), ("40 to 60 m", Some(0.0)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// [`EvalError::InvalidParam`] and [`EvalError::Unsorted`] for borders of bands that are none; [`EvalError::MissingGroup`]
/// for a frame without a recording; and as [`crate::kitti::evaluate`].
pub fn evaluate(frames: &[Frame<'_>], by: &[SliceBy], params: &KittiParams) -> Result<Vec<SliceRow>> {
    let row = |slice: SlicePartial| {
        let SlicePartial { by, value, partial } = slice;
        Ok(SliceRow { by, value, result: partial.finish()? })
    };
    observe(frames, by, params)?.into_iter().map(row).collect()
}

/// Matches every slice that a label lies in, in the order of [`evaluate`].
///
/// # Errors
/// As [`evaluate`].
pub fn observe(frames: &[Frame<'_>], by: &[SliceBy], params: &KittiParams) -> Result<Vec<SlicePartial>> {
    let mut slices = Vec::new();
    for by in by {
        by.check()?;
        match by {
            SliceBy::Group(groups) => {
                let mut recordings: BTreeMap<&GroupKey, Vec<Frame<'_>>> = BTreeMap::new();
                for frame in frames {
                    let missing = || EvalError::MissingGroup { image: frame.id.to_string() };
                    recordings.entry(groups.get(frame.id).ok_or_else(missing)?).or_default().push(*frame);
                }
                for (key, frames) in recordings {
                    let partial = observe_all(&frames, params)?;
                    slices.push(SlicePartial { by: by.name().to_owned(), value: key.to_string(), partial });
                }
            }
            _ => {
                for value in values(frames, by, params) {
                    let outside: Vec<Outside> =
                        frames.iter().map(|frame| outside(frame, by, &value)).collect();
                    let slice = Some(format!("{} {}", by.name(), value.1));
                    let partial = observe_outside(frames, Some(&outside), params, slice)?;
                    slices.push(SlicePartial { by: by.name().to_owned(), value: value.1, partial });
                }
            }
        }
    }
    Ok(slices)
}

/// Slices with a label of a class that is evaluated.
fn values(frames: &[Frame<'_>], by: &SliceBy, params: &KittiParams) -> BTreeSet<Value> {
    let is_asked = |class: &str| params.classes.iter().any(|c| c.name.eq_ignore_ascii_case(class));
    let labels = frames.iter().flat_map(|frame| frame.labels);
    labels.filter(|label| is_asked(&label.class)).map(|label| by.of_label(label)).collect()
}

fn outside(frame: &Frame<'_>, by: &SliceBy, value: &Value) -> Outside {
    let labels = frame.labels.iter().map(|label| by.of_label(label) != *value);
    let detections = frame.detections.iter().map(|d| by.of_detection(d).is_some_and(|own| own != *value));
    Outside { labels: labels.collect(), detections: detections.collect() }
}
