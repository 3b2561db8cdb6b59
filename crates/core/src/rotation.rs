use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

/// How far the length of a quaternion may be from 1; files round their numbers.
const UNIT_TOLERANCE: f64 = 1e-3;

/// How a cuboid is turned, in the words of its source, so that what came in can go out bit for bit.
///
/// Quaternions and Euler angles turn the length of the box away from the x axis of its frame. Angles are radians.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rotation {
    /// Heading about the vertical of the frame, as the frame defines it.
    Yaw(f64),
    /// Unit quaternion w, x, y, z (nuScenes, ROS with w first).
    Quaternion([f64; 4]),
    /// Roll, pitch and yaw about the frame's x, y and z, in this order: the matrix is `Rz · Ry · Rx` (FiftyOne).
    Euler([f64; 3]),
}

impl Rotation {
    pub(crate) fn check(self) -> Result<Self> {
        match self {
            Self::Yaw(yaw) => check_finite("yaw", &[yaw])?,
            Self::Euler(angles) => check_finite("rotation", &angles)?,
            Self::Quaternion(q) => {
                check_finite("quaternion", &q)?;
                let norm = q.iter().fold(0.0f64, |n, v| n.hypot(*v));
                if !((norm - 1.0).abs() <= UNIT_TOLERANCE) {
                    let expected = "a quaternion of length 1, to a thousandth";
                    return Err(CoreError::InvalidCuboid {
                        field: "quaternion length",
                        found: norm,
                        expected,
                    });
                }
            }
        }
        Ok(self)
    }
}

pub(crate) fn check_finite(field: &'static str, numbers: &[f64]) -> Result<()> {
    match numbers.iter().find(|n| !n.is_finite()) {
        Some(found) => Err(CoreError::InvalidCuboid { field, found: *found, expected: "a finite number" }),
        None => Ok(()),
    }
}

/// Rows of the rotation matrix of a quaternion of any length but 0 (Shepperd 1978, inverse).
pub(crate) fn matrix_of_quaternion([w, x, y, z]: [f64; 4]) -> [[f64; 3]; 3] {
    let scale = 2.0 / (w * w + x * x + y * y + z * z);
    [
        [1.0 - scale * (y * y + z * z), scale * (x * y - w * z), scale * (x * z + w * y)],
        [scale * (x * y + w * z), 1.0 - scale * (x * x + z * z), scale * (y * z - w * x)],
        [scale * (x * z - w * y), scale * (y * z + w * x), 1.0 - scale * (x * x + y * y)],
    ]
}

/// `Rz · Ry · Rx`.
pub(crate) fn matrix_of_euler([x, y, z]: [f64; 3]) -> [[f64; 3]; 3] {
    let ((sx, cx), (sy, cy), (sz, cz)) = (x.sin_cos(), y.sin_cos(), z.sin_cos());
    [
        [cy * cz, sx * sy * cz - cx * sz, cx * sy * cz + sx * sz],
        [cy * sz, sx * sy * sz + cx * cz, cx * sy * sz - sx * cz],
        [-sy, sx * cy, cx * cy],
    ]
}

/// The unit quaternion with w of at least 0 of a rotation matrix, by its largest component (Shepperd 1978).
pub(crate) fn quaternion_of_matrix(m: [[f64; 3]; 3]) -> [f64; 4] {
    let trace = m[0][0] + m[1][1] + m[2][2];
    let squares = [trace, m[0][0], m[1][1], m[2][2]];
    let mut largest = 0;
    for i in 1..4 {
        if squares[largest] < squares[i] {
            largest = i;
        }
    }
    let q = match largest {
        0 => [1.0 + trace, m[2][1] - m[1][2], m[0][2] - m[2][0], m[1][0] - m[0][1]],
        1 => [m[2][1] - m[1][2], 1.0 + 2.0 * m[0][0] - trace, m[0][1] + m[1][0], m[0][2] + m[2][0]],
        2 => [m[0][2] - m[2][0], m[0][1] + m[1][0], 1.0 + 2.0 * m[1][1] - trace, m[1][2] + m[2][1]],
        _ => [m[1][0] - m[0][1], m[0][2] + m[2][0], m[1][2] + m[2][1], 1.0 + 2.0 * m[2][2] - trace],
    };
    let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
    let signed = if q[0] < 0.0 { -norm } else { norm };
    q.map(|v| v / signed)
}

/// Angles whose `Rz · Ry · Rx` is the matrix; x is 0 where y is a quarter turn and only one of the others is defined.
pub(crate) fn euler_of_matrix(m: [[f64; 3]; 3]) -> [f64; 3] {
    let y = -m[2][0].clamp(-1.0, 1.0).asin();
    if m[2][1].hypot(m[2][2]) < 1e-12 {
        return [0.0, y, (-m[0][1]).atan2(m[1][1])];
    }
    [m[2][1].atan2(m[2][2]), y, m[1][0].atan2(m[0][0])]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn quaternions_that_are_no_rotation_are_refused() {
        for q in [[0.0; 4], [2.0, 0.0, 0.0, 0.0], [f64::NAN, 0.0, 0.0, 1.0], [f64::INFINITY; 4]] {
            assert!(Rotation::Quaternion(q).check().is_err(), "{q:?}");
        }
        assert!(Rotation::Quaternion([0.6, 0.0, 0.0, 0.8002]).check().is_ok(), "four decimals are enough");
    }

    #[test]
    fn angles_that_are_not_finite_are_refused() {
        assert!(Rotation::Yaw(f64::NAN).check().is_err());
        assert!(Rotation::Euler([0.0, f64::INFINITY, 0.0]).check().is_err());
    }

    fn distance(a: [[f64; 3]; 3], b: [[f64; 3]; 3]) -> f64 {
        a.iter().flatten().zip(b.iter().flatten()).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max)
    }

    proptest! {
        #[test]
        fn quaternions_and_angles_give_their_matrix_back(angles in [-7.0..7.0f64, -7.0..7.0f64, -7.0..7.0f64]) {
            let matrix = matrix_of_euler(angles);
            prop_assert!(distance(matrix, matrix_of_quaternion(quaternion_of_matrix(matrix))) < 1e-14);
            prop_assert!(distance(matrix, matrix_of_euler(euler_of_matrix(matrix))) < 1e-7);
        }

        #[test]
        fn quaternions_come_back(q in [-1.0..1.0f64, -1.0..1.0f64, -1.0..1.0f64, -1.0..1.0f64]) {
            let norm = q.iter().map(|v| v * v).sum::<f64>().sqrt();
            prop_assume!(0.1 < norm);
            let sign = if q[0] < 0.0 { -norm } else { norm };
            let back = quaternion_of_matrix(matrix_of_quaternion(q));
            for (found, expected) in back.iter().zip(q) {
                prop_assert!((found - expected / sign).abs() < 1e-14);
            }
        }
    }
}
