use labelloop_core::{ClassIdx, Cuboid, SampleId};
use serde::{Deserialize, Serialize};

/// An object that people marked.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct LabelBox {
    /// Class, a place in [`super::NuscenesParams::classes`].
    pub class: ClassIdx,
    /// Where it is: in [`labelloop_core::CuboidFrame::Global`], or in `Lidar` for boxes seen from the vehicle.
    pub cuboid: Cuboid,
    /// Metres a second along x and y of the frame; `None` where it is unknown: its error does not count then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<[f64; 2]>,
    /// Number of the attribute; equal numbers are one attribute. `None` where there is none: it does not count then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<u16>,
    /// Centre as seen from the vehicle, in metres; `None`: the cuboid's own, which must then be in the vehicle's frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ego: Option<[f64; 3]>,
    /// Lidar and radar points inside; `None` where nobody counted: it is kept then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_points: Option<u32>,
}

impl LabelBox {
    /// A label of which no more is known than class and place.
    pub fn new(class: ClassIdx, cuboid: Cuboid) -> Self {
        Self { class, cuboid, velocity: None, attribute: None, ego: None, n_points: None }
    }
}

/// An object that a detector proposes.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct DetectionBox {
    /// Class, a place in [`super::NuscenesParams::classes`].
    pub class: ClassIdx,
    /// Where it is, in the frame of the labels.
    pub cuboid: Cuboid,
    /// Confidence: a finite number of at least 0, the higher the surer. 0 itself is as good as no detection at all: the protocol
    /// takes a confidence of 0 for a recall that is not reached.
    pub score: f64,
    /// Metres a second along x and y of the frame; without one the velocity error of a match does not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub velocity: Option<[f64; 2]>,
    /// Number of the attribute; none is wrong wherever the label has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attribute: Option<u16>,
    /// Centre as seen from the vehicle, in metres; `None`: the cuboid's own, which must then be in the vehicle's frame.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ego: Option<[f64; 3]>,
}

impl DetectionBox {
    /// A detection of which no more is known than class, place and score.
    pub fn new(class: ClassIdx, cuboid: Cuboid, score: f64) -> Self {
        Self { class, cuboid, score, velocity: None, attribute: None, ego: None }
    }
}

/// One sample (a keyframe) with what people marked in it and what a detector proposes.
///
/// Cases may come in any order. Within a sample the order counts for exact ties alone: of detections with one score the
/// later goes first, of labels at one distance the earlier is taken, as in the nuScenes devkit.
#[derive(Debug, Clone, Copy)]
pub struct SampleCase<'a> {
    /// Name of the sample.
    pub id: &'a SampleId,
    /// What people marked.
    pub labels: &'a [LabelBox],
    /// What the detector proposes.
    pub detections: &'a [DetectionBox],
    /// Bicycle racks, in which cycles are neither asked for nor held against anyone. Empty where there are none.
    pub racks: &'a [Cuboid],
}
