//! The conventions that cuboids come and go in.

use std::f64::consts::FRAC_PI_2;

use super::{Cuboid, CuboidFrame, CuboidOrigin};
use crate::rotation::{euler_of_matrix, quaternion_of_matrix};
use crate::{CoreError, Result, RigidTransform, Rotation};

/// Height, width, length; x, y, z of the bottom's middle; `rotation_y`: the last seven columns of a label line.
pub type KittiBox = ([f64; 3], [f64; 3], f64);

/// Translation, size as width, length, height, and rotation as a quaternion w, x, y, z.
pub type NuscenesBox = ([f64; 3], [f64; 3], [f64; 4]);

/// Location, dimensions along the box's own x, y, z, and rotation about x, y, z.
pub type FiftyoneBox = ([f64; 3], [f64; 3], [f64; 3]);

impl Cuboid {
    /// KITTI's label: `dimensions` as height, width, length, `location` of the bottom's middle in the rectified camera
    /// (KITTI object development kit, readme).
    ///
    /// # Errors
    /// As [`Cuboid::posed`]: KITTI's words for unknown, -1 and -1000, among others.
    pub fn from_kitti(dimensions: [f64; 3], location: [f64; 3], rotation_y: f64) -> Result<Self> {
        let [height, width, length] = dimensions;
        let rotation = Rotation::Yaw(rotation_y);
        let size = [length, width, height];
        Self::posed(location, CuboidOrigin::BottomCentre, size, rotation, CuboidFrame::KittiCamera)
    }

    /// [`Cuboid::from_kitti`] back, bit for bit. `None` in another frame: the way from there is a matter of calibration.
    pub fn to_kitti(&self) -> Option<KittiBox> {
        let [length, width, height] = self.size;
        let mut location = self.position;
        if self.origin == CuboidOrigin::Centre {
            location[1] += height / 2.0;
        }
        (self.frame == CuboidFrame::KittiCamera && self.is_upright())
            .then(|| ([height, width, length], location, self.yaw()))
    }

    /// nuScenes: `size` as width, length, height; `rotation` as a quaternion with w first (Caesar et al. 2020, annotation
    /// schema).
    ///
    /// # Errors
    /// As [`Cuboid::posed`].
    pub fn from_nuscenes(
        translation: [f64; 3],
        size: [f64; 3],
        rotation: [f64; 4],
        frame: CuboidFrame,
    ) -> Result<Self> {
        let [width, length, height] = size;
        let rotation = Rotation::Quaternion(rotation);
        Self::posed(translation, CuboidOrigin::Centre, [length, width, height], rotation, frame)
    }

    /// [`Cuboid::from_nuscenes`] back: bit for bit what came from there; of other cuboids the centre, and the quaternion
    /// of their rotation.
    ///
    /// ```
    /// use labelloop_core::{Cuboid, CuboidFrame};
    ///
    /// let half = 0.5f64.sqrt();
    /// let parts = ([600.1, 1650.2, 1.0], [1.9, 4.6, 1.7], [half, 0.0, 0.0, half]);
    /// let car = Cuboid::from_nuscenes(parts.0, parts.1, parts.2, CuboidFrame::Global)?;
    /// assert_eq!(car.size(), [4.6, 1.9, 1.7]);
    /// assert!((car.yaw() - std::f64::consts::FRAC_PI_2).abs() < 1e-15);
    /// assert_eq!(car.to_nuscenes(), parts);
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    pub fn to_nuscenes(&self) -> NuscenesBox {
        let [length, width, height] = self.size;
        let rotation = match self.rotation {
            Rotation::Quaternion(q) => q,
            Rotation::Yaw(yaw) if self.frame != CuboidFrame::KittiCamera => {
                let (sin, cos) = (yaw / 2.0).sin_cos();
                [cos, 0.0, 0.0, sin]
            }
            _ => quaternion_of_matrix(self.matrix()),
        };
        (self.centre(), [width, length, height], rotation)
    }

    /// FiftyOne's 3D detection: `location` of the centre, `dimensions` along x, y, z of the box before it is turned, and
    /// `rotation` as roll, pitch and yaw.
    ///
    /// # Errors
    /// As [`Cuboid::posed`].
    pub fn from_fiftyone(
        location: [f64; 3],
        dimensions: [f64; 3],
        rotation: [f64; 3],
        frame: CuboidFrame,
    ) -> Result<Self> {
        let size = if frame == CuboidFrame::KittiCamera { swap_last(dimensions) } else { dimensions };
        Self::posed(location, CuboidOrigin::Centre, size, Rotation::Euler(rotation), frame)
    }

    /// [`Cuboid::from_fiftyone`] back: bit for bit what came from there; of other cuboids the centre, and the angles of
    /// their rotation.
    pub fn to_fiftyone(&self) -> FiftyoneBox {
        let rotation = match self.rotation {
            Rotation::Euler(angles) => angles,
            Rotation::Yaw(yaw) if self.frame == CuboidFrame::KittiCamera => [0.0, yaw, 0.0],
            Rotation::Yaw(yaw) => [0.0, 0.0, yaw],
            Rotation::Quaternion(_) => euler_of_matrix(self.matrix()),
        };
        let size = if self.frame == CuboidFrame::KittiCamera { swap_last(self.size) } else { self.size };
        (self.centre(), size, rotation)
    }

    /// The same box with another name for its axes: a lidar and a camera that look the same way from the same place.
    ///
    /// Positions and sizes are moved bit for bit; an upright box stays one, and its yaw is rounded once each way. Between
    /// sensors that are not in one place use [`Cuboid::moved`].
    ///
    /// ```
    /// use labelloop_core::{Cuboid, CuboidFrame};
    ///
    /// let ahead = Cuboid::new([10.0, 2.0, -1.0], [4.0, 2.0, 1.5], 0.0, CuboidFrame::Lidar)?;
    /// let seen = ahead.with_axes_of(CuboidFrame::KittiCamera);
    /// assert_eq!(seen.centre(), [-2.0, 1.0, 10.0]);
    /// assert_eq!(seen.yaw(), -std::f64::consts::FRAC_PI_2, "it heads along the camera's z");
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    #[must_use]
    pub fn with_axes_of(&self, frame: CuboidFrame) -> Self {
        let is_camera = |f| f == CuboidFrame::KittiCamera;
        if is_camera(self.frame) == is_camera(frame) {
            return Self { frame, ..*self };
        }
        let [x, y, z] = self.position;
        let position = if is_camera(frame) { [-y, -z, x] } else { [z, -x, -y] };
        let rotation = match self.rotation {
            Rotation::Yaw(yaw) => Rotation::Yaw(-yaw - FRAC_PI_2),
            _ => {
                let axes = self.axes();
                let rows = if is_camera(frame) {
                    [axes[1].map(|v| -v), axes[2].map(|v| -v), axes[0]]
                } else {
                    [axes[2], axes[0].map(|v| -v), axes[1].map(|v| -v)]
                };
                Rotation::Quaternion(quaternion_of_matrix(matrix_of_axes(rows, frame)))
            }
        };
        Self { position, rotation, frame, ..*self }
    }

    /// The same box in another frame, `to_from_self` being the way there: position and rotation in full, as a quaternion.
    ///
    /// A box that was upright may stand a little askew afterwards, as sensors are not mounted perfectly level; see
    /// [`Cuboid::levelled`].
    #[must_use]
    pub fn moved(&self, to_from_self: &RigidTransform, frame: CuboidFrame) -> Self {
        let rotated = to_from_self.rotate(self.axes());
        Self {
            position: to_from_self.apply(self.position),
            rotation: Rotation::Quaternion(quaternion_of_matrix(matrix_of_axes(rotated, frame))),
            frame,
            ..*self
        }
    }

    /// The box set upright about its centre, with its heading seen from above.
    ///
    /// ```
    /// use labelloop_core::{Cuboid, CuboidFrame, CuboidOrigin, Rotation};
    ///
    /// let tilted = Rotation::Euler([0.02, 0.0, 1.0]);
    /// let car = Cuboid::posed([5.0, 0.0, 0.0], CuboidOrigin::Centre, [4.0, 2.0, 1.5], tilted, CuboidFrame::Lidar)?;
    /// assert_eq!(car.levelled().rotation(), Rotation::Yaw(car.yaw()));
    /// assert_eq!(car.levelled().centre(), car.centre());
    /// # Ok::<(), labelloop_core::CoreError>(())
    /// ```
    #[must_use]
    pub fn levelled(&self) -> Self {
        let (position, origin) = match self.rotation {
            Rotation::Yaw(_) => (self.position, self.origin),
            _ => (self.centre(), CuboidOrigin::Centre),
        };
        Self { position, origin, rotation: Rotation::Yaw(self.yaw()), ..*self }
    }

    /// The same box with its position at its centre.
    #[must_use]
    pub fn centred(&self) -> Self {
        Self { position: self.centre(), origin: CuboidOrigin::Centre, ..*self }
    }

    /// Refuses a frame other than the one expected.
    ///
    /// # Errors
    /// [`CoreError::WrongFrame`].
    pub fn expect_frame(&self, expected: CuboidFrame) -> Result<()> {
        if self.frame == expected {
            return Ok(());
        }
        Err(CoreError::WrongFrame { found: self.frame, expected })
    }
}

/// The rotation of a frame's own axes whose [`Cuboid::axes`] are the columns given.
fn matrix_of_axes(axes: [[f64; 3]; 3], frame: CuboidFrame) -> [[f64; 3]; 3] {
    match frame {
        CuboidFrame::Lidar | CuboidFrame::Global => axes,
        CuboidFrame::KittiCamera => axes.map(|[a, b, c]| [a, -c, b]),
    }
}

/// Length, width, height to length, height, width and back.
fn swap_last([a, b, c]: [f64; 3]) -> [f64; 3] {
    [a, c, b]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position() -> impl Strategy<Value = [f64; 3]> {
        [-1e4..1e4f64, -1e4..1e4f64, -1e2..1e2f64]
    }

    fn size() -> impl Strategy<Value = [f64; 3]> {
        [1e-3..50.0f64, 1e-3..50.0f64, 1e-3..50.0f64]
    }

    fn quaternion() -> impl Strategy<Value = [f64; 4]> {
        [-1.0..1.0f64, -1.0..1.0f64, -1.0..1.0f64, -1.0..1.0f64].prop_filter_map("no direction", |q| {
            let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
            (0.1 < norm).then(|| q.map(|v| v / norm))
        })
    }

    fn frames() -> impl Strategy<Value = CuboidFrame> {
        prop_oneof![Just(CuboidFrame::Lidar), Just(CuboidFrame::Global), Just(CuboidFrame::KittiCamera)]
    }

    fn apart(a: &Cuboid, b: &Cuboid) -> f64 {
        let (a, b) = (a.corners(), b.corners());
        a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    #[test]
    fn unknown_boxes_of_kitti_are_refused() {
        assert!(Cuboid::from_kitti([-1.0; 3], [-1000.0; 3], -10.0).is_err());
    }

    #[test]
    fn a_centred_box_gets_kittis_bottom() {
        let c = Cuboid::new([1.0, 0.0, 9.0], [4.0, 2.0, 1.5], 0.3, CuboidFrame::KittiCamera).unwrap();
        assert_eq!(c.to_kitti().unwrap().1, [1.0, 0.75, 9.0]);
        assert_eq!(c.with_axes_of(CuboidFrame::Lidar).to_kitti(), None);
    }

    #[test]
    fn the_wrong_frame_is_told() {
        let c = Cuboid::new([0.0; 3], [1.0; 3], 0.0, CuboidFrame::Lidar).unwrap();
        assert!(c.expect_frame(CuboidFrame::Lidar).is_ok());
        let refused = c.expect_frame(CuboidFrame::KittiCamera).unwrap_err();
        assert_eq!(refused.to_string(), "cuboid is in the Lidar frame: expected KittiCamera");
    }

    proptest! {
        #[test]
        fn kitti_comes_back_bit_for_bit(size in size(), location in position(), yaw in -7.0..7.0f64) {
            prop_assert_eq!(Cuboid::from_kitti(size, location, yaw).unwrap().to_kitti(), Some((size, location, yaw)));
        }

        #[test]
        fn nuscenes_comes_back_bit_for_bit(t in position(), size in size(), q in quaternion(), frame in frames()) {
            prop_assert_eq!(Cuboid::from_nuscenes(t, size, q, frame).unwrap().to_nuscenes(), (t, size, q));
        }

        #[test]
        fn fiftyone_comes_back_bit_for_bit(
            t in position(), size in size(), r in [-7.0..7.0f64, -7.0..7.0f64, -7.0..7.0f64], frame in frames(),
        ) {
            prop_assert_eq!(Cuboid::from_fiftyone(t, size, r, frame).unwrap().to_fiftyone(), (t, size, r));
        }

        #[test]
        fn all_conventions_describe_one_box(
            t in position(), size in size(), q in quaternion(), frame in frames(),
        ) {
            let c = Cuboid::from_nuscenes(t, size, q, frame).unwrap();
            let (l, d, r) = c.to_fiftyone();
            prop_assert!(apart(&c, &Cuboid::from_fiftyone(l, d, r, frame).unwrap()) < 1e-5, "gimbal lock is near");
            let (l, s, q) = Cuboid::from_fiftyone(l, d, r, frame).unwrap().to_nuscenes();
            prop_assert!(apart(&c, &Cuboid::from_nuscenes(l, s, q, frame).unwrap()) < 1e-5);
        }

        #[test]
        fn upright_boxes_are_one_box_in_all_conventions(
            t in position(), size in size(), yaw in -7.0..7.0f64, frame in frames(),
        ) {
            let c = Cuboid::new(t, size, yaw, frame).unwrap();
            let (l, d, r) = c.to_fiftyone();
            prop_assert!(apart(&c, &Cuboid::from_fiftyone(l, d, r, frame).unwrap()) < 1e-11);
            let (l, s, q) = c.to_nuscenes();
            prop_assert!(apart(&c, &Cuboid::from_nuscenes(l, s, q, frame).unwrap()) < 1e-11);
        }

        #[test]
        fn axes_come_back(t in position(), size in size(), yaw in -7.0..7.0f64) {
            for from in [CuboidFrame::Lidar, CuboidFrame::KittiCamera] {
                let to = if from == CuboidFrame::Lidar { CuboidFrame::KittiCamera } else { CuboidFrame::Lidar };
                let c = Cuboid::posed(t, CuboidOrigin::BottomCentre, size, Rotation::Yaw(yaw), from).unwrap();
                let back = c.with_axes_of(to).with_axes_of(from);
                prop_assert_eq!((back.position(), back.size(), back.origin()), (t, size, c.origin()));
                prop_assert!((back.yaw() - yaw).abs() < 2e-15);
            }
        }

        #[test]
        fn naming_axes_anew_moves_no_corner(t in position(), size in size(), q in quaternion(), yaw in -7.0..7.0f64) {
            for rotation in [Rotation::Quaternion(q), Rotation::Yaw(yaw)] {
                let c = Cuboid::posed(t, CuboidOrigin::Centre, size, rotation, CuboidFrame::Lidar).unwrap();
                let seen = c.with_axes_of(CuboidFrame::KittiCamera);
                for (a, b) in c.corners().iter().zip(seen.corners()) {
                    let renamed = [-a[1], -a[2], a[0]];
                    prop_assert!((0..3).all(|i| (renamed[i] - b[i]).abs() < 1e-9), "{:?} {:?}", renamed, b);
                }
            }
        }

        #[test]
        fn moving_a_box_moves_its_corners(
            t in position(), size in size(), q in quaternion(), turn in quaternion(), shift in position(), frame in frames(),
        ) {
            let there = RigidTransform::new(crate::rotation::matrix_of_quaternion(turn), shift).unwrap();
            let c = Cuboid::from_nuscenes(t, size, q, CuboidFrame::Lidar).unwrap();
            let moved = c.moved(&there, frame);
            for (a, b) in c.corners().iter().zip(moved.corners()) {
                let expected = there.apply(*a);
                prop_assert!((0..3).all(|i| (expected[i] - b[i]).abs() < 1e-9));
            }
        }
    }
}
