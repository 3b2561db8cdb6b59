use std::collections::BTreeMap;

use labelloop_core::{Cuboid, CuboidFrame, GroupKey, SampleId};
use serde::{Deserialize, Serialize};

use crate::kitti::{Detection, Label};
use crate::{EvalError, Result};

/// What slices are made by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum SliceBy {
    /// Distance on the ground from the sensor, which stands at the origin of the cuboids' frame. Metres at which one band
    /// ends and the next begins, ascending; the last band has no end.
    Range(Vec<f64>),
    /// What people said of the label's occlusion.
    Occlusion,
    /// Points measured inside the label. Numbers at which one band ends and the next begins, ascending.
    Points(Vec<u32>),
    /// The recording of each frame.
    Group(BTreeMap<SampleId, GroupKey>),
}

/// The place of a slice among those by the same attribute, and its name.
pub(super) type Value = (usize, String);

/// The slice of what has no distance or no count of points.
const UNKNOWN: &str = "unknown";

impl SliceBy {
    /// Bands of 20 metres up to 60.
    ///
    /// ```
    /// use labelloop_eval::slices3::SliceBy;
    ///
    /// assert_eq!(SliceBy::range(), SliceBy::Range(vec![20.0, 40.0, 60.0]));
    /// assert_eq!(SliceBy::points(), SliceBy::Points(vec![10, 50, 200]));
    /// ```
    pub fn range() -> Self {
        Self::Range(vec![20.0, 40.0, 60.0])
    }

    /// Less than 10, 50 and 200 points, and more.
    pub fn points() -> Self {
        Self::Points(vec![10, 50, 200])
    }

    /// `range`, `occlusion`, `points` or `group`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Range(_) => "range",
            Self::Occlusion => "occlusion",
            Self::Points(_) => "points",
            Self::Group(_) => "group",
        }
    }

    pub(super) fn check(&self) -> Result<()> {
        let cuts: Vec<f64> = match self {
            Self::Range(cuts) => cuts.clone(),
            Self::Points(cuts) => cuts.iter().map(|cut| f64::from(*cut)).collect(),
            Self::Occlusion | Self::Group(_) => return Ok(()),
        };
        if let Some(found) = cuts.iter().find(|cut| !(0.0 < **cut) || !cut.is_finite()) {
            let expected = "a finite number above 0";
            return Err(EvalError::InvalidParam { name: self.name(), found: *found, expected });
        }
        match cuts.windows(2).find(|p| !(p[0] < p[1])) {
            Some(p) => Err(EvalError::Unsorted { name: self.name(), before: p[0], after: p[1] }),
            None => Ok(()),
        }
    }

    pub(super) fn of_label(&self, label: &Label) -> Value {
        match self {
            Self::Range(cuts) => band(range(label.cuboid.as_ref()), cuts, " m"),
            Self::Occlusion => match label.occlusion {
                0 => (0, "fully visible".to_owned()),
                1 => (1, "partly occluded".to_owned()),
                2 => (2, "largely occluded".to_owned()),
                _ => (3, UNKNOWN.to_owned()),
            },
            Self::Points(cuts) => {
                let cuts: Vec<f64> = cuts.iter().map(|cut| f64::from(*cut)).collect();
                band(label.n_points.map(f64::from), &cuts, "")
            }
            Self::Group(_) => (0, String::new()),
        }
    }

    /// The slice that a detection belongs to by itself, if any.
    pub(super) fn of_detection(&self, detection: &Detection) -> Option<Value> {
        match self {
            Self::Range(cuts) => Some(band(range(detection.cuboid.as_ref()), cuts, " m")),
            _ => None,
        }
    }
}

/// Metres on the ground from the origin.
fn range(cuboid: Option<&Cuboid>) -> Option<f64> {
    let cuboid = cuboid?;
    let [x, y, z] = cuboid.centre();
    Some(if cuboid.frame() == CuboidFrame::KittiCamera { x.hypot(z) } else { x.hypot(y) })
}

/// A value on a border belongs to the band that begins there.
fn band(value: Option<f64>, cuts: &[f64], unit: &str) -> Value {
    let Some(value) = value else { return (cuts.len() + 1, UNKNOWN.to_owned()) };
    let place = cuts.iter().filter(|cut| **cut <= value).count();
    let from = place.checked_sub(1).map_or(0.0, |i| cuts[i]);
    let name = match cuts.get(place) {
        Some(to) => format!("{from} to {to}{unit}"),
        None => format!("from {from}{unit}"),
    };
    (place, name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(centre: [f64; 3], frame: CuboidFrame) -> Label {
        Label::new("Car", None, Some(Cuboid::new(centre, [4.0, 2.0, 1.5], 0.0, frame).unwrap()))
    }

    #[test]
    fn bands_begin_at_their_lower_border() {
        let name = |x| SliceBy::range().of_label(&at([x, 0.0, 5.0], CuboidFrame::Lidar)).1;
        assert_eq!([0.0, 20.0, 59.9, 60.0].map(name), ["0 to 20 m", "20 to 40 m", "40 to 60 m", "from 60 m"]);
        assert_eq!(SliceBy::range().of_label(&Label::new("Car", None, None)), (4, "unknown".to_owned()));
    }

    #[test]
    fn distance_is_on_the_ground_of_the_frame() {
        assert_eq!(range(at([3.0, 4.0, 100.0], CuboidFrame::Lidar).cuboid.as_ref()), Some(5.0));
        assert_eq!(range(at([3.0, 100.0, 4.0], CuboidFrame::KittiCamera).cuboid.as_ref()), Some(5.0));
    }

    #[test]
    fn points_and_occlusion_have_names() {
        let label = |n| Label { n_points: n, ..Label::new("Car", None, None) };
        let name = |n| SliceBy::points().of_label(&label(n)).1;
        assert_eq!(
            [Some(0), Some(10), Some(1000), None].map(name),
            ["0 to 10", "10 to 50", "from 200", "unknown"]
        );
        let name = |n| SliceBy::Occlusion.of_label(&Label { occlusion: n, ..label(None) }).1;
        assert_eq!(
            [0, 1, 2, 3].map(name),
            ["fully visible", "partly occluded", "largely occluded", "unknown"]
        );
    }

    #[test]
    fn borders_that_are_none_are_refused() {
        for bad in [vec![0.0], vec![f64::NAN], vec![f64::INFINITY], vec![-1.0, 2.0]] {
            assert!(matches!(
                SliceBy::Range(bad).check(),
                Err(EvalError::InvalidParam { name: "range", .. })
            ));
        }
        assert!(matches!(
            SliceBy::Points(vec![5, 5]).check(),
            Err(EvalError::Unsorted { name: "points", .. })
        ));
        for good in [SliceBy::range(), SliceBy::points(), SliceBy::Occlusion, SliceBy::Range(Vec::new())] {
            assert_eq!(good.check(), Ok(()));
        }
    }
}
