use serde::{Deserialize, Serialize};

use crate::{CoreError, Result};

/// How far a product of two rows of a rotation may be from 0 or 1; files of calibration round to few digits.
const ROTATION_TOLERANCE: f64 = 1e-3;

/// A rotation followed by a shift, from one frame to another: name values `camera_from_lidar`, so that frames that
/// meet read the same.
///
/// ```
/// use labelloop_core::RigidTransform;
///
/// let quarter_turn = [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 0.0, 1.0]];
/// let map_from_lidar = RigidTransform::new(quarter_turn, [100.0, 0.0, 0.0])?;
/// assert_eq!(map_from_lidar.apply([1.0, 0.0, 0.0]), [100.0, 1.0, 0.0]);
/// assert_eq!(map_from_lidar.inverse().apply([100.0, 1.0, 0.0]), [1.0, 0.0, 0.0]);
/// # Ok::<(), labelloop_core::CoreError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawTransform")]
pub struct RigidTransform {
    rotation: [[f64; 3]; 3],
    translation: [f64; 3],
}

#[derive(Deserialize)]
struct RawTransform {
    rotation: [[f64; 3]; 3],
    translation: [f64; 3],
}

impl TryFrom<RawTransform> for RigidTransform {
    type Error = CoreError;

    fn try_from(raw: RawTransform) -> Result<Self> {
        Self::new(raw.rotation, raw.translation)
    }
}

impl RigidTransform {
    /// Nothing moves.
    pub const IDENTITY: Self =
        Self { rotation: [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]], translation: [0.0; 3] };

    /// Rows of a rotation matrix and a shift in metres.
    ///
    /// # Errors
    /// [`CoreError::InvalidTransform`] for numbers that are not finite and for rows that are not perpendicular, of length
    /// 1 and right-handed, to a thousandth.
    pub fn new(rotation: [[f64; 3]; 3], translation: [f64; 3]) -> Result<Self> {
        let refuse = |field, found| Err(CoreError::InvalidTransform { field, found });
        if let Some(found) = rotation.iter().flatten().chain(&translation).find(|n| !n.is_finite()) {
            return refuse("a number", *found);
        }
        for (i, a) in rotation.iter().enumerate() {
            for (j, b) in rotation.iter().enumerate() {
                let (product, expected) = (dot(*a, *b), if i == j { 1.0 } else { 0.0 });
                if !((product - expected).abs() <= ROTATION_TOLERANCE) {
                    return refuse(
                        if i == j { "the squared length of a row" } else { "the product of two rows" },
                        product,
                    );
                }
            }
        }
        let [a, b, c] = rotation;
        let determinant =
            dot(a, [b[1] * c[2] - b[2] * c[1], b[2] * c[0] - b[0] * c[2], b[0] * c[1] - b[1] * c[0]]);
        if determinant < 0.0 {
            return refuse("the determinant", determinant);
        }
        Ok(Self { rotation, translation })
    }

    /// Rows of the rotation.
    pub fn rotation(&self) -> [[f64; 3]; 3] {
        self.rotation
    }

    /// Where the origin goes.
    pub fn translation(&self) -> [f64; 3] {
        self.translation
    }

    /// Where a point goes.
    pub fn apply(&self, point: [f64; 3]) -> [f64; 3] {
        [0, 1, 2].map(|i| dot(self.rotation[i], point) + self.translation[i])
    }

    /// The way back. The rotation is taken at its word: its inverse is its transpose.
    #[must_use]
    pub fn inverse(&self) -> Self {
        let rotation = [0, 1, 2].map(|i| self.rotation.map(|row| row[i]));
        let translation = rotation.map(|row| -dot(row, self.translation));
        Self { rotation, translation }
    }

    /// First `first`, then this one: `map_from_lidar = map_from_ego.after(&ego_from_lidar)`.
    #[must_use]
    pub fn after(&self, first: &Self) -> Self {
        let rotation = self.rotate(first.rotation);
        Self { rotation, translation: self.apply(first.translation) }
    }

    pub(crate) fn rotate(&self, rows: [[f64; 3]; 3]) -> [[f64; 3]; 3] {
        self.rotation.map(|row| [0, 1, 2].map(|j| dot(row, rows.map(|r| r[j]))))
    }
}

pub(crate) fn dot(a: [f64; 3], b: [f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::rotation::matrix_of_euler;

    #[test]
    fn matrices_that_stretch_mirror_or_shear_are_refused() {
        let identity = RigidTransform::IDENTITY.rotation();
        for (row, values) in [(0, [2.0, 0.0, 0.0]), (0, [-1.0, 0.0, 0.0]), (1, [0.1, 1.0, 0.0])] {
            let mut rotation = identity;
            rotation[row] = values;
            assert!(RigidTransform::new(rotation, [0.0; 3]).is_err(), "{rotation:?}");
        }
        assert!(RigidTransform::new(identity, [f64::NAN, 0.0, 0.0]).is_err());
    }

    #[test]
    fn serde_cannot_skip_the_check() {
        let text = r#"{"rotation":[[2,0,0],[0,1,0],[0,0,1]],"translation":[0,0,0]}"#;
        assert!(serde_json::from_str::<RigidTransform>(text).is_err());
    }

    proptest! {
        #[test]
        fn there_and_back_is_where_one_was(
            angles in [-4.0..4.0f64, -4.0..4.0f64, -4.0..4.0f64],
            shift in [-50.0..50.0f64, -50.0..50.0f64, -50.0..50.0f64],
            point in [-50.0..50.0f64, -50.0..50.0f64, -50.0..50.0f64],
        ) {
            let there = RigidTransform::new(matrix_of_euler(angles), shift).unwrap();
            let back = there.inverse().apply(there.apply(point));
            let same = there.inverse().after(&there).apply(point);
            for i in 0..3 {
                prop_assert!((back[i] - point[i]).abs() < 1e-12 && (same[i] - point[i]).abs() < 1e-12);
            }
        }
    }
}
