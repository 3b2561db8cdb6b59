use serde::{Deserialize, Serialize};

use crate::{BBox, CoreError, Cuboid, CuboidFrame, ImageSize, Result, RigidTransform};

/// Nearer than this to the camera's plane, in metres, nothing is projected.
const NEAR: f64 = 0.05;

/// The twelve edges of a box, by the places of [`Cuboid::corners`].
const EDGES: [[usize; 2]; 12] =
    [[0, 1], [1, 2], [2, 3], [3, 0], [4, 5], [5, 6], [6, 7], [7, 4], [0, 4], [1, 5], [2, 6], [3, 7]];

/// The calibration of one camera of a capture: where the lidar's points are seen in its picture.
///
/// ```
/// use labelloop_core::{Camera, Cuboid, CuboidFrame, ImageSize, RigidTransform};
///
/// // A camera in the lidar's place that looks along its x: camera x is -y, y is -z, z is x.
/// let axes = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]];
/// let camera = Camera::new(
///     [[100.0, 0.0, 50.0, 0.0], [0.0, 100.0, 40.0, 0.0], [0.0, 0.0, 1.0, 0.0]],
///     RigidTransform::new(axes, [0.0; 3])?,
/// )?;
/// assert_eq!(camera.project([10.0, 1.0, 0.0]), Some([40.0, 40.0]));
/// assert_eq!(camera.project([-10.0, 1.0, 0.0]), None, "behind the camera");
///
/// let car = Cuboid::new([10.0, 0.0, 0.0], [2.0, 2.0, 2.0], 0.0, CuboidFrame::Lidar)?;
/// let seen = camera.project_cuboid(&car, Some(ImageSize::new(100, 80)?))?.expect("it is ahead");
/// assert!((seen.x() - (50.0 - 100.0 / 9.0)).abs() < 1e-9, "its near face spans the box");
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCamera")]
pub struct Camera {
    image_from_camera: [[f64; 4]; 3],
    camera_from_lidar: RigidTransform,
}

#[derive(Deserialize)]
struct RawCamera {
    image_from_camera: [[f64; 4]; 3],
    camera_from_lidar: RigidTransform,
}

impl TryFrom<RawCamera> for Camera {
    type Error = CoreError;

    fn try_from(raw: RawCamera) -> Result<Self> {
        Self::new(raw.image_from_camera, raw.camera_from_lidar)
    }
}

impl Camera {
    /// Rows of the projection (KITTI's `P2` of the rectified camera: focal lengths, principal point and the shift of a
    /// second camera of a pair) and the way from the lidar to the camera.
    ///
    /// # Errors
    /// [`CoreError::InvalidTransform`] for numbers that are not finite and focal lengths that are not positive.
    pub fn new(image_from_camera: [[f64; 4]; 3], camera_from_lidar: RigidTransform) -> Result<Self> {
        if let Some(found) = image_from_camera.iter().flatten().find(|n| !n.is_finite()) {
            return Err(CoreError::InvalidTransform { field: "a number of the projection", found: *found });
        }
        for found in [image_from_camera[0][0], image_from_camera[1][1]] {
            if !(0.0 < found) {
                return Err(CoreError::InvalidTransform { field: "a focal length", found });
            }
        }
        Ok(Self { image_from_camera, camera_from_lidar })
    }

    /// Rows of the projection.
    pub fn image_from_camera(&self) -> [[f64; 4]; 3] {
        self.image_from_camera
    }

    /// The way from the lidar to the camera.
    pub fn camera_from_lidar(&self) -> &RigidTransform {
        &self.camera_from_lidar
    }

    /// Column and row of a point of the lidar, in pixels from the upper left corner; none behind the camera.
    pub fn project(&self, point_in_lidar: [f64; 3]) -> Option<[f64; 2]> {
        self.on_image(self.camera_from_lidar.apply(point_in_lidar))
    }

    /// The smallest box in the picture around a cuboid of the lidar, of the camera, or none where it is not seen.
    ///
    /// Edges that reach behind the camera are cut at its plane first, so that a car beside the camera does not turn inside
    /// out. With a `size` the box is cut at the picture's borders.
    ///
    /// # Errors
    /// [`CoreError::WrongFrame`] for cuboids of a map.
    pub fn project_cuboid(&self, cuboid: &Cuboid, size: Option<ImageSize>) -> Result<Option<BBox>> {
        let corners = match cuboid.frame() {
            CuboidFrame::Lidar => cuboid.corners().map(|c| self.camera_from_lidar.apply(c)),
            CuboidFrame::KittiCamera => cuboid.corners(),
            found @ CuboidFrame::Global => {
                return Err(CoreError::WrongFrame { found, expected: CuboidFrame::Lidar });
            }
        };
        let (mut least, mut most) = ([f64::INFINITY; 2], [f64::NEG_INFINITY; 2]);
        for [a, b] in EDGES {
            for place in visible_part(corners[a], corners[b]).into_iter().flatten() {
                let Some(pixel) = self.on_image(place) else { continue };
                for i in 0..2 {
                    (least[i], most[i]) = (least[i].min(pixel[i]), most[i].max(pixel[i]));
                }
            }
        }
        if let Some(size) = size {
            let sides = [f64::from(size.width()), f64::from(size.height())];
            least = [0, 1].map(|i| least[i].clamp(0.0, sides[i]));
            most = [0, 1].map(|i| most[i].clamp(0.0, sides[i]));
        }
        if !(least[0] < most[0] && least[1] < most[1]) {
            return Ok(None);
        }
        BBox::from_corners(least[0], least[1], most[0], most[1]).map(Some)
    }

    fn on_image(&self, [x, y, z]: [f64; 3]) -> Option<[f64; 2]> {
        let [u, v, w] = self.image_from_camera.map(|row| row[0] * x + row[1] * y + row[2] * z + row[3]);
        (NEAR <= z * 1.0000001 && 0.0 < w).then(|| [u / w, v / w])
    }
}

/// The ends of an edge that are before the camera, cut at the near plane.
fn visible_part(a: [f64; 3], b: [f64; 3]) -> Option<[[f64; 3]; 2]> {
    let cut = |from: [f64; 3], to: [f64; 3]| {
        let share = (NEAR - from[2]) / (to[2] - from[2]);
        [from[0] + share * (to[0] - from[0]), from[1] + share * (to[1] - from[1]), NEAR]
    };
    match (NEAR <= a[2], NEAR <= b[2]) {
        (true, true) => Some([a, b]),
        (true, false) => Some([a, cut(a, b)]),
        (false, true) => Some([cut(b, a), b]),
        (false, false) => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn camera() -> Camera {
        let axes = [[0.0, -1.0, 0.0], [0.0, 0.0, -1.0], [1.0, 0.0, 0.0]];
        Camera::new(
            [[700.0, 0.0, 600.0, 45.0], [0.0, 700.0, 170.0, -0.3], [0.0, 0.0, 1.0, 0.005]],
            RigidTransform::new(axes, [0.0, -0.08, -0.27]).unwrap(),
        )
        .unwrap()
    }

    fn at(centre: [f64; 3]) -> Cuboid {
        Cuboid::new(centre, [4.0, 2.0, 1.5], 0.4, CuboidFrame::Lidar).unwrap()
    }

    #[test]
    fn calibrations_that_see_nothing_are_refused() {
        let lidar = RigidTransform::IDENTITY;
        let mut rows = camera().image_from_camera();
        rows[0][0] = 0.0;
        assert!(Camera::new(rows, lidar).is_err());
        rows[0][0] = f64::NAN;
        assert!(Camera::new(rows, lidar).is_err());
    }

    #[test]
    fn what_is_behind_is_not_seen_and_what_is_beside_is_cut() {
        let size = ImageSize::new(1200, 370).unwrap();
        assert_eq!(camera().project_cuboid(&at([-10.0, 0.0, 0.0]), Some(size)).unwrap(), None);
        assert_eq!(camera().project_cuboid(&at([10.0, 40.0, 0.0]), Some(size)).unwrap(), None);
        let beside = camera().project_cuboid(&at([0.5, -2.5, -1.0]), Some(size)).unwrap().unwrap();
        assert_eq!(beside.right(), 1200.0, "it leaves the picture on the right");
        assert!(600.0 < beside.x(), "no corner behind the camera is mirrored to the left");
    }

    #[test]
    fn maps_need_the_place_of_the_car_first() {
        let car = Cuboid::new([0.0; 3], [1.0; 3], 0.0, CuboidFrame::Global).unwrap();
        assert!(matches!(camera().project_cuboid(&car, None), Err(CoreError::WrongFrame { .. })));
    }

    proptest! {
        #[test]
        fn lidar_and_camera_frames_see_one_box(x in 4.0..60.0f64, y in -10.0..10.0f64, z in -2.0..1.0f64) {
            let car = at([x, y, z]);
            let seen = car.moved(camera().camera_from_lidar(), CuboidFrame::KittiCamera);
            let (a, b) = (camera().project_cuboid(&car, None).unwrap(), camera().project_cuboid(&seen, None).unwrap());
            let (a, b) = (a.unwrap().to_corners(), b.unwrap().to_corners());
            for i in 0..4 {
                prop_assert!((a[i] - b[i]).abs() < 1e-6);
            }
        }

        #[test]
        fn the_box_holds_all_corners(x in 5.0..60.0f64, y in -10.0..10.0f64, z in -2.0..1.0f64) {
            let car = at([x, y, z]);
            let seen = camera().project_cuboid(&car, None).unwrap().unwrap();
            for corner in car.corners() {
                let [u, v] = camera().project(corner).unwrap();
                prop_assert!(seen.x() - 1e-9 <= u && u <= seen.right() + 1e-9);
                prop_assert!(seen.y() - 1e-9 <= v && v <= seen.bottom() + 1e-9);
            }
        }
    }
}
