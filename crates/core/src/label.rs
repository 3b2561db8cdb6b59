use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{BBox, ClassIdx, CoreError, Cuboid, Result};

/// An object that a person (or a simulated annotator) marked in a picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelledBox {
    /// Class in the project's schema.
    pub class: ClassIdx,
    /// Where it is, in pixels.
    pub bbox: BBox,
    /// Area in square pixels as the source states it (COCO's `area` is that of the mask); `None`: that of the box.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub area: Option<f64>,
    /// COCO's `iscrowd`: a region of many objects, matched leniently and never counted as missed.
    #[serde(default)]
    pub is_crowd: bool,
    /// Who drew it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<String>,
    /// What the source format said beyond this, as JSON text by key; survives a round trip.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub extra: BTreeMap<String, String>,
}

impl LabelledBox {
    /// A plain object: not a crowd, area of its box, no annotator.
    pub fn new(class: ClassIdx, bbox: BBox) -> Self {
        Self { class, bbox, area: None, is_crowd: false, annotator: None, extra: BTreeMap::new() }
    }

    /// The stated area, or that of the box.
    pub fn effective_area(&self) -> f64 {
        self.area.unwrap_or_else(|| self.bbox.area())
    }
}

/// An object that a model proposes, with its confidence in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawScored")]
pub struct ScoredBox {
    class: ClassIdx,
    bbox: BBox,
    score: f64,
}

#[derive(Deserialize)]
struct RawScored {
    class: ClassIdx,
    bbox: BBox,
    score: f64,
}

impl TryFrom<RawScored> for ScoredBox {
    type Error = CoreError;

    fn try_from(raw: RawScored) -> Result<Self> {
        Self::new(raw.class, raw.bbox, raw.score)
    }
}

impl ScoredBox {
    /// # Errors
    /// [`CoreError::InvalidScore`] when the score is NaN or outside `[0, 1]`.
    #[inline]
    pub fn new(class: ClassIdx, bbox: BBox, score: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&score) {
            return Err(CoreError::InvalidScore { found: score });
        }
        Ok(Self { class, bbox, score })
    }

    /// Class in the project's schema.
    pub fn class(&self) -> ClassIdx {
        self.class
    }

    /// Where it is, in pixels.
    pub fn bbox(&self) -> BBox {
        self.bbox
    }

    /// Confidence in `[0, 1]`.
    pub fn score(&self) -> f64 {
        self.score
    }
}

/// An object that a person marked in a point cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LabelledCuboid {
    /// Class in the project's schema.
    pub class: ClassIdx,
    /// Where it is, in metres.
    pub cuboid: Cuboid,
    /// Who drew it, where known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annotator: Option<String>,
}

/// An object that a model proposes in a point cloud, with its confidence in `[0, 1]`.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "RawScoredCuboid")]
pub struct ScoredCuboid {
    class: ClassIdx,
    cuboid: Cuboid,
    score: f64,
}

#[derive(Deserialize)]
struct RawScoredCuboid {
    class: ClassIdx,
    cuboid: Cuboid,
    score: f64,
}

impl TryFrom<RawScoredCuboid> for ScoredCuboid {
    type Error = CoreError;

    fn try_from(raw: RawScoredCuboid) -> Result<Self> {
        Self::new(raw.class, raw.cuboid, raw.score)
    }
}

impl ScoredCuboid {
    /// # Errors
    /// [`CoreError::InvalidScore`] when the score is NaN or outside `[0, 1]`.
    pub fn new(class: ClassIdx, cuboid: Cuboid, score: f64) -> Result<Self> {
        if !(0.0..=1.0).contains(&score) {
            return Err(CoreError::InvalidScore { found: score });
        }
        Ok(Self { class, cuboid, score })
    }

    /// Class in the project's schema.
    pub fn class(&self) -> ClassIdx {
        self.class
    }

    /// Where it is, in metres.
    pub fn cuboid(&self) -> Cuboid {
        self.cuboid
    }

    /// Confidence in `[0, 1]`.
    pub fn score(&self) -> f64 {
        self.score
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_outside_their_range_are_refused() {
        let cuboid = Cuboid::new([0.0; 3], [1.0; 3], 0.0, crate::CuboidFrame::Lidar).unwrap();
        assert!(ScoredCuboid::new(ClassIdx(0), cuboid, 1.5).is_err());
        let bbox = BBox::new(0.0, 0.0, 1.0, 1.0).unwrap();
        for score in [f64::NAN, -0.1, 1.1] {
            assert!(ScoredBox::new(ClassIdx(0), bbox, score).is_err());
        }
        assert!(serde_json::from_str::<ScoredBox>(r#"{"class":0,"bbox":[0,0,1,1],"score":2}"#).is_err());
    }
}
