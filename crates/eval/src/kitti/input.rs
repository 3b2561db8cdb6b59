use labelloop_core::{BBox, Cuboid, SampleId};
use serde::{Deserialize, Serialize};

use crate::{EvalError, Result};

/// The class of regions that people left out; its boxes excuse detections.
pub(super) const DONT_CARE: &str = "DontCare";

/// An object that people marked, with what KITTI's difficulties ask about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Label {
    /// Name of the class; upper and lower case are the same. `DontCare` marks a region, not an object.
    pub class: String,
    /// Box in the picture. KITTI's filter ignores labels without one.
    pub bbox: Option<BBox>,
    /// Box in space. Bird's-eye view and cuboid precision ignore labels without one.
    pub cuboid: Option<Cuboid>,
    /// Share of the object that lies outside the picture; below 0 where nobody knows, which passes the filter.
    pub truncation: f64,
    /// 0 fully visible, 1 partly occluded, 2 largely occluded, 3 unknown; below 0 passes the filter.
    pub occlusion: i32,
    /// Angle at which the camera sees the object, in radians.
    pub alpha: Option<f64>,
    /// Measured points inside the cuboid, where counted.
    pub n_points: Option<u32>,
}

impl Label {
    /// A fully visible object.
    ///
    /// ```
    /// use labelloop_eval::kitti::Label;
    ///
    /// let label = Label { occlusion: 1, ..Label::new("Car", None, None) };
    /// assert_eq!((label.truncation, label.alpha), (0.0, None));
    /// ```
    pub fn new(class: impl Into<String>, bbox: Option<BBox>, cuboid: Option<Cuboid>) -> Self {
        let class = class.into();
        Self { class, bbox, cuboid, truncation: 0.0, occlusion: 0, alpha: None, n_points: None }
    }
}

/// An object that a detector proposes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Detection {
    /// Name of the class; upper and lower case are the same.
    pub class: String,
    /// Box in the picture. KITTI's filter ignores detections without one.
    pub bbox: Option<BBox>,
    /// Box in space.
    pub cuboid: Option<Cuboid>,
    /// Angle at which the camera sees the object, in radians. Orientation similarity needs it for all of a class.
    pub alpha: Option<f64>,
    /// How sure the detector is, as any finite number: only the order counts.
    pub score: f64,
}

impl Detection {
    /// A detection without an angle.
    pub fn new(class: impl Into<String>, bbox: Option<BBox>, cuboid: Option<Cuboid>, score: f64) -> Self {
        Self { class: class.into(), bbox, cuboid, alpha: None, score }
    }
}

/// One picture or sweep with its labels and detections.
#[derive(Debug, Clone, Copy)]
pub struct Frame<'a> {
    /// Its name.
    pub id: &'a SampleId,
    /// What people marked, in the order of the file.
    pub labels: &'a [Label],
    /// What the detector proposes, in the order of the file.
    pub detections: &'a [Detection],
}

impl Frame<'_> {
    /// Refuses numbers that are none.
    fn check(&self) -> Result<()> {
        let finite = |what, index, field, found: f64| {
            let image = || self.id.to_string();
            if found.is_finite() {
                Ok(())
            } else {
                Err(EvalError::NotFinite { image: image(), what, index, field, found })
            }
        };
        for (i, label) in self.labels.iter().enumerate() {
            finite("label", i, "truncation", label.truncation)?;
            finite("label", i, "alpha", label.alpha.unwrap_or(0.0))?;
        }
        for (i, detection) in self.detections.iter().enumerate() {
            finite("detection", i, "score", detection.score)?;
            finite("detection", i, "alpha", detection.alpha.unwrap_or(0.0))?;
        }
        Ok(())
    }
}

/// Numbers of the frames in the order of their ids, after checking each.
pub(super) fn checked_by_id(frames: &[Frame<'_>]) -> Result<Vec<usize>> {
    let mut order: Vec<usize> = (0..frames.len()).collect();
    order.sort_by_key(|i| frames[*i].id);
    if let Some(pair) = order.windows(2).find(|p| frames[p[0]].id == frames[p[1]].id) {
        return Err(EvalError::DuplicateImage { image: frames[pair[0]].id.to_string() });
    }
    frames.iter().try_for_each(Frame::check)?;
    Ok(order)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(text: &str) -> SampleId {
        SampleId::new(text).unwrap()
    }

    fn check(labels: &[Label], detections: &[Detection]) -> Result<()> {
        Frame { id: &id("000007"), labels, detections }.check()
    }

    #[test]
    fn numbers_that_are_none_are_refused_with_their_place() {
        let good = Detection::new("Car", None, None, -1e300);
        assert!(check(&[], std::slice::from_ref(&good)).is_ok());
        for bad in [f64::NAN, f64::INFINITY] {
            let said = check(&[], &[good.clone(), Detection { score: bad, ..good.clone() }]).unwrap_err();
            assert!(said.to_string().starts_with("image 000007, detection 1: score is"), "{said}");
            assert!(check(&[], &[Detection { alpha: Some(bad), ..good.clone() }]).is_err());
            for label in [
                Label { alpha: Some(bad), ..Label::new("Car", None, None) },
                Label { truncation: bad, ..Label::new("Car", None, None) },
            ] {
                assert!(matches!(check(&[label], &[]), Err(EvalError::NotFinite { what: "label", .. })));
            }
        }
    }

    #[test]
    fn frames_are_sorted_and_repeated_ones_refused() {
        let (a, b) = (id("a"), id("b"));
        let frame = |id| Frame { id, labels: &[], detections: &[] };
        assert_eq!(checked_by_id(&[frame(&b), frame(&a)]).unwrap(), [1, 0]);
        let twice = checked_by_id(&[frame(&b), frame(&a), frame(&b)]);
        assert_eq!(twice, Err(EvalError::DuplicateImage { image: "b".to_owned() }));
    }
}
