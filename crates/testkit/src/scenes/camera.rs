use labelloop_core::{Camera as Calibration, ImageSize, RigidTransform};

use super::plan::Actor;
use crate::Result;

/// Height of the cameras above the ground, in metres: a mast at the roadside.
pub(crate) const MAST: f64 = 3.8;

/// Distance from the left camera to the right one, in metres.
pub(crate) const BASELINE: f64 = 0.4;

/// A level pinhole camera that looks along the road. The point cloud's frame has the same origin, with x along the
/// line of sight, y to the left and z up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Camera {
    /// Focal length in pixels.
    pub(crate) focal: f64,
    /// Column of the line of sight.
    pub(crate) cx: f64,
    /// Row of the horizon.
    pub(crate) horizon: f64,
    width: f64,
}

impl Camera {
    pub(crate) fn new(size: ImageSize, horizon: f64) -> Self {
        let (width, height) = (f64::from(size.width()), f64::from(size.height()));
        Self { focal: width * FOCAL_SHARE, cx: width / 2.0, horizon: horizon * height, width }
    }

    /// The same camera, its picture moved by a few pixels.
    pub(crate) fn nudged(self, [dx, dy]: [f64; 2]) -> Self {
        Self { cx: self.cx + dx, horizon: self.horizon + dy, ..self }
    }

    /// How far away a thing is that takes `pixels` rows of a picture of 192 columns.
    pub(crate) fn distance_of(&self, height: f64, pixels: f64) -> f64 {
        192.0 * FOCAL_SHARE * height / pixels
    }

    /// Metres to the right of the line of sight, for a share of the picture's width and a distance.
    pub(crate) fn sideways(&self, share: f64, z: f64) -> f64 {
        (share * self.width - self.width / 2.0) * z / self.focal
    }

    /// Where the lidar's points are seen in a picture taken `shift` metres to the right.
    pub(crate) fn calibration(&self, shift: f64) -> Result<Calibration> {
        let image_from_camera = [
            [self.focal, 0.0, self.cx, -self.focal * shift],
            [0.0, self.focal, self.horizon, 0.0],
            [0.0, 0.0, 1.0, 0.0],
        ];
        Ok(Calibration::new(image_from_camera, RigidTransform::new(CAMERA_FROM_LIDAR, [0.0; 3])?)?)
    }

    /// Left, top, right, bottom of an actor's front in a camera that stands `shift` metres to the right.
    pub(crate) fn board(&self, actor: &Actor, shift: f64) -> [f64; 4] {
        let per_metre = self.focal / actor.z;
        let middle = self.cx + per_metre * (actor.x - shift);
        let bottom = self.horizon + per_metre * MAST;
        let half = per_metre * actor.width / 2.0;
        [middle - half, bottom - per_metre * actor.height, middle + half, bottom]
    }
}

/// The camera's x to the right, y down and z ahead, in the lidar's x ahead, y to the left and z up.
pub(crate) const CAMERA_FROM_LIDAR: [[f64; 3]; 3] = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]];

/// Focal length over picture width: an opening angle of 62 degrees.
const FOCAL_SHARE: f64 = 5.0 / 6.0;
