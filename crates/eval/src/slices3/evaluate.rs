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

#[cfg(test)]
mod tests {
    use labelloop_core::{BBox, Cuboid, CuboidFrame, SampleId};

    use super::*;
    use crate::kitti::{BoxFilter, Detection, Difficulty, FilterReason, Label, Metric, Recall};

    fn at(x: f64) -> Option<Cuboid> {
        Some(Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar).unwrap())
    }

    fn ids(n: usize) -> Vec<SampleId> {
        (0..n).map(|i| SampleId::new(format!("{i:03}")).unwrap()).collect()
    }

    fn params() -> KittiParams {
        KittiParams { filter: BoxFilter::None, ..KittiParams::default() }
    }

    fn ap(row: &SliceRow) -> Option<f64> {
        row.result.ap("Car", Metric::Cuboid, Recall::R40, Difficulty::Easy)
    }

    #[test]
    fn bands_charge_their_own_false_alarms_alone() {
        let labels = [Label::new("Car", None, at(10.0)), Label::new("Car", None, at(30.0))];
        let found = [10.0, 30.0, 35.0].map(|x| Detection::new("Car", None, at(x), 0.5));
        let ids = ids(50);
        let frames: Vec<_> = ids.iter().map(|id| Frame { id, labels: &labels, detections: &found }).collect();
        let rows = evaluate(&frames, &[SliceBy::range()], &params()).unwrap();
        let values: Vec<&str> = rows.iter().map(|row| row.value.as_str()).collect();
        assert_eq!(values, ["0 to 20 m", "20 to 40 m"]);
        assert_eq!((ap(&rows[0]), ap(&rows[1])), (Some(100.0), Some(50.0)));
        let class = &rows[0].result.classes[0];
        assert_eq!(class.filtered_labels[0][&FilterReason::OutsideSlice], 50);
    }

    #[test]
    fn a_detection_across_the_border_still_finds_its_label() {
        let labels = [Label::new("Car", None, at(19.9))];
        let found = [Detection::new("Car", None, at(20.1), 0.5)];
        let ids = ids(50);
        let frames: Vec<_> = ids.iter().map(|id| Frame { id, labels: &labels, detections: &found }).collect();
        let rows = evaluate(&frames, &[SliceBy::range()], &params()).unwrap();
        assert_eq!((rows.len(), ap(&rows[0])), (1, Some(100.0)));
    }

    #[test]
    fn occlusion_and_points_ignore_what_finds_other_labels() {
        let labels = [
            Label { n_points: Some(5), ..Label::new("Car", None, at(10.0)) },
            Label { n_points: Some(500), occlusion: 2, ..Label::new("Car", None, at(30.0)) },
            Label::new("DontCare", None, None),
        ];
        let found = [Detection::new("Car", None, at(30.0), 0.5)];
        let ids = ids(50);
        let frames: Vec<_> = ids.iter().map(|id| Frame { id, labels: &labels, detections: &found }).collect();
        let rows = evaluate(&frames, &[SliceBy::Occlusion, SliceBy::points()], &params()).unwrap();
        let found: Vec<_> = rows.iter().map(|row| (row.by.as_str(), row.value.as_str(), ap(row))).collect();
        assert_eq!(
            found,
            [
                ("occlusion", "fully visible", Some(0.0)),
                ("occlusion", "largely occluded", Some(100.0)),
                ("points", "0 to 10", Some(0.0)),
                ("points", "from 200", Some(100.0)),
            ]
        );
    }

    #[test]
    fn recordings_are_evaluated_by_themselves() {
        let labels = [Label::new("Car", None, at(10.0))];
        let found = [Detection::new("Car", None, at(10.0), 0.5)];
        let ids = ids(100);
        let frames: Vec<_> = ids
            .iter()
            .enumerate()
            .map(|(i, id)| Frame { id, labels: &labels, detections: &found[..usize::from(i < 50)] })
            .collect();
        let key = |i: usize| GroupKey::new(if i < 50 { "day" } else { "night" }).unwrap();
        let groups: BTreeMap<_, _> = ids.iter().enumerate().map(|(i, id)| (id.clone(), key(i))).collect();
        let rows = evaluate(&frames, &[SliceBy::Group(groups)], &params()).unwrap();
        assert_eq!(rows.iter().map(ap).collect::<Vec<_>>(), [Some(100.0), Some(0.0)]);
        assert_eq!((rows[1].value.as_str(), rows[1].result.n_frames), ("night", 50));
        let missing = evaluate(&frames, &[SliceBy::Group(BTreeMap::new())], &params());
        assert!(matches!(missing, Err(EvalError::MissingGroup { .. })));
    }

    #[test]
    fn slices_are_partials_that_merge_with_their_own_kind() {
        let labels = [Label::new("Car", None, at(10.0)), Label::new("Car", None, at(30.0))];
        let ids = ids(2);
        let frames: Vec<_> = ids.iter().map(|id| Frame { id, labels: &labels, detections: &[] }).collect();
        let of = |frames: &[Frame<'_>]| observe(frames, &[SliceBy::range()], &params()).unwrap();
        let (all, mut a, b) = (of(&frames), of(&frames[..1]), of(&frames[1..]));
        assert!(a[0].partial.merge(b[1].partial.clone()).is_err(), "another band");
        a[0].partial.merge(b[0].partial.clone()).unwrap();
        assert_eq!(a[0], all[0]);
    }

    #[test]
    fn borders_that_are_none_are_refused() {
        assert!(evaluate(&[], &[SliceBy::Range(vec![f64::NAN])], &params()).is_err());
        let box2d = BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
        let labels = [Label::new("Tram", Some(box2d), at(1.0))];
        let ids = ids(1);
        let frames = [Frame { id: &ids[0], labels: &labels, detections: &[] }];
        assert_eq!(evaluate(&frames, &[SliceBy::range()], &params()), Ok(Vec::new()), "no class of interest");
    }
}
