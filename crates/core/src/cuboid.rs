use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

/// The coordinate frame that a cuboid's numbers are in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum CuboidFrame {
    /// x forward, y left, z up; metres; yaw counter-clockwise about +z, 0 along +x.
    Lidar,
}

/// An upright box in metres: centre, size along heading (length), across (width) and up (height), and yaw.
///
/// ```
/// use labelloop_core::{Cuboid, CuboidFrame};
///
/// let car = Cuboid::new([10.0, 2.0, -0.8], [4.2, 1.8, 1.5], 0.1, CuboidFrame::Lidar)?;
/// assert!((car.volume() - 4.2 * 1.8 * 1.5).abs() < 1e-12);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawCuboid")]
pub struct Cuboid {
    centre: [f64; 3],
    size: [f64; 3],
    yaw: f64,
    frame: CuboidFrame,
}

#[derive(Deserialize)]
struct RawCuboid {
    centre: [f64; 3],
    size: [f64; 3],
    yaw: f64,
    frame: CuboidFrame,
}

impl TryFrom<RawCuboid> for Cuboid {
    type Error = CoreError;

    fn try_from(raw: RawCuboid) -> Result<Self> {
        Self::new(raw.centre, raw.size, raw.yaw, raw.frame)
    }
}

impl Cuboid {
    /// Centre (x, y, z), size (length, width, height) and yaw in radians.
    ///
    /// # Errors
    /// [`CoreError::InvalidCuboid`] for a number that is not finite or a size that is not positive.
    pub fn new(centre: [f64; 3], size: [f64; 3], yaw: f64, frame: CuboidFrame) -> Result<Self> {
        for (field, found) in [("x", centre[0]), ("y", centre[1]), ("z", centre[2]), ("yaw", yaw)] {
            if !found.is_finite() {
                return Err(CoreError::InvalidCuboid { field, found, expected: "a finite number" });
            }
        }
        for (field, found) in [("length", size[0]), ("width", size[1]), ("height", size[2])] {
            if !(0.0 < found) || !found.is_finite() {
                return Err(CoreError::InvalidCuboid { field, found, expected: "a finite number above 0" });
            }
        }
        Ok(Self { centre, size, yaw, frame })
    }

    /// Middle of the box, in metres.
    pub fn centre(&self) -> [f64; 3] {
        self.centre
    }

    /// Length, width, height in metres.
    pub fn size(&self) -> [f64; 3] {
        self.size
    }

    /// Heading in radians.
    pub fn yaw(&self) -> f64 {
        self.yaw
    }

    /// Frame of all numbers.
    pub fn frame(&self) -> CuboidFrame {
        self.frame
    }

    /// Cubic metres.
    pub fn volume(&self) -> f64 {
        self.size.iter().product()
    }

    /// The four corners on the ground plane, counter-clockwise from front left.
    pub fn ground_corners(&self) -> [[f64; 2]; 4] {
        let (sin, cos) = self.yaw.sin_cos();
        let (hl, hw) = (self.size[0] / 2.0, self.size[1] / 2.0);
        [[hl, hw], [-hl, hw], [-hl, -hw], [hl, -hw]]
            .map(|[u, v]| [self.centre[0] + u * cos - v * sin, self.centre[1] + u * sin + v * cos])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_sizes_and_nan_yaw_are_refused() {
        assert!(Cuboid::new([0.0; 3], [1.0, 0.0, 1.0], 0.0, CuboidFrame::Lidar).is_err());
        assert!(Cuboid::new([0.0; 3], [1.0, 1.0, 1.0], f64::NAN, CuboidFrame::Lidar).is_err());
        assert!(Cuboid::new([0.0; 3], [1.0, f64::INFINITY, 1.0], 0.0, CuboidFrame::Lidar).is_err());
    }

    #[test]
    fn corners_turn_with_yaw() {
        let c =
            Cuboid::new([1.0, 1.0, 0.0], [4.0, 2.0, 1.0], std::f64::consts::FRAC_PI_2, CuboidFrame::Lidar)
                .unwrap();
        let [front_left, ..] = c.ground_corners();
        assert!((front_left[0] - 0.0).abs() < 1e-12 && (front_left[1] - 3.0).abs() < 1e-12);
    }
}
