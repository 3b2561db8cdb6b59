mod convert;

pub use convert::{FiftyoneBox, KittiBox, NuscenesBox};

use serde::{Deserialize, Serialize};

use crate::rotation::{check_finite, matrix_of_euler, matrix_of_quaternion};
use crate::{CoreError, Result, Rotation};

/// The coordinate frame that a cuboid's numbers are in. All lengths are metres, all angles radians.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CuboidFrame {
    /// x forward, y left, z up; yaw counter-clockwise about +z, 0 along +x.
    Lidar,
    /// A map: x and y on the ground, z up; yaw counter-clockwise about +z, 0 along +x (nuScenes: global).
    Global,
    /// KITTI's rectified camera: x right, y down, z forward; yaw is `rotation_y` about +y, 0 along +x.
    KittiCamera,
}

/// Which point of a cuboid its position is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CuboidOrigin {
    /// The middle of the box.
    #[default]
    Centre,
    /// The middle of its bottom face (KITTI labels).
    BottomCentre,
}

/// A box in metres: position, size along heading (length), across (width) and up (height), rotation, and the frame that all
/// of it is in.
///
/// Numbers are kept in the convention of their source, so that what was read can be written bit for bit; the accessors
/// give them in one convention. Most cuboids are upright, turned by a [`Rotation::Yaw`] alone.
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
///
/// let car = Cuboid::new([10.0, 2.0, -0.8], [4.2, 1.8, 1.5], 0.1, CuboidFrame::Lidar)?;
/// assert!((car.volume() - 4.2 * 1.8 * 1.5).abs() < 1e-12);
///
/// // A label line of KITTI: height, width, length; bottom centre; rotation_y.
/// let label = Cuboid::from_kitti([1.5, 1.8, 4.2], [2.0, 1.7, 10.0], -1.6)?;
/// assert_eq!(label.centre(), [2.0, 0.95, 10.0], "y points down");
/// assert_eq!(label.to_kitti(), Some(([1.5, 1.8, 4.2], [2.0, 1.7, 10.0], -1.6)));
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCuboid", into = "RawCuboid")]
pub struct Cuboid {
    position: [f64; 3],
    origin: CuboidOrigin,
    size: [f64; 3],
    rotation: Rotation,
    frame: CuboidFrame,
}

/// As it is written: plain upright boxes as `centre`, `size`, `yaw`, `frame` alone.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCuboid {
    #[serde(alias = "position")]
    centre: [f64; 3],
    size: [f64; 3],
    #[serde(default, skip_serializing_if = "Option::is_none")]
    yaw: Option<f64>,
    frame: CuboidFrame,
    #[serde(default, skip_serializing_if = "is_centre")]
    origin: CuboidOrigin,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
}

fn is_centre(origin: &CuboidOrigin) -> bool {
    *origin == CuboidOrigin::Centre
}

impl TryFrom<RawCuboid> for Cuboid {
    type Error = CoreError;

    fn try_from(raw: RawCuboid) -> Result<Self> {
        let rotation = match (raw.yaw, raw.rotation) {
            (Some(yaw), None) => Rotation::Yaw(yaw),
            (None, Some(rotation)) => rotation,
            (found, _) => {
                let found = found.unwrap_or(f64::NAN);
                return Err(CoreError::InvalidCuboid {
                    field: "yaw",
                    found,
                    expected: "either yaw or rotation",
                });
            }
        };
        Self::posed(raw.centre, raw.origin, raw.size, rotation, raw.frame)
    }
}

impl From<Cuboid> for RawCuboid {
    fn from(c: Cuboid) -> Self {
        let (yaw, rotation) = match c.rotation {
            Rotation::Yaw(yaw) => (Some(yaw), None),
            other => (None, Some(other)),
        };
        Self { centre: c.position, size: c.size, yaw, frame: c.frame, origin: c.origin, rotation }
    }
}

impl Cuboid {
    /// An upright box by its centre (x, y, z), size (length, width, height) and yaw.
    ///
    /// # Errors
    /// [`CoreError::InvalidCuboid`] for a number that is not finite or a size that is not positive.
    pub fn new(centre: [f64; 3], size: [f64; 3], yaw: f64, frame: CuboidFrame) -> Result<Self> {
        Self::posed(centre, CuboidOrigin::Centre, size, Rotation::Yaw(yaw), frame)
    }

    /// A box turned in any way, with the position of its centre or its bottom.
    ///
    /// # Errors
    /// [`CoreError::InvalidCuboid`] for a number that is not finite, a size that is not positive and a quaternion whose
    /// length is not 1.
    pub fn posed(
        position: [f64; 3],
        origin: CuboidOrigin,
        size: [f64; 3],
        rotation: Rotation,
        frame: CuboidFrame,
    ) -> Result<Self> {
        for (field, found) in ["x", "y", "z"].into_iter().zip(position) {
            check_finite(field, &[found])?;
        }
        for (field, found) in ["length", "width", "height"].into_iter().zip(size) {
            if !(0.0 < found) || !found.is_finite() {
                return Err(CoreError::InvalidCuboid { field, found, expected: "a finite number above 0" });
            }
        }
        let volume: f64 = size.iter().product();
        if !volume.is_normal() {
            let expected = "a volume that a number can hold";
            return Err(CoreError::InvalidCuboid { field: "volume", found: volume, expected });
        }
        Ok(Self { position, origin, size, rotation: rotation.check()?, frame })
    }

    /// Middle of the box, in metres.
    pub fn centre(&self) -> [f64; 3] {
        match self.origin {
            CuboidOrigin::Centre => self.position,
            CuboidOrigin::BottomCentre => {
                let up = self.up();
                let half = self.size[2] / 2.0;
                [0, 1, 2].map(|i| self.position[i] + half * up[i])
            }
        }
    }

    /// The point that [`Cuboid::origin`] names, as given.
    pub fn position(&self) -> [f64; 3] {
        self.position
    }

    /// Which point [`Cuboid::position`] is.
    pub fn origin(&self) -> CuboidOrigin {
        self.origin
    }

    /// Length, width, height in metres.
    pub fn size(&self) -> [f64; 3] {
        self.size
    }

    /// The rotation as given.
    pub fn rotation(&self) -> Rotation {
        self.rotation
    }

    /// Heading about the vertical of the frame; of a tilted box the heading of its length seen from above.
    pub fn yaw(&self) -> f64 {
        match self.rotation {
            Rotation::Yaw(yaw) => yaw,
            _ => {
                let [[x, ..], [y, ..], [z, ..]] = self.matrix();
                match self.frame {
                    CuboidFrame::Lidar | CuboidFrame::Global => y.atan2(x),
                    CuboidFrame::KittiCamera => (-z).atan2(x),
                }
            }
        }
    }

    /// Whether the box stands upright by its words: turned by yaw alone. A quaternion or angles count as upright when
    /// they turn about the vertical exactly.
    pub fn is_upright(&self) -> bool {
        let vertical = self.vertical_axis();
        let others = [0, 1, 2].into_iter().filter(|i| *i != vertical);
        match self.rotation {
            Rotation::Yaw(_) => true,
            Rotation::Quaternion([_, x, y, z]) => others.into_iter().all(|i| [x, y, z][i] == 0.0),
            Rotation::Euler(angles) => others.into_iter().all(|i| angles[i] == 0.0),
        }
    }

    /// Frame of all numbers.
    pub fn frame(&self) -> CuboidFrame {
        self.frame
    }

    /// Cubic metres.
    pub fn volume(&self) -> f64 {
        self.size.iter().product()
    }

    /// Columns are the directions of length, width and height in the frame.
    ///
    /// In [`CuboidFrame::KittiCamera`] an upright box has its height against +y and its width along +z at a yaw of 0, so
    /// that the columns stay right-handed.
    pub fn axes(&self) -> [[f64; 3]; 3] {
        let m = self.matrix();
        match self.frame {
            CuboidFrame::Lidar | CuboidFrame::Global => m,
            // Length stays x; width is the camera's z, height its -y.
            CuboidFrame::KittiCamera => m.map(|[a, b, c]| [a, c, -b]),
        }
    }

    /// The eight corners in the frame: the bottom face from front left counter-clockwise seen from above, then the top
    /// face in the same order.
    pub fn corners(&self) -> [[f64; 3]; 8] {
        let (centre, axes) = (self.centre(), self.axes());
        let [hl, hw, hh] = self.size.map(|side| side / 2.0);
        let face = [[hl, hw], [-hl, hw], [-hl, -hw], [hl, -hw]];
        std::array::from_fn(|corner| {
            let [u, v] = face[corner % 4];
            let w = if corner < 4 { -hh } else { hh };
            [0, 1, 2].map(|i| centre[i] + u * axes[i][0] + v * axes[i][1] + w * axes[i][2])
        })
    }

    /// The four corners of an upright box on the ground plane, counter-clockwise from front left: x and y, in
    /// [`CuboidFrame::KittiCamera`] x and z. A tilted box is taken as upright with its [yaw](Cuboid::yaw).
    pub fn ground_corners(&self) -> [[f64; 2]; 4] {
        let (sin, cos) = self.yaw().sin_cos();
        let (hl, hw) = (self.size[0] / 2.0, self.size[1] / 2.0);
        let [x, y, z] = self.centre();
        [[hl, hw], [-hl, hw], [-hl, -hw], [hl, -hw]].map(|[u, v]| match self.frame {
            CuboidFrame::Lidar | CuboidFrame::Global => [x + u * cos - v * sin, y + u * sin + v * cos],
            CuboidFrame::KittiCamera => [x + u * cos + v * sin, z - u * sin + v * cos],
        })
    }

    /// Rotation of the frame's own axes.
    fn matrix(&self) -> [[f64; 3]; 3] {
        match self.rotation {
            Rotation::Quaternion(q) => matrix_of_quaternion(q),
            Rotation::Euler(angles) => matrix_of_euler(angles),
            Rotation::Yaw(yaw) => {
                let (sin, cos) = yaw.sin_cos();
                match self.frame {
                    CuboidFrame::Lidar | CuboidFrame::Global => {
                        [[cos, -sin, 0.0], [sin, cos, 0.0], [0.0, 0.0, 1.0]]
                    }
                    CuboidFrame::KittiCamera => [[cos, 0.0, sin], [0.0, 1.0, 0.0], [-sin, 0.0, cos]],
                }
            }
        }
    }

    /// Direction of the height.
    fn up(&self) -> [f64; 3] {
        match (self.rotation, self.frame) {
            (Rotation::Yaw(_), CuboidFrame::KittiCamera) => [0.0, -1.0, 0.0],
            (Rotation::Yaw(_), _) => [0.0, 0.0, 1.0],
            _ => self.axes().map(|row| row[2]),
        }
    }

    fn vertical_axis(&self) -> usize {
        match self.frame {
            CuboidFrame::Lidar | CuboidFrame::Global => 2,
            CuboidFrame::KittiCamera => 1,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::f64::consts::FRAC_PI_2;

    use super::*;

    const LIDAR: CuboidFrame = CuboidFrame::Lidar;

    #[test]
    fn zero_sizes_and_nan_yaw_are_refused() {
        assert!(Cuboid::new([0.0; 3], [1.0, 0.0, 1.0], 0.0, LIDAR).is_err());
        assert!(Cuboid::new([0.0; 3], [1.0, -2.0, 1.0], 0.0, LIDAR).is_err());
        assert!(Cuboid::new([0.0; 3], [1.0, 1.0, 1.0], f64::NAN, LIDAR).is_err());
        assert!(Cuboid::new([0.0; 3], [1.0, f64::INFINITY, 1.0], 0.0, LIDAR).is_err());
        assert!(Cuboid::new([0.0, f64::NAN, 0.0], [1.0; 3], 0.0, LIDAR).is_err());
        assert!(Cuboid::new([0.0; 3], [1e200; 3], 0.0, LIDAR).is_err(), "its volume is infinite");
    }

    #[test]
    fn corners_turn_with_yaw() {
        let c = Cuboid::new([1.0, 1.0, 0.0], [4.0, 2.0, 1.0], FRAC_PI_2, LIDAR).unwrap();
        let [front_left, ..] = c.ground_corners();
        assert!((front_left[0] - 0.0).abs() < 1e-12 && (front_left[1] - 3.0).abs() < 1e-12);
    }

    #[test]
    fn a_plain_cuboid_is_written_as_it_always_was() {
        let c = Cuboid::new([1.0, 2.0, 3.0], [4.0, 2.0, 1.0], 0.5, LIDAR).unwrap();
        let text = serde_json::to_string(&c).unwrap();
        assert_eq!(text, r#"{"centre":[1.0,2.0,3.0],"size":[4.0,2.0,1.0],"yaw":0.5,"frame":"lidar"}"#);
    }

    #[test]
    fn any_cuboid_survives_serde_and_none_skips_the_check() {
        let q = Rotation::Quaternion([0.5; 4]);
        let c =
            Cuboid::posed([1.0; 3], CuboidOrigin::BottomCentre, [2.0; 3], q, CuboidFrame::Global).unwrap();
        assert_eq!(serde_json::from_str::<Cuboid>(&serde_json::to_string(&c).unwrap()).unwrap(), c);
        for text in [
            r#"{"centre":[0,0,0],"size":[1,1,0],"yaw":0,"frame":"lidar"}"#,
            r#"{"centre":[0,0,0],"size":[1,1,1],"frame":"lidar"}"#,
            r#"{"centre":[0,0,0],"size":[1,1,1],"yaw":0,"rotation":{"yaw":1},"frame":"lidar"}"#,
            r#"{"centre":[0,0,0],"size":[1,1,1],"rotation":{"quaternion":[1,1,1,1]},"frame":"lidar"}"#,
        ] {
            assert!(serde_json::from_str::<Cuboid>(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_camera_frame_has_its_height_against_y() {
        let c = Cuboid::from_kitti([2.0, 1.0, 4.0], [0.0, 1.0, 10.0], 0.0).unwrap();
        assert_eq!(c.centre(), [0.0, 0.0, 10.0]);
        let corners = c.corners();
        assert_eq!(corners[0], [2.0, 1.0, 10.5], "bottom, front (x), left of the heading (z)");
        assert_eq!(corners[6], [-2.0, -1.0, 9.5]);
    }

    #[test]
    fn ground_corners_are_the_corners_seen_from_above() {
        for (frame, ground) in [(LIDAR, [0, 1]), (CuboidFrame::KittiCamera, [0, 2])] {
            let c = Cuboid::new([3.0, -2.0, 7.0], [4.0, 2.0, 1.0], 0.7, frame).unwrap();
            for (flat, corner) in c.ground_corners().iter().zip(c.corners()) {
                for i in 0..2 {
                    assert!((flat[i] - corner[ground[i]]).abs() < 1e-12, "{frame:?}");
                }
            }
        }
    }

    #[test]
    fn a_quaternion_and_its_yaw_are_one_box() {
        for (frame, vertical) in [(LIDAR, 3), (CuboidFrame::KittiCamera, 2)] {
            let yaw = 2.5f64;
            let mut q = [(yaw / 2.0).cos(), 0.0, 0.0, 0.0];
            q[vertical] = (yaw / 2.0).sin();
            let plain = Cuboid::new([1.0, 2.0, 3.0], [4.0, 2.0, 1.0], yaw, frame).unwrap();
            let turned = Cuboid::posed(
                [1.0, 2.0, 3.0],
                CuboidOrigin::Centre,
                [4.0, 2.0, 1.0],
                Rotation::Quaternion(q),
                frame,
            )
            .unwrap();
            assert!(turned.is_upright() && (turned.yaw() - yaw).abs() < 1e-15);
            for (a, b) in plain.corners().iter().flatten().zip(turned.corners().iter().flatten()) {
                assert!((a - b).abs() < 1e-14, "{frame:?}");
            }
        }
    }

    #[test]
    fn the_bottom_of_a_tilted_box_is_below_it_along_its_own_height() {
        let roll = Rotation::Euler([FRAC_PI_2, 0.0, 0.0]);
        let c = Cuboid::posed([0.0; 3], CuboidOrigin::BottomCentre, [4.0, 2.0, 6.0], roll, LIDAR).unwrap();
        let [x, y, z] = c.centre();
        assert!(!c.is_upright() && x.abs() < 1e-12 && (y + 3.0).abs() < 1e-12 && z.abs() < 1e-12);
    }
}
