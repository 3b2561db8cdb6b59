//! KITTI's object benchmark: average precision of boxes, bird's-eye views and cuboids, and orientation similarity.
//!
//! The rules are those of the object development kit (Geiger, Lenz and Urtasun, CVPR 2012, with the forty recalls of
//! Simonelli et al., ICCV 2019): difficulties by height, occlusion and truncation; neighbour classes, `DontCare` regions and
//! small detections that count neither way; one matching for the thresholds and one for the counts. The project's
//! `docs/KITTI.md` states every rule with its decisions.
//!
//! With fewer than 41 labels to find, not even a perfect detector reaches 100: one threshold comes from each label at most,
//! and the slots behind the last one are 0. [`KittiWarning::FewLabels`] says so and names the most there is to reach.

mod curve;
mod edges;
mod filter;
mod input;
mod interval;
mod kernel;
mod observe;
mod outcomes;
mod params;
mod partial;
mod record;
mod result;
mod show;
mod view;
mod warning;

pub use curve::{Curve, N_SLOTS, Recall};
pub use filter::{BoxFilter, Difficulty, FilterCounts, FilterReason};
pub use input::{Detection, Frame, Label};
pub use interval::{ci, ci_mean};
pub use outcomes::{DetectionOutcome, FrameOutcomes, LabelOutcome, outcomes};
pub use params::{KittiClass, KittiParams, KittiValidParams, Metric};
pub(crate) use partial::observe_outside;
pub use partial::{Partial, observe, observe_all};
pub use result::{ClassResult, KittiResult};
pub(crate) use view::Outside;
pub use warning::{Filtered, KittiWarning};

use crate::Result;

/// Evaluates detections of all frames. The order of frames is of no matter; within one, labels are matched in their order
/// and the first of several equal detections is taken, as in the development kit.
///
/// O(labels x detections) overlaps per frame, then matchings in proportion to the detections that overlap a label.
///
/// ```
/// use labelloop_core::{BBox, SampleId};
/// use labelloop_eval::kitti::{Detection, Difficulty, Frame, KittiParams, Label, Metric, Recall, evaluate};
///
/// let ids: Vec<SampleId> = (0..50).map(|i| SampleId::new(format!("{i:06}")).unwrap()).collect();
/// let bbox = BBox::from_corners(600.0, 150.0, 700.0, 220.0)?;
/// let labels = [Label { alpha: Some(0.2), ..Label::new("Car", Some(bbox), None) }];
/// let found = [Detection { alpha: Some(0.2), ..Detection::new("Car", Some(bbox), None, 3.5) }];
/// let frames: Vec<_> = ids.iter().map(|id| Frame { id, labels: &labels, detections: &found }).collect();
///
/// let result = evaluate(&frames, &KittiParams::default())?;
/// assert_eq!(result.ap("Car", Metric::Bbox, Recall::R40, Difficulty::Easy), Some(100.0));
/// assert_eq!(result.ap("Car", Metric::Aos, Recall::R11, Difficulty::Hard), Some(100.0));
/// assert_eq!(result.ap("Car", Metric::Cuboid, Recall::R40, Difficulty::Easy), None, "nothing has a cuboid");
/// assert_eq!(result.ap("Cyclist", Metric::Bbox, Recall::R40, Difficulty::Easy), None, "there is none to find");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Those of [`KittiParams::check`]; [`crate::EvalError::NotFinite`] for a score, an angle or a truncation that is no number;
/// [`crate::EvalError::DuplicateImage`] for an id given twice.
pub fn evaluate(frames: &[Frame<'_>], params: &KittiParams) -> Result<KittiResult> {
    observe_all(frames, params)?.finish()
}
