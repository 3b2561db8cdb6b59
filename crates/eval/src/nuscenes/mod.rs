//! nuScenes' detection protocol for cuboids: average precision by distance of centres, five errors of true positives and
//! the detection score (Caesar et al. 2020, "nuScenes: a multimodal dataset for autonomous driving", section 3).
//!
//! ```
//! use labelloop_core::{ClassIdx, Cuboid, CuboidFrame, SampleId};
//! use labelloop_eval::nuscenes::{ClassRule, DetectionBox, LabelBox, NuscenesParams, SampleCase, evaluate};
//!
//! let at = |x| Cuboid::new([x, 2.0, 0.5], [4.5, 1.9, 1.7], 0.1, CuboidFrame::Lidar);
//! let labels = [LabelBox::new(ClassIdx(0), at(10.0)?), LabelBox::new(ClassIdx(0), at(60.0)?)];
//! let found = [DetectionBox::new(ClassIdx(0), at(10.75)?, 0.9)];
//! let id = SampleId::new("ca9a282c9e77460f8360f564131a8af5")?;
//! let case = SampleCase { id: &id, labels: &labels, detections: &found, racks: &[] };
//!
//! let params = NuscenesParams { classes: vec![ClassRule::new("car", 50.0)], ..NuscenesParams::default() };
//! let result = evaluate(&[case], &params)?;
//! let car = &result.classes[0];
//! assert_eq!((car.n_labels, car.filtered_labels.out_of_range), (1, 1));
//! assert_eq!(car.ap_by_distance, [Some(0.0), Some(1.0), Some(1.0), Some(1.0)]);
//! assert_eq!((result.mean_ap, car.tp_errors.translation), (Some(0.75), Some(0.75)));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod accumulate;
mod bootstrap;
mod boxes;
mod errors;
mod filter;
mod line;
mod outcome;
mod params;
mod partial;
mod record;
mod result;
mod track;

pub use bootstrap::{NuscenesIntervals, ci};
pub use boxes::{DetectionBox, LabelBox, SampleCase};
pub use errors::TpErrors;
pub use filter::{FilterCounts, FilterReason};
pub use outcome::{DetectionOutcome, LabelOutcome, SampleOutcomes, outcomes};
pub use params::{AbsentClasses, ClassRule, Excess, NuscenesParams, NuscenesValidParams, SampleOrder};
pub use partial::{Partial, observe, observe_all, observe_where};
pub use record::Object;
pub use result::{ClassResult, Curve, ErrorCurves, NuscenesResult, NuscenesWarning, TpMeans};

use crate::Result;

/// Evaluates detections against labels with nuScenes' detection protocol.
///
/// O(detections x labels) for a class in a sample, O(n log n) for each class's sort.
///
/// # Errors
/// Those of [`NuscenesParams::check`]; for the input [`crate::EvalError::DuplicateImage`],
/// [`crate::EvalError::ClassOutOfRange`], [`crate::EvalError::NotFinite`], [`crate::EvalError::InvalidScore`],
/// [`crate::EvalError::WrongFrame`],
/// [`crate::EvalError::TooManyBoxes`], and [`crate::EvalError::UnknownRange`] for a box whose distance from the vehicle
/// is not known.
pub fn evaluate(cases: &[SampleCase<'_>], params: &NuscenesParams) -> Result<NuscenesResult> {
    observe_all(cases, params)?.finish()
}
