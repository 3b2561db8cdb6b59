//! Labels that simulated people would draw, and what a golden set of some size would make of them.

mod annotator;
mod display;
mod drift;
mod estimate;
mod golden_plan;
mod params;
mod pictures;

pub use annotator::{AnnotatorModel, AnnotatorValidModel};
pub use drift::LabelDrift;
pub use estimate::estimate_annotator;
pub use golden_plan::{GoldenPlan, PlanCell, PlanRow, golden_plan};
pub use params::{PlanParams, PlanValidParams};
pub use pictures::PlanSource;
