//! Labels that simulated people would draw, and what a golden set of some size would make of them.

mod annotator;
mod drift;

pub use annotator::{AnnotatorModel, AnnotatorValidModel};
pub use drift::LabelDrift;
