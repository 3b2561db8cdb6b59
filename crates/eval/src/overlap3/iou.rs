use labelloop_core::Cuboid;

use super::Upright;
use super::full::shared_volume;
use super::upright::share_of_union;
use crate::{EvalError, Result};

/// Intersection over union of the rectangles that two boxes cover on the ground, in `[0, 1]`; 1 for equal boxes.
///
/// A tilted box counts as upright with its heading. The numbers must be of one frame; a few nanoseconds a pair once boxes
/// are [prepared](Upright).
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
/// use labelloop_eval::overlap3::{bev_iou, iou_3d};
///
/// let car = |x, yaw| Cuboid::new([x, 0.0, 0.0], [4.0, 2.0, 1.5], yaw, CuboidFrame::Lidar).unwrap();
/// assert_eq!(bev_iou(&car(0.0, 0.3), &car(0.0, 0.3))?, 1.0);
/// assert_eq!(bev_iou(&car(0.0, 0.0), &car(2.0, 0.0))?, 1.0 / 3.0);
/// assert_eq!(iou_3d(&car(0.0, 0.0), &car(9.0, 0.0))?, 0.0);
/// # Ok::<(), labelloop_eval::EvalError>(())
/// ```
///
/// # Errors
/// [`EvalError::MixedFrames`].
pub fn bev_iou(a: &Cuboid, b: &Cuboid) -> Result<f64> {
    check_frames(a, b)?;
    Ok(Upright::new(a).overlap(&Upright::new(b)).iou_bev)
}

/// Intersection over union of two boxes, in `[0, 1]`; 1 for equal boxes. Boxes that are not upright are turned in full,
/// in less than a microsecond; see the [module](super).
///
/// # Errors
/// [`EvalError::MixedFrames`].
pub fn iou_3d(a: &Cuboid, b: &Cuboid) -> Result<f64> {
    check_frames(a, b)?;
    if a.is_upright() && b.is_upright() {
        return Ok(Upright::new(a).overlap(&Upright::new(b)).iou_3d);
    }
    if a == b {
        return Ok(1.0);
    }
    Ok(share_of_union(shared_volume(a, b), a.volume(), b.volume()))
}

pub(super) fn check_frames(a: &Cuboid, b: &Cuboid) -> Result<()> {
    if a.frame() == b.frame() {
        return Ok(());
    }
    Err(EvalError::MixedFrames { first: a.frame(), second: b.frame() })
}

#[cfg(test)]
mod tests {
    use labelloop_core::CuboidFrame;

    use super::*;

    #[test]
    fn frames_are_not_mixed() {
        let of = |frame| Cuboid::new([0.0; 3], [1.0; 3], 0.0, frame).unwrap();
        let (a, b) = (of(CuboidFrame::Lidar), of(CuboidFrame::KittiCamera));
        assert!(matches!(bev_iou(&a, &b), Err(EvalError::MixedFrames { .. })));
        assert!(matches!(iou_3d(&a, &b), Err(EvalError::MixedFrames { .. })));
        assert_eq!(iou_3d(&b, &b).unwrap(), 1.0);
    }
}
