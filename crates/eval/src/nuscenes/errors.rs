use std::f64::consts::PI;

use labelloop_core::Cuboid;
use serde::{Deserialize, Serialize};

use super::{ClassRule, DetectionBox, LabelBox};

/// How far a detection is off the label that it found (Caesar et al. 2020, section 3.1).
///
/// All of them are measured for every match; those that its class does not define count in no mean.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct TpErrors {
    /// Distance of the centres on the ground in metres (ATE).
    pub translation: f64,
    /// 1 less the overlap of the sizes with centre and heading made equal (ASE).
    pub scale: f64,
    /// Smallest turn from one heading to the other in radians (AOE).
    pub orientation: f64,
    /// Length of the difference of velocities in metres a second (AVE); `None` where one of them is unknown.
    pub velocity: Option<f64>,
    /// 0 where the attribute is right and 1 where it is not (AAE); `None` where the label has none.
    pub attribute: Option<f64>,
}

impl TpErrors {
    /// Errors of a pair.
    ///
    /// ```
    /// use labelloop_core::{ClassIdx, Cuboid, CuboidFrame};
    /// use labelloop_eval::nuscenes::{ClassRule, DetectionBox, LabelBox, TpErrors};
    ///
    /// let at = |x, yaw| Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], yaw, CuboidFrame::Lidar);
    /// let label = LabelBox::new(ClassIdx(0), at(10.0, 0.0)?);
    /// let found = DetectionBox::new(ClassIdx(0), at(10.5, 3.0)?, 0.9);
    /// let barrier = ClassRule { is_symmetric: true, ..ClassRule::new("barrier", 30.0) };
    /// let errors = TpErrors::of(&label, &found, &barrier);
    /// assert_eq!((errors.translation, errors.scale, errors.velocity), (0.5, 0.0, None));
    /// assert!((errors.orientation - (std::f64::consts::PI - 3.0)).abs() < 1e-15);
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    pub fn of(label: &LabelBox, detection: &DetectionBox, rule: &ClassRule) -> Self {
        let distance = centre_distance(ground(&label.cuboid), ground(&detection.cuboid));
        Self::at(distance, label, detection, rule)
    }

    /// The same where the distance is known already.
    pub(super) fn at(translation: f64, label: &LabelBox, detection: &DetectionBox, rule: &ClassRule) -> Self {
        let period = if rule.is_symmetric { PI } else { 2.0 * PI };
        let velocities = label.velocity.zip(detection.velocity);
        Self {
            translation,
            scale: 1.0 - aligned_iou(&label.cuboid, &detection.cuboid),
            orientation: turn(label.cuboid.yaw(), detection.cuboid.yaw(), period),
            velocity: velocities.map(|(a, b)| centre_distance(a, b)),
            attribute: label.attribute.map(|a| if detection.attribute == Some(a) { 0.0 } else { 1.0 }),
        }
    }

    /// In the order ATE, ASE, AOE, AVE, AAE.
    pub fn to_array(self) -> [Option<f64>; 5] {
        [Some(self.translation), Some(self.scale), Some(self.orientation), self.velocity, self.attribute]
    }

    /// Refuses what no pair can have: numbers that are not finite or negative, ratios above 1.
    pub(super) fn is_possible(&self) -> bool {
        let most = [f64::MAX, 1.0, f64::MAX, f64::MAX, 1.0];
        self.to_array().iter().zip(most).all(|(value, most)| value.is_none_or(|v| (0.0..=most).contains(&v)))
    }
}

/// x and y of the centre.
pub(super) fn ground(cuboid: &Cuboid) -> [f64; 2] {
    let [x, y, _] = cuboid.centre();
    [x, y]
}

pub(super) fn centre_distance(a: [f64; 2], b: [f64; 2]) -> f64 {
    let (dx, dy) = (a[0] - b[0], a[1] - b[1]);
    (dx * dx + dy * dy).sqrt()
}

fn aligned_iou(a: &Cuboid, b: &Cuboid) -> f64 {
    let (sa, sb) = (a.size(), b.size());
    let common: f64 = [0, 1, 2].into_iter().map(|i| sa[i].min(sb[i])).product();
    let union = a.volume() + b.volume() - common;
    // The sum of volumes may overflow; equal sizes are equal all the same.
    if sa == sb { 1.0 } else { (common / union).clamp(0.0, 1.0) }
}

/// Smallest angle between two headings that are the same after a period.
fn turn(a: f64, b: f64, period: f64) -> f64 {
    let angle = (a - b + period / 2.0).rem_euclid(period) - period / 2.0;
    angle.abs().min(PI)
}

#[cfg(test)]
mod tests {
    use labelloop_core::{ClassIdx, CuboidFrame};
    use proptest::prelude::*;

    use super::*;

    fn cuboid(size: [f64; 3], yaw: f64) -> Cuboid {
        Cuboid::new([0.0; 3], size, yaw, CuboidFrame::Lidar).unwrap()
    }

    #[test]
    fn sizes_overlap_as_if_aligned() {
        assert_eq!(aligned_iou(&cuboid([4.0, 2.0, 1.0], 0.3), &cuboid([4.0, 2.0, 1.0], 2.0)), 1.0);
        assert_eq!(aligned_iou(&cuboid([4.0, 2.0, 1.0], 0.0), &cuboid([2.0, 2.0, 1.0], 0.0)), 0.5);
        let huge = cuboid([1e103, 1e103, 1.5e102], 0.0);
        assert_eq!(aligned_iou(&huge, &huge), 1.0, "the sum of volumes overflows");
    }

    #[test]
    fn attributes_count_where_the_label_has_one() {
        let rule = ClassRule::new("car", 50.0);
        let error = |label, found| {
            let label = LabelBox { attribute: label, ..LabelBox::new(ClassIdx(0), cuboid([1.0; 3], 0.0)) };
            let found =
                DetectionBox { attribute: found, ..DetectionBox::new(ClassIdx(0), label.cuboid, 0.5) };
            TpErrors::of(&label, &found, &rule).attribute
        };
        assert_eq!(error(None, Some(3)), None);
        assert_eq!(error(Some(3), Some(3)), Some(0.0));
        assert_eq!(error(Some(3), Some(1)), Some(1.0));
        assert_eq!(error(Some(3), None), Some(1.0));
    }

    proptest! {
        #[test]
        fn turns_are_smallest(a in -20.0..20.0f64, b in -20.0..20.0f64) {
            for period in [PI, 2.0 * PI] {
                let found = turn(a, b, period);
                prop_assert!((0.0..=period / 2.0 + 1e-15).contains(&found));
                let smallest = (-20..=20).map(|k| (a - b + f64::from(k) * period).abs()).fold(f64::MAX, f64::min);
                prop_assert!((found - smallest).abs() < 1e-14 * 40.0, "{found} {smallest}");
                prop_assert!((turn(b, a, period) - found).abs() < 1e-13);
            }
        }
    }
}
