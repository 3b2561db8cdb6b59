//! The columns of a label line that belong to three dimensions, as a cuboid and back.

use labelloop_core::{CoreError, Cuboid, CuboidFrame, Extra};

use super::Calibration;
use crate::json;

/// What a label says about three dimensions: dimensions, location and `rotation_y`, or nothing.
pub(super) const KEYS: [&str; 3] = ["dimensions", "location", "rotation_y"];

/// The cuboid of a label's extra fields: in the lidar's frame where the way there is known, else in the camera's. `None`
/// where the label tells too little of one.
pub(super) fn cuboid(extra: &Extra, calibration: Option<&Calibration>) -> Option<Result<Cuboid, CoreError>> {
    let dimensions = serde_json::from_str(extra.get(KEYS[0])?).ok()?;
    let location = serde_json::from_str(extra.get(KEYS[1])?).ok()?;
    let rotation_y = serde_json::from_str(extra.get(KEYS[2])?).ok()?;
    let seen = Cuboid::from_kitti(dimensions, location, rotation_y);
    Some(seen.map(|cuboid| match calibration {
        // Sensors stand a little askew to one another; boxes of both stand upright.
        Some(c) => cuboid.moved(&c.camera_from_lidar().inverse(), CuboidFrame::Lidar).levelled(),
        None => cuboid,
    }))
}

/// Fields of a label for a cuboid, `alpha` included (the heading as the camera sees it: `rotation_y` less the angle of the
/// line of sight). `None` without a way into the camera's frame.
pub(super) fn fields(cuboid: &Cuboid, calibration: Option<&Calibration>) -> Option<Extra> {
    let seen = match (cuboid.frame(), calibration) {
        (CuboidFrame::KittiCamera, _) => cuboid.levelled(),
        (CuboidFrame::Lidar, Some(c)) => {
            cuboid.moved(&c.camera_from_lidar(), CuboidFrame::KittiCamera).levelled()
        }
        _ => return None,
    };
    let (dimensions, location, rotation_y) = seen.to_kitti()?;
    let alpha = wrapped(rotation_y - location[0].atan2(location[2]));
    let list = |numbers: [f64; 3]| format!("[{}]", numbers.map(json::number).join(", "));
    let texts = [list(dimensions), list(location), json::number(rotation_y)];
    let fields = KEYS.iter().zip(texts).map(|(key, text)| ((*key).to_owned(), text));
    Some(fields.chain([("alpha".to_owned(), json::number(alpha))]).collect())
}

/// The same angle in `[-pi, pi]`.
fn wrapped(angle: f64) -> f64 {
    use std::f64::consts::{PI, TAU};
    if angle.abs() <= PI { angle } else { angle - TAU * (angle / TAU).round() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn extra() -> Extra {
        let texts = ["[1.5, 1.8, 4.2]", "[2, 1.7, 10]", "-1.6"];
        KEYS.iter().zip(texts).map(|(k, t)| ((*k).to_owned(), t.to_owned())).collect()
    }

    #[test]
    fn without_a_calibration_the_frame_is_the_cameras_and_fields_come_back() {
        let c = cuboid(&extra(), None).unwrap().unwrap();
        assert_eq!(c.frame(), CuboidFrame::KittiCamera);
        let back = cuboid(&fields(&c, None).unwrap(), None).unwrap().unwrap();
        assert_eq!(back, c);
        assert!(fields(&c.with_axes_of(CuboidFrame::Lidar), None).is_none());
    }

    #[test]
    fn alpha_is_the_heading_less_the_line_of_sight() {
        let c = Cuboid::from_kitti([1.5, 1.8, 4.2], [10.0, 1.7, 10.0], -3.0).unwrap();
        let alpha: f64 = fields(&c, None).unwrap()["alpha"].parse().unwrap();
        assert!((alpha - (-3.0 - std::f64::consts::FRAC_PI_4 + std::f64::consts::TAU)).abs() < 1e-12);
    }

    #[test]
    fn labels_that_tell_too_little_are_no_cuboids() {
        for key in KEYS {
            let mut part = extra();
            part.remove(key);
            assert!(cuboid(&part, None).is_none());
        }
        let mut flat = extra();
        flat.insert("dimensions".to_owned(), "[0, 1, 1]".to_owned());
        assert!(cuboid(&flat, None).unwrap().is_err());
    }
}
