use std::path::PathBuf;

use labelloop_core::{BBox, ClassIdx, SampleId};
use serde::{Deserialize, Serialize};

use crate::ParamError;

/// How objects are cut out of their pictures.
///
/// ```
/// use labelloop_embed::CropParams;
///
/// assert!(CropParams::default().check().is_ok());
/// assert!(CropParams { margin: f64::NAN, ..Default::default() }.check().is_err());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct CropParams {
    /// What is cut out around a box on each side, as a share of the box's longer side. Default: 0,
    /// which told classes apart best on every set in `docs/benchmarks.md`.
    pub margin: f64,
    /// Objects whose visible part is narrower or lower than this many pixels are left out. Default: 4.
    pub min_side_px: f64,
}

impl Default for CropParams {
    fn default() -> Self {
        Self { margin: 0.0, min_side_px: 4.0 }
    }
}

impl CropParams {
    /// # Errors
    /// [`ParamError::Crop`] naming the first parameter out of range.
    pub fn check(self) -> Result<CropValidParams, ParamError> {
        let limits = [("margin", self.margin, 0.0, 4.0), ("min_side_px", self.min_side_px, 1.0, 65_536.0)];
        for (name, found, least, most) in limits {
            if !(least <= found && found <= most) {
                return Err(ParamError::Crop { name, found, least, most });
            }
        }
        Ok(CropValidParams(self))
    }
}

/// Parameters within their ranges.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CropValidParams(pub(crate) CropParams);

/// An object to be cut out: a label or a detection.
#[derive(Debug, Clone, PartialEq)]
pub struct CropObject {
    /// Its name, different from those of all others in its picture.
    pub object: String,
    /// Its box, in pixels of the picture as people see it (turned upright).
    pub bbox: BBox,
    /// Its class, where it has one; carried along.
    pub class: Option<ClassIdx>,
}

/// A picture with its objects.
#[derive(Debug, Clone, PartialEq)]
pub struct CropItem {
    /// The sample that the crops belong to: what may not be trained on may not be trained on in pieces.
    pub parent: SampleId,
    /// The picture's file.
    pub path: PathBuf,
    /// What is to be cut out.
    pub objects: Vec<CropObject>,
}

/// Where a row comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CropRecord {
    /// The row's own id: `PARENT#OBJECT`.
    pub id: SampleId,
    /// The sample that it was cut out of.
    pub parent: SampleId,
    /// The object's name in its picture.
    pub object: String,
    /// The object's box, in pixels, as it was given.
    pub bbox: BBox,
    /// The object's class, where it was given.
    pub class: Option<ClassIdx>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_the_documented_ones_and_valid() {
        assert_eq!(CropParams::default(), CropParams { margin: 0.0, min_side_px: 4.0 });
        assert!(CropParams::default().check().is_ok());
    }

    #[test]
    fn margins_out_of_range_are_refused() {
        for margin in [-0.1, 4.1, f64::NAN] {
            let refused = CropParams { margin, ..Default::default() }.check();
            assert!(matches!(refused, Err(ParamError::Crop { name: "margin", .. })));
        }
    }

    #[test]
    fn least_sides_out_of_range_are_refused() {
        for min_side_px in [0.0, f64::INFINITY, f64::NAN] {
            let refused = CropParams { min_side_px, ..Default::default() }.check();
            assert!(matches!(refused, Err(ParamError::Crop { name: "min_side_px", .. })));
        }
    }
}
